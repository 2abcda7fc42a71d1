"""Runs the tests of the hosts and writes what they found into docs/hosts.md: `python docs/host_table.py`, or with the
files of earlier runs (`pytest --junitxml`): `python docs/host_table.py build/hosts.xml …`.

A test in tests/hosts says which cells of the table it stands for with `record_property("host", [host, kind, scenario])`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "hosts.md"
RESULTS = ROOT / "build" / "hosts.xml"
KINDS = {"heatmap": "Heatmap", "path": "Path", "tokens": "Tokens", "examples": "Examples", "scoreboard": "Scoreboard"}
SCENARIOS = ("render", "drag", "kernel", "views", "theme", "error", "re-run")
BEGIN, END = "<!-- table: python docs/host_table.py -->", "<!-- end of table -->"


def read(paths: list[Path]) -> dict[str, dict[str, dict[str, str]]]:
    """Outcomes ("passed", "failed", "skipped") by host, kind and scenario; a failure weighs most, a skip least."""
    weight = ["skipped", "passed", "failed"]
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for case in (case for path in paths for case in ET.parse(path).iter("testcase")):  # noqa: S314  # our own files
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        for one in case.iter("property"):
            if one.get("name") == "host":
                host, kind, scenario = ast.literal_eval(one.get("value", ""))
                row = found[host][kind]
                row[scenario] = max(row.get(scenario, "skipped"), outcome, key=weight.index)
    return found


def cell(outcomes: dict[str, str]) -> str:
    """All that passed, in a reader's order; what failed is named."""
    order = [*SCENARIOS, *sorted(outcomes.keys() - set(SCENARIOS))]
    failed = [name for name in order if outcomes.get(name) == "failed"]
    passed = [name for name in order if outcomes.get(name) == "passed"]
    if failed:
        return "**fails: " + ", ".join(failed) + "**"
    if set(passed) >= set(SCENARIOS):
        passed = ["all", *passed[len(SCENARIOS) :]]
    return ", ".join(passed) or "—"


def table(paths: list[Path]) -> str:
    """The table in Markdown."""
    found = read(paths)
    lines = ["| host | " + " | ".join(KINDS.values()) + " |", "|---|" + "---|" * len(KINDS)]
    lines += [
        f"| {host} | " + " | ".join(cell(found[host][kind]) for kind in KINDS) + " |"
        for host in sorted(found, key=str.lower)
    ]
    return "\n".join(lines)


def main() -> None:
    """Run, unless a file of results is named; write."""
    paths = [Path(name) for name in sys.argv[1:]] or [RESULTS]
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, "-m", "pytest", "tests/hosts", f"--junitxml={RESULTS}"], cwd=ROOT, check=False)  # noqa: S603
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(paths)}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
