"""What is known of measuring explanations, found again: `python -m benchmarks metrics`, ten minutes on a CPU.

`python -m benchmarks.metrics` writes the same numbers as tables into docs/metrics/index.md. tests/metrics/test_metric_findings.py holds a
smaller edition to the same findings.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.beside import peers
from benchmarks.measure import SHARED, Row, Skip

PAGE = Path(__file__).parents[1] / "docs" / "metrics" / "index.md"
ZEROS = {"baseline": "zeros"}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "Shapley values": ("shapley", {"regions": "pixel", "samples": 512, **ZEROS}),
    "integrated gradients": ("integrated_gradients", ZEROS),
    "gradient × input": ("input_x_gradient", {}),
    "DeepLIFT": ("deeplift", ZEROS),
    "LRP z⁺": ("deep_taylor", {}),
    "RISE": ("rise", {"samples": 1024, **ZEROS}),
    "occlusion": ("occlusion", {"window": 1, "stride": 1, **ZEROS}),
    "guided backprop": ("guided_backprop", {}),
    "SmoothGrad": ("smoothgrad", {}),
    "gradient": ("saliency", {"absolute": False}),
    "absolute gradient": ("saliency", {"absolute": True}),
    "Grad-CAM": ("grad_cam", {}),
}
RANDOMISED = (
    "gradient", "absolute gradient", "SmoothGrad", "guided backprop", "gradient × input", "integrated gradients", "LRP z⁺",
)  # fmt: skip
CONTROLS = ("random", "edges", "lengths")
FILLS = ("zeros", "mean", "blur")
SMOOTHED = "SmoothGrad"


class Subject(NamedTuple):
    """A network, images it reads right, and their labels."""

    model: nn.Module
    images: Tensor
    labels: Tensor


class Finding(NamedTuple):
    """A table, and what it shows in a number with a budget."""

    title: str
    columns: tuple[str, ...]
    lines: list[tuple[str, ...]]
    claims: list[tuple[str, float, float]]  # what, the number, what it must not exceed


def digits(count: int) -> Subject:
    """Scikit-learn's digits, 8 × 8, and a convolutional network."""
    from xaiwidgets.examples import digits as example

    made = example()
    with torch.no_grad():
        right = (made.model(made.images).argmax(1) == made.labels).nonzero().flatten()[:count]
    return Subject(made.model, made.images[right], made.labels[right])


def photographs(count: int) -> Subject:
    """CIFAR-10 and the stored ResNet-20; Skip where they are not at hand."""
    from benchmarks.networks import cifar, resnet20

    images, labels = cifar(2000)
    model = resnet20().eval()
    with torch.no_grad():
        right = (model(images[::8]).argmax(1) == labels[::8]).nonzero().flatten()[:count] * 8
    return Subject(model, images[right], labels[right])


def measured(subject: Subject, methods: Mapping[str, Any], metrics: Mapping[str, Any], **options: Any) -> Any:
    """An evaluation by names of our own."""
    import xaiwidgets as xw

    return xw.evaluate(subject.model, subject.images, methods, target=subject.labels, metrics=metrics, **options)


def chosen(*names: str) -> dict[str, Any]:
    return {name: METHODS[name] for name in names}


def means(evaluation: Any, metric: str, curve: str = "", *, leave: tuple[str, ...] = CONTROLS) -> dict[str, float]:
    """A number a method: of a metric, or of one of its curves."""
    return {
        name: float(row[metric].curves[curve].values.nanmean() if curve else row[metric])
        for name, row in evaluation.items()
        if name not in leave
    }


def titled(name: str) -> str:
    """The name in a table."""
    return f"{name} (control)" if name in CONTROLS else name


