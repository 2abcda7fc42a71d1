"""Models that forget: which layers, in which order, drawn how; and what becomes of the maps."""

import copy
import sys

import pytest
import torch
import zoo
from scipy.stats import spearmanr
from torch import nn

from xaiwidgets.engine.errors import Cancelled, ModelError, ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.examples.sentences import SentenceClassifier, WordTokenizer, vocabulary
from xaiwidgets.metrics.case import Case, explained
from xaiwidgets.metrics.likeness import likeness, places_of
from xaiwidgets.metrics.randomisation import KEPT, randomising
from xaiwidgets.metrics.registry import CONTROLS, METRICS
from xaiwidgets.metrics.reinitialise import layers_of, reinitialised
from xaiwidgets.metrics.text_case import TextCase, explain_text, text_question


class Disorder(nn.Module):
    """Layers written down in another order than they are used in, a bare parameter, one used twice, one never."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.unused = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.token = nn.Parameter(torch.randn(6))
        self.first = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x):
        x = self.first(x) + self.token
        x = torch.tanh(self.norm(x)) * self.scale
        return self.head(torch.relu(self.second(self.second(x))))


def disorder(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Disorder()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.5)
            model.scale.fill_(1.0)
            model.norm.running_mean.normal_()
        return model.eval()


def problem(model=None, rows=4, **options):
    return Problem(model or disorder(), torch.randn(rows, 6), **{"target": 0, **options})


def case(asked, name, seed=0, **parameters):
    method = CONTROLS.get(name) or find_method(name)
    checked = method.check(parameters)
    *_, last = explained(asked.begin(), method, checked)
    return Case(asked, last.values, method=method, parameters=checked, name=name, seed=seed)


def last(metric, about, **parameters):
    *_, reading = METRICS[metric].run(about, **METRICS[metric].check(parameters))
    return reading


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


# --- which layers ----------------------------------------------------------------------------------------------------------


def test_layers_come_in_the_order_of_a_forward_pass():
    names = [layer.name for layer in layers_of(problem())]
    assert names == ["first", "token", "norm", "scale", "second", "head"]


def test_a_model_that_is_used_upside_down():
    model = nn.ModuleDict({name: nn.Linear(6, 6) for name in "cab"}).eval()
    model.forward = lambda x: model["b"](model["a"](model["c"](x)))
    assert [layer.name for layer in layers_of(problem(model))] == ["c", "a", "b"]


def test_tied_weights_stand_where_they_are_used_last():
    model = disorder()
    model.head = nn.Linear(6, 6)
    model.first.weight = model.head.weight
    layers = layers_of(problem(model))
    assert [layer.name for layer in layers] == ["first", "token", "norm", "scale", "second", "head"]
    assert [layer.tensors for layer in layers if layer.name in ("first", "head")] == [("bias",), ("weight", "bias")]
    steps = [(step.module.first, step.module.head.weight.detach().clone()) for step in reinitialised(problem(model))]
    assert all(torch.equal(weight, steps[0][1]) for _, weight in steps)  # drawn once, with the head
    assert torch.equal(steps[-1][0].weight, steps[0][1])


@pytest.mark.parametrize(
    ("name", "count"), [("shared_relu", 4), ("residual", 9), ("gated_mlp", 6), ("vit", 16), ("lstm_cell", 2)]
)
def test_every_way_of_writing_a_network(name, count):
    model, inputs = zoo.make(name)
    asked = Problem(model, inputs, target=0)
    assert len(layers_of(asked)) == count
    before = weights(model)
    steps = [(step.name, weights(step.module)) for step in reinitialised(asked)]
    used = {f"{layer.owner}.{tensor}".lstrip(".") for layer in layers_of(asked) for tensor in layer.tensors}
    after = steps[-1][1]
    same = {key for key in used if torch.equal(before[key], after[key])}
    assert not same
    assert all(torch.equal(tensor, before[key]) for key, tensor in weights(model).items())


def test_functions_and_scripted_models_have_no_layers():
    with pytest.raises(ModelError, match="plain function"):
        layers_of(Problem(lambda x: x.sum(1), torch.randn(2, 6)))
    scripted = torch.jit.script(nn.Linear(6, 2)).eval()
    with pytest.raises(ModelError, match="scripted"):
        layers_of(problem(scripted))
    with pytest.raises(ModelError, match="scripted"):
        layers_of(problem(nn.Sequential(nn.Linear(6, 6), scripted).eval()))
    with pytest.raises(ModelError, match="no parameters"):
        layers_of(problem(nn.Sequential(nn.Tanh()).eval(), target=None, rows=1))


# --- drawn how -------------------------------------------------------------------------------------------------------------


def test_the_users_model_and_the_random_state_stay_as_they_are():
    model = disorder()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.first.weight.requires_grad_(False)
    asked = problem(model)
    before, state = weights(model), torch.get_rng_state()
    flags = [(parameter.requires_grad, parameter.grad is None) for parameter in model.parameters()]
    for step in reinitialised(asked):
        assert step.module is not model
        assert all(parameter.grad is None for parameter in step.module.parameters())
        assert not step.module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(model).items())
    assert flags == [(parameter.requires_grad, parameter.grad is None) for parameter in model.parameters()]
    assert torch.equal(state, torch.get_rng_state())


def test_layers_of_equal_shape_get_weights_of_their_own():
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(4))).eval()
    *_, step = reinitialised(problem(model))
    drawn = [part.weight.detach() for part in step.module]
    for one in range(4):
        for other in range(one):
            assert abs(float(torch.corrcoef(torch.stack([drawn[one].flatten(), drawn[other].flatten()]))[0, 1])) < 0.6


def test_the_same_seed_draws_the_same_and_another_seed_something_else():
    def final(**options):
        for step in reinitialised(problem(), **options):
            drawn = weights(step.module)
        return drawn

    one, again, other = final(seed=3), final(seed=3), final(seed=4)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])
    # A layer gets the same values in every kind, so what is left at the end is the same from either end.
    upwards = final(seed=3, kind="bottom_up")
    assert all(torch.equal(one[name], upwards[name]) for name in one)


def test_the_seed_of_the_evaluation_is_that_of_the_weights():
    asked = problem()
    one, again, other = (last("model_randomisation", case(asked, "saliency", seed=seed)).values for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def changed(module, before):
    return {
        name.rpartition(".")[0] or name
        for name, tensor in weights(module).items()
        if not torch.equal(tensor, before[name])
    }


def test_cascading_goes_down_bottom_up_goes_up_and_independent_puts_back():
    model = disorder()
    before = weights(model)
    order = ["first", "token", "norm", "scale", "second", "head"]
    moving = [name for name in order if name != "scale"]  # all ones: it has no spread to draw from
    down = [(step.name, changed(step.module, before)) for step in reinitialised(problem(model))]
    up = [(step.name, changed(step.module, before)) for step in reinitialised(problem(model), kind="bottom_up")]
    alone = [(step.name, changed(step.module, before)) for step in reinitialised(problem(model), kind="independent")]
    assert [name for name, _ in down] == order[::-1]
    assert [name for name, _ in up] == order
    for at in range(6):
        assert down[at][1] == set(moving) & set(order[::-1][: at + 1])
        assert up[at][1] == set(moving) & set(order[: at + 1])
        assert alone[at][1] == set(moving) & {alone[at][0]}


def test_what_a_layer_resets_itself_is_as_new_with_its_statistics():
    model = disorder()
    *_, step = reinitialised(problem(model))
    norm = step.module.norm
    assert torch.equal(norm.weight, torch.ones(6))
    assert torch.equal(norm.running_mean, torch.zeros(6))
    assert torch.equal(norm.running_var, torch.ones(6))
    assert step.module.second.weight.abs().max() <= 6**-0.5  # as nn.Linear draws them
    assert model.second.weight.abs().max() > 6**-0.5


def test_other_parameters_keep_their_mean_and_spread():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(3 + 2 * torch.randn(50, 200))

        def forward(self, x):
            return x @ self.weight.T

    model = Bare()
    (step,) = reinitialised(Problem(model, torch.randn(1, 200), target=0))
    assert step.module.weight.mean().item() == pytest.approx(model.weight.mean().item(), abs=0.1)
    assert step.module.weight.std().item() == pytest.approx(model.weight.std().item(), abs=0.1)
    both = torch.stack([step.module.weight.flatten(), model.weight.flatten()])
    assert abs(float(torch.corrcoef(both.detach())[0, 1])) < 0.05


@pytest.mark.parametrize("normed", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_weights_behind_a_parametrisation_are_drawn_too(normed):
    model = nn.Sequential(normed(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 2)).eval()
    before = model[0].weight.detach().clone()
    *_, step = reinitialised(problem(model))
    assert not torch.allclose(step.module[0].weight, before)


def test_a_reset_that_draws_in_other_ways_leaves_the_random_state_alone():
    class Own(nn.Linear):
        def reset_parameters(self):
            with torch.no_grad():
                self.weight.copy_(torch.randn(self.weight.shape) + torch.randn_like(self.weight))
                self.weight.add_(torch.rand_like(self.weight) + torch.randint_like(self.weight, 2, high=5))
                nn.init.trunc_normal_(self.bias) if self.bias is not None else None

    model = nn.Sequential(Own(6, 4), Own(4, 2)).eval()
    asked = problem(model)
    state = torch.get_rng_state()
    finals = [[weights(step.module) for step in reinitialised(asked)][-1] for _ in range(2)]
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(finals[0][name], finals[1][name]) for name in finals[0])
    assert not torch.equal(finals[0]["0.weight"], model[0].weight)


def test_few_steps_draw_neighbours_together():
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(7))).eval()
    steps = [(step.name, step.layers, step.done, step.total) for step in reinitialised(problem(model), steps=3)]
    assert steps == [("5", ("6", "5"), 1, 3), ("3", ("4", "3"), 2, 3), ("0", ("2", "1", "0"), 3, 3)]


def test_a_model_that_cannot_be_copied_is_refused():
    class Stuck(nn.Linear):
        def __deepcopy__(self, memo):
            raise RuntimeError("a lock lives here")

    with pytest.raises(ModelError, match=r"a lock lives here.*deepcopy"):
        next(reinitialised(problem(Stuck(6, 2).eval())))


# --- what becomes of the maps ----------------------------------------------------------------------------------------------


def test_every_step_by_hand():
    model = disorder()
    asked = problem(model, target=1)
    about = case(asked, "input_x_gradient")
    reading = last("model_randomisation", about, mask="none")
    inputs = asked.points
    by_hand = []
    for step in reinitialised(asked):
        leaf = inputs.clone().requires_grad_()
        output = step.module(leaf)
        values = torch.autograd.grad(output[:, 1].sum(), leaf)[0] * inputs
        before = model(inputs)
        by_hand.append(
            [
                [spearmanr(a, b).statistic for a, b in zip(about.values, values, strict=True)],
                [spearmanr(a.abs(), b.abs()).statistic for a, b in zip(about.values, values, strict=True)],
                ((output - before).norm(dim=1) / (output.norm(dim=1) + before.norm(dim=1))).tolist(),
            ]
        )
        torch.testing.assert_close(reading.maps[step.name], values, rtol=1e-4, atol=1e-6)
    curves = torch.tensor(by_hand, dtype=torch.float64).permute(1, 2, 0)
    for name, expected in zip(("rank", "rank_absolute", "output"), curves, strict=True):
        torch.testing.assert_close(reading.curves[name].values, expected, rtol=1e-4, atol=1e-5)
        assert reading.curves[name].labels == ("head", "second", "scale", "norm", "token", "first")
    torch.testing.assert_close(reading.values, curves[0].clamp(min=0).mean(1), rtol=1e-4, atol=1e-5)
    assert about.evaluations["gradient"] == 6 * 4


def test_partial_readings_know_all_layers():
    readings = list(METRICS["model_randomisation"].run(case(problem(), "saliency")))
    assert [(reading.done, reading.total) for reading in readings] == [(step, 6) for step in range(1, 7)]
    first = readings[0].curves["rank"]
    assert first.labels == readings[-1].curves["rank"].labels
    assert first.values.isnan().sum(1).tolist() == [5] * 4
    assert torch.equal(first.values[:, 0], readings[-1].curves["rank"].values[:, 0])


def test_controls_do_not_notice():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    asked = Problem(model, torch.rand(3, 3, 8, 8), target=0)
    for name in ("edges", "random"):
        for kind in ("cascading", "independent", "bottom_up"):
            reading = last("model_randomisation", case(asked, name), kind=kind)
            torch.testing.assert_close(reading.values, torch.ones(3, dtype=torch.float64))
            for measure in ("rank", "rank_absolute", "ssim", "hog"):
                torch.testing.assert_close(
                    reading.curves[measure].values, torch.ones(3, 2, dtype=torch.float64), rtol=1e-6, atol=1e-6
                )
        assert last("random_logit", case(asked, name), classes=1).values.tolist() == pytest.approx([1, 1, 1])


def test_rows_and_batches_do_not_matter(digits):
    images, labels = digits.images[:6], digits.labels[:6]
    together = last("model_randomisation", case(Problem(digits.model, images, target=labels), "saliency"))
    chunked = last("model_randomisation", case(Problem(digits.model, images, target=labels, batch_size=4), "saliency"))
    few = last("model_randomisation", case(Problem(digits.model, images[:2], target=labels[:2]), "saliency"))
    torch.testing.assert_close(together.values, chunked.values, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(together.values[:2], few.values, rtol=1e-6, atol=1e-6)
    other = last("random_logit", case(Problem(digits.model, images, target=labels), "input_x_gradient"))
    fewer = last("random_logit", case(Problem(digits.model, images[:2], target=labels[:2]), "input_x_gradient"))
    torch.testing.assert_close(other.values[:2], fewer.values, rtol=1e-5, atol=1e-6)


def test_the_findings_on_digits(digits):
    """Guided backprop survives, the gradient does not; without a mask zeros make sizes of anything × input agree."""
    asked = Problem(digits.model, digits.images, target=digits.labels)
    means, without = {}, {}
    for name in ("saliency", "guided_backprop", "input_x_gradient"):
        about = case(asked, name)
        means[name], without[name] = (
            {
                key: float(curve.values.nanmean())
                for key, curve in last("model_randomisation", about, mask=mask).curves.items()
            }
            for mask in ("auto", "none")
        )
    assert means["guided_backprop"]["rank"] > 0.4 > means["saliency"]["rank"] + 0.1
    assert abs(means["input_x_gradient"]["rank"]) < 0.2
    assert without["input_x_gradient"]["rank_absolute"] > 0.8
    assert means["input_x_gradient"]["rank_absolute"] < 0.65


def test_background_is_left_out():
    images = torch.zeros(2, 2, 6, 6)
    images[:, 0] = 0.5
    images[0, 1, 1:4, 2:5] = torch.rand(3, 3) + 0.1
    images[1] = torch.rand(2, 6, 6)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 2)).eval()
    about = case(Problem(model, images, target=0), "saliency")
    places = places_of(about).reshape(2, 6, 6)
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[1:4, 2:5] = True
    assert torch.equal(places[0], expected)
    assert places[1].all()
    assert places_of(about, "none").all()
    blocks = Case(about.problem, about.values, regions="block")
    assert torch.equal(places_of(blocks).reshape(2, 6, 6)[0], expected)
    flat = case(Problem(nn.Linear(5, 2).eval(), torch.tensor([[0.0, 0, 1, 2, 0]]), target=0), "saliency")
    assert places_of(flat).tolist() == [[False, False, True, True, False]]
    assert places_of(case(Problem(nn.Linear(5, 2).eval(), torch.arange(5.0)[None], target=0), "saliency")).all()


def test_likeness_of_a_map_with_itself_and_its_opposite():
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 2)).eval()
    about = case(Problem(model, torch.rand(2, 1, 10, 10), target=0), "saliency")
    maps = torch.randn(2, 1, 10, 10)
    same, opposite = likeness(about, maps, 3 * maps), likeness(about, maps, -maps)
    for name in ("rank", "rank_absolute", "ssim", "hog"):
        torch.testing.assert_close(same[name], torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(opposite["rank"], -torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(opposite["rank_absolute"], torch.ones(2, dtype=torch.float64))
    assert opposite["ssim"].max() < 0
    flat = likeness(about, maps, torch.zeros_like(maps))
    assert all(one.isnan().all() for one in flat.values())


def test_a_map_that_is_the_same_everywhere_is_undefined_and_says_so():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    asked = problem(model)
    about = Case(asked, torch.zeros(4, 6), method=find_method("saliency"), parameters={}, name="zero")
    reading = last("model_randomisation", about)
    assert reading.values.isnan().all()
    assert "same everywhere" in reading.notes[0]


def test_maps_that_are_too_many_are_not_kept(monkeypatch):
    monkeypatch.setattr(sys.modules[randomising.__module__], "KEPT", 100)
    assert KEPT >= 2**20
    reading = last("model_randomisation", case(problem(), "saliency"))
    assert list(reading.maps) == ["first"]


def test_cancelling_leaves_the_model_alone():
    model = disorder()
    before = weights(model)
    steps = randomising(case(problem(model), "saliency"))
    next(steps)
    steps.close()

    def stop():
        raise Cancelled

    about = case(problem(model), "saliency")
    about.problem.interrupt = stop
    with pytest.raises(Cancelled):
        last("model_randomisation", about)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(model).items())


# --- other models, other classes -------------------------------------------------------------------------------------------


def test_another_model_by_hand():
    model, other = disorder(0), disorder(1)
    about = case(problem(model), "saliency")
    reading = last("data_randomisation", about, other=other)
    values = case(Problem(other, about.problem.points, target=0), "saliency").values
    torch.testing.assert_close(reading.maps["trained on random labels"], values)
    expected = [spearmanr(a, b).statistic for a, b in zip(about.values, values, strict=True)]
    assert reading.values.tolist() == pytest.approx(expected)
    assert last("data_randomisation", about, other=copy.deepcopy(model)).values.tolist() == pytest.approx([1] * 4)
    with pytest.raises(ParameterError, match="random labels"):
        last("data_randomisation", about)


def test_other_classes_of_a_linear_model():
    model = nn.Linear(6, 4).eval()
    targets = torch.tensor([0, 1, 2, 3, 0])
    about = case(problem(model, rows=5, target=targets), "input_x_gradient")
    reading = last("random_logit", about, classes=64, mask="none")
    for row, target in enumerate(targets.tolist()):
        products = (model.weight * about.problem.points[row]).detach().numpy()
        others = [spearmanr(products[target], products[label]).statistic for label in range(4) if label != target]
        assert reading.values[row].item() == pytest.approx(sum(others) / 3)
    assert reading.total == 3
    one, again, other = (
        last("random_logit", case(about.problem, "input_x_gradient", seed=seed), classes=1).values for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_quantus_agrees_about_the_other_of_two_classes():
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    from quantus.functions.similarity_func import correlation_spearman

    def products(model, inputs, targets, **_):
        leaf = torch.as_tensor(inputs).requires_grad_()
        scores = model(leaf).gather(1, torch.as_tensor(targets).long()[:, None])
        return (torch.autograd.grad(scores.sum(), leaf)[0] * leaf).detach().numpy()

    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 2)).eval()
    images, labels = torch.randn(5, 1, 6, 6), torch.tensor([0, 1, 0, 1, 1])
    about = case(Problem(model, images, target=labels), "input_x_gradient")
    metric = quantus.RandomLogit(
        similarity_func=correlation_spearman, num_classes=2, abs=False, normalise=False, disable_warnings=True
    )
    theirs = metric(
        model=model, x_batch=images.numpy(), y_batch=labels.numpy(), a_batch=about.values.numpy(), explain_func=products
    )
    assert last("random_logit", about).values.tolist() == pytest.approx([float(one) for one in theirs], abs=1e-6)


def test_a_class_is_needed_to_ask_about_another():
    for asked in (
        problem(target=lambda output: output[:, 0]),
        Problem(nn.Linear(6, 1).eval(), torch.randn(2, 6)),
        Problem(nn.Linear(6, 1).eval(), torch.randn(2, 6), target=0),
    ):
        with pytest.raises(ParameterError, match=r"class|one output"):
            last("random_logit", case(asked, "saliency"))


# --- texts -----------------------------------------------------------------------------------------------------------------


def test_texts_forget_their_embedding_last():
    text = "the film was good"
    tokenizer = WordTokenizer(vocabulary())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SentenceClassifier().eval()
    question = text_question(model, text, tokenizer, target=1)
    method = find_method("input_x_gradient")
    *_, partial = explain_text(question, method, method.check({}))
    about = TextCase(question, partial.values, method=method, parameters=method.check({}))
    before = weights(model)
    reading = last("model_randomisation", about)
    names = reading.curves["rank"].labels
    assert isinstance(model.get_submodule(names[-1]), nn.Embedding)
    assert reading.maps[names[-1]].shape == about.values.shape
    assert set(reading.curves) == {"rank", "rank_absolute", "output"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(model).items())
    assert last("random_logit", about).values.isfinite().all()
