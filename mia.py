"""Membership inference: can one tell from its loss whether an image was in a model's training set?

The question. A model that has learnt its training images by heart is more certain of them than of others.
An attacker who sees how certain it is can then guess who was a member of the training set, which may be a
secret: of a clinic's patients, say. Which networks give more away, and what helps?

Three acts. (1) The attack: pairs of CIFAR-10 models are trained until they overfit, and each is attacked with
a threshold on the loss (Yeom, Giacomelli, Fredrikson, Jha 2018, "Privacy Risk in Machine Learning"): an image
whose loss is below the threshold is called a member. (2) The stronger attack: easy images have a low loss in
any model, so each loss is compared with that of reference models, which the attacker trains. (3) The defence:
a model is trained by DP-SGD, attacked both ways, and set beside the bound that no attack can exceed.

Members are the training images, non-members the test images. The attack itself is tensorflow_privacy's.
Around it stands what tells a finding from chance: intervals, the value that chance gives, an untrained model
as a control, and verdicts on pairs of models that were fixed before the run.

What to expect. Seven models, trained 40 epochs, are attacked before training and after every second epoch.
Two cores with AVX-512 take about six minutes for act one, six for act two and one for act three, once the
images are there. A finished training keeps its losses in data/cache/, so that a second run only draws.
Figures and tables go into figures/, the findings to the console.

    python mia.py                  one training of each model, and two reference models for each
    python mia.py --seeds 5        five, without which nothing can be said about kinds of model
    python mia.py --quick          a rehearsal with few images, about a minute, in figures/rehearsal/
    python mia.py --audit MEMBERS NONMEMBERS      the report of act one for the losses of your own model
"""

import importlib.util
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

# Python's -P and PYTHONSAFEPATH leave a script's own folder out.
sys.path.insert(0, str(Path(__file__).resolve().parent))
from leakage.command_line import starting

with starting("mia.py", __name__):
    import loky
    import numpy as np
    from data.near_duplicates import near_duplicate_tests
    from scipy import special

    from leakage import Losses, auc_with_interval, measure_leakage, paired_contrast  # noqa: F401, for importers
    from leakage.command_line import BadInput, LongMessage, OneLineParser, run, seed_number, whole_number
    from leakage.look import styles_of
    from leakage.output import output_folder
    from suite.jobs.code import key_of
    from suite.jobs.jobs import Job
    from suite.jobs.workers import cluster, processes
    from suite.report.mia_figures import Drawing
    from suite.report.mia_tables import Study
    from suite.sources.cifar10 import CACHE, CLASS_NAMES, Cifar10, DataNotFound, digests_of, load_cifar10
    from suite.study.acts import Run, acts_of, perform_all
    from suite.study.findings import Pair
    from suite.training.members import Examples, official_split, reference_split
    from suite.training.private import PRIVATE_BATCH, PRIVATE_EPOCHS, PRIVATE_LEARNING_RATE, private_training
    from suite.training.repeatable import start_tensorflow

if TYPE_CHECKING:
    import keras

EPOCHS = 40
ATTACK_EVERY = 2  # epochs
BATCH_SIZE = 50  # even, because a convolutional model takes it in halves
LEARNING_RATE = 0.001
FILTERS, UNITS = 32, 64  # of a convolutional and of a dense layer
CONVOLUTIONAL_COST, DENSE_COST = 2.2e-4, 2.2e-5  # seconds for an image in an epoch, to foresee the time left
QUICK_EPOCHS, QUICK_SHARE = 4, 0.1  # of a rehearsal: epochs, and share of the images

ROOT = Path(__file__).resolve().parent
FIGURES, REHEARSAL = ROOT / "figures", ROOT / "figures" / "rehearsal"
CELLS = CACHE.parent / "cells"
TRAINING_LIBRARIES = ("tensorflow", "keras", "numpy", "scipy")
PICTURED = ("cnn4_10c", "dense4_10c")  # models whose most exposed images are shown
REFERENCE_SEEDS = 1_000_000  # from which those of reference models count


# --------------------------------------------------------------------------------- models and experiments


@dataclass(frozen=True)
class Model:
    """One row of the table of models: hidden layers, classes to tell apart, training images."""

    name: str
    convolutional: int
    dense: int
    classes: int
    images: int
    epsilon: float | None = None  # of private training, at delta = DELTA; None for plain training


