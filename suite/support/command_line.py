"""What only the two scripts need of a command line: numbers for argparse, and texts of several lines.

BadInput and short come from leakage and are passed on, so that rooms without statistics need nothing else of
it.
"""

import argparse
import textwrap

from leakage.command_line import BadInput, short

__all__ = ["BadInput", "LongMessage", "even_number", "in_lines", "seed_number", "short", "whole_number"]

LINE_LETTERS = 100  # on a line of the console


class LongMessage(BadInput):
    """BadInput whose message is a list and keeps its line breaks."""

    def shown(self) -> str:
        """The message with its line breaks."""
        return str(self)


def whole_number(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def even_number(text: str) -> int:
    """An even number of at least 2, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 2 or int(text) % 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not an even number of at least 2")
    return int(text)


def seed_number(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def in_lines(words: str) -> str:
    """The words, with each line broken so that none is longer than LINE_LETTERS."""
    return "\n".join(textwrap.fill(line, LINE_LETTERS, subsequent_indent="  ") for line in words.splitlines())
