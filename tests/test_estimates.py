"""leakage/estimates.py against scipy, scikit-learn, tensorflow_privacy, brute force, and simulated truths.

Simulated losses are binormal, N(-d/2, 1) for members and N(d/2, 1) for non-members, so that the AUC is
Phi(d / sqrt 2), the advantage of a threshold t is Phi(t + d/2) - Phi(t - d/2), and the TPR at an FPR of f is
Phi(Phi^-1(f) + d). Seeds are fixed. Tolerances are 4 standard errors of what is simulated: one such
comparison in 16,000 fails with another seed.
"""

import itertools
import math
import sys
import time
from functools import cache

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from leakage import estimates
from leakage.command_line import BadInput
from leakage.estimates import (
    Losses,
    allowed,
    auc_estimate,
    auc_with_interval,
    clopper_pearson,
    detectable_auc,
    estimates_of,
    heldout_estimate,
    mean_by_person,
    measure_leakage,
    nonmembers_needed,
    roc_curve,
    rows_a_person,
    share_by_row,
    tpr_with_interval,
)
from leakage.persons import persons_of

N, M, REPLICATES = 600, 200, 500  # members and non-members of a simulated replicate of the held-out advantage

random = np.random.default_rng(0)
HAND_MADE = {
    "untied": (random.normal(0, 1, 80), random.normal(0.7, 1, 50)),
    "tied": (random.integers(0, 9, 70), random.integers(2, 11, 40)),
    "members lose more": (random.integers(4, 11, 70), random.integers(0, 9, 40)),
    "separated": (np.zeros(30), np.ones(20)),
    "constant": (np.full(20, 0.3), np.full(30, 0.3)),
    "infinite": (np.array([-np.inf, 0, 1, 1, np.inf]), np.array([-np.inf, 1, 2, np.inf, np.inf, np.inf])),
    "extreme": (np.array([0.0, 1e-300, 5e-324, 1.0, 1e4]), np.array([1e-300, 2e-300, 1.0, 1e4, 1e308])),
    "one member": (np.array([0.5]), random.random(30)),
    "one of each": (np.array([0.5]), np.array([0.6])),
}
every_hand_made = pytest.mark.parametrize(("members", "nonmembers"), HAND_MADE.values(), ids=HAND_MADE)


def binormal(seed, n, m, distance):
    generator = np.random.default_rng(seed)
    return generator.normal(-distance / 2, 1, n), generator.normal(distance / 2, 1, m)


def four_errors(share, count):
    """4 standard errors of a share among `count`."""
    return 4 * math.sqrt(share * (1 - share) / count)


# -------------------------------------------------------------------------------------- the point estimates


def comparisons(members, nonmembers):
    """(n, m): 1 where the member has the lower loss, 1/2 where they tie, else 0."""
    members = np.asarray(members)[:, None]
    return (members < nonmembers) + (members == nonmembers) / 2


def counts(members, nonmembers):
    """How many of either are called members, for each threshold that makes a difference, and for all."""
    thresholds = np.unique(np.concatenate([members, nonmembers]))
    called = [[(losses < t).sum() for t in thresholds] + [len(losses)] for losses in (members, nonmembers)]
    return np.array(called)


@every_hand_made
def test_auc_and_advantage_are_those_of_counting_and_of_the_libraries(members, nonmembers):
    report = measure_leakage(members, nonmembers)
    # Ranks for scikit-learn, which refuses infinite scores.
    ranks = stats.rankdata(np.concatenate([members, nonmembers]))
    area = roc_auc_score(np.arange(len(ranks)) < len(members), -ranks)
    assert [report["auc"]] * 2 == pytest.approx([comparisons(members, nonmembers).mean(), area], abs=1e-14)
    caught, accused = counts(members, nonmembers)
    largest = np.abs(caught / len(members) - accused / len(nonmembers)).max()
    kolmogorov_smirnov = stats.ks_2samp(members, nonmembers, method="exact").statistic
    assert [report["advantage"]] * 2 == pytest.approx([largest, kolmogorov_smirnov], abs=1e-14)


@pytest.mark.parametrize("distance", [0, 0.8])
def test_auc_and_advantage_are_those_of_tensorflow_privacy(distance):
    sys.skip_tf_privacy_import = True  # its estimators, which a current TensorFlow cannot import
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        data_structures,
        membership_inference_attack,
    )

    members, nonmembers = (losses.round(2) for losses in binormal(1, 5000, 1000, distance))
    (result,) = membership_inference_attack.run_attacks(
        data_structures.AttackInputData(loss_train=members, loss_test=nonmembers),
        attack_types=[data_structures.AttackType.THRESHOLD_ATTACK],
    ).single_attack_results
    report = measure_leakage(members, nonmembers)
    assert report["auc"] == pytest.approx(result.get_auc(), abs=1e-12)
    assert report["advantage"] == pytest.approx(result.get_attacker_advantage(), abs=1e-12)


