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

from leakage.calibration import calibrated_trainings
from leakage.contrasts import (
    contrast_of_kinds,
    gain_of_attack,
    groups_differ,
    interval_of_kind,
    verdict,
)
from leakage.estimates import Losses, auc_estimate, detectable_distance
from suite.study.memorisation import memorisation_of

THRESHOLD, CALIBRATED = "threshold", "calibrated"  # the attacks
# Variants of a comparison. They show whether a finding depends on the epoch at which models are compared.
AS_REPORTED = "as reported"  # after the last epoch
EQUAL_STEPS = "at equal steps"
EARLY_STOPPING = "at best epoch"  # where the model's mean test accuracy is the highest
# Where the first's mean test accuracy passes the second's last: the attacked epochs before and after.
JUST_BELOW, JUST_ABOVE = "below equal accuracy", "above equal accuracy"
STOPPED = (JUST_BELOW, JUST_ABOVE)

Training = dict[str, object]
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


def losses_at(training: Training, index: int) -> Losses:
    """The losses of one training at attacked epoch number `index` (0, 1, ...), with the images' numbers."""
    losses, is_member = training["losses"][index], training["is_member"]
    image_ids = training["image_ids"]
    return Losses(losses[is_member], losses[~is_member], image_ids[is_member], image_ids[~is_member])


def scores_at(trainings: Sequence[Training], index: int, attack: str) -> list[Losses]:
    """The scores of each training of a kind at attacked epoch number `index`, by one attack.

    The threshold attack's scores are the losses. The calibrated attack's are the calibrated losses; the
    references of a training are the trainings of all other pairs at the same epoch.
    """
    scores = [losses_at(training, index) for training in trainings]
    return calibrated_trainings(scores) if attack == CALIBRATED else scores


def mean_test_accuracies(trainings: Sequence[Training]) -> np.ndarray:
    """The test accuracy after each attacked epoch (e,), averaged over the trainings."""
    return np.mean([training["test_accuracy"] for training in trainings], axis=0)


def best_index(trainings: Sequence[Training]) -> int:
    """The index of the attacked epoch with the highest mean test accuracy."""
    return int(np.argmax(mean_test_accuracies(trainings)))


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
    trainings: Sequence[Training],
    attack: str,
    class_names: Sequence[str],
    confidence: float,
    class_confidence: float,
) -> dict:
    """Describes all trainings of one model.

    attack: THRESHOLD or CALIBRATED. class_names: by label. confidence: of each interval, between 0 and 1.
    class_confidence: with which the intervals of all classes of this model hold together.
    Returns `rows`: the attack's measures with their intervals, after the last epoch and at the epoch of the
    best test accuracy. The row of the last epoch also has the AUC of each class, and the classes that lie
    above and below the mean of all classes. For the calibrated attack that row has the gain over the
    threshold attack; for the threshold attack, the reliability of the memorisation. The threshold attack also
    returns `memorisation` and `member_loss` of each image (N,), in the order of `image_ids`.
    """
    last = len(trainings[0]["epochs"]) - 1
    rows = []
    for variant, index in ((AS_REPORTED, last), (EARLY_STOPPING, best_index(trainings))):
        scores = scores_at(trainings, index, attack)
        row = {"attack": attack, "variant": variant, "epoch": int(trainings[0]["epochs"][index])}
        row |= {"trainings": len(trainings), "confidence": confidence}
        row |= interval_of_kind(scores, confidence=confidence)
        if variant == AS_REPORTED:
            row |= _of_classes(scores, trainings[0], class_names, class_confidence)
            if attack == CALIBRATED:
                losses = scores_at(trainings, index, THRESHOLD)
                row |= gain_of_attack(scores, losses, confidence=confidence)
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
    scores: Sequence[Losses], training: Training, class_names: Sequence[str], confidence: float
) -> dict[str, object]:
    """The AUC within each class; its difference from the mean over all classes, with intervals that hold
    together with this confidence; and the names of the classes that lie above and below that mean."""
    labels = np.unique(training["labels"])
    groups = [[_of_class(losses, training, label) for losses in scores] for label in labels]
    classes = groups_differ(groups, confidence=confidence)
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
    confidence: float,
    stopped_confidence: float,
) -> dict:
    """Compares two models. Returns `rows`, one for each variant: the first minus the second, with intervals.

    names: of the two models. equal: what they have in common, if they differ in more than one thing. Then
    they are also compared after equally many training steps, if both were attacked there. attack: THRESHOLD
    or CALIBRATED. family: the number of verdicts that are reached together. confidence: of each interval, so
    that those of one measure hold for the whole family together. The verdict says on which side of the
    interval 0 lies, if it lies outside. Only the variant AS_REPORTED has a verdict.

    If the second alone is private, the first is also stopped early: just before and just after its accuracy
    passes that of the second, see _indices_of_equal_accuracy. These rows have the held-out advantage of the
    stopped model too, whose interval has the confidence stopped_confidence, to stand beside those of kinds.
    """
    ends = len(first[0]["epochs"]) - 1, len(second[0]["epochs"]) - 1
    indices = {AS_REPORTED: ends, EARLY_STOPPING: (best_index(first), best_index(second))}
    at_equal_steps = _indices_of_equal_steps(first[0]["steps"], second[0]["steps"])
    if equal and at_equal_steps and at_equal_steps != ends:
        indices[EQUAL_STEPS] = at_equal_steps
    if "epsilon" in second[0] and "epsilon" not in first[0]:
        for variant, index in _indices_of_equal_accuracy(first, second).items():
            indices[variant] = index, ends[1]
    accuracies = mean_test_accuracies(first), mean_test_accuracies(second)
    rows = []
    for variant, (of_first, of_second) in indices.items():
        scores = scores_at(first, of_first, attack), scores_at(second, of_second, attack)
        contrast = contrast_of_kinds(*scores, names, confidence=confidence)
        row = {"attack": attack, "equal": equal, "variant": variant, "first": names[0], "second": names[1]}
        row |= {"trainings": min(len(first), len(second)), "family": family, "confidence": confidence}
        row |= {
            "first_epoch": int(first[0]["epochs"][of_first]),
            "second_epoch": int(second[0]["epochs"][of_second]),
            "first_accuracy": float(accuracies[0][of_first]),
            "second_accuracy": float(accuracies[1][of_second]),
            "first_auc": _mean_auc(scores[0]),
            "second_auc": _mean_auc(scores[1]),
        }
        row |= {name: value for name, value in contrast.items() if name.startswith(("auc", "heldout"))}
        row["auc_detectable"] = detectable_difference(contrast, confidence)
        if variant in STOPPED:
            row |= _stopped_advantage(scores[0], stopped_confidence)
        row["verdict"] = verdict(contrast, names) if variant == AS_REPORTED else ""
        rows.append(row)
    return {"rows": rows}


