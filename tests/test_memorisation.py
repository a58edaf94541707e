"""suite/study/memorisation.py: four images by hand, and the reliability against a known truth."""

import numpy as np
import pytest

from suite.study.memorisation import memorisation_of, reliability_of
from suite.training.members import is_member


def test_four_images_by_hand():
    """Two pairs: image 0 is in for trainings 0 and 2, image 1 for 1 and 2, 2 for 0 and 3, 3 for 1 and 3."""
    members = [
        np.array([True, False, True, False]),
        np.array([False, True, False, True]),
        np.array([True, True, False, False]),
        np.array([False, False, True, True]),
    ]
    losses = [
        np.array([1.0, 5.0, 0.5, 2.0]),
        np.array([3.0, 1.0, 0.5, 1.0]),
        np.array([2.0, 2.0, 3.0, 8.0]),
        np.array([6.0, 2.5, 1.0, 4.0]),
    ]
    expected = {
        # out less in, by hand: (3 - 1 + 6 - 2) / 2, (5 - 1 + 2.5 - 2) / 2, (0.5 - 0.5 + 3 - 1) / 2, ...
        "memorisation": [3.0, 2.25, 1.0, 2.5],
        "member_loss": [1.5, 1.5, 0.75, 2.5],
    }
    of_images = memorisation_of(losses, members)
    assert of_images.memorisation.tolist() == expected["memorisation"]
    assert of_images.member_loss.tolist() == expected["member_loss"]
    # The pairs say [2, 4, 0, 1] and [4, 0.5, 2, 4].
    correlation = np.corrcoef([2, 4, 0, 1], [4, 0.5, 2, 4])[0, 1]
    assert correlation < 0
    assert of_images.reliability == 0.0
    # Which training of a pair comes first makes no difference.
    turned = memorisation_of([losses[i] for i in (1, 0, 3, 2)], [members[i] for i in (1, 0, 3, 2)])
    assert np.array_equal(turned.memorisation, of_images.memorisation)
    assert np.array_equal(turned.member_loss, of_images.member_loss)


def test_neither_easiness_nor_the_coins_count_as_memorisation():
    """Losses are the easiness less what was learnt where an image was in: the latter is returned, exactly."""
    generator = np.random.default_rng(0)
    ids = np.arange(1000)
    easiness, learnt = generator.normal(size=1000), generator.normal(size=1000)
    members = [is_member(number, ids) for number in range(6)]
    of_images = memorisation_of([easiness - learnt * inside for inside in members], members)
    np.testing.assert_allclose(of_images.memorisation, learnt, atol=1e-12)
    np.testing.assert_allclose(of_images.member_loss, easiness - learnt, atol=1e-12)
    assert of_images.reliability == pytest.approx(1)


@pytest.mark.parametrize("pairs", [2, 6, 12])
@pytest.mark.parametrize("truth", [0.0, 0.5, 2.0])
def test_reliability_is_the_share_of_the_truth(pairs, truth):
    """Each pair measures an image's memorisation with an error of standard deviation 1, so that the share
    truth^2 / (truth^2 + 1 / P) of the variance of a mean over P pairs is the images' own. 20,000 images; a
    correlation r has the standard error (1 - r^2) / sqrt(20,000), of which Spearman and Brown's formula makes
    at most twice as much: tolerance 4 of these, 6e-5."""
    generator = np.random.default_rng([pairs, int(10 * truth)])
    own = truth * generator.normal(size=20_000)
    of_pairs = own + generator.normal(size=(pairs, 20_000))
    expected = truth**2 / (truth**2 + 1 / pairs)
    assert reliability_of(of_pairs) == pytest.approx(expected, abs=4 * 2 / np.sqrt(20_000))
    # And it is what correlates the mean with that of as many other pairs.
    others = own + generator.normal(size=(pairs, 20_000))
    again = np.corrcoef(of_pairs.mean(axis=0), others.mean(axis=0))[0, 1]
    assert reliability_of(of_pairs) == pytest.approx(again, abs=4 * 2 / np.sqrt(20_000))


def test_an_odd_pair_is_left_out():
    of_pairs = np.random.default_rng(0).normal(size=(3, 50)) + np.arange(50)
    assert reliability_of(of_pairs) == reliability_of(of_pairs[:2])


def test_reliability_that_cannot_be_given_is_none():
    assert reliability_of(np.arange(5.0)[None]) is None
    assert reliability_of(np.ones((2, 5))) is None
    members = [np.array([True, False]), np.array([False, True])]
    assert memorisation_of([np.zeros(2), np.ones(2)], members).reliability is None


def test_reliability_is_never_negative():
    turned = np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])
    assert reliability_of(turned) == 0.0
    assert reliability_of(np.array([[0.0, 1.0, 2.0], [1.0, 1.2, 0.0]])) == 0.0