def test_tpr_at_a_low_fpr_is_the_best_of_all_thresholds():
    members, nonmembers = binormal(2, 1000, 10_000, 1)
    caught, accused = counts(members, nonmembers)
    report = measure_leakage(members, nonmembers)
    for name, most in (("1pct", 100), ("0p1pct", 10)):
        assert report[f"tpr_at_{name}_fpr"] == caught[accused <= most].max() / 1000
        assert report[f"realised_fpr_at_{name}"] == most / 10_000
        assert report[f"chance_tpr_at_{name}_fpr"] == (most + 1) / 10_001
    # The other way round: a threshold above which at most 10 of the 1,000 members remain.
    remaining, recognised = 1000 - caught, 10_000 - accused
    assert report["tnr_at_1pct_fnr"] == recognised[remaining <= 10].max() / 10_000
    assert report["chance_tnr_at_1pct_fnr"] == 11 / 1001
    # 100 non-members and every half percent: fpr * 100 is now and then just below a whole number.
    caught, accused = counts(members, nonmembers[:100])
    best = [caught[2 * accused <= halves].max() / 1000 for halves in range(201)]
    assert roc_curve(members, nonmembers[:100], np.arange(201) / 200).tolist() == best


TIES = {
    "rounded": tuple(losses.round(1) for losses in binormal(2, 1000, 1500, 1)),
    "a tree": (np.zeros(1200), np.append(np.zeros(1100), np.arange(1, 401) / 400)),
    "a few tied with the threshold": (
        np.append(np.full(40, 5.0), np.arange(1000) + 20.5),
        np.arange(1000.0) // 2,
    ),
}


@pytest.mark.parametrize(("members", "nonmembers"), TIES.values(), ids=TIES)
def test_ties_are_broken_by_chance(members, nonmembers):
    """The mean over 400 orders in which losses that tie may stand, within 4 standard errors."""
    generator, found = np.random.default_rng(30), []
    n, m = len(members), len(nonmembers)
    for _ in range(400):
        losses = np.concatenate([members, nonmembers])
        order = np.lexsort((generator.random(n + m), losses))
        places = np.empty(n + m)
        places[order] = np.arange(n + m)
        found.append([roc_curve(places[:n], places[n:], [0.01, 0.1])])
        found[-1] = [*found[-1][0], measure_leakage(places[:n], places[n:])["tnr_at_1pct_fnr"]]
    expected, errors = np.mean(found, axis=0), np.std(found, axis=0) / 20
    report = measure_leakage(members, nonmembers)
    computed = *roc_curve(members, nonmembers, [0.01, 0.1]), report["tnr_at_1pct_fnr"]
    assert (np.abs(computed - expected) <= 4 * errors + 1e-12).all()
    assert report["tpr_at_1pct_fpr"] == computed[0]
    assert report["realised_fpr_at_1pct"] == allowed(0.01, m) / m


def test_of_equal_losses_chance_is_found():
    report = measure_leakage(np.zeros(1000), np.zeros(2000))
    for rate in ("tpr_at_1pct_fpr", "tnr_at_1pct_fnr"):
        assert report[rate] == pytest.approx(report[f"chance_{rate}"])
        assert report[f"{rate}_low"] < report[rate] < report[f"{rate}_high"]


def test_a_low_fpr_needs_ten_nonmembers_below_it():
    assert [nonmembers_needed(fpr) for fpr in (0.01, 0.001, 0.07, 0.3)] == [1000, 10_000, 143, 34]
    assert [allowed(0.07, 100), allowed(0.01, 1000), allowed(0.001, 9999)] == [7, 10, 9]
    for n, m, reported in (
        (999, 999, []),
        (50, 1000, ["tpr_at_1pct", "fpr_at_1pct"]),
        (1000, 999, ["tnr"]),
        (50, 9999, ["tpr_at_1pct", "fpr_at_1pct"]),
        (50, 10_000, ["at_1pct_fpr", "at_0p1pct", "fpr_at_1pct"]),
    ):
        report = measure_leakage(np.arange(float(n)), np.arange(float(m)))
        keys = [key for key in report if "fpr" in key or "tnr" in key]
        assert len(keys) == 14
        for key in keys:
            assert (report[key] is not None) == any(part in key for part in reported)


# ------------------------------------------------------------------------------------------- their intervals


def beta_interval(hits, trials, confidence=0.95):
    """Clopper-Pearson by its textbook formula; beta.ppf gives NaN where an end is 0 or 1."""
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    low, high = stats.beta.ppf(tails, [hits, hits + 1], [trials - hits + 1, trials - hits])
    return float(np.nan_to_num(low, nan=0)), float(np.nan_to_num(high, nan=1))