def _stopped_advantage(scores: Sequence[Losses], confidence: float) -> dict[str, float | None]:
    """The held-out advantage of a model that was stopped early, with its interval."""
    measure = "heldout_advantage"
    stopped = interval_of_kind(scores, confidence=confidence, measures=[measure])
    return {f"stopped_advantage{end}": stopped[f"{measure}{end}"] for end in ("", "_low", "_high")}


def detectable_difference(contrast: dict, confidence: float) -> float:
    """The smallest true difference in AUC for which an interval as wide as this one excludes 0 in 80% of
    runs.

    contrast: what contrast_of_kinds returned. confidence: of its intervals. NaN without an interval.
    """
    if contrast["auc_low"] is None:
        return math.nan
    half = (contrast["auc_high"] - contrast["auc_low"]) / 2
    return detectable_distance(half, contrast["auc_degrees"], confidence=confidence)


def _mean_auc(scores: Sequence[Losses]) -> float:
    return float(np.mean([auc_estimate(losses.members, losses.nonmembers).value for losses in scores]))


def _indices_of_equal_steps(first: np.ndarray, second: np.ndarray) -> tuple[int, int] | None:
    """The indices of the attacked epochs after which both models had taken as many steps as the shorter
    training has in all; None if there are none."""
    steps = min(first[-1], second[-1])
    if steps not in first or steps not in second:
        return None
    return int(np.flatnonzero(first == steps)[0]), int(np.flatnonzero(second == steps)[0])


def _indices_of_equal_accuracy(first: Sequence[Training], second: Sequence[Training]) -> dict[str, int]:
    """Between which of the first's attacked epochs its mean test accuracy reaches the second's last one: the
    indices of the epochs JUST_BELOW and JUST_ABOVE (or just there).

    One of them is missing where the first is as accurate at once, or never; then its best epoch is the one
    below. The untrained model counts for neither.
    """
    goal = mean_test_accuracies(second)[-1]
    accuracies = mean_test_accuracies(first)
    reached = [index for index in range(1, len(accuracies)) if accuracies[index] >= goal]
    if not reached:
        return {JUST_BELOW: 1 + int(np.argmax(accuracies[1:]))}
    if reached[0] == 1:
        return {JUST_ABOVE: 1}
    return {JUST_BELOW: reached[0] - 1, JUST_ABOVE: reached[0]}
