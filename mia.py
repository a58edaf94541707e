"""Membership inference: can one tell from its loss whether an image was in a model's training set?

The question. A model that has learnt its training images by heart is more certain of them than of others.
An attacker who sees how certain it is can then guess who was a member of the training set, which may be a
secret: of a clinic's patients, say. Which networks give more away: convolutional or dense, deep or shallow,
those that tell ten classes apart or four?

The idea. Train pairs of CIFAR-10 models until they overfit, and attack each with a threshold on the loss
(Yeom, Giacomelli, Fredrikson, Jha 2018, "Privacy Risk in Machine Learning"): an image whose loss is below the
threshold is called a member. Members are the training images, non-members the test images. The attack itself
is tensorflow_privacy's. Around it stands what tells a finding from chance: intervals, the value expected if
nothing leaks, an untrained model as a control, and comparisons image by image.

What to expect. Six models, trained 40 epochs, are attacked when untrained and after every second epoch. Two
cores with AVX-512 take about six minutes, once the images are there. A finished model is kept in data/cache/,
so a second run only draws. The figures and mia_results.csv go into figures/, the tables to the console.

    python mia.py                       one training of each model
    python mia.py --seeds 5             five, which tells a model's leakage from a lucky start's
    python mia.py --quick               a rehearsal with few images, under a minute, in figures/rehearsal/
    python mia.py --audit MEMBERS.npy NONMEMBERS.npy     the same report for the losses of your own model
    python mia.py --help
"""

import hashlib
import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy import special
from tqdm import tqdm

from data.cifar10 import CLASS_NAMES, DIGESTS, Cifar10, DataNotFound, load_cifar10
from leakage.audit import audit
from leakage.contrasts import paired_contrast
from leakage.estimates import Losses, auc_with_interval, curve_points, measure_leakage
from leakage.exposure import exposure_of
from report.mia_figures import experiment_figure, per_class_figure, samples_figure, summary_figure
from report.mia_tables import finished_line, print_conclusion
from support.command_line import BadInput, OneLineParser, run, whole_number
from support.files import output_folder, write_whole
from support.look import save_figures
from training.jobs import Job, run_jobs

if TYPE_CHECKING:
    import keras

EPOCHS = 40
ATTACK_EVERY = 2  # epochs
BATCH_SIZE = 50  # even, because a convolutional model takes it in halves
LEARNING_RATE = 0.001
FILTERS, UNITS = 32, 64  # of a convolutional and of a dense layer
LOGIT_SLICE = 100  # images judged at a time: few enough to stay in the processor's cache
QUICK_EPOCHS, QUICK_SHARE = 4, 0.1  # of a rehearsal: epochs, and share of the images

ROOT = Path(__file__).resolve().parent
FIGURES, REHEARSAL = ROOT / "figures", ROOT / "figures" / "rehearsal"
CELLS = ROOT / "data" / "cache" / "cells"
CELL_FORMAT = 3  # to be raised when a change of this script changes what a cell holds


# --------------------------------------------------------------------------------- models and experiments


@dataclass(frozen=True)
class Model:
    """One row of the table of models: hidden layers, classes to tell apart, training images."""

    name: str
    convolutional: int
    dense: int
    classes: int
    images: int


MODELS = [
    Model("cnn4_10c", convolutional=3, dense=1, classes=10, images=50_000),
    Model("dense4_10c", convolutional=0, dense=4, classes=10, images=50_000),
    Model("dense7_10c", convolutional=0, dense=7, classes=10, images=50_000),
    Model("dense4_4c", convolutional=0, dense=4, classes=4, images=20_000),
    Model("dense7_4c", convolutional=0, dense=7, classes=4, images=20_000),
    Model("dense4_10c_20k", convolutional=0, dense=4, classes=10, images=20_000),
]


