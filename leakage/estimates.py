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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from leakage.command_line import BadInput, counted
from leakage.persons import Persons, effective_rows, joined, persons_of

CONFIDENCE = 0.95
Z = float(special.ndtri(0.5 + CONFIDENCE / 2))  # half-width of the interval, in standard errors
LOW_FPRS = {"1pct": 0.01, "0p1pct": 0.001}
LOW_FNR = 0.01  # share of members that may be missed where non-members are to be recognised
FEWEST_ACCUSED = 10  # non-members that must fit below a false positive rate, or it is not reported
FEWEST_EXAMPLES = 10  # members or non-members; of fewer the spread cannot be measured
SPLITS = 20  # of the examples into halves, over which the held-out advantage is averaged
POWER = 0.8  # share of audits, or of runs, in which what is called detectable is found
PERMUTATIONS = 200  # of the labels; the chance level that they give has a standard error of 2%
FEWEST_FOR_THE_LIMIT = (
    1000  # members or non-members; of fewer the chance level is 1% and more below its limit
)
# Of a verdict that reads several measures, the confidence of each one's interval. A model that leaks nothing
# is said to leak with a probability of half of what is left: 2.5% by the AUC and 0.5% by each of the other
# four. The last 0.5% are left to the lower bound on epsilon, which is one-sided: 5.0% all together. Most goes
# to the AUC, whose interval is the usual one; the held-out advantage needs little (see below).
FAMILY = {
    "auc": 0.95,
    "heldout_advantage": 0.99,
    "tpr_at_1pct_fpr": 0.99,
    "tpr_at_0p1pct_fpr": 0.99,
    "tnr_at_1pct_fnr": 0.99,
}
EPSILON_IN_FAMILY = 0.995
# What measures are if nothing leaks; of the others measure_leakage tells.
CHANCES = {"auc": 0.5, "heldout_advantage": 0.0}
MOST_BY_ROW = 0.25  # see share_by_row; above it who is a member counts as decided by row
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

    member_persons (n,), nonmember_persons (m,): whose row each is, an integer, name or other hashable, where
    several rows may belong to one person; the same on both sides, and in all models that are compared. Then
    the person is the unit of everything, see leakage.persons. Where not given, each row is a person.
    """

    members: np.ndarray
    nonmembers: np.ndarray
    member_ids: np.ndarray | None = None
    nonmember_ids: np.ndarray | None = None
    member_persons: Sequence | np.ndarray | None = None
    nonmember_persons: Sequence | np.ndarray | None = None


@dataclass(frozen=True)
class Estimate:
    """A number, and the influence of each member (n,) and non-member (m,) on it; persons, if these are rows
    of persons."""

    value: float
    members: np.ndarray
    nonmembers: np.ndarray
    persons: Persons | None = None

    @property
    def sizes(self) -> tuple[float, float]:
        """Of the members and the non-members: as how many independent ones they tell.

        Of persons, the fewest that can be: as if all rows of one were the same."""
        if self.persons is None:
            return len(self.members), len(self.nonmembers)
        return tuple(rows.sum() ** 2 / float(np.square(rows).sum()) for rows in self.persons.rows)

    @property
    def effective_sizes(self) -> tuple[float, float]:
        """As many independent members and non-members have the variance that these rows of persons have: at
        most the rows, at least `sizes`."""
        counts, error = (len(self.members), len(self.nonmembers)), self.standard_error
        if self.persons is None or math.isinf(error) or not error:
            return self.sizes
        independent = sum(
            float(np.square(influences / correction).sum())
            for influences, correction in zip(
                (self.members, self.nonmembers), self.persons.corrections, strict=True
            )
        )
        share = min(independent / error**2, 1.0)
        return tuple(max(count * share, size) for count, size in zip(counts, self.sizes, strict=True))

    @property
    def standard_error(self) -> float:
        """Over examples, or over persons; infinite for fewer than 10 of either kind."""
        kinds = self.members, self.nonmembers
        if self.persons is not None:
            few = self.persons.fewest < FEWEST_EXAMPLES
            return math.inf if few else math.sqrt(float(np.square(self.persons.summed(*kinds)).sum()))
        if min(map(len, kinds)) < FEWEST_EXAMPLES:
            return math.inf
        return math.sqrt(sum(float(np.square(of_kind).sum()) for of_kind in kinds))

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the standard error; infinite, which is normal, unless over persons."""
        return math.inf if self.persons is None else self.persons.degrees(self.members, self.nonmembers)


