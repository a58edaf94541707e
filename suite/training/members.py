"""Who is a member: a coin decides, for each image and each pair of trainings.

Trainings come in complementary pairs. Heads are the members of the first training, tails those of the second,
so every image is a member of exactly one of the two. A pair's coins depend on its number alone: all models
are trained on the same coins. The coins of different pairs are independent.
"""

from typing import NamedTuple

import numpy as np

from suite.sources.cifar10 import CLASS_NAMES, Cifar10
from suite.support.command_line import BadInput

COINS = 0x636F696E73  # "coins" in ASCII, so that no other use of a pair's number draws the same


class Examples(NamedTuple):
    """Images (n, 32, 32, 3) uint8, their classes (n,) int32, and their numbers (n,): training images come
    first in the original order, then test images, so that no two images share a number."""

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def where(self, chosen: np.ndarray) -> "Examples":
        """The examples for which `chosen`, bool (n,), is True."""
        return Examples(*(part[chosen] for part in self))


def all_labels(data: Cifar10) -> np.ndarray:
    """The class of every image (N,), by its number: first the training part, then the test part."""
    return np.concatenate([data.train_labels, data.test_labels])


def all_images(data: Cifar10) -> np.ndarray:
    """Every image by its number, uint8 (N, 32, 32, 3)."""
    return np.concatenate([data.train_images, data.test_images])


def pool_of(data: Cifar10, classes: int, each: int) -> Examples:
    """The first `each` images of each of the first `classes` classes, from both official parts together.

    Raises BadInput if a class has fewer images, or if there are fewer classes.
    """
    labels = all_labels(data)
    refuse_a_pool_too_large(labels, classes, each)
    ids = np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(classes)]))
    split = len(data.train_labels)
    images = np.concatenate(
        [data.train_images[ids[ids < split]], data.test_images[ids[ids >= split] - split]]
    )
    return Examples(images, labels[ids].astype(np.int32), ids)


def refuse_a_pool_too_large(labels: np.ndarray, classes: int, each: int) -> None:
    """Raises BadInput unless there are `each` images of each of the first `classes` classes.

    labels (N,): the class of every image.
    """
    counts = np.bincount(labels, minlength=len(CLASS_NAMES))
    if not 2 <= classes <= len(counts):
        raise BadInput(f"a model tells 2 to {len(counts)} classes apart, not {classes}")
    fewest = int(np.argmin(counts[:classes]))
    if not 1 <= each <= counts[fewest]:
        raise BadInput(
            f"a pool takes 1 to {counts[fewest]:,} images of each class, as many as there are of "
            f"{CLASS_NAMES[fewest]}, not {each:,}"
        )


def is_member(training: int, ids: np.ndarray) -> np.ndarray:
    """Whether the images of these numbers (n,) are members of training number `training`, bool (n,).

    Trainings 2j and 2j + 1 are pair j.
    """
    pair, second = divmod(training, 2)
    heads = coins(pair, int(ids.max()) + 1)[ids]
    return ~heads if second else heads


def coins(pair: int, count: int) -> np.ndarray:
    """The coins of pair number `pair` for images 0 to count - 1: True for heads, bool (count,).

    Each coin is fair and independent of all others. An image's coin depends on the pair's number and the
    image's number alone, not on the count. Raises BadInput for a negative number.
    """
    if pair < 0:
        raise BadInput(f"a pair's number must be 0 or above, not {pair}")
    generator = np.random.Generator(np.random.PCG64([COINS, pair]))
    return generator.random(count) < 0.5
