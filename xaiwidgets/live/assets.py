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
    listed: dict[str, list[str]] = json.loads(asset("parts.json"))
    return {name: _deflated(name) for kind in kinds for name in listed.get(kind, [])}


@cache
def _deflated(name: str) -> bytes:
    return zlib.compress(asset(name).encode(), 9)
