"""What a threshold attack on losses finds out, how sure that is, and what it would find if nothing leaked.

Works on anybody's losses, of any framework. Members are the examples that a model was trained on, non-members
others from the same source. The attack calls an example a member if its loss is below a threshold, so that
the true positive rate (TPR) is the share of members called members, and the false positive rate (FPR) the
share of non-members called members. Intervals are 95% unless another `confidence` is asked for.

Every estimate here is, but for smaller terms, a mean over examples. The share that one example has in the
deviation from the truth is its influence; the sum of the squared influences is the variance. If two models
are judged on the same images, the influences are subtracted image by image before they are squared, and
that is all there is to a comparison of two trained models.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from leakage.command_line import BadInput

CONFIDENCE = 0.95
Z = float(special.ndtri(0.5 + CONFIDENCE / 2))  # half-width of the interval, in standard errors
LOW_FPRS = {"1pct": 0.01, "0p1pct": 0.001}
LOW_FNR = 0.01  # share of members that may be missed where non-members are to be recognised
FEWEST_ACCUSED = 10  # non-members that must fit below a false positive rate, or it is not reported
FEWEST_EXAMPLES = 10  # members or non-members; of fewer the spread cannot be measured
SPLITS = 20  # of the examples into halves, over which the held-out advantage is averaged
PERMUTATIONS = 200  # of the labels; the chance level that they give has a standard error of 2%
FEWEST_FOR_THE_LIMIT = (
    1000  # members or non-members; of fewer the chance level is 1% and more below its limit
)
# Correlation between the errors of the two folds of the held-out advantage, at most. The influences count the
# thresholds as given, but each half judges what the other has chosen and chooses for it. Say that nothing
# leaks, and that a half chooses between two attacks alone, of which one is the other turned round: it takes
# the sign of its error e. Then the two folds' errors are sign(e2) e1 and sign(e1) e2, with the mean product
# E|e1| E|e2| = (2 / pi) E e^2. With the direction fixed and one threshold to take or leave it is half of
# that, and where the leak is plain less than 0.2 (simulated): this is the worst case, on the safe side. With
# 20 splits the standard error is 15% to 25% larger than need be, and a leak is claimed where there is none in
# 0.5% of cases rather than 2.5%.
FOLD_CORRELATION = 2 / math.pi


@dataclass(frozen=True)
class Losses:
    """Losses of one trained model, and which examples they belong to.

    members (n,) and nonmembers (m,): the losses. member_ids (n,) and nonmember_ids (m,): integers, which two
    models' losses share where they share the example. One numbering serves members and non-members together:
    a training image and a test image never share an id, and an image that is a member of one model and a
    non-member of another keeps its id. Where ids are not given, examples at the same place are the same
    example: members are numbered 0, 1, 2 ..., non-members -1, -2, -3 ...
    """

    members: np.ndarray
    nonmembers: np.ndarray
    member_ids: np.ndarray | None = None
    nonmember_ids: np.ndarray | None = None


@dataclass(frozen=True)
class Estimate:
    """A number, and the influence of each member (n,) and non-member (m,) on it."""

    value: float
    members: np.ndarray
    nonmembers: np.ndarray

    @property
    def standard_error(self) -> float:
        """Over examples; infinite for fewer than 10 of either kind."""
        if min(len(self.members), len(self.nonmembers)) < FEWEST_EXAMPLES:
            return math.inf
        return math.sqrt(sum(float(np.square(of_kind).sum()) for of_kind in (self.members, self.nonmembers)))


def measure_leakage(
    member_losses: np.ndarray, nonmember_losses: np.ndarray, *, seed: int = 0, confidence: float = CONFIDENCE
) -> dict[str, float | int | None]:
    """Measures a threshold attack on member_losses (n,) and nonmember_losses (m,).

    seed: of the splits into halves for the held-out advantage. confidence: of the intervals, all of them over
        examples, between 0 and 1.
    Returns members, nonmembers: n and m; and, each with `_low` and `_high` where an interval is given:
        auc: see auc_with_interval.
        advantage: largest |TPR - FPR| over all thresholds (Yeom et al. 2018), chosen and judged on the same
            examples, and so positive even if nothing leaks.
        chance_advantage: its mean then. For many losses with hardly a tie, the mean of the two-sided
            Kolmogorov-Smirnov statistic in the limit of large n and m, sqrt(pi / 2) ln 2 sqrt(1 / n + 1 / m).
            Where more than 1% of the losses repeat others, or where there are fewer than 1,000 of a kind, the
            mean of 200 permutations of who is a member (always the same ones), with a standard error of 2%.
        heldout_advantage: TPR - FPR at thresholds chosen on other examples, see heldout_estimate; 0 is to be
            expected if nothing leaks. Its interval is for the thresholds chosen (the best possible one does a
            little better).
        tpr_at_1pct_fpr, tpr_at_0p1pct_fpr: the largest TPR whose FPR is at most that (Carlini et al. 2022).
            Losses that tie are called together, so that the FPR may be less than allowed. The threshold is
            estimated too, so the interval adds two distances as squares (MOVER, Zou and Donner 2008): that of
            the exact binomial interval of the members below this threshold, and that to the TPR at the
            thresholds that the binomial interval of the non-members' quantile allows. It covers 95% to 99%
            (simulated). chance_tpr_at_1pct_fpr, ...: its mean if nothing leaks and no losses tie,
            (a + 1) / (m + 1) with a = allowed(fpr, m); realised_fpr_at_1pct, ...: the share of non-members
            really accused.
        tnr_at_1pct_fnr, chance_tnr_at_1pct_fnr: the same attack the other way round, the share of non-members
            recognised while at most 1% of the members are missed.
    What cannot be given is None: a TPR if fewer than 10 non-members fit below the FPR, a TNR if fewer than 10
    members do; nonmembers_needed says how many it takes.
    Raises BadInput for input that is empty, not one-dimensional, or holds NaN, and for a confidence that is
    none. Infinite losses are losses.
    """
    refuse_confidence(confidence)
    ranked = _rank(checked(member_losses, "member"), checked(nonmember_losses, "non-member"))
    auc, heldout = _auc(ranked), _heldout(ranked, seed)
    auc_low, auc_high = auc_interval(auc, confidence)
    heldout_low, heldout_high = heldout_interval(heldout, confidence)
    members, nonmembers = ranked.sorted_losses
    report = {
        "members": len(members),
        "nonmembers": len(nonmembers),
        "auc": auc.value,
        "auc_low": auc_low,
        "auc_high": auc_high,
        "advantage": _advantage(ranked),
        "chance_advantage": _chance_advantage(ranked),
        "heldout_advantage": heldout.value,
        "heldout_advantage_low": heldout_low,
        "heldout_advantage_high": heldout_high,
    }
    for name, fpr in LOW_FPRS.items():
        report |= _low_rate_report(f"tpr_at_{name}_fpr", members, nonmembers, fpr, confidence)
        accused = _caught_at(members, nonmembers, fpr)[1] / len(nonmembers)
        report[f"realised_fpr_at_{name}"] = accused if report[f"tpr_at_{name}_fpr"] is not None else None
    others_first = -nonmembers[::-1], -members[::-1]
    return report | _low_rate_report("tnr_at_1pct_fnr", *others_first, LOW_FNR, confidence)


def estimates_of(losses: Losses, measures: Iterable[str], *, seed: int = 0) -> dict[str, Estimate | None]:
    """Some measures of one trained model, and every example's influence on them.

    measures: among "auc", "heldout_advantage", "tpr_at_1pct_fpr" and "tpr_at_0p1pct_fpr"; the values are
    those of measure_leakage with the same seed. None where measure_leakage gives None.
    Raises BadInput as measure_leakage does.
    """
    ranked = _rank(checked(losses.members, "member"), checked(losses.nonmembers, "non-member"))
    return {measure: _ESTIMATES[measure](ranked, seed) for measure in measures}


def _low_rate_report(
    name: str, members: np.ndarray, nonmembers: np.ndarray, fpr: float, confidence: float
) -> dict[str, float | None]:
    value, low, high = _tpr_at_fpr(members, nonmembers, fpr, confidence)
    m = len(nonmembers)
    chance = None if value is None else (allowed(fpr, m) + 1) / (m + 1)
    return {name: value, f"{name}_low": low, f"{name}_high": high, f"chance_{name}": chance}


def checked(losses: np.ndarray, kind: str) -> np.ndarray:
    """The losses as float64 (n,); BadInput if there are none, more than one dimension, or NaN."""
    losses = np.asarray(losses, dtype=float)
    if losses.ndim != 1 or not len(losses):
        raise BadInput(
            f"the {kind} losses must be one row of at least one number, not of shape {losses.shape}"
        )
    if np.isnan(losses).any():
        raise BadInput(f"the {kind} losses hold {np.isnan(losses).sum():,} NaN; drop these examples first")
    return losses


def refuse_confidence(confidence: float) -> None:
    """BadInput for a confidence that is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise BadInput(f"the confidence of an interval must be between 0 and 1, not {confidence}")


