"""One look for every figure: matplotlib's own defaults and a few changes, whatever a matplotlibrc says.

A figure opens with its title and legend, and closes with a caption of a few lines.
"""

from __future__ import annotations

import io
import itertools
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from leakage.command_line import BadInput
from leakage.output import write_whole

WIDTH = 10.0  # of a figure, in inches
DOTS_PER_INCH = 110
SMALL = 9  # of captions and legends, in points
TITLE_LETTERS, CAPTION_LETTERS = 82, 140  # on a line
# After Okabe and Ito (2008), "Color Universal Design", with a contrast of at least 3 : 1 on white.
BLACK, VERMILION, GREEN, BLUE, PURPLE = "#000000", "#D55E00", "#009E73", "#0072B2", "#AA4499"
ORCHID, NAVY, MIST, WINE, CRIMSON = "#E453F2", "#2B3D9C", "#8391B5", "#7A1050", "#EC0A54"
GREY = "#767676"
# Apart under every common colour blindness. Models that mia.py compares are a dark and a light one, with a
# contrast of at least 3 : 1, for whoever prints without colours.
COLOURS = (VERMILION, BLACK, GREEN, ORCHID, NAVY, MIST, WINE, CRIMSON)
MARKERS = ("o", "s", "^", "D", "v", ">", "P", "X", "<")  # nine, so that 72 pairs pass before one comes again
LOOK = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # where it stands anyhow, without a search for ticks above the axes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.0,
}


class Style(NamedTuple):
    """How one model is drawn, in every figure."""

    colour: str
    marker: str


def looked_at():
    """A context, or a decorator, in which figures are made and saved."""
    return style.context(["default", LOOK])


def styles_of(names: Sequence[str]) -> dict[str, Style]:
    """A colour and a marker for each name, by its place; BadInput if there are more names than pairs."""
    pairs = math.lcm(len(COLOURS), len(MARKERS))
    if len(names) > pairs:
        raise BadInput(f"{len(names)} models, but only {pairs} pairs of colour and marker; take fewer")
    cycle = zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False)
    return {name: Style(*pair) for name, pair in zip(names, cycle, strict=False)}


def new_figure(
    height: float, title: str, caption: str, *, remark: str = "", handles: Sequence = (), columns: int = 1
) -> Figure:
    """An empty figure, `height` inches, between a title with a legend of `handles` and a caption."""
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, layout="constrained")
    # The title is the legend's, as the layout would put one over the other.
    legend = figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        alignment="left",
        title=textwrap.fill(f"{title} — {remark}" if remark else title, TITLE_LETTERS),
        title_fontproperties={"size": 13, "weight": "bold"},
    )
    # A file's or a column's name may hold two dollars, between which mathematics would be read.
    legend.get_title().set_parse_math(False)
    words = textwrap.fill(caption, CAPTION_LETTERS)
    figure.supxlabel(words, x=0.01, ha="left", fontsize=SMALL, parse_math=False)
    return figure


def finish(axes: Axes, title: str, across: str, up: str = "") -> None:
    """Gives axes their title and the names of their sides."""
    axes.set_title(title, parse_math=False)
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(up, parse_math=False)
    axes.tick_params(labelsize=SMALL)


def grey_key(axes: Axes, lines: dict[str, str], where: str, columns: int = 1) -> None:
    """A legend of the labels drawn so far, and of grey lines: their labels and line styles."""
    for label, linestyle in lines.items():
        axes.plot([], [], linestyle, color=GREY, label=label)
    axes.legend(loc=where, ncols=columns)


def png_of(figure: Figure) -> bytes:
    """The figure as a PNG file's content; within looked_at()."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name may have letters that the font lacks, such as Japanese ones. They become boxes in the figure,
        # and the console shows the name: no need for a warning for each letter.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        # Not savefig, which draws twice: the first time without a picture, to learn what the layout is.
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def save_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    """Writes the figures as PNG files of the names given; all are drawn before the first is written."""
    with looked_at():
        drawn = {name: png_of(figure) for name, figure in figures.items()}
    for name, content in drawn.items():
        write_whole(folder / name, content)
