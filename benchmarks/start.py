"""What is loaded, sent and saved: seconds to import, bytes of the front end, of a notebook and of an update."""

import gzip
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, weigh

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "xaiwidgets" / "static"
IMPORTS = {True: 5, False: 2}  # whether it has a budget
MEGABYTE = 1e6

IMPORT = """
import sys, time
started = time.perf_counter(), time.process_time()
{statement}
print(time.perf_counter() - started[0], time.process_time() - started[1], int("torch" in sys.modules))
"""

NOTEBOOK = """
import torch, xaiwidgets as xw
from xaiwidgets.examples import photographs, scenes
example = scenes()
pictures = []
for name, pixels in list(photographs().items()) * 2:
    whole = torch.from_numpy(pixels).permute(2, 0, 1).float()[None] / 255
    side = min(whole.shape[2:])
    place = slice(0, side) if len(pictures) < 6 else slice(-side, None)
    square = whole[..., place, place]
    pictures.append(torch.nn.functional.interpolate(square, (224, 224), mode="bilinear", antialias=True).clamp(0, 1))
"""


def rows() -> Iterator[Row]:
    yield from imports()
    yield from front_end()
    yield from notebook()
    yield from update()


def imports() -> Iterator[Row]:
    """In fresh interpreters. Wall time is what a person waits, but on a busy machine it waits for others too."""
    statements = {
        "import xaiwidgets": 0.5,
        "import xaiwidgets; xaiwidgets.attribute": None,
        "import xaiwidgets; xaiwidgets.explain": None,
        "import torch": None,
    }
    for statement, limit in statements.items():
        runs = []
        for _ in range(IMPORTS[limit is not None]):
            command = [sys.executable, "-c", IMPORT.format(statement=statement)]
            runs.append(
                [
                    float(number)
                    for number in subprocess.run(
                        command, capture_output=True, text=True, check=True, cwd=ROOT
                    ).stdout.split()
                ]
            )
        wall, cpu, torch = (statistics.median(column) for column in zip(*runs, strict=True))
        loaded = "with torch" if torch else "without torch"
        yield Row(
            f"{statement}: wall (CPU)",
            f"{1000 * wall:.1f} ms ({1000 * cpu:.1f} ms), {loaded}",
            figure=wall,
            limit=limit,
            unit="s",
        )
        if limit is not None:
            yield Row("  torch loaded by it", "yes" if torch else "no", figure=torch, limit=0, unit="")


def front_end() -> Iterator[Row]:
    kinds = json.loads((STATIC / "parts.json").read_text())
    carried = {"loader.js": (["loader.js"], 0.6)}
    for kind, names in kinds.items():
        code = [name for name in names if name.endswith(".js")]
        carried[f"code of a {kind} widget"] = (["assemble.js", *code], 45.0)
        carried[f"  styles of a {kind} widget"] = ([name for name in names if name not in code], None)
    for what, (names, limit) in carried.items():
        files = [(STATIC / name).read_bytes() for name in names]
        raw, packed = (sum(map(len, some)) / 1000 for some in (files, [gzip.compress(data, 9) for data in files]))
        yield Row(f"{what}: raw, gzip", f"{raw:.1f} kB, {packed:.1f} kB", figure=packed, limit=limit, unit="kB")


def notebook() -> Iterator[Row]:
    """Ten widgets over photographs, executed and saved as JupyterLab saves them."""
    import nbformat

    from xaiwidgets.live.notebook import WIDGET_STATE, execute

    cells = [
        NOTEBOOK,
        *(f"xw.explain(example.model, pictures[{index}], labels=example.names).wait()" for index in range(10)),
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    execute(book, ROOT)
    states = book.metadata["widgets"][WIDGET_STATE]["state"]
    saved = len(nbformat.writes(book))
    fallback = sum(
        len(json.dumps(output.data["text/html"]))
        for cell in book.cells
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    )
    state = len(json.dumps(states))
    widgets = [model for model in states.values() if model["state"].get("_kind") == "heatmap"]
    if len(widgets) != 10:
        raise RuntimeError(f"{len(widgets)} of 10 widgets were saved")
    yield Row(
        "notebook with ten widgets on 3 × 224 × 224: widgets only",
        f"{state / MEGABYTE:.2f} MB",
        figure=state / MEGABYTE,
        limit=1,
        unit="MB",
    )
    yield Row(
        "  whole file, with the pictures shown where no script runs",
        f"{saved / MEGABYTE:.2f} MB",
        figure=saved / MEGABYTE,
        unit="MB",
    )
    yield Row("  those pictures", f"{fallback / 1000:.0f} kB")
    parts = {
        "the core, once (code, styles, methods)": sum(
            len(json.dumps(model)) for model in states.values() if model["state"].get("_kind") == "core"
        )
    }
    for name in ("map_data", "image"):
        parts[f"{name} of ten"] = sum(
            len(buffer["data"]) for model in widgets for buffer in model["buffers"] if buffer["path"] == [name]
        )
    parts["menus of ten (methods and their parameters)"] = sum(
        len(json.dumps(model["state"]["methods"])) for model in widgets
    )
    parts["everything else"] = state - sum(parts.values())
    for name, size in parts.items():
        yield Row(f"  of it {name}", f"{size / 1000:.0f} kB")


def update() -> Iterator[Row]:
    """What one changed setting sends to the page, measured where the messages leave."""
    import torch

    import xaiwidgets as xw
    from benchmarks.networks import photo, resnet18
    from xaiwidgets.widgets.heatmap import HeatmapOverlay

    sent: list[int] = []

    class Weighed(HeatmapOverlay):
        def _send(self, msg: Any, buffers: Any = None) -> None:
            sent.append(weigh(msg) + sum(map(len, buffers or [])))
            super()._send(msg, buffers)

    torch.set_num_threads(1)
    with xw.explain(resnet18(), photo(), steps=17) as widget:
        widget.wait()
        widget.__class__ = Weighed
        widget.params = {**widget.params, "target": 3}
        widget.wait()
        yield Row(
            "a new question on 3 × 224 × 224, random ResNet-18: largest message",
            f"{max(sent) / 1000:.1f} kB of {len(sent)} messages",
            figure=max(sent) / MEGABYTE,
            limit=1,
            unit="MB",
        )
        sent.clear()
        widget.params = {**widget.params, "target": None}
        widget.wait()
        yield Row("  going back to a kept result: all messages", f"{sum(sent) / 1000:.1f} kB")
