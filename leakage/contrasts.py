"""How much a kind of model leaks, and how much more than another: with the uncertainty of all that chance
decided.

Train a model again, and it leaks a little more or less than before. That has up to four reasons, and an
interval of a kind covers all of them at once:

- **Trainings**: other initial weights and another order of the images give another model.
- **Coins**: other coins make other images members (mia.py tosses a coin for each image and pair of
  trainings).
- **Images**: another sample of images would have been easier or harder to remember.
- **References**, in the calibrated attack: other reference models would have judged the images otherwise.

So the interval says where the mean would lie if the whole study were repeated with other trainings, coins,
images and references. It says nothing about other data, another learning rate or another number of epochs.

**The formula.** The mean over S trainings has the variance s^2 / S + C (Obuchowski and Rockette 1995). s^2 is
the variance of the estimates over the trainings, which are repetitions. C is what no number of trainings
averages out, because they share the images: the mean covariance over images of two trainings' estimates.
Every estimate is a mean over images, and an image's influence is its share in it; so the products of two
trainings' influences, image by image, sum to that covariance. Images are matched by their ids: an image is a
member in one training of a pair and a non-member in the other. The interval is Student's, with Hillis' (2007)
degrees of freedom, after Satterthwaite. That two trainings share some of their references adds too little to
count.

**What it takes with few trainings** (benchmarks/simulations.py says how often the intervals hold):

- C is not taken to be below 0. In a pair it is: an easy image helps the training that has it as a member, and
  harms the other.
- s^2 can be small by chance. So the variance is never taken to be less than that over images of the mean of
  these very trainings, the sum of the squared mean influences, which is known well; and the degrees of
  freedom are held to at most 4 times those of s^2 (of the kind with fewer trainings).
- The two trainings of a pair share their coins, so that they may lie on the same side of the mean, and their
  spread then says too little. The intervals allow for a correlation within pairs of IN_PAIR.

A statement about two *trained* models needs the images alone (paired_contrast).

Where several rows belong to one person, the person takes the place of the image: influences are summed by
person, in all trainings, and the degrees of freedom are at most those of the persons.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from leakage.calibration import calibrated_trainings
from leakage.command_line import BadInput
from leakage.estimates import (
    CONFIDENCE,
    Estimate,
    Losses,
    auc_interval,
    clopper_pearson,
    estimates_of,
    heldout_interval,
    interval_of_auc,
    refuse_confidence,
)
from leakage.persons import Persons, joined, persons_of

NO_DIFFERENCE = "no difference can be shown"
NO_VERDICT = "no verdict: one training of a kind says nothing about kinds"
# The least value that each measure of a kind can have; the largest is 1.
LEAST = {"auc": 0.0, "heldout_advantage": -1.0, "tpr_at_1pct_fpr": 0.0, "tpr_at_0p1pct_fpr": 0.0}
MEASURES = tuple(LEAST)
COMPARED = ("auc", "heldout_advantage")  # the measures of contrasts
ATTACKS = ("threshold", "calibrated")
# Correlation between the two trainings of a complementary pair, beside that over images, at most. With 38
# pairs of dense4_4c_5k the AUCs of twins correlated by -0.05 (loss) and -0.1 (calibrated), with a standard
# error of 0.16; with 4 to 6 pairs of other models by 0.1 to 0.35. Where it is 0, intervals are a sixth wider
# than need be.
IN_PAIR = 0.3


# ------------------------------------------------------------------------- what an example has to do with it


def _ids_of(losses: Losses) -> np.ndarray:
    """The ids of members and then non-members (n + m,)."""
    ids = []
    for name, values, given, numbering in (
        ("member_ids", losses.members, losses.member_ids, np.arange(len(losses.members))),
        ("nonmember_ids", losses.nonmembers, losses.nonmember_ids, -1 - np.arange(len(losses.nonmembers))),
    ):
        ids.append(numbering if given is None else np.asarray(given))
        if ids[-1].shape != (len(values),) or ids[-1].dtype.kind not in "iu":
            raise BadInput(f"{name} must be {len(values):,} integers, one for each loss")
    both = np.concatenate(ids)
    ordered = np.sort(both)
    if (ordered[1:] == ordered[:-1]).any():
        raise BadInput("member_ids and nonmember_ids must all differ: one id for each example of a model")
    return both


def _persons_in(trainings: Sequence[Losses]) -> np.ndarray | None:
    """Whose the rows of all trainings are, members and then non-members, training by training; None if each
    is a person of its own."""
    sides = [side for losses in trainings for side in (losses.member_persons, losses.nonmember_persons)]
    if all(side is None for side in sides):
        return None
    if any(side is None for side in sides):
        raise BadInput("give the persons of all trainings, of members and of non-members, or none")
    return joined(sides)


@dataclass(frozen=True)
class _Design:
    """Which examples the trainings of a kind have in common, and as what; or which persons."""

    ids: np.ndarray  # (k,) of all examples, each once, in rising order; of persons in any
    places: np.ndarray  # among these: of each training's members, then its non-members, training by training
    in_pairs: float  # share of the trainings that have a complement among them
    by_person: bool = False


def _design(trainings: Sequence[Losses]) -> _Design:
    ids = [_ids_of(losses) for losses in trainings]
    every_id, places = np.unique(np.concatenate(ids), return_inverse=True)
    # 1 for a member, -1 for a non-member, 0 for an example that the training does not know.
    roles = np.zeros((len(trainings), len(every_id)), np.int8)
    ends = np.cumsum([len(of_training) for of_training in ids])[:-1]
    for row, losses, of_training in zip(roles, trainings, np.split(places, ends), strict=True):
        row[of_training] = -1
        row[of_training[: len(losses.members)]] = 1
    in_pairs = 0
    for of_training in roles:
        # Complements differ in all examples that both know, and know some.
        agreement = roles * of_training
        in_pairs += ((agreement.max(axis=1) <= 0) & (agreement.min(axis=1) < 0)).any()
    persons = _persons_in(trainings)
    if persons is not None:
        places, every_id = pd.factorize(persons)
    return _Design(every_id, places, in_pairs / len(trainings), persons is not None)


@dataclass(frozen=True)
class _Kind:
    """One measure of the trainings of one kind of model."""

    estimates: Sequence[Estimate]
    ids: np.ndarray  # (k,) of all examples, or of all persons
    influences: np.ndarray  # (k,) of these on the mean of the trainings
    in_pairs: float  # share of the trainings that have a complement among them
    by_person: bool = False

    @property
    def trainings(self) -> int:
        return len(self.estimates)

    @property
    def mean(self) -> float:
        # The exact sum, which no order of the trainings changes.
        return math.fsum(estimate.value for estimate in self.estimates) / self.trainings

    @property
    def over_trainings(self) -> float:
        """Variance of the mean as the trainings' spread has it: s^2 / S, and more for trainings in pairs."""
        variance = float(np.var([estimate.value for estimate in self.estimates], ddof=1))
        return self.spread_to_variance(variance)

    def spread_to_variance(self, spread: float) -> float:
        """Variance of the mean, from the variance of a value over the trainings.

        With a correlation r within pairs the mean of S values of the variance v has the variance
        v (1 + r) / S, and their spread s^2 is v (1 - r / (S - 1)) on average.
        """
        alike = IN_PAIR * self.in_pairs
        return spread / self.trainings * (1 + alike) / (1 - alike / (self.trainings - 1))

    @property
    def degrees(self) -> float:
        """Degrees of freedom of what is over examples; infinite unless over persons."""
        return min(estimate.degrees for estimate in self.estimates)

    @property
    def of_one(self) -> float:
        """Variance over examples of one training, on average."""
        return math.fsum(estimate.standard_error**2 for estimate in self.estimates) / self.trainings

    @property
    def over_examples(self) -> float:
        """Variance over examples of the mean of these trainings."""
        return float(np.square(self.influences).sum()) if math.isfinite(self.of_one) else math.inf

    @property
    def covariance(self) -> float:
        """Mean covariance over examples of two different trainings of this kind; may be below 0."""
        if math.isinf(self.of_one):
            return math.inf
        return (self.trainings * self.over_examples - self.of_one) / (self.trainings - 1)


