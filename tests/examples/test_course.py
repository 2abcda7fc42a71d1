"""The course: its solutions pass its checks, and wrong answers are told what is wrong with them."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pytest

from xaiwidgets.examples import course
from xaiwidgets.examples.course import Verdict

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "course"
LESSONS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
CHECKS = set(course.__all__) - {"Verdict"}
SOLUTION = re.compile(r"<summary>A solution</summary>\n\n```python\n(.*?)```", re.DOTALL)

Scope = dict[str, Any]


@cache
def worked(lesson: str) -> tuple[Scope, dict[str, tuple[Verdict, Verdict]]]:
    """A lesson with all its exercises solved: its names, and of each check what it says before and after."""
    mpl.use("agg")
    scope: Scope = {}
    verdicts = {}
    solution = None
    for cell in nbformat.read(FOLDER / f"{lesson}.ipynb", 4).cells:
        if cell.cell_type == "markdown":
            solution = SOLUTION.search(cell.source)
            continue
        *work, last = ast.parse(cell.source).body
        exec(compile(ast.Module(work, []), lesson, "exec"), scope)
        code = ast.unparse(last)
        if solution is None:
            exec(code, scope)
        else:
            before = eval(code, scope)
            exec(solution[1], scope)
            verdicts[code.partition("(")[0].removeprefix("course.")] = before, eval(code, scope)
        solution = None
    return scope, verdicts


@pytest.mark.parametrize("lesson", LESSONS)
def test_solutions_pass_and_dots_do_not(lesson: str) -> None:
    _, verdicts = worked(lesson)
    assert len(verdicts) >= 3
    for check, (before, after) in verdicts.items():
        assert repr(before) == "Not yet. Put your answer in the place of the dots.", check
        assert not before
        assert after, f"{check}: {after}"
        assert repr(after) == f"✓ {after.text}"


def test_every_check_has_its_exercise() -> None:
    assert len(LESSONS) == 6
    assert set().union(*(worked(lesson)[1] for lesson in LESSONS)) == CHECKS == {check for _, check, _ in cases()}


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebooks_are_small_and_hold_no_state_of_widgets(lesson: str) -> None:
    path = FOLDER / f"{lesson}.ipynb"
    book = nbformat.read(path, 4)
    assert path.stat().st_size < 100_000
    assert "widgets" not in book.metadata
    assert 10 <= len(book.cells) <= 15
    for cell in book.cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)]+)\)", cell.source):
                assert (FOLDER / link).is_file(), link
        else:
            assert cell.execution_count
            if "\ncourse." in f"\n{cell.source}":
                (output,) = cell.outputs
                assert output.data["text/plain"] == "Not yet. Put your answer in the place of the dots."


def test_lines_of_code_fit_a_page() -> None:
    for lesson in LESSONS:
        for cell in nbformat.read(FOLDER / f"{lesson}.ipynb", 4).cells:
            longest = max(cell.source.splitlines(), key=len)
            assert cell.cell_type == "markdown" or len(longest) <= 132, longest


WRONG = {
    "1-saliency": """
foretold(model, eight, moved, 8, slopes[place]) | That is the slope
foretold(model, eight, moved, 8, -0.2 * slopes[place]) | sign
foretold(model, eight, moved, 8, (model(moved) - model(eight))[0, 8]) | without asking again
foretold(model, eight, moved, 8, 12.3) | yours is 12.300
foretold(model, eight, moved, 8, slopes) | One number is wanted, and this is a tensor
foretold(model, eight, moved, 8, "much") | this is a str
quiet(model, eight, 8, 2) | more are needed
quiet(model, eight, 8, 128) | fewer will do
quiet(model, eight, 8, 5) | Choose one of
still_read(model, eight, 8, lambda noise: 100 * still_read(noise)) | between 0 and 1
still_read(model, eight, 8, lambda noise: 1.0) | yours is 1.00
still_read(model, eight, 8, lambda noise: 1 - still_read(noise)) | Draw at least 100 copies
""",
    "2-baselines": """
