"""Membership inference: can one tell from its loss whether an image was in a model's training set?

The question. A model that has learnt its training images by heart is more certain of them than of others.
An attacker who sees how certain it is can then guess who was a member of the training set, which may be a
secret: of a clinic's patients, say. Which networks give more away, and what helps?

The experiment. A coin is tossed for every CIFAR-10 image. Heads are the members of one training, tails those
of its twin, so that every image is a member of exactly one of the two. Nothing but the coin and the training
tells members from non-members: whatever an attack finds, the training has leaked.

Three acts. (1) The attack: pairs of models are trained until they overfit, and each is attacked with a
threshold on the loss (Yeom, Giacomelli, Fredrikson, Jha 2018, "Privacy Risk in Machine Learning"): an image
whose loss is below the threshold is called a member. (2) The stronger attack: easy images have a low loss in
any model, so each loss is compared with those of the trainings of other pairs, which tossed other coins
(Watson, Guo, Cormode, Sablayrolles 2022, "On the Importance of Difficulty Calibration in Membership Inference
Attacks"; by the score of Zarifzadeh, Liu, Shokri 2024, "Low-Cost High-Power Membership Inference Attacks").
(3) The defence: a model is trained by DP-SGD (Abadi et al. 2016, "Deep Learning with Differential Privacy"),
attacked both ways, and set beside the bound on every attack that tells whether an image was in by its coin.

What to expect. Eight models, four trainings of each, 40 epochs; each is attacked before training, after
every fourth epoch and after the last. Two cores of a server processor with AVX-512 take eight minutes, once
the images are there. A finished training keeps its losses in data/cache/, so that a second run only draws.
Figures and tables go into figures/, the findings to the console.

    python mia.py                       four trainings of each model
    python mia.py --trainings 12        twelve: narrower intervals, more verdicts
    python mia.py --only depth          the models and the pairs of one experiment
    python mia.py --quick               a tenth of the images, half of the epochs: a minute or two, in
                                        figures/rehearsal/
"""

import hashlib
import importlib.util
import math
import numbers
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036, as an older one is told here
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    print(f"mia.py: needs Python 3.11 or later, this is {python}", file=sys.stderr)
    sys.exit(2)
if importlib.util.find_spec("loky") is None:  # as with requirements/laplace.txt alone
    print("mia.py: needs more packages: pip install -r requirements.txt", file=sys.stderr)
    sys.exit(2)

import loky
import numpy as np
from scipy import special
from tqdm import tqdm

from leakage.command_line import OneLineParser, run
from leakage.estimates import Losses, auc_with_interval, measure_leakage
from leakage.look import save_figures, styles_of
from leakage.lower_bound import epsilon_lower_bound
from leakage.output import output_folder, write_whole
from leakage.panels import curves_of
from suite.jobs.lab import Call, Kept, Lab
from suite.report.mia_figures import Drawing, attack_figures, defence_figures, stronger_figures
from suite.report.mia_words import (
    attack_answers,
    defence_answers,
    finished_line,
    print_conclusion,
    stronger_answers,
)
from suite.sources.cifar10 import (
    CLASS_NAMES,
    DIGESTS,
    Cifar10,
    cache_folders,
    digests_of,
    load_cifar10,
)
from suite.study.findings import (
    CALIBRATED,
    THRESHOLD,
    Pair,
    compare_kinds,
    describe_kind,
    loss_histograms,
    losses_at,
    scores_at,
)
from suite.study.tables import Study, joined, study_of
from suite.support.command_line import (
    BadInput,
    even_number,
    in_lines,
    whole_number,
)
from suite.support.notebook import show_figures
from suite.training.members import (
    Examples,
    all_images,
    all_labels,
    is_member,
    pool_of,
    refuse_a_pool_too_large,
)
from suite.training.private import (
    DELTA,
    PRIVATE_EPOCHS,
    PRIVATE_LEARNING_RATE,
    SAMPLING_RATE,
    private_epochs,
    private_training,
)
from suite.training.repeatable import start_tensorflow

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

EPOCHS, FALLING_EPOCHS = 40, 30  # the second where the learning rate falls
ATTACK_EVERY = 4  # epochs
BATCH_SIZE = 50  # even, because a convolutional model takes it in halves
LEARNING_RATE = 0.001
FILTERS, UNITS = 32, 64  # of a convolutional and of a dense layer
TRAININGS = 4  # of each model; with two there is no other pair to compare with
CONVOLUTIONAL_COST, DENSE_COST = 1.6e-4, 1.2e-5  # seconds for a member in an epoch, to foresee the time left
QUICK_EPOCHS, QUICK_SHARE = 20, 0.1  # of a rehearsal: epochs, and share of the images

ROOT = Path(__file__).resolve().parent
FIGURES, REHEARSAL = ROOT / "figures", ROOT / "figures" / "rehearsal"
TRAINING_LIBRARIES = ("tensorflow", "keras", "numpy", "scipy")
PRIVATE_LIBRARIES = (*TRAINING_LIBRARIES, "dp-accounting")
ATTACK_LIBRARIES = ("numpy", "scipy", "scikit-learn", "tensorflow-privacy")
OTHER_FIGURES = ("loss", "summary", "per_class", "attacks", "samples")  # names that no experiment may have
PICTURED = ("cnn4_10c", "dense4_10c")  # models whose losses and most memorised images are shown
FALSE_CLAIMS = 0.05  # share of runs in which any interval of a family may miss the truth


