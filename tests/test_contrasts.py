"""leakage/contrasts.py against DeLong's covariance by brute force, hand-worked numbers, and simulated truths.

In the simulations the hardness of an image makes up 70% of the variance of its loss, as the influences of two
trainings of one kind correlate by about 0.7; the spread of the AUC over trainings is 1.6 times that over
images, as 0.005 is to 0.0032 for 50,000 and 10,000 losses. Half of the hardness belongs to the kind of model.
Seeds are fixed; the standard error of what is simulated stands beside it.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from leakage import contrasts
from leakage.contrasts import (
    NO_DIFFERENCE,
    NO_VERDICT,
    contrast_of_kinds,
    groups_differ,
    holm,
    interval_of_kind,
    paired_contrast,
    verdict,
)
from leakage.estimates import Losses, auc_with_interval, heldout_estimate, measure_leakage

NAMES = ("deep", "flat")
N, M = 120, 60  # members and non-members of a simulated training
SEED_SPREAD = 0.24  # of the distance between both kinds' losses; the AUC's, over trainings, is 1.6 times v


def comparisons(losses):
    """(n, m): 1 where the member has the lower loss, 1/2 where they tie, else 0."""
    members = np.asarray(losses.members)[:, None]
    return (members < losses.nonmembers) + (members == losses.nonmembers) / 2


def delong(*trained):
    """Covariance over examples of the AUCs of trained models on the same examples (DeLong 1988)."""
    tables = [comparisons(losses) for losses in trained]
    rows, columns = ([table.mean(axis) for table in tables] for axis in (1, 0))
    return np.atleast_2d(np.cov(rows) / len(rows[0]) + np.cov(columns) / len(columns[0]))


def trainings_of(generator, hardness, count, distance, spread=SEED_SPREAD, n=N):
    """Losses of `count` trainings on the images of this hardness, members first; a training leaks by its own
    distance between both kinds' losses."""
    trained = []
    for _ in range(count):
        half = generator.normal(distance, spread) / 2
        members = generator.normal(hardness[:n] - half, math.sqrt(0.3))
        trained.append(Losses(members, generator.normal(hardness[n:] + half, math.sqrt(0.3))))
    return trained


def two_kinds(seed, first_trainings, second_trainings, distances=(0.3, 0.3), spread=SEED_SPREAD):
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, math.sqrt(0.35), N + M)
    return [
        trainings_of(generator, shared + generator.normal(0, math.sqrt(0.35), N + M), count, distance, spread)
        for count, distance in zip((first_trainings, second_trainings), distances, strict=True)
    ]


# --------------------------------------------------------------------------------------- two trained models


def test_a_paired_interval_is_delong_s_and_an_unpaired_one_is_wider():
    ((first,), (second,)) = two_kinds(1, 1, 1)
    covariance = delong(first, second)
    assert covariance[0, 1] > 0
    order = np.arange(N)[::-1]
    for judged_later, shared in (
        (second, True),
        (Losses(second.members[order], second.nonmembers, order), True),
        (Losses(second.members, second.nonmembers, np.arange(N, 2 * N), np.arange(2 * N, 2 * N + M)), False),
    ):
        contrast = paired_contrast(first, judged_later, NAMES)
        error = math.sqrt(covariance.trace() - (2 * covariance[0, 1] if shared else 0))
        difference = comparisons(first).mean() - comparisons(second).mean()
        assert contrast["auc_difference"] == pytest.approx(difference)
        interval = difference - 1.959964 * error, difference + 1.959964 * error
        assert (contrast["auc_low"], contrast["auc_high"]) == pytest.approx(interval)
        assert contrast["auc_p"] == pytest.approx(2 * stats.norm.sf(abs(difference) / error))
    assert (contrast["first"], contrast["second"], contrast["over"]) == (*NAMES, "examples")


