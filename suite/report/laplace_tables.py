"""The tables that laplace.py prints, made from its results, and the epsilon of all its answers together."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from dp_accounting.dp_event import (
    DpEvent,
    LaplaceDpEvent,
    RandomizedResponseDpEvent,
    SelfComposedDpEvent,
    ZCDpEvent,
)
from dp_accounting.pld import privacy_loss_distribution as losses
from dp_accounting.pld.common import DifferentialPrivacyParameters
from dp_accounting.privacy_accountant import NeighboringRelation
from dp_accounting.rdp import RdpAccountant
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import betainc, gammaln, log_ndtr, ndtr

from leakage.command_line import counted, show
from suite.support.command_line import in_lines, short

DELTA = 1e-6  # of the total
LARGEST_FAILURE = 0.01  # n times delta; from there on it is said that delta is not small for so many persons
MOST_PLD_ANSWERS, PLD_STEPS = 50_000, 100_000  # with more answers a step is too coarse for a single one
LARGEST_ACCOUNTED = 50.0  # epsilon of an answer; beyond, the accountants' exponentials overflow
# Epsilon of an answer. Below, the accountant's divergences are lost in rounding, and some would be negative,
# which counts as nothing spent. They come to epsilon^2 / 2 of zero-concentrated privacy, less 0.02%.
SMALLEST_DIVERGENCE = 1e-3
RDP_ORDERS = (1 + np.geomspace(1e-3, 1e4, 400)).tolist()  # finer than the accountant's own, so tighter
SKEW_CORRECTED = "skew-corrected"
CONTRADICTION = 2.0  # times the median of the same person's other months: no longer the same income
LOW_FPR, PRIORS = 0.01, (0.5, 0.1)  # of the attacker
COLUMN_LETTERS = 32  # of a column's name in a title, before its middle is cut out
MOST_PERCENT = 10.0  # times; from there on "16,667 times" reads better than "1666666.667%"
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Result:
    """What one query gave on one data set, in the column's unit."""

    query: str
    data_set: str
    lower: float
    upper: float
    truth: float  # of this data set, values beyond the bounds counted as these
    bias: float  # truth of this data set minus truth of the data as recorded
    scale: float | None  # of the Laplace noise; None for a quantile by the exponential mechanism
    epsilon: float  # of one answer
    answers: np.ndarray  # (iterations,)
    promised: bool = True  # False where the data had a say in bounds, n or values: then epsilon is not known
    mean_error: float | None = None  # E|error| of a quantile's answer, over all its candidates

    @property
    def adjective(self) -> str:
        """What an answer may be called: "private" only where an epsilon is promised."""
        return "private" if self.promised else "noisy"

    @property
    def half_width(self) -> float:
        """Of the 95% interval around an answer: Laplace noise is larger than b ln 20 in one of 20 answers."""
        return self.scale * math.log(20)

    def holds(self, truth: float) -> float:
        """The share of answers whose 95% interval holds `truth`."""
        return float(np.mean(np.abs(self.answers - truth) <= self.half_width))


@dataclass(frozen=True)
class Attack:
    """How well one answer tells whether a person's value is `income` or the lower bound."""

    epsilon: float  # that the answer was asked at
    bounds: tuple[float, float]
    income: float
    counts_as: float  # the epsilon that hides this person: less where the income is below the upper bound
    measured: dict[str, float | int | None]  # measure_leakage's, on answers from both neighbours


class Asked(NamedTuple):
    """How many answers were given at which epsilon, by Laplace noise or by the exponential mechanism."""

    epsilon: float
    answers: int
    exponential: bool = False