# --------------------------------------------------------------------------------- models and experiments


@dataclass(frozen=True)
class Model:
    """One row of the table of models: hidden layers, classes to tell apart, images of each in the pool.

    About half of the pool are members.
    """

    name: str
    convolutional: int
    dense: int
    classes: int
    each: int
    epsilon: float | None = None  # of private training, at delta = DELTA; None for plain training
    falling: bool = False  # whether the learning rate of plain training falls; that of a private one does


MODELS = [
    Model("cnn4_10c", convolutional=3, dense=1, classes=10, each=6_000),
    Model("dense4_10c", convolutional=0, dense=4, classes=10, each=6_000),
    Model("dense7_10c", convolutional=0, dense=7, classes=10, each=6_000),
    Model("dense4_4c", convolutional=0, dense=4, classes=4, each=6_000),
    Model("dense7_4c", convolutional=0, dense=7, classes=4, each=6_000),
    Model("dense4_10c_12k", convolutional=0, dense=4, classes=10, each=2_400),
    Model("dense4_4c_5k", convolutional=0, dense=4, classes=4, each=2_400),
    Model("dense4_10c_dp", convolutional=0, dense=4, classes=10, each=6_000, epsilon=3.0),
    Model("cnn4_10c_falling", convolutional=3, dense=1, classes=10, each=6_000, falling=True),
    Model("dense4_10c_falling", convolutional=0, dense=4, classes=10, each=6_000, falling=True),
]


@dataclass(frozen=True)
class Experiment:
    """One row of the table of experiments: a question, and the pairs of models whose verdicts answer it.

    The pairs are fixed before the run, and their verdicts are on the AUC.
    """

    name: str
    question: str
    pairs: tuple[Pair, ...]
    by_default: bool = True  # or only where --only names it


EXPERIMENTS = [
    Experiment(
        "architecture",
        "Does a CNN leak more than a dense network with equally many hidden layers?",
        (Pair("cnn4_10c", "dense4_10c", names=("a CNN", "a dense network")),),
    ),
    Experiment(
        "depth",
        "Do seven dense layers leak more than four?",
        (Pair("dense7_10c", "dense4_10c", names=("seven dense layers", "four")),),
    ),
    Experiment(
        "depth_4class",
        "Do seven layers leak more, with four classes?",
        (
            Pair(
                "dense7_4c",
                "dense4_4c",
                names=("seven layers with four classes", "four layers with four classes"),
            ),
        ),
    ),
    Experiment(
        "classes",
        "Does telling ten classes apart leak more than telling four?",
        (
            Pair("dense4_10c", "dense4_4c", "all images of each class", ("ten classes", "four")),
            Pair("dense4_10c_12k", "dense4_4c_5k", "two fifths of the images", ("ten classes", "four")),
        ),
    ),
    Experiment(
        "images",
        "Do more images of each class leak less?",
        (
            Pair("dense4_10c", "dense4_10c_12k", "ten classes", ("all images", "two fifths of the images")),
            Pair("dense4_4c", "dense4_4c_5k", "four classes", ("all images", "two fifths of the images")),
        ),
    ),
    Experiment(
        "defence",
        "Does private training leak less?",
        (Pair("dense4_10c", "dense4_10c_dp", names=("plain training", "private training")),),
    ),
    Experiment(
        "schedule",
        "Does the CNN leak more than the dense network where the learning rate falls?",
        (
            Pair(
                "cnn4_10c_falling",
                "dense4_10c_falling",
                names=("a CNN with a falling rate", "a dense network with a falling rate"),
            ),
        ),
        by_default=False,
    ),
]


def build(model: Model, seed: int) -> "keras.Sequential":
    """The untrained network: pixels (n, 32, 32, 3) from 0 to 255 in, logits (n, classes) out."""
    import keras
    from keras import layers

    # Each layer gets a seed of its own. Keras would draw it from Python's global generator, from which other
    # threads of the process may draw in between; Dask's threads do.
    generator = random.Random(seed)

    def start() -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=generator.randint(1, 10**9))

    stack = [keras.Input((32, 32, 3))]
    if model.convolutional:
        # The sides are 32, 30, 15, 13, 6: the second pooling drops a row and a column, and no logit depends
        # on the last two rows and columns of pixels. Without them the same logits take less time.
        stack += [layers.Cropping2D(((0, 2), (0, 2)))]
    stack += [layers.Rescaling(1 / 255)]
    for _ in range(model.convolutional):
        stack += [layers.Conv2D(FILTERS, 3, activation="relu", kernel_initializer=start())]
        stack += [layers.MaxPooling2D(2)]
    stack += [layers.Flatten()]
    for _ in range(model.dense):
        stack += [layers.Dense(UNITS, activation="relu", kernel_initializer=start())]
    return keras.Sequential([*stack, layers.Dense(model.classes, kernel_initializer=start())])


