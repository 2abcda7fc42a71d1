"""The exported page: whatever the labels say, it holds three scripts, and they are ours."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaiwidgets.live.export import page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</SCRIPT ><img src=x onerror=alert(1)>",
    "<!--",
    "<!-- <script>",
    "-->",
    "\"'><svg onload=alert(1)>",
    "'; alert(1); '",
    "\u202egnp.exe",
    "\u2028\u2029",
    "\ud83d",  # half an emoji
    "{title} {0} %s ${x} `y`",
    "</title></style></main>",
    "]]>",
    "\x00\x08",
    "&lt;b&gt; &amp;",
]
SCRIPT = 'const t = "</script><!-- <script src=x>"; document.title = 1 < 2 ? t : `</style>`;'
PARTS = {"kind-A.js": b"<!-- </script>", "styles-B.css": bytes(range(256))}


class Reader(HTMLParser):
    """The page's elements with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data


def make(state: dict[str, Any], title: str = "A title", fallback: str = "<p>fallback</p>") -> str:
    return page(state, SCRIPT, PARTS, title=title, fallback=fallback)


def state_of(reader: Reader) -> dict[str, Any]:
    return json.loads(reader.scripts[0])


PLAIN = [tag for tag, _ in Reader(make({})).elements]


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_text_stays_text(label: str) -> None:
    state = {"caption": label, label: [{"name": label}]}
    reader = Reader(make(state, title=label))
    assert [tag for tag, _ in reader.elements] == PLAIN
    assert len(reader.scripts) == 3
    assert state_of(reader) == state
    for script in reader.scripts:
        assert not re.search(r"</?script|<!--", script, re.IGNORECASE)
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)


@given(st.text())
def test_any_text_stays_text(label: str) -> None:
    reader = Reader(make({"caption": label}, title=label))
    assert [tag for tag, _ in reader.elements] == PLAIN
    assert state_of(reader) == {"caption": label}


@given(st.binary(max_size=300))
def test_bytes_survive(data: bytes) -> None:
    for value in (data, bytearray(data), memoryview(data)):
        read = state_of(Reader(make({"map_data": value, "nested": [{"deep": value}]})))
        assert base64.b64decode(read["map_data"]["__bytes"]) == data
        assert base64.b64decode(read["nested"][0]["deep"]["__bytes"]) == data


def test_the_script_means_the_same() -> None:
    script = Reader(make({})).scripts[2]
    assert script.replace("\\x3c", "<").strip() == SCRIPT
    assert "1 < 2" in script


def test_the_parts_are_there_once() -> None:
    reader = Reader(make({}))
    assert [attributes["id"] for tag, attributes in reader.elements if "id" in attributes] == ["xaiwidgets-parts"]
    parts = {name: base64.b64decode(part["__bytes"]) for name, part in json.loads(reader.scripts[1]).items()}
    assert parts == PARTS


def test_the_page_is_utf8_and_fetches_nothing() -> None:
    text = make({"caption": "see https://example.org/x.js"}, title="é \ud83d")
    text.encode("utf-8")
    reader = Reader(text)
    links = [
        value
        for _, attributes in reader.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster", "formaction")
    ]
    assert links == []
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", text)
    assert not any(tag in ("link", "base", "iframe", "object", "embed") for tag, _ in reader.elements)
    assert not re.search(r"""(fetch|import)\(\s*['"`]https?:""", text)


def test_the_fallback_is_there_until_the_script_runs() -> None:
    assert "<div><p>fallback</p></div>" in make({})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_json_does_not_know_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        make({"scale": value})


def test_what_is_no_trait_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        make({"model": object()})
