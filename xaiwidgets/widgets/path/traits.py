"""From runs to traits: what a page gets of the run on show, and what a notebook keeps of all of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from xaiwidgets.live.frames import Detail, groups, pack_frames, pack_mask, pack_total, rounded, sprite

from .gallery import Gallery
from .kinds import DISTRIBUTION
from .runs import Run, Sight
from .subject import Entry
from .words import caption, notices, rising

SHOWN = (
    Detail(frames=32, side=128, levels=127, total_side=256),
    Detail(frames=32, side=128, levels=31, total_side=256),
    Detail(frames=16, side=128, levels=31, total_side=256),
)
"""Of the run on show: the finest that fits its budget."""
SHOWN_BYTES = 230_000
PASSING = Detail(frames=16, side=64, levels=127, total_side=128)
"""While it is being computed: light, because the next one comes soon."""
ARCHIVE = (
    Detail(frames=16, side=64, levels=31, total_side=112),
    Detail(frames=12, side=48, levels=15, total_side=64),
    Detail(frames=8, side=32, levels=15, total_side=56),
)
ARCHIVE_BYTES = 220_000
"""Of all finished runs together: the more there are, the coarser each is kept."""
METHODS = {"path": "Integrated gradients", "smoothgrad": "SmoothGrad × input", DISTRIBUTION: "Expected gradients"}


def method_title(run: Run) -> str:
    """What a run is called."""
    return METHODS.get(run.entry.kind if run.entry.kind in METHODS else run.mode, "")


def run_traits(
    run: Run, sight: Sight, detail: Detail, question: dict[str, Any], said: Mapping[str, Any]
) -> dict[str, Any]:
    """The traits of one run. `question`: as in the trait; `said`: unit, training, colours, surfaces (of a text, else None)."""
    curves, text = sight.curves, said["surfaces"] is not None
    if text:  # tokens are not pixels: there are few, and each is looked at
        detail = replace(detail, side=sight.total.size, total_side=sight.total.size)
    pool_before = -(-max(sight.total.shape) // max(sight.frames.shape[1:]))
    meta, increments = pack_frames(sight.edges, sight.frames, detail, pool_before)
    total_meta, total = pack_total(sight.total, detail)
    stretch = rising(curves, run.mode)
    facts: dict[str, Any] = {
        "rising": None if stretch is None else list(stretch), "unit": said["unit"], "evaluations": sight.evaluations,
        "steps": sight.attribution.progress[0], "seconds": round(sight.attribution.seconds, 3), "stopped": sight.stopped,
    }  # fmt: skip
    refs = b""
    if run.mode == DISTRIBUTION:
        facts["samples"] = sight.samples
    if sight.refs is not None:
        ends = [*groups(len(sight.refs), detail.frames)[1:], len(sight.refs)]
        facts["ref_alphas"] = rounded([sight.ref_alphas[end - 1] for end in ends])
        facts["ref_size"] = [sight.refs.shape[2], sight.refs.shape[1]]
        refs = sprite(sight.refs, detail.frames)
    about: dict[str, Any] = {"mode": run.mode, "promises": run.promises}
    return {
        "alphas": rounded(curves.alphas), "F": rounded(curves.F), "C": rounded(curves.C), "prob": rounded(curves.prob),
        "scores": list(curves.scores), "gaps": asdict(curves.gaps), "inc_meta": meta, "increments": increments,
        "total_meta": total_meta, "total_map": total, "facts": facts, "refs": refs,
        "notices": notices(curves, **about, training=said["training"], colours=said["colours"], text=text),
        "caption": caption(question, curves, sight.total, **about, unit=said["unit"], surfaces=said["surfaces"]),
    }  # fmt: skip


def shown_traits(run: Run, sight: Sight, question: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The traits of the finished run on show."""
    traits: dict[str, Any] = {}
    for detail in SHOWN:
        traits = run_traits(run, sight, detail, question, said)
        if weight(traits) <= SHOWN_BYTES:
            break
    return traits


def archive_of(
    runs: Iterable[Run],
    look: Callable[[Run], Sight],
    question_of: Callable[[Run], dict[str, Any]],
    said: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Every finished run by key, in the finest detail in which all of them fit the budget."""
    kept: dict[str, dict[str, Any]] = {}
    for detail in ARCHIVE:
        kept = {}
        for run in runs:
            if detail not in run.packed:
                run.packed[detail] = run_traits(run, look(run), detail, question_of(run), said)
            kept[run.key] = run.packed[detail]
        if sum(map(weight, kept.values())) <= ARCHIVE_BYTES:
            break
    return kept


def weight(traits: Mapping[str, Any]) -> int:
    """Bytes of the binary parts."""
    return sum(len(value) for value in traits.values() if isinstance(value, bytes))


def baseline_infos(gallery: Gallery, table: Mapping[str, Run], running: str) -> list[dict[str, Any]]:
    """The `baselines` trait; `running`: key of the run that is being computed, or ""."""
    return [_info(gallery, entry, table, running) for entry in gallery]


def baseline_data(gallery: Gallery) -> dict[str, dict[str, bytes]]:
    """The `baseline_data` trait."""
    data = {}
    for entry in gallery:
        look = gallery.look(entry)
        data[entry.id] = {"blind": pack_mask(look.blind)} | ({"image": look.image} if look.image else {})
    return data


def _info(gallery: Gallery, entry: Entry, table: Mapping[str, Run], running: str) -> dict[str, Any]:
    look = gallery.look(entry)
    runs = {mode: table.get(f"{mode}/{entry.id}") for mode in entry.modes}
    return {
        "id": entry.id, "kind": entry.kind, "title": entry.title, "params": entry.params, "colour": look.colour,
        "surfaces": look.surfaces, "modes": list(entry.modes), "blind": look.share,
        "status": {mode: "running" if f"{mode}/{entry.id}" == running else _status(run) for mode, run in runs.items()},
        "gap": {mode: _gap(run) for mode, run in runs.items()},
    }  # fmt: skip


def _status(run: Run | None) -> str:
    if run is None:
        return "new"
    return "ready" if run.ready else "failed" if run.failed else "new"


def _gap(run: Run | None) -> float | None:
    if run is None or not run.ready or run.sight is None or not run.promises:
        return None
    gaps = run.sight.curves.gaps
    return gaps.end / abs(gaps.difference) if gaps.relative else None
