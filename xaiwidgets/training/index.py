"""The index of a training run: built once, opened again, asked which examples made the model say so."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from torch import nn

import xaiwidgets.training.methods  # noqa: F401 - importing the families registers their methods
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError

from .asking import Asked, answers
from .build import Progress, build
from .checkpoints import Checkpoints
from .data import TrainingData
from .dynamics import COLUMNS, Dynamics
from .influence import Influence
from .losses import Loss, loss_of
from .preparing import Line, chunk_of, private_copy
from .question import Positions, Question
from .registry import Preparing, find_training_method
from .shards import Shards
from .spec import Spec
from .weights import model_hash

Interrupt = Callable[[], None] | None
Candidates = Sequence[int] | Positions | Literal["all"] | None


class TrainingIndex:
    """Per-example gradients of a training run, in few bytes, and questions to it.

    Get one from `build` or `open`. The model that was passed is copied and never touched; the copy is in evaluation mode,
    so that an example's gradient does not depend on its neighbours or on chance.
    """

    def __init__(
        self, shards: Shards, spec: Spec | None, *, folder: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.shards = shards
        self._spec = spec
        self._folder = folder  # removed with the index

    @classmethod
    def build(
        cls,
        model: nn.Module,
        dataset: Any,
        *,
        checkpoints: Any,
        path: str | Path | None = None,
        loss: str | Loss = "cross_entropy",
        learning_rates: float | Sequence[float] | None = None,
        layers: Sequence[str] | None = None,
        projection: dict[str, Any] | Literal[False] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        engine: Any = "local",
        collate: Callable[[list[Any]], Any] | None = None,
        forward: Callable[[nn.Module, Any], Any] | None = None,
        progress: bool | Callable[[Progress], None] = True,
        overwrite: bool = False,
        interrupt: Interrupt = None,
    ) -> Self:
        """Go through all training examples at all checkpoints; what is in `path` already is not computed again.

        model           a torch module; parameters that do not require gradients are left out
        dataset         items (input, label) or dicts with a label; see `training.data.TrainingData`
        checkpoints     files of state dicts, modules, state dicts or functions; see `training.checkpoints.Checkpoints`
        path            a folder; None: a temporary one, removed with the index
        loss            cross_entropy, binary_cross_entropy, squared_error, margin, or a function (output, labels) -> [B]
        learning_rates  of the checkpoints: one, or one each; None counts each 1
        layers          names of modules or parameters whose gradients are recorded; None: of everything that is trained
        projection      what is stored of a gradient: None for 512 numbers of int8, {"dim": …, "dtype": "int8" | "float16",
                        "seed": …}, or False for nothing
        batch_size      rows at a time, "auto" by what they keep in memory
        engine          "local", "dask", a distributed.Client, or "ray"
        forward         called as forward(model, inputs) instead of the model
        progress        True prints it, a function is given it
        overwrite       begin anew where the folder holds another index, which is an error otherwise
        interrupt       called between chunks; it may raise Cancelled, and what is written stays

        A checkpoint that is missing or does not fit is left out, and every result says so.
        """
        copied = private_copy(model)
        chosen = None if layers is None else tuple([layers] if isinstance(layers, str) else layers)
        data = dataset if isinstance(dataset, TrainingData) else TrainingData(dataset, collate=collate)
        taken = Checkpoints(checkpoints, copied, learning_rates=learning_rates)
        spec = Spec(copied, data, taken, loss_of(loss), chosen, forward, chunk=1)
        spec = chunk_of(spec, batch_size)
        folder = tempfile.TemporaryDirectory(prefix="xaiwidgets-", ignore_cleanup_errors=True) if path is None else None
        where = Path(path if folder is None else folder.name)  # type: ignore[arg-type]  # one of them is there
        report = Line() if progress is True else progress or None
        for step in build(
            spec, path=where, projection=projection, engine=engine, overwrite=overwrite, interrupt=interrupt
        ):
            if report is not None:
                report(step)
        return cls(Shards(where), spec, folder=folder)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        model: nn.Module | None = None,
        dataset: Any = None,
        checkpoints: Any = None,
        loss: str | Loss | None = None,
        batch_size: int | Literal["auto"] = "auto",
        collate: Callable[[list[Any]], Any] | None = None,
        forward: Callable[[nn.Module, Any], Any] | None = None,
    ) -> Self:
        """An index that was built before. Without model and dataset it has columns and self-influence, but answers nothing.

        checkpoints   None: the files it was built of
        loss          needed only where it was a function

        Raises InputError for another model's or another data set's index (`other_model`, `other_data`), for one that is
        unfinished or damaged, and ModelError where none of its checkpoints is left.
        """
        shards = Shards(Path(path))
        if not shards.complete:
            raise InputError(
                "unfinished_index",
                f"{path} holds {len(shards):,} of {shards.manifest['rows']:,} examples",
                hint="Build again with the same arguments and path: it goes on where it stopped.",
            )
        if model is None or dataset is None:
            return cls(shards, None)
        prints, facts = shards.manifest["fingerprints"], shards.manifest["facts"]
        copied = private_copy(model)
        if model_hash(copied) != prints["model"]:
            raise InputError(
                "other_model",
                "The index was built of another model",
                f"{type(model).__name__} has other parameters than that one had.",
                "Pass the model it was built of, or build it again.",
            )
        data = dataset if isinstance(dataset, TrainingData) else TrainingData(dataset, collate=collate)
        if len(data) != shards.manifest["rows"] or data.fingerprint() != prints["data"]:
            raise InputError(
                "other_data",
                "The index was built of another data set",
                f"It had {shards.manifest['rows']:,} examples, this one has {len(data):,}."
                if len(data) != shards.manifest["rows"]
                else "As many examples, but not the same ones in the same order.",
                "Pass the data set it was built of, or build it again.",
            )
        data.compare_labels(shards.column("id"), shards.column("label"))
        files = [name for name in facts["files"] if name is not None]
        if checkpoints is None and len(files) < len(facts["files"]):
            raise ModelError(
                "no_checkpoints", "The index was built of checkpoints that were no files", hint="Pass checkpoints=."
            )
        taken = Checkpoints(files if checkpoints is None else checkpoints, copied, learning_rates=1.0)
        checked = loss_of(prints["loss"] if loss is None else loss)
        if checked.name != prints["loss"]:
            raise InputError("other_loss", f"The index was built with the loss {prints['loss']}, not {checked.name}")
        layers = None if prints["layers"] is None else tuple(prints["layers"])
        spec = Spec(copied, data, taken.indexed(prints["checkpoints"], facts["missing"]), checked, layers, forward, 1)
        return cls(shards, chunk_of(spec, facts["chunk"] if batch_size == "auto" else batch_size))

    def influence(
        self,
        inputs: Any,
        labels: Any = None,
        *,
        method: str = "tracin",
        k: int | None = None,
        candidates: Candidates = None,
        checkpoints: Sequence[int] | None = None,
        batch_size: int | None = None,
        interrupt: Interrupt = None,
        **parameters: Any,
    ) -> Influence:
        """Which training examples spoke for (positive scores) and against what the model says of some inputs.

        inputs        as the model is called, the batch first: a tensor, a tuple or a dict
        labels        [Q, …] whose loss is asked about; None: the predicted class
        method        see `training.registry.TRAINING_METHODS`; `parameters` are its own
        k             None scores everything; else only the k leaders at each end are kept, and memory does not grow with
                      the data. Where the index has vectors they name the examples that are scored (the result says so)
        candidates    "all": with k too, every example is scored; positions or a mask: only those
        checkpoints   numbers, or a mask, of the checkpoints to take into account
        interrupt     called between chunks; it may raise Cancelled
        """
        *_, last = self.stream(
            inputs, labels, method=method, k=k, candidates=candidates, checkpoints=checkpoints, batch_size=batch_size,
            interrupt=interrupt, **parameters,
        )  # fmt: skip
        return last

    def stream(
        self,
        inputs: Any,
        labels: Any = None,
        *,
        method: str = "tracin",
        k: int | None = None,
        candidates: Candidates = None,
        checkpoints: Sequence[int] | None = None,
        batch_size: int | None = None,
        interrupt: Interrupt = None,
        prepare: Callable[[Preparing], None] | None = None,
        **parameters: Any,
    ) -> Iterator[Influence]:
        """The same, each answer of more examples than the one before: the first comes early, the last is complete.

        prepare   is told what a method does before its first score

        Wrong names and values raise here, before any work is done. Closing the iterator is cancelling.
        """
        chosen = find_training_method(method)
        checked = chosen.check(parameters)
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
            raise ParameterError("parameter_range", f"k={k!r} is not a number of examples", hint="None, or from 1.")
        rows = None if candidates is None or isinstance(candidates, str) else candidates
        if isinstance(candidates, str) and candidates != "all":
            raise ParameterError("candidates", f"candidates={candidates!r}", hint='Positions, a mask, "all" or None.')
        question = Question(
            self.spec, inputs, labels, rows=rows, checkpoints=checkpoints, batch_size=batch_size, shards=self.shards,
            interrupt=interrupt,
        )  # fmt: skip
        shortlisted = candidates is None and self.shards.projection is not None
        return answers(Asked(question, chosen, checked, k, shortlisted=shortlisted, prepare=prepare))

    def self_influence(self) -> np.ndarray[Any, Any]:
        """float32 [N] each example's TracIn on itself: high for examples that are hard, rare or wrongly labelled."""
        rates = np.array([one["learning_rate"] for one in self.shards.manifest["checkpoints"]])
        return np.asarray((self.shards.column("norm") @ rates).astype(np.float32))

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """What the index knows of every example: `label` [N], or [N, checkpoints] of `loss`, `norm` (squared length of the
        gradient), `predicted`, `confidence` (of the label), `margin`, `el2n`.
        """
        return self.shards.column(name)

    def dynamics(self) -> Dynamics:
        """How the examples were learnt, from checkpoint to checkpoint."""
        return Dynamics.of({name: self.shards.column(name) for name in (*COLUMNS, "norm")})

    def verify(self) -> list[str]:
        """Read every file again. Names of those that are damaged, none if all is as it was written."""
        return self.shards.verify()

    @property
    def spec(self) -> Spec:
        """Model, data, checkpoints, loss. Raises ModelError in an index that was opened without them."""
        if self._spec is None:
            raise ModelError(
                "no_model",
                "This index was opened without its model and data",
                hint="TrainingIndex.open(path, model=…, dataset=…, checkpoints=…).",
            )
        return self._spec

    @property
    def path(self) -> Path:
        return self.shards.path

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of the checkpoints that the columns are about."""
        return tuple(one["name"] for one in self.shards.manifest["checkpoints"])

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Checkpoints that cannot be used, and why."""
        if self._spec is not None:
            return self._spec.checkpoints.missing
        return [(name, why) for name, why in self.shards.manifest["facts"]["missing"]]

    def close(self) -> None:
        """Let go of the files; an index without a path of its own is removed."""
        self.shards.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.shards)

    def __repr__(self) -> str:
        projection = self.shards.projection
        stored = f"{projection['dim']} × {projection['dtype']} each" if projection else "no vectors"
        count = len(self.checkpoints)
        asked = "" if self._spec is not None else ", without model and data"
        where = self.path if self._folder is None else "kept as long as this object"
        return (
            f"TrainingIndex({len(self):,} examples, {count} checkpoint{'s' * (count != 1)}, {stored}{asked}, {where})"
        )
