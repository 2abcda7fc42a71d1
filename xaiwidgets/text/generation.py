"""What a language model goes on with, and what it thought at each step: probabilities, entropy, the other candidates.

Hugging Face models generate with their own `generate`; any other model that puts out logits [rows, tokens, words] is asked
step by step. What is told about the steps comes from one teacher-forced pass over prompt and output together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.state import borrowed, check_mode, lock_of, module_of
from xaiwidgets.engine.target import unwrap

from .alignment import align
from .session import call_of, check_length
from .spelling import readable, surface
from .tokenizers import Text, decode, decoded, special_ids, spelling, token_id, tokenize
from .tokens import Token, Tokens


@dataclass(frozen=True)
class Alternative:
    """A token that could have come."""

    id: int
    text: str
    probability: float
    logit: float


@dataclass(frozen=True)
class Step:
    """One output token as the model saw it coming.

    rank       1 for the most probable token
    entropy    of the distribution over the vocabulary, in nats
    top        the most probable tokens, the first one first
    """

    id: int
    probability: float
    logit: float
    rank: int
    entropy: float
    top: tuple[Alternative, ...]


@dataclass(frozen=True, eq=False)
class Generated:
    """A prompt and what follows it, given by the model or by the caller.

    prompt, output    their tokens, each with its own text
    model             as it was passed
    encoder_decoder   the output goes to a decoder of its own, behind `start` tokens that begin it
    """

    model: Any
    tokenizer: Any
    prompt: Tokens
    output: Tokens
    encoder_decoder: bool
    start: tuple[int, ...] = ()
    alternatives: int = 10

    @property
    def n_prompt(self) -> int:
        return len(self.prompt)

    @cached_property
    def tokens(self) -> Tokens:
        """Prompt and output, one after the other."""
        return self.prompt.joined(self.output)

    @cached_property
    def call(self) -> dict[str, Any]:
        """The model's keyword arguments for one teacher-forced pass over all of it."""
        if not self.encoder_decoder:
            return call_of(self.model, [self.tokens])[0]
        call, _ = call_of(self.model, [self.prompt])
        ids = torch.tensor([[*self.start, *self.output.ids[:-1]]], device=call["input_ids"].device)
        return {**call, "decoder_input_ids": ids}

    def row(self, position: int) -> int:
        """Where the logits of an output token are, counted from the end of the model's output."""
        return position - len(self.output) - (not self.encoder_decoder)

    @cached_property
    def logits(self) -> Tensor:
        """[output tokens, words] the model's logits before each output token, from one pass."""
        if not len(self.output):
            return torch.zeros(0, 0)
        with _asking(self.model):
            logits = unwrap(self.model(**self.call))[0].detach()
        first = len(logits) + self.row(0)
        return logits[first : first + len(self.output)].float()

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What the model thought before each output token."""
        if not len(self.output):
            return ()
        log = self.logits.log_softmax(-1)
        probabilities = log.exp()
        entropies = -(probabilities * log.clamp(min=torch.finfo(log.dtype).min)).sum(-1)
        best = log.topk(min(self.alternatives, log.shape[-1]), dim=-1).indices
        return tuple(
            self._step(place, number, probabilities[place], float(entropies[place]), best[place])
            for place, number in enumerate(self.output.ids)
        )

    def _step(self, place: int, number: int, probabilities: Tensor, entropy: float, best: Tensor) -> Step:
        logits = self.logits[place]
        top = tuple(
            Alternative(one, surface(decoded(one, self.tokenizer)), float(probabilities[one]), float(logits[one]))
            for one in best.tolist()
        )
        rank = 1 + int((logits > logits[number]).sum())
        return Step(number, float(probabilities[number]), float(logits[number]), rank, entropy, top)


def generate(
    model: Any,
    text: Text | Tokens,
    tokenizer: Any,
    *,
    tokens: int = 40,
    continuation: str | Sequence[int] | None = None,
    sample: bool = False,
    temperature: float = 1.0,
    seed: int = 0,
    alternatives: int = 10,
    training: bool | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generated:
    """Let a language model go on with a text, or take what it should have said.

    tokens         how many at most; the model may stop earlier
    continuation   a text, or token numbers (as `model.generate` gives them, without the prompt), instead of generating
    sample         draw from the distribution, from `seed`; otherwise the most probable token each time
    progress       called with the number of tokens there are; it may raise Cancelled

    The model and the global random state stay as they are. Raises ModelError for a model that is no language model.
    """
    if tokens < 1 or temperature <= 0:
        raise ParameterError(
            "parameter_range", f"tokens={tokens}, temperature={temperature} cannot be", hint="Both are positive."
        )
    check_mode(module_of(model), training)
    prompt = text if isinstance(text, Tokens) else tokenize(text, tokenizer)
    check_length(model, len(prompt))
    paired = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
    start = _start(model) if paired else ()
    if continuation is None:
        way = _Way(tokens, sample, temperature, progress)
        with _asking(model, training):
            torch.manual_seed(seed)
            call, own = call_of(model, [prompt])
            if callable(getattr(model, "generate", None)):
                ids = _generated(model, call, tokenizer, way)
                ids = ids[len(start) if paired else len(prompt) :]
            else:
                ids = _continued(model, call, own, tokenizer, way)
        output = output_tokens(prompt, ids, tokenizer, joined=not paired)
    elif isinstance(continuation, str):
        output = typed_tokens(prompt, continuation, tokenizer, joined=not paired)
    else:
        output = output_tokens(prompt, [int(number) for number in continuation], tokenizer, joined=not paired)
    if not len(output):
        raise InputError("empty_text", "There is no output to explain", hint="Type one, or ask for more tokens.")
    return Generated(model, tokenizer, prompt, output, paired, start, alternatives)


# --- texts of prompt and output -------------------------------------------------------------------------------------------


def typed_tokens(prompt: Tokens, text: str, tokenizer: Any, *, joined: bool) -> Tokens:
    """A continuation that the caller wrote. Tokenized together with the prompt where that leaves the prompt as it is."""
    if joined:
        whole = tokenize(prompt.text + text, tokenizer)
        if whole.ids[: len(prompt)] == prompt.ids and len(whole) > len(prompt):
            shift = len(prompt.text)
            return _output(text, [(max(0, one.start - shift), max(0, one.end - shift)) for one in whole.items[len(prompt) :]],
                           whole.ids[len(prompt) :], whole.surfaces[len(prompt) :], tokenizer)  # fmt: skip
    own = tokenize(text, tokenizer, special=not joined)
    return _output(text, [(one.start, one.end) for one in own.items], own.ids, own.surfaces, tokenizer)


def output_tokens(prompt: Tokens, ids: Sequence[int], tokenizer: Any, *, joined: bool) -> Tokens:
    """Generated tokens with their text, and each one's place in it."""
    control = special_ids(tokenizer)
    context = [number for number in prompt.ids if number not in control][-8:] if joined else []
    words = [number for number in ids if number not in control]
    text, before = decode([*context, *words], tokenizer) or "", decode(context, tokenizer) if context else ""
    if before and not text.startswith(before.rstrip("\ufffd")):
        text, before = decode(words, tokenizer) or "", ""
    text = text[len((before or "").rstrip("\ufffd")) :]
    added = {place for place, number in enumerate(ids) if number in control}
    spelled = [spelling(number, tokenizer) for number in ids]
    unknown = token_id(tokenizer, "unk")
    laid = [None if number == unknown else word for number, word in zip(ids, spelled, strict=True)]
    found = align(readable(text), laid, added)
    surfaces = [surface(decoded(number, tokenizer)) for number in ids]
    return _output(text, found.spans, list(ids), surfaces, tokenizer, missed=found.missed)


