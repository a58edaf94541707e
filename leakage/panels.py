"""ROC curves and distributions of the loss, of one model or several, beside what is seen if nothing leaks."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from scipy import special

from leakage.estimates import CONFIDENCE, LOW_FPRS, Losses, allowed, roc_curve
from leakage.look import GREY, Style, finish, grey_key

# Dense where a low FPR is read on a logarithmic axis, and where the whole curve is on a linear one.
ROC_FPRS = np.union1d(np.geomspace(1e-4, 1, 49), np.linspace(0.05, 1, 20).round(2))
TAIL = [0.001, 0.0025, 0.005, 0.01, 0.025]
LEVELS = np.array([*TAIL, *np.linspace(0.05, 0.95, 19).round(2), *(1 - np.array(TAIL[::-1])).round(4)])
FEWEST_LOSS = 1e-9  # the loss axis starts no lower; a curve that begins further left enters at its height
LARGEST_LOSS = 1e100  # infinite losses cannot be interpolated, nor an axis reach to 1e308
FEW_MODELS = 2  # of so many the advantages fit into a legend
WIDE = 30.0  # the largest loss over the least from which on the axis is logarithmic
HEAVY = (
    100.0  # the largest over the median, of losses on both sides of 0, from which on it is so on both sides
)
SIDES = "member_losses", "nonmember_losses"
FAINT, BAND = 0.5, 0.25  # opacity of the lines of single trainings, and of bands


class Curves(NamedTuple):
    """What is drawn of one training: TPRs (k,) at FPRs (k,), and the losses at or below which the shares
    `levels` (l,) of the members and of the non-members lie, (l,) each."""

    fprs: np.ndarray
    tprs: np.ndarray
    levels: np.ndarray
    member_losses: np.ndarray
    nonmember_losses: np.ndarray


class Point(NamedTuple):
    """A true positive rate at a false positive rate, with the ends of its 95% interval."""

    fpr: float
    tpr: float
    low: float
    high: float


class Shown(NamedTuple):
    """One model in a panel. `label` goes into the ROC panel's legend, `points` are marked on its curve, and
    `advantage` stands in the loss panel's legend."""

    label: str
    style: Style
    members: int
    nonmembers: int
    advantage: float
    trainings: Sequence[Curves]
    points: Sequence[Point] = ()


def curves_of(losses: Losses) -> Curves:
    """The curves of one training's losses."""
    # Quantiles that are losses: between two of them may lie infinity.
    quantiles = (
        np.quantile(values, LEVELS, method="inverted_cdf") for values in (losses.members, losses.nonmembers)
    )
    return Curves(ROC_FPRS, roc_curve(losses.members, losses.nonmembers, ROC_FPRS), LEVELS, *quantiles)


def shown_of(
    label: str, style: Style, trainings: Sequence[Losses], found: Sequence[Mapping[str, float | None]]
) -> Shown:
    """One model, with its mean AUC in the label; of a single training the TPRs at low FPRs are marked.

    trainings, found: the losses of each training, and what measure_leakage says of them.
    """
    points = [
        Point(fpr, *(found[0][f"tpr_at_{name}_fpr{end}"] for end in ("", "_low", "_high")))
        for name, fpr in LOW_FPRS.items()
        if len(found) == 1 and found[0][f"tpr_at_{name}_fpr"] is not None
    ]
    return Shown(
        f"{label}: AUC {np.mean([each['auc'] for each in found]):.3f}",
        style,
        len(trainings[0].members),
        len(trainings[0].nonmembers),
        float(np.mean([each["advantage"] for each in found])),
        [curves_of(losses) for losses in trainings],
        points,
    )


@lru_cache
def no_leak_band(members: int, nonmembers: int, fprs: tuple[float, ...]) -> np.ndarray:
    """The lowest and the highest TPR (2, k) at these FPRs (k,) with 95% probability if nothing leaks.

    Then the losses are in random order, and the number of members below the lowest non-member that must not
    be accused is beta-binomial (or negative hypergeometric, which is the same); exact without ties.
    """
    ends = []
    for fpr in fprs:
        accused = allowed(fpr, nonmembers)
        # Where all may be accused no non-member is left as the threshold, and the TPR is 1.
        everyone = accused >= nonmembers
        ends.append((members, members) if everyone else _middle(members, accused + 1, nonmembers - accused))
    return np.array(ends).T / members


def _middle(n: int, a: float, b: float) -> np.ndarray:
    """Ends of the middle 95% of a beta-binomial count; scipy's own quantiles take seconds for n of 50,000."""
    mean, spread = n * a / (a + b), math.sqrt(n * a * b * (a + b + n) / (a + b + 1)) / (a + b)
    counts = np.arange(max(math.floor(mean - 12 * spread), 0), min(math.ceil(mean + 12 * spread), n) + 1)
    logarithm = special.betaln(counts + a, n - counts + b) - special.betaln(a, b)
    logarithm -= math.log(n + 1) + special.betaln(n - counts + 1, counts + 1)
    below = np.cumsum(np.exp(logarithm))
    return counts[np.searchsorted(below, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])]


