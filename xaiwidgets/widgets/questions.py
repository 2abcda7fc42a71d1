"""Which questions there are about a model and its inputs: one session for each, kept for going back.

A question is a row of the inputs, a class, and a class it is contrasted with. Everything a page can send is checked here:
it may only name inputs and classes that exist.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.memory import model_stamp
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.state import module_of
from xaiwidgets.engine.target import Contrast

KEEP_SESSIONS = 6
"""A session keeps the gradients of its paths, so only a few."""


class Questions:
    """The sessions about one model and its inputs. `target` explains what a question without a class is about."""

    def __init__(self, model: Any, inputs: Any, *, target: Any, **session: Any) -> None:
        target = torch.as_tensor(target) if isinstance(target, (list, np.ndarray)) else target
        self._model, self._target, self._options = model, target, session
        self.inputs = Session(model, inputs, target=target, **session).problem.inputs
        self.count = self.inputs.rows
        self.model_name = type(model).__name__
        self._sessions: OrderedDict[tuple[Any, ...], Session] = OrderedDict()
        self._outputs: dict[int, Tensor] = {}
        self._lock = threading.Lock()
        self._stamp = model_stamp(module_of(model))

    def session(
        self, index: int, target: int | None, foil: int | None, interrupt: Callable[[], None] | None
    ) -> Session:
        """The session about one input. What is asked beside a run passes no interrupt, and shares none."""
        key = (index, target, foil, interrupt is None)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                session = self._asked(index, target, foil)
            keep(self._sessions, key, session, KEEP_SESSIONS)
            session.problem.interrupt = interrupt
            return session

    def problem(self, index: int, target: int | None, foil: int | None, interrupt: Callable[[], None]) -> Problem:
        """The same question, for long work beside whatever else is asked: nothing is shared but the model."""
        problem = self._asked(index, target, foil).problem
        problem.interrupt = interrupt
        return problem

    def outputs(self, index: int, interrupt: Callable[[], None] | None = None) -> Tensor:
        """The model's output for one input, [classes] or whatever its shape is without the batch."""
        if index not in self._outputs:
            predicted = self.session(index, None, None, interrupt).predict()[0]
            self._outputs[index] = predicted.detach().to("cpu", torch.float32)
        return self._outputs[index]

    def check_class(self, value: Any, name: str) -> int | None:
        """A class a page names, or None where it names none. Raises InputError."""
        return None if value is None else whole(value, name, self._classes())

    def settled(self, index: int, target: int | None, foil: int | None) -> tuple[int | None, int | None]:
        """The question with its class filled in; None where the score is no class. Needs the outputs to be known."""
        target = self._class(index, self.outputs(index)) if target is None else target
        return target, None if target is None or foil == target else foil

    def changed(self) -> bool:
        """Whether the model was trained on, or given other weights, since last asked: it is another model then."""
        stamp = model_stamp(module_of(self._model))
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self._outputs.clear()
        return True

    @property
    def in_training(self) -> bool:
        """Whether the model is explained in training mode."""
        module = module_of(self._model)
        asked = self._options.get("training") is True
        return asked and module is not None and any(part.training for part in module.modules())

    def close(self) -> None:
        """Let go of the model and of everything computed."""
        self._sessions.clear()
        self._outputs.clear()
        for name in ("_model", "inputs", "_target"):
            self.__dict__.pop(name, None)
        self._options = {}

    def _asked(self, index: int, target: int | None, foil: int | None) -> Session:
        chosen: Any = of_row(self._target, index)
        if target is not None:
            chosen = target if foil is None else Contrast(target, foil)
        return Session(self._model, self.inputs.select([index]), target=chosen, **self._options)

    def _classes(self) -> int:
        outputs = next(iter(self._outputs.values()), None)
        if outputs is None:
            outputs = self.outputs(0)
        return int(outputs.shape[0]) if outputs.ndim else 1

    def _class(self, index: int, outputs: Tensor) -> int | None:
        target = of_row(self._target, index)
        if outputs.ndim != 1:
            return None
        if target is None:
            return int(outputs.argmax()) if len(outputs) > 1 else None
        number = isinstance(target, np.integer) or (isinstance(target, Tensor) and target.numel() == 1)
        return int(target) if number else None


def by_number(target: Any) -> tuple[int, int | None] | None:
    """The class and the foil of a target that is one class or a contrast of two; None for any other target."""
    a, b = (target.a, target.b) if isinstance(target, Contrast) else (target, None)
    if (
        isinstance(a, int)
        and not isinstance(a, bool)
        and (b is None or (isinstance(b, int) and not isinstance(b, bool)))
    ):
        return a, b
    return None


def of_row(target: Any, index: int) -> Any:
    """A target's part for one input, where it has one for each."""
    if isinstance(target, Contrast):
        return Contrast(of_row(target.a, index), of_row(target.b, index))
    return target[index : index + 1] if isinstance(target, Tensor) and target.ndim else target


def whole(value: Any, name: str, below: int) -> int:
    """A whole number in 0..below - 1. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        raise InputError(
            "out_of_range", f"{name}={value!r} is out of range", hint=f"Choose a whole number in 0..{below - 1}."
        )
    return value


def keep(store: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Put a value last, and drop what is first while there are too many."""
    store[key] = value
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)


def with_batch(inputs: Any) -> Any:
    """One image without a batch dimension is unmistakable, so it is taken as a batch of one."""
    return inputs[None] if isinstance(inputs, Tensor) and inputs.ndim == 3 else inputs
