"""The registry says what the functions are, and checks what they are given."""

import json
import re
from typing import Annotated, Literal

import pytest
import torch

from xaiwidgets.api import Session, attribute, methods
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.registry import FAMILIES, METHODS, Note, Range, find_method, parameters_of


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_is_documented(name):
    method = METHODS[name]
    assert method.name == name
    assert method.title
    assert method.summary.endswith(".")
    assert re.search(r"\(\d{4}\), .+, (arXiv:|doi:|[A-Z])", method.reference)  # authors (year), title, where
    assert method.unit.format(score="logit")
    assert method.schema()["family"] == FAMILIES[method.family]
    assert method.run.__doc__.count("Values ")
    for parameter in method.parameters:
        assert parameter.help.endswith("."), parameter
        assert parameter.title
        assert parameter.check(parameter.default) == parameter.default
    assert json.loads(json.dumps(method.schema())) == method.schema()


def sample(
    problem,
    *,
    steps: Annotated[int, Range(9, 512, log=True, help="Steps.")] = 64,
    share: Annotated[float, Range(0, 1, title="Part", help="Share.")] = 0.5,
    rule: Annotated[Literal["left", "right"], Note("Rule.")] = "left",
    flag: Annotated[bool, Note("Flag.")] = False,
    size: Annotated[float, Note("Size.")] = 1.0,
    seed: Annotated[int, Note("Seed.", kind="seed")] = 0,
    layer: Annotated[str | None, Note("Layer.", kind="layer")] = None,
    baseline: Annotated[object, Note("Baseline.", kind="baseline")] = "zeros",
    regions: Annotated[object, Note("Regions.", kind="regions")] = "pixel",
):
    """A method."""


PARAMETERS = {parameter.name: parameter for parameter in parameters_of(sample)}


def test_parameters_are_read_from_the_signature():
    assert [(p.name, p.kind) for p in PARAMETERS.values()] == [
        ("steps", "range"),
        ("share", "range"),
        ("rule", "choice"),
        ("flag", "switch"),
        ("size", "number"),
        ("seed", "seed"),
        ("layer", "layer"),
        ("baseline", "baseline"),
        ("regions", "regions"),
    ]
    assert PARAMETERS["steps"].schema() == {
        "name": "steps", "kind": "range", "default": 64, "title": "Steps", "help": "Steps.",
        "low": 9, "high": 512, "step": 1, "log": True, "integer": True,
    }  # fmt: skip
    assert PARAMETERS["flag"].schema() == {
        "name": "flag", "kind": "switch", "default": False, "title": "Flag", "help": "Flag."
    }  # fmt: skip
    assert PARAMETERS["seed"].schema()["low"] == 0
    assert PARAMETERS["share"].title == "Part"
    assert PARAMETERS["rule"].choices == ("left", "right")
    assert "blur" in PARAMETERS["baseline"].choices


def test_a_parameter_without_a_kind_is_a_mistake_of_the_author():
    def forgotten(problem, *, thing: str = "x"):
        """A method."""

    with pytest.raises(TypeError, match="thing"):
        parameters_of(forgotten)


@pytest.mark.parametrize(
    ("name", "value", "expected"), [("steps", 64.0, 64), ("share", 1, 1.0), ("seed", 3, 3), ("flag", True, True)]
)
def test_values_are_put_into_their_type(name, value, expected):
    found = PARAMETERS[name].check(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("steps", 8, "parameter_range"),
        ("steps", 513, "parameter_range"),
        ("steps", 9.5, "parameter_type"),
        ("steps", True, "parameter_type"),
        ("steps", "9", "parameter_type"),
        ("share", float("nan"), "parameter_type"),
        ("share", -0.1, "parameter_range"),
        ("rule", "middle", "parameter_choice"),
        ("rule", ["left"], "parameter_choice"),
        ("flag", 1, "parameter_type"),
        ("seed", -1, "parameter_range"),
        ("size", float("inf"), "parameter_type"),
    ],
)
def test_bad_values(name, value, code):
    with pytest.raises(ParameterError) as caught:
        PARAMETERS[name].check(value)
    assert caught.value.code == code
    assert name in caught.value.title


def test_unknown_names_suggest_the_right_one():
    with pytest.raises(ParameterError, match="Did you mean 'integrated_gradients'") as caught:
        find_method("integratedgradients")
    assert caught.value.code == "unknown_method"
    with pytest.raises(ParameterError, match="Did you mean 'steps'") as caught:
        find_method("integrated_gradients").check({"n_steps": 3})
    assert caught.value.code == "unknown_parameter"
    with pytest.raises(ParameterError, match="gradient") as caught:
        methods("gradients")
    assert caught.value.code == "unknown_family"
    assert {method.family for method in methods("path")} == {"path"}


def test_mistakes_are_reported_before_any_work():
    def model(x):
        raise AssertionError("must not run")

    session = Session(model, torch.rand(1, 3))
    with pytest.raises(ParameterError):
        session.stream("integrated_gradients", steps=3)
    with pytest.raises(InputError) as caught:
        session.stream("occlusion")
    assert caught.value.code == "not_an_image"
    assert "integrated_gradients" in caught.value.hint


def test_results_say_how_they_were_made():
    result = attribute(lambda x: x.sum(1), torch.rand(2, 3), steps=20)
    assert result.method == "integrated_gradients"
    assert result.parameters == {"baseline": "zeros", "steps": 20, "tolerance": 0.002, "rule": "adaptive"}
    assert result.seconds > 0
