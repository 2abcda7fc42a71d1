"""Errors as the widget shows them: a title, what to do, and a detail to copy."""

import traceback
from typing import Any

from xaiwidgets.engine.errors import ExplainError


def explain_error(error: BaseException) -> dict[str, Any]:
    """`{code, title, detail, hint}` for the `error` trait."""
    if isinstance(error, ExplainError):
        return {"code": error.code, "title": error.title, "detail": error.detail, "hint": error.hint}
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({frame.name}, line {frame.lineno})" for frame in last)
    return {
        "code": "unexpected",
        "title": f"{type(error).__name__}: {error}"[:500],
        "detail": "".join(traceback.format_exception(error))[-4000:],
        "hint": f"The model or a callable it uses raised this{where}. Call w.wait() to see the whole traceback.",
    }
