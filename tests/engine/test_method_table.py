"""The registry as a table, in a terminal and in a notebook."""

import dataclasses

import xaiwidgets as xw
from xaiwidgets.engine.method_table import MethodTable


def test_every_method_has_a_line_with_family_needs_and_reference():
    table = xw.methods()
    lines = repr(table).splitlines()
    assert len(lines) == len(table) + 2
    for line, method in zip(lines[2:], table, strict=True):
        name, family = line.split()[:2]
        assert (name, family) == (method.name, method.family)
        assert all(need in line for need in method.needs)
        assert method.reference[:40] in line
    assert max(map(len, lines)) < 140


def test_it_is_still_a_tuple_and_can_be_narrowed_to_a_family():
    paths = xw.methods("path")
    assert isinstance(paths, tuple)
    assert {method.family for method in paths} == {"path"}
    assert "saliency" not in repr(paths)


def test_texts_are_escaped_in_a_notebook():
    hostile = dataclasses.replace(xw.methods()[0], reference="<script>alert(1)</script>", summary="a < b")
    page = MethodTable([hostile])._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &lt; b" in page
