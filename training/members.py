"""Who is a member: the images that a model is trained on."""

import numpy as np

from support.command_line import BadInput

HALVES = 0x68616C766573  # "halves" in ASCII, so that no other use of a pair's number draws the same


def choose(labels: np.ndarray, classes: int, each: int) -> np.ndarray:
    """Indices of the first `each` examples of each of the first `classes` classes, in the original order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(classes)]))


def halves(labels: np.ndarray, pair: int) -> tuple[np.ndarray, np.ndarray]:
    """Halves a pool at random within each class, for one pair of reference models.

    The halves depend on the labels and on the pair's number alone, so that they know nothing of any target's
    members. Of a class with an odd number of images one half gets one more: the halves take turns, and a coin
    decides which begins, so that their sizes differ by at most one as well.

    labels: (N,) class numbers of the whole pool, members and non-members together. pair: from 0 on.
    Returns two masks, bool (N,), each the other's complement; the same on every machine.
    """
    if pair < 0:
        raise BadInput(f"a pair's number must be 0 or above, not {pair}")
    labels = np.asarray(labels)
    generator = np.random.Generator(np.random.PCG64([HALVES, pair]))
    extra = int(generator.integers(2))
    first = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        images = generator.permutation(np.flatnonzero(labels == label))
        odd = len(images) % 2
        first[images[: len(images) // 2 + extra * odd]] = True
        extra ^= odd
    return first, ~first
