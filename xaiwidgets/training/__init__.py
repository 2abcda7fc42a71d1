"""Which training examples made the model say so: an index of per-example gradients, and questions to it.

Names load when they are first used: `evaluation` and `retraining` are modules of their own.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dynamics import Dynamics, DynamicsRecorder
    from .index import TrainingIndex
    from .influence import Influence, load_influence
    from .methods.influence_functions import group_influence
    from .shapley_values import knn_shapley
    from .vog import variance_of_gradients

_HOMES = {
    "Dynamics": "dynamics",
    "DynamicsRecorder": "dynamics",
    "Influence": "influence",
    "TrainingIndex": "index",
    "evaluation": "evaluation",
    "group_influence": "methods.influence_functions",
    "knn_shapley": "shapley_values",
    "load_influence": "influence",
    "retraining": "retraining",
    "variance_of_gradients": "vog",
}
_MODULES = {"evaluation", "retraining"}

__all__ = [
    "Dynamics", "DynamicsRecorder", "Influence", "TrainingIndex", "group_influence", "knn_shapley", "load_influence",
    "variance_of_gradients",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{home}", __name__)
    return module if name in _MODULES else getattr(module, name)
