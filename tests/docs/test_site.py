"""The site is complete, its links lead somewhere on a code host too, and what it says to write can be written."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import xaiwidgets as xw
from xaiwidgets.examples.example import seeded
from xaiwidgets.examples.scenes import ScenesCNN
from xaiwidgets.examples.sentences import SentenceClassifier, WordTokenizer, vocabulary
from xaiwidgets.text.edits import hotflip

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])


def load(path: Path) -> ModuleType:
    """A module of the documentation, under a name nothing else has."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed() -> set[str]:
    """The pages in the contents."""
    trees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"), re.DOTALL)
    named = {line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")}
    below = load(DOCS / "_extensions" / "site_pages.py").BELOW
    folders = [DOCS / Path(name).parent for name in named if below in (DOCS / f"{name}.md").read_text(encoding="utf-8")]
    return named | {
        page.relative_to(DOCS).with_suffix("").as_posix() for folder in folders for page in folder.glob("*.md")
    }


def names_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=names_of)
def test_links_lead_somewhere_on_a_code_host(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(there), f"{target}: no such heading"


def anchors(page: Path) -> set[str]:
    """What a code host makes of the headings, and the anchors that are written."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"<[^>]*>|[`*]", "", title).strip().lower() for title in titles]
    made = {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}
    return made | set(re.findall(r'<a id="([^"]+)"></a>', text))


def test_every_page_is_in_the_contents() -> None:
    there = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert listed() == there - {"index"}


# --- live widgets -----------------------------------------------------------------------------------------------------


def test_live_widgets_are_those_the_pages_show_and_each_has_a_picture() -> None:
    pages = load(DOCS / "_extensions" / "site_pages.py")
    shown = {
        name: page.parent / picture
        for page in PAGES
        for name, _alt, picture in pages.LIVE.findall(page.read_text(encoding="utf-8"))
    }
    comments = {name for page in PAGES for name in re.findall(r"<!-- live: (\w+)", page.read_text(encoding="utf-8"))}
    assert set(shown) == comments, "a comment without its picture below"
    assert set(shown) == set(load(DOCS / "live.py").WIDGETS)
    assert all(picture.is_file() for picture in shown.values())


def test_a_page_for_the_site_has_frames_anchors_and_links_inside() -> None:
    pages = load(DOCS / "_extensions" / "site_pages.py")
    source = '<!-- live: heatmap -->\n![A: map](images/a.png)\n\n### <a id="rise"></a>RISE · `rise`\n\n[c](../../CONTRIBUTING.md#x) [n](../../notebooks/course/1-a.ipynb)'
    assert pages.for_the_site(source, 1) == (
        "```{live} heatmap\n:alt: A: map\n:picture: images/a.png\n```\n\n## RISE · `rise`\n\n[c](../contributing.md#x) "
        '<a href="../_notebooks/course/1-a.html">n</a>'
    )
    assert pages.slug("RISE · rise") == "rise"
    assert pages.slug("What a score means") == "what-a-score-means"


# --- formulas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if "$" in page.read_text(encoding="utf-8")], ids=names_of)
def test_every_formula_can_be_drawn(page: Path) -> None:
    draw = load(DOCS / "_extensions" / "mathml.py").mathml
    text = re.sub(r"```.*?```|`[^`\n]+`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for block, line in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, re.DOTALL):
        assert "<math" in draw(block or line, block=bool(block))


def test_a_fraction_of_two_digits_is_read_as_tex_reads_it() -> None:
    draw = load(DOCS / "_extensions" / "mathml.py").mathml
    assert draw(r"\tfrac12 a", block=False) == draw(r"\tfrac{1}{2} a", block=False)
    assert draw(r"\frac{12}{a}", block=False) != draw(r"\frac12 a", block=False)


# --- docstrings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (["Text with `code`, *stars* and", "snake_case."], [r"Text with ``code``, \*stars\* and snake\_case.", ""]),
        (["`a`s"], ["``a``\\ s", ""]),
        (
            ["Args:", "    x: one", "        more", "    *rest: others"],
            ["**Args**", "", "* ``x``: one more", "* ``*rest``: others", ""],
        ),
        (
            ["low   the least", "high  the most,", "      or more"],
            ["* ``low``: the least", "* ``high``: the most, or more", ""],
        ),
        (["Do this:", "    f(x)"], ["Do this:", "", "::", "", "        f(x)", ""]),
        (["    only code"], ["::", "", "        only code", ""]),
    ],
)
def test_docstrings_become_lists_and_code(source: list[str], wanted: list[str]) -> None:
    assert load(DOCS / "_extensions" / "docstrings.py").converted(source) == wanted


def test_the_reference_has_every_public_name() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    described = {name.rsplit(".", 1)[-1] for name in re.findall(r"auto\w+:: ([\w.]+)", text)}
    assert set(xw.__all__) - {"baselines"} <= described


# --- from other libraries ---------------------------------------------------------------------------------------------

COMING = DOCS / "coming-from.md"


def cells() -> Iterator[tuple[str, str]]:
    """What stands in the column "here" as code: (the other library's, ours)."""
    column = None
    for line in COMING.read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not row or set(line) <= set("|- "):
            column = column if row else None
        elif "here" in row:
            column = row.index("here")
        elif column is not None:
            for code in re.findall(r"`([^`]+)`", row[column]):
                if "(" in code or "." in code:
                    yield row[0], code


CELLS = list(cells())


@pytest.fixture(scope="module")
def scope(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page takes for granted."""
    generator = torch.Generator().manual_seed(0)
    model, reader = seeded(ScenesCNN, 0).eval(), seeded(SentenceClassifier, 0).eval()
    images = torch.rand((2, 3, 24, 24), generator=generator)
    background = torch.rand((4, 3, 24, 24), generator=generator)
    labels = torch.tensor([0, 1, 2, 3])
    index = xw.TrainingIndex.build(model, (background, labels), checkpoints=[model.state_dict()], progress=False)
    tokenizer = WordTokenizer(vocabulary())
    writer = seeded(Writer, 0).eval()
    a = xw.attribute(model, images, target=3, steps=9)
    w = xw.explain(writer, "the film was", tokenizer=tokenizer, generate=2, method="input_x_gradient").wait()
    return {
        "xw": xw, "torch": torch, "hotflip": hotflip, "model": model, "images": images, "background": background,
        "names": [f"class {number}" for number in range(20)], "index": index, "reader": reader, "tokenizer": tokenizer,
        "text": "the film was not very good .", "writer": writer, "prompt": "the film was", "a": a, "w": w,
    }  # fmt: skip


class Writer(torch.nn.Module):
    """The smallest language model: the next word from the mean of those so far. Logits [batch, words, vocabulary]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(len(WordTokenizer(vocabulary())), 8)
        self.head = torch.nn.Linear(8, self.embed.num_embeddings)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        words = self.embed(input_ids)
        so_far = words.cumsum(1) / torch.arange(1, words.shape[1] + 1)[:, None]
        return self.head(so_far)


@pytest.mark.parametrize("code", [ours for _, ours in CELLS])
def test_what_replaces_another_librarys_call_runs(code: str, scope: dict[str, Any]) -> None:
    try:
        got = eval(code, scope)
    except SyntaxError:
        exec(code, scope)
        got = scope["w"]
    assert got is not None
    if isinstance(got, xw.Scoreboard):
        got.close()  # it took what it was given; the table itself is tested elsewhere
    elif hasattr(got, "wait"):
        assert got.wait(60).status == "ready"


def test_the_tables_of_other_libraries_are_read() -> None:
    assert len(CELLS) > 60
    assert {"`infidelity(…)`, `sensitivity_max(…)`", "datapoint editor", "HotFlip"} <= {theirs for theirs, _ in CELLS}


# --- the whole --------------------------------------------------------------------------------------------------------


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="the docs extra is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy", "-D", "live_widgets=0", DOCS, tmp_path],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
