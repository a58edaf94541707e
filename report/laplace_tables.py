"""The tables that laplace.py prints, made from its results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from laplace import Result


def best_bound(values: np.ndarray, lower: float, epsilon: float) -> tuple[float, int, float, float]:
    """The upper bound among the values (n,) that makes |bias| + E|noise| of the private average least.

    Returns it, the number of values above it, the bias and E|noise|. Lowering the bound by d takes d / n off
    the average for each value above it, and d / (n epsilon) off the noise: it pays until 1 / epsilon values
    lie above. The search looks at the data, so it is for learning only; a real bound is declared.
    """
    bounds = np.sort(values)[::-1]
    above = np.arange(len(bounds))
    bias = -(np.cumsum(bounds) - bounds - above * bounds) / len(bounds)
    noise = (bounds - lower) / (len(bounds) * epsilon)
    # Where one more value changes nothing but rounding, the fewest changed values win.
    total = np.where(bounds > lower, noise - bias, np.inf)
    best = int(np.flatnonzero(total <= total.min() * (1 + 1e-12))[0])
    return float(bounds[best]), int((values > bounds[best]).sum()), float(bias[best]), float(noise[best])


def answers_table(results: list[Result]) -> pd.DataFrame:
    """One row per query and data set; `bias` is that data set's true value less the one as recorded."""
    return pd.DataFrame(
        {
            "query": result.query,
            "data set": result.data_set,
            "upper bound": f"{result.upper:,.10g}",
            "true value": f"{result.truth:,.2f}",
            "bias": f"{result.bias:,.2f}",
            "noise scale b": f"{result.scale:,.6g}",
            "mean of answers": f"{result.answers.mean():,.2f}",
            "std of answers": f"{result.answers.std():,.6g}",
            "std / true": f"{result.answers.std() / abs(result.truth):.3%}",
            "in 95% interval": f"{result.coverage:.1%}",
        }
        for result in results
    )


def bounds_table(recorded: np.ndarray, lower: float, averages: list[Result], epsilon: float) -> pd.DataFrame:
    """|bias| + E|noise| of the average against the data as recorded (n,): best bound, and each data set."""
    rows = []
    for smaller in (epsilon, epsilon / 10, epsilon / 100):
        bound, above, bias, noise = best_bound(recorded, lower, smaller)
        row = {
            "epsilon": f"{smaller:g}",
            "1 / epsilon": f"{1 / smaller:,.10g}",
            "best bound": f"{bound:,.0f}",
            "values above": f"{above:,}",
            "|bias|": f"{-bias:,.1f}",
            "E|noise|": f"{noise:,.1f}",
            "together": f"{noise - bias:,.1f}",
        }
        for result in averages:
            row[result.data_set] = f"{abs(result.bias) + result.scale * epsilon / smaller:,.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def averaging_table(averages: list[Result]) -> pd.DataFrame:
    """What the repetition gives away: the error that is left if all answers of one query are averaged."""
    rows = []
    for result in averages:
        root = math.sqrt(len(result.answers))
        rows.append(
            {
                "data set": result.data_set,
                "one answer, E|noise|": f"{result.scale:,.4f}",
                "error of the mean": f"{abs(result.answers.mean() - result.truth):,.4f}",
                "expected, sqrt(2) b / sqrt(N)": f"{math.sqrt(2) * result.scale / root:,.4f}",
                "error of the median": f"{abs(np.median(result.answers) - result.truth):,.4f}",
                "expected, b / sqrt(N)": f"{result.scale / root:,.4f}",
            }
        )
    return pd.DataFrame(rows)
