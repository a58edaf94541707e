"""The figures of study 1. They need its tables (suite.study.tables.Study), and the images for the samples.

Bars are the intervals of the tables, which allow for other trainings, coins and images at once. In 95% of
runs those of one measure and attack hold for all models together, and those of one attack for all pairs. So a
bar never contradicts its verdict.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from leakage.estimates import LOW_FPRS, nonmembers_needed
from leakage.look import BLACK, BLUE, GREY, SMALL, Style, finish, grey_key, looked_at, new_figure
from suite.report.mia_tables import certain_epsilon, ends_of, given_fprs, last_epoch, reported, with_interval
from suite.report.mia_words import (
    NAMED_FIRST,
    by_model_in_words,
    class_groups,
    classes_sentence,
    defence_sentence,
    finding_of,
    gain_sentence,
    is_decided,
    leaking_sentence,
    listed,
    loss_sentence,
    model_words,
    samples_sentence,
)
from suite.study.findings import AS_REPORTED, CALIBRATED, EQUAL_STEPS, THRESHOLD
from suite.study.memorisation import RELIABLE
from suite.study.tables import Study

LETTERS = "abcdefghijkl"  # of panels
ABREAST = 4  # models beside each other
ATTACK_LINES = {THRESHOLD: "--", CALIBRATED: "-"}
ATTACK_PLACES = {THRESHOLD: -0.17, CALIBRATED: 0.17}  # above and below a model's line
BAR, MARK = 5.0, 8.0  # width of a bar and size of a marker, in points
ROW = 0.42  # height of a row of differences, in inches
FEWEST_ROWS = 3  # for which the figure of the defence has room
SETS = "Members: images that a model was trained on, by a coin each; non-members: the rest of the pool."


class Drawing(NamedTuple):
    """What the figures need beside the tables.

    questions: of the experiments, by their names. names: a pair's two models in words, by the names of the
    experiment and of the models; () for a pair without such words. images (N, 32, 32, 3) uint8 and labels
    (N,): of all images, by number. class_names: by label. styles: one for each model. remark: every title
    begins with it, unless it is empty.
    """

    questions: dict[str, str]
    names: Mapping[tuple[str, str, str], Sequence[str]]
    images: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str]
    styles: dict[str, Style]
    remark: str = ""

    def title(self, finding: str) -> str:
        """The title of a figure: the finding, after the remark if there is one."""
        return f"{self.remark}: {finding}" if self.remark else finding


@looked_at()
def attack_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    """The figures of act one, by the names of their files. study: with the rows of the threshold attack."""
    return {
        "mia_loss.png": loss_figure(study, drawing),
        **_experiment_figures(study, drawing),
        "mia_summary.png": summary_figure(study, drawing),
        "mia_per_class.png": per_class_figure(study, drawing),
    }


@looked_at()
def stronger_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    """The figures of act two, by the names of their files: new ones, and those of act one's experiments
    again, now with both attacks. study: with the rows of both attacks."""
    figures = {"mia_attacks.png": attacks_figure(study, drawing), **_experiment_figures(study, drawing)}
    if len(study.memorisation):
        figures["mia_samples.png"] = samples_figure(study, drawing)
    return figures


@looked_at()
def defence_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    """The figures of act three, by the names of their files. study: of plain and of private models."""
    if study.pairs.empty:  # a private model alone
        return {"mia_defence.png": defence_figure(study, study.pairs, drawing)}
    return {
        f"mia_{experiment}.png": defence_figure(study, pairs, drawing)
        for experiment, pairs in study.pairs.groupby("experiment", sort=False)
    }


def _experiment_figures(study: Study, drawing: Drawing) -> dict[str, Figure]:
    return {
        f"mia_{experiment}.png": experiment_figure(study, pairs, drawing)
        for experiment, pairs in study.pairs.groupby("experiment", sort=False)
    }


# ------------------------------------------------------------------------------------- what the figures share


def pictured_models(study: Study) -> list[str]:
    """The models whose memorisation of single images is in the tables; if there are none, the first two."""
    models = list(study.results["model"].unique())
    pictured = [model for model in models if f"{model}_memorisation" in study.memorisation]
    return pictured or models[:2]


def _models_of(pairs: pd.DataFrame) -> list[str]:
    """The models of these pairs, each once."""
    return list(dict.fromkeys(pairs[["first", "second"]].to_numpy().ravel()))


def _trainings(study: Study) -> str:
    """How many trainings the figure is about."""
    return f"{int(study.kinds['trainings'].min())} trainings of each model."


def _bar(
    axes: Axes,
    place: float,
    row: pd.Series,
    measure: str,
    style: Style,
    *,
    filled: bool,
    unit: float = 1.0,
    width: float = BAR,
) -> None:
    """A horizontal bar for a measure's interval, if there is one, and a marker for its value.

    row: of a table of kinds or pairs. unit: factor from the table's unit to the axis'. width: of the bar, in
    points.
    """
    low_name, high_name = ends_of(measure)
    if not pd.isna(row[low_name]):
        ends = [unit * row[low_name], unit * row[high_name]]
        axes.plot(ends, [place, place], color=style.colour, linewidth=width, alpha=0.4, solid_capstyle="butt")
    _mark(axes, unit * row[measure], place, style, filled=filled)


def _mark(axes: Axes, across: float, up: float, style: Style, *, filled: bool, size: float = MARK) -> None:
    """A model's marker. It is open for the threshold attack if both attacks are shown."""
    face = style.colour if filled else "white"
    edge = {"markeredgecolor": style.colour, "markeredgewidth": size / 6}
    axes.plot(across, up, style.marker, markerfacecolor=face, markersize=size, zorder=3, **edge)


