"""Where a picture comes from: goes into every export."""

from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from xaiwidgets.engine.attribution import Attribution


def provenance(model_name: str, attribution: Attribution, target: int | None, foil: int | None) -> dict[str, Any]:
    """Model, method, parameters and versions as plain values."""
    return {
        "model": model_name,
        "method": attribution.method,
        "parameters": {
            name: value if isinstance(value, (bool, int, float, str)) else type(value).__name__
            for name, value in attribution.parameters.items()
        },
        "target": target,
        "foil": foil,
        "versions": versions(),
    }


@cache
def versions() -> dict[str, str]:
    """Of the packages that compute."""
    return {"xaiwidgets": version("xaiwidgets"), "torch": torch.__version__}
