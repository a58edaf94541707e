"""Why skewed data need more noise: private sums, averages and maxima by the Laplace mechanism.

The question. A bank publishes the average income of its customers. It may not betray any one of them, so it
adds random noise. How much noise does that take, and why does it take so much more when the column is skewed?

The idea. The Laplace mechanism (Dwork, McSherry, Nissim, Smith 2006, "Calibrating Noise to Sensitivity in
Private Data Analysis") adds noise whose scale is sensitivity / epsilon. The sensitivity is the most that one
person can change the answer. Two data sets are neighbouring here if they differ in one person's value; the
number of people, n, is public. If every value is clamped to [lower, upper], the sensitivity is

    sum      upper - lower
    average  (upper - lower) / n
    maximum  upper - lower

So the noise follows the upper bound, not the typical value. One income of 24 million among thousands of
50 thousand makes everybody's noise hundreds of times wider.

What is run. December's incomes, three times over: as recorded, skew-corrected (values above the 0.985
quantile redrawn at random from those below it), and clamped at a bound that was declared without a look at
the data. Each query is asked N times and spends epsilon each time, which no real release may do: the last
table shows what that repetition costs.

What to expect. Four figures in figures/ and three tables on the console, in a few seconds.

    python laplace.py                  the real data if they can be had, else a fictional sample
    python laplace.py --data FILE      your own copy of the Kaggle file, or any CSV, and any numeric column:
    python laplace.py --data FILE --column Monthly_Balance --lower 0 --upper 2000
    python laplace.py --help

The generator is numpy's and seeded, so that figures repeat. Whoever knows the seed can subtract the noise: a
real release takes its randomness from the operating system (and one answer, not a thousand).
"""

import copy
import math
import numbers
import operator
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from dp_accounting.dp_event import LaplaceDpEvent, SelfComposedDpEvent
from dp_accounting.pld.pld_privacy_accountant import PLDAccountant
from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant

from data.cleaning import csv_columns, prepareData
from data.credit import CreditSource, describe_csv, find_credit_csv
from report.laplace_figures import distribution_figure, normalized_figure, repeated_average_figure
from report.laplace_tables import answers_table, averaging_table, bounds_table
from support.command_line import (
    BadInput,
    OneLineParser,
    finite_number,
    positive_number,
    run,
    seed_number,
    show,
    whole_number,
)
from support.files import output_folder
from support.look import save_figures

ITERATIONS = 1000
EPSILON = 1.0  # of each single answer
DELTA = 1e-6  # of the total: far below one in n
SKEW_QUANTILE = 0.985
SEED = 0
FIGURES = Path(__file__).resolve().parent / "figures"

CUSTOMER, MONTH = "Customer_ID", "Month"
STUDY_COLUMN, STUDY_MONTH = "Annual_Income", "December"
# Declared, not looked up: hardly anybody who asks a high-street bank for credit earns over 200,000 a year.
DECLARED_BOUNDS = (0.0, 200_000.0)
# An entry form may still let through eight digits. A bound meant to change no record has to be that wide.
WIDEST_BOUNDS = (0.0, 25_000_000.0)
CONTRADICTION = 2.0  # times the median of the same customer's other months: no longer the same income

MAXIMUM_REMARK = (
    "bias: true value of the data set less true value as recorded. One person can move the maximum from one\n"
    "bound to the other, so its noise spans the whole range: ask for a high quantile instead."
)
GRID_STEPS_PER_SCALE = 2.0**40  # Google, "Secure Noise Generation"
SMALLEST_EPSILON = 2.0**-20  # below this the noise would not fit the whole numbers it is drawn from
LARGEST_PLD = 10_000  # answers; beyond, the PLD accountant takes gigabytes


# ----------------------------------------------------------------------------------------- the mechanism

Seed = int | np.random.Generator | None  # of numpy's generator; None for a fresh one


class PrivacyLeakWarning(UserWarning):
    """Something that should have been declared was taken from the data, and gives them away."""


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

    iterations: number of answers, at least 1.
    data: finite numbers, one per person; their number is public. Each is clamped to the bounds.
    privacy_budget: epsilon of one answer, at least 2^-20.
    lower_bound, upper_bound: declared range of one value. Without an upper bound the data's own maximum is
        taken, and a PrivacyLeakWarning says that this leaks.
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
    """Private maxima of `data`: as repeated_sum. One person can move the maximum from one bound to the other,
    so the noise spans the whole range."""
    values, lower, upper = _clamped(data, lower_bound, upper_bound)
    largest = max(abs(lower), abs(upper))
    return _with_noise(float(values.max()), largest, upper - lower, iterations, privacy_budget, seed)