def _model_rows(axes: Axes, names: Sequence[str]) -> None:
    """Makes room for one line per model, and writes these names at the left."""
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)


def _named_in_words(study: Study, models: Sequence[str]) -> list[str]:
    """Each model's name, with its meaning in the lines below."""
    by_model = dict(list(study.results.groupby("model", sort=False)))
    names = []
    for model in models:
        *layers, classes, members = model_words(by_model[model]).split(", ")
        names.append("\n".join([model, *layers, f"{classes}, {members}"]))
    return names


def _model_handles(study: Study, models: Sequence[str], styles: dict[str, Style]) -> list[Line2D]:
    """For a legend: each model's line, its name and the name's meaning."""
    handles = []
    for model in models:
        rows = study.results[study.results["model"] == model]
        label = f"{model}: {model_words(rows)}"
        colour, marker = styles[model]
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=2, label=label))
    return handles


# -------------------------------------------------------------------------------------------------- the loss


def loss_figure(study: Study, drawing: Drawing) -> Figure:
    """Two histograms of the loss, of members and of non-members, and the threshold of the attack."""
    models = pictured_models(study)
    caption = (
        f"{SETS} Loss: -log of the probability given to the true class; small means certain; the first and "
        "the last bar hold all beyond. Threshold: where the shares of members and of non-members below it "
        f"differ most. Means over {int(study.kinds['trainings'].min())} trainings."
    )
    handles = [
        Patch(facecolor=BLUE, alpha=0.4, label="members"),
        Line2D([], [], color=BLACK, linewidth=1.5, label="non-members"),
        Line2D([], [], color=BLACK, linestyle="--", label="threshold"),
    ]
    title = drawing.title(loss_sentence(study, models))
    figure = new_figure(4.6, title, caption, handles=handles, columns=3)
    panels = figure.subplots(1, len(models), squeeze=False)[0]
    for number, (axes, model) in enumerate(zip(panels, models, strict=True)):
        rows = study.results[study.results["model"] == model]
        _loss_panel(axes, study.curves[study.curves["model"] == model], last_epoch(rows))
        finish(
            axes,
            f"({LETTERS[number]}) {model}:\n{model_words(rows)}",
            "loss (logarithmic axis)",
            "share of images",
        )
    _same_height(panels)
    return figure