# --------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Settings:
    """One training of one model: everything that its losses depend on, except the images and the code."""

    model: Model
    number: int  # of the training; 2j and 2j + 1 have complementary members
    epochs: int
    each: int  # images of each class in the pool
    batch_size: int  # of private training: expected
    learning_rate: float
    attack_every: int = ATTACK_EVERY

    @property
    def name(self) -> str:
        """The model's name and the training's number."""
        return f"{self.model.name}-{self.number}"

    @property
    def seed(self) -> int:
        """The seed of the first weights, of the order of the images, and of private training's batches and
        noise. It differs between trainings, so that no two share any of these."""
        return int.from_bytes(hashlib.sha256(repr(self).encode()).digest()[:8], "big")

    @property
    def expected_members(self) -> int:
        """Half of the pool: how many members the coins give on average."""
        return self.model.classes * self.each // 2

    @property
    def steps(self) -> int:
        """The steps of an epoch. They are fixed beforehand, whatever the number of heads."""
        return self.expected_members // self.batch_size

    @property
    def attacked_epochs(self) -> list[int]:
        """Epochs after which the model is judged; 0 is before training."""
        return [*range(0, self.epochs, self.attack_every), self.epochs]


def settings_of(model: Model, number: int, epochs: int | None, share: float) -> Settings:
    """The settings of one training. epochs: None for the model's own. share: of its images, 0 to 1."""
    each = round(model.each * share)
    if model.epsilon is None:
        own = FALLING_EPOCHS if model.falling else EPOCHS
        return Settings(model, number, epochs or own, each, BATCH_SIZE, LEARNING_RATE)
    expected_batch = round(SAMPLING_RATE * model.classes * each / 2)
    return Settings(model, number, epochs or PRIVATE_EPOCHS, each, expected_batch, PRIVATE_LEARNING_RATE)


def train_plainly(
    settings: Settings, data: Cifar10 | None, threads: int, epoch_done: Callable[[], None]
) -> dict[str, object]:
    """Trains one model on its members by Adam, and judges it on the whole pool.

    data: the images, or None to load CIFAR-10 here. threads: how many a convolutional model may use. Each
    operation runs on one thread, so the result is the same to the last bit with any number of threads.
    epoch_done: called after each epoch. Returns the fields that judged_training names.
    """
    pool, network = pool_and_network(settings, data, threads)
    from suite.training.plain import plain_epochs

    members = pool.where(is_member(settings.number, pool.ids))
    train_epoch = plain_epochs(
        network,
        members.images,
        members.labels,
        steps=settings.steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        falling_over=settings.epochs if settings.model.falling else None,
        seed=settings.seed,
        # A dense model's steps are too short to be shared by two threads.
        parts=2 if settings.model.convolutional else 1,
    )
    return judged_training(settings, network, pool, train_epoch, epoch_done)


def train_privately(
    settings: Settings, data: Cifar10 | None, threads: int, epoch_done: Callable[[], None]
) -> dict[str, object]:
    """Trains and judges one model as train_plainly does, but by DP-SGD. The result has the fields of
    private_training too, which describe its privacy."""
    pool, network = pool_and_network(settings, data, threads)
    members = pool.where(is_member(settings.number, pool.ids))
    train_epoch, privacy = private_training(
        network,
        members.images,
        members.labels,
        epsilon=settings.model.epsilon,
        epochs=settings.epochs,
        steps=settings.steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
    )
    return judged_training(settings, network, pool, train_epoch, epoch_done) | privacy


def pool_and_network(
    settings: Settings, data: Cifar10 | None, threads: int
) -> "tuple[Examples, keras.Sequential]":
    """The pool, for whose images the coins are tossed, and the untrained network."""
    start_tensorflow(threads if settings.model.convolutional else 1)
    data = data or load_cifar10(report=lambda line: None)
    return pool_of(data, settings.model.classes, settings.each), build(settings.model, settings.seed)


def judged_training(
    settings: Settings,
    network: "keras.Sequential",
    pool: Examples,
    train_epoch: Callable[[int], None],
    epoch_done: Callable[[], None],
) -> dict[str, object]:
    """Trains epoch by epoch, and judges the network on its whole pool of N images at e attacked epochs.

    Returns `image_ids`, `labels` and `is_member` (N,); `losses` (e, N), float64, in nats; `epochs`, `steps`,
    `train_accuracy` on the members and `test_accuracy` on the rest (e,); `seconds`; and the fields that say
    which training of which model it is.
    """
    from suite.training.plain import judge_of

    began = time.perf_counter()
    logits_of = judge_of(network, pool.images)
    members = is_member(settings.number, pool.ids)
    losses, train_accuracy, test_accuracy = [], [], []
    for epoch in range(settings.epochs + 1):
        if epoch > 0:
            train_epoch(epoch)
            epoch_done()
        if epoch in settings.attacked_epochs:
            logits = logits_of()
            losses.append(losses_from_logits(logits, pool.labels))
            correct = logits.argmax(axis=1) == pool.labels
            train_accuracy.append(correct[members].mean())
            test_accuracy.append(correct[~members].mean())
    return {
        "model": settings.model.name,
        "classes": settings.model.classes,
        "parameters": network.count_params(),
        "falling_rate": settings.model.falling or settings.model.epsilon is not None,
        "training": settings.number,
        "image_ids": pool.ids,
        "labels": pool.labels,
        "is_member": members,
        "epochs": np.array(settings.attacked_epochs),
        "steps": np.array(settings.attacked_epochs) * settings.steps,
        "losses": np.array(losses),
        "train_accuracy": np.array(train_accuracy),
        "test_accuracy": np.array(test_accuracy),
        "seconds": np.array(time.perf_counter() - began),
    }


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


