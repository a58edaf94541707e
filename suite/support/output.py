"""The folder for new files. How a file is written whole comes from leakage and is passed on."""

from collections.abc import Sequence
from pathlib import Path

from leakage.output import output_folder, write_whole
from suite.support.command_line import BadInput

__all__ = ["output_folder", "writable_folder", "write_whole"]


def writable_folder(folders: Sequence[Path], mend: str = "name another") -> Path:
    """The first of the folders that can be written; it is made if it is missing.

    mend: the advice that ends the message. Raises BadInput with the first folder's reason if none can be
    written.
    """
    problems = []
    for folder in folders:
        try:
            return output_folder(folder, mend)
        except BadInput as problem:
            problems.append(problem)
    raise problems[0]
