"""Differences between two trained models, between two kinds of model, and between groups of examples.

Two sources of uncertainty: other examples would have given another estimate, and other trainings (seeds)
another model. A statement about two *trained* models needs the first alone (paired_contrast), one about
*kinds* of model, which is what a reader takes home, needs both at once (contrast_of_kinds).

Trainings and examples at once, after Obuchowski and Rockette (1995): the mean over S trainings on the same
examples has the variance s^2 / S + C. s^2 is the variance of the estimates over the trainings; C is what
averaging over trainings cannot remove, because they share the examples: the mean covariance of two trainings'
estimates over examples, which is the product of their influences, example by example. The degrees of freedom
are Hillis' (2007), after Satterthwaite: only s^2 is estimated from few values. They are held to at most 4
times those of s^2 (of the kind with fewer trainings), because an s^2 that is small by chance otherwise passes
for a precise one. Simulated with realistic sizes, two trainings then cover 97% rather than 91%, 2 against 10
claim a difference falsely in 5% to 8% of cases rather than 10%, and from 5 trainings on hardly a number
changes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from leakage.command_line import BadInput
from leakage.estimates import (
    CONFIDENCE,
    Estimate,
    Losses,
    auc_estimate,
    auc_interval,
    heldout_estimate,
    heldout_interval,
)

NO_DIFFERENCE = "no difference can be shown"
NO_VERDICT = "no verdict: one training of a kind says nothing about kinds"
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class _Measure:
    """How a measure is estimated, its interval over examples, and the least and the largest it can be."""

    estimate: Callable[[np.ndarray, np.ndarray, int], Estimate]
    interval: Callable[[Estimate], tuple[float, float]]
    least: float
    largest: float = 1.0


MEASURES = {
    "auc": _Measure(lambda members, nonmembers, seed: auc_estimate(members, nonmembers), auc_interval, 0.0),
    "heldout_advantage": _Measure(heldout_estimate, heldout_interval, -1.0),
}


# -------------------------------------------------------------------------- what an example has to do with it


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
    if len(np.unique(both)) < len(both):
        raise BadInput("member_ids and nonmember_ids must all differ: one id for each example of a model")
    return both


def _sum_by_id(ids: Sequence[np.ndarray], influences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All ids (k,), each once, and the sum of the influences that each has in any of the trainings (k,)."""
    every_id, places = np.unique(np.concatenate(ids), return_inverse=True)
    return every_id, np.bincount(places, weights=np.concatenate(influences))


@dataclass(frozen=True)
class _Kind:
    """One measure of the trainings of one kind of model."""

    estimates: list[Estimate]
    ids: np.ndarray  # (k,) of all examples
    influences: np.ndarray  # (k,) of these examples, summed over the trainings

    @property
    def trainings(self) -> int:
        return len(self.estimates)

    @property
    def mean(self) -> float:
        # The exact sum, which no order of the trainings changes.
        return math.fsum(estimate.value for estimate in self.estimates) / self.trainings

    @property
    def over_trainings(self) -> float:
        """Variance of the mean, these examples given."""
        return float(np.var([estimate.value for estimate in self.estimates], ddof=1)) / self.trainings

    @property
    def over_examples(self) -> float:
        """Mean covariance over examples of two trainings of this kind; may come out below 0."""
        own = sum(estimate.standard_error**2 for estimate in self.estimates)
        if math.isinf(own):
            return math.inf
        return (float(np.square(self.influences).sum()) - own) / (self.trainings * (self.trainings - 1))

    def covariance(self, second: "_Kind") -> float:
        """Mean covariance over examples of a training of this kind and one of the second."""
        _, here, there = np.intersect1d(self.ids, second.ids, assume_unique=True, return_indices=True)
        products = self.influences[here] * second.influences[there]
        return float(products.sum()) / (self.trainings * second.trainings)


def _kind(trainings: Sequence[Losses], measure: str, seed: int) -> _Kind:
    if not len(trainings):
        raise BadInput("a kind of model has no trainings; give at least one Losses")
    estimates = [MEASURES[measure].estimate(losses.members, losses.nonmembers, seed) for losses in trainings]
    ids, influences = _sum_by_id(
        [_ids_of(losses) for losses in trainings],
        [np.concatenate([estimate.members, estimate.nonmembers]) for estimate in estimates],
    )
    return _Kind(estimates, ids, influences)


# -------------------------------------------------------------------------------------------------- intervals


def _interval(
    value: float, variance: float, degrees: float, least: float, largest: float
) -> tuple[float, float]:
    """Student's interval, clipped to the values that are possible."""
    half = float(special.stdtrit(degrees, 0.5 + CONFIDENCE / 2)) * math.sqrt(variance)
    return max(value - half, least), min(value + half, largest)


def _two_sided_p(value: float, variance: float, degrees: float) -> float:
    if value == 0 or variance == 0:
        return float(value == 0)
    return float(2 * special.stdtr(degrees, -abs(value) / math.sqrt(variance)))