MODELS = [
    Model("cnn4_10c", convolutional=3, dense=1, classes=10, images=50_000),
    Model("dense4_10c", convolutional=0, dense=4, classes=10, images=50_000),
    Model("dense7_10c", convolutional=0, dense=7, classes=10, images=50_000),
    Model("dense4_4c", convolutional=0, dense=4, classes=4, images=20_000),
    Model("dense7_4c", convolutional=0, dense=7, classes=4, images=20_000),
    Model("dense4_10c_20k", convolutional=0, dense=4, classes=10, images=20_000),
    Model("dense4_4c_8k", convolutional=0, dense=4, classes=4, images=8_000),
    Model("dense4_10c_dp", convolutional=0, dense=4, classes=10, images=50_000, epsilon=3.0),
]


class Experiment(NamedTuple):
    """One row of the table of experiments: a question, and the pairs of models whose verdicts answer it.

    The pairs are fixed before the run, and their verdicts are on the AUC.
    """

    name: str
    question: str
    pairs: tuple[Pair, ...]


EXPERIMENTS = [
    Experiment(
        "architecture",
        "Does a CNN leak more than a dense network with equally many hidden layers?",
        (Pair("cnn4_10c", "dense4_10c"),),
    ),
    Experiment("depth", "Do seven dense layers leak more than four?", (Pair("dense7_10c", "dense4_10c"),)),
    Experiment(
        "depth_4class", "Do seven layers leak more, with four classes?", (Pair("dense7_4c", "dense4_4c"),)
    ),
    Experiment(
        "classes",
        "Does telling ten classes apart leak more than telling four?",
        (
            Pair("dense4_10c", "dense4_4c", equal="5,000 images a class"),
            Pair("dense4_10c_20k", "dense4_4c_8k", equal="2,000 images a class"),
            Pair("dense4_10c", "dense4_10c_20k", equal="ten classes"),
            Pair("dense4_4c", "dense4_4c_8k", equal="four classes"),
        ),
    ),
    Experiment("defence", "Does private training leak less?", (Pair("dense4_10c", "dense4_10c_dp"),)),
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


# --------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Cell:
    """One training of one model: all that its losses depend on, beside the images and the code."""

    model: Model
    seed: int
    epochs: int
    share: float  # of the images, training and test; below 1 for a rehearsal
    reference: int | None = None  # number of a reference model; None for a target
    attack_every: int = ATTACK_EVERY
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE

    @property
    def name(self) -> str:
        which = f"seed{self.seed}" if self.reference is None else f"reference{self.reference}"
        return f"{self.model.name}-{which}"

    @property
    def settings(self) -> dict[str, float]:
        return {"batch_size": self.batch_size, "learning_rate": self.learning_rate, "seed": self.seed}

    @property
    def attacked(self) -> list[int]:
        """Epochs after which the model is judged; 0 is before training. A reference is judged at the end."""
        early = range(0, self.epochs, self.attack_every) if self.reference is None else ()
        return [*early, self.epochs]


def members_of(model: Model, share: float, reference: bool) -> float:
    """How many members a training has: the model's training images, or for a reference half of its pool."""
    return share * ((model.images + 1000 * model.classes) / 2 if reference else model.images)


def cell_of(model: Model, number: int, epochs: int | None, share: float, reference: bool = False) -> Cell:
    """The training of a model with seed `number`, or of its reference model `number`, with seeds apart."""
    which = {"reference": number} if reference else {}
    if model.epsilon is not None:
        # In proportion to the images, which keeps sampling rate and noise.
        batch_size = round(PRIVATE_BATCH * members_of(model, share, reference) / model.images)
        which |= {"batch_size": batch_size, "learning_rate": PRIVATE_LEARNING_RATE}
    own_epochs = EPOCHS if model.epsilon is None else PRIVATE_EPOCHS
    return Cell(model, number + REFERENCE_SEEDS * reference, epochs or own_epochs, share, **which)


def plain_trainer(network: "keras.Sequential", members: Examples, cell: Cell) -> tuple[Callable, dict]:
    """A function that trains the network for the epoch of a given number; nothing else is to be known."""
    from suite.training.plain import plain_epochs

    # A dense model's steps are too short to be shared by two threads.
    parts = 2 if cell.model.convolutional else 1
    return plain_epochs(network, members.images, members.labels, **cell.settings, parts=parts), {}


def private_trainer(network: "keras.Sequential", members: Examples, cell: Cell) -> tuple[Callable, dict]:
    """The same by DP-SGD; to be known are its privacy parameters and the advantage that no attack exceeds."""
    privacy = {"epsilon": cell.model.epsilon, "epochs": cell.epochs}
    return private_training(network, members.images, members.labels, **privacy, **cell.settings)


def train_cell(
    trainer: Callable, cell: Cell, data: Cifar10 | None, threads: int, epoch_done: Callable[[], None]
) -> dict[str, object]:
    """Trains one model, and judges its members and its non-members at each attacked epoch.

    data: the images, or None to load CIFAR-10 here. threads: on which a convolutional model may work; each
    operation runs on one, so that the result is the same to the last bit with any number. epoch_done: called
    after each epoch. Returns `member_losses` (e, n) and `nonmember_losses` (e, m), float64, for e attacked
    epochs; `member_ids`, `member_labels` and those of the non-members; `epochs`, `steps`, `train_accuracy`
    and `test_accuracy` (e,); `seconds`; and what is known of the model and its training.
    """
    began = time.perf_counter()
    start_tensorflow(threads if cell.model.convolutional else 1)
    import tensorflow as tf

    from suite.training.plain import judge_of

    data = data or load_cifar10(report=lambda line: None)
    each = (cell.model.images // cell.model.classes, len(data.test_labels) // 10)
    split = official_split(data, cell.model.classes, *(round(count * cell.share) for count in each))
    if cell.reference is not None:
        split = reference_split(*split, cell.reference)
    # Bytes, not floats: a quarter of the memory.
    members, nonmembers = (examples._replace(images=tf.constant(examples.images)) for examples in split)
    network = build(cell.model, cell.seed)
    train_epoch, known = trainer(network, members, cell)
    logits_of = judge_of(network)
    judged = []
    for epoch in range(cell.epochs + 1):
        if epoch:
            train_epoch(epoch)
            epoch_done()
        if epoch in cell.attacked:
            found = {}
            for examples, kind, accuracy in ((members, "member", "train"), (nonmembers, "nonmember", "test")):
                logits = logits_of(examples.images)
                found[f"{kind}_losses"] = losses_from_logits(logits, examples.labels)
                found[f"{accuracy}_accuracy"] = np.mean(logits.argmax(axis=1) == examples.labels)
            judged.append(found)
    return {
        "model": cell.model.name,
        "classes": cell.model.classes,
        "parameters": network.count_params(),
        "seed": cell.seed,
        **known,
        "epochs": np.array(cell.attacked),
        "steps": np.array(cell.attacked) * (len(members.ids) // cell.batch_size),
        **{name: np.array([found[name] for found in judged]) for name in judged[0]},
        "member_ids": members.ids,
        "nonmember_ids": nonmembers.ids,
        "member_labels": members.labels,
        "nonmember_labels": nonmembers.labels,
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


def threshold_attack(losses: Losses, member_labels: np.ndarray, nonmember_labels: np.ndarray) -> dict:
    """tensorflow_privacy's threshold attack: (AUC, advantage), for all images (None) and for each class."""
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


def attack(losses: Losses, member_labels: np.ndarray, nonmember_labels: np.ndarray) -> dict[str, float]:
    """The attack's AUC and advantage, with all that measure_leakage says of them, and the AUC by class."""
    found = threshold_attack(losses, member_labels, nonmember_labels)
    auc, advantage = found.pop(None)
    report = measure_leakage(losses.members, losses.nonmembers) | {"auc": auc, "advantage": advantage}
    for label, (auc, _) in sorted(found.items()):
        members = losses.members[member_labels == label]
        nonmembers = losses.nonmembers[nonmember_labels == label]
        _, low, high = auc_with_interval(members, nonmembers)
        name = f"auc_{CLASS_NAMES[label]}"
        report |= {name: auc, f"{name}_low": low, f"{name}_high": high}
    return report


# ------------------------------------------------------------------------------------------------- study


def training_job(cell: Cell, data: Cifar10 | None, data_digest: str, threads: int) -> Job:
    """A cell as a job. `data` goes to the workers; where it is None, each loads CIFAR-10 by itself."""
    trainer, libraries = plain_trainer, TRAINING_LIBRARIES
    if cell.model.epsilon is not None:
        trainer, libraries = private_trainer, (*TRAINING_LIBRARIES, "dp-accounting")
    code = ("mia.train_cell", f"mia.{trainer.__name__}")
    members = members_of(cell.model, cell.share, cell.reference is not None)
    return Job(
        cell.name,
        partial(key_of, [asdict(cell), data_digest], code, libraries, known="data"),
        steps=cell.epochs,
        cost=members * (CONVOLUTIONAL_COST if cell.model.convolutional else DENSE_COST),
        size=int(2 * members) * (8 * len(cell.attacked) + 12),
        work=partial(train_cell, trainer, cell, data, threads),
    )


def main(
    epochs: int | None = None,
    seeds: int = 1,
    references: int = 2,
    jobs: int | None = None,
    figures: str | os.PathLike | None = None,
    quick: bool = False,
    dask: str | None = None,
    data: Cifar10 | None = None,
    cells_folder: str | os.PathLike | None = None,
) -> Study:
    """Trains what has not been trained yet, attacks, concludes and draws, act by act.

    epochs ... dask: as on the command line. data: images other than CIFAR-10. cells_folder: where finished
    trainings and findings are kept, data/cache/cells/ if not given. Returns the study's tables, which are
    also written as CSV files.
    """
    if references < 0 or references % 2:
        raise BadInput(f"reference models come in pairs: --references must be even, not {references}")
    if importlib.util.find_spec("tensorflow") is None:
        raise BadInput("TensorFlow is missing; it needs Python 3.11 to 3.13: pip install -r requirements.txt")
    styles = styles_of([model.name for model in MODELS])
    folder = output_folder(figures or (REHEARSAL if quick else FIGURES))
    kept_in = output_folder(cells_folder or CELLS, "set PRIVACY_CACHE to another")
    try:
        images = data or load_cifar10()
    except DataNotFound as problem:
        raise LongMessage(str(problem)) from None
    jobs = jobs or loky.cpu_count()
    epochs, share = epochs or (QUICK_EPOCHS if quick else None), QUICK_SHARE if quick else 1.0
    digest = "".join(digests_of(images).values())
    duplicates = [len(images.train_labels) + number for number in near_duplicate_tests()]
    questions = {experiment.name: experiment.question for experiment in EXPERIMENTS}
    remark = f"REHEARSAL on {QUICK_SHARE:.0%} of the images: no result" if quick else ""
    pictures = images.train_images, images.train_labels, CLASS_NAMES
    drawing = Drawing(questions, *pictures, styles, remark)

    def trainings(name: str, count: int, reference: bool) -> list[Job]:
        [model] = [model for model in MODELS if model.name == name]
        cells = [cell_of(model, number, epochs, share, reference) for number in range(count)]
        return [training_job(cell, data, digest, threads=1 if dask else jobs) for cell in cells]

    privately = {model.name: model.epsilon is not None for model in MODELS}
    acts = acts_of(privately, {row.name: row.pairs for row in EXPERIMENTS}, references)
    with processes(jobs) as pool:
        here = partial(nullcontext, pool)
        trainers = partial(cluster, dask) if dask else here
        run_of_acts = Run(trainings, seeds, kept_in, trainers, here, duplicates, attack, PICTURED)
        return perform_all(acts, run_of_acts, drawing, folder)


def command_line() -> None:
    """Forwards the command line to main, or to the audit."""
    parser = OneLineParser(description=__doc__ and __doc__.splitlines()[0], prog="mia.py")
    parser.add_argument("--epochs", type=whole_number, help=f"of each training (default: {EPOCHS})")
    parser.add_argument("--seeds", type=whole_number, default=1, help="trainings of each model (default: 1)")
    parser.add_argument("--references", type=seed_number, default=2, help="of each model (default: 2)")
    parser.add_argument("--jobs", type=whole_number, help="cores to use, a training each (default: all)")
    parser.add_argument("--figures", metavar="DIR", help="folder of the results (default: figures/)")
    parser.add_argument("--quick", action="store_true", help="rehearsal, in figures/rehearsal/")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that trains")
    parser.add_argument("--audit", action="store_true", help="report on losses in files: --audit --help")
    if "--audit" in sys.argv:
        from leakage import audit

        audit.command_line([word for word in sys.argv[1:] if word != "--audit"], "mia.py --audit")
        return
    arguments = vars(parser.parse_args())
    del arguments["audit"]
    kept = "stopped; finished trainings are kept, and the same command goes on from there"
    run(parser.prog, lambda: main(**arguments), stopped=kept)


if __name__ == "__main__":
    # From the module, not from this script, so that other processes find these functions by the same name.
    import mia

    mia.command_line()