def measure_leakage(
    member_losses: np.ndarray,
    nonmember_losses: np.ndarray,
    *,
    seed: int = 0,
    confidence: float | Mapping[str, float] = CONFIDENCE,
    member_persons: Sequence | np.ndarray | None = None,
    nonmember_persons: Sequence | np.ndarray | None = None,
) -> dict[str, float | int | None]:
    """Measures a threshold attack on member_losses (n,) and nonmember_losses (m,).

    seed: of the splits into halves for the held-out advantage. confidence: of the intervals, all of them over
        examples, between 0 and 1; or one for each measure by its name, such as FAMILY (0.95 where none is).
    member_persons (n,), nonmember_persons (m,): whose the rows are, see Losses. Then intervals are over
        persons, halves are halves of the persons, and what is expected if nothing leaks is by permutation of
        the persons. One row a person gives the same numbers as none of these.
    Returns members, nonmembers: n and m; and, each with `_low` and `_high` where an interval is given:
        auc: see auc_with_interval.
        advantage: largest |TPR - FPR| over all thresholds (Yeom et al. 2018), chosen and judged on the same
            examples, and so positive even if nothing leaks.
        chance_advantage: its mean then. For many losses with hardly a tie, the mean of the two-sided
            Kolmogorov-Smirnov statistic in the limit of large n and m, sqrt(pi / 2) ln 2 sqrt(1 / n + 1 / m).
            Where more than 1% of the losses repeat others, or where there are fewer than 1,000 of a kind, the
            mean of 200 permutations of who is a member (always the same ones), with a standard error of 2%;
            of persons always.
        heldout_advantage: TPR - FPR at thresholds chosen on other examples, see heldout_estimate; 0 is to be
            expected if nothing leaks. Its interval is for the thresholds chosen (the best possible one does a
            little better).
        tpr_at_1pct_fpr, tpr_at_0p1pct_fpr: the largest TPR whose FPR is at most that (Carlini et al. 2022).
            Losses that tie are put in an order by chance; this is the mean over all orders. The threshold is
            estimated too, so the interval adds two distances as squares (MOVER, Zou and Donner 2008): that of
            the exact binomial interval of the members below this threshold, and that to the TPR at the
            thresholds that the binomial interval of the non-members' quantile allows. It covers 95% to 99%
            (simulated). Of persons both binomials have as many trials as the rows tell (effective_rows).
            chance_tpr_at_1pct_fpr, ...: its mean if nothing leaks, (a + 1) / (m + 1) with
            a = allowed(fpr, m), ties or not; realised_fpr_at_1pct, ...: the share of non-members accused.
        tnr_at_1pct_fnr, chance_tnr_at_1pct_fnr: the same attack the other way round, the share of non-members
            recognised while at most 1% of the members are missed.
    What cannot be given is None: a TPR if fewer than 10 non-members fit below the FPR, a TNR if fewer than 10
    members do (nonmembers_needed says how many it takes), and both if there are fewer than 10 persons of a
    kind.
    Raises BadInput for input that is empty, not one-dimensional, or holds NaN, and for a confidence that is
    none. Infinite losses are losses.
    """
    confidences = _confidences(confidence)
    ranked = _ranked(Losses(member_losses, nonmember_losses, None, None, member_persons, nonmember_persons))
    auc, heldout = _auc(ranked), _heldout(ranked, seed)
    auc_low, auc_high = auc_interval(auc, confidences["auc"])
    heldout_low, heldout_high = heldout_interval(heldout, confidences["heldout_advantage"])
    n, m = ranked.sizes
    chances = _chances(ranked)
    report = {
        "members": n,
        "nonmembers": m,
        "auc": auc.value,
        "auc_low": auc_low,
        "auc_high": auc_high,
        "advantage": _advantage(ranked),
        "chance_advantage": chances["advantage"],
        "heldout_advantage": heldout.value,
        "heldout_advantage_low": heldout_low,
        "heldout_advantage_high": heldout_high,
    }
    for name, fpr in LOW_FPRS.items():
        measure = f"tpr_at_{name}_fpr"
        report |= _rate_report(measure, ranked.sides, fpr, confidences[measure], chances)
        report[f"realised_fpr_at_{name}"] = None if report[measure] is None else allowed(fpr, m) / m
    measure = "tnr_at_1pct_fnr"
    return report | _rate_report(measure, ranked.turned_sides, LOW_FNR, confidences[measure], chances)


