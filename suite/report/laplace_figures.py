"""The four figures of laplace.py, drawn from its results; nothing is computed here but bins and shares.

A data set has one colour in all of them.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from leakage.look import BLACK, BLUE, GREEN, GREY, PURPLE, SMALL, VERMILION, finish, looked_at, new_figure
from suite.report.laplace_tables import NOT_KNOWN, SKEW_CORRECTED, Result, Study, amount, noise_sentence

THOUSANDS = FuncFormatter(lambda number, _: f"{number:,.10g}")
SKEWED = 20.0  # times the median: from there on the largest value asks for a log axis
COLOURS = {"as recorded": VERMILION, SKEW_CORRECTED: BLUE, "clamped": GREEN, "private bound": PURPLE}
REACH = 8.0  # noise scales that are drawn to either side of the truth, at least
INTERVALS_SHOWN = 20  # of which one is to be expected to miss
NAMES_ROOM = 0.35  # of the bars' height, above them, for the names of lines


@looked_at()
def study_figures(study: Study) -> dict[str, Figure]:
    """The figures by the names of their files ("historgram" is a spelling that others rely on)."""
    return {
        "annual_income_distribution_plots.png": distribution_figure(study),
        "repeated_average_historgram.png": average_figure(study, "as recorded"),
        "skew_corrected_repeated_average_historgram.png": average_figure(study, SKEW_CORRECTED),
        "normalized_noise_observations.png": normalized_figure(study),
    }


def _remark(study: Study, result: Result | None = None) -> str:
    """What data these are, with blanks at which "n = 12,500" is not broken."""
    where = study.where
    if result is not None:
        where += f", epsilon {f'{result.epsilon:g}' if result.promised else NOT_KNOWN}"
    return where.replace(" = ", "\u00a0=\u00a0").replace("epsilon ", "epsilon\u00a0")


def _edges(values: np.ndarray, logarithmic: bool) -> np.ndarray:
    """81 bin edges from the smallest to the largest value, or about them where all are equal; fewer where
    there are not so many numbers between the two."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        about = abs(low) / 2 or 1.0
        low, high = (low / 2, high * 2) if logarithmic else (low - about, high + about)
    return np.unique(np.geomspace(low, high, 81) if logarithmic else np.linspace(low, high, 81))


