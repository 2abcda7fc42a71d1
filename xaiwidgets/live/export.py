"""A widget as one HTML page: state, bundle and style sheet inlined, no network, no kernel.

Text inside a script element ends at the first `</script`, whatever its type, so every `<` of the state is written as
its JSON escape, and the bundle's `</script` and `<!--` (only ever inside its string literals) as JavaScript escapes.
The state holds labels from anywhere: nothing in it is ever parsed as HTML.
"""

import base64
import html
import json
import re
from typing import Any

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 1rem; font-family: system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee; }} }}
{css}</style>
</head>
<body>
<main>
<h1 style="font-size: 1rem; font-weight: 600">{title}</h1>
<div id="xaiwidget">{fallback}</div>
</main>
<script type="application/json" id="xaiwidget-state">{state}</script>
<script type="text/plain" id="xaiwidget-bundle">{bundle}</script>
<script type="module">
{start}
</script>
</body>
</html>
"""

# Nothing can be imported from an inline module, so the page imports the bundle from a blob, which a content security
# policy of `script-src 'unsafe-inline' blob:` allows.
_START = """const source = document.getElementById("xaiwidget-bundle").textContent;
const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
const { mountStatic } = await import(url);
const state = JSON.parse(document.getElementById("xaiwidget-state").textContent);
const place = document.getElementById("xaiwidget");
place.replaceChildren();
mountStatic(place, state);
URL.revokeObjectURL(url);"""


def page(state: dict[str, Any], bundle: str, css: str, *, title: str, fallback: str) -> str:
    """The page's text. `state`: traits by name, bytes allowed; `fallback`: script-free HTML shown until the script runs."""
    return _PAGE.format(
        title=html.escape(title.encode("utf-8", "replace").decode()),
        css=css.replace("</", "<\\/"),
        fallback=fallback,
        state=json.dumps(state, default=_encode, allow_nan=False).replace("<", "\\u003c"),
        bundle=re.sub(r"<(?=!--|/?script)", r"\\x3c", bundle, flags=re.IGNORECASE),
        start=_START,
    )


def _encode(value: object) -> dict[str, str]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"__bytes": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"cannot export a {type(value).__name__} trait")