def _degrees(variance: float, *kinds: _Kind) -> float:
    """Hillis' degrees of freedom of a variance, of which the parts over trainings are estimated from few."""
    most = 4.0 * (min(kind.trainings for kind in kinds) - 1)
    uncertainty = sum(kind.over_trainings**2 / (kind.trainings - 1) for kind in kinds)
    return min(variance**2 / uncertainty, most) if uncertainty else most


def paired_contrast(
    first: Losses, second: Losses, names: tuple[str, str], *, seed: int = 0
) -> dict[str, float | str]:
    """How much more one trained model leaks than another, over examples: what other examples would have given
    for these very models. Says nothing about other trainings of the same kinds.

    first, second: the losses of either. Examples with the same id are paired, the rest stand alone.
    names: of the two models. seed: of the splits for the held-out advantage.
    Returns `first`, `second` (the names), `over` ("examples"), and for each measure in (auc,
    heldout_advantage) `{measure}_difference`, first - second, of the values that measure_leakage gives with
    the same seed; `_low`, `_high`, its 95% interval; `_p`, two-sided, normal (DeLong et al. 1988). With fewer
    than 10 examples of a kind the interval is the whole range and p is 1.
    Raises BadInput for losses that measure_leakage refuses, and for ids that are not different integers.
    """
    contrast: dict[str, float | str] = {"first": names[0], "second": names[1], "over": "examples"}
    for name, measure in MEASURES.items():
        one_training = [_kind([losses], name, seed) for losses in (first, second)]
        minuend, subtrahend = one_training
        difference = minuend.mean - subtrahend.mean
        # The influences are subtracted example by example before they are squared.
        _, influences = _sum_by_id(
            [kind.ids for kind in one_training], [minuend.influences, -subtrahend.influences]
        )
        finite = all(math.isfinite(kind.estimates[0].standard_error) for kind in one_training)
        variance = float(np.square(influences).sum()) if finite else math.inf
        contrast |= _difference(name, difference, variance, math.inf, measure)
    return contrast


def _difference(
    name: str, difference: float, variance: float, degrees: float, measure: _Measure
) -> dict[str, float]:
    range_of = measure.largest - measure.least
    low, high = _interval(difference, variance, degrees, -range_of, range_of)
    return {
        f"{name}_difference": difference,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_p": _two_sided_p(difference, variance, degrees),
    }


def interval_of_kind(trainings: Sequence[Losses], *, seed: int = 0) -> dict[str, float | None]:
    """How much a kind of model leaks, with the uncertainty over trainings and examples at once.

    trainings: the losses of each training (S,), usually of the same examples; their order does not matter.
    seed: of the splits for the held-out advantage.
    Returns, for each measure in (auc, heldout_advantage): `{measure}`, the mean over the trainings, `_low`
    and `_high`, its 95% interval (Obuchowski and Rockette 1995; Hillis 2007), clipped to possible values, and
    `_degrees`, its degrees of freedom; these three are None for a single training. Where all trainings
    separate all examples and there is no spread at all, the interval is that over examples of one of them.
    Raises BadInput as paired_contrast does, and if there is no training.
    """
    report: dict[str, float | None] = {}
    for name, measure in MEASURES.items():
        kind = _kind(trainings, name, seed)
        low = high = degrees = None
        if kind.trainings > 1:
            variance = kind.over_trainings + max(kind.over_examples, 0.0)
            degrees = _degrees(variance, kind)
            low, high = _interval(kind.mean, variance, degrees, measure.least, measure.largest)
            if variance == 0:
                low, high = measure.interval(kind.estimates[0])
        report |= {name: kind.mean, f"{name}_low": low, f"{name}_high": high, f"{name}_degrees": degrees}
    return report


def contrast_of_kinds(
    first: Sequence[Losses], second: Sequence[Losses], names: tuple[str, str], *, seed: int = 0
) -> dict[str, float | int | str | None]:
    """How much more one kind of model leaks than another, over trainings and examples at once.

    first, second: the losses of each training of either kind, any numbers of them. The trainings are not
    paired and their order does not matter: seed 3 of one kind has nothing in common with seed 3 of another.
    Examples are: those with the same id count as the same, in whichever trainings they are.
    names: of the two kinds. seed: of the splits for the held-out advantage.
    Returns `first`, `second` (the names), `first_trainings`, `second_trainings` (how many), `over`
    ("trainings and examples"), and for each measure in (auc, heldout_advantage) `{measure}_difference`,
    first - second, of the means that interval_of_kind gives with the same seed; `_low`, `_high`, its 95%
    interval; `_p`, two-sided; `_degrees`, Hillis' degrees of freedom. These four are None with a single
    training of either kind, from which nothing follows for kinds.
    Raises BadInput as interval_of_kind does.
    """
    contrast: dict[str, float | int | str | None] = {
        "first": names[0],
        "second": names[1],
        "first_trainings": len(first),
        "second_trainings": len(second),
        "over": "trainings and examples",
    }
    for name, measure in MEASURES.items():
        minuend, subtrahend = (_kind(trainings, name, seed) for trainings in (first, second))
        difference = minuend.mean - subtrahend.mean
        if min(minuend.trainings, subtrahend.trainings) < 2:
            missing = dict.fromkeys(f"{name}_{part}" for part in ("low", "high", "p", "degrees"))
            contrast |= {f"{name}_difference": difference} | missing
            continue
        over_examples = minuend.over_examples + subtrahend.over_examples
        if math.isfinite(over_examples):
            over_examples = max(over_examples - 2 * minuend.covariance(subtrahend), 0.0)
        variance = minuend.over_trainings + subtrahend.over_trainings + over_examples
        degrees = _degrees(variance, minuend, subtrahend)
        contrast |= _difference(name, difference, variance, degrees, measure) | {f"{name}_degrees": degrees}
    return contrast


