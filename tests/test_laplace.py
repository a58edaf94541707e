"""laplace.py against scipy, against brute force, against an attacker, and against rubbish.

Random tests use fixed seeds and say how often a correct program would fail them with another seed.
"""

import io
import itertools
import math
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dp_accounting.dp_event import GaussianDpEvent, LaplaceDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image
from scipy import optimize, stats

import laplace
from leakage.look import looked_at
from suite.report import laplace_figures, laplace_tables
from suite.report.laplace_tables import (
    MOST_PLD_ANSWERS,
    Asked,
    attack_table,
    auc_at,
    averages_table,
    averaging_table,
    best_bound,
    error_of_mean,
    error_of_median,
    errors_table,
    gaussian_deviation,
    interval_table,
    laplace_epsilon,
    posterior_at,
    queries_table,
    spending_table,
    total_epsilon,
    tpr_at,
)
from suite.sources import credit
from suite.sources.credit import describe_csv
from suite.support.command_line import BadInput

# The tests ask again and again with one seed, which a release must not.
pytestmark = pytest.mark.filterwarnings("ignore:seed .* has answered before")

ROOT = Path(laplace.__file__).parent
FIGURES = {
    "annual_income_distribution_plots.png",
    "repeated_average_historgram.png",
    "skew_corrected_repeated_average_historgram.png",
    "normalized_noise_observations.png",
}
FUNCTIONS = [laplace.repeated_sum, laplace.repeated_average, laplace.repeated_max]


@pytest.fixture(scope="module")
def incomes():
    """500 made-up incomes between 7,000 and 180,000, with cents."""
    return np.random.default_rng(1).uniform(7_000, 180_000, 500).round(2)


# ------------------------------------------------------------------------------------------- the mechanism


@pytest.mark.parametrize(
    ("function", "truth", "sensitivity"),
    [
        (laplace.repeated_sum, np.sum, 150_000),
        (laplace.repeated_average, np.mean, 150_000 / 500),
        (laplace.repeated_max, np.max, 150_000),
    ],
)
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 30.0])
def test_the_noise_is_laplace_of_the_formula_s_scale(function, truth, sensitivity, epsilon, incomes):
    """Kolmogorov-Smirnov against scipy, 9 times at p < 1e-4: a correct program fails once in 1,100 seeds.
    A scale 4% off would be found: the mean distance of 100,000 answers has a standard error of 0.32%, and is
    off by 2%, where it would be nearer to the wrong scale, once in 10^9 runs."""
    answers = function(100_000, incomes, epsilon, lower_bound=10_000, upper_bound=160_000, seed=7)
    expected = stats.laplace(truth(np.clip(incomes, 10_000, 160_000)), sensitivity / epsilon)
    assert answers.shape == (100_000,)
    assert answers.dtype == np.float64
    assert stats.kstest(answers, expected.cdf).pvalue > 1e-4
    wrong = stats.laplace(expected.mean(), 1.04 * sensitivity / epsilon)
    mean_deviation = np.abs(answers - expected.mean()).mean()
    assert abs(mean_deviation - sensitivity / epsilon) < abs(mean_deviation - wrong.std() / math.sqrt(2))


def reaches(answer, truth, scale):
    """Whether `truth + rng.laplace(scale=scale)`, in floating point, can give exactly `answer`.

    numpy turns U, a multiple of 2^-53, into scale * log(U + U), or from one half on into -scale *
    log(2 - U - U). Where few U come near the answer all are tried; where many do, one is taken to hit.
    """
    tail = math.exp(-abs(answer - truth) / scale) / 2  # U, or 1 - U
    reach = tail * 4 * math.ulp(max(abs(answer), abs(truth))) / scale + 8 * math.ulp(tail)
    low, high = (tail - reach, tail + reach) if answer < truth else (1 - tail - reach, 1 - tail + reach)
    # Two more on either side, because 2 - U is rounded to a multiple of 2^-52.
    first, last = max(math.floor(low * 2**53) - 2, 1), min(math.ceil(high * 2**53) + 2, 2**53 - 1)
    if last - first > 400:
        return True
    for uniform in (k * 2.0**-53 for k in range(first, last + 1)):
        noise = (
            -scale * math.log(2.0 - uniform - uniform) if uniform >= 0.5 else scale * math.log(uniform * 2)
        )
        if truth + noise == answer:
            return True
    return False


def low_bits_attack(answers, truth, neighbour, scale):
    """How many answers the attacker attributes to the right and to the wrong of two neighbouring data sets,
    because only that one could have given them (Mironov 2012)."""
    pairs = [
        (reaches(answer, truth, scale), reaches(answer, neighbour, scale)) for answer in answers.tolist()
    ]
    right = sum(ours and not theirs for ours, theirs in pairs)
    return right, sum(theirs and not ours for ours, theirs in pairs)


@pytest.mark.parametrize(("epsilon", "found"), [(1.0, 0.003), (0.1, 0.03), (0.01, 0.3)])
def test_the_low_bits_reveal_floating_point_noise_but_not_ours(epsilon, found, incomes):
    """The attack must identify the share `found` of naive answers, never wrongly. On ours its verdicts must
    be right and wrong equally often (binomial p < 1e-4, 3 times: fails once in 3,300 seeds)."""
    people = np.tile(incomes, 25)
    neighbours = people.copy()
    neighbours[0] = 0.0
    truth, neighbour = math.fsum(people) / len(people), math.fsum(neighbours) / len(neighbours)
    upper = 25e6  # the wide bound that the data as recorded need
    scale = upper / len(people) / epsilon
    naive = truth + np.random.default_rng(3).laplace(scale=scale, size=4000)
    right, wrong = low_bits_attack(naive, truth, neighbour, scale)
    assert wrong == 0
    assert right > found * len(naive)

    ours = laplace.repeated_average(4000, people, epsilon, upper_bound=upper, seed=4)
    theirs = laplace.repeated_average(4000, neighbours, epsilon, upper_bound=upper, seed=5)
    right, wrong = low_bits_attack(ours, truth, neighbour, scale)
    assert right + wrong == 0 or stats.binomtest(right, right + wrong).pvalue > 1e-4
    # What makes it so: both data sets' answers are whole multiples of one power of two ...
    grid = 2.0 ** math.ceil(math.log2(scale / 2**40))
    steps = [answers / grid for answers in (ours, theirs)]
    assert all((whole == np.rint(whole)).all() for whole in steps)
    # ... and the low bits of those whole numbers are distributed alike (chi-squared, p < 1e-4 as above).
    steps = np.array(steps, np.int64) // np.gcd.reduce(np.array(steps, np.int64), axis=None)
    counts = [np.bincount(whole % 16, minlength=16) for whole in steps]
    assert stats.chi2_contingency(counts).pvalue > 1e-4


# numpy's exponential numbers come from 256 layers (Marsaglia and Tsang 2000): a whole number of 53 bits times
# the width of a layer, which is drawn as well. Where the highest begins, and the area of each.
LAST_LAYER, LAYER_AREA = 7.69711747013104972, 3.9496598225815571993e-03


def widths_of_layers():
    """The widths (257,) of the layers and, last, of the base, which stands first in numpy's tables too."""
    widths = [LAST_LAYER]
    while len(widths) < 255:
        widths.append(-math.log(LAYER_AREA / widths[-1] + math.exp(-widths[-1])))
    return np.array([LAYER_AREA / math.exp(-LAST_LAYER), *widths[::-1], 0.0])[[-1, *range(1, 256), 0]]


def chances_of_geometric(rate, bits):
    """The chance of each whole number from 1 on, of numpy's geometric with so many bits instead of 53."""
    widths, uniform = widths_of_layers(), np.arange(2**bits) / 2**bits
    heights, most = np.exp(-widths), int(45 / rate)
    chances = np.zeros(most + 1)

    def add(numbers, weights):
        places = np.ceil(numbers / rate).astype(int).clip(1, most)
        chances[:] += np.bincount(places, weights, most + 1) / 2**bits

    in_base = uniform * widths[256] < LAST_LAYER
    add(uniform * widths[256], in_base)
    add(LAST_LAYER - np.log1p(-uniform), np.full(2**bits, 1 - in_base.mean()))
    for layer in range(1, 256):
        numbers = uniform * widths[layer]
        kept = (np.exp(-numbers) - heights[layer]) / (heights[layer - 1] - heights[layer])
        add(numbers, np.where(numbers < widths[layer - 1], 1.0, kept))
    return chances[1:] / chances.sum()


def test_the_layers_are_numpy_s():
    """A fresh generator's first 64 bits give its first exponential number, but for 1.1% of them."""
    widths, hits = widths_of_layers(), 0
    for seed in range(300):
        raw = int(np.random.PCG64(seed).random_raw())
        layer, whole = raw >> 3 & 0xFF, raw >> 11
        expected = whole * (widths[layer] if layer else widths[256]) / 2**53
        found = np.random.Generator(np.random.PCG64(seed)).standard_exponential()
        hits += math.isclose(found, expected, rel_tol=1e-9)
    assert hits > 285


def test_the_generator_s_bits_cost_as_much_as_is_stated():
    """numpy's 53 bits stand against a rate of 2^-40 or more: 13 bits to each whole number. With one and three
    bits to each, what the noise is off by and what lies beyond e^epsilon fall by 16 as they must; so at 13
    they are 4^-12 and 4^-10 of that."""
    rate, epsilon, steps = 0.7318 * 2.0**-14, 1.0, 14
    shift = int(epsilon / rate)
    for extra in (1, 3):
        chances = chances_of_geometric(rate, steps + extra)
        spectrum = np.fft.rfft(chances, 2 ** math.ceil(math.log2(2 * len(chances))))
        noise = np.fft.irfft(np.abs(spectrum) ** 2)
        noise = np.concatenate([noise[-len(chances) + 1 :], noise[: len(chances)]])
        k = np.arange(-len(chances) + 1, len(chances))
        near = np.abs(k) < 10 / rate
        ideal = math.tanh(rate / 2) * np.exp(-rate * np.abs(k[near]))
        off_by = np.abs(noise[near] / ideal - 1).max()
        beyond = np.maximum(0, noise[shift:] - math.exp(rate * shift) * noise[:-shift]).sum()
        assert 1e-10 < off_by / 4 ** (13 - extra) < 4e-10
        assert 1e-12 < beyond / 4 ** (13 - extra) < 5e-12


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_neighbouring_data_sets_answer_within_epsilon(function, epsilon):
    """The log ratio of the frequencies, bin by bin, stays below epsilon plus 4.5 standard errors: 6 tests of
    about 24 bins fail once in 2,000 seeds. The same answers must refute 0.8 epsilon, or the test is blind."""
    pairs = [(1, [0.0, 0.0, 0.0, 100.0]), (2, [0.0, 0.0, 0.0, 0.0])]
    answers = [function(400_000, data, epsilon, upper_bound=100.0, seed=seed) for seed, data in pairs]
    scale = answers[1].std() / math.sqrt(2)
    edges = np.arange(-5, 10.5, 0.5) * scale
    first, second = (np.histogram(given, edges)[0] for given in answers)
    enough = (first > 200) & (second > 200)
    ratio = np.abs(np.log(first[enough] / second[enough]))
    error = np.sqrt(1 / first[enough] + 1 / second[enough])
    assert (ratio < epsilon + 4.5 * error).all()
    assert (ratio > 0.8 * epsilon + 4.5 * error).any()


def test_the_order_of_the_rows_does_not_matter(incomes):
    large_and_small = np.append(incomes, [1e-7, 199_999.99])
    for function in FUNCTIONS:
        forwards, backwards = (
            function(50, rows, 1.0, upper_bound=200_000.0, seed=0)
            for rows in (large_and_small, large_and_small[::-1])
        )
        assert np.array_equal(forwards, backwards)


@pytest.mark.parametrize("epsilon", [1e-5, 1e3, 1e9, 1e300])
def test_extreme_epsilons_answer_near_the_truth(epsilon, incomes):
    answers = laplace.repeated_average(1000, incomes, epsilon, upper_bound=200_000.0, seed=0)
    scale = 400 / epsilon
    assert np.abs(answers - incomes.mean()).max() < 25 * scale + 1e-9