def _output(
    text: str, spans: list[tuple[int, int]], ids: list[int], surfaces: list[str], tokenizer: Any, *, missed: int = 0
) -> Tokens:
    control = special_ids(tokenizer)
    items = tuple(
        Token(int(number), start, end, int(number) in control, "output", shown)
        for number, (start, end), shown in zip(ids, spans, surfaces, strict=True)
    )
    inputs = {"input_ids": tuple(int(number) for number in ids), "attention_mask": (1,) * len(ids)}
    return Tokens(text, items, inputs, missed)


# --- running the model ----------------------------------------------------------------------------------------------------


def _asking(model: Any, training: bool | None = None) -> Any:
    module = module_of(model)
    device = next((parameter.device for parameter in module.parameters()), None) if module is not None else None
    return borrowed(module, lock_of(module), gradient=False, training=training, device=device or torch.device("cpu"))


class _Streamer:
    """Told of each token as `generate` finds it; the prompt comes first, all at once."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.progress, self.count = progress, -1

    def put(self, _ids: Tensor) -> None:
        self.count += 1
        if self.count:
            self.progress(self.count)

    def end(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class _Way:
    """How to go on."""

    tokens: int
    sample: bool
    temperature: float
    progress: Callable[[int], None] | None


def _generated(model: Any, call: dict[str, Any], tokenizer: Any, way: _Way) -> list[int]:
    options: dict[str, Any] = {"max_new_tokens": way.tokens, "do_sample": way.sample, "num_beams": 1}
    if way.sample:
        options |= {"temperature": way.temperature, "top_k": 0, "top_p": 1.0}
    pad = token_id(tokenizer, "pad")
    if pad is None:
        pad = token_id(tokenizer, "eos")
    if pad is not None:
        options["pad_token_id"] = pad
    if way.progress is not None:
        options["streamer"] = _Streamer(way.progress)
    return [int(number) for number in model.generate(**call, **options)[0].tolist()]


def _continued(model: Any, call: dict[str, Any], own: str, tokenizer: Any, way: _Way) -> list[int]:
    """Token by token, everything run again each time."""
    end, found = token_id(tokenizer, "eos"), list[int]()
    for count in range(1, way.tokens + 1):
        logits = unwrap(model(**call))
        if logits.ndim != 3:
            raise ModelError(
                "not_a_language_model",
                f"The model puts out shape {list(logits.shape)}",
                "A language model puts out [rows, tokens, words].",
            )
        last = logits[0, -1].float()
        number = int(torch.multinomial((last / way.temperature).softmax(-1), 1)) if way.sample else int(last.argmax())
        found.append(number)
        if way.progress is not None:
            way.progress(count)
        if number == end:
            break
        call = {
            name: torch.cat([value, value.new_tensor([[number if name == own else 1]])], 1)
            if isinstance(value, Tensor) and value.ndim == 2
            else value
            for name, value in call.items()
        }
    return found


def _start(model: Any) -> tuple[int, ...]:
    """What a decoder's text begins with."""
    for config in (getattr(model, "generation_config", None), getattr(model, "config", None)):
        for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
            number = getattr(config, name, None)
            if isinstance(number, int) and not isinstance(number, bool):
                return (number,)
    raise ModelError(
        "no_start_token",
        "The model does not say what its decoder starts with",
        hint="Set model.config.decoder_start_token_id.",
    )