def _kinds(
    trainings: Sequence[Losses], measures: Iterable[str], attack: str, seed: int
) -> dict[str, _Kind | None]:
    """Each measure of the trainings of one kind; None where a training does not give it."""
    if not len(trainings):
        raise BadInput("a kind of model has no trainings; give at least one Losses")
    if attack not in ATTACKS:
        raise BadInput(f"the attack must be one of {', '.join(ATTACKS)}, not {attack}")
    judged = calibrated_trainings(trainings) if attack == "calibrated" else trainings
    measured = [estimates_of(losses, measures, seed=seed) for losses in judged]
    design = _design(judged)
    return {measure: _kind([estimates[measure] for estimates in measured], design) for measure in measures}


def _kind(estimates: Sequence[Estimate | None], design: _Design) -> _Kind | None:
    """Of one estimate for each training."""
    if any(estimate is None for estimate in estimates):
        return None
    influences = [part for estimate in estimates for part in (estimate.members, estimate.nonmembers)]
    summed = np.bincount(design.places, np.concatenate(influences), len(design.ids))
    return _Kind(estimates, design.ids, summed / len(estimates), design.in_pairs, design.by_person)


def _shared(first: _Kind, second: _Kind) -> float:
    """Covariance over examples of the means of two kinds: of all pairs of a training of either."""
    if first.by_person != second.by_person:
        raise BadInput("give the persons of both models, or of none")
    if first.by_person:
        here = pd.Index(first.ids).get_indexer(second.ids)
        return float(first.influences[here[here >= 0]] @ second.influences[here >= 0])
    _, here, there = np.intersect1d(first.ids, second.ids, assume_unique=True, return_indices=True)
    return float(first.influences[here] @ second.influences[there])