def test_equal_seeds_give_equal_answers_and_others_do_not(incomes):
    for function in FUNCTIONS:
        first, same, another = (function(20, incomes, 1.0, upper_bound=2e5, seed=seed) for seed in (5, 5, 6))
        assert np.array_equal(first, same)
        assert not np.array_equal(first, another)


def test_a_bound_from_the_data_warns(incomes):
    for function in FUNCTIONS:
        with pytest.warns(laplace.PrivacyLeakWarning, match="maximum"):
            undeclared = function(20, incomes, 1.0, seed=0)
        assert np.array_equal(undeclared, function(20, incomes, 1.0, upper_bound=incomes.max(), seed=0))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        *[({"privacy_budget": bad}, ValueError) for bad in (0, -1.0, math.nan, math.inf, 1e-9)],
        *[({"privacy_budget": bad}, TypeError) for bad in ("1", None, True)],
        *[({"iterations": bad}, ValueError) for bad in (0, -3)],
        *[({"iterations": bad}, TypeError) for bad in (1.5, "10")],
        *[({"data": bad}, ValueError) for bad in ([], [1.0, math.nan], [1.0, math.inf], [[1.0], [2.0]])],
        *[({"data": bad}, TypeError) for bad in (["a"], [None, 1.0])],
        *[({"lower_bound": low, "upper_bound": 5.0}, ValueError) for low in (5.0, 6.0, math.nan, -math.inf)],
        ({"upper_bound": "9"}, TypeError),
        ({"upper_bound": math.inf}, ValueError),
        ({"upper_bound": 1e150}, ValueError),
        ({"lower_bound": 0.0, "upper_bound": 1e-150}, ValueError),
        ({"iterations": 10**12}, ValueError),
        ({"data": np.ma.masked_array([1.0, 2.0], [False, True])}, TypeError),
        ({"data": [Decimal(1), Decimal(2)]}, TypeError),
    ],
)
def test_functions_refuse_rubbish(change, error):
    arguments = {"iterations": 3, "data": [1.0, 2.0], "privacy_budget": 1.0, "upper_bound": 9.0} | change
    for function in FUNCTIONS:
        with pytest.raises(error):
            function(**arguments)


def test_a_masked_array_without_gaps_is_data_like_any_other():
    for function in FUNCTIONS:
        ask = partial(function, 3, privacy_budget=1.0, upper_bound=9.0, seed=1)
        assert (ask(np.ma.masked_array([1.0, 2.0], [False, False])) == ask([1.0, 2.0])).all()


def test_equal_integer_seeds_warn_because_their_difference_is_exact(monkeypatch, recwarn):
    monkeypatch.setattr(laplace, "_asked", {})
    ask = partial(laplace.repeated_sum, 3, privacy_budget=1.0, upper_bound=100.0)
    first = ask(data=[5.0, 6.0], seed=77)
    ask(data=[5.0, 6.0], seed=77)
    ask(data=[5.0, 9.0], seed=78)
    generator = np.random.default_rng(77)
    ask(data=[5.0, 6.0], seed=generator)
    ask(data=[5.0, 9.0], seed=generator)
    assert [str(warning.message) for warning in recwarn] == []
    with pytest.warns(laplace.PrivacyLeakWarning, match="seed 77 has answered before"):
        second = ask(data=[5.0, 9.0], seed=77)
    assert second - first == pytest.approx([3, 3, 3], abs=1e-6)
    with pytest.warns(laplace.PrivacyLeakWarning, match="seed 77"):
        laplace.repeated_quantile(3, [5.0, 9.0], 1.0, 0.5, lower_bound=0, upper_bound=9, seed=77)


@pytest.mark.parametrize("function", [*FUNCTIONS, laplace.repeated_quantile])
def test_a_warning_names_the_line_that_asked(function, monkeypatch, recwarn):
    monkeypatch.setattr(laplace, "_asked", {})
    options = {"quantile": 0.5} if function is laplace.repeated_quantile else {}
    for data in ([-1.0, 2.0], [3.0, 4.0]):
        function(3, data, 1.0, **options, lower_bound=0.0, upper_bound=9.0, seed=5)
    if not options:
        function(3, [3.0], 1.0)
    messages = [str(warning.message).split(":")[0][:9] for warning in recwarn]
    assert messages == ["lower_bou", "seed 5 ha", *([] if options else ["no upper_"])]
    assert {warning.filename for warning in recwarn} == {__file__}


class Recording(np.random.Generator):
    """A generator that keeps what its geometric numbers were asked with."""

    def geometric(self, stop, size):
        self.stop = stop
        return super().geometric(stop, size)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("lower", "epsilon"), [(0.0, 1.0), (0.0, 2.0**-20), (1e9, 1.0), (1e9, 30.0)])
def test_the_noise_covers_the_rounding_too(function, lower, epsilon):
    """Neighbours lie sensitivity / grid + 2 steps apart at most, over which the chances fall by e^epsilon in
    all. Answers are multiples of a grid of at least four spacings of the largest one."""
    generator, data = Recording(np.random.PCG64(0)), [lower + 0.25, lower + 1.0]
    answers = function(500, data, epsilon, lower_bound=lower, upper_bound=lower + 1, seed=generator)
    sensitivity = 0.5 if function is laplace.repeated_average else 1.0
    spacing = 4 * math.ulp((lower + 1) * (2 if function is laplace.repeated_sum else 1))
    grid = 2.0 ** math.ceil(math.log2(max(sensitivity / epsilon / 2**40, spacing)))
    assert (answers / grid == np.rint(answers / grid)).all()
    assert (answers / grid % 2 == 1).any()
    rate = -math.log1p(-generator.stop)
    assert rate * (sensitivity / grid + 2) == pytest.approx(epsilon, rel=1e-9)


def test_no_epsilon_is_too_small_for_the_noise_s_whole_numbers(monkeypatch):
    """Their rate stays above 2^-41. What ends it is the grid, which is too coarse from about 2^-28 on."""
    monkeypatch.setattr(laplace, "SMALLEST_EPSILON", 0.0)
    ask = partial(laplace.repeated_sum, 3, [0.0, 1.5], upper_bound=1.5)
    generator = Recording(np.random.PCG64(0))
    for power in range(-28, 10):
        ask(privacy_budget=2.0**power, seed=generator)
        assert generator.stop > 2.0**-41
    with pytest.raises(BadInput, match="too far from 0"):
        ask(privacy_budget=2.0**-29)


def test_a_lower_bound_of_0_warns_where_it_clips(recwarn):
    for function in FUNCTIONS:
        function(3, [-1.0, 2.0], 1.0, lower_bound=-1.0, upper_bound=5.0)
        function(3, [0.0, 2.0], 1.0, upper_bound=5.0)
        assert len(recwarn) == 0
        with pytest.warns(UserWarning, match="negative values count as 0"):
            function(3, [-1.0, 2.0], 1.0, upper_bound=5.0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bounds_too_close_for_floating_point_are_refused(function):
    """At 1e15 numbers lie 1/8 apart. One step more or less would be an eighth of the sensitivity."""
    with pytest.raises(BadInput, match="too far from 0"):
        function(3, [1e15, 1e15 + 1], 1.0, lower_bound=1e15, upper_bound=1e15 + 1)
    answers = function(1000, [1e9, 1e9 + 1], 1.0, lower_bound=1e9, upper_bound=1e9 + 1, seed=0)
    assert answers.std() < 2


# ------------------------------------------------------------------------------------------- the quantile


class EvenlySpaced(np.random.Generator):
    """A generator whose uniform numbers are evenly spaced, so that frequencies are probabilities."""

    def random(self, size):
        return (np.arange(size) + 0.5) / size


def exact_quantile_probabilities(data, epsilon, quantile, candidates, draws=200_000):
    """The probability of each candidate, to 1 / draws."""
    generator = EvenlySpaced(np.random.PCG64(0))
    bounds = {"lower_bound": min(candidates), "upper_bound": max(candidates)}
    answers = laplace.repeated_quantile(
        draws, data, epsilon, quantile, candidates=candidates, seed=generator, **bounds
    )
    return np.array([(answers == candidate).mean() for candidate in candidates])


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_the_quantile_is_the_exponential_mechanism_by_enumeration(quantile, epsilon):
    """All data sets of four values out of five, each with all its neighbours: the log ratio of a candidate's
    probabilities stays within epsilon, and comes to more than 0.4 epsilon somewhere. The probabilities are
    those of the score, counted value by value."""
    candidates = [0.0, 5.0, 10.0, 15.0, 20.0]
    probabilities = {}
    for data in itertools.combinations_with_replacement(candidates, 4):
        probabilities[data] = exact_quantile_probabilities(data, epsilon, quantile, candidates)
        scores = [
            -max(0, sum(x < c for x in data) - 4 * quantile, 4 * quantile - sum(x <= c for x in data))
            for c in candidates
        ]
        weights = np.exp(np.array(scores) * epsilon / 2)
        assert probabilities[data] == pytest.approx(weights / weights.sum(), abs=1e-5)
    largest = 0.0
    for data, changed, value in itertools.product(probabilities, range(4), candidates):
        neighbour = tuple(sorted((*data[:changed], value, *data[changed + 1 :])))
        largest = max(largest, np.abs(np.log(probabilities[data] / probabilities[neighbour])).max())
    assert 0.4 * epsilon < largest <= epsilon


def test_the_quantile_s_frequencies_on_neighbours_stay_within_epsilon():
    """With numpy's own generator: 4.5 standard errors, 11 candidates: fails once in 13,000 seeds."""
    pairs = [(1, [2.0, 3.0, 3.0, 8.0]), (2, [2.0, 3.0, 8.0, 8.0])]
    ask = partial(laplace.repeated_quantile, 400_000, privacy_budget=2.0, quantile=0.5)
    first, second = (
        np.bincount(ask(data=data, lower_bound=0, upper_bound=10, candidates=11, seed=seed).astype(int))
        for seed, data in pairs
    )
    ratio, error = np.abs(np.log(first / second)), np.sqrt(1 / first + 1 / second)
    assert len(ratio) == 11
    assert (ratio < 2 + 4.5 * error).all()
    assert (ratio > 0.5 + 4.5 * error).any()


def test_the_quantile_is_near_the_true_one_and_wider_at_a_smaller_epsilon(incomes):
    for quantile in (0.1, 0.5, 0.95):
        options = {"quantile": quantile, "lower_bound": 0, "upper_bound": 200_000}
        close, far = (
            laplace.repeated_quantile(2000, incomes, epsilon, seed=4, **options) for epsilon in (5.0, 0.05)
        )
        assert abs(np.median(close) - np.quantile(incomes, quantile)) < 2_000
        assert np.abs(close - np.quantile(incomes, quantile)).mean() < np.abs(far - np.median(far)).mean() / 4
        assert ((far >= 0) & (far <= 200_000)).all()
        assert set(far) <= set(np.linspace(0, 200_000, 1001))


def test_the_order_and_repetition_of_the_candidates_do_not_matter(incomes):
    ask = partial(laplace.repeated_quantile, 100, incomes, 0.1, 0.5, lower_bound=0, upper_bound=9e4, seed=1)
    candidates = np.linspace(0, 9e4, 31)
    expected = ask(candidates=candidates)
    assert len(set(expected)) > 5
    assert (ask(candidates=candidates[::-1]) == expected).all()
    assert (ask(candidates=[*candidates, *candidates[5:9]]) == expected).all()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        *[({"quantile": bad}, ValueError) for bad in (-0.1, 1.1, math.nan)],
        *[({"candidates": bad}, ValueError) for bad in (0, [], [10.0], [-1.0, 5.0], [math.nan])],
        *[({"candidates": bad}, TypeError) for bad in (1e3, True, np.float64(9), np.bool_(1), np.array(9.0))],
        ({"quantile": "0.5"}, TypeError),
        ({"privacy_budget": 0}, ValueError),
        ({"iterations": 0}, ValueError),
        ({"upper_bound": 0.0}, ValueError),
    ],
)
def test_the_quantile_refuses_rubbish(change, error):
    arguments = {"iterations": 3, "data": [1.0, 2.0], "privacy_budget": 1.0, "quantile": 0.5}
    with pytest.raises(error):
        laplace.repeated_quantile(**arguments | {"lower_bound": 0.0, "upper_bound": 9.0} | change)


