"""Any metrics of the methods on 50 digits, controls beside them: `python -m benchmarks.metrics_beside morf lerf:fill=mean`.

Figures of the pages in docs/metrics/ are from here where docs/metrics/index.md has no findings. The mask, for metrics that ask for
one, is the digit's strokes. The last two columns are what each metric asked the model for, for one image: forward passes, gradients.
"""

import argparse

import torch

from benchmarks.metrics import METHODS, digits, measured, titled

STROKES = 0.3  # brighter than this


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics_beside", description=__doc__)
    parser.add_argument("metrics", nargs="+", metavar="metric")
    asked = dict(_asked(word) for word in parser.parse_args().metrics)
    torch.set_num_threads(1)
    subject = digits(50)
    found = measured(subject, METHODS, asked, controls=True, mask=subject.images > STROKES)
    for name in asked:
        print(f"\n{name}")
        for method in sorted(found, key=lambda one: -float(found[one][name])):
            result = found[method][name]
            passes = [result.evaluations.get(kind, 0) / found.rows for kind in ("forward", "gradient")]
            print(f"{titled(method):32}{float(result):10.3f}{passes[0]:8.0f}{passes[1]:6.0f}")


def _asked(word: str) -> tuple[str, tuple[str, dict[str, str | int]]]:
    """A metric and its parameters: "deletion:fill=mean,steps=9"."""
    name, _, given = word.partition(":")
    pairs = (pair.split("=") for pair in filter(None, given.split(",")))
    return word, (name, {key: int(value) if value.isdecimal() else value for key, value in pairs})


if __name__ == "__main__":
    main()
