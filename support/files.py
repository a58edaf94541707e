"""Output files are written whole or not at all: each under another name first, then renamed into place."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from support.command_line import BadInput


def output_folder(folder: str | os.PathLike) -> Path:
    """Makes the folder if need be, tries to write into it, and returns it; BadInput if either fails."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        reason = problem.strerror or problem
        raise BadInput(f"cannot write into the folder {folder}: {reason}; name another") from None
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that no reader, and no crash, ever meets half of it."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
