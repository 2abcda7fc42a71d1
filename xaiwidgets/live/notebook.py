"""A notebook as one HTML page in which the widgets work without a kernel and without a network.

    python -m xaiwidgets.live.notebook lesson.ipynb --execute --output lesson.html

Jupyter's own export loads its widget manager from the network. Here each widget's saved state is put in place, and the
code of the kinds shown once for the page. Needs nbconvert (the `demo` extra); widgets of other libraries stay as nbconvert renders them.
What a cell's picture shows is said by the cell's metadata, under "alt".
"""

import argparse
import base64
import copy
import functools
import html
import operator
import re
from pathlib import Path
from typing import Any

from xaiwidgets.live.assets import asset, parts
from xaiwidgets.live.export import embed, runtime

FORMULAS = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.7/latest.js?config=TeX-AMS_CHTML-full,Safe"
"""Only pages with formulas ask the network for MathJax (nbconvert's own address); without it they show their source."""
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def execute(notebook: Any, folder: Path) -> None:
    """Run every cell in place, with the widgets' final state saved."""
    from nbclient import NotebookClient  # noqa: PLC0415  # an extra

    NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}, store_widget_state=True
    ).execute()


def convert(notebook: Any) -> str:
    """The page."""
    from nbconvert import HTMLExporter  # noqa: PLC0415  # an extra

    # ours go into the page one by one; what is left is for Jupyter's own widget manager
    states = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    kinds = set()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if cell.metadata.get("alt") and "image/png" in data:  # which nbconvert does not hand on
                data["text/html"] = _described(data.pop("image/png"), cell.metadata["alt"])
            model = states.get(data.get(WIDGET_VIEW, {}).get("model_id"))
            if model is not None and model["state"].get("_kind"):
                kinds |= {model["state"]["_kind"], *(["trust"] if model["state"].get("trust") else [])}
                del data[WIDGET_VIEW]
                data["text/html"] = embed(_traits(model, states), data.get("text/html", ""))
    if all("_kind" in model["state"] or model["model_module"] == "@jupyter-widgets/base" for model in states.values()):
        notebook.metadata.pop("widgets", None)
    exporter = HTMLExporter(require_js_url="", mathjax_url=FORMULAS if _has_formulas(notebook) else "")
    body, _resources = exporter.from_notebook_node(notebook)
    return str(body).replace("</body>", runtime(asset("page.js"), parts(*sorted(kinds))) + "\n</body>", 1)


def _described(picture: str, alt: str) -> str:
    data = html.escape("".join(picture.split()))  # a file's word, not always base64
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">'


def _has_formulas(notebook: Any) -> bool:
    texts = (CODE.sub("", cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    return any("$" in text for text in texts)


def _traits(model: dict[str, Any], states: dict[str, Any]) -> dict[str, Any]:
    """A saved model's public traits, with its buffers back in their places and its methods described."""
    state = copy.deepcopy(dict(model["state"]))
    core = states.get(str(state.get("_core")).removeprefix("anywidget:"), {"state": {}})["state"]
    known = {method["name"]: method for method in core.get("methods", [])}
    state["methods"] = [known.get(entry, entry) if isinstance(entry, str) else entry for entry in state["methods"]]
    for buffer in model.get("buffers", []):
        *outer, name = buffer["path"]
        functools.reduce(operator.getitem, outer, state)[name] = base64.b64decode(buffer["data"])
    return {name: value for name, value in state.items() if name == "_kind" or not name.startswith("_")}


def main() -> None:
    """The command line."""
    import nbformat  # noqa: PLC0415  # an extra

    parser = argparse.ArgumentParser(description="Write a notebook as one HTML page whose widgets work offline.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--output", type=Path, help="default: beside the notebook")
    parser.add_argument("--execute", action="store_true", help="run the notebook first; it is not changed on disk")
    arguments = parser.parse_args()
    notebook = nbformat.read(arguments.notebook, as_version=4)
    if arguments.execute:
        execute(notebook, arguments.notebook.parent)
    output = arguments.output or arguments.notebook.with_suffix(".html")
    output.write_text(convert(notebook), encoding="utf-8")
    print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
