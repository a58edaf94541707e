"""Plain training, one epoch at a time, and judging, both as compiled TensorFlow functions.

Call start_tensorflow first.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from suite.training.adam import Adam, rate_of_epoch

if TYPE_CHECKING:
    import keras

LOGIT_SLICE = 50  # images judged at a time: few enough to stay in the processor's cache


def plain_epochs(
    network: "keras.Sequential",
    images: np.ndarray,
    labels: np.ndarray,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    falling_over: int | None,
    seed: int,
    parts: int = 1,
) -> Callable[[int], None]:
    """Returns train_epoch(number), which trains for one epoch (1, 2, ...) by Adam on the cross-entropy.

    images (n, 32, 32, 3) uint8, labels (n,) int32: each epoch takes them in another order, which depends on
    the seed and the epoch's number alone. steps: of an epoch, each on batch_size images. If the images do not
    fill them, the order starts again; if there are more images, the rest is left out. falling_over: the
    number of epochs over which the learning rate falls, see rate_of_epoch; None if it stays. parts: a batch
    is divided into so many equal parts, on which several threads can work at once. Their gradients are always
    added in the same order, so the result does not depend on the number of threads.
    """
    rate = tf.Variable(learning_rate)
    optimizer = Adam(network.trainable_variables, rate)
    # Bytes, not floats: a quarter of the memory.
    all_images, all_labels = tf.constant(images), tf.constant(labels)

    # A whole epoch is one call of a compiled function. With a call for each step, a small model would spend
    # half its time between the steps. The images are an argument: captured, they would never be freed.
    @tf.function
    def train(batches: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor) -> None:
        for batch in batches:
            of_parts = []
            for part in tf.split(batch, parts):
                with tf.GradientTape() as tape:
                    logits = network(tf.gather(inputs, part), training=True)
                    truth = tf.gather(targets, part)
                    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
                    loss = tf.reduce_sum(losses) / batch_size
                of_parts.append(tape.gradient(loss, network.trainable_variables))
            optimizer.apply([tf.add_n(gradients) for gradients in zip(*of_parts, strict=True)])

    def train_epoch(epoch: int) -> None:
        if falling_over:
            rate.assign(rate_of_epoch(epoch, learning_rate, falling_over))
        order = np.random.default_rng([seed, epoch]).permutation(len(labels)).astype(np.int32)
        batches = np.resize(order, (steps, batch_size))  # repeats the order where it is too short
        train(tf.constant(batches), all_images, all_labels)

    return train_epoch


def judge_of(network: "keras.Sequential", images: np.ndarray) -> Callable[[], np.ndarray]:
    """Returns logits_of(), which gives the network's logits (n, classes), float32, of the images.

    images: (n, 32, 32, 3) uint8.
    """
    # Bytes, not floats: a quarter of the memory.
    pixels = tf.constant(images)

    # One call for all images, slice by slice; the last slice may be shorter.
    @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)])
    def logits_of(images: tf.Tensor) -> tf.Tensor:
        logits = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=network.output_shape)
        for start in tf.range(0, tf.shape(images)[0], LOGIT_SLICE):
            part = images[start : start + LOGIT_SLICE]
            logits = logits.write(start // LOGIT_SLICE, network(part, training=False))
        return logits.concat()

    return lambda: logits_of(pixels).numpy()
