"""The Trust drawer on the stored ResNet-20: seconds until it shows something, until it stops, bytes of a tested map."""

import json
import random
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.measure import Row
from benchmarks.networks import cifar, resnet20

IMAGES = 9
"""Tested and stopped, each at another moment; the first warms up."""


def rows() -> Iterator[Row]:
    import xaiwidgets as xw

    model, (images, _labels) = resnet20(), cifar(IMAGES)
    firsts, stops = [], []
    for index in range(IMAGES):
        with xw.explain(model, images[index : index + 1]) as widget:
            widget.wait()
            first, stop = first_and_stop(widget, index)
        firsts.append(first)
        stops.append(stop)
    yield spread("first five points of both curves of the map, from the click", firsts[1:], 1.0)
    yield spread("from the word to stop until nothing runs", stops[1:], 0.3)
    with xw.explain(model, images[:1]) as widget:
        widget.wait()
        started = time.perf_counter()
        widget.test().tested()
        seconds = time.perf_counter() - started
        cost = "{forward} forward passes, {gradient} gradients".format(**widget.trust["cost"])
        yield Row("all tests of one map (integrated gradients)", f"{seconds:.1f} s, {cost}")
        weight = len(json.dumps(widget.trust)) + sum(len(part) * 4 // 3 for part in widget.trust_data.values())
        yield Row("a saved notebook grows by", f"{weight / 1000:.1f} kB", figure=weight / 1000, limit=60, unit="kB")


def first_and_stop(widget: Any, seed: int) -> tuple[float, float]:
    """Seconds until both curves have points, and until a test stops that is stopped somewhere after."""
    seen = threading.Event()
    at = [0.0]

    def look(change: dict[str, Any]) -> None:
        curves = change["new"].get("curves", {})
        if not seen.is_set() and all("map" in curves.get(kind, {}) for kind in ("deletion", "insertion")):
            at[0] = time.perf_counter()
            seen.set()

    widget.observe(look, "trust")
    started = time.perf_counter()
    widget.test()
    seen.wait(60)
    time.sleep(4 * random.Random(seed).random())
    stopped = time.perf_counter()
    widget.cancel_test()
    widget.tested()  # what was cancelled raises nothing
    return at[0] - started, time.perf_counter() - stopped


def spread(what: str, seconds: list[float], limit: float) -> Row:
    median, largest = statistics.median(seconds), max(seconds)
    text = f"median {1000 * median:.0f} ms, largest {1000 * largest:.0f} ms"
    return Row(what, text, figure=largest, limit=limit, unit="s")