# ----------------------------------------------------------------------------------------------- attack


def called_members(losses: np.ndarray, threshold: float) -> np.ndarray:
    """The attack: an image whose loss is below the threshold is called a member. losses (n,), bool (n,)."""
    return losses < threshold


def best_threshold(losses: Losses) -> dict[str, float]:
    """The `threshold` with the largest TPR - FPR on these very examples, and both rates there.

    `true_positive_rate`: share of members called members. `false_positive_rate`: share of the others.
    """
    candidates = np.unique(np.concatenate([losses.members, losses.nonmembers]))
    # How many losses lie below each candidate, as called_members would count them one candidate at a time.
    caught = np.searchsorted(np.sort(losses.members), candidates) / len(losses.members)
    accused = np.searchsorted(np.sort(losses.nonmembers), candidates) / len(losses.nonmembers)
    threshold = float(candidates[np.argmax(caught - accused)])
    return {
        "threshold": threshold,
        "true_positive_rate": float(called_members(losses.members, threshold).mean()),
        "false_positive_rate": float(called_members(losses.nonmembers, threshold).mean()),
    }


def all_thresholds(losses: Losses, member_labels: np.ndarray, nonmember_labels: np.ndarray) -> dict:
    """tensorflow_privacy's threshold attack, which tries every threshold: (AUC, advantage), for all images
    (None) and for each class."""
    # The library's own switch for stand-alone use; its estimators fail on a current TensorFlow.
    sys.skip_tf_privacy_import = True
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        data_structures,
        membership_inference_attack,
    )

    report = membership_inference_attack.run_attacks(
        data_structures.AttackInputData(
            loss_train=losses.members,
            loss_test=losses.nonmembers,
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


def attack_trainings(trainings: Sequence[dict], attack: str, class_names: Sequence[str]) -> dict:
    """Attacks every training of one model at every attacked epoch.

    trainings: what judged_training returned, in complementary pairs. attack: THRESHOLD takes each image's
    loss L = -log p(true class) as it is. CALIBRATED takes L + log q, where q is the mean of exp(-L_k) over
    the trainings k of all other pairs at the same epoch: the mean probability of the true class to models of
    which half were trained on the image (leakage/calibration.py).
    Returns `rows`, one for each training and epoch, and `curves` of the last epoch for each training. Raises
    BadInput for a training that diverged.
    """
    refuse_diverged(trainings)
    rows, curves = [], []
    epochs = trainings[0]["epochs"]
    for index, epoch in enumerate(epochs):
        for training, scores in zip(trainings, scores_at(trainings, index, attack), strict=True):
            row = describe_epoch(training, index) | {"attack": attack}
            row |= measure_leakage(scores.members, scores.nonmembers)
            if epoch == epochs[-1]:
                row |= best_threshold(scores)
                row |= library_aucs(training, scores, class_names)
                row |= least_epsilon(scores)
                row |= placebo_auc(training, scores, len(trainings))
                about = {"model": training["model"], "training": training["training"], "attack": attack}
                curves.append([about, curves_of_training(training, scores, attack)])
            rows.append(row)
    return {"rows": rows, "curves": curves}


def refuse_diverged(trainings: Iterable[dict]) -> None:
    """Raises BadInput, in one line, for a training with losses that are NaN or infinite."""
    for training in trainings:
        lost = ~np.isfinite(training["losses"])
        if lost.any():
            epoch = training["epochs"][lost.any(axis=1)][0]
            raise BadInput(
                f"training {training['training']} of {training['model']} diverged: after epoch {epoch} the "
                f"losses of {lost.any(axis=0).sum():,} images are NaN or infinite. It would do so again: "
                "take a smaller learning rate, or change the model's row in MODELS"
            )


def describe_epoch(training: dict, index: int) -> dict[str, object]:
    """The part of a row that no attack decides: the training, and its attacked epoch number `index`."""
    about = {name: value for name, value in training.items() if not isinstance(value, np.ndarray)}
    losses = losses_at(training, index)
    return about | {
        "epoch": int(training["epochs"][index]),
        "steps": int(training["steps"][index]),
        "train_accuracy": float(training["train_accuracy"][index]),
        "test_accuracy": float(training["test_accuracy"][index]),
        "gap": float(training["train_accuracy"][index] - training["test_accuracy"][index]),
        "train_loss": float(losses.members.mean()),
        "test_loss": float(losses.nonmembers.mean()),
    }


def library_aucs(training: dict, scores: Losses, class_names: Sequence[str]) -> dict[str, float]:
    """tensorflow_privacy's AUC and advantage, which measure_leakage's equal, and its AUC of each class."""
    labels, members = training["labels"], training["is_member"]
    by_slice = all_thresholds(scores, labels[members], labels[~members])
    auc, advantage = by_slice.pop(None)
    of_classes = {f"auc_{class_names[label]}": value for label, (value, _) in sorted(by_slice.items())}
    return {"auc": auc, "advantage": advantage} | of_classes


def least_epsilon(scores: Losses) -> dict[str, float]:
    """`epsilon_low`: the epsilon at DELTA that this training certainly leaks of an image."""
    # At half the error, for the median over a model's trainings. Each bound is above the truth with a
    # probability of 2.5% at most. If the median is, half of the bounds or more are; by Markov's inequality
    # that happens in at most 2 x 2.5% of runs, however the trainings depend on each other.
    confidence = 1 - FALSE_CLAIMS / 2
    certain = epsilon_lower_bound(scores.members, scores.nonmembers, DELTA, confidence=confidence)
    return {"epsilon_low": certain["epsilon_low"]}


def placebo_auc(training: dict, scores: Losses, trainings: int) -> dict[str, float]:
    """The AUC of the same scores judged by coins that no training was given, which must find nothing.

    trainings: how many there are of this model.
    """
    of_all = np.concatenate([scores.members, scores.nonmembers])
    ids = np.concatenate([scores.member_ids, scores.nonmember_ids])
    # The pair after the last: heads for the first of a pair of trainings, tails for its twin.
    placebo = is_member(trainings + training["training"] % 2, ids)
    auc, low, high = auc_with_interval(of_all[placebo], of_all[~placebo])
    return {"placebo_auc": auc, "placebo_auc_low": low, "placebo_auc_high": high}


def curves_of_training(training: dict, scores: Losses, attack: str) -> dict[str, list[list[float]]]:
    """The points [x, y] of a training's curves: ROC, histograms of the loss, and the proven bound."""
    drawn = curves_of(scores)
    curves = {"roc": [drawn.fprs, drawn.tprs]}
    if attack == THRESHOLD:
        curves |= loss_histograms(scores)
    if "bound_fprs" in training:
        curves["bound"] = [training["bound_fprs"], training["bound_tprs"]]
    return {name: [np.asarray(axis).tolist() for axis in points] for name, points in curves.items()}


# ------------------------------------------------------------------------------------------------- study


def chosen(only: Sequence[str]) -> tuple[list[Model], list[Experiment]]:
    """The rows of both tables that `only` names, which holds names of experiments or models. If it is empty:
    all but the experiments that are not run by default, and the models that only these have.

    An experiment brings its models along. Models bring the pairs of which both models are named.
    """
    known = [row.name for row in (*EXPERIMENTS, *MODELS)]
    for name in only:
        if name not in known:
            raise BadInput(f"--only {name}: no such experiment or model; there are {', '.join(known)}")
    if not only:
        by_default = [row for row in EXPERIMENTS if row.by_default]
        left_out = set(models_of([], EXPERIMENTS)) - set(models_of([], by_default))
        return [model for model in MODELS if model.name not in left_out], by_default
    experiments = []
    for row in EXPERIMENTS:
        named = tuple(pair for pair in row.pairs if pair.first in only and pair.second in only)
        pairs = row.pairs if row.name in only else named
        if pairs:
            experiments.append(replace(row, pairs=pairs))
    names = models_of([model for model in MODELS if model.name in only], experiments)
    return [model for model in MODELS if model.name in names], experiments


def train_models(
    lab: Lab, models: Sequence[Model], trainings: int, epochs: int | None, share: float, data: Cifar10 | None
) -> dict[str, list[Kept]]:
    """Makes `trainings` trainings of each model, side by side. Those that are kept from before are not
    repeated.

    epochs, share: see settings_of. data: images other than CIFAR-10, or None. Returns the kept trainings of
    each model, by its name.
    """
    digests = digests_of(data) if data else DIGESTS
    threads = 1 if lab.dask else lab.jobs
    calls = {}
    for model in models:
        if model.epsilon is None:
            train, libraries = train_plainly, TRAINING_LIBRARIES
        else:
            train, libraries = train_privately, PRIVATE_LIBRARIES
        calls[model.name] = []
        for number in range(trainings):
            settings = settings_of(model, number, epochs, share)
            call = Call(
                settings.name,
                train,
                arguments=(settings, data, threads),
                recipe=[asdict(settings), digests],
                libraries=libraries,
                steps=settings.epochs,
                cost=cost_of(settings),
                size=2 * settings.expected_members * (8 * len(settings.attacked_epochs) + 20),
            )
            calls[model.name].append(call)
    kept = lab.do(
        "trainings",
        [call for of_model in calls.values() for call in of_model],
        on_cluster=True,
        done=lambda name, training: tqdm.write(finished_line(name, training)),
    )
    return {name: [kept[call.name] for call in of_model] for name, of_model in calls.items()}


def cost_of(settings: Settings) -> float:
    """The seconds that an epoch of this training should take on one core."""
    of_member = CONVOLUTIONAL_COST if settings.model.convolutional else DENSE_COST
    return settings.expected_members * of_member


def attack_models(lab: Lab, trained: Mapping[str, list[Kept]], attack: str) -> list[dict]:
    """The results of attack_trainings, one for each model."""
    calls = [
        Call(
            f"{attack}-{name}",
            attack_trainings,
            (kept, attack, CLASS_NAMES),
            libraries=ATTACK_LIBRARIES,
            cost=len(kept),
            size=10**5 * len(kept),  # mostly of curves, as text
        )
        for name, kept in trained.items()
    ]
    return [kept.read() for kept in lab.do(f"models attacked ({attack})", calls).values()]


def confidence_of(family: int) -> float:
    """The confidence of each interval of a family, with which all hold together in 95% of runs (Bonferroni).

    family: the number of its intervals, or of its groups, each of which counts its own intervals; 0 where a
        table has no pair.
    """
    return 1 - FALSE_CLAIMS / max(family, 1)


def describe_models(lab: Lab, trained: Mapping[str, list[Kept]], attack: str) -> dict[str, dict]:
    """The results of describe_kind, by the model's name. The intervals of one measure hold for all models of
    the table together, those of the classes for all classes of a model.
    """
    confidence, class_confidence = confidence_of(len(MODELS)), confidence_of(1)
    calls = {
        name: Call(
            f"kind-{attack}-{name}",
            describe_kind,
            (kept, attack, CLASS_NAMES, confidence, class_confidence),
            libraries=ATTACK_LIBRARIES,
            size=2 * 10**6,  # two numbers for each image of a pool
        )
        for name, kept in trained.items()
    }
    kept = lab.do(f"models described ({attack})", list(calls.values()))
    return {name: kept[call.name].read() for name, call in calls.items()}


def compare_models(
    lab: Lab, trained: Mapping[str, list[Kept]], experiments: Sequence[Experiment], attack: str, family: int
) -> dict[str, list[dict]]:
    """The results of compare_kinds, one for each pair, by the experiment's name.

    family: the number of verdicts that are reached together; their intervals hold together.
    """
    confidence, stopped_confidence = confidence_of(family), confidence_of(len(MODELS))
    calls = {
        experiment.name: [
            Call(
                f"{experiment.name}-{attack}-{pair.first}-{pair.second}",
                compare_kinds,
                (
                    trained[pair.first],
                    trained[pair.second],
                    (pair.first, pair.second),
                    pair.equal,
                    attack,
                    family,
                    confidence,
                    stopped_confidence,
                ),
                libraries=ATTACK_LIBRARIES,
            )
            for pair in experiment.pairs
        ]
        for experiment in experiments
    }
    kept = lab.do(
        f"pairs compared ({attack})", [call for of_experiment in calls.values() for call in of_experiment]
    )
    return {name: [kept[call.name].read() for call in of_experiment] for name, of_experiment in calls.items()}


# --------------------------------------------------------- what is refused before anything is trained


def check_options(epochs: int | None, trainings: int, jobs: int | None, dask: str | None) -> None:
    """Raises BadInput, in one line, for options of main that cannot be used."""
    if not isinstance(trainings, numbers.Integral) or trainings < 2 or trainings % 2:
        raise BadInput(f"trainings come in pairs: --trainings must be an even number, not {trainings}")
    for name, count in (("epochs", epochs), ("jobs", jobs)):
        if count is not None and (not isinstance(count, numbers.Integral) or count < 1):
            raise BadInput(f"{name} must be a whole number of at least 1, not {count!r}")
    if dask == "":
        raise BadInput("--dask: the address is empty; leave it out to train on this machine")


def check_tables(models: Sequence[Model], experiments: Sequence[Experiment]) -> None:
    """Raises BadInput, in one line, for rows of the two tables that cannot be used."""
    for table, rows in (("MODELS", models), ("EXPERIMENTS", experiments)):
        names = [row.name for row in rows]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(f"{table} has {names.count(name)} rows named {name}; give each its own name")
            if not re.fullmatch(r"[\w.-]+", name):  # it goes into names of files
                raise BadInput(f"{table} has a row named {name!r}; use letters, digits, _, . and - only")
    for model in models:
        sizes = (model.convolutional, model.dense, model.classes, model.each)
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise BadInput(f"the model {model.name}: layers, classes and images are whole numbers")
        if model.epsilon is not None and not (
            isinstance(model.epsilon, int | float) and 0 < model.epsilon < math.inf
        ):
            raise BadInput(f"the model {model.name}: epsilon must be a number above 0, not {model.epsilon!r}")
    known = [model.name for model in models]
    private = [model.name for model in models if model.epsilon is not None]
    for experiment in experiments:
        where, pairs = f"the experiment {experiment.name}", experiment.pairs
        if experiment.name in (*known, *OTHER_FIGURES):
            raise BadInput(f"{where}: a model or another figure has this name; take another")
        if isinstance(pairs, Pair) or not pairs or not all(isinstance(pair, Pair) for pair in pairs):
            raise BadInput(f"{where}: its pairs must be a tuple, (Pair(...),) with a comma if there is one")
        for pair in pairs:
            for name in (pair.first, pair.second):
                if name not in known:
                    raise BadInput(f"{where}: no model is named {name}; MODELS has {', '.join(known)}")
        if any(pair.first in private and pair.second not in private for pair in pairs):
            raise BadInput(f"{where}: the private model of a pair comes second")
        if any(pair.first == pair.second for pair in pairs):
            raise BadInput(f"{where}: a pair is two models, not one twice")
        if len({frozenset(pair[:2]) for pair in pairs}) < len(pairs):
            raise BadInput(f"{where}: a pair stands there once, whichever of its models comes first")
        if not all(_are_names(pair.names) for pair in pairs):
            raise BadInput(f"{where}: the names of a pair are two texts, names=('a CNN', 'a dense network')")


def _are_names(names: object) -> bool:
    """Whether these are the names of a pair, which may have none."""
    return names == () or (
        isinstance(names, tuple) and len(names) == 2 and all(isinstance(name, str) and name for name in names)
    )


def check_pools(models: Sequence[Model], labels: np.ndarray, share: float) -> None:
    """Raises BadInput, in one line, for a model whose classes have too few images, or whose members fill no
    batch.

    labels: the class of every image (N,). share: of each model's images, 0 to 1.
    """
    for model in models:
        settings = settings_of(model, 0, None, share)
        try:
            refuse_a_pool_too_large(labels, model.classes, settings.each)
        except BadInput as problem:
            raise BadInput(f"the model {model.name}: {problem}") from None
        if settings.batch_size < 1 or settings.steps < 1:
            raise BadInput(f"the model {model.name}: {settings.expected_members} members fill no batch")


def check_networks(models: Sequence[Model], threads: int) -> dict:
    """Builds every network, in a worker, so that one that cannot be trained is found at once, not after
    hours.

    Raises BadInput, in one line, for a network that cannot be built, or that private training refuses.
    """
    start_tensorflow(threads)
    for model in models:
        try:
            network = build(model, seed=0)
        except Exception as problem:  # Keras raises many kinds
            reason = " ".join(str(problem).split())[:200]
            raise BadInput(f"the network of {model.name} cannot be built: {reason}") from None
        if model.epsilon is not None:
            try:
                refuse_private_network(network)
            except BadInput as problem:
                raise BadInput(f"the model {model.name}: {problem}") from None
    return {}


def refuse_private_network(network: "keras.Sequential") -> None:
    """Raises BadInput for a network that private_epochs refuses, by its layers or its number of weights."""
    image, label = np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, np.int32)
    private_epochs(
        network,
        image,
        label,
        epochs=1,
        steps=1,
        batch_size=1,
        sampling_rate=1.0,
        noise_multiplier=0.0,
        clipping_norm=1.0,
        learning_rate=0.0,
        seed=0,
    )


def build_networks(lab: Lab, models: Sequence[Model]) -> None:
    """Has a worker call check_networks before any model is trained; once for each table of models."""
    recipe = [asdict(model) for model in models]
    arguments = (models, lab.jobs)
    lab.do(
        "networks",
        [Call("networks", check_networks, arguments, recipe=recipe, libraries=TRAINING_LIBRARIES)],
    )


# ------------------------------------------------------------------------------------------ the three acts


def tell(title: str, act: Study, answers: Sequence[str], remark: str) -> None:
    """Prints the end of an act: its answers, each after the remark if there is one, and its tables."""
    print(f"\n{title}")
    print_conclusion(act, [f"{remark}: {answer}" if remark else answer for answer in answers], CLASS_NAMES)


def write(folder: Path, study: Study, figures: "Mapping[str, Figure]") -> None:
    """Writes an act's figures, and the tables of the study so far; in a notebook the figures are shown."""
    save_figures(folder, figures)
    show_figures(figures)
    for name, table in study.files().items():
        write_whole(folder / name, table.to_csv(index=False, float_format="%.6g").encode())
    print(in_lines(f"{', '.join(figures)} and {len(study.files())} tables are in {folder}"))


def is_defence(experiment: Experiment) -> bool:
    """Whether a private model takes part: then it belongs to act three."""
    private = {model.name for model in MODELS if model.epsilon is not None}
    return any(pair.first in private or pair.second in private for pair in experiment.pairs)


def count_pairs(experiments: Iterable[Experiment]) -> int:
    """The number of pairs, and so of verdicts by one attack, of these experiments."""
    return sum(len(experiment.pairs) for experiment in experiments)


def models_of(models: Iterable[Model], experiments: Iterable[Experiment]) -> list[str]:
    """The names of the models in the experiments' pairs, and of these models, each once."""
    names = [name for row in experiments for pair in row.pairs for name in (pair.first, pair.second)]
    return list(dict.fromkeys([*names, *(model.name for model in models)]))


def main(
    epochs: int | None = None,
    trainings: int = TRAININGS,
    only: Sequence[str] = (),
    jobs: int | None = None,
    figures: str | os.PathLike | None = None,
    quick: bool = False,
    dask: str | None = None,
    data: Cifar10 | None = None,
    kept_in: str | os.PathLike | None = None,
) -> Study:
    """Trains what has not been trained yet, attacks, compares, concludes and draws, act by act.

    epochs ... dask: as on the command line. data: images other than CIFAR-10. kept_in: the folder of finished
    trainings and findings, data/cache/cells/ if not given. Returns the study: its tables, which are also
    written as CSV files, and its figures, which a notebook shows.
    """
    check_options(epochs, trainings, jobs, dask)
    if importlib.util.find_spec("tensorflow") is None:
        raise BadInput("TensorFlow is missing; it needs Python 3.11 to 3.13: pip install -r requirements.txt")
    check_tables(MODELS, EXPERIMENTS)
    models, experiments = chosen([only] if isinstance(only, str) else only)
    folder = output_folder((REHEARSAL if quick else FIGURES) if figures is None else figures)
    images = data or load_cifar10()
    labels = all_labels(images)
    share, remark = (QUICK_SHARE, "A tenth of the images") if quick else (1.0, "")
    # As Python's own whole numbers: no key can hold those of NumPy.
    trainings, jobs = int(trainings), int(jobs or loky.cpu_count())
    if epochs is not None:
        epochs = int(epochs)
    elif quick:
        epochs = QUICK_EPOCHS
    check_pools(models, labels, share)
    if data is None:
        check_pools(models, labels, 1.0)  # a rehearsal must not accept what the whole study refuses
    plain = [model for model in models if model.epsilon is None]
    private = [model for model in models if model.epsilon is not None]
    attack_experiments = [experiment for experiment in experiments if not is_defence(experiment)]
    defence_experiments = [experiment for experiment in experiments if is_defence(experiment)]
    # With one pair of trainings there is no other to compare losses with.
    attacks = [THRESHOLD] if trainings == 2 else [THRESHOLD, CALIBRATED]
    # Verdicts of an act are reached together: those of the whole table, whatever part of it is run.
    attack_family = count_pairs(row for row in EXPERIMENTS if not is_defence(row))
    defence_family = 2 * count_pairs(row for row in EXPERIMENTS if is_defence(row))  # by two attacks
    questions = {experiment.name: experiment.question for experiment in EXPERIMENTS}
    styles = styles_of([model.name for model in MODELS])
    names = {(row.name, *pair[:2]): pair.names for row in EXPERIMENTS for pair in row.pairs}
    drawing = Drawing(questions, names, all_images(images), labels, CLASS_NAMES, styles, remark)
    folders = [Path(kept_in)] if kept_in else [cache / "cells" for cache in cache_folders()]
    trained: dict[str, list[Kept]] = {}
    study, in_short = Study(), []

    with Lab(folders, jobs, dask) as lab:
        build_networks(lab, models)

        # Act one, the attack. Train each model until it overfits; call an image a member if its loss is low.
        if plain:
            trained |= train_models(lab, plain, trainings, epochs, share, data)
            attacked = attack_models(lab, trained, THRESHOLD)
            described = describe_models(lab, trained, THRESHOLD)
            compared = compare_models(lab, trained, attack_experiments, THRESHOLD, attack_family)
            act = study_of(attacked, described, compared, labels, PICTURED)
            study = joined(study, act)
            drawn = attack_figures(study, drawing)
            study = study.with_figures(drawn)
            answers = attack_answers(act, questions)
            tell("Act one, the attack", act, answers, remark)
            write(folder, study, drawn)
            in_short += answers[:1]

        # Act two, the stronger attack. An easy image has a low loss in any model; so compare each loss with
        # those of the trainings of other pairs, which tossed other coins.
        if plain and CALIBRATED in attacks:
            attacked = attack_models(lab, trained, CALIBRATED)
            described = describe_models(lab, trained, CALIBRATED)
            compared = compare_models(lab, trained, attack_experiments, CALIBRATED, attack_family)
            act = study_of(attacked, described, compared, labels, PICTURED)
            study = joined(study, act)
            drawn = stronger_figures(study, drawing)
            study = study.with_figures(drawn)
            answers = stronger_answers(act, questions)
            tell("Act two, the stronger attack", act, answers, remark)
            write(folder, study, drawn)
            in_short += answers[:1]
        elif plain:
            print(
                "\nNo act two: with one pair of trainings there is no other to compare with (--trainings 4)"
            )

        # Act three, the defence. Train the same network by DP-SGD, so that no attack can exceed a bound;
        # attack it both ways, and the plain one beside it.
        if private:
            trained |= train_models(lab, private, trainings, epochs, share, data)
            defended = {name: trained[name] for name in models_of(private, defence_experiments)}
            act = Study()
            for attack in attacks:
                attacked = attack_models(lab, defended, attack)
                described = describe_models(lab, defended, attack)
                compared = compare_models(lab, defended, defence_experiments, attack, defence_family)
                act = joined(act, study_of(attacked, described, compared, labels, PICTURED))
            study = joined(study, act)
            drawn = defence_figures(act, drawing)
            study = study.with_figures(drawn)
            answers = defence_answers(act, questions)
            tell("Act three, the defence", act, answers, remark)
            write(folder, study, drawn)
            in_short += answers[:1]

    print(f"\nIn short, {remark.lower()}" if remark else "\nIn short", *map(in_lines, in_short), sep="\n")
    earlier = sorted({path.name for path in folder.glob("mia_*.png")} - set(study.figures))
    if earlier:
        print(in_lines(f"From an earlier run, and not of these tables: {', '.join(earlier)}"))
    print(f"Look first at {folder / next(iter(study.figures))}")
    return study


def command_line() -> None:
    """Forwards the command line to main."""
    parser = OneLineParser(description=__doc__ and __doc__.splitlines()[0], prog="mia.py")
    parser.add_argument(
        "--epochs", type=whole_number, help=f"of each training (default: the model's own, {EPOCHS} for most)"
    )
    parser.add_argument(
        "--trainings", type=even_number, default=TRAININGS, help=f"of each model, even (default: {TRAININGS})"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="NAME",
        help="a part of the study: names of experiments or models",
    )
    parser.add_argument("--jobs", type=whole_number, help="cores to use, a training each (default: all)")
    parser.add_argument("--figures", metavar="DIR", help="folder of the results (default: figures/)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a tenth of the images and {QUICK_EPOCHS} epochs, in figures/rehearsal/",
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that trains")
    arguments = vars(parser.parse_args())
    stopped = "stopped; finished trainings are kept, and the same command goes on from there"
    run(parser.prog, lambda: main(**arguments), stopped=stopped)


if __name__ == "__main__":
    command_line()
