"""The figures of mia.py, drawn from the table mia_results.csv alone, and one of anybody's losses.

Two uncertainties are kept apart everywhere. A thin bar is the 95% interval over examples: what other images
could have given, with these trained models. A thick bar is the Student-t interval over seeds: what other
trainings could have given, with these images. With one seed there is only the thin one.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator
from scipy import special

from data.cifar10 import CLASS_NAMES
from leakage.contrasts import student_interval
from leakage.estimates import CONFIDENCE, FEWEST_ACCUSED, LOW_FPRS, roc_curve
from support.look import BLACK, BLUE, GREEN, GREY, VERMILION
from support.look import OLIVE as ORANGE
from support.look import STEEL as SKY

if TYPE_CHECKING:
    from mia import Experiment

# The same in every figure. Models of one experiment differ in lightness too, and in the marker.
MODEL_STYLES = {
    "cnn4_10c": (VERMILION, "o"),
    "dense4_10c": (BLACK, "s"),
    "dense7_10c": (GREEN, "^"),
    "dense4_4c": (BLUE, "D"),
    "dense7_4c": (ORANGE, "v"),
    "dense4_10c_20k": (SKY, ">"),
    "audited": (BLUE, "o"),  # losses from elsewhere
}
WIDTH, SMALL = 12, 11  # of a figure in inches; of captions and legends in points
PICTURES = 10  # most, and least, exposed images shown of a model
FEWEST_LOSS = 1e-9  # the loss axis starts no lower; a curve that begins further left enters at its height
LOOK = mpl.rc_context(
    {
        "font.size": 12,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": SMALL,
        "legend.handlelength": 2.2,
        "legend.columnspacing": 1.0,
    }
)
SETS = (
    "Members are the images that a model was trained on, non-members the test images of the same classes. "
    "The attack calls an image a member if its loss is below a threshold."
)
AUC = "AUC: probability that a random member has a lower loss than a random non-member."
HELD_OUT = "Held-out: threshold chosen on one half of the images, judged on the other; 0 if nothing leaks."
ROC = (
    "ROC: grey, where at each FPR 95% of the models that leak nothing would lie (beta-binomial, exact); "
    "markers at 0.1% and 1% FPR with Clopper-Pearson intervals over examples."
)


def _figure(
    height: float, title: str, remark: str, caption: str, handles: Sequence = (), columns: int = 1
) -> Figure:
    """An empty figure over a caption; under the title a legend. height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    # The title is the legend's, as the layout would put one over the other.
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        alignment="left",
        title=textwrap.fill(f"{title} — {remark}" if remark else title, 80),
        title_fontproperties={"size": 15, "weight": "bold"},
    )
    figure.supxlabel(textwrap.fill(caption, 142), x=0.01, ha="left", fontsize=SMALL)
    return figure


def _finish(axes: Axes, title: str, across: str, up: str = "") -> None:
    axes.set(title=title, xlabel=across, ylabel=up)
    axes.tick_params(labelsize=SMALL)


def _key(axes: Axes, lines: dict[str, str], where: str, columns: int = 1) -> None:
    """A legend of the labels drawn so far and of grey lines: their labels and line styles."""
    for label, linestyle in lines.items():
        axes.plot([], [], linestyle, color=GREY, label=label)
    axes.legend(loc=where, ncols=columns)


def _by_model(results: pd.DataFrame, last: bool) -> dict[str, pd.DataFrame]:
    """The rows of each model, in the table's order: all of them, or those of each seed's last epoch."""
    if last:
        results = results[results["epoch"] == results.groupby(["model", "seed"])["epoch"].transform("max")]
    return dict(list(results.groupby("model", sort=False)))


def _sizes(rows: pd.DataFrame) -> tuple[int, int]:
    """Numbers of members and of non-members of a model."""
    return int(rows["train_images"].iloc[0]), int(rows["test_images"].iloc[0])


