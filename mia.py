"""Membership inference: can one tell from its loss whether an image was in a model's training set?

The question. A model that has learnt its training images by heart is more certain of them than of others.
An attacker who sees how certain it is can then guess who was a member of the training set, which may be a
secret: of a clinic's patients, say. Which networks give more away: convolutional or dense, deep or shallow,
those that tell ten classes apart or four?

The idea. Train pairs of CIFAR-10 models until they overfit, and attack each with a threshold on the loss
(Yeom, Giacomelli, Fredrikson, Jha 2018, "Privacy Risk in Machine Learning"): an image whose loss is below the
threshold is called a member. Members are the training images, non-members the test images. The attack itself
is tensorflow_privacy's. Around it stands what tells a finding from chance: intervals, the value expected if
nothing leaks, an untrained model as a control, and verdicts on pairs that were fixed before the run.

What to expect. Seven models, trained 40 epochs, are attacked when untrained and after every second epoch. Two
cores with AVX-512 take about seven minutes, once the images are there. A finished training keeps its losses
in data/cache/, so a second run only draws. Figures and tables go into figures/, the findings to the console.

    python mia.py                       one training of each model
    python mia.py --seeds 5             five, without which nothing can be said about kinds of model
    python mia.py --quick               a rehearsal with few images, under a minute, in figures/rehearsal/
    python mia.py --audit MEMBERS.npy NONMEMBERS.npy     the same report for the losses of your own model
    python mia.py --help
"""

import os
import random
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import loky
import numpy as np
from scipy import special
from tqdm import tqdm

from data.cifar10 import CLASS_NAMES, DIGESTS, Cifar10, DataNotFound, digests_of, load_cifar10
from data.near_duplicates import near_duplicate_tests
from leakage import (  # paired_contrast for those who import it from here
    Losses,
    auc_with_interval,
    measure_leakage,
)
from leakage.findings import (
    Trained,
    findings_of_kind,
    findings_of_pair,
    findings_of_training,
)
from report.mia_figures import figures_of
from report.mia_tables import Study, finished_line, print_conclusion, study_of
from support.command_line import BadInput, OneLineParser, run, whole_number
from support.files import output_folder, write_whole
from support.look import save_figures, styles_of
from training.code import key_of
from training.jobs import Job, Workers, run_jobs
from training.members import official_split
from training.repeatable import start_tensorflow
from training.workers import cluster, processes

if TYPE_CHECKING:
    import keras

EPOCHS = 40
ATTACK_EVERY = 2  # epochs
BATCH_SIZE = 50  # even, because a convolutional model takes it in halves
LEARNING_RATE = 0.001
FILTERS, UNITS = 32, 64  # of a convolutional and of a dense layer
JUDGED = (("member_losses", "train_accuracy"), ("nonmember_losses", "test_accuracy"))
QUICK_EPOCHS, QUICK_SHARE = 4, 0.1  # of a rehearsal: epochs, and share of the images

ROOT = Path(__file__).resolve().parent
FIGURES, REHEARSAL = ROOT / "figures", ROOT / "figures" / "rehearsal"
CELLS = ROOT / "data" / "cache" / "cells"
TRAINING_LIBRARIES = ("tensorflow", "keras", "numpy", "scipy")
PICTURED = ("cnn4_10c", "dense4_10c")  # models whose most exposed images are shown
STATISTICS_LIBRARIES = ("numpy", "scipy", "scikit-learn", "tensorflow-privacy")


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
    Model("dense4_4c_8k", convolutional=0, dense=4, classes=4, images=8_000),
]


class Experiment(NamedTuple):
    """One row of the table of experiments: a question, and the pairs of models whose verdicts answer it.

    The pairs are fixed before the run, and their verdicts are on the AUC. `equal` says what the two models of
    each pair have in common where more than one thing could differ.
    """

    name: str
    question: str
    pairs: tuple[tuple[str, str], ...]
    equal: tuple[str, ...] = ("",)


