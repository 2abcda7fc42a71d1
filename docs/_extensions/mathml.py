"""Formulas as MathML: browsers draw it themselves, so that pages with formulas need no script and no network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

KNOWN = (
    (re.compile(r"\\[bB]igg?[lr]?(?![a-zA-Z])"), ""),  # MathML's brackets grow by themselves
    (re.compile(r"\\texttt(?![a-zA-Z])"), r"\\mathtt"),
    (re.compile(r"\\dots(?![a-zA-Z])"), r"\\ldots"),
    (re.compile(r"(\\[dt]?frac) ?(\d)(\d)"), r"\1{\2}{\3}"),  # TeX takes one digit, docutils the whole number
)
"""What docutils does not know, or reads otherwise than TeX, and what to write for it."""


def mathml(formula: str, *, block: bool) -> str:
    """A formula in TeX as a `<math>` element. Raises MathError where it has a command that is not known."""
    for written, known in KNOWN:
        formula = written.sub(known, formula)
    return tex2mathml(formula, as_block=block)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
