"""What does private training cost?

Its own way of clipping each image's gradient is set beside no clipping at all, and beside tf.vectorized_map,
which forms every image's gradient: the same steps of dense4_10c, of 1,000 images on average, with noise and
Adam, each in a fresh process on one thread. In an environment of its own Opacus takes the same steps in
PyTorch, without and with its ghost clipping. All counts are of processor time, which other programs on the
machine lengthen less than the clock's.

That environment is made in data/cache/ at the first run; --python names one that is there.

    python benchmarks/private_training.py [--rounds N] [--epochs N] [--python FILE]
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import (
    Row,
    answer_of,
    conditions,
    environment,
    in_fresh_process,
    in_turn,
    parser_with_rounds,
    table,
)
from benchmarks.ways_to_train import model_named
from mia import build
from suite.support.command_line import whole_number
from suite.training import private
from suite.training.repeatable import start_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

ROUNDS, EPOCHS = 3, 3
IMAGES, SLICE = 20_000, 100  # SLICE: images whose gradients vectorized_map forms at a time; all need 0.8 GB
NOISE = 1.3  # the noise multiplier; its value makes no difference to the time
REQUIREMENTS = ["torch==2.13.0", "opacus==1.6.0"]

# Run by the other environment's Python: batch size, steps, clipping norm, noise multiplier, learning rate.
OPACUS = """
import json, sys, time
import opacus, torch
from opacus import GradSampleModule
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
batch, steps, norm, noise, rate = json.loads(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(0)
images = torch.randint(0, 256, (batch, 3072), dtype=torch.uint8)
labels = torch.randint(0, 10, (batch,))
options = {"noise_multiplier": noise, "max_grad_norm": norm, "expected_batch_size": batch}
found = {}
for way in ("Opacus", "Opacus, ghost clipping"):
    widths = [3072, 64, 64, 64, 64, 10]
    stack = [part for pair in zip(widths, widths[1:]) for part in (torch.nn.Linear(*pair), torch.nn.ReLU())]
    network = torch.nn.Sequential(*stack[:-1])
    loss = torch.nn.CrossEntropyLoss()
    if way == "Opacus":
        network = GradSampleModule(network)
        optimizer = DPOptimizer(torch.optim.Adam(network.parameters(), lr=rate), **options)
    else:
        network = GradSampleModuleFastGradientClipping(
            network, max_grad_norm=norm, use_ghost_clipping=True, loss_reduction="mean")
        optimizer = DPOptimizerFastGradientClipping(
            torch.optim.Adam(network.parameters(), lr=rate), **options)
        loss = DPLossFastGradientClipping(network, optimizer, loss, loss_reduction="mean")
    for step in range(steps + 2):
        if step == 2:
            start = time.process_time()
        optimizer.zero_grad()
        loss(network(images / 255), labels).backward()
        optimizer.step()
    found[way] = (time.process_time() - start) / steps / batch
print(json.dumps([found, {"torch": torch.__version__, "opacus": opacus.__version__}]))
"""


def without_clipping(
    network: "keras.Sequential", images: "tf.Tensor", labels: "tf.Tensor", clipping_norm: float
) -> list["tf.Tensor"]:
    """The plain sum of the gradients, in clipped_sums' place."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        logits = network(images, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tape.gradient(losses, network.trainable_variables)


def by_vectorized_map(
    network: "keras.Sequential", images: "tf.Tensor", labels: "tf.Tensor", clipping_norm: float
) -> list["tf.Tensor"]:
    """What clipped_sums gives, by forming each image's gradient."""
    import tensorflow as tf

    def clipped(example: "tuple[tf.Tensor, tf.Tensor]") -> "list[tf.Tensor]":
        image, label = example
        gradients = without_clipping(network, image[None], label[None], clipping_norm)
        return tf.clip_by_global_norm(gradients, clipping_norm)[0]

    sums = [tf.zeros(variable.shape) for variable in network.trainable_variables]
    for start in tf.range(0, tf.shape(images)[0], SLICE):
        part = images[start : start + SLICE], labels[start : start + SLICE]
        gradients = tf.vectorized_map(clipped, part)
        sums = [total + tf.reduce_sum(each, axis=0) for total, each in zip(sums, gradients, strict=True)]
    return sums


WAYS = {
    "without clipping": without_clipping,
    "`tf.vectorized_map`": by_vectorized_map,
    "private.py": private.clipped_sums,
}


def seconds_per_image(way: str, images: int, batch_size: int, epochs: int) -> float:
    """Processor seconds of a private step for each image, the first epoch, which compiles it, left out."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    network = build(model_named("dense4_10c"), 0)
    with mock.patch.object(private, "clipped_sums", WAYS[way]):
        train = private.private_epochs(
            network,
            tf.constant(generator.integers(0, 256, (images, 32, 32, 3)), tf.uint8),
            tf.constant(generator.integers(0, 10, images), tf.int32),
            epochs=epochs + 1,
            batch_size=batch_size,
            noise_multiplier=NOISE,
            clipping_norm=private.CLIPPING_NORM,
            learning_rate=private.PRIVATE_LEARNING_RATE,
            seed=0,
        )
        train(1)
    start = time.process_time()
    for number in range(2, epochs + 2):
        train(number)
    return (time.process_time() - start) / epochs / images


def on_one_thread(way: str, epochs: int) -> float:
    """seconds_per_image of the whole measurement. To be called in a fresh process."""
    start_tensorflow(threads=1)
    return seconds_per_image(way, IMAGES, private.PRIVATE_BATCH, epochs)


def by_opacus(python: Path, epochs: int) -> tuple[dict[str, float], dict[str, str]]:
    """Processor seconds for each image by way, and versions."""
    batch = private.PRIVATE_BATCH
    steps = epochs * IMAGES // batch
    settings = [batch, steps, private.CLIPPING_NORM, NOISE, private.PRIVATE_LEARNING_RATE]
    return answer_of(python, "Opacus", "-W", "ignore", "-c", OPACUS, json.dumps(settings))


def main(rounds: int, epochs: int, python: Path | None) -> None:
    """Measures and prints the Markdown."""
    python = python or environment("opacus", REQUIREMENTS)
    sides = [partial(in_fresh_process, on_one_thread, way, epochs) for way in WAYS]
    *ours, others = in_turn(rounds, *sides, partial(by_opacus, python, epochs))
    found = dict(zip(WAYS, ours, strict=True))
    found |= {way: [times[way] for times, _ in others] for way in others[0][0]}
    microseconds = {way: [value * 1e6 for value in values] for way, values in found.items()}
    best = microseconds.pop("private.py")
    rows = [Row(f"{way}, an image", "us", values, best) for way, values in microseconds.items()]
    print(table("the other way", "private.py", rows))
    print(f"\nProcessor time of a whole step, on one thread, batches of {private.PRIVATE_BATCH:,}.")
    print(conditions(rounds, "tensorflow", "keras", "numpy"))
    versions = ", ".join(f"{name} {version}" for name, version in others[0][1].items())
    print(f"In the other environment: {versions}.")


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--epochs", type=whole_number, default=EPOCHS, help="measured (default: %(default)s)")
    parser.add_argument("--python", type=Path, metavar="FILE", help="of an environment with Opacus")
    main(**vars(parser.parse_args()))