def normal_quantile(confidence: float) -> float:
    """Half the width of an interval of this confidence around a normal estimate, in standard errors."""
    return float(special.ndtri(0.5 + confidence / 2))


# ------------------------------------------------------------------------------------ both kinds in one order


@dataclass(frozen=True)
class _Ranked:
    """Members and non-members in one order, from the lowest loss to the highest.

    losses (n + m,): in this order; order (n + m,): where each stands among all losses, members first;
    is_member (n + m,): what it is; last (k,): the place of the last of each run of equal losses. A threshold
    can only fall behind one of these.
    """

    losses: np.ndarray
    order: np.ndarray
    is_member: np.ndarray
    last: np.ndarray

    @property
    def sizes(self) -> tuple[int, int]:
        """n and m."""
        n = int(np.count_nonzero(self.is_member))
        return n, len(self.is_member) - n

    @property
    def sorted_losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of the members (n,) and of the non-members (m,)."""
        return self.losses[self.is_member], self.losses[~self.is_member]

    def back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values in this order, back to the members (n,) and the non-members (m,) as they were given."""
        given = np.empty_like(values)
        given[self.order] = values
        n = self.sizes[0]
        return given[:n], given[n:]


def _rank(members: np.ndarray, nonmembers: np.ndarray) -> _Ranked:
    losses = np.concatenate([members, nonmembers])
    order = np.argsort(losses)
    ordered = losses[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return _Ranked(ordered, order, order < len(members), last)


# ------------------------------------------------------------------------------------------------------- AUC


def auc_estimate(members: np.ndarray, nonmembers: np.ndarray) -> Estimate:
    """The probability that a random member has a lower loss than a random non-member, ties counted half.

    members (n,), nonmembers (m,): losses. The influences are the placement values of DeLong, DeLong and
    Clarke-Pearson (1988), so that the standard error is theirs.
    """
    return _auc(_rank(checked(members, "member"), checked(nonmembers, "non-member")))


def auc_with_interval(
    members: np.ndarray, nonmembers: np.ndarray, *, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """AUC of member losses (n,) and non-member losses (m,), and its interval over examples.

    The interval is the wider, at either end, of DeLong's (1988) on the logit scale, which counts the spread
    of these very losses, and of Newcombe's (2006, part 2) method 5. Where DeLong's cannot be had, with fewer
    than 10 examples of a kind or perfectly separated ones, it is Newcombe's alone. If nothing leaks it then
    leaves out 0.5 in at most 7.2% of cases (at 95%; 10% for 3 against 3; counted exactly for up to 12 against
    39).
    """
    refuse_confidence(confidence)
    auc = auc_estimate(members, nonmembers)
    return (auc.value, *auc_interval(auc, confidence))


def _auc(ranked: _Ranked) -> Estimate:
    n, m = ranked.sizes
    # Of either kind, how many stand up to each run of equal losses, and half of those within it.
    run_sizes = np.diff(ranked.last, prepend=-1)
    members_upto = np.cumsum(ranked.is_member)[ranked.last]
    nonmembers_upto = ranked.last + 1 - members_upto
    members_before, nonmembers_before = (np.append(0, upto[:-1]) for upto in (members_upto, nonmembers_upto))
    # Whole numbers: twice the pairs in which the member has the lower loss. So the AUC is exact.
    doubled = (members_upto + members_before) * (nonmembers_upto - nonmembers_before)
    auc = int(doubled.sum()) / (2 * n * m)
    # An example's placement: the share of the other kind that it is on the right side of.
    of_members = 1 - (nonmembers_upto + nonmembers_before) / (2 * m)
    of_nonmembers = (members_upto + members_before) / (2 * n)
    influences = np.where(
        ranked.is_member,
        np.repeat((of_members - auc) / math.sqrt(n * max(n - 1, 1)), run_sizes),
        np.repeat((of_nonmembers - auc) / math.sqrt(m * max(m - 1, 1)), run_sizes),
    )
    return Estimate(auc, *ranked.back(influences))


def auc_interval(auc: Estimate, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of an AUC over examples, see auc_with_interval."""
    return interval_of_auc(auc.value, auc.standard_error, len(auc.members), len(auc.nonmembers), confidence)


def interval_of_auc(
    auc: float, standard_error: float, n: float, m: float, confidence: float
) -> tuple[float, float]:
    """The same, of an AUC from 0 to 1 with this standard error (DeLong's, or inf), of n members and m
    non-members. n and m need not be whole: a mean of AUCs that tell as much as one of more examples has the
    interval of so many."""
    width = normal_quantile(confidence)
    low, high = _newcombe_low(auc, n, m, width), 1 - _newcombe_low(1 - auc, n, m, width)
    if math.isinf(standard_error) or auc in (0.0, 1.0):
        return low, high
    half = width * standard_error / (auc * (1 - auc))
    delong_low, delong_high = special.expit(special.logit(auc) + np.array([-half, half]))
    return min(low, float(delong_low)), max(high, float(delong_high))


def _newcombe_low(auc: float, n: float, m: float, width: float) -> float:
    """Lower end of Newcombe's (2006, part 2) method 5: the AUC that is `width` standard errors below the one
    found, with Hanley and McNeil's (1982) standard error at that AUC, and (n + m) / 2 for both n and m within
    it. The upper end is that of 1 - AUC, mirrored."""
    half_sum = (n + m) / 2 - 1

    def surplus(truth: float) -> float:
        pairs = 1 + half_sum * ((1 - truth) / (2 - truth) + truth / (1 + truth))
        return auc - truth - width * math.sqrt(truth * (1 - truth) * pairs / (n * m))

    # At 1 the standard error is 0, which solves the equation for a perfect separation, but is not meant.
    end = min(auc, 1 - 1e-12)
    return optimize.brentq(surplus, 0.0, end, xtol=1e-12) if end > 0 else 0.0


# ------------------------------------------------------------------------------------------------- advantage


def _curve(is_member: np.ndarray, last: np.ndarray, n: int, m: int) -> np.ndarray:
    """TPR - FPR behind each run of equal losses, times n m: whole numbers, so that equal ones are equal."""
    return np.cumsum(np.where(is_member, m, -n))[last]


def _advantage(ranked: _Ranked) -> float:
    n, m = ranked.sizes
    return int(np.abs(_curve(ranked.is_member, ranked.last, n, m)).max()) / (n * m)


def _chance_advantage(ranked: _Ranked) -> float:
    """See measure_leakage."""
    n, m = ranked.sizes
    if min(n, m) >= FEWEST_FOR_THE_LIMIT and len(ranked.last) >= 0.99 * (n + m):
        return math.sqrt(math.pi / 2) * math.log(2) * math.sqrt((n + m) / (n * m))
    generator = np.random.default_rng(0)
    # It is enough to draw where the fewer of both kinds stand: for |TPR - FPR| the kinds can change places.
    fewer = min(n, m)
    advantages = []
    for _ in range(PERMUTATIONS):
        is_fewer = np.zeros(n + m, bool)
        is_fewer[generator.choice(n + m, fewer, replace=False, shuffle=False)] = True
        advantages.append(np.abs(_curve(is_fewer, ranked.last, fewer, n + m - fewer)).max() / (n * m))
    return float(np.mean(advantages))


def heldout_estimate(members: np.ndarray, nonmembers: np.ndarray, seed: int = 0) -> Estimate:
    """TPR - FPR of members (n,) and nonmembers (m,) at thresholds that were chosen on other examples.

    Both kinds are split at random into halves; the threshold with the largest TPR - FPR on one half is judged
    on the other, and the other way round; the value is the mean over both folds of 20 such splits. A low loss
    always means "member"; where no threshold gains on one half, nobody is called on the other. The splits
    depend on n, m and seed alone. 0 for a single example of a kind, which cannot be halved.
    An example's influence is its deviation from the rate of its fold, averaged over the splits, and enlarged
    because the errors of the two folds are correlated (FOLD_CORRELATION).
    """
    return _heldout(_rank(checked(members, "member"), checked(nonmembers, "non-member")), seed)


def heldout_interval(heldout: Estimate, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a held-out advantage over examples, for the thresholds chosen.

    On the logit scale of its place between -1 and 1, which it cannot leave then. A perfect separation has no
    spread to measure: then as for n hits out of n, n the fewer of both kinds.
    """
    place = (heldout.value + 1) / 2
    if place in (0.0, 1.0):
        end = ((1 - confidence) / 2) ** (1 / min(len(heldout.members), len(heldout.nonmembers)))
        low, high = (end, 1.0) if place else (0.0, 1 - end)
    else:
        half = normal_quantile(confidence) * heldout.standard_error / 2 / (place * (1 - place))
        low, high = special.expit(special.logit(place) + np.array([-half, half]))
    return 2 * float(low) - 1, 2 * float(high) - 1


def _halves(n: int, m: int, seed: int) -> Iterator[np.ndarray]:
    """Of each split, which of the n members and then of the m non-members are in its first half (n + m,)."""
    generator = np.random.default_rng(seed)
    for _ in range(SPLITS):
        in_first = np.zeros(n + m, bool)
        for begin, count in ((0, n), (n, m)):
            in_first[begin + generator.choice(count, (count + 1) // 2, replace=False, shuffle=False)] = True
        yield in_first


def _heldout(ranked: _Ranked, seed: int) -> Estimate:
    n, m = ranked.sizes
    if min(n, m) < 2:
        return Estimate(0.0, np.zeros(n), np.zeros(m))
    # Members and non-members of the second half, and of the first.
    sizes = np.array([[n // 2, m // 2], [(n + 1) // 2, (m + 1) // 2]])
    # What an example adds to TPR - FPR in its half, times the sizes of both kinds there: whole numbers, so
    # that equally good thresholds are exactly equal. No sum of them is larger than n m / 2.
    whole = np.int32 if n * m < 2**31 else np.int64
    steps = [np.where(ranked.is_member, of_half[1], -of_half[0]).astype(whole) for of_half in sizes]
    # In how many splits an example was in the half and called a member.
    called = [np.zeros(n + m, np.uint16) for _ in sizes]
    spread = np.array([1, -1]) / (2 * np.sqrt(sizes * np.maximum(sizes - 1, 1)))
    value, expected = 0.0, np.zeros(n + m)
    for in_first in _halves(n, m, seed):
        in_half = [~in_first[ranked.order], in_first[ranked.order]]
        # Either half chooses the place of a threshold, the best for itself; none if no threshold gains.
        chosen = [_best_place(steps[half] * in_half[half], ranked.last) for half in (0, 1)]
        rates = np.empty((2, 2))
        for half in (0, 1):
            # And is judged at the other's.
            end = chosen[1 - half] + 1
            below = in_half[half][:end]
            called[half][:end] += below
            caught = np.count_nonzero(below & ranked.is_member[:end])
            rates[half] = np.array([caught, np.count_nonzero(below) - caught]) / sizes[half]
        value += (rates[0, 0] + rates[1, 0] - rates[0, 1] - rates[1, 1]) / 2
        # An example's influence is its deviation from the rate of its half.
        of_members, of_nonmembers = (spread * rates).T
        expected[:n] += np.where(in_first[:n], of_members[1], of_members[0])
        expected[n:] += np.where(in_first[n:], of_nonmembers[1], of_nonmembers[0])
    of_called = sum(called[half] * np.where(ranked.is_member, *spread[half]) for half in (0, 1))
    scale = math.sqrt(1 + FOLD_CORRELATION) / SPLITS
    members, nonmembers = ranked.back(of_called)
    return Estimate(
        float(value / SPLITS), scale * (members - expected[:n]), scale * (nonmembers - expected[n:])
    )


def _best_place(steps: np.ndarray, last: np.ndarray) -> int:
    """Behind which place the sum of the steps is the largest, -1 (before all) if it is never above 0."""
    curve = np.cumsum(steps, dtype=steps.dtype)
    if len(last) < len(curve):
        curve = curve[last]
    best = int(np.argmax(curve))
    return int(last[best]) if curve[best] > 0 else -1


# ---------------------------------------------------------------------------------------- TPR at a low FPR


def allowed(fpr: float, count: int) -> int:
    """How many of `count` non-members may be called members at a false positive rate of `fpr`: the whole
    number below fpr * count, where 0.07 * 100 is 7 although floating point makes it less."""
    return math.floor(fpr * count + 1e-9)


def nonmembers_needed(fpr: float) -> int:
    """The fewest non-members with which the TPR at this FPR is reported: 10 of them may be accused. For a
    TNR at this FNR, the fewest members."""
    return math.ceil((FEWEST_ACCUSED - 1e-9) / fpr)


def _tpr(ranked: _Ranked, fpr: float) -> Estimate | None:
    """The largest TPR whose FPR is at most `fpr`; None if fewer than 10 non-members may be accused.

    With t the threshold, a member's influence is (1{x < t} - TPR) / n. A non-member's is
    -slope (1{y < t} - FPR) / m: other non-members would have moved t, and with it the TPR along the ROC
    curve, whose slope there is that of the density ratio (Hsieh and Turnbull 1996, theorem 2.2). It is taken
    from the members and the non-members between the two thresholds that the interval of measure_leakage looks
    at.
    """
    members, nonmembers = ranked.sorted_losses
    n, m = len(members), len(nonmembers)
    if allowed(fpr, m) < FEWEST_ACCUSED:
        return None
    caught, accused = _caught_at(members, nonmembers, fpr)
    # Shares of either kind in the window: from a non-member that it leaves out, unless that ties with its
    # last one, to one that it includes.
    lower, upper = _quantile_ranks(m, fpr, CONFIDENCE)
    begin = nonmembers[lower - 1] if lower else -math.inf
    end = nonmembers[upper] if upper < m else math.inf
    side = "right" if lower and begin < end else "left"
    shares = [
        (np.searchsorted(losses, end, "right") - np.searchsorted(losses, begin, side)) / len(losses)
        for losses in (members, nonmembers)
    ]
    slope = shares[0] / shares[1]
    called = np.arange(n + m) < caught + accused
    influences = np.where(ranked.is_member, (called - caught / n) / n, -slope * (called - accused / m) / m)
    return Estimate(caught / n, *ranked.back(influences))


def _tpr_at_fpr(
    members: np.ndarray, nonmembers: np.ndarray, fpr: float, confidence: float
) -> tuple[float, float, float] | tuple[None, None, None]:
    """The TPR at an FPR and its interval, see measure_leakage. Of sorted losses."""
    n, m = len(members), len(nonmembers)
    if allowed(fpr, m) < FEWEST_ACCUSED:
        return None, None, None
    caught = _caught_at(members, nonmembers, fpr)[0]
    tpr = caught / n
    from_members = clopper_pearson(caught, n, confidence)
    # The true threshold lies, with this confidence, between these two of the ordered non-members.
    lower, upper = _quantile_ranks(m, fpr, confidence)
    tpr_low = np.searchsorted(members, nonmembers[lower - 1], "left") / n if lower else 0.0
    tpr_high = np.searchsorted(members, nonmembers[upper], "right") / n if upper < m else 1.0
    low = tpr - math.hypot(tpr - from_members[0], tpr - tpr_low)
    high = tpr + math.hypot(from_members[1] - tpr, tpr_high - tpr)
    return tpr, max(low, 0.0), min(high, 1.0)


@lru_cache
def _quantile_ranks(m: int, fpr: float, confidence: float) -> tuple[int, int]:
    """How many of m non-members fall below their true `fpr` quantile: the binomial's central part."""
    lower, upper = np.ceil(special.bdtrik([(1 - confidence) / 2, (1 + confidence) / 2], m, fpr))
    return int(lower), int(upper)


def _caught_at(members: np.ndarray, nonmembers: np.ndarray, fpr: float) -> tuple[int, int]:
    """Of sorted losses, members and non-members below the largest threshold that accuses at most `fpr` of the
    latter."""
    accused = allowed(fpr, len(nonmembers))
    if accused >= len(nonmembers):
        return len(members), len(nonmembers)
    # Everything strictly below the first non-member that must not be accused.
    threshold = nonmembers[accused]
    return int(np.searchsorted(members, threshold)), int(np.searchsorted(nonmembers, threshold))


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934), `hits` of `trials` (at least 1)."""
    tail = (1 - confidence) / 2
    low = special.betaincinv(hits, trials - hits + 1, tail) if hits else 0.0
    high = special.betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1.0
    return float(low), float(high)


def roc_curve(member_losses: np.ndarray, nonmember_losses: np.ndarray, fprs: np.ndarray) -> np.ndarray:
    """The largest TPR whose FPR is at most each of `fprs` (k,): members positive, ties called together."""
    members = np.sort(checked(member_losses, "member"))
    nonmembers = np.sort(checked(nonmember_losses, "non-member"))
    return np.array([_caught_at(members, nonmembers, fpr)[0] for fpr in fprs]) / len(members)


_ESTIMATES: dict[str, Callable[[_Ranked, int], Estimate | None]] = {
    "auc": lambda ranked, seed: _auc(ranked),
    "heldout_advantage": _heldout,
    "tpr_at_1pct_fpr": lambda ranked, seed: _tpr(ranked, LOW_FPRS["1pct"]),
    "tpr_at_0p1pct_fpr": lambda ranked, seed: _tpr(ranked, LOW_FPRS["0p1pct"]),
}
