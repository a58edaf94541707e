"""How much faster are two trainings at a time than one?

The same cells are trained by suite.jobs.jobs.run_jobs with one worker and with two, into empty scratch folders.
Each run has a process of its own, from whose start the clock runs, so that the workers start anew. What
passes before the first epoch of all is done (imports, workers, data, tracing) does not get faster, and is
also given by itself.

Two sets of cells: four equal dense ones, which also go to a Dask cluster of one and of two workers on this
machine; and all models of mia.py, where the convolutional one takes as long as several others. Few epochs are
measured; how long the default number of them would take is computed for equal cells from each one's own
times. All models at the default number are measured by whole_run.py.

    python benchmarks/jobs.py [--rounds N] [--epochs N]
"""

import heapq
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from benchmarks.ways_to_train import SEED, enough, epoch_seconds, images, model_named, timed
from mia import EPOCHS, MODELS, Cell, cell_of, training_job
from suite.jobs.jobs import Workers, run_jobs
from suite.jobs.workers import cluster, processes
from suite.sources.cifar10 import Cifar10, digests_of
from suite.support.command_line import whole_number

ROUNDS, MEASURED_EPOCHS = 3, 4
EQUAL_MODEL, EQUAL_CELLS = "dense4_10c", 4


class Run(NamedTuple):
    """Seconds of a run of cells, of its part before the first epoch of all was done, and of the same cells at
    mia.py's number of epochs, computed as for equal cells."""

    wall: float
    start_up: float
    default: float


def measured(measure: Callable[..., Run], cells: list[Cell], data: Cifar10 | None, workers: int) -> Run:
    """What `measure` finds in a fresh process, which is given the time of its own start."""
    return in_fresh_process(measure, cells, data, workers, time.time())


def run_in_processes(cells: list[Cell], data: Cifar10 | None, workers: int, start: float) -> Run:
    """The run of cells in so many processes, from `start` on."""
    return run_of(cells, data, workers, start, partial(processes, workers), threads=workers)


def run_on_cluster(cells: list[Cell], data: Cifar10 | None, workers: int, _: float) -> Run:
    """The same on a Dask cluster of so many workers, there before the clock starts."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as local:
        executor = partial(cluster, local.scheduler_address)
        return run_of(cells, data, workers, time.time(), executor, threads=1)


def run_of(
    cells: list[Cell], data: Cifar10 | None, workers: int, start: float, executor: Workers, threads: int
) -> Run:
    """Runs the cells into a scratch folder, as mia.py does. start: when the clock began to run."""
    digest = "".join(digests_of(data or images()).values())
    jobs = [training_job(cell, data, digest, threads) for cell in cells]
    timed_jobs = [job._replace(work=partial(timed, job.work)) for job in jobs]
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        kept = run_jobs("trainings", timed_jobs, Path(scratch), executor)
        end = time.time()
        results = [place.read() for place in kept.values()]
    first = min(result["ends"][0] for result in results)
    workers_ready = min(result["start"] for result in results)
    return Run(end - start, first - start, workers_ready - start + default_run(results, workers))


def default_run(results: Iterable[dict], workers: int) -> float:
    """Seconds of mia.py's number of epochs, once there are workers: each cell takes what it took, and its
    missing epochs at its own speed; the longest start first, each on the worker that is free first."""
    seconds = [
        result["whole"] + (EPOCHS - len(result["ends"])) * epoch_seconds(result["ends"]) for result in results
    ]
    busy_until = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(busy_until, busy_until[0] + duration)
    return max(busy_until)


def main(rounds: int, epochs: int, data: Cifar10 | None = None) -> None:
    """Measures and prints the Markdown, a table as soon as it is there. data: None for CIFAR-10."""
    if data is None:
        images()  # fetched now, if need be, not while the clock runs
    equal = [cell_of(model_named(EQUAL_MODEL), seed, epochs, 1.0) for seed in range(EQUAL_CELLS)]
    name_of_equal = f"{EQUAL_CELLS} equal cells of `{EQUAL_MODEL}`"
    everything = [cell_of(model, SEED, epochs, 1.0) for model in MODELS]
    sets = {
        name_of_equal: (run_in_processes, equal),
        f"{name_of_equal}, by Dask": (run_on_cluster, equal),
        f"all {len(MODELS)} models": (run_in_processes, everything),
    }
    for name, (measure, cells) in sets.items():
        sides = in_turn(rounds, *(partial(measured, measure, cells, data, workers) for workers in (1, 2)))
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
    print(conditions(rounds, "tensorflow", "keras", "numpy", "loky", "distributed"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument(
        "--epochs", type=whole_number, default=MEASURED_EPOCHS, help="even (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if not enough(arguments.epochs):
        parser.error("--epochs must be even and at least 4")
    main(**vars(arguments))