def _clamped(data: Sequence[float], lower: float, upper: float | None) -> tuple[np.ndarray, float, float]:
    """The data clamped to the bounds, and the bounds."""
    values = np.asarray(data)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"the data must be numbers without gaps, not {values.dtype}")
    if values.ndim != 1 or not len(values):
        raise BadInput(f"the data must be one row of at least one number, not of shape {values.shape}")
    values = values.astype(float)
    if not np.isfinite(values).all():
        raise BadInput("the data hold NaN or infinite values; drop them first")
    if upper is None:
        upper = float(values.max())
        warnings.warn(
            "no upper_bound was declared: the data's own maximum is taken, and the noise betrays it",
            PrivacyLeakWarning,
            stacklevel=3,
        )
    lower, upper = _finite("lower_bound", lower), _finite("upper_bound", upper)
    if lower >= upper:
        raise BadInput(f"lower_bound {lower:g} must be below upper_bound {upper:g}")
    if upper - lower < 1e-100 or max(abs(lower), abs(upper)) > 1e100:
        raise BadInput("the bounds must lie within +-1e100, and 1e-100 apart; change the unit")
    return np.clip(values, lower, upper), lower, upper


def _finite(name: str, number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name} must be a number, not {number!r}")
    if not math.isfinite(number):
        raise BadInput(f"{name} must be finite, not {number}")
    return float(number)


def _with_noise(
    true_answer: float, largest_answer: float, sensitivity: float, iterations: int, epsilon: float, seed: Seed
) -> np.ndarray:
    """The true answer plus Laplace noise of scale sensitivity / epsilon, on a grid.

    Floating-point Laplace noise does not reach every number. Which ones it misses depends on the true
    answer, so the low bits of an answer can give it away (Mironov 2012, "On Significance of the Least
    Significant Bits for Differential Privacy"). Here the true answer is rounded to a multiple of a power of
    two, the grid, and the noise is a whole number k of grid steps with probability proportional to
    exp(-rate |k|), after Google's "Secure Noise Generation" (2020). Every answer can then come from every
    data set. The grid is 2^40 times finer than the scale, or as fine as floating-point numbers allow.
    """
    iterations = operator.index(iterations)
    if iterations < 1:
        raise BadInput(f"the number of iterations must be at least 1, not {iterations}")
    epsilon = _finite("privacy_budget", epsilon)
    if epsilon < SMALLEST_EPSILON:
        raise BadInput(f"privacy_budget (epsilon) must be at least {SMALLEST_EPSILON:.2g}, not {epsilon:g}")
    # math.fsum does not depend on the order of the rows, but it rounds, and so does the division by n. On a
    # grid no finer than four times the spacing of floating-point numbers, that stays below a step.
    finest = max(sensitivity / epsilon / GRID_STEPS_PER_SCALE, 4 * math.ulp(largest_answer))
    grid = 2.0 ** math.ceil(math.log2(finest))
    # Neighbours' answers therefore differ by at most the sensitivity, one step for that rounding, and one
    # for the rounding to the grid.
    rate = epsilon * grid / (sensitivity + 2 * grid)
    stop = -math.expm1(-rate)
    generator = np.random.default_rng(seed)
    noise = generator.geometric(stop, iterations) - generator.geometric(stop, iterations)
    return (round(true_answer / grid) + noise) * grid


def total_epsilon(epsilon: float, iterations: int, delta: float = DELTA) -> tuple[float, str]:
    """Epsilon of all answers together at `delta`, and the accountant of dp_accounting that gave it.

    That is its PLD accountant, or, where that would take gigabytes, its RDP accountant (Mironov 2017, "Renyi
    Differential Privacy"), which is looser. Basic composition, epsilon * iterations at delta 0,
    is the ceiling of both. The accountants assume ideal Laplace noise.
    """
    if iterations <= LARGEST_PLD:
        accountant, method = PLDAccountant(value_discretization_interval=epsilon / 1000), "PLD"
    else:
        accountant, method = RdpAccountant(), "RDP"
    # The noise multiplier is scale / sensitivity: in which way neighbours differ is already in it.
    accountant.compose(SelfComposedDpEvent(LaplaceDpEvent(1 / epsilon), iterations))
    return min(accountant.get_epsilon(delta), epsilon * iterations), method


# --------------------------------------------------------------------------------------------- the study


class Query(NamedTuple):
    """One row of the list of queries: the private answer, the true one, and the sensitivity."""

    name: str
    private: Callable[..., np.ndarray]
    true: Callable[[prepareData, str], float]
    sensitivity: Callable[[float, int], float]  # of the width of the bounds, and of n


QUERIES = [
    Query("sum", repeated_sum, prepareData.nonprivate_sum, lambda width, n: width),
    Query("average", repeated_average, prepareData.nonprivate_average, lambda width, n: width / n),
    Query("maximum", repeated_max, prepareData.nonprivate_max, lambda width, n: width),
]