@dataclass(frozen=True)
class Study:
    """All that is to be printed and drawn, and the figures once they are drawn."""

    column: str
    where: str  # what data these are
    values: np.ndarray  # (n,), as recorded
    corrected: np.ndarray  # (n,), skew-corrected
    usual: np.ndarray  # (n,), each person's most frequent value over all months, or NaN
    others: np.ndarray  # (n,), the median of each person's other months, or NaN
    wide: tuple[float, float]  # the bounds of the data as recorded
    clamp: tuple[float, float]  # the bounds declared for the clamped data
    epsilon: float  # of each answer
    rows_per_person: int
    results: list[Result]
    # Epsilon -> the upper bounds (m,) that a share of it may buy, and the chance of each.
    bound_chances: dict[float, tuple[np.ndarray, np.ndarray]]
    bound_share: float  # of epsilon that buys a bound
    attacks: list[Attack]
    seed: int
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Study: {self.name}, {self.where}; {len(self.results)} results, {len(self.figures)} figures"

    def of(self, query: str, data_set: str) -> Result:
        """The result of one query on one data set."""
        return next(r for r in self.results if (r.query, r.data_set) == (query, data_set))

    @property
    def name(self) -> str:
        """The column's name, cut if it is too long for a title."""
        return short(" ".join(self.column.split()), COLUMN_LETTERS)

    @property
    def kept(self) -> str:
        """What only the wide bound keeps, with its count: recording errors, where persons' values repeat
        from month to month and all these contradict them; else values above the bound."""
        extreme = self.values > self.clamp[1]
        if self.usual_average is not None and (self.values > CONTRADICTION * self.others)[extreme].all():
            return counted(int(extreme.sum()), "recording error")
        return f"{counted(int(extreme.sum()), 'value')} above {self.clamp[1]:,.8g}"

    @property
    def skew(self) -> str:
        """What lies beyond the bounds, and what the persons' other months say of it."""
        lower, upper = self.clamp
        extreme, below = self.values > upper, (self.values < lower).sum()
        share = f"({extreme.mean():.2%}) {'lies' if extreme.sum() == 1 else 'lie'}"
        said = f"{counted(int(extreme.sum()), 'value')} {share} above the bound {upper:,.10g}."
        if extreme.any() and np.isfinite(self.others).any():
            contradicted = (extreme & (self.values > CONTRADICTION * self.others)).sum()
            which = f"{contradicted:,} of them"
            if contradicted == extreme.sum():
                which = "It" if contradicted == 1 else "All"
            one = contradicted == 1
            if self.usual_average is None:  # values that change every month contradict nothing
                said += f" {which} {'is' if one else 'are'} more than {CONTRADICTION:g} times the median of "
                said += "the same person's other months."
            else:
                said += f" {which} {'contradicts' if one else 'contradict'} the same person's other months: "
                said += f"{'it is' if one else 'they are'} more than {CONTRADICTION:g} times the median of "
                said += "these."
        if below:
            lie = "lies" if below == 1 else "lie"
            said += f" {counted(int(below), 'value')} {lie} below the bound {lower:,.10g}."
        beyond = ((self.values < self.wide[0]) | (self.values > self.wide[1])).sum()
        if beyond and self.wide != self.clamp:
            low, high = self.wide
            lie, count = ("lies", "counts") if beyond == 1 else ("lie", "count")
            said += f" As recorded, {beyond:,} {lie} beyond {low:,.10g} ... {high:,.10g} and {count} as the "
            said += "nearer."
        return said

    @property
    def averages(self) -> list[Result]:
        """The results of the averages, a data set each."""
        return [result for result in self.results if result.query == "average"]

    @property
    def usual_average(self) -> float | None:
        """Of the persons' usual values; None where a person has none."""
        return float(self.usual.mean()) if np.isfinite(self.usual).all() else None


def amount(number: float, unit: float, sign: str = "") -> str:
    """A number with decimals that fit `unit`, the largest of its kind: two, or four digits of a small one. A
    number that has hundreds of digits before them has an exponent, whatever the unit."""
    if unit == 0 or not 1e-9 < abs(unit) < 1e15 or abs(number) >= 1e15:
        return f"{number:{sign}.6g}"
    return f"{number:{sign},.{max(2, 3 - math.floor(math.log10(abs(unit))))}f}"


def relative(part: float, whole: float) -> str:
    """A part of the whole in percent; how many times the whole where that is ten times or more. Nothing of a
    whole of 0."""
    if not whole:
        return ""
    times = part / abs(whole)
    return f"{times:.3%}" if times < MOST_PERCENT else f"{times:,.5g} times"


# --------------------------------------------------------------------------------------------- one answer