def _loss_panel(axes: Axes, curves: pd.DataFrame, last: pd.DataFrame) -> None:
    """One model's histograms, and how many members and non-members the threshold calls members.

    curves, last: the model's curves, and its results at the last epoch.
    """
    members, edges = _histogram(curves[curves["curve"] == "member histogram"])
    nonmembers, _ = _histogram(curves[curves["curve"] == "non-member histogram"])
    axes.stairs(members, edges, fill=True, color=BLUE, alpha=0.4)
    axes.stairs(nonmembers, edges, color=BLACK, linewidth=1.5)
    threshold = last["threshold"].mean()
    axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1.2)
    words = (
        f"called members:\n{last['true_positive_rate'].mean():.0%} of members,\n"
        f"{last['false_positive_rate'].mean():.0%} of non-members"
    )
    beside = {"textcoords": "offset points", "xycoords": axes.get_xaxis_transform(), "va": "top"}
    axes.annotate(words, (threshold, 0.98), (-6, 0), ha="right", **beside)
    largest = max(members.max(), nonmembers.max())
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), ylim=(0, 1.35 * largest))  # room for the words
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _histogram(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Shares (b,) of the images in each bin, the mean over the trainings, and the bins' edges (b + 1,)."""
    shares = points.groupby("x")["y"].mean()
    left = shares.index.to_numpy(float)
    # The table has the left edges; the bins are equally wide on a logarithmic axis.
    return shares.to_numpy(float), np.append(left, left[-1] ** 2 / left[-2])


# --------------------------------------------------------------------------------------------- an experiment


def experiment_figure(study: Study, pairs: pd.DataFrame, drawing: Drawing) -> Figure:
    """An experiment's verdicts and differences; below them each pair's AUC by epoch, and of a single pair the
    accuracy.

    pairs: the experiment's rows of the table of pairs.
    """
    shown = pairs[pairs["variant"].isin([AS_REPORTED, EQUAL_STEPS])]
    # Both attacks on a pair beside each other, and what is judged first.
    shown = shown.sort_values("variant", key=lambda variants: variants != AS_REPORTED, kind="stable")
    by_pair = [rows for _, rows in shown.groupby(["first", "second"], sort=False)]
    shown = pd.concat(by_pair)
    models = _models_of(shown)
    caption = (
        f"{SETS} {_trainings(study)} The bars of one attack in (a) hold in 95% of runs for all "
        f"{shown['family'].iloc[0]} pairs of plain models together, in this figure or another, those of the "
        "AUC for all models. If a bar in (a) leaves 0 out, that is the verdict."
    )
    if (shown["variant"] == EQUAL_STEPS).any():
        caption += " Thin: after equally many training steps, described and not judged."
    question = drawing.questions[pairs["experiment"].iloc[0]]
    figure = new_figure(
        4.7 + ROW * len(shown) + 0.2 * len(models),
        drawing.title(finding_of(pairs, question, drawing.names)),
        caption,
        handles=_model_handles(study, models, drawing.styles),
    )
    answer, words, *panels = _experiment_panels(figure, len(by_pair), ROW * len(shown) + 0.1)
    _answer_panel(answer, words, shown, question)
    for axes in panels[1:]:
        axes.sharex(panels[0])
    aucs = panels[: len(by_pair)]
    for number, (axes, rows) in enumerate(zip(aucs, by_pair, strict=True), 1):
        _auc_panel(axes, study, _models_of(rows), drawing.styles)
        finish(axes, f"({LETTERS[number]}) {_auc_title(study)}{_where(rows, by_pair)}", "epoch", "AUC")
    for axes in panels[len(by_pair) :]:
        _accuracy_panel(axes, study, models, drawing.styles)
        finish(axes, "(c) Accuracy", "epoch", "share classified correctly")
    _same_height(aucs)
    return figure


def _experiment_panels(figure: Figure, pairs: int, answer_height: float) -> list[Axes]:
    """Panels: on top the answer and its words; below, the AUC of each pair. Beside that of a single pair
    stands the accuracy; with several there is no room, and models of more and of fewer classes do not
    compare in it."""
    line = [f"AUC {number}" for number in range(pairs)]
    if pairs == 1:
        line.append("accuracy")
    # So many columns that the panels fit, and the words take a third of their line.
    columns = math.lcm(len(line), 3)
    answer_line = ["answer"] * (2 * columns // 3) + ["words"] * (columns // 3)
    mosaic = [answer_line, np.repeat(line, columns // len(line)).tolist()]
    panels = figure.subplot_mosaic(mosaic, height_ratios=[answer_height, 2.6])
    return list(panels.values())


def _where(rows: pd.DataFrame, by_pair: Sequence[pd.DataFrame]) -> str:
    """Which of several pairs a panel shows: what its models have in common, or else their names."""
    if len(by_pair) == 1:
        return ""
    pair = rows.iloc[0]
    return f", {pair['equal'] or listed(_models_of(rows))}"


def _same_height(panels: Sequence[Axes]) -> None:
    """Gives panels that are compared with each other the same vertical axis."""
    lowest = min(axes.get_ylim()[0] for axes in panels)
    highest = max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set_ylim(lowest, highest)


def _answer_panel(axes: Axes, beside: Axes, rows: pd.DataFrame, question: str) -> None:
    """Each row's difference in AUC with its interval; in the axes beside it the verdict, or the epochs where
    there is none. rows: of the table of pairs, those of a pair one after another."""
    several_pairs = len(_models_of(rows)) > 2
    names: list[str] = []
    of_pair = ""
    for place, (_, row) in enumerate(rows.iterrows()):
        judged = row["variant"] == AS_REPORTED
        decided = judged and is_decided(row["verdict"])
        style = Style(BLACK if decided else GREY, "o")
        width = BAR if judged else BAR / 4
        _bar(axes, place, row, "auc_difference", style, filled=row["attack"] == CALIBRATED, width=width)
        said = _judgement(row) if judged else f"after epochs {row['first_epoch']} and {row['second_epoch']}"
        words = f"{with_interval(row, 'auc_difference', '+')}\n{said}"
        weight = "bold" if decided else "normal"
        beside.text(0, place, words, va="center", fontsize=SMALL, fontweight=weight)
        name = f"{row['attack']} attack" if judged else f"{row['attack']}, {EQUAL_STEPS}\n(described)"
        pair = f"{row['first']} - {row['second']}"
        names.append(f"{pair},\n{name}" if several_pairs and pair != of_pair else name)
        of_pair = pair
    axes.axvline(0, color=GREY, linestyle=":", zorder=0)
    _model_rows(axes, names)
    beside.set_ylim(axes.get_ylim())
    beside.set_axis_off()
    # 0 in the middle, so that either side is one model's.
    widest = rows[["auc_difference", "auc_low", "auc_high"]].astype(float).abs().max(axis=None) or 1.0
    axes.set_xlim(-1.1 * widest, 1.1 * widest)
    axes.xaxis.set_major_locator(MaxNLocator(7, symmetric=True))
    first, second = ("the first", "the second") if several_pairs else rows[["first", "second"]].iloc[0]
    sides = f"← {second} leaks more      difference in AUC      {first} leaks more →"
    finish(axes, f"(a) {question}", sides)


def _judgement(row: pd.Series) -> str:
    """A verdict in a few words."""
    if not is_decided(row["verdict"]):
        return row["verdict"].split(":")[0]
    more = row["first"] if row["auc_difference"] > 0 else row["second"]
    return f"{more} leaks more"


def _auc_title(study: Study) -> str:
    attacks = study.results["attack"].unique()
    return f"AUC of the {attacks[0]} attack" if len(attacks) == 1 else "AUC of both attacks"


def _auc_panel(axes: Axes, study: Study, models: Sequence[str], styles: dict[str, Style]) -> None:
    """Each attack's AUC by epoch, mean over the trainings; behind the last epoch a bar for its interval."""
    kinds = reported(study.kinds).set_index(["model", "attack"])
    attacks = list(study.results["attack"].unique())
    last = study.results[study.results["model"].isin(models)]["epoch"].max()
    bars = 0
    for model in models:
        for attack in attacks:
            rows = study.results[(study.results["model"] == model) & (study.results["attack"] == attack)]
            line = ATTACK_LINES[attack] if len(attacks) > 1 else "-"
            _mean_curve(axes, rows, "auc", styles[model], line, filled=attack == attacks[-1])
            kind = kinds.loc[(model, attack)]
            bars += 1
            place = last * (1.02 + 0.025 * bars)  # beside each other, behind the last epoch
            ends = [kind["auc_low"], kind["auc_high"]]
            axes.plot([place] * 2, ends, color=styles[model].colour, linewidth=BAR - 1, alpha=0.4)
            filled = attack == attacks[-1]
            _mark(axes, place, kind["auc"], styles[model], filled=filled, size=MARK / 2)
    axes.axhline(0.5, color=GREY, linestyle=":", zorder=0)
    bottom, top = axes.get_ylim()
    room = 0.1 * (top - bottom)
    axes.set_ylim(min(bottom, 0.5 - room), top + room * (len(attacks) - 1))
    below = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "va": "top"}
    axes.annotate("chance", (0.12, 0.5), (0, -2), color=GREY, fontsize=SMALL, **below)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(attacks) > 1:
        grey_key(axes, {f"{attack} attack": ATTACK_LINES[attack] for attack in attacks}, "upper left")


def _accuracy_panel(axes: Axes, study: Study, models: Sequence[str], styles: dict[str, Style]) -> None:
    """The accuracy on members and on non-members by epoch, mean over the trainings."""
    attack = study.results["attack"].iloc[0]  # the accuracy is the same for every attack
    for model in models:
        rows = study.results[(study.results["model"] == model) & (study.results["attack"] == attack)]
        _mean_curve(axes, rows, "train_accuracy", styles[model], "-", filled=True)
        _mean_curve(axes, rows, "test_accuracy", styles[model], "--", filled=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    grey_key(axes, {"members": "-", "non-members": "--"}, "lower right")


def _mean_curve(
    axes: Axes, rows: pd.DataFrame, column: str, style: Style, line: str, *, filled: bool
) -> None:
    """A column of one model by epoch, mean over the trainings."""
    mean = rows.groupby("epoch")[column].mean()
    face = style.colour if filled else "white"
    marks = {"marker": style.marker, "markersize": 6, "markerfacecolor": face}
    marks["markevery"] = max(1, len(mean) // 6)
    axes.plot(mean.index, mean, line, color=style.colour, linewidth=1.8, **marks)


# ----------------------------------------------------------------------------------------- all models at once


def summary_figure(study: Study, drawing: Drawing) -> Figure:
    """Every model's leak after its last epoch, beside the controls, which must leak nothing."""
    caption = (
        f"{_trainings(study)} The bars of one measure hold for all models together in 95% of runs. Held-out "
        "advantage: share of members called members minus share of non-members called so, at a threshold "
        "chosen on other images. Placebo: the same losses, judged by coins that no training was given."
    )
    handles = [
        Line2D([], [], color=GREY, marker="|", linestyle="", label="untrained models"),
        Line2D([], [], color=GREY, marker=".", linestyle="", label="placebo"),
        Line2D(
            [], [], color=BLACK, marker="x", linestyle="", label="accuracy on members minus that on others"
        ),
        Line2D([], [], color=GREY, linestyle=":", label="chance"),
    ]
    kinds = reported(study.kinds).set_index("model")
    models = list(kinds.index)
    height = 1.9 + 0.62 * len(models)
    figure = new_figure(height, drawing.title(leaking_sentence(study)), caption, handles=handles, columns=4)
    auc, advantage = figure.subplots(1, 2)
    last = last_epoch(study.results)
    for place, (model, kind) in enumerate(kinds.iterrows()):
        style = drawing.styles[model]
        rows = study.results[study.results["model"] == model]
        untrained = rows[rows["epoch"] == 0]["auc"]
        placebo = last[last["model"] == model]["placebo_auc"]
        auc.plot(untrained, [place + 0.3] * len(untrained), "|", color=GREY)
        auc.plot(placebo, [place + 0.3] * len(placebo), ".", color=GREY)
        _bar(auc, place, kind, "auc", style, filled=True)
        above = {"textcoords": "offset points", "ha": "center", "fontsize": SMALL}
        auc.annotate(f"{kind['auc']:.3f}", (kind["auc"], place), (0, 7), **above)
        _bar(advantage, place, kind, "heldout_advantage", style, filled=True)
        gap = last[last["model"] == model]["gap"].mean()
        advantage.plot(gap, place + 0.3, "x", color=style.colour, markeredgewidth=2)
    auc.axvline(0.5, color=GREY, linestyle=":", zorder=0)
    advantage.axvline(0, color=GREY, linestyle=":", zorder=0)
    _model_rows(auc, _named_in_words(study, models))
    _model_rows(advantage, [""] * len(models))
    finish(auc, "(a) How often a member's loss is below a non-member's", "AUC")
    finish(advantage, "(b) Held-out advantage", "share of members minus share of non-members")
    return figure


def per_class_figure(study: Study, drawing: Drawing) -> Figure:
    """The AUC within each class minus the mean of all classes, one panel for each model in which a class
    differs from that mean; if there is no such model, the pictured models."""
    kinds = reported(study.kinds).set_index("model")
    named = [model for model, kind in kinds.iterrows() if any(class_groups(kind))]
    models = named or pictured_models(study)
    rest = [model for model in kinds.index if model not in models]
    caption = (
        f"{_trainings(study)} The AUC within each class minus the mean of all classes. Bars: the classes' "
        "intervals hold together for each model in 95% of runs. Coloured: classes whose bar leaves 0 out."
    )
    if rest:
        caption += f" Not shown, as no class can be named: {listed(rest)}."
    classes = {model: _classes_of(kinds.loc[model], drawing.class_names) for model in models}
    order = _classes_by_auc(kinds.loc[models], drawing.class_names)
    # Models that know equally many classes stand in one line, so that they can be compared.
    lines: list[list[str]] = []
    for count in sorted({len(names) for names in classes.values()}, reverse=True):
        alike = [model for model in models if len(classes[model]) == count]
        lines += [alike[start : start + ABREAST] for start in range(0, len(alike), ABREAST)]
    heights = [len(classes[line[0]]) + 3 for line in lines]
    title = drawing.title(classes_sentence(study))
    figure = new_figure(1.4 + 0.28 * sum(heights), title, caption)
    columns = max(len(line) for line in lines)
    grid = figure.subplots(len(lines), columns, sharex=True, squeeze=False, height_ratios=heights)
    for line, panels in zip(lines, grid, strict=True):
        for axes in panels[len(line) :]:
            axes.set_axis_off()
        for axes, model in zip(panels, line, strict=False):
            names = [name for name in order if name in classes[model]]
            _class_panel(axes, kinds.loc[model], names, drawing.styles[model])
            words = "\n".join(_named_in_words(study, [model]))
            finish(axes, words, "AUC minus the mean")
            # The classes of a line are the same, and named once.
            axes.tick_params(axis="y", labelleft=axes is panels[0])
            axes.xaxis.set_major_locator(MaxNLocator(3))
    return figure


def _classes_of(kind: pd.Series, class_names: Sequence[str]) -> list[str]:
    """The classes of a model that the attack was judged on."""
    return [name for name in class_names if not pd.isna(kind.get(f"auc_{name}"))]


def _classes_by_auc(kinds: pd.DataFrame, class_names: Sequence[str]) -> list[str]:
    """The classes by their mean AUC, the largest first. The mean is over the models with the most classes,
    because a model with a few classes only would shift the means of these."""
    most = max(len(_classes_of(kind, class_names)) for _, kind in kinds.iterrows())
    means = {}
    for name in class_names:
        aucs = [
            kind[f"auc_{name}"]
            for _, kind in kinds.iterrows()
            if len(_classes_of(kind, class_names)) == most and not pd.isna(kind.get(f"auc_{name}"))
        ]
        means[name] = np.mean(aucs) if aucs else 0.0
    return sorted(class_names, key=lambda name: -means[name])


def _class_panel(axes: Axes, kind: pd.Series, names: Sequence[str], style: Style) -> None:
    above, below = class_groups(kind)
    for place, name in enumerate(names):
        named = name in above or name in below
        colour = style.colour if named else GREY
        _bar(axes, place, kind, f"class_{name}_difference", Style(colour, style.marker), filled=named)
    axes.axvline(0, color=GREY, linestyle=":", zorder=0)
    _model_rows(axes, names)
    axes.tick_params(axis="x", labelbottom=True)


# -------------------------------------------------------------------------------------------- the two attacks


def attacks_figure(study: Study, drawing: Drawing) -> Figure:
    """Both attacks side by side: every model's AUC, the gain, and the members found at few false alarms."""
    fprs = given_fprs(study)
    caption = (
        f"{_trainings(study)} Both attacks on the same trainings; the reference models of each are those of "
        "all other pairs. The bars of one measure and attack, and the gains, hold for all models "
        "together in 95% of runs."
    )
    dot = {"color": BLACK, "marker": "o", "linestyle": ""}
    handles = [
        Line2D([], [], **dot, markerfacecolor="white", label="threshold attack"),
        Line2D([], [], **dot, label="calibrated attack, with reference models"),
        Line2D([], [], color=GREY, linestyle=":", label="chance"),
    ]
    models = list(study.results["model"].unique())
    title = drawing.title(gain_sentence(study))
    figure = new_figure(1.9 + 0.7 * len(models), title, caption, handles=handles, columns=3)
    if fprs:
        auc, members_named = figure.subplots(1, 2, width_ratios=[3, 2])
        _named_panel(members_named, study, models, min(fprs, key=fprs.get), drawing.styles)
    else:
        auc = figure.subplots()
    for attack, shift in ATTACK_PLACES.items():
        kinds = reported(study.of(attack).kinds).set_index("model")
        for place, model in enumerate(models):
            kind, filled = kinds.loc[model], attack == CALIBRATED
            _bar(auc, place + shift, kind, "auc", drawing.styles[model], filled=filled)
            if attack == CALIBRATED:
                _gain(auc, place, kind)
    auc.axvline(0.5, color=GREY, linestyle=":", zorder=0)
    _model_rows(auc, _named_in_words(study, models))
    finish(auc, "(a) AUC, and what reference models add to it", "AUC")
    return figure


def _gain(axes: Axes, place: float, kind: pd.Series) -> None:
    """What calibration adds to the AUC, in words beside a model's bars; bold if its interval is above 0."""
    words = f"{kind['auc_gain']:+.3f}\n[{kind['auc_gain_low']:+.3f}, {kind['auc_gain_high']:+.3f}]"
    weight = "bold" if kind["auc_gain_low"] > 0 else "normal"
    across = axes.get_yaxis_transform()
    axes.text(1.02, place, words, transform=across, va="center", fontsize=SMALL, fontweight=weight)


def _named_panel(
    axes: Axes, study: Study, models: Sequence[str], rate: str, styles: dict[str, Style]
) -> None:
    """The share of members found by each attack at a low false positive rate, in per cent, and by chance.

    rate: the name of the false positive rate in the tables.
    """
    fpr, measure = LOW_FPRS[rate], f"tpr_at_{rate}_fpr"
    last = last_epoch(study.results)
    by_attack = {attack: reported(study.of(attack).kinds).set_index("model") for attack in ATTACK_PLACES}
    for place, model in enumerate(models):
        if pd.isna(by_attack[THRESHOLD].loc[model, measure]):
            needed = f"needs {nonmembers_needed(fpr):,} non-members"
            across = axes.get_yaxis_transform()
            axes.text(0.5, place, needed, transform=across, ha="center", va="center", fontsize=SMALL)
            continue
        chance = 100 * last[last["model"] == model][f"chance_{measure}"].mean()
        axes.plot([chance] * 2, [place - 0.4, place + 0.4], ":", color=GREY)
        for attack, shift in ATTACK_PLACES.items():
            kind, filled = by_attack[attack].loc[model], attack == CALIBRATED
            _bar(axes, place + shift, kind, measure, styles[model], filled=filled, unit=100)
    _model_rows(axes, [""] * len(models))
    axes.set_xlim(left=0)
    title = f"(b) Members found at 1 false alarm\nin {1 / fpr:,.0f} non-members"
    finish(axes, title, f"TPR at {fpr:.1%} FPR, %")


# ------------------------------------------------------------------------------------------- single images


def samples_figure(study: Study, drawing: Drawing) -> Figure:
    """For each pictured model: the images with the lowest loss, and those whose loss training lowers most."""
    models = pictured_models(study)
    kinds = reported(study.of(THRESHOLD).kinds).set_index("model")
    reliabilities = kinds.loc[models, "memorisation_reliability"].astype(float)
    caption = (
        "Below each image: its mean loss where it was not a member, and where it was. Memorisation is their "
        f"difference. {_trainings(study)} Its reliability, from two halves of them: "
        f"{_reliability(reliabilities)}"
    )
    figure = new_figure(0.9 + 3.1 * len(models), drawing.title(samples_sentence(study, models)), caption)
    for axes, model in zip(figure.subplots(len(models), squeeze=False)[:, 0], models, strict=True):
        table = study.memorisation.dropna(subset=f"{model}_memorisation")
        easiest = table.nsmallest(NAMED_FIRST, f"{model}_member_loss")
        changed = table.nlargest(NAMED_FIRST, f"{model}_memorisation")
        sure = reliabilities[model] >= RELIABLE
        name = "memorised\nmost" if sure else "loss falls\nmost by\ntraining"
        _strip(axes, 0.0, "lowest\nlosses", easiest, model, drawing)
        _strip(axes, 1.65, name, changed, model, drawing)
        axes.set(xlim=(-1.3, 1.1 * NAMED_FIRST), ylim=(3.0, -0.3), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        words = model_words(study.results[study.results["model"] == model])
        finish(axes, f"{model}: {words}", "")
    return figure


def _reliability(reliabilities: pd.Series) -> str:
    """How reliable the memorisation is, and what must not be said if it is not."""
    words = by_model_in_words(reliabilities)
    if (reliabilities < RELIABLE).any():
        return f"{words}; below {RELIABLE:g} no image is to be called memorised yet."
    return f"{words}."


def _strip(axes: Axes, top: float, name: str, images: pd.DataFrame, model: str, drawing: Drawing) -> None:
    """Images in a row, each with its class above it, and its losses as a non-member and as a member below."""
    axes.text(-0.1, top + 0.5, name, ha="right", va="center")
    for place, (_, row) in enumerate(images.iterrows()):
        left = 1.1 * place
        number = int(row["image"])
        axes.imshow(drawing.images[number], extent=(left, left + 1, top + 1, top))
        inside = row[f"{model}_member_loss"]
        outside = inside + row[f"{model}_memorisation"]
        label = drawing.class_names[drawing.labels[number]]
        axes.text(left + 0.5, top - 0.05, label, ha="center", fontsize=SMALL)
        words = " → ".join(_short_loss(loss) for loss in (outside, inside))
        axes.text(left + 0.5, top + 1.05, words, ha="center", va="top", fontsize=SMALL)


# ------------------------------------------------------------------------------------------------ the defence


def _short_loss(loss: float) -> str:
    """A loss in few letters; a small one is not shown as 0."""
    if loss < 0.05:
        return "<0.1"
    return f"{loss:.1f}" if loss < 100 else f"{loss:.0f}"


class Row(NamedTuple):
    """One model in the figure of the defence, after its last epoch or stopped before.

    advantage: held out, with the ends of its interval. limit: on any attack's advantage, if one is
    proven.
    """

    model: str
    label: str
    accuracy: float
    auc: float
    advantage: tuple[float, float, float]
    words: str
    limit: float | None = None
    stopped: bool = False


def defence_figure(study: Study, pairs: pd.DataFrame, drawing: Drawing) -> Figure:
    """What private training costs, and what it leaves: AUC by accuracy; and each model's advantage within the
    largest that is possible. By the last of the study's attacks, which is the stronger one.

    pairs: the experiment's rows of the table of pairs.
    """
    question = ""
    if len(pairs):
        study, question = study.about(_models_of(pairs)), drawing.questions[pairs["experiment"].iloc[0]]
    models = _models_of(pairs) or list(study.results["model"].unique())
    title = defence_sentence(study, pairs, question, drawing.names)
    attack = study.results["attack"].iloc[-1]
    study = study.of(attack)
    rows = _defence_rows(study, models, pairs[pairs["attack"] == attack])
    private = last_epoch(study.results).dropna(subset="epsilon").drop_duplicates("model")
    promises = listed([f"{row['epsilon']:g} at delta {row['delta']:g}" for _, row in private.iterrows()])
    caption = (
        f"{_trainings(study)} By the {attack} attack. Held-out advantage: share of members called members "
        "minus share of non-members, at a threshold chosen on other images; its intervals hold for all "
        f"models together in 95% of runs. Outline: what is possible. Proven, at epsilon {promises}, for one "
        "image in or out by its coin, one training and ideal noise."
    )
    if any(row.stopped for row in rows):
        caption += " Stopped where it classifies about as well: not judged."
    handles = _model_handles(study, models, drawing.styles)
    height = 2.4 + 0.2 * len(models) + 0.7 * max(len(rows), FEWEST_ROWS)
    figure = new_figure(height, drawing.title(title), caption, handles=handles)
    cost, leak = figure.subplots(1, 2, width_ratios=[2, 3])
    _cost_panel(cost, study, rows, drawing.styles)
    _leak_panel(leak, rows, drawing.styles)
    return figure


def _defence_rows(study: Study, models: Sequence[str], pairs: pd.DataFrame) -> list[Row]:
    """The rows of these models, each followed by those where it is stopped early.

    study, pairs: of one attack.
    """
    measure = "heldout_advantage"
    kinds = reported(study.kinds).set_index("model")
    certain, calls = certain_epsilon(study), _plain_or_private(study, models)
    rows = []
    for model in models:
        results = study.results[study.results["model"] == model]
        accuracies = results.groupby("epoch")["test_accuracy"].mean()
        last, kind = last_epoch(results).iloc[0], kinds.loc[model]
        advantage = tuple(kind[[measure, f"{measure}_low", f"{measure}_high"]])
        words = f"measured {advantage[0]:z.3f}; leaks at least epsilon {certain[model]:.2f} (95%)"
        limit = None
        if not pd.isna(last["epsilon"]):
            words += f", at most {last['epsilon']:g} (proven)"
            limit = last["advantage_bound"]
        rows.append(Row(model, calls[model], accuracies[last["epoch"]], kind["auc"], advantage, words, limit))
        if "stopped_advantage" not in pairs:
            continue
        stopped = pairs[(pairs["first"] == model) & pairs["stopped_advantage"].notna()]
        # Two private models may be as accurate as the plain one is at the same epoch.
        for _, pair in stopped.drop_duplicates("first_epoch").sort_values("first_epoch").iterrows():
            epoch = pair["first_epoch"]
            advantage = tuple(pair[["stopped_advantage", "stopped_advantage_low", "stopped_advantage_high"]])
            label, words = f"stopped after {epoch} epochs", f"measured {advantage[0]:z.3f}"
            row = Row(model, label, accuracies[epoch], pair["first_auc"], advantage, words, stopped=True)
            rows.append(row)
    return rows


def _plain_or_private(study: Study, models: Sequence[str]) -> dict[str, str]:
    """How each model was trained, which names it if no two were trained alike; else the models' names."""
    epsilons = study.results.groupby("model")["epsilon"].max()
    names = {
        model: "plain" if pd.isna(epsilons[model]) else f"private, epsilon {epsilons[model]:g}"
        for model in models
    }
    return names if len(set(names.values())) == len(models) else {model: model for model in models}


def _cost_panel(axes: Axes, study: Study, rows: Sequence[Row], styles: dict[str, Style]) -> None:
    """AUC by accuracy on non-members: a point for each row, and plain models' thin paths over the epochs."""
    for model, results in study.results.groupby("model", sort=False):
        if results["epsilon"].isna().all():
            # Untrained, all lie in one point far to the left.
            means = results[results["epoch"] > 0].groupby("epoch")[["test_accuracy", "auc"]].mean()
            axes.plot(means["test_accuracy"], means["auc"], color=styles[model].colour, linewidth=1, zorder=1)
    for row in rows:
        _mark(axes, row.accuracy, row.auc, styles[row.model], filled=not row.stopped)
        # Above the path on the left, where no point is as accurate; or below it.
        place, sides = ((0, -8), ("center", "top")) if row.limit else ((-8, 2), ("right", "bottom"))
        about = {"textcoords": "offset points", "fontsize": SMALL, "color": styles[row.model].colour}
        axes.annotate(row.label, (row.accuracy, row.auc), place, ha=sides[0], va=sides[1], **about)
    axes.axhline(0.5, color=GREY, linestyle=":", zorder=0)
    right = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
    axes.annotate("chance", (1, 0.5), (0, 3), color=GREY, fontsize=SMALL, **right)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.75 * (high - low), high)  # room for the words
    axes.margins(y=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    finish(axes, "(a) What it costs", "accuracy on non-members", "AUC")


def _leak_panel(axes: Axes, rows: Sequence[Row], styles: dict[str, Style]) -> None:
    """Each row's advantage as a bar with its interval, and an outline up to the limit, dashed if none is
    proven."""
    for place, row in enumerate(rows):
        value, low, high = row.advantage
        style, limit = styles[row.model], row.limit or 1.0
        words = f"no attack beyond {limit:.3f}" if row.limit else "no limit proven"
        line = "-" if row.limit else "--"
        axes.barh(place, limit, 0.3, fill=False, edgecolor=style.colour, linestyle=line, linewidth=1.2)
        axes.barh(place, value, 0.3, color=style.colour, alpha=0.4)
        axes.plot([low, high], [place, place], color=style.colour, linewidth=BAR, solid_capstyle="butt")
        _mark(axes, -0.04, place, style, filled=not row.stopped)
        axes.text(0, place - 0.46, row.label, va="center", fontweight="bold", color=style.colour)
        axes.text(0, place - 0.26, row.words, va="center", fontsize=SMALL)
        # Outside the outline, if there is room.
        beside = (f" {words}", "left") if limit < 0.5 else (f"{words} ", "right")
        axes.text(limit, place, beside[0], ha=beside[1], va="center", fontsize=SMALL)
    axes.set(yticks=[], ylim=(max(len(rows), FEWEST_ROWS) - 0.6, -0.7), xlim=(-0.08, 1.02))
    axes.spines["left"].set_visible(False)
    finish(
        axes,
        "(b) What is leaked (filled), and what can be (outline)",
        "held-out advantage: 0 by guessing, 1 always",
    )
