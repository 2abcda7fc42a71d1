"""Forward rewrites: every operation keeps its value, some get another gradient.

    graft(value, s) has the value of one expression and the gradient of another.

Under one `TorchFunctionMode` that makes layer-wise relevance propagation, DeepLIFT, guided backpropagation, the capture of
attention and their kin small tables of rules. A rule is a function of an operation's arguments; the mode looks it up under
the operation's name. Functional calls, modules used twice, operations in place and models nobody may change just work, and
nothing is hooked into the model.

Python functions of torch (`relu`, `softmax`, `multi_head_attention_forward`, `2 / x`) are opened: their bodies run under the
mode again, so that rules are needed only for what torch itself calls at the bottom. What the mode cannot see (scripted
modules, other threads, custom autograd functions, fused recurrent layers) and what no rule covers is an error, never a
silent plain gradient.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from .decompose import DECOMPOSED
from .errors import ModelError

Rule = Callable[..., Any]
"""rule(mode, function, *arguments, **keywords) -> the operation's result; `function` is the operation out of place."""

# Names of what torch calls at the bottom, by what they are to a rewrite.
LINEAR = frozenset(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d addmm baddbmm addbmm addmv".split()
)
PRODUCT = frozenset(
    "mul multiply matmul __matmul__ __rmatmul__ bmm mm mv dot inner outer ger einsum tensordot bilinear kron".split()
)
ELEMENTWISE = frozenset(
    "relu relu6 leaky_relu elu selu celu gelu silu mish softplus sigmoid tanh tanhshrink hardtanh hardswish hardsigmoid "
    "hardshrink softshrink softsign log_sigmoid logsigmoid threshold _threshold rrelu prelu exp exp2 expm1 log log2 log10 "
    "log1p sqrt rsqrt reciprocal abs absolute pow square sin cos tan atan asin acos sinh cosh erf erfc clamp clip "
    "clamp_min clamp_max clamp_ sign floor ceil round".split()
)
# Written into their first argument.
WRITING = frozenset(
    "__setitem__ copy_ index_put_ masked_fill_ scatter_ scatter_add_ index_add_ index_copy_ masked_scatter_".split()
)
# Linear in what they are given, or moving it about: right under every rewrite as they are.
STRUCTURAL = (
    frozenset(
        "add sub subtract rsub neg negative positive sum mean cumsum cat concat concatenate stack hstack vstack dstack split "
        "split_with_sizes tensor_split chunk unbind reshape view view_as reshape_as flatten unflatten squeeze unsqueeze "
        "transpose permute swapaxes swapdims movedim moveaxis t expand expand_as repeat repeat_interleave tile roll flip "
        "rot90 contiguous clone detach to type type_as float double half bfloat16 cpu cuda index_select gather take "
        "take_along_dim index index_put index_add index_copy index_fill masked_fill masked_select masked_scatter "
        "where scatter scatter_add slice_scatter select_scatter diagonal_scatter narrow select diagonal diag diag_embed tril "
        "triu unfold fold as_strided pad constant_pad_nd dropout alpha_dropout feature_dropout feature_alpha_dropout "
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d pixel_shuffle "
        "pixel_unshuffle channel_shuffle upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d "
        "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
        "_upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler im2col col2im trace real __getitem__ __get__ "
        "__setitem__ requires_grad_ copy_ zero_ fill_ rename refine_names align_to view_as_real view_as_complex "
        "register_hook retain_grad unsafe_chunk unsafe_split nan_to_num atleast_1d atleast_2d atleast_3d new_tensor "
        "broadcast_to broadcast_tensors combinations_ squeeze_ unsqueeze_ transpose_ t_ swapaxes_ data_ptr numpy tolist "
        "item size dim stride numel is_contiguous storage_offset element_size".split()
    )
    | WRITING
)
# Only the largest takes part: the gradient goes to the winner.
SELECTING = frozenset(
    "max min amax amin maximum minimum fmax fmin topk sort kthvalue median cummax cummin max_pool1d max_pool2d max_pool3d "
    "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d".split()
)
FUSED = frozenset("lstm gru rnn_tanh rnn_relu".split())
# Chosen by a flag inside torch and dispatched again from there: opening them would not end.
CLOSED = SELECTING | {"fractional_max_pool2d", "fractional_max_pool3d"}
ALIASES = {
    "multiply": "mul", "__matmul__": "matmul", "subtract": "sub", "absolute": "abs", "clip": "clamp", "divide": "div",
    "true_divide": "div", "__div__": "div", "__truediv__": "div", "__mul__": "mul", "__pow__": "pow", "logsigmoid": "log_sigmoid",
    "_threshold": "threshold", "special_softmax": "softmax",
}  # fmt: skip
IN_PLACE = {
    "__imul__": "mul",
    "__itruediv__": "div",
    "__idiv__": "div",
    "__iadd__": "add",
    "__isub__": "sub",
    "__ipow__": "pow",
}