def agreement(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Spearman's correlation of the two orders of the same names."""
    one, two = (
        torch.tensor([values[name] for name in first]).argsort().argsort().double() for values in (first, second)
    )
    return float(torch.corrcoef(torch.stack([one, two]))[0, 1])


# --- the order of methods depends on what is put in place of what is gone -------------------------------------------------


def removal(subject: Subject, methods: Mapping[str, Any], steps: int = 33) -> Any:
    """Deletion and insertion of every method and the controls, with each fill."""
    metrics = {
        f"{kind}, {fill}": (kind, {"fill": fill, "steps": steps})
        for fill in FILLS
        for kind in ("deletion", "insertion")
    }
    return measured(subject, methods, metrics, controls=True)


def of_removal(evaluation: Any) -> Finding:
    names = sorted(evaluation, key=lambda name: float(evaluation[name]["deletion, zeros"]))
    lines = [
        (
            titled(name),
            *(f"{float(evaluation[name][one]):.3f}" for one in evaluation.metrics),
        )
        for name in names
    ]
    zeros, blur = (means(evaluation, f"deletion, {fill}") for fill in ("zeros", "blur"))
    return Finding(
        f"Deletion and insertion of {evaluation.rows} digits: mean probability on the way",
        ("", *(one.replace("deletion", "deletion ↓").replace("insertion", "insertion ↑") for one in evaluation.metrics)),
        lines,
        [
            ("Shapley values to the absolute gradient, deletion to zeros", zeros["Shapley values"] / zeros["absolute gradient"], 0.5),
            ("agreement of the orders by deletion to zeros and to a blur", agreement(zeros, blur), 0.6),
        ],
    )  # fmt: skip


# --- what is left of a map when the model forgets ---------------------------------------------------------------------------


def randomisation(subject: Subject, methods: Mapping[str, Any]) -> Any:
    """Model randomisation without and with the constant background."""
    metrics = {mask: ("model_randomisation", {"mask": mask}) for mask in ("auto", "none")}
    return measured(subject, {**methods, "edges": "edges"}, metrics)


def of_randomisation(evaluation: Any) -> Finding:
    parts = [("auto", "rank"), ("auto", "rank_absolute"), ("none", "rank"), ("none", "rank_absolute"), ("auto", "ssim")]
    found = {part: means(evaluation, *part, leave=()) for part in parts}
    lines = [
        (titled(name), *(f"{values[name]:.2f}" for values in found.values()))
        for name in sorted(evaluation, key=lambda name: found["auto", "rank"][name])
    ]
    ranks = found["auto", "rank"]
    return Finding(
        f"Likeness to the map of a model whose layers are drawn anew, mean over layers, {evaluation.rows} digits",
        ("", "rank ↓", "rank of sizes", "rank, background too", "rank of sizes, background too", "SSIM"),
        lines,
        [
            ("gradient to guided backprop, rank correlation left", abs(ranks["gradient"]) / ranks["guided backprop"], 0.2),
            ("edges, 1 − rank correlation left", 1 - ranks["edges"], 0.001),
            (
                "gradient × input, 1 − rank correlation of sizes left, background too",
                1 - found["none", "rank_absolute"]["gradient × input"], 0.2,
            ),
        ],
    )  # fmt: skip


# --- smoothing --------------------------------------------------------------------------------------------------------------


def smoothing(subject: Subject, samples: int = 128) -> Any:
    """Sensitivity and infidelity of maps, and of their means over noisy copies."""
    methods = {
        "gradient": METHODS["gradient"],
        SMOOTHED: ("smoothgrad", {"samples": 32, "noise": 0.2}),
        "integrated gradients": ("integrated_gradients", {"steps": 17, **ZEROS}),
        "the same over 8 noisy copies": (
            "noise_tunnel",
            {"inner": "integrated_gradients", "samples": 8, "noise": 0.15},
        ),
    }
    metrics = {
        "max-sensitivity": ("max_sensitivity", {"radius": 0.1, "samples": 4}),
        "infidelity, noise": ("infidelity", {"perturbation": "gaussian", "noise": 0.2, "samples": samples}),
        "infidelity, noisy baseline": (
            "infidelity",
            {"perturbation": "noisy_baseline", "noise": 0.2, "samples": samples},
        ),
        "infidelity, squares": ("infidelity", {"perturbation": "square", "samples": samples}),
    }
    return measured(subject, methods, metrics)


def of_smoothing(evaluation: Any) -> Finding:
    lines = [(name, *(f"{float(row[one]):.2f}" for one in evaluation.metrics)) for name, row in evaluation.items()]
    claims = [
        (f"SmoothGrad to gradient, {one}", float(evaluation[SMOOTHED][one]) / float(evaluation["gradient"][one]), 1.0)
        for one in evaluation.metrics
    ]
    return Finding(
        f"Smoothing, {evaluation.rows} digits", ("", *(f"{one} ↓" for one in evaluation.metrics)), lines, claims
    )


# --- most relevant first against least relevant first --------------------------------------------------------------------------


def road(subject: Subject, methods: Mapping[str, Any], fills: tuple[str, ...]) -> Any:
    """Both curves with fixed fills, and with what the neighbours say."""
    metrics = {fill: ("road", {"fill": fill, "measure": "unchanged"}) for fill in fills}
    return measured(subject, methods, metrics, controls=True)


def noisy_maps(subject: Subject) -> dict[str, Tensor]:
    """Sizes of gradients and their kin, each alone and averaged over noisy copies in three ways, as Rong et al. compare."""
    import xaiwidgets as xw

    found: dict[str, Tensor] = {}
    for base in ("saliency", "guided_backprop", "input_x_gradient"):
        ways = [(base, {"absolute": False} if base == "saliency" else {})]
        ways += [
            ("noise_tunnel", {"inner": base, "average": average, "samples": 16})
            for average in ("smoothgrad", "smoothgrad_squared", "vargrad")
        ]
        for method, given in ways:
            made = xw.attribute(subject.model, subject.images, target=subject.labels, method=method, **given)
            found[f"{base} {given.get('average', '')}".strip()] = made.values.abs().sum(1, keepdim=True)
    return found


def orders(evaluation: Any, fill: str) -> float:
    """How far most and least relevant first order the maps alike: Spearman's correlation, 1 for the same order."""
    most, least = (means(evaluation, fill, curve, leave=()) for curve in ("morf", "lerf"))
    return agreement({name: -value for name, value in most.items()}, least)


def of_road(evaluations: Mapping[str, Any]) -> Finding:
    fills = next(iter(evaluations.values())).metrics
    found = {what: {fill: orders(one, fill) for fill in fills} for what, one in evaluations.items()}
    lines = [(what, *(f"{value:.2f}" for value in row.values())) for what, row in found.items()]
    claims = [
        (f"{what}: fixed fill (mean) less neighbours", row["mean"] - row["neighbours"], 0.0)
        for what, row in found.items()
        if what.startswith("CIFAR")
    ]
    return Finding(
        "Do most and least relevant first order the maps alike? Rank correlation of the two orders, by fill",
        ("", *(f"{fill} (ROAD)" if fill == "neighbours" else fill for fill in fills)),
        lines,
        claims,
    )


# --- texts ----------------------------------------------------------------------------------------------------------------------


READERS = (
    "attn_lrp",
    "shapley",
    "token_erasure",
    "input_x_gradient",
    "integrated_gradients",
    "saliency",
    "attention_rollout",
)
OF_TEXTS = ("comprehensiveness", "sufficiency", "log_odds", "faithfulness_violation", "deletion", "insertion")


def texts(count: int) -> Any:
    """Methods on sentences of SST-2 that a small BERT reads right; Skip where they are not at hand."""
    try:
        import transformers
    except ImportError as error:
        raise Skip("transformers is not installed") from error

    import xaiwidgets as xw

    peers()  # where torchvision is installed, transformers imports it
    path, stored = SHARED / "data" / "sst2" / "dev.tsv", SHARED / "models" / "sst2-bert-tiny"
    if not (path.exists() and stored.exists()):
        raise Skip("no SST-2 and BERT beside the repository")
    lines = [line.rsplit("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = [(text, int(label)) for text, label in lines if label in "01" and 5 <= len(text.split()) <= 25]
    tokenizer = transformers.AutoTokenizer.from_pretrained(stored)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(stored, attn_implementation="eager").eval()
    right = []
    for text, label in sentences:
        with torch.no_grad():
            if int(model(**tokenizer(text, return_tensors="pt")).logits.argmax()) == label:
                right.append((text, label))
        if len(right) == count:
            break
    labels = torch.tensor([label for _, label in right])
    return xw.evaluate(
        model, [text for text, _ in right], READERS, tokenizer=tokenizer, target=labels, metrics=OF_TEXTS, controls=True
    )


def of_texts(evaluation: Any) -> Finding:
    names = sorted(evaluation, key=lambda name: -float(evaluation[name]["comprehensiveness"]))
    arrows = {"higher": "↑", "lower": "↓"}
    found = means(evaluation, "comprehensiveness", leave=())
    return Finding(
        f"{evaluation.rows} sentences of SST-2, a small BERT",
        ("", *(f"{one} {arrows[evaluation.about[one]['direction']]}" for one in evaluation.metrics)),
        [
            (titled(name),
             *(f"{float(evaluation[name][one]):.2f}" for one in evaluation.metrics))
            for name in names
        ],
        [("the random map to Shapley values, comprehensiveness", found["random"] / found["shapley"], 0.7)],
    )  # fmt: skip


# --- all of it ------------------------------------------------------------------------------------------------------------------


def findings() -> Iterator[Finding]:
    yield of_removal(removal(digits(50), METHODS))
    yield of_randomisation(randomisation(digits(32), chosen(*RANDOMISED)))
    yield of_smoothing(smoothing(digits(16)))
    fills = ("zeros", "mean", "neighbours")
    found = {"digits, 12 methods and controls": road(digits(50), METHODS, fills)}
    try:
        pictures = photographs(32)
    except Skip:
        pass
    else:
        found["CIFAR-10, 12 maps and controls"] = road(pictures, noisy_maps(pictures), fills)
        yield of_edges(found["CIFAR-10, 12 maps and controls"])
    yield of_road(found)
    with suppress(Skip):
        yield of_texts(texts(50))


def of_edges(evaluation: Any) -> Finding:
    names = sorted(evaluation, key=lambda name: -float(evaluation[name]["neighbours"]))
    lines = [
        (titled(name), *(f"{float(evaluation[name]['neighbours'].curves[one].values.mean()):.2f}" for one in ("morf", "lerf")),
         f"{float(evaluation[name]['neighbours']):.2f}")
        for name in names
    ]  # fmt: skip
    return Finding(
        f"ROAD on {evaluation.rows} photographs (CIFAR-10, ResNet-20): share read as before",
        ("", "most relevant first ↓", "least relevant first ↑", "gap ↑"), lines, [],
    )  # fmt: skip


def rows() -> Iterator[Row]:
    for finding in findings():
        for name, *cells in finding.lines:
            parts = [f"{column} {cell}" for column, cell in zip(finding.columns[1:], cells, strict=True)]
            yield Row(f"{finding.title}: {name}", ", ".join(parts))
        for what, figure, limit in finding.claims:
            yield Row(what, figure=figure, limit=limit, unit="")


def document(found: Iterable[Finding], write: Callable[[str], Any] = print) -> str:
    """The tables in Markdown."""
    parts = []
    for finding in found:
        lines = [finding.columns, tuple("---" for _ in finding.columns), *finding.lines]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        claims = [f"* {what}: {figure:.2f} (≤ {limit:g})" for what, figure, limit in finding.claims]
        parts.append(
            "\n\n".join(filter(None, (f"**{finding.title}**", table, "\n".join(claims)))).replace("|  |", "| |") + "\n"
        )
        write(parts[-1])
    return "\n".join(parts)


if __name__ == "__main__":
    tables = document(findings(), lambda part: print(part, flush=True))
    marks = re.compile(r"(<!-- findings -->\n).*?(<!-- /findings -->)", re.DOTALL)
    text = marks.sub(lambda found: f"{found[1]}\n{tables}\n{found[2]}", PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
