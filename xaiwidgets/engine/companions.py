"""What is known of a tensor while a model runs: kept beside it, and only as long as nobody writes to it unseen."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .errors import ModelError

Known = TypeVar("Known")


class Companions(Generic[Known]):
    """Facts about tensors. A tensor that has been written to through a view of itself is an error when it is asked for."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def __setitem__(self, tensor: Tensor, known: Known) -> None:
        self._known[tensor] = tensor._version, known  # noqa: SLF001  # has no public name

    def __getitem__(self, tensor: Tensor) -> Known:
        version, known = self._known.get(tensor, (None, None))
        if version != tensor._version:  # noqa: SLF001  # has no public name
            raise ModelError(
                "view_written",
                f"{self.title} cannot follow a tensor that is written to through a view of itself",
                f"Its shape is {list(tensor.shape)}.",
                "Let the model work out of place there, or use another method or rule.",
            )
        return cast("Known", known)
