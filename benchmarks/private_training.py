"""What does private training cost?

private.py clips the gradient of each image in its own way. It is compared with no clipping at all, and with
tf.vectorized_map, which forms the gradient of every image. All take the same steps of dense4_10c_dp with
noise and Adam, each in a fresh process on one thread. --python names the Python of an environment that has
Opacus; then Opacus takes the same steps in PyTorch, without and with its ghost clipping. Processor time is
measured, because other programs on the machine change it less than the time of the clock.

    python benchmarks/private_training.py [--rounds N] [--epochs N] [--python FILE]
"""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import Row, conditions, in_fresh_process, in_turn, parser_with_rounds, table
from benchmarks.ways_to_train import model_named
from mia import build, settings_of
from suite.support.command_line import whole_number
from suite.training import private
from suite.training.repeatable import start_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

ROUNDS, EPOCHS = 3, 3
SLICE = 100  # images whose gradients vectorized_map forms at a time; all need 0.8 GB
NOISE = 1.3  # the noise multiplier; its value makes no difference to the time
PRIVATE = settings_of(model_named("dense4_10c_dp"), 0, None, 1.0)


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
        sums = [
            total + tf.reduce_sum(of_part, axis=0) for total, of_part in zip(sums, gradients, strict=True)
        ]
    return sums


WAYS = {
    "without clipping": without_clipping,
    "`tf.vectorized_map`": by_vectorized_map,
    "private.py": private.clipped_sums,
}


def seconds_per_image(way: str, images: int, batch_size: int, epochs: int) -> float:
    """Processor seconds of a private step for each image, the first epoch, which compiles it, left out.

    images: random ones, of which a step draws batch_size on average.
    """
    generator = np.random.default_rng(0)
    network = build(PRIVATE.model, seed=0)
    with mock.patch.object(private, "clipped_sums", WAYS[way]):
        train = private.private_epochs(
            network,
            generator.integers(0, 256, (images, 32, 32, 3), np.uint8),
            generator.integers(0, PRIVATE.model.classes, images, np.int32),
            epochs=epochs + 1,
            steps=images // batch_size,
            batch_size=batch_size,
            sampling_rate=batch_size / images,
            noise_multiplier=NOISE,
            clipping_norm=private.CLIPPING_NORM,
            learning_rate=PRIVATE.learning_rate,
            seed=0,
        )
        train(1)
    start = time.process_time()
    for number in range(2, epochs + 2):
        train(number)
    return (time.process_time() - start) / epochs / images


def on_one_thread(way: str, images: int, batch_size: int, epochs: int) -> float:
    """seconds_per_image on one thread. To be called in a fresh process."""
    start_tensorflow(threads=1)
    return seconds_per_image(way, images, batch_size, epochs)


def by_opacus(python: Path, batch_size: int, steps: int) -> tuple[dict[str, float], dict[str, str]]:
    """Processor seconds for each image by way, and versions. Opacus' warnings are shown only if it fails."""
    numbers = [batch_size, steps, private.CLIPPING_NORM, NOISE, PRIVATE.learning_rate]
    command = [python, "-W", "ignore", Path(__file__).with_name("opacus_steps.py"), *map(str, numbers)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        reason = ended.stderr.strip().splitlines() or [f"it ended with status {ended.returncode}"]
        raise SystemExit(f"{python} cannot run Opacus: {reason[-1]}")
    return json.loads(ended.stdout)


def main(
    rounds: int,
    epochs: int,
    python: Path | None = None,
    images: int = PRIVATE.expected_members,
    batch_size: int = PRIVATE.batch_size,
) -> None:
    """Measures and prints the Markdown. python: of an environment with Opacus, or None to leave it out."""
    sides = {way: partial(in_fresh_process, on_one_thread, way, images, batch_size, epochs) for way in WAYS}
    if python:
        sides["Opacus"] = partial(by_opacus, python, batch_size, epochs * images // batch_size)
    measured = dict(zip(sides, in_turn(rounds, *sides.values()), strict=True))
    versions: dict[str, str] = {}
    if python:
        of_opacus = measured.pop("Opacus")
        versions = of_opacus[0][1]
        measured |= {way: [seconds[way] for seconds, _ in of_opacus] for way in of_opacus[0][0]}
    microseconds = {way: [value * 1e6 for value in values] for way, values in measured.items()}
    best = microseconds.pop("private.py")
    rows = [Row(f"{way}, an image", "us", values, best) for way, values in microseconds.items()]
    print(table("the other way", "private.py", rows))
    print(f"\nProcessor time of a whole step, on one thread, batches of {batch_size:,} on average.")
    print(conditions(rounds, "tensorflow", "keras", "numpy"))
    if versions:
        print(f"Of Opacus: {', '.join(f'{name} {version}' for name, version in versions.items())}.")


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument("--epochs", type=whole_number, default=EPOCHS, help="measured (default: %(default)s)")
    parser.add_argument("--python", type=Path, metavar="FILE", help="of an environment with Opacus")
    main(**vars(parser.parse_args()))
