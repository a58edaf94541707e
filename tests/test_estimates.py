"""leakage/ against scipy, scikit-learn, tensorflow_privacy, brute force, and simulated truths.

Simulated losses are binormal, N(-d/2, 1) for members and N(d/2, 1) for non-members, so that the AUC is
Phi(d / sqrt 2) and the advantage of a threshold t is Phi(t + d/2) - Phi(t - d/2). Seeds are fixed. Tolerances
are 4 standard errors of what is simulated: one such comparison in 16,000 fails with another seed.
"""

import math
import sys
import time
from functools import cache

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from leakage import contrasts, estimates
from leakage.contrasts import paired_contrast
from leakage.estimates import Losses, clopper_pearson, measure_leakage, roc_curve

N, M, REPLICATES = 1000, 200, 2000  # members and non-members of a simulated replicate
PAIRED_REPLICATES = 1000
NAMES = ("one", "other")
NO_DIFFERENCE = "no difference can be shown"

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


@pytest.mark.parametrize("decimals", [1, 2, 15])
def test_tpr_at_a_low_fpr_is_the_best_of_all_thresholds(decimals):
    members, nonmembers = (losses.round(decimals) for losses in binormal(2, 400, 10_000, 1))
    caught, accused = counts(members, nonmembers)
    report = measure_leakage(members, nonmembers)
    for name, allowed in (("1pct", 100), ("0p1pct", 10)):
        best = caught[accused <= allowed].max()
        assert report[f"tpr_at_{name}_fpr"] == best / 400
        assert report[f"realised_fpr_at_{name}"] == accused[accused <= allowed].max() / 10_000
        interval = report[f"tpr_at_{name}_fpr_low"], report[f"tpr_at_{name}_fpr_high"]
        assert interval == pytest.approx(beta_interval(best, 400))
    # 100 non-members and every half percent: fpr * 100 is now and then just below a whole number.
    caught, accused = counts(members, nonmembers[:100])
    best = [caught[2 * accused <= halves].max() / 400 for halves in range(201)]
    assert roc_curve(members, nonmembers[:100], np.arange(201) / 200).tolist() == best


def test_a_low_fpr_needs_ten_nonmembers_below_it():
    for m, reported in ((999, []), (1000, ["1pct"]), (9999, ["1pct"]), (10_000, ["1pct", "0p1pct"])):
        report = measure_leakage(np.arange(50.0), np.arange(float(m)))
        keys = [key for key in report if "fpr" in key]
        assert len(keys) == 8
        for key in keys:
            assert math.isnan(report[key]) != any(f"_at_{name}" in key for name in reported)


# ------------------------------------------------------------------------------------------- their intervals


def beta_interval(hits, trials):
    """Clopper-Pearson by its textbook formula; beta.ppf gives NaN where an end is 0 or 1."""
    low, high = stats.beta.ppf([0.025, 0.975], [hits, hits + 1], [trials - hits + 1, trials - hits])
    return float(np.nan_to_num(low, nan=0)), float(np.nan_to_num(high, nan=1))


