"""training/members.py: complementary halves of a pool that know nothing of anybody's members."""

import hashlib

import numpy as np
import pytest

from suite.training.members import choose, halves


def labels_of(counts, seed=0):
    """Class numbers in a random order, counts[c] of class c."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def test_the_first_of_each_class_are_chosen():
    labels = np.array([2, 0, 1, 0, 1, 2, 0, 3])
    assert choose(labels, 3, 2).tolist() == [0, 1, 2, 3, 4, 5]
    assert choose(labels, 2, 1).tolist() == [1, 2]


@pytest.mark.parametrize("counts", [(6000,) * 10, (7, 8, 9, 1, 5), (1,), (2, 2)])
def test_halves_are_complementary_and_balanced(counts):
    labels = labels_of(counts)
    for pair in range(30):
        first, second = halves(labels, pair)
        assert first.dtype == bool
        assert np.array_equal(second, ~first)
        assert abs(first.sum() - second.sum()) <= 1
        for label in range(len(counts)):
            assert abs(first[labels == label].sum() - second[labels == label].sum()) <= 1


def test_each_image_is_in_either_half_as_often_and_apart_from_the_others():
    """Over 4,000 pairs each image is in the first half in 1/2 of them, and two images of a class of 3 or of 4
    are together in 1/3. Tolerance 4 standard errors; 16 comparisons, so that another fixed word fails with
    probability 1 in 1,000."""
    labels, pairs = np.array([0, 0, 0, 1, 1, 1, 1]), 4000
    first = np.array([halves(labels, pair)[0] for pair in range(pairs)])
    assert np.abs(first.mean(axis=0) - 1 / 2).max() < 4 * np.sqrt(1 / 4 / pairs)
    for label in (0, 1):
        images = np.flatnonzero(labels == label)
        for left in images:
            for right in images[images > left]:
                together = (first[:, left] == first[:, right]).mean()
                assert abs(together - 1 / 3) < 4 * np.sqrt(2 / 9 / pairs)


def test_halves_are_the_same_on_every_machine():
    labels = labels_of((5000, 5001, 4999))
    masks = np.concatenate([halves(labels, pair)[0] for pair in range(3)])
    digest = hashlib.sha256(np.packbits(masks).tobytes()).hexdigest()
    assert digest == "640426641b4deaafb4009e3c2365a249324f7f13ff4fe16094d0f7fa72dfa49b"


def test_halves_depend_on_the_pair_alone():
    labels = labels_of((50, 51))
    first = halves(labels, 3)[0]
    assert np.array_equal(first, halves(labels.astype(np.uint8), 3)[0])
    assert not np.array_equal(first, halves(labels, 4)[0])


def test_a_negative_pair_is_refused():
    with pytest.raises(ValueError, match="0 or above, not -1"):
        halves(np.array([0, 1]), -1)
