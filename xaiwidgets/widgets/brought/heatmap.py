"""A heatmap of values that were made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.regions import superpixels
from xaiwidgets.live import pictures
from xaiwidgets.live.jobs import Token
from xaiwidgets.live.render import DISPLAY, block_sums, clip_range
from xaiwidgets.live.transport import Map, pack, pack_labels
from xaiwidgets.widgets import words
from xaiwidgets.widgets.explanations import Explanation, Request
from xaiwidgets.widgets.heatmap import HeatmapOverlay
from xaiwidgets.widgets.provenance import versions
from xaiwidgets.widgets.reductions import REDUCTIONS, reduce_all
from xaiwidgets.widgets.summary import notices

from .arrays import tensor
from .photos import stretched
from .shelf import Choice, Shelf, fitting, no_model

EMPTY = 238
"""Grey of the place where a picture would be."""


class Images:
    """In the place of a model and its inputs: how large the maps are."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._choices = choices

    def points(self, index: int) -> Tensor:
        return tensor(self._choices[0].rows[index].values)

    def close(self) -> None:
        self._choices = ()


class BroughtHeatmap(Shelf, HeatmapOverlay):
    """A HeatmapOverlay without a model. Made by `xaiwidgets.show`."""

    def __init__(
        self, choices: Sequence[Choice], views: Sequence[NDArray[np.uint8]] | None, *,
        labels: words.Labels, note: str, reduction: str, **traits: Any,
    ) -> None:  # fmt: skip
        self.choices, self.labels, self._pictured = choices, labels, views is not None
        rows = choices[0].rows
        if views is None:
            views = [np.full((*row.values.shape[1:], 3), EMPTY, np.uint8) for row in rows]
        coloured = any(len(row.values) > 1 for one in choices for row in one.rows)
        super().__init__(
            Images(choices), views, labels=labels, note=note,  # type: ignore[arg-type]  # what it is asked of them, they answer
            methods=[one.schema() for one in choices],
            params={"input": 0, "target": None, "foil": None, "method": choices[0].name, "baseline": "", "parameters": {}},
            reductions=[{"name": name, "title": title} for name, title in REDUCTIONS.items()] if coloured else [],
            **traits,
        )  # fmt: skip
        self._reductions |= {reduction}
        self.display = self.display | {"reduction": reduction} | ({} if self._pictured else {"view": "side"})
        if not self._pictured:
            self.thumbnails = b""
        self._scales_by_name = {one.name: self._common(one) for one in choices}
        self._heavy = self.fill(self._input_traits, self._answer_traits)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _work(self, token: Token) -> Iterator[Explanation]:  # noqa: ARG002 - nothing takes long
        choice, index = self.choice(self.params)
        request = Request(index, None, None, choice.name, "", {})
        yield Explanation(request, choice.attribution(index, choice.rows[index].values), torch.zeros(0), final=True)

    def _publish(self, result: Explanation) -> None:
        choice, index = self.choice({"input": result.request.input, "method": result.request.method})
        self._show_input(index)
        for name, value in self._answer_traits(choice, index).items():
            setattr(self, name, value)
        if self.segments_shape and self.segments_shape != self.maps[0]["shape"]:
            self.segments, self.segments_shape = b"", []

    def _answer_traits(self, choice: Choice, index: int) -> dict[str, Any]:
        maps = self._drawn(choice, index)
        facts, asked = choice.quality(index), choice.question(index, self.labels)
        about, data = pack(maps)
        values, signed = maps[0].values, maps[0].signed
        image = len(self._image(index)) if self._pictured else 0
        said = notices(values, facts, colours=self._note, saved=getattr(self, "_heavy", 0) + len(data) + image)
        more = {"note": choice.note, "stretched": stretched([self._views[index]], [choice.rows[index].values])}
        said += [{"level": "info", "code": code, "text": text} for code, text in more.items() if text]
        return {
            "maps": about, "map_data": data, "shared_scale": self._scales_by_name[choice.name], "quality": facts, "question": asked, "notices": fitting(said, facts),
            "caption": words.caption(values, signed=signed, question=asked, gap=facts["gap"]),
            "map_key": f"{index}/{choice.name}", "provenance": self._provenance(choice, asked),
        }  # fmt: skip

    def _drawn(self, choice: Choice, index: int) -> list[Map]:
        values = torch.from_numpy(choice.rows[index].values)
        return reduce_all(values, self._reductions, signed=choice.signed, unit=choice.unit)

    def _maps(self, result: Explanation) -> list[Map]:
        choice, index = self.choice({"input": result.request.input, "method": result.request.method})
        return self._drawn(choice, index)

    def _common(self, choice: Choice) -> dict[str, float]:
        """The range that suits every input."""
        if len(choice.rows) == 1:
            return {}
        own = [self._drawn(choice, index)[0].values for index in range(len(choice.rows))]
        blocks = [block_sums(values, DISPLAY["block"])[0] for values in own]
        return {
            unit: max(clip_range(sums, DISPLAY["clip"]) for sums in each)
            for unit, each in (("pixel", own), ("block", blocks))
        }

    def _provenance(self, choice: Choice, asked: dict[str, Any]) -> dict[str, Any]:
        given = {
            name: value if isinstance(value, (bool, int, float, str)) else type(value).__name__
            for name, value in (choice.parameters or {}).items()
        }
        return {
            "model": "not given", "method": asked["method_title"], "parameters": given, "target": asked["target_label"], "foil": None,
            "versions": versions(),
        }  # fmt: skip

    # --- pictures ---------------------------------------------------------------------------------------------------

    def _image(self, index: int) -> bytes:
        return pictures.encode(self._views[index]) if self._pictured else b""

    def _input_traits(self, index: int) -> dict[str, Any]:
        view = self._views[index]
        return {
            "image": self._image(index), "image_size": [view.shape[1], view.shape[0]], "segments": b"", "segments_shape": [],
            "region": {}, "selection": {}, "whatif": {},
        }  # fmt: skip

    def _show_input(self, index: int) -> None:
        if index == self._shown_input:
            return
        self._shown_input = index
        for name, value in self._input_traits(index).items():
            setattr(self, name, value)

    def _superpixels(self, index: int, _content: dict[str, Any]) -> dict[str, Any]:
        height, width = self.maps[0]["shape"]
        return {
            "segments": pack_labels(superpixels(self._views[index], (height, width))),
            "segments_shape": [height, width],
        }

    # --- what needs a model -----------------------------------------------------------------------------------------

    def _what_if(self, index: int, content: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        raise no_model()
