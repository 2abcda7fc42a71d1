"""Make the pictures in docs/images/methods and the table of methods in docs/methods/index.md.

    python docs/method_pictures.py                  # everything: a few minutes on one core
    python docs/method_pictures.py gradients cams   # these pages only
    python docs/method_pictures.py table            # the table only

Every picture asks one question with a known answer: the photographs of a cat and of a cup of coffee lie side by side, and a
network that tells photographs apart says why it sees a cat. What speaks for the cat lies in the left half. The attention
page asks a small transformer about two digits in the same way. Both models are trained here, in seconds, without a network.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.engine.registry import Method
from xaiwidgets.examples import digits, mosaic, scenes
from xaiwidgets.examples.example import seeded
from xaiwidgets.live.colors import table

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "images" / "methods"
INDEX = DOCS / "methods" / "index.md"
BEGIN, END = "<!-- methods: begin -->", "<!-- methods: end -->"

# page: the family it documents
PAGES = {
    "gradients": "gradient", "paths": "path", "propagation": "propagation", "cams": "cam",
    "perturbation": "perturbation", "attention": "attention",
}  # fmt: skip
# Methods whose number at a place is the place's own, not its share of a sum: squares of pixels show the mean.
PER_PLACE = {
    "feature_ablation", "prediction_difference", "occlusion", "rise", "meaningful_perturbation", "extremal_perturbation",
}  # fmt: skip
# Where the default says nothing about this image; the page says why.
SETTINGS: dict[str, dict[str, Any]] = {
    "meaningful_perturbation": {"baseline": "zeros"},
    "extremal_perturbation": {"baseline": "zeros"},
}
INSIDE = ("conductance", "internal_influence", "neuron_conductance")  # path methods on the page about layers

# Pixels: of a panel, of the room between panels, of the text above and below a panel, and of the legend.
WIDTH, GAP, ABOVE, BELOW, MARGIN, LEGEND = 288, 26, 30, 28, 22, 74
SHADES = 65
INK, FAINT = "#1d2733", "#5b6775"


# --- questions with a known answer -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A model, an image of two halves, and the class that the left half shows."""

    model: nn.Module
    image: Tensor
    target: int
    name: str
    block: int  # pixels along the sides of the squares that are shown


@cache
def photographs() -> Question:
    example = scenes()
    return Question(example.model, mosaic("cat", "coffee"), example.names.index("cat"), "cat", block=2)


class PairsTransformer(nn.Module):
    """A vision transformer that says which digits an image of two shows. [n, 1, 8, 16] to logits [n, 10]."""

    def __init__(self, width: int = 48, depth: int = 3, heads: int = 4, patch: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, patch)
        self.start = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.places = nn.Parameter(0.3 * torch.randn(1, 1 + 128 // patch**2, width))
        block = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], 1) + self.places
        return self.head(self.blocks(tokens)[:, 0])


@cache
def pairs() -> Question:
    """Trained on random pairs of digits to say, of every digit, whether it is there."""
    example = digits(epochs=1)
    images, labels = example.train_images, example.train_labels
    model = seeded(PairsTransformer, 0)
    generator = torch.Generator().manual_seed(0)
    steps = 640
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(steps):
        left, right = torch.randint(len(images), (2, 64), generator=generator)
        present = nn.functional.one_hot(labels[left], 10) | nn.functional.one_hot(labels[right], 10)
        optimizer.zero_grad()
        logits = model(torch.cat([images[left], images[right]], 3))
        nn.functional.binary_cross_entropy_with_logits(logits, present.float()).backward()
        optimizer.step()
        schedule.step()
    left, right = (int(torch.nonzero(example.labels == digit)[0]) for digit in (3, 6))
    image = torch.cat([example.images[left], example.images[right]], 2)[None]
    return Question(model.eval(), image, 3, "3", block=2)


# --- what goes into a picture ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """A map [height, width] of numbers, or an image [height, width, 3] in 0..1."""

    title: str
    values: NDArray[np.float64]
    signed: bool = True
    unit: str = ""


@dataclass(frozen=True)
class Page:
    """A picture: its question and its panels; columns as wished."""

    question: Callable[[], Question]
    columns: int
    panels: Callable[[Question], Iterator[Panel]]


def of_family(family: str, again: str = "", **settings: Any) -> Callable[[Question], Iterator[Panel]]:
    """One panel for every method of a family, save those that are shown on the page about layers or explain text; one of
    them twice.
    """

    def panels(question: Question) -> Iterator[Panel]:
        for method in documented(family):
            if pictured(method):
                yield asked(question, method, **SETTINGS.get(method.name, {}))
            if method.name == again:
                yield asked(question, method, **settings)

    return panels