def test_an_image_that_is_a_member_of_one_model_and_a_nonmember_of_the_other_is_the_same_image():
    """One numbering for both kinds of example. A hard image makes one AUC smaller, the other larger."""
    generator = np.random.default_rng(2)
    hardness = generator.normal(0, 1, 80)
    ids = np.arange(80)
    first = Losses(hardness[:40] - 0.2, hardness[40:], ids[:40], ids[40:])
    second = Losses(hardness[40:] - 0.3, hardness[:40], ids[40:], ids[:40])
    placements = [comparisons(losses) for losses in (first, second)]
    by_image = [
        np.concatenate([table.mean(1) - table.mean(), table.mean(0) - table.mean()]) / math.sqrt(40 * 39)
        for table in placements
    ]
    error = math.sqrt(np.square(by_image[0] - np.roll(by_image[1], 40)).sum())
    contrast = paired_contrast(first, second, NAMES)
    assert contrast["auc_high"] - contrast["auc_low"] == pytest.approx(2 * 1.959964 * error)
    assert error**2 > 1.5 * (np.square(by_image[0]).sum() + np.square(by_image[1]).sum())


def test_one_claim_in_twenty_is_false_between_two_trained_models():
    """500 contrasts of two models that leak alike: 5% by AUC, at most that by held-out advantage, within 4
    standard errors (3.9%), on the same images or half of them; and as wide as the simulated spread says."""
    for shared in (1, 0.5):
        generator, replicates = np.random.default_rng(3), 250
        found = []
        for _ in range(replicates):
            hardness = generator.normal(0, math.sqrt(0.7), 3 * N + 3 * M)
            trained = []
            for _ in range(2):
                members = np.arange(N) + len(trained) * round(N * (1 - shared))
                nonmembers = 3 * N + np.arange(M) + len(trained) * round(M * (1 - shared))
                images = np.concatenate([members, nonmembers])
                (losses,) = trainings_of(generator, hardness[images], 1, 0.5, spread=0)
                trained.append(Losses(losses.members, losses.nonmembers, members, nonmembers))
            found.append(paired_contrast(*trained, NAMES))
        columns = {key: np.array([contrast[key] for contrast in found]) for key in found[0]}
        tolerance = 4 * math.sqrt(0.05 * 0.95 / replicates)
        assert abs((columns["auc_p"] < 0.05).mean() - 0.05) < tolerance
        assert (columns["heldout_advantage_p"] < 0.05).mean() < 0.05 + tolerance
        width = (columns["auc_high"] - columns["auc_low"]).mean() / 2 / 1.959964
        assert width == pytest.approx(columns["auc_difference"].std(), rel=4 / math.sqrt(2 * replicates))


# ------------------------------------------------------------------------------------------- kinds of model


def by_pairs(first, second):
    """Difference, variance, degrees: every covariance of two trainings' AUCs, from DeLong's own table."""
    covariance = delong(*first, *second)
    a, b = len(first), len(second)
    within = [
        block[~np.eye(len(block), dtype=bool)].mean() for block in (covariance[:a, :a], covariance[a:, a:])
    ]
    shared = max(sum(within) - 2 * covariance[:a, a:].mean(), 0)
    aucs = [[comparisons(losses).mean() for losses in kind] for kind in (first, second)]
    parts = [np.var(of_kind, ddof=1) / len(of_kind) for of_kind in aucs]
    variance = sum(parts) + shared
    degrees = variance**2 / sum(part**2 / (count - 1) for part, count in zip(parts, (a, b), strict=True))
    return np.mean(aucs[0]) - np.mean(aucs[1]), variance, min(degrees, 4 * (min(a, b) - 1))


@pytest.mark.parametrize(
    ("first_trainings", "second_trainings", "spread"), [(2, 2, 0.2), (3, 5, 0.2), (4, 3, 0)]
)
def test_a_contrast_of_kinds_is_obuchowski_and_rockette_s(first_trainings, second_trainings, spread):
    first, second = two_kinds(4, first_trainings, second_trainings, spread=spread)
    difference, variance, degrees = by_pairs(first, second)
    contrast = contrast_of_kinds(first, second, NAMES)
    assert contrast["auc_difference"] == pytest.approx(difference)
    assert contrast["auc_degrees"] == pytest.approx(degrees)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    assert (contrast["auc_low"], contrast["auc_high"]) == pytest.approx(
        (difference - half, difference + half)
    )
    assert contrast["auc_p"] == pytest.approx(2 * stats.t.sf(abs(difference) / math.sqrt(variance), degrees))
    assert (contrast["first"], contrast["second"]) == NAMES
    assert (contrast["first_trainings"], contrast["second_trainings"]) == (first_trainings, second_trainings)
    assert contrast["over"] == "trainings and examples"
    # One kind alone.
    covariance = delong(*first)
    values = [comparisons(losses).mean() for losses in first]
    part = np.var(values, ddof=1) / len(values)
    variance = part + covariance[~np.eye(len(values), dtype=bool)].mean()
    degrees = min(variance**2 / (part**2 / (len(values) - 1)), 4 * (len(values) - 1))
    half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    report = interval_of_kind(first)
    assert (report["auc_low"], report["auc_high"]) == pytest.approx(
        (np.mean(values) - half, np.mean(values) + half)
    )
    assert report["auc_degrees"] == pytest.approx(degrees)


