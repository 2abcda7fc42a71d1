"""The line of progress of a build, and the names the package offers."""

import importlib

import pytest

from xaiwidgets import training
from xaiwidgets.training import preparing
from xaiwidgets.training.build import Progress


def progress(done: int, phase: str = "recording gradients") -> Progress:
    return Progress(done, 100, phase, 25.0, 3.0, 1000)


def test_the_line_is_for_long_builds_only(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(preparing.time, "perf_counter", lambda: now[0])
    line = preparing.Line()
    for seconds in (0.0, 1.0, 1.9):
        now[0] = seconds
        line(progress(10))
    line(progress(100, "done"))
    assert capsys.readouterr().err == ""
    for seconds in (2.5, 2.6, 3.0):
        now[0] = seconds
        line(progress(int(10 * seconds)))
    line(progress(100, "done"))
    written = capsys.readouterr().err
    assert written.count("\r") == 3
    assert "25 of 100 examples" in written
    assert written.endswith("\n")


@pytest.mark.parametrize("name", sorted(training._HOMES))
def test_every_name_is_there(name):
    assert getattr(training, name) is not None


def test_an_unknown_name_says_so():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("xaiwidgets.training").nothing  # noqa: B018
