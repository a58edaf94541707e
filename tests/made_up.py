"""A made-up study for the tests of findings, tables and figures: log-normal losses with a known leak.

An image is as easy for every model, each training has noise of its own, and an image that a model was
trained on loses `leak` times its own memory of its log loss by the end. mia.py's own coins decide who is a
member, and its own functions make the tables, so that a made-up study has all that a real one has.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

import mia
from leakage.look import styles_of
from suite.report.mia_figures import Drawing
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import CALIBRATED, THRESHOLD, Pair, compare_kinds, describe_kind
from suite.study.tables import Study, joined, study_of
from suite.training.members import is_member

IMAGES = 6000
LABELS = np.arange(IMAGES) % 10
EASINESS = np.random.default_rng(0).normal(size=IMAGES)
MEMORY = np.random.default_rng(1).gamma(2, 0.5, size=IMAGES)  # 1 on average
EPOCHS = (0, 2, 4)
# The mean over the trainings is best at the middle epoch, but trainings 2 and 3 are best at the last one.
TEST_ACCURACIES = {number: (0.1, 0.5, 0.52 if number in (2, 3) else 0.4) for number in range(6)}
PRIVATE_TEST_ACCURACY = (0.1, 0.4, 0.49)  # at the end near the best of the others, which they pass
DELTA = 1e-5
BOUND_FPRS = np.geomspace(1e-4, 1, 20)


class Kind(NamedTuple):
    """One kind of model: its classes, the images of all of them, how much it leaks; epsilon if private."""

    name: str
    classes: int
    pool: int
    leak: float
    epsilon: float | None = None


def training_of(kind: Kind, number: int, epochs: Sequence[int] = EPOCHS) -> dict[str, object]:
    """The training with this number, as mia.judged_training returns it."""
    ids = np.flatnonzero(kind.classes > LABELS)[: kind.pool]
    members = is_member(number, ids)
    generator = np.random.default_rng([zlib.crc32(kind.name.encode()), number])
    ability = generator.normal(0, 0.05)  # of this training: how much it leaks differs
    losses = []
    for epoch in epochs:
        learnt = (kind.leak + ability) * MEMORY[ids] * members * epoch / max(epochs[-1], 1)
        losses.append(np.exp(2 * (EASINESS[ids] + 0.7 * generator.normal(size=len(ids)) - learnt)))
    test_accuracy = TEST_ACCURACIES[number % len(TEST_ACCURACIES)]
    private = {}
    if kind.epsilon is not None:
        test_accuracy = PRIVATE_TEST_ACCURACY
        private = {
            "epsilon": kind.epsilon,
            "delta": DELTA,
            "advantage_bound": kind.epsilon / 10,
            "bound_fprs": BOUND_FPRS,
            "bound_tprs": np.minimum(np.exp(kind.epsilon) * BOUND_FPRS + DELTA, 1),
        }
    return {
        "model": kind.name,
        "classes": kind.classes,
        "parameters": 1000 * kind.classes + len(kind.name),
        "training": number,
        **private,
        "image_ids": ids,
        "labels": LABELS[ids],
        "is_member": members,
        "epochs": np.array(epochs),
        "steps": np.array(epochs) * (kind.pool // 100),
        "losses": np.array(losses),
        "train_accuracy": 0.2 + 0.7 * np.linspace(0, 1, len(epochs)) + 0.01 * number,
        "test_accuracy": np.interp(np.linspace(0, 1, len(epochs)), [0, 0.5, 1], test_accuracy),
    }


def act_of(
    kinds: Sequence[Kind],
    experiments: Mapping[str, Sequence[Pair]],
    trainings: int,
    attack: str,
    family: int | None = None,
    pictured: Sequence[str] = (),
    epochs: Sequence[int] = EPOCHS,
) -> Study:
    """The tables of one attack. family: how many verdicts are reached together, all pairs if not given."""
    pairs = [pair for of_experiment in experiments.values() for pair in of_experiment]
    family = family or max(len(pairs), 1)
    trained = {
        kind.name: [training_of(kind, number, epochs) for number in range(trainings)] for kind in kinds
    }
    confidence, of_kinds = mia.confidence_of(family), mia.confidence_of(len(kinds))
    return study_of(
        [mia.attack_trainings(of_kind, attack, CLASS_NAMES) for of_kind in trained.values()],
        {
            name: describe_kind(of_kind, attack, CLASS_NAMES, of_kinds, mia.confidence_of(1))
            for name, of_kind in trained.items()
        },
        {
            name: [
                compare_kinds(
                    trained[pair.first],
                    trained[pair.second],
                    (pair.first, pair.second),
                    pair.equal,
                    attack,
                    family,
                    confidence,
                    of_kinds,
                )
                for pair in of_experiment
            ]
            for name, of_experiment in experiments.items()
        },
        LABELS,
        pictured,
    )


def acts_of(
    kinds: Sequence[Kind], experiments: Mapping[str, Sequence[Pair]], trainings: int, **more
) -> tuple[Study, Study | None, Study]:
    """The tables that the three acts draw from: of the threshold attack, of both attacks, of the defence.

    The last experiment is the defence, and the last kind the private one. With two trainings there is no
    calibrated attack, and the second is None.
    """
    *names, defence = experiments
    attack_experiments = {name: experiments[name] for name in names}
    both_kinds = [kind for kind in kinds if kind.name in experiments[defence][0][:2]]
    defence_experiments = {defence: experiments[defence]}
    attacked = act_of(kinds[:-1], attack_experiments, trainings, THRESHOLD, **more)
    defended = act_of(both_kinds, defence_experiments, trainings, THRESHOLD, family=2)
    if trainings == 2:
        return attacked, None, defended
    stronger = act_of(kinds[:-1], attack_experiments, trainings, CALIBRATED, **more)
    defended_again = act_of(both_kinds, defence_experiments, trainings, CALIBRATED, family=2)
    return attacked, joined(attacked, stronger), joined(defended, defended_again)


def drawing_of(
    kinds: Sequence[Kind],
    questions: Mapping[str, str],
    names: Mapping[tuple[str, str, str], tuple[str, str]] = MappingProxyType({}),
) -> Drawing:
    """What the figures need beside the tables; image number i is grey, of brightness i modulo 256."""
    # One value for all pixels of an image, which takes no memory.
    brightness = (np.arange(IMAGES) % 256).astype(np.uint8)
    images = np.broadcast_to(brightness[:, None, None, None], (IMAGES, 32, 32, 3))
    styles = styles_of([kind.name for kind in kinds])
    return Drawing(dict(questions), names, images, LABELS, CLASS_NAMES, styles)


# 2,000 non-members are enough for a FPR of 1%, not for 0.1%; 400 are for neither. "few" ends after the steps
# that the other two have behind them at epoch 2. A name may hold two dollars.
SMALL = (
    Kind("cnn", 10, 4000, 0.6),
    Kind("dense$4$", 10, 4000, 0.15),
    Kind("few", 4, 2000, 0.3),
    Kind("private", 10, 4000, 0.0, epsilon=3.0),
)
SMALL_EXPERIMENTS = {
    "architecture": (Pair("cnn", "dense$4$"),),
    "classes": (Pair("cnn", "few", "image size"), Pair("dense$4$", "few", "layers")),
    "defence": (Pair("dense$4$", "private"),),
}
SMALL_QUESTIONS = {name: f"Question about {name}?" for name in SMALL_EXPERIMENTS}
SMALL_NAMES = {  # the pairs of "classes" have none
    ("architecture", "cnn", "dense$4$"): ("a CNN", "a dense network"),
    ("defence", "dense$4$", "private"): ("plain training", "private training"),
}


@lru_cache
def small_acts(trainings: int) -> tuple[Study, Study | None, Study]:
    """The tables of three acts on few examples."""
    return acts_of(SMALL, SMALL_EXPERIMENTS, trainings, pictured=("cnn", "dense$4$", "unknown"))