def test_nothing_depends_on_the_order_of_the_trainings_or_of_the_images():
    first, second = two_kinds(5, 4, 3)
    contrast, report = contrast_of_kinds(first, second, NAMES), interval_of_kind(first)
    order = np.random.default_rng(5).permutation(N)
    moved = [Losses(kept.members[order], kept.nonmembers, order) for kept in second]
    for shuffled in ([first[k] for k in (2, 0, 3, 1)], first):
        again = contrast_of_kinds(shuffled, moved[::-1], NAMES)
        assert {k: again[k] for k in contrast if k.startswith("auc")} == pytest.approx(
            {k: contrast[k] for k in contrast if k.startswith("auc")}
        )
        assert interval_of_kind(shuffled) == pytest.approx(report)


def test_images_that_one_kind_alone_has_seen_stand_alone():
    """The second kind saw a third of the images: as if the others' influences on it were 0."""
    generator = np.random.default_rng(6)
    hardness = generator.normal(0, math.sqrt(0.7), N + M)
    first = trainings_of(generator, hardness, 3, 0.3)
    member_ids, nonmember_ids = np.arange(0, N, 3), np.arange(0, M, 3)
    some = np.concatenate([hardness[member_ids], hardness[N + nonmember_ids]])
    second = [
        Losses(kept.members, kept.nonmembers, member_ids, -1 - nonmember_ids)
        for kept in trainings_of(generator, some, 4, 0.3, n=len(member_ids))
    ]
    elsewhere = [
        Losses(kept.members, kept.nonmembers, 1000 + member_ids, 2000 + nonmember_ids) for kept in second
    ]
    shared, apart = (contrast_of_kinds(first, kind, NAMES) for kind in (second, elsewhere))

    def centred(losses, axis):
        table = comparisons(losses)
        return table.mean(1 - axis) - table.mean()

    cross = 0
    for here, there in itertools.product(first, second):
        for axis, ids, (n, m) in ((0, member_ids, (N, 40)), (1, nonmember_ids, (M, 20))):
            products = centred(here, axis)[ids] * centred(there, axis)
            cross += products.sum() / math.sqrt(n * (n - 1) * m * (m - 1)) / 12
    parts = [
        np.var([comparisons(kept).mean() for kept in kind], ddof=1) / len(kind) for kind in (first, second)
    ]
    own = sum(delong(*kind)[~np.eye(len(kind), dtype=bool)].mean() for kind in (first, second))
    for contrast, variance in ((apart, sum(parts) + own), (shared, sum(parts) + own - 2 * cross)):
        degrees = min(variance**2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3), 8)
        width = 2 * stats.t.ppf(0.975, degrees) * math.sqrt(variance)
        assert contrast["auc_high"] - contrast["auc_low"] == pytest.approx(width)


def test_a_difference_is_that_of_the_rows_it_is_made_of():
    first, second = two_kinds(7, 3, 2)
    rows = [interval_of_kind(kind, seed=4) for kind in (first, second)]
    contrast = contrast_of_kinds(first, second, NAMES, seed=4)
    pair = paired_contrast(first[0], second[0], NAMES, seed=4)
    reports = [measure_leakage(kind[0].members, kind[0].nonmembers, seed=4) for kind in (first, second)]
    for measure in ("auc", "heldout_advantage"):
        assert contrast[f"{measure}_difference"] == rows[0][measure] - rows[1][measure]
        assert pair[f"{measure}_difference"] == reports[0][measure] - reports[1][measure]
        values = [measure_leakage(kept.members, kept.nonmembers, seed=4)[measure] for kept in first]
        assert rows[0][measure] == pytest.approx(np.mean(values), abs=1e-15)
    assert (
        contrast["heldout_advantage_difference"]
        != contrast_of_kinds(first, second, NAMES)["heldout_advantage_difference"]
    )


