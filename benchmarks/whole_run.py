"""How long does the whole default run take, and how long would it take in plain Keras?

mia.py is measured: its real main, two cells at a time, from the start of its process to the last figure, into
scratch folders, so that nothing is reused. Plain Keras, one model after another on all cores, without
figures, is measured for a few epochs of all six models, from the start of its process to its end; the epochs
that are missing are added, each model's at its own measured seconds per epoch with its share of the attacks.

    python benchmarks/whole_run.py [--rounds N] [--epochs N] [--keras-epochs N] [--jobs N]
"""

import sys
import tempfile
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, seconds, table
from ways_to_train import by_keras, enough, images

import mia
from support.command_line import whole_number

ROUNDS, KERAS_EPOCHS, JOBS = 3, 4, 2


def run_main(epochs: int, jobs: int) -> None:
    """`python mia.py --epochs --jobs`, with its results in scratch folders and its report not among ours."""
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        mia.main(
            epochs=epochs, jobs=jobs, figures=Path(scratch, "figures"), cells_folder=Path(scratch, "cells")
        )


def keras_total(epochs: int, measured_epochs: int) -> float:
    """Seconds that plain Keras takes for all models: measured, and computed for the epochs left out."""
    start = time.time()
    trainings = in_fresh_process(by_keras, [model.name for model in mia.MODELS], measured_epochs)
    missing = epochs - measured_epochs
    return time.time() - start + missing * sum(training.epoch for training in trainings)


def main(rounds: int, epochs: int, keras_epochs: int, jobs: int) -> None:
    """Measures and prints the Markdown."""
    images()  # fetched now, if need be, not while the clock runs
    keras, ours = in_turn(
        rounds,
        partial(keras_total, epochs, keras_epochs),
        partial(seconds, partial(in_fresh_process, run_main, epochs, jobs)),
    )
    print(
        table(
            "plain Keras, one after another, all cores",
            f"`python mia.py --jobs {jobs}`",
            [Row(f"six models, {epochs} epochs", "s", keras, ours)],
        )
    )
    print(f"\nOf plain Keras, {keras_epochs} epochs of each model were measured; the other")
    print(
        f"{epochs - keras_epochs} are computed from the measured seconds per epoch. mia.py is measured whole,"
    )
    print("figures included.")
    print(conditions(rounds, "tensorflow", "keras", "numpy", "joblib"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    for option, default, text in (
        ("--epochs", mia.EPOCHS, "of the whole run"),
        ("--keras-epochs", KERAS_EPOCHS, "measured of each model in plain Keras, even"),
        ("--jobs", JOBS, "of mia.py"),
    ):
        parser.add_argument(option, type=whole_number, default=default, help=f"{text} (default: %(default)s)")
    arguments = parser.parse_args()
    if not enough(arguments.keras_epochs) or arguments.keras_epochs > arguments.epochs:
        parser.error("--keras-epochs must be even, at least 4, and at most --epochs")
    main(**vars(arguments))