def _confidences(confidence: float | Mapping[str, float]) -> dict[str, float]:
    """That of each measure."""
    measures = "auc", "heldout_advantage", *(f"tpr_at_{name}_fpr" for name in LOW_FPRS), "tnr_at_1pct_fnr"
    if isinstance(confidence, Mapping):
        confidences = dict.fromkeys(measures, CONFIDENCE) | dict(confidence)
    else:
        confidences = dict.fromkeys(measures, confidence)
    for each in confidences.values():
        refuse_confidence(each)
    return confidences


def evidence_of_leak(found: Mapping[str, float | None]) -> list[str]:
    """Which measures show a leak: whose interval lies above what is expected if nothing leaks.

    found: of measure_leakage, or of interval_of_kind for several trainings with the chance levels of one,
        with the confidence FAMILY.
    Returns names among those of FAMILY, the AUC first. Of models that leak nothing at most 4.5% get any
    (Bonferroni), whatever the measures have to do with each other.
    """
    evidence = []
    for measure in FAMILY:
        low, chance = found.get(f"{measure}_low"), chance_of(found, measure)
        if low is not None and chance is not None and low > chance:
            evidence.append(measure)
    return evidence


def chance_of(found: Mapping[str, float | None], measure: str) -> float | None:
    """What a measure is if nothing leaks. found: of measure_leakage; None where that does not tell it."""
    return CHANCES.get(measure, found.get(f"chance_{measure}"))


def detectable_auc(
    found: Mapping[str, float | None],
    *,
    confidence: float = CONFIDENCE,
    power: float = POWER,
    chance: float = 0.5,
) -> float | None:
    """The smallest AUC that the interval of such an audit would have lain above `chance` for with this power.

    found: of measure_leakage or interval_of_kind, with this confidence; `auc_degrees` are its degrees of
    freedom, if it is Student's. From the half-width of its interval, see detectable_distance. chance: what it
    is if nothing leaks, such as the AUC of a control, if the interval is of the difference to that. None
    without an interval; at most 1.
    """
    low, high = found["auc_low"], found["auc_high"]
    if low is None or high is None:
        return None
    degrees = found.get("auc_degrees") or math.inf
    distance = detectable_distance((high - low) / 2, degrees, confidence=confidence, power=power)
    return min(chance + distance, 1.0)


def detectable_distance(
    half: float, degrees: float, *, confidence: float = CONFIDENCE, power: float = POWER
) -> float:
    """The smallest distance of the truth from a value for which an interval of this half-width leaves the
    value out, on the truth's side, with this power.

    half: half the width of an interval of this confidence. degrees: of its standard error; infinite for a
    normal estimate. Measured in estimated standard errors, the distance found has a noncentral t distribution
    around the true one, which must be so large that the share `power` of it lies beyond the half-width. For a
    normal estimate that is the half-width and ndtri(power) standard errors, 0.84 for 80%.
    """
    width = quantile(confidence, degrees)
    if math.isinf(degrees):
        centre = width + float(special.ndtri(power))
    else:
        centre = float(special.nctdtrinc(degrees, 1 - power, width))
    return half * centre / width


def mean_by_person(losses: Losses) -> Losses:
    """One mean loss a person: a person is what was in the training set or not, and what is at risk.

    losses: with persons. A person with rows on both sides is neither in nor out, and is left out. So the rest
    says nothing of a split by row, in which few persons are in or out with all their rows. A person whose
    rows have inf and -inf, as calibrated losses can be, has no mean, and is left out too.
    Returns the means, in the order in which the persons first appear, with the persons as ids if they are
    integers, else with numbers of theirs, which are others in another training.
    Raises BadInput without persons, if who was a member was decided by row (share_by_row), and if fewer than
    10 members or non-members are left.
    """
    n, m = len(losses.members), len(losses.nonmembers)
    persons = persons_of(losses.member_persons, losses.nonmember_persons, n, m)
    if persons is None:
        if losses.member_persons is None and losses.nonmember_persons is None:
            raise BadInput("the mean loss a person takes persons: say whose each row is")
        return Losses(losses.members, losses.nonmembers, losses.member_ids, losses.nonmember_ids)
    both = persons.on_both_sides
    _refuse_split_by_row(persons)
    names = _names_of(losses, persons)
    means, ids, undefined = [], [], []
    for side, rows, codes in zip(
        (losses.members, losses.nonmembers), persons.rows, np.split(persons.codes, [n]), strict=True
    ):
        alone = np.flatnonzero((rows > 0) & ~both)
        sums = np.bincount(codes, np.asarray(side, float), len(rows))
        undefined.append(np.count_nonzero(np.isnan(sums[alone])))
        alone = alone[~np.isnan(sums[alone])]
        ids.append(names[alone])
        means.append(sums[alone] / rows[alone])
    fewest = min(map(len, means))
    if fewest < FEWEST_EXAMPLES:
        are = "is a member, or a non-member," if fewest == 1 else "are members, or non-members,"
        more = f" ({max(undefined):,} more have inf and -inf)" if max(undefined) else ""
        raise BadInput(f"only {counted(fewest, 'person')} {are} with all their rows{more}")
    return Losses(*means, *ids)