@pytest.mark.parametrize("epsilon", [1.0, 30.0, 80.0])
def test_the_quantile_s_rounding_is_within_what_is_stated(epsilon):
    """Three candidates on two neighbours, the chance of each counted in steps of the uniform number. At
    epsilon 80 one has a chance of 2e-9 on one neighbour, and on the other that of the uniform number 0, so
    that 2^-53 cannot be stated."""
    grid = np.array([0.0, 1.0, 2.0])
    ours, theirs = (
        chances_of(np.cumsum(laplace.quantile_weights(np.array(data), epsilon, 0.5, grid)))
        for data in ([0.0, 0.0, 2.0, 2.0, 2.0], [0.0, 2.0, 2.0, 2.0, 2.0])
    )
    allowed = (1 + math.exp(epsilon)) * 2.0**-51
    for one, other in ((ours, theirs), (theirs, ours)):
        assert (one <= math.exp(epsilon) * other + allowed).all()
    if epsilon == 80:
        assert ours[0] > 1e-9
        assert theirs[0] == 2.0**-53


def chances_of(cumulated):
    """The share of the 2^53 uniform numbers that fall to each candidate, given the sums of the weights."""
    ends = [0]
    for end in cumulated:
        low, high = 0, 2**53
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if middle * 2.0**-53 * cumulated[-1] >= end else (middle + 1, high)
        ends.append(low)
    return np.diff(ends) / 2**53


# ----------------------------------------------------------------------------------------- what was spent


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
def test_total_epsilon_of_one_answer_is_the_textbook_s(epsilon):
    """One Laplace answer is (e, delta) private for delta = 1 - exp((e - epsilon) / 2) at best; of a mechanism
    that is only known to be epsilon private, e loses log(1 - delta (1 + exp(-epsilon)))."""
    total, method = total_epsilon((Asked(epsilon, 1),), delta=1e-3)
    assert total == pytest.approx(epsilon + 2 * math.log1p(-1e-3), rel=2e-3)
    assert method in ("PLD", "RDP")
    total, _ = total_epsilon((Asked(epsilon, 1, exponential=True),), delta=1e-3)
    assert total == pytest.approx(epsilon + math.log1p(-1e-3 * (1 + math.exp(-epsilon))), rel=2e-3)


def test_total_epsilon_of_quantiles_is_the_optimal_composition():
    """Kairouz, Oh and Viswanath (2015), theorem 3.3, for 20 answers at epsilon 0.3."""
    epsilon, answers, delta = 0.3, 20, 1e-4

    def excess(total):
        chances = (
            math.comb(answers, k)
            * max(0.0, math.exp(k * epsilon) - math.exp(total + (answers - k) * epsilon))
            for k in range(answers + 1)
        )
        return math.fsum(chances) / (1 + math.exp(epsilon)) ** answers - delta

    expected = optimize.brentq(excess, 0.0, answers * epsilon)
    found = laplace_tables._total_by_pld((Asked(epsilon, answers, exponential=True),), delta)
    assert found == pytest.approx(expected, rel=2e-3)
    assert total_epsilon((Asked(epsilon, answers, exponential=True),), delta)[0] < 0.9 * expected


@pytest.mark.parametrize(("epsilon", "answers"), [(1.0, 1000), (0.3, 200), (3.0, 50)])
def test_no_mechanism_of_bounded_range_costs_more_than_it_is_charged(epsilon, answers):
    """The worst of them answer one of two things, whose chances have log ratios t and t - epsilon (Dong,
    Durfee, Rogers 2020). Their exact delta, over t, at the total that is charged."""
    delta = 1e-6
    total, method = total_epsilon((Asked(epsilon, answers, exponential=True),), delta)
    assert method == "RDP"
    worst, k = 0.0, np.arange(answers + 1)
    for t in np.linspace(0.02, 0.98, 49) * epsilon:
        chance = math.expm1(epsilon - t) / (math.exp(epsilon) - 1)  # on the neighbour, of the log ratio t
        ours = stats.binom.pmf(k, answers, math.exp(t) * chance)
        theirs = stats.binom.logpmf(k, answers, chance)
        worst = max(worst, np.maximum(0, ours - np.exp(total + theirs)).sum())
    assert worst <= delta
    if epsilon <= 1:  # not much too dear either
        assert worst > 1e-3 * delta


def test_a_thousand_quantiles_cost_at_most_206():
    total, _ = total_epsilon((Asked(1.0, 1000, exponential=True),), 1e-6)
    assert 200 < total <= 206


def test_total_epsilon_never_exceeds_basic_composition_and_serves_a_million_answers():
    few, _ = total_epsilon((Asked(0.1, MOST_PLD_ANSWERS),))
    many, method = total_epsilon((Asked(0.1, 1_000_000),))
    mixed, _ = total_epsilon((Asked(0.1, 1_000_000), Asked(0.1, 1_000_000, exponential=True)))
    quantiles, _ = total_epsilon((Asked(0.1, 1_000_000, exponential=True),))
    assert quantiles < 0.3 * many  # epsilon^2 / 8 instead of epsilon^2 / 2
    assert method == "RDP"
    assert few < 0.1 * MOST_PLD_ANSWERS
    assert 0.1**2 / 2 * 1_000_000 < many < mixed < 2 * 0.1 * 1_000_000  # above the mean loss, epsilon^2 / 2
    assert total_epsilon((Asked(1000.0, 3), Asked(1.0, 1))) == (3001, "basic")
    # Here the accountants alone would say more: of large epsilons, and of 0.0005 at steps of 0.001.
    assert total_epsilon((Asked(40.0, 60_000, exponential=True),), 1e-6) == (2_400_000, "basic")
    assert total_epsilon((Asked(1.0, 1), Asked(0.0005, 1, exponential=True)), 1e-12) == (1.0005, "basic")
    # The 1,000 answers that FACTS and the README speak of.
    assert total_epsilon((Asked(1.0, 1000),))[0] == pytest.approx(486.30, abs=0.005)


@pytest.mark.parametrize("exponential", [False, True])
def test_a_tiny_epsilon_is_accounted_without_a_warning(exponential, caplog):
    """Divergences below the spacing of floating-point numbers are rounded to less than 0, and that to no
    epsilon at all. Laplace noise costs what Gaussian noise of its Fisher information does, exactly in the
    limit; the exponential mechanism of a bounded range at most a quarter of that divergence."""
    for epsilon in (1e-9, 1.1e-6, 1e-5, 9.9e-4):
        answers = round(1e-2 / epsilon**2)  # together of the size of 0.1 to 1
        total, _ = total_epsilon((Asked(epsilon, answers, exponential),))
        deviation = (2 if exponential else 1) / (epsilon * math.sqrt(answers))
        assert gaussian_deviation(1.001 * total, 1e-6, 1) <= deviation
        assert gaussian_deviation(total / 1.15, 1e-6, 1) >= deviation
    assert caplog.records == []


@pytest.mark.parametrize("truth", [None, 30_000.0])
def test_best_bound_is_the_one_brute_force_finds(truth):
    values = np.random.default_rng(2).lognormal(10, 2, 300)
    target = values.mean() if truth is None else truth
    for epsilon in (1.0, 0.2, 0.03):
        bound, above, least = best_bound(values, 0.0, epsilon, truth)
        totals = {cut: off(np.minimum(values, cut).mean() - target, cut / 300 / epsilon) for cut in values}
        assert least == pytest.approx(min(totals.values()), rel=1e-3)
        assert totals[bound] == pytest.approx(least, rel=1e-3)
        assert above == (values > bound).sum()
    assert best_bound(values, 1e9, 1.0) == (1e9, 0, pytest.approx(1e9 - values.mean()))
    raised = values.clip(min=30_000)
    _, above, least = best_bound(values, 30_000, 0.2, truth)
    totals = {
        cut: off(np.minimum(raised, cut).mean() - target, (cut - 30_000) / 300 / 0.2)
        for cut in values[values > 30_000]
    }
    assert least == pytest.approx(min(totals.values()), rel=1e-3)
    assert above == (values > min(totals, key=totals.get)).sum()


# The middles of 20,000 equal shares of all Laplace noise of scale 1.
NOISE = stats.laplace.ppf((np.arange(20_000) + 0.5) / 20_000)


def off(bias, scale):
    """E|bias + noise|, by adding up; to 0.1%."""
    return np.abs(bias + scale * NOISE).mean()


# ------------------------------------------------------------------- what one answer tells, and averaging


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 10.0])
def test_what_no_attack_exceeds_is_what_the_best_attack_reaches(epsilon):
    """A million answers from either neighbour; 5 standard errors of the AUC are 0.15%, of the TPR 0.3% of
    itself at least, and more where few are found."""
    generator, answers = np.random.default_rng(11), 1_000_000
    without, with_person = generator.laplace(0, 1, answers), generator.laplace(epsilon, 1, answers)
    auc = stats.mannwhitneyu(with_person, without).statistic / answers**2
    assert auc == pytest.approx(auc_at(epsilon), abs=0.0015)
    for fpr in (0.01, 0.3):
        tpr = (with_person > np.quantile(without, 1 - fpr)).mean()
        assert tpr == pytest.approx(tpr_at(epsilon, fpr), rel=0.03)
    # Bayes' rule on the density of the answer that says most.
    for prior in (0.5, 0.1):
        ours, theirs = (
            prior * stats.laplace(epsilon, 1).pdf(epsilon + 1),
            (1 - prior) * math.exp(-epsilon - 1) / 2,
        )
        assert posterior_at(epsilon, prior) == pytest.approx(ours / (ours + theirs))
    assert auc_at(1.0) == pytest.approx(0.724, abs=0.0005)


def test_the_attacker_is_told_what_the_table_says(study):
    """Six attacks of 10,000 answers: 3.5 standard errors (an interval's half is 1.96) of each AUC, 4 of each
    TPR; fails once in 300 seeds."""
    table = attack_table(study)
    assert table["a person with"].tolist() == ["200,000"] * 6
    assert table["bound"].tolist() == ["200,000"] * 3 + ["25,000,000"] * 3
    assert table["counts as"].tolist() == ["0.1", "1", "10", "0.0008", "0.008", "0.08"]
    for (_, row), attack in zip(table.iterrows(), study.attacks, strict=True):
        auc, half = map(float, row["AUC measured"].split(" ± "))
        assert auc == pytest.approx(float(row["AUC"]), abs=3.5 / 1.96 * half + 1e-4)
        tpr, found = tpr_at(attack.counts_as, 0.01), number(row["TPR measured"]) / 100
        # The threshold is estimated too, so the share found has the error of two shares.
        error = math.sqrt(tpr * (1 - tpr) / 10_000 + (tpr / 0.01) ** 2 * 0.01 / 10_000)
        assert found == pytest.approx(tpr, abs=4 * min(error, 0.01))
        assert number(row["TPR at 1% FPR"]) == pytest.approx(100 * tpr, abs=0.0051)
        for prior, column in ((0.5, "from 0.5"), (0.1, "from 0.1")):
            odds = prior / (1 - prior) * math.exp(attack.counts_as)
            assert float(row[column]) == pytest.approx(odds / (1 + odds), abs=5.1e-5)
    counts_as = [attack.counts_as for attack in study.attacks]
    assert [a / b for a, b in zip(counts_as[:3], counts_as[3:], strict=True)] == pytest.approx([125] * 3)


def test_a_person_with_two_rows_is_attacked_with_both():
    """At epsilon 2: the AUC of two scales, 0.865, and not that of one, 0.724; its standard error is 0.003."""
    told = laplace.attack(50, (0.0, 10.0), 10.0, 2.0, 2, np.random.default_rng(3))
    assert told.measured["auc"] == pytest.approx(auc_at(2.0), abs=0.012)


