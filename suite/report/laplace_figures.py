"""The four figures of laplace.py, drawn from its results; nothing is computed here but bins and shares."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from leakage.look import BLACK, BLUE, GREY, VERMILION, finish, looked_at, new_figure
from suite.report.laplace_tables import (
    DELTA,
    SKEW_CORRECTED,
    Asked,
    Study,
    amount,
    noise_sentence,
    total_epsilon,
)

THOUSANDS = FuncFormatter(lambda number, _: f"{number:,.10g}")
NAME_LETTERS = 32  # of a column, before it is cut
REACH = 8.0  # noise scales that are drawn to either side of the truth, at least


@looked_at()
def study_figures(study: Study) -> dict[str, Figure]:
    """The figures by the names of their files ("historgram" is a spelling that others rely on)."""
    return {
        "annual_income_distribution_plots.png": distribution_figure(study),
        "repeated_average_historgram.png": average_figure(study, "as recorded"),
        "skew_corrected_repeated_average_historgram.png": average_figure(study, SKEW_CORRECTED),
        "normalized_noise_observations.png": normalized_figure(study),
    }


def _short(column: str) -> str:
    """The column's name, cut if it is too long for a title."""
    column = " ".join(column.split())
    return column if len(column) <= NAME_LETTERS else f"{column[:NAME_LETTERS]}…"


def _remark(study: Study, epsilon: float | None = None) -> str:
    """What data these are, with blanks at which "n = 12,500" is not broken."""
    where = study.where if epsilon is None else f"{study.where}, epsilon {epsilon:g}"
    return where.replace(" = ", "\u00a0=\u00a0").replace("epsilon ", "epsilon\u00a0")


def _box(axes: Axes, rows: dict[str, np.ndarray], colours: list[str]) -> None:
    """Horizontal box plots, the first on top: quartiles, and whiskers around the middle 95% of the values."""
    points = {"marker": ".", "markersize": 3, "alpha": 0.5, "markeredgewidth": 0, "markerfacecolor": BLACK}
    boxes = axes.boxplot(
        list(rows.values())[::-1],
        orientation="horizontal",
        whis=(2.5, 97.5),
        widths=0.6,
        patch_artist=True,
        medianprops={"color": BLACK},
        flierprops=points,
    )
    for box, colour in zip(boxes["boxes"], colours[::-1], strict=True):
        box.set_facecolor(colour)
    axes.set_yticks(range(1, len(rows) + 1), list(rows)[::-1])


