"""The table of metrics in docs/metrics.md, from the metrics themselves: `python docs/metric_table.py` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from xaiwidgets.metrics.evaluation import metrics
from xaiwidgets.metrics.metric_table import ARROWS
from xaiwidgets.metrics.registry import FAMILIES, Metric

PAGE = Path(__file__).with_name("metrics.md")
MARKS = re.compile(r"(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.DOTALL)
COLUMNS = ("metric", "", "measures", "a good value means", "it cannot tell", "range", "asks for")
WORDS = {
    "method": "a method, to run it again", "module": "a torch module", "others": "two attributions",
    "model_trained_otherwise": "a model trained otherwise", "image": "images", "text": "texts", "mask": "`mask=`",
    "gradient": "a gradient",
}  # fmt: skip


def table() -> str:
    """One table a family, with the families in the order of the menus."""
    parts = []
    for family, title in FAMILIES.items():
        lines = [COLUMNS, tuple("---" for _ in COLUMNS)]
        lines += [_cells(metric) for metric in metrics() if metric.family == family]
        if len(lines) > 2:
            text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
            parts.append(f"### {title[0].upper()}{title[1:]}\n\n{text}\n".replace("|  |", "| |"))
    return "\n".join(parts)


def updated() -> str:
    """The page with the table as it should be."""
    return MARKS.sub(lambda marks: f"{marks[1]}\n{table()}\n{marks[2]}", PAGE.read_text(encoding="utf-8"))


def _cells(metric: Metric) -> tuple[str, ...]:
    low, high = ("" if bound is None else f"{bound:g}" for bound in metric.range)
    between = f"{low or '−∞'} to {high or '∞'}".replace("-", "−") if low or high else "of the score"
    source = re.findall(r"arXiv:[\d.]+\d|doi:[^\s;]+", metric.reference)
    asks = ", ".join(WORDS[ask] for ask in metric.asks)
    named = f"`{metric.name}` <br> {metric.title}" + (f" <br> {source[0]}" if source else "")
    return named, ARROWS[metric.direction], metric.summary, metric.tells, metric.cannot, between, asks


if __name__ == "__main__":
    PAGE.write_text(updated(), encoding="utf-8")