@pytest.mark.parametrize("trials", [1, 7, 50_000])
def test_clopper_pearson(trials):
    end = 0.025 ** (1 / trials)
    assert clopper_pearson(0, trials) == pytest.approx((0, 1 - end))
    assert clopper_pearson(trials, trials) == pytest.approx((end, 1))
    for hits in (trials // 3, trials // 2, trials - 1):
        assert clopper_pearson(hits, trials) == pytest.approx(beta_interval(hits, trials))
        assert clopper_pearson(hits, trials, 0.6) == pytest.approx(beta_interval(hits, trials, 0.6))


def delong(members, nonmembers):
    """Variance of the AUC (DeLong 1988), from the table of all comparisons."""
    table = comparisons(members, nonmembers)
    return table.mean(1).var(ddof=1) / len(table) + table.mean(0).var(ddof=1) / len(table.T)


def newcombe(auc, n, m, width=1.959964):
    """Newcombe's (2006) method 5 as the roots between 0 and 1 of a polynomial of degree 4 in the AUC."""
    x = np.polynomial.Polynomial([0, 1])
    spread = (2 - x) * (1 + x) + ((n + m) / 2 - 1) * ((1 - x) * (1 + x) + x * (2 - x))
    roots = ((auc - x) ** 2 * (n * m * (2 - x) * (1 + x)) - width**2 * x * (1 - x) * spread).roots()
    possible = [root.real for root in roots if abs(root.imag) < 1e-9 and -1e-6 < root.real < 1 + 1e-6]
    return min(possible), max(possible)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 1 - 0.05 / 7])
@every_hand_made
def test_the_auc_interval_is_the_wider_of_two(members, nonmembers, confidence):
    auc, *interval = auc_with_interval(members, nonmembers, confidence=confidence)
    width = stats.norm.ppf((1 + confidence) / 2)
    expected = np.array(newcombe(auc, len(members), len(nonmembers), width))
    if min(len(members), len(nonmembers)) >= 10 and 0 < auc < 1:
        half = width * math.sqrt(delong(members, nonmembers)) / (auc * (1 - auc))
        low, high = special.expit(special.logit(auc) + np.array([-half, half]))
        expected = min(expected[0], low), max(expected[1], high)
    assert interval == pytest.approx(expected, abs=1e-6)
    report = measure_leakage(members, nonmembers, confidence=confidence)
    assert [auc, *interval] == [report["auc"], report["auc_low"], report["auc_high"]]
    assert measure_leakage(members, nonmembers) == measure_leakage(members, nonmembers, confidence=0.95)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
@pytest.mark.parametrize("use", [measure_leakage, auc_with_interval])
def test_a_confidence_is_a_share(use, confidence):
    with pytest.raises(ValueError, match=r"^the confidence of an interval must be between 0 and 1, not"):
        use([0.1], [0.2], confidence=confidence)


def test_the_ends_of_the_auc_interval_come_from_either_method():
    """Heavy spread at the same AUC of 0.5: DeLong's is the wider; near separation it is Newcombe's."""
    spread = np.concatenate([np.zeros(50), np.ones(50)]) + np.arange(100) / 1000
    between = np.full(200, 0.5)
    nearly = np.arange(50.0), np.append(np.arange(100, 119.0), 48.5)
    for members, nonmembers, wider in ((spread, between, "delong"), (*nearly, "newcombe")):
        auc, low, high = auc_with_interval(members, nonmembers)
        inner = newcombe(auc, len(members), len(nonmembers))
        if wider == "delong":
            assert low < inner[0] - 0.001
            assert high > inner[1] + 0.001
        else:
            assert low == pytest.approx(inner[0], abs=1e-6)


@pytest.mark.parametrize(("n", "m"), [(20, 2000), (2000, 20), (5, 100)])
@pytest.mark.parametrize("auc", [0.5, 0.97])
def test_small_and_lopsided_audits_are_covered(n, m, auc):
    """400 replicates; DeLong's interval alone covers 0.97 in 85%. 20 / 2,000 covers 96% to 98%."""
    generator, distance, covered = np.random.default_rng([10, n, m]), special.ndtri(auc) * math.sqrt(2), 0
    for _ in range(400):
        members, nonmembers = generator.normal(-distance / 2, 1, n), generator.normal(distance / 2, 1, m)
        _, low, high = auc_with_interval(members, nonmembers)
        covered += low <= auc <= high
    assert covered / 400 > 0.95 - four_errors(0.95, 400)


@cache
def arrangements(n, m):
    """How many orders of n members and m non-members have 0, 1 ... n m pairs with the member first."""
    if not n or not m:
        return np.ones(1)
    member_last, nonmember_last = arrangements(n - 1, m), arrangements(n, m - 1)
    return np.pad(member_last, (0, m)) + np.pad(nonmember_last, (n, 0))