def averages_table(study: Study) -> pd.DataFrame:
    """The four data sets: bound, true average, what is wrong with it, and the noise of an answer."""
    rows = []
    for result in study.averages:
        unit = max(abs(result.truth), result.scale)
        row = {
            "data set": result.data_set,
            "epsilon": f"{result.epsilon:g}" if result.promised else NOT_KNOWN,
            "upper bound": f"{result.upper:,.8g}",
            "true average": amount(result.truth, unit),
            "bias": amount(result.bias, unit, "+"),
        }
        if study.usual_average is not None:
            row["against usual"] = amount(result.truth - study.usual_average, unit, "+")
        row["noise scale b"] = f"{result.scale:,.6g}"
        row["b / true"] = relative(result.scale, result.truth)
        rows.append(row)
    return pd.DataFrame(rows)


def interval_table(study: Study) -> pd.DataFrame:
    """One answer and its 95% interval, as a reader gets them, and how often such an interval holds what."""
    recorded = study.of("average", "as recorded")
    rows = []
    for result in study.averages:
        unit, answer = max(abs(result.truth), result.scale), float(result.answers[0])
        row = {
            "data set": result.data_set,
            "one answer": amount(answer, unit),
            "± b ln 20": f"{result.half_width:,.6g}",
            "holds the average of these data": f"{result.holds(result.truth):.1%}",
            "as recorded": f"{result.holds(recorded.truth - recorded.bias):.1%}",
        }
        if study.usual_average is not None:
            row["usual"] = f"{result.holds(study.usual_average):.1%}"
        rows.append(row)
    return pd.DataFrame(rows)


def auc_at(epsilon: float) -> float:
    """The AUC of the best attack on one answer with Laplace noise, with neighbours `epsilon` scales apart.

    It is the chance that of two answers the one from the higher neighbour is the higher: the difference of
    two Laplace numbers exceeds x scales with probability exp(-x) (1/2 + x / 4).
    """
    return 1 - math.exp(-epsilon) * (0.5 + epsilon / 4)


def tpr_at(epsilon: float, fpr: float) -> float:
    """The largest TPR at an FPR of at most 1/2, of the same attack: the threshold has the FPR as the upper
    tail of the lower neighbour's answers, and the higher neighbour's answers lie `epsilon` scales higher."""
    if 2 * fpr < math.exp(-epsilon):
        return fpr * math.exp(epsilon)
    return 1 - math.exp(-epsilon) / (4 * fpr)


def posterior_at(epsilon: float, prior: float) -> float:
    """The largest probability that an answer can give to what had the probability `prior` before it."""
    return prior / (prior + (1 - prior) * math.exp(-epsilon))


def attack_table(study: Study) -> pd.DataFrame:
    """What one answer tells an attacker: what cannot be exceeded, and what `leakage` measured."""
    rows = []
    for attack in study.attacks:
        measured, tpr = attack.measured, attack.measured["tpr_at_1pct_fpr"]
        rows.append(
            {
                "a person with": f"{attack.income:,.8g}",
                "bound": f"{attack.bounds[1]:,.8g}",
                "epsilon": f"{attack.epsilon:g}",
                "counts as": f"{attack.counts_as:.4g}",
                "AUC": f"{auc_at(attack.counts_as):.4f}",
                "AUC measured": (
                    f"{measured['auc']:.4f} ± {(measured['auc_high'] - measured['auc_low']) / 2:.4f}"
                ),
                f"TPR at {LOW_FPR:.0%} FPR": f"{tpr_at(attack.counts_as, LOW_FPR):.2%}",
                "TPR measured": f"{tpr:.2%}",
                **{f"from {prior:g}": f"{posterior_at(attack.counts_as, prior):.4f}" for prior in PRIORS},
            }
        )
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------------------------------ the bound


