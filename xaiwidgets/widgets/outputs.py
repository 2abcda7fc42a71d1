"""What IPython keeps of a cell's outputs."""

from typing import Any


def forget(result: Any) -> None:
    """Take a result out of IPython's history (`Out[5]`, `_5`), which holds every output of a cell that is run again.

    The last three outputs (`_`, `__`, `___`) stay: they make room on their own.
    """
    from IPython import get_ipython  # noqa: PLC0415  # only in a notebook

    shell = get_ipython()
    if shell is None:
        return
    history = shell.user_ns.get("_oh", {})
    for number in [number for number, kept in list(history.items()) if kept is result]:
        del history[number]
        for names in (shell.user_ns, shell.user_ns_hidden):
            if names.get(f"_{number}") is result:
                del names[f"_{number}"]
