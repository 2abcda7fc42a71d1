"""The widgets on the site's pages: small real models that train in seconds, seeded, without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import xaiwidgets as xw
from xaiwidgets import examples

torch.set_num_threads(1)  # the fastest for networks as small as these

SENTENCE = "last summer , the film was not very good ."


def heatmap() -> Any:
    """Why an astronaut and not a flower, on a picture that has both."""
    made = examples.scenes()
    astronaut, flower = made.names.index("astronaut"), made.names.index("flower")
    return xw.explain(
        made.model, examples.mosaic("astronaut", "flower"), target=xw.Contrast(astronaut, flower), labels=made.names,
        baseline="mean",
    ).wait()  # fmt: skip


def path() -> Any:
    """A zero, from four baselines."""
    made = examples.digits()
    zero = made.images[made.labels == 0][2:3]
    walk = xw.explore_path(
        made.model, zero, target=0, labels=made.names, baselines=["black", "white", "mean", "max_distance"]
    )
    return walk.wait().compare().wait()


def tokens() -> Any:
    """A sentence whose verdict a negation turns."""
    made = examples.sentences(steps=300)
    return xw.explain(
        made.model, SENTENCE, tokenizer=made.tokenizer, labels=list(made.names), baseline="mask"
    ).wait()  # fmt: skip


def examples_of_training() -> Any:
    """A misread digit, and the training examples that speak for and against its label."""
    made = examples.digits(wrong=0.1)
    index = xw.TrainingIndex.build(
        made.model, (made.train_images, made.train_labels), checkpoints=made.checkpoints, progress=False
    )
    said = made.model(made.images).argmax(1)
    place = int((said != made.labels).nonzero()[0])
    right = int(made.labels[place])
    query = made.images[place : place + 1]
    return xw.trace(index, query, k=4, label=right, given=right, labels=made.names).wait()


def scoreboard() -> Any:
    """Explanations of eight digits, and how they stand the tests."""
    made = examples.digits()
    methods = ["saliency", "input_x_gradient", "integrated_gradients", "guided_backprop"]
    return xw.compare(made.model, made.images[:8], methods, target=made.labels[:8], labels=made.names).wait()


def trust() -> Any:
    """A digit's map, tested."""
    made = examples.digits()
    w = xw.explain(made.model, made.images[:1], labels=made.names).wait()
    w.test()
    w.tested()
    return w


def show() -> Any:
    """Maps that were made elsewhere, as choices of one menu; the model is not there."""
    made = examples.scenes()
    mosaic, astronaut = examples.mosaic("astronaut", "flower"), made.names.index("astronaut")
    maps = {
        title: xw.attribute(made.model, mosaic, target=astronaut, method=name).values
        for title, name in (
            ("Integrated gradients", "integrated_gradients"),
            ("SmoothGrad", "smoothgrad"),
            ("Grad-CAM", "grad_cam"),
        )
    }
    return xw.show(maps, image=mosaic, target=astronaut, labels=made.names, title="From another library").wait()


WIDGETS: dict[str, Callable[[], Any]] = {
    "heatmap": heatmap, "path": path, "tokens": tokens, "training": examples_of_training, "scoreboard": scoreboard,
    "trust": trust, "show": show,
}  # fmt: skip