totals(model, zero, 0, starts, {"black": 1.0}) | no sum for white, an eight
totals(model, zero, 0, starts, dict.fromkeys(starts, model(zero)[0, 0])) | the score of the image
totals(model, zero, 0, starts, {name: -change for name, change in sums.items()}) | sign
totals(model, zero, 0, starts, {name: 2 * change for name, change in sums.items()}) | another amount
totals(model, zero, 0, starts, [1, 2, 3]) | dictionary
totals(model, zero, 0, starts, dict.fromkeys(starts, ...)) | dots
blind(zero, starts["black"], zero != 0) | other way round
blind(zero, starts["black"], zero < 0.3) | pixels are marked wrongly
blind(zero, starts["black"], zero) | True and False
blind(zero, starts["black"], (zero == 0)[0, 0]) | shape
only_there(model, zero, 0, hole, starts["black"]) | Outside the region
only_there(model, zero, 0, hole, zero) | Inside the region
only_there(model, zero, 0, hole, filled[0]) | has the shape [1, 1, 8, 8]; yours has [1, 8, 8]
mean_map(model, zero, 0, references, 8 * values_of_mean) | sum of the maps
mean_map(model, zero, 0, references, map_of_mean) | from the mean of the references
mean_map(model, zero, 0, references, zero) | Not the mean of the maps
mean_map(model, zero, 0, references, zero / 0) | not finite
""",
    "3-adding-up": """
straight(model, eight, 8, lambda *given: integrated(*given) / (eight + 1e-9)) | mean gradient
straight(model, eight, 8, lambda *given: integrated(*given) * given[3]) | divide by it
straight(model, eight, 8, lambda *given: -integrated(*given)) | sign
straight(model, eight, 8, lambda *given: xw.attribute(*given[:2], target=8, method="input_x_gradient").values) | gradient at the image
straight(model, eight, 8, lambda *given: eight) | away from a map with 257
straight(model, eight, 8, lambda *given: None) | dots
without_biases(model, eight, 8, model) | Make a copy
without_biases(model, eight, 8, copy.deepcopy(model)) | still biases
without_biases(bare, eight, 8, copy.deepcopy(bare)) | lost its biases
without_biases(model, eight, 8, torch.nn.Sequential()) | other parameters
without_biases(model, eight, 8, all_gone) | no biases, and have changed
without_biases(model, eight, 8, "bare") | A model is wanted
constant(model, eight, 8, torch.zeros_like(eight)) | adds up to 0.000
constant(model, eight, 8, finest * change / finest.sum()) | knows too much
constant(model, eight, 8, change) | this is a float
""",
    "4-random-networks": """
forgets(model, "classifier.3", lambda model, layer: model) | did not change
forgets(model, "classifier.3", lambda model, layer: (model.classifier[3].reset_parameters(), model)[1]) | lost classifier.3.weight
forgets(model, "classifier.3", lambda model, layer: untrained) | changed too
forgets(model, "classifier.3", lambda model, layer: layer) | A model is wanted
forgets(model, "classifier.3", lambda model, layer: emptied) | one value throughout
forgets(model, "classifier.3", lambda model, layer: model.classifier) | other layers
fooled(untrained_row, {"saliency"}) | did change
fooled(untrained_row, set()) | missing
fooled(untrained_row, {"magic"}) | no magic in the table
fooled(untrained_row, "guided_backprop") | set is wanted
hollow(model, untrained, images, lambda model, images: torch.rand_like(images)) | says two things
hollow(model, untrained, images, lambda model, images: torch.ones_like(images)) | flat
hollow(model, untrained, images, lambda model, images: images) | fails the test
hollow(model, untrained, images, lambda model, images: xw.attribute(model, images, target=labels).values) | explains something
hollow(model, untrained, images, lambda model, images: images[0]) | shape
""",
    "5-training-examples": """
