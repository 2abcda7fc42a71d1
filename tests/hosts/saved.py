"""What JupyterLab saves after cells that show widgets were run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets
import nbformat

from xaiwidgets.widgets.frontend import core


def notebook(widgets: Iterable[Any], *, state: bool = True) -> nbformat.NotebookNode:
    """A cell a widget. `state`: whether *Save Widget State Automatically* is on."""
    widgets, cells = list(widgets), []
    for widget in widgets:
        data, _metadata = widget._repr_mimebundle_()
        output = nbformat.v4.new_output("execute_result", data, execution_count=1)
        cells.append(nbformat.v4.new_code_cell("widget", outputs=[output]))
    metadata: dict[str, Any] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    if state:
        models = [*widgets, *(widget.layout for widget in widgets), core(), core().layout]
        kept = ipywidgets.Widget.get_manager_state(widgets=models)
        metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": kept}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)
