"""ExampleGallery: which training examples made a model say so. Twin of js/src/widgets/examples.tsx."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import traitlets

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.jobs import Gate, LatestJob, State, Token
from xaiwidgets.training.influence import Influence
from xaiwidgets.training.registry import find_training_method
from xaiwidgets.widgets import words
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.gallery import words as said
from xaiwidgets.widgets.gallery.answers import Answer, Answers, Asked
from xaiwidgets.widgets.gallery.asks import Query
from xaiwidgets.widgets.gallery.cards import SAVED_PICTURES, Keepsakes, cards, ends, query_card
from xaiwidgets.widgets.gallery.errands import Errands
from xaiwidgets.widgets.gallery.figure import Shown, figure
from xaiwidgets.widgets.gallery.media import ImageMedia
from xaiwidgets.widgets.gallery.pack import pack_floats, plain_list
from xaiwidgets.widgets.gallery.pair import Pairs, joined, pair_traits
from xaiwidgets.widgets.gallery.state import GalleryState
from xaiwidgets.widgets.gallery.verdicts import Corrected, frame
from xaiwidgets.widgets.provenance import versions
from xaiwidgets.widgets.questions import whole
from xaiwidgets.widgets.summary import class_bars

PROGRESS_EVERY = 0.1
FIGURE_ROWS = 8

Callback = Callable[[int, dict[str, Any] | None], object]


@dataclass(frozen=True, eq=False)
class View:
    """What goes on show: an answer and its traits."""

    answer: Answer
    traits: dict[str, Any]


class ExampleGallery(GalleryState):
    """A query beside the training examples that lower its loss and those that raise it. Made by `xaiwidgets.trace`.

    `selected_indices` and `verdicts` are what the reader chose and decided, also to be set from Python.
    """

    def __init__(self, answers: Answers, pairs: Pairs, *, labels: words.Labels = None, **traits: Any) -> None:
        self._answers, self._pairs, self._labels = answers, pairs, labels
        self._gate = Gate()
        self._callbacks: list[Callback] = []
        self._keepsakes = Keepsakes(answers.album, answers.facts)
        facts, checkpoints = answers.facts, answers.spec.checkpoints
        meta, columns = facts.packed()
        super().__init__(
            medium=answers.album.medium,
            size=len(facts),
            inputs=[{"label": query.title} for query in answers.menu.queries],
            methods=answers.menu.methods(),
            ckpts=[
                {"name": one.name, "learning_rate": one.learning_rate, "loss": loss}
                for one, loss in zip(checkpoints, plain_list(facts.losses), strict=True)
            ],
            ckpt_mask=[True] * len(checkpoints),
            columns=columns,
            columns_meta=meta,
            **traits,
        )
        self._pair: LatestJob[dict[str, Any]] = LatestJob(self._pair_done, self._pair_failed)
        self._errands = Errands(answers.album, len(facts), self.send)

    # --- for people -------------------------------------------------------------------------------------------------

    @property
    def result(self) -> Influence | None:
        """The scores on show; None before the first."""
        shown = super().result
        return None if shown is None else shown.answer.influence

    @property
    def selected_indices(self) -> list[int]:
        """Positions of the training examples that are selected."""
        return list(self.selection)

    @selected_indices.setter
    def selected_indices(self, indices: Sequence[int]) -> None:
        self.selection = [int(index) for index in indices]

    def verdicts_frame(self) -> Any:
        """The verdicts as a pandas table, one row each, with the labels and the self-influence beside them."""
        facts = self._answers.facts
        return frame(self.verdicts, self.names, {int(key): facts.card(int(key)) for key in self.verdicts})

    def on_verdict(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(position, verdict)` whenever one changes; None for a verdict taken back. Returns what stops it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def subset(self, dataset: Any) -> Corrected:
        """The data set without what was dropped and with the new labels. Raises InputError if it is too short."""
        return Corrected(dataset, self.verdicts)

    def open(self, position: int | None = None) -> Any:
        """Explain the query and a training example with the same method: a HeatmapOverlay or a TokenStrip of both.

        Without a position: show the gallery itself (what every widget's `open` does). Raises InputError for rows of
        numbers, which are explained in the gallery itself.
        """
        if position is None:
            return super().open()
        from xaiwidgets.widgets.explain import explain  # noqa: PLC0415 - it shows every other kind of widget

        position = whole(position, "position", self.size)
        self.wait()
        answer = self._answer()
        query, example = self._answers.query(answer.request).inputs, self._answers.album.inputs(position)
        model = self._answers.model()
        target = self._target(answer)
        if self.medium == "rows":
            raise InputError("not_an_image", "Rows of numbers have no widget of their own", hint="Look at w.pair.")
        if self.medium == "text":
            texts = [self._pairs.tokens(one) for one in (query, example)]
            return explain(
                model.module,
                texts,
                target=target,
                labels=self._labels,
                tokenizer=self._pairs.tokenizer,
                **model.session,
            )
        media = self._answers.album.media
        image = media.undo if isinstance(media, ImageMedia) else None
        return explain(
            model.module, joined(query, example), target=target, labels=self._labels, image=image, **model.session
        )

    # --- work: on the worker ----------------------------------------------------------------------------------------

    def _work(self, token: Token) -> Iterator[View]:
        self._gate.token = token
        request = self._answers.menu.request(self.params)
        asked = self._answers.asked(request, self._gate)
        query = self._answers.query(request)
        with self._sync_lock, self.hold_sync():
            self.names, self.classes = self._names(asked), self._bars(asked)
        started, reported = time.monotonic(), 0.0

        def report(done: int, total: int, phase: str) -> None:
            nonlocal reported
            now = time.monotonic()
            if now - reported >= PROGRESS_EVERY:
                reported = now
                left = (now - started) * (total - done) / done if done and total else None
                self._report(done, total, left, phase)

        for answer in self._answers.explain(request, self._gate, report):
            shown = super().result
            if isinstance(shown, View) and shown.answer is answer:
                yield shown  # the same object is not sent twice
            else:
                yield View(answer, self._written(answer, query))

    def _report(self, done: int, total: int, left: float | None, phase: str) -> None:
        with self._sync_lock:
            self.progress = {"done": done, "total": total, "unit": "examples", "eta_s": left, "phase": phase}

    def _written(self, answer: Answer, query: Query) -> dict[str, Any]:
        """Everything that a page gets of an answer. Reads the user's data: not under a lock."""
        answers, scored = self._answers, answer.scored
        items = cards(answer, answers.facts, self._keepsakes.card)
        card = query_card(answer, query, answers.facts, self._keepsakes.query_card(query))
        rank = answer.rank | (
            {} if answer.hubs is None else {"hub_sample": answer.hubs.sample, "hub_leading": answer.hubs.leading}
        )
        question = {
            "target": answer.asked.label if isinstance(answer.asked.label, int) else None, "foil": None,
            "target_label": said.class_name(self.names, answer.asked.label), "foil_label": "", "baseline_title": "",
            "method_title": find_training_method(answer.request.method).title, "score": rank["unit"],
        }  # fmt: skip
        traits: dict[str, Any] = {
            "items": items, "scores": pack_floats(scored.parts), "rank": rank, "query": card, "question": question,
            "norms": b"" if scored.norms is None else pack_floats(scored.norms), "modes": rank["modes"],
            "query_norms": [] if scored.query_norms is None else plain_list(scored.query_norms),
        }  # fmt: skip
        leaders = ends(scored, "dot", None, card["training_id"], SAVED_PICTURES)
        own = self._keepsakes.query_picture(query, card["key"])
        if own:
            traits["sprites"] = self.sprites | own
        if answer.final:
            traits |= self._keepsakes.saved(own, items, leaders)
        dot = scored.by("dot")
        listed = tuple([items[row] | {"score": float(dot[row])} for row in side[: said.SHOWN]] for side in leaders)
        traits["caption"] = said.caption(question, card, (listed[0], listed[1]), self.names, rank)
        traits["notices"] = said.notices(rank, said.Facing(
            listed[0], len(self.ckpts), card, answer.same_as, answers.album.media.note, answers.vectors,
            answers.regression, self._weight(traits),
        ))  # fmt: skip
        return traits

    def _names(self, asked: Asked) -> list[str]:
        """Every class's name: as many as the model has."""
        count = 0 if asked.chances is None else len(asked.chances)
        return [words.label(self._labels, number) for number in range(count)]

    def _bars(self, asked: Asked) -> list[dict[str, Any]]:
        if asked.chances is None:
            return []
        single = asked.outputs.numel() == 1  # what such a model calls its logit has no partner
        return class_bars(asked.chances.log() if single else asked.outputs[0], self._labels)

    def _weight(self, traits: dict[str, Any]) -> int:
        """Bytes in a saved notebook, roughly."""
        pictures = traits.get("sprites", self.sprites)
        binary = sum(map(len, (traits["scores"], traits["norms"], self.columns, *pictures.values())))
        texts = sum(len(item.get("text", "")) + 32 * len(item.get("cells", ())) for item in traits["items"])
        return binary * 4 // 3 + texts + 130 * len(traits["items"])

    # --- results to traits ------------------------------------------------------------------------------------------

    def _publish(self, result: View) -> None:
        for name, value in result.traits.items():
            setattr(self, name, value)
        request = result.answer.request
        if self.pair and self._results.get("pair_of") != request.key:
            self.pair, self.pair_maps = {}, b""
        self.provenance = {
            "model": type(self._answers.spec.model).__name__, "method": request.method,
            "parameters": {
                name: value if isinstance(value, (bool, int, float, str, type(None))) else type(value).__name__
                for name, value in request.parameters.items()
            },
            "target": result.answer.asked.label, "foil": None, "checkpoints": [one["name"] for one in self.ckpts],
            "versions": versions(),
        }  # fmt: skip

    def _answer(self) -> Answer:
        """What is on show. Raises InputError before there is anything."""
        shown = super().result
        if not isinstance(shown, View):
            raise InputError("nothing_computed", "Nothing is computed yet", hint="Call wait() first.")
        return shown.answer

    # --- what a page asks for ---------------------------------------------------------------------------------------

    def _message(self, content: dict[str, Any]) -> None:
        kind = str(content.get("type"))
        if kind in ("thumbs", "texts"):
            self._errands.ask(kind, content.get("ids") or ())
        elif kind == "open":
            position = content.get("id")
            self._pair.submit(lambda token: iter([self._explain_pair(position, token)]))
        else:
            super()._message(content)

    def compare(self, position: int) -> dict[str, Any]:
        """The `pair` trait for a training example: what in it and in the query makes the model say so, on one scale."""
        changes = self._explain_pair(position, Token())
        self._pair_done(changes, last=True)
        return dict(self.pair)

    def _explain_pair(self, position: Any, token: Token) -> dict[str, Any]:
        try:
            position = whole(position, "position", self.size)
            answer = self._answer()
            target = self._target(answer)
            query = self._answers.query(answer.request).inputs
            ours = self._pairs.explain(query, target, token.check)
            theirs = self._pairs.explain(self._answers.album.inputs(position), target, token.check)
            label = {"id": target, "name": said.class_name(self.names, target) if target is not None else "the score"}
            return pair_traits(position, ours, theirs, label) | {"of": answer.request.key}
        except Exception as error:
            if token.stop.is_set():
                raise
            return {"pair": {"id": position, "error": explain_error(error)}, "pair_maps": b"", "of": ""}

    def _target(self, answer: Answer) -> int | None:
        """The class whose loss is asked."""
        label, outputs = answer.asked.label, answer.asked.outputs
        return label if isinstance(label, int) and outputs.ndim == 2 and outputs.shape[1] > 1 else None

    def _pair_done(self, changes: dict[str, Any], last: bool) -> None:
        if last:
            with self._sync_lock, self.hold_sync():
                self._results["pair_of"] = changes["of"]
                self.pair, self.pair_maps = changes["pair"], changes["pair_maps"]

    def _pair_failed(self, _state: State, error: BaseException | None) -> None:
        if error is not None:
            with self._sync_lock:
                self.error = explain_error(error)

    @traitlets.observe("verdicts")
    def _decided(self, change: dict[str, Any]) -> None:
        old = change["old"] if isinstance(change["old"], dict) else {}
        for key in [*change["new"], *(key for key in old if key not in change["new"])]:
            verdict = change["new"].get(key)
            if verdict != old.get(key):
                for callback in [*getattr(self, "_callbacks", ())]:
                    callback(int(key), verdict)

    # --- the ends ---------------------------------------------------------------------------------------------------

    def _figure(self) -> str:
        with self._sync_lock:
            shown, sprites, items, query = super().result, self.sprites, self.items, self.query
        if not isinstance(shown, View):
            return figure(Shown(caption=self.caption or "Not computed yet.", names=self.names, query={}))
        scored = shown.answer.scored
        mode = self.score_mode if self.score_mode in scored.modes else "dot"
        mask = self.ckpt_mask if len(self.ckpt_mask) == scored.parts.shape[1] and any(self.ckpt_mask) else None
        scores = scored.by(mode, mask)
        sides = [
            [
                items[row] | {"score": float(scores[row]), "parts": [float(part) for part in scored.parts[row]]}
                for row in side
            ]
            for side in ends(scored, mode, mask, query.get("training_id"), FIGURE_ROWS)
        ]
        return figure(Shown(
            caption=self.caption, names=self.names, query=query, proponents=sides[0], opponents=sides[1],
            sprites=sprites, checkpoints=[one["name"] for one in self.ckpts], verdicts=self.verdicts,
            warm=self.polarity == "warm",
        ))  # fmt: skip

    def _title(self) -> str:
        return words.subject(self.question) if self.question else "nothing computed yet"

    def close(self) -> None:
        """Stop the work and let go of the index, the queries and the results."""
        if hasattr(self, "_errands"):
            self._errands.close()
            self._pair.close()
            self._gate.token = None
        super().close()
        if hasattr(self, "_errands"):
            self._answers.close()
            self._callbacks.clear()
