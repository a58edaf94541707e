"""How long does the whole default run take, with one job and with two, and its first act in plain Keras?

mia.py is measured: its real main, from the start of its process to the last figure, into scratch folders, so
that nothing is reused. All its runs must write the same CSV files, to the byte. An act ends with its figures.
Plain Keras trains and judges the models of act one, one after another on all cores, without statistics and
figures. It is measured for a few epochs of each model, from the start of its process to its end; the epochs
that are missing are added, each model's at its own measured seconds per epoch with its share of the judging.

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
import mia
from benchmarks.timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from benchmarks.ways_to_train import by_keras, enough, images, peak_memory, plain_models
from suite.sources.cifar10 import Cifar10
from suite.support.command_line import whole_number

ROUNDS, KERAS_EPOCHS, JOBS = 3, 4, 2
ACTS = {"act one": "mia_architecture.png", "act two": "mia_attacks.png", "act three": "mia_defence.png"}


class Run(NamedTuple):
    """Seconds of a run and of each act, peak memory of its largest training process (GB), and the CSV files
    by name."""

    seconds: float
    acts: dict[str, float]
    memory: float
    tables: dict[str, bytes]


def run_main(epochs: int | None, jobs: int, data: Cifar10 | None, start: float) -> Run:
    """`python mia.py --epochs --jobs`, with its results in scratch folders and its report not among ours.
    start: when the clock began to run."""
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        figures, cells = Path(scratch, "figures"), Path(scratch, "cells")
        mia.main(epochs=epochs, jobs=jobs, figures=figures, data=data, cells_folder=cells)
        seconds = time.time() - start
        # Each act's figures are written when it is over, and not again.
        ends = [start, *((figures / name).stat().st_mtime for name in ACTS.values())]
        acts = {act: ends[number + 1] - ends[number] for number, act in enumerate(ACTS)}
        tables = {path.name: path.read_bytes() for path in sorted(figures.glob("*.csv"))}
        return Run(seconds, acts, peak_memory(resource.RUSAGE_CHILDREN), tables)


def measured(epochs: int | None, jobs: int, data: Cifar10 | None) -> Run:
    """A run in a fresh process, from whose start the clock runs."""
    return in_fresh_process(run_main, epochs, jobs, data, time.time())


def keras_total(epochs: int, measured_epochs: int, data: Cifar10 | None) -> float:
    """Seconds that plain Keras takes for act one: measured, and computed for the epochs left out."""
    start = time.time()
    trainings = in_fresh_process(by_keras, plain_models(), measured_epochs, data)
    missing = epochs - measured_epochs
    return time.time() - start + missing * sum(training.epoch for training in trainings)


def main(rounds: int, epochs: int | None, keras_epochs: int, jobs: int, data: Cifar10 | None = None) -> None:
    """Measures and prints the Markdown. epochs: of each training; if None, mia.py's. data: None for
    CIFAR-10."""
    if data is None:
        images()  # fetched now, if need be, not while the clock runs
    keras, single, several = in_turn(
        rounds,
        partial(keras_total, epochs or mia.EPOCHS, keras_epochs, data),
        partial(measured, epochs, 1, data),
        partial(measured, epochs, jobs, data),
    )
    if any(run.tables != single[0].tables for run in single + several):
        raise SystemExit("the runs of mia.py have different results: there is nothing to compare")
    ours = f"`python mia.py --jobs {jobs}`"
    what = f"act one: {len(plain_models())} models, {epochs or mia.EPOCHS} epochs"
    rows = [Row(what, "s", keras, [run.acts["act one"] for run in several])]
    print(table("plain Keras, one after another, all cores", ours, rows), end="\n\n")
    quantities = {("all acts", "s"): lambda run: run.seconds}
    quantities |= {(f"... {act}", "s"): lambda run, act=act: run.acts[act] for act in ACTS}
    quantities["... memory of the largest process", "GB"] = lambda run: run.memory
    rows = [
        Row(what, unit, *([quantity(run) for run in side] for side in (single, several)))
        for (what, unit), quantity in quantities.items()
    ]
    print(table("`python mia.py --jobs 1`", ours, rows))
    missing = (epochs or mia.EPOCHS) - keras_epochs
    print(f"\nOf plain Keras, {keras_epochs} epochs of each model were measured; the other {missing} are")
    print("computed from the measured seconds per epoch. mia.py is measured whole, figures included; its")
    print(f"{2 * rounds} runs wrote the same {len(single[0].tables)} CSV files, to the byte.")
    print(conditions(rounds, "tensorflow", "keras", "numpy", "loky"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--epochs", type=whole_number, help=f"of each training (default: {mia.EPOCHS})")
    for option, default, text in (
        ("--keras-epochs", KERAS_EPOCHS, "measured of each model in plain Keras, even"),
        ("--jobs", JOBS, "of mia.py, beside one"),
    ):
        parser.add_argument(option, type=whole_number, default=default, help=f"{text} (default: %(default)s)")
    arguments = parser.parse_args()
    if not enough(arguments.keras_epochs) or arguments.keras_epochs > (arguments.epochs or mia.EPOCHS):
        parser.error("--keras-epochs must be even, at least 4, and at most --epochs")
    main(**vars(arguments))