EXPERIMENTS = [
    Experiment(
        "architecture",
        "Does a CNN leak more than a dense network with as many hidden layers?",
        (("cnn4_10c", "dense4_10c"),),
    ),
    Experiment("depth", "Do seven dense layers leak more than four?", (("dense7_10c", "dense4_10c"),)),
    Experiment(
        "depth_4class",
        "Do seven dense layers leak more than four, with four classes?",
        (("dense7_4c", "dense4_4c"),),
    ),
    Experiment(
        "classes",
        "Does telling ten classes apart leak more than telling four?",
        (
            ("dense4_10c", "dense4_4c"),
            ("dense4_10c_20k", "dense4_4c_8k"),
            ("dense4_10c", "dense4_10c_20k"),
            ("dense4_4c", "dense4_4c_8k"),
        ),
        ("5,000 images a class", "2,000 images a class", "ten classes", "four classes"),
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


# --------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Cell:
    """One training of one model: all that its losses depend on, beside the images and the code."""

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
    def attacked(self) -> list[int]:
        """Epochs after which the model is judged; 0 is before training."""
        return [*range(0, self.epochs, self.attack_every), self.epochs]


def train_cell(
    cell: Cell, data: Cifar10 | None, epoch_done: Callable[[], None], threads: int = 1
) -> dict[str, object]:
    """Trains one model, and judges all its members and non-members before and after.

    data: the images, or None to load CIFAR-10 here. epoch_done: called after each epoch. threads: on which a
    convolutional model may work; each operation runs on one, so that the result is the same to the last bit
    with any number. Returns `member_losses` (e, n) and `nonmember_losses` (e, m), float64, for e attacked
    epochs; `member_ids`, `member_labels` and those of the non-members; `epochs`, `steps`, `train_accuracy`
    and `test_accuracy` (e,); and what is known of the model.
    """
    start_tensorflow(threads if cell.model.convolutional else 1)
    import tensorflow as tf

    from training.plain import judge_of, plain_epochs

    data = data or load_cifar10(report=lambda line: None)
    members, nonmembers = official_split(
        data,
        cell.model.classes,
        round(cell.model.images // cell.model.classes * cell.share),
        round(len(data.test_labels) // 10 * cell.share),
    )
    network = build(cell.model, cell.seed)
    train_epoch = plain_epochs(
        network,
        members.images,
        members.labels,
        batch_size=cell.batch_size,
        learning_rate=cell.learning_rate,
        seed=cell.seed,
        # A dense model's steps are too short to be shared by two threads.
        parts=2 if cell.model.convolutional else 1,
    )
    logits_of = judge_of(network)
    sets = [(tf.constant(examples.images), examples.labels) for examples in (members, nonmembers)]
    judged = []
    for epoch in range(cell.epochs + 1):
        if epoch:
            train_epoch(epoch)
            epoch_done()
        if epoch in cell.attacked:
            found = {}
            for (images, labels), names in zip(sets, JUDGED, strict=True):
                logits = logits_of(images)
                correct = np.mean(logits.argmax(axis=1) == labels)
                found |= zip(names, (losses_from_logits(logits, labels), correct), strict=True)
            judged.append(found)
    return {
        "model": cell.model.name,
        "classes": cell.model.classes,
        "parameters": network.count_params(),
        "seed": cell.seed,
        "epochs": np.array(cell.attacked),
        "steps": np.array(cell.attacked) * (len(members.ids) // cell.batch_size),
        **{name: np.array([found[name] for found in judged]) for names in JUDGED for name in names},
        "member_ids": members.ids,
        "nonmember_ids": nonmembers.ids,
        "member_labels": members.labels,
        "nonmember_labels": nonmembers.labels,
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


# -------------------------------------------------------------------------------------------- conclusion


def findings_of_attack(trained: Trained, done: Callable[[], None]) -> dict:
    """Of one training: a row of findings for each attacked epoch, and the curves of the last."""
    return findings_of_training(trained, attack, done)


def statistics_job(name: str, function: Callable, *arguments) -> Job:
    """A job that finds something out from kept losses. Those are known by the keys of their files, which
    stand in the arguments' text."""
    code = f"{function.__module__}.{function.__name__}"
    key = partial(key_of, repr(arguments), code, STATISTICS_LIBRARIES)
    return Job(name, key, steps=1, cost=1, size=10**6, work=partial(function, *arguments))


def conclude(trained: dict[str, list[Trained]], first_test_id: int, folder: Path, here: Workers) -> Study:
    """All findings of one attack: on each training, on each kind of model, on each pair of an experiment.

    trained: the trainings of each model. first_test_id: the number of the first test image. Each finding is
    a job, kept in `folder`, so that a second run only reads them.
    """
    duplicates = [first_test_id + number for number in near_duplicate_tests()]
    jobs = [
        statistics_job(f"{model}-{seed}", findings_of_attack, training)
        for model, trainings in trained.items()
        for seed, training in enumerate(trainings)
    ]
    jobs += [statistics_job(model, findings_of_kind, kept, duplicates) for model, kept in trained.items()]
    jobs += [
        statistics_job("-".join(pair), findings_of_pair, *(trained[name] for name in pair), pair, duplicates)
        for experiment in EXPERIMENTS
        for pair in experiment.pairs
    ]
    found = {name: kept.read() for name, kept in run_jobs("findings", jobs, folder, here).items()}
    return study_of(
        next(iter(trained.values()))[0].attack,
        [found[f"{model}-{seed}"] for model in trained for seed in range(len(trained[model]))],
        {model: found[model] for model in trained},
        [
            {"experiment": experiment.name, "equal": equal} | row
            for experiment in EXPERIMENTS
            for pair, equal in zip(experiment.pairs, experiment.equal, strict=True)
            for row in found["-".join(pair)]["rows"]
        ],
        PICTURED,
    )


# ------------------------------------------------------------------------------------------------- study


def training_job(cell: Cell, data: Cifar10 | None, data_digest: str, threads: int) -> Job:
    """A cell as a job. `data` goes to the workers; where it is None, each loads CIFAR-10 by itself."""
    # On a CPU, a convolution costs about ten times a dense layer.
    cost = cell.model.images * cell.share * (10 if cell.model.convolutional else 1 + cell.model.dense / 8)
    examples = 1.5 * cell.model.images * cell.share
    return Job(
        cell.name,
        partial(key_of, [asdict(cell), data_digest], "mia.train_cell", TRAINING_LIBRARIES, known="data"),
        steps=cell.epochs,
        cost=cost,
        size=int(examples * (8 * len(cell.attacked) + 12)),
        work=partial(train_cell, cell, data, threads=threads),
    )


def main(
    epochs: int | None = None,
    seeds: int = 1,
    jobs: int | None = None,
    figures: str | os.PathLike | None = None,
    quick: bool = False,
    dask: str | None = None,
    data: Cifar10 | None = None,
    cells_folder: str | os.PathLike | None = None,
) -> Study:
    """Trains what has not been trained yet, attacks, concludes, draws.

    epochs ... dask: as on the command line. data: images other than CIFAR-10. cells_folder: where finished
    trainings and findings are kept, data/cache/cells/ if not given. Returns the study's tables,
    which are also written as CSV files.
    """
    epochs, share = epochs or (QUICK_EPOCHS if quick else EPOCHS), QUICK_SHARE if quick else 1.0
    styles = styles_of([model.name for model in MODELS])
    folder = output_folder(figures or (REHEARSAL if quick else FIGURES))
    kept_in = output_folder(cells_folder or CELLS)
    try:
        images = data or load_cifar10()
    except DataNotFound as problem:
        raise BadInput(str(problem)) from None
    digest = "".join(DIGESTS.values()) if data is None else "".join(digests_of(images).values())
    jobs = jobs or loky.cpu_count()
    cells = [Cell(model, seed, epochs, share) for seed in range(seeds) for model in MODELS]
    print(f"{len(cells)} trainings of {epochs} epochs: {len(MODELS)} models, seeds 0 to {seeds - 1}")
    with processes(jobs) as pool:

        def here() -> AbstractContextManager[Executor]:
            return nullcontext(pool)

        kept = run_jobs(
            "trainings",
            [training_job(cell, data, digest, threads=1 if dask else jobs) for cell in cells],
            kept_in,
            partial(cluster, dask) if dask else here,
            done=lambda training: tqdm.write(finished_line(training)),
        )
        trained = {
            model.name: [Trained(kept[cell.name].read) for cell in cells if cell.model is model]
            for model in MODELS
        }
        study = conclude(trained, len(images.train_labels), kept_in, here)
    print_conclusion(study, CLASS_NAMES)

    remark = f"REHEARSAL on {QUICK_SHARE:.0%} of the images, no result" if quick else ""
    questions = {experiment.name: experiment.question for experiment in EXPERIMENTS}
    drawn = figures_of(
        study, questions, images.train_images, images.train_labels, CLASS_NAMES, styles, remark
    )
    save_figures(folder, drawn)
    for name, table in study.files().items():
        write_whole(folder / name, table.to_csv(index=False, float_format="%.6g").encode())
    print(f"\n{len(drawn)} figures and {len(study.files())} tables written into {folder}")
    return study


def command_line() -> None:
    """Forwards the command line to main, or to the audit."""
    parser = OneLineParser(description=__doc__.splitlines()[0], prog="mia.py")
    parser.add_argument("--epochs", type=whole_number, help=f"of each training (default: {EPOCHS})")
    parser.add_argument("--seeds", type=whole_number, default=1, help="trainings of each model (default: 1)")
    parser.add_argument("--jobs", type=whole_number, help="cores to use, a training each (default: all)")
    parser.add_argument("--figures", metavar="DIR", help="folder of the results (default: figures/)")
    parser.add_argument("--quick", action="store_true", help="rehearsal, in figures/rehearsal/")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that trains")
    arguments = vars(parser.parse_args())
    run(parser.prog, lambda: main(**arguments))


if __name__ == "__main__":
    # From the module, not from this script, so that other processes find these functions by the same name.
    import mia

    mia.command_line()
