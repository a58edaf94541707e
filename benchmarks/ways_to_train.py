"""The two ways to train that the benchmarks compare, with the time at which each epoch was done."""

import os
import resource
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from mia import (
    ATTACK_EVERY,
    BATCH_SIZE,
    LEARNING_RATE,
    MODELS,
    Model,
    build,
    cell_of,
    losses_from_logits,
    training_job,
)
from suite.sources.cifar10 import Cifar10, DataNotFound, load_cifar10
from suite.training.members import official_split

SEED = 0


class Training(NamedTuple):
    """One model's training: when each epoch was done (seconds since 1970, judging not included), the accuracy
    on the training images at the end, and the process's peak memory so far (GB)."""

    ends: list[float]
    accuracy: float
    memory: float

    @property
    def epoch(self) -> float:
        """Seconds per epoch."""
        return epoch_seconds(self.ends)


def epoch_seconds(ends: list[float]) -> float:
    """Seconds per epoch with its share of the judging, without what happens only once: between the first
    judging of a trained model and the last there are whole periods of training and judging."""
    return (ends[-1] - ends[ATTACK_EVERY - 1]) / (len(ends) - ATTACK_EVERY)


def enough(epochs: int) -> bool:
    """Whether so many epochs hold a whole period after the first."""
    return epochs % ATTACK_EVERY == 0 and epochs > ATTACK_EVERY


def images() -> Cifar10:
    """CIFAR-10; where it cannot be obtained, ends the program with one line."""
    try:
        return load_cifar10(report=lambda line: None)
    except DataNotFound as problem:
        raise SystemExit(str(problem)) from None


def model_named(name: str) -> Model:
    """A row of mia.py's table of models."""
    return next(model for model in MODELS if model.name == name)


def plain_models() -> list[str]:
    """The names of mia.py's models that plain Keras can train too."""
    return [model.name for model in MODELS if model.epsilon is None]


def by_mia(name: str, epochs: int, data: Cifar10 | None) -> Training:
    """Trains and judges one model as mia.py does, on one thread. data: None for CIFAR-10, loaded here. To be
    called in a fresh process."""
    job = training_job(cell_of(model_named(name), SEED, epochs, 1.0), data, "", threads=1)
    result = timed(job.work, lambda: None)
    return Training(result["ends"], float(result["train_accuracy"][-1]), result["memory"])


def timed(work: Callable[[Callable[[], None]], dict], epoch_done: Callable[[], None]) -> dict[str, object]:
    """The result of a training's work, with `start`, when it was called, `ends`, when each epoch was done,
    `whole`, the seconds of it all, and `memory`, the process's peak so far (GB)."""
    start, ends = time.time(), []

    def done() -> None:
        ends.append(time.time())
        epoch_done()

    result = work(done)
    return result | {"start": start, "ends": ends, "whole": time.time() - start, "memory": peak_memory()}


def by_keras(names: list[str], epochs: int, data: Cifar10 | None) -> list[Training]:
    """Trains the models one after another as a reader of Keras' guides would: compile, fit, and predict for
    the losses, on all cores, with pixels as float32 divided by 255. data: None for CIFAR-10, loaded here. To
    be called in a fresh process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # as mia.py: this compares processors
    return [_fit_and_predict(model_named(name), epochs, data or images()) for name in names]


def _fit_and_predict(model: Model, epochs: int, data: Cifar10) -> Training:
    import keras

    keras.backend.clear_session()
    split = official_split(data, model.classes, model.images // model.classes, len(data.test_labels) // 10)
    pixels = [examples.images.astype("float32") / 255 for examples in split]
    # mia.py's layers, without the one that divides by 255, because these pixels are divided already.
    kept = [layer for layer in build(model, SEED).layers if not isinstance(layer, keras.layers.Rescaling)]
    network = keras.Sequential([keras.Input((32, 32, 3)), *kept])
    network.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    ends, accuracy = [], 0.0

    class Judge(keras.callbacks.Callback):
        """Judges when mia.py does: the untrained model, and after every second epoch."""

        def on_train_begin(self, logs: dict | None = None) -> None:
            self.judge()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            ends.append(time.time())
            if (epoch + 1) % ATTACK_EVERY == 0:
                self.judge()

        def judge(self) -> None:
            nonlocal accuracy
            logits = [network.predict(part, verbose=0) for part in pixels]
            for of_part, examples in zip(logits, split, strict=True):
                losses_from_logits(of_part, examples.labels)
            accuracy = float((logits[0].argmax(1) == split[0].labels).mean())

    network.fit(
        pixels[0], split[0].labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=[Judge()]
    )
    return Training(ends, accuracy, peak_memory())


def peak_memory(whose: int = resource.RUSAGE_SELF) -> float:
    """Of this process, or of the largest of its children that have ended, in GB; the system counts in KiB,
    macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * unit / 1e9
