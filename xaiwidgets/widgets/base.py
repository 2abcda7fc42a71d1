"""What every widget shares: the common traits, one job at a time, messages, errors in place, export.

Everything needed to show a result again is a trait, so a reopened notebook shows it without a kernel. Requests are the
`params` trait (the newest wins) and messages (`run`, `cancel`), so that reopening never runs anything.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import anywidget
import traitlets
from anywidget import WidgetTrait

from xaiwidgets.engine.registry import find_method
from xaiwidgets.live.assets import asset, parts
from xaiwidgets.live.colors import matplotlib_table, palettes
from xaiwidgets.live.export import page
from xaiwidgets.live.jobs import LatestJob, State, Token
from xaiwidgets.widgets.downloads import Downloads
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.frontend import composes, core, development, hot_reload
from xaiwidgets.widgets.outputs import forget

log = logging.getLogger(__name__)

STATUSES = ("empty", "queued", "running", "partial", "ready", "stale", "cancelled", "error")
WAIT_FOR_PICTURE = 1.5
"""Seconds that showing a widget may wait for its result, so that the static picture beside it holds one."""
ANSWER_WITHIN = 3.0
"""Seconds in which a page answers the question whether it still shows the widget."""
PRIVATE = {"layout", "tabbable", "tooltip", "keys", "comm"}


class ExplainWidget(anywidget.AnyWidget):
    """Base of the widgets. Subclasses set `_kind`, answer `_work` and fill `_publish`."""

    if hot_reload():
        # files: anywidget watches them and sends them again when esbuild has written them
        _esm: Any = development("xaiwidgets.js")
        _css: Any = development("xaiwidgets.css")
    else:
        _esm = traitlets.Unicode().tag(sync=True)
        _parts: Any = traitlets.Dict().tag(sync=True)
    _kind = traitlets.Unicode().tag(sync=True)
    _core = WidgetTrait().tag(sync=True)
    _inline = traitlets.Bool(False).tag(sync=True)

    methods: Any = traitlets.List().tag(sync=True)
    schema = traitlets.Int(1).tag(sync=True)
    status = traitlets.Enum(STATUSES, "empty").tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    request_id = traitlets.Int(0).tag(sync=True)
    result_id = traitlets.Int(0).tag(sync=True)
    seq = traitlets.Int(0).tag(sync=True)
    question = traitlets.Dict().tag(sync=True)
    params = traitlets.Dict().tag(sync=True)
    error = traitlets.Dict().tag(sync=True)
    notices: Any = traitlets.List().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    provenance = traitlets.Dict().tag(sync=True)
    palette = traitlets.Unicode("default").tag(sync=True)
    lut = traitlets.Bytes().tag(sync=True)
    polarity = traitlets.Enum(("warm", "cool"), "warm").tag(sync=True)
    theme = traitlets.Enum(("auto", "light", "dark"), "auto").tag(sync=True)
    display = traitlets.Dict().tag(sync=True)
    selection = traitlets.Dict().tag(sync=True)

    auto_run: ClassVar[bool] = True

    def __init__(self, **traits: Any) -> None:
        if composes():
            traits |= {"_esm": asset("loader.js"), "_core": core(self._kind)}
        elif not hot_reload():
            traits |= {"_esm": asset("assemble.js"), "_parts": parts(self._kind)}
        self._sync_lock = threading.RLock()
        self._results: dict[str, Any] = {}
        self._closed = False
        self._heard_at = 0.0
        super().__init__(**traits)
        self._own_layout = self.layout
        # only now: what a job changes before the comm is open would be in no message
        self._job: LatestJob[Any] = LatestJob(self._published, self._changed)
        self._downloads = Downloads(self)
        self.on_msg(self._received)
        self.observe(self._went_inline, "_inline")

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def _work(self, token: Token) -> Iterator[Any]:
        """The results for the current `params`, each better than the last. Runs on the worker."""
        raise NotImplementedError

    def _publish(self, result: Any) -> None:
        """Write a result's traits. Runs on the worker, inside one synchronised message."""
        raise NotImplementedError

    def _figure(self) -> str:
        """Script-free HTML of what is shown: pictures as data URIs, caption, table."""
        raise NotImplementedError

    def _title(self) -> str:
        """What is shown, in a few words."""
        return type(self).__name__

    def _kinds(self) -> tuple[str, ...]:
        """The kinds of code that are needed to draw what is there."""
        return (self._kind,)

    def _message(self, content: dict[str, Any]) -> None:
        """A message that is not common to all widgets."""
        raise ValueError(f"unknown message {content.get('type')!r}")

    # --- for people -------------------------------------------------------------------------------------------------

    @property
    def result(self) -> Any:
        """What is on show; None before the first result."""
        return self._results.get("shown")

    def run(self) -> Self:
        """Compute for the current `params`."""
        with self._sync_lock:
            self.status = "queued" if self.seq == 0 else "running"
        self._job.submit(self._work)
        return self

    def cancel(self) -> None:
        """Stop what is running; the last picture stays."""
        self._job.cancel()

    def wait(self, timeout: float | None = None) -> Self:
        """Block until nothing is running (`timeout` in seconds). Raises the job's error, or TimeoutError."""
        self._job.wait(timeout)
        return self

    def to_html(self, path: str | Path | None = None, *, title: str | None = None) -> str:
        """One HTML page that works offline with every control that needs no kernel. Returned, and written to `path`."""
        text = page(
            self.static_state(),
            asset("page.js"),
            parts(*self._kinds()),
            title=title or self._title(),
            fallback=self._figure(),
        )
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def freeze(self) -> Any:
        """The script-free picture as an object to display: for papers, and for notebooks under version control."""
        from IPython import display  # noqa: PLC0415  # only in a notebook

        return display.HTML(self._figure())

    def static_state(self) -> dict[str, Any]:
        """The traits a page needs to show this widget without a kernel."""
        state = self.get_state() | {"methods": described(self.methods)}
        return {
            name: value
            for name, value in state.items()
            if name not in PRIVATE and (name == "_kind" or not name.startswith("_"))
        }

    def close(self) -> None:
        """Stop the work, let go of the model and the results, and remove the widget from the page."""
        if hasattr(self, "_job"):
            self._closed = True
            self._job.close()
            self._downloads.close()
            self._results.clear()
        self._leave()

    def _fall_asleep(self) -> None:
        """Leave nothing behind in the page: the cell that showed this widget was deleted or run again.

        Work stops and the comm is closed; without a variable that holds the widget, it and its model are freed.
        Showing it again wakes it with its last picture.
        """
        self._job.cancel()
        self._leave()
        self.__dict__.pop("_repr_mimebundle_", None)  # ipywidgets hides its method on a closed widget
        forget(self)

    def _leave(self) -> None:
        super().close()
        if hasattr(self, "_own_layout"):
            self._own_layout.close()  # ipywidgets would keep it for as long as the kernel lives

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._title()})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if not self._closed:
            self._own_layout.open()
            self.open()
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        if data is None:
            return bundle
        self._settle(WAIT_FOR_PICTURE)
        return {**data, "text/plain": repr(self), "text/html": self._figure()}, metadata

    # --- the worker's side ------------------------------------------------------------------------------------------

    def _settle(self, seconds: float) -> None:
        """Wait a little; an error is shown in the widget, not raised here."""
        try:
            self._job.wait(seconds)
        except Exception:
            log.debug("shown before its first result", exc_info=True)

    def _published(self, result: Any, last: bool) -> None:
        with self._sync_lock, self.hold_sync():
            if self._results.get("shown") is not result:
                self._results["shown"] = result
                self._publish(result)
                self.seq += 1
            self.result_id = self._results.get("request", self.result_id)
            self.status = "ready" if last else "partial"

    def _changed(self, state: State, error: BaseException | None) -> None:
        with self._sync_lock, self.hold_sync():
            if state == "running":
                self._results["request"] = self.request_id
                self.error, self.status = {}, "running"
            elif state == "cancelled":
                self.status = "cancelled"
            elif state == "error" and error is not None:
                self.error, self.status = explain_error(error), "error"
            if state != "running":
                self.progress = {}
                self.result_id = self._results.get("request", self.result_id)

    # --- the page's side --------------------------------------------------------------------------------------------

    @traitlets.validate("methods")
    def _described_somewhere(self, proposal: dict[str, Any]) -> Any:
        """Names where the core describes them."""
        leans = self._core is not None and not self._inline
        return proposal["value"] if leans else described(proposal["value"])

    @traitlets.validate("palette")
    def _known_palette(self, proposal: dict[str, Any]) -> str:
        """A name of ours, "default", "custom" (the 768 bytes in `lut`), or any of matplotlib's, which become custom."""
        name: str = proposal["value"]
        if name in {"default", "custom", *palettes()}:
            return name
        self.lut = matplotlib_table(name).tobytes()
        return "custom"

    @traitlets.observe("params")
    def _params_changed(self, change: dict[str, Any]) -> None:
        if change["old"] in ({}, traitlets.Undefined) or not hasattr(self, "_job"):
            return
        if self.auto_run:
            self.run()
        else:
            self.status = "stale"

    def _received(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        handlers: dict[str, Callable[[dict[str, Any]], object]] = {
            "hello": self._greet,
            "bye": lambda _message: self._roll_call(),
            "export": self._downloads.ask,
            "ack": lambda _message: self._job.acknowledge(),
            "run": lambda _message: self.run(),
            "cancel": lambda _message: self.cancel(),
        }
        handlers.get(str(content.get("type")), self._message)(content)

    def _greet(self, message: dict[str, Any]) -> None:
        self._heard_at = time.monotonic()
        self.send({"type": "hello", "id": message.get("id")})

    def _roll_call(self) -> None:
        """A view is gone for good. Ask whether there are others, and fall asleep if none answers."""
        if threading.current_thread() is threading.main_thread():
            return  # here messages wait for running cells (before ipykernel 7): silence would prove nothing
        asked_at = time.monotonic()
        self.send({"type": "rollcall"})

        def conclude() -> None:
            time.sleep(ANSWER_WITHIN)
            if self._heard_at < asked_at and not self._closed:
                self._fall_asleep()

        # a thread, not a timer: ipykernel keeps the thread object for a while, and a timer would keep this widget
        threading.Thread(target=conclude, name="xaiwidgets-roll-call", daemon=True).start()

    def _handle_msg(self, message: Any) -> None:
        # Worker and comm threads both write traits; ipywidgets keeps its own bookkeeping without a lock.
        with self._sync_lock:
            super()._handle_msg(message)

    def _went_inline(self, change: dict[str, Any]) -> None:
        if change["new"]:
            with self.hold_sync():
                self.methods = list(self.methods)  # described from now on
                self._parts, self._esm = parts(*self._kinds()), asset("assemble.js")


def described(methods: Sequence[str | dict[str, Any]]) -> list[dict[str, Any]]:
    """The descriptions behind method names: what the core holds for the widgets that list names only."""
    return [find_method(entry).schema() if isinstance(entry, str) else entry for entry in methods]
