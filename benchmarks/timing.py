"""What the benchmarks share: measuring in turns, fresh processes, and tables in Markdown."""

import math
import multiprocessing
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, TypeVar

import loky

from leakage.command_line import OneLineParser
from suite.support.command_line import whole_number

Measured = TypeVar("Measured")


class Row(NamedTuple):
    """One line of a table: what is measured, its unit, and the values of all rounds for each side."""

    what: str
    unit: str
    other: Sequence[float]
    ours: Sequence[float]


def parser_with_rounds(description: str, rounds: int) -> OneLineParser:
    """A parser that shows the first line of `description` and has --rounds, by default `rounds`."""
    parser = OneLineParser(description=description.splitlines()[0])
    parser.add_argument(
        "--rounds", type=whole_number, default=rounds, help="of each side (default: %(default)s)"
    )
    return parser


def in_turn(rounds: int, *sides: Callable[[], Measured]) -> list[list[Measured]]:
    """Calls the sides in turns, A B A B ...; returns for each side its results, one for each round.

    So other work on the machine slows all sides alike.
    """
    measured: list[list[Measured]] = [[] for _ in sides]
    for number in range(rounds):
        for side, values in zip(sides, measured, strict=True):
            values.append(side())
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return measured


def in_fresh_process(work: Callable[..., Measured], *arguments: object) -> Measured:
    """Calls `work` in a new Python process and returns its result.

    TensorFlow's threads cannot be changed once it runs. And only in a new process are the start-up time and
    the peak memory those of this work.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(other: str, ours: str, rows: Sequence[Row]) -> str:
    """The Markdown table: the ratio of the medians, then the median (smallest to largest) of each side."""
    lines = []
    for row in rows:
        ratio = three_digits(statistics.median(row.other) / statistics.median(row.ours))
        sides = (f"{spread(values)} {row.unit}" for values in (row.other, row.ours))
        lines.append([row.what, f"**{ratio}**", *sides])
    return markdown(["", "ratio", other, ours], lines)


def conditions(rounds: int, *packages: str) -> str:
    """The lines below the tables: the number of rounds, the machine, and the versions of these packages."""
    return (
        f"Rounds, taken in turn: {rounds}. Medians, in brackets the least and the greatest. "
        f"Ratio: left median by right median.\n\n{machine(*packages)}"
    )


def machine(*packages: str) -> str:
    """The machine and these packages' versions, without the name of the host."""
    parts = [
        _processor(),
        f"{loky.cpu_count()} cores ({loky.cpu_count(only_physical_cores=True)} physical)",
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        *(f"{name} {metadata.version(name)}" for name in packages),
    ]
    return f"{', '.join(parts)}."


def spread(values: Sequence[float]) -> str:
    """The median, with the smallest and the largest value."""
    median, least, greatest = map(three_digits, (statistics.median(values), min(values), max(values)))
    return f"{median} ({least} to {greatest})"


def three_digits(value: float) -> str:
    """The number with three significant digits."""
    rounded = float(f"{value:.3g}")
    digits = 2 - math.floor(math.log10(abs(rounded))) if rounded else 0
    return f"{rounded:,.{max(digits, 0)}f}"


def _processor() -> str:
    """The processor's name, and on Linux whether it has AVX-512."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    first = {}
    for line in lines:
        name, _, value = line.partition(":")
        first.setdefault(name.strip(), value.strip())
    if "model name" not in first:
        return platform.processor() or "unknown processor"
    # Convolutions are faster with it.
    wide = "with" if "avx512f" in first.get("flags", "").split() else "without"
    return f"{first['model name']} ({wide} AVX-512)"
