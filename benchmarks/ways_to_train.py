"""The two ways to train that the benchmarks compare, with the time at which each epoch was done."""

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from data.cifar10 import Cifar10, DataNotFound, load_cifar10
from mia import (
    ATTACK_EVERY,
    BATCH_SIZE,
    LEARNING_RATE,
    MODELS,
    Cell,
    attack,
    build,
    choose,
    losses_from_logits,
    train_cell,
)

SEED = 0


class Training(NamedTuple):
    """One model's training: when each epoch was done (seconds since 1970, attack not included), the accuracy
    on the training images at the end, and the process's peak memory so far (GB)."""

    ends: list[float]
    accuracy: float
    memory: float

    @property
    def epoch(self) -> float:
        """Seconds per epoch."""
        return epoch_seconds(self.ends)


def epoch_seconds(ends: list[float]) -> float:
    """Seconds per epoch with its share of the attacks, without what happens only once: between the first
    attack of a trained model and the last there are whole periods of training and attack."""
    return (ends[-1] - ends[ATTACK_EVERY - 1]) / (len(ends) - ATTACK_EVERY)


def images() -> Cifar10:
    """CIFAR-10; where it cannot be had, ends the program with one line."""
    try:
        return load_cifar10(report=lambda line: None)
    except DataNotFound as problem:
        raise SystemExit(str(problem)) from None


def enough(epochs: int) -> bool:
    """Whether so many epochs hold a whole period after the first."""
    return epochs % ATTACK_EVERY == 0 and epochs > ATTACK_EVERY


def by_mia(name: str, epochs: int) -> Training:
    """Trains and attacks one model as mia.py does, on one thread. To be called in a fresh process."""
    model = next(model for model in MODELS if model.name == name)
    result = timed_cell(Cell(model, SEED, epochs, 1.0), lambda: None)
    return Training(result["ends"], result["rows"][-1]["train_accuracy"], result["memory"])


def timed_cell(cell: Cell, epoch_done: Callable[[], None], threads: int = 1) -> dict[str, object]:
    """train_cell's result, with `start`, when it was called, `ends`, when each epoch was done, `whole`, the
    seconds of it all, and `memory`, the process's peak so far (GB)."""
    start, ends = time.time(), []

    def done() -> None:
        ends.append(time.time())
        epoch_done()

    result = train_cell(cell, None, done, threads)
    return result | {"start": start, "ends": ends, "whole": time.time() - start, "memory": peak_memory()}


def by_keras(names: list[str], epochs: int) -> list[Training]:
    """Trains the models one after another as a reader of Keras' guides would: compile, fit, and predict for
    the attack, on all cores, with pixels as float32 divided by 255. To be called in a fresh process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # as mia.py: this compares processors
    return [_fit_and_predict(name, epochs) for name in names]


def _fit_and_predict(name: str, epochs: int) -> Training:
    import keras

    keras.backend.clear_session()
    model = next(model for model in MODELS if model.name == name)
    data = images()
    parts = []
    for pixels, classes, each in (
        (data.train_images, data.train_labels, model.images // model.classes),
        (data.test_images, data.test_labels, len(data.test_labels) // 10),
    ):
        chosen = choose(classes, model.classes, each)
        parts.append((pixels[chosen].astype("float32") / 255, classes[chosen].astype("int32")))
    (members, member_labels), (nonmembers, nonmember_labels) = parts
    # mia.py's layers, without the one that divides by 255, because these pixels are divided already.
    kept = [layer for layer in build(model, SEED).layers if not isinstance(layer, keras.layers.Rescaling)]
    network = keras.Sequential([keras.Input((32, 32, 3)), *kept])
    network.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    ends, accuracy = [], 0.0

    class Attack(keras.callbacks.Callback):
        """Attacks when mia.py does: the untrained model, and after every second epoch."""

        def on_train_begin(self, logs: dict | None = None) -> None:
            self.judge()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            ends.append(time.time())
            if (epoch + 1) % ATTACK_EVERY == 0:
                self.judge()

        def judge(self) -> None:
            nonlocal accuracy
            logits = network.predict(members, verbose=0), network.predict(nonmembers, verbose=0)
            labels = member_labels, nonmember_labels
            losses = [losses_from_logits(*one) for one in zip(logits, labels, strict=True)]
            attack(*losses, *labels, SEED)
            accuracy = float((logits[0].argmax(1) == member_labels).mean())

    network.fit(members, member_labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[Attack()])
    return Training(ends, accuracy, peak_memory())


def peak_memory(whose: int = resource.RUSAGE_SELF) -> float:
    """Of this process, or of the largest of its children that have ended, in GB; the system counts in KiB,
    macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit / 1e9
