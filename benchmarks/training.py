"""How long does an epoch take in mia.py, and how long in plain Keras?

Each model is trained for a few epochs both ways, in turns, each time in a fresh process: by mia.py on one
thread, by plain Keras on all cores. The time of an epoch is that of its training alone. Judging, which
computes the losses of the whole pool, has a table of its own. So has the time from the start of the process
to the end of the first epoch: imports, data, tracing, and the judging of the untrained model. Plain Keras
trains the private model without privacy, which is less work.

    python benchmarks/training.py [--rounds N] [--epochs N] [--models NAME ...]
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from benchmarks.ways_to_train import (
    LEAST_EPOCHS,
    Training,
    by_keras,
    by_mia,
    epochs_to_measure,
    images,
    model_named,
)
from mia import chosen
from suite.sources.cifar10 import Cifar10

ROUNDS = 3
NAMES = [model.name for model in chosen(())[0]]  # of the default run
QUANTITIES = {  # of a training and the seconds until its first epoch was done
    ("An epoch", "s"): lambda training, start: training.epoch,
    ("A judging of the whole pool", "s"): lambda training, start: training.judging,
    ("From the start to the first epoch done", "s"): lambda training, start: start,
    ("Peak memory", "GB"): lambda training, start: training.memory,
}


def measured(
    train: Callable[..., Training], name: str, epochs: int, share: float, data: Cifar10 | None
) -> tuple[Training, float]:
    """A training in a fresh process, and the seconds from the start of the process to the end of its first
    epoch.
    """
    start = time.time()
    training = in_fresh_process(train, name, epochs, share, data)
    return training, training.ends[0] - start


def main(
    rounds: int, epochs: int, models: Sequence[str], share: float = 1.0, data: Cifar10 | None = None
) -> None:
    """Measures, and prints the tables in Markdown. share: of each model's images. data: None for CIFAR-10."""
    if data is None:
        images()  # if it must be fetched, then before the clock runs
    sides = {}
    for name in models:
        ways = [partial(measured, way, name, epochs, share, data) for way in (by_keras, by_mia)]
        sides[name] = in_turn(rounds, *ways)
    for (what, unit), quantity in QUANTITIES.items():
        rows = [
            Row(f"`{name}`", unit, *([quantity(*measurement) for measurement in way] for way in ways))
            for name, ways in sides.items()
        ]
        print(f"{what}\n\n{table('plain Keras, all cores', 'mia.py, one thread', rows)}\n")
    print(f"{epochs} epochs in each process. That both learn the same is seen from the mean accuracy on the")
    print("members after the last, in plain Keras and in mia.py:")
    for name, ways in sides.items():
        if model_named(name).epsilon is None:  # with privacy less is learnt
            print(f"`{name}` {' and '.join(map(mean_accuracy, ways))}")
    print(conditions(rounds, "tensorflow", "keras", "numpy"))


def mean_accuracy(measurements: Sequence[tuple[Training, float]]) -> str:
    """The mean accuracy over the rounds of one way, with three digits."""
    return f"{statistics.mean(training.accuracy for training, _ in measurements):.3f}"


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument(
        "--epochs",
        type=epochs_to_measure,
        default=LEAST_EPOCHS,
        help="of each training (default: %(default)s)",
    )
    parser.add_argument("--models", nargs="+", default=NAMES, choices=NAMES, metavar="NAME", help="of mia.py")
    main(**vars(parser.parse_args()))