def test_the_attacker_s_scales_are_those_between_the_bounds():
    """Bounds of 100 and 200: a person at 200 is one scale away at epsilon 1, and one at 150 a half."""
    for income, scales in ((200.0, 1.0), (150.0, 0.5)):
        told = laplace.attack(50, (100.0, 200.0), income, 1.0, 1, np.random.default_rng(3))
        assert told.counts_as == pytest.approx(scales)
        assert told.measured["auc"] == pytest.approx(auc_at(scales), abs=0.016)  # four standard errors


@pytest.mark.parametrize("answers", [1, 2, 3, 4, 7, 10, 100, 1000])
def test_the_mean_and_the_median_of_answers_are_off_as_expected(answers):
    """Within 3% of a simulation whose standard error is 0.5%; and near the simple formulas for many."""
    repetitions, scale = 23_000 if answers < 1000 else 12_000, 7.0
    drawn = np.random.default_rng(answers).laplace(0, scale, (repetitions, answers))
    assert np.abs(drawn.mean(1)).mean() == pytest.approx(error_of_mean(scale, answers), rel=0.03)
    assert np.abs(np.median(drawn, 1)).mean() == pytest.approx(error_of_median(scale, answers), rel=0.03)
    if answers == 1000:
        assert error_of_mean(2000, 1000) == pytest.approx(2 * 2000 / math.sqrt(math.pi * 1000), rel=0.001)
        assert error_of_median(2000, 1000) == pytest.approx(2000 * math.sqrt(2 / math.pi / 1000), rel=0.025)


@pytest.mark.parametrize(("epsilon", "answers"), [(1.0, 1000), (486.3, 1000), (0.1, 1), (3.0, 20)])
def test_gaussian_noise_has_the_total_that_it_is_made_for(epsilon, answers):
    """By dp_accounting's own discretised accountant, which is pessimistic by its step."""
    accountant = PLDAccountant(value_discretization_interval=epsilon / 1e4)
    deviation = gaussian_deviation(epsilon, 1e-6, answers)
    accountant.compose(SelfComposedDpEvent(GaussianDpEvent(deviation), answers))
    assert accountant.get_epsilon(1e-6) == pytest.approx(epsilon, rel=0.01)


# --------------------------------------------------------------------------------------------- the whole run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """400 made-up customers in two months; five December incomes contradict November."""
    path = tmp_path_factory.mktemp("small") / "small.csv"
    incomes = np.random.default_rng(0).uniform(8_000, 150_000, 400).round(2)
    wrong = incomes.copy()
    wrong[:5] = [1e6, 2e6, 5e6, 9e6, 2e7]
    months = [("November", incomes), ("December", wrong)]
    frames = [
        pd.DataFrame({"Customer_ID": np.arange(400), "Month": m, "Annual_Income": v, "Score": v / 1000 - 20})
        for m, v in months
    ]
    pd.concat(frames).to_csv(path, index=False)
    return path


def test_writes_the_four_figures_and_nothing_else(small, tmp_path):
    """From another working directory, without a display, as a reader starts it."""
    folder = tmp_path / "new" / "figures"
    command = [sys.executable, ROOT / "laplace.py", "--data", small, "--figures", folder]
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    before = set(ROOT.glob("*")) | set((ROOT / "figures").glob("*"))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert before == set(ROOT.glob("*")) | set((ROOT / "figures").glob("*"))
    assert {path.name for path in folder.iterdir()} == FIGURES
    for path in folder.iterdir():
        with Image.open(path) as image:
            assert image.format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert done.stderr == ""
    assert "5 values (1.25%) lie above the bound 200,000. All contradict" in done.stdout


def test_gaussian_noise_where_delta_alone_covers_it():
    """At epsilon 0, delta is the distance in total variation, 2 Phi(1 / (2 s)) - 1 for a deviation of s."""
    deviation = gaussian_deviation(0.0, 1e-6, 1)
    assert math.erf(1 / (2 * math.sqrt(2) * deviation)) == pytest.approx(1e-6, rel=1e-4)


@pytest.mark.parametrize("rows", [1, 2])
def test_the_smallest_epsilon_is_told_as_it_is_given(rows, small, tmp_path):
    """The private bound leaves nine tenths for an answer, and a row has a K-th of that."""
    run = partial(laplace.main, data=small, iterations=2, figures=tmp_path, rows_per_person=rows)
    smallest = 2.0**-20 * rows / 0.9
    with pytest.raises(
        ValueError, match=f"epsilon {0.99 * smallest:g} is smaller than .* {1.01 * smallest:.3g}$"
    ):
        run(epsilon=0.99 * smallest)
    run(epsilon=float(f"{1.01 * smallest:.3g}"))


def test_the_results_are_those_of_the_definitions(small, tmp_path):
    study = laplace.main(data=small, iterations=300, epsilon=0.5, figures=tmp_path)
    results = study.results
    again = laplace.main(data=small, iterations=300, epsilon=0.5, figures=tmp_path).results
    assert set(study.figures) == {path.name for path in tmp_path.iterdir()} == FIGURES
    assert repr(study) == "Study: Annual_Income, small.csv, December, n = 400; 13 results, 4 figures"
    frame = pd.read_csv(small)
    december = frame[frame.Month == "December"].Annual_Income
    by_name = {(result.query, result.data_set): result for result in results}
    assert len(by_name) == 13
    assert [result.promised for result in results] == [True, False, True, True] * 3 + [True]
    assert study.corrected.max() <= december.quantile(0.985)
    assert by_name["sum", "as recorded"].truth == pytest.approx(december.sum(), abs=0.005)
    assert by_name["average", "as recorded"].truth == pytest.approx(december.mean(), abs=0.005)
    assert by_name["maximum", "as recorded"].truth == december.max()
    clamped = by_name["average", "clamped"]
    assert clamped.truth == pytest.approx(december.clip(0, 200_000).mean())
    assert clamped.bias == pytest.approx(december.clip(0, 200_000).mean() - december.mean())
    assert clamped.scale == pytest.approx(200_000 / 400 / 0.5)
    assert all(np.array_equal(a.answers, b.answers) for a, b in zip(results, again, strict=True))
    private = by_name["average", "private bound"]
    assert private.truth == pytest.approx(december.clip(0, private.upper).mean())
    assert private.scale == pytest.approx(private.upper / 400 / (0.9 * 0.5))
    assert private.epsilon == pytest.approx(0.9 * 0.5)
    quantile = by_name["0.985 quantile", "as recorded"]
    assert quantile.truth == pytest.approx(december.quantile(0.985))
    # By 200,000 other answers: 5 standard errors are exceeded once in 2 million seeds.
    draws = laplace.private_quantile(december.to_numpy(), 0.985, (0.0, 25e6), 0.5, 200_000, seed=1)
    errors = np.abs(draws - quantile.truth)
    assert abs(quantile.mean_error - errors.mean()) < 5 * errors.std() / math.sqrt(len(errors))
    # 300 answers: the standard error of a 95% coverage is 1.3%; 12 within 5 of them fail once in 1e5. Their
    # standard deviations have an error of 6.5%, so that 12 within 27% fail once in 2,000 seeds.
    for result in results[:-1]:
        assert abs(result.holds(result.truth) - 0.95) < 0.065
        assert result.answers.std() == pytest.approx(math.sqrt(2) * result.scale, rel=0.27)


def test_another_column_says_that_its_bounds_leak(small, tmp_path, monkeypatch, run_command_line):
    run = ("--data", small, "--column", "Score", "--iterations", 50, "--figures", tmp_path)
    monkeypatch.setattr(laplace, "study_figures", lambda study: {})
    status, output, _ = run_command_line(laplace, *run)
    assert status == 0
    assert "no lower and no upper bound of Score was declared" in output
    status, output, _ = run_command_line(laplace, *run, "--upper", 30_000)
    assert "no lower bound of Score was declared" in output
    assert "upper bound of Score" not in output
    assert "exceed the bounds" not in output
    monkeypatch.undo()
    status, output, _ = run_command_line(laplace, *run, "--lower", -20, "--upper", 20_000)
    assert status == 0
    assert "Warning" not in output
    assert {path.name for path in tmp_path.iterdir()} == FIGURES


def test_answers_without_a_promise_are_not_called_private(small, tmp_path, run_command_line):
    """And nobody is told what Gaussian noise would do for an epsilon that is not known."""
    run = ("--data", small, "--column", "Score", "--iterations", 5, "--figures", tmp_path)
    status, output, _ = run_command_line(laplace, *run)
    assert status == 0
    assert "what epsilon that comes to is not known" in " ".join(output.split())
    assert "one noisy average is" in output
    assert "Gaussian" not in output
    status, output, _ = run_command_line(laplace, *run, "--lower", -20, "--upper", 20_000)
    assert "one private average is" in output
    assert "Gaussian" in output


def test_a_number_below_0_in_any_notation(small, tmp_path, monkeypatch, run_command_line):
    monkeypatch.setattr(laplace, "study_figures", lambda study: {})
    run = ("--data", small, "--column", "Score", "--iterations", 5, "--figures", tmp_path)
    for lower in ("-5e3", "-.5e4", "-5000"):
        status, output, error = run_command_line(laplace, *run, "--lower", lower, "--upper", "2e4")
        assert (status, error) == (0, "")
        assert "20,000" in output
        assert f"{25_000 / 400:g}" in output  # the scale of the average
        status, _, error = run_command_line(laplace, "--epsilon", lower)
        assert status == 2
        assert error == f"laplace.py: argument --epsilon: {lower!r} is not above 0; see --help\n"


def test_another_column_s_figures_do_not_take_the_place_of_the_study_s(small, tmp_path, monkeypatch):
    monkeypatch.setattr(laplace, "FIGURES", tmp_path)
    monkeypatch.setattr(laplace, "save_figures", lambda folder, drawn: (folder / "here").touch())
    laplace.main(data=small, column="Score", iterations=5)
    laplace.main(data=small, iterations=5)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("here")} == {
        "here",
        "column_Score/here",
    }


@pytest.mark.parametrize(
    ("options", "wide", "clamp"),
    [
        ((None, None, None), (0.0, 25e6), (0.0, 200_000.0)),
        ((0.0, 30e6, None), (0.0, 30e6), (0.0, 30e6)),
        ((None, 21e6, None), (0.0, 25e6), (0.0, 21e6)),
        ((9_000.0, 150_000.0, None), (0.0, 25e6), (9_000.0, 150_000.0)),
        ((-1.0, 10.0, None), (-1.0, 25e6), (-1.0, 10.0)),
        ((None, None, 300_000.0), (0.0, 300_000.0), (0.0, 200_000.0)),
    ],
)
def test_declared_bounds_do_not_follow_the_data(options, wide, clamp, capsys):
    for largest in (9_000.0, 20e6, 1e9):
        values = np.array([8_000.0, 50_000.0, largest])
        assert laplace.declared_bounds(values, "Annual_Income", *options) == (wide, clamp, True)
        assert laplace.declared_bounds(values, "x", *clamp, wide[1])[1:] == (clamp, True)
    assert laplace.declared_bounds(values, "x", 0.0, 10.0, None) == ((0.0, 10.0), (0.0, 10.0), True)
    assert capsys.readouterr().out == ""
    with pytest.raises(BadInput, match="widest bound 5 "):
        laplace.declared_bounds(values, "x", 0.0, 10.0, 5.0)


def test_undeclared_bounds_come_from_the_data_and_say_so(capsys):
    values = np.arange(201.0)
    assert laplace.declared_bounds(values, "x", None, None, None) == ((0.0, 200.0), (0.0, 197.0), False)
    assert laplace.declared_bounds(values, "x", -5.0, None, None) == ((-5.0, 200.0), (-5.0, 197.0), False)
    assert laplace.declared_bounds(values, "x", None, 9.0, 500.0) == ((0.0, 500.0), (0.0, 9.0), False)
    assert capsys.readouterr().out.count("leaks") == 3


