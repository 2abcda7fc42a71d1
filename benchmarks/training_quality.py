"""How far scores of training examples can be believed, with the simple baselines beside; the experiments are in training_lab.

Budgets say what may be missing of 1: at least 0.60 is 1 − figure ≤ 0.40.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks import training_lab as lab
from benchmarks.measure import SHARED, Row


def rows() -> Iterator[Row]:
    data = lab.digits()
    yield from of_retraining(data)
    yield from of_classes(data)
    yield from of_wrong_labels()


def of_retraining(data: lab.Data) -> Iterator[Row]:
    found = {title: (agreement, seconds) for title, agreement, seconds in lab.linear_datamodeling(data)}
    baseline = f"{lab.RANDOM} {found[lab.RANDOM][0].mean:.2f}, {lab.FEATURES} {found[lab.FEATURES][0].mean:.2f}"
    for title, (agreement, seconds) in found.items():
        gate = {lab.GAUSS_NEWTON: 0.4, lab.TRAK_10: 1 - found[lab.TRAK][0].mean}.get(title)
        yield Row(
            f"LDS on digits, {lab.SUBSETS} half-subsets × {lab.REPEATS} trainings: {title} ({seconds:.1f} s)",
            f"{agreement.mean:.3f} ± {agreement.error:.3f}", baseline,
            *missing(agreement.mean, gate),
        )  # fmt: skip
    for title, agreement in lab.left_out((lab.GAUSS_NEWTON, "gradient product", lab.COSINE, lab.RANDOM)):
        yield Row(f"leaving out one, rank agreement, linear classifier: {title}", f"{agreement.mean:.3f}")
    sizes = (10, 40, 160)
    titles = (lab.GAUSS_NEWTON, lab.COSINE, lab.FEATURES, lab.RANDOM)
    for title, curve in lab.removal(data, titles, sizes, range(0, lab.QUERIES, 8)):
        falls = ", ".join(f"{value:.2f} without {size}" for size, value in zip(sizes, curve[1:], strict=True))
        yield Row(f"margin after leaving out the strongest proponents: {title}", falls, f"{curve[0]:.2f} with all")


def of_classes(data: lab.Data) -> Iterator[Row]:
    for title, same, sub in lab.same_class(data):
        gate = 0.01 if title == lab.COSINE else None
        yield Row(
            f"identical class, identical subclass (5 pairs of digits): {title}",
            f"{same:.3f}, {sub:.3f}", "random 0.1", *missing(same, gate),
        )  # fmt: skip
    for title, agreement in lab.randomised(
        data, (lab.COSINE, "gradient product", "representer points", lab.FEATURES, lab.INPUTS)
    ):
        yield Row(f"rank agreement with a randomised network (0 is good): {title}", f"{agreement.mean:.3f}")
    for title, agreement in lab.repeated(data, (lab.GAUSS_NEWTON, lab.TRAK_10, lab.COSINE, lab.FEATURES)):
        yield Row(f"rank agreement of two trainings (1 is stable): {title}", f"{agreement.mean:.3f}")


def of_wrong_labels() -> Iterator[Row]:
    runs = [lab.wrong_digits(seed) for seed in range(3)]
    for title in runs[0]:
        auc, tenth, fifth = (
            float(np.mean([read(run[title]) for run in runs]))
            for read in (lambda one: one.auc, lambda one: one.found(0.1), lambda one: one.found(0.2))
        )
        gate = 0.05 if title == "self-influence" else None
        yield wrong_row(f"digits, {lab.WRONG:.0%} wrong labels, 3 seeds: {title}", auc, tenth, fifth, gate)
    if not (SHARED / "data" / "cifar10_train.npz").exists():
        yield Row("CIFAR-10 skipped: its pictures are not at hand")
        return
    found, accuracy = lab.wrong_pictures()
    for title, one in found.items():
        what = f"CIFAR-10, {lab.PICTURES} pictures, {lab.WRONG:.0%} wrong labels, accuracy {accuracy:.0%}: {title}"
        yield wrong_row(what, one.auc, one.found(0.1), one.found(0.2))


def wrong_row(what: str, auc: float, tenth: float, fifth: float, gate: float | None = None) -> Row:
    return Row(
        what, f"found {tenth:.0%} in the first 10 %, {fifth:.0%} in 20 %; AUC {auc:.3f}",
        "random 10 %, 20 %", *missing(fifth, gate),
    )  # fmt: skip


def missing(value: float, gate: float | None) -> tuple[float | None, float | None, str]:
    """The last cells of a row: only where something is held against a budget."""
    return (None, None, "") if gate is None else (1 - value, gate, "of 1 missing")