def _names_of(losses: Losses, persons: Persons) -> np.ndarray:
    """An integer for each person (P,): the person itself if it is one, else its number."""
    sides = losses.member_persons, losses.nonmember_persons
    count = int(persons.codes.max()) + 1
    if all(side is not None and np.asarray(side).dtype.kind in "iu" for side in sides):
        names = np.empty(count, np.int64)
        names[persons.codes] = joined(sides)
        return names
    return np.arange(count)


def share_by_row(persons: Persons) -> float:
    """Of how many of the persons it was decided row by row, and not for all rows at once, which are members.

    By the persons with rows on both sides. If each row had a lot of its own, a person with k rows would be
    one of them with the probability 1 - r^k - (1 - r)^k, where r is the share of the rows that are members.
    Their number beside the one expected then is about 1 if all were decided by row, and 0 if none was; it is
    said to be 0 for fewer than 10. Whoever has all rows on one side in spite of it has few rows, and fewer on
    the smaller side: with 80% of the rows members, 80% of the persons with one row are members, but 94% of
    those who have both of two rows on one side.
    """
    mixed = np.count_nonzero(persons.on_both_sides)
    if mixed < FEWEST_EXAMPLES:
        return 0.0
    share, rows = persons.members / len(persons.codes), persons.rows.sum(axis=0)
    return mixed / float((1 - share**rows - (1 - share) ** rows).sum())


def _refuse_split_by_row(persons: Persons) -> None:
    if share_by_row(persons) > MOST_BY_ROW:
        both = persons.on_both_sides
        mixed = (
            f"{np.count_nonzero(both):,} of {len(both):,} persons have rows among members and among others"
        )
        raise BadInput(f"{mixed}: who was a member was decided by row, not by person")