@pytest.mark.parametrize("trials", [1, 7, 50_000])
def test_clopper_pearson(trials):
    end = 0.025 ** (1 / trials)
    assert clopper_pearson(0, trials) == pytest.approx((0, 1 - end))
    assert clopper_pearson(trials, trials) == pytest.approx((end, 1))
    for hits in (trials // 3, trials // 2, trials - 1):
        assert clopper_pearson(hits, trials) == pytest.approx(beta_interval(hits, trials))


def test_student_interval_is_scipy_s():
    values = [0.61, 0.64, 0.6, 0.66]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert contrasts.student_interval(values) == pytest.approx(tuple(expected))
    assert np.isnan(contrasts.student_interval(values[:1])).all()


def delong(*models):
    """Covariance of the AUCs of models, given as (members, nonmembers), on the same images (DeLong 1988)."""
    tables = [comparisons(*model) for model in models]
    rows, columns = ([table.mean(axis) for table in tables] for axis in (1, 0))
    return np.atleast_2d(np.cov(rows) / len(rows[0]) + np.cov(columns) / len(columns[0]))


@pytest.mark.parametrize("name", ["untied", "tied", "members lose more"])
def test_the_auc_interval_is_delong_s_on_the_logit_scale(name):
    report = measure_leakage(*HAND_MADE[name])
    low, middle, high = special.logit([report["auc_low"], report["auc"], report["auc_high"]])
    half = 1.959964 * math.sqrt(delong(HAND_MADE[name])[0, 0]) / (report["auc"] * (1 - report["auc"]))
    assert (middle - low, high - middle) == pytest.approx((half, half))


def test_a_paired_interval_is_delong_s_and_an_unpaired_one_is_wider():
    one, other = HAND_MADE["untied"], tuple(losses**3 - losses / 2 for losses in HAND_MADE["untied"])
    covariance = delong(one, other)
    assert covariance[0, 1] > 0
    order, elsewhere = np.arange(80)[::-1], np.arange(80, 160)
    for second, shared in (
        (Losses(*other), True),
        (Losses(other[0][order], other[1], order), True),
        (Losses(*other, elsewhere, elsewhere[:50]), False),
    ):
        contrast = paired_contrast([Losses(*one)], [second], NAMES)
        half = 1.959964 * math.sqrt(covariance.trace() - (2 * covariance[0, 1] if shared else 0))
        interval = contrast["auc_difference"] - half, contrast["auc_difference"] + half
        assert (contrast["auc_low"], contrast["auc_high"]) == pytest.approx(interval)
        assert (contrast["auc_examples_low"], contrast["auc_examples_high"]) == pytest.approx(interval)


# ------------------------------------------------------------------------------------------ simulated truths


@cache
def simulated(distance):
    """Reports of REPLICATES independent replicates, a column each, and as `truth` the mean over the two folds
    of the population's advantage at the threshold that the fold was judged by."""
    judged_by, best_threshold = [], estimates._best_threshold

    def spy(members, nonmembers):
        threshold, sign, difference = best_threshold(members, nonmembers)
        if len(members) < N:  # a half, not the whole
            judged_by.append((threshold, sign))
        return threshold, sign, difference

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "_best_threshold", spy)
        reports = [measure_leakage(*binormal([3, k], N, M, distance), seed=k) for k in range(REPLICATES)]
    threshold, sign = np.array(judged_by).T
    truth = sign * (special.ndtr(threshold + distance / 2) - special.ndtr(threshold - distance / 2))
    columns = {key: np.array([report[key] for report in reports]) for key in reports[0]}
    return columns | {"truth": truth.reshape(REPLICATES, 2).mean(1)}


@pytest.mark.parametrize("distance", [0, 0.5, 2])
def test_intervals_cover_the_truth(distance):
    """At distance 0 the truths are 0.5 and 0, and what is not covered is a leak found where there is none.
    Where something leaks, held-out intervals may be too wide, but not by a half: these would cover 99.7%."""
    columns, covered = simulated(distance), {}
    tolerance = four_errors(0.95, REPLICATES) + 0.005  # the intervals are exact for large n and m only
    truths = {"auc": special.ndtr(distance / math.sqrt(2)), "heldout_advantage": columns["truth"]}
    for key, truth in truths.items():
        covered[key] = ((columns[f"{key}_low"] <= truth) & (truth <= columns[f"{key}_high"])).mean()
    assert abs(covered["auc"] - 0.95) < tolerance
    assert 0.95 - tolerance < covered["heldout_advantage"] < 0.997


@pytest.mark.parametrize("distance", [0, 0.5, 2])
def test_the_mean_heldout_advantage_is_the_truth(distance):
    columns = simulated(distance)
    surplus = columns["heldout_advantage"] - columns["truth"]
    assert abs(surplus.mean()) < 4 * surplus.std() / math.sqrt(REPLICATES)
    if distance == 2:  # where the thresholds chosen are nearly as good as the best, 0
        assert 0 < 2 * special.ndtr(1) - 1 - columns["truth"].mean() < 0.02


