"""The four figures of laplace.py, drawn from arrays and numbers; nothing is computed here but bins."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from support.look import BLACK, BLUE, GREY
from support.look import VERMILION as ORANGE

if TYPE_CHECKING:
    from laplace import Result

THOUSANDS = FuncFormatter(lambda number, _: f"{number:,.10g}")


def _figure(rows: int, columns: int, title: str, caption: str, **options) -> tuple[Figure, np.ndarray]:
    """A grid of axes under a title and over a caption."""
    mpl.rcParams.update(
        {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}
    )
    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.supxlabel(textwrap.fill(caption, 145), x=0.01, ha="left", fontsize=9)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _box(axes: Axes, rows: dict[str, np.ndarray], colours: list[str]) -> None:
    """Horizontal box plots, the first on top: quartiles, and whiskers around the middle 95% of the values."""
    boxes = axes.boxplot(
        list(rows.values())[::-1],
        orientation="horizontal",
        whis=(2.5, 97.5),
        widths=0.6,
        patch_artist=True,
        medianprops={"color": BLACK},
        flierprops={
            "marker": ".",
            "markersize": 3,
            "alpha": 0.5,
            "markeredgewidth": 0,
            "markerfacecolor": BLACK,
        },
    )
    for box, colour in zip(boxes["boxes"], colours[::-1], strict=True):
        box.set_facecolor(colour)
    axes.set_yticks(range(1, len(rows) + 1), list(rows)[::-1])


def distribution_figure(values: np.ndarray, bound: float, column: str, where: str, skew: str) -> Figure:
    """Histograms over box plots of the unmodified column (n,), on a linear and on a log axis.

    where: what data these are. skew: a sentence on the values above the bound.
    """
    caption = f"{skew} Boxes: quartiles; whiskers: the middle 95% of the values."
    figure, grid = _figure(
        2, 2, f"{column} as recorded: {where}", caption, height_ratios=[3, 1], sharex="col"
    )
    positive = values[values > 0]
    edges = {
        "linear axis": np.linspace(values.min(), values.max(), 81),
        "log axis": np.geomspace(positive.min(), positive.max(), 81),
    }
    for [histogram, box], scale in zip(grid.T, edges, strict=True):
        shown = values if scale == "linear axis" else positive
        histogram.hist(shown, bins=edges[scale], color=ORANGE)
        _box(box, {"": shown}, [ORANGE])
        for panel in (histogram, box):
            panel.axvline(bound, color=BLACK, linestyle="--", linewidth=1, label=f"bound {bound:,.10g}")
        if scale == "log axis":
            box.set_xscale("log")
        if len(shown) < len(values):
            scale += f", without {len(values) - len(shown):,} values that are not above 0"
        histogram.set_title(scale)
        histogram.set_ylabel("customers per bin")
        histogram.legend(frameon=False, loc="upper right")
        box.set_xlabel(f"{column} (unit of the file)")
        box.xaxis.set_major_formatter(THOUSANDS)
        if "linear" in scale:
            box.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def repeated_average_figure(result: Result, column: str, where: str, spent: str) -> Figure:
    """Histogram of the private averages, with the Laplace density of the known scale over it.

    where: what data these are. spent: a sentence on the total epsilon.
    """
    answers, truth, scale = result.answers, result.truth, result.scale
    caption = (
        f"Values clamped to {result.lower:,.10g} ... {result.upper:,.10g}. {spent} The mean of the answers "
        f"is off by {abs(answers.mean() - truth):,.3g}, their median by "
        f"{abs(np.median(answers) - truth):,.3g}: asking again averages the noise away."
    )
    figure, [[axes]] = _figure(1, 1, f"{column}, private averages, {result.data_set}: {where}", caption)
    reach = max(8.0, float(np.abs(answers - truth).max()) / scale)
    # Bins a quarter of the scale wide, with the truth on an edge, however many answers there are.
    edges = truth + scale / 4 * np.arange(-np.ceil(4 * reach), np.ceil(4 * reach) + 1)
    half_width = scale * np.log(20)
    interval = f"95% interval, truth ± {half_width:,.6g}: holds {result.coverage:.1%} of the answers"
    axes.axvspan(truth - half_width, truth + half_width, color=GREY, alpha=0.25, linewidth=0, label=interval)
    axes.hist(answers, bins=edges, density=True, color=ORANGE, label=f"{len(answers):,} private averages")
    line = np.sort(np.append(np.linspace(edges[0], edges[-1], 2000), truth))
    density = np.exp(-np.abs(line - truth) / scale) / (2 * scale)
    axes.plot(line, density, color=BLUE, label=f"Laplace density, scale b = {scale:,.6g}")
    axes.axvline(truth, color=BLACK, linestyle="--", label=f"true average {truth:,.2f}")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(top=0.72 / scale)  # the density's peak is 0.5 / scale; the rest is for the legend
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set_xlabel(f"private average of {column} (unit of the file)")
    axes.set_ylabel("density (1 / unit of the file)")
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    return figure


def normalized_figure(wide: Result, narrow: Result, epsilon: float, column: str, where: str) -> Figure:
    """Histograms and box plots of both results, each divided by its own true value.

    The left column has one axis for both, so that the widths can be compared; the right column shows the
    narrow one alone, enlarged.
    """
    relative = {result.data_set: 100 * (result.answers / result.truth - 1) for result in (wide, narrow)}
    colours = dict(zip(relative, (ORANGE, BLUE), strict=True))
    reach = 1.05 * max(float(np.abs(deviation).max()) for deviation in relative.values())
    close = 1.05 * float(np.abs(relative[narrow.data_set]).max())
    caption = (
        f"{len(wide.answers):,} private averages of either data set, epsilon {epsilon:g} each. Left: one "
        f"axis for both. Right: “{narrow.data_set}” alone, its axis {reach / close:,.0f} times narrower. "
        "Boxes: quartiles; whiskers: the middle 95% of the answers."
    )
    figure, grid = _figure(
        3, 2, f"{column}, noise in relation to the truth: {where}", caption, height_ratios=[3, 3, 2]
    )
    grid[0, 1].set_axis_off()
    ratio = relative[wide.data_set].std() / relative[narrow.data_set].std()
    remark = (
        f"In relation to the truth,\nthe noise is {ratio:,.3g} times as wide\n"
        f"{wide.data_set} as {narrow.data_set}.\n\nBelow: close-up."
    )
    grid[0, 1].text(0.5, 0.5, remark, ha="center", va="center", fontsize=11)
    cells = [(0, 0, wide, reach), (1, 0, narrow, reach), (1, 1, narrow, close)]
    for row, column, result, limit in cells:
        deviation, axes = relative[result.data_set], grid[row, column]
        weights = np.full(len(deviation), 100 / len(deviation))
        axes.hist(deviation, np.linspace(-limit, limit, 101), weights=weights, color=colours[result.data_set])
        axes.set_title(f"{result.data_set}: std {deviation.std():.3g}% of the truth")
        axes.set_ylabel("answers (%)")
    _box(grid[2, 0], relative, list(colours.values()))
    _box(grid[2, 1], {narrow.data_set: relative[narrow.data_set]}, [colours[narrow.data_set]])
    for axes, limit in [
        *zip(grid[:, 0], [reach] * 3, strict=True),
        *zip(grid[1:, 1], [close] * 2, strict=True),
    ]:
        axes.set_xlim(-limit, limit)
    for axes in grid[2]:
        axes.set_xlabel("private average less truth (% of the truth)")
    return figure