def graft(value: Tensor, like: Tensor) -> Tensor:
    """The value of one, exactly; the gradient of the other."""
    return value.detach() + (like - like.detach())


def active(value: Any) -> bool:
    """Whether a value depends on the explained input; parameters are frozen while a model is borrowed."""
    return isinstance(value, Tensor) and value.requires_grad


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors among an operation's arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A function applied to everything that is no container."""
    if isinstance(value, tuple | list):
        items = [mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: mapped(item, function) for key, item in value.items()}
    return function(value)


class Watch(TorchFunctionMode):
    """A mode that one forward pass runs under."""

    refusal: ModelError | None = None  # why it went no further, where something between it and us hides that

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        """Before the pass: the model, and what it is called with."""

    def end(self, output: Any) -> Any:
        """After the pass: its output, or something in its place."""
        return output


class Rewrite(Watch):
    """A mode with a table of rules; one instance serves one forward pass."""

    title: ClassVar[str] = "This method"
    rules: ClassVar[Mapping[str, Rule]] = {}
    # operations whose own gradient is right here; None: every one without a rule
    passes: ClassVar[frozenset[str] | None] = STRUCTURAL
    opaque: ClassVar[frozenset[str]] = FUSED

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, str] = {}
        self._seen: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()
        self._packing: Any = None

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        """Before a forward pass: whose parameters are whose, and what comes in from outside."""
        if module is not None and not self.names:
            self.names = {id(parameter): name for name, parameter in module.named_parameters()}
        self._mark(arguments)
        self._packing = packing()

    def end(self, output: Any) -> Any:
        """After a forward pass: nothing may have come from where the mode does not see."""
        values = getattr(output, "__dict__", None)
        self._check("the output", [*tensors_in(output), *tensors_in(values)])
        return output

    def under(self, thunk: Callable[[], Any]) -> Any:
        """Evaluate a decomposition under the same rules."""
        with self:
            return thunk()

    def layer_of(self, weight: Any) -> str:
        """The name of the layer a parameter belongs to; empty for tensors that are no parameters."""
        return self.names.get(id(weight), "").rpartition(".")[0]

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        taken = [tensor for tensor in tensors_in((args, kwargs)) if tensor.requires_grad]
        if any(map(self._foreign, taken)):
            args, kwargs = mapped((args, kwargs), lambda value: value.detach() if self._foreign(value) else value)
            taken = [tensor for tensor in tensors_in((args, kwargs)) if tensor.requires_grad]
        if not taken:
            return func(*args, **kwargs)
        name, in_place = identify(func, args, kwargs)
        self._check(name, taken)
        if packing() is not self._packing:
            raise self._unseen(
                f"activation checkpointing would do {name} again unseen",
                "Something keeps what the backward pass needs by hooks of its own (torch.utils.checkpoint, save_on_cpu).",
                "Switch it off for the explanation, for example with model.gradient_checkpointing_disable().",
            )
        if in_place:
            before = args[0].clone()
            self._follow(before, args[0])
            self._mark(before)
            after = self._apply(name, _out_of_place(name), (before, *_instead(args[1:], args[0], before)), kwargs)
            result = args[0].copy_(after)
            self._follow(args[0], after)
        else:
            result = self._apply(name, func, args, kwargs)
        self._mark(result)
        if in_place or name in WRITING:
            self._mark(args[:1])
        return result

    def _apply(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        rule = self.rules.get(name)
        if rule is not None:
            return rule(self, function, *args, **kwargs)
        if name in self.opaque:
            raise ModelError(
                "fused_recurrence",
                f"{self.title} cannot look into torch's fused {name}",
                hint="Use the cells in a loop (nn.LSTMCell, nn.GRUCell), or another method.",
            )
        if name in DECOMPOSED and self.passes is not None:
            return self.under(lambda: DECOMPOSED[name](*args, **kwargs))
        if isinstance(function, types.FunctionType) and name not in STRUCTURAL | CLOSED:
            return self.open(function, args, kwargs)
        return self.otherwise(name, function, args, kwargs)

    def open(self, function: types.FunctionType, args: Any, kwargs: Any) -> Any:
        """Run the body of one of torch's Python functions under the same rules."""
        return self.under(lambda: opened(function)(*args, **kwargs))

    def otherwise(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        """An operation at the bottom of torch that no rule is written for."""
        result = function(*args, **kwargs)
        if self.passes is not None and name not in self.passes and any(map(active, tensors_in(result))):
            raise self.uncovered(name)
        return result

    def uncovered(self, name: str, why: str = "Its plain gradient would be wrong without saying so.") -> ModelError:
        return ModelError(
            "uncovered_operation",
            f"{self.title} has no rule for the operation {name!r}",
            why,
            "Explain the model with a gradient, path or perturbation method, or without this operation.",
        )

    def _follow(self, tensor: Tensor, other: Tensor) -> None:
        """What a subclass knows of another tensor holds for this one from now on, and nothing else."""

    def _mark(self, value: Any) -> None:
        for tensor in filter(active, tensors_in(value)):
            self._seen[id(tensor)] = tensor

    def _foreign(self, value: Any) -> bool:
        """Whether it is a parameter of something nobody told us of, such as a model that a function closes over."""
        return active(value) and value.is_leaf and self._seen.get(id(value)) is not value

    def _check(self, where: str, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if tensor.requires_grad and self._seen.get(id(tensor)) is not tensor:
                raise self._unseen(
                    f"something before {where} hides them",
                    f"A tensor of shape {list(tensor.shape)} came from nowhere.",
                    "Scripted or traced modules, custom autograd functions, activation checkpointing and forward passes in "
                    "other threads (DataParallel) cannot be seen: explain the plain module, or use another method.",
                )

    def _unseen(self, what: str, detail: str, hint: str) -> ModelError:
        self.refusal = ModelError(
            "unseen_operation", f"{self.title} needs to see every operation, and {what}", detail, hint
        )
        return self.refusal


def packing() -> Any:
    """What packs the tensors that autograd keeps: activation checkpointing works through that, and only says so there."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(False)  # noqa: SLF001  # has no public name; torch 2.8
    return None if hooks is None else hooks[0]


def identify(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[str, bool]:
    """An operation's name at the bottom of torch, and whether it works in place; `inplace=` is taken out."""
    name = str(getattr(func, "__name__", func))
    if name in IN_PLACE:
        return IN_PLACE[name], True
    in_place = bool(kwargs.pop("inplace", False))
    if name.endswith("_") and not name.endswith("__") and name not in STRUCTURAL | WRITING:
        name, in_place = name[:-1], True
    elif isinstance(func, types.FunctionType) and (at := _inplace_argument(func)) is not None and len(args) > at:
        in_place = bool(args[at])
    return ALIASES.get(name, name), in_place


def _instead(values: Any, old: Tensor, new: Tensor) -> Iterator[Any]:
    return (new if value is old else value for value in values)


@functools.cache
def _inplace_argument(function: types.FunctionType) -> int | None:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return names.index("inplace") if "inplace" in names else None


@functools.cache
def _out_of_place(name: str) -> Any:
    for home in (torch, functional, torch.special, Tensor):
        if hasattr(home, name):
            return getattr(home, name)
    raise ModelError("uncovered_operation", f"The operation {name}_ is only known in place")


_ASKING = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@functools.cache
def opened(function: types.FunctionType) -> Any:
    """The same function, with its question whether somebody wants to take over answered with no."""
    answers = dict.fromkeys(_ASKING, lambda *_: False)
    known = {**function.__globals__, **{name: no for name, no in answers.items() if name in function.__globals__}}
    opened = types.FunctionType(
        function.__code__, known, function.__name__, function.__defaults__, function.__closure__
    )
    opened.__kwdefaults__ = function.__kwdefaults__
    return opened
