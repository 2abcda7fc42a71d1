"""Every rule against its closed form, written out in numpy for one linear layer."""

import numpy as np
import pytest
import torch
from torch import nn

from xaiwidgets.api import Each, ParameterError, attribute
from xaiwidgets.methods.lrp_mode import Composite
from xaiwidgets.methods.lrp_rules import (
    STABILIZER,
    Part,
    alpha_beta,
    epsilon,
    flat,
    gamma,
    pass_,
    w_squared,
    z_box,
    z_plus,
)

RANDOM = np.random.default_rng(0)
W, B, X = RANDOM.normal(size=(3, 5)), RANDOM.normal(size=3), RANDOM.normal(size=(4, 5))
X[0, 1] = 0.0
LOW, HIGH = -4.0, 5.0


def share(messages, bias, stabilizer=STABILIZER):
    """Messages [rows, outputs, inputs] over their sum with the bias."""
    whole = messages.sum(2) + bias
    return messages / (whole + np.where(whole < 0, -stabilizer, stabilizer))[:, :, None]


def positive(values):
    return np.maximum(values, 0)


def negative(values):
    return np.minimum(values, 0)


Z = X[:, None, :] * W
OUT = X @ W.T + B


def generalized_gamma(factor):
    up = positive(X)[:, None] * (W + factor * positive(W)) + negative(X)[:, None] * (W + factor * negative(W))
    down = positive(X)[:, None] * (W + factor * negative(W)) + negative(X)[:, None] * (W + factor * positive(W))
    more = share(up, B + factor * positive(B)), share(down, B + factor * negative(B))
    return np.where(OUT[:, :, None] > 0, *more)


BOX = Z - LOW * positive(W) - HIGH * negative(W)
CLOSED = {
    "epsilon": (epsilon(0.25), lambda: share(Z, B, 0.25)),
    "z_plus": (z_plus(), lambda: share(positive(Z), positive(B))),
    "z_plus without bias": (z_plus(bias=False), lambda: share(positive(Z), 0)),
    "alpha_beta(2, 1)": (alpha_beta(2), lambda: 2 * share(positive(Z), positive(B)) - share(negative(Z), negative(B))),
    "alpha_beta(1, 0)": (alpha_beta(1), lambda: share(positive(Z), positive(B))),
    "gamma": (gamma(0.5), lambda: generalized_gamma(0.5)),
    "flat": (flat(), lambda: share(np.ones_like(Z), 0)),
    "w_squared": (w_squared(), lambda: share(np.broadcast_to(W**2, Z.shape), 0)),
    "z_box": (z_box(LOW, HIGH), lambda: share(BOX, 0)),
    "z_box of tensors": (z_box(torch.full((5,), LOW), torch.full((5,), HIGH)), lambda: share(BOX, 0)),
}


def layer(weight=W, bias=B):
    model = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).double()
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(weight))
        if bias is not None:
            model.bias.copy_(torch.from_numpy(bias))
    return model.eval()


PLACES = [
    (name, place)
    for name in CLOSED
    for place in ("first", "layers", "dense")
    if CLOSED[name][0].proportional or place != "dense"
]


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_closed_forms(name, place):
    rule, expected = CLOSED[name]
    model = nn.Sequential(layer()).eval()
    composite = Composite(layers={"0": rule}) if place == "layers" else Composite(**{place: rule})
    result = attribute(model, torch.from_numpy(X), target=Each(0, 1, 2), method="lrp", composite=composite)
    relevance = np.moveaxis(expected() * OUT[:, :, None], 1, 0)  # [outputs, rows, inputs]
    np.testing.assert_allclose(result.to_numpy(), relevance, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(result.delta.numpy(), relevance.sum(2) - OUT.T, rtol=1e-9, atol=1e-12)


def test_pass():
    weight = RANDOM.normal(size=(5, 5))
    model, x = layer(weight, None), torch.from_numpy(X)
    values = attribute(model, x, target=2, method="lrp", composite=Composite(dense=pass_())).values
    assert torch.equal(values != 0, torch.arange(5).expand(4, 5) == 2)
    torch.testing.assert_close(values[:, 2], model(x)[:, 2])
    with pytest.raises(ParameterError, match="keeps the shape"):
        attribute(layer(), x, target=0, method="lrp", composite=Composite(dense=pass_()))


def test_the_box_of_each_input_is_its_own():
    model, x = layer(bias=None), torch.from_numpy(X)
    result = attribute(model, x, target=1, method="lrp", composite=Composite(first=z_box()))
    torch.testing.assert_close(result.values.sum(1), result.score, rtol=1e-6, atol=1e-9)
    for row in range(4):
        bounds = {"low": float(x[row].min()), "high": float(x[row].max())}
        composite = Composite(first=z_box(**bounds))
        alone = attribute(model, x[row : row + 1], target=1, method="lrp", composite=composite).values
        torch.testing.assert_close(result.values[row : row + 1], alone)


def test_rules_that_do_not_fit_say_so():
    x, model = torch.from_numpy(X), nn.Sequential(layer(), nn.ReLU(), layer(RANDOM.normal(size=(2, 3)), None)).eval()
    with pytest.raises(ParameterError, match="outside the box"):
        attribute(model, x, target=0, method="lrp", composite=Composite(first=z_box(0, 1)))
    with pytest.raises(ParameterError, match="layers that see the input"):
        attribute(model, x, target=0, method="lrp", composite=Composite(dense=flat()))
    with pytest.raises(ParameterError, match="No layer is called"):
        attribute(model, x, target=0, method="lrp", composite=Composite(layers={"3": flat()}))
    with pytest.raises(ParameterError, match="negative"):
        alpha_beta(-1)


def test_weights_are_scaled_by_their_sign():
    weight = torch.tensor([-2.0, 0.0, 3.0])
    assert Part(positive=2, negative=0.5).scaled(weight).tolist() == [-1, 0, 6]
    assert Part(power=2).scaled(weight).tolist() == [4, 0, 9]
    assert Part(power=0).scaled(weight).tolist() == [1, 1, 1]
    assert Part().scaled(weight) is weight


def test_unusual_ways_to_write_a_layer():
    """Products with constant matrices and addmm are layers: any rule gives what it gives for nn.Linear."""
    x, weight, bias = torch.from_numpy(X), torch.from_numpy(W), torch.from_numpy(B)
    zero = torch.zeros_like(bias)
    ways = {
        "addmm": (lambda x: torch.addmm(bias, x, weight.T), bias),
        "addmm with a factor": (lambda x: torch.addmm(zero, x, weight.T, alpha=1.0), zero),
        "matmul": (lambda x: x @ weight.T, zero),
        "from the left": (lambda x: (weight @ x.T).T, zero),
        "einsum": (lambda x: torch.einsum("oi,bi->bo", weight, x), zero),
        "conv1d": (lambda x: nn.functional.conv1d(x[:, None], weight[:, None], bias)[..., 0], bias),
        "conv_transpose1d": (
            lambda x: nn.functional.conv_transpose1d(x[..., None], weight.T[..., None], bias)[..., 0], bias
        ),
    }  # fmt: skip
    for rule in (alpha_beta(2), gamma(), z_plus(), epsilon(0.1)):
        composite = Composite(rule, rule)
        for name, (function, shift) in ways.items():
            found = attribute(function, x, target=1, method="lrp", composite=composite).values
            model = layer(bias=shift.numpy())
            torch.testing.assert_close(
                found, attribute(model, x, target=1, method="lrp", composite=composite).values, msg=f"{name} {rule}"
            )
