"""What a gallery says in words: its question, its caption, and what a reader should know before believing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xaiwidgets.widgets.summary import SAVED_BUDGET
from xaiwidgets.widgets.words import encodable, label, percent

OFTEN = 0.3
"""Examples that lead for a larger share of other queries lead because of themselves, not because of this one."""
SHOWN = 12
Notice = dict[str, Any]


def class_name(names: Sequence[str], value: Any) -> str:
    """A label in words: the name of a class, or a number as it is."""
    if value is None:
        return "its label"
    return label(names or None, value) if isinstance(value, int) else f"{value:.4g}"


def caption(
    question: Mapping[str, Any], query: Mapping[str, Any], ends: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]],
    names: Sequence[str], rank: Mapping[str, Any],
) -> str:  # fmt: skip
    """A text alternative. `ends`: items that lead as proponents and as opponents, with their "score"."""
    said = [f"{question['method_title']}: training examples behind the loss on {question['target_label']}."]
    if query.get("yhat") is not None:
        sure = f" ({percent(query['conf'])})" if query.get("conf") is not None else ""
        given = f", given {class_name(names, query['y'])}" if query.get("y") is not None else ""
        said.append(f"The query is predicted {class_name(names, query['yhat'])}{sure}{given}.")
    for title, items in zip(("Proponents, which lower the loss", "Opponents, which raise it"), ends, strict=True):
        said.append(f"{title}: {_listed(items, names)}." if items else f"{title}: none.")
    totals = rank.get("totals")
    if totals and totals["positive"] > 0 and ends[0]:
        share = sum(item["score"] for item in ends[0]) / totals["positive"]
        said.append(f"These {len(ends[0])} proponents are {percent(min(share, 1.0))} of all positive influence.")
    return encodable(" ".join(said))


def _listed(items: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    kinds: dict[str, int] = {}
    for item in items:
        kinds[class_name(names, item["y"])] = kinds.get(class_name(names, item["y"]), 0) + 1
    by_class = ", ".join(f"{count} of {name}" for name, count in sorted(kinds.items(), key=lambda one: -one[1])[:3])
    first = items[0]
    return f"{by_class}; the strongest is example {first['id']} ({first['score']:+.3g})"


@dataclass(frozen=True)
class Facing:
    """What notices are about, besides the rank.

    same      a training example that is the query, found by looking
    note      how the colours were guessed
    vectors   whether the index keeps vectors
    saved     bytes in a saved notebook
    """

    proponents: Sequence[Mapping[str, Any]]
    checkpoints: int
    query: Mapping[str, Any]
    same: int | None
    note: str
    vectors: bool
    regression: bool
    saved: int


def notices(rank: Mapping[str, Any], facing: Facing) -> list[Notice]:
    """What a reader should know before believing the ranking."""
    found = [*_of_the_scan(rank), *_of_the_query(rank, facing)]
    if facing.regression:
        found.append(_info("regression", "The labels are numbers: there are no classes to sort or filter by."))
    if not facing.vectors:
        found.append(_info(
            "no_vectors",
            "The index keeps no vectors: every query reads all the data, and examples that lead everywhere are not known.",
        ))  # fmt: skip
    if facing.note:
        found.append(_info("colours", facing.note))
    if facing.saved > SAVED_BUDGET:
        text = f"A saved notebook grows by {facing.saved / 1e6:.1f} MB with this widget; w.freeze() shows a small picture instead."
        found.append(_info("size", text))
    return found


def _of_the_scan(rank: Mapping[str, Any]) -> Iterator[Notice]:
    if not rank["final"]:
        share = percent(rank["scanned"] / max(rank["total"], 1))
        yield _info("partial", f"The leading ones of the {share} scanned so far: their order may change.")
    if rank["missing"]:
        named = "; ".join(f"{name}: {why}" for name, why in rank["missing"])
        yield {"level": "warning", "code": "missing", "text": f"Left out, because they cannot be used: {named}."}
    if rank["approximations"]:
        yield _info("approximations", f"Approximate: {'; '.join(rank['approximations'])}.")
    if rank["notes"]:
        yield _info("notes", f"{'. '.join(note[:1].upper() + note[1:] for note in rank['notes'])}.")


def _of_the_query(rank: Mapping[str, Any], facing: Facing) -> Iterator[Notice]:
    if facing.checkpoints == 1 and rank["per_checkpoint"]:
        yield _info(
            "single_checkpoint", "A single checkpoint: how alike the gradients are at the end, not what training did."
        )
    position = facing.query.get("training_id")
    if position is not None:
        how = "is" if facing.same is None else "looks exactly like"
        yield _info("training_query", f"The query {how} training example {position}: it is shown, and not counted.")
    hubs = [item["id"] for item in facing.proponents if (item["hub"] or 0) > OFTEN]
    if hubs:
        advice = ": try cosine" if "cosine" in rank["modes"] else ""
        text = f"{len(hubs)} of {len(facing.proponents)} also lead for many other queries{advice}."
        yield {"level": "warning", "code": "hubs", "text": text, "ids": hubs}


def _info(code: str, text: str) -> Notice:
    return {"level": "info", "code": code, "text": text}
