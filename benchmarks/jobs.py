"""How much faster are two trainings at a time than one?

The same cells are trained by training.jobs.run_jobs with one worker and with two, into empty scratch folders.
Each run has a process of its own, from whose start the clock runs, so that the workers start anew. What
passes before the first epoch of all is done (imports, workers, data, tracing) does not get faster, and is
also given by itself.

Two sets of cells: four equal dense ones, which also go to a Dask cluster of one and of two workers on this
machine; and mia.py's six models, where the convolutional one takes as long as several others. Few epochs are
measured; how long the default number of them would take is computed for equal cells from each one's own
times. The six models at the default number are measured by whole_run.py.

    python benchmarks/jobs.py [--rounds N] [--epochs N]
"""

import heapq
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from ways_to_train import enough, epoch_seconds, images, timed_cell

from mia import EPOCHS, MODELS, Cell
from support.command_line import whole_number
from training.jobs import Job, run_jobs

ROUNDS, MEASURED_EPOCHS, EQUAL_CELLS = 3, 4, 4


class Run(NamedTuple):
    """Seconds of a run of cells, of its part before the first epoch of all was done, and of the same cells at
    mia.py's number of epochs, computed as for equal cells."""

    wall: float
    start_up: float
    default: float


def measured(measure: Callable[..., Run], cells: list[Cell], workers: int) -> Run:
    """What `measure` finds in a fresh process, which is given the time of its own start."""
    return in_fresh_process(measure, cells, workers, time.time())


def run_of_cluster(cells: list[Cell], workers: int, _: float) -> Run:
    """The same as run_of_jobs, with a Dask cluster of so many workers, there before the clock starts."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        return run_of_jobs(cells, workers, time.time(), cluster.scheduler_address)


def run_of_jobs(cells: list[Cell], workers: int, start: float, dask: str | None = None) -> Run:
    """Runs the cells into a scratch folder, as mia.py's main does. start: when the clock began to run."""
    threads = 1 if dask else workers
    with tempfile.TemporaryDirectory() as scratch:
        results = run_jobs(
            [
                Job(
                    cell.name,
                    partial(cell.key, ""),
                    cell.epochs,
                    cell.cost,
                    partial(timed_cell, cell, threads=threads),
                )
                for cell in cells
            ],
            Path(scratch),
            workers,
            dask,
        )
        end = time.time()
    first = min(result["ends"][0] for result in results.values())
    workers_ready = min(result["start"] for result in results.values())
    return Run(end - start, first - start, workers_ready - start + default_run(results.values(), workers))


def default_run(results: Iterable[dict], workers: int) -> float:
    """Seconds of mia.py's number of epochs, once there are workers: each cell takes what it took, and its
    missing epochs at its own speed; the longest start first, each on the worker that is free first."""
    seconds = [
        result["whole"] + (EPOCHS - len(result["ends"])) * epoch_seconds(result["ends"]) for result in results
    ]
    busy_until = [0.0] * workers
    for one in sorted(seconds, reverse=True):
        heapq.heapreplace(busy_until, busy_until[0] + one)
    return max(busy_until)


def main(rounds: int, epochs: int) -> None:
    """Measures and prints the Markdown, a table as soon as it is there."""
    images()  # fetched now, if need be, not while the clock runs
    dense = next(model for model in MODELS if model.name == "dense4_10c")
    equal = [Cell(dense, seed, epochs, 1.0) for seed in range(EQUAL_CELLS)]
    name_of_equal = f"{EQUAL_CELLS} equal cells of `{dense.name}`"
    sets = {
        name_of_equal: (run_of_jobs, equal),
        f"{name_of_equal}, by Dask": (run_of_cluster, equal),
        "the six models": (run_of_jobs, [Cell(model, 0, epochs, 1.0) for model in MODELS]),
    }
    for name, (measure, cells) in sets.items():
        sides = in_turn(rounds, *(partial(measured, measure, cells, workers) for workers in (1, 2)))
        quantities = {
            f"{name}, {epochs} epochs": lambda run: run.wall,
            "... start to first epoch done": lambda run: run.start_up,
        }
        if cells is equal:
            quantities[f"... with {EPOCHS} epochs, computed"] = lambda run: run.default
        rows = [
            Row(what, "s", *([quantity(run) for run in side] for side in sides))
            for what, quantity in quantities.items()
        ]
        print(table("one job or worker", "two jobs or workers", rows), end="\n\n", flush=True)
    print(conditions(rounds, "tensorflow", "keras", "numpy", "joblib", "distributed"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument(
        "--epochs", type=whole_number, default=MEASURED_EPOCHS, help="even (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if not enough(arguments.epochs):
        parser.error("--epochs must be even and at least 4")
    main(**vars(arguments))
