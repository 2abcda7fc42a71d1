"""Print the tables: `python -m benchmarks [name ...]`, all subjects by default."""

import argparse
import importlib
import sys
import time

from benchmarks.measure import Row, Skip, table

SUBJECTS = {
    "path": "Integrated gradients: model evaluations until the result is good",
    "speed": "The same work beside the peer: CPU seconds with one thread, peak memory",
    "engine": "Every family beside its peers: the same model and work, CPU seconds with one thread, errors at equal cost",
    "start": "What is loaded, sent and saved: seconds to import, bytes",
    "live": "In the page: milliseconds from a hand's movement to pixels",
    "tokens": "Token strips: known words, every output token, long texts",
    "training": "Training examples: exact scores, the index and memory, beside captum and dattri",
    "training_quality": "Training examples: do scores find what was planted, and what retraining does",
    "metrics": "Is the explanation true: what is known of measuring explanations, found again",
    "metrics_road": "ROAD beside Quantus on the same images; seconds to the first points of a deletion curve",
    "trust": "The Trust drawer: seconds to the first points and until it stops, bytes",
    "explorer": "The path explorer: evaluations until it shows something, bytes, milliseconds from the slider to pixels",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SUBJECTS))
    names = parser.parse_args().names or list(SUBJECTS)
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        parser.error(f"there is no subject {unknown[0]!r}; there are {', '.join(SUBJECTS)}")
    for name in names:
        started = time.perf_counter()
        rows: list[Row] = []
        try:
            for row in importlib.import_module(f"benchmarks.{name}").rows():
                print(row.what, row.ours, row.peer, sep=" | ", file=sys.stderr, flush=True)  # it takes minutes
                rows.append(row)
        except Skip as reason:
            rows.append(Row(f"skipped: {reason}"))
        print(f"\n## {name}: {SUBJECTS[name]} ({time.perf_counter() - started:.0f} s)\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
