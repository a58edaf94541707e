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
from matplotlib.text import Text
from PIL import Image
from scipy import optimize, stats

import laplace
from leakage.look import looked_at
from suite.report import laplace_figures
from suite.report.laplace_tables import (
    ANSWERED,
    ASKED,
    MOST_PLD_ANSWERS,
    Asked,
    Result,
    answers_table,
    averaging_table,
    best_bound,
    bounds_table,
    spending_table,
    total_epsilon,
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
    A scale 4% off would be found: 20,000 answers tell 1.5% (three standard errors) apart."""
    answers = function(20_000, incomes, epsilon, lower_bound=10_000, upper_bound=160_000, seed=7)
    expected = stats.laplace(truth(np.clip(incomes, 10_000, 160_000)), sensitivity / epsilon)
    assert answers.shape == (20_000,)
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


# ----------------------------------------------------------------------------------------- what was spent


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
def test_total_epsilon_of_one_answer_is_the_textbook_s(epsilon):
    """One Laplace answer is (e, delta) private for delta = 1 - exp((e - epsilon) / 2) at best; of a mechanism
    that is only known to be epsilon private, e loses log(1 - delta (1 + exp(-epsilon)))."""
    total, method = total_epsilon((Asked(epsilon, 1),), delta=1e-3)
    assert total == pytest.approx(epsilon + 2 * math.log1p(-1e-3), rel=2e-3)
    assert method == "PLD"
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
    found, _ = total_epsilon((Asked(epsilon, answers, exponential=True),), delta=delta)
    assert found == pytest.approx(expected, rel=2e-3)


def test_total_epsilon_never_exceeds_basic_composition_and_serves_a_million_answers():
    few, _ = total_epsilon((Asked(0.1, MOST_PLD_ANSWERS),))
    many, method = total_epsilon((Asked(0.1, 1_000_000),))
    mixed, _ = total_epsilon((Asked(0.1, 1_000_000), Asked(0.1, 1_000_000, exponential=True)))
    quantiles, _ = total_epsilon((Asked(0.1, 1_000_000, exponential=True),))
    assert quantiles > 1.02 * many  # randomized response loses 3% more than Laplace noise at epsilon 0.1
    assert method == "RDP"
    assert few < 0.1 * MOST_PLD_ANSWERS
    assert 0.1**2 / 2 * 1_000_000 < many < mixed < 2 * 0.1 * 1_000_000  # above the mean loss, epsilon^2 / 2
    assert total_epsilon((Asked(1000.0, 3), Asked(1.0, 1))) == (3001, "basic")
    # Here the accountants alone would say more: of much randomized response, and of 0.0005 at steps of 0.001.
    assert total_epsilon((Asked(40.0, 60_000, exponential=True),), 1e-6) == (2_400_000, "RDP")
    assert total_epsilon((Asked(1.0, 1), Asked(0.0005, 1, exponential=True)), 1e-12) == (1.0005, "PLD")
    # The 1,000 answers that FACTS and the README speak of.
    assert total_epsilon((Asked(1.0, 1000),))[0] == pytest.approx(486.30, abs=0.005)


@pytest.mark.parametrize("truth", [None, 30_000.0])
def test_best_bound_is_the_one_brute_force_finds(truth):
    values = np.random.default_rng(2).lognormal(10, 2, 300)
    target = values.mean() if truth is None else truth
    for epsilon in (1.0, 0.2, 0.03):
        bound, above, bias, noise = best_bound(values, 0.0, epsilon, truth)
        totals = [
            abs(target - np.minimum(values, cut).mean()) + cut / (len(values) * epsilon) for cut in values
        ]
        assert bias + noise == pytest.approx(min(totals))
        assert noise == pytest.approx(bound / 300 / epsilon)
        assert above == (values > bound).sum()
        if truth is None:
            assert abs(above - 1 / epsilon) <= 1


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
    assert "5 values (1.25%) lie above the bound 200,000. 5 of them contradict" in done.stdout


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
    # 300 answers: the standard error of a 95% coverage is 1.3%; 12 within 5 of them fail once in 1e5. Their
    # standard deviations have an error of 6.5%, so that 12 within 27% fail once in 2,000 seeds.
    for result in results[:-1]:
        assert abs(result.coverage - 0.95) < 0.065
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
    ("lower", "upper", "wide", "warns"),
    [
        (None, None, (0.0, 25e6), False),
        (0.0, 30e6, (0.0, 30e6), False),  # declared, and the data fit
        (None, 21e6, (0.0, 21e6), False),
        (0.0, 150_000.0, (0.0, 25e6), False),  # the data do not fit, but the widest declared bounds
        (9_000.0, 150_000.0, (0.0, 25e6), False),
        (-1.0, 10.0, (-1.0, 25e6), False),
    ],
)
def test_declared_bounds_are_those_of_the_data_as_recorded(lower, upper, wide, warns, capsys):
    values = np.array([8_000.0, 50_000.0, 20_000_000.0])
    clamp = (0.0 if lower is None else lower, 200_000.0 if upper is None else upper)
    assert laplace.declared_bounds(values, "Annual_Income", lower, upper) == (wide, clamp)
    assert ("Warning" in capsys.readouterr().out) == warns
    found = laplace.declared_bounds(np.append(values, 1e9), "Annual_Income", lower, upper)
    assert found[0] == (wide[0], 1e9)
    assert "exceed the bounds" in capsys.readouterr().out


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
        patch.setattr(laplace, "print_conclusion", lambda study: None)
        patch.setattr(laplace, "study_figures", lambda study: {})
        patch.setattr(laplace, "output_folder", lambda folder: folder)
        return laplace.main(**options)


@pytest.fixture(scope="module")
def study(small):
    with pytest.MonkeyPatch.context() as patch:
        return studied(patch, data=small, iterations=400, epsilon=0.5, seed=3)


def test_several_rows_a_person_widen_every_scale(small, monkeypatch, capsys, tmp_path):
    """Both months of 400 persons: twice the sensitivity, and answers as wide (27%: as above)."""
    table = pd.read_csv(small).drop(columns="Month")
    table.to_csv(tmp_path / "two.csv", index=False)
    run = {"data": tmp_path / "two.csv", "iterations": 300, "rows_per_person": 2, "epsilon": 0.5}
    study = studied(monkeypatch, **run)
    assert len(study.values) == 800
    for result in study.results[:-1]:
        sensitivity = (result.upper - result.lower) / (800 if result.query == "average" else 1)
        assert result.scale == pytest.approx(2 * sensitivity / result.epsilon)
        assert result.answers.std() == pytest.approx(math.sqrt(2) * result.scale, rel=0.27)
    laplace.main(**run | {"iterations": 3, "figures": tmp_path / "figures"})
    assert "may have 2 rows here, so every sensitivity counts 2 times" in capsys.readouterr().out
    with pytest.raises(BadInput, match="400 of 400 persons"):
        laplace.main(data=tmp_path / "two.csv", figures=tmp_path / "figures")


def test_a_row_s_share_of_epsilon_and_of_the_bound_is_what_the_quantile_gets(small, monkeypatch, tmp_path):
    """At epsilon 0.5 and two rows a person: a tenth of 0.25 for a bound, 0.25 for the quantile."""
    pd.read_csv(small).drop(columns="Month").to_csv(tmp_path / "two.csv", index=False)
    asked, ask = [], laplace.repeated_quantile
    monkeypatch.setattr(
        laplace, "repeated_quantile", lambda *given, **named: asked.append(given) or ask(*given, **named)
    )
    studied(monkeypatch, data=tmp_path / "two.csv", iterations=5, rows_per_person=2, epsilon=0.5)
    assert [epsilon for _, _, epsilon, _ in asked] == pytest.approx([0.025, 0.0025, 0.00025, 0.25])
    assert [quantile for *_, quantile in asked] == [0.95, 0.95, 0.95, 0.985]


# ------------------------------------------------------------------------------------------------ the tables


def number(text):
    return float(text.replace(",", "").removesuffix("%"))


def test_the_table_of_answers(study):
    """Each cell against numpy, to the digits that are printed."""
    table = answers_table(study.results)
    assert len(table) == 13
    for (_, row), result in zip(table.iterrows(), study.results, strict=True):
        assert (row["query"], row["data set"]) == (result.query, result.data_set)
        assert number(row["epsilon"]) == pytest.approx(result.epsilon)
        assert number(row["upper bound"]) == pytest.approx(result.upper, rel=1e-7)
        assert number(row["true value"]) == pytest.approx(result.truth, abs=0.0051)
        recorded = next(r.truth for r in study.results if r.query == result.query)
        assert number(row["bias"]) == pytest.approx(result.truth - recorded, abs=0.0051)
        assert number(row["mean of answers"]) == pytest.approx(np.mean(result.answers), abs=0.0051)
        assert number(row["std of answers"]) == pytest.approx(np.std(result.answers), rel=1e-5)
        relative = 100 * np.std(result.answers) / abs(result.truth)
        assert number(row["std / true"]) == pytest.approx(relative, abs=0.00051)
        if result.query == "0.985 quantile":
            assert row["noise scale b"] == row["in 95% interval"] == ""
            continue
        assert number(row["noise scale b"]) == pytest.approx(result.scale, rel=1e-5)
        inside = np.abs(result.answers - result.truth) < result.scale * 2.995732274
        assert number(row["in 95% interval"]) == pytest.approx(100 * inside.mean(), abs=0.051)


def test_the_table_of_bounds(study):
    """By brute force over all values and all bounds bought."""
    table, values, lower, row = bounds_table(study), study.values, 0.0, 0
    assert list(table["truth"]) == ["as recorded"] * 3 + ["usual values"] * 3
    for truth in (values.mean(), study.usual.mean()):
        for epsilon in (0.5, 0.05, 0.005):
            found = table.iloc[row]
            row += 1
            assert number(found["epsilon"]) == epsilon
            errors = {
                cut: abs(np.minimum(values, cut).mean() - truth) + (cut - lower) / 400 / epsilon
                for cut in values
            }
            least = min(errors.values())
            best = max(cut for cut, error in errors.items() if error <= least * (1 + 1e-12))
            assert number(found["best bound"]) == pytest.approx(best, abs=0.0051)
            assert number(found["above it"]) == (values > best).sum()
            assert number(found["its error"]) == pytest.approx(errors[best], abs=0.0051)
            for name, upper in (("as recorded", 25e6), ("clamped", 2e5)):
                expected = abs(study.of("average", name).truth - truth) + upper / 400 / epsilon
                assert number(found[name]) == pytest.approx(expected, abs=0.0051)
            bought = np.array(
                [
                    abs(np.minimum(values, cut).mean() - truth) + cut / 400 / (0.9 * epsilon)
                    for cut in study.private_bounds[epsilon]
                ]
            )
            mean, error = map(number, found["private bound"].split(" ± "))
            assert mean == pytest.approx(bought.mean(), abs=0.0051)
            assert error == pytest.approx(bought.std() / 20, abs=0.0051)


def test_the_errors_of_the_private_bound_are_those_of_whole_releases(study):
    """400 bounds, each with one average at the rest of epsilon: |error| is at most |bias| + E|noise|, and not
    below the larger of the two (5 standard errors)."""
    generator, truth = np.random.default_rng(8), study.values.mean()
    bounds, n = study.private_bounds[0.5], len(study.values)
    errors = [
        abs(laplace.repeated_average(1, study.values, 0.45, upper_bound=cut, seed=generator)[0] - truth)
        for cut in bounds
    ]
    stated = number(bounds_table(study)["private bound"][0].split(" ± ")[0])
    spread = 5 * np.std(errors) / 20
    bias = np.mean([abs(np.minimum(study.values, cut).mean() - truth) for cut in bounds])
    assert max(bias, np.mean(bounds) / n / 0.45) - spread < np.mean(errors) < stated + spread


def test_the_table_of_averaging(study):
    table = averaging_table(study.averages)
    for (_, row), result in zip(table.iterrows(), study.averages, strict=True):
        scale, answers, root = result.scale, result.answers, 20.0
        expected = [
            scale,
            abs(np.mean(answers) - result.truth),
            1.4142135623730951 * scale / root,
            abs(np.median(answers) - result.truth),
            scale / root,
        ]
        assert [number(cell) for cell in row[1:]] == pytest.approx(expected, abs=0.0051)


def test_the_table_of_spending(study):
    """400 answers at 0.5 a query, or 0.45 where 0.05 bought the bound; three times 400 bounds."""
    table = spending_table(study)
    basic = {
        (row["data set"], row["each of"], row["epsilon each"]): row["basic composition"]
        for _, row in table.iterrows()
    }
    queries = "sum, average, maximum"
    assert basic == {
        ("as recorded", queries, "0.5"): "200",
        ("skew-corrected", queries, "0.5"): "not known",
        ("clamped", queries, "0.5"): "200",
        ("private bound", queries, "0.45"): "180",
        ("as recorded", "0.985 quantile", "0.5"): "200",
        ("private bound", "the bounds", "0.05"): "20",
        ("private bound", "the bounds", "0.005"): "2",
        ("private bound", "the bounds", "0.0005"): "0.2",
        ("all but skew-corrected", "everything", ""): "1,962.2",  # 3 (200 + 200 + 180) + 200 + 20 + 2 + 0.2
    }
    assert table["answers"].tolist() == ["400"] * 8 + ["5,200"]
    totals = [float(cell.split()[0].replace(",", "")) for cell in table["at delta 1e-06"].drop(1)]
    assert totals[0] == totals[1] == pytest.approx(total_epsilon((Asked(0.5, 400),))[0], abs=0.0051)
    assert totals[2] == pytest.approx(total_epsilon((Asked(0.45, 400),))[0], abs=0.0051)
    assert totals[3] == pytest.approx(total_epsilon((Asked(0.5, 400, True),))[0], abs=0.0051)
    # All together: less than basic composition, and more than what Laplace noise alone costs.
    laplace_alone, _ = total_epsilon((Asked(0.5, 2400), Asked(0.45, 1200)))
    assert laplace_alone < totals[-1] < sum(totals[:2]) * 3 + totals[2] * 3 + sum(totals[3:-1])


def test_what_is_printed_and_counted(small, tmp_path, capsys, study):
    laplace.main(data=small, iterations=400, epsilon=0.5, seed=3, figures=tmp_path)
    printed = capsys.readouterr().out
    answers = answers_table(study.results)
    tables = [
        answers[ASKED],
        answers[ANSWERED],
        bounds_table(study),
        spending_table(study),
        averaging_table(study.averages),
    ]
    for table in tables:
        assert table.to_string(index=False) in printed
    assert printed.endswith(f"Look first at {tmp_path / 'normalized_noise_observations.png'}\n")
    printed = " ".join(printed.split())
    frame = pd.read_csv(small).pivot(index="Customer_ID", columns="Month", values="Annual_Income")
    assert study.usual.tolist() == np.minimum(frame.November, frame.December).tolist()
    usual = frame.min(axis=1).mean()
    assert f"usual values, {usual:,.2f}, the bias is {frame.December.mean() - usual:+,.2f} as rec" in printed
    assert f"{frame.December.clip(upper=200_000).mean() - usual:+,.2f} clamped" in printed
    assert "do not have the epsilon" in printed
    assert "5 values (1.25%) lie above the bound 200,000. 5 of them contradict" in printed


def test_digits_fit_a_small_unit_and_one_answer_has_no_spread(tmp_path, monkeypatch, recwarn, capsys):
    values = np.random.default_rng(5).uniform(0, 0.01, 300).round(6)
    (tmp_path / "small.csv").write_text("x\n" + "\n".join(map(str, values)))
    run = {"data": tmp_path / "small.csv", "column": "x", "lower": 0.0, "upper": 0.01}
    study = studied(monkeypatch, **run)
    table = answers_table(study.results)
    averages = table[table["query"] == "average"]
    assert number(averages["true value"].iloc[0]) == pytest.approx(values.mean(), abs=1e-6)
    assert number(averages["upper bound"].iloc[0]) == 0.01
    bounds = bounds_table(study)
    assert number(bounds["best bound"][0]) > 0.009
    assert number(bounds["as recorded"][0]) == pytest.approx(0.01 / 300, rel=1e-3)
    for cell in averaging_table(study.averages).iloc[0, 1:]:
        assert number(cell) > 0
    laplace.main(**run, iterations=1, figures=tmp_path / "f")
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert [str(warning.message) for warning in recwarn] == []


def test_values_with_few_numbers_between_them_are_drawn(tmp_path):
    """At 1e15 numbers lie 1/8 apart, so that a histogram has at most seven bins between these."""
    (tmp_path / "far.csv").write_text("x\n" + "\n".join(f"{1e15 + eighth / 8:.3f}" for eighth in range(1, 9)))
    run = {"data": tmp_path / "far.csv", "column": "x", "lower": 0.0, "upper": 10.0}
    laplace.main(**run, iterations=2, figures=tmp_path / "f")
    assert len(list((tmp_path / "f").iterdir())) == 4


def test_answers_that_are_all_equal_have_no_spread():
    """Whose mean, added up and divided, is not quite one of them."""
    answers = np.full(1000, 171_000.1)
    assert answers.std() > 0
    result = Result(
        query="0.985 quantile",
        data_set="as recorded",
        lower=0.0,
        upper=25e6,
        truth=175_457.49,
        bias=0.0,
        scale=None,
        epsilon=10.0,
        answers=answers,
    )
    [row] = answers_table([result]).to_dict("records")
    assert (row["std of answers"], row["std / true"]) == ("0", "0.000%")


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
    assert "395 values up to 200,000" in said
    assert "5 values above" in said
    assert "n = 400" in said.replace("\u00a0", " ")
    linear, logarithmic, *boxes = figure.axes
    for axes in (linear, logarithmic):
        counts = [patch.get_data().values.sum() for patch in axes.patches]
        assert counts == [395, 5]
    assert logarithmic.get_yscale() == boxes[1].get_xscale() == "log"
    # A bin of one value is not hidden at the axis.
    assert logarithmic.get_ylim()[0] == 0.5
    assert "values per bin" in said


@pytest.mark.parametrize("data_set", ["as recorded", "skew-corrected"])
def test_the_figures_of_averages(drawn, study, data_set):
    prefix = "" if data_set == "as recorded" else "skew_corrected_"
    figure, result = drawn[f"{prefix}repeated_average_historgram.png"], study.of("average", data_set)
    said, scale = " ".join(texts_of(figure)), result.scale
    truth, errors = result.truth, result.answers - result.truth
    for expected in (
        f"{data_set}: one private average is off by {scale:,.4g} on average, {100 * scale / truth:.2g}% of",
        f"Laplace density, scale b = {scale:,.6g}",
        f"true average {truth:,.2f}",
        f"95% interval, truth ± {2.995732274 * scale:,.6g}: holds",
        f"holds {100 * (np.abs(errors) < 2.995732274 * scale).mean():.1f}% of the answers",
        f"the mean of the answers is off by {abs(errors.mean()):,.3g}, their median",
        f"their median by {abs(np.median(errors)):,.3g}.",
        "400 private averages",
    ):
        assert expected in said
    assert ("do not have the epsilon" in said) == (data_set == "skew-corrected")
    assert ("200 by basic composition" in said) == (data_set == "as recorded")
    own, shared = figure.axes
    [line] = [line for line in own.lines if len(line.get_xdata()) > 100]
    expected = stats.laplace(truth, scale).pdf(line.get_xdata())
    np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)
    assert max(line.get_ydata()) == pytest.approx(1 / (2 * scale))
    [bars] = [patch for patch in own.patches if hasattr(patch, "get_data")]
    heights, edges, _ = bars.get_data()
    shown = (result.answers >= edges[0]) & (result.answers <= edges[-1])
    assert (heights * np.diff(edges)).sum() == pytest.approx(shown.mean())
    assert shown.mean() > 0.99
    # Both figures' second panels have one axis, so that the eye sees how much narrower one is.
    assert shared.get_xlim() == pytest.approx((-8 * 125_000, 8 * 125_000))
    assert shared.get_ylim() == (0, 100)
    heights, edges, _ = shared.patches[0].get_data()
    assert heights.sum() == pytest.approx(100 * (np.abs(errors) <= 1e6).mean())
    assert heights == pytest.approx(np.histogram(errors, edges)[0] / 4)


def test_the_figure_of_the_relative_noise(drawn, study):
    figure = drawn["normalized_noise_observations.png"]
    said = " ".join(texts_of(figure))
    wide, narrow = (study.of("average", name) for name in ("as recorded", "skew-corrected"))
    ratio = (25e6 / wide.truth) / (200_000 / narrow.truth)
    assert f"without skew correction the noise is {ratio:.3g} times as wide, relative" in said
    top, beside, both, close = figure.axes
    for axes, result in ((top, wide), (beside, narrow), (close, narrow)):
        heights, edges, _ = axes.patches[0].get_data()
        percent = 100 * (result.answers - result.truth) / result.truth
        assert heights == pytest.approx(np.histogram(percent, edges)[0] / 4)
        assert heights.sum() == pytest.approx(100)
    for result in (wide, narrow):
        spread = 100 * np.std(result.answers) / result.truth
        assert f"{result.data_set}: std {spread:.3g}% of the truth" in said
    assert top.get_xlim() == beside.get_xlim() == both.get_xlim()
    assert top.get_ylim() == beside.get_ylim()
    times = top.get_xlim()[1] / close.get_xlim()[1]
    assert f"axis is {times:.3g} times narrower" in said
    assert times == pytest.approx(ratio, rel=0.6)


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


# ----------------------------------------------------------------------------------------------- the README


README = (ROOT / "README.md").read_text().split("\n## The Laplace mechanism", 1)[1].split("\n## ", 1)[0]
NUMBER = re.compile(r"(?<![\w.,])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?%?(?![\w%])")


@pytest.fixture(scope="module")
def reference():
    """The study of the Kaggle file, as README's command runs it, and what main prints of it."""
    own = credit.READERS_COPY
    if not own.exists() or describe_csv(own).description != credit.KAGGLE_NAME:
        pytest.skip("data/test.csv, Kaggle's file, is not there")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(laplace, "study_figures", lambda study: {})
        patch.setattr(laplace, "save_figures", lambda folder, figures: None)
        study = laplace.main(data=own)
    return study, printed.getvalue()


def readme_table(number_of_table):
    """A Markdown table of the section: heads, and rows of cells."""
    lines = re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE)[number_of_table].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[0], rows[2:]


