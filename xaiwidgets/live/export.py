"""Widgets in a page of their own: state, code and styles inlined, no network, no kernel.

`embed` is one widget's place and state, `runtime` the code that brings all of a page's widgets to life, `page` a whole
page with one. Text inside a script element ends at the first `</script`, whatever its type, so every `<` of the state
is written as its JSON escape, and the script's `</script` and `<!--` (only ever inside its string literals) as
JavaScript escapes. The state holds labels from anywhere: nothing in it is ever parsed as HTML.
"""

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 1rem; font-family: system-ui, sans-serif; }}
h1 {{ font-size: 1rem; font-weight: 600; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee; }} }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{widget}
</main>
{runtime}
</body>
</html>
"""

_EMBED = """<div class="xaiwidget"><div>{fallback}</div><script type="application/json">{state}</script></div>"""

# The script imports the parts from blobs: a content security policy needs `script-src 'unsafe-inline' blob:`, no more.
_RUNTIME = """<script type="application/json" id="xaiwidgets-parts">{parts}</script>
<script type="module">{script}</script>"""


def page(state: dict[str, Any], script: str, parts: Mapping[str, bytes], *, title: str, fallback: str) -> str:
    """The text of a page with one widget; see `embed` and `runtime`."""
    name = html.escape(_encodable(title))
    return _PAGE.format(title=name, widget=embed(state, fallback), runtime=runtime(script, parts))


def embed(state: dict[str, Any], fallback: str) -> str:
    """A widget's place in a page. `state`: traits by name, bytes allowed; `fallback`: HTML shown until the script runs."""
    return _EMBED.format(state=_json(state), fallback=fallback)


def runtime(script: str, parts: Mapping[str, bytes]) -> str:
    """What a page needs once, after all its widgets: the `page.js` and the parts of `assets.parts`."""
    return _RUNTIME.format(
        parts=_json(dict(parts)), script=re.sub(r"<(?=!--|/?script)", r"\\x3c", script, flags=re.IGNORECASE)
    )


def _json(value: dict[str, Any]) -> str:
    """For a script element; bytes at any depth as {"__bytes": base64}."""
    return json.dumps(value, default=_encode, allow_nan=False).replace("<", "\\u003c")


def _encodable(text: str) -> str:
    """Without lone surrogates (half an emoji), which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _encode(value: object) -> dict[str, str]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"__bytes": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"cannot export a {type(value).__name__} trait")
