"""How long does the whole default run take, with one job and with two, and how long would it in plain Keras?

mia.py is measured: its real main, from the start of its process to the last figure, into scratch folders, so
that nothing is reused. All its runs must write the same mia_results.csv, to the byte. Plain Keras, one model
after another on all cores, without figures, is measured for a few epochs of all six models, from the start of
its process to its end; the epochs that are missing are added, each model's at its own measured seconds per
epoch with its share of the attacks.

    python benchmarks/whole_run.py [--rounds N] [--epochs N] [--keras-epochs N] [--jobs N]
"""

import resource
import sys
import tempfile
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from ways_to_train import by_keras, enough, images, peak_memory

import mia
from support.command_line import whole_number

ROUNDS, KERAS_EPOCHS, JOBS = 3, 4, 2


class Run(NamedTuple):
    """Seconds of a run, peak memory of its largest training process (GB), and mia_results.csv."""

    seconds: float
    memory: float
    results: bytes


def run_main(epochs: int, jobs: int, start: float) -> Run:
    """`python mia.py --epochs --jobs`, with its results in scratch folders and its report not among ours.
    start: when the clock began to run."""
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        figures, cells = Path(scratch, "figures"), Path(scratch, "cells")
        mia.main(epochs=epochs, jobs=jobs, figures=figures, cells_folder=cells)
        results = (figures / "mia_results.csv").read_bytes()
        return Run(time.time() - start, peak_memory(resource.RUSAGE_CHILDREN), results)


def measured(epochs: int, jobs: int) -> Run:
    """A run in a fresh process, from whose start the clock runs."""
    return in_fresh_process(run_main, epochs, jobs, time.time())


def keras_total(epochs: int, measured_epochs: int) -> float:
    """Seconds that plain Keras takes for all models: measured, and computed for the epochs left out."""
    start = time.time()
    trainings = in_fresh_process(by_keras, [model.name for model in mia.MODELS], measured_epochs)
    missing = epochs - measured_epochs
    return time.time() - start + missing * sum(training.epoch for training in trainings)


def main(rounds: int, epochs: int, keras_epochs: int, jobs: int) -> None:
    """Measures and prints the Markdown."""
    images()  # fetched now, if need be, not while the clock runs
    keras, one, several = in_turn(
        rounds,
        partial(keras_total, epochs, keras_epochs),
        partial(measured, epochs, 1),
        partial(measured, epochs, jobs),
    )
    if len({run.results for run in one + several}) > 1:
        raise SystemExit("the runs of mia.py have different results: there is nothing to compare")
    in_seconds, in_gigabytes = ([run.seconds for run in several], [run.memory for run in several])
    what = f"six models, {epochs} epochs"
    ours = f"`python mia.py --jobs {jobs}`"
    print(
        table("plain Keras, one after another, all cores", ours, [Row(what, "s", keras, in_seconds)]),
        end="\n\n",
    )
    print(
        table(
            "`python mia.py --jobs 1`",
            ours,
            [
                Row(what, "s", [run.seconds for run in one], in_seconds),
                Row("... memory of the largest process", "GB", [run.memory for run in one], in_gigabytes),
            ],
        )
    )
    print(f"\nOf plain Keras, {keras_epochs} epochs of each model were measured; the other")
    print(
        f"{epochs - keras_epochs} are computed from the measured seconds per epoch. mia.py is measured whole,"
    )
    print(f"figures included; its {2 * rounds} runs wrote the same mia_results.csv, to the byte.")
    print(conditions(rounds, "tensorflow", "keras", "numpy", "joblib"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    for option, default, text in (
        ("--epochs", mia.EPOCHS, "of the whole run"),
        ("--keras-epochs", KERAS_EPOCHS, "measured of each model in plain Keras, even"),
        ("--jobs", JOBS, "of mia.py, beside one"),
    ):
        parser.add_argument(option, type=whole_number, default=default, help=f"{text} (default: %(default)s)")
    arguments = parser.parse_args()
    if not enough(arguments.keras_epochs) or arguments.keras_epochs > arguments.epochs:
        parser.error("--keras-epochs must be even, at least 4, and at most --epochs")
    main(**vars(arguments))
