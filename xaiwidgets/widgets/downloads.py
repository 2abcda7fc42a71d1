"""Files that a page offers for download but only the kernel can make."""

import io
import logging
from typing import Any

import numpy as np

from xaiwidgets.live.jobs import LatestJob

log = logging.getLogger(__name__)
File = tuple[dict[str, Any], bytes]
"""A message to the page and the file that goes with it."""


class Downloads:
    """Answers a widget's `export` messages: {type, id, kind} with {type, id, mime} and the file, or {type, id, error}."""

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._kinds = {"html": self._html, "npy": self._numpy}
        self._job: LatestJob[File] = LatestJob(self._send, lambda _state, _error: None)

    def ask(self, message: dict[str, Any]) -> None:
        """Make a file in the background and send it."""
        self._job.submit(lambda _token: iter([self._make(message)]))

    def close(self) -> None:
        """Make no more files."""
        self._job.close()

    def _make(self, message: dict[str, Any]) -> File:
        answer = {"type": "export", "id": message.get("id")}
        try:
            mime, content = self._kinds[str(message.get("kind"))]()
        except Exception as error:  # it is the page that has to say so
            log.debug("export failed", exc_info=True)
            return {**answer, "error": f"{type(error).__name__}: {error}"}, b""
        return {**answer, "mime": mime}, content

    def _html(self) -> tuple[str, bytes]:
        return "text/html", self._widget.to_html().encode("utf-8", "replace")

    def _numpy(self) -> tuple[str, bytes]:
        buffer = io.BytesIO()
        np.save(buffer, self._widget.result.to_numpy(), allow_pickle=False)
        return "application/octet-stream", buffer.getvalue()

    def _send(self, file: File, last: bool) -> None:
        if last:
            message, content = file
            self._widget.send(message, buffers=[content])