@pytest.mark.parametrize(
    ("values", "bounds", "told"),
    [
        ([5.0, 5.0], (None, None), "the data's smallest and largest value are both 5; declare --lower and"),
        ([0.0] * 99 + [9.0], (None, None), "the smallest value, 0, is not below the 0.985 quantile, 0; decl"),
        ([3.0, 4.0], (9.0, None), "the declared lower bound 9 leaves no room for one from the data; declare"),
        ([3.0, 4.0], (None, 2.0), "the declared upper bound 2 leaves no room for one from the data; declare"),
        ([3.0, 4.0], (2.0, 2.0), "the lower bound 2 must be below the upper bound 2; declare others"),
    ],
)
def test_bounds_that_are_none_are_told_by_where_they_come_from(values, bounds, told):
    with pytest.raises(BadInput, match=f"^{re.escape(told)}"):
        laplace.declared_bounds(np.array(values), "x", *bounds, None)


def test_the_first_page_s_command_is_one_that_promises_epsilon(tmp_path, run_command_line):
    [command] = re.findall(r"python laplace.py (--data FILE --column .*)", laplace.__doc__)
    words = command.replace("FILE", str(credit.SAMPLE)).split()
    status, printed, _ = run_command_line(
        laplace, *words, "--iterations", 2, "--figures", tmp_path / "figures"
    )
    assert status == 0
    assert "is not known" not in " ".join(printed.split())
    assert "makes the noise 50 times as wide" in printed


# Everything that the options can say of bounds, gaps, rows and epsilon, and a value's neighbours beyond each.
BOUNDS = [
    {},
    {"upper": 200_000.0},
    {"lower": 0.0, "upper": 200_000.0},
    {"lower": 9_000.0, "upper": 30e6},
    {"widest": 1e6},
    {"lower": -10.0, "upper": 150_000.0, "widest": 150_000.0},
    {"column": "Score"},
    {"column": "Score", "lower": 0.0},
    {"column": "Score", "upper": 100.0},
    {"column": "Score", "lower": 0.0, "upper": 100.0},
    {"column": "Score", "lower": -20.0, "upper": 100.0, "widest": 1000.0},
]
OTHERS = [
    {},
    {"missing_as": 0.0},
    {"missing_as": 0.0, "rows_per_person": 1, "epsilon": 0.1},
    {"missing_as": 50.0, "month": "November", "iterations": 3},
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_neighbours_in_one_value_have_the_same_bounds_and_candidates(bounds, tmp_path, monkeypatch, capsys):
    """Whatever one person's value is, all that an answer with an epsilon was asked with is the same: n,
    bounds, candidates, scale. But the bound that was bought, and what the skew correction reads."""
    frame = pd.DataFrame(
        {
            "Customer_ID": range(30),
            "Month": ["November", "December"][0],
            "Annual_Income": np.arange(30) * 5_000.0,
        }
    )
    frame = pd.concat([frame, frame.assign(Month="December")])
    frame["Score"] = frame["Annual_Income"] / 1000
    monkeypatch.setattr(laplace, "attack", lambda *asked: None)
    asked = []

    def note(function):
        def noting(iterations, data, epsilon, *quantile, seed, **declared):
            asked.append(
                (len(data), epsilon, quantile, [np.asarray(kept).tolist() for kept in declared.values()])
            )
            return function(iterations, data, epsilon, *quantile, seed=seed, **declared)

        return noting

    for name in ("repeated_sum", "repeated_average", "repeated_max", "repeated_quantile"):
        monkeypatch.setattr(laplace, name, note(getattr(laplace, name)))
    queries = [query._replace(private=note(query.private)) for query in laplace.QUERIES]
    monkeypatch.setattr(laplace, "QUERIES", queries)
    for others in OTHERS:
        options, seen = {"iterations": 2} | bounds | others, []
        for value in (50_000.0, 199_999.0, 200_001.0, 25e6, 1e9, -1e9, 0.0, math.nan):
            frame.loc[(frame.Customer_ID == 7), ["Annual_Income", "Score"]] = [value, value / 1000]
            frame.to_csv(tmp_path / "neighbour.csv", index=False)
            asked.clear()
            study = studied(monkeypatch, data=tmp_path / "neighbour.csv", **options)
            table = spending_table(study)
            lines = [what for what in asked if what]
            # Of twelve answers, the skew-corrected and, of the upper bound, the private bound's are free.
            quantiles = [what for what in lines if what[2]]
            kept = [
                (result.query, result.data_set, len(study.values), result.lower, result.epsilon)
                + (() if result.data_set == "private bound" else (result.upper, result.scale))
                for result in study.results
                if result.promised
            ]
            assert ("not known" in set(table.iloc[0])) == (not study.results[0].promised)
            if not study.results[0].promised:
                assert not kept
                assert set(table["at delta 1e-06"]) == {"not known"}
                continue
            assert len(kept) == 10
            seen.append((kept, quantiles))
        assert all(each == seen[0] for each in seen)
        known = bool(seen)
        declared = {"lower", "upper"} <= bounds.keys() or bounds.get("column") is None
        assert known == declared
        # A missing value that is left out makes n depend on the data, and nothing is known.
        assert len(seen) == (0 if not declared else 8 if "missing_as" in options else 7)


def test_an_income_beyond_the_declared_bounds_moves_no_candidate(small, tmp_path, monkeypatch):
    """The case that was reported: an income of 150,000 moves to 200,001, with --lower 0 --upper 200000."""
    frame = pd.read_csv(small)
    for income in (150_000.0, 200_001.0):
        frame.loc[frame.Annual_Income > 150_000, "Annual_Income"] = 140_000.0
        frame.loc[(frame.Customer_ID == 3) & (frame.Month == "December"), "Annual_Income"] = income
        frame.to_csv(tmp_path / "file.csv", index=False)
        study = studied(monkeypatch, data=tmp_path / "file.csv", lower=0.0, upper=200_000.0, iterations=3)
        assert study.of("average", "as recorded").upper == 25e6
        assert study.results[-1].upper == 25e6


def test_values_beyond_the_widest_bound_count_as_it(small, monkeypatch):
    study = studied(monkeypatch, data=small, widest=4e6, iterations=20)
    recorded = study.of("average", "as recorded")
    assert recorded.truth == pytest.approx(np.minimum(study.values, 4e6).mean())
    assert recorded.bias == pytest.approx(np.minimum(study.values, 4e6).mean() - study.values.mean())
    assert recorded.bias < 0
    assert "As recorded, 3 lie beyond 0 ... 4,000,000 and count as the nearer." in study.skew


def test_the_study_s_bounds_are_said_to_be_those_of_kaggle_s_file(small, monkeypatch, capsys):
    studied(monkeypatch, data=small, iterations=2)
    assert "0 to 200,000 are declared for Kaggle's file" in " ".join(capsys.readouterr().out.split())
    for options in ({"data": credit.SAMPLE}, {"data": small, "lower": 0.0, "upper": 9e4}):
        studied(monkeypatch, iterations=2, **options)
        assert "Kaggle's" not in capsys.readouterr().out


def test_each_column_has_a_folder_of_its_own():
    columns = ["Score", "年収", "月出", "Net pay", "Net-pay", "x" * 300, "x" * 301, "a/../b", ".."]
    folders = [laplace.folder_of_column(column) for column in columns]
    assert folders[0] == "column_Score"
    assert "年収" in folders[1]
    assert len(set(folders)) == len(columns)
    assert all(len(folder.encode()) < 200 and Path(folder).name == folder for folder in folders)


def test_a_file_without_months_or_customers(tmp_path, run_command_line):
    (tmp_path / "own.csv").write_text("height\n" + "\n".join(str(150 + i % 50) for i in range(200)))
    run = ("--data", tmp_path / "own.csv", "--column", "height", "--lower", 0, "--upper", 250)
    status, output, _ = run_command_line(laplace, *run, "--figures", tmp_path / "f")
    assert status == 0
    assert "own.csv, n = 200" in output
    run = (*run, "--month", "May", "--figures", tmp_path / "g")
    status, _, error = run_command_line(laplace, *run)
    assert status == 2
    assert "no column Month" in error
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data", "absent.csv"],
        ["--data", "empty.csv"],
        ["--data", "not_a.csv"],
        ["--data", "no_column.csv"],
        ["--data", "text.csv"],
        ["--month", "Smarch"],
        *[["--epsilon", bad] for bad in ("0", "-1", "nan", "inf", "one", "1e-12")],
        *[["--iterations", bad] for bad in ("0", "-5", "1.5", "ten")],
        ["--lower", "5", "--upper", "5"],
        ["--upper", "5", "--widest", "4"],
        *[[option, ""] for option in ("--data", "--column", "--month", "--person", "--figures")],
        ["--figures", "-x"],
        ["--column", "Absent"],
        ["--epsilon", "1e6"],
        ["--iterations", "1000000000000"],
        ["--person", "Absent"],
        ["--rows-per-person", "0"],
        ["--missing-as", "nan"],
        ["--data", "no_person.csv", "--rows-per-person", "2"],
        ["--data", "twice.csv"],
        ["--data", "other_spelling.csv"],
        ["--figures", "a_file"],
        ["--figures", "a_file/below"],
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(arguments, small, tmp_path, monkeypatch, run_command_line):
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "empty.csv": b"",
        "not_a.csv": bytes(range(256)) * 40,
        "no_column.csv": b"Customer_ID,Month\n1,December\n",
        "text.csv": b"Customer_ID,Month,Annual_Income\n1,December,much\n",
        "no_person.csv": b"Annual_Income\n1\n",
        "twice.csv": b"Customer_ID,Month,Annual_Income\n1,December,5\n1,December,6\n",
        "other_spelling.csv": b"customer_id,Month,Annual_Income\n1,December,5\n",
        "a_file": b"in the way",
    }.items():
        Path(name).write_bytes(content)
    Path("kept").mkdir()
    for name in FIGURES:
        Path("kept", name).write_bytes(b"an older figure")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # The case's arguments come last, so that they win.
    run = ("--data", small, "--iterations", 20, "--figures", "kept", *arguments)
    status, _, error = run_command_line(laplace, *run)
    assert status == 2
    assert error.startswith("laplace.py: ")
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_breaks_off_leaves_the_older_figures(small, tmp_path, monkeypatch):
    (tmp_path / "repeated_average_historgram.png").write_bytes(b"an older figure")
    monkeypatch.setattr(laplace_figures, "normalized_figure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        laplace.main(data=small, iterations=20, figures=tmp_path)
    assert (tmp_path / "repeated_average_historgram.png").read_bytes() == b"an older figure"
    assert len(list(tmp_path.iterdir())) == 1


def studied(monkeypatch, **options):
    """The study that main returns, neither printed nor drawn."""
    with monkeypatch.context() as patch:
        patch.setattr(laplace, "print_study", lambda study: None)
        patch.setattr(laplace, "study_figures", lambda study: {})
        patch.setattr(laplace, "output_folder", lambda folder: folder)
        return laplace.main(**options)


@pytest.fixture(scope="module")
def study(small):
    with pytest.MonkeyPatch.context() as patch:
        return studied(patch, data=small, iterations=400, epsilon=0.5, seed=3)


@pytest.fixture(scope="module")
def bounded(small):
    """The same with bounds that cut at both ends, of the data as recorded too."""
    with pytest.MonkeyPatch.context() as patch:
        return studied(patch, data=small, iterations=400, epsilon=0.5, seed=3, lower=30_000.0, widest=4e6)


@pytest.mark.parametrize("query", laplace.QUERIES, ids=lambda query: query.name)
def test_a_person_with_several_rows_moves_an_answer_as_far_as_is_counted(query, monkeypatch, tmp_path):
    """All data sets of four rows at either bound, of which a person has two: the farthest that these two move
    the true answer is the scale that `ask` takes, times epsilon."""
    function = {"sum": np.sum, "average": np.mean, "maximum": np.max}[query.name]
    farthest = max(
        abs(function([*first, *others]) - function([*second, *others]))
        for first, second, others in itertools.product(itertools.product((2.0, 10.0), repeat=2), repeat=3)
    )
    (tmp_path / "four.csv").write_text("who,x\na,2\na,3\nb,10\nc,9\n")
    run = {"data": tmp_path / "four.csv", "column": "x", "person": "who", "rows_per_person": 2}
    study = studied(monkeypatch, **run, lower=2.0, upper=10.0, iterations=3, epsilon=0.5)
    assert study.of(query.name, "clamped").scale == pytest.approx(farthest / 0.5)


def test_several_rows_a_person_widen_the_scales_but_the_maximum_s(small, monkeypatch, capsys, tmp_path):
    """Both months of 400 persons: twice the sensitivity, and answers as wide (27%: as above)."""
    table = pd.read_csv(small).drop(columns="Month")
    table.to_csv(tmp_path / "two.csv", index=False)
    run = {"data": tmp_path / "two.csv", "iterations": 300, "rows_per_person": 2, "epsilon": 0.5}
    study = studied(monkeypatch, **run)
    assert len(study.values) == 800
    for result in study.results[:-1]:
        sensitivity = (result.upper - result.lower) / (800 if result.query == "average" else 1)
        rows = 1 if result.query == "maximum" else 2
        assert result.scale == pytest.approx(rows * sensitivity / result.epsilon)
        assert result.answers.std() == pytest.approx(math.sqrt(2) * result.scale, rel=0.27)
    laplace.main(**run | {"iterations": 3, "figures": tmp_path / "figures"})
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "may have 2 rows here, so the sensitivity of sum, average and quantile counts 2 times; that of the "
        "maximum does not"
    ) in said
    assert "How many each person has is public" in said
    with pytest.raises(BadInput, match="400 of 400 persons"):
        laplace.main(data=tmp_path / "two.csv", figures=tmp_path / "figures")