class Experiment(NamedTuple):
    """One row of the table of experiments. A third model is a control, which differs from the first in the
    number of images alone, and from the second in the number of classes alone."""

    name: str
    question: str
    models: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        first, second, *control = self.models
        return [(first, second)] + [pair for name in control for pair in ((first, name), (name, second))]


EXPERIMENTS = [
    Experiment(
        "architecture",
        "Does a CNN leak more than a dense network with as many hidden layers?",
        ("cnn4_10c", "dense4_10c"),
    ),
    Experiment("depth", "Do seven dense layers leak more than four?", ("dense7_10c", "dense4_10c")),
    Experiment(
        "depth_4class",
        "Do seven dense layers leak more than four, with four classes?",
        ("dense7_4c", "dense4_4c"),
    ),
    Experiment(
        "classes",
        "Does telling ten classes apart leak more than telling four?",
        ("dense4_10c", "dense4_4c", "dense4_10c_20k"),
    ),
]


def build(model: Model, seed: int) -> "keras.Sequential":
    """The untrained network: pixels (n, 32, 32, 3) from 0 to 255 in, logits (n, classes) out."""
    import keras
    from keras import layers

    # Each layer gets a seed of its own. Left to itself, Keras would draw it from Python's global generator,
    # from which other threads of the process may draw in between; Dask's do.
    generator = random.Random(seed)

    def start() -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=generator.randint(1, 10**9))

    stack = [keras.Input((32, 32, 3))]
    if model.convolutional:
        # 32, 30, 15, 13, 6: the second pooling drops a row and a column, and with them all that the last two
        # of pixels could have said. Cropped beforehand, they cost nothing; the logits are the same.
        stack += [layers.Cropping2D(((0, 2), (0, 2)))]
    stack += [layers.Rescaling(1 / 255)]
    for _ in range(model.convolutional):
        stack += [layers.Conv2D(FILTERS, 3, activation="relu", kernel_initializer=start())]
        stack += [layers.MaxPooling2D(2)]
    stack += [layers.Flatten()]
    for _ in range(model.dense):
        stack += [layers.Dense(UNITS, activation="relu", kernel_initializer=start())]
    return keras.Sequential([*stack, layers.Dense(model.classes, kernel_initializer=start())])


def choose(labels: np.ndarray, classes: int, each: int) -> np.ndarray:
    """Indices of the first `each` examples of each of the first `classes` classes, in the original order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == one)[:each] for one in range(classes)]))


# --------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Cell:
    """One training of one model: all that its result depends on."""

    model: Model
    seed: int
    epochs: int
    share: float  # of the images, training and test; below 1 for a rehearsal
    attack_every: int = ATTACK_EVERY
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE

    @property
    def name(self) -> str:
        return f"{self.model.name}-seed{self.seed}"

    @property
    def cost(self) -> float:
        """Of one epoch, in arbitrary units: on a CPU, a convolution costs about ten times a dense layer."""
        return self.model.images * self.share * (10 if self.model.convolutional else 1 + self.model.dense / 8)

    def key(self, data_digest: str) -> str:
        """A digest of this cell, of the data, and of the libraries that take part."""
        libraries = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "tensorflow-privacy")
        recipe = {
            "cell": asdict(self),
            "data": data_digest,
            "libraries": {name: metadata.version(name) for name in libraries},
            "layers": [FILTERS, UNITS],
            "format": CELL_FORMAT,
        }
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def losses_from_logits(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log p(true class) of each example, float64 (n,), from logits (n, classes).

    Never from probabilities: in float32 a confident one is 1, its loss 0, and a sixth of the training images
    are tied. Here p / (1 - p) is kept as a logarithm, so that a loss of 1e-300 differs from one of 1e-299.
    """
    others = logits.astype(np.float64)
    rows = np.arange(len(labels))
    others -= others[rows, labels][:, None]
    others[rows, labels] = -np.inf
    return np.logaddexp(0.0, special.logsumexp(others, axis=1))


