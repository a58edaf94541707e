"""The figures of study 1, drawn from its tables alone (suite.report.mia_tables.Study), and images for the samples.

A thin bar is a 95% interval over examples: what other images could have given, with these trained models. A
thick bar is over trainings and examples at once: what other trainings of this kind of model could have given
too. With one training of each model there are thin bars alone.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from leakage.contrasts import NO_DIFFERENCE, SIGNIFICANCE
from leakage.estimates import LOW_FPRS, nonmembers_needed
from leakage.look import BLACK, GREY, SMALL, Style, finish, grey_key, looked_at, new_figure
from leakage.panels import Curves, Point, Shown, loss_panel, no_leak_band, roc_panel
from suite.report.mia_tables import FEW_TRAININGS, NONE, Study, classes_differ, ends_of, last_epoch
from suite.report.mia_words import finding_of, gain_sentence, leaking_sentence
from suite.study.exposure import EXPOSED_SHARE
from suite.study.findings import AS_REPORTED, CALIBRATED, EQUAL_STEPS, THRESHOLD

ABREAST = 4  # models beside each other
PICTURES = 10  # most, and least, exposed images shown of a model
ATTACK_LINES = {THRESHOLD: "--", CALIBRATED: "-"}
THIN, THICK = 1.2, 5.0  # of bars, in points
# Of panels with a line for each model: title, name of the axis, chance level.
PANELS = {
    "auc": ("AUC after the last epoch", "AUC", 0.5),
    "heldout_advantage": ("Held-out advantage", "TPR - FPR", 0.0),
    **{
        name: (f"Members named\nat {100 * fpr:g}% FPR", "multiples of chance", 1.0)
        for name, fpr in LOW_FPRS.items()
    },
}
SETS = "Members: the images that a model was trained on; non-members: the test images of the same classes."


class Drawing(NamedTuple):
    """What the figures need beside the tables: the experiments' questions by name; the training images
    (N, 32, 32, 3) uint8 with labels (N,) and the classes' names; a style for each model; and a remark that
    takes the place of every title, if there is one."""

    questions: dict[str, str]
    images: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str]
    styles: dict[str, Style]
    remark: str = ""

    def title(self, finding: str) -> str:
        """What stands above a figure."""
        return self.remark or finding


@looked_at()
def attack_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    """The figures of act one by the names of their files; study: of the threshold attack."""
    drawn = {f"mia_{name}.png": experiment_figure(study, name, drawing) for name in experiments_of(study)}
    drawn["mia_summary.png"] = summary_figure(study, drawing)
    drawn["mia_per_class.png"] = per_class_figure(study, drawing)
    return drawn | _samples(study, drawing)


@looked_at()
def stronger_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    """The figures of act two by the names of their files; study: of both attacks."""
    return {"mia_attacks.png": attacks_figure(study, drawing)} | _samples(study, drawing)


def _samples(study: Study, drawing: Drawing) -> dict[str, Figure]:
    return {"mia_samples.png": samples_figure(study, drawing)} if study.exposures else {}


@looked_at()
def defence_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    """The figures of act three by the names of their files; study: of plain and of private models."""
    return {f"mia_{name}.png": defence_figure(study, name, drawing) for name in experiments_of(study)}


def experiments_of(study: Study) -> list[str]:
    """The names of the study's experiments, in order."""
    return list(study.pairs["experiment"].unique())


# ------------------------------------------------------------------------------------- what the figures share


def _bars(
    axes: Axes, place: float, row: pd.Series, measure: str, style: Style, fill: str | None = None
) -> None:
    """A horizontal bar for the interval of a row of kinds or pairs, thick if it is over trainings too, and a
    marker for the value."""
    low, high = (row[end] for end in ends_of(measure))
    if not pd.isna(low):
        thick = row["over"] != "examples"
        width, alpha = (THICK, 0.45) if thick else (THIN, 1.0)
        axes.plot([low, high], [place] * 2, "-", color=style.colour, linewidth=width, alpha=alpha)
    _mark(axes, row[measure], place, style, fill)


