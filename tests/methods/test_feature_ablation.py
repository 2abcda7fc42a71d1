"""Feature ablation and prediction difference against captum, brute force and written-out formulas."""

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

from xaiwidgets.api import Session, attribute, baselines, stream
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.target import Each

BLOCKS = torch.arange(8)[:, None] // 2 * 4 + torch.arange(8) // 2


def test_captum_agrees_on_images(digits):
    x, y = digits.images[:4], digits.labels[:4]
    expected = attr.FeatureAblation(digits.model).attribute(
        x, target=y, feature_mask=BLOCKS[None, None], baselines=0.3, perturbations_per_eval=16
    )
    found = attribute(digits.model, x, target=y, method="feature_ablation", regions=BLOCKS, baseline=0.3)
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-5)
    assert found.evaluations == {"forward": 4 * (16 + 1), "gradient": 0}
    assert found.delta is None


def test_captum_agrees_on_joined_inputs():
    def model(a, b):
        return a.prod(1) + (b**2).sum((1, 2)) * a[:, 0]

    a, b = torch.rand(3, 3), torch.rand(3, 2, 2)
    masks = (torch.tensor([[0, 1, 1]]), torch.tensor([[[1, 2], [2, 0]]]))
    expected = attr.FeatureAblation(model).attribute((a, b), feature_mask=masks)
    found = attribute(model, (a, b), wrt=[0, 1], method="feature_ablation", regions=masks)
    for one, other in zip(found.values, expected, strict=True):
        torch.testing.assert_close(one, other)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens, mask):
        assert tokens.dtype == torch.long
        assert mask.dtype == torch.bool
        return self.head((self.embedding(tokens) * mask.unsqueeze(-1)).sum(1).tanh())


def test_integer_and_boolean_inputs():
    model = Words().eval()
    tokens, mask = torch.randint(1, 50, (2, 5)), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    found = attribute(model, (tokens, mask), wrt=0, target=1, method="feature_ablation", baseline=7)
    with torch.no_grad():
        whole = model(tokens, mask)[:, 1]
        for place in range(5):
            changed = tokens.clone()
            changed[:, place] = 7
            torch.testing.assert_close(found.values[:, place], whole - model(changed, mask)[:, 1])
    assert torch.equal(found.values[1, 3:], torch.zeros(2))
    hidden = attribute(model, (tokens, mask), wrt=1, target=1, method="feature_ablation")
    with torch.no_grad():
        changed = mask.clone()
        changed[:, 0] = False
        torch.testing.assert_close(hidden.values[:, 0], whole - model(tokens, changed)[:, 1])


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 6), (3, 2, 4, 4), (3, 2, 2, 3, 4)])
def test_a_linear_model_drops_by_what_is_missing(shape):
    weights = torch.randn(shape[1:], dtype=torch.float64)
    x = torch.rand(shape, dtype=torch.float64)
    found = attribute(lambda x: (x * weights).flatten(1).sum(1), x, method="feature_ablation", regions="pixel")
    expected = x * weights
    if len(shape) > 3:
        expected = expected.sum(1, keepdim=True)
    torch.testing.assert_close(found.values, expected)
    tokens = attribute(lambda x: (x * weights).flatten(1).sum(1), x, method="feature_ablation")
    if len(shape) == 3:
        torch.testing.assert_close(tokens.values, (x * weights).sum(2, keepdim=True))


