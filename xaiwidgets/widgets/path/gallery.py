"""The baselines of an explorer: added by name, by request of a page, or from Python, each once."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from xaiwidgets.engine.errors import ParameterError, did_you_mean

from .subject import Entry, Look, Subject

MOST = 24
"""Baselines in one explorer."""
_NEEDS = {
    "dataset": 'Pass dataset= (rows like the input) to have the "dataset" baseline.',
    "mask": 'Pass tokenizer= with a mask token to have the "mask" baseline.',
    "pad": 'Pass tokenizer= with a padding token to have the "pad" baseline.',
}


class Gallery:
    """Baselines by id, in the order in which they came, and what is shown of each."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._entries: dict[str, Entry] = {}
        self._looks: dict[str, Look] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Entry:
        """Raises ParameterError for an unknown id."""
        found = self._entries.get(name) if isinstance(name, str) else None
        if found is None:
            raise ParameterError(
                "unknown_baseline",
                f"There is no baseline {name!r} here",
                hint=did_you_mean(str(name), self._entries) + " Add others with add_baseline().",
            )
        return found

    def with_mode(self, mode: str) -> Entry | None:
        """The first baseline that has a mode."""
        return next((entry for entry in self if mode in entry.modes), None)

    def request(self, kind: Any, params: Any) -> Entry:
        """The baseline of a kind with these settings: a new one, or the one there is. Raises ParameterError."""
        known = self._subject.kinds.get(kind) if isinstance(kind, str) else None
        if known is None:
            hint = _NEEDS.get(kind, "") if isinstance(kind, str) else ""
            hint = hint or did_you_mean(str(kind), self._subject.kinds)
            raise ParameterError("unknown_baseline", f"There is no kind of baseline {kind!r}", hint=hint)
        if not isinstance(params, Mapping):
            raise ParameterError("unknown_parameter", f"{params!r} are no settings of a baseline", hint="Pass a dict.")
        checked = known.check(params)
        entry = Entry(known.identify(checked), known.kind, known.describe(checked), checked, known.modes)
        return self._keep(entry) if entry.id not in self._entries else self._entries[entry.id]

    def add(self, asked: Any) -> Entry:
        """A baseline from Python: the name of a kind, {"kind": …, settings}, or anything `Subject.entry` takes."""
        if isinstance(asked, str):
            return self.request(asked, {})
        if isinstance(asked, Mapping):
            params = dict(asked)
            return self.request(params.pop("kind", None), params)
        entry = self._subject.entry(asked)
        if entry is None:
            raise ParameterError(
                "unknown_baseline",
                f"A {type(asked).__name__} is no baseline",
                hint=f"Name a kind ({', '.join(self._subject.kinds)}), or pass a number, a tensor, a picture or an object "
                "from xaiwidgets.baselines.",
            )
        if entry.given is None and entry.id in self._entries:
            return self._entries[entry.id]
        number, name = 2, entry.id
        while name in self._entries:
            name, number = f"{entry.id}-{number}", number + 1
        title = entry.title if name == entry.id else f"{entry.title} {number - 1}"
        return self._keep(replace(entry, id=name, title=title))

    def look(self, entry: Entry) -> Look:
        """What is shown of a baseline."""
        return self._looks[entry.id]

    def _keep(self, entry: Entry) -> Entry:
        if len(self._entries) >= MOST:
            raise ParameterError("too_many", f"An explorer holds {MOST} baselines", hint="Make another explorer.")
        self._looks[entry.id] = self._subject.look(entry)  # refuses what does not fit
        self._entries[entry.id] = entry
        return entry