def _edges(values: np.ndarray, logarithmic: bool) -> np.ndarray:
    """81 bin edges from the smallest to the largest value, or about them where all are equal; fewer where
    there are not so many numbers between the two."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        about = abs(low) / 2 or 1.0
        low, high = (low / 2, high * 2) if logarithmic else (low - about, high + about)
    return np.unique(np.geomspace(low, high, 81) if logarithmic else np.linspace(low, high, 81))


def distribution_figure(study: Study) -> Figure:
    """Histograms over box plots of the column as recorded, on a linear and on a log axis."""
    values, upper, name = study.values, study.clamp[1], _short(study.column)
    extreme, total = values > upper, values.sum()
    title = (
        f"{name}: {f'{extreme.mean():.2%} of the' if extreme.any() else 'no'} values lie above {upper:,.10g}"
    )
    if values.min() >= 0 and total > 0 and extreme.any():
        title += f" and make up {values[extreme].sum() / total:.0%} of the sum"
    caption = f"{study.skew} Boxes: quartiles; whiskers: the middle 95% of the values."
    handles = [
        Patch(color=BLUE, label=f"{(~extreme).sum():,} values up to {upper:,.10g}"),
        Patch(color=VERMILION, label=f"{extreme.sum():,} values above"),
        Line2D([], [], color=BLACK, linestyle="--", label=f"bound {upper:,.10g}"),
    ]
    figure = new_figure(7, title, caption, remark=_remark(study), handles=handles, columns=3)
    grid = figure.subplots(2, 2, height_ratios=[3, 1], sharex="col")
    for [histogram, box], logarithmic in zip(grid.T, (False, True), strict=True):
        shown = values[values > 0] if logarithmic else values
        scale = "log axes" if logarithmic else "linear axes"
        if len(shown) < len(values):
            scale += f", without {len(values) - len(shown):,} values that are not above 0"
        finish(histogram, scale, "", "values per bin")
        finish(box, "", name)
        if not len(shown):
            for panel in (histogram, box):
                panel.set_axis_off()
            continue
        edges = _edges(shown, logarithmic)
        for part, colour in ((shown[shown <= upper], BLUE), (shown[shown > upper], VERMILION)):
            histogram.stairs(np.histogram(part, edges)[0], edges, fill=True, color=colour)
        _box(box, {"": shown}, [BLUE])
        for panel in (histogram, box):
            panel.axvline(upper, color=BLACK, linestyle="--", linewidth=1)
        if logarithmic:
            box.set_xscale("log")
            histogram.set_yscale("log")  # so that bins of one value show beside those of hundreds
            histogram.set_ylim(bottom=0.5)
            if shown.max() < 100 * shown.min():
                box.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            for axis in (box.xaxis, histogram.yaxis):
                axis.set_minor_locator(NullLocator())
        else:
            box.xaxis.set_major_locator(MaxNLocator(5))
        box.xaxis.set_major_formatter(THOUSANDS)
        histogram.yaxis.set_major_formatter(THOUSANDS)
    return figure


def _histogram(axes: Axes, numbers: np.ndarray, limit: float, colour: str) -> None:
    """The share of the numbers in each of 101 bins, one of them around 0, from -limit to limit."""
    edges = np.linspace(-limit, limit, 102)
    percent = 100 * np.histogram(numbers, edges)[0] / len(numbers)
    axes.stairs(percent, edges, fill=True, color=colour)
    axes.set_xlim(-limit, limit)


def average_figure(study: Study, data_set: str) -> Figure:
    """Histogram of a data set's private averages under the Laplace density of the known scale, and beside it
    their errors on an axis which is the same for the data as recorded and the skew-corrected."""
    result, name = study.of("average", data_set), _short(study.column)
    answers, truth, scale = result.answers, result.truth, result.scale
    errors, unit = answers - truth, max(abs(truth), scale)
    title = f"{name}, {data_set}: one private average is off by {scale:,.4g} on average"
    if truth:
        title += f", {100 * scale / abs(truth):.2g}% of the truth"
    total, _ = total_epsilon((Asked(result.epsilon, len(answers)),))
    basic = result.epsilon * len(answers)
    caption = f"Values clamped to {result.lower:,.10g} ... {result.upper:,.10g}. "
    if data_set == SKEW_CORRECTED:
        caption += "Skew correction reads all values, so these answers do not have the epsilon stated. "
    else:
        caption += f"All answers spend {basic:,.10g} by basic composition, {total:,.2f} at delta {DELTA:g}. "
    caption += (
        f"Asking again averages the noise away: the mean of the answers is off by {abs(errors.mean()):,.3g}, "
        f"their median by {abs(np.median(errors)):,.3g}."
    )
    half_width = scale * math.log(20)
    interval = f"95% interval, truth ± {half_width:,.6g}: holds {result.coverage:.1%} of the answers"
    handles = [
        Patch(color=VERMILION, label=f"{len(answers):,} private averages"),
        Line2D([], [], color=BLUE, label=f"Laplace density, scale b = {scale:,.6g}"),
        Line2D([], [], color=BLACK, linestyle="--", label=f"true average {amount(truth, unit)}"),
        Patch(color=GREY, alpha=0.25, linewidth=0, label=interval),
    ]
    remark = _remark(study, result.epsilon)
    figure = new_figure(5, title, caption, remark=remark, handles=handles, columns=2)
    own, shared = figure.subplots(1, 2, width_ratios=[3, 2])

    # Bins a quarter of the scale wide, with the truth on an edge, however many answers there are.
    steps = math.ceil(4 * min(max(REACH, np.abs(errors).max() / scale), 5 * REACH))
    edges = truth + scale / 4 * np.arange(-steps, steps + 1)
    own.axvspan(truth - half_width, truth + half_width, color=GREY, alpha=0.25, linewidth=0)
    density = np.histogram(answers, edges)[0] / (len(answers) * scale / 4)
    own.stairs(density, edges, fill=True, color=VERMILION)
    line = np.sort(np.append(np.linspace(edges[0], edges[-1], 2000), truth))
    own.plot(line, np.exp(-np.abs(line - truth) / scale) / (2 * scale), color=BLUE)
    own.axvline(truth, color=BLACK, linestyle="--", linewidth=1)
    own.set_xlim(edges[0], edges[-1])
    own.xaxis.set_major_locator(MaxNLocator(5))
    own.xaxis.set_major_formatter(THOUSANDS)
    finish(own, "on its own axis", f"private average of {name}", "density")

    widest = max(study.of("average", each).scale for each in ("as recorded", SKEW_CORRECTED))
    _histogram(shared, errors, REACH * widest, VERMILION)
    shared.set_ylim(0, 100)
    shared.xaxis.set_major_locator(MaxNLocator(5))
    shared.xaxis.set_major_formatter(THOUSANDS)
    finish(shared, "on the axis of both figures", "private average minus true average", "answers (%) per bin")
    return figure


def normalized_figure(study: Study) -> Figure:
    """The errors of the averages as recorded and skew-corrected, each divided by its own true average, on
    one axis; and the narrower alone, enlarged. Not divided where a true average is 0."""
    wide, narrow = (study.of("average", data_set) for data_set in ("as recorded", SKEW_CORRECTED))
    name, relative = _short(study.column), wide.truth != 0 != narrow.truth
    factors = [100 / abs(result.truth) if relative else 1.0 for result in (wide, narrow)]
    errors = {
        result.data_set: factor * (result.answers - result.truth)
        for result, factor in zip((wide, narrow), factors, strict=True)
    }
    title = f"{name}: {noise_sentence(study)}"
    limit, close = (
        min(
            max(1.05 * float(np.abs(errors[result.data_set]).max()), 1e-300),
            5 * REACH * result.scale * factor,
        )
        for result, factor in zip((wide, narrow), factors, strict=True)
    )
    limit = max(limit, close)
    caption = (
        f"{len(wide.answers):,} private averages of either data set. The close-up's axis is "
        f"{limit / close:,.3g} times narrower than that of the other panels. Boxes: quartiles; whiskers: the "
        "middle 95% of the answers."
    )
    figure = new_figure(6.5, title, caption, remark=_remark(study, study.epsilon))
    grid = figure.subplots(2, 2)
    across = "private average minus truth" + (" (% of the truth)" if relative else "")
    unit = "% of the truth" if relative else ""
    panels = [
        (grid[0, 0], wide, VERMILION, limit),
        (grid[0, 1], narrow, BLUE, limit),
        (grid[1, 1], narrow, BLUE, close),
    ]
    for axes, result, colour, reach in panels:
        shown = errors[result.data_set]
        _histogram(axes, shown, reach, colour)
        heading = f"{result.data_set}: std {shown.std():.3g}{unit}" if len(shown) > 1 else result.data_set
        finish(axes, heading, across, "answers (%) per bin")
    grid[1, 1].set_title(f"close-up of {narrow.data_set}")
    # What is to be compared stands on one scale.
    top = max(axes.get_ylim()[1] for axes in grid[0])
    for axes in grid[0]:
        axes.set_ylim(0, top)
    _box(grid[1, 0], errors, [VERMILION, BLUE])
    grid[1, 0].set_xlim(-limit, limit)
    finish(grid[1, 0], "both", across)
    return figure
