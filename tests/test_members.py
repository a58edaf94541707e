"""suite/training/members.py: fair coins that only the pair decides, and the pool that they are tossed for.

Coins have fixed seeds, so these tests always give the same; the chance that another fixed word (COINS) would
raise a false alarm stands beside each.
"""

import hashlib
import inspect

import numpy as np
import pytest
from scipy import stats

from suite.sources.cifar10 import Cifar10
from suite.support.command_line import BadInput
from suite.training.members import all_images, all_labels, coins, is_member, pool_of


def images_of(labels):
    """Images (n, 32, 32, 3) that tell their place in `labels` and their class."""
    images = np.zeros((len(labels), 32, 32, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels)) % 251
    images[:, 0, 0, 1] = labels
    return images


def data_of(train_labels, test_labels):
    parts = [np.array(labels, np.uint8) for labels in (train_labels, test_labels)]
    return Cifar10(images_of(parts[0]), parts[0], images_of(parts[1]) + 100, parts[1])


# ---------------------------------------------------------------------------------------------------- coins


def test_coins_are_fair_for_every_pair_and_every_image():
    """1,000 pairs of 1,000 images: a million coins. False alarms: 6e-5 for the mean, 1e-4 for either
    chi-square, which find pairs or images whose heads are too many, too few or too even."""
    tossed = np.array([coins(pair, 1000) for pair in range(1000)])
    assert tossed.dtype == bool
    assert tossed.mean() == pytest.approx(0.5, abs=4 * 0.5 / 1000)
    for axis in (0, 1):
        chi_square = ((tossed.sum(axis=axis) - 500) ** 2 / 250).sum()
        assert 5e-5 < stats.chi2.sf(chi_square, 1000) < 1 - 5e-5


def test_the_coins_of_different_pairs_have_nothing_in_common():
    """40 pairs of 20,000 images, 780 correlations; beside each other, and shifted by one image, which finds
    pairs that draw from one stream. False alarms: 8e-4 for each of both, 1e-6 for neighbouring images."""
    signs = np.array([2.0 * coins(pair, 20_000) - 1 for pair in range(40)])
    for shifted in (signs, np.roll(signs, 1, axis=1)):
        correlations = (signs @ shifted.T / 20_000)[np.triu_indices(40, 1)]
        assert np.abs(correlations).max() < 4.9 / np.sqrt(20_000)
    neighbours = (signs[:, 1:] * signs[:, :-1]).mean()
    assert abs(neighbours) < 4.9 / np.sqrt(signs.size)


def test_coins_depend_on_the_pair_alone():
    """Not on what was drawn before, in whatever order; and a larger number of images only goes on."""
    first = coins(3, 5000)
    np.random.seed(1)  # noqa: NPY002, as it must not matter
    coins(7, 10)
    assert np.array_equal(coins(3, 5000), first)
    assert np.array_equal(coins(3, 60_000)[:5000], first)
    assert list(inspect.signature(coins).parameters) == ["pair", "count"]


def test_coins_are_the_same_on_every_machine():
    tossed = np.concatenate([coins(pair, 10_007) for pair in (0, 1, 2, 31)])
    digest = hashlib.sha256(np.packbits(tossed).tobytes()).hexdigest()
    assert digest == "c1cf1b33d06df5c012e71a60b9a53836565d20767f17968b71de8b6d531b6efe"


# -------------------------------------------------------------------------------------------------- members


@pytest.mark.parametrize("pair", [0, 1, 5])
def test_two_trainings_of_a_pair_share_the_pool_without_rest(pair):
    """Heads are the members of the first, in every pool that an image is in, whatever else is in it."""
    ids = np.array([3, 4, 70, 999, 59_999])
    heads, tails = is_member(2 * pair, ids), is_member(2 * pair + 1, ids)
    assert np.array_equal(heads, ~tails)
    assert np.array_equal(heads, coins(pair, 60_000)[ids])
    some = [0, 2, 3]
    assert np.array_equal(is_member(2 * pair, ids[some]), heads[some])


# ----------------------------------------------------------------------------------------------------- pool


def first_of_each(labels, classes, each):
    """The numbers of a pool, counted by hand: image by image, in order."""
    taken, counts = [], [0] * 10
    for number, label in enumerate(labels):
        if label < classes and counts[label] < each:
            counts[label] += 1
            taken.append(number)
    return taken


@pytest.mark.parametrize(("classes", "each"), [(2, 1), (3, 3), (10, 12), (10, 20)])
def test_a_pool_is_the_first_of_each_class_of_both_parts_in_order(classes, each):
    """Twelve of each class in the first part, eight in the second, in any order."""
    generator = np.random.default_rng(0)
    parts = [generator.permutation(np.repeat(np.arange(10), count)) for count in (12, 8)]
    data = data_of(*parts)
    pool = pool_of(data, classes, each)
    expected = first_of_each(np.concatenate(parts), classes, each)
    assert pool.ids.tolist() == expected
    assert np.array_equal(pool.labels, np.concatenate(parts)[expected])
    assert pool.labels.dtype == np.int32
    assert np.array_equal(pool.images, np.concatenate([data.train_images, data.test_images])[expected])
    # Its images, labels and numbers stay together, in a part of it too.
    chosen = pool.where(pool.labels == 1)
    assert np.array_equal(chosen.images, all_images(data)[chosen.ids])
    assert (all_labels(data)[chosen.ids] == 1).all()
    assert len(chosen.ids) == each


@pytest.mark.parametrize(
    ("classes", "each", "words"),
    [
        (3, 6, "a pool takes 1 to 5 images of each class, as many as there are of bird, not 6"),
        (2, 8, "1 to 7 images of each class, as many as there are of automobile, not 8"),
        (2, 0, "1 to 7 images of each class, .* not 0"),
        (2, -1, "1 to 7 images of each class, .* not -1"),
        (4, 1, "1 to 0 images of each class, as many as there are of cat, not 1"),
        (1, 2, "a model tells 2 to 10 classes apart, not 1"),
        (11, 1, "a model tells 2 to 10 classes apart, not 11"),
    ],
)
def test_a_pool_that_there_is_not_is_refused_in_one_line(classes, each, words):
    """8 airplanes, 7 automobiles and 5 birds, in both parts together."""
    data = data_of([0] * 5 + [1] * 4 + [2] * 5, [0] * 3 + [1] * 3)
    with pytest.raises(BadInput, match=words) as refused:
        pool_of(data, classes, each)
    assert "\n" not in str(refused.value)


def test_a_negative_pair_is_refused():
    with pytest.raises(BadInput, match="0 or above, not -1"):
        coins(-1, 10)
