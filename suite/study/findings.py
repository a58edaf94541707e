"""What is found out about a study's trainings, from the losses that they kept.

A training is a dict, and is given as a function that reads it:
    member_losses (e, n) and nonmember_losses (e, m), at the e attacked epochs;
    member_ids (n,), member_labels (n,), and those of the non-members (m,);
    epochs, steps, train_accuracy, test_accuracy (e,);
    whatever else stands in every row about it, numbers and texts: its model, its seed.
The functions return dicts of numbers, texts, lists and arrays, and call `done` when they are done.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from leakage.calibration import calibrated
from leakage.contrasts import contrast_of_kinds, groups_differ, interval_of_kind, paired_contrast
from leakage.estimates import Losses, measure_leakage
from leakage.panels import curves_of
from suite.study.exposure import exposure_of

Reader = Callable[[], dict]
MEASURES = ("auc", "heldout_advantage")
THRESHOLD, CALIBRATED = "threshold", "calibrated"  # the attacks
# The same comparison made otherwise, to see whether a finding hangs on how it was made.
AS_REPORTED = "as reported"
EQUAL_STEPS = "at equal steps"
NO_DUPLICATES = "no near-duplicates"
EARLY_STOPPING = "at best epoch"  # of each training's own test accuracy


class Pair(NamedTuple):
    """Two kinds of model to be compared, and what they have in common where more than one thing differs."""

    first: str
    second: str
    equal: str = ""


class Trained(NamedTuple):
    """One training, and those of its reference models; without any, the attack is the threshold attack."""

    target: Reader
    references: tuple[Reader, ...] = ()

    @property
    def attack(self) -> str:
        return CALIBRATED if self.references else THRESHOLD


def questions(
    trained: dict[str, list[Trained]],
    pairs: Sequence[Pair],
    near_duplicates: Sequence[int],
    measure: Callable[[Losses, np.ndarray, np.ndarray], dict],
) -> dict[tuple[str, ...], partial]:
    """All that is to be found out about one attack: of each training, each kind of model, and each pair.

    trained: the trainings of each kind of model. near_duplicates: ids of non-members that nearly equal a
    member. measure: called with losses and the labels of members and of non-members, for the findings of one
    row. Returns functions to be called with `done`, by ("training", model, number), ("kind", model) and
    ("pair", first, second).
    """
    asked = {
        ("training", model, str(number)): partial(findings_of_training, measure, training)
        for model, trainings in trained.items()
        for number, training in enumerate(trainings)
    }
    asked |= {
        ("kind", model): partial(findings_of_kind, near_duplicates, trainings)
        for model, trainings in trained.items()
    }
    return asked | {
        ("pair", first, second): partial(
            findings_of_pair, near_duplicates, trained[first], trained[second], (first, second), bool(equal)
        )
        for first, second, equal in pairs
    }


def losses_at(training: dict, place: int, references: Sequence[dict] = ()) -> Losses:
    """The losses at the attacked epoch number `place`, calibrated by the references if there are any."""
    losses = Losses(
        training["member_losses"][place],
        training["nonmember_losses"][place],
        training["member_ids"],
        training["nonmember_ids"],
    )
    return (
        calibrated(losses, [losses_at(reference, -1) for reference in references]) if references else losses
    )


def findings_of_training(
    measure: Callable[[Losses, np.ndarray, np.ndarray], dict], trained: Trained, done: Callable[[], None]
) -> dict:
    """`rows`, one for each attacked epoch, or for the last alone if the attack is calibrated, as references
    are, and then with `auc_gain`, over the threshold attack on the same target; and `curves`, those of the
    last epoch, with the bound on the TPR if the training has one."""
    training, references = trained.target(), [read() for read in trained.references]
    arrays = {name: value for name, value in training.items() if isinstance(value, np.ndarray)}
    last = len(training["epochs"]) - 1
    rows = []
    for place in range(last if references else 0, last + 1):
        losses = losses_at(training, place, references)
        rows.append(
            {name: value for name, value in training.items() if name not in arrays}
            | {"attack": trained.attack}
            | {"epoch": int(training["epochs"][place]), "steps": int(training["steps"][place])}
            | {
                "train_accuracy": float(training["train_accuracy"][place]),
                "test_accuracy": float(training["test_accuracy"][place]),
                "gap": float(training["train_accuracy"][place] - training["test_accuracy"][place]),
                "train_loss": float(training["member_losses"][place].mean()),
                "test_loss": float(training["nonmember_losses"][place].mean()),
            }
            | measure(losses, training["member_labels"], training["nonmember_labels"])
        )
    if references:
        gain = paired_contrast(losses, losses_at(training, last), (CALIBRATED, THRESHOLD))
        ends = {f"auc_gain_{end}": gain[f"auc_{end}"] for end in ("low", "high")}
        rows[-1] |= {"auc_gain": gain["auc_difference"]} | ends
    done()
    curves = curves_of(losses)._asdict()
    curves |= {name: training[name] for name in ("bound_fprs", "bound_tprs") if name in training}
    return {"rows": rows, "curves": {name: values.tolist() for name, values in curves.items()}}


def findings_of_kind(
    near_duplicates: Sequence[int], trainings: Sequence[Trained], done: Callable[[], None]
) -> dict:
    """Of all trainings of one model: `rows`, its measures with their intervals, one for each way to look.

    Each row has `classes_p`, whether the classes differ, and `exposed_agreement`, of the trainings on who is
    most exposed. Beside the rows stand the parts of an Exposure, under names that begin so.
    """
    held = [(trained.target(), [read() for read in trained.references]) for trained in trainings]
    rows = []
    for way in _ways(trainings):
        losses = [_losses(training, references, way, near_duplicates) for training, references in held]
        row = {"variant": way, "trainings": len(losses), "over": "trainings and examples"}
        row |= interval_of_kind(losses)
        if len(losses) == 1:
            row |= _over_examples(measure_leakage(losses[0].members, losses[0].nonmembers))
        rows.append(row)
    done()
    losses = [losses_at(training, -1, references) for training, references in held]
    exposure = exposure_of(losses)
    classes_p = groups_differ(_by_class(losses, held[0][0]))["p"]
    return {
        "rows": [row | {"classes_p": classes_p, "exposed_agreement": exposure.agreement} for row in rows],
        "exposure_ids": exposure.ids,
        "exposure_ranks": exposure.ranks,
        "exposure_agreement": exposure.agreement,
        "exposure_chance": exposure.chance,
    }


def _by_class(trainings: Sequence[Losses], training: dict) -> list[list[Losses]]:
    """The losses of each class, of all trainings; they have the images and labels of `training`."""
    labels, other_labels = training["member_labels"], training["nonmember_labels"]
    return [
        [
            Losses(
                losses.members[labels == label],
                losses.nonmembers[other_labels == label],
                losses.member_ids[labels == label],
                losses.nonmember_ids[other_labels == label],
            )
            for losses in trainings
        ]
        for label in np.unique(labels)
    ]


def findings_of_pair(
    near_duplicates: Sequence[int],
    first: Sequence[Trained],
    second: Sequence[Trained],
    names: tuple[str, str],
    at_equal_steps: bool,
    done: Callable[[], None],
) -> dict:
    """Of two models: `rows`, the first less the second with intervals, one for each way to look.

    at_equal_steps: whether to look also after equally many training steps, if both were attacked there.
    """
    held = [
        [(trained.target(), [read() for read in trained.references]) for trained in kind]
        for kind in (first, second)
    ]
    # The training steps that both kinds have behind them when the shorter one ends.
    steps = min(training["steps"][-1] for kind in held for training, _ in kind)
    at_epochs = all(steps in training["steps"] for kind in held for training, _ in kind)
    differ = any(training["steps"][-1] != steps for kind in held for training, _ in kind)
    equal_steps = EQUAL_STEPS if at_equal_steps and at_epochs and differ else None
    rows = []
    for way in _ways([*first, *second], equal_steps):
        kinds = [
            [_losses(training, references, way, near_duplicates, steps) for training, references in kind]
            for kind in held
        ]
        row = {"variant": way} | contrast_of_kinds(*kinds, names)
        if min(map(len, kinds)) == 1:
            # Nothing can be said of kinds; of these two trained models there is an interval over examples.
            row |= _over_examples(paired_contrast(kinds[0][0], kinds[1][0], names))
        rows.append(row)
    done()
    return {"rows": rows}


def _over_examples(found: dict) -> dict:
    """The ends of the intervals over examples, under the names of those of kinds."""
    ends = {f"{measure}_{end}": found[f"{measure}_{end}"] for measure in MEASURES for end in ("low", "high")}
    return ends | {"over": "examples"}


def _ways(trainings: Sequence[Trained], *more: str | None) -> list[str]:
    """The ways to look that there are: references are kept at their last epoch alone."""
    early = [] if any(trained.references for trained in trainings) else [EARLY_STOPPING, *more]
    return [way for way in (AS_REPORTED, *early, NO_DUPLICATES) if way]


def _losses(
    training: dict,
    references: Sequence[dict],
    way: str,
    near_duplicates: Sequence[int],
    steps: int | None = None,
) -> Losses:
    """The losses of one training, looked at in one of the ways."""
    place = -1
    if way == EARLY_STOPPING:
        place = int(np.argmax(training["test_accuracy"]))
    elif way == EQUAL_STEPS:
        place = int(np.flatnonzero(training["steps"] == steps)[0])
    losses = losses_at(training, place, references)
    if way == NO_DUPLICATES:
        kept = ~np.isin(losses.nonmember_ids, near_duplicates)
        losses = Losses(
            losses.members, losses.nonmembers[kept], losses.member_ids, losses.nonmember_ids[kept]
        )
    return losses