# -------------------------------------------------------------------------------------------------- intervals


def _variance(first: _Kind, second: _Kind | None = None) -> tuple[float, float]:
    """Variance and degrees of freedom of the mean of a kind, or of the difference of two kinds' means; all of
    2 trainings or more. See the top of this file."""
    kinds = [first] if second is None else [first, second]
    over_trainings = sum(kind.over_trainings for kind in kinds)
    covariance, over_examples = (
        sum(getattr(kind, part) for kind in kinds) for part in ("covariance", "over_examples")
    )
    if second is not None and math.isfinite(over_examples):
        shared = _shared(first, second)
        covariance, over_examples = covariance - 2 * shared, over_examples - 2 * shared
    variance = max(over_trainings + max(covariance, 0.0), over_examples)
    # Only the parts over trainings are estimated from few values.
    most = min(4.0 * (min(kind.trainings for kind in kinds) - 1), *(kind.degrees for kind in kinds))
    uncertainty = sum(kind.over_trainings**2 / (kind.trainings - 1) for kind in kinds)
    return variance, min(variance**2 / uncertainty, most) if uncertainty else most


def _interval(
    value: float, variance: float, degrees: float, confidence: float, least: float, largest: float
) -> tuple[float, float]:
    """Student's interval, clipped to the values that are possible."""
    half = float(special.stdtrit(degrees, 0.5 + confidence / 2)) * math.sqrt(variance)
    return max(value - half, least), min(value + half, largest)


def _two_sided_p(value: float, variance: float, degrees: float) -> float:
    if value == 0 or variance == 0:
        return float(value == 0)
    return float(2 * special.stdtr(degrees, -abs(value) / math.sqrt(variance)))


