"""Why skewed data need more noise: private sums, averages and maxima by the Laplace mechanism.

The question. A bank publishes the average income of its customers. It must not reveal any single income, so
it adds random noise. How much noise does that take, and why so much more when the column is skewed?

The promise. Two data sets are neighbouring if they differ in one person's value; everything else is public:
the number of values n, and each person's number of rows. An answer is epsilon private if no neighbour makes
any answer more than e^epsilon times as likely. Whoever sees the answer then learns little about one person.

The idea. The Laplace mechanism (Dwork, McSherry, Nissim, Smith 2006, "Calibrating Noise to Sensitivity in
Private Data Analysis") adds noise of scale b = sensitivity / epsilon: b is its mean size. The sensitivity is
the most that one person can change the answer. With every value clamped to [lower, upper], so that a value
beyond counts as the bound, it is

    sum      upper - lower
    average  (upper - lower) / n
    maximum  upper - lower

If a person may have K rows, that of sum and average is K times as large; that of the maximum is not, because
all rows together move it from one bound to the other at most. So the noise follows the upper bound, not the
typical value: to keep one income of 24 million among thousands of 50 thousand, everybody's noise must be over
100 times wider. The bounds must be declared without a look at the data: bounds that follow the data tell what
the noise hides. A person without a value would change n. So either --missing-as fills the gap, or no epsilon
is promised. mia.py's private training rests on the same idea: it clips gradients where this clamps values.

What is run. December's incomes as four data sets: as recorded, under a bound so wide that it changes no
record (of another column --widest declares it; without, this row is clamped as the third); skew-corrected
(the highest 1.5%, those above the 0.985 quantile, are redrawn from the others); clamped at declared bounds;
and clamped at an upper bound that a tenth of epsilon buys. That bound is a guess at the 0.95 quantile, which
95% of the values do not exceed, by the exponential mechanism: one of 200 public candidates is drawn, and the
nearer it is to the quantile, the likelier. Each query is asked N times, 1,000 unless --iterations says
otherwise, and spends epsilon each time, which no real release may do: the last tables show what that costs.
And an attacker is played, who tells two neighbours apart by one answer.

What to expect. Four figures in figures/ and seven tables on the console, in a few seconds.

    python laplace.py                  the real data if they can be had, else a fictional sample
    python laplace.py --data FILE --column Monthly_Balance --missing-as 0 --lower 0 --upper 2000 --widest 1e5
    python laplace.py --help

The generator is numpy's and seeded, so that figures repeat. Whoever knows the seed can subtract the noise,
and two runs with one seed share theirs: a real release takes its randomness from the operating system.
"""

import copy
import gc
import hashlib
import math
import numbers
import operator
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

if sys.version_info < (3, 11):  # noqa: UP036, as an older one is told here
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    print(f"laplace.py: needs Python 3.11 or later, this is {python}", file=sys.stderr)
    sys.exit(2)

import numpy as np

from leakage import measure_leakage
from leakage.command_line import OneLineParser, finite_number, positive_number, run
from leakage.look import save_figures
from leakage.output import output_folder
from suite.report.laplace_figures import study_figures
from suite.report.laplace_tables import COLUMN_LETTERS, SKEW_CORRECTED, Attack, Result, Study, print_study
from suite.sources.cleaning import composed, prepareData
from suite.sources.credit import (
    CUSTOMER,
    KAGGLE_NAME,
    MONTH,
    SAMPLE_NAME,
    STUDY_MONTH,
    describe_csv,
    find_credit_csv,
    load_column,
)
from suite.support.command_line import BadInput, in_lines, seed_number, short, whole_number
from suite.support.notebook import show_figures

ITERATIONS = 1000
EPSILON = 1.0  # of each single answer
SKEW_QUANTILE = 0.985
SEED = 0
FIGURES = Path(__file__).resolve().parent / "figures"
LOOK_FIRST = "normalized_noise_observations.png"

