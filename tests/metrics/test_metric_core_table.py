"""One table, in the terminal, a notebook, and elsewhere."""

from __future__ import annotations

import csv
import html.parser
import io
import math

import pytest
import torch

from xaiwidgets.metrics.result import Result
from xaiwidgets.metrics.table import Column, Row, Table


def result(*values: float, final: bool = True, error: Exception | None = None) -> Result:
    return Result(torch.tensor(values), metric="m", final=final, error=error)


def table() -> Table:
    columns = (
        Column("deletion", "Deletion", "lower", "Good.", "Bad."),
        Column("insertion", "Insertion", "higher"),
        Column("sparse_ness", "<b>Sparseness</b>", "none"),
    )
    rows = (
        Row("saliency", False, {"deletion": result(0.2, 0.4), "insertion": result(0.5), "sparse_ness": result(9.0)}),
        Row("<script>x</script>", False, {"deletion": result(0.1, 0.3), "insertion": result(0.9, final=False)}),
        Row("=cmd|'x'", False, {"deletion": result(math.nan), "insertion": result(0.1, error=ValueError("no"))}),
        Row("random", True, {"deletion": result(0.0), "insertion": result(1.0), "sparse_ness": result(1.0)}),
    )
    return Table(columns, rows)


def test_the_best_is_marked_where_there_is_one() -> None:
    found = table()
    assert found.best(found.columns[0]) == {"<script>x</script>"}, "not the control, not what is unknown"
    assert found.best(found.columns[1]) == {"<script>x</script>"}
    assert found.best(found.columns[2]) == frozenset(), "no direction"
    alone = Table(found.columns, found.rows[:1])
    assert alone.best(alone.columns[0]) == frozenset(), "nothing to be better than"
    equal = Table(found.columns, (found.rows[0], Row("same", False, found.rows[0].results)))
    assert equal.best(equal.columns[0]) == {"saliency", "same"}


def test_text() -> None:
    lines = str(table()).splitlines()
    assert "deletion ↓" in lines[0]
    assert "insertion ↑" in lines[0]
    assert lines[0].rstrip().endswith("sparse_ness"), "no arrow without a direction"
    assert "0.3 [0.2, 0.4]" in lines[2]
    assert "0.2 [0.1, 0.3]*" in lines[3]
    assert "0.9 …*" in lines[3], "not final"
    assert "–" in lines[3], "not there"
    assert "undefined" in lines[4]
    assert "failed" in lines[4]
    assert lines[5].startswith("(random)")
    starts = {line.index("0") for line in lines[2:4]}
    assert len(starts) == 1, "aligned"


class Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_is_escaped_and_without_script() -> None:
    reader = Reader()
    reader.feed(table()._repr_html_())
    assert "script" not in reader.tags
    assert "<script>x</script>" in reader.texts
    assert not any(name.startswith("on") for name in reader.attributes)
    assert reader.tags.count("tr") == 5
    assert reader.tags.count("caption") == 1


def test_csv_is_read_back_and_runs_nothing() -> None:
    head, *rows = csv.reader(io.StringIO(table().to_csv()))
    assert head[:4] == ["attribution", "deletion", "deletion_low", "deletion_high"]
    assert rows[0][0] == "saliency"
    assert float(rows[0][1]) == float(table().rows[0].results["deletion"]), "all digits"
    assert rows[2][0] == "'=cmd|'x'", "a spreadsheet would run it"
    assert rows[2][1] == ""


def test_markdown() -> None:
    lines = table().to_markdown().splitlines()
    assert lines[0] == r"| attribution | deletion ↓ | insertion ↑ | sparse\_ness |"
    assert lines[1] == "| :--- | ---: | ---: | ---: |"
    assert lines[3].startswith("| &lt;script&gt;x&lt;/script&gt; | **0.2 [0.1, 0.3]** |")
    assert r"=cmd\|'x'" in lines[4]
    assert {line.replace(r"\|", "").count("|") for line in lines} == {5}


def test_latex() -> None:
    found = table().to_latex()
    assert r"deletion $\downarrow$ & insertion $\uparrow$ & sparse\_ness \\" in found
    assert r"\textbf{0.2 [0.1, 0.3]}" in found
    assert found.count(r"\\") == 5
    assert found.startswith(r"\begin{tabular}{lrrr}")


def test_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table().to_dict()).set_index("attribution")
    assert frame.loc["saliency", "deletion_low"] == pytest.approx(0.2)
    assert frame["insertion"].isna().tolist() == [False, False, True, False]
    assert len(frame.columns) == 9
