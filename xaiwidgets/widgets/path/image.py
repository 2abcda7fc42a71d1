"""An image to explain: its picture, its baselines in the space of the model's inputs, and theirs as pictures."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine import baselines
from xaiwidgets.engine.errors import ExplainError, InputError, ParameterError
from xaiwidgets.engine.inputs import Inputs
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.live import pictures
from xaiwidgets.methods.sample_walk import noisy_copies
from xaiwidgets.metrics.case import Case
from xaiwidgets.widgets.colours import fit_colours, parse_colour, write_colour
from xaiwidgets.widgets.images import Pixels, as_pixels
from xaiwidgets.widgets.images import pictures as views_of
from xaiwidgets.widgets.trust.tested import OF_IMAGES

from .kinds import BOTH, DISTRIBUTION, PATH, image_kinds
from .subject import DISTRIBUTION_DRAWS, Entry, Look

BLIND = 0.02
"""Share of the input's range by which a pixel must differ from the baseline to be able to get credit."""
LARGEST = 256
"""Pixels on the longer side of a stored picture of a baseline."""
QUALITY = 60
"""Of a baseline's JPEG: noise, which is what weighs, stays noise."""


class ImageSubject:
    """One image. `picture`: what it looks like, where the values alone do not say; `dataset`: rows like it."""

    medium = "image"

    def __init__(self, inputs: Inputs, picture: Any = None, dataset: Any = None) -> None:
        self.points = inputs.points
        if self.points.ndim != 4 or inputs.several:
            raise InputError(
                "not_an_image",
                "explore_path() shows one image [1, channels, height, width] or one text",
                f"Got shape {list(self.points.shape)}.",
                "For a text pass tokenizer= or tokens= with it.",
            )
        views, guessed = views_of(self.points, picture)
        self.pixels = views[0]
        self.size = (int(self.points.shape[2]), int(self.points.shape[3]))
        self._require_size(self.pixels, "image=")
        self._colours = fit_colours(self.pixels, self.points[0])
        self.note = " ".join(filter(None, (guessed, self._colours.note)))
        self._dataset = dataset
        rows = 0 if dataset is None else len(dataset)
        if rows:
            self._rows([0])
        self.kinds = image_kinds(self.size[1], self.size[0], rows)

    def problem(self, session: Session) -> Problem:
        return session.problem

    def reduce(self, values: Tensor) -> Tensor:
        return values[0].sum(0)

    def traits(self) -> dict[str, Any]:
        height, width = self.size
        return {"x_img": pictures.encode(self.pixels), "image_size": [width, height]}

    # --- baselines ------------------------------------------------------------------------------------------------

    def starts(self, problem: Problem, entry: Entry, mode: str, samples: int) -> Tensor:
        draws = min(samples, DISTRIBUTION_DRAWS) if mode == DISTRIBUTION else 1
        if entry.kind == "smoothgrad":
            return noisy_copies(problem, samples, entry.params["sigma"], entry.params["seed"])
        return self._starts(entry, draws)

    def case(self, problem: Problem, entry: Entry, mode: str, samples: int, values: Tensor) -> Case:
        starts = list(self.starts(problem, entry, mode, samples))
        method, parameters = None, {}
        if entry.kind != "smoothgrad":  # which is a method of this widget alone
            method = find_method("integrated_gradients" if mode == PATH else "expected_gradients")
            more = {"samples": samples, "seed": int(entry.params.get("seed", 0))} if mode == DISTRIBUTION else {}
            parameters = method.check({"baseline": starts, **more})
        return Case(problem, values, method=method, parameters=parameters, name="map")

    def fills(self) -> dict[str, str]:
        return OF_IMAGES

    def to_pixels(self, point: Tensor) -> NDArray[np.uint8]:
        """A point [channels, h, w] as a picture."""
        return self._colours.to_pixels(point)

    def entry(self, asked: Any) -> Entry | None:
        if isinstance(asked, bool) or asked is None:
            return None
        if isinstance(asked, (int, float)):
            return self._checked(
                Entry(f"{asked:g}", "number", f"{asked:g} everywhere", {}, (PATH,), baselines.Constant(float(asked)))
            )
        if _is_picture(asked):
            pixels = as_pixels(asked)
            self._require_size(pixels, "The picture")
            values = self._colours.to_input(pixels, self.points.shape[1])
            return self._checked(Entry("image", "image", "another image", {}, (PATH,), values.to(self.points)[None]))
        if isinstance(asked, (Tensor, np.ndarray)):
            return self._checked(Entry("given", "given", "as given", {}, (PATH,), torch.as_tensor(asked)))
        if isinstance(asked, baselines.Baseline):
            several = getattr(asked, "samples", 1) > 1
            title = f"as given: {type(asked).__name__}"
            return self._checked(Entry("given", "given", title, {}, BOTH if several else (PATH,), asked))
        return None

    def look(self, entry: Entry) -> Look:
        start = self._starts(entry, 1)[0]
        pixels = self._colours.to_pixels(start[0])
        solid = bool((start.flatten(2) == start.flatten(2)[..., :1]).all())
        difference = (self.points - start)[0].abs().amax(0)
        near = difference < BLIND * float(self.points.max() - self.points.min())
        blind = (near | (difference == 0)).cpu().numpy()
        if solid:
            colour = entry.params.get("colour") or write_colour(pixels[0, 0])
            return Look(blind, colour=colour, pixels=pixels)
        return Look(blind, image=pictures.encode(_shrunk(pixels, LARGEST), quality=QUALITY), pixels=pixels)

    def thumbnails(self, points: Tensor, side: int) -> NDArray[np.uint8]:
        pixels = [self._colours.to_pixels(point.reshape(self.points.shape[1:])) for point in points]
        return np.stack([_shrunk(one, side) for one in pixels])

    def close(self) -> None:
        """Images hold no model."""

    def _starts(self, entry: Entry, draws: int) -> Tensor:
        x, params = self.points, entry.params
        if entry.given is not None:
            return self._given(entry, draws)
        make: dict[str, Callable[[], Tensor]] = {
            "black": lambda: self._solid("#000000"),
            "white": lambda: self._solid("#ffffff"),
            "colour": lambda: self._solid(params["colour"]),
            "pixel": lambda: x[:, :, params["y"], params["x"]][..., None, None].expand_as(x)[None],
            "zeros": lambda: baselines.Constant().draw(x),
            "mean": lambda: baselines.Mean().draw(x),
            "blur": lambda: baselines.Blur(params["sigma"]).draw(x),
            "max_distance": lambda: baselines.MaxDistance().draw(x),
            "uniform": lambda: baselines.Uniform(draws, params["seed"]).draw(x),
            "gaussian": lambda: baselines.Gaussian(params["sigma"], draws, params["seed"]).draw(x),
            "smoothgrad": lambda: baselines.Gaussian(params["sigma"], draws, params["seed"]).draw(x),  # as a picture
            "dataset": lambda: self._drawn(draws, params["index"], params["seed"]),
        }
        return make[entry.kind]()

    def _solid(self, colour: str) -> Tensor:
        values = self._colours.to_input(parse_colour(colour), self.points.shape[1]).to(self.points)
        return values[None, None, :, None, None].expand(1, *self.points.shape)

    def _given(self, entry: Entry, draws: int) -> Tensor:
        given = entry.given
        drawn = given.draw(self.points) if isinstance(given, baselines.Baseline) else given.detach().to(self.points)
        if isinstance(given, Tensor):
            try:
                drawn = drawn.broadcast_to(self.points.shape)[None]
            except RuntimeError as error:
                raise _misfit(list(given.shape), list(self.points.shape)) from error
        if drawn.shape[1:] != self.points.shape or not len(drawn):
            raise _misfit(list(drawn.shape), list(self.points.shape))
        if not bool(torch.isfinite(drawn).all()):
            raise ParameterError("non_finite_baseline", "The baseline contains NaN or infinity")
        return drawn[:draws]

    def _checked(self, entry: Entry) -> Entry:
        self._given(entry, 1)  # wrong ones are refused before anything is shown
        return entry

    def _drawn(self, draws: int, index: int, seed: int) -> Tensor:
        if draws == 1:
            return self._rows([index])
        order = torch.randperm(len(self._dataset), generator=torch.Generator().manual_seed(seed))
        return self._rows(order[:draws].tolist())

    def _rows(self, numbers: Sequence[int]) -> Tensor:
        """Rows of the data set, which may be a tensor or anything with a length and items that are images, or begin with one."""
        rows = []
        for number in numbers:
            item = self._dataset[number]
            row = torch.as_tensor(item[0] if isinstance(item, (tuple, list)) else item)
            if row.shape != self.points.shape[1:] or not row.is_floating_point():
                raise InputError(
                    "dataset_shape",
                    f"dataset= has a row of shape {list(row.shape)} and {row.dtype}",
                    hint=f"Its rows must be floating point of shape {list(self.points.shape[1:])}, made like the input.",
                )
            rows.append(row.detach().to(self.points))
        return torch.stack(rows)[:, None]

    def _require_size(self, pixels: Pixels, what: str) -> None:
        if pixels.shape[:2] != self.size:
            height, width = self.size
            raise InputError(
                "picture_size",
                f"{what} has {pixels.shape[1]} × {pixels.shape[0]} pixels, the input {width} × {height}",
                hint="Pass a picture of the input's size.",
            )


def _misfit(found: Sequence[int], wanted: Sequence[int]) -> ExplainError:
    return ParameterError(
        "baseline_shape", f"A baseline of shape {found} does not fit an input of shape {wanted}",
        hint="Pass a tensor in the space of the model's inputs, or a picture of the same size.",
    )  # fmt: skip


def _is_picture(asked: Any) -> bool:
    """PIL images, byte arrays, and arrays with the colours last: pictures. Other numbers are values for the model."""
    if isinstance(asked, Tensor):
        return asked.dtype == torch.uint8
    colours_last = isinstance(asked, np.ndarray) and asked.ndim == 3 and asked.shape[2] in (3, 4)
    return isinstance(asked, Image.Image) or colours_last or (isinstance(asked, np.ndarray) and asked.dtype == np.uint8)


def _shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
