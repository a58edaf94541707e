"""A made-up study for the tests of findings, tables and figures: log-normal losses with a known leak.

An image is as easy for every model, each training has noise of its own, and what a model was trained on loses
`leak` of its log loss by the end. Trainings have the form that suite.study.findings describes.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from leakage.estimates import Losses, auc_with_interval, measure_leakage
from leakage.look import styles_of
from suite.report.mia_figures import Drawing
from suite.report.mia_tables import Study, joined, study_of
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import CALIBRATED, THRESHOLD, Pair, Trained, questions

TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
EASINESS = np.random.default_rng(0).normal(size=TRAIN_IMAGES + TEST_IMAGES)
EPOCHS = (0, 2, 4)
# The mean over the seeds is best at the middle epoch, but seeds 3 and 4 are best at the last one.
TEST_ACCURACIES = {seed: (0.1, 0.5, 0.52 if seed in (3, 4) else 0.4) for seed in range(5)}
DELTA = 1e-5
BOUND_FPRS = np.geomspace(1e-4, 1, 20)


class Kind(NamedTuple):
    """One kind of model: its classes, members and non-members of all of them, leak; epsilon if private."""

    name: str
    classes: int
    members: int
    nonmembers: int
    leak: float
    epsilon: float | None = None


def training_of(kind: Kind, seed: int, epochs: Sequence[int] = EPOCHS, reference: int | None = None) -> dict:
    """The target with this seed, or the reference model of this number, as a training keeps it."""
    # Every class in turn, and training images of all kinds of model before test images.
    members = np.arange(kind.members) % TRAIN_IMAGES
    nonmembers = TRAIN_IMAGES + np.arange(kind.nonmembers)
    if reference is not None:
        pool = np.random.default_rng([7, reference // 2]).permutation(np.append(members, nonmembers))
        members, nonmembers = pool[reference % 2 :: 2], pool[1 - reference % 2 :: 2]
        epochs = epochs[-1:]
    generator = np.random.default_rng([zlib.crc32(kind.name.encode()), seed, reference or 0])
    ability = generator.normal(0, 0.05)  # of this training: how much it leaks differs
    losses = {"member_losses": [], "nonmember_losses": []}
    for epoch in epochs:
        learnt = (kind.leak + ability) * (reference is not None or epoch / max(epochs[-1], 1))
        for name, ids, shift in (("member_losses", members, learnt), ("nonmember_losses", nonmembers, 0)):
            log_losses = EASINESS[ids] + 0.7 * generator.normal(size=len(ids)) - shift
            losses[name].append(np.exp(2 * log_losses))
    test = np.interp(np.linspace(0, 1, len(epochs)), [0, 0.5, 1], TEST_ACCURACIES[seed % 5])
    private = {}
    if kind.epsilon is not None:
        tprs = np.minimum(np.exp(kind.epsilon) * BOUND_FPRS + DELTA, 1)
        private = {"epsilon": kind.epsilon, "delta": DELTA, "advantage_bound": kind.epsilon / 10}
        private |= {"bound_fprs": BOUND_FPRS, "bound_tprs": tprs}
    return {
        "model": kind.name,
        "classes": kind.classes,
        "parameters": 1000 * kind.classes + len(kind.name),
        "seed": seed,
        **private,
        "epochs": np.array(epochs),
        "steps": np.array(epochs) * (kind.members // 50),
        **{name: np.array(values) for name, values in losses.items()},
        "train_accuracy": 0.2 + 0.7 * np.linspace(0, 1, len(epochs)) + 0.01 * seed,
        "test_accuracy": test,
        "member_ids": members,
        "nonmember_ids": nonmembers,
        "member_labels": members % kind.classes,
        "nonmember_labels": nonmembers % kind.classes,
    }


def trained_kind(
    kind: Kind, trainings: int, references: int = 0, epochs: Sequence[int] = EPOCHS
) -> list[Trained]:
    """The trainings of one kind, each with the same reference models."""
    rivals = [training_of(kind, number, epochs, number) for number in range(references)]
    return [
        Trained(
            partial(training_of, kind, seed, epochs), tuple(partial(dict, reference) for reference in rivals)
        )
        for seed in range(trainings)
    ]


def nothing_done() -> None:
    """Takes no notice."""


def measure(losses: Losses, member_labels: np.ndarray, nonmember_labels: np.ndarray) -> dict[str, float]:
    """What mia.attack measures, without tensorflow_privacy."""
    report = measure_leakage(losses.members, losses.nonmembers)
    for label in np.unique(member_labels):
        of_class = losses.members[member_labels == label], losses.nonmembers[nonmember_labels == label]
        name = f"auc_{CLASS_NAMES[label]}"
        ends = (name, f"{name}_low", f"{name}_high")
        report |= dict(zip(ends, auc_with_interval(*of_class), strict=True))
    return report


def act_of(
    kinds: Sequence[Kind],
    experiments: dict[str, Sequence[Pair]],
    trainings: int,
    attacks: dict[str, int],
    pictured: Sequence[str] = (),
    epochs: Sequence[int] = EPOCHS,
    near_duplicates: Sequence[int] = (TRAIN_IMAGES, TRAIN_IMAGES + 3),
) -> Study:
    """The tables of one act. attacks: the number of reference models of each attack."""
    pairs = [pair for of_experiment in experiments.values() for pair in of_experiment]
    studies = []
    for attack, references in attacks.items():
        trained = {kind.name: trained_kind(kind, trainings, references, epochs) for kind in kinds}
        asked = questions(trained, pairs, near_duplicates, measure)
        answers = {which: question(done=nothing_done) for which, question in asked.items()}
        studies.append(study_of(attack, answers, experiments, pictured))
    return joined(studies).judged()


def acts_of(
    kinds: Sequence[Kind], experiments: dict[str, Sequence[Pair]], trainings: int, references: int = 2, **more
) -> tuple[Study, Study, Study]:
    """The tables that the three acts draw from: of the threshold attack, of both attacks, of the defence.

    The last experiment is the defence, and the last kind the private one.
    """
    *plain, defence = experiments
    attacked = act_of(
        kinds[:-1], {name: experiments[name] for name in plain}, trainings, {THRESHOLD: 0}, **more
    )
    stronger = act_of(
        kinds[:-1], {name: experiments[name] for name in plain}, trainings, {CALIBRATED: references}, **more
    )
    pair = experiments[defence][0]
    both = [kind for kind in kinds if kind.name in pair[:2]]
    more.pop("pictured", None)
    defended = act_of(
        both, {defence: experiments[defence]}, trainings, {THRESHOLD: 0, CALIBRATED: references}, **more
    )
    return attacked, joined([attacked, stronger]), defended


def drawing_of(kinds: Sequence[Kind], questions_by_name: dict[str, str], remark: str = "") -> Drawing:
    """What the figures need beside the tables; image number i is grey, of brightness i modulo 256."""
    numbers = np.arange(TRAIN_IMAGES)
    # One value for all pixels of an image, which takes no memory.
    images = np.broadcast_to((numbers % 256).astype(np.uint8)[:, None, None, None], (TRAIN_IMAGES, 32, 32, 3))
    styles = styles_of([kind.name for kind in kinds])
    return Drawing(questions_by_name, images, numbers % 10, CLASS_NAMES, styles, remark)


# 1,000 non-members are enough for a FPR of 1%, not for 0.1%; 80 are for neither. "few" ends after the 120
# training steps that the other two have behind them at epoch 2. A name may hold two dollars.
SMALL = (
    Kind("cnn", 10, 3000, 1000, 0.6),
    Kind("dense$4$", 10, 3000, 1000, 0.15),
    Kind("few", 4, 1500, 80, 0.3),
    Kind("private", 10, 3000, 1000, 0.0, epsilon=3.0),
)
SMALL_EXPERIMENTS = {
    "architecture": (Pair("cnn", "dense$4$"),),
    "classes": (Pair("cnn", "few", "image size"), Pair("dense$4$", "few", "layers")),
    "defence": (Pair("dense$4$", "private"),),
}
SMALL_QUESTIONS = {name: f"Question about {name}?" for name in SMALL_EXPERIMENTS}


@lru_cache
def small_acts(trainings: int) -> tuple[Study, Study, Study]:
    """The tables of three acts on few examples."""
    return acts_of(SMALL, SMALL_EXPERIMENTS, trainings, pictured=("cnn", "dense$4$", "unknown"))