def _mark(axes: Axes, across: float, place: float, style: Style, fill: str | None = None) -> None:
    """A model's marker, filled with its colour or with another."""
    face, edge = (style.colour, "white") if fill is None else (fill, style.colour)
    axes.plot(across, place, style.marker, markerfacecolor=face, markeredgecolor=edge, markersize=8, zorder=3)


def _thin(axes: Axes, place: float, low: float, high: float, colour: str) -> None:
    axes.plot([low, high], [place] * 2, "|-", color=colour, linewidth=THIN)


def _finish_panels(panels: dict[str, Axes], models: Sequence[str]) -> None:
    """Titles and chance levels of PANELS; the models' names stand at the first."""
    for letter, (name, axes) in zip("abcd", panels.items(), strict=False):
        title, across, chance = PANELS[name]
        axes.axvline(chance, color=GREY, linestyle=":", zorder=0)
        axes.set(yticks=range(len(models)), yticklabels=models, ylim=(len(models) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0, labelleft=letter == "a")
        if name in LOW_FPRS:
            axes.set_xlim(left=0)
        finish(axes, f"({letter}) {title}", across)


def _model_handles(rows: pd.DataFrame, styles: dict[str, Style]) -> list[Line2D]:
    """For a legend: each model with its parameters and its sizes."""
    handles = []
    for model, group in rows.groupby("model", sort=False):
        first = group.iloc[0]
        label = (
            f"{model} ({first['parameters']:,} parameters; {first['members']:,} members, "
            f"{first['nonmembers']:,} non-members)"
        )
        handles.append(
            Line2D([], [], color=styles[model].colour, marker=styles[model].marker, linewidth=2, label=label)
        )
    return handles


def _bars_mean(study: Study) -> str:
    """What the bars are, and what so many trainings do not allow."""
    count = int(study.kinds["trainings"].min())
    if count == 1:
        return "One training of each model: bars are 95% intervals over examples and say nothing about kinds."
    few = " Fewer than five: “no difference” says little." if count < FEW_TRAININGS else ""
    return f"{count} trainings of each model. Thick bars: 95% intervals over trainings and examples.{few}"


def shown(study: Study, model: str, style: Style) -> Shown:
    """One model's curves of the last epoch, for the panels."""
    rows = last_epoch(study.results[study.results["model"] == model])
    curves = study.curves[study.curves["model"] == model]
    trainings = []
    for seed in rows["seed"]:
        of_seed = curves[curves["seed"] == seed]
        roc, members, nonmembers = (
            of_seed[of_seed["curve"] == name][["x", "y"]].to_numpy(float).T
            for name in ("roc", "member losses", "non-member losses")
        )
        trainings.append(Curves(roc[0], roc[1], members[1], members[0], nonmembers[0]))
    points = []
    for name, fpr in LOW_FPRS.items():
        measure = f"tpr_at_{name}_fpr"
        value, low, high = rows[[measure, *ends_of(measure)]].mean()
        if not math.isnan(value):
            points.append(Point(fpr, value, low, high))
    return Shown(
        f"AUC {rows['auc'].mean():.3f}",
        style,
        int(rows["members"].iloc[0]),
        int(rows["nonmembers"].iloc[0]),
        rows["advantage"].mean(),
        trainings,
        points,
    )


# --------------------------------------------------------------------------------------------- an experiment


def experiment_figure(study: Study, experiment: str, drawing: Drawing) -> Figure:
    """The differences with their verdicts; accuracy and AUC per epoch; ROC curves and losses at the end."""
    pairs = study.pairs[study.pairs["experiment"] == experiment]
    models = list(dict.fromkeys(pairs[["first", "second"]].to_numpy().ravel()))
    rows = study.results[study.results["model"].isin(models)]
    caption = (
        f"{SETS} {_bars_mean(study)} Star: epoch of the best mean test accuracy. Grey: where 95% of models "
        "that leak nothing lie. (f) bars at 0.1% and 1% FPR: over examples."
    )
    lines = len(pairs[pairs["variant"].isin((AS_REPORTED, EQUAL_STEPS))])
    figure = new_figure(
        7.2 + 0.5 * lines + 0.25 * len(models),
        drawing.title(finding_of(pairs)),
        caption,
        handles=_model_handles(rows, drawing.styles),
    )
    panels = figure.subplot_mosaic(
        [["answer"] * 6, [*["auc"] * 2, *["accuracy"] * 2, *["losses"] * 2], [*["roc"] * 3, *["low"] * 3]],
        height_ratios=[0.5 * lines + 0.2, 2.4, 2.4],
    )
    answer, auc, accuracy, losses, whole, low = panels.values()
    _answer_panel(answer, pairs, drawing.questions[experiment])
    _epoch_panels(auc, accuracy, study, models, drawing.styles)
    curves = [shown(study, model, drawing.styles[model]) for model in models]
    loss_panel(losses, curves, "(d) Distributions of the loss")
    roc_panel(whole, curves, "(e) ROC curves", "linear")
    roc_panel(low, curves, "(f) ROC curves at a low FPR", "log", key=False)
    return figure


def _answer_panel(axes: Axes, pairs: pd.DataFrame, question: str) -> None:
    """Each pair's difference in AUC with its interval, p value and verdict; below, grey, at equal steps."""
    lines = pairs[pairs["variant"].isin((AS_REPORTED, EQUAL_STEPS))]
    for place, (_, row) in enumerate(lines.iterrows()):
        judged = row["variant"] == AS_REPORTED
        held = f" at {row['equal']}" if row["equal"] else ""
        name = f"{row['first']} - {row['second']}{held}" if judged else f"the same {EQUAL_STEPS}"
        low, high = (row[end] for end in ends_of("auc_difference"))
        interval = "" if pd.isna(low) else f" [{low:+.3f}, {high:+.3f}]"
        words = f"{name}: {row['auc_difference']:+.3f}{interval}, {_judgement(row)}"
        colour = BLACK if judged else GREY
        look = {"fontsize": SMALL, "color": colour, "fontweight": "bold" if judged else "normal"}
        look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # over the dotted line
        # Not in the layout, which would make room for it beside the axes.
        axes.text(0, place, words, transform=axes.get_yaxis_transform(), va="center", in_layout=False, **look)
        _bars(axes, place + 0.45, row, "auc_difference", Style(colour, "o"))
    axes.axvline(0, color=GREY, linestyle=":", zorder=0)
    axes.set(yticks=[], ylim=(len(lines) - 0.3, -0.4))
    axes.spines["left"].set_visible(False)
    meaning = (
        "Difference in AUC, first - second (dotted: none); p is adjusted for all pairs (Holm), the bars not"
    )
    finish(axes, f"(a) {question}\n{meaning}", "")


def _judgement(row: pd.Series) -> str:
    """A pair's adjusted p value and verdict; the names stand before them, and would be too long."""
    if row["variant"] != AS_REPORTED:
        return "not judged"
    if row["verdict"].startswith(NONE):
        return NONE
    more = "the first leaks more" if row["auc_difference"] > 0 else "the second leaks more"
    return f"p = {row['auc_adjusted_p']:.2g}, {more if row['verdict'] != NO_DIFFERENCE else NO_DIFFERENCE}"


def _epoch_panels(
    auc: Axes, accuracy: Axes, study: Study, models: Sequence[str], styles: dict[str, Style]
) -> None:
    """AUC, and training and test accuracy, per epoch: thin lines of the trainings, and their mean."""
    kinds = study.kinds[study.kinds["variant"] == AS_REPORTED].set_index("model")
    for place, model in enumerate(models):
        rows = study.results[study.results["model"] == model]
        style = styles[model]
        leaked = _curve(auc, rows, "auc", style, place=place)
        _curve(accuracy, rows, "train_accuracy", style, place=place)
        tested = _curve(accuracy, rows, "test_accuracy", style, "--", place=place)
        best = tested.idxmax()
        # The later, the smaller, so that none hides another where both are best at the same epoch.
        size = max(20 * 0.65**place, 10)
        star = {"color": style.colour, "markeredgecolor": "white", "markersize": size, "zorder": 4 + place}
        auc.plot(
            best,
            leaked[best],
            "*",
            label=f"{leaked[best]:.3f}, at the end {leaked.iloc[-1]:.3f}",
            **star,
        )
        accuracy.plot(best, tested[best], "*", **star)
        low, high = kinds.loc[model, list(ends_of("auc"))]
        if len(rows) == len(leaked):
            auc.fill_between(
                rows["epoch"], rows["auc_low"], rows["auc_high"], color=style.colour, alpha=0.2, linewidth=0
            )
        else:
            auc.plot([leaked.index[-1]] * 2, [low, high], color=style.colour, linewidth=THICK, alpha=0.45)
    auc.axhline(0.5, color=GREY, linestyle=":")
    grey_key(auc, {"chance: 0.5": ":"}, "upper left")
    grey_key(accuracy, {"training images": "-", "test images": "--"}, "best")
    bottom, top = auc.get_ylim()
    auc.set_ylim(bottom, top + (0.15 + 0.15 * len(models)) * (top - bottom))  # room for the legend
    finish(auc, "(b) AUC of the attack", "epoch", "AUC")
    finish(accuracy, "(c) Accuracy", "epoch", "share classified correctly")
    for axes in (auc, accuracy):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _curve(
    axes: Axes, rows: pd.DataFrame, column: str, style: Style, linestyle: str = "-", place: int = 0
) -> pd.Series:
    """One model's column per epoch: thin lines of the trainings, and their mean, which is returned. Models at
    different places have their markers at different epochs, so that equal curves show both."""
    table = rows.pivot_table(index="epoch", columns="seed", values=column)
    mean = table.mean(axis=1)
    if table.shape[1] > 1:
        axes.plot(table.index, table, linestyle, color=style.colour, linewidth=0.7, alpha=0.5)
    every = max(1, len(mean) // 6)
    markers = {"marker": style.marker, "markevery": (place % every, every), "markersize": 6}
    axes.plot(mean, linestyle, color=style.colour, linewidth=2, **markers)
    return mean


# ----------------------------------------------------------------------------------------- all models at once


def summary_figure(study: Study, drawing: Drawing) -> Figure:
    """Every model's leakage at its last epoch, beside what chance gives."""
    caption = (
        f"{SETS} {_bars_mean(study)} Held-out advantage: TPR - FPR at a threshold chosen on other images. "
        "Gap: training minus test accuracy. Members named (TPR): thin bars over examples."
    )
    handles = [
        Line2D([], [], color=GREY, marker="o", linestyle="", label="untrained model (epoch 0)"),
        Line2D([], [], color=BLACK, marker="x", linestyle="", label="accuracy gap"),
        Line2D([], [], color=GREY, linestyle=":", label="chance level"),
        Patch(color=GREY, alpha=0.25, linewidth=0, label="95% of models that leak nothing"),
    ]
    figure = new_figure(5.6, drawing.title(leaking_sentence(study)), caption, handles=handles, columns=4)
    panels = dict(zip(PANELS, figure.subplots(1, len(PANELS), width_ratios=[4, 4, 3, 3]), strict=True))
    auc, advantage = panels["auc"], panels["heldout_advantage"]
    last = last_epoch(study.results)
    kinds = study.kinds[study.kinds["variant"] == AS_REPORTED].set_index("model")
    for place, (model, kind) in enumerate(kinds.iterrows()):
        style, rows = drawing.styles[model], last[last["model"] == model]
        starts = study.results[(study.results["model"] == model) & (study.results["epoch"] == 0)]
        auc.plot(starts["auc"], [place + 0.3] * len(starts), "o", color=GREY, markersize=4)
        _bars(auc, place, kind, "auc", style)
        auc.annotate(
            f"{kind['auc']:.3f}",
            (kind["auc"], place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
        )
        _bars(advantage, place, kind, "heldout_advantage", style)
        advantage.plot(rows["gap"].mean(), place + 0.3, "x", color=style.colour, markeredgewidth=2)
        for name, fpr in LOW_FPRS.items():
            _tpr_in_multiples(panels[name], place, rows, name, fpr, style)
    _finish_panels(panels, list(kinds.index))
    return figure


def _tpr_in_multiples(
    axes: Axes,
    place: float,
    rows: pd.DataFrame,
    name: str,
    fpr: float,
    style: Style,
    fill: str | None = None,
    band: bool = True,
    middle: float | None = None,
) -> None:
    """TPR at a low FPR over its chance level: mean over the trainings of value and of interval; with `band`,
    where models lie that leak nothing, around the height `middle`."""
    measure, middle = f"tpr_at_{name}_fpr", place if middle is None else middle
    value, low, high, chance = rows[[measure, *ends_of(measure), f"chance_{measure}"]].astype(float).mean()
    if math.isnan(value):
        if band:
            across = axes.get_yaxis_transform()
            needed = f"needs {nonmembers_needed(fpr):,}\nnon-members"
            axes.text(0.5, middle, needed, transform=across, ha="center", va="center", fontsize=SMALL)
        return
    if band:
        sizes = int(rows["members"].iloc[0]), int(rows["nonmembers"].iloc[0])
        [least], [most] = no_leak_band(*sizes, (fpr,)) / chance
        axes.barh(middle, most - least, 0.7, least, color=GREY, alpha=0.25)
    _thin(axes, place, low / chance, high / chance, style.colour)
    _mark(axes, value / chance, place, style, fill)


def per_class_figure(study: Study, drawing: Drawing) -> Figure:
    """The AUC of the attack on each class by itself at the last epoch, a panel for each model."""
    last, differ = last_epoch(study.results), classes_differ(study)
    surely = [model for model, p in differ.items() if p < SIGNIFICANCE]
    title = "In no model can it be shown that the classes differ"
    if surely:
        title = f"The classes differ in {', '.join(surely)}"
        title += "; in the others that cannot be shown" if len(surely) < len(differ) else ""
    caption = (
        "Bars: 95% intervals over examples, mean over the trainings of each model. p: test whether the "
        f"classes' AUCs differ at all, over {study.kinds['over'].iloc[0]}, adjusted over the models (Holm); "
        f"where it is not below {SIGNIFICANCE:g}, no class is to be named. Dotted: chance."
    )
    known = {model: _known(last[last["model"] == model], drawing.class_names) for model in differ.index}
    # Models that know equally many classes stand in one line, so that these can be compared.
    lines: list[list[str]] = []
    for count in sorted({len(names) for names in known.values()}, reverse=True):
        alike = [model for model, names in known.items() if len(names) == count]
        lines += [alike[start : start + ABREAST] for start in range(0, len(alike), ABREAST)]
    heights = [len(known[line[0]]) + 2 for line in lines]
    figure = new_figure(1.6 + 0.28 * sum(heights), drawing.title(title), caption)
    grid = figure.subplots(len(lines), ABREAST, sharex=True, squeeze=False, height_ratios=heights)
    # A model that knows a few classes only would move the means, so that it has no say in the order.
    most = [model for model, names in known.items() if len(names) == len(known[lines[0][0]])]
    means = {name: last[last["model"].isin(most)][f"auc_{name}"].mean() for name in drawing.class_names}
    order = sorted(drawing.class_names, key=lambda name: -np.nan_to_num(means[name]))
    for line, panels in zip(lines, grid, strict=True):
        for axes in panels[len(line) :]:
            axes.set_axis_off()
        for axes, model in zip(panels, line, strict=False):
            names = [name for name in order if name in known[model]]
            _class_panel(axes, last[last["model"] == model], names, drawing.styles[model])
            if axes is not panels[0] and set(names) == set(known[line[0]]):
                axes.set_yticklabels([])
            p = differ[model]
            finish(axes, model if pd.isna(p) else f"{model}\np = {p:.2g}", "AUC")
            axes.title.set_color(drawing.styles[model].colour)
    return figure


def _known(rows: pd.DataFrame, class_names: Sequence[str]) -> list[str]:
    """The classes of a model that the attack was judged on."""
    return [name for name in class_names if f"auc_{name}" in rows and rows[f"auc_{name}"].notna().all()]


def _class_panel(axes: Axes, rows: pd.DataFrame, names: Sequence[str], style: Style) -> None:
    for place, name in enumerate(names):
        value, low, high = rows[[f"auc_{name}", f"auc_{name}_low", f"auc_{name}_high"]].mean()
        _thin(axes, place, low, high, style.colour)
        axes.plot(value, place, style.marker, color=style.colour, markeredgecolor="white", markersize=7)
    axes.axvline(0.5, color=GREY, linestyle=":", zorder=0)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    axes.tick_params(axis="x", labelbottom=True)


def samples_sentence(study: Study) -> str:
    """How much of what one attack names first the other names first too; with one attack, what is shown."""
    shares = []
    for (model, attack), exposure in study.exposures.items():
        calibrated = study.exposures.get((model, CALIBRATED))
        if attack == THRESHOLD and calibrated:
            count = max(round(EXPOSED_SHARE * len(exposure.ids)), 1)
            named = [
                of_attack.ids[np.argsort(of_attack.ranks)[:count]] for of_attack in (exposure, calibrated)
            ]
            shares.append(f"{len(np.intersect1d(*named)) / count:.0%} ({model})")
    if not shares:
        return "The training images that the attack names first, and those that it names last"
    return (
        f"Of the {EXPOSED_SHARE:.0%} of images that each attack names first, the two attacks have "
        f"{' and '.join(shares)} in common"
    )


def samples_figure(study: Study, drawing: Drawing) -> Figure:
    """The training images that each attack names first, and last, for each model that is pictured."""
    caption = (
        "Most exposed: the members that the attack names first, by their mean rank over the trainings. Least "
        "exposed: members that pass for images that the model has never seen."
    )
    exposures = sorted(study.exposures.items(), key=lambda item: list(drawing.styles).index(item[0][0]))
    title = drawing.title(samples_sentence(study))
    figure = new_figure(0.9 + 2.75 * len(exposures), title, caption)
    panels = figure.subplots(len(exposures), squeeze=False)[:, 0]
    for axes, ((model, attack), exposure) in zip(panels, exposures, strict=True):
        for top, kind in ((0, "most"), (1.3, "least")):
            axes.text(-0.1, top + 0.5, f"{kind}\nexposed", ha="right", va="center")
            for left, index in zip(1.1 * np.arange(PICTURES), getattr(exposure, kind), strict=False):
                axes.imshow(drawing.images[index], extent=(left, left + 1, top + 1, top))
                name = drawing.class_names[drawing.labels[index]]
                axes.text(left + 0.5, top - 0.05, name, ha="center", fontsize=SMALL)
        axes.set(xlim=(-1, 1.1 * PICTURES), ylim=(2.4, -0.3), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_xlabel(textwrap.fill(exposure.stability, 125), loc="left", fontsize=SMALL)
        axes.set_title(f"{model}, {attack} attack", color=drawing.styles[model].colour, fontweight="bold")
    return figure


# -------------------------------------------------------------------------------------------- the two attacks


def attacks_figure(study: Study, drawing: Drawing) -> Figure:
    """Threshold and calibrated attack beside each other: every model's AUC and TPR at low FPRs, and the ROC
    curves of the models that are pictured."""
    caption = (
        f"{_bars_mean(study)} Both attacks on the same targets; a gain is sure where each training's 95% "
        "interval over examples lies above 0. Members named (TPR): thin bars over examples. Grey: where 95% "
        "of models that leak nothing lie."
    )
    handles = [
        Line2D([], [], color=BLACK, marker="o", markerfacecolor="white", linestyle="--", label="threshold"),
        Line2D([], [], color=BLACK, marker="o", label="calibrated"),
        Line2D([], [], color=GREY, linestyle=":", label="chance level"),
    ]
    models = list(study.results["model"].unique())
    pictured = list(dict.fromkeys(model for model, _ in study.exposures))[:2] or models[:2]
    figure = new_figure(
        5.6 + 0.42 * len(models),
        drawing.title(gain_sentence(study)),
        caption,
        handles=handles,
        columns=3,
    )
    mosaic = [
        [name for name in ("auc", *LOW_FPRS) for _ in range(2)],
        [name for name in pictured for _ in range(6 // len(pictured))],
    ]
    panels = figure.subplot_mosaic(mosaic, height_ratios=[0.42 * len(models) + 0.6, 3.2])
    for shift, attack in ((-0.17, THRESHOLD), (0.17, CALIBRATED)):
        part = study.of(attack)
        kinds = part.kinds[part.kinds["variant"] == AS_REPORTED].set_index("model")
        last = last_epoch(part.results)
        for place, model in enumerate(models):
            style, rows = drawing.styles[model], last[last["model"] == model]
            fill = None if attack == CALIBRATED else "white"
            _bars(panels["auc"], place + shift, kinds.loc[model], "auc", style, fill)
            for name, fpr in LOW_FPRS.items():
                band = shift < 0
                _tpr_in_multiples(panels[name], place + shift, rows, name, fpr, style, fill, band, place)
    _finish_panels({name: panels[name] for name in ("auc", *LOW_FPRS)}, models)
    for letter, model in zip("de", pictured, strict=False):
        curves = []
        for attack, line in ATTACK_LINES.items():
            one = shown(study.of(attack), model, drawing.styles[model])
            curves.append(one._replace(label=f"{attack}, {one.label}", line=line))
        roc_panel(panels[model], curves, f"({letter}) ROC curves of {model}", "log")
    return figure


# ------------------------------------------------------------------------------------------------ the defence


def defence_figure(study: Study, experiment: str, drawing: Drawing) -> Figure:
    """Accuracy and AUC per epoch of plain and of private models; ROC curves of all attacks under the bounds
    that none can exceed; advantages beside theirs; and each private model beside the first plain one at equal
    test accuracy."""
    pairs = study.pairs[study.pairs["experiment"] == experiment]
    study = study.about(list(pairs[["first", "second"]].to_numpy().ravel()))
    last = last_epoch(study.results)
    private = last[last["epsilon"].notna()].drop_duplicates("model").set_index("model")
    plain = [name for name in last["model"].unique() if name not in private.index]
    models = [*plain, *private.index]
    threshold = study.of(THRESHOLD)
    if plain:
        nearest = [equal_accuracy(threshold.results, plain[0], model) for model in private.index]
        epochs = " and ".join(f"{epoch}" for epoch in dict.fromkeys(both["epoch"] for both in nearest))
        equal = (
            f"(e) {plain[0]} at epoch {epochs}, where its test accuracy is nearest: early stopping may "
            "protect as well, but promises nothing."
        )
    else:
        ends = last_epoch(threshold.results)
        nearest = [{model: ends[ends["model"] == model]} for model in models]
        equal = "(e) after the last epoch."
    epsilons = ", ".join(f"{name} epsilon {epsilon:g}" for name, epsilon in private["epsilon"].items())
    caption = (
        f"{_bars_mean(study)} DP-SGD at delta {private['delta'].iloc[0]:g}: {epsilons}; no attack lies above "
        f"the bound but by chance. Star: best mean test accuracy. {equal}"
    )
    figure = new_figure(
        7.6 + 0.4 * len(models),
        drawing.title(finding_of(pairs)),
        caption,
        handles=_model_handles(last, drawing.styles),
    )
    panels = figure.subplot_mosaic(
        [["roc"] * 3 + ["advantage"] * 3, ["accuracy"] * 2 + ["auc"] * 2 + ["equal"] * 2],
        height_ratios=[3.2, 2.6],
    )
    curves = []
    for attack in study.results["attack"].unique():
        for name in models:
            one = shown(study.of(attack), name, drawing.styles[name])
            curves.append(one._replace(label=f"{name}, {attack}", line=ATTACK_LINES[attack], points=()))
    bounds = study.curves[(study.curves["curve"] == "bound") & (study.curves["attack"] == THRESHOLD)]
    for model in private.index:
        bound = bounds[bounds["model"] == model]
        bound = bound[bound["seed"] == bound["seed"].min()]  # that of every seed
        label, colour = _bound_look(model, private.index, drawing.styles)
        panels["roc"].plot(bound["x"], bound["y"], color=colour, linewidth=1.5, linestyle="-.", label=label)
    roc_panel(panels["roc"], curves, "(a) ROC curves under the proven bound", "log")
    _advantage_panel(panels["advantage"], study, models, private["advantage_bound"], drawing.styles)
    _epoch_panels(panels["auc"], panels["accuracy"], threshold, models, drawing.styles)
    finish(panels["accuracy"], "(c) Accuracy", "epoch", "share classified correctly")
    finish(panels["auc"], "(d) AUC of the threshold attack", "epoch", "AUC")
    _equal_panel(panels["equal"], nearest, drawing.styles)
    return figure


def _bound_look(model: str, private: Sequence[str], styles: dict[str, Style]) -> tuple[str, str]:
    """What the bound of one private model is called, and its colour: the model's, if there are several."""
    if len(private) == 1:
        return "proven bound", BLACK
    return f"bound of {model}", styles[model].colour


def equal_accuracy(results: pd.DataFrame, plain: str, private: str) -> dict[str, object]:
    """The epoch at which the plain model's mean test accuracy is nearest to the private one's last; and the
    rows of both there, by model."""
    ends = last_epoch(results[results["model"] == private])
    rows = results[results["model"] == plain]
    gaps = (rows.groupby("epoch")["test_accuracy"].mean() - ends["test_accuracy"].mean()).abs()
    epoch = int(gaps.idxmin())
    return {"epoch": epoch, plain: rows[rows["epoch"] == epoch], private: ends}


def _advantage_panel(
    axes: Axes, study: Study, models: Sequence[str], bounds: pd.Series, styles: dict[str, Style]
) -> None:
    """Held-out advantage of each attack on each model, beside the bounds of the private ones."""
    kinds = study.kinds[study.kinds["variant"] == AS_REPORTED]
    names = []
    for model in models:
        begin = len(names) - 0.5
        for _, kind in kinds[kinds["model"] == model].iterrows():
            fill = "white" if kind["attack"] == THRESHOLD else None
            _bars(axes, len(names), kind, "heldout_advantage", styles[model], fill)
            names.append(f"{model},\n{kind['attack']}")
        if model in bounds:
            bound, (_, colour) = bounds[model], _bound_look(model, bounds.index, styles)
            axes.plot([bound] * 2, [begin, len(names) - 0.5], "-.", color=colour)
            axes.text(bound, begin - 0.05, f"bound {bound:.3f}", ha="right", va="bottom", fontsize=SMALL)
    axes.axvline(0, color=GREY, linestyle=":", zorder=0)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    finish(axes, "(b) Held-out advantage (dotted: chance)", "TPR - FPR")


def _equal_panel(axes: Axes, nearest: Sequence[dict[str, object]], styles: dict[str, Style]) -> None:
    """AUC against test accuracy, each training a point. nearest: of models to be compared, their rows."""
    for both in nearest:
        for model in [name for name in both if name != "epoch"]:
            rows, style = both[model], styles[model]
            points = {"color": style.colour, "markeredgecolor": "white", "markersize": 8}
            axes.plot(rows["test_accuracy"], rows["auc"], style.marker, **points)
            for _, row in rows.iterrows():
                ends = [row["auc_low"], row["auc_high"]]
                # Thin and behind all marks, as those of twelve trainings overlap.
                thin = {"linewidth": 0.8, "alpha": 0.6, "zorder": 1}
                axes.plot([row["test_accuracy"]] * 2, ends, color=style.colour, **thin)
    axes.axhline(0.5, color=GREY, linestyle=":", zorder=0)
    axes.margins(x=0.3)
    finish(axes, "(e) At equal test accuracy", "test accuracy", "AUC, threshold attack")