@dataclass(frozen=True)
class DataSet:
    """One row of the list of data sets: the same people's values, treated one way, and their bounds."""

    name: str
    prepared: prepareData
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Result:
    """What one query gave on one data set. All but `answers` (iterations,) in the column's unit."""

    query: str
    data_set: str
    lower: float
    upper: float
    truth: float  # of this data set
    bias: float  # truth of this data set, less truth of the data as recorded
    scale: float  # of the Laplace noise
    answers: np.ndarray

    @property
    def coverage(self) -> float:
        """The share of answers in the 95% interval, truth +- scale * ln 20."""
        return float(np.mean(np.abs(self.answers - self.truth) <= self.scale * math.log(20)))


def load(source: CreditSource, column: str, month: str | None) -> tuple[prepareData, np.ndarray, np.ndarray]:
    """The column's known values in one month, with what the same customers' other months say of them.

    Returns the prepared data (n rows); usual (n,), the customer's most frequent value over all months, the
    smaller where two are equally frequent; others (n,), the median of the customer's other months. Both are
    NaN where the file names no customers or no months.
    """
    present = csv_columns(source.path)
    keys = [key for key in (CUSTOMER, MONTH) if key in present or (key == MONTH and month)]
    prepared = prepareData(source.path, [*keys, column], {column: float})
    everything = prepared.dataframe
    if MONTH in keys:
        prepared.apply_column_filter({MONTH: month or STUDY_MONTH})
    prepared.dataframe = prepared.dataframe.dropna(subset=column).reset_index(drop=True)
    usual = others = np.full(len(prepared.dataframe), np.nan)
    if keys == [CUSTOMER, MONTH]:
        customers = prepared.dataframe[CUSTOMER]
        counts = everything.groupby([CUSTOMER, column], as_index=False).size()
        commonest = counts.sort_values("size", ascending=False, kind="stable").drop_duplicates(CUSTOMER)
        usual = customers.map(commonest.set_index(CUSTOMER)[column]).to_numpy(float)
        rest = everything[everything[MONTH] != (month or STUDY_MONTH)]
        others = customers.map(rest.groupby(CUSTOMER)[column].median()).to_numpy(float)
    return prepared, usual, others


def describe_skew(values: np.ndarray, others: np.ndarray, bound: float) -> str:
    """How many values (n,) lie above the bound, and how many of these the other months (n,) contradict."""
    extreme = values > bound
    sentence = f"{extreme.sum():,} values ({extreme.mean():.2%}) lie above the bound {bound:,.10g}."
    if np.isfinite(others).any():
        contradicted = (extreme & (values > CONTRADICTION * others)).sum()
        sentence += (
            f" {contradicted:,} of them contradict the same customer's other months: they are more than "
            f"{CONTRADICTION:g} times the median of these."
        )
    return sentence


def three_data_sets(
    recorded: prepareData,
    column: str,
    lower: float | None,
    upper: float | None,
    generator: np.random.Generator,
) -> list[DataSet]:
    """As recorded, skew-corrected and clamped. Says so if bounds had to be taken from the data."""
    values = recorded.dataframe[column].to_numpy(float)
    smallest, largest = float(values.min()), float(values.max())
    if column == STUDY_COLUMN:
        defaults, widest = DECLARED_BOUNDS, WIDEST_BOUNDS
    else:
        defaults = (smallest, float(np.quantile(values, SKEW_QUANTILE)))
        widest = (math.inf, -math.inf)
        if lower is None or upper is None:
            print(
                f"Warning: bounds of {column} were not declared, so they come from the data, and leak. "
                "Declare what is known beforehand with --lower and --upper."
            )
    low, high = defaults[0] if lower is None else lower, defaults[1] if upper is None else upper
    if low >= high:
        raise BadInput(f"the lower bound {low:g} must be below the upper bound {high:g}; declare others")
    widest = (min(low, widest[0]), max(high, widest[1]))
    if smallest < widest[0] or largest > widest[1]:
        widest = (min(smallest, widest[0]), max(largest, widest[1]))
        print("Warning: as recorded, the data exceed the declared bounds; their own are used, and leak.")
    corrected = copy.deepcopy(recorded).clean_skewness(column, SKEW_QUANTILE, generator)
    rows = [
        DataSet("as recorded", recorded, widest),
        DataSet("skew-corrected", corrected, (low, high)),
        DataSet("clamped", copy.deepcopy(recorded), (low, high)),
    ]
    for row in rows:
        row.prepared.dataframe[column] = row.prepared.dataframe[column].clip(*row.bounds)
    return rows