@pytest.mark.parametrize(("n", "m"), [(50_000, 10_000), (20_000, 4000), (2000, 400)])
def test_the_null_floor_is_the_mean_advantage_if_nothing_leaks(n, m):
    """Within 4 standard errors and the 1% that the limit for large n and m may be off. Without ties, the
    advantage depends on the order of members and non-members alone."""
    floor = estimates.null_advantage(n, m)
    assert floor == pytest.approx(stats.kstwobign.mean() * math.sqrt(1 / n + 1 / m), rel=1e-6)
    generator, steps = np.random.default_rng(4), np.repeat([1 / n, -1 / m], [n, m])
    advantages = [np.abs(generator.permutation(steps).cumsum()).max() for _ in range(1000)]
    assert abs(np.mean(advantages) - floor) < 4 * np.std(advantages) / math.sqrt(1000) + 0.01 * floor


def two_models(generator, seeds, n, m, shared, distance):
    """Losses of two models that leak alike, an entry for each training seed, on n and m images each, of which
    the share `shared` is the same. How hard an image is makes up 70% of the variance of its loss."""
    ids, means = [], []
    for count, shift in ((n, -distance / 2), (m, distance / 2)):
        hardness = shift + generator.normal(0, math.sqrt(0.7), 2 * count)
        ids.append((np.arange(count), generator.permutation(count) + round((1 - shared) * count)))
        means.append([hardness[which] for which in ids[-1]])

    def train(model):
        losses = [generator.normal(of_kind[model], math.sqrt(0.3)) for of_kind in means]
        return Losses(*losses, *(of_kind[model] for of_kind in ids))

    return [[train(model) for _ in range(seeds)] for model in (0, 1)]


@pytest.mark.parametrize(
    ("seeds", "n", "m", "shared", "distance"),
    [(1, 600, 200, 1, 0), (1, 600, 200, 1, 1), (1, 600, 200, 0.5, 1), (3, 150, 50, 1, 1)],
    ids=["nothing leaks", "same images", "half the images", "three seeds"],
)
def test_one_verdict_in_twenty_claims_a_difference_where_there_is_none(seeds, n, m, shared, distance):
    """By AUC 5%, by held-out advantage at most, within 4 standard errors. Over examples, the interval is as
    wide as the simulated spread says, within 4 standard errors of a standard deviation, 9%."""
    generator = np.random.default_rng(5)
    contrasts = [
        paired_contrast(*two_models(generator, seeds, n, m, shared, distance), NAMES, seed=k)
        for k in range(PAIRED_REPLICATES)
    ]
    by_auc = np.mean([one["auc_verdict"] != NO_DIFFERENCE for one in contrasts])
    by_heldout = np.mean([one["heldout_advantage_verdict"] != NO_DIFFERENCE for one in contrasts])
    assert abs(by_auc - 0.05) < four_errors(0.05, PAIRED_REPLICATES)
    assert 0 < by_heldout < 0.05 + four_errors(0.05, PAIRED_REPLICATES)
    if seeds == 1:
        width = np.mean([one["auc_high"] - one["auc_low"] for one in contrasts])
        spread = np.std([one["auc_difference"] for one in contrasts])
        assert width == pytest.approx(2 * 1.96 * spread, rel=4 / math.sqrt(2 * PAIRED_REPLICATES))