def test_nobody_has_more_rows_than_there_are(small, monkeypatch, capsys):
    said = {"data": small, "upper": 1e6, "iterations": 2}
    all_rows, more = (studied(monkeypatch, **said, rows_per_person=rows) for rows in (400, 1000))
    assert [result.scale for result in more.results] == [result.scale for result in all_rows.results]
    assert more.of("average", "clamped").scale == 1e6
    assert "Note: --rows-per-person 1,000 counts as 400, as there are no more" in capsys.readouterr().out


def test_a_row_s_share_of_epsilon_and_of_the_bound_is_what_the_quantile_gets(small, monkeypatch, tmp_path):
    """At epsilon 0.5 and two rows a person: a tenth of 0.25 for the bound, 0.25 for the quantile."""
    pd.read_csv(small).drop(columns="Month").to_csv(tmp_path / "two.csv", index=False)
    asked, ask = [], laplace.repeated_quantile
    monkeypatch.setattr(
        laplace, "repeated_quantile", lambda *given, **named: asked.append(given) or ask(*given, **named)
    )
    study = studied(monkeypatch, data=tmp_path / "two.csv", iterations=5, rows_per_person=2, epsilon=0.5)
    assert [epsilon for _, _, epsilon, _ in asked] == pytest.approx([0.025, 0.25])
    assert [quantile for *_, quantile in asked] == [0.95, 0.985]
    for epsilon, (grid, chances) in study.bound_chances.items():
        weights = laplace.quantile_weights(study.values, 0.1 * epsilon / 2, 0.95, grid)
        assert chances == pytest.approx(weights / weights.sum())


# ------------------------------------------------------------------------------------------------ the tables


def number(text):
    return float(text.replace(",", "").removesuffix("%"))


def percents(text):
    """Of a share that is printed in percent or, from ten times on, as so many times."""
    return 100 * number(text.removesuffix(" times")) if text.endswith("times") else number(text)


def test_the_tables_of_queries(study):
    """Each cell against numpy, to the digits that are printed."""
    averages, others = averages_table(study), queries_table(study)
    usual = study.usual.mean()
    assert len(averages) == 4
    for (_, row), result in zip(averages.iterrows(), study.averages, strict=True):
        assert row["data set"] == result.data_set
        assert row["epsilon"] == {"skew-corrected": "not known", "private bound": "0.45"}.get(
            result.data_set, "0.5"
        )
        assert number(row["upper bound"]) == pytest.approx(result.upper, rel=1e-7)
        assert number(row["true average"]) == pytest.approx(result.truth, abs=0.0051)
        assert number(row["bias"]) == pytest.approx(result.truth - study.values.mean(), abs=0.0051)
        assert number(row["against usual"]) == pytest.approx(result.truth - usual, abs=0.0051)
        assert number(row["noise scale b"]) == pytest.approx(result.scale, rel=1e-5)
        share = 100 * result.scale / result.truth
        assert percents(row["b / true"]) == pytest.approx(share, abs=0.00051, rel=1e-4)
    results = [result for result in study.results if result.query != "average"]
    for (_, row), result in zip(others.iterrows(), results, strict=True):
        assert (row["query"], row["data set"]) == (result.query, result.data_set)
        assert number(row["true value"]) == pytest.approx(result.truth, abs=0.0051)
        assert number(row["one answer"]) == pytest.approx(result.answers[0], abs=0.0051)
        recorded = {"sum": math.fsum(study.values), "maximum": study.values.max()}.get(result.query)
        expected = 0.0 if recorded is None else result.truth - recorded
        assert number(row["bias"]) == pytest.approx(expected, abs=0.0051)
        # 400 distances of Laplace noise have a standard error of 5% of their mean: 9 within four of these
        # fail once in 2,000 seeds. A quantile's is taken from its distances.
        distances = np.abs(result.answers - result.truth)
        standard_error = 0.05 * distances.mean() if result.scale else distances.std() / 20
        assert number(row["mean noise"]) == pytest.approx(distances.mean(), abs=4 * standard_error)
        relative = 100 * number(row["mean noise"]) / abs(result.truth)
        assert percents(row["noise / true"]) == pytest.approx(relative, abs=0.00051, rel=1e-4)


@pytest.mark.parametrize("name", ["study", "bounded"])
def test_the_table_of_intervals(name, request):
    """One answer's interval holds its own average in 95%, and none other where clamping took more off."""
    study = request.getfixturevalue(name)
    table = interval_table(study)
    truths = [study.values.mean(), study.usual.mean()]
    for (_, row), result in zip(table.iterrows(), study.averages, strict=True):
        answers, half = result.answers, math.log(20) * result.scale
        assert number(row["one answer"]) == pytest.approx(answers[0], abs=0.0051)
        assert number(row["± b ln 20"]) == pytest.approx(half, rel=1e-5)
        cells = row[["holds the average of these data", "as recorded", "usual"]]
        for cell, truth in zip(cells, [result.truth, *truths], strict=True):
            held = 100 * ((answers - half <= truth) & (truth <= answers + half)).mean()
            assert number(cell) == pytest.approx(held, abs=0.051)
    if name == "study":
        assert table["as recorded"].tolist()[1:] == ["0.0%"] * 3
    else:
        assert study.averages[0].bias < 0


def test_the_table_of_errors_is_what_releases_are_off_by(study):
    """Each expected error within 3% of a simulation of whole releases, whose standard error is below 0.7%."""
    table, values, n, row = errors_table(study), study.values, 400, 0
    generator, releases = np.random.default_rng(8), 200_000
    assert list(table["truth"]) == ["as recorded"] * 3 + ["usual values"] * 3
    for truth in (values.mean(), study.usual.mean()):
        for epsilon in (0.5, 0.05, 0.005):
            found = table.iloc[row]
            row += 1
            assert number(found["asked at epsilon"]) == epsilon
            bought = laplace.repeated_quantile(
                releases,
                values,
                0.1 * epsilon,
                0.95,
                lower_bound=0,
                upper_bound=25e6,
                candidates=laplace.CANDIDATE_STEPS * 25e6,
                seed=generator,
            )
            best = number(found["best bound"])
            for name, cuts, spent in (
                ("as recorded", np.full(releases, 25e6), epsilon),
                ("clamped", np.full(releases, 2e5), epsilon),
                ("private bound", bought, 0.9 * epsilon),
                ("its error", np.full(releases, best), epsilon),
            ):
                noise = generator.laplace(0, cuts / n / spent)
                cut, places = np.unique(cuts, return_inverse=True)
                biases = np.array([np.minimum(values, each).mean() for each in cut])[places] - truth
                errors = np.abs(biases + noise)
                assert errors.std() / math.sqrt(releases) < 0.007 * errors.mean()
                assert number(found[name]) == pytest.approx(errors.mean(), rel=0.03), name
            errors = {cut: off(np.minimum(values, cut).mean() - truth, cut / n / epsilon) for cut in values}
            assert number(found["its error"]) == pytest.approx(min(errors.values()), rel=1e-3)
            assert number(found["above it"]) == (values > best + 0.01).sum()


def test_the_table_of_errors_under_a_lower_bound(bounded):
    """By adding up the noise, to 0.1%; the private bound over all bounds that may be bought."""
    table, values, n, row = errors_table(bounded), bounded.values, 400, 0
    low = values.clip(min=30_000)
    for truth in (values.mean(), bounded.usual.mean()):
        for epsilon in (0.5, 0.05, 0.005):
            found = table.iloc[row]
            row += 1
            bounds, chances = bounded.bound_chances[epsilon]
            likely = chances > 1e-7
            bought = [
                off(np.minimum(low, cut).mean() - truth, (cut - 30_000) / n / (0.9 * epsilon))
                for cut in bounds[likely]
            ]
            best = {
                cut: off(np.minimum(low, cut).mean() - truth, (cut - 30_000) / n / epsilon)
                for cut in values[values > 30_000]
            }
            expected = {
                "as recorded": off(values.clip(0, 4e6).mean() - truth, 4e6 / n / epsilon),
                "clamped": off(values.clip(30_000, 2e5).mean() - truth, 170_000 / n / epsilon),
                "private bound": chances[likely] @ bought,
                "its error": min(best.values()),
            }
            assert {name: number(found[name]) for name in expected} == pytest.approx(expected, rel=2e-3)


def test_the_table_of_averaging(study):
    table = averaging_table(study.averages)
    for (_, row), result in zip(table.iterrows(), study.averages, strict=True):
        scale, answers = result.scale, result.answers
        expected = {
            "one answer": scale,
            "mean of all": error_of_mean(scale, 400),
            "mean, here": abs(np.mean(answers) - result.truth),
            "median of all": error_of_median(scale, 400),
            "median, here": abs(np.median(answers) - result.truth),
        }
        found = {name: number(row[name]) for name in table.columns[1:]}
        assert found == pytest.approx(expected, abs=0.0051)


def test_the_table_of_spending(study):
    """400 answers at 0.5 a query, or 0.45 where 0.05 bought the bound, once."""
    table = spending_table(study)
    basic = {
        (row["data set"], row["each of"], row["epsilon each"]): row["basic composition"]
        for _, row in table.iterrows()
    }
    queries = "sum, average, maximum"
    assert basic == {
        ("as recorded", queries, "0.5"): "200",
        ("skew-corrected", queries, "not known"): "not known",
        ("clamped", queries, "0.5"): "200",
        ("private bound", queries, "0.45"): "180",
        ("as recorded", "0.985 quantile", "0.5"): "200",
        ("private bound", "the bound", "0.05"): "0.05",
        ("all but skew-corrected", "everything", ""): "1,940.05",  # 3 (200 + 200 + 180) + 200 + 0.05
        ("clamped", "average, Gaussian noise", ""): "",
    }
    assert table["answers"].tolist() == ["400"] * 5 + ["1", "4,001", "400"]
    totals = [float(cell.split()[0].replace(",", "")) for cell in table["at delta 1e-06"].drop(1)]
    assert (
        totals[0]
        == totals[1]
        == totals[-1]
        == pytest.approx(total_epsilon((Asked(0.5, 400),))[0], abs=0.0051)
    )
    assert totals[2] == pytest.approx(total_epsilon((Asked(0.45, 400),))[0], abs=0.0051)
    assert totals[3] == pytest.approx(total_epsilon((Asked(0.5, 400, True),))[0], abs=0.0051)
    # All together: less than each on its own, and more than what Laplace noise alone costs.
    laplace_alone, _ = total_epsilon((Asked(0.5, 2400), Asked(0.45, 1200)))
    assert laplace_alone < totals[-2] < sum(totals[:2]) * 3 + totals[2] * 3 + totals[3] + 0.05


