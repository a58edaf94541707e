"""How long does an epoch take in mia.py, and how long in plain Keras?

An epoch here is what a cell spends on one: the training, and half of a judging, which gives the losses of all
images after every second epoch. mia.py trains and judges on one thread, plain Keras on all cores; what makes
losses of logits is the same code, and what is found out from losses comes later and is left out. Each
measurement runs in a fresh process; what happens once, from the start of that process to the end of the first
epoch (imports, data, tracing, the judging of the untrained model), stands in a line of its own.

    python benchmarks/training.py [--rounds N] [--epochs N] [--models NAME ...]
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from benchmarks.ways_to_train import Training, by_keras, by_mia, enough, images, plain_models
from mia import BATCH_SIZE
from suite.sources.cifar10 import Cifar10
from suite.support.command_line import whole_number

ROUNDS, EPOCHS = 3, 4


def measured(
    train: Callable[[str, int, Cifar10 | None], Training], name: str, epochs: int, data: Cifar10 | None
) -> tuple[Training, float]:
    """A training in a fresh process, and the seconds from that process's start to its first epoch's end."""
    start = time.time()
    training = in_fresh_process(train, name, epochs, data)
    return training, training.ends[0] - start


def keras_alone(name: str, epochs: int, data: Cifar10 | None) -> Training:
    """The training of one model in plain Keras."""
    return by_keras([name], epochs, data)[0]


def main(rounds: int, epochs: int, models: list[str], data: Cifar10 | None = None) -> None:
    """Measures and prints the Markdown. data: None for CIFAR-10."""
    if data is None:
        images()  # fetched now, if need be, not while the clock runs
    rows, accuracies = [], []
    for name in models:
        sides = in_turn(
            rounds, *(partial(measured, train, name, epochs, data) for train in (keras_alone, by_mia))
        )
        quantities = {
            ("an epoch", "s"): lambda training, start: training.epoch,
            ("start to first epoch done", "s"): lambda training, start: start,
            ("peak memory", "GB"): lambda training, start: training.memory,
        }
        rows += [
            Row(f"`{name}`, {what}", unit, *([quantity(*found) for found in side] for side in sides))
            for (what, unit), quantity in quantities.items()
        ]
        means = [statistics.mean(training.accuracy for training, _ in side) for side in sides]
        accuracies.append(f"`{name}` {means[0]:.3f} and {means[1]:.3f}")
    print(table("plain Keras, all cores", "mia.py, one thread", rows))
    print(f"\nBatch size {BATCH_SIZE}, {epochs} epochs in each process. A check that both learn the same:")
    print(f"mean accuracy on the training images after the last, {'; '.join(accuracies)}.")
    print(conditions(rounds, "tensorflow", "keras", "numpy"))


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--epochs", type=whole_number, default=EPOCHS, help="even (default: %(default)s)")
    parser.add_argument(
        "--models",
        nargs="+",
        default=["cnn4_10c", "dense4_10c"],
        choices=plain_models(),
        metavar="NAME",
        help="of mia.py (default: cnn4_10c dense4_10c)",
    )
    arguments = parser.parse_args()
    if not enough(arguments.epochs):
        parser.error("--epochs must be even and at least 4")
    main(**vars(arguments))
