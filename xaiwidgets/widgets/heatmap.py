"""HeatmapOverlay: why a model said so about an image, over the image. Twin of js/src/widgets/heatmap.tsx."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.regions import superpixels
from xaiwidgets.engine.registry import find_method
from xaiwidgets.live import pictures
from xaiwidgets.live.colors import Table, table_for
from xaiwidgets.live.jobs import LatestJob, State, Token
from xaiwidgets.live.render import DISPLAY, block_sums, check_display, clip_range
from xaiwidgets.live.transport import Map, pack, pack_labels
from xaiwidgets.widgets import words
from xaiwidgets.widgets.colours import fit_colours
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.explanations import Explanation, Explanations, Request
from xaiwidgets.widgets.figure import figure, strongest
from xaiwidgets.widgets.provenance import provenance
from xaiwidgets.widgets.reductions import REDUCTIONS, reduce_all
from xaiwidgets.widgets.regions import blur_region, check_region
from xaiwidgets.widgets.summary import UNITS, class_bars, notices, quality, question
from xaiwidgets.widgets.trust.drawer import TrustDrawer, model_changed, nothing_to_test
from xaiwidgets.widgets.trust.tested import OF_IMAGES, SCORES, Input, Tested

PROGRESS_EVERY = 0.1
HUMAN_SCALE = 64
"""From this many pixels on the shorter side, blocks are shown first: single pixels are too small to judge."""

Aside = tuple[int, dict[str, Any]]
"""An answer beside the explanation: the input it is about and the traits to change."""


class HeatmapOverlay(TrustDrawer):
    """A heatmap over an image, with everything needed to question it. Made by `xaiwidgets.explain`."""

    _kind = traitlets.Unicode("heatmap").tag(sync=True)

    image = traitlets.Bytes().tag(sync=True)
    image_size: Any = traitlets.List().tag(sync=True)
    inputs: Any = traitlets.List().tag(sync=True)
    thumbnails = traitlets.Bytes().tag(sync=True)
    baselines: Any = traitlets.List().tag(sync=True)
    layers: Any = traitlets.List().tag(sync=True)
    reductions: Any = traitlets.List().tag(sync=True)
    maps: Any = traitlets.List().tag(sync=True)
    map_data = traitlets.Bytes().tag(sync=True)
    segments = traitlets.Bytes().tag(sync=True)
    segments_shape: Any = traitlets.List().tag(sync=True)
    classes: Any = traitlets.List().tag(sync=True)
    quality = traitlets.Dict().tag(sync=True)
    shared_scale = traitlets.Dict().tag(sync=True)
    cursor = traitlets.Dict().tag(sync=True)
    region = traitlets.Dict().tag(sync=True)
    whatif = traitlets.Dict().tag(sync=True)

    def __init__(
        self, explanations: Explanations, views: Sequence[NDArray[np.uint8]], *,
        labels: words.Labels = None, score: str = "logit", note: str = "", **traits: Any,
    ) -> None:  # fmt: skip
        self._explanations, self._views = explanations, views
        self._labels, self._score, self._note = labels, score, note
        self._reductions = {"sum"}
        self._scales: dict[int, dict[str, float]] = {}
        self._scales_of: tuple[str, str] = ("", "")
        self._shown_input = -1
        self._asides: dict[str, LatestJob[Aside]] = {
            name: LatestJob(self._aside_done, self._aside_changed) for name in ("whatif", "segments", "reduction")
        }
        shape = explanations.points(0).shape[2:]
        super().__init__(
            inputs=[{"label": f"input {index + 1}"} for index in range(len(views))],
            thumbnails=pictures.thumbnails(list(views)) if len(views) > 1 else b"",
            display=DISPLAY | {"unit": "block" if min(shape) >= HUMAN_SCALE else "pixel"},
            **traits,
        )
        self._show_input(int(self.params.get("input", 0)))

    # --- the explanation --------------------------------------------------------------------------------------------

    @property
    def result(self) -> Attribution | None:
        """The attribution on show; None before the first."""
        shown = super().result
        return None if shown is None else shown.attribution

    def _work(self, token: Token) -> Iterator[Explanation]:
        request = self._explanations.request(self.params)
        outputs = self._explanations.outputs(request.input, token.check)
        with self._sync_lock, self.hold_sync():
            if request.input == self._shown_input:
                self.classes = class_bars(outputs, self._labels)
        methods, layers = self._explanations.methods(), self._explanations.layers()
        with self._sync_lock, self.hold_sync():
            self.methods, self.layers = methods, layers
        started = reported = time.monotonic()
        for explanation in self._explanations.explain(request, token.check):
            now = time.monotonic()
            done, total = explanation.attribution.progress
            if now - reported >= PROGRESS_EVERY:
                reported = now
                left = (now - started) * (total - done) / done if total and done else None
                with self._sync_lock:
                    self.progress = _progress(done, total, left)
            yield explanation

    def _publish(self, result: Explanation) -> None:
        request, attribution = result.request, result.attribution
        self._show_input(request.input)
        self.map_key = self._explanations.key(request)
        self.classes = class_bars(result.outputs, self._labels)
        maps = self._maps(result)
        self._send_maps(maps)
        self._share_scale(request, maps[0].values)
        self.quality = quality(attribution)
        self.question = question(request, self.baselines, self._labels, self._score)
        self.notices = notices(
            maps[0].values, self.quality, colours=self._note, saved=len(self.map_data) + len(self.image)
        )
        self.caption = words.caption(
            maps[0].values, signed=maps[0].signed, question=self.question, gap=self.quality.get("gap")
        )
        self.provenance = provenance(self._explanations.model_name, attribution, request.target, request.foil)

    def _maps(self, result: Explanation) -> list[Map]:
        """The maps the page has asked for, the sum over channels first."""
        values = _row(result.attribution.values)
        # a method without signs may be asked for them: the plain gradient instead of its size
        signed = find_method(result.request.method).signed or bool((values < 0).any())
        unit = find_method(result.request.method).unit.format(score=UNITS.get(self._score, "score"))
        return reduce_all(values, self._reductions, signed=signed, unit=unit)

    def _share_scale(self, request: Request, values: NDArray[np.floating[Any]]) -> None:
        """The range that suits every input explained so far in the same way, for pixels and for blocks."""
        if (request.method, request.baseline) != self._scales_of:
            self._scales, self._scales_of = {}, (request.method, request.baseline)
        by_unit = {"pixel": values, "block": block_sums(values, DISPLAY["block"])[0]}
        self._scales[request.input] = {unit: clip_range(sums, DISPLAY["clip"]) for unit, sums in by_unit.items()}
        self.shared_scale = {unit: max(scales[unit] for scales in self._scales.values()) for unit in by_unit}

    def _send_maps(self, maps: list[Map]) -> None:
        self.maps, self.map_data = pack(maps)

    def _show_input(self, index: int) -> None:
        if index == self._shown_input or not 0 <= index < len(self._views):
            return
        view = self._views[index]
        self._shown_input = index
        self.image, self.image_size = pictures.encode(view), [view.shape[1], view.shape[0]]
        self.segments, self.segments_shape, self.region, self.selection, self.whatif = b"", [], {}, {}, {}

    # --- the tests --------------------------------------------------------------------------------------------------

    def _tested(self, key: str) -> Tested:  # noqa: ARG002 - the page shows no other map than this
        shown: Explanation | None = self._results.get("shown")
        if shown is None:
            raise nothing_to_test()
        request, explanations = shown.request, self._explanations
        if explanations.refresh() or explanations.key(request) != self.map_key:
            raise model_changed()
        view, point = self._views[request.input], explanations.points(request.input)[0]
        with self._sync_lock:
            asked = question(request, self.baselines, self._labels, self._score)
            title = self.inputs[request.input]["label"] if len(self._views) > 1 else ""
        return Tested(
            key=explanations.key(request), case=lambda interrupt: explanations.case(request, shown.attribution, interrupt),
            attribution=shown.attribution, subject=Input(title, view, fit_colours(view, point).to_pixels),
            method=asked["method_title"], complete=find_method(request.method).complete,
            target=asked["target_label"], foil=asked["foil_label"], score="" if request.target is None else SCORES[self._score], classes=request.target is not None,
            fills=OF_IMAGES, signed=self._maps(shown)[0].signed,
        )  # fmt: skip

    # --- what a page asks for beside the explanation ----------------------------------------------------------------

    def _message(self, content: dict[str, Any]) -> None:
        asks = {"whatif": self._what_if, "segments": self._superpixels, "reduction": self._send_reductions}
        kind, index = str(content.get("type")), self._shown_input
        ask = asks.get(kind)
        if ask is None:
            super()._message(content)
            return
        if kind == "reduction":
            self._reductions |= REDUCTIONS.keys() & {str(content.get("key"))}
        self._asides[kind].submit(lambda _token: iter([(index, ask(index, content))]))

    def what_if(self, x0: int, y0: int, x1: int, y1: int) -> dict[str, Any]:
        """Blur a rectangle of the shown input (half-open, in pixels) and predict again: classes before and after."""
        index = self._shown_input
        changes = self._what_if(index, {"region": {"x0": x0, "y0": y0, "x1": x1, "y1": y1}})
        self._aside_done((index, changes), last=True)
        return dict(changes["whatif"])

    def _what_if(self, index: int, content: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        height, width = self._explanations.points(index).shape[2:]
        rectangle = check_region(content.get("region") or {}, height, width)
        before = class_bars(self._explanations.outputs(index), self._labels)
        outputs = self._explanations.predict_changed(index, lambda image: blur_region(image, rectangle))
        after = class_bars(outputs, self._labels, also=[bar["id"] for bar in before])
        y0, y1, x0, x1 = rectangle
        region = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
        return {"whatif": {"region": region, "before": before, "after": after, "seconds": time.monotonic() - started}}

    def _superpixels(self, index: int, _content: dict[str, Any]) -> dict[str, Any]:
        height, width = (int(size) for size in self._explanations.points(index).shape[2:])
        labels = superpixels(self._views[index], (height, width))
        return {"segments": pack_labels(labels), "segments_shape": [height, width]}

    def _send_reductions(self, _index: int, _content: dict[str, Any]) -> dict[str, Any]:
        with self._sync_lock, self.hold_sync():
            shown = super().result
            if shown is not None:
                self._send_maps(self._maps(shown))
                self.seq += 1
        return {}

    def _aside_done(self, answer: Aside, last: bool) -> None:
        index, changes = answer
        with self._sync_lock, self.hold_sync():
            if last and index == self._shown_input:
                for name, value in changes.items():
                    setattr(self, name, value)

    def _aside_changed(self, _state: State, error: BaseException | None) -> None:
        if error is not None:
            with self._sync_lock:
                self.error = explain_error(error)

    # --- the ends ---------------------------------------------------------------------------------------------------

    def _figure(self) -> str:
        shown = super().result
        values, signed, title, rows = None, False, "", []
        if shown is not None:
            drawn = self._maps(shown)[0]
            values, signed, title = drawn.values, drawn.signed, words.subject(self.question)
            rows = strongest(values, drawn.unit)
        return figure(
            self._views[max(self._shown_input, 0)], values, signed=signed, display=self.display,
            colors=self._colors(diverging=signed and self.display["sign"] != "absolute"),
            warm_supports=self.polarity == "warm", title=title, caption=self.caption or "Not computed yet.", table_rows=rows,
        ) + self._figure_of_tests()  # fmt: skip

    def _colors(self, *, diverging: bool) -> Table:
        """The table the page draws with, in the light theme."""
        return table_for(self.palette, self.lut, diverging=diverging)

    @traitlets.validate("display")
    def _check_display(self, proposal: dict[str, Any]) -> dict[str, Any]:
        try:
            return check_display(proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from error

    def _title(self) -> str:
        return words.subject(self.question) if self.question else "nothing computed yet"

    def close(self) -> None:
        """Stop the work and let go of the model, the inputs and the results."""
        if hasattr(self, "_asides"):
            for job in self._asides.values():
                job.close()
            self._explanations.close()
        super().close()


def _progress(done: int, total: int, left: float | None) -> dict[str, Any]:
    return {"done": done, "total": total, "unit": "evaluations", "eta_s": left, "phase": "refining"}


def _row(values: Any) -> Tensor:
    """The attributions of the one row, [channels, height, width]."""
    assert isinstance(values, torch.Tensor)  # noqa: S101  # images are one tensor: explain() checked it
    return values[0]
