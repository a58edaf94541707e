"""The tables that laplace.py prints, made from its results, and the epsilon of all its answers together."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from dp_accounting.dp_event import LaplaceDpEvent, RandomizedResponseDpEvent, SelfComposedDpEvent
from dp_accounting.pld import privacy_loss_distribution as losses
from dp_accounting.pld.common import DifferentialPrivacyParameters
from dp_accounting.privacy_accountant import NeighboringRelation
from dp_accounting.rdp import RdpAccountant
from matplotlib.figure import Figure

from leakage.command_line import show
from suite.support.command_line import in_lines

DELTA = 1e-6  # of the total: far below one in n
MOST_PLD_ANSWERS, PLD_STEPS = 50_000, 100_000  # with more answers a step is too coarse for a single one
LARGEST_ACCOUNTED = 50.0  # epsilon of an answer; beyond, the accountants' exponentials overflow
SKEW_CORRECTED = "skew-corrected"
CONTRADICTION = 2.0  # times the median of the same person's other months: no longer the same income

QUERIES_REMARK = (
    "bias: true value of the data set minus true value as recorded. One person can move the maximum from "
    "one bound to the other, so its noise spans the whole range; a high quantile tells more. The correction "
    "reads all values, which no budget pays for: its answers do not have the epsilon they were asked at."
)
ASKED = ["query", "data set", "epsilon", "upper bound", "true value", "bias", "noise scale b"]
ANSWERED = ["query", "data set", "mean of answers", "std of answers", "std / true", "in 95% interval"]
LOOK_FIRST = "normalized_noise_observations.png"


@dataclass(frozen=True)
class Result:
    """What one query gave on one data set, in the column's unit."""

    query: str
    data_set: str
    lower: float
    upper: float
    truth: float  # of this data set
    bias: float  # truth of this data set minus truth of the data as recorded
    scale: float | None  # of the Laplace noise; None for a quantile by the exponential mechanism
    epsilon: float  # of one answer
    answers: np.ndarray  # (iterations,)

    @property
    def coverage(self) -> float:
        """The share of answers in the 95% interval, truth +- scale * ln 20."""
        return float(np.mean(np.abs(self.answers - self.truth) <= self.scale * math.log(20)))


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
    usual: np.ndarray  # (n,), each person's most frequent value over all months, or NaN
    others: np.ndarray  # (n,), the median of each person's other months, or NaN
    clamp: tuple[float, float]  # the bounds declared for the clamped data
    epsilon: float  # of each answer
    rows_per_person: int
    results: list[Result]
    private_bounds: dict[float, np.ndarray]  # epsilon -> the bounds (iterations,) that a share of it bought
    bound_share: float  # of epsilon that buys a bound
    seed: int
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Study: {self.column}, {self.where}; {len(self.results)} results, {len(self.figures)} figures"

    def of(self, query: str, data_set: str) -> Result:
        """The result of one query on one data set."""
        return next(r for r in self.results if (r.query, r.data_set) == (query, data_set))

    @property
    def skew(self) -> str:
        """A sentence on the values beyond the bounds, and on what the persons' other months say of them."""
        lower, upper = self.clamp
        extreme, below = self.values > upper, (self.values < lower).sum()
        said = f"{extreme.sum():,} values ({extreme.mean():.2%}) lie above the bound {upper:,.10g}."
        if extreme.any() and np.isfinite(self.others).any():
            contradicted = (extreme & (self.values > CONTRADICTION * self.others)).sum()
            said += (
                f" {contradicted:,} of them contradict the same person's other months: they are more than "
                f"{CONTRADICTION:g} times the median of these."
            )
        return said + (f" {below:,} values lie below the bound {lower:,.10g}." if below else "")

    @property
    def averages(self) -> list[Result]:
        """The results of the averages, a data set each."""
        return [result for result in self.results if result.query == "average"]


def amount(number: float, unit: float, sign: str = "") -> str:
    """A number with decimals that fit `unit`, the largest of its kind: two, or four digits of a small one."""
    if unit == 0 or not 1e-9 < abs(unit) < 1e15:
        return f"{number:{sign}.6g}"
    return f"{number:{sign},.{max(2, 3 - math.floor(math.log10(abs(unit))))}f}"


@functools.cache
def total_epsilon(asked: tuple[Asked, ...], delta: float = DELTA) -> tuple[float, str]:
    """Epsilon at `delta` of all answers together, and the accountant of dp_accounting that gave it.

    That is its privacy loss distributions (PLD), or for too many answers its RDP accountant (Mironov 2017,
    "Renyi Differential Privacy"), which is looser; basic composition, the sum of all epsilons at delta 0, is
    the ceiling of both. Laplace noise is taken as ideal. The exponential mechanism counts as randomized
    response, the worst of all mechanisms of its epsilon (Kairouz, Oh, Viswanath 2015).
    """
    basic = math.fsum(row.epsilon * row.answers for row in asked)
    if max(row.epsilon for row in asked) > LARGEST_ACCOUNTED:
        return basic, "basic"
    if sum(row.answers for row in asked) > MOST_PLD_ANSWERS:
        accountant = RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_ONE)
        for row in asked:
            response = RandomizedResponseDpEvent(2 / (1 + math.exp(row.epsilon)), 2)
            event = response if row.exponential else LaplaceDpEvent(1 / row.epsilon)
            accountant.compose(SelfComposedDpEvent(event, row.answers))
        return min(accountant.get_epsilon(delta), basic), "RDP"
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
    return min(together.get_epsilon_for_delta(delta), basic), "PLD"