def expected_error(bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """E|bias + noise| of Laplace noise: |bias| + b exp(-|bias| / b). It is less than |bias| + E|noise|, as
    noise that points against the bias takes some of it back."""
    return np.abs(bias) + scale * np.exp(-np.abs(bias) / scale)


def clamped_means(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The averages of the values (n,) cut off at each of the bounds (m,)."""
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    kept = np.searchsorted(ordered, bounds, side="right")
    return (sums[kept] + (len(values) - kept) * bounds) / len(values)


def best_bound(
    values: np.ndarray, lower: float, epsilon: float, truth: float | None = None
) -> tuple[float, int, float]:
    """The upper bound among the values (n,) at which one private average has the least expected error.

    truth: what the average should be; that of the values where nothing is said. Returns the bound, the number
    of values above it, and the expected error. Lowering the bound by d takes d / n off the average for each
    value above it, and d / (n epsilon) off the noise scale. The search looks at the data, so it is for
    learning only.
    """
    target = values.mean() if truth is None else truth
    if not (values > lower).any():
        return lower, 0, abs(lower - target)
    bounds = np.unique(values[values > lower])[::-1]
    clamped = values.clip(min=lower)
    errors = expected_error(
        clamped_means(clamped, bounds) - target, (bounds - lower) / (len(values) * epsilon)
    )
    # Where one more value changes nothing but rounding, the fewest changed values win.
    best = int(np.flatnonzero(errors <= errors.min() * (1 + 1e-12))[0])
    return float(bounds[best]), int((values > bounds[best]).sum()), float(errors[best])


def errors_table(study: Study) -> pd.DataFrame:
    """E|error| of one private average against each truth that there is: the best bound's, and each data set's
    but the skew-corrected one's, whose answers do not have the epsilon that the others have.

    That of the private bound is the mean over all bounds that could be bought, each with its chance.
    """
    rows, private = [], study.averages[-1]
    truths = {"as recorded": study.values.mean()}
    if study.usual_average is not None:
        truths["usual values"] = study.usual_average
    for name, truth in truths.items():
        for epsilon, (bounds, chances) in study.bound_chances.items():
            per_row = epsilon / study.rows_per_person
            best, above, least = best_bound(study.values, private.lower, per_row, truth)
            errors = {
                result.data_set: expected_error(result.truth - truth, result.scale * result.epsilon / epsilon)
                for result in study.averages[:-1]
                if result.data_set != SKEW_CORRECTED
            }
            scales = (bounds - private.lower) / (len(study.values) * per_row * (1 - study.bound_share))
            biases = clamped_means(study.values.clip(min=private.lower), bounds) - truth
            errors[private.data_set] = float(chances @ expected_error(biases, scales))
            unit = min([least, *errors.values()])
            rows.append(
                {
                    "truth": name,
                    "asked at epsilon": f"{epsilon:g}",
                    "best bound": amount(best, best),
                    "above it": f"{above:,}",
                    "its error": amount(least, unit),
                    **{data_set: amount(total, unit) for data_set, total in errors.items()},
                }
            )
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------------------------- other queries


def queries_table(study: Study) -> pd.DataFrame:
    """Sum, maximum and quantile: what clamping takes off, and the mean size of the noise."""
    rows = []
    for result in study.results:
        if result.query == "average":
            continue
        unit = max(abs(result.truth), result.scale or 0.0)
        # E|noise| is b; a quantile's is its distance from the truth, over all candidates with their chances.
        noise = result.mean_error if result.scale is None else result.scale
        rows.append(
            {
                "query": result.query,
                "data set": result.data_set,
                "true value": amount(result.truth, unit),
                "bias": amount(result.bias, unit, "+"),
                "one answer": amount(float(result.answers[0]), unit),
                "mean noise": amount(noise, noise),
                "noise / true": relative(noise, result.truth),
            }
        )
    return pd.DataFrame(rows)


# -------------------------------------------------------------------------------------------- asking again


def error_of_mean(scale: float, answers: int) -> float:
    """E|error| of the mean of N answers with Laplace noise of this scale; for many 2 b / sqrt(pi N).

    The sum of N Laplace numbers is the difference of two Gamma numbers of shape N, whose mean distance is
    2 Gamma(N + 1/2) / (sqrt(pi) Gamma(N)).
    """
    gammas = math.exp(gammaln(answers + 0.5) - gammaln(answers))
    return 2 * scale * gammas / (math.sqrt(math.pi) * answers)


def error_of_median(scale: float, answers: int) -> float:
    """E|error| of the median of N answers with Laplace noise of this scale; for many b sqrt(2 / (pi N)).

    The median of an odd number exceeds x if more than half of the numbers do, each with probability
    exp(-x) / 2: a beta function, and E|median| is twice its integral. Between two odd numbers the same
    function is taken, at most 2.5% too high from 4 on. The median of two is their mean.
    """
    if answers == 2:
        return error_of_mean(scale, answers)
    more_than_half = (answers + 1) / 2
    exceeds = lambda x: betainc(more_than_half, more_than_half, math.exp(-x) / 2)  # noqa: E731
    return 2 * scale * quad(exceeds, 0, 40 / math.sqrt(answers))[0]


def averaging_table(averages: list[Result]) -> pd.DataFrame:
    """What the repetition gives away: the noise that is left if all answers of one query are averaged."""
    rows = []
    for result in averages:
        answers = len(result.answers)
        columns = {
            "one answer": result.scale,
            "mean of all": error_of_mean(result.scale, answers),
            "mean, here": abs(result.answers.mean() - result.truth),
            "median of all": error_of_median(result.scale, answers),
            "median, here": abs(np.median(result.answers) - result.truth),
        }
        unit = result.scale / math.sqrt(answers)
        rows.append(
            {"data set": result.data_set}
            | {name: amount(float(error), unit) for name, error in columns.items()}
        )
    return pd.DataFrame(rows)


@functools.cache
def total_epsilon(asked: tuple[Asked, ...], delta: float = DELTA) -> tuple[float, str]:
    """Epsilon at `delta` of all answers together, and how it was found: the least of these bounds.

    "basic": the sum of all epsilons, at delta 0.
    "PLD": dp_accounting's privacy loss distributions, exact for Laplace noise. There an exponential mechanism
        counts as randomized response, the worst of all of its epsilon (Kairouz, Oh, Viswanath 2015).
    "RDP": dp_accounting's RDP accountant (Mironov 2017, "Renyi Differential Privacy"), looser for Laplace
        noise. But the exponential mechanism has a bounded range (Durfee and Rogers 2019), and so costs no
        more than epsilon^2 / 8 of zero-concentrated privacy (Cesar and Rogers 2021), a fourth of what
        randomized response costs at a small epsilon.
    Laplace noise is taken as ideal.
    """
    basic = math.fsum(row.epsilon * row.answers for row in asked)
    if max(row.epsilon for row in asked) > LARGEST_ACCOUNTED:
        return basic, "basic"
    found = {"basic": basic, "RDP": min(_total_by_rdp(asked, delta, ranged) for ranged in (True, False))}
    if sum(row.answers for row in asked) <= MOST_PLD_ANSWERS:
        found["PLD"] = _total_by_pld(asked, delta)
    method = min(found, key=found.get)
    return found[method], method


def _total_by_rdp(asked: tuple[Asked, ...], delta: float, bounded_range: bool) -> float:
    """By the exponential mechanism's bounded range, or as randomized response, which is less at epsilons of
    tens."""
    accountant = RdpAccountant(RDP_ORDERS, neighboring_relation=NeighboringRelation.REPLACE_ONE)
    for row in asked:
        event: DpEvent = LaplaceDpEvent(1 / row.epsilon)
        small = row.epsilon < SMALLEST_DIVERGENCE
        if row.exponential and (bounded_range or small):
            event = ZCDpEvent(row.epsilon**2 / 8)
        elif small:  # whatever is epsilon private costs no more (Bun and Steinke 2016)
            event = ZCDpEvent(row.epsilon**2 / 2)
        elif row.exponential:
            event = RandomizedResponseDpEvent(2 / (1 + math.exp(row.epsilon)), 2)
        accountant.compose(SelfComposedDpEvent(event, row.answers))
    return accountant.get_epsilon(delta)


def _total_by_pld(asked: tuple[Asked, ...], delta: float) -> float:
    basic = math.fsum(row.epsilon * row.answers for row in asked)
    step = max(basic / PLD_STEPS, max(row.epsilon for row in asked) / 1000)
    together = losses.identity(step)
    for row in asked:
        if row.exponential:
            limits = DifferentialPrivacyParameters(row.epsilon)
            single = losses.from_privacy_parameters(limits, value_discretization_interval=step)
        else:
            # The scale of noise on a sensitivity of 1: in which way neighbours differ is already in it.
            single = losses.from_laplace_mechanism(1 / row.epsilon, value_discretization_interval=step)
        together = together.compose(single.self_compose(row.answers))
    return together.get_epsilon_for_delta(delta)


def gaussian_deviation(epsilon: float, delta: float, answers: int) -> float:
    """The standard deviation of Gaussian noise, in sensitivities, with which so many answers together have
    `epsilon` at `delta`.

    N answers with noise of s sensitivities tell as much as one with s / sqrt(N). With m = sqrt(N) / s its
    delta is exactly Phi(m / 2 - epsilon / m) - e^epsilon Phi(-m / 2 - epsilon / m) (Balle and Wang 2018).
    """

    def excess(m: float) -> float:
        return (ndtr(m / 2 - epsilon / m) - math.exp(epsilon + log_ndtr(-m / 2 - epsilon / m))) / delta - 1

    # Epsilon is 0 where so few answers at so small an epsilon tell no more than delta allows.
    smallest = 1e-9 * min(1, max(epsilon, delta))
    return math.sqrt(answers) / brentq(excess, smallest, math.sqrt(2 * epsilon) + 1)


def laplace_epsilon(total: float, delta: float, answers: int) -> float:
    """Epsilon of each of so many answers with Laplace noise that together have epsilon `total` at `delta`, by
    total_epsilon, to a ten-thousandth of itself."""
    least = total / answers  # by basic composition

    def excess(epsilon: float) -> float:
        return total_epsilon((Asked(epsilon, answers),), delta)[0] - total

    most = least
    while excess(most) <= 0:  # at a small epsilon many answers may tell no more than delta allows
        least, most = most, 2 * most
    return brentq(excess, least, most, xtol=1e-4 * least, rtol=1e-4) if most > least else least


def spending_table(study: Study) -> pd.DataFrame:
    """Epsilon of each query on each data set, of what the private bound costs, and of all of it together; and
    of averages with as much Gaussian noise as makes their total that of the Laplace noise above."""
    groups: dict[tuple[str, bool, Asked], list[str]] = {}
    for result in study.results:
        asked = Asked(result.epsilon, len(result.answers), result.scale is None)
        groups.setdefault((result.data_set, result.promised, asked), []).append(result.query)
    price = Asked(study.bound_share * study.epsilon, 1, exponential=True)
    groups["private bound", study.averages[-1].promised, price] = ["the bound"]
    rows = [
        _spent(data_set, ", ".join(queries), [asked], promised)
        for (data_set, promised, asked), queries in groups.items()
    ]
    known = [
        asked._replace(answers=len(queries) * asked.answers)
        for (_, promised, asked), queries in groups.items()
        if promised
    ]
    if known:
        rows.append(_spent("all but skew-corrected", "everything", known, promised=True))
        clamped = study.of("average", "clamped")
        total, _ = total_epsilon((Asked(clamped.epsilon, len(clamped.answers)),))
        rows.append(
            _spent("clamped", "average, Gaussian noise", [Asked(clamped.epsilon, len(clamped.answers))], True)
            | {
                "epsilon each": "",
                "basic composition": "",
                f"at delta {DELTA:g}": f"{amount(total, total)} (exact)",
            }
        )
    return pd.DataFrame(rows)


def _spent(data_set: str, queries: str, asked: list[Asked], promised: bool) -> dict[str, str]:
    """A row of the table of what is spent."""
    row = {"data set": data_set, "each of": queries, "answers": f"{sum(row.answers for row in asked):,}"}
    if not promised:
        unknown = ("epsilon each", "basic composition", f"at delta {DELTA:g}")
        return row | dict.fromkeys(unknown, NOT_KNOWN)
    basic = math.fsum(row.epsilon * row.answers for row in asked)
    total, method = total_epsilon(tuple(asked))
    return row | {
        "epsilon each": f"{asked[0].epsilon:g}" if len(asked) == 1 else "",
        "basic composition": f"{basic:,.10g}",
        f"at delta {DELTA:g}": f"{amount(total, total)} ({method})",
    }


# ------------------------------------------------------------------------------------------- on the console


def noise_sentence(study: Study) -> str:
    """How much wider the average's noise is as recorded than under the bound of the clamped data, and why."""
    wide, narrow = study.of("average", "as recorded"), study.of("average", "clamped")
    if study.wide == study.clamp:
        return f"all averages have the bound {wide.upper:,.8g}, and noise of the same scale"
    times = f"makes the noise {wide.scale / narrow.scale:,.4g} times as wide"
    if (study.values > study.clamp[1]).any():
        return f"keeping {study.kept} {times}"
    needless = ", which no value needs," if (study.values >= study.clamp[0]).all() else ""
    return f"the range {wide.lower:,.8g} ... {wide.upper:,.8g}{needless} {times}"


def clamping_sentence(study: Study) -> str:
    """How far clamping moves the average, and whether the data as recorded are clamped as well."""
    recorded, clamped = study.of("average", "as recorded"), study.of("average", "clamped")
    unit, usual = max(abs(recorded.truth), recorded.scale), study.usual_average
    low, high = study.clamp
    bounds = f"to {low:,.8g} ... {high:,.8g}" if (study.values < low).any() else f"at {high:,.8g}"
    said = f"lamping {bounds} moves the average by {amount(clamped.bias, unit, '+')}"
    if usual is not None:
        away, side = abs(clamped.truth - usual), "above" if clamped.truth >= usual else "below"
        said += f", to {amount(away, unit)} {side} that of the persons' usual values"
    if study.wide == study.clamp:
        return f"C{said}{': in the row as recorded too, as no wider bound is declared' * bool(recorded.bias)}"
    if recorded.bias:
        said += f"; in the row as recorded, where the bound is {recorded.upper:,.8g}, it is moved by "
        said += amount(recorded.bias, unit, "+")
    return f"But c{said}"


def quantile_sentence(study: Study) -> str:
    """What a maximum and a quantile tell; a quantile beyond its bounds tells the bound."""
    said = "One person can move a maximum from bound to bound, so its noise spans the whole range."
    quantile = study.results[-1]
    if not quantile.bias:
        return f"{said} A high quantile tells more."
    cut, unit = (quantile.upper if quantile.bias < 0 else quantile.lower), abs(quantile.truth - quantile.bias)
    return (
        f"{said} The {quantile.query} tells nothing here: it lies beyond the bound {cut:,.8g}, where it is "
        f"cut, and so is off by {amount(quantile.bias, unit, '+')}, whatever the noise."
    )


def gaussian_sentence(study: Study) -> str:
    """What to do about many questions: Gaussian noise, or one answer to all of them."""
    result = study.of("average", "clamped")
    answers, sensitivity = len(result.answers), result.scale * result.epsilon
    total, _ = total_epsilon((Asked(result.epsilon, answers),))
    same, one = (
        gaussian_deviation(epsilon, DELTA, answers) * sensitivity for epsilon in (total, result.epsilon)
    )
    laplace = math.sqrt(2) * result.scale
    adds_up = "adds up more slowly" if same < laplace else "does not pay for so few answers"
    said = (
        f"What to do about it: Gaussian noise {adds_up}. For the total above, {amount(total, total)}, each "
        f"of {counted(answers, 'clamped average')} needs a standard deviation of {same:,.4g}; Laplace's is "
        f"{laplace:,.4g}."
    )
    if answers > 1:
        times = result.epsilon / laplace_epsilon(result.epsilon, DELTA, answers)
        said += (
            f" For a total of {result.epsilon:g} at the same delta it needs {one:,.4g}, {one / laplace:,.3g} "
            f"times the noise of one answer; Laplace noise needs {times:,.3g} times, "
        )
        # So few answers cost no less at a delta.
        said += "also" if f"{times:,.3g}" == f"{answers:,}" else f"or {answers:,} times"
        said += " at delta 0. Best is to ask once, and publish that answer."
    return said


def delta_sentence(persons: int) -> str:
    """That delta is not small, where it is not for so many persons; else nothing."""
    if persons * DELTA <= LARGEST_FAILURE:
        return ""
    return (
        f"Delta {DELTA:g} is for each person: that the promise fails one of n = {persons:,} may have a "
        f"probability of {min(persons * DELTA, 1):.4g}, which is not small."
    )


def print_study(study: Study) -> None:
    """All that is to be said: first what a reader asks, the answer and how sure it is; last what it cost."""
    recorded, clamped = study.of("average", "as recorded"), study.of("average", "clamped")
    answers, unit = f"{len(recorded.answers):,}", max(abs(recorded.truth), recorded.scale)
    given = counted(len(recorded.answers), "answer")
    asked_at = f"N = {given} to each query at epsilon {study.epsilon:g} each, seed {study.seed}"
    if not recorded.promised:
        asked_at += ". The data had a say in bounds or n, or a person may have two names, so what epsilon "
        asked_at += "that comes to is not known"
    print(in_lines(f"{study.name}: {study.where}; {asked_at}."))

    print("\nIn short")
    print(in_lines(f"{study.name}: {noise_sentence(study)}."))
    usual = study.usual_average
    scales = f"One average has noise of {recorded.scale:,.6g} on average"
    if study.wide != study.clamp:
        scales += f" as recorded, because the bound is {recorded.upper:,.8g}, and of {clamped.scale:,.6g} if "
        scales += f"clamped at {clamped.upper:,.8g}"
    print(in_lines(f"{scales}. {clamping_sentence(study)}."))
    print(in_lines(study.skew))

    print("\nThe average of four data sets; bias: the true average minus that before clamping")
    show(averages_table(study))
    if usual is not None:
        said = f"{amount(usual, unit)} is the average of the persons' usual values, the most frequent"
        print(in_lines(f"{said} of all months."))
    if study.rows_per_person > 1:
        rows = study.rows_per_person
        told = (
            f"A person may have {rows} rows here, so the sensitivity of sum, average and quantile counts "
            f"{rows} times; that of the maximum does not, as all rows together move it from bound to bound "
            "at most. How many each person has is public, as n is."
        )
        print(in_lines(told))

    title = (
        "One answer, and the 95% interval that a reader puts around it: answer ± b ln 20. It is one for the "
        "average of these data as clamped; what clamping takes off is not in it. How often it holds what:"
    )
    print(f"\n{in_lines(title)}")
    show(interval_table(study))

    title = (
        "What one answer tells an attacker who knows everybody else, and of one person that the value is "
        "this or the lower bound: what no attack exceeds, what leakage's attack measured on "
        f"{study.attacks[0].measured['members']:,} answers from either (made-up data; by chance it may lie "
        f"above), and what a suspicion of {PRIORS[0]:g} or {PRIORS[1]:g} can become"
    )
    print(f"\n{in_lines(title)}")
    show(attack_table(study))
    if study.wide != study.clamp:
        under_narrow, under_wide = (
            next(attack for attack in study.attacks if attack.bounds == bounds)
            for bounds in (study.clamp, study.wide)
        )
        told = (
            f"The wide bound's noise is no safer for a person at that bound. For everybody up to "
            f"{study.clamp[1]:,.8g} it is: epsilon counts as one "
            f"{under_narrow.counts_as / under_wide.counts_as:,.4g} times smaller."
        )
        print(in_lines(told))

    title = (
        f"How far off one {clamped.adjective} average is, E|error| = |bias| + b exp(-|bias| / b), against "
        "each truth: "
        "at the best bound, with so many values above it, and on the other data; private bound: over all "
        f"bounds that {study.bound_share:.0%} of epsilon may buy"
    )
    print(f"\n{in_lines(title)}")
    show(errors_table(study))

    print("\nThe other queries; bias: the true value minus that before clamping")
    show(queries_table(study))
    print(in_lines(quantile_sentence(study)))

    title = (
        f"Asking again: the noise of one answer, and what is left of it in the mean and the median of all "
        f"{answers}, on average (for many answers b, 2 b / sqrt(pi N), b sqrt(2 / (pi N))) and here"
    )
    print(f"\n{in_lines(title)}")
    show(averaging_table(study.averages))
    print("\nWhat the answers spend of one person's privacy")
    show(spending_table(study))
    if clamped.promised:
        for sentence in (gaussian_sentence(study), delta_sentence(len(study.values))):
            if sentence:
                print(in_lines(sentence))
    told = (
        "Not private at all, and in no release: true values and what is divided by one, biases, how often "
        "intervals hold what, how many values lie beyond a bound, contradict other months or are missing, "
        "best bounds and all expected errors, how much noise is left here, usual values, the skew-corrected "
        "data and answers, and all figures. Whoever knows the seed can subtract the noise from the rest."
    )
    print(f"\n{in_lines(told)}")
