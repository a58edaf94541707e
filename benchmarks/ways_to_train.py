"""The two ways to train that the benchmarks compare: mia.py's way, and plain Keras as its guides write it."""

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mia import (
    ATTACK_EVERY,
    MODELS,
    Model,
    Settings,
    build,
    losses_from_logits,
    settings_of,
    train_plainly,
    train_privately,
)
from suite.sources.cifar10 import Cifar10, DataNotFound, load_cifar10
from suite.support.command_line import whole_number
from suite.training.members import Examples, is_member, pool_of

if TYPE_CHECKING:
    import keras

LEAST_EPOCHS = ATTACK_EVERY + 1  # so that one judging lies between the ends of two epochs


class Training(NamedTuple):
    """One training. ends: when each epoch was done, before its judging, in seconds since 1970. accuracy: on
    the members, at the end. memory: the peak of its process so far, in GB."""

    ends: list[float]
    accuracy: float
    memory: float

    @property
    def epoch(self) -> float:
        """The seconds of an epoch's training, without the first epoch, which also compiles."""
        return statistics.median(gap for gap, judged in self._gaps() if not judged)

    @property
    def judging(self) -> float:
        """The seconds of one judging of all images of the pool."""
        return statistics.median(gap for gap, judged in self._gaps() if judged) - self.epoch

    def _gaps(self) -> list[tuple[float, bool]]:
        """The time from each epoch's end to the next one's, and whether a judging lies in it."""
        return [
            (after - before, number % ATTACK_EVERY == 0)
            for number, (before, after) in enumerate(pairwise(self.ends), 1)
        ]


def epochs_to_measure(text: str) -> int:
    """A number of epochs, for argparse: enough of them to have a judging between two."""
    epochs = whole_number(text)
    if epochs < LEAST_EPOCHS:
        raise argparse.ArgumentTypeError(f"{epochs} are too few epochs: at least {LEAST_EPOCHS}")
    return epochs


def images() -> Cifar10:
    """CIFAR-10. If it cannot be obtained, the program ends with a message."""
    try:
        return load_cifar10(report=lambda line: None)
    except DataNotFound as problem:
        raise SystemExit(str(problem)) from None


def model_named(name: str) -> Model:
    """A row of mia.py's table of models."""
    return next(model for model in MODELS if model.name == name)


# ------------------------------------------------------------------------------------------------- mia.py


def by_mia(name: str, epochs: int, share: float, data: Cifar10 | None) -> Training:
    """Trains and judges one model as mia.py does, on one thread. Call it in a fresh process.

    share: of the model's images. data: None for CIFAR-10, loaded here.
    """
    settings = settings_of(model_named(name), 0, epochs, share)
    result = timed_training(settings, data, 1, lambda: None)
    return Training(result["ends"].tolist(), float(result["train_accuracy"][-1]), result["memory"])


def timed_training(
    settings: Settings, data: Cifar10 | None, threads: int, epoch_done: Callable[[], None]
) -> dict[str, object]:
    """What mia.py's training returns, and two fields more: `ends` (epochs,), when each epoch was done, in
    seconds since 1970; and `memory`, the peak of the process so far, in GB."""
    ends = []

    def note_the_time() -> None:
        ends.append(time.time())
        epoch_done()

    train = train_plainly if settings.model.epsilon is None else train_privately
    result = train(settings, data, threads, note_the_time)
    return result | {"ends": np.array(ends), "memory": peak_memory()}


# -------------------------------------------------------------------------------------------- plain Keras


def by_keras(name: str, epochs: int, share: float, data: Cifar10 | None) -> Training:
    """Trains the same model on the same members as Keras' guides do it: compile, fit, and predict for the
    losses, on all cores, with pixels as float32 divided by 255. Call it in a fresh process.

    A private model is trained without privacy, which is less work. share: of the model's images. data: None
    for CIFAR-10, loaded here.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # as mia.py: this compares processors
    import keras

    settings = settings_of(model_named(name), 0, epochs, share)
    pixels, pool = keras_images(settings, data or images())
    members = is_member(settings.number, pool.ids)
    network = keras_network(settings)
    ends, accuracy = [], 0.0

    class Judge(keras.callbacks.Callback):
        """Judges when mia.py does."""

        def on_train_begin(self, logs: dict | None = None) -> None:
            self.judge()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            ends.append(time.time())
            if epoch + 1 in settings.attacked_epochs:
                self.judge()

        def judge(self) -> None:
            nonlocal accuracy
            logits = network.predict(pixels, verbose=0)
            losses_from_logits(logits, pool.labels)
            accuracy = float((logits.argmax(axis=1) == pool.labels)[members].mean())

    network.fit(
        pixels[members],
        pool.labels[members],
        batch_size=settings.batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=[Judge()],
    )
    return Training(ends, accuracy, peak_memory())


def keras_images(settings: Settings, data: Cifar10) -> tuple[np.ndarray, Examples]:
    """The pixels of the pool as Keras gets them, (n, 32, 32, 3) float32 from 0 to 1; and the pool."""
    pool = pool_of(data, settings.model.classes, settings.each)
    return pool.images.astype("float32") / 255, pool


def keras_network(settings: Settings) -> "keras.Sequential":
    """mia.py's layers, compiled, without the one that divides by 255: these pixels are divided already."""
    import keras

    layers = build(settings.model, settings.seed).layers
    divided = [layer for layer in layers if not isinstance(layer, keras.layers.Rescaling)]
    network = keras.Sequential([keras.Input((32, 32, 3)), *divided])
    network.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network


def peak_memory() -> float:
    """The peak memory of this process, in GB. Linux counts in KiB, macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
