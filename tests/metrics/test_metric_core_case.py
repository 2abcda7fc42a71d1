"""What a metric sees: units, orders, removal, scores, and asking again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaiwidgets as xw
import xaiwidgets.methods
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.case import Case, generator_of

ALL = torch.arange


def model(outputs: int = 5) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(48, outputs)).double().eval()


def images(rows: int = 3) -> Tensor:
    return torch.randn(rows, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def case(values: Any = None, *, rows: int = 3, target: Any = 2, **options: Any) -> Case:
    values = images(rows) if values is None else values
    return Case(Problem(model(), images(rows), target=target), values, **options)


def by_method(name: str = "saliency", **options: Any) -> Case:
    found = find_method(name)
    return case(method=found, parameters=found.check({}), **options)


# --- units -----------------------------------------------------------------------------------------------------------


def test_pixels_take_all_their_channels() -> None:
    values = torch.randn(3, 3, 4, 4, dtype=torch.float64)
    found = case(values)
    assert found.counts == (16, 16, 16)
    torch.testing.assert_close(found.importance(), values.sum(1).flatten(1))


def test_every_value_of_other_inputs() -> None:
    points = torch.randn(2, 7)
    problem = Problem(nn.Linear(7, 1).eval(), points)
    found = Case(problem, points)
    assert found.count == 7
    torch.testing.assert_close(found.importance(), points.double())


@pytest.mark.parametrize("shape", [(3, 3, 4, 4), (3, 1, 4, 4), (3, 4, 4)])
def test_maps_of_any_usual_shape(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, dtype=torch.float64)
    per_pixel = values if len(shape) == 3 else values.sum(1)
    torch.testing.assert_close(case(values).importance(), per_pixel.flatten(1))
    torch.testing.assert_close(case(values.numpy()).importance(), per_pixel.flatten(1))


def test_regions_of_the_callers_own_with_rows_of_different_counts() -> None:
    ids = torch.zeros(3, 1, 4, 4, dtype=torch.long)
    ids[1, :, :2] = 5
    ids[2] = torch.arange(16).reshape(1, 4, 4) // 4
    values = torch.randn(3, 3, 4, 4, dtype=torch.float64)
    found = case(values, regions=ids)
    assert found.counts == (1, 2, 4)
    importance = found.importance()
    torch.testing.assert_close(importance[0, 0], values[0].sum())
    torch.testing.assert_close(importance[1, :2], torch.stack([values[1, :, 2:].sum(), values[1, :, :2].sum()]))
    assert importance.isnan().tolist() == [[False, True, True, True], [False, False, True, True], [False] * 4]
    order = found.order()
    assert [sorted(row.tolist()) for row in order] == [[0, 1, 2, 3]] * 3
    assert order[0, 0] == 0
    assert set(order[1, :2].tolist()) == {0, 1}, "units a row does not have come last"
    assert set(found.order(ascending=True)[1, :2].tolist()) == {0, 1}


def test_what_belongs_to_no_unit_stays() -> None:
    class Framed(Case):
        def units(self, regions: Any) -> tuple[Tensor, tuple[int, ...]]:
            ids, _ = super().units(regions)
            ids = torch.where(ids < 4, -1, ids - 4)  # the first line is not to be taken away
            return ids, (12,) * self.rows

    found = Framed(Problem(model(), images(), target=0), torch.ones(3, 3, 4, 4))
    assert found.importance().shape == (3, 12)
    assert bool((found.importance() == 3).all())
    gone = found.replaced(ALL(3), torch.ones(3, 12, dtype=torch.bool), torch.zeros(1, 3, 4, 4))
    assert torch.equal(gone[:, :, 0], images()[:, :, 0])
    assert not gone[:, :, 1:].any()


def test_several_explained_inputs_are_one() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a.sum(1) + 2 * b.flatten(1).sum(1)

    a, b = torch.randn(2, 3), torch.randn(2, 2, 2)
    problem = Problem(Two().eval(), {"a": a, "b": b}, wrt=["a", "b"])
    found = Case(problem, {"a": a, "b": b})
    assert found.count == 7
    torch.testing.assert_close(found.importance(), torch.cat([a, b.flatten(1)], 1).double())
    chosen = torch.tensor([[True] * 3 + [False] * 4] * 2)
    left = found.replaced(ALL(2), chosen, torch.zeros(1, 7))
    torch.testing.assert_close(found.scores(left, ALL(2)), 2 * b.flatten(1).sum(1).double())


# --- orders ----------------------------------------------------------------------------------------------------------


def test_the_most_important_first() -> None:
    values = torch.tensor([[[[3.0, -5.0], [1.0, 2.0]]]])
    problem = Problem(lambda x: x.flatten(1).sum(1), values)
    found = Case(problem, values)
    assert found.order().tolist() == [[0, 3, 2, 1]]
    assert found.order(ascending=True).tolist() == [[1, 2, 3, 0]]
    assert found.order(absolute=True).tolist() == [[1, 0, 3, 2]]
    assert found.order(values=-values).tolist() == [[1, 2, 3, 0]]


def test_ties_are_broken_at_random_by_the_seed_and_the_row() -> None:
    values = torch.zeros(400, 1, 2, 2)
    values[:, :, 0, 0] = 1
    problem = Problem(lambda x: x.flatten(1).sum(1), values)
    order = Case(problem, values).order()
    assert bool((order[:, 0] == 0).all())
    second = torch.bincount(order[:, 1], minlength=4)
    assert second[0] == 0
    assert bool((second[1:] > 90).all()), "each of three equals comes next a third of the time"
    assert torch.equal(Case(problem, values).order(), order)
    assert not torch.equal(Case(problem, values, seed=1).order(), order)
    fewer = Case(Problem(lambda x: x.flatten(1).sum(1), values[:7]), values[:7])
    assert torch.equal(fewer.order(), order[:7])


def test_generators_are_of_a_row_and_leave_the_global_one_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = case()
    one, again, other = (torch.rand(3, generator=found.generator(row, "noise")) for row in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, torch.rand(3, generator=generator_of(0, 1, "other salt")))
    assert torch.equal(torch.get_rng_state(), before)


# --- asking the model --------------------------------------------------------------------------------------------------


def test_removal_one_by_one() -> None:
    found = case()
    rows = torch.tensor([2, 0, 2])
    chosen = torch.zeros(3, 16, dtype=torch.bool)
    chosen[0, 5], chosen[1, :], chosen[2, 15] = True, True, True
    fill = torch.full((3, 3, 4, 4), 9.0, dtype=torch.float64)
    points = found.replaced(rows, chosen, fill)
    expected = images()[rows]
    expected[0, :, 1, 1], expected[1], expected[2, :, 3, 3] = 9, 9, 9
    assert torch.equal(points, expected)
    assert found.taken(rows, chosen).shape == (3, 1, 4, 4)
    with pytest.raises(ValueError, match="fill"):
        found.replaced(rows[:2], chosen[:2], fill)


def test_scores_as_asked_and_as_probabilities() -> None:
    target = torch.tensor([4, 0, 1])
    found = case(target=target)
    outputs = model()(images())
    rows = ALL(3)
    torch.testing.assert_close(found.scores(images(), rows), outputs[rows, target])
    torch.testing.assert_close(found.scores(images(), rows, "probability"), outputs.softmax(1)[rows, target])
    torch.testing.assert_close(found.scores(images()[1:], rows[1:]), outputs[rows, target][1:])
    torch.testing.assert_close(found.outputs(), outputs)
    single = Case(Problem(model(1), images()), images())
    torch.testing.assert_close(
        single.scores(images(), rows, "probability"), model(1)(images()).sigmoid().flatten().detach()
    )
    asked = Case(Problem(model(), images(), target=1, score="log_probability"), images())
    torch.testing.assert_close(asked.scores(images(), rows), outputs.log_softmax(1)[:, 1].detach())
    torch.testing.assert_close(asked.scores(images(), rows, "probability"), outputs.softmax(1)[:, 1].detach())


def test_a_target_that_is_a_function_has_no_probability() -> None:
    found = case(target=lambda output: output[:, 0])
    assert found.scores(images(), ALL(3)).shape == (3,)
    with pytest.raises(xw.ExplainError, match="logit") as error:
        found.scores(images(), ALL(3), "probability")
    assert error.value.code == "measure_of_callable"


def test_asking_about_another_target() -> None:
    found = case(target=2)
    torch.testing.assert_close(found.asking(4).values(), model()(images())[:, 4].detach())
    torch.testing.assert_close(found.problem.values(), model()(images())[:, 2].detach())


def test_explaining_again() -> None:
    found = by_method("input_x_gradient")
    weights = model()[1].weight[2].reshape(3, 4, 4)  # type: ignore[index]
    torch.testing.assert_close(found.explain(), images() * weights)
    moved = images() + 1
    torch.testing.assert_close(found.explain(found.problem.with_points(moved)), moved * weights)
    assert found.evaluations["gradient"] == 6
    smooth = by_method("smoothgrad")
    torch.testing.assert_close(smooth.explain(samples=4, noise=0.3), smooth.explain())  # the model is linear
    with pytest.raises(xw.ExplainError, match="no parameter 'sigma'"):
        smooth.explain(sigma=0.3)
    with pytest.raises(xw.ExplainError) as error:
        case().explain()
    assert error.value.code == "bare_values"


def test_asking_another_module() -> None:
    found = by_method("input_x_gradient")
    other = copy.deepcopy(found.problem.module)
    assert isinstance(other, nn.Module)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(-2)
    problem = found.asked_of(other)
    torch.testing.assert_close(problem.values(), found.problem.values() * -2)
    torch.testing.assert_close(found.explain(problem), found.explain() * -2)
    assert found.evaluations["gradient"] == 6
    assert problem.evaluations is found.evaluations, "it counts as this case's"


def test_a_model_behind_a_function_cannot_be_exchanged() -> None:
    network = model()
    problem = Problem(network, images(), target=0, forward=lambda x: network(2 * x))
    with pytest.raises(xw.ExplainError) as error:
        Case(problem, images()).asked_of(model())
    assert error.value.code == "model_is_a_function"
    bound = Problem(network.forward, images(), target=0)
    assert Case(bound, images()).asked_of(model()).values().shape == (3,)


# --- what is refused, what is shared -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (torch.ones(2, 3, 4, 4), "values_shape"),
        (torch.ones(3, 3, 4, 5), "values_shape"),
        (torch.tensor(1.0), "values_shape"),
        (object(), "values_shape"),
        (torch.full((3, 3, 4, 4), torch.nan), "non_finite_values"),
    ],
)
def test_values_that_do_not_fit(values: Any, code: str) -> None:
    with pytest.raises(xw.ExplainError) as error:
        case(values)
    assert error.value.code == code


def test_masks() -> None:
    mask = torch.zeros(1, 4, 4)
    mask[:, 1] = 1
    found = case(mask=mask)
    assert found.mask is not None
    assert found.mask.dtype == torch.bool
    assert found.mask.shape == (1, 1, 4, 4)
    with pytest.raises(xw.ExplainError) as error:
        case(mask=torch.ones(2, 1, 4, 4))
    assert error.value.code == "mask_shape"


def test_several_targets_are_refused() -> None:
    with pytest.raises(xw.ExplainError) as error:
        case(target=xw.Each(0, 1))
    assert error.value.code == "several_targets"


def test_what_is_shared_is_made_once() -> None:
    memory: dict[Any, Any] = {}
    made = []
    first, second = (case(name=name, memory=memory) for name in ("a", "b"))
    for one in (first, second, first):
        one.shared("fill", lambda: made.append("shared"))
        one.own("curve", lambda name=one.name: made.append(name))
    assert made == ["shared", "a", "b"]
    assert first.ids is second.ids


def test_each_case_counts_for_itself() -> None:
    problem = Problem(model(), images(), target=0)
    first, second = Case(problem, images()), Case(problem, images())
    first.scores(images(), ALL(3))
    assert (first.evaluations["forward"], second.evaluations["forward"]) == (3, 0)