STUDY_COLUMN = "Annual_Income"
STUDY_FILES = (KAGGLE_NAME, SAMPLE_NAME)
# Declared, not looked up: hardly anybody who asks a high-street bank for credit earns over 200,000 a year.
DECLARED_BOUNDS = (0.0, 200_000.0)
# Chosen by us, who know that the file's maximum is about 24.1 million, so that no record changes. A bank that
# only knows that its form takes eight digits would have to take 99,999,999: noise 500 times as wide as under
# 200,000, not 125 times.
WIDEST_BOUNDS = (0.0, 25_000_000.0)
# A tenth of epsilon finds a quantile to about ln(candidates) * 20 / epsilon ranks, 1% of 12,500 at epsilon 1.
# So the quantile lies well below 1.
BOUND_SHARE, BOUND_QUANTILE = 0.1, 0.95
CANDIDATE_STEPS = np.geomspace(1e-5, 1, 200)  # from the lower bound on, as shares of the way to the upper one

ATTACKED_EPSILONS = (0.1, 1.0, 10.0)
ATTACKED_ANSWERS = 10_000  # on each of two neighbours

GRID_STEPS_PER_SCALE = 2.0**40  # Google, "Secure Noise Generation"
# Grid and scale grow together as epsilon falls. Near 2^-28 the grid would no longer be fine beside the
# sensitivity, which _with_noise refuses with words about the bounds. This stays clear of it.
SMALLEST_EPSILON = 2.0**-20
LARGEST_EPSILON = 1000.0  # of the study: e^1000 promises nothing, whatever noise is still there
MOST_ANSWERS = 10_000_000  # of one query: more would not fit into a laptop's memory


# ----------------------------------------------------------------------------------------- the mechanism

Seed = int | np.random.Generator | None  # of numpy's generator; None for a fresh one
_asked: dict[int, tuple] = {}  # integer seed -> the question that it has answered in this process


class PrivacyLeakWarning(UserWarning):
    """What should have been declared was taken from the data, or noise was used twice: that reveals data."""


def _with_noise(
    true_answer: float, largest_answer: float, sensitivity: float, iterations: int, epsilon: float, seed: Seed
) -> np.ndarray:
    """The true answer plus Laplace noise of scale sensitivity / epsilon. In every textbook that is

        true_answer + generator.laplace(scale=sensitivity / epsilon, size=iterations)

    But floating-point Laplace noise does not reach every number. Which ones it misses depends on the true
    answer, so the low bits of an answer can give it away (Mironov 2012, "On Significance of the Least
    Significant Bits for Differential Privacy"). Here the true answer is rounded to a multiple of a power of
    two, the grid, and the noise is a whole number k of grid steps with probability proportional to
    exp(-rate |k|), after Google's "Secure Noise Generation" (2020). The grid is 2^40 times finer than the
    scale, or as fine as floating-point numbers allow. Every answer can then come from every data set, up to
    a probability of about exp(epsilon - 44) / 2, 1e-19 at epsilon 1: numpy's geometric ends at 44 scales.
    Its exponential number has 53 bits, a few thousand of its values to each k, so that the chances of k are a
    little uneven, and of the difference of two as well: up to 10 scales by at most 4e-10 of themselves. So a
    ratio may exceed e^epsilon by 1e-9 of itself, and the promise holds up to a probability of 4e-12 more;
    that is what the enumeration in tests/test_laplace.py, with fewer bits, comes to at 53.
    """
    iterations, epsilon = _asked_for(iterations, epsilon, SMALLEST_EPSILON)
    # math.fsum does not depend on the order of the rows, but it rounds, and so does the division by n. On a
    # grid no finer than four times the spacing of floating-point numbers, that stays below a step.
    finest = max(sensitivity / epsilon / GRID_STEPS_PER_SCALE, 4 * math.ulp(largest_answer))
    grid = 2.0 ** math.ceil(math.log2(finest))
    # Neighbours' answers therefore differ by at most the sensitivity, one step for that rounding, and one
    # for the rounding to the grid.
    if 2 * grid > sensitivity / 1000:
        raise BadInput("the bounds are too far from 0 for their distance; subtract a constant from the data")
    rate = epsilon * grid / (sensitivity + 2 * grid)
    stop = -math.expm1(-rate)
    generator = _generator(seed, (true_answer, sensitivity, epsilon), stacklevel=4)
    noise = generator.geometric(stop, iterations) - generator.geometric(stop, iterations)
    return (round(true_answer / grid) + noise) * grid