def test_of_few_examples_the_auc_interval_claims_a_leak_seldom():
    """Exactly, over all orders of up to 9 against 12: 5% nominal, 7.2% at most, and 10% for 3 against 3."""
    claimed = {}
    for n, m in itertools.product(range(1, 10), range(1, 13)):
        lows = np.array(
            [estimates._newcombe_low(pairs / (n * m), n, m, 1.959964) for pairs in range(n * m + 1)]
        )
        claims = (lows > 0.5) | (lows[::-1] > 0.5)
        claimed[n, m] = (arrangements(n, m) * claims).sum() / math.comb(n + m, n)
    assert claimed.pop((3, 3)) == pytest.approx(0.1)
    assert 0.05 < max(claimed.values()) < 0.072


# ---------------------------------------------------------------------------------------- TPR at low FPRs


def tpr_at_fpr(members, nonmembers, fpr):
    """The TPR and its interval, of sorted losses."""
    return estimates._tpr_at_fpr(estimates._Side(members), estimates._Side(nonmembers), fpr, 0.95)


@pytest.mark.parametrize(("n", "m", "fpr"), [(1000, 1000, 0.01), (2000, 10_000, 0.001), (1000, 10_000, 0.01)])
@pytest.mark.parametrize("distance", [0, 0.2, 1, 3])
def test_the_interval_of_the_tpr_covers_the_truth(n, m, fpr, distance):
    """400 replicates: 95% to 99% of them (4 standard errors: 4.4%). The interval of the members alone, for
    the threshold taken, covers 9% to 92%. Not wider than need be either: twice as wide covers all.

    Only the losses that can matter are drawn: the lowest of the non-members, and of members their counts."""
    generator = np.random.default_rng([11, n, m, int(10 * distance)])
    truth, replicates, covered, found = special.ndtr(special.ndtri(fpr) + distance), 400, 0, []
    for _ in range(replicates):
        members = np.sort(generator.normal(-distance, 1, n))
        nonmembers = np.sort(generator.normal(0, 1, m))
        tpr, low, high = tpr_at_fpr(members, nonmembers, fpr)
        covered += low <= truth <= high
        found.append(tpr)
    assert 0.95 - four_errors(0.95, replicates) < covered / replicates < 0.999
    if distance == 0:
        chance = (allowed(fpr, m) + 1) / (m + 1)
        assert abs(np.mean(found) - chance) < 4 * np.std(found) / math.sqrt(replicates)


def tpr_interval(members, nonmembers, confidence=0.95):
    report = measure_leakage(members, nonmembers, confidence=confidence)
    return tuple(report[f"tpr_at_1pct_fpr{end}"] for end in ("", "_low", "_high"))


def caught_by_hand(members, nonmembers, accused):
    """Before the accused have passed, ties in an order by chance: a member that ties with l non-members is in
    one of l + 1 places among them, each with the same probability."""
    threshold = sorted(nonmembers)[accused]
    places = (nonmembers == threshold).sum() + 1
    before = accused - (nonmembers < threshold).sum() + 1
    return (members < threshold).sum() + (members == threshold).sum() * before / places


@pytest.mark.parametrize(("decimals", "confidence"), [(1, 0.95), (15, 0.95), (15, 0.8)])
def test_the_interval_of_the_tpr_is_the_formula(decimals, confidence):
    """MOVER, the parts counted one by one, with and without losses that tie."""
    members, nonmembers = (losses.round(decimals) for losses in binormal(12, 20_000, 2000, 1))
    tpr, low, high = tpr_interval(members, nonmembers, confidence)
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    lower, upper = (int(stats.binom.ppf(q, 2000, 0.01)) for q in tails)
    least, most = (caught_by_hand(members, nonmembers, rank) / 20_000 for rank in (lower - 1, upper))
    at_threshold = beta_interval(tpr * 20_000, 20_000, confidence)
    assert tpr == caught_by_hand(members, nonmembers, 20) / 20_000
    assert low == pytest.approx(max(tpr - math.hypot(tpr - at_threshold[0], tpr - least), 0))
    assert high == pytest.approx(tpr + math.hypot(at_threshold[1] - tpr, most - tpr))


@pytest.mark.parametrize("ties", ["rounded to 0.1", "most are 0"])
def test_the_interval_of_the_tpr_covers_it_where_losses_tie(ties):
    """400 replicates. The truth: of the members that tie with the threshold as large a share as of the
    non-members that do, so that 1% of the latter are accused."""
    generator, covered = np.random.default_rng(13), 0
    if ties == "rounded to 0.1":
        edges = np.arange(-60, 60) / 10 + 0.05
        place = np.flatnonzero(special.ndtr(edges) <= 0.01).max()
        (below, at), (members_below, members_at) = (
            (special.ndtr(edges + shift)[place], np.diff(special.ndtr(edges + shift))[place])
            for shift in (0, 1)
        )
        truth = members_below + members_at * (0.01 - below) / at
        draw = [lambda: generator.normal(-1, 1, 1000).round(1), lambda: generator.normal(0, 1, 2000).round(1)]
    else:
        truth = 0.9 * 0.01 / 0.7
        draw = [
            lambda: generator.random(1000) * (generator.random(1000) > 0.9),
            lambda: generator.random(2000) * (generator.random(2000) > 0.7),
        ]
    for _ in range(400):
        _, low, high = tpr_at_fpr(*(np.sort(losses()) for losses in draw), 0.01)
        covered += low <= truth <= high
    assert covered / 400 > 0.95 - four_errors(0.95, 400)