def _columns(rows: pd.DataFrame, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers at the ends of the columns' names, sorted (k,), and the values (seeds, k)."""
    names = {float(name.removeprefix(prefix)): name for name in rows if name.startswith(prefix)}
    numbers = sorted(names)
    return np.array(numbers), rows[[names[number] for number in numbers]].to_numpy(float)


def _spread(rows: pd.DataFrame, column: str) -> tuple[np.ndarray, Sequence[float], Sequence[float]]:
    """The values of the seeds, the interval over examples (mean over the seeds), and that over seeds."""
    values = rows[column].dropna().to_numpy(float)
    over_examples = [rows.get(f"{column}_{end}", pd.Series([np.nan])).mean() for end in ("low", "high")]
    return values, over_examples, student_interval(values)


def _bars(axes: Axes, place: float, spread: tuple, style: tuple[str, str], upright: bool = False) -> None:
    """What `_spread` returns: the mean as a marker, intervals as bars, several seeds as small points."""
    values, over_examples, over_seeds = spread
    if not len(values):
        return

    def draw(along: Sequence[float], marker: str, **options) -> None:
        across = np.full(len(along), place)
        axes.plot(*((across, along) if upright else (along, across)), marker, color=style[0], **options)

    draw(over_examples, "_-" if upright else "|-", linewidth=1.2)
    draw(over_seeds, "-", linewidth=5, alpha=0.45, solid_capstyle="butt")
    draw(values if len(values) > 1 else [], ".", markersize=4)
    draw([np.mean(values)], style[1], markeredgecolor="white", markeredgewidth=0.7, markersize=8, zorder=3)


def _uncertainty(results: pd.DataFrame) -> str:
    """What the bars are, for this table's number of seeds."""
    seeds = results.groupby("model")["seed"].nunique()
    over_examples = "95% interval over examples (other images, these trained models)"
    if seeds.max() == 1:
        return f"One seed. Bars and bands: {over_examples}."
    count = f"{seeds.max()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    return (
        f"{count} seeds: thin lines and small points; thick lines and large markers are their mean. Thick "
        "bars and bands: 95% Student-t interval over seeds (other trainings, these images). Thin bars: "
        f"{over_examples}, mean over the seeds."
    )


def _model_handles(models: dict[str, pd.DataFrame], details: bool = False) -> list[Line2D]:
    handles = []
    for model, rows in models.items():
        members, nonmembers = _sizes(rows)
        remark = (
            f"{rows['parameters'].iloc[0]:,.0f} parameters; {members:,} members, {nonmembers:,} non-members"
        )
        label = f"{model} ({remark})" if details else model
        colour, marker = MODEL_STYLES[model]
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=2, label=label))
    return handles


# ----------------------------------------------------------------------------------- panels of an experiment


def _curve(axes: Axes, rows: pd.DataFrame, column: str, linestyle: str = "-") -> pd.Series:
    """One model's column per epoch: thin lines of the seeds, their mean and an interval. Returns the mean."""
    colour, marker = MODEL_STYLES[rows["model"].iloc[0]]
    table = rows.pivot_table(index="epoch", columns="seed", values=column)
    mean = table.mean(axis=1)
    several = table.shape[1] > 1
    if several:
        axes.plot(table.index, table, linestyle, color=colour, linewidth=0.7, alpha=0.5)
    every = max(1, len(mean) // 6)
    axes.plot(mean, linestyle, color=colour, marker=marker, markevery=every, markersize=6, linewidth=2)
    intervals = [_spread(rows[rows["epoch"] == epoch], column)[2 if several else 1] for epoch in mean.index]
    axes.fill_between(mean.index, *zip(*intervals, strict=True), color=colour, alpha=0.25, linewidth=0)
    return mean


def _epoch_panels(accuracy: Axes, auc: Axes, advantage: Axes, models: dict[str, pd.DataFrame]) -> None:
    for model, rows in models.items():
        _curve(accuracy, rows, "train_accuracy")
        tested, leaked = _curve(accuracy, rows, "test_accuracy", "--"), _curve(auc, rows, "auc")
        best, last = tested.idxmax(), leaked.index[-1]
        label = f"{leaked[best]:.3f} at epoch {best}, {leaked[last]:.3f} at {last}"
        for axes, curve in ((accuracy, tested), (auc, leaked)):
            star = {"color": MODEL_STYLES[model][0], "markeredgecolor": "white", "markersize": 16}
            axes.plot([best], curve[best], "*", label=label if axes is auc else None, zorder=4, **star)
        _curve(advantage, rows, "heldout_advantage")
        _curve(advantage, rows, "advantage", "--")
    _key(accuracy, {"training images": "-", "test images": "--"}, "best")
    auc.axhline(0.5, color=GREY, linestyle=":")
    _key(auc, {"nothing leaks: 0.5": ":"}, "upper left")
    floors = sorted({floor for rows in models.values() for floor in rows["null_advantage"].round(4)})
    for floor in floors:
        advantage.axhline(floor, color=GREY, linestyle=":")
    advantage.axhline(0, color=GREY, linewidth=0.8)
    floor = f"null floor {' to '.join(f'{floor:.4f}' for floor in dict.fromkeys((floors[0], floors[-1])))}"
    _key(advantage, {"held-out": "-", "chosen where judged": "--", floor: ":"}, "upper left")
    for axes in (auc, advantage):
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.4 * (top - bottom))  # room for the legend
    _finish(accuracy, "(a) Accuracy", "epoch", "share classified correctly")
    _finish(auc, "(b) AUC of the attack", "epoch", "AUC")
    _finish(advantage, "(c) Advantage of the attack", "epoch", "TPR $-$ FPR")
    for axes in (accuracy, auc, advantage):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