def test_what_is_printed_and_counted(small, tmp_path, capsys, study):
    laplace.main(data=small, iterations=400, epsilon=0.5, seed=3, figures=tmp_path)
    printed = capsys.readouterr().out
    tables = [
        averages_table(study),
        interval_table(study),
        attack_table(study),
        errors_table(study),
        queries_table(study),
        averaging_table(study.averages),
        spending_table(study),
    ]
    places = [printed.index(table.to_string(index=False)) for table in tables]
    assert places == sorted(places)
    # Three screens, and the answer on the first.
    lines = printed.splitlines()
    assert len(lines) <= 3 * 45
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 110
    first = " ".join(" ".join(lines[:12]).split())
    assert "In short Annual_Income: keeping 5 recording errors makes the noise 125 times as wide." in first
    clamped, usual = study.of("average", "clamped"), study.usual.mean()
    assert (
        "One average has noise of 125,000 on average as recorded, because the bound is 25,000,000, and of "
        f"1,000 if clamped at 200,000. But clamping at 200,000 moves the average by {clamped.bias:+,.2f}, to "
        f"{clamped.truth - usual:,.2f} above that of the persons' usual values."
    ) in first
    assert printed.endswith(f"Look first at {tmp_path / 'normalized_noise_observations.png'}\n")
    printed = " ".join(printed.split())
    frame = pd.read_csv(small).pivot(index="Customer_ID", columns="Month", values="Annual_Income")
    assert study.usual.tolist() == np.minimum(frame.November, frame.December).tolist()
    assert f"{frame.min(axis=1).mean():,.2f} is the average of the persons' usual values" in printed
    assert "5 values (1.25%) lie above the bound 200,000. All contradict the same person's" in printed
    assert "For everybody up to 200,000 it is: epsilon counts as one 125 times smaller." in printed
    assert "Not private at all, and in no release: true values and what is divided by one, biases," in printed
    for epsilon in (total_epsilon((Asked(0.5, 400),))[0], 0.5):
        deviation = 200_000 / 400 * gaussian_deviation(epsilon, 1e-6, 400)
        assert f"{deviation:,.4g}" in printed
    assert "Gaussian noise adds up more slowly" in printed
    times = 0.5 / laplace_epsilon(0.5, 1e-6, 400)
    assert f"Laplace noise needs {times:,.3g} times, or 400 times at delta 0." in printed
    assert "Delta 1e-06 is" not in printed  # 400 persons
    assert "so what epsilon that comes to is not known" not in printed


@pytest.mark.parametrize(("epsilon", "answers"), [(1.0, 1000), (0.1, 20), (3.0, 2)])
def test_laplace_noise_has_the_total_that_it_is_made_for(epsilon, answers):
    """By dp_accounting's PLD accountant, ten times finer than ours, and never more than basic composition."""
    each = laplace_epsilon(epsilon, 1e-6, answers)
    accountant = PLDAccountant(value_discretization_interval=epsilon / 1e5)
    accountant.compose(SelfComposedDpEvent(LaplaceDpEvent(1 / each), answers))
    total = accountant.get_epsilon(1e-6)
    assert total == pytest.approx(epsilon, rel=0.005)
    assert each >= epsilon / answers


def test_a_thousand_answers_at_one_total_take_133_times_the_noise():
    assert 1 / laplace_epsilon(1.0, 1e-6, 1000) == pytest.approx(133, abs=0.5)
    assert gaussian_deviation(1.0, 1e-6, 1000) / math.sqrt(2) == pytest.approx(94.5, abs=0.05)


@pytest.mark.parametrize(("persons", "chance"), [(10_000, None), (12_500, "0.0125"), (3_000_000, "1,")])
def test_a_delta_that_is_not_small_is_said_to_be_so(persons, chance):
    said = laplace_tables.delta_sentence(persons)
    assert (
        said == "" if chance is None else f"one of n = {persons:,} may have a probability of {chance}" in said
    )


@pytest.mark.parametrize(("answers", "pays"), [(1, False), (10, False), (100, True)])
def test_gaussian_noise_is_said_to_pay_where_it_does(small, monkeypatch, answers, pays):
    study = studied(monkeypatch, data=small, iterations=answers)
    total, _ = total_epsilon((Asked(1.0, answers),))
    assert (gaussian_deviation(total, 1e-6, answers) < math.sqrt(2)) == pays
    said = laplace_tables.gaussian_sentence(study)
    assert ("adds up more slowly" in said) == pays
    assert ("does not pay for so few answers" in said) == (not pays)


def test_digits_fit_a_small_unit_and_one_answer_has_no_spread(tmp_path, monkeypatch, recwarn, capsys):
    values = np.random.default_rng(5).uniform(0, 0.01, 300).round(6)
    (tmp_path / "small.csv").write_text("x\n" + "\n".join(map(str, values)))
    run = {"data": tmp_path / "small.csv", "column": "x", "lower": 0.0, "upper": 0.01}
    study = studied(monkeypatch, **run)
    averages = averages_table(study)
    assert number(averages["true average"].iloc[0]) == pytest.approx(values.mean(), abs=1e-6)
    assert number(averages["upper bound"].iloc[0]) == 0.01
    errors = errors_table(study)
    assert number(errors["best bound"][0]) > 0.009
    assert number(errors["as recorded"][0]) == pytest.approx(0.01 / 300, rel=1e-3)
    for cell in averaging_table(study.averages).iloc[0, 1:]:
        assert number(cell) > 0
    laplace.main(**run, iterations=1, figures=tmp_path / "f")
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert [str(warning.message) for warning in recwarn] == []