def train_cell(
    cell: Cell, data: Cifar10 | None, epoch_done: Callable[[], None], threads: int = 1
) -> dict[str, object]:
    """Trains one model, and attacks it when untrained and after every second epoch.

    data: the images, or None to load CIFAR-10 here. epoch_done: called after each epoch. threads: on which a
    convolutional model may work; each operation runs on one, so that the result is the same to the last bit
    with any number. The first training in a process sets it for those that follow.
    Returns `rows`, a list of dicts, one per attacked epoch; `members` (n,) and `nonmembers` (m,), float64,
    the losses after the last epoch; `member_ids` and `nonmember_ids`, the images' numbers in the original
    order.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # On a processor without AVX-512, TensorFlow leaves oneDNN off, and a convolution takes twice as long.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # what a GPU computes does not repeat to the last bit
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != 1:  # else TensorFlow runs, and they are set
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(threads if cell.model.convolutional else 1)
    import keras

    from training.adam import Adam

    keras.backend.clear_session()
    data = data or load_cifar10(report=lambda line: None)
    each = cell.model.images // cell.model.classes * cell.share, len(data.test_labels) // 10 * cell.share
    member_ids = choose(data.train_labels, cell.model.classes, round(each[0]))
    nonmember_ids = choose(data.test_labels, cell.model.classes, round(each[1]))
    labels = data.train_labels[member_ids].astype(np.int32), data.test_labels[nonmember_ids].astype(np.int32)
    # Bytes, not floats: a quarter of the memory.
    member_images = tf.constant(data.train_images[member_ids])
    nonmember_images = tf.constant(data.test_images[nonmember_ids])
    network = build(cell.model, cell.seed)
    optimizer = Adam(network.trainable_variables, cell.learning_rate)
    # Two halves of a batch need nothing of each other, so that two threads can work on them. Their gradients
    # are added in the same order on however many threads. A dense model's steps are too short to be shared.
    parts = 2 if cell.model.convolutional else 1

    # A whole epoch is one call of a compiled function. With a call for each step, a small model would spend
    # half its time between the steps. The images are an argument: captured, they would never be freed.
    @tf.function
    def train_epoch(batches: tf.Tensor, inputs: tf.Tensor, targets: tf.Tensor) -> None:
        for batch in batches:
            of_parts = []
            for part in tf.split(batch, parts):
                with tf.GradientTape() as tape:
                    logits = network(tf.gather(inputs, part), training=True)
                    truth = tf.gather(targets, part)
                    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
                    loss = tf.reduce_sum(losses) / cell.batch_size
                of_parts.append(tape.gradient(loss, network.trainable_variables))
            optimizer.apply([tf.add_n(gradients) for gradients in zip(*of_parts, strict=True)])

    # Judging is one call too, slice by slice; the last slice may be shorter.
    @tf.function(input_signature=[tf.TensorSpec((None, *member_images.shape[1:]), tf.uint8)])
    def logits_of(images: tf.Tensor) -> tf.Tensor:
        logits = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=(None, cell.model.classes))
        for start in tf.range(0, tf.shape(images)[0], LOGIT_SLICE):
            one = images[start : start + LOGIT_SLICE]
            logits = logits.write(start // LOGIT_SLICE, network(one, training=False))
        return logits.concat()

    rows = []
    steps = len(member_ids) // cell.batch_size
    for epoch in range(cell.epochs + 1):
        if epoch:
            order = np.random.default_rng([cell.seed, epoch]).permutation(len(member_ids)).astype(np.int32)
            batches = order[: steps * cell.batch_size].reshape(steps, cell.batch_size)
            train_epoch(tf.constant(batches), member_images, tf.constant(labels[0]))
            epoch_done()
        if epoch % cell.attack_every == 0 or epoch == cell.epochs:
            logits = logits_of(member_images).numpy(), logits_of(nonmember_images).numpy()
            losses = [losses_from_logits(*one) for one in zip(logits, labels, strict=True)]
            train, test = (np.mean(one.argmax(1) == truth) for one, truth in zip(logits, labels, strict=True))
            rows.append(
                {
                    "model": cell.model.name,
                    "classes": cell.model.classes,
                    "parameters": network.count_params(),
                    "seed": cell.seed,
                    "epoch": epoch,
                    "train_images": len(member_ids),
                    "test_images": len(nonmember_ids),
                    "train_accuracy": float(train),
                    "test_accuracy": float(test),
                    "gap": float(train - test),
                    "train_loss": float(losses[0].mean()),
                    "test_loss": float(losses[1].mean()),
                    **attack(*losses, *labels, cell.seed),
                }
            )
    rows[-1] |= curve_points(*losses)
    parts = {"members": losses[0], "nonmembers": losses[1]}
    return {"rows": rows, **parts, "member_ids": member_ids, "nonmember_ids": nonmember_ids}


# ----------------------------------------------------------------------------------------------- attack


def threshold_attack(
    member_losses: np.ndarray,
    nonmember_losses: np.ndarray,
    member_labels: np.ndarray,
    nonmember_labels: np.ndarray,
) -> dict[int | None, tuple[float, float]]:
    """tensorflow_privacy's threshold attack: (AUC, advantage), for all images (None) and for each class."""
    # The library's own switch for stand-alone use; its estimators fail on a current TensorFlow.
    sys.skip_tf_privacy_import = True
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        data_structures,
        membership_inference_attack,
    )

    report = membership_inference_attack.run_attacks(
        data_structures.AttackInputData(
            loss_train=member_losses,
            loss_test=nonmember_losses,
            labels_train=member_labels,
            labels_test=nonmember_labels,
        ),
        data_structures.SlicingSpec(entire_dataset=True, by_class=True),
        attack_types=[data_structures.AttackType.THRESHOLD_ATTACK],
    )
    return {
        result.slice_spec.value: (float(result.get_auc()), float(result.get_attacker_advantage()))
        for result in report.single_attack_results
    }