@lru_cache
def _no_leak_band(members: int, nonmembers: int, fprs: tuple[float, ...]) -> np.ndarray:
    """The lowest and the highest TPR (2, k) at these FPRs (k,) with 95% probability if nothing leaks.

    Then the losses are in random order, and the number of members below the lowest non-member that must not
    be accused is beta-binomial (or negative hypergeometric, which is the same); exact without ties.
    """
    accused = np.minimum(np.floor(np.array(fprs) * nonmembers + 1e-9), nonmembers)
    # Where all may be accused no non-member is left as the threshold, and the TPR is 1.
    ends = [
        _beta_binomial_interval(members, count + 1, nonmembers - count)
        if count < nonmembers
        else (members,) * 2
        for count in accused
    ]
    return np.array(ends).T / members


def _beta_binomial_interval(n: int, a: float, b: float) -> np.ndarray:
    """Ends of the middle 95% of a beta-binomial count; scipy's own quantiles take seconds for n of 50,000."""
    mean, spread = n * a / (a + b), math.sqrt(n * a * b * (a + b + n) / (a + b + 1)) / (a + b)
    counts = np.arange(max(math.floor(mean - 12 * spread), 0), min(math.ceil(mean + 12 * spread), n) + 1)
    logarithm = special.betaln(counts + a, n - counts + b) - special.betaln(a, b)
    logarithm -= math.log(n + 1) + special.betaln(n - counts + 1, counts + 1)
    below = np.cumsum(np.exp(logarithm))
    return counts[np.searchsorted(below, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])]


def _roc_panel(axes: Axes, models: dict[str, pd.DataFrame], title: str) -> None:
    bands, fewest = set(), 1.0
    for model, rows in models.items():
        style, sizes = MODEL_STYLES[model], _sizes(rows)
        fprs, tprs = _columns(rows, "tpr_at_fpr_")
        seen = fprs >= 1 / sizes[1]  # a lower rate is less than one non-member
        fprs, tprs = fprs[seen], tprs[:, seen]
        if len(rows) > 1:
            axes.plot(fprs, tprs.T, color=style[0], linewidth=0.7, alpha=0.5)
        axes.plot(fprs, tprs.mean(axis=0), color=style[0], linewidth=2, label=f"AUC {rows['auc'].mean():.3f}")
        for name, fpr in LOW_FPRS.items():
            _bars(axes, fpr, _spread(rows, f"tpr_at_{name}_fpr"), style, upright=True)
        if sizes not in bands:
            low, high = _no_leak_band(*sizes, tuple(fprs))
            axes.fill_between(fprs, np.maximum(low, 1e-9), high, color=GREY, alpha=0.25, linewidth=0)
        bands.add(sizes)
        fewest = min(fewest, fprs[0])
    axes.plot([fewest, 1], [fewest, 1], ":", color=GREY)
    axes.set(xscale="log", yscale="log", xlim=(fewest, 1), ylim=(fewest / 2, 1.3))
    _key(axes, {"chance: TPR = FPR": ":"}, "lower right")
    _finish(axes, title, "false positive rate (FPR)", "true positive rate (TPR)")