def repeated_sum(
    iterations: int,
    data: Sequence[float],
    privacy_budget: float,
    *,
    lower_bound: float = 0.0,
    upper_bound: float | None = None,
    seed: Seed = None,
) -> np.ndarray:
    """Private sums of `data`, each spending `privacy_budget`.

    iterations: number of answers, 1 to 10 million.
    data: finite numbers, one per person; their number is public. Each is clamped to the bounds.
    privacy_budget: epsilon of one answer, at least 2^-20; where a person has up to K rows, epsilon / K.
    lower_bound, upper_bound: declared range of one value. Without an upper bound the data's own maximum is
        taken, and a PrivacyLeakWarning says that this leaks. A lower bound of 0 warns where it clips.
    seed: pass one Generator on to all calls. Two answers with one integer seed have the same noise, so that
        their difference is exact; a PrivacyLeakWarning says so.
    Returns float64 (iterations,). Raises ValueError or TypeError for what cannot be used.
    """
    values, lower, upper = _clamped(data, lower_bound, upper_bound)
    largest = len(values) * max(abs(lower), abs(upper))
    return _with_noise(math.fsum(values), largest, upper - lower, iterations, privacy_budget, seed)


def repeated_average(
    iterations: int,
    data: Sequence[float],
    privacy_budget: float,
    *,
    lower_bound: float = 0.0,
    upper_bound: float | None = None,
    seed: Seed = None,
) -> np.ndarray:
    """Private averages of `data`: as repeated_sum, with noise narrower by the factor n."""
    values, lower, upper = _clamped(data, lower_bound, upper_bound)
    average, sensitivity = math.fsum(values) / len(values), (upper - lower) / len(values)
    return _with_noise(average, max(abs(lower), abs(upper)), sensitivity, iterations, privacy_budget, seed)


def repeated_max(
    iterations: int,
    data: Sequence[float],
    privacy_budget: float,
    *,
    lower_bound: float = 0.0,
    upper_bound: float | None = None,
    seed: Seed = None,
) -> np.ndarray:
    """Private maxima of `data`: as repeated_sum, but the whole epsilon however many rows a person has.

    One person's rows, one or all of them, can move the maximum from one bound to the other, and no further.
    So the noise spans the whole range; repeated_quantile tells more.
    """
    values, lower, upper = _clamped(data, lower_bound, upper_bound)
    largest = max(abs(lower), abs(upper))
    return _with_noise(float(values.max()), largest, upper - lower, iterations, privacy_budget, seed)


def repeated_quantile(
    iterations: int,
    data: Sequence[float],
    privacy_budget: float,
    quantile: float,
    *,
    lower_bound: float,
    upper_bound: float,
    candidates: int | Sequence[float] = 1001,
    seed: Seed = None,
) -> np.ndarray:
    """Private quantiles of `data`, each a candidate drawn by the exponential mechanism.

    As repeated_sum, and: quantile: 0 to 1. candidates: the public values that an answer can be, within the
    bounds; or how many of them, at equal distances from bound to bound.
    The probabilities are those of quantile_weights, but for rounding: the uniform number that an answer is
    drawn with has steps of 2^-53. So a candidate's chance may be off by 2^-51, and the promise of epsilon
    holds up to a probability of (1 + e^epsilon) 2^-51 for each candidate: 2e-15 at epsilon 1, 1e-11 at 10.
    From epsilon 36 on nothing is promised.
    """
    values, lower, upper = _clamped(data, lower_bound, upper_bound)
    if not 0 <= _finite("quantile", quantile) <= 1:
        raise BadInput(f"the quantile must lie between 0 and 1, not {quantile}")
    grid = _candidates(candidates, lower, upper)
    iterations, epsilon = _asked_for(iterations, privacy_budget, math.ulp(0.0))
    cumulated = np.cumsum(quantile_weights(values, epsilon, quantile, grid))
    question = hash(np.sort(values).tobytes()), quantile, epsilon
    uniform = _generator(seed, question, stacklevel=3).random(iterations)
    return grid[np.searchsorted(cumulated, uniform * cumulated[-1], side="right").clip(max=len(grid) - 1)]


