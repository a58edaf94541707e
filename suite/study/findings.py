"""What is computed from a study's trainings: each model described, two models compared.

A training is a dict, see mia.judged_training. It has `image_ids`, `labels` and `is_member` (N,) of its pool,
`epochs` and `steps` (e,) at which it was attacked, `losses` (e, N) in nats, `train_accuracy` and
`test_accuracy` (e,). A kind is all trainings of one model. They come in complementary pairs (2j and 2j + 1)
and have the same pool in the same order.

The functions return dicts of numbers, texts, lists and arrays, which a file can keep.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from leakage.calibration import calibrated_trainings
from leakage.contrasts import (
    contrast_of_kinds,
    gain_of_calibration,
    groups_differ,
    interval_of_kind,
    verdict,
)
from leakage.estimates import Losses, auc_estimate
from suite.study.memorisation import memorisation_of

THRESHOLD, CALIBRATED = "threshold", "calibrated"  # the attacks
# Variants of a comparison. They show whether a finding depends on the epoch at which models are compared.
AS_REPORTED = "as reported"  # after the last epoch
EQUAL_STEPS = "at equal steps"
EARLY_STOPPING = "at best epoch"  # where the model's mean test accuracy is the highest
EQUAL_ACCURACY = "at equal accuracy"  # where the first's mean test accuracy is nearest to the second's last

Training = dict[str, object]
POWER = 0.8  # share of runs in which a difference worth naming is found
# Bins of the loss, in nats, equally wide on a logarithmic axis. The outer two hold all that lies beyond.
HISTOGRAM_EDGES = np.geomspace(1e-4, 16, 53).round(7)


class Pair(NamedTuple):
    """Two models to be compared. equal: what they have in common, if they differ in more than one thing.
    names: the two in words, for titles; without them the models' names stand there.
    """

    first: str
    second: str
    equal: str = ""
    names: tuple[str, str] | tuple[()] = ()


def losses_at(training: Training, place: int) -> Losses:
    """The losses of one training at attacked epoch number `place` (0, 1, ...), with the images' numbers."""
    losses, is_member = training["losses"][place], training["is_member"]
    image_ids = training["image_ids"]
    return Losses(losses[is_member], losses[~is_member], image_ids[is_member], image_ids[~is_member])


def scores_at(trainings: Sequence[Training], place: int, attack: str) -> list[Losses]:
    """The scores of each training of a kind at the attacked epoch number `place`, by one attack.

    The threshold attack's scores are the losses. The calibrated attack's are the calibrated losses; the
    references of a training are the trainings of all other pairs at the same epoch.
    """
    scores = [losses_at(training, place) for training in trainings]
    return calibrated_trainings(scores) if attack == CALIBRATED else scores


def best_place(trainings: Sequence[Training]) -> int:
    """The place of the attacked epoch with the highest test accuracy, averaged over the trainings."""
    return int(np.argmax(np.mean([training["test_accuracy"] for training in trainings], axis=0)))


def loss_histograms(losses: Losses) -> dict[str, list[np.ndarray]]:
    """Two histograms of the loss: the bins' left edges (b,) and the share of examples in each (b,)."""
    smallest, largest = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1]
    histograms = {}
    for name, values in (("member histogram", losses.members), ("non-member histogram", losses.nonmembers)):
        counts, _ = np.histogram(np.clip(values, smallest, largest), HISTOGRAM_EDGES)
        histograms[name] = [HISTOGRAM_EDGES[:-1], counts / len(values)]
    return histograms


# ------------------------------------------------------------------------------------------- a kind of model


def describe_kind(
    trainings: Sequence[Training], attack: str, class_names: Sequence[str], confidence: float
) -> dict:
    """Describes all trainings of one model.

    attack: THRESHOLD or CALIBRATED. class_names: by label. confidence: of each interval, between 0 and 1.
    Returns `rows`: the attack's measures with their intervals, after the last epoch and at the epoch of the
    best test accuracy. The row of the last epoch also has the AUC of each class, and the classes that lie
    above and below the mean of all classes. For the calibrated attack that row has the gain over the
    threshold attack; for the threshold attack, the reliability of the memorisation. The threshold attack also
    returns `memorisation` and `member_loss` of each image (N,), in the order of `image_ids`.
    """
    last = len(trainings[0]["epochs"]) - 1
    rows = []
    for variant, place in ((AS_REPORTED, last), (EARLY_STOPPING, best_place(trainings))):
        scores = scores_at(trainings, place, attack)
        row = {"attack": attack, "variant": variant, "epoch": int(trainings[0]["epochs"][place])}
        row |= {"trainings": len(trainings), "confidence": confidence}
        row |= interval_of_kind(scores, confidence=confidence)
        if variant == AS_REPORTED:
            row |= _of_classes(scores, trainings[0], class_names)
            if attack == CALIBRATED:
                losses = [losses_at(training, place) for training in trainings]
                row |= gain_of_calibration(losses, confidence=confidence)
        rows.append(row)
    if attack == CALIBRATED:
        return {"rows": rows}
    of_images = memorisation_of(
        [training["losses"][last] for training in trainings],
        [training["is_member"] for training in trainings],
    )
    rows[0]["memorisation_reliability"] = of_images.reliability
    return {
        "rows": rows,
        "image_ids": trainings[0]["image_ids"],
        "memorisation": of_images.memorisation,
        "member_loss": of_images.member_loss,
    }