def _loss_panel(axes: Axes, models: dict[str, pd.DataFrame], title: str) -> None:
    pooled = np.array([])
    for model, rows in models.items():
        colour, curves = MODEL_STYLES[model][0], []
        for kind, linestyle in (("member", "-"), ("nonmember", "--")):
            levels, losses = _columns(rows, f"{kind}_loss_q")
            losses = np.minimum(losses, 1e100)  # infinite losses cannot be interpolated
            if len(rows) > 1:
                axes.plot(losses.T, levels, linestyle, color=colour, linewidth=0.7, alpha=0.5)
            at = np.sort(losses, axis=None)
            shares = np.mean([np.interp(at, seed, levels) for seed in losses], axis=0)
            axes.plot(at, shares, linestyle, color=colour, linewidth=2)
            curves.append((at, shares))
            pooled = np.append(pooled, at[at < 1e100])
        at = np.concatenate([curve[0] for curve in curves])
        ends = np.array([np.interp(at, *curve) for curve in curves])
        widest = np.argmax(np.abs(ends[0] - ends[1]))
        label = f"advantage {rows['advantage'].mean():.3f}"
        axes.plot([at[widest]] * 2, ends[:, widest], color=colour, marker="_", linewidth=1.2, label=label)
    if pooled.min() >= 0 and pooled.max() > FEWEST_LOSS:
        lowest = max(np.quantile(pooled, 0.02), FEWEST_LOSS)
        axes.set_xscale("log", nonpositive="clip")
        axes.set_xlim(lowest, pooled.max())
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.set(yticks=np.linspace(0, 1, 6), ylim=(0, 1.4))  # room for the legend
    _key(axes, {"members": "-", "non-members": "--"}, "upper left", columns=2 if len(models) > 1 else 3)
    _finish(axes, title, "loss (nats)", "share of examples at or below")


def _contrast_panel(axes: Axes, contrasts: Sequence[dict]) -> None:
    """A forest plot: of each contrast the models, the two differences and the verdict, from top to bottom."""
    line, ticks, across = 0.0, {}, axes.get_yaxis_transform()
    for contrast in contrasts:
        axes.text(-0.3, line, f"{contrast['first']} $-$ {contrast['second']}", transform=across, va="center")
        for name, measure in (("AUC", "auc"), ("advantage", "heldout_advantage")):
            line += 1
            ticks[line] = name
            difference, low, high, examples_low, examples_high = (
                contrast[f"{measure}_{end}"]
                for end in ("difference", "low", "high", "examples_low", "examples_high")
            )
            over_seeds = (low, high) if contrast["over"] == "seeds" else ()
            axes.plot([0, 0], [line - 0.45, line + 0.45], ":", color=GREY)
            _bars(axes, line, ([difference], (examples_low, examples_high), over_seeds), (BLACK, "o"))
            axes.text(1.02, line, f"{difference:+.3f}", transform=across, va="center", fontsize=SMALL)
        verdict = textwrap.fill(contrast["verdict"], 42)
        line += 0.6
        axes.text(-0.3, line, verdict, transform=across, va="top", fontsize=SMALL, fontweight="bold")
        line += 1.2 + 0.7 * verdict.count("\n")
    axes.set_ylim(max(line, 5) - 0.4, -0.5)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    _finish(axes, "(f) Paired differences", "difference")
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)


# ----------------------------------------------------------------------------------------------- the figures


@LOOK
def experiment_figure(
    results: pd.DataFrame, experiment: Experiment, contrasts: Sequence[dict], remark: str = ""
) -> Figure:
    """Accuracy and leakage per epoch; ROC curves, losses and paired contrasts at the last epoch.

    contrasts: what `contrasts.paired_contrast` returns, with the names of the models as `first` and `second`.
    """
    ours = pd.concat([results[results["model"] == model] for model in experiment.models])
    models, ends = _by_model(ours, last=False), _by_model(ours, last=True)
    caption = (
        f"{SETS} {_uncertainty(ours)} Star: attacked epoch of the best test accuracy, where early stopping "
        f"would have ended. (b) {AUC} (c) {HELD_OUT} Chosen where judged: on all images; null floor: its "
        f"mean if nothing leaks. (d) to (f): last epoch. {ROC} (e) Bars: largest vertical distance, which "
        "is the advantage chosen where judged. (f) Advantage: held-out."
    )
    figure = _figure(10.6, experiment.question, remark, caption, _model_handles(models, details=True))
    [epoch_panels, [roc, losses, contrast]] = figure.subplots(2, 3)
    _epoch_panels(*epoch_panels, models)
    _roc_panel(roc, ends, "(d) ROC curves")
    _loss_panel(losses, ends, "(e) Distributions of the loss")
    _contrast_panel(contrast, contrasts)
    return figure


