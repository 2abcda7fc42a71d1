"""What the pages in docs/metrics/ say of the metrics, from the metrics themselves: `python docs/metric_pages.py` writes it anew.

The table in index.md, and on each metric's own page what it needs, what its value means, and its settings. What stands around the
marks is written by hand; a metric without a page gets one to begin with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from xaiwidgets.engine.registry import Parameter
from xaiwidgets.metrics.evaluation import metrics
from xaiwidgets.metrics.metric_table import ARROWS
from xaiwidgets.metrics.registry import FAMILIES, Metric

FOLDER = Path(__file__).with_name("metrics")
COLUMNS = ("metric", "", "measures", "asks for")
WORDS = {
    "method": "a method, to run it again", "module": "a torch module", "others": "two attributions",
    "model_trained_otherwise": "a model trained otherwise", "image": "images", "text": "texts", "mask": "`mask=`",
    "gradient": "a gradient",
}  # fmt: skip
BETTER = {"lower": "↓ lower values speak for the map", "higher": "↑ higher values speak for the map", "none": "neither"}
NEW = "# {title}\n\n[All metrics](index.md)\n\n<!-- facts -->\n<!-- /facts -->\n"


def ours() -> list[Metric]:
    """The metrics that come with the package, in the order of the menus."""
    return [metric for metric in metrics() if metric.run.__module__.startswith("xaiwidgets.")]


def updated() -> dict[Path, str]:
    """Every page with what it should say."""
    index = FOLDER / "index.md"
    pages = {index: _between("metrics", index.read_text(encoding="utf-8"), f"\n{_families()}\n")}
    for metric in ours():
        page = FOLDER / f"{metric.name}.md"
        text = page.read_text(encoding="utf-8") if page.exists() else NEW.format(title=metric.title)
        pages[page] = _between("facts", text, _facts(metric))
    return pages


def _between(name: str, text: str, new: str) -> str:
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    return re.sub(f"{start}.*?{end}", lambda _: f"{start}{new}{end}", text, flags=re.DOTALL)


def _families() -> str:
    """One table a family."""
    parts = []
    for family, title in FAMILIES.items():
        if rows := [_cells(metric) for metric in ours() if metric.family == family]:
            parts.append(f"### {title[0].upper()}{title[1:]}\n\n{_table(COLUMNS, rows)}")
    return "\n".join(parts)


def _cells(metric: Metric) -> tuple[str, ...]:
    named = f"[{metric.title}]({metric.name}.md) <br> `{metric.name}`"
    return named, ARROWS[metric.direction], metric.summary, _asks(metric)


def _facts(metric: Metric) -> str:
    rows = [
        ("asked for as", f'`metrics=["{metric.name}"]`'),
        ("measures", metric.summary),
        ("better", BETTER[metric.direction]),
        ("range", _range(metric)),
        ("asks for", _asks(metric) or "values of any origin"),
        ("a good value means", metric.tells),
        ("it cannot tell", metric.cannot),
        ("source", metric.reference),
    ]
    facts = _table(("", ""), rows)
    settings = [(f"`{one.name}`", _default(one), _choices(one)) for one in metric.parameters]
    return f"{facts}\n{_table(('setting', 'default', 'what it does'), settings)}" if settings else facts


def _default(parameter: Parameter) -> str:
    default = parameter.default
    return f"`{default:.3g}`" if isinstance(default, float) else f"`{default!r}`".replace("'", '"')


def _choices(parameter: Parameter) -> str:
    some = ", ".join(f'`"{choice}"`' for choice in parameter.choices or ())
    bounds = "" if parameter.low is None or parameter.high is None else f"{parameter.low:g} to {parameter.high:g}"
    said = some or bounds
    return f"{parameter.help or parameter.title} {f'({said})' if said else ''}".strip()


def _range(metric: Metric) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in metric.range)
    return f"{low or '−∞'} to {high or '∞'}".replace("-", "−") if low or high else "of the score"


def _asks(metric: Metric) -> str:
    return ", ".join(WORDS[ask] for ask in metric.asks)


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{text}\n".replace("|  |", "| |")


if __name__ == "__main__":
    for path, text in updated().items():
        path.write_text(text, encoding="utf-8")