def roc_panel(axes: Axes, models: Sequence[Shown], title: str, *, band: bool = True) -> None:
    """ROC curves, thin for each training and thick for their mean; behind them the band in which, at each
    FPR, 95% of the models that leak nothing lie. On logarithmic scales, where a low FPR can be read. band:
    whether it is drawn; it is for rows that are independent of each other."""
    bands, lowest = {}, 1.0
    for model in models:
        fprs = model.trainings[0].fprs
        seen = fprs >= 1 / model.nonmembers  # a lower rate is less than one non-member
        fprs, tprs = fprs[seen], np.array([training.tprs[seen] for training in model.trainings])
        colour, marker = model.style
        if len(tprs) > 1:
            axes.plot(fprs, tprs.T, color=colour, linewidth=0.7, alpha=FAINT)
        axes.plot(fprs, tprs.mean(axis=0), color=colour, linewidth=2, label=model.label)
        for point in model.points:
            axes.plot([point.fpr] * 2, [point.low, point.high], "_-", color=colour, linewidth=1.2)
            axes.plot(point.fpr, point.tpr, marker, color=colour, markeredgecolor="white", markersize=7)
        bands[model.members, model.nonmembers] = fprs
        lowest = min(lowest, fprs[0], 0.1)
    for number, (sizes, fprs) in enumerate(bands.items() if band else ()):
        low, high = no_leak_band(*sizes, tuple(fprs))
        label = "95% at each FPR, if nothing leaks" if number == 0 else None
        low = np.maximum(low, FEWEST_LOSS)
        axes.fill_between(fprs, low, high, color=GREY, alpha=BAND, linewidth=0, label=label)
    axes.plot([lowest, 1], [lowest, 1], ":", color=GREY)
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest / 2, 1.3))
    grey_key(axes, {"chance: TPR = FPR": ":"}, "lower right")
    finish(axes, title, "false positive rate (FPR)", "true positive rate (TPR)")


def loss_panel(axes: Axes, models: Sequence[Shown], title: str, signal: str = "loss (nats)") -> None:
    """Shares of members and of non-members at or below each loss; a bar where they differ most, which is the
    advantage. signal: the name of the loss axis."""
    curves = [_mean_curves(model) for model in models]
    pooled = np.concatenate([at[np.abs(at) < LARGEST_LOSS] for of_model in curves for at, _ in of_model])
    low, high = _scale_losses(axes, pooled)
    for model, means in zip(models, curves, strict=True):
        colour = model.style.colour
        for (at, shares), kind, linestyle in zip(means, SIDES, ("-", "--"), strict=True):
            losses = np.array([getattr(training, kind) for training in model.trainings])
            if len(losses) > 1:
                losses = np.clip(losses, -LARGEST_LOSS, LARGEST_LOSS)
                axes.plot(
                    losses.T, model.trainings[0].levels, linestyle, color=colour, linewidth=0.7, alpha=FAINT
                )
            # From one end of the axis to the other, so that equal losses are a line too.
            inside = (at > low) & (at < high)
            at_low = shares[np.searchsorted(at, low, "right") - 1] if at[0] <= low else 0.0
            ends = np.concatenate(
                [[at_low], shares[inside], [shares[np.searchsorted(at, high, "right") - 1]]]
            )
            axes.plot([low, *at[inside], high], ends, linestyle, color=colour, linewidth=2)
        # The bar stands where the mean curves are furthest apart.
        at = np.concatenate([at for at, _ in means])
        members, nonmembers = (np.interp(at, *mean, left=0.0) for mean in means)
        widest = np.argmax(np.abs(members - nonmembers))
        ends = [members[widest], nonmembers[widest]]
        label = f"advantage {model.advantage:.3f}, same records" if len(models) <= FEW_MODELS else None
        axes.plot([max(at[widest], low)] * 2, ends, color=colour, marker="_", linewidth=1.2, label=label)
    grey_key(axes, {"members": "-", "non-members": "--"}, "upper left")
    lines = len(axes.get_legend().get_texts())
    axes.set(yticks=np.linspace(0, 1, 6), ylim=(0, 1.1 + 0.14 * lines))  # room for the legend
    finish(axes, title, signal, "share at or below")


def _mean_curves(model: Shown) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of the members, and of the non-members: losses in rising order, and the mean share at or below each."""
    curves = []
    for kind in SIDES:
        losses = np.array([getattr(training, kind) for training in model.trainings])
        losses, levels = np.clip(losses, -LARGEST_LOSS, LARGEST_LOSS), model.trainings[0].levels
        at = np.sort(losses, axis=None)
        # Of one training the levels as they are: between equal losses nothing can be interpolated.
        shares = levels if len(losses) == 1 else np.mean([np.interp(at, of, levels) for of in losses], axis=0)
        curves.append((at, shares))
    return curves


def _scale_losses(axes: Axes, pooled: np.ndarray) -> tuple[float, float]:
    """Chooses the scale of the axis for these losses, and returns its ends."""
    if not len(pooled):
        return 0.0, 1.0
    low, high = pooled.min(), pooled.max()
    if low == high:
        return low - 0.5, high + 0.5
    least = max(np.quantile(pooled[pooled > 0], 0.02), FEWEST_LOSS) if low >= 0 else 0.0
    if low >= 0 and high > WIDE * least:
        low = least
        axes.set_xscale("log", nonpositive="clip")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
    elif np.abs(pooled).max() / HEAVY > np.median(np.abs(pooled)) > 0:
        # Most lie near 0, and some far out on both sides: on a linear scale they would be one line.
        linear = 10.0 ** np.round(np.log10(np.quantile(np.abs(pooled), 0.25)))
        axes.set_xscale("symlog", linthresh=max(linear, FEWEST_LOSS))
        axes.xaxis.get_major_locator().set_params(numticks=8)
    else:
        low -= 0.02 * (high - low)  # so that a line at the least loss is seen beside the axis
    axes.set_xlim(low, high)
    return float(low), float(high)