def test_a_verdict_says_both_where_the_measures_differ():
    """Members on either side of all non-members: half of them are found out, and yet the AUC is 0.5."""
    generator = np.random.default_rng(9)
    sides = np.concatenate([generator.uniform(0, 1, 500), generator.uniform(9, 10, 500)])
    between, elsewhere = generator.uniform(4, 6, 500), generator.uniform(4, 6, 1000)
    verdict = paired_contrast([Losses(sides, between)], [Losses(elsewhere, between)], NAMES)["verdict"]
    assert verdict == f"by AUC {NO_DIFFERENCE}; by held-out advantage one leaks more than other"


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_contrast_names_the_model_that_leaks_more(seeds):
    more, less = ([binormal([6, k], 900, 300, d) for k in range(seeds)] for d in (1, 0.2))
    first, second = ([Losses(*losses) for losses in model] for model in (more, less))
    contrast = paired_contrast(first, second, NAMES, seed=8)
    assert contrast["verdict"] == contrast["heldout_advantage_verdict"] == "one leaks more than other"
    assert paired_contrast(second, first, NAMES)["verdict"] == "other leaks more than one"
    assert (contrast["seeds"], contrast["over"]) == (seeds, "examples" if seeds == 1 else "seeds")
    for key in ("auc", "heldout_advantage"):
        differences = np.subtract(*([measure_leakage(*x, seed=8)[key] for x in m] for m in (more, less)))
        assert contrast[f"{key}_difference"] == pytest.approx(differences.mean())
        if seeds > 1:
            interval = contrast[f"{key}_low"], contrast[f"{key}_high"]
            assert interval == pytest.approx(contrasts.student_interval(differences))


# ---------------------------------------------------------------------------------------- ends of the range


@every_hand_made
def test_reports_are_plain_numbers_and_a_seed_repeats(members, nonmembers):
    report = measure_leakage(members, nonmembers, seed=1)
    assert repr(report) == repr(measure_leakage(members, nonmembers, seed=1))
    assert {type(value) for value in report.values()} == {int, float}
    assert all(math.isfinite(value) or "fpr" in key for key, value in report.items())
    for key, least in (("auc", 0), ("heldout_advantage", -1)):
        assert least <= report[f"{key}_low"] <= report[key] <= report[f"{key}_high"] <= 1
        if min(len(members), len(nonmembers)) < 10:  # too few to claim a leak
            assert report[f"{key}_low"] < (1 + least) / 2 < report[f"{key}_high"]


def test_seeds_split_differently():
    reports = [measure_leakage(*HAND_MADE["untied"], seed=seed) for seed in range(9)]
    assert len({report["heldout_advantage"] for report in reports}) > 3


@pytest.mark.parametrize("reverse", [False, True])
def test_a_perfect_separation_is_not_certain_to_be_one(reverse):
    report = measure_leakage(*HAND_MADE["separated"][:: -1 if reverse else 1])
    end = 0.025 ** (1 / 20)
    assert (report["auc"], report["advantage"], report["heldout_advantage"]) == (not reverse, 1, 1)
    assert (report["auc_low"], report["auc_high"]) == pytest.approx((0, 1 - end) if reverse else (end, 1))
    interval = report["heldout_advantage_low"], report["heldout_advantage_high"]
    assert interval == pytest.approx((2 * end - 1, 1))


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [[1.0], [2.0]], 1.0], ids=str)
@pytest.mark.parametrize("kind", ["member", "non-member"])
def test_losses_that_are_no_use(kind, bad):
    for use in (
        measure_leakage,
        lambda *losses: roc_curve(*losses, [0.5]),
        lambda *losses: paired_contrast([Losses(*losses)], [Losses([1.0], [2.0])], NAMES),
    ):
        with pytest.raises(ValueError, match=f"^the {kind} losses"):
            use(*((bad, [1.0]) if kind == "member" else ([1.0], bad)))


def test_contrasts_that_are_no_use():
    good = Losses(*HAND_MADE["untied"])
    for first, second in (([good], [good, good]), ([], [])):
        with pytest.raises(ValueError, match="as many seeds"):
            paired_contrast(first, second, NAMES)
    for ids in (np.zeros(80, int), np.arange(79)):
        with pytest.raises(ValueError, match="member_ids must be 80 different integers"):
            paired_contrast([good], [Losses(good.members, good.nonmembers, ids)], NAMES)
    one, other = HAND_MADE["one of each"]
    decided_by_one_image = paired_contrast([Losses(one, other)], [Losses(other, one)], NAMES)
    assert decided_by_one_image["auc_difference"] == 1
    assert decided_by_one_image["verdict"] == NO_DIFFERENCE


def test_as_many_losses_as_cifar_10_has_images_take_no_time():
    losses = binormal(7, 50_000, 10_000, 1)
    start = time.process_time()
    measure_leakage(*losses)
    assert time.process_time() - start < 2
