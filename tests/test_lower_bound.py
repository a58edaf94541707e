"""Tests of the lower bound on epsilon: against plain sums, and on mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.mechanisms import (
    bounds_of,
    gaussian_epsilon,
    gaussian_noise,
    many_at_once,
    noisy_sum,
    randomised_response,
)
from leakage import (
    common_bound,
    confidence_of_each,
    epsilon_lower_bound,
    epsilon_lower_bounds,
    fair_sides,
)
from leakage.command_line import BadInput
from leakage.lower_bound import _members_in_order, p_value

# ------------------------------------------------------------------------------------------- the theorem


def summed_p_value(examples, guesses, right, epsilon, delta):
    """The formula as it stands in the paper, one probability after another."""
    rate = math.exp(epsilon) / (1 + math.exp(epsilon))
    probabilities = stats.binom.pmf(np.arange(guesses + 1), guesses, rate)
    below = probabilities[:right][::-1].cumsum() / np.arange(1, right + 1)
    return min(probabilities[right:].sum() + 2 * examples * delta * below.max(initial=0), 1)


def test_the_p_value_is_that_of_the_sums():
    generator = np.random.default_rng(3)
    for _ in range(2000):
        guesses = int(generator.integers(1, 400))
        right = int(generator.integers(0, guesses + 1))
        examples = guesses + int(generator.integers(0, 400))
        epsilon, delta = generator.uniform(0, 5), 10 ** generator.uniform(-7, 0) * generator.integers(0, 2)
        found = p_value(examples, guesses, right, epsilon, delta)
        assert found == pytest.approx(summed_p_value(examples, guesses, right, epsilon, delta), abs=1e-12)


@pytest.mark.parametrize(("right", "epsilon"), [(18_000, 0.0), (20_000, 0.5), (13_000, 0.55), (9_000, 0.0)])
def test_the_p_value_of_many_guesses_is_that_of_the_sums(right, epsilon):
    """Where most probabilities are too small for a number, too."""
    found = p_value(60_000, 20_000, right, epsilon, 1e-5)
    assert found == pytest.approx(summed_p_value(60_000, 20_000, right, epsilon, 1e-5), rel=1e-9)


def scores_of(right_in, right_out, between):
    """Members and non-members: so many of the 1,000 lowest scores are members, so many of the 1,000 highest
    are not, in a random order; between them are so many others, that both kinds are equally many."""
    generator = np.random.default_rng(4)
    members_between = between // 2 + right_out - right_in
    parts = ((right_in, 1000), (members_between, between), (1000 - right_out, 1000))
    is_member = np.concatenate([generator.permutation(np.arange(of) < count) for count, of in parts])
    scores = np.arange(len(is_member), dtype=float)
    return scores[is_member], scores[~is_member]


@pytest.mark.parametrize(("delta", "left"), [(0.0, 10), (1e-5, 9), (1e-4, 4)])
def test_the_bound_is_where_the_sums_reach_the_share_of_the_error(delta, left):
    """Few guesses are left out where they could not show an epsilon of 1 even if all were right."""
    members, nonmembers = scores_of(860, 860, 2000)
    found = epsilon_lower_bound(members, nonmembers, delta)
    numbers = sorted([10, 50, 200, 1000] * 2 + [20, 100, 400, 2000])
    while summed_p_value(4000, numbers[0], numbers[0], 1, delta) > 0.05 / len(numbers):
        del numbers[0]
    assert len(numbers) == left
    root = optimize.brentq(
        lambda epsilon: summed_p_value(4000, 2000, 1720, epsilon, delta) - 0.05 / len(numbers), 0, 5
    )
    assert found == {
        "epsilon_low": pytest.approx(root, abs=1e-9),
        "guesses": 2000,
        "right": 1720,
        "guessed_in": 1000,
        "guessed_out": 1000,
        "examples": 4000,
        "delta": delta,
        "confidence": 0.95,
    }
    assert found["epsilon_low"] < math.log(0.86 / 0.14)


@pytest.mark.parametrize(
    ("right_in", "right_out", "guessed_in", "guessed_out"),
    [(500, 1000, 0, 1000), (1000, 500, 1000, 0), (1000, 1000, 1000, 1000)],
)
def test_it_looks_at_both_ends_and_at_each_alone(right_in, right_out, guessed_in, guessed_out):
    found = epsilon_lower_bound(*scores_of(right_in, right_out, 2000), 0.0)
    assert (found["guessed_in"], found["guessed_out"]) == (guessed_in, guessed_out)
    assert found["right"] == found["guesses"] == guessed_in + guessed_out


def test_the_numbers_of_guesses_follow_the_number_of_examples():
    """From a thousandth to a quarter of it."""
    apart = {side: epsilon_lower_bound(-np.ones(side), np.ones(side), 0.0) for side in (60, 100, 10_000)}
    assert [found["guesses"] for found in apart.values()] == [20, 100, 10_000]
    # The most guesses are there even where they cannot show an epsilon of 1.
    rate = 0.001 ** (1 / 20)
    sure = epsilon_lower_bound(-np.ones(30), np.ones(30), 0.0, confidence=0.999)
    assert sure["epsilon_low"] == pytest.approx(math.log(rate / (1 - rate)))
    # Of 50, 200, 1,000 and 5,000 on either side or both; all 10,000 guesses are right.
    rate = (0.05 / 12) ** (1 / 10_000)
    assert apart[10_000]["epsilon_low"] == pytest.approx(math.log(rate / (1 - rate)))


def test_all_that_is_shown_is_nothing():
    nothing = {"epsilon_low": 0.0, "guesses": 0, "right": 0, "guessed_in": 0, "guessed_out": 0}
    for few in (1, 9):
        found = epsilon_lower_bound(-np.ones(few), np.ones(few), 0.0)
        assert {key: found[key] for key in nothing} == nothing
    found = epsilon_lower_bound(np.ones(3000), -np.ones(3000), 0.0)  # members have the high scores
    assert {key: found[key] for key in nothing} == nothing
    found = epsilon_lower_bound(-np.ones(3000), np.ones(3000), 0.5)  # which may reveal every second one
    assert {key: found[key] for key in nothing} == nothing
    assert epsilon_lower_bound(-np.ones(3000), np.ones(3000), 0.0)["epsilon_low"] > 5


def test_equal_scores_are_put_in_an_order_that_is_drawn():
    """Of 200 orders of equal scores, at most 18 show something; at 5% more would come in 1 of 100 tests."""
    equal = np.zeros(500), np.zeros(500)
    bounds = [epsilon_lower_bound(*equal, 0.0, seed=seed)["epsilon_low"] for seed in range(200)]
    assert np.count_nonzero(bounds) <= 18
    members, nonmembers = np.repeat([0.0, 1.0], [840, 360]), np.repeat([0.0, 1.0], [360, 840])
    found = [epsilon_lower_bound(members, nonmembers, 0.0, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert 0.4 < found[0]["epsilon_low"] < math.log(7 / 3)


def test_the_order_of_equal_scores_is_another_in_every_audit():
    """Of one seed too: else all audits of scores with many ties would have the same luck.

    Of 1,000 examples, 500 of which are members, 100 drawn hold members with a standard deviation of 4.74,
    known from 200 audits to 0.24."""
    members = np.random.default_rng(7).binomial(1000, 0.5, 200)
    of_other_sizes = [_members_in_order(np.zeros(n), np.zeros(1000 - n), seed=0) for n in members]
    of_other_scores = [_members_in_order(*np.full((2, 500), score), seed=0) for score in range(200)]
    for orders in (of_other_sizes, of_other_scores):
        assert 4 < np.std([order[:100].sum() for order in orders]) < 6


def test_what_cannot_be_used_is_refused():
    scores = np.arange(500.0)
    with pytest.raises(BadInput, match="5,000 members and 500 non-members are no fair coins"):
        epsilon_lower_bound(np.arange(5000.0), scores, 1e-5)
    epsilon_lower_bound(np.arange(660.0), scores, 1e-5)  # 160 is below 5 sqrt(1160) = 170
    with pytest.raises(BadInput, match="no fair coins"):
        epsilon_lower_bound(np.arange(672.0), scores, 1e-5)  # 172 is above 5 sqrt(1172) = 171
    for delta in (-0.1, 1.0, math.nan):
        with pytest.raises(BadInput, match="delta must be at least 0 and below 1"):
            epsilon_lower_bound(scores, scores, delta)
    with pytest.raises(BadInput, match="between 0 and 1"):
        epsilon_lower_bound(scores, scores, 0.0, confidence=95)
    with pytest.raises(BadInput, match="member losses hold 1 NaN"):
        epsilon_lower_bound(np.append(scores, np.nan), scores, 0.0)


def test_several_share_the_error():
    generator = np.random.default_rng(8)
    trainings = [generator.normal([[-shift], [0]], size=(2, 1000)).round() for shift in (0, 1, 2)]
    bounds = epsilon_lower_bounds(trainings, 1e-6, confidence=0.9, seed=3)
    alone = [epsilon_lower_bound(*scores, 1e-6, confidence=1 - 0.1 / 3, seed=3) for scores in trainings]
    assert bounds == alone
    assert bounds[0]["confidence"] == pytest.approx(1 - 0.1 / 3)
    assert bounds[2]["epsilon_low"] > bounds[1]["epsilon_low"] > bounds[0]["epsilon_low"]
    assert epsilon_lower_bounds([], 0.0) == []


# ---------------------------------------------------------------------------------- where the truth is known


def audited(mechanism, delta):
    """Lower bounds of 200 audits of 1,000 examples each.

    If a bound were above the truth in 5% of all audits, 19 or more of 200 would be in 1 of 100 tests."""
    return bounds_of(mechanism, np.random.default_rng(11), 200, 1000, delta)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0])
def test_randomised_response_has_at_least_the_bound(epsilon):
    """And at most twice the bound, on average."""
    bounds = audited(randomised_response(epsilon), 1e-6)
    assert (bounds > epsilon).sum() <= 18
    assert bounds.mean() > 0.5 * epsilon


@pytest.mark.parametrize("mechanism", [gaussian_noise(1.0), noisy_sum(1.0, 100)], ids=["each", "sum"])
def test_noise_has_at_least_the_bound(mechanism):
    """And it shows something in more than half of the audits."""
    bounds = audited(mechanism, 1e-3)
    assert (bounds > gaussian_epsilon(1.0, 1e-3)).sum() <= 18
    assert np.count_nonzero(bounds) > 100


@pytest.mark.parametrize(("delta", "revealed"), [(0.01, 100), (0.005, 50), (0.002, 20), (0.05, 500)])
def test_a_delta_that_reveals_many_at_once_is_no_epsilon(delta, revealed):
    """In a tenth of the audits up to half of all coins are told; the epsilon is 0."""
    assert np.count_nonzero(audited(many_at_once(delta, revealed), delta)) <= 18
    # If delta is left out, it is taken for an epsilon each time.
    assert np.count_nonzero(audited(many_at_once(delta, revealed), 0.0)) > 18


def test_sides_drawn_down_are_fair_and_show_nothing_where_nothing_leaks():
    """500 against 5,000 have one size afterwards, and of 200 audits at most 18 show something."""
    generator, bounds = np.random.default_rng(5), []
    for number in range(200):
        sides = generator.normal(size=5000), generator.normal(size=500)
        if number % 2:
            sides = sides[::-1]
        drawn = fair_sides(*sides, seed=number)
        assert sorted(map(len, drawn))[0] > 350 and sum(map(len, drawn)) < 1150
        bounds.append(epsilon_lower_bound(*drawn, 0.0)["epsilon_low"])
        assert all(np.isin(drawn[side], sides[side]).all() for side in (0, 1))
    assert np.count_nonzero(bounds) <= 18
    again = fair_sides(*sides, seed=number)
    assert all(np.array_equal(*of_side) for of_side in zip(again, drawn, strict=True))
    assert all(len(fair_sides(np.ones(1), np.ones(100), seed=seed)[1]) for seed in range(20))
    with pytest.raises(BadInput, match="at least one number"):
        fair_sides(np.ones(0), np.ones(100))
    alike = np.arange(510.0), np.arange(500.0)
    assert fair_sides(*alike) == alike


# ------------------------------------------------------------------------------------- of several trainings


@pytest.mark.parametrize(
    ("count", "rank", "error"), [(1, 1, 0.05), (2, 1, 0.025), (3, 2, 0.1 / 3), (4, 2, 0.025), (24, 12, 0.025)]
)
def test_the_bound_of_several_trainings_is_one_in_the_middle(count, rank, error):
    """Of one or two the largest; of an even number at half of the error each."""
    bounds = np.random.default_rng(count).permutation(np.arange(count, dtype=float))
    assert common_bound(bounds) == count - rank
    assert confidence_of_each(count) == pytest.approx(1 - error)
    assert confidence_of_each(count, 0.99) == pytest.approx(1 - error / 5)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 24])
def test_the_bound_of_several_trainings_is_above_epsilon_in_at_most_5_percent(count):
    """In the worst case, which Markov's inequality allows: if any are above, just as many are as are needed.
    Of 40,000 studies; 5% +- 0.44% is left once in 10,000 times."""
    generator = np.random.default_rng(count)
    rank, error = (count + 1) // 2, 1 - confidence_of_each(count)
    together = generator.random(40_000) < error * count / rank
    bounds = np.where(together[:, None] & (np.arange(count) < rank), 2.0, 0.0)
    assert bounds.mean() / 2 == pytest.approx(error, rel=0.1)
    assert np.mean([common_bound(of_study) > 1 for of_study in bounds]) == pytest.approx(0.05, abs=0.0044)
    # If all are as independent as can be, it is above less often.
    alone = generator.random((40_000, count)) < error
    assert np.mean(np.count_nonzero(alone, axis=1) >= rank) < 0.0544