def test_one_training_says_nothing_about_kinds():
    first, second = two_kinds(8, 1, 5)
    report = interval_of_kind(first)
    assert report["auc"] == comparisons(first[0]).mean()
    contrast = contrast_of_kinds(first, second, NAMES)
    for measure in ("auc", "heldout_advantage"):
        assert {report[f"{measure}_{part}"] for part in ("low", "high", "degrees")} == {None}
        assert {contrast[f"{measure}_{part}"] for part in ("low", "high", "p", "degrees")} == {None}
        assert isinstance(contrast[f"{measure}_difference"], float)
    assert verdict(contrast, None) == NO_VERDICT
    assert contrast_of_kinds(second, first, NAMES)["auc_p"] is None


@pytest.fixture
def auc_alone(monkeypatch):
    """Without the held-out advantage, whose 20 splits are most of the time."""
    monkeypatch.delitem(contrasts.MEASURES, "heldout_advantage")


@pytest.mark.usefixtures("auc_alone")
@pytest.mark.parametrize("trainings", [2, 5, 10])
def test_intervals_over_trainings_and_images_hold(trainings):
    """At most 7% of the 5% nominal are wrong, for one kind and for two that leak alike; 400 replicates, of
    which 5% has a standard error of 1.1%. From 5 trainings on not far below either, and the spread of the
    differences is as they say, within 4 standard errors of a standard deviation."""
    replicates, found = 400, []
    truth = special.ndtr(0.3 / math.sqrt(2 + SEED_SPREAD**2))
    for replicate in range(replicates):
        first, second = two_kinds([9, trainings, replicate], trainings, trainings)
        report, contrast = interval_of_kind(first), contrast_of_kinds(first, second, NAMES)
        missed = not report["auc_low"] <= truth <= report["auc_high"]
        half = contrast["auc_high"] - contrast["auc_difference"]
        error = half / stats.t.ppf(0.975, contrast["auc_degrees"])
        found.append((missed, contrast["auc_p"] < 0.05, contrast["auc_difference"], error))
    missed, claimed, differences, errors = np.array(found).T
    assert missed.mean() <= 0.07
    assert claimed.mean() <= 0.07
    if trainings > 2:
        assert min(missed.mean(), claimed.mean()) > 0.02
    spread = math.sqrt(np.square(errors).mean())
    assert spread == pytest.approx(differences.std(), rel=4 / math.sqrt(2 * replicates))


def test_the_heldout_advantage_claims_no_difference_of_kinds_too_often():
    """100 replicates of 3 trainings (standard error of 5%: 2.2%): at most 7%."""
    claimed = [
        contrast_of_kinds(*two_kinds([10, replicate], 3, 3), NAMES)["heldout_advantage_p"] < 0.05
        for replicate in range(100)
    ]
    assert np.mean(claimed) <= 0.07


@pytest.mark.usefixtures("auc_alone")
def test_few_trainings_against_many_claim_falsely_seldom():
    """2 against 10, 300 replicates (standard error 1.3%): at most 8%, where Hillis' degrees of freedom
    without a limit give 10%."""
    claimed = [
        contrast_of_kinds(*two_kinds([11, replicate], 2, 10), NAMES)["auc_p"] < 0.05
        for replicate in range(300)
    ]
    assert np.mean(claimed) <= 0.08


# ------------------------------------------------------------------------------------------------- verdicts


