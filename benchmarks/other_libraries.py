"""Private sums, averages and maxima with diffprivlib and OpenDP, as their documentation shows them.

Run by laplace_queries.py in an environment that has these libraries:

    python other_libraries.py VALUES.npy LOWER UPPER EPSILON

VALUES.npy: float64 (n,). Prints JSON: `times`, a list of query, way, number of answers, seconds per answer,
and mean and standard deviation of the answers; `versions`, a dict.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata

import numpy as np
import opendp.prelude as dp
from diffprivlib import mechanisms, tools

FEW, MANY = 20, 1000  # calls measured of what is slow, and of the rest


def ways(
    values: np.ndarray, lower: float, upper: float, epsilon: float
) -> list[tuple[str, str, int, Callable[[], float | list[float]]]]:
    """Query, way, calls to be measured, and a function that gives an answer, or a list of them."""
    n, bounds, width = len(values), (lower, upper), upper - lower
    average, maximum = np.clip(values, *bounds).mean(), float(np.clip(values, *bounds).max())

    dp.enable_features("contrib")
    number = dp.atom_domain(T=float, nan=False)
    column = dp.vector_domain(number, size=n)
    queries = 2 * (FEW + 1)
    # n is public: whoever changes a value takes one away and adds another, which is two contributions.
    context = dp.Context.compositor(
        data=values,
        privacy_unit=dp.unit_of(contributions=2),
        privacy_loss=dp.loss_of(epsilon=epsilon * queries),
        split_evenly_over=queries,
        domain=column,
    )

    def chain(aggregate: Callable) -> dp.Measurement:
        exact = (column, dp.symmetric_distance()) >> dp.t.then_clamp(bounds) >> aggregate
        return exact >> dp.m.then_laplace(exact.map(2) / epsilon)

    sums, averages = chain(dp.t.then_sum()), chain(dp.t.then_mean())
    wide = dp.m.make_laplace(number, dp.absolute_distance(T=float), scale=width / epsilon)
    vector = dp.m.make_laplace(dp.vector_domain(number), dp.l1_distance(T=float), scale=width / n / epsilon)
    copies = np.full(MANY, average)
    laplace, narrow = (mechanisms.Laplace(epsilon=epsilon, sensitivity=one) for one in (width, width / n))
    options = {"epsilon": epsilon, "bounds": bounds}

    def query() -> dp.Query:
        return context.query().clamp(bounds)

    return [
        ("sum", "diffprivlib `tools.sum`", MANY, lambda: tools.sum(values, **options)),
        ("sum", "OpenDP `Context` query", FEW, lambda: query().sum().laplace().release()),
        ("sum", "OpenDP chain built once", MANY, lambda: sums(values)),
        ("average", "diffprivlib `tools.mean`", MANY, lambda: tools.mean(values, **options)),
        ("average", "OpenDP `Context` query", FEW, lambda: query().mean().laplace().release()),
        ("average", "OpenDP chain built once", MANY, lambda: averages(values)),
        ("average", "diffprivlib noise alone", MANY, lambda: narrow.randomise(average)),
        ("average", "OpenDP noise alone, as one vector", 1, lambda: vector(copies)),
        ("maximum", "diffprivlib noise alone", MANY, lambda: laplace.randomise(maximum)),
        ("maximum", "OpenDP noise alone", MANY, lambda: wide(maximum)),
    ]


def main(path: str, lower: str, upper: str, epsilon: str) -> None:
    """Measures every way once and prints the JSON."""
    times = []
    for query, way, calls, ask in ways(np.load(path), float(lower), float(upper), float(epsilon)):
        ask()  # the first call may load something
        start = time.perf_counter()
        answers = [ask() for _ in range(calls)]
        passed = time.perf_counter() - start
        count = np.size(answers)
        times.append((query, way, count, passed / count, np.mean(answers), np.std(answers)))
    names = ("diffprivlib", "opendp", "numpy", "scikit-learn")
    print(json.dumps({"times": times, "versions": {name: metadata.version(name) for name in names}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
