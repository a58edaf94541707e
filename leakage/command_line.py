"""What both scripts say on the console: tables, and for bad input one line and exit status 2.

It needs nothing but Python, and not even a current one, so that it can say what else is missing.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
import textwrap
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

OLDEST_PYTHON = (3, 11)
PRINTED = 100  # letters on a line


class BadInput(ValueError):
    """What was given cannot be used. The message is one line: what is wrong, and what to do."""


class LongMessage(BadInput):
    """The same where the message is a list, and keeps its lines."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: to be handled as Ctrl-C is, so that nothing is left over."""


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, without the usage text before it, and which takes -5e3 for
    a number."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As ArgumentParser's, from the words `args`, default the command line's."""
        # Before Python 3.14 argparse takes -5e3 for an option, but not " -5e3".
        words = sys.argv[1:] if args is None else args
        spaced = [f" {word}" if re.fullmatch(r"-[\d.]+e[-+]?\d+", word, re.I) else word for word in words]
        return super().parse_args(spaced, namespace)

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
        raise argparse.ArgumentTypeError(f"{text.strip()!r} is not a finite number")
    return number


def positive_number(text: str) -> float:
    """A finite number above 0, for argparse."""
    number = finite_number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text.strip()!r} is not above 0")
    return number


@contextmanager
def starting(program: str, name: str, requirements: str = "requirements.txt") -> Iterator[None]:
    """A context for a script's imports: a missing package, an old Python and Ctrl-C are one line each.

    name: the script's `__name__`; whoever imports it as a module gets Python's own errors.
    """
    if name != "__main__":
        yield
        return
    _open_streams()
    if sys.version_info < OLDEST_PYTHON:
        needed, used = (".".join(map(str, version[:2])) for version in (OLDEST_PYTHON, sys.version_info))
        _leave(f"{program}: needs Python {needed} or later, this is {used}", 2)
    try:
        yield
    except ImportError as problem:
        _leave(f"{program}: {problem}; pip install -r {requirements}", 2)
    except KeyboardInterrupt:
        _leave(f"{program}: stopped", 130)


def _open_streams() -> None:
    """Gives a closed standard stream a place, so that no file that is opened later gets its number, and lets
    no character stop the run that the console cannot show."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, Path(os.devnull).open("w"))  # noqa: SIM115, for the run
        with suppress(AttributeError):  # an editor's console may be no file
            getattr(sys, stream).reconfigure(errors="replace")


def run(program: str, study: Callable[[], object], stopped: str = "stopped") -> None:
    """Calls the study; turns BadInput into its one line and status 2, Ctrl-C and SIGTERM into the line
    `stopped` and status 130 and 143, and ends quietly, with status 141, when nobody reads the report to its
    end, as in `python laplace.py | head`."""
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminate)
    try:
        study()
        sys.stdout.flush()
    except LongMessage as problem:
        _leave(f"{program}: {problem}", 2)
    except BadInput as problem:
        _leave(f"{program}: {' '.join(str(problem).split())}", 2)
    except KeyboardInterrupt as stop:
        _leave(f"{program}: {stopped}", 143 if isinstance(stop, Terminated) else 130)
    except BrokenPipeError:
        # What is still to be written when Python ends must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def _leave(line: str, status: int) -> None:
    print(line, file=sys.stderr)
    sys.exit(status)


def in_lines(words: str) -> str:
    """Each line of the words in lines no longer than PRINTED."""
    return "\n".join(textwrap.fill(line, PRINTED, subsequent_indent="  ") for line in words.splitlines())


def show(table: pd.DataFrame) -> None:
    """Prints a table, right-aligned, without an index."""
    print(table.to_string(index=False))