def test_the_kind_that_leaks_more_is_named():
    more, less = two_kinds(12, 4, 4, (1.5, 0.2))
    contrast, swapped = contrast_of_kinds(more, less, NAMES), contrast_of_kinds(less, more, NAMES)
    pair, swapped_pair = paired_contrast(more[0], less[0], NAMES), paired_contrast(less[0], more[0], NAMES)
    for here, there in ((contrast, swapped), (pair, swapped_pair)):
        assert here["auc_low"] > 0 > there["auc_high"]
        assert here["heldout_advantage_low"] > 0 > there["heldout_advantage_high"]
        assert here["auc_low"] == pytest.approx(-there["auc_high"])
        assert verdict(here, here["auc_p"]) == "deep leaks more than flat"
        assert verdict(there, there["auc_p"]) == "flat leaks more than deep"
        assert verdict(here, 0.05) == NO_DIFFERENCE
        assert verdict(here, 0.0499, ("ten classes", "four")) == "ten classes leaks more than four"
    assert (contrast["first"], contrast["second"]) == NAMES
    # The verdict rests on the AUC, whatever the held-out advantage says.
    assert verdict(contrast | {"heldout_advantage_difference": -1.0}, 0.01) == "deep leaks more than flat"


def test_holm_by_hand():
    # Four: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not fall below its predecessor's.
    assert holm([0.01, None, 0.04, 0.03, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, 0.5]) == [1, 1, 1]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
    assert holm([None, None]) == [None, None]


def test_holm_keeps_the_chance_of_any_false_claim():
    """12 true null hypotheses: at least one is rejected in 5% of 4,000 replicates (standard error 0.3%)."""
    p_values = np.random.default_rng(13).random((4000, 12))
    rejected = np.mean([min(holm(row.tolist())) < 0.05 for row in p_values])
    assert abs(rejected - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 4000)


# --------------------------------------------------------------------------------------------------- groups


def groups_of(generator, count, trainings, distances, common=0.2, own=0.1, n=150, m=75):
    """Groups of images with trainings in common, which move all groups together and each a little alone."""
    together = generator.normal(0, common, trainings)
    groups = []
    for group in range(count):
        hardness = generator.normal(0, math.sqrt(0.7), n + m)
        halves = (distances[group] + together + generator.normal(0, own, trainings) * (trainings > 1)) / 2
        groups.append(
            [
                Losses(
                    generator.normal(hardness[:n] - half, math.sqrt(0.3)),
                    generator.normal(hardness[n:] + half, math.sqrt(0.3)),
                )
                for half in halves
            ]
        )
    return groups


@pytest.mark.parametrize("trainings", [1, 2, 5, 10])
def test_groups_that_leak_alike_seldom_differ(trainings):
    """Ten groups; 5% nominal, at most 7% of 250 replicates (standard error 1.4%); the mean of p is 0.5 within
    4 standard errors."""
    generator, replicates = np.random.default_rng([14, trainings]), 250
    p_values = [
        groups_differ(groups_of(generator, 10, trainings, [0.3] * 10))["p"] for _ in range(replicates)
    ]
    assert np.mean(np.array(p_values) < 0.05) <= 0.07
    assert abs(np.mean(p_values) - 0.5) < 4 / math.sqrt(12 * replicates)


@pytest.mark.parametrize("trainings", [1, 2, 5])
def test_groups_that_leak_differently_differ(trainings):
    generator = np.random.default_rng(15)
    groups = groups_of(generator, 4, trainings, [0.3, 0.3, 0.3, 1.2])
    found = groups_differ(groups)
    assert found["p"] < 1e-3
    assert found["degrees"][0] == 3
    # Nothing depends on the order of the groups or of the trainings.
    again = groups_differ([group[::-1] for group in groups[::-1]])
    assert [again["statistic"], again["p"]] == pytest.approx([found["statistic"], found["p"]])


def test_the_statistic_of_one_training_is_chi_squared():
    groups = groups_of(np.random.default_rng(16), 3, 1, [0.3, 0.5, 0.7])
    aucs = np.array([comparisons(group[0]).mean() for group in groups])
    weights = np.array([1 / delong(group[0])[0, 0] for group in groups])
    mean = (weights * aucs).sum() / weights.sum()
    expected = (weights * (aucs - mean) ** 2).sum()
    found = groups_differ(groups)
    assert found["statistic"] * 2 == pytest.approx(expected)
    assert found["p"] == pytest.approx(stats.chi2.sf(expected, 2))
    assert found["degrees"] == (2, math.inf)


