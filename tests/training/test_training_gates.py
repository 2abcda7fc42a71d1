"""Quality gates on digits: methods against what retraining, planted labels and classes say, simple baselines beside.

A smaller edition of `python -m benchmarks training_quality` (32 half-subsets × 2 trainings instead of 64 × 4); same margins.
"""

import pytest

from benchmarks import training_lab as lab
from xaiwidgets.training import evaluation


@pytest.fixture(scope="module")
def agreements() -> dict[str, evaluation.Agreement]:
    titles = (lab.GAUSS_NEWTON, lab.TRAK, lab.TRAK_10, lab.COSINE, lab.FEATURES, lab.RANDOM)
    found = lab.linear_datamodeling(lab.digits(), titles, subsets=32, repeats=2)
    return {title: agreement for title, agreement, _ in found}


def test_retraining_on_half_of_the_data(agreements):
    """Linear datamodeling score: influence functions foresee it, what looks alike does not."""
    score = {title: agreement.mean for title, agreement in agreements.items()}
    assert score[lab.GAUSS_NEWTON] >= 0.60
    assert abs(score[lab.RANDOM]) < 0.1
    for simple in (lab.COSINE, lab.FEATURES):
        assert score[lab.RANDOM] < score[simple] < score[lab.GAUSS_NEWTON] - 0.2


def test_more_models_make_trak_better(agreements):
    one, ten = agreements[lab.TRAK], agreements[lab.TRAK_10]
    assert ten.mean > one.mean + 2 * (one.error**2 + ten.error**2) ** 0.5


def test_identical_class_and_subclass():
    found = {title: (same, sub) for title, same, sub in lab.same_class(
        lab.digits(), (lab.COSINE, "gradient product", lab.FEATURES, lab.INPUTS, lab.RANDOM)
    )}  # fmt: skip
    assert found[lab.COSINE][0] >= 0.99
    assert found[lab.COSINE][1] >= 0.95
    assert found["gradient product"][1] < 0.8  # large gradients lead everywhere
    assert found[lab.INPUTS][0] >= 0.95  # digits are easy: distance alone passes
    assert found[lab.RANDOM][0] < 0.25


def test_a_network_that_learnt_nothing_explains_otherwise():
    """What only looks at the inputs cannot tell; what passes the class tests must change here."""
    found = {title: agreement.mean for title, agreement in lab.randomised(
        lab.digits(), (lab.COSINE, lab.FEATURES, lab.INPUTS)
    )}  # fmt: skip
    assert found[lab.INPUTS] == pytest.approx(1)
    assert found[lab.COSINE] < 0.5
    assert found[lab.COSINE] < found[lab.FEATURES]


def test_planted_labels_are_found():
    found = lab.wrong_digits()
    assert found["self-influence"].found(0.2) >= 0.95
    for title in ("AUM", "EL2N", "GraNd", "1 − mean confidence", "loss at the end"):
        assert found[title].found(0.2) >= 0.95, title
    assert found["forgetting"].found(0.2) >= 0.85
    assert found["neighbours of another label"].found(0.2) >= 0.95  # no model needed for these pictures
    assert found["random"].found(0.2) < 0.35
    assert found["random"].auc == pytest.approx(0.5, abs=0.1)