product(index, query, label, [0, 1], lambda *given: -product(*given)) | sign
product(index, query, label, [0, 1], lambda *given: 2 * product(*given)) | Both are gradients
suspects(digits.wrong, len(index), np.argsort(index.self_influence())[:30]) | other end
suspects(digits.wrong, len(index), range(30)) | by chance
suspects(digits.wrong, len(index), range(5)) | 30 positions
suspects(digits.wrong, len(index), [1] * 30) | twice
suspects(digits.wrong, len(index), range(1340, 1370)) | from 0 to 1346
neighbours(digits.train_images, query, range(10)) | not among the ten nearest
neighbours(digits.train_images, query, distances.topk(10).indices) | farthest
""",
    "6-words": """
left_out(model, tokenizer, text, 0, [-change for change in changes]) | sign
left_out(model, tokenizer, text, 0, [float(before) - change for change in changes]) | What has changed?
left_out(model, tokenizer, text, 0, [change + 1 for change in changes]) | One word a time
left_out(model, tokenizer, text, 0, shares) | Take the logit
left_out(model, tokenizer, text, 0, changes[1:]) | has the shape [12]
rather_than(model, tokenizer, text, (0, 2), positive - negative) | positive rather than negative
rather_than(model, tokenizer, text, (0, 2), negative) | away
turned(model, tokenizer, "the film was good .") | word of praise
turned(model, tokenizer, "the film was bad .") | says negative, and it should say positive
turned(model, tokenizer, "the film was sublime .") | does not know “sublime”
turned(model, tokenizer, "") | A sentence
two_negations(model, tokenizer, "the film was not good .") | Put two
two_negations(model, tokenizer, "the film was old .") | there are 0
two_negations(model, tokenizer, "the film was not never good but the hotel was bad .") | there are 2
""",
}  # a call, and what its verdict says
EXTRA = {
    "2-baselines": """
values_of_mean = values
map_of_mean = xw.attribute(model, zero, target=0, baseline=references.mean(0, keepdim=True)).values
""",
    "3-adding-up": """
all_gone = copy.deepcopy(bare)
for weights in all_gone.parameters():
    weights.data.zero_()
""",
    "4-random-networks": """
emptied = copy.deepcopy(model)
for weights in emptied.classifier[3].parameters():
    weights.data.zero_()
untrained_row = {method: row["untrained"] for method, row in table.items()}
""",
    "6-words": """
masked = ids.repeat(len(words), 1).fill_diagonal_(tokenizer.mask_token_id)
shares = (model(ids).softmax(1) - model(masked).softmax(1))[:, 0]
""",
}


def cases() -> list[tuple[str, str, str]]:
    """(lesson, check, line)"""
    return [
        (lesson, line.partition("(")[0], line) for lesson, lines in WRONG.items() for line in lines.strip().splitlines()
    ]


@pytest.mark.parametrize("lesson", LESSONS)
def test_wrong_answers_are_told_what_is_wrong(lesson: str) -> None:
    scope = dict(worked(lesson)[0])
    exec(EXTRA.get(lesson, ""), scope)
    for _, _, line in (case for case in cases() if case[0] == lesson):
        call, _, said = line.rpartition(" | ")
        verdict = eval(f"course.{call}", scope)
        assert not verdict, line
        assert said in verdict.text, f"{line}: {verdict}"
        assert repr(verdict).startswith("Not yet. ")


def test_the_network_survives_a_careless_answer() -> None:
    scope, verdicts = worked("4-random-networks")
    exec(EXTRA["4-random-networks"], scope)
    before = {name: value.clone() for name, value in scope["model"].state_dict().items()}
    line = next(line for _, _, line in cases() if "lost classifier" in line)
    assert not eval(f"course.{line.rpartition(' | ')[0]}", scope)
    assert all(value.equal(before[name]) for name, value in scope["model"].state_dict().items())
    assert verdicts["forgets"][1]


def test_errors_in_an_answer_are_the_learners_to_see() -> None:
    scope, _ = worked("1-saliency")
    with pytest.raises(ZeroDivisionError):
        eval("course.still_read(model, eight, 8, lambda noise: 1 / 0)", scope)