def _of_classes(
    scores: Sequence[Losses], training: Training, class_names: Sequence[str]
) -> dict[str, object]:
    """The AUC within each class; its difference from the mean over all classes, with intervals that hold
    together; and the names of the classes that lie above and below that mean."""
    labels = np.unique(training["labels"])
    classes = groups_differ([[_of_class(losses, training, label) for losses in scores] for label in labels])
    names = [class_names[label] for label in labels]
    columns: dict[str, object] = {}
    for name, of_class in zip(names, classes, strict=True):
        columns[f"auc_{name}"] = of_class["auc"]
        columns[f"class_{name}_difference"] = of_class["difference"]
        columns[f"class_{name}_low"] = of_class["difference_low"]
        columns[f"class_{name}_high"] = of_class["difference_high"]
    for side in ("above", "below"):
        apart = [name for name, of_class in zip(names, classes, strict=True) if of_class[side]]
        columns[f"classes_{side}"] = " ".join(apart)
    return columns


def _of_class(losses: Losses, training: Training, label: int) -> Losses:
    """The part of a training's scores that belongs to one class."""
    ids = training["image_ids"][training["labels"] == label]
    members, nonmembers = np.isin(losses.member_ids, ids), np.isin(losses.nonmember_ids, ids)
    return Losses(
        losses.members[members],
        losses.nonmembers[nonmembers],
        losses.member_ids[members],
        losses.nonmember_ids[nonmembers],
    )


# -------------------------------------------------------------------------------------------- a pair of kinds


def compare_kinds(
    first: Sequence[Training],
    second: Sequence[Training],
    names: tuple[str, str],
    equal: str,
    attack: str,
    family: int,
) -> dict:
    """Compares two models. Returns `rows`, one for each variant: the first minus the second, with intervals.

    names: of the two models. equal: what they have in common, if they differ in more than one thing. Then
    they are also compared after equally many training steps, if both were attacked there. attack: THRESHOLD
    or CALIBRATED. family: the number of verdicts that are reached together. Each interval has the confidence
    1 - 0.05 / family (Bonferroni), so that all of them hold in 95% of runs. The verdict says on which side of
    the interval 0 lies, if it lies outside. Only the variant AS_REPORTED has a verdict.
    """
    confidence = 1 - 0.05 / family
    last = len(first[0]["epochs"]) - 1, len(second[0]["epochs"]) - 1
    places = {AS_REPORTED: last, EARLY_STOPPING: (best_place(first), best_place(second))}
    at_equal_steps = _places_of_equal_steps(first[0]["steps"], second[0]["steps"])
    if equal and at_equal_steps and at_equal_steps != last:
        places[EQUAL_STEPS] = at_equal_steps
    if "epsilon" in second[0] and "epsilon" not in first[0]:
        places[EQUAL_ACCURACY] = (_place_of_equal_accuracy(first, second), last[1])
    rows = []
    for variant, (first_place, second_place) in places.items():
        scores = scores_at(first, first_place, attack), scores_at(second, second_place, attack)
        contrast = contrast_of_kinds(*scores, names, confidence=confidence)
        row = {"attack": attack, "equal": equal, "variant": variant, "first": names[0], "second": names[1]}
        row |= {"trainings": min(len(first), len(second)), "family": family, "confidence": confidence}
        row |= {
            "first_epoch": int(first[0]["epochs"][first_place]),
            "second_epoch": int(second[0]["epochs"][second_place]),
            "first_auc": _mean_auc(scores[0]),
            "second_auc": _mean_auc(scores[1]),
        }
        row |= {name: value for name, value in contrast.items() if name.startswith(("auc", "heldout"))}
        row["auc_detectable"] = detectable_difference(contrast, confidence)
        if variant == EQUAL_ACCURACY:
            stopped = interval_of_kind(scores[0], confidence=confidence)
            for end in ("", "_low", "_high"):
                row[f"stopped_advantage{end}"] = stopped[f"heldout_advantage{end}"]
        row["verdict"] = verdict(contrast, names) if variant == AS_REPORTED else ""
        rows.append(row)
    return {"rows": rows}


def detectable_difference(contrast: dict, confidence: float) -> float:
    """The smallest true difference in AUC for which an interval as wide as this one excludes 0 in 80% of
    runs.

    contrast: what contrast_of_kinds returned. confidence: of its intervals. NaN without an interval. The
    measured difference, in standard errors, has a noncentral t distribution around the true difference. The
    true one must be so large that 80% of this distribution lie beyond half the interval's width.
    """
    if contrast["auc_low"] is None:
        return math.nan
    half = (contrast["auc_high"] - contrast["auc_low"]) / 2
    degrees = contrast["auc_degrees"]
    half_in_errors = special.stdtrit(degrees, 0.5 + confidence / 2)
    centre = special.nctdtrinc(degrees, 1 - POWER, half_in_errors)
    return float(half * centre / half_in_errors)


def _mean_auc(scores: Sequence[Losses]) -> float:
    return float(np.mean([auc_estimate(losses.members, losses.nonmembers).value for losses in scores]))


def _places_of_equal_steps(first: np.ndarray, second: np.ndarray) -> tuple[int, int] | None:
    """The places of the attacked epochs after which both models had taken as many steps as the shorter
    training has in all; None if there are none."""
    steps = min(first[-1], second[-1])
    if steps not in first or steps not in second:
        return None
    return int(np.flatnonzero(first == steps)[0]), int(np.flatnonzero(second == steps)[0])


def _place_of_equal_accuracy(first: Sequence[Training], second: Sequence[Training]) -> int:
    """The place of the first's attacked epoch whose mean test accuracy is nearest to the second's last."""
    goal = np.mean([training["test_accuracy"][-1] for training in second])
    means = np.mean([training["test_accuracy"] for training in first], axis=0)
    return int(np.argmin(np.abs(means - goal)))