def quantile_weights(values: np.ndarray, epsilon: float, quantile: float, grid: np.ndarray) -> np.ndarray:
    """The exponential mechanism: what the probability of each candidate in the grid (m,) is proportional to.

    A candidate c has the score -distance of quantile * n from the interval [values below c, values up to c].
    One person's value changes either count by at most 1, so the score's sensitivity is 1, and c is drawn
    with probability proportional to exp(epsilon * score / 2) (McSherry and Talwar 2007, "Mechanism Design
    via Differential Privacy"; Smith 2011, for quantiles). values (n,): clamped. Returns (m,), the largest 1.
    """
    values, target = np.sort(values), quantile * len(values)
    below, up_to = (np.searchsorted(values, grid, side) for side in ("left", "right"))
    score = -np.maximum(0, np.maximum(below - target, target - up_to))
    return np.exp(epsilon / 2 * (score - score.max()))


def _candidates(candidates: int | Sequence[float], lower: float, upper: float) -> np.ndarray:
    """The candidates in rising order, each once."""
    if np.ndim(candidates) == 0:
        if isinstance(candidates, bool | np.bool_) or not isinstance(candidates, numbers.Integral):
            raise TypeError(f"candidates must be a whole number or a row of numbers, not {candidates!r}")
        candidates = np.linspace(lower, upper, max(int(candidates), 0))
    grid = np.unique(np.asarray(candidates, float))
    if not len(grid) or not lower <= grid[0] <= grid[-1] <= upper:
        raise BadInput("the candidates must be at least one number, all within the bounds")
    return grid


def _clamped(data: Sequence[float], lower: float, upper: float | None) -> tuple[np.ndarray, float, float]:
    """The data clamped to the bounds, and the bounds."""
    values = np.asarray(data)
    if values.dtype.kind not in "iuf" or np.ma.is_masked(data):
        raise TypeError(f"the data must be floats or integers without gaps, not {values.dtype} or masked")
    if values.ndim != 1 or not len(values):
        raise BadInput(f"the data must be one row of at least one number, not of shape {values.shape}")
    values = values.astype(float)
    if not np.isfinite(values).all():
        raise BadInput("the data hold NaN or infinite values; drop them first")
    if upper is None:
        upper = float(values.max())
        told = "no upper_bound was declared: the data's own maximum is taken, and the noise reveals it"
        warnings.warn(told, PrivacyLeakWarning, stacklevel=3)
    lower, upper = _finite("lower_bound", lower), _finite("upper_bound", upper)
    if lower >= upper:
        raise BadInput(f"lower_bound {lower:g} must be below upper_bound {upper:g}")
    if upper - lower < 1e-100 or max(abs(lower), abs(upper)) > 1e100:
        raise BadInput("the bounds must lie within +-1e100, and 1e-100 apart; change the unit")
    if lower == 0 and (values < 0).any():
        warnings.warn("lower_bound is 0, so negative values count as 0", UserWarning, stacklevel=3)
    return np.clip(values, lower, upper), lower, upper


def _finite(name: str, number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name} must be a number, not {number!r}")
    if not math.isfinite(number):
        raise BadInput(f"{name} must be finite, not {number}")
    return float(number)


def _asked_for(iterations: int, privacy_budget: float, smallest: float) -> tuple[int, float]:
    """How many answers, and epsilon of each."""
    answers, epsilon = operator.index(iterations), _finite("privacy_budget", privacy_budget)
    if not 1 <= answers <= MOST_ANSWERS:
        raise BadInput(f"the number of iterations must be 1 to {MOST_ANSWERS:,}, not {answers:,}")
    if epsilon < smallest:
        raise BadInput(f"privacy_budget (epsilon) must be at least {smallest:.2g}, not {epsilon:g}")
    return answers, epsilon


