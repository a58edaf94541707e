"""Memorisation: how much lower an image's loss is where it was in the training set than where it was not.

Feldman and Zhang (2020, "What Neural Networks Memorize and Why", section 1.1) define it by the probability of
the true class; here it is a difference of losses, in nats. By the coins every image was in for one training
of each pair and out for the other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RELIABLE = 0.5  # reliability from which single images may be called memorised


class Memorisation(NamedTuple):
    """Of each image of a pool (N,): `memorisation`, its mean loss where it was out minus that where it was
    in; and `member_loss`, the latter. reliability: see reliability_of; None for a single pair."""

    memorisation: np.ndarray
    member_loss: np.ndarray
    reliability: float | None


def memorisation_of(losses: Sequence[np.ndarray], is_member: Sequence[np.ndarray]) -> Memorisation:
    """The memorisation of each image, from trainings in complementary pairs (2j and 2j + 1).

    losses: of each training (N,), in the same order of images. is_member: of each training, bool (N,).
    """
    of_pairs, member_losses = [], []
    for first, second, in_first in zip(losses[::2], losses[1::2], is_member[::2], strict=True):
        inside = np.where(in_first, first, second)
        outside = np.where(in_first, second, first)
        of_pairs.append(outside - inside)
        member_losses.append(inside)
    return Memorisation(
        np.mean(of_pairs, axis=0), np.mean(member_losses, axis=0), reliability_of(np.array(of_pairs))
    )


def reliability_of(of_pairs: np.ndarray) -> float | None:
    """Which share of what the images' mean over all pairs differ by is the images' own, and not chance.

    of_pairs (P, N): the memorisation of N images in each of P pairs. The means over two disjoint halves of
    the pairs correlate by r; the mean over both halves then has the reliability 2 r / (1 + r) (Spearman 1910;
    Brown 1910). An odd pair is left out. None for a single pair, or where no image differs from another.
    """
    half = len(of_pairs) // 2
    if not half:
        return None
    first, second = of_pairs[:half].mean(axis=0), of_pairs[half : 2 * half].mean(axis=0)
    if not (first.std() and second.std()):
        return None
    correlation = float(np.corrcoef(first, second)[0, 1])
    return max(2 * correlation / (1 + correlation), 0.0) if correlation > -1 else 0.0