def test_clamping_is_said_to_move_the_average_whatever_is_declared(small, tmp_path, capsys):
    """Where no wider bound is declared, the row as recorded is clamped as well, and its quantile cut."""
    balances = {"data": credit.SAMPLE, "column": "Monthly_Balance", "missing_as": 0.0, "lower": 0.0}
    study = laplace.main(**balances, upper=500.0, iterations=2, figures=tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "One average has noise of 0.04 on average. Clamping at 500 moves the average by -54.06: in the row "
        "as recorded too, as no wider bound is declared."
    ) in printed
    quantile = study.results[-1]
    true = np.quantile(study.values, 0.985)
    assert (quantile.truth, quantile.bias) == (500.0, pytest.approx(500 - true))
    assert quantile.mean_error == pytest.approx(0, abs=1e-6)
    assert "tells nothing here: it lies beyond the bound 500, where it is cut, and so is off by -593.84" in (
        printed
    )
    study = laplace.main(**balances, upper=2000.0, iterations=2, figures=tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    assert "Clamping at 2,000 moves the average by +0.00. 0 values" in printed
    assert study.results[-1].bias == 0
    assert "A high quantile tells more." in printed
    study = laplace.main(data=small, widest=4e6, lower=9000.0, iterations=2, figures=tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    clamped, recorded = study.of("average", "clamped").bias, study.of("average", "as recorded").bias
    assert f"But clamping to 9,000 ... 200,000 moves the average by {clamped:+,.2f}, to " in printed
    assert f"in the row as recorded, where the bound is 4,000,000, it is moved by {recorded:+,.2f}" in printed


@pytest.mark.parametrize("size", [4e300, 4e-116])
def test_no_cell_has_a_hundred_digits(size, tmp_path, capsys):
    (tmp_path / "file.csv").write_text("x\n" + "\n".join(str(size * (1 + row / 9)) for row in range(9)))
    run = {"data": tmp_path / "file.csv", "column": "x", "lower": 0.0, "upper": 1e5}
    laplace.main(**run, iterations=3, figures=tmp_path / "f")
    assert not re.search(r"[\d,.]{40}", capsys.readouterr().out)


def test_ten_times_the_whole_is_no_percentage():
    assert laplace_tables.relative(1e5, 6.0) == "16,667 times"
    assert laplace_tables.relative(1036.41, -1000.0) == "103.641%"
    assert laplace_tables.relative(1.0, 0.0) == ""


def test_one_value_and_one_answer_are_singular(tmp_path, capsys):
    months = ("November", "December")
    rows = [f"{person},{month},{50_000 + person}" for person in range(3) for month in months]
    rows[1] = "0,December,9000000"
    (tmp_path / "one.csv").write_text("Customer_ID,Month,Annual_Income\n" + "\n".join(rows))
    bounds = {"lower": 50_001.5, "upper": 200_000.0, "widest": 1e6}
    for answers in (1, 2):
        laplace.main(data=tmp_path / "one.csv", **bounds, iterations=answers, figures=tmp_path / "f")
        printed = " ".join(capsys.readouterr().out.split())
        assert (
            "1 value (33.33%) lies above the bound 200,000. It contradicts the same person's other months: "
            "it is more than 2 times the median of these. 1 value lies below the bound 50,001.5."
        ) in printed
        assert "1 lies beyond 0 ... 1,000,000 and counts as the nearer." in printed
        assert f"N = {answers} answer{'s' * (answers > 1)} to each query" in printed
    assert "Laplace noise needs 2 times, also at delta 0." in printed


def test_values_with_few_numbers_between_them_are_drawn(tmp_path):
    """At 1e15 numbers lie 1/8 apart, so that a histogram has at most seven bins between these."""
    (tmp_path / "far.csv").write_text("x\n" + "\n".join(f"{1e15 + eighth / 8:.3f}" for eighth in range(1, 9)))
    run = {"data": tmp_path / "far.csv", "column": "x", "lower": 0.0, "upper": 10.0}
    laplace.main(**run, iterations=2, figures=tmp_path / "f")
    assert len(list((tmp_path / "f").iterdir())) == 4


# ----------------------------------------------------------------------------------------------- the figures


def texts_of(figure):
    return [" ".join(text.get_text().split()) for text in figure.findobj(Text) if text.get_text().strip()]


@pytest.fixture(scope="module")
def drawn(study):
    return laplace_figures.study_figures(study)


def test_the_figure_of_the_distribution(drawn, study):
    figure, values = drawn["annual_income_distribution_plots.png"], study.values
    said = " ".join(texts_of(figure))
    share = values[values > 200_000].sum() / values.sum()
    assert f"1.25% of the values lie above 200,000 and make up {share:.0%} of the sum" in said
    assert f"average as recorded: {values.mean():,.2f}" in said
    assert f"average, skew-corrected: {study.corrected.mean():,.2f}" in said
    assert f"{(values < values.mean()).mean():.1%} of the values lie below the average as recorded" in said
    assert "n = 400" in said
    [axes] = figure.axes
    recorded, corrected = (patch.get_data() for patch in axes.patches[:2])
    assert recorded.values.sum() == corrected.values.sum() == 400
    assert (recorded.edges == corrected.edges).all()
    assert recorded.values[recorded.edges[:-1] > 200_000].sum() >= 4
    assert corrected.values[corrected.edges[:-1] > 200_000].sum() == 0
    assert axes.get_yscale() == axes.get_xscale() == "log"
    # A bin of one value is not hidden at the axis.
    assert axes.get_ylim()[0] == 0.5
    assert "values per bin" in said
    # Each line stands where its name says, in the colour of its name, and ends beside it, above the bars.
    tops = []
    for line, name, place in zip(
        axes.lines,
        axes.texts,
        (study.corrected.mean(), values.mean(), 200_000),
        strict=True,
    ):
        assert line.get_xdata() == [place, place]
        assert f"{place:,.2f}".removesuffix(".00") in name.get_text()
        assert line.get_color() == name.get_color()
        assert name.xy == (place, line.get_ydata()[1])
        tops.append(line.get_ydata()[1])
    assert tops == sorted(tops, reverse=True)
    assert (
        axes.transAxes.transform((0, tops[-1]))[1] > axes.transData.transform((1, recorded.values.max()))[1]
    )
    assert [line.get_color() for line in axes.lines] == [
        laplace_figures.COLOURS["skew-corrected"],
        laplace_figures.COLOURS["as recorded"],
        laplace_figures.BLACK,
    ]


def test_a_column_without_skew_has_linear_axes(tmp_path, monkeypatch):
    (tmp_path / "even.csv").write_text("x\n" + "\n".join(map(str, range(-20, 80))))
    study = studied(
        monkeypatch, data=tmp_path / "even.csv", column="x", lower=-20.0, upper=100.0, iterations=5
    )
    figure = laplace_figures.distribution_figure(study)
    [axes] = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "linear"
    assert axes.patches[0].get_data().values.sum() == 100
    assert "linear axes" in texts_of(figure)


@pytest.mark.parametrize("data_set", ["as recorded", "skew-corrected"])
def test_the_figures_of_averages(drawn, study, data_set):
    prefix = "" if data_set == "as recorded" else "skew_corrected_"
    figure, result = drawn[f"{prefix}repeated_average_historgram.png"], study.of("average", data_set)
    said, scale = " ".join(texts_of(figure)), result.scale
    truth, errors = result.truth, result.answers - result.truth
    half = 2.995732274 * scale
    for expected in (
        f"{data_set}: one average has noise of {scale:,.4g} on average",
        f"Laplace density, scale b = {scale:,.6g}",
        f"true average {truth:,.2f}",
        f"95% interval of one answer, ± b ln 20 = {half:,.6g}",
        f"{100 * (np.abs(errors) < half).mean():.1f}% of all 400 hold it",
        f"the average of the persons' usual values, {study.usual.mean():,.2f}",
        f"the first 20: {int((np.abs(errors[:20]) > half).sum()) or 'none'} of these intervals miss",
    ):
        assert expected in said
    away = abs(study.usual.mean() - truth) / scale
    assert f"usual average, {away:,.3g} b away" in said
    corrected = data_set == "skew-corrected"
    word = "noisy" if corrected else "private"
    assert f"400 {word} averages" in said
    assert f"{word} average of Annual_Income" in said
    assert ("private" in said) == (not corrected)
    away = f"the dashed line lies {study.values.mean() - truth:,.2f} below the average as recorded."
    assert (away in said) == corrected
    assert ("do not have the epsilon" in said) == ("125 times less than as recorded" in said) == corrected
    assert ("epsilon not known" in said) == corrected
    assert ("epsilon 0.5" in said) == (not corrected)
    own, intervals = figure.axes
    # The average of the usual values is within reach here, where there is a line.
    dotted = [line.get_xdata()[0] for line in own.lines if line.get_linestyle() == ":"]
    assert dotted == [pytest.approx(study.usual.mean())]
    # Intervals that miss are black squares, the others dots in the data set's colour.
    shades = {}
    for container in intervals.containers:
        points, _, _ = container
        missing = np.abs(points.get_xdata() - truth) > half
        for miss in missing:
            shades.setdefault(bool(miss), set()).add((points.get_color(), points.get_marker()))
    assert shades[False] == {(laplace_figures.COLOURS[data_set], "o")}
    assert shades.get(True, {(laplace_figures.BLACK, "s")}) == {(laplace_figures.BLACK, "s")}
    [line] = [line for line in own.lines if len(line.get_xdata()) > 100]
    expected = stats.laplace(truth, scale).pdf(line.get_xdata())
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)
    assert max(line.get_ydata()) == pytest.approx(1 / (2 * scale))
    [bars] = [patch for patch in own.patches if hasattr(patch, "get_data")]
    heights, edges, _ = bars.get_data()
    shown = (result.answers >= edges[0]) & (result.answers <= edges[-1])
    assert (heights * np.diff(edges)).sum() == pytest.approx(shown.mean())
    assert shown.mean() > 0.99
    # The intervals below are those of the first 20, in their order from the top.
    drawn_intervals = sorted(
        (-segment[0, 1], segment[:, 0].tolist())
        for collection in intervals.collections
        for segment in collection.get_segments()
    )
    assert [ends for _, ends in drawn_intervals] == [
        pytest.approx([answer - half, answer + half]) for answer in result.answers[:20]
    ]
    assert own.get_xlim() == intervals.get_xlim()


def test_the_figure_of_the_noise_has_one_axis_and_one_unit(drawn, study):
    """All four data sets in the column's unit, each in bins of a quarter of its own scale."""
    figure = drawn["normalized_noise_observations.png"]
    said = " ".join(texts_of(figure))
    assert "Annual_Income: keeping 5 recording errors makes the noise 125 times as wide" in said
    [axes] = figure.axes
    for place, (patch, result) in enumerate(zip(axes.patches, study.averages, strict=True)):
        heights, edges, base = patch.get_data()
        counts = np.histogram(result.answers - result.truth, edges)[0]
        assert base == -place
        assert heights - base == pytest.approx(0.75 * counts / counts.max())
        assert np.diff(edges) == pytest.approx(result.scale / 4)
        assert counts.sum() == 400
        half = math.log(20) * result.scale
        assert f"bound {result.upper:,.8g} b = {result.scale:,.6g} 95% interval ± {half:,.6g}" in said
    bars = [line.get_xdata()[1] for line in axes.lines if line.get_linewidth() == 3]
    assert bars == pytest.approx([math.log(20) * result.scale for result in study.averages])
    assert bars[0] / bars[1] == pytest.approx(125)
    assert axes.get_xlim()[1] >= 8 * study.averages[0].scale
    assert axes.get_xlabel().endswith("in the unit of Annual_Income")
    assert "private" not in said.replace("private bound", "")  # the skew-corrected answers are not


def test_a_data_set_has_one_colour_in_all_figures(drawn):
    recorded, corrected = (laplace_figures.COLOURS[name] for name in ("as recorded", "skew-corrected"))
    wide, narrow, both = (
        {
            to_hex(patch.get_facecolor()).upper()
            for axes in drawn[f"{name}.png"].axes
            for patch in axes.patches
        }
        for name in (
            "repeated_average_historgram",
            "skew_corrected_repeated_average_historgram",
            "normalized_noise_observations",
        )
    )
    assert (wide, narrow) == ({recorded}, {corrected})
    assert len(both) == 4
    assert {recorded, corrected} < both


LONG = "a$b$c " + "a name of a column that somebody exported with a whole question in it " * 3


@pytest.mark.parametrize(
    "content",
    [
        "x\n" + "5\n" * 20,
        "x\n" + "0\n" * 20,
        "x\n" + "\n".join(f"-{k}.5" for k in range(50)),
        f"{LONG}\n" + "\n".join(map(str, range(1, 60))),
        None,  # the sample, whose description is long
    ],
    ids=["constant", "zero", "negative", "long name", "sample"],
)
def test_nothing_is_cut_off_and_no_tick_labels_overlap(content, tmp_path, monkeypatch, recwarn):
    options = {"data": credit.SAMPLE}
    if content is not None:
        (tmp_path / "data.csv").write_text(content)
        column = content.splitlines()[0]
        options = {"data": tmp_path / "data.csv", "column": column, "lower": -100.0, "upper": 100.0}
    study = studied(monkeypatch, iterations=50, **options)
    with looked_at():
        for name, figure in laplace_figures.study_figures(study).items():
            figure.draw_without_rendering()
            parts = [*figure.axes, *figure.legends, figure._supxlabel]
            for box in (part.get_tightbbox() for part in parts):
                assert -1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1, name
                assert -1 <= box.y0 < box.y1 <= figure.bbox.y1 + 1, name
            for axes in figure.axes:
                low, high = sorted(axes.get_xlim())
                places = [
                    tick.label1.get_window_extent()
                    for tick in axes.xaxis.get_major_ticks()
                    if tick.label1.get_visible() and tick.label1.get_text() and low <= tick.get_loc() <= high
                ]
                assert all(left.x1 < right.x0 for left, right in itertools.pairwise(places)), (name, axes)
            assert "mathdefault" not in " ".join(texts_of(figure))
    assert [str(warning.message) for warning in recwarn] == []


# ----------------------------------------------------------------------------------------------- the pages


HEADING = "## The Laplace mechanism"
PAGES = {
    path: path.read_text().split(HEADING, 1)[1].split("\n## ", 1)[0]
    for path in (ROOT / "README.md", ROOT / "figures" / "reference" / "README.md")
}
NUMBER = re.compile(r"(?<![\w.,^])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?%?(?![\w%^])")
ROW = re.compile(r"^\|(.*)\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def reference():
    """The study of the Kaggle file, as the pages' command runs it, and what main prints of it."""
    own = credit.READERS_COPY
    if not own.exists() or describe_csv(own).description != credit.KAGGLE_NAME:
        pytest.skip("data/test.csv, Kaggle's file, is not there")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(laplace, "study_figures", lambda study: {})
        patch.setattr(laplace, "save_figures", lambda folder, figures: None)
        study = laplace.main(data=own)
    return study, printed.getvalue()


def tables_of(page):
    """The Markdown tables of a page: heads, and rows of cells."""
    for lines in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        heads, _, *rows = [[cell.strip() for cell in row.split("|")] for row in ROW.findall(lines)]
        yield heads, rows


@pytest.mark.parametrize("page", PAGES.values(), ids=[path.parent.name for path in PAGES])
def test_the_tables_of_the_pages_are_those_of_the_run(page, reference):
    study, _ = reference
    frames = [
        averages_table(study),
        interval_table(study),
        attack_table(study),
        errors_table(study),
        queries_table(study),
        averaging_table(study.averages),
        spending_table(study),
    ]
    for heads, rows in tables_of(page):
        [frame] = [frame for frame in frames if set(heads) <= set(frame.columns)]
        assert rows == frame[heads].to_numpy().tolist()


@pytest.mark.parametrize("page", PAGES.values(), ids=[path.parent.name for path in PAGES])
def test_every_number_of_the_pages_prose_is_in_what_the_run_prints(page, reference):
    """Or is a year, or a constant of the run or of a formula."""
    _, printed = reference
    allowed = {match.lstrip("+-") for match in NUMBER.findall(printed)}
    allowed |= {
        f"{laplace.SKEW_QUANTILE:g}",
        f"{laplace.BOUND_QUANTILE:g}",
        f"{len(laplace.CANDIDATE_STEPS)}",
    }
    allowed |= {"2006", "2012", "2019", "2021", "0", "1", "2", "4", "8", "36", "51", "53", "95%"}
    eight_digits = 99_999_999
    allowed |= {f"{eight_digits:,}", f"{eight_digits / laplace.DECLARED_BOUNDS[1]:.0f}"}
    allowed.add("4e-12")  # of the generator's bits: a test above
    prose = ROW.sub("", page)
    prose = re.sub(r"\]\([^)]*\)|```.*?```", "", prose, flags=re.DOTALL)
    found = [match.lstrip("+-") for match in NUMBER.findall(prose)]
    assert len(found) > 20
    assert [match for match in found if match not in allowed] == []
    # What a page shows is there.
    folder = next(path.parent for path, text in PAGES.items() if text == page)
    links = re.findall(r"\]\((?!https)([^)#]*)\)", page)
    assert links
    assert all((folder / link).exists() for link in links)


def test_the_private_bound_is_of_use_on_the_real_file(reference):
    """By whole releases against the usual values: at epsilon 1 its error is a third of the declared bound's
    or less, at 0.01 more than ten times that. 300 releases have a standard error of 5%."""
    study, _ = reference
    values, truth = study.values, study.usual.mean()
    generator = np.random.default_rng(6)
    for epsilon, useful in ((1.0, True), (0.01, False)):
        grid, chances = study.bound_chances[epsilon]
        bought, declared = (
            np.mean(
                [
                    abs(laplace.repeated_average(1, values, left, upper_bound=cut, seed=generator)[0] - truth)
                    for cut in cuts
                ]
            )
            for cuts, left in (
                (generator.choice(grid, 300, p=chances), 0.9 * epsilon),
                ([200_000.0] * 300, epsilon),
            )
        )
        assert bought < declared / 3 if useful else bought > 10 * declared
