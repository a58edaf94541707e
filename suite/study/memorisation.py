"""Memorisation: how much lower an image's loss is if the image was in the training set.

Feldman and Zhang (2020, "What Neural Networks Memorize and Why", section 1.1) define it by the probability of
the true class. Here it is a difference of losses, in nats. The coins put every image into the training set of
one training of each pair, and not into the other's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RELIABLE = 0.5  # from this reliability on, single images may be called memorised


class Memorisation(NamedTuple):
    """For each image of a pool (N,), in nats: `memorisation`, its mean loss as a non-member minus its mean
    loss as a member; `member_loss`, its mean loss as a member. reliability: see reliability_of; None for a
    single pair."""

    memorisation: np.ndarray
    member_loss: np.ndarray
    reliability: float | None


def memorisation_of(losses: Sequence[np.ndarray], is_member: Sequence[np.ndarray]) -> Memorisation:
    """The memorisation of each image, from trainings in complementary pairs (2j and 2j + 1).

    losses: (N,) of each training, in nats, all in the same order of images. is_member: bool (N,) of each.
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
    """The reliability of the mean memorisation over all pairs, 0 to 1: the share of its variance over images
    that is not chance.

    of_pairs (P, N): the memorisation of N images in each of P pairs. If the means over two disjoint halves of
    the pairs correlate by r, the mean over both halves has the reliability 2 r / (1 + r) (Spearman 1910;
    Brown 1910). If P is odd, the last pair is left out. None for a single pair, or if all images have one
    value.
    """
    half = len(of_pairs) // 2
    if not half:
        return None
    first, second = of_pairs[:half].mean(axis=0), of_pairs[half : 2 * half].mean(axis=0)
    if not (first.std() and second.std()):
        return None
    correlation = float(np.corrcoef(first, second)[0, 1])
    return max(2 * correlation / (1 + correlation), 0.0) if correlation > -1 else 0.0
