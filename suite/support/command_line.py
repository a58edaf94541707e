"""What only the two scripts need of a command line: numbers for argparse, and texts of several lines.

BadInput and short come from leakage and are passed on, so that rooms without statistics need nothing else of
it.
"""

import argparse
import textwrap

from leakage.command_line import TOLD_LETTERS, BadInput, short

__all__ = ["BadInput", "LongMessage", "even_number", "in_lines", "seed_number", "short", "whole_number"]

LINE_LETTERS = 100  # on a line of the console
MOST_DIGITS = 100  # of a number that is given; Python itself reads no more than 4,300


class LongMessage(BadInput):
    """BadInput whose message is a list and keeps its line breaks."""

    def shown(self) -> str:
        """The message with its line breaks."""
        return str(self)


def whole_number(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    return _at_least(1, text)


def even_number(text: str) -> int:
    """An even number of at least 2, for argparse."""
    number = _at_least(2, text, "an even number")
    if number % 2:
        raise argparse.ArgumentTypeError(f"{short(text, TOLD_LETTERS)!r} is not an even number of at least 2")
    return number


def seed_number(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    return _at_least(0, text)


def _at_least(least: int, text: str, kind: str = "a whole number") -> int:
    if len(text) > MOST_DIGITS:
        told = f"{short(text, TOLD_LETTERS)!r} is too long: take {kind} of at most {MOST_DIGITS} digits"
        raise argparse.ArgumentTypeError(told)
    if not text.isascii() or not text.isdigit() or int(text) < least:
        told = f"{short(text, TOLD_LETTERS)!r} is not {kind} of at least {least}"
        raise argparse.ArgumentTypeError(told)
    return int(text)


def in_lines(words: str) -> str:
    """The words, with each line broken so that none is longer than LINE_LETTERS."""
    return "\n".join(textwrap.fill(line, LINE_LETTERS, subsequent_indent="  ") for line in words.splitlines())
