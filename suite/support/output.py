"""Which folder new files go into; and, handed on from leakage, how they are written whole."""

from collections.abc import Sequence
from pathlib import Path

from leakage.output import output_folder, write_whole
from suite.support.command_line import BadInput

__all__ = ["output_folder", "writable_folder", "write_whole"]


def writable_folder(folders: Sequence[Path], mend: str = "name another") -> Path:
    """The first of the folders that can be written, made if need be; if none can, BadInput with the first
    one's reason and the words of `mend`."""
    problems = []
    for folder in folders:
        try:
            return output_folder(folder, mend)
        except BadInput as problem:
            problems.append(problem)
    raise problems[0]