@LOOK
def summary_figure(results: pd.DataFrame, remark: str = "") -> Figure:
    """Every model's leakage at its last epoch, beside what it would be if nothing leaked."""
    caption = (
        f"{SETS} {_uncertainty(results)} {AUC} Of the untrained model it must be 0.5 within the interval. "
        f"{HELD_OUT} Accuracy gap: training less test accuracy, the advantage of calling every image that is "
        "classified correctly a member. Null floor: mean advantage of an attack judged where its threshold "
        "was chosen, if nothing leaks. TPR / FPR: share of members over share of non-members called members, "
        f"given where at least {FEWEST_ACCUSED} non-members may be called so."
    )
    handles = [
        Line2D([], [], color=GREY, marker="o", label="untrained model (epoch 0)"),
        Line2D([], [], color=BLACK, marker="x", linestyle="", label="accuracy gap"),
        Line2D([], [], color=GREY, marker="|", linestyle="", markersize=14, label="null floor"),
        Line2D([], [], color=GREY, linestyle=":", label="nothing leaks"),
        Patch(color=GREY, alpha=0.25, linewidth=0, label="95% of models that leak nothing"),
    ]
    figure = _figure(8, "How much does each model leak?", remark, caption, handles, columns=5)
    panels = auc, advantage, *ratios = figure.subplots(1, 4, sharey=True, width_ratios=[4, 4, 3, 3])
    ratios[1].sharex(ratios[0])
    starts = _by_model(results[results["epoch"] == 0], last=True)
    ends = _by_model(results, last=True)
    for place, (model, rows) in enumerate(ends.items()):
        style = MODEL_STYLES[model]
        if model in starts:
            _bars(auc, place + 0.25, _spread(starts[model], "auc"), (GREY, style[1]))
        _bars(auc, place, _spread(rows, "auc"), style)
        mean = rows["auc"].mean()
        auc.annotate(f"{mean:.3f}", (mean, place), (0, 8), textcoords="offset points", ha="center")
        _bars(advantage, place, _spread(rows, "heldout_advantage"), style)
        advantage.plot(rows["gap"].mean(), place + 0.25, "x", color=style[0], markeredgewidth=2)
        advantage.plot(rows["null_advantage"].mean(), place, "|", color=GREY, markersize=20)
        for axes, (name, fpr) in zip(ratios, LOW_FPRS.items(), strict=True):
            column = f"tpr_at_{name}_fpr"
            _bars(axes, place, _spread(rows.filter(like=column) / fpr, column), style)
            if rows[column].isna().all():
                across = axes.get_yaxis_transform()
                axes.text(0.5, place, "too few\nnon-members", transform=across, ha="center", va="center")
            else:
                [low], [high] = _no_leak_band(*_sizes(rows), (fpr,)) / fpr
                axes.barh(place, high - low, 0.6, low, color=GREY, alpha=0.25)
            _finish(axes, f"TPR at {100 * fpr:g}% FPR", "TPR / FPR")
    for axes, null in zip(panels, (0.5, 0, 1, 1), strict=True):
        axes.axvline(null, color=GREY, linestyle=":", zorder=0)
    ratios[0].set_xlim(left=0)
    auc.set(yticks=range(len(ends)), yticklabels=list(ends), ylim=(len(ends) - 0.4, -0.6))
    _finish(auc, "AUC at the last epoch", "AUC")
    _finish(advantage, "Held-out advantage", "TPR $-$ FPR")
    return figure


@LOOK
def per_class_figure(results: pd.DataFrame, remark: str = "") -> Figure:
    """The AUC of the attack on each class by itself at the last epoch; the class that leaks most on top."""
    ends = _by_model(results, last=True)
    means = pd.DataFrame(
        {model: [rows[f"auc_{name}"].mean() for name in CLASS_NAMES] for model, rows in ends.items()},
        index=[f"auc_{name}" for name in CLASS_NAMES],
    )
    # A model that knows a few classes only would move these, so that it has no say in the order.
    order = means.dropna(axis=1).mean(axis=1).sort_values(ascending=False).index
    columns = {"all classes": "auc"} | {column.removeprefix("auc_"): column for column in order}
    caption = (
        f"{SETS} {_uncertainty(results)} The classes are in the order of their mean AUC over the models that "
        "know them all. About one interval in twenty misses the true value, here as everywhere."
    )
    figure = _figure(12, "Which classes leak most?", remark, caption, _model_handles(ends), columns=len(ends))
    axes = figure.subplots()
    for place, column in enumerate(columns.values()):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color=GREY, alpha=0.1, linewidth=0)
        for offset, (model, rows) in zip(np.linspace(-0.35, 0.35, len(ends)), ends.items(), strict=True):
            _bars(axes, place + offset, _spread(rows, column), MODEL_STYLES[model])
    axes.axvline(0.5, color=GREY, linestyle=":", zorder=0)
    axes.set(yticks=range(len(columns)), yticklabels=list(columns), ylim=(len(columns) - 0.5, -0.5))
    _finish(axes, "", "AUC at the last epoch (dotted: nothing leaks)")
    return figure


