"""manifest.json: what an index was made of, so that nobody goes on with another model's or another data set's."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from xaiwidgets.engine.errors import InputError

FORMAT = "xaiwidgets.training_index/1"
NAME = "manifest.json"

WORDS = {
    "fingerprints.model": "the model",
    "fingerprints.data": "the data set",
    "fingerprints.checkpoints": "the checkpoints or their learning rates",
    "fingerprints.loss": "the loss",
    "fingerprints.layers": "the layers",
    "projection": "the projection",
    "rows": "the number of training examples",
}


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest in a folder, None where there is none. Raises InputError for one that cannot be read."""
    file = folder / NAME
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise InputError(
            "not_an_index", f"{file} is damaged", str(error), "Build it again with overwrite=True."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise InputError(
            "not_an_index",
            f"{folder} holds no training index this release can read",
            f"Its format is {found!r}, this release reads {FORMAT!r}.",
            "Build it again with overwrite=True, or in another folder.",
        )
    return manifest


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace the manifest in one step: a reader sees the old one or the new one."""
    replace(folder / NAME, json.dumps(manifest, indent=1, ensure_ascii=False).encode())


def replace(file: Path, data: bytes) -> None:
    """Put `data` at `file` such that, whatever happens, it is there in full or not at all."""
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the name is on the disk too; elsewhere a folder cannot be opened
        descriptor = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """In words, what makes two manifests belong to different indexes."""
    new = json.loads(json.dumps(new))  # tuples become lists, as in the file
    found = []
    for key, words in WORDS.items():
        before, after = _at(old, key), _at(new, key)
        if before != after:
            short = all(not isinstance(value, list | dict) and len(repr(value)) <= 40 for value in (before, after))
            found.append(f"{words} ({before!r} there, {after!r} here)" if short else words)
    return found


def _at(manifest: dict[str, Any], key: str) -> Any:
    value: Any = manifest
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
