"""How long do 1,000 private answers take with laplace.py, and how long with diffprivlib and OpenDP?

Sums, averages and maxima of 12,500 values, epsilon 1 each, and a million averages. The other libraries answer
one question a call, so they are called in a loop, as their documentation shows it, and read all values again
for each answer; laplace.py looks at the values once and draws all the noise at once. For a fair view OpenDP
is also measured with its chain built once, and both with the average known, so that only the noise is drawn.
Neither has a Laplace maximum: their noise is added to a maximum that is known.

They get an environment of their own, made in data/cache/ at the first run; --python names one that is there.

    python benchmarks/laplace_queries.py [--rounds N] [--python FILE]
"""

import math
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.timing import (
    Row,
    answer_of,
    conditions,
    environment,
    in_turn,
    parser_with_rounds,
    seconds,
    table,
)
from laplace import repeated_average, repeated_max, repeated_sum

ROUNDS, CALLS = 5, 20  # of laplace.py, whose median is a round's value
VALUES, ANSWERS, MILLION, EPSILON, BOUNDS = 12_500, 1000, 1_000_000, 1.0, (0.0, 200_000.0)
HERE = Path(__file__).resolve().parent
REQUIREMENTS = ["-r", HERE / "requirements-other-libraries.txt"]
OURS = {"sum": repeated_sum, "average": repeated_average, "maximum": repeated_max}


def by_others(python: Path, values: Path) -> dict:
    """What other_libraries.py measured."""
    script = HERE / "other_libraries.py"
    return answer_of(python, script.name, script, values, *BOUNDS, EPSILON)


def by_us(values: np.ndarray) -> dict[tuple[str, int], float]:
    """Seconds by query and number of answers."""
    lower, upper = BOUNDS
    times = {}
    for query, iterations, calls in [*((name, ANSWERS, CALLS) for name in OURS), ("average", MILLION, 1)]:
        ask = partial(OURS[query], iterations, values, EPSILON, lower_bound=lower, upper_bound=upper)
        times[query, iterations] = median(seconds(ask) for _ in range(calls))
    return times


def check(values: np.ndarray, found: dict) -> None:
    """Ends the program if another library's answers are not the true one plus noise of the same width; by
    chance about once in a thousand runs."""
    clamped = np.clip(values, *BOUNDS)
    width = math.sqrt(2) * (BOUNDS[1] - BOUNDS[0]) / EPSILON
    expected = {
        "sum": (clamped.sum(), width),
        "average": (clamped.mean(), width / len(values)),
        "maximum": (clamped.max(), width),
    }
    for query, way, count, _, mean, deviation in found["times"]:
        truth, noise = expected[query]
        far = abs(mean - truth) > 6 * noise / math.sqrt(count)
        if far or abs(deviation / noise - 1) > 5 * math.sqrt(1.25 / count):
            raise SystemExit(f"{way}: {mean} +- {deviation}, not {truth} +- {noise}: nothing to compare")


def main(rounds: int, python: Path | None) -> None:
    """Measures and prints the Markdown."""
    python = python or environment("other-libraries", REQUIREMENTS)
    values = np.random.default_rng(0).lognormal(10.5, 0.7, VALUES)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "values.npy")
        np.save(path, values)
        others, ours = in_turn(rounds, partial(by_others, python, path), partial(by_us, values))
    for found in others:
        check(values, found)
    rows = [
        Row(
            f"{answers:,} of {query}, {way}",
            unit,
            [answers * found["times"][number][3] * per_second for found in others],
            [times[query, answers] * per_second for times in ours],
        )
        for answers, unit, per_second in ((ANSWERS, "ms", 1000), (MILLION, "s", 1))
        for number, (query, way, count, *_) in enumerate(others[0]["times"])
        if (query, answers) in ours[0] and (answers == ANSWERS or count >= ANSWERS)
    ]
    print(table("other library", "laplace.py", rows))
    print(f"\nOf the other libraries {ANSWERS:,} answers were measured in each round, but only")
    few = {f"{way} {count}" for _, way, count, *_ in others[0]["times"] if count < ANSWERS}
    print(f"{', '.join(sorted(few))}; the rest is computed from the seconds per answer.")
    print(conditions(rounds, "numpy"))
    versions = ", ".join(f"{name} {version}" for name, version in others[0]["versions"].items())
    print(f"In the other libraries' environment: {versions}.")


if __name__ == "__main__":
    parser = parser_with_rounds(__doc__, ROUNDS)
    parser.add_argument(
        "--python", type=Path, metavar="FILE", help="of an environment with requirements-other-libraries.txt"
    )
    main(**vars(parser.parse_args()))
