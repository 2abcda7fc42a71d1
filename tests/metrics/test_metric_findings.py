"""What the literature found about measuring explanations is found again on digits.

A smaller edition of `python -m benchmarks metrics`: fewer images, methods and points, and wider margins.
"""

from __future__ import annotations

import pytest

from benchmarks import metrics as lab

pytest.importorskip("sklearn", reason="scikit-learn, which carries the digits, is not installed")

QUICK = {"Shapley values": ("shapley", {"regions": "pixel", "samples": 128, "baseline": "zeros"})}
FEW = ("gradient × input", "gradient", "absolute gradient", "Grad-CAM")


@pytest.fixture(scope="module")
def subject(digits):
    return lab.Subject(digits.model, digits.images[:16], digits.labels[:16])


@pytest.fixture(scope="module")
def removed(subject):
    return lab.removal(subject, {**QUICK, **lab.chosen(*FEW)}, steps=17)


def test_methods_that_take_the_input_into_account_lead_when_zeros_are_put_in(removed):
    found = lab.means(removed, "deletion, zeros", leave=())
    assert found["Shapley values"] < 0.5 * found["absolute gradient"]
    assert found["gradient × input"] < 0.5 * found["absolute gradient"]
    assert found["absolute gradient"] < found["random"]
    shown = lab.means(removed, "insertion, zeros", leave=())
    assert shown["Shapley values"] > shown["absolute gradient"] > shown["random"]


def test_another_fill_orders_methods_otherwise(removed):
    zeros, mean = (lab.means(removed, f"deletion, {fill}", leave=()) for fill in ("zeros", "mean"))
    assert zeros["gradient"] < 0.7 * zeros["absolute gradient"]
    assert mean["gradient"] > 1.1 * mean["absolute gradient"]


def test_guided_backpropagation_survives_what_the_gradient_does_not(subject):
    found = lab.randomisation(subject, lab.chosen("gradient", "guided backprop", "gradient × input"))
    rank = lab.means(found, "auto", "rank", leave=())
    assert rank["guided backprop"] > 0.4
    assert abs(rank["gradient"]) < 0.2
    assert rank["edges"] == 1
    # the zeros of the input, and sizes without signs, make a product with the input look as if it survived
    flattering = lab.means(found, "none", "rank_absolute", leave=())
    assert flattering["gradient × input"] > 0.7
    assert (
        lab.means(found, "auto", "rank_absolute", leave=())["gradient × input"] < flattering["gradient × input"] - 0.2
    )
    assert abs(rank["gradient × input"]) < 0.2


def test_smoothing_lowers_sensitivity_and_infidelity(subject):
    methods = {"gradient": lab.METHODS["gradient"], lab.SMOOTHED: ("smoothgrad", {"samples": 16, "noise": 0.2})}
    metrics = {
        "sensitivity": ("max_sensitivity", {"radius": 0.1, "samples": 3}),
        "infidelity": ("infidelity", {"perturbation": "noisy_baseline", "noise": 0.2, "samples": 64}),
        "squares": ("infidelity", {"perturbation": "square", "samples": 64}),
    }
    found = lab.measured(subject, methods, metrics)
    for metric in metrics:
        assert float(found[lab.SMOOTHED][metric]) < 0.95 * float(found["gradient"][metric]), metric


def test_controls_are_at_chance(subject):
    found = lab.road(subject, {**QUICK}, ("zeros", "neighbours"))
    for fill in ("zeros", "neighbours"):
        assert abs(float(found["random"][fill])) < 0.15
        assert float(found["Shapley values"][fill]) > 0.2


def test_orders_are_compared_by_rank():
    assert lab.agreement({"a": 1, "b": 5, "c": 9}, {"a": 0.1, "b": 0.2, "c": 30}) == pytest.approx(1)
    assert lab.agreement({"a": 1, "b": 5, "c": 9}, {"a": 3, "b": 2, "c": 1}) == pytest.approx(-1)
