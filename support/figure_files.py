"""Output files are written whole or not at all: each under another name first, then renamed into place."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from support.command_line import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color Universal Design": tell apart under every common colour blindness. Used
# pairs also differ in lightness, so that they stay apart in greyscale.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#8C8C8C"


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


def save_figures(folder: Path, figures: dict[str, Figure], dots_per_inch: int = 110) -> None:
    """Writes the figures as PNG files of the names given; all are drawn before the first is written."""
    drawn = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dots_per_inch)
        drawn[name] = buffer.getvalue()
    for name, content in drawn.items():
        write_whole(folder / name, content)