def ask(
    data_sets: list[DataSet], column: str, iterations: int, epsilon: float, generator: np.random.Generator
) -> list[Result]:
    """Every query on every data set, `iterations` times."""
    results = []
    for query in QUERIES:
        recorded_truth = query.true(data_sets[0].prepared, column)
        for row in data_sets:
            values = row.prepared.dataframe[column].to_numpy(float)
            lower, upper = row.bounds
            truth = query.true(row.prepared, column)
            scale = query.sensitivity(upper - lower, len(values)) / epsilon
            answers = query.private(
                iterations, values, epsilon, lower_bound=lower, upper_bound=upper, seed=generator
            )
            results.append(
                Result(query.name, row.name, lower, upper, truth, truth - recorded_truth, scale, answers)
            )
    return results


def main(
    data: str | os.PathLike | None = None,
    column: str = STUDY_COLUMN,
    month: str | None = None,
    lower: float | None = None,
    upper: float | None = None,
    iterations: int = ITERATIONS,
    epsilon: float = EPSILON,
    seed: int = SEED,
    figures: str | os.PathLike = FIGURES,
) -> list[Result]:
    """Runs the study and writes the four figures; the arguments are those of the command line."""
    source = describe_csv(data) if data else find_credit_csv()
    generator = np.random.default_rng(seed)
    recorded, usual, others = load(source, column, month)
    values = recorded.dataframe[column].to_numpy(float)
    data_sets = three_data_sets(recorded, column, lower, upper, generator)
    results = ask(data_sets, column, iterations, epsilon, generator)
    averages = {result.data_set: result for result in results if result.query == "average"}
    folder = output_folder(figures)

    when = f", {month or STUDY_MONTH}" if MONTH in recorded.dataframe else ""
    where = f"{source.description}{when}, n = {len(values):,}"
    print(f"{column}: {where}; {iterations:,} answers at epsilon {epsilon:g} each, seed {seed}\n")
    show(answers_table(results))
    print(MAXIMUM_REMARK)
    bound = data_sets[-1].bounds[1]
    skew = describe_skew(values, others, bound)
    print(f"\n{skew}")
    if np.isfinite(usual).all():
        offsets = ", ".join(
            f"{result.truth - usual.mean():+,.2f} {name}" for name, result in averages.items()
        )
        print(
            f"Against the average of the customers' usual values, {usual.mean():,.2f}, the bias is {offsets}."
        )
    print("\n|bias| + E|noise| of one private average, against the data as recorded")
    show(bounds_table(values, data_sets[0].bounds[0], list(averages.values()), epsilon))
    total, method = total_epsilon(epsilon, iterations)
    spent = (
        f"{iterations:,} answers at epsilon {epsilon:g} each spend {epsilon * iterations:,.10g} by basic "
        f"composition, {total:,.2f} at delta {DELTA:g} by dp_accounting's {method} accountant."
    )
    print(f"\nWhat the repetition costs: {spent}")
    show(averaging_table(list(averages.values())))

    wide, narrow = averages["as recorded"], averages["skew-corrected"]
    drawn = {
        "annual_income_distribution_plots.png": distribution_figure(values, bound, column, where, skew),
        "repeated_average_historgram.png": repeated_average_figure(wide, column, where, spent),
        "skew_corrected_repeated_average_historgram.png": repeated_average_figure(
            narrow, column, where, spent
        ),
        "normalized_noise_observations.png": normalized_figure(wide, narrow, epsilon, column, where),
    }
    save_figures(folder, drawn)
    print(f"\n{len(drawn)} figures written into {folder}")
    return results


def command_line() -> None:
    """Forwards the command line to main."""
    parser = OneLineParser(description=__doc__.splitlines()[0], prog="laplace.py")
    bound = f"bound, in the column's unit (default for {STUDY_COLUMN}: %s; else from the data, which leaks)"
    for name, options in {
        "--data": {
            "metavar": "FILE",
            "help": "a CSV with a header line (default: Kaggle's, else the sample)",
        },
        "--column": {"default": STUDY_COLUMN, "help": "a numeric column of it (default: %(default)s)"},
        "--month": {"help": f"value of its {MONTH} column, if it has one (default: {STUDY_MONTH})"},
        "--lower": {"type": finite_number, "help": f"declared lower {bound % DECLARED_BOUNDS[0]}"},
        "--upper": {"type": finite_number, "help": f"declared upper {bound % DECLARED_BOUNDS[1]}"},
        "--iterations": {"type": whole_number, "default": ITERATIONS, "help": "answers to each query"},
        "--epsilon": {"type": positive_number, "default": EPSILON, "help": "privacy budget of each answer"},
        "--seed": {"type": seed_number, "default": SEED, "help": "of the random generator"},
        "--figures": {"metavar": "DIR", "default": FIGURES, "help": "folder of the four PNG files"},
    }.items():
        if "default" in options and "default" not in options["help"]:
            options["help"] += " (default: %(default)s)"
        parser.add_argument(name, **options)
    arguments = vars(parser.parse_args())
    run(parser.prog, lambda: main(**arguments))


if __name__ == "__main__":
    command_line()