# --------------------------------------------------------------------------------------------------- verdicts


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted so that of all verdicts together at most 5% claim a difference falsely (Holm 1979).

    The smallest of k is multiplied by k, the next by k - 1, and so on; none falls below a smaller one's, none
    exceeds 1. None passes through and does not count.
    """
    adjusted: list[float | None] = [None] * len(p_values)
    in_order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    largest = 0.0
    for rank, (p, place) in enumerate(in_order):
        largest = max(largest, min((len(in_order) - rank) * p, 1.0))
        adjusted[place] = largest
    return adjusted


def verdict(
    contrast: dict[str, object], adjusted_p: float | None, names: tuple[str, str] | None = None
) -> str:
    """What a contrast shows, in words, by AUC: which of both leaks more if adjusted_p is below 5%.

    contrast: of contrast_of_kinds or paired_contrast. adjusted_p: its `auc_p` after holm. names: to be used
    instead of the contrast's own.
    """
    if contrast["auc_p"] is None or adjusted_p is None:
        return NO_VERDICT
    if adjusted_p >= SIGNIFICANCE:
        return NO_DIFFERENCE
    first, second = names or (contrast["first"], contrast["second"])
    more, less = (first, second) if contrast["auc_difference"] > 0 else (second, first)
    return f"{more} leaks more than {less}"


def groups_differ(
    groups: Sequence[Sequence[Losses]],
) -> dict[str, float | tuple[int, float] | None]:
    """Whether disjoint groups of examples, such as classes, leak differently at all, by AUC.

    groups: at least two; groups[c] holds the losses of group c, one Losses per training, the same trainings
    in the same order for every group. Without the ids of the examples, those of a group are the same in all
    trainings.
    Returns `statistic`, F; its `degrees` of freedom, numerator and denominator; `p`. None for all three where
    a group has fewer than 10 members or non-members, or no spread at all.

    The statistic is the weighted variance of the groups' mean AUCs over what it would be if they were equal.
    With one training that is the variance over examples alone, the finding is about this trained model, and
    the denominator has infinite degrees. With S trainings it is C + r^2 / S: C that of contrast_of_kinds, by
    group, and r^2 the variance of the AUCs over the trainings after every training's own mean over the groups
    has been subtracted, because a seed that moves all groups together is no difference between them. r^2 is
    pooled over the groups, with (groups - 1) (S - 1) degrees of freedom, from which the denominator's follow
    after Satterthwaite.
    """
    counts = {len(trainings) for trainings in groups}
    if len(groups) < 2 or len(counts) > 1:
        raise BadInput(f"at least 2 groups with the same trainings, not {len(groups)} of {sorted(counts)}")
    trainings = counts.pop()
    kinds = [_kind(of_group, "auc", 0) for of_group in groups]
    values = np.array([[estimate.value for estimate in kind.estimates] for kind in kinds])
    between = len(groups) - 1
    if trainings == 1:
        variances = np.array([kind.estimates[0].standard_error ** 2 for kind in kinds])
        denominator = math.inf
    else:
        # What a training does to one group and not to all: rows are groups, columns trainings.
        residuals = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
        over_trainings = float(np.square(residuals).sum()) / (between * (trainings - 1)) / trainings
        variances = over_trainings + np.array([max(kind.over_examples, 0.0) for kind in kinds])
        uncertainty = over_trainings**2 / (between * (trainings - 1))
        denominator = float(variances.mean()) ** 2 / uncertainty if uncertainty else math.inf
    if not np.isfinite(variances).all() or not variances.all():
        return {"statistic": None, "degrees": None, "p": None}
    weights, means = 1 / variances, values.mean(1)
    statistic = float(weights @ np.square(means - np.average(means, weights=weights))) / between
    if math.isinf(denominator):
        p = float(special.chdtrc(between, statistic * between))
    else:
        p = float(special.fdtrc(between, denominator, statistic))
    return {"statistic": statistic, "degrees": (between, denominator), "p": p}