@LOOK
def samples_figure(
    exposures: Sequence[dict], images: np.ndarray, labels: np.ndarray, remark: str = ""
) -> Figure:
    """The training images that are most and least exposed, for each model.

    exposures: of each model the name `model`; `most` and `least`, indices of images in order, of which the
    first are shown; and `stability`, a sentence. images: (N, 32, 32, 3) uint8. labels: (N,) class numbers.
    """
    caption = (
        "Exposure: how surely the attack takes a training image for a member. An attacker would name the "
        "most exposed first; the least exposed pass for images that the model has never seen."
    )
    height = 1.2 + 3.5 * len(exposures)
    figure = _figure(height, "Which training images does the attack give away?", remark, caption)
    for axes, exposure in zip(figure.subplots(len(exposures), squeeze=False)[:, 0], exposures, strict=True):
        for top, kind in ((0, "most"), (1.3, "least")):
            axes.text(-0.1, top + 0.5, f"{kind}\nexposed", ha="right", va="center")
            for left, index in zip(1.1 * np.arange(PICTURES), exposure[kind], strict=False):
                axes.imshow(images[index], extent=(left, left + 1, top + 1, top))
                axes.text(left + 0.5, top - 0.05, CLASS_NAMES[labels[index]], ha="center", fontsize=SMALL)
        axes.set(xlim=(-1, 1.1 * PICTURES), ylim=(2.4, -0.3), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_xlabel(textwrap.fill(exposure["stability"], 125), loc="left")
        axes.set_title(exposure["model"], color=MODEL_STYLES[exposure["model"]][0], fontweight="bold")
    return figure


@LOOK
def audit_figure(
    member_losses: np.ndarray, nonmember_losses: np.ndarray, report: dict[str, float], remark: str = ""
) -> Figure:
    """ROC curve and distributions of anybody's losses, of members (n,) and of non-members (m,).

    report: what `leakage.estimates.measure_leakage` returns for the same losses.
    """
    n, m = len(member_losses), len(nonmember_losses)
    row = report | {"model": "audited", "seed": 0, "epoch": 0, "train_images": n, "test_images": m}
    fprs, levels = np.geomspace(1 / m, 1, 100), np.linspace(0, 1, 1001)
    tprs = roc_curve(member_losses, nonmember_losses, fprs)
    row |= {f"tpr_at_fpr_{fpr}": tpr for fpr, tpr in zip(fprs, tprs, strict=True)}
    for kind, losses in (("member", member_losses), ("nonmember", nonmember_losses)):
        quantiles = np.quantile(losses, levels, method="inverted_cdf")
        row |= {f"{kind}_loss_q{level}": loss for level, loss in zip(levels, quantiles, strict=True)}
    caption = (
        f"{n:,} members (examples that the model was trained on) and {m:,} non-members. The attack calls an "
        "example a member if its loss is below a threshold. AUC {auc:.3f}, 95% interval over examples "
        "{auc_low:.3f} to {auc_high:.3f}; 0.5 if nothing leaks. Held-out advantage {heldout_advantage:.3f}, "
        "{heldout_advantage_low:.3f} to {heldout_advantage_high:.3f}; 0 if nothing leaks. Advantage "
        "chosen where judged: {advantage:.3f}; {null_advantage:.3f} on average if nothing leaks. "
    ).format(**report) + ROC
    figure = _figure(6.5, "How much do these losses give away?", remark, caption)
    roc, losses = figure.subplots(1, 2)
    models = {"audited": pd.DataFrame([row])}
    _roc_panel(roc, models, "ROC curve")
    _loss_panel(losses, models, "Distributions of the loss")
    return figure
