"""Which training images an attack names first, and whether other trainings agree.

For losses and calibrated losses alike: the image with the smallest is called a member first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from leakage.command_line import BadInput
from leakage.estimates import Losses

EXPOSED = 10  # training images named as the most and as the least exposed
EXPOSED_SHARE = 0.01  # of the training images, for the agreement between trainings


@dataclass(frozen=True)
class Exposure:
    """How exposed each of n training images is, over one or several trainings.

    ids (n,): the images' numbers, ascending. ranks (n,): the mean over the trainings of an image's rank, from
    0, the most exposed, to n - 1; images with the same loss share the mean of their ranks. agreement: the
    mean share that the EXPOSED_SHARE most exposed images of two trainings have in common; None for a single
    training. chance: that share for trainings that have nothing in common.
    """

    ids: np.ndarray
    ranks: np.ndarray
    agreement: float | None
    chance: float

    @property
    def most(self) -> np.ndarray:
        """The numbers of the EXPOSED most exposed images, the most exposed first."""
        return self.ids[np.argsort(self.ranks, kind="stable")[:EXPOSED]]

    @property
    def least(self) -> np.ndarray:
        """The numbers of the EXPOSED least exposed images, the least exposed first."""
        return self.ids[np.argsort(-self.ranks, kind="stable")[:EXPOSED]]

    @property
    def stability(self) -> str:
        """A sentence on the agreement."""
        if self.agreement is None:
            return "One seed: how stable this choice is has not been measured."
        share = f"{100 * self.chance:.3g}%"
        return (
            f"Of the {share} most exposed images under one seed, {self.agreement:.0%} are also among the "
            f"{share} under another; chance gives {share}."
        )


def exposure_of(trainings: Sequence[Losses]) -> Exposure:
    """How exposed the members are, by one attack on several trainings of one model with the same members.

    trainings: one at least, of losses or of calibrated losses; only the members' are looked at, matched by
    number. Raises BadInput if the members differ, or if a loss is NaN.
    """
    if not trainings:
        raise BadInput("no training is given; exposure needs one at least")
    numbers, rows = zip(*map(_members_by_number, trainings), strict=True)
    if any(not np.array_equal(numbers[0], later) for later in numbers[1:]):
        raise BadInput("the trainings have different members; compare trainings on the same images")
    losses = np.array(rows)
    count = max(round(EXPOSED_SHARE * losses.shape[1]), 1)
    top = [_share_in_top(row, count) for row in losses]
    shared = [first @ second / count for first, second in combinations(top, 2)]
    return Exposure(
        numbers[0],
        stats.rankdata(losses, axis=1).mean(axis=0) - 1,
        float(np.mean(shared)) if shared else None,
        count / losses.shape[1],
    )


def exposure_table(raw: Exposure, calibrated: Exposure) -> pd.DataFrame:
    """One row per training image, the most exposed by the calibrated attack first: `image`, its number;
    `loss_rank` and `calibrated_rank`, its mean rank by either attack, 0 the most exposed."""
    if not np.array_equal(raw.ids, calibrated.ids):
        raise BadInput("the two attacks have different members; compare them on the same images")
    columns = {"image": raw.ids, "loss_rank": raw.ranks, "calibrated_rank": calibrated.ranks}
    return pd.DataFrame(columns).sort_values("calibrated_rank", kind="stable", ignore_index=True)


def _members_by_number(training: Losses) -> tuple[np.ndarray, np.ndarray]:
    """The members' numbers (n,), ascending, and their losses (n,)."""
    losses = np.asarray(training.members, dtype=float)
    numbers = np.arange(len(losses)) if training.member_ids is None else np.asarray(training.member_ids)
    if not len(losses) or numbers.shape != losses.shape or len(np.unique(numbers)) < len(numbers):
        raise BadInput(f"member_ids must be {len(losses):,} different integers, one for each loss")
    if np.isnan(losses).any():
        raise BadInput(f"{np.isnan(losses).sum():,} members' losses are NaN; drop these images first")
    order = np.argsort(numbers)
    return numbers[order], losses[order]


def _share_in_top(losses: np.ndarray, count: int) -> np.ndarray:
    """For each loss (n,), the probability that it is among the `count` smallest if ties are broken by lot.

    By their order instead, two trainings that give thousands of images the loss 0 would seem to agree.
    """
    last = np.partition(losses, count - 1)[count - 1]
    below, tied = losses < last, losses == last
    return below + tied * (count - below.sum()) / tied.sum()