def test_a_third_of_the_losses_tied_at_the_minimum_give_a_tpr_of_chance():
    members = np.append(np.zeros(500), np.arange(1.0, 1001))
    tpr, low, high = tpr_interval(members, members)
    assert tpr == pytest.approx(500 / 1500 * 16 / 501)
    assert 0.003 < low < 0.01 < high < 0.02


def tpr_influences_by_hand(members, nonmembers, fpr):
    """Influences of both kinds, counted one by one; the slope is that of the ROC curve between the thresholds
    of the interval."""
    n, m, accused = len(members), len(nonmembers), allowed(fpr, len(nonmembers))
    threshold = sorted(nonmembers)[accused]
    lower, upper = (int(stats.binom.ppf(q, m, fpr)) for q in (0.025, 0.975))
    caught = [caught_by_hand(members, nonmembers, rank) for rank in (lower - 1, upper, accused)]
    slope = (caught[1] - caught[0]) / n * m / (upper - lower + 1)
    below = [(losses < threshold).astype(float) for losses in (members, nonmembers)]
    # Of those that tie with the threshold as much as is called of them.
    for of_kind, losses, called in zip(below, (members, nonmembers), (caught[2], accused), strict=True):
        tied = losses == threshold
        of_kind[tied] = (called - of_kind.sum()) / max(tied.sum(), 1)
    return (below[0] - below[0].mean()) / len(members), -slope * (below[1] - below[1].mean()) / m


@pytest.mark.parametrize("decimals", [1, 15])
def test_the_influences_on_the_tpr_are_the_formula(decimals):
    members, nonmembers = (losses.round(decimals) for losses in binormal(19, 800, 1500, 1))
    estimate = estimates_of(Losses(members, nonmembers), ["tpr_at_1pct_fpr"])["tpr_at_1pct_fpr"]
    assert estimate.value == measure_leakage(members, nonmembers)["tpr_at_1pct_fpr"]
    expected = tpr_influences_by_hand(members, nonmembers, 0.01)
    assert np.concatenate(expected).any()
    assert estimate.members == pytest.approx(expected[0])
    assert estimate.nonmembers == pytest.approx(expected[1])


def test_a_threshold_among_ties_alone_has_influences_too():
    """All non-members that the window looks at are equal, and so are half of the members."""
    members, nonmembers = np.append(np.zeros(50), np.arange(1.0, 51)), np.append(np.zeros(500), np.ones(500))
    estimate = estimates_of(Losses(members, nonmembers), ["tpr_at_1pct_fpr"])["tpr_at_1pct_fpr"]
    assert estimate.value == pytest.approx(0.5 * 11 / 501)
    assert 0 < estimate.standard_error < estimate.value


@pytest.mark.parametrize(("n", "m", "fpr"), [(2000, 2000, "1pct"), (12_000, 12_000, "0p1pct")])
@pytest.mark.parametrize("distance", [0, 1])
def test_the_influences_on_the_tpr_sum_to_its_variance(n, m, fpr, distance):
    """600 replicates: the root of the mean squared standard error is the spread of the TPR, within 4 standard
    errors of a standard deviation (12%) and the 5% that the estimate of the slope costs."""
    generator, measure, found = np.random.default_rng([20, n, distance]), f"tpr_at_{fpr}_fpr", []
    for _ in range(600):
        losses = Losses(generator.normal(-distance, 1, n), generator.normal(0, 1, m))
        estimate = estimates_of(losses, [measure])[measure]
        found.append((estimate.value, estimate.standard_error))
    values, errors = np.array(found).T
    assert math.sqrt(np.square(errors).mean()) == pytest.approx(values.std(), rel=0.05 + 4 / math.sqrt(1200))


def test_measures_of_one_training_are_those_of_measure_leakage():
    members, nonmembers = binormal(21, 3000, 12_000, 0.5)
    measures = "auc", "heldout_advantage", "tpr_at_1pct_fpr", "tpr_at_0p1pct_fpr"
    found = estimates_of(Losses(members, nonmembers), measures, seed=2)
    report = measure_leakage(members, nonmembers, seed=2)
    assert {name: estimate.value for name, estimate in found.items()} == {
        name: report[name] for name in measures
    }
    few = estimates_of(Losses(members, nonmembers[:2000]), measures)
    assert [few[name] is None for name in measures] == [False, False, False, True]