def test_rows_with_different_regions_answer_as_alone(digits):
    x = digits.images[:4]
    mask = torch.stack([BLOCKS // (1 + row) for row in (0, 1, 1, 5)])[:, None]
    together = attribute(digits.model, x, target=2, method="feature_ablation", regions=mask)
    for row in range(4):
        alone = attribute(
            digits.model, x[row : row + 1], target=2, method="feature_ablation", regions=mask[row : row + 1]
        )
        torch.testing.assert_close(together.values[row : row + 1], alone.values, rtol=1e-4, atol=1e-5)
    assert together.evaluations["forward"] == 4 + 16 + 8 + 8 + 3


def test_several_targets_in_one_run(digits):
    x = digits.images[:3]
    session = Session(digits.model, x, target=Each(3, 5, digits.labels[:3]))
    for method in ("feature_ablation", "occlusion"):
        found = session.attribute(method)
        assert found.evaluations["forward"] == 3 * (1 + 64)  # of one pixel each
        for index, target in enumerate((3, 5, digits.labels[:3])):
            one = attribute(digits.model, x, target=target, method=method)
            torch.testing.assert_close(found.values.reshape(3, 3, 1, 8, 8)[index], one.values, rtol=1e-4, atol=1e-5)


def test_chunks_do_not_matter_and_early_pictures_are_scattered(digits):
    x = digits.images[:2]
    asks = {"target": 3, "method": "feature_ablation", "baseline": [0.0, 0.5], "regions": "pixel"}
    parts = list(stream(digits.model, x, batch_size=7, **asks))
    torch.testing.assert_close(parts[-1].values, attribute(digits.model, x, **asks).values, rtol=1e-4, atol=1e-5)
    assert [part.progress[0] for part in parts[:3]] == [1, 2, 3]
    assert parts[-1].progress == (64, 64)
    rows = torch.nonzero(parts[7].values[0, 0])[:, 0]
    assert rows.max() - rows.min() >= 4
    zero, half = (attribute(digits.model, x, **{**asks, "baseline": b}).values for b in (0.0, 0.5))
    torch.testing.assert_close(parts[-1].values, (zero + half) / 2, rtol=1e-4, atol=1e-5)


def test_occlusion_slides_over_series_and_volumes():
    for shape in ((2, 3, 9), (2, 1, 4, 5, 6)):
        weights, x = torch.randn(shape[1:]), torch.rand(shape)
        problem = Session(lambda x, w=weights: (x * w).flatten(1).sum(1), x).problem.begin()
        from xaiwidgets.engine.registry import METHODS

        *_, last = METHODS["occlusion"].run(problem, window=1, stride=1)
        torch.testing.assert_close(last.values, (x * weights).sum(1, keepdim=True), rtol=1e-4, atol=1e-5)


# --- prediction difference -------------------------------------------------------------------------------------------


def test_marginal_sampling_is_the_mean_over_the_data(digits):
    x, data = digits.images[:1], digits.images[8:12]
    asks = {"target": 3, "score": "probability", "method": "prediction_difference", "regions": BLOCKS}
    asks["baseline"] = baselines.Dataset(data, samples=4)
    found = attribute(digits.model, x, **asks)
    odds = attribute(digits.model, x, difference="log_odds", **asks)
    with torch.no_grad():
        whole = digits.model(x).softmax(1)[0, 3].double()
        for region in (0, 5, 15):
            mixed = torch.where(region == BLOCKS, data, x)
            mean = digits.model(mixed).softmax(1)[:, 3].double().mean()
            place = (0, 0, *torch.nonzero(region == BLOCKS)[0].tolist())
            torch.testing.assert_close(found.values[place].double(), whole - mean, rtol=1e-4, atol=1e-6)
            bits = [np.log2(p / (1 - p)) for p in np.clip([float(whole), float(mean)], 1e-6, 1 - 1e-6)]
            assert float(odds.values[place]) == pytest.approx(bits[0] - bits[1], rel=1e-3, abs=1e-3)


def test_conditional_sampling_follows_the_surroundings():
    # A smooth image: what surrounds a block says nearly all about it, its marginal range nothing.
    y, x = torch.meshgrid(torch.linspace(0, 6, 32), torch.linspace(0, 5, 32), indexing="ij")
    image = (torch.sin(y) * torch.cos(x))[None, None].double()
    seen = []

    def model(batch):
        seen.append(batch.clone())
        return batch.flatten(1).sum(1)

    errors = {}
    for sampling in ("conditional", "marginal"):
        seen.clear()
        found = attribute(model, image, method="prediction_difference", sampling=sampling, samples=4, batch_size=64)
        assert found.values.shape == image.shape
        changed = torch.cat(seen[1:])
        assert len(changed) == 64 * (4 if sampling == "conditional" else 8)
        errors[sampling] = float((changed - image).abs().sum() / (changed != image).sum())
    assert errors["conditional"] < 0.2 * errors["marginal"]


def test_the_conditional_gaussian_is_the_textbooks():
    from xaiwidgets.methods.conditional import _conditional

    generator = torch.Generator().manual_seed(0)
    root = torch.randn(1, 6, 6, generator=generator, dtype=torch.float64)
    covariance, mean = root @ root.mT + torch.eye(6), torch.randn(1, 6, generator=generator, dtype=torch.float64)
    box = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    inside = torch.tensor([True, False, False, True, False, False])
    noise = torch.randn(40000, 1, 2, generator=generator, dtype=torch.float64)
    drawn = _conditional(mean, covariance, box, inside, noise)[:, 0].numpy()
    c, m, b, i = covariance[0].numpy(), mean[0].numpy(), box[0].numpy(), inside.numpy()
    gain = c[np.ix_(i, ~i)] @ np.linalg.inv(c[np.ix_(~i, ~i)])
    np.testing.assert_allclose(drawn.mean(0), m[i] + gain @ (b - m)[~i], atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), c[np.ix_(i, i)] - gain @ c[np.ix_(~i, i)], atol=0.1)


def test_conditional_rows_are_alone_and_seeded(digits):
    x = digits.images[:2]
    asks = {"target": 3, "method": "prediction_difference", "sampling": "conditional", "samples": 2, "regions": BLOCKS}
    both = attribute(digits.model, x, **asks)
    torch.testing.assert_close(attribute(digits.model, x[1:], **asks).values, both.values[1:], rtol=1e-4, atol=1e-5)
    assert not torch.equal(attribute(digits.model, x, seed=1, **asks).values, both.values)


def test_what_cannot_be_asked(digits):
    x = digits.images[:1]
    for asks, error, code in (
        ({"difference": "log_odds"}, ParameterError, "odds_of_score"),
        ({"sampling": "conditional", "inputs": torch.rand(1, 5)}, InputError, "not_an_image"),
        (
            {"sampling": "conditional", "inputs": torch.rand(1, 1, 40, 40), "regions": torch.zeros(40, 40).long()},
            ParameterError,
            "regions_size",
        ),
    ):
        inputs = asks.pop("inputs", x)
        model, target = (digits.model, 0) if inputs is x else ((lambda x: x.flatten(1).sum(1)), None)
        with pytest.raises(error) as caught:
            attribute(model, inputs, target=target, method="prediction_difference", **asks)
        assert caught.value.code == code
