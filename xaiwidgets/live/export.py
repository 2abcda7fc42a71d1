"""Widgets in a page of their own: state, bundle and style sheet inlined, no network, no kernel.

`embed` is one widget's place and state, `runtime` the code that brings all of a page's widgets to life, `page` a whole
page with one. Text inside a script element ends at the first `</script`, whatever its type, so every `<` of the state
is written as its JSON escape, and the bundle's `</script` and `<!--` (only ever inside its string literals) as
JavaScript escapes. The state holds labels from anywhere: nothing in it is ever parsed as HTML.
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

# Nothing can be imported from an inline module, so the page imports the bundle from a blob, which a content security
# policy of `script-src 'unsafe-inline' blob:` allows.
_RUNTIME = """<style>{css}</style>
<script type="text/plain" id="xaiwidgets-bundle">{bundle}</script>
<script type="module">
const source = document.getElementById("xaiwidgets-bundle").textContent;
const url = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
const {{ mountStatic }} = await import(url);
for (const widget of document.querySelectorAll(".xaiwidget")) {{
  const [place, state] = widget.children;
  place.replaceChildren();
  mountStatic(place, JSON.parse(state.textContent));
}}
URL.revokeObjectURL(url);
</script>"""


def page(state: dict[str, Any], bundle: str, css: str, *, title: str, fallback: str) -> str:
    """The text of a page with one widget; see `embed` and `runtime`."""
    name = html.escape(_encodable(title))
    return _PAGE.format(title=name, widget=embed(state, fallback), runtime=runtime(bundle, css))


def embed(state: dict[str, Any], fallback: str) -> str:
    """A widget's place in a page. `state`: traits by name, bytes allowed; `fallback`: HTML shown until the script runs."""
    text = json.dumps(state, default=_encode, allow_nan=False).replace("<", "\\u003c")
    return _EMBED.format(state=text, fallback=fallback)


def runtime(bundle: str, css: str) -> str:
    """What a page needs once, after all its widgets."""
    return _RUNTIME.format(
        css=css.replace("</", "<\\/"),
        bundle=re.sub(r"<(?=!--|/?script)", r"\\x3c", bundle, flags=re.IGNORECASE),
    )


def _encodable(text: str) -> str:
    """Without lone surrogates (half an emoji), which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _encode(value: object) -> dict[str, str]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"__bytes": base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"cannot export a {type(value).__name__} trait")
