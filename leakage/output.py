"""Output files are written whole or not at all: each under another name first, then renamed into place."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from leakage.command_line import BadInput


def output_folder(folder: str | os.PathLike, mend: str = "name another") -> Path:
    """Makes the folder if need be, tries to write into it, and returns it.

    Raises BadInput, which ends with the words of `mend`, if either fails or if the folder's name is empty: it
    would stand for the folder in which the program was started.
    """
    if not os.fspath(folder):
        raise BadInput(f"the folder to write into has an empty name; {mend}")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # a full disk takes an empty file
    except OSError as problem:
        reason = problem.strerror or problem
        raise BadInput(f"cannot write into the folder {folder}: {reason}; {mend}") from None
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that no reader, and no crash, ever meets half of it; BadInput if it cannot be kept.

    Who may read it is decided by the umask, as for every new file.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with scratch.open("xb") as file:
            file.write(content)
        scratch.replace(path)
    except BaseException as problem:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        if isinstance(problem, OSError):
            reason = problem.strerror or problem
            raise BadInput(f"cannot write {path}: {reason}; what was written before stays") from None
        raise
