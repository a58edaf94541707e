"""What a threshold attack on losses finds out, how sure that is, and what it would find if nothing leaked.

Works on anybody's losses, of any framework. Members are the examples that a model was trained on, non-members
others from the same source. The attack calls an example a member if its loss is below a threshold, so that
the true positive rate (TPR) is the share of members called members, and the false positive rate (FPR) the
share of non-members called members. All intervals are 95%.

Every estimate here is, but for smaller terms, a mean over examples. The share that one example has in the
deviation from the truth is its influence; the sum of the squared influences is the variance. If two models
are judged on the same images, the influences are subtracted image by image before they are squared, and
that is all there is to a paired comparison.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

CONFIDENCE = 0.95
Z = float(special.ndtri(0.5 + CONFIDENCE / 2))  # half-width of the interval, in standard errors
LOW_FPRS = {"1pct": 0.01, "0p1pct": 0.001}
ROC_FPRS = 10 ** np.linspace(-4, 0, 33)
TAIL = [0.001, 0.0025, 0.005, 0.01, 0.025]
QUANTILES = [*TAIL, *np.linspace(0.05, 0.95, 19).round(2), *(1 - np.array(TAIL[::-1])).round(4)]
FEWEST_ACCUSED = 10  # non-members that must fit below a false positive rate, or it is not reported
FEWEST_EXAMPLES = 10  # members or non-members; of fewer the spread cannot be measured
# Largest correlation between the errors of the two folds of the held-out advantage, see heldout_estimate.
FOLD_CORRELATION = 2 / math.pi


@dataclass(frozen=True)
class Losses:
    """Losses of one model. `members` (n,) and `nonmembers` (m,), and which examples these are: integers that
    two models' losses share where they share the image; 0, 1, 2 ... if not given."""

    members: np.ndarray
    nonmembers: np.ndarray
    member_ids: np.ndarray | None = None
    nonmember_ids: np.ndarray | None = None


@dataclass(frozen=True)
class Estimate:
    """A number, and the influence of each member (n,) and non-member (m,) on it."""

    value: float
    members: np.ndarray
    nonmembers: np.ndarray

    @property
    def fewest(self) -> int:
        return min(len(self.members), len(self.nonmembers))

    @property
    def standard_error(self) -> float:
        if self.fewest < FEWEST_EXAMPLES:
            return math.inf
        return float(np.sqrt((self.members**2).sum() + (self.nonmembers**2).sum()))


def measure_leakage(
    member_losses: np.ndarray, nonmember_losses: np.ndarray, *, seed: int = 0
) -> dict[str, float]:
    """Measures a threshold attack on member_losses (n,) and nonmember_losses (m,).

    seed: of the split into halves for the held-out advantage.
    Returns, each with `_low` and `_high` where an interval is given:
        auc: probability that a random member has a lower loss than a random non-member, ties counted half;
            interval after DeLong, DeLong, Clarke-Pearson 1988, on the logit scale.
        advantage: largest |TPR - FPR| over all thresholds (Yeom et al. 2018), chosen and judged on the same
            examples, and so positive even if nothing leaks: null_advantage is its mean then.
        heldout_advantage: threshold and direction chosen on one half, TPR - FPR judged on the other, two
            folds, averaged; its expectation is 0 if nothing leaks. Its interval is for the thresholds chosen
            (the best possible one does a little better); it is a quarter wider than need be if much leaks.
        tpr_at_1pct_fpr, tpr_at_0p1pct_fpr: the largest TPR whose FPR is at most that (Carlini et al. 2022),
            with Clopper-Pearson intervals for the threshold taken; realised_fpr_at_1pct, ..._0p1pct: the
            share of non-members really accused. NaN if fewer than 10 non-members fit below the FPR.
    Fewer than 10 members or non-members that are not separated leave an interval as wide as its range.
    Raises ValueError for input that is empty, not one-dimensional, or holds NaN. Infinite losses are losses.
    """
    members, nonmembers = checked(member_losses, "member"), checked(nonmember_losses, "non-member")
    n, m = len(members), len(nonmembers)
    auc, heldout = auc_estimate(members, nonmembers), heldout_estimate(members, nonmembers, seed)
    auc_low, auc_high = _logit_interval(auc)
    heldout_low, heldout_high = _logit_interval(heldout, least=-1.0)
    report = {
        "members": n,
        "nonmembers": m,
        "auc": auc.value,
        "auc_low": auc_low,
        "auc_high": auc_high,
        "advantage": abs(_best_threshold(members, nonmembers)[2]),
        "null_advantage": null_advantage(n, m),
        "heldout_advantage": heldout.value,
        "heldout_advantage_low": heldout_low,
        "heldout_advantage_high": heldout_high,
    }
    for name, fpr in LOW_FPRS.items():
        caught, accused = _caught_at(members, nonmembers, fpr)
        enough = fpr * m >= FEWEST_ACCUSED
        low, high = clopper_pearson(caught, n) if enough else (math.nan, math.nan)
        report[f"tpr_at_{name}_fpr"] = caught / n if enough else math.nan
        report[f"tpr_at_{name}_fpr_low"] = low
        report[f"tpr_at_{name}_fpr_high"] = high
        report[f"realised_fpr_at_{name}"] = accused / m if enough else math.nan
    return report