def test_the_readme_s_tables_are_those_of_the_run(reference):
    study, _ = reference
    answers = answers_table(study.averages).set_index("data set")
    heads, rows = readme_table(0)
    assert heads[1:] == list(answers.index)
    stated = {name: cells for name, *cells in rows}
    for name in ("upper bound", "true value", "noise scale b", "std / true", "in 95% interval"):
        assert stated[name] == answers[name].tolist(), name
    usual = study.usual.mean()
    biases = [f"{result.truth - usual:+,.2f}" for result in study.averages]
    assert stated["bias against the usual values"] == biases
    bounds = bounds_table(study)
    heads, rows = readme_table(1)
    assert rows == bounds[heads].values.tolist()


def test_every_number_of_the_readme_s_prose_is_in_what_the_run_prints(reference):
    """Or follows from it, or is one of the run's own constants."""
    study, printed = reference
    wide, narrow = (study.of("average", name) for name in ("as recorded", "skew-corrected"))
    ratio = wide.scale / wide.truth / (narrow.scale / narrow.truth)
    allowed = {match.lstrip("+-") for match in NUMBER.findall(printed)}
    allowed |= {f"{wide.scale / narrow.scale:g}", f"{ratio:.1f}", f"{study.values.max():,.0f}"}
    allowed |= {f"{laplace.SKEW_QUANTILE:g}", f"{laplace.BOUND_QUANTILE:g}", "95%", "2006", "2012"}
    prose = re.sub(r"^\|.*\n", "", README, flags=re.MULTILINE)
    prose = re.sub(r"\]\([^)]*\)|```.*?```", "", prose, flags=re.DOTALL)
    found = [match.lstrip("+-") for match in NUMBER.findall(prose)]
    assert len(found) > 40
    assert [match for match in found if match not in allowed] == []