def distribution_figure(study: Study) -> Figure:
    """Histograms of the column as recorded and skew-corrected, with their averages and the bound. The axes
    are logarithmic where the largest value is far beyond the usual ones, which would else be one bar."""
    values, corrected, upper = study.values, study.corrected, study.clamp[1]
    extreme, total = values > upper, values.sum()
    title = (
        f"{study.name}: {f'{extreme.mean():.2%} of the' if extreme.any() else 'no'} values lie above "
        f"{upper:,.10g}"
    )
    if values.min() >= 0 and total > 0 and extreme.any():
        title += f" and make up {values[extreme].sum() / total:.0%} of the sum"
    recorded, unit = COLOURS["as recorded"], abs(values.mean())
    blue = COLOURS[SKEW_CORRECTED]
    handles = [
        Patch(color=recorded, alpha=0.6, label="as recorded"),
        Line2D([], [], color=blue, label=SKEW_CORRECTED),
    ]
    below = (values < values.mean()).mean()
    caption = f"{study.skew} {below:.1%} of the values lie below the average as recorded."
    figure = new_figure(4.6, title, caption, remark=_remark(study), handles=handles, columns=2)
    axes, median = figure.subplots(), float(np.median(values))
    logarithmic = 0 < SKEWED * median < values.max()
    shown = values[values > 0] if logarithmic else values
    scale = "log axes" if logarithmic else "linear axes"
    if len(shown) < len(values):
        scale += f", without {len(values) - len(shown):,} values that are not above 0"
    finish(axes, scale, study.name, "values per bin")
    edges = _edges(shown, logarithmic)
    axes.stairs(np.histogram(shown, edges)[0], edges, fill=True, color=recorded, alpha=0.6)
    axes.stairs(np.histogram(corrected, edges)[0], edges, color=blue, linewidth=1.5)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")  # so that bins of one value show beside those of hundreds
        axes.set_ylim(bottom=0.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.yaxis.set_major_formatter(THOUSANDS)
    lines = (
        (f"average, {SKEW_CORRECTED}: {amount(corrected.mean(), unit)}", corrected.mean(), blue, "-."),
        (f"average as recorded: {amount(values.mean(), unit)}", values.mean(), recorded, ":"),
        (f"bound {upper:,.10g}", upper, BLACK, "--"),
    )
    # A log axis has no place for what is not above 0.
    _named_lines(axes, [line for line in lines if line[1] > 0 or not logarithmic])
    return figure


def _named_lines(axes: Axes, lines: list[tuple[str, float, str, str]]) -> None:
    """Vertical lines, each with its name at its upper end, one below the other in the room above the bars.
    lines: name, place, colour and style of each."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        axes.set_ylim(low, high * (high / low) ** NAMES_ROOM)
    else:
        axes.set_ylim(low, high + (high - low) * NAMES_ROOM)
    tops = [1 - (number + 0.5) / len(lines) * NAMES_ROOM / (1 + NAMES_ROOM) for number in range(len(lines))]
    for (_, place, colour, style), top in zip(lines, tops, strict=True):
        axes.axvline(place, ymax=top, color=colour, linestyle=style, linewidth=1.8)
    for (name, place, colour, _), top in zip(lines, tops, strict=True):
        # On the side that has more room, now that the axis reaches to all lines.
        across, _ = axes.transAxes.inverted().transform(axes.transData.transform((place, low)))
        to_the_right = across < 0.5
        axes.annotate(
            name,
            (place, top),
            xycoords=axes.get_xaxis_transform(),
            xytext=(5 if to_the_right else -5, 0),
            textcoords="offset points",
            ha="left" if to_the_right else "right",
            va="center",
            color=colour,
            fontsize=SMALL,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            parse_math=False,
        )


def average_figure(study: Study, data_set: str) -> Figure:
    """Histogram of a data set's private averages under the Laplace density of the known scale, over the first
    of them with the 95% interval that a reader puts around each."""
    result, wide = study.of("average", data_set), study.of("average", "as recorded")
    answers, truth, scale, colour = result.answers, result.truth, result.scale, COLOURS[data_set]
    errors, unit = answers - truth, max(abs(truth), scale)
    title = f"{study.name}, {data_set}: one average has noise of {scale:,.4g} on average"
    caption = f"Values clamped to {result.lower:,.10g} ... {result.upper:,.10g}. "
    if data_set == SKEW_CORRECTED:
        if wide.scale != scale:
            title += f", {wide.scale / scale:,.4g} times less than as recorded"
        caption += "Skew correction reads all values, so these answers do not have the epsilon asked for. "
    if result.bias:
        off, side = amount(abs(result.bias), unit), "above" if result.bias > 0 else "below"
        caption += f"Bias: the dashed line lies {off} {side} the average as recorded. "
    held = f"{result.holds(truth):.1%} of all {len(answers):,} hold it"
    caption += f"The interval is one for the dashed line: {held}"
    usual = study.usual_average
    if usual is not None:
        caption += (
            f", {result.holds(usual):.1%} the average of the persons' usual values, {amount(usual, unit)}"
        )
    interval = f"95% interval of one answer, ± b ln 20 = {result.half_width:,.6g}"
    handles = [
        Patch(color=colour, alpha=0.6, label=f"{len(answers):,} {result.adjective} averages"),
        Line2D([], [], color=BLACK, label=f"Laplace density, scale b = {scale:,.6g}"),
        Line2D([], [], color=BLACK, linestyle="--", label=f"true average {amount(truth, unit)}"),
        Line2D([], [], color=colour, marker="o", label=interval),
    ]
    figure = new_figure(5, title, f"{caption}.", remark=_remark(study, result), handles=handles, columns=2)
    histogram, intervals = figure.subplots(2, 1, height_ratios=[2, 1], sharex=True)

    # Bins a quarter of the scale wide, with the truth on an edge, however many answers there are.
    steps = math.ceil(4 * min(max(REACH, np.abs(errors).max() / scale), 5 * REACH))
    edges = truth + scale / 4 * np.arange(-steps, steps + 1)
    density = np.histogram(answers, edges)[0] / (len(answers) * scale / 4)
    histogram.stairs(density, edges, fill=True, color=colour, alpha=0.6)
    line = np.sort(np.append(np.linspace(edges[0], edges[-1], 2000), truth))
    histogram.plot(line, np.exp(-np.abs(line - truth) / scale) / (2 * scale), color=BLACK, linewidth=1.2)
    histogram.set_xlim(edges[0], edges[-1])
    histogram.set_yticks([])
    finish(histogram, "all answers", "", "density")
    if usual is not None:
        _usual_average(histogram, usual, f"usual average, {abs(usual - truth) / scale:,.3g} b away")

    first = answers[:INTERVALS_SHOWN]
    _intervals(intervals, first, result.half_width, truth, colour)
    for axes in (histogram, intervals):
        axes.axvline(truth, color=BLACK, linestyle="--", linewidth=1)
    intervals.xaxis.set_major_locator(MaxNLocator(6))
    intervals.xaxis.set_major_formatter(THOUSANDS)
    missed = int((np.abs(first - truth) > result.half_width).sum())
    heading = f"the first {len(first)}: {missed or 'none'} of these intervals "
    finish(
        intervals,
        heading + ("misses it" if missed == 1 else "miss it"),
        f"{result.adjective} average of {study.name}",
    )
    return figure


def _usual_average(axes: Axes, usual: float, away: str) -> None:
    """Where the average of the persons' usual values is: a line, or at which end beyond the axis."""
    low, high = axes.get_xlim()
    if low < usual < high:
        axes.axvline(usual, color=GREY, linestyle=":", linewidth=2)
    words = f"← {away}" if usual <= low else f"{away} →" if usual >= high else f"dotted: {away}"
    side = "right" if usual >= high else "left"
    place = 0.99 if side == "right" else 0.01
    axes.text(place, 0.88, words, ha=side, fontsize=SMALL, transform=axes.transAxes)


def _intervals(axes: Axes, answers: np.ndarray, half_width: float, truth: float, colour: str) -> None:
    """Each answer with its interval, the first on top; black squares are those that miss the truth."""
    missed = np.abs(answers - truth) > half_width
    for chosen, shade, marker in ((~missed, colour, "o"), (missed, BLACK, "s")):
        axes.errorbar(
            answers[chosen],
            -np.flatnonzero(chosen),
            xerr=half_width,
            fmt=marker,
            color=shade,
            markersize=4,
            linewidth=1.2,
        )
    axes.set_yticks([])


def normalized_figure(study: Study) -> Figure:
    """The noise of the averages of all four data sets on one axis, in the column's unit, so that what is
    twice as wide is drawn twice as wide."""
    results = study.averages
    widest = max(results, key=lambda result: result.scale)
    farthest = np.abs(widest.answers - widest.truth).max() / widest.scale
    reach = widest.scale * min(max(REACH, 1.05 * farthest), 5 * REACH)
    caption = (
        f"The noise of {len(widest.answers):,} averages of each data set; bias is not in it. Each histogram "
        "has bins of a quarter of its own b, and is scaled to its highest. Black bars: the 95% interval, "
        "± b ln 20. The noise follows the bound, not the typical value."
    )
    figure = new_figure(4.6, f"{study.name}: {noise_sentence(study)}", caption, remark=_remark(study))
    axes = figure.subplots()
    for place, result in enumerate(results):
        base, scale, half_width = -place, result.scale, result.half_width
        edges = scale / 4 * np.arange(-4 * 5 * REACH, 4 * 5 * REACH + 1)
        counts = np.histogram(result.answers - result.truth, edges)[0]
        # Empty bins beyond the last answer would be drawn as a line.
        first, last = np.flatnonzero(counts)[[0, -1]]
        counts, edges = counts[first : last + 1], edges[first : last + 2]
        heights = base + 0.75 * counts / max(counts.max(), 1)
        colour = COLOURS[result.data_set]
        axes.stairs(heights, edges, baseline=base, fill=True, color=colour, edgecolor=colour, linewidth=2)
        axes.plot(
            [-half_width, half_width], [base - 0.1] * 2, color=BLACK, linewidth=3, solid_capstyle="butt"
        )
        words = f"bound {result.upper:,.8g}\nb = {scale:,.6g}\n95% interval ± {half_width:,.6g}"
        axes.text(1.01, base + 0.3, words, fontsize=SMALL, va="center", transform=axes.get_yaxis_transform())
    axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks([0.3 - place for place in range(len(results))], [each.data_set for each in results])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(0.7 - len(results), 0.9)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(THOUSANDS)
    finish(axes, "", f"noise: answer minus true average of the data set, in the unit of {study.name}")
    return figure