def rows_a_person(losses: Losses, *, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Whether members have fewer rows a person than non-members: the AUC of these numbers, and its interval.

    Of persons on one side alone. It must hold 0.5 if members were drawn by person: means of few rows have
    another spread than means of many, so that even a model that leaks nothing would part them; and persons
    drawn from one source by chance have equally many. (0.5, 0, 1) if each row is a person of its own.
    Raises BadInput if members were drawn by row (share_by_row), for then it need not hold 0.5, and if no
    person has all rows among members, or among non-members.
    """
    persons = persons_of(
        losses.member_persons, losses.nonmember_persons, len(losses.members), len(losses.nonmembers)
    )
    if persons is None:
        return 0.5, 0.0, 1.0
    _refuse_split_by_row(persons)
    rows = [of_side[(of_side > 0) & ~persons.on_both_sides] for of_side in persons.rows]
    return auc_with_interval(*rows, confidence=confidence)


def estimates_of(losses: Losses, measures: Iterable[str], *, seed: int = 0) -> dict[str, Estimate | None]:
    """Some measures of one trained model, and every example's influence on them.

    measures: among "auc", "heldout_advantage", "tpr_at_1pct_fpr" and "tpr_at_0p1pct_fpr"; the values are
    those of measure_leakage with the same seed. None where measure_leakage gives None.
    Raises BadInput as measure_leakage does.
    """
    ranked = _ranked(losses)
    return {measure: _ESTIMATES[measure](ranked, seed) for measure in measures}


def _rate_report(
    measure: str, sides: tuple["_Side", "_Side"], rate: float, confidence: float, chances: Mapping[str, float]
) -> dict[str, float | None]:
    value, low, high = _tpr_at_fpr(*sides, rate, confidence)
    chance = None if value is None else chances[measure]
    return {measure: value, f"{measure}_low": low, f"{measure}_high": high, f"chance_{measure}": chance}


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


def quantile(confidence: float, degrees: float) -> float:
    """The same for an error with these degrees of freedom: Student's, or the normal one if infinite."""
    if math.isinf(degrees):
        return normal_quantile(confidence)
    return float(special.stdtrit(degrees, 0.5 + confidence / 2))


# ------------------------------------------------------------------------------------ both kinds in one order


class _Side(NamedTuple):
    """Members or non-members from the lowest loss to the highest: losses (n,), and whose each is (n,), or
    None if each is a person of its own."""

    losses: np.ndarray
    codes: np.ndarray | None = None


@dataclass(frozen=True)
class _Ranked:
    """Members and non-members in one order, from the lowest loss to the highest.

    losses (n + m,): in this order; order (n + m,): where each stands among all losses, members first;
    is_member (n + m,): what it is; last (k,): the place of the last of each run of equal losses. A threshold
    can only fall behind one of these. persons: whose the losses are, None if each is a person of its own.
    """

    losses: np.ndarray
    order: np.ndarray
    is_member: np.ndarray
    last: np.ndarray
    persons: Persons | None

    @property
    def sizes(self) -> tuple[int, int]:
        """n and m."""
        n = int(np.count_nonzero(self.is_member))
        return n, len(self.is_member) - n

    @cached_property
    def sides(self) -> tuple[_Side, _Side]:
        """Members and non-members."""
        codes = None if self.persons is None else self.persons.codes[self.order]
        kinds = self.is_member, ~self.is_member
        return tuple(_Side(self.losses[kind], None if codes is None else codes[kind]) for kind in kinds)

    @property
    def turned_sides(self) -> tuple[_Side, _Side]:
        """Non-members and members from the highest loss to the lowest: the attack the other way round."""
        turned = [(-losses[::-1], None if codes is None else codes[::-1]) for losses, codes in self.sides]
        return _Side(*turned[1]), _Side(*turned[0])

    def back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values in this order, back to the members (n,) and the non-members (m,) as they were given."""
        given = np.empty_like(values)
        given[self.order] = values
        n = self.sizes[0]
        return given[:n], given[n:]


def _ranked(losses: Losses) -> _Ranked:
    """BadInput for losses and persons that are no use."""
    members, nonmembers = checked(losses.members, "member"), checked(losses.nonmembers, "non-member")
    whose = losses.member_persons, losses.nonmember_persons
    return _rank(members, nonmembers, persons_of(*whose, len(members), len(nonmembers)))


def _rank(members: np.ndarray, nonmembers: np.ndarray, persons: Persons | None = None) -> _Ranked:
    losses = np.concatenate([members, nonmembers])
    order = np.argsort(losses)
    ordered = losses[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return _Ranked(ordered, order, order < len(members), last, persons)


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
    # The roots divide by n and m, and make up for deviating from the losses' own AUC; by person, see below.
    persons = ranked.persons
    divisors = [math.sqrt(count * max(count - 1, 1)) if persons is None else count for count in (n, m)]
    influences = np.where(
        ranked.is_member,
        np.repeat((of_members - auc) / divisors[0], run_sizes),
        np.repeat((of_nonmembers - auc) / divisors[1], run_sizes),
    )
    return _estimate(auc, *ranked.back(influences), persons)


def _estimate(value: float, members: np.ndarray, nonmembers: np.ndarray, persons: Persons | None) -> Estimate:
    """An estimate from influences that make up for few rows, but not yet for few persons."""
    if persons is None:
        return Estimate(value, members, nonmembers)
    corrections = persons.corrections
    return Estimate(value, members * corrections[0], nonmembers * corrections[1], persons)


def auc_interval(auc: Estimate, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of an AUC over examples, see auc_with_interval; or over persons.

    Newcombe's is for independent examples, as many as the rows of persons tell; both are Student's then.
    """
    error = auc.standard_error
    return interval_of_auc(auc.value, error, *auc.effective_sizes, confidence, auc.degrees)


def interval_of_auc(
    auc: float, standard_error: float, n: float, m: float, confidence: float, degrees: float = math.inf
) -> tuple[float, float]:
    """The same, of an AUC from 0 to 1 with this standard error (DeLong's, or inf) and its degrees of freedom,
    which make both intervals Student's, of n members and m non-members. n and m need not be whole: a mean of
    AUCs that tell as much as one of more examples has the interval of so many."""
    width = quantile(confidence, degrees)
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
    curve = np.cumsum(np.where(is_member, m, -n))
    return curve if len(last) == len(curve) else curve[last]


def _advantage(ranked: _Ranked) -> float:
    n, m = ranked.sizes
    return int(np.abs(_curve(ranked.is_member, ranked.last, n, m)).max()) / (n * m)


def _chances(ranked: _Ranked) -> dict[str, float]:
    """The mean of "advantage" and of the rates if nothing leaks, see measure_leakage."""
    n, m = ranked.sizes
    if ranked.persons is not None:
        return _chances_of_persons(ranked)
    chances = {f"tpr_at_{name}_fpr": (allowed(fpr, m) + 1) / (m + 1) for name, fpr in LOW_FPRS.items()}
    chances["tnr_at_1pct_fnr"] = (allowed(LOW_FNR, n) + 1) / (n + 1)
    if min(n, m) >= FEWEST_FOR_THE_LIMIT and len(ranked.last) >= 0.99 * (n + m):
        limit = math.sqrt(math.pi / 2) * math.log(2) * math.sqrt((n + m) / (n * m))
        return chances | {"advantage": limit}
    generator = np.random.default_rng(0)
    # It is enough to draw where the fewer of both kinds stand: for |TPR - FPR| the kinds can change places.
    fewer = min(n, m)
    advantages = []
    for _ in range(PERMUTATIONS):
        is_fewer = np.zeros(n + m, bool)
        is_fewer[generator.choice(n + m, fewer, replace=False, shuffle=False)] = True
        advantages.append(np.abs(_curve(is_fewer, ranked.last, fewer, n + m - fewer)).max() / (n * m))
    return chances | {"advantage": float(np.mean(advantages))}


def _chances_of_persons(ranked: _Ranked) -> dict[str, float]:
    """The same by permutation of persons. Rows that tie stand in an order that no membership decides."""
    found = []
    for is_member in ranked.persons.permutations(0, PERMUTATIONS):
        is_member = is_member[ranked.order]
        members, nonmembers = np.flatnonzero(is_member), np.flatnonzero(~is_member)
        n, m = len(members), len(nonmembers)
        advantage = np.abs(_curve(is_member, ranked.last, n, m)).max() / (n * m)
        # Members before the first non-member that must not be accused; and the other way round.
        of_run = [(nonmembers[allowed(fpr, m)] - allowed(fpr, m)) / n for fpr in LOW_FPRS.values()]
        missed = allowed(LOW_FNR, n)
        recognised = n + m - 1 - members[n - 1 - missed] - missed
        found.append([advantage, *of_run, recognised / m])
    keys = "advantage", *(f"tpr_at_{name}_fpr" for name in LOW_FPRS), "tnr_at_1pct_fnr"
    return dict(zip(keys, np.mean(found, axis=0).tolist(), strict=True))


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
    spread to measure: then as for n hits out of n, n the fewer of both kinds. Over persons it is Student's.
    """
    place = (heldout.value + 1) / 2
    if place in (0.0, 1.0):
        end = ((1 - confidence) / 2) ** (1 / min(heldout.sizes))
        low, high = (end, 1.0) if place else (0.0, 1 - end)
    else:
        half = quantile(confidence, heldout.degrees) * heldout.standard_error / 2 / (place * (1 - place))
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
        return Estimate(0.0, np.zeros(n), np.zeros(m), ranked.persons)
    if ranked.persons is not None:
        return _heldout_of_persons(ranked, ranked.persons, seed)
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


def _heldout_of_persons(ranked: _Ranked, persons: Persons, seed: int) -> Estimate:
    """The same with halves of the persons, which may have unequal numbers of rows."""
    is_member, places = ranked.is_member, np.arange(len(ranked.order))
    value, influences = 0.0, np.zeros(len(places))
    for in_first in persons.halves(seed, SPLITS):
        in_half = [~in_first[ranked.order], in_first[ranked.order]]
        rows = [(half & is_member, half & ~is_member) for half in in_half]
        sizes = [(np.count_nonzero(members), np.count_nonzero(nonmembers)) for members, nonmembers in rows]
        if 0 in (*sizes[0], *sizes[1]):
            continue  # a kind with so few persons that all are in one half
        # Either half chooses the place of a threshold for the other, as without persons.
        chosen = [
            _best_place(np.where(is_member, m, -n) * half, ranked.last)
            for (n, m), half in zip(sizes, in_half, strict=True)
        ]
        for half in (0, 1):
            called = places <= chosen[1 - half]
            for of_kind, size, sign in zip(rows[half], sizes[half], (1, -1), strict=True):
                rate = np.count_nonzero(called & of_kind) / size
                value += sign * rate / 2
                # A row's influence is its deviation from the rate of its half.
                influences[of_kind] += sign / (2 * size) * (called[of_kind] - rate)
    scale = math.sqrt(1 + FOLD_CORRELATION) / SPLITS
    return _estimate(float(value / SPLITS), *ranked.back(scale * influences), persons)


def _best_place(steps: np.ndarray, last: np.ndarray) -> int:
    """Behind which place the sum of the steps is the largest, -1 (before all) if it is never above 0."""
    curve = np.cumsum(steps, dtype=steps.dtype)
    if len(last) < len(curve):
        curve = curve[last]
    best = int(np.argmax(curve))
    return int(last[best]) if curve[best] > 0 else -1


# ---------------------------------------------------------------------------------------- TPR at a low FPR


def allowed(fpr: float, count: int) -> int:
    """How many of `count` non-members may be called members at a false positive rate of `fpr`: the
    largest whole number that is at most fpr * count, where 0.07 * 100 is 7 although floating point makes it
    less."""
    return math.floor(fpr * count + 1e-9)


def nonmembers_needed(fpr: float) -> int:
    """The fewest non-members with which the TPR at this FPR is reported: 10 of them may be accused. For a
    TNR at this FNR, the fewest members."""
    return math.ceil((FEWEST_ACCUSED - 1e-9) / fpr)


class _Cut(NamedTuple):
    """Of one side, from the lowest loss on, who is called a member: the first `below`, and of those that tie
    with the threshold, up to the place `upto`, a share."""

    below: int
    upto: int
    share: float

    @property
    def called(self) -> float:
        """How many."""
        return self.below + (self.upto - self.below) * self.share

    def of_each(self, count: int) -> np.ndarray:
        """How much of each of `count` losses is called (count,), from 0 to 1."""
        called = np.zeros(count)
        called[: self.below] = 1
        called[self.below : self.upto] = self.share
        return called


def _cuts(members: np.ndarray, nonmembers: np.ndarray, accused: int) -> tuple[_Cut, _Cut]:
    """Of sorted losses, who is called if `accused` of the non-members are: everybody before the next one.

    Losses that tie stand in an order by chance. With k members and l non-members at the threshold, and b
    non-members below it, accused - b of the l are called, and of the k on average those before the next of
    the l: a share of (accused - b + 1) / (l + 1). If nothing leaks that is as if nobody tied.
    """
    if accused < 0:
        return _Cut(0, 0, 0.0), _Cut(0, 0, 0.0)
    if accused >= len(nonmembers):
        return _Cut(len(members), len(members), 0.0), _Cut(len(nonmembers), len(nonmembers), 0.0)
    ends = [
        (
            int(np.searchsorted(losses, nonmembers[accused])),
            int(np.searchsorted(losses, nonmembers[accused], "right")),
        )
        for losses in (members, nonmembers)
    ]
    below, upto = ends[1]
    more = accused - below
    return _Cut(*ends[0], (more + 1) / (upto - below + 1)), _Cut(below, upto, more / (upto - below))


def tpr_with_interval(
    losses: Losses, fpr: float, *, confidence: float = CONFIDENCE
) -> tuple[float, float, float] | tuple[None, None, None]:
    """The TPR at this FPR, and its interval over examples, or persons, as measure_leakage has them at 1%."""
    refuse_confidence(confidence)
    return _tpr_at_fpr(*_ranked(losses).sides, fpr, confidence)


def _tpr(ranked: _Ranked, fpr: float) -> Estimate | None:
    """The largest TPR whose FPR is at most `fpr`; None if fewer than 10 non-members may be accused.

    With t the threshold, a member's influence is (1{x < t} - TPR) / n. A non-member's is
    -slope (1{y < t} - FPR) / m: other non-members would have moved t, and with it the TPR along the ROC
    curve, whose slope there is that of the density ratio (Hsieh and Turnbull 1996, theorem 2.2). It is taken
    from the members and the non-members between the two thresholds that the interval of measure_leakage looks
    at. Losses that tie with t count as much as is called of them.
    """
    if _too_few(ranked.sides, fpr):
        return None
    members, nonmembers = (side.losses for side in ranked.sides)
    n, m = len(members), len(nonmembers)
    caught, accused = _cuts(members, nonmembers, allowed(fpr, m))
    lower, upper = _quantile_ranks(m, fpr, CONFIDENCE)
    more, fewer = (_cuts(members, nonmembers, rank)[0].called for rank in (upper, lower - 1))
    slope = ((more - fewer) / n) / ((min(upper + 1, m) - lower) / m)
    influences = np.empty(n + m)
    influences[ranked.is_member] = (caught.of_each(n) - caught.called / n) / n
    influences[~ranked.is_member] = -slope * (accused.of_each(m) - accused.called / m) / m
    return _estimate(caught.called / n, *ranked.back(influences), ranked.persons)


def _too_few(sides: tuple[_Side, _Side], fpr: float) -> bool:
    """For a TPR: of non-members to be accused, or of persons of a kind."""
    persons = [np.count_nonzero(np.bincount(codes)) for _, codes in sides if codes is not None]
    return (
        allowed(fpr, len(sides[1].losses)) < FEWEST_ACCUSED
        or min(persons, default=math.inf) < FEWEST_EXAMPLES
    )


def _tpr_at_fpr(
    members: _Side, nonmembers: _Side, fpr: float, confidence: float
) -> tuple[float, float, float] | tuple[None, None, None]:
    """The TPR at an FPR and its interval, see measure_leakage. Of sorted losses."""
    if _too_few((members, nonmembers), fpr):
        return None, None, None
    losses = members.losses, nonmembers.losses
    n, m = map(len, losses)
    accused = allowed(fpr, m)
    caught = _cuts(*losses, accused)[0].called
    tpr = caught / n
    if members.codes is None:
        from_members = clopper_pearson(caught, n, confidence)
        # The true threshold lies, with this confidence, between these two of the ordered non-members.
        lower, upper = _quantile_ranks(m, fpr, confidence)
    else:
        # As many members and non-members as these rows of persons tell.
        of_shares = [_cuts(*losses, rank) for rank in (accused, 2 * accused)]
        effective, effective_nonmembers = (
            min(effective_rows(cuts[place].of_each(count), side.codes, confidence) for cuts in of_shares)
            for place, (side, count) in enumerate(((members, n), (nonmembers, m)))
        )
        from_members = clopper_pearson(tpr * effective, effective, confidence)
        lower, upper = _quantile_ranks(effective_nonmembers, fpr, confidence)
        lower = math.floor(lower * m / effective_nonmembers)
        upper = math.ceil(upper * m / effective_nonmembers)
    tpr_low, tpr_high = (_cuts(*losses, rank)[0].called / n for rank in (lower - 1, upper))
    low = tpr - math.hypot(tpr - from_members[0], tpr - tpr_low)
    high = tpr + math.hypot(from_members[1] - tpr, tpr_high - tpr)
    return tpr, max(low, 0.0), min(high, 1.0)


@lru_cache
def _quantile_ranks(m: float, fpr: float, confidence: float) -> tuple[int, int]:
    """How many of m non-members fall below their true `fpr` quantile: the binomial's central part."""
    lower, upper = np.ceil(special.bdtrik([(1 - confidence) / 2, (1 + confidence) / 2], m, fpr))
    return int(lower), int(upper)


def clopper_pearson(hits: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934), `hits` of `trials` (at least 1), which need
    not be whole where they stand for as many trials as others tell."""
    tail = (1 - confidence) / 2
    low = special.betaincinv(hits, trials - hits + 1, tail) if hits else 0.0
    high = special.betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1.0
    return float(low), float(high)


def roc_curve(member_losses: np.ndarray, nonmember_losses: np.ndarray, fprs: np.ndarray) -> np.ndarray:
    """The largest TPR whose FPR is at most each of `fprs` (k,): members positive, ties in an order by
    chance."""
    members = np.sort(checked(member_losses, "member"))
    nonmembers = np.sort(checked(nonmember_losses, "non-member"))
    caught = [_cuts(members, nonmembers, allowed(fpr, len(nonmembers)))[0].called for fpr in fprs]
    return np.array(caught) / len(members)


_ESTIMATES: dict[str, Callable[[_Ranked, int], Estimate | None]] = {
    "auc": lambda ranked, seed: _auc(ranked),
    "heldout_advantage": _heldout,
    "tpr_at_1pct_fpr": lambda ranked, seed: _tpr(ranked, LOW_FPRS["1pct"]),
    "tpr_at_0p1pct_fpr": lambda ranked, seed: _tpr(ranked, LOW_FPRS["0p1pct"]),
}
