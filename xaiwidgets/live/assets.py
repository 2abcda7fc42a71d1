"""The built front end. It travels in parts: what a kind of widget needs, deflated, put together in the page.

`assemble.js` does that for the hidden core and for widgets that carry their own parts, `page.js` for exported pages,
`loader.js` asks the core. `parts.json` lists the files of each kind; their names hold a hash of their content.
"""

import json
import zlib
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parents[1] / "static"


@cache
def asset(name: str) -> str:
    """A built file's text. Raises RuntimeError if the front end was not built."""
    path = STATIC / name
    if not path.exists():
        raise RuntimeError(
            f"{path} is missing: the front end is not built. Run `make build`, or reinstall with `pip install -e .`"
        )
    return path.read_text(encoding="utf-8")


def parts(*kinds: str) -> dict[str, bytes]:
    """What widgets of these kinds are drawn with: deflated files by name. Nothing for a kind that was not built."""
    known = all_kinds()
    return {name: _deflated(text) for kind in kinds for name, text in known.get(kind, {}).items()}


@cache
def all_kinds() -> dict[str, dict[str, str]]:
    """Every kind's files. Read at once: later they may be gone, with another build or an upgrade."""
    return {kind: {name: asset(name) for name in names} for kind, names in json.loads(asset("parts.json")).items()}


@cache
def _deflated(text: str) -> bytes:
    return zlib.compress(text.encode(), 9)
