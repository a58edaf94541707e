"""How much faster are two trainings at a time than one?

The same trainings are made by suite.jobs.lab with one worker and with two, into empty scratch folders. The
time before the first epoch is done (workers, imports, data, tracing) is the same with a second worker, and
matters less the more epochs there are. So it is also given by itself, and so is the time of one more epoch of
all trainings.

There are two sets of trainings. The first are equal dense trainings, which also go to a Dask cluster of one
and of two workers on this machine. The second is one training of every model of mia.py; the convolutional one
takes as long as several others.

    python benchmarks/jobs.py [--rounds N] [--epochs N]
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import Row, conditions, in_turn, parser_with_rounds, table
from benchmarks.ways_to_train import (
    LEAST_EPOCHS,
    Training,
    epochs_to_measure,
    images,
    model_named,
    timed_training,
)
from mia import ATTACK_EVERY, Settings, chosen, settings_of
from suite.jobs.lab import Call, Lab
from suite.sources.cifar10 import Cifar10

ROUNDS = 3
EQUAL_MODEL, EQUAL_TRAININGS = "dense4_10c", 4
NAMES = [model.name for model in chosen(())[0]]  # of the default run


class Run(NamedTuple):
    """Seconds of a run of trainings. wall: of the whole run. start_up: until the first epoch of any training
    was done. epoch: of one more epoch of all trainings, with its share of the judging, if no worker is idle.
    """

    wall: float
    start_up: float
    epoch: float


def run_in_processes(trainings: Sequence[Settings], data: Cifar10 | None, workers: int) -> Run:
    """Makes the trainings in `workers` processes, which start when the clock does."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.time()
        with Lab([Path(scratch)], workers) as lab:
            return run_of(lab, trainings, data, workers, workers, start)


def run_on_cluster(trainings: Sequence[Settings], data: Cifar10 | None, workers: int) -> Run:
    """Makes the trainings on a Dask cluster of `workers` workers, which run before the clock starts."""
    from distributed import LocalCluster

    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as local,
        Lab([Path(scratch)], 1, dask=local.scheduler_address) as lab,
    ):
        return run_of(lab, trainings, data, workers, 1, time.time())


def run_of(
    lab: Lab,
    trainings: Sequence[Settings],
    data: Cifar10 | None,
    workers: int,
    threads: int,
    start: float,
) -> Run:
    """Makes the trainings in a lab that has kept nothing yet.

    threads: for each convolutional training. start: when the clock began, in seconds since 1970.
    """
    calls = [
        Call(
            settings.name,
            timed_training,
            arguments=(settings, data, threads),
            recipe=asdict(settings),
            steps=settings.epochs,
            # As in mia.py, the convolutional model comes first; a cost decides nothing but the order.
            cost=settings.expected_members * (10 if settings.model.convolutional else 1),
        )
        for settings in trainings
    ]
    with redirect_stdout(sys.stderr):
        kept = lab.do("trainings", calls, on_cluster=True)
    end = time.time()
    results = [place.read() for place in kept.values()]
    first_end = min(result["ends"][0] for result in results)
    epochs = [with_judging(Training(result["ends"].tolist(), 0.0, 0.0)) for result in results]
    return Run(end - start, first_end - start, sum(epochs) / workers)


def with_judging(training: Training) -> float:
    """The seconds of an epoch, with its share of the judging."""
    return training.epoch + training.judging / ATTACK_EVERY


def main(
    rounds: int,
    epochs: int,
    equal_trainings: int = EQUAL_TRAININGS,
    models: Sequence[str] = NAMES,
    share: float = 1.0,
    data: Cifar10 | None = None,
) -> None:
    """Measures, and prints each Markdown table as soon as it is complete.

    equal_trainings: how many the first set has. models: names of those in the second set; if there are none,
    the second set is left out. share: of each model's images. data: None for CIFAR-10.
    """
    if data is None:
        images()  # if it must be fetched, then before the clock runs
    equal = [
        settings_of(model_named(EQUAL_MODEL), number, epochs, share) for number in range(equal_trainings)
    ]
    name_of_equal = f"{equal_trainings} trainings of `{EQUAL_MODEL}`"
    different = [settings_of(model_named(name), 0, epochs, share) for name in models]
    sets: dict[str, tuple[Callable[..., Run], Sequence[Settings]]] = {
        name_of_equal: (run_in_processes, equal),
        f"{name_of_equal}, by Dask": (run_on_cluster, equal),
    }
    if different:
        sets[f"One training of each of {len(models)} models"] = run_in_processes, different
    for name, (measure, trainings) in sets.items():
        one, two = in_turn(rounds, *(partial(measure, trainings, data, workers) for workers in (1, 2)))
        rows = [
            Row(f"{name}, {epochs} epochs", "s", [run.wall for run in one], [run.wall for run in two]),
            Row(
                "... start to first epoch done",
                "s",
                [run.start_up for run in one],
                [run.start_up for run in two],
            ),
            Row("... one more epoch of all", "s", [run.epoch for run in one], [run.epoch for run in two]),
        ]
        print(table("one worker", "two workers", rows), end="\n\n", flush=True)
    print(conditions(rounds, "tensorflow", "keras", "numpy", "loky", "distributed"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument(
        "--epochs",
        type=epochs_to_measure,
        default=LEAST_EPOCHS,
        help="of each training (default: %(default)s)",
    )
    main(**vars(parser.parse_args()))