def test_the_statistic_of_several_trainings_is_the_formula():
    groups = groups_of(np.random.default_rng(17), 3, 4, [0.3, 0.5, 0.7])
    aucs = np.array([[comparisons(losses).mean() for losses in group] for group in groups])
    residuals = aucs - aucs.mean(0) - aucs.mean(1)[:, None] + aucs.mean()
    own = (residuals**2).sum() / 6 / 4  # 2 x 3 degrees of freedom, mean of 4
    variances = own + np.array([delong(*group)[~np.eye(4, dtype=bool)].mean() for group in groups])
    mean = (aucs.mean(1) / variances).sum() / (1 / variances).sum()
    statistic = ((aucs.mean(1) - mean) ** 2 / variances).sum() / 2
    degrees = variances.mean() ** 2 / (own**2 / 6)
    found = groups_differ(groups)
    assert found["statistic"] == pytest.approx(statistic)
    assert found["degrees"] == (2, pytest.approx(degrees))
    assert found["p"] == pytest.approx(stats.f.sf(statistic, 2, degrees))


# ---------------------------------------------------------------------------------------- ends of the range


def test_too_few_examples_show_no_difference():
    one_of_each, turned_round = Losses([0.1], [0.2]), Losses([0.2], [0.1])
    pair = paired_contrast(one_of_each, turned_round, NAMES)
    kinds = contrast_of_kinds([one_of_each] * 2, [turned_round] * 3, NAMES)
    for contrast in (pair, kinds):
        assert contrast["auc_difference"] == 1
        assert (contrast["auc_low"], contrast["auc_high"], contrast["auc_p"]) == (-1, 1, 1)
        assert (contrast["heldout_advantage_low"], contrast["heldout_advantage_high"]) == (-2, 2)
        assert verdict(contrast, contrast["auc_p"]) == NO_DIFFERENCE
    assert groups_differ([[one_of_each], [turned_round]]) == {"statistic": None, "degrees": None, "p": None}


def test_a_perfect_separation_by_every_training_is_not_certain():
    separated = Losses(np.zeros(20), np.ones(20))
    report = interval_of_kind([separated] * 3)
    assert (report["auc"], report["auc_low"], report["auc_high"]) == auc_with_interval(
        np.zeros(20), np.ones(20)
    )
    assert report["auc_low"] < 0.95
    same = paired_contrast(separated, separated, NAMES)
    assert (same["auc_difference"], same["auc_p"]) == (0, 1)


def test_intervals_stay_within_what_is_possible():
    generator = np.random.default_rng(18)
    trained = trainings_of(generator, generator.normal(0, 0.5, 60), 2, 4, spread=1.5, n=40)
    report = interval_of_kind(trained)
    assert report["auc_high"] == 1
    assert report["heldout_advantage_high"] <= 1
    contrast = contrast_of_kinds(trained, trained[::-1], NAMES)
    assert -1 <= contrast["auc_low"] <= contrast["auc_high"] <= 1


def test_contrasts_of_what_is_no_use():
    good = two_kinds(19, 1, 1)[0][0]
    for member_ids, nonmember_ids, problem in (
        (np.zeros(N, int), None, "must all differ"),
        (np.arange(N - 1), None, f"member_ids must be {N} integers"),
        (np.arange(N) / 2, None, f"member_ids must be {N} integers"),
        (np.arange(N), np.arange(M), "must all differ"),
        (None, np.arange(M + 1), f"nonmember_ids must be {M} integers"),
    ):
        with pytest.raises(ValueError, match=problem):
            paired_contrast(good, Losses(good.members, good.nonmembers, member_ids, nonmember_ids), NAMES)
    for use in (
        lambda: contrast_of_kinds([], [good], NAMES),
        lambda: interval_of_kind([]),
    ):
        with pytest.raises(ValueError, match="no trainings"):
            use()
    for groups in ([[good]], [[good], [good, good]]):
        with pytest.raises(ValueError, match="at least 2 groups with the same trainings"):
            groups_differ(groups)
    for use in (
        lambda bad: paired_contrast(good, bad, NAMES),
        lambda bad: contrast_of_kinds([good], [bad], NAMES),
        lambda bad: interval_of_kind([bad]),
        lambda bad: groups_differ([[good], [bad]]),
    ):
        with pytest.raises(ValueError, match=r"^the non-member losses hold 1 NaN"):
            use(Losses([0.5, 0.6], [0.5, math.nan]))
    assert (
        heldout_estimate(good.members, good.nonmembers).value == interval_of_kind([good])["heldout_advantage"]
    )