def _generator(seed: Seed, question: tuple, stacklevel: int) -> np.random.Generator:
    """The generator; a warning if this integer seed has answered another question before.

    stacklevel: that of warnings.warn, so that the warning names the line that asked the question.
    """
    if isinstance(seed, numbers.Integral) and _asked.setdefault(int(seed), question) != question:
        told = f"seed {seed} has answered before: equal seeds give equal noise. Pass one Generator on instead"
        warnings.warn(told, PrivacyLeakWarning, stacklevel=stacklevel)
    return np.random.default_rng(seed)


# --------------------------------------------------------------------------------------------- the study


class Query(NamedTuple):
    """One row of the list of queries: the private answer, the true one, and the sensitivity."""

    name: str
    private: Callable[..., np.ndarray]
    true: Callable[[prepareData, str], float]
    sensitivity: Callable[[float, int], float]  # to one row: of the width of the bounds, and of n
    rows_add_up: bool  # whether K rows of a person change the answer K times as much as one


QUERIES = [
    Query("sum", repeated_sum, prepareData.nonprivate_sum, lambda width, n: width, True),
    Query("average", repeated_average, prepareData.nonprivate_average, lambda width, n: width / n, True),
    Query("maximum", repeated_max, prepareData.nonprivate_max, lambda width, n: width, False),
]


@dataclass(frozen=True)
class DataSet:
    """One row of the list of data sets: the same people's values, treated one way, and their bounds."""

    name: str
    prepared: prepareData
    bounds: tuple[float, float]
    share: float = 1.0  # of epsilon that is left for an answer
    promised: bool = True  # whether its answers have the epsilon that they are asked at


def declared_bounds(
    values: np.ndarray, column: str, lower: float | None, upper: float | None, widest: float | None
) -> tuple[tuple[float, float], tuple[float, float], bool]:
    """The bounds `wide` of the data as recorded, those to `clamp` at, and whether both of `clamp` were
    declared.

    lower, upper, widest: the bounds to clamp at, and the upper one of the data as recorded; None where
    nothing is said. Then those of the study hold, if this is its column; else they come from the data, but
    for the widest under an upper bound that was declared, which is then both.

    Where both were, no value of the data has a say in them: a value beyond counts as the bound. Where one was
    not, it is taken from the data, which leaks; that is said, and no answer has the epsilon it was asked at.
    """
    low, high, end = lower, upper, widest  # to clamp at, and the upper end of `wide`
    least = math.inf  # what the lower end of `wide` is at most
    if column == STUDY_COLUMN:
        (least, study_end), (study_low, study_high) = WIDEST_BOUNDS, DECLARED_BOUNDS
        low, high = study_low if low is None else low, study_high if high is None else high
        end = max(high, study_end) if end is None else end
    undeclared = [side for side, bound in (("lower", low), ("upper", high)) if bound is None]
    if undeclared:
        lacking, options = " and no ".join(undeclared), " and --".join(undeclared)
        leak = "was declared; it is taken from the data, and leaks. Declare what is known beforehand with"
        print(in_lines(f"Warning: no {lacking} bound of {short(column, COLUMN_LETTERS)} {leak} --{options}."))
    low = float(values.min()) if low is None else low
    if high is None:
        high, end = float(np.quantile(values, SKEW_QUANTILE)), float(values.max()) if end is None else end
    if low >= high and undeclared:
        told = f"the smallest value, {low:g}, is not below the {SKEW_QUANTILE:g} quantile, {high:g}"
        if values.min() == values.max():
            told = f"the data's smallest and largest value are both {values.max():g}"
        elif len(undeclared) == 1:
            other, bound = ("upper", high) if undeclared == ["lower"] else ("lower", low)
            told = f"the declared {other} bound {bound:g} leaves no room for one from the data"
        raise BadInput(f"{told}; declare --lower and --upper")
    if low >= high:
        raise BadInput(f"the lower bound {low:g} must be below the upper bound {high:g}; declare others")
    if end is not None and end < high:
        raise BadInput(f"the widest bound {end:g} must not be below the upper bound {high:g}; declare others")
    return (min(low, least), high if end is None else end), (low, high), not undeclared


def quantile_grid(bounds: tuple[float, float]) -> np.ndarray:
    """The candidates (200,) of a quantile: from the bounds alone, dense where a skewed column is."""
    lower, upper = bounds
    return (lower + (upper - lower) * CANDIDATE_STEPS).clip(max=upper)


