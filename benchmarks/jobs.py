"""How much faster are two trainings at a time than one?

The same cells are trained by support.cells.run_jobs with one worker and with two, into empty scratch folders.
Each run has a process of its own, so that the workers start anew. What passes before the first epoch of all
is done (workers, imports, data, tracing) does not get faster, and is given apart.

Two sets of cells: mia.py's six models, where the convolutional one takes as long as several others and the
work cannot be shared out evenly; and four equal dense cells, where it can. These also go to a Dask cluster of
one and of two workers on this machine, which needs requirements-dask.txt.

    python benchmarks/jobs.py [--rounds N] [--epochs N]
"""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from ways_to_train import images, timed_cell

from mia import MODELS, Cell
from support.cells import Job, run_jobs
from support.command_line import whole_number

ROUNDS, EPOCHS, EQUAL_CELLS = 3, 10, 4


def wall_times_of_cluster(cells: list[Cell], workers: int) -> tuple[float, float]:
    """The same as wall_times, with a Dask cluster of so many workers, there before the clock starts."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        return wall_times(cells, workers, cluster.scheduler_address)


def wall_times(cells: list[Cell], workers: int, dask: str | None = None) -> tuple[float, float]:
    """Seconds of the whole run, and until the first epoch of all is done. To be called in a fresh process."""
    start = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        results = run_jobs(
            [
                Job(cell.name, partial(cell.key, ""), cell.epochs, cell.cost, partial(timed_cell, cell))
                for cell in cells
            ],
            Path(scratch),
            workers,
            dask,
        )
        end = time.time()
    return end - start, min(result["ends"][0] for result in results.values()) - start


def main(rounds: int, epochs: int) -> None:
    """Measures and prints the Markdown."""
    images()  # fetched now, if need be, not while the clock runs
    dense = next(model for model in MODELS if model.name == "dense4_10c")
    equal = [Cell(dense, seed, epochs, 1.0) for seed in range(EQUAL_CELLS)]
    name_of_equal = f"{EQUAL_CELLS} equal cells of `{dense.name}`, {epochs} epochs"
    sets = {
        f"the six models, {epochs} epochs": (wall_times, [Cell(model, 0, epochs, 1.0) for model in MODELS]),
        name_of_equal: (wall_times, equal),
        f"{name_of_equal}, by Dask": (wall_times_of_cluster, equal),
    }
    rows = []
    for name, (measure, cells) in sets.items():
        sides = in_turn(rounds, *(partial(in_fresh_process, measure, cells, workers) for workers in (1, 2)))
        rows += [
            Row(f"{name}", "s", *([wall for wall, _ in side] for side in sides)),
            Row("... without start-up", "s", *([wall - first for wall, first in side] for side in sides)),
            Row("... start to first epoch done", "s", *([first for _, first in side] for side in sides)),
        ]
    print(table("one job or worker", "two jobs or workers", rows))
    print(f"\n{conditions(rounds, 'tensorflow', 'keras', 'numpy', 'joblib')}")


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--epochs", type=whole_number, default=EPOCHS, help="(default: %(default)s)")
    main(**vars(parser.parse_args()))
