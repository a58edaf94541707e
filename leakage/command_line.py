"""A program's manners on the console: tables, and for bad input one line and exit status 2."""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


TOLD_LETTERS = 40  # of what is no number


class BadInput(ValueError):
    """What was given cannot be used. The message is one line: what is wrong, and what to do."""

    def shown(self) -> str:
        """The message in one line, also where a file's name or a cell of it has line breaks."""
        return " ".join(str(self).split())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback: whoever gave the input need not see where it was met."""
        return [f"{type(self).__name__}: {self.shown()}"]


def short(text: object, letters: int) -> str:
    """A text on one line, without letters that do not print, its middle cut out to leave so many letters."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(text).split()))
    return line if len(line) <= letters else f"{line[: letters // 2 - 1]}…{line[-(letters // 2) :]}"


def counted(count: int, word: str) -> str:
    """A count and its word in the singular or plural, as "1 member" and "2,000 members"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


class Terminated(KeyboardInterrupt):
    """SIGTERM: to be handled as Ctrl-C is, so that nothing is left over."""


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, without the usage text before it, which takes -5e3 for a
    number, and no option by the beginning of its name: a slip of the pen is told, not guessed at."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **options)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As ArgumentParser's, from the words `args`, default the command line's."""
        # Before Python 3.14 argparse takes -5e3 for an option, but not " -5e3".
        words = sys.argv[1:] if args is None else args
        spaced = [f" {word}" if re.fullmatch(r"-[\d.]+e[-+]?\d+", word, re.I) else word for word in words]
        return super().parse_args(spaced, namespace)

    def error(self, message: str) -> None:
        if ipython_shell():
            raise BadInput(f"{message}; see --help")
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def ipython_shell() -> Any:
    """The shell of IPython that this runs in, which has a `kernel` in a notebook; None outside of IPython."""
    # Whoever runs in IPython has it loaded, so that it need not be imported to find out.
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def finite_number(text: str) -> float:
    """A number that is neither nan nor infinite, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{short(text, TOLD_LETTERS)!r} is not a finite number")
    return number


def positive_number(text: str) -> float:
    """A finite number above 0, for argparse."""
    number = finite_number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{short(text, TOLD_LETTERS)!r} is not above 0")
    return number


def run(program: str, study: Callable[[], object], stopped: str = "stopped") -> None:
    """Calls the study; turns BadInput into its line and status 2, Ctrl-C and SIGTERM into the line `stopped`
    and status 130 and 143, and ends quietly, with status 141, when nobody reads the report to its end, as in
    `python laplace.py | head`. A character that the console cannot show becomes a question mark. In
    IPython, by %run, BadInput is left to the shell, which shows its line and no more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # an editor's console may be no file, a closed one is None
            stream.reconfigure(errors="replace")
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminate)
    try:
        study()
        print(end="", flush=True)
    except BadInput as problem:
        if ipython_shell():
            raise
        _leave(f"{program}: {problem.shown()}", 2)
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


def show(table: pd.DataFrame) -> None:
    """Prints a table, right-aligned, without an index."""
    print(table.to_string(index=False))