def auc_with_interval(members: np.ndarray, nonmembers: np.ndarray) -> tuple[float, float, float]:
    """AUC of member losses (n,) and non-member losses (m,), and its 95% interval over examples."""
    auc = auc_estimate(members, nonmembers)
    return (auc.value, *_logit_interval(auc))


def null_advantage(n: int, m: int) -> float:
    """Mean advantage of n members and m non-members if nothing leaks: the mean of the two-sided
    Kolmogorov-Smirnov statistic, sqrt(pi / 2) ln 2 sqrt((n + m) / (n m)), for large n and m."""
    return math.sqrt(math.pi / 2) * math.log(2) * math.sqrt((n + m) / (n * m))


def clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    """Exact 95% interval of a proportion (Clopper and Pearson 1934)."""
    interval = stats.binomtest(int(hits), int(trials)).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def roc_curve(member_losses: np.ndarray, nonmember_losses: np.ndarray, fprs: np.ndarray) -> np.ndarray:
    """The largest TPR whose FPR is at most each of `fprs`: members positive, ties called together."""
    members = np.sort(checked(member_losses, "member"))
    nonmembers = np.sort(checked(nonmember_losses, "non-member"))
    return np.array([_caught_at(members, nonmembers, fpr)[0] for fpr in fprs]) / len(members)


def curve_points(member_losses: np.ndarray, nonmember_losses: np.ndarray) -> dict[str, float]:
    """What the ROC curve and the loss distributions can be drawn from: TPR at 33 FPRs, and quantiles."""
    tprs = roc_curve(member_losses, nonmember_losses, ROC_FPRS)
    points = {f"tpr_at_fpr_{fpr:.3g}": float(tpr) for fpr, tpr in zip(ROC_FPRS, tprs, strict=True)}
    for kind, losses in (("member", member_losses), ("nonmember", nonmember_losses)):
        found = np.quantile(losses, QUANTILES)
        points |= {f"{kind}_loss_q{q:g}": float(loss) for q, loss in zip(QUANTILES, found, strict=True)}
    return points


def checked(losses: np.ndarray, kind: str) -> np.ndarray:
    losses = np.asarray(losses, dtype=float)
    if losses.ndim != 1 or not len(losses):
        raise ValueError(
            f"the {kind} losses must be one row of at least one number, not of shape {losses.shape}"
        )
    if np.isnan(losses).any():
        raise ValueError(f"the {kind} losses hold {np.isnan(losses).sum():,} NaN; drop these examples first")
    return losses


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each of `others`, the share of `values` that are below it, ties counted half."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, others, "left") + np.searchsorted(ordered, others, "right")
    return below / (2 * len(values))


