"""Which training images the attack of mia.py names first, and whether other trainings agree."""

import math
from collections.abc import Sequence

import numpy as np

EXPOSED = 10  # training images shown as the most and as the least exposed
EXPOSED_SHARE = 0.01  # of the training images, for the agreement between seeds


def exposure_of(name: str, cells: Sequence[dict]) -> dict[str, object]:
    """The training images with the smallest and the largest loss, averaged over the seeds as ranks.

    The attack calls the image with the smallest loss a member first. Returns `most` and `least`, numbers of
    images in the original order, `agreement`, the mean share that two seeds' most exposed 1% have in common
    (chance: 1%; NaN for one seed), and `stability`, a sentence.
    """
    ranks = np.array([np.argsort(np.argsort(cell["members"], kind="stable")) for cell in cells])
    order = cells[0]["member_ids"][np.argsort(ranks.mean(axis=0), kind="stable")]
    count = max(round(EXPOSED_SHARE * len(order)), 1)
    top = [set(np.flatnonzero(rank < count)) for rank in ranks]
    shared = [len(top[i] & top[j]) / count for i in range(len(top)) for j in range(i)]
    agreement = float(np.mean(shared)) if shared else math.nan
    sentence = "One seed: how stable this choice is has not been measured."
    if shared:
        words = f"Of one seed's {count:,} most exposed images (1%), {agreement:.0%} are among another's too"
        sentence = f"{words}; by chance it would be 1%."
    return {
        "model": name,
        "most": order[:EXPOSED].tolist(),
        "least": order[::-1][:EXPOSED].tolist(),
        "agreement": agreement,
        "stability": sentence,
    }