def asked(question: Question, method: Method, title: str = "", **settings: Any) -> Panel:
    """A method's answer to the question, over channels and small squares: their sum, or their mean where that is right."""
    target = settings.pop("target", question.target)
    found = xw.attribute(question.model, question.image, target=target, method=method.name, **settings)
    own = method.name in PER_PLACE or method.family in ("cam", "attention")
    values = cast("Tensor", found.values)[0].double()
    values = values.mean(0) if own else values.sum(0)
    block = question.block if values.shape == question.image.shape[2:] else 1  # layers are coarser already
    height, width = (length // block for length in values.shape)
    squares = values.reshape(height, block, width, block)
    shown = squares.mean((1, 3)) if own else squares.sum((1, 3))
    score = "activation" if isinstance(target, xw.Neuron) else "logit"
    unit = re.sub(r" per unit of .*?(?=$|\))", " / unit", method.unit.format(score=score))
    baseline = f" ({settings['baseline']})" if "baseline" in settings else ""
    return Panel(title or method.title + baseline, shown.numpy(), signed=method.signed, unit=unit)


def inside(question: Question) -> Iterator[Panel]:
    """The layers page: the same question at a layer, through a neuron, and of a neuron."""
    methods = {method.name: method for method in xw.methods()}
    early, middle, late = "features.1", "features.2", "features.3"
    through = xw.attribute(question.model, question.image, target=question.target, method="conductance", layer=middle)
    strongest = int(cast("Tensor", through.values)[0].sum((1, 2)).argmax())
    for layer in (early, late):
        yield asked(question, methods["conductance"], f"Conductance, {layer}", layer=layer)
    for layer in (early, middle):  # at the last layer it is the same everywhere: the mean that follows treats all alike
        yield asked(question, methods["internal_influence"], f"Internal influence, {layer}", layer=layer)
    for layer in (early, late):
        yield asked(question, methods["integrated_gradients"], f"layer=“{layer}”", layer=layer)
    chosen = {"layer": middle, "neuron": strongest}
    yield asked(question, methods["neuron_conductance"], f"Neuron conductance, {strongest}", **chosen)
    neuron = xw.Neuron(middle, strongest)
    yield asked(question, methods["integrated_gradients"], f"target=Neuron(…, {strongest})", target=neuron)


def pictured(method: Method) -> bool:
    """Whether a method explains the images of the family pages' pictures."""
    return method.name not in INSIDE and "tokens" not in method.needs


def documented(family: str) -> list[Method]:
    """The methods of a family; what others register at run time is not documented here."""
    return [one for one in xw.methods(family) if one.run.__module__.startswith("xaiwidgets.")]


PICTURED = {
    "gradients": Page(photographs, 4, of_family("gradient")),
    "paths": Page(photographs, 4, of_family("path", "integrated_gradients", baseline="mean")),
    "propagation": Page(photographs, 4, of_family("propagation")),
    "cams": Page(photographs, 4, of_family("cam")),
    "perturbation": Page(photographs, 4, of_family("perturbation")),
    "attention": Page(pairs, 3, of_family("attention")),
    "layers": Page(photographs, 3, inside),
}


# --- drawing ---------------------------------------------------------------------------------------------------------


def draw(page: str) -> Path:
    """Make one page's picture."""
    wanted = PICTURED[page]
    question = wanted.question()
    image = question.image[0].expand(3, -1, -1).permute(1, 2, 0).numpy()
    found = list(wanted.panels(question))
    panels = [Panel(f"Why “{question.name}”?", image), *found]
    figure = laid_out(panels, wanted.columns, question.name)
    path = PICTURES / f"{page}.png"
    save(figure, path, panels)
    return path


def laid_out(panels: list[Panel], columns: int, name: str) -> Figure:
    """Panels in a grid, whole numbers of pixels large, and the legends of both kinds of map."""
    height = WIDTH * panels[0].values.shape[0] // panels[0].values.shape[1]
    rows = math.ceil(len(panels) / columns)
    step = ABOVE + height + BELOW
    size = (columns * (WIDTH + GAP) - GAP + 2 * MARGIN, rows * step + LEGEND + MARGIN)
    figure = plt.figure(figsize=(size[0] / 100, size[1] / 100), dpi=100, facecolor="white")
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        corner = (MARGIN + column * (WIDTH + GAP), MARGIN // 2 + row * step + ABOVE)
        _draw_panel(figure, panel, corner, (WIDTH, height), size)
    kinds = sorted({panel.signed for panel in panels if panel.values.ndim == 2}, reverse=True)
    for place, signed in enumerate(kinds):
        _draw_legend(figure, name, place, size, signed=signed)
    return figure


def _draw_panel(
    figure: Figure, panel: Panel, corner: tuple[int, int], extent: tuple[int, int], size: tuple[int, int]
) -> None:
    axes = _axes(figure, corner, extent, size)
    axes.set_title(panel.title, fontsize=11.5, fontweight="bold", color=INK, loc="left", pad=6)
    if panel.values.ndim == 3:
        small = panel.values.shape[1] < 64
        axes.imshow(panel.values, interpolation="nearest" if small else "bilinear", aspect="auto")
        return
    limit = float(np.quantile(np.abs(panel.values), 0.995)) or 1.0
    low = -limit if panel.signed else 0.0
    colours = shades(signed=panel.signed)
    index = np.clip((panel.values - low) / (limit - low) * (SHADES - 1), 0, SHADES - 1).round().astype(int)
    axes.imshow(colours[index], interpolation="nearest", aspect="auto")
    sign = "±" if panel.signed else "0 to "
    axes.text(
        0, -0.03, f"{sign}{_short(limit)} {panel.unit}", transform=axes.transAxes, fontsize=9.5, color=FAINT, va="top"
    )
    positive = panel.values.clip(min=0)
    share = positive[:, : positive.shape[1] // 2].sum() / positive.sum()
    axes.text(1, -0.03, f"{share:.0%} left", transform=axes.transAxes, fontsize=9.5, color=FAINT, va="top", ha="right")


def _draw_legend(figure: Figure, name: str, place: int, size: tuple[int, int], *, signed: bool) -> None:
    corner = (MARGIN + place * (WIDTH + GAP), size[1] - LEGEND + 16)
    axes = _axes(figure, corner, (WIDTH, 14), size)
    axes.imshow(shades(signed=signed)[None], interpolation="nearest", aspect="auto")
    ends = (f"against “{name}”", "0", f"for “{name}”") if signed else ("0", "", "most")
    for at, text, align in zip((0, 0.5, 1), ends, ("left", "center", "right"), strict=True):
        axes.text(at, -0.35, text, transform=axes.transAxes, fontsize=9.5, color=INK, ha=align, va="top")


def _axes(figure: Figure, corner: tuple[int, int], extent: tuple[int, int], size: tuple[int, int]) -> Any:
    """Axes at a place given in pixels from the top left."""
    (left, top), (width, height) = corner, extent
    axes = figure.add_axes((left / size[0], 1 - (top + height) / size[1], width / size[0], height / size[1]))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#c9d0d8")
    return axes


def _short(number: float) -> str:
    return f"{number:.2g}" if 1e-3 <= number < 1000 else f"{number:.1e}".replace("e-0", "e-")


def shades(*, signed: bool) -> NDArray[np.uint8]:
    """The colours of a kind of map, in as many steps as a small file has room for; an odd number, for a neutral middle."""
    colours = table("default", signed=signed)
    return colours[np.linspace(0, len(colours) - 1, SHADES).round().astype(int)]


def save(figure: Figure, path: Path, panels: list[Panel]) -> None:
    """As PNG with 256 colours, a third of the bytes: those of the maps as they are, the others fitted to what is left."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]  # the Agg canvas has it
    plt.close(figure)
    exact = np.concatenate([shades(signed=True), shades(signed=False), np.full((1, 3), 255, np.uint8)])
    colours, which = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    left = ~(colours[:, None] == exact).all(2).any(1)
    rest = Image.fromarray(colours[which[left[which]]][None]).quantize(256 - len(exact), dither=Image.Dither.NONE)
    fitted = np.array(rest.getpalette(), np.uint8).reshape(-1, 3)
    palette = np.concatenate([exact, fitted[: 256 - len(exact)]])
    distance = ((colours[:, None].astype(int) - palette) ** 2).sum(2)
    image = Image.fromarray(distance.argmin(1)[which].reshape(pixels.shape[:2]).astype(np.uint8), mode="P")
    image.putpalette(palette.flatten().tolist())
    about = PngInfo()
    about.add_text("Panels", "\n".join(panel.title for panel in panels))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True, pnginfo=about)


# --- the table of all methods ----------------------------------------------------------------------------------------


def method_table() -> str:
    """All methods as Markdown, from the registry."""
    lines = ["| method | page | needs | values | complete | what it says |", "|---|---|---|---|---|---|"]
    for page, family in PAGES.items():
        for method in documented(family):
            needs = ", ".join(method.needs) or "–"
            values = f"{'signed' if method.signed else '≥ 0'}, {method.unit.format(score='score')}"
            complete = "yes" if method.complete else "–"
            lines.append(
                f"| [`{method.name}`]({home(method.name)}.md#{method.name}) | {page} | {needs} | {values} | {complete} "
                f"| {method.summary} |"
            )
    return "\n".join(lines)


def home(name: str) -> str:
    """The page with the section of a method: its family's, or that of layers."""
    for page in (*PAGES, "layers"):
        if f'<a id="{name}"></a>' in (DOCS / "methods" / f"{page}.md").read_text(encoding="utf-8"):
            return page
    raise LookupError(f"no page in docs/methods has a section about {name}")


def updated_index() -> str:
    """The text of index.md with the table as it is now."""
    text = INDEX.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{method_table()}\n{END}{rest.split(END)[1]}"


def main(wanted: Iterable[str]) -> None:
    for page in wanted:
        if page == "table":
            INDEX.write_text(updated_index(), encoding="utf-8")
        else:
            path = draw(page)
            print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [*PICTURED, "table"])