def private_quantile(
    values: np.ndarray,
    quantile: float,
    bounds: tuple[float, float],
    epsilon: float,
    iterations: int,
    seed: Seed,
) -> np.ndarray:
    """Private quantiles (iterations,) of the values (n,), which count as a bound where they are beyond it."""
    declared = {"lower_bound": bounds[0], "upper_bound": bounds[1], "candidates": quantile_grid(bounds)}
    # Clipped here already, as repeated_quantile would warn of it; the study says itself what lies beyond.
    return repeated_quantile(iterations, values.clip(*bounds), epsilon, quantile, **declared, seed=seed)


def chances_of_quantile(
    values: np.ndarray, quantile: float, bounds: tuple[float, float], epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """The candidates (200,) that private_quantile draws from, and the chance of each. Not private."""
    grid = quantile_grid(bounds)
    weights = quantile_weights(values.clip(*bounds), epsilon, quantile, grid)
    return grid, weights / weights.sum()


def chances_of_bounds(
    values: np.ndarray, bounds: tuple[float, float], epsilon: float, rows: int
) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Epsilon, a tenth and a hundredth of it -> upper bounds (200,) to clamp at, and the chance of each to be
    bought with the share BOUND_SHARE. Not private: a release sees only the one that is drawn."""
    return {
        whole: chances_of_quantile(values, BOUND_QUANTILE, bounds, BOUND_SHARE * whole / rows)
        for whole in (epsilon, epsilon / 10, epsilon / 100)
    }


def four_data_sets(
    recorded: prepareData,
    column: str,
    wide: tuple[float, float],
    clamp: tuple[float, float],
    bought: float,
    promised: bool,
    seed: np.random.Generator,
) -> list[DataSet]:
    """As recorded, skew-corrected, clamped at declared bounds, and at an upper bound `bought`."""
    # The correction reads all values, so no answer about corrected data has the epsilon it is asked at.
    corrected = copy.deepcopy(recorded).clean_skewness(column, SKEW_QUANTILE, seed)
    rows = [
        DataSet("as recorded", copy.deepcopy(recorded), wide, promised=promised),
        DataSet(SKEW_CORRECTED, corrected, clamp, promised=False),
        DataSet("clamped", copy.deepcopy(recorded), clamp, promised=promised),
        DataSet("private bound", copy.deepcopy(recorded), (clamp[0], bought), 1 - BOUND_SHARE, promised),
    ]
    for row in rows:
        row.prepared.dataframe[column] = row.prepared.dataframe[column].clip(*row.bounds)
    return rows


def ask(
    data_sets: list[DataSet],
    recorded: prepareData,
    column: str,
    iterations: int,
    epsilon: float,
    rows: int,
    seed: Seed,
) -> list[Result]:
    """Every query on every data set. A person with up to K `rows` changes a sum or an average up to K times
    as much as one row does (group privacy), so that epsilon of one row is epsilon / K. A maximum moves from
    one bound to the other at most, however many rows move, and needs no more noise for several."""
    results = []
    for query in QUERIES:
        recorded_truth, counted = query.true(recorded, column), rows if query.rows_add_up else 1
        for row in data_sets:
            values = row.prepared.dataframe[column].to_numpy(float)
            lower, upper = row.bounds
            truth = query.true(row.prepared, column)
            spent = epsilon * row.share
            bounds = {"lower_bound": lower, "upper_bound": upper}
            result = Result(
                query=query.name,
                data_set=row.name,
                lower=lower,
                upper=upper,
                truth=truth,
                bias=truth - recorded_truth,
                scale=counted * query.sensitivity(upper - lower, len(values)) / spent,
                epsilon=spent,
                answers=query.private(iterations, values, spent / counted, **bounds, seed=seed),
                promised=row.promised,
            )
            results.append(result)
    return results


def attack(
    n: int, bounds: tuple[float, float], income: float, epsilon: float, rows: int, seed: np.random.Generator
) -> Attack:
    """An attacker knows everybody's value but one person's, and that this is `income` or the lower bound. How
    well does one private average tell which?

    Asked are two neighbours that are made up: n values at the lower bound, and the same with the person's
    `rows` values at `income`. A high answer points to the second. That is the threshold attack on a network's
    losses, where a low one points to a member; so `leakage` measures it on the answers' negatives.
    """
    lower, upper = bounds
    without = np.full(n, lower)
    with_income = without.copy()
    with_income[:rows] = income
    absent, present = (
        repeated_average(
            ATTACKED_ANSWERS, data, epsilon / rows, lower_bound=lower, upper_bound=upper, seed=seed
        )
        for data in (without, with_income)
    )
    counts_as = epsilon * (income - lower) / (upper - lower)
    return Attack(epsilon, bounds, income, counts_as, measure_leakage(-present, -absent))


def main(
    data: str | os.PathLike | None = None,
    column: str = STUDY_COLUMN,
    month: str | None = None,
    person: str | None = None,
    rows_per_person: int | None = None,
    missing_as: float | None = None,
    lower: float | None = None,
    upper: float | None = None,
    widest: float | None = None,
    iterations: int = ITERATIONS,
    epsilon: float = EPSILON,
    seed: int = SEED,
    figures: str | os.PathLike | None = None,
) -> Study:
    """Runs the study and writes the four figures; the arguments are those of the command line.

    Returns the study: its `results`, one for each query and data set, and its `figures` by file name, which a
    notebook shows.
    """
    for option, given in {"data": data, "figures": figures}.items():
        if given is not None and not os.fspath(given):
            raise BadInput(f"--{option} is empty (is a shell variable not set?); name one, or leave it out")
    if epsilon > LARGEST_EPSILON:
        raise BadInput(f"epsilon {epsilon:g} promises nothing; take one of at most {LARGEST_EPSILON:g}")
    source = find_credit_csv() if data is None else describe_csv(data)
    generator = np.random.default_rng(seed)
    recorded = load_column(
        source,
        column,
        month=month,
        person=person,
        rows_per_person=rows_per_person,
        missing_as=missing_as,
        seed=generator,
    )
    for note in recorded.notes:
        print(in_lines(note))
    values = recorded.prepared.dataframe[column].to_numpy(float)
    n = len(values)
    rows = min(rows_per_person or 1, n)
    if rows_per_person is not None and rows < rows_per_person:
        asked = short(f"{rows_per_person:,}", COLUMN_LETTERS)
        print(f"Note: --rows-per-person {asked} counts as {rows:,}, as there are no more rows.")
    smallest = SMALLEST_EPSILON * rows / (1 - BOUND_SHARE)
    if epsilon < smallest:
        least = f"take at least {1.01 * smallest:.3g}"
        raise BadInput(f"epsilon {epsilon:g} is smaller than the noise is made for; {least}")
    wide, clamp, declared = declared_bounds(values, column, lower, upper, widest)
    if column == STUDY_COLUMN and None in (lower, upper) and source.description not in STUDY_FILES:
        unit = f"the bounds {clamp[0]:,.10g} to {clamp[1]:,.10g} are declared for Kaggle's file"
        print(in_lines(f"Note: {unit}; give --lower and --upper if these incomes have another unit."))
    promised = declared and recorded.n_is_public and recorded.persons_are_apart

    # A bound for the fourth data set is bought with a tenth of epsilon. Then every query is asked.
    grid_bounds = clamp[0], wide[1]
    [bought] = private_quantile(
        values, BOUND_QUANTILE, grid_bounds, BOUND_SHARE * epsilon / rows, 1, generator
    )
    data_sets = four_data_sets(recorded.prepared, column, wide, clamp, float(bought), promised, generator)
    results = ask(data_sets, recorded.prepared, column, iterations, epsilon, rows, generator)

    # A high quantile as recorded, which tells more than a private maximum does, unless a bound cuts it.
    truth = float(np.quantile(values.clip(*grid_bounds), SKEW_QUANTILE))
    candidates, chances = chances_of_quantile(values, SKEW_QUANTILE, grid_bounds, epsilon / rows)
    quantile = Result(
        query=f"{SKEW_QUANTILE:g} quantile",
        data_set="as recorded",
        lower=grid_bounds[0],
        upper=grid_bounds[1],
        truth=truth,
        bias=truth - float(np.quantile(values, SKEW_QUANTILE)),
        scale=None,
        epsilon=epsilon,
        answers=private_quantile(values, SKEW_QUANTILE, grid_bounds, epsilon / rows, iterations, generator),
        promised=promised,
        mean_error=float(chances @ np.abs(candidates - truth)),
    )

    # The worst case, a person at the bound; and one at the bound of the clamped data under the widest bound.
    attacks = [attack(n, clamp, clamp[1], each, rows, generator) for each in ATTACKED_EPSILONS]
    if wide != clamp:
        attacks += [attack(n, wide, clamp[1], each, rows, generator) for each in ATTACKED_EPSILONS]

    study = Study(
        column=column,
        where=f"{source.description}{f', {recorded.month}' if recorded.month else ''}, n = {n:,}",
        values=values,
        corrected=data_sets[1].prepared.dataframe[column].to_numpy(float),
        usual=recorded.usual,
        others=recorded.others,
        wide=wide,
        clamp=clamp,
        epsilon=epsilon,
        rows_per_person=rows,
        results=[*results, quantile],
        bound_chances=chances_of_bounds(values, grid_bounds, epsilon, rows),
        bound_share=BOUND_SHARE,
        attacks=attacks,
        seed=seed,
    )
    if figures is None:  # those of another column must not take the place of the study's
        figures = FIGURES if column == STUDY_COLUMN else FIGURES / folder_of_column(column)
    folder = output_folder(figures)
    print_study(study)
    study = replace(study, figures=study_figures(study))
    save_figures(folder, study.figures)
    show_figures(study.figures)
    print(f"{len(study.figures)} figures are in {folder}\nLook first at {folder / LOOK_FIRST}")
    return study


def folder_of_column(column: str) -> str:
    """A folder's name for a column: its letters and digits, and a digest where these are not all of it."""
    column = composed(column)
    name = re.sub(r"\W+", "_", column)[:40]
    digest = hashlib.sha256(column.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"column_{name}" if name == column and name.isascii() else f"column_{name}_{digest}"


def command_line() -> None:
    """Forwards the command line to main."""
    parser = OneLineParser(description=__doc__ and __doc__.splitlines()[0], prog="laplace.py")
    add = parser.add_argument
    bound = f"in the column's unit (default for {STUDY_COLUMN}: %s; else from the data, which leaks)"
    widest = f"so wide that no record changes (default for {STUDY_COLUMN}: {WIDEST_BOUNDS[1]}; else --upper)"
    add("--data", metavar="FILE", help="a CSV with a header line (default: Kaggle's, else the sample)")
    add("--column", default=STUDY_COLUMN, help="a numeric column of it (default: %(default)s)")
    add("--month", help=f"value of its {MONTH} column, if it has one (default: {STUDY_MONTH})")
    add("--person", metavar="COLUMN", help=f"says whose a row is (default: {CUSTOMER}, if there)")
    add("--rows-per-person", type=whole_number, metavar="K", help="its rows that count (default: one)")
    add("--missing-as", type=finite_number, metavar="X", help="what gaps count as (default: left out)")
    add("--lower", type=finite_number, help=f"declared lower bound, {bound % DECLARED_BOUNDS[0]}")
    add("--upper", type=finite_number, help=f"declared upper bound, {bound % DECLARED_BOUNDS[1]}")
    add("--widest", type=finite_number, help=f"declared upper bound {widest}")
    add("--iterations", type=whole_number, default=ITERATIONS, help="of a query (default: %(default)s)")
    add("--epsilon", type=positive_number, default=EPSILON, help="of an answer (default: %(default)s)")
    add("--seed", type=seed_number, default=SEED, help="of the random generator (default: %(default)s)")
    add("--figures", metavar="DIR", help="folder of the PNG files (default: figures, or one in it by column)")
    arguments = vars(parser.parse_args())
    run(parser.prog, lambda: main(**arguments))


if __name__ == "__main__":
    gc.freeze()  # what was imported stays, so the collector need not look at it again and again
    command_line()
