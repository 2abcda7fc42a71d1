"""What the documentation says of the methods: nothing missing, nothing stale, every example runs."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image

import xaiwidgets as xw
import xaiwidgets.training.methods
from xaiwidgets.engine.registry import METHODS, Method
from xaiwidgets.examples.example import seeded
from xaiwidgets.examples.scenes import ScenesCNN
from xaiwidgets.training.registry import TRAINING_METHODS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "methods"
TEXTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PAGES = sorted(FOLDER.glob("*.md"))
LABELS = ("Values", "Use", "Not for", "Fails", "Cost", "Paper")
LARGEST_PICTURE = 120_000  # bytes
CALLS = {
    "attribute": xw.attribute, "stream": xw.stream, "Session": xw.Session, "explain": xw.explain, "methods": xw.methods,
    "load": xw.load, "Contrast": xw.Contrast, "Neuron": xw.Neuron, "Each": xw.Each,
    "TrainingIndex.build": xw.TrainingIndex.build, "compare": xw.compare, "evaluate": xw.evaluate, "explore_path": xw.explore_path,
    "trace": xw.trace,
}  # fmt: skip


def _load_pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("method_pictures", ROOT / "docs" / "method_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


pictures = _load_pictures()
DOCUMENTED = [method for family in pictures.PAGES.values() for method in pictures.documented(family)]
NAMES = [method.name for method in DOCUMENTED]


def section(method: Method) -> str:
    """The text about a method, from its heading to the next one."""
    page = (FOLDER / f"{pictures.home(method.name)}.md").read_text(encoding="utf-8")
    _, _, rest = page.partition(f'### <a id="{method.name}"></a>')
    return re.split(r"\n##+ ", rest)[0]


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def calls_in(code: str) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))


def test_every_method_of_the_package_is_on_its_familys_page() -> None:
    ours = {name for name, one in METHODS.items() if one.run.__module__.startswith("xaiwidgets.")}
    assert ours == set(NAMES)
    for page, family in pictures.PAGES.items():
        text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
        missing = [one.name for one in pictures.documented(family) if f"`{one.name}`" not in text]
        assert not missing, f"{page}.md does not mention {missing}"


@pytest.mark.parametrize("method", DOCUMENTED, ids=NAMES)
def test_section_has_all_parts(method: Method) -> None:
    text = section(method)
    assert text.startswith(f"{method.title} · `{method.name}`")
    assert text.count("$$") >= 2, "no formula"
    assert not [label for label in LABELS if f"- **{label}**: " not in text]
    sources = re.findall(r"arXiv:[\d.]+\d|doi:[^\s;]+", method.reference)
    missing = [source for source in sources if source not in text]
    assert not missing, "another paper than the registry's"
    used = [_literal(call, "method") for code in blocks(text) for call in calls_in(code)]
    default = inspect.signature(xw.Session.attribute).parameters["method"].default
    assert method.name in used or (method.name == default and None in used), "no example"


def test_table_of_methods_is_up_to_date() -> None:
    assert pictures.updated_index() == pictures.INDEX.read_text(encoding="utf-8"), (
        "run: python docs/method_pictures.py table"
    )


def test_pictures_are_shown_small_white_and_of_the_methods_there_are() -> None:
    shown = {
        (page.parent / name).resolve()
        for page in PAGES
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == set(pictures.PICTURES.glob("*.png"))
    assert {path.stem for path in shown} == set(pictures.PICTURED)
    for path in shown:
        assert path.stat().st_size < LARGEST_PICTURE, path.name
        with Image.open(path) as picture:
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
            panels = picture.info["Panels"].split("\n")
        if path.stem in pictures.PAGES:
            titles = [re.sub(r" \((zeros|mean)\)$", "", panel) for panel in panels[1:]]
            family = pictures.documented(pictures.PAGES[path.stem])
            wanted = [one.title for one in family if pictures.pictured(one)]
            assert list(dict.fromkeys(titles)) == wanted, f"run: python docs/method_pictures.py {path.stem}"


def test_the_patent_claim_is_stated_where_lrp_is_used() -> None:
    assert "Patent claim" in section(METHODS["lrp"])
    for name in ("deep_taylor", "attn_lrp", "relevance_cam", "transformer_attribution"):
        assert "patent claim" in section(METHODS[name])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        page = (path.parent / name).resolve() if name else path
        assert page.is_file(), target
        assert not anchor or f'<a id="{anchor}"></a>' in page.read_text(encoding="utf-8"), target


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_calls_have_the_parameters_they_give(path: Path) -> None:
    for code in blocks(path.read_text(encoding="utf-8")):
        for call in calls_in(code):
            _check(call)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_examples_run(path: Path) -> None:
    scope = _scope(path.stem)
    for code in blocks(path.read_text(encoding="utf-8")):
        exec(compile(code, str(path), "exec"), scope)


def test_every_training_method_is_described() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \|", text.partition("## What a score means")[2].partition("\n\n")[2], re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(TRAINING_METHODS) <= described, set(TRAINING_METHODS) - described
    assert {name for name in described if f"`{name}`" in text} - set(TRAINING_METHODS) == set()


def _check(call: ast.Call) -> None:
    """Raise where a call of ours names a method or a parameter that does not exist."""
    owner, _, name = ast.unparse(call.func).partition(".")
    if not isinstance(call.func, ast.Attribute) or "(" in name:
        return
    if owner == "xw" and name in CALLS:
        known = inspect.signature(CALLS[name]).parameters
    elif owner == "session" and name in ("attribute", "stream"):
        known = inspect.signature(getattr(xw.Session, name)).parameters
    else:
        assert owner != "xw" or hasattr(xw, name.partition(".")[0]), f"xw.{name} does not exist"
        return
    keywords = {keyword.arg for keyword in call.keywords if keyword.arg}
    extra = keywords - set(known)
    if name in ("attribute", "stream", "explain"):
        place = [one.value for one in call.args[:1] if isinstance(one, ast.Constant)] if owner == "session" else []
        method = METHODS[_literal(call, "method") or (place[0] if place else "integrated_gradients")]
        extra -= {parameter.name for parameter in method.parameters} | {"backend", "layer"}
    assert not extra, f"{owner}.{name} has no {sorted(extra)}"


def _literal(call: ast.Call, name: str) -> Any:
    found = [one.value for one in call.keywords if one.arg == name and isinstance(one.value, ast.Constant)]
    return found[0].value if found else None


def _scope(page: str) -> dict[str, Any]:
    """What a page's examples take for granted: a classifier and a few images, a transformer on the page about attention;
    and a reader of words with a few texts.
    """
    generator = torch.Generator().manual_seed(0)
    if page == "attention":
        model = seeded(pictures.PairsTransformer, 0).eval()
        images = torch.rand((2, 1, 8, 16), generator=generator)
    else:
        model = seeded(ScenesCNN, 0).eval()
        images = torch.rand((2, 3, 6, 6), generator=generator)
        images = torch.nn.functional.interpolate(images, (48, 48), mode="bilinear")
    reader = seeded(Reader, 0).eval()
    texts = torch.randint(4, 40, (2, 7), generator=generator)
    return {"xw": xw, "torch": torch, "model": model, "images": images, "reader": reader, "texts": texts}


class Reader(torch.nn.Module):
    """Texts [batch, tokens] to logits [batch, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(40, 8)
        self.block = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.head = torch.nn.Linear(8, 5)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        hidden = None if attention_mask is None else attention_mask == 0
        words: torch.Tensor = self.block(self.embed(input_ids), src_key_padding_mask=hidden)
        return self.head(words.mean(1))  # type: ignore[no-any-return]
