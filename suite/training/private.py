"""Private training: DP-SGD, and what it proves about every attack.

A step of DP-SGD (Abadi et al. 2016, "Deep Learning with Differential Privacy", algorithm 1) draws each
training image independently with the same probability, scales the gradient of each image drawn to a norm of
at most C, adds these gradients up, and adds Gaussian noise of standard deviation sigma C. So no single image
can move the sum by more than C, the sum's sensitivity, and the noise hides a movement of that size. An
accountant adds up what all steps reveal about one image.

The game. A coin decides whether an image is in or out, and all else is fixed: neighbouring data sets differ
by one image, added or removed. That is mia.py's experiment, and the bounds here are its bounds: no attack on
the model tells whether an image was in by the coin with an advantage above advantage_bound. That is for one
training, ideal noise, and a coin that the attacker does not know. In another game another image takes its
place, so that the number of images is fixed and public: an image can move the sum by 2C, from its gradient to
the opposite one, and more can be told. That is laplace.py's relation, which fixes n. At epsilon 3 and delta
1e-5, by 1,500 steps with probability 1 / 50, the advantage is at most 0.266 in the first game and 0.453 in
the second, whose epsilon is 5.45.

The noise. Floating-point noise that is added to a floating-point sum can give the sum away by its last bits
(Mironov 2012, "On Significance of the Least Significant Bits for Differential Privacy"). Here both are
rounded to the same grid and added exactly, so that a step sees the sum with ideal noise, rounded, which tells
no more than unrounded; the noise is numpy's float64, whose tails reach 12 sigma. What the proof leaves
open: the generator is seeded, so that a training repeats, and whoever knows the seed knows the noise; and
gradients are float32, so that an image also moves the rounding errors of the others, by at most 5e-6 C in 12
batches of 600 images: clipping to a little less than C covers 40 times that, but not the worst case.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import dp_accounting
import numpy as np
from dp_accounting import NeighboringRelation
from dp_accounting.pld import PLDAccountant

from suite.support.command_line import BadInput

# TensorFlow is imported where it is used, so that the accounting alone does not wait for it.
if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# For dense4_10c at epsilon 3. 15 settings were tried, most on one seed, with 50,000 members (the coins leave
# about 30,000): test accuracies of 41.5% to 43.5%.
# The falling rate gained 0.5% on three seeds; half or twice the batch, 20 or 40 epochs no more than chance.
DELTA = 1e-5  # less than one in the number of training images, as is customary
PRIVATE_EPOCHS = 30
SAMPLING_RATE = 1 / 50  # each member's probability of being in a step's batch
PRIVATE_LEARNING_RATE = 0.004  # at the start
CLIPPING_NORM = 1.0  # Adam makes up for its size: 0.3 to 10 gave 42.8% to 43.2%

# In clipping norms. Rounding to the grid moves a sum over n weights by at most sqrt(n) GRID / 2. Gradients
# are clipped to 1 - SPARE, so that an image moves the rounded sum by at most 1: by its gradient, by sqrt(n)
# GRID, which is a ninth of SPARE for dense4_10c, and by the float32 errors that it moves.
GRID, SPARE = 2.0**-24, 2.0**-12

NOISE_TOLERANCE = 1e-3  # relative, of the noise multiplier
BOUND_FPRS = np.geomspace(1e-4, 1, 49)  # at which the bound on the TPR is kept
BOUND_EPSILONS = np.linspace(0, 20, 2001)  # from which the tightest bound is chosen; each gives a valid one


def privacy_accountant(
    noise_multiplier: float, sampling_rate: float, steps: int, *, exchanged: bool = False
) -> PLDAccountant:
    """What a private training spends on one image: `.get_epsilon(delta)` and `.get_delta(epsilon)`.

    noise_multiplier: sigma above 0, the noise's standard deviation in clipping norms. sampling_rate: each
    image's probability of being in a step's batch, above 0, at most 1. steps: of the whole training, at
    least 1. Neighbours: one image added or removed; if `exchanged`, another image in its place, drawn when it
    would have been, at worst with the opposite gradient. The epsilon and delta are upper bounds, from the
    privacy loss distribution (Doroshenko et al. 2022, "Connect the Dots"). Raises BadInput, a ValueError, for
    numbers outside these ranges.
    """
    if not (0 < noise_multiplier < math.inf and 0 < sampling_rate <= 1 and steps >= 1):
        raise BadInput(
            "a private training needs a finite noise multiplier above 0, a sampling rate above 0 and at most "
            f"1, and at least one step, not {noise_multiplier}, {sampling_rate} and {steps}"
        )
    # Losses are rounded to multiples of an interval that is small beside a step's usual loss.
    interval = min(1e-3, sampling_rate / noise_multiplier / 20)
    step = dp_accounting.PoissonSampledDpEvent(sampling_rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    neighbours = NeighboringRelation.REPLACE_ONE if exchanged else NeighboringRelation.ADD_OR_REMOVE_ONE
    return PLDAccountant(neighbours, interval).compose(step, steps)


@lru_cache
def noise_multiplier(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """The smallest noise multiplier with which `steps` steps spend no more than epsilon at delta.

    At most NOISE_TOLERANCE too large, by privacy_accountant, and never too small. epsilon: finite, above 0.
    delta: between 0 and 1, both excluded. Raises BadInput, a ValueError, for numbers outside these ranges.
    """
    if not 0 < epsilon < math.inf:
        raise BadInput(f"epsilon must be a finite number above 0, not {epsilon}")
    if not 0 < delta < 1:
        raise BadInput(f"delta must lie between 0 and 1, not be {delta}")

    def spends_too_much(multiplier: float) -> bool:
        return privacy_accountant(multiplier, sampling_rate, steps).get_epsilon(delta) > epsilon

    too_small, enough = 0.0, 1.0
    while spends_too_much(enough):
        too_small, enough = enough, 2 * enough
    while enough - too_small > NOISE_TOLERANCE * enough:
        middle = (too_small + enough) / 2
        too_small, enough = (middle, enough) if spends_too_much(middle) else (too_small, middle)
    return enough


def tpr_bound(accountant: PLDAccountant, fprs: np.ndarray) -> np.ndarray:
    """The TPR that no attack can exceed that tells neighbours apart, for each FPR from 0 to 1, same shape.

    Neighbours are the accountant's: an image in or out, or this image or another. For every epsilon,
    TPR <= e^epsilon FPR + delta(epsilon) and, both sides exchanged, 1 - FPR <= e^epsilon (1 - TPR) +
    delta(epsilon) (Kairouz, Oh, Viswanath 2015, "The Composition Theorem for Differential Privacy", theorem
    2.1); the tightest holds. Rates are probabilities over the training's randomness; a single training's
    measured rates scatter around them. Raises BadInput for other FPRs.
    """
    rates = np.asarray(fprs, dtype=float)[..., None]
    if not ((rates >= 0) & (rates <= 1)).all():
        raise BadInput("false positive rates must lie between 0 and 1")
    deltas = accountant.get_delta(BOUND_EPSILONS)
    few_accused = np.exp(BOUND_EPSILONS) * rates + deltas
    few_missed = 1 - np.exp(-BOUND_EPSILONS) * (1 - rates - deltas)
    return np.minimum(few_accused, few_missed).min(axis=-1).clip(max=1.0)


def advantage_bound(accountant: PLDAccountant) -> float:
    """The advantage, TPR - FPR, that no attack can exceed: delta at epsilon 0, from 0 to 1.

    Of an accountant of images added or removed: no attack on the model tells whether an image was in by the
    coin with a larger advantage. That is for one training, ideal noise, and a coin that the attacker does not
    know. Of an accountant of images exchanged: none tells whether it was this image or the other.
    """
    return float(accountant.get_delta(0.0))


def clipped_sums(
    network: "keras.Sequential", images: "tf.Tensor", labels: "tf.Tensor", clipping_norm: float
) -> list["tf.Tensor"]:
    """The sum over images (n, 32, 32, 3) with labels (n,), n >= 0, of each image's gradient of the
    cross-entropy, scaled to a norm over all weights of at most clipping_norm; one tensor a weight.

    An image whose loss or gradient is not finite, or has a squared norm beyond float32, contributes nothing.

    No image's gradient is ever formed. With h the input of a dense layer and d the gradient at its output
    before the activation, the image's gradient is h d^T for the kernel and d for the bias, of squared norm
    (|h|^2 + 1) |d|^2 (Goodfellow 2015, "Efficient Per-Example Gradient Computations"); the sum of the scaled
    gradients is one product of matrices, as without clipping.
    """
    import keras
    import tensorflow as tf

    inputs, outputs = [], []  # of the dense layers, (n, units)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        signal = images
        for layer in network.layers:
            if isinstance(layer, keras.layers.Dense):
                inputs.append(signal)
                outputs.append(tf.matmul(signal, layer.kernel) + layer.bias)
                tape.watch(outputs[-1])
                signal = layer.activation(outputs[-1])
            else:
                signal = layer(signal)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, signal)
    # Of the sum of the losses; each row is one image's own, because no loss depends on two images.
    gradients = tape.gradient(losses, outputs)
    layers = list(zip(inputs, gradients, strict=True))
    squares = tf.add_n([(tf.reduce_sum(h**2, axis=1) + 1) * tf.reduce_sum(d**2, axis=1) for h, d in layers])
    factors = clipping_norm / tf.maximum(tf.sqrt(squares), clipping_norm)
    kept = tf.math.is_finite(squares) & tf.math.is_finite(losses)
    all_kept = tf.reduce_all(kept)

    def only_kept(rows):
        # A factor of 0 would not do: 0 times what is not finite is not finite.
        return tf.cond(all_kept, lambda: rows, lambda: tf.where(kept[:, None], rows, 0.0))

    sums = []
    for h, d in layers:
        scaled = only_kept(factors[:, None] * d)
        sums += [tf.matmul(only_kept(h), scaled, transpose_a=True), tf.reduce_sum(scaled, axis=0)]
    return sums


def noisy_sums(
    sums: Sequence["tf.Tensor"], noise: "tf.Tensor", noise_multiplier: float, clipping_norm: float
) -> list["tf.Tensor"]:
    """The sums, float32, with noise of standard deviation noise_multiplier clipping norms, float64.

    noise: standard normal, float64, one number for each of all weights. Sums and noise are rounded to whole
    numbers of GRID clipping norms before they are added. Whole numbers below 2^53 are added without an error,
    so that the result is the rounded sum with ideal noise, rounded: what it can be for one sum, it can be for
    any other, and as probably as ideal noise says, but for a millionth of that: at sigma 1.3 and up to 5.6
    sigma, a million and more of numpy's normals fall between two points of the grid.
    """
    import tensorflow as tf

    noisy = []
    for total, part in zip(sums, tf.split(noise, [math.prod(total.shape) for total in sums]), strict=True):
        of_sum = tf.round(tf.cast(total, tf.float64) / (GRID * clipping_norm))
        of_noise = tf.round(tf.reshape(part, total.shape) * (noise_multiplier / GRID))
        noisy.append((of_sum + of_noise) * (GRID * clipping_norm))
    return noisy


def refuse_layers(network: "keras.Sequential") -> None:
    """Raises BadInput for layers other than Rescaling, Flatten, and Dense after it, which are those whose
    gradients clipped_sums can clip image by image."""
    import keras

    for layer in network.layers:
        dense = isinstance(layer, keras.layers.Dense) and layer.use_bias and len(layer.input.shape) == 2
        if not dense and not isinstance(layer, keras.layers.Rescaling | keras.layers.Flatten):
            raise BadInput(
                f"it cannot be trained privately because of its layer {type(layer).__name__}: the clipping "
                "is worked out for dense layers, which use each weight once for an image, and a convolution "
                "uses it at many places; take a dense model"
            )


def private_training(
    network: "keras.Sequential",
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epsilon: float,
    epochs: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> tuple[Callable[[int], None], dict[str, object]]:
    """Private training whose `epochs` epochs spend no more than epsilon at DELTA.

    steps, batch_size: of an epoch, and expected of a batch. Both are fixed beforehand, as is SAMPLING_RATE:
    numbers that depended on how many images there are would tell whether one of them is there.
    Returns train_epoch(number) of private_epochs, and the fields that describe its privacy: its parameters;
    of an image in or out by a coin, the largest advantage that any attack can have, and the largest TPR at
    each of BOUND_FPRS; and epsilon and the largest advantage where another image takes its place.
    """
    noise = noise_multiplier(epsilon, DELTA, SAMPLING_RATE, epochs * steps)
    train_epoch = private_epochs(
        network,
        images,
        labels,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        sampling_rate=SAMPLING_RATE,
        noise_multiplier=noise,
        clipping_norm=CLIPPING_NORM,
        learning_rate=learning_rate,
        seed=seed,
    )
    accountant = privacy_accountant(noise, SAMPLING_RATE, epochs * steps)
    of_exchange = privacy_accountant(noise, SAMPLING_RATE, epochs * steps, exchanged=True)
    return train_epoch, {
        "epsilon": epsilon,
        "delta": DELTA,
        "noise_multiplier": noise,
        "sampling_rate": SAMPLING_RATE,
        "private_steps": epochs * steps,
        "expected_batch_size": batch_size,
        "advantage_bound": advantage_bound(accountant),
        "bound_fprs": BOUND_FPRS,
        "bound_tprs": tpr_bound(accountant, BOUND_FPRS),
        "exchange_epsilon": of_exchange.get_epsilon(DELTA),
        "exchange_advantage_bound": advantage_bound(of_exchange),
    }


def private_epochs(
    network: "keras.Sequential",
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    steps: int,
    batch_size: int,
    sampling_rate: float,
    noise_multiplier: float,
    clipping_norm: float,
    learning_rate: float,
    seed: int,
) -> Callable[[int], None]:
    """Returns train_epoch(number), which trains `network` for one epoch (1, 2, ...).

    images: uint8 (n, 32, 32, 3); labels: int32 (n,). An epoch is `steps` steps of Adam; each draws every
    image with probability sampling_rate, so that any number may come, none included. The sum is divided by
    batch_size, which is expected. noise_multiplier: in clipping norms; 0 trains without privacy. epochs: of
    the whole training, over which the learning rate falls (see rate_of_epoch), so that the last noise moves
    the weights least. Repeats to the last bit for one seed, which no second training may share, on any number
    of threads. Raises BadInput, a ValueError, for layers that refuse_layers refuses, for more weights than
    SPARE covers, for a sampling rate outside (0, 1], and for an epoch after the last, which no accountant
    would have counted.
    """
    import tensorflow as tf

    from suite.training.adam import Adam, rate_of_epoch

    refuse_layers(network)
    if not 0 < sampling_rate <= 1:
        raise BadInput(f"the sampling rate must be above 0 and at most 1, not {sampling_rate}")
    weights = network.count_params()
    if weights > (SPARE / GRID / 2) ** 2:
        raise BadInput(
            f"private training rounds too coarsely for {weights:,} weights; take a smaller network"
        )
    falling_rate = tf.Variable(learning_rate)
    optimizer = Adam(network.trainable_variables, falling_rate)
    all_images, all_labels = tf.constant(images, tf.uint8), tf.constant(labels, tf.int32)

    # Batch sizes differ, and none is padded or cut: the guarantee does not depend on how many images come.
    numbers, pixels = tf.TensorSpec([None], tf.int32), tf.TensorSpec(images.shape, tf.uint8)

    @tf.function(input_signature=[numbers, tf.TensorSpec([weights], tf.float64), pixels, numbers])
    def train_step(batch, noise, inputs, targets):
        examples = tf.gather(inputs, batch), tf.gather(targets, batch)
        sums = clipped_sums(network, *examples, clipping_norm * (1 - SPARE))
        noisy = noisy_sums(sums, noise, noise_multiplier, clipping_norm)
        # By the expected batch size: the real one would tell how many images were drawn.
        optimizer.apply([tf.cast(total / batch_size, tf.float32) for total in noisy])

    def train(number: int) -> None:
        if not 1 <= number <= epochs:
            raise BadInput(f"a private training of {epochs} epochs has no epoch {number}")
        falling_rate.assign(rate_of_epoch(number, learning_rate, epochs))
        generator = np.random.default_rng([seed, number])
        for _ in range(steps):
            batch = np.flatnonzero(generator.random(len(images)) < sampling_rate)
            noise = generator.standard_normal(weights)
            train_step(tf.constant(batch, tf.int32), tf.constant(noise), all_images, all_labels)

    return train
