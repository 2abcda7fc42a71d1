"""Token strips: do the known words come first, and what 1,000 prompt tokens with 50 outputs cost a kernel and a page."""

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.live import ROOT, show
from benchmarks.measure import Row, Skip

PROMPT, OUTPUT, LONG = 1000, 50, 4000
METHODS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"baseline": "mask", "steps": 33},
    "deeplift": {"baseline": "mask"},
    "attn_lrp": {},
    "shapley": {"baseline": "mask", "samples": 128},
    "token_erasure": {"baseline": "mask"},
    "lime": {"baseline": "mask", "samples": 128},
    "input_x_gradient": {},
    "saliency": {},
    "smoothgrad": {"samples": 16},
    "chefer": {},
    "raw_attention": {},
    "attention_rollout": {},
}
PROMISED = ("integrated_gradients", "deeplift", "attn_lrp", "shapley")

# Scrolls through a long list in thirty steps; the tasks of the page that took longer than 50 ms.
SCROLL = """async () => {
  const box = document.querySelector('.xw-scroll'), tasks = [];
  await new Promise(done => setTimeout(done, 1500));
  new PerformanceObserver(list => tasks.push(...list.getEntries().map(one => one.duration))).observe({ entryTypes: ['longtask'] });
  const most = box.scrollHeight - box.clientHeight;
  let nodes = 0;
  for (let step = 0; step <= 60; step++) {
    box.scrollTop = most * step / 60;
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 10)));
    nodes = Math.max(nodes, box.querySelectorAll('.xw-unit').length);
  }
  return [nodes, tasks];
}"""
STRIP = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
import xaiwidgets as xw
from xaiwidgets.examples.sentences import sentences
made = sentences()
text = ' '.join(one.text for one in made.sentences)
words = text.split()[:{LONG}]
from torch import nn
class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.last = nn.Embedding(len(made.tokenizer), 8), nn.Linear(8, 3)
    def forward(self, ids):
        return self.last(self.embed(ids).tanh().mean(1))
w = xw.explain(Bag().eval(), ' '.join(words), tokenizer=made.tokenizer, target=0, method='saliency').wait()
w
"""


def rows() -> Iterator[Row]:
    yield from known_words()
    yield from columns()
    yield from scrolling()


def known_words(count: int = 100) -> Iterator[Row]:
    """How often the words that decide a sentence have the largest values."""
    from xaiwidgets.examples.sentences import sentences

    example = sentences()
    for method in METHODS:
        share, negated = first_words(example, method, count)
        yield Row(
            f"known words come first, {method}",
            f"{share:.0%}; of negated sentences {negated:.0%}",
            figure=1 - share if method in PROMISED else None,
            limit=0.05 if method in PROMISED else None,
            unit="missed",
        )


def first_words(example: Any, method: str, count: int) -> tuple[float, float]:
    """Share of sentences whose deciding words, and no others, have the largest values: of all, and of the negated ones."""
    from xaiwidgets.api import Session
    from xaiwidgets.text.session import text_session

    chosen = [one for one in example.sentences if one.salient][:count]
    hits: list[tuple[bool, bool]] = []
    for label in (0, 2):
        asked = [one for one in chosen if one.label == label]
        texts = [one.text for one in asked]
        session = text_session(example.model, texts, example.tokenizer, session=Session, target=label)
        values = session.attribute(method, **METHODS[method]).values.abs()
        for one, row in zip(asked, values, strict=True):
            hits.append((set(row.topk(len(one.salient)).indices.tolist()) == set(one.salient), one.negated))
    negated = [found for found, turned in hits if turned]
    return sum(found for found, _ in hits) / len(hits), sum(negated) / len(negated)


def columns() -> Iterator[Row]:
    """Every output token attributed on a small GPT-2 with random weights; stopped in the middle, five times."""
    try:
        import transformers

        import tests.conftest  # noqa: F401  # torchvision without its operators, as in the tests
    except ImportError as error:
        raise Skip("transformers is not installed") from error
    import torch

    import xaiwidgets as xw
    from xaiwidgets.examples.sentences import sentences

    made = sentences()
    config = transformers.GPT2Config(
        vocab_size=len(made.tokenizer), n_positions=PROMPT + OUTPUT, n_embd=64, n_layer=2, n_head=4,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.GPT2LMHeadModel(config).eval()
    words = " ".join(one.text for one in made.sentences).split()
    prompt, answer = " ".join(words[:PROMPT]), " ".join(words[PROMPT : PROMPT + OUTPUT])
    widget = xw.explain(model, prompt, tokenizer=made.tokenizer, continuation=answer, steps=64).wait()
    stopped = []
    for turn in range(5):
        widget.columns()
        time.sleep(0.5 + 0.2 * turn)
        started = time.perf_counter()
        widget.cancel()
        widget.wait()
        stopped.append(time.perf_counter() - started)
        if len(widget.matrix_meta.get("have", ())) == OUTPUT:
            raise RuntimeError("there was nothing left to cancel")
    widget.params = {**widget.params, "method": "input_x_gradient", "parameters": {}}
    widget.wait()
    started = time.perf_counter()
    widget.columns().wait()
    spent = time.perf_counter() - started
    saved = len(json.dumps(widget.static_state(), default=lambda part: base64.b64encode(part).decode()))
    yield Row(
        f"{PROMPT} × {OUTPUT}: integrated gradients cancelled in the middle, worst of 5",
        f"{1000 * max(stopped):.0f} ms",
        figure=1000 * max(stopped),
        limit=300,
        unit="ms",
    )
    yield Row("  all columns, input × gradient", f"{spent:.1f} s")
    yield Row("  state, base64 included", f"{saved / 1e6:.2f} MB", figure=saved / 1e6, limit=4, unit="MB")
    widget.close()


def scrolling() -> Iterator[Row]:
    """A long text in JupyterLab."""
    try:
        from tests.browser.lab import Lab, browser  # the test extra
    except ImportError as error:
        raise Skip(f"{error.name} is not installed") from error
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        raise Skip("no Chromium: run `make browser`")
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        lab = Lab(Path(folder))
        try:
            page = chromium.new_page(viewport={"width": 1280, "height": 1400})
            page.set_default_timeout(180_000)
            show(lab, page, "tokens", STRIP)
            nodes, tasks = page.evaluate(SCROLL)
            longest = max(tasks, default=0)
            yield Row(
                f"scrolling through {LONG} tokens: longest task over 50 ms (0: none)",
                f"{longest:.0f} ms; at most {nodes} units in the page",
                figure=longest,
                limit=50,
                unit="ms",
            )
        finally:
            lab.close()
