"""Who is a member: the official split of a data set, or a balanced part of it."""

from typing import NamedTuple

import numpy as np

from data.cifar10 import Cifar10


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
