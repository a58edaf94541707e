"""Who is a member: the official split of a data set or a balanced part of it, or half of a pool at random."""

from typing import NamedTuple

import numpy as np

from leakage.command_line import BadInput
from suite.sources.cifar10 import Cifar10

HALVES = 0x68616C766573  # "halves" in ASCII, so that no other use of a pair's number draws the same


class Examples(NamedTuple):
    """Images (n, 32, 32, 3) uint8, their classes (n,) int32, and their numbers (n,): training images come
    first in the original order, then test images, so that no two images share a number."""

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray


def choose(labels: np.ndarray, classes: int, each: int) -> np.ndarray:
    """Indices of the first `each` examples of each of the first `classes` classes, in the original order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(classes)]))


def official_split(
    data: Cifar10, classes: int, members_each: int, nonmembers_each: int
) -> tuple[Examples, Examples]:
    """Members, of the training images, and non-members, of the test images: so many of each class."""
    sets = []
    for images, labels, each, first_id in (
        (data.train_images, data.train_labels, members_each, 0),
        (data.test_images, data.test_labels, nonmembers_each, len(data.train_labels)),
    ):
        chosen = choose(labels, classes, each)
        sets.append(Examples(images[chosen], labels[chosen].astype(np.int32), first_id + chosen))
    return sets[0], sets[1]


def reference_split(members: Examples, nonmembers: Examples, reference: int) -> tuple[Examples, Examples]:
    """The images that reference model number `reference` is trained on, and the rest of the target's pool,
    which is its members and non-members together. References 2 p and 2 p + 1 are pair p."""
    pool = Examples(*(np.concatenate(both) for both in zip(members, nonmembers, strict=True)))
    pair, half = divmod(reference, 2)
    trained = halves(pool.labels, pair)[half]
    return Examples(*(part[trained] for part in pool)), Examples(*(part[~trained] for part in pool))


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