def auc_estimate(members: np.ndarray, nonmembers: np.ndarray) -> Estimate:
    """AUC with its placement values as influences (DeLong et al. 1988)."""
    of_nonmembers = _share_below(members, nonmembers)
    of_members = 1 - _share_below(nonmembers, members)
    auc = float(of_nonmembers.mean())
    n, m = len(members), len(nonmembers)
    return Estimate(
        auc,
        (of_members - auc) / math.sqrt(n * max(n - 1, 1)),
        (of_nonmembers - auc) / math.sqrt(m * max(m - 1, 1)),
    )


def _logit_interval(estimate: Estimate, least: float = 0.0) -> tuple[float, float]:
    """Around an estimate between `least` and 1; on the logit scale of its place between these it cannot leave
    them, and covers better near the ends.

    A perfect separation has no spread to measure: then as for n hits out of n, n the fewer of both kinds.
    """
    scale = 1 - least
    place = (estimate.value - least) / scale
    if place in (0.0, 1.0):
        end = ((1 - CONFIDENCE) / 2) ** (1 / estimate.fewest)
        low, high = (end, 1.0) if place else (0.0, 1 - end)
    else:
        half = Z * estimate.standard_error / scale / (place * (1 - place))
        low, high = special.expit(special.logit(place) + np.array([-half, half]))
    return float(least + scale * low), float(least + scale * high)


def _best_threshold(members: np.ndarray, nonmembers: np.ndarray) -> tuple[float, int, float]:
    """The threshold with the largest |TPR - FPR| (members: loss <= threshold), the sign of that difference,
    and the signed difference. Sign -1 means that members have the larger losses."""
    thresholds = np.unique(np.concatenate([members, nonmembers]))
    difference = np.searchsorted(np.sort(members), thresholds, "right") / len(members)
    difference -= np.searchsorted(np.sort(nonmembers), thresholds, "right") / len(nonmembers)
    best = int(np.argmax(np.abs(difference)))
    return float(thresholds[best]), -1 if difference[best] < 0 else 1, float(difference[best])


def heldout_estimate(members: np.ndarray, nonmembers: np.ndarray, seed: int) -> Estimate:
    """TPR - FPR on the half on which the threshold was not chosen, over two folds; 0 for a single example,
    which cannot be halved. An example's influence is its deviation from the rate of its fold.

    The thresholds count as given, but the folds' errors are correlated, because each half judges what the
    other has chosen and chooses for it. Where nothing leaks and the choice is only one of direction, s = sign
    of a half's error e, the two errors s2 e1 and s1 e2 have the mean product E|e1| E|e2| = (2 / pi) E e^2;
    with thresholds to choose from it is 0.57 E e^2, and less than 0.2 E e^2 where the leak is plain
    (simulated). The influences are enlarged for the worst case.
    """
    influences = [np.zeros(len(losses)) for losses in (members, nonmembers)]
    if min(len(members), len(nonmembers)) < 2:
        return Estimate(0.0, *influences)
    generator = np.random.default_rng(seed)
    groups = [(losses, generator.permutation(len(losses)) % 2 == 0) for losses in (members, nonmembers)]
    value = 0.0
    for judged in (True, False):
        threshold, sign, _ = _best_threshold(*(losses[half != judged] for losses, half in groups))
        for (losses, half), influence, direction in zip(groups, influences, (sign, -sign), strict=True):
            called = losses[half == judged] <= threshold
            value += direction * called.mean() / 2
            spread = 2 * math.sqrt(len(called) * max(len(called) - 1, 1) / (1 + FOLD_CORRELATION))
            influence[half == judged] = direction * (called - called.mean()) / spread
    return Estimate(float(value), *influences)


def _caught_at(members: np.ndarray, nonmembers: np.ndarray, fpr: float) -> tuple[int, int]:
    """Members and non-members below the largest threshold that accuses at most `fpr` of the latter."""
    ordered = np.sort(nonmembers)
    allowed = math.floor(fpr * len(ordered) + 1e-9)
    if allowed >= len(ordered):
        return len(members), len(ordered)
    # Everything strictly below the first non-member that must not be accused.
    threshold = ordered[allowed]
    return int((members < threshold).sum()), int((ordered < threshold).sum())