def answers_table(results: list[Result]) -> pd.DataFrame:
    """One row per query and data set; `bias` is that data set's true value minus the one as recorded."""
    rows = []
    for result in results:
        several = len(result.answers) > 1
        # Of the distances from one answer, so that equal answers have none: the mean of equal numbers rounds.
        spread = (result.answers - result.answers[0]).std()
        unit = max(abs(result.truth), result.scale or 0.0)
        rows.append(
            {
                "query": result.query,
                "data set": result.data_set,
                "epsilon": f"{result.epsilon:g}",
                "upper bound": f"{result.upper:,.8g}",
                "true value": amount(result.truth, unit),
                "bias": amount(result.bias, unit),
                "noise scale b": "" if result.scale is None else f"{result.scale:,.6g}",
                "mean of answers": amount(result.answers.mean(), unit),
                "std of answers": f"{spread:,.6g}" if several else "",
                "std / true": f"{spread / abs(result.truth):.3%}" if several and result.truth else "",
                "in 95% interval": "" if result.scale is None else f"{result.coverage:.1%}",
            }
        )
    return pd.DataFrame(rows)


def clamped_means(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The averages of the values (n,) cut off at each of the bounds (m,)."""
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    kept = np.searchsorted(ordered, bounds, side="right")
    return (sums[kept] + (len(values) - kept) * bounds) / len(values)


def best_bound(
    values: np.ndarray, lower: float, epsilon: float, truth: float | None = None
) -> tuple[float, int, float, float]:
    """The upper bound among the values (n,) that makes |bias| + E|noise| of the private average least.

    truth: what the average should be; that of the values where nothing is said. Returns the bound, the
    number of values above it, |bias| and E|noise|. Against the values' own average, lowering the bound by d
    takes d / n off the average for each value above it, and d / (n epsilon) off the noise: it pays until
    1 / epsilon values lie above. The search looks at the data, so it is for learning only.
    """
    bounds = np.unique(values[values > lower])[::-1] if (values > lower).any() else np.array([lower])
    target = values.mean() if truth is None else truth
    bias = np.abs(clamped_means(values, bounds) - target)
    noise = (bounds - lower) / (len(values) * epsilon)
    # Where one more value changes nothing but rounding, the fewest changed values win.
    total = bias + noise
    best = int(np.flatnonzero(total <= total.min() * (1 + 1e-12))[0])
    return float(bounds[best]), int((values > bounds[best]).sum()), float(bias[best]), float(noise[best])


def bounds_table(study: Study) -> pd.DataFrame:
    """|bias| + E|noise| of one private average against two truths: the best bound's, and each data set's but
    the skew-corrected one's, whose answers do not have the epsilon that the others have.

    That of the private bound is the mean over all the bounds bought, with its standard error.
    """
    rows, lower = [], study.averages[0].lower
    truths = {"as recorded": study.values.mean()}
    if np.isfinite(study.usual).all():
        truths["usual values"] = study.usual.mean()
    for name, truth in truths.items():
        for epsilon, bounds in study.private_bounds.items():
            per_row = epsilon / study.rows_per_person
            best, above, bias, noise = best_bound(study.values, lower, per_row, truth)
            errors = {
                result.data_set: abs(result.truth - truth) + result.scale * result.epsilon / epsilon
                for result in study.averages[:-1]
                if result.data_set != SKEW_CORRECTED
            }
            private = study.averages[-1]
            floor, left = private.lower, per_row * (1 - study.bound_share)
            bought = np.abs(clamped_means(study.values.clip(min=floor), bounds) - truth)
            bought += (bounds - floor) / (len(study.values) * left)
            unit = min([bias + noise, *errors.values()])
            error = bought.std() / math.sqrt(len(bounds))
            rows.append(
                {
                    "truth": name,
                    "epsilon": f"{epsilon:g}",
                    "best bound": amount(best, best),
                    "above it": f"{above:,}",
                    "its error": amount(bias + noise, unit),
                    **{data_set: amount(total, unit) for data_set, total in errors.items()},
                    private.data_set: f"{amount(bought.mean(), unit)} ± {amount(error, unit)}",
                }
            )
    return pd.DataFrame(rows)


def averaging_table(averages: list[Result]) -> pd.DataFrame:
    """What the repetition gives away: the error that is left if all answers of one query are averaged."""
    rows = []
    for result in averages:
        root = math.sqrt(len(result.answers))
        columns = {
            "one answer": result.scale,
            "mean": abs(result.answers.mean() - result.truth),
            "expected of it": math.sqrt(2) * result.scale / root,
            "median": abs(np.median(result.answers) - result.truth),
            "expected of that": result.scale / root,
        }
        texts = {name: amount(error, result.scale / root) for name, error in columns.items()}
        rows.append({"data set": result.data_set} | texts)
    return pd.DataFrame(rows)


def spending_table(study: Study) -> pd.DataFrame:
    """Epsilon of each query on each data set, of what the private bounds cost, and of all of it together."""
    groups: dict[tuple[str, Asked], list[str]] = {}
    for result in study.results:
        asked = Asked(result.epsilon, len(result.answers), result.scale is None)
        groups.setdefault((result.data_set, asked), []).append(result.query)
    rows = [(data_set, ", ".join(queries), [asked]) for (data_set, asked), queries in groups.items()]
    bounds = [
        Asked(study.bound_share * epsilon, len(bounds), exponential=True)
        for epsilon, bounds in study.private_bounds.items()
    ]
    rows += [("private bound", "the bounds", [asked]) for asked in bounds]
    known = [
        asked._replace(answers=len(queries) * asked.answers)
        for (data_set, asked), queries in groups.items()
        if data_set != SKEW_CORRECTED
    ]
    rows.append(("all but skew-corrected", "everything", known + bounds))
    table = []
    for data_set, queries, asked in rows:
        basic = math.fsum(row.epsilon * row.answers for row in asked)
        total, method = total_epsilon(tuple(asked))
        spent = (f"{basic:,.10g}", f"{amount(total, total)} ({method})")
        if data_set == SKEW_CORRECTED:
            spent = ("not known", "not known")
        table.append(
            {
                "data set": data_set,
                "each of": queries,
                "answers": f"{sum(row.answers for row in asked):,}",
                "epsilon each": f"{asked[0].epsilon:g}" if len(asked) == 1 else "",
                "basic composition": spent[0],
                f"at delta {DELTA:g}": spent[1],
            }
        )
    return pd.DataFrame(table)


def noise_sentence(study: Study) -> str:
    """How much wider the average's noise is as recorded than skew-corrected, each relative to its truth."""
    wide, narrow = (study.of("average", data_set) for data_set in ("as recorded", SKEW_CORRECTED))
    relative = wide.truth != 0 != narrow.truth
    ratio = wide.scale / narrow.scale * (abs(narrow.truth / wide.truth) if relative else 1)
    said = f"without skew correction the noise is {ratio:,.3g} times as wide"
    if 0.95 < ratio < 1.05:
        said = "with and without skew correction the noise is about equally wide"
    return said + (", relative to the true average" if relative else "")


def print_conclusion(study: Study) -> None:
    """All that is to be said after the last answer: queries, bounds, spending, and what averaging undoes."""
    result = study.results[0]
    answers = f"{len(result.answers):,}"
    heading = f"N = {answers} answers at epsilon {study.epsilon:g} each, seed {study.seed}"
    print(in_lines(f"{study.column}: {study.where}; {heading}"))
    print("\nWhat is asked")
    table = answers_table(study.results)
    show(table[ASKED])
    print("\nWhat is answered")
    show(table[ANSWERED])
    print(in_lines(QUERIES_REMARK))
    if study.rows_per_person > 1:
        rows = study.rows_per_person
        print(f"A person may have {rows} rows here, so every sensitivity counts {rows} times.")
    print(f"\n{in_lines(study.skew)}")
    if np.isfinite(study.usual).all():
        usual, unit = study.usual.mean(), study.averages[0].truth
        offsets = ", ".join(
            f"{amount(row.truth - usual, unit, '+')} {row.data_set}" for row in study.averages
        )
        against = f"Against the average of the persons' usual values, {amount(usual, unit)}"
        print(in_lines(f"{against}, the bias is {offsets}."))
    title = (
        "|bias| + E|noise| of one private average against two truths: of the best bound, with so many values "
        f"above it, and of the others; of the private bound the mean over {answers} ± its standard error"
    )
    print(f"\n{in_lines(title)}")
    show(bounds_table(study))
    print("\nWhat the answers spend of one person's privacy")
    show(spending_table(study))
    print("True values, biases and best bounds are not private at all.")
    title = (
        "What averaging the answers gives away: how far off the truth one answer is (E|noise| = b), and the "
        f"mean and the median of all {answers}; expected are sqrt(2) b / sqrt(N) and b / sqrt(N)"
    )
    print(f"\n{in_lines(title)}")
    show(averaging_table(study.averages))


def print_in_short(study: Study, folder: Path) -> None:
    """The answer to the study's question, and where its figures are."""
    wide, narrow = (study.of("average", data_set) for data_set in ("as recorded", "clamped"))
    scales = f"The noise of one private average has the scale {wide.scale:,.6g} as recorded"
    if wide.upper != narrow.upper:
        scales += f", under the bound {wide.upper:,.8g}, and {narrow.scale:,.6g} if clamped at "
        scales += f"{narrow.upper:,.8g}: it follows the bound, not the typical value"
    print(f"\nIn short\n{in_lines(f'{study.column}: {noise_sentence(study)}.')}\n{in_lines(f'{scales}.')}")
    print(f"{len(study.figures)} figures are in {folder}\nLook first at {folder / LOOK_FIRST}")