def _difference(
    name: str, difference: float, variance: float, degrees: float, confidence: float
) -> dict[str, float]:
    range_of = 1.0 - LEAST[name]
    low, high = _interval(difference, variance, degrees, confidence, -range_of, range_of)
    return {
        f"{name}_difference": difference,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_p": _two_sided_p(difference, variance, degrees),
    }


def _over_examples(name: str, estimate: Estimate, confidence: float) -> tuple[float, float]:
    """The interval over examples of a measure of one training."""
    if name == "auc":
        return auc_interval(estimate, confidence)
    if name == "heldout_advantage":
        return heldout_interval(estimate, confidence)
    members = estimate.sizes[0]
    return clopper_pearson(round(estimate.value * members, 6), members, confidence)


def interval_of_kind(
    trainings: Sequence[Losses],
    *,
    attack: str = "threshold",
    confidence: float = CONFIDENCE,
    seed: int = 0,
    measures: Sequence[str] = MEASURES,
) -> dict[str, float | None]:
    """How much a kind of model leaks, with the uncertainty over trainings, coins and images at once.

    trainings: the losses of each training (S,), usually of the same examples; their order does not matter.
    attack: "threshold", by these very losses; or "calibrated", by those that calibrated_trainings makes of
        them, for which the trainings must come in complementary pairs; the interval is over references too.
    confidence: of the intervals, between 0 and 1. seed: of the splits for the held-out advantage.
    measures: some of these four.
    Returns, for each measure in (auc, heldout_advantage, tpr_at_1pct_fpr, tpr_at_0p1pct_fpr):
    `{measure}`, the mean over the trainings, `_low` and `_high`, its interval (Obuchowski and Rockette 1995;
    Hillis 2007; see the top of this file), clipped to possible values, and `_degrees`, its degrees of
    freedom. These three are None for a single training, and all four where a training has too few non-members
    for the TPR. Where all trainings separate all examples and there is no spread at all, the interval is that
    over examples of one of them.
    Raises BadInput as paired_contrast does, and as calibrated_trainings if that is the attack; if there is no
    training; and for another attack.
    """
    refuse_confidence(confidence)
    report: dict[str, float | None] = {}
    for name, kind in _kinds(trainings, measures, attack, seed).items():
        low = high = degrees = None
        if kind is not None and kind.trainings > 1:
            variance, degrees = _variance(kind)
            low, high = _interval(kind.mean, variance, degrees, confidence, LEAST[name], 1.0)
            if variance == 0:
                low, high = _over_examples(name, kind.estimates[0], confidence)
        mean = None if kind is None else kind.mean
        report |= {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_degrees": degrees}
    return report


# -------------------------------------------------------------------------------------------------- contrasts


def paired_contrast(
    first: Losses,
    second: Losses,
    names: tuple[str, str],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, float | str]:
    """How much more one trained model leaks than another, over examples: what other examples would have given
    for these very models. Says nothing about other trainings of the same kinds.

    first, second: the losses of either. Examples with the same id are paired, the rest stand alone.
    names: of the two models. confidence: of the intervals. seed: of the splits for the held-out advantage.
    Returns `first`, `second` (the names), `over` ("examples"), and for each measure in (auc,
    heldout_advantage) `{measure}_difference`, first - second, of the values that measure_leakage gives with
    the same seed; `_low`, `_high`, its interval; `_p`, two-sided, normal (DeLong et al. 1988). With fewer
    than 10 examples of a kind the interval is the whole range and p is 1.
    Raises BadInput for losses that measure_leakage refuses, and for ids that are not different integers.
    """
    refuse_confidence(confidence)
    minuends, subtrahends = (_kinds([losses], COMPARED, "threshold", seed) for losses in (first, second))
    contrast: dict[str, float | str] = {"first": names[0], "second": names[1], "over": "examples"}
    for name in COMPARED:
        minuend, subtrahend = minuends[name], subtrahends[name]
        # The influences are subtracted example by example before they are squared.
        variance = minuend.over_examples + subtrahend.over_examples
        if math.isfinite(variance):
            variance = max(variance - 2 * _shared(minuend, subtrahend), 0.0)
        degrees = min(minuend.degrees, subtrahend.degrees)
        contrast |= _difference(name, minuend.mean - subtrahend.mean, variance, degrees, confidence)
    return contrast


def contrast_of_kinds(
    first: Sequence[Losses],
    second: Sequence[Losses],
    names: tuple[str, str],
    *,
    attack: str = "threshold",
    confidence: float = CONFIDENCE,
    seed: int = 0,
    measures: Sequence[str] = COMPARED,
) -> dict[str, float | int | str | None]:
    """How much more one kind of model leaks than another, over trainings, coins and images at once.

    first, second: the losses of each training of either kind, any numbers of them. The trainings are not
    paired by number, and their order does not matter: what training 3 of one kind has in common with training
    3 of another, the same coins, is seen in the influences of the same images, and so is what it has in
    common with all others. Examples with the same id count as the same, in whichever trainings they are.
    names: of the two kinds. attack, confidence, seed: as in interval_of_kind. measures: some of these two.
    Returns `first`, `second` (the names), `first_trainings`, `second_trainings` (how many), `over`
    ("trainings and examples"), and for each measure in (auc, heldout_advantage) `{measure}_difference`,
    first - second, of the means that interval_of_kind gives with the same seed; `_low`, `_high`, its
    interval; `_p`, two-sided, adjusted for nothing; `_degrees`, Hillis' degrees of freedom. These four are
    None with a single training of either kind, from which nothing follows for kinds.
    Raises BadInput as interval_of_kind does.
    """
    refuse_confidence(confidence)
    contrast: dict[str, float | int | str | None] = {
        "first": names[0],
        "second": names[1],
        "first_trainings": len(first),
        "second_trainings": len(second),
        "over": "trainings and examples",
    }
    minuends, subtrahends = (_kinds(trainings, measures, attack, seed) for trainings in (first, second))
    for name in measures:
        minuend, subtrahend = minuends[name], subtrahends[name]
        difference = minuend.mean - subtrahend.mean
        if min(minuend.trainings, subtrahend.trainings) < 2:
            missing = dict.fromkeys(f"{name}_{part}" for part in ("low", "high", "p", "degrees"))
            contrast |= {f"{name}_difference": difference} | missing
            continue
        variance, degrees = _variance(minuend, subtrahend)
        contrast |= _difference(name, difference, variance, degrees, confidence)
        contrast[f"{name}_degrees"] = degrees
    return contrast


def gain_of_calibration(
    trainings: Sequence[Losses], *, confidence: float = CONFIDENCE
) -> dict[str, float | None]:
    """How much more the calibrated attack finds than the threshold attack, on the same trainings: by AUC.

    trainings: of one kind, in complementary pairs, see calibrated_trainings. confidence: of the interval.
    Returns what gain_of_attack does.
    Raises BadInput as calibrated_trainings does.
    """
    return gain_of_attack(calibrated_trainings(trainings), trainings, confidence=confidence)


def gain_of_attack(
    stronger: Sequence[Losses], weaker: Sequence[Losses], *, confidence: float = CONFIDENCE
) -> dict[str, float | None]:
    """How much more one attack finds than another on the same trainings of one kind, by AUC, over trainings,
    coins and images at once.

    stronger, weaker: the scores of the same trainings in the same order, of the same members and non-members
        in the same order, by either attack. confidence: of the interval.
    Returns `auc_gain`, stronger less weaker, the mean over the trainings; `auc_gain_low`, `auc_gain_high`,
    its interval, and `auc_gain_degrees`, None for a single training. It is the interval of a kind, of another
    measure: both attacks judge the same models and images, so the values are subtracted training by training,
    and the influences image by image.
    Raises BadInput for attacks on other trainings or examples, and for losses that measure_leakage refuses.
    """
    refuse_confidence(confidence)
    if not len(weaker) or len(stronger) != len(weaker):
        raise BadInput(f"two attacks on the same trainings, not {len(stronger)} and {len(weaker)}")
    design = _design(weaker)
    if not np.array_equal(design.places, _design(stronger).places):
        raise BadInput("both attacks must judge the same members and non-members, in the same order")
    gains = []
    for scores in zip(stronger, weaker, strict=True):
        better, worse = (estimates_of(losses, ["auc"])["auc"] for losses in scores)
        influences = better.members - worse.members, better.nonmembers - worse.nonmembers
        gains.append(Estimate(better.value - worse.value, *influences, better.persons))
    kind, low, high, degrees = _kind(gains, design), None, None, None
    if kind.trainings > 1:
        variance, degrees = _variance(kind)
        low, high = _interval(kind.mean, variance, degrees, confidence, -1.0, 1.0)
    return {
        "auc_gain": kind.mean,
        "auc_gain_low": low,
        "auc_gain_high": high,
        "auc_gain_degrees": degrees,
    }


# --------------------------------------------------------------------------------------------------- verdicts


def verdict(contrast: Mapping[str, object], names: tuple[str, str] | None = None) -> str:
    """What a contrast shows, in words, by AUC: which of both leaks more, if 0 lies outside the interval.

    contrast: of contrast_of_kinds or paired_contrast. Of a family of verdicts at most 5% claim a difference
        falsely, all together, if each interval has the confidence 1 - 0.05 / (verdicts in the family).
    names: to be used instead of the contrast's own.
    """
    low, high = contrast["auc_low"], contrast["auc_high"]
    if low is None or high is None:
        return NO_VERDICT
    if low <= 0 <= high:
        return NO_DIFFERENCE
    first, second = names or (contrast["first"], contrast["second"])
    more, less = (first, second) if low > 0 else (second, first)
    return f"{more} leaks more than {less}"


# ----------------------------------------------------------------------------------------------------- groups


def groups_differ(
    groups: Sequence[Sequence[Losses]], *, attack: str = "threshold", confidence: float = CONFIDENCE
) -> list[dict[str, float | bool]]:
    """Which of several disjoint groups of examples, such as classes, leak more or less than the mean of all.

    groups: at least two; groups[c] holds the losses of group c, one Losses per training, the same trainings
        in the same order for every group. Without the ids of the examples, those of a group are the same in
        all trainings. Persons may have rows in several groups.
    attack: as in interval_of_kind, each group calibrated on its own. Losses that were calibrated before go
        with "threshold".
    confidence: with which all intervals of one sort hold together (Bonferroni over the groups).
    Returns for each group `auc`, `auc_low`, `auc_high`; `difference`, its AUC less the plain mean of all
        groups' AUCs, `difference_low`, `difference_high`; `above`, `below`: whether the interval of the
        difference lies wholly above, or below, 0.
    Raises BadInput as interval_of_kind does, and for fewer than two groups or unequal numbers of trainings.

    With one training the intervals are over examples, for this trained model: that of each AUC is that of
    auc_with_interval, but Student's, and those of the differences are put together from these.

    With several they are over trainings and examples at once. What a training does to all groups alike is no
    difference between them; what it does to one group more than to the others is taken to be of one size in
    all groups, and is estimated from all of them. An AUC adds what is common to all groups, with an interval
    of its own. The parts are independent, and the distances to their ends add as squares (MOVER, Zou and
    Donner 2008).
    """
    refuse_confidence(confidence)
    counts = {len(trainings) for trainings in groups}
    if len(groups) < 2 or len(counts) > 1:
        raise BadInput(f"at least 2 groups with the same trainings, not {len(groups)} of {sorted(counts)}")
    kinds = [_kinds(trainings, ["auc"], attack, 0)["auc"] for trainings in groups]
    means = np.array([kind.mean for kind in kinds])
    ends = _ends_of_differences(kinds, confidence)
    if counts == {1}:
        ends_of_aucs = means[:, None] + _over_examples_of_groups(kinds, confidence)
    else:
        # Half of the risk for what is common to all groups, half for all differences from it.
        common = _mean_of_groups(kinds, _persons_of_groups(groups))
        variance, degrees = _variance(common)
        half = float(special.stdtrit(degrees, 1 - (1 - confidence) / 4)) * math.sqrt(variance)
        distances = np.hypot(_ends_of_differences(kinds, (1 + confidence) / 2), half)
        ends_of_aucs = np.clip(means[:, None] + distances * [-1, 1], 0.0, 1.0)
    rows = []
    for auc, (auc_low, auc_high), (low, high) in zip(means, ends_of_aucs, ends, strict=True):
        difference = auc - means.mean()
        low, high = max(difference + low, -1.0), min(difference + high, 1.0)
        numbers = {
            "auc": auc,
            "auc_low": auc_low,
            "auc_high": auc_high,
            "difference": difference,
            "difference_low": low,
            "difference_high": high,
        }
        row: dict[str, float | bool] = {key: float(value) for key, value in numbers.items()}
        rows.append(row | {"above": bool(low > 0), "below": bool(high < 0)})
    return rows


def _ends_of_differences(kinds: Sequence[_Kind], confidence: float) -> np.ndarray:
    """Distances (G, 2), the first negative, from the differences of G groups' AUCs and their mean to the ends
    of intervals that hold together."""
    count, trainings = len(kinds), kinds[0].trainings
    each = 1 - (1 - confidence) / count
    # A difference is 1 - 1 / G times the own AUC and -1 / G times each other, whose ends are turned round.
    # The groups share no example, but perhaps persons.
    squares = np.square(_over_examples_of_groups(kinds, confidence))
    turned = squares[:, ::-1]
    over_examples = (1 - 1 / count) ** 2 * squares + (turned.sum(axis=0) - turned) / count**2
    over_examples *= _by_shared_persons(kinds)[:, None]
    if trainings == 1:
        return np.sqrt(over_examples) * [-1, 1]

    # What trainings do to one group and not to all: of the spread over trainings what is not over examples.
    own = _own_of_groups(kinds)
    half = float(special.stdtrit((count - 1) * (trainings - 1), 0.5 + each / 2)) * math.sqrt(own)
    return np.hypot(np.sqrt(over_examples), half) * [-1, 1]


def _over_examples_of_groups(kinds: Sequence[_Kind], confidence: float) -> np.ndarray:
    """Distances (G, 2), the first negative, from each group's mean AUC of these trainings to the ends of its
    interval over examples; all hold together."""
    each = 1 - (1 - confidence) / len(kinds)
    distances = []
    for kind in kinds:
        # The mean of several trainings tells as much as one training with more examples would.
        more = kind.of_one / kind.over_examples if 0 < kind.over_examples < math.inf else 1.0
        n, m = (
            more * size for size in np.mean([estimate.effective_sizes for estimate in kind.estimates], axis=0)
        )
        error, degrees = math.sqrt(kind.over_examples), kind.degrees
        if kind.trainings == 1:
            degrees = min(degrees, _degrees_over_examples(kind.estimates[0]))
        low, high = interval_of_auc(kind.mean, error, n, m, each, degrees)
        distances.append((low - kind.mean, high - kind.mean))
    return np.array(distances)


def _degrees_over_examples(estimate: Estimate) -> float:
    """Degrees of freedom of a variance over examples, after Welch and Satterthwaite. Of many small groups the
    intervals reach 4 standard errors and more, where those of 20 examples are no longer normal."""
    parts = [float(np.square(side).sum()) for side in (estimate.members, estimate.nonmembers)]
    counts = len(estimate.members), len(estimate.nonmembers)
    uncertainty = sum(part**2 / max(count - 1, 1) for part, count in zip(parts, counts, strict=True))
    return sum(parts) ** 2 / uncertainty if uncertainty else math.inf


def _by_shared_persons(kinds: Sequence[_Kind]) -> np.ndarray:
    """What the variances of G differences from the mean are multiplied by (G,), where persons have rows in
    several groups: at least 1. A person whose member's row in one group is easy and whose non-member's row in
    another is easy too moves both AUCs, apart from each other."""
    count = len(kinds)
    of_groups = np.array([kind.over_examples for kind in kinds])
    if not kinds[0].by_person or not np.isfinite(of_groups).all():
        return np.ones(count)
    places = pd.factorize(joined([kind.ids for kind in kinds]))[0]
    summed = np.bincount(places, np.concatenate([kind.influences for kind in kinds]))
    sizes = np.cumsum([len(kind.ids) for kind in kinds])[:-1]
    shared = np.array(
        [kind.influences @ summed[at] for kind, at in zip(kinds, np.split(places, sizes), strict=True)]
    )
    found = of_groups - 2 / count * shared + np.square(summed).sum() / count**2
    apart = (1 - 2 / count) * of_groups + of_groups.sum() / count**2
    return np.maximum(found / np.where(apart > 0, apart, 1.0), 1.0)


def _own_of_groups(kinds: Sequence[_Kind]) -> float:
    """Variance over trainings of a group's mean AUC beside the mean of all groups, the examples given: the
    mean of G groups, all of the same trainings, 2 or more."""
    count = len(kinds)

    def of_differences(parts: Sequence[float]) -> np.ndarray:
        # Independent parts of G estimates, in the differences of these from their mean; nothing is known of
        # groups with too few examples.
        parts = np.where(np.isfinite(parts), parts, 0.0)
        return (1 - 2 / count) * parts + parts.sum() / count**2

    # Rows are groups, columns trainings.
    values = np.array([[estimate.value for estimate in kind.estimates] for kind in kinds])
    spread = np.var(values - values.mean(axis=0), axis=1, ddof=1)
    in_all = [kind.spread_to_variance(of_group) for kind, of_group in zip(kinds, spread, strict=True)]
    # What the examples add to it. As for kinds, no covariance is taken to be below 0.
    covariances = np.maximum(of_differences([kind.covariance for kind in kinds]), 0.0)
    over_examples = of_differences([kind.over_examples for kind in kinds])
    return max(float((np.array(in_all) + covariances - over_examples).mean()), 0.0)


def _persons_of_groups(groups: Sequence[Sequence[Losses]]) -> list[Persons | None]:
    """Of each training, whose the rows of all groups are: members, group by group, then non-members."""
    found = []
    for training in zip(*groups, strict=True):
        if _persons_in(training) is None:
            found.append(None)
            continue
        sides = [
            [getattr(losses, f"{side}_persons") for losses in training] for side in ("member", "nonmember")
        ]
        sizes = (sum(map(len, side)) for side in sides)
        found.append(persons_of(*map(joined, sides), *sizes))
    return found


def _mean_of_groups(kinds: Sequence[_Kind], persons: Sequence[Persons | None]) -> _Kind:
    """The mean of the AUCs of groups that share no example, as a measure of the same trainings. persons: of
    each training, see _persons_of_groups."""
    estimates = []
    for of_groups, whose in zip(zip(*(kind.estimates for kind in kinds), strict=True), persons, strict=True):
        value = math.fsum(estimate.value for estimate in of_groups) / len(kinds)
        members, nonmembers = (
            np.concatenate([getattr(estimate, side) for estimate in of_groups]) / len(kinds)
            for side in ("members", "nonmembers")
        )
        estimates.append(Estimate(value, members, nonmembers, whose))
    influences = np.concatenate([kind.influences for kind in kinds]) / len(kinds)
    in_pairs = min(kind.in_pairs for kind in kinds)
    ids = np.arange(len(influences))
    if kinds[0].by_person:
        places, ids = pd.factorize(joined([kind.ids for kind in kinds]))
        influences = np.bincount(places, influences)
    return _Kind(estimates, ids, influences, in_pairs, kinds[0].by_person)
