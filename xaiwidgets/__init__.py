"""See why a PyTorch model said so, live, inside the notebook.

Names load when they are first used, so that importing the package costs neither torch nor a second.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaiwidgets.api import Session, attribute, load, methods, stream
    from xaiwidgets.engine import baselines
    from xaiwidgets.engine.attribution import Attribution
    from xaiwidgets.engine.errors import ExplainError
    from xaiwidgets.engine.target import Contrast, Each, Neuron
    from xaiwidgets.metrics.evaluation import Evaluation, evaluate, metrics
    from xaiwidgets.training.index import TrainingIndex
    from xaiwidgets.widgets.compare import compare
    from xaiwidgets.widgets.example_gallery import ExampleGallery
    from xaiwidgets.widgets.explain import explain
    from xaiwidgets.widgets.explore_path import explore_path
    from xaiwidgets.widgets.heatmap import HeatmapOverlay
    from xaiwidgets.widgets.path_explorer import PathExplorer
    from xaiwidgets.widgets.scoreboard import Scoreboard
    from xaiwidgets.widgets.show import show
    from xaiwidgets.widgets.token_strip import TokenStrip
    from xaiwidgets.widgets.trace import trace

_HOMES = {
    "Attribution": "xaiwidgets.engine.attribution",
    "Contrast": "xaiwidgets.engine.target",
    "Each": "xaiwidgets.engine.target",
    "Evaluation": "xaiwidgets.metrics.evaluation",
    "ExampleGallery": "xaiwidgets.widgets.example_gallery",
    "ExplainError": "xaiwidgets.engine.errors",
    "HeatmapOverlay": "xaiwidgets.widgets.heatmap",
    "Neuron": "xaiwidgets.engine.target",
    "PathExplorer": "xaiwidgets.widgets.path_explorer",
    "Scoreboard": "xaiwidgets.widgets.scoreboard",
    "Session": "xaiwidgets.api",
    "TokenStrip": "xaiwidgets.widgets.token_strip",
    "TrainingIndex": "xaiwidgets.training.index",
    "attribute": "xaiwidgets.api",
    "baselines": "xaiwidgets.engine.baselines",
    "compare": "xaiwidgets.widgets.compare",
    "evaluate": "xaiwidgets.metrics.evaluation",
    "examples": "xaiwidgets.examples",
    "explain": "xaiwidgets.widgets.explain",
    "explore_path": "xaiwidgets.widgets.explore_path",
    "load": "xaiwidgets.api",
    "methods": "xaiwidgets.api",
    "metrics": "xaiwidgets.metrics.evaluation",
    "show": "xaiwidgets.widgets.show",
    "stream": "xaiwidgets.api",
    "trace": "xaiwidgets.widgets.trace",
    "training": "xaiwidgets.training",
}
_MODULES = {"baselines", "examples", "training"}

__all__ = [
    "Attribution", "Contrast", "Each", "Evaluation", "ExampleGallery", "ExplainError", "HeatmapOverlay", "Neuron",
    "PathExplorer", "Scoreboard", "Session", "TokenStrip", "TrainingIndex", "attribute", "baselines", "compare", "evaluate",
    "explain", "explore_path", "load", "methods", "metrics", "show", "stream", "trace",
]  # fmt: skip


class _Package(ModuleType):
    """Keeps `xaiwidgets.methods` and `xaiwidgets.metrics` functions: importing the folders of those names would put the folders in
    their place.
    """

    @property
    def methods(self) -> Any:
        """The registered attribution methods; see `xaiwidgets.api.methods`."""
        return importlib.import_module(_HOMES["methods"]).methods

    @methods.setter
    def methods(self, folder: ModuleType) -> None:
        """The import system sets submodules on their package; this one stays in `sys.modules` alone."""

    @property
    def metrics(self) -> Any:
        """The registered metrics; see `xaiwidgets.metrics.evaluation.metrics`."""
        return importlib.import_module(_HOMES["metrics"]).metrics

    @metrics.setter
    def metrics(self, folder: ModuleType) -> None:
        """As for methods."""


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # slow, and seldom asked

        return version("xaiwidgets")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'xaiwidgets' has no attribute {name!r}")
    module = importlib.import_module(home)
    return module if name in _MODULES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "examples", "training"])