def test_what_the_readme_answers_to_common_sayings(reference):
    study, _ = reference
    recorded, clamped = (study.of("average", name) for name in ("as recorded", "clamped"))
    off = abs(recorded.answers.mean() - recorded.truth)
    assert recorded.epsilon == clamped.epsilon == 1
    sayings = (ROOT / "README.md").read_text().split("\n## What is commonly said", 1)[1].split("\n## ", 1)[0]
    stated = set(NUMBER.findall(sayings))
    assert {f"{recorded.scale:,.0f}", f"{clamped.scale:g}", f"{off:.2f}"} <= stated


def test_the_private_bound_is_of_use_on_the_real_file(reference):
    """By whole releases against the usual values: at epsilon 1 its error is a third of the declared bound's
    or less, at 0.01 more than ten times that. 300 releases have a standard error of 5%."""
    study, _ = reference
    values, truth = study.values, study.usual.mean()
    generator = np.random.default_rng(6)
    for epsilon, useful in ((1.0, True), (0.01, False)):
        bought, declared = (
            np.mean(
                [
                    abs(laplace.repeated_average(1, values, left, upper_bound=cut, seed=generator)[0] - truth)
                    for cut in cuts
                ]
            )
            for cuts, left in (
                (study.private_bounds[epsilon][:300], 0.9 * epsilon),
                ([200_000.0] * 300, epsilon),
            )
        )
        assert bought < declared / 3 if useful else bought > 10 * declared
