"""What both scripts say on the console: tables, and for bad input one line and exit status 2."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


class BadInput(ValueError):
    """What was given cannot be used. The message is one line: what is wrong, and what to do."""


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, without the usage text before it, and to which a word
    that starts like a negative number is one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._negative_number_matcher = re.compile(r"-\.?\d")  # before Python 3.14 -5e3 was an option

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def whole_number(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def seed_number(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def finite_number(text: str) -> float:
    """A number that is neither nan nor infinite, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def positive_number(text: str) -> float:
    """A finite number above 0, for argparse."""
    number = finite_number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return number


def run(program: str, study: Callable[[], object]) -> None:
    """Calls the study; turns BadInput into its one line and status 2, Ctrl-C into status 130, and ends
    quietly, with status 141, when nobody reads the report to its end, as in `python laplace.py | head`."""
    try:
        study()
        sys.stdout.flush()
    except BadInput as problem:
        print(f"{program}: {' '.join(str(problem).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{program}: stopped by the keyboard", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # What is still to be written when Python ends must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def show(table: pd.DataFrame) -> None:
    """Prints a table, right-aligned, without an index."""
    print(table.to_string(index=False))
