"""Differences between models: over images for two trained models, over trainings for two kinds of model."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from leakage.estimates import CONFIDENCE, Estimate, Losses, Z, auc_estimate, checked, heldout_estimate


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """95% interval of the mean of what several seeds gave (Student t); NaN for a single value."""
    if len(values) < 2:
        return math.nan, math.nan
    half = (
        stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    )
    return float(np.mean(values) - half), float(np.mean(values) + half)


def paired_contrast(
    first: Sequence[Losses], second: Sequence[Losses], names: tuple[str, str], *, seed: int = 0
) -> dict[str, object]:
    """How much more the first model leaks than the second, for AUC and held-out advantage.

    first, second: the losses of either model, one entry per training seed, as many of one as of the other.
    names: of the two models, for the verdict.
    Returns, for each measure: the mean difference over the seeds; `_low`, `_high`, its interval: over
    examples for one seed (for these trained models, other images), over seeds (Student t) for several (for
    other trainings, these images); `_examples_low`, `_examples_high`: the mean over the seeds of the interval
    over examples; `_verdict`: which model leaks more, or that no difference can be shown; and `verdict`,
    which says both where they differ. A verdict rests on the interval alone: where there is no difference, 5%
    of the verdicts claim one (by held-out advantage 3% to 5%, up to 9% where both models leak so little that
    the direction is in doubt).
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"as many seeds of one model as of the other: {len(first)} and {len(second)} given")
    contrast: dict[str, object] = {"seeds": len(first), "over": "examples" if len(first) == 1 else "seeds"}
    measures = {"auc": auc_estimate, "heldout_advantage": lambda *losses: heldout_estimate(*losses, seed)}
    for measure, estimate in measures.items():
        differences, errors = [], []
        for one, other in zip(first, second, strict=True):
            left, right = (
                estimate(checked(x.members, "member"), checked(x.nonmembers, "non-member"))
                for x in (one, other)
            )
            differences.append(left.value - right.value)
            errors.append(_standard_error_of_difference(one, left, other, right))
        difference, half = float(np.mean(differences)), Z * float(np.mean(errors))
        examples = difference - half, difference + half
        low, high = examples if len(first) == 1 else student_interval(differences)
        contrast |= {f"{measure}_difference": difference, f"{measure}_low": low, f"{measure}_high": high}
        contrast |= {f"{measure}_examples_low": examples[0], f"{measure}_examples_high": examples[1]}
        contrast[f"{measure}_verdict"] = _verdict(low, high, names)
    by_auc, by_advantage = contrast["auc_verdict"], contrast["heldout_advantage_verdict"]
    both = f"by AUC {by_auc}; by held-out advantage {by_advantage}"
    return contrast | {"verdict": by_auc if by_auc == by_advantage else both}


def _standard_error_of_difference(one: Losses, left: Estimate, other: Losses, right: Estimate) -> float:
    """Subtracts the influences where both models saw the same image; the rest stand alone."""
    if math.isinf(left.standard_error + right.standard_error):
        return math.inf
    variance = 0.0
    for ids_of, influence_of in (("member_ids", "members"), ("nonmember_ids", "nonmembers")):
        mine, theirs = getattr(left, influence_of), getattr(right, influence_of)
        my_ids, their_ids = getattr(one, ids_of), getattr(other, ids_of)
        my_ids = np.arange(len(mine)) if my_ids is None else np.asarray(my_ids)
        their_ids = np.arange(len(theirs)) if their_ids is None else np.asarray(their_ids)
        for ids, losses in ((my_ids, mine), (their_ids, theirs)):
            if ids.shape != losses.shape or len(np.unique(ids)) < len(ids):
                raise ValueError(f"{ids_of} must be {len(losses):,} different integers, one for each loss")
        _, at, there = np.intersect1d(my_ids, their_ids, return_indices=True)
        variance += (mine**2).sum() + (theirs**2).sum() - 2 * (mine[at] * theirs[there]).sum()
    return math.sqrt(max(variance, 0.0))


def _verdict(low: float, high: float, names: tuple[str, str]) -> str:
    if low > 0:
        return f"{names[0]} leaks more than {names[1]}"
    if high < 0:
        return f"{names[1]} leaks more than {names[0]}"
    return "no difference can be shown"