def attack(
    member_losses: np.ndarray,
    nonmember_losses: np.ndarray,
    member_labels: np.ndarray,
    nonmember_labels: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """The attack's AUC and advantage, with all that measure_leakage says of them, and the AUC by class."""
    found = threshold_attack(member_losses, nonmember_losses, member_labels, nonmember_labels)
    auc, advantage = found.pop(None)
    report = measure_leakage(member_losses, nonmember_losses, seed=seed) | {
        "auc": auc,
        "advantage": advantage,
    }
    for label, (auc, _) in sorted(found.items()):
        members, nonmembers = (
            member_losses[member_labels == label],
            nonmember_losses[nonmember_labels == label],
        )
        _, low, high = auc_with_interval(members, nonmembers)
        name = f"auc_{CLASS_NAMES[label]}"
        report |= {name: auc, f"{name}_low": low, f"{name}_high": high}
    return report


# -------------------------------------------------------------------------------------------- conclusion


def contrasts_of(cells: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """For each experiment, what paired_contrast finds for each of its pairs after the last epoch.

    cells: results of train_cell by model name, one per seed.
    """

    def losses(name: str) -> list[Losses]:
        parts = ("members", "nonmembers", "member_ids", "nonmember_ids")
        return [Losses(*(cell[part] for part in parts)) for cell in cells[name]]

    return {
        experiment.name: [
            {"first": first, "second": second}
            | paired_contrast(losses(first), losses(second), (first, second))
            for first, second in experiment.pairs
        ]
        for experiment in EXPERIMENTS
    }


# ------------------------------------------------------------------------------------------------- study


def main(
    epochs: int | None = None,
    seeds: int = 1,
    jobs: int | None = None,
    figures: str | os.PathLike | None = None,
    quick: bool = False,
    dask: str | None = None,
    data: Cifar10 | None = None,
    cells_folder: str | os.PathLike | None = None,
) -> pd.DataFrame:
    """Trains what has not been trained yet, attacks, draws.

    epochs ... dask: as on the command line. data: images other than CIFAR-10. cells_folder: where finished
    trainings are kept, data/cache/cells/ if not given. Returns the table that is written as
    mia_results.csv: one row per model, seed and attacked epoch.
    """
    epochs, share = epochs or (QUICK_EPOCHS if quick else EPOCHS), QUICK_SHARE if quick else 1.0
    try:
        images = data or load_cifar10()
    except DataNotFound as problem:
        raise BadInput(str(problem)) from None
    digest = "".join(DIGESTS.values()) if data is None else joblib.hash(data)
    folder = output_folder(figures or (REHEARSAL if quick else FIGURES))
    jobs = jobs or joblib.cpu_count()
    cells = [Cell(model, seed, epochs, share) for seed in range(seeds) for model in MODELS]
    train = partial(train_cell, threads=1 if dask else jobs)
    print(f"{len(cells)} trainings of {epochs} epochs: {len(MODELS)} models, seeds 0 to {seeds - 1}")
    results = run_jobs(
        [
            Job(cell.name, partial(cell.key, digest), epochs, cell.cost, partial(train, cell, data))
            for cell in cells
        ],
        Path(cells_folder or CELLS),
        jobs,
        dask,
        done=lambda result: tqdm.write(finished_line(result["rows"][-1])),
    )

    by_model = {model.name: [results[cell.name] for cell in cells if cell.model is model] for model in MODELS}
    rows = pd.DataFrame(
        [row for trained in by_model.values() for result in trained for row in result["rows"]]
    )
    contrasts = contrasts_of(by_model)
    exposures = [exposure_of(name, by_model[name]) for name in EXPERIMENTS[0].models]
    print_conclusion(rows, contrasts, exposures)

    remark = f"REHEARSAL on {QUICK_SHARE:.0%} of the images, no result" if quick else ""
    drawn = {
        f"mia_{experiment.name}.png": experiment_figure(rows, experiment, contrasts[experiment.name], remark)
        for experiment in EXPERIMENTS
    }
    drawn["mia_summary.png"] = summary_figure(rows, remark)
    drawn["mia_per_class.png"] = per_class_figure(rows, remark)
    drawn["mia_samples.png"] = samples_figure(exposures, images.train_images, images.train_labels, remark)
    save_figures(folder, drawn)
    write_whole(folder / "mia_results.csv", rows.to_csv(index=False, float_format="%.6g").encode())
    print(f"\n{len(drawn)} figures and mia_results.csv written into {folder}")
    return rows


def command_line() -> None:
    """Forwards the command line to main, or to audit."""
    parser = OneLineParser(description=__doc__.splitlines()[0], prog="mia.py")
    parser.add_argument("--epochs", type=whole_number, help=f"of each training (default: {EPOCHS})")
    parser.add_argument("--seeds", type=whole_number, default=1, help="trainings of each model (default: 1)")
    parser.add_argument("--jobs", type=whole_number, help="cores to use, a training each (default: all)")
    parser.add_argument("--figures", metavar="DIR", help="folder of the results (default: figures/)")
    parser.add_argument("--quick", action="store_true", help="rehearsal, in figures/rehearsal/")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that trains")
    parser.add_argument(
        "--audit",
        nargs=2,
        metavar=("MEMBERS", "NONMEMBERS"),
        help="two files of losses (.npy, .csv) to report on",
    )
    arguments = vars(parser.parse_args())
    files = arguments.pop("audit")
    run(parser.prog, lambda: audit(*files, arguments["figures"] or FIGURES) if files else main(**arguments))


if __name__ == "__main__":
    # From the module, not from this script, so that other processes find these functions by the same name.
    import mia

    mia.command_line()
