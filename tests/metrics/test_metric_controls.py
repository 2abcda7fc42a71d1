"""Maps that explain nothing: what they are made of, and that the model plays no part."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.controls import edge_map, length_map, random_map
from xaiwidgets.metrics.registry import CONTROLS
from xaiwidgets.text.tokens import Token, Tokens

SHAPES = [
    ((5, 3, 6, 7), (5, 1, 6, 7)),
    ((5, 2, 3, 4, 5), (5, 1, 3, 4, 5)),
    ((5, 9, 16), (5, 9, 16)),
    ((5, 12), (5, 12)),
    ((5,), (5,)),
]


@pytest.mark.parametrize(("shape", "expected"), SHAPES)
def test_a_random_map_has_a_number_for_each_place(shape, expected):
    assert random_map(torch.zeros(shape)).shape == expected


def test_a_random_row_depends_on_the_seed_and_its_number_alone():
    state = torch.get_rng_state()
    few, many = random_map(torch.zeros(2, 1, 8, 8), 3), random_map(torch.ones(6, 1, 8, 8), 3)
    assert torch.equal(few, many[:2])
    assert not torch.equal(few[0], few[1])
    assert not torch.equal(few, random_map(torch.zeros(2, 1, 8, 8), 4))
    short, padded = random_map(torch.zeros(2, 5, 3), 3), random_map(torch.zeros(2, 40, 3), 3)
    assert torch.equal(short, padded[:, :5])
    assert torch.equal(state, torch.get_rng_state())


def test_random_numbers_are_normal_and_independent():
    drawn = random_map(torch.zeros(40, 1, 50, 50, dtype=torch.float64)).flatten()
    assert abs(float(drawn.mean())) < 0.01
    assert abs(float(drawn.std()) - 1) < 0.01
    assert abs(float((drawn[1:] * drawn[:-1]).mean())) < 0.02


def test_edges_of_a_ramp_are_its_slope():
    across = torch.arange(8.0).expand(1, 1, 8, 8)
    edges = edge_map(3 * across)
    torch.testing.assert_close(edges[..., 2:-2], torch.full((1, 1, 8, 4), 3.0))
    torch.testing.assert_close(edge_map(3 * across.mT), edges.mT)
    assert edge_map(torch.full((2, 3, 5, 5), 0.7)).abs().max() < 1e-6


def test_edges_are_what_scipy_finds():
    images = torch.rand(4, 3, 12, 9, dtype=torch.float64)
    found = edge_map(images)
    for image, edges in zip(images.numpy(), found[:, 0].numpy(), strict=True):
        bright = np.tensordot([0.299, 0.587, 0.114], image, axes=1)
        size = np.hypot(ndimage.sobel(bright, 0, mode="nearest"), ndimage.sobel(bright, 1, mode="nearest")) / 8
        binomial = np.array([1, 2, 1]) / 4
        smooth = ndimage.correlate(size, np.outer(binomial, binomial), mode="nearest")
        np.testing.assert_allclose(edges, smooth, atol=1e-12)


def test_grey_images_have_the_edges_of_the_same_in_three_channels():
    grey = torch.rand(2, 1, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(edge_map(grey), edge_map(grey.expand(2, 3, 7, 7)))
    torch.testing.assert_close(edge_map(grey), edge_map(grey.expand(2, 4, 7, 7)))


def test_edges_of_a_row_do_not_depend_on_the_others():
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(edge_map(images)[1:2], edge_map(images[1:2]))


def test_only_images_have_edges():
    with pytest.raises(InputError, match="random"):
        edge_map(torch.zeros(3, 5))


def test_lengths_are_the_letters_of_the_word_a_token_belongs_to():
    text = "An unlikely tale!"
    places = [(0, 0), (0, 2), (3, 5), (5, 11), (12, 16), (16, 17), (17, 17)]
    items = tuple(
        Token(number, start, end, start == end, "prompt", text[start:end]) for number, (start, end) in enumerate(places)
    )
    tokens = Tokens(text, items)
    short = Tokens("An", items[:2]).padded(7, 0)
    assert length_map([tokens, short]).tolist() == [[0, 2, 8, 8, 4, 0, 0], [0, 2, 0, 0, 0, 0, 0]]


def test_controls_are_asked_like_methods_and_never_ask_the_model():
    problem = Problem(lambda _: pytest.fail("the model was asked"), torch.rand(2, 3, 8, 8))
    for name, shape in (("random", (2, 1, 8, 8)), ("edges", (2, 1, 8, 8))):
        control = CONTROLS[name]
        (partial,) = control.run(problem, **control.check({}))
        assert partial.values.shape == shape
        assert control.summary.endswith("the model.")
    assert problem.evaluations == {"forward": 0, "gradient": 0}
    with pytest.raises(InputError, match="tokenizer"):
        next(CONTROLS["lengths"].run(problem))