# ------------------------------------------------------------------------------------ the held-out advantage


def heldout_by_hand(members, nonmembers, seed):
    """The same splits, each half with a loop over all thresholds."""
    n, value = len(members), 0.0
    for in_first in estimates._halves(n, len(nonmembers), seed):
        first, second = ((members[half[:n]], nonmembers[half[n:]]) for half in (in_first, ~in_first))
        for choosing, judged in ((first, second), (second, first)):
            thresholds = np.unique(np.concatenate(choosing))
            gains = [np.subtract(*((kind <= t).mean() for kind in choosing)).round(12) for t in thresholds]
            if max(gains) > 0:  # or else nobody is called
                threshold = thresholds[int(np.argmax(gains))]
                value += np.subtract(*((kind <= threshold).mean() for kind in judged)) / 40
    return value


@every_hand_made
def test_the_heldout_advantage_is_the_mean_of_twenty_splits(members, nonmembers):
    estimate = heldout_estimate(members, nonmembers, seed=3)
    if min(len(members), len(nonmembers)) < 2:
        assert (estimate.value, estimate.standard_error) == (0, math.inf)
        return
    members, nonmembers = np.asarray(members, float), np.asarray(nonmembers, float)
    assert estimate.value == pytest.approx(heldout_by_hand(members, nonmembers, 3), abs=1e-12)
    assert measure_leakage(members, nonmembers, seed=3)["heldout_advantage"] == estimate.value


def test_the_splits_are_halves_and_depend_on_the_numbers_and_the_seed_alone():
    splits = np.array(list(estimates._halves(11, 6, 0)))
    assert len(splits) == 20
    assert set(splits[:, :11].sum(1)) == {6}
    assert set(splits[:, 11:].sum(1)) == {3}
    assert len({split.tobytes() for split in splits}) == 20
    assert (splits == list(estimates._halves(11, 6, 0))).all()
    assert (splits != list(estimates._halves(11, 6, 1))).any()
    # A loss moved without crossing another changes nothing.
    members, nonmembers = HAND_MADE["untied"]
    assert heldout_estimate(members, nonmembers).value == heldout_estimate(members**3, nonmembers**3).value


def test_members_that_lose_more_are_not_a_leak():
    """The direction is fixed: the attack turned round would gain 0.38."""
    assert abs(heldout_estimate(*binormal(14, 1000, 1000, -1)).value) < 0.01


