"""How long do 1,000 private answers take with laplace.py, and how long with diffprivlib and OpenDP?

Sums, averages and maxima of 12,500 values, epsilon 1 each, and a million averages. The other libraries answer
one question a call, so they are called in a loop, as their documentation shows it, and read all values again
for each answer; laplace.py looks at the values once and draws all the noise at once. For a fair view OpenDP
is also measured with its chain built once, and both with the average known, so that only the noise is drawn.
Neither has a Laplace maximum: their noise is added to a maximum that is known.

They get an environment of their own, made in data/cache/ at the first run; --python names one that is there.

    python benchmarks/laplace_queries.py [--rounds N] [--python FILE]
"""

import json
import math
import subprocess
import sys
import tempfile
import venv
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import Row, conditions, in_turn, parser_with_rounds, seconds, table

from laplace import repeated_average, repeated_max, repeated_sum

ROUNDS, CALLS = 5, 20  # of laplace.py, whose median is a round's value
VALUES, ANSWERS, MILLION, EPSILON, BOUNDS = 12_500, 1000, 1_000_000, 1.0, (0.0, 200_000.0)
HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / "data" / "cache" / "other-libraries"
OURS = {"sum": repeated_sum, "average": repeated_average, "maximum": repeated_max}


def environment() -> Path:
    """The Python of an environment with the other libraries, made if need be."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    requirements = HERE / "requirements-other-libraries.txt"
    install = [python, "-m", "pip", "install", "--quiet", "-r", requirements]
    if subprocess.run(install, stdout=sys.stderr).returncode:
        raise SystemExit(
            "the other libraries cannot be installed: mend what pip says above, or give --python"
        )
    return python


def by_others(python: Path, values: Path) -> dict:
    """What other_libraries.py measured. Its warnings are shown only if it fails."""
    command = [python, HERE / "other_libraries.py", values, *map(str, (*BOUNDS, EPSILON))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python} cannot run other_libraries.py: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


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
    python = python or environment()
    values = np.random.default_rng(0).lognormal(10.5, 0.7, VALUES)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "values.npy")
        np.save(path, values)
        others, ours = in_turn(rounds, partial(by_others, python, path), partial(by_us, values))
    for one in others:
        check(values, one)
    rows = [
        Row(
            f"{answers:,} of {query}, {way}",
            unit,
            [answers * one["times"][number][3] * per_second for one in others],
            [one[query, answers] * per_second for one in ours],
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