def test_the_splits_hardly_move_the_heldout_advantage():
    """The mean of 20 splits has less than half the spread of one (1 / sqrt 20 if they were independent)."""
    losses = binormal(15, 2000, 2000, 0.2)
    of_twenty = np.std([heldout_estimate(*losses, seed).value for seed in range(30)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "SPLITS", 1)
        of_one = np.std([heldout_estimate(*losses, seed).value for seed in range(60)])
    assert of_twenty < of_one / 2


@cache
def simulated(distance):
    """REPLICATES held-out advantages (value, low, high) and their truths: the mean over splits and folds of
    the population's advantage at the threshold that the fold was judged by."""
    found = []
    for replicate in range(REPLICATES):
        members, nonmembers = binormal([3, replicate], N, M, distance)
        losses = np.concatenate([members, nonmembers])
        order = np.argsort(losses)
        ordered, is_member = np.append(losses[order], np.inf), order < N
        in_first = np.array(list(estimates._halves(N, M, replicate)))[:, order]
        halves = np.concatenate([in_first, ~in_first])
        gains = np.cumsum(halves * np.where(is_member, M // 2, -(N // 2)), axis=1)
        best = ordered[np.where(gains.max(1) > 0, gains.argmax(1), -1)]
        truth = np.mean(special.ndtr(best + distance / 2) - special.ndtr(best - distance / 2))
        estimate = heldout_estimate(members, nonmembers, replicate)
        found.append((estimate.value, *estimates.heldout_interval(estimate), truth))
    return np.array(found).T


@pytest.mark.parametrize("distance", [0, 0.5, 2])
def test_the_interval_of_the_heldout_advantage_covers_the_truth(distance):
    """500 replicates (4 standard errors: 3.9%). The intervals may be too wide, but not by a half. Where
    nothing leaks, at most 2.5% claim that something does."""
    value, low, high, truth = simulated(distance)
    covered = ((low <= truth) & (truth <= high)).mean()
    assert 0.95 - four_errors(0.95, REPLICATES) < covered < 0.9975
    assert (low > truth).mean() <= 0.025
    assert abs((value - truth).mean()) < 4 * (value - truth).std() / math.sqrt(REPLICATES)
    half = (high - low).mean() / 2 / 1.959964
    assert 1.05 < half / (value - truth).std() < 1.4  # 2 / pi instead of about 0.2 for the correlation
    if distance == 2:  # where the thresholds chosen are nearly as good as the best
        assert 0 < 2 * special.ndtr(1) - 1 - truth.mean() < 0.02


# ------------------------------------------------------------------------------------------ the chance level


def chance_of(members, nonmembers):
    return measure_leakage(members, nonmembers)["chance_advantage"]


@pytest.mark.parametrize(("n", "m"), [(50_000, 10_000), (20_000, 4000), (2000, 1000)])
def test_the_chance_level_of_many_losses_is_the_limit(n, m):
    """Within 4 standard errors and the 2% that the limit is off for 1,000. Without ties, the advantage
    depends on the order of members and non-members alone."""
    chance = chance_of(np.arange(n), np.arange(m) + 0.5)
    assert chance == pytest.approx(stats.kstwobign.mean() * math.sqrt(1 / n + 1 / m), rel=1e-6)
    generator, steps = np.random.default_rng(4), np.repeat([1 / n, -1 / m], [n, m])
    advantages = [np.abs(generator.permutation(steps).cumsum()).max() for _ in range(500)]
    assert abs(np.mean(advantages) - chance) < 4 * np.std(advantages) / math.sqrt(500) + 0.02 * chance


def advantages_by_chance(losses, n, replicates):
    """Advantages (replicates,) if n of these losses, drawn at random, are the members'."""
    generator = np.random.default_rng(16)
    ordered = np.sort(losses)
    last = np.append(ordered[1:] != ordered[:-1], True)
    steps = np.repeat([1 / n, -1 / (len(losses) - n)], [n, len(losses) - n])
    labels = generator.permuted(np.tile(steps, (replicates, 1)), axis=1)
    return np.abs(labels.cumsum(1)[:, last]).max(1)


@pytest.mark.parametrize(
    ("n", "m", "decimals", "expected"),
    [(30, 30, 15, 0.209), (100, 100, 1, 0.072), (20, 1200, 15, 0.190), (1500, 1500, 1, 0.019)],
)
def test_the_chance_level_of_few_or_tied_losses_is_by_permutation(n, m, decimals, expected):
    """Within 4 standard errors of the 200 permutations, 2.1% each. The limit would say 0.224, 0.123, 0.196
    and 0.032. Losses rounded to a whole tenth, with a mean of 0.1, take few values."""
    losses = np.random.default_rng(17).exponential(0.1, n + m).round(decimals)
    truth = advantages_by_chance(losses, n, 3000)
    assert truth.mean() == pytest.approx(expected, rel=0.03)
    chance = chance_of(losses[:n], losses[n:])
    assert abs(chance - truth.mean()) < 4 * truth.std() / math.sqrt(200)


def test_a_few_ties_among_many_losses_take_the_limit():
    """1% of ties moves the chance level by less than the permutations' own error, and costs nothing."""
    losses = np.random.default_rng(18).random(4000)
    losses[:30] = losses[30:60]
    truth = advantages_by_chance(losses, 2000, 1000)
    chance = chance_of(losses[:2000], losses[2000:])
    assert chance == chance_of(np.arange(2000.0), np.arange(2000) + 0.5)
    assert abs(chance - truth.mean()) < 4 * truth.std() / math.sqrt(1000) + 0.02 * chance


# ---------------------------------------------------------------------------------------- ends of the range


@every_hand_made
def test_reports_are_plain_numbers_and_a_seed_repeats(members, nonmembers):
    report = measure_leakage(members, nonmembers, seed=1)
    assert report == measure_leakage(members, nonmembers, seed=1)
    assert {type(value) for value in report.values()} == {int, float, type(None)}
    assert all(value is None or math.isfinite(value) for value in report.values())
    for key, least in (("auc", 0), ("heldout_advantage", -1)):
        assert least <= report[f"{key}_low"] <= report[key] <= report[f"{key}_high"] <= 1
    if min(len(members), len(nonmembers)) < 10:  # too few to measure the spread
        assert (report["heldout_advantage_low"], report["heldout_advantage_high"]) == (-1, 1)


def test_seeds_split_differently():
    reports = [measure_leakage(*HAND_MADE["untied"], seed=seed) for seed in range(9)]
    assert len({report["heldout_advantage"] for report in reports}) > 3


@pytest.mark.parametrize("reverse", [False, True])
def test_a_perfect_separation_is_not_certain_to_be_one(reverse):
    report = measure_leakage(*HAND_MADE["separated"][:: -1 if reverse else 1])
    end = newcombe(1, 30, 20)[0]
    assert 0.8 < end < 0.95
    assert (report["auc"], report["advantage"], report["heldout_advantage"]) == (not reverse, 1, not reverse)
    assert (report["auc_low"], report["auc_high"]) == pytest.approx((0, 1 - end) if reverse else (end, 1))
    if not reverse:
        interval = report["heldout_advantage_low"], report["heldout_advantage_high"]
        assert interval == pytest.approx((2 * 0.025 ** (1 / 20) - 1, 1))


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [[1.0], [2.0]], 1.0], ids=str)
@pytest.mark.parametrize("kind", ["member", "non-member"])
@pytest.mark.parametrize(
    "use",
    [
        measure_leakage,
        auc_estimate,
        heldout_estimate,
        lambda *losses: estimates_of(Losses(*losses), ["auc"]),
        lambda *losses: roc_curve(*losses, [0.5]),
    ],
)
def test_losses_that_are_no_use(use, kind, bad):
    with pytest.raises(ValueError, match=f"^the {kind} losses"):
        use(*((bad, [1.0]) if kind == "member" else ([1.0], bad)))


def seconds(function, *arguments):
    """Of processor time, the least of three."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        function(*arguments)
        taken.append(time.process_time() - start)
    return min(taken)


def test_as_many_losses_as_cifar_10_has_images_take_no_time():
    """0.05 s, 0.03 s and 0.25 s on an idle core."""
    losses = binormal(7, 50_000, 10_000, 1)
    assert seconds(measure_leakage, *losses) < 0.3
    assert seconds(heldout_estimate, *losses) < 0.2
    assert seconds(roc_curve, *binormal(8, 1_000_000, 1_000_000, 1), np.geomspace(1e-4, 1, 100)) < 1


# ------------------------------------------------------------------------------------------- rows of persons


def test_a_tpr_by_person_looks_at_twice_its_rate_too():
    """At the threshold itself the rows called are of as many persons, at twice the rate of few: an interval
    that looked at the first alone would be too narrow."""
    n, m = 2000, 2000
    nonmembers = np.arange(m, dtype=float)
    whose = np.arange(n) // 10  # 200 persons with 10 rows
    members = np.full(n, 5000.0) + np.arange(n)
    members[::100] = -1  # of 20 persons one row each is below all non-members
    alone = tpr_with_interval(Losses(members, nonmembers, None, None, whose, n + np.arange(m)), 0.01)
    clustered = members.copy()
    clustered[1000:1300] = 30.5  # 30 persons with all rows are below the 41st, and none below the 21st
    clustered[::100] = -1
    found = tpr_with_interval(Losses(clustered, nonmembers, None, None, whose, n + np.arange(m)), 0.01)
    assert alone[0] == found[0] == pytest.approx(0.01)
    assert found[1] < alone[1]


def test_means_of_persons_keep_the_persons_that_are_integers():
    """So that two trainings with other members know which persons they have in common."""
    generator = np.random.default_rng(9)
    whose = np.repeat(np.arange(100, 160), 3)
    values, trainings = generator.normal(size=180), []
    for first in (generator.permutation(60) < 30, generator.permutation(60) < 30):
        inside = np.repeat(first, 3)
        order = generator.permutation(180)
        inside, of_row, losses = inside[order], whose[order], values[order]
        sides = Losses(losses[inside], losses[~inside], None, None, of_row[inside], of_row[~inside])
        trainings.append(mean_by_person(sides))
    for means in trainings:
        ids = np.concatenate([means.member_ids, means.nonmember_ids])
        of_ids = np.concatenate([means.members, means.nonmembers])
        np.testing.assert_allclose(of_ids, values.reshape(60, 3).mean(axis=1)[ids - 100])


@pytest.mark.parametrize(("rate", "by_row"), [(0.8, 1.0), (0.95, 1.0), (0.5, 0.3), (0.5, 0.0), (0.8, 0.0)])
def test_how_many_persons_were_split_by_row_is_told_at_any_rate(rate, by_row):
    generator = np.random.default_rng(10)
    rows = generator.geometric(1 / 3, 2000)
    whose = np.repeat(np.arange(2000), rows)
    inside = (generator.random(2000) < rate)[whose]
    inside = np.where(whose < 2000 * by_row, generator.random(len(whose)) < rate, inside)
    sides = whose[inside], whose[~inside]
    persons = persons_of(*sides, *map(len, sides))
    assert share_by_row(persons) == pytest.approx(by_row, abs=0.1)
    losses = Losses(*(np.zeros(len(side)) for side in sides), None, None, *sides)
    if by_row == 0:
        assert rows_a_person(losses)[0] == pytest.approx(0.5, abs=0.05)
        return
    with pytest.raises(BadInput, match="decided by row, not by person"):
        rows_a_person(losses)


def test_a_few_persons_on_both_sides_are_no_split_by_row():
    """Nine of them, though most of those with several rows."""
    whose = np.arange(200), np.append(np.arange(9), 200 + np.arange(200))
    assert share_by_row(persons_of(*whose, *map(len, whose))) == 0


def test_the_detectable_auc_stands_above_what_chance_gives():
    found = {"auc_low": 0.4, "auc_high": 0.6}
    assert detectable_auc(found, chance=0.55) == pytest.approx(detectable_auc(found) + 0.05)
