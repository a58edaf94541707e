"""leakage/contrasts.py against DeLong's covariance by brute force, hand-worked numbers, and simulated truths.

Where all trainings have the same members, as in an audit, the hardness of an image makes up 70% of the
variance of its loss; the spread of the AUC over trainings is 1.6 times that over images. Half of the hardness
belongs to the kind of model. Studies in complementary pairs are those of benchmarks/simulations.py, in which
they are simulated at length. Seeds are fixed; the standard error of what is simulated stands beside it.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from benchmarks import simulations
from leakage.calibration import calibrated_trainings
from leakage.contrasts import (
    NO_DIFFERENCE,
    NO_VERDICT,
    contrast_of_kinds,
    gain_of_attack,
    gain_of_calibration,
    groups_differ,
    interval_of_kind,
    paired_contrast,
    verdict,
)
from leakage.estimates import (
    Losses,
    auc_with_interval,
    estimates_of,
    heldout_estimate,
    measure_leakage,
)

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
    weights = np.repeat([1 / a, -1 / b], [a, b])
    aucs = [[comparisons(losses).mean() for losses in kind] for kind in (first, second)]
    parts = [np.var(of_kind, ddof=1) / len(of_kind) for of_kind in aucs]
    variance = max(sum(parts) + shared, weights @ covariance @ weights)
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
    variance = max(part + covariance[~np.eye(len(values), dtype=bool)].mean(), covariance.mean())
    degrees = min(variance**2 / (part**2 / (len(values) - 1)), 4 * (len(values) - 1))
    half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    report = interval_of_kind(first)
    assert (report["auc_low"], report["auc_high"]) == pytest.approx(
        (np.mean(values) - half, np.mean(values) + half)
    )
    assert report["auc_degrees"] == pytest.approx(degrees)
    # With another confidence, as a family of seven verdicts needs it: p is adjusted for nothing.
    wide = contrast_of_kinds(first, second, NAMES, confidence=1 - 0.05 / 7)
    half = contrast["auc_high"] - contrast["auc_difference"]
    half *= stats.t.ppf(1 - 0.025 / 7, contrast["auc_degrees"]) / stats.t.ppf(0.975, contrast["auc_degrees"])
    assert wide["auc_high"] - wide["auc_difference"] == pytest.approx(half)
    assert wide["auc_p"] == contrast["auc_p"]


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
    assert verdict(contrast) == NO_VERDICT
    assert contrast_of_kinds(second, first, NAMES)["auc_p"] is None


@pytest.mark.parametrize("trainings", [2, 5, 10])
def test_intervals_over_trainings_and_images_hold(trainings):
    """At most 7% of the 5% nominal are wrong, for one kind and for two that leak alike; 400 replicates, of
    which 5% has a standard error of 1.1%. From 5 trainings on not far below either, and the spread of the
    differences is as they say, within 4 standard errors of a standard deviation."""
    replicates, found = 400, []
    truth = special.ndtr(0.3 / math.sqrt(2 + SEED_SPREAD**2))
    for replicate in range(replicates):
        first, second = two_kinds([9, trainings, replicate], trainings, trainings)
        report = interval_of_kind(first, measures=["auc"])
        contrast = contrast_of_kinds(first, second, NAMES, measures=["auc"])
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


def test_few_trainings_against_many_claim_falsely_seldom():
    """2 against 10, 300 replicates (standard error 1.3%): at most 8%, where Hillis' degrees of freedom
    without a limit give 10%."""
    claimed = [
        contrast_of_kinds(*two_kinds([11, replicate], 2, 10), NAMES, measures=["auc"])["auc_p"] < 0.05
        for replicate in range(300)
    ]
    assert np.mean(claimed) <= 0.08


# --------------------------------------------------------------------------- trainings in complementary pairs


def study(seed, trainings=4, images=400, **world):
    world = simulations.World(images=images, **world)
    return simulations.Study(np.random.default_rng(seed), world, trainings)


def kind_of(study, scores=None):
    return simulations.trainings_of(study.losses() if scores is None else scores, study.is_member)


def by_image(losses, size):
    """What every image adds to the AUC's error (size,): its placement, as a member or as a non-member."""
    table, found = comparisons(losses), np.zeros(size)
    for axis, ids in ((0, losses.member_ids), (1, losses.nonmember_ids)):
        placements = table.mean(1 - axis)
        found[ids] = (placements - placements.mean()) / math.sqrt(len(ids) * (len(ids) - 1))
    return found


def of_kind_by_hand(values, influences, alike=0.3):
    """Spread over trainings, covariance over images and variance over images of the mean; the trainings of a
    pair may correlate by 0.3."""
    count, covariance = len(values), influences @ influences.T
    spread = np.var(values, ddof=1) / count * (1 + alike) / (1 - alike / (count - 1))
    return spread, covariance[~np.eye(count, dtype=bool)].mean(), covariance.mean()


def degrees_of(variance, spreads, count):
    return min(variance**2 / sum(spread**2 / (count - 1) for spread in spreads), 4 * (count - 1))


@pytest.mark.parametrize("count", [2, 4, 6])
def test_the_interval_of_a_kind_in_pairs_is_the_formula(count):
    """Images are matched by id, members of one with non-members of the other; a pair's spread is widened."""
    world = study([20, count], count)
    trainings = kind_of(world)
    values = np.array([comparisons(losses).mean() for losses in trainings])
    influences = np.array([by_image(losses, 400) for losses in trainings])
    spread, between, of_mean = of_kind_by_hand(values, influences)
    assert between < 0  # an easy image helps the one training and harms its twin
    variance = max(spread, of_mean)
    report = interval_of_kind(trainings)
    degrees = degrees_of(variance, [spread], count)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    assert report["auc_degrees"] == pytest.approx(degrees)
    assert report["auc_high"] == pytest.approx(values.mean() + half)
    # The order of the trainings does not matter, nor what an image's number is.
    order = np.random.default_rng(20).permutation(count)
    numbers = np.random.default_rng(21).permutation(1000)
    renamed = [
        Losses(losses.members, losses.nonmembers, numbers[losses.member_ids], numbers[losses.nonmember_ids])
        for losses in (trainings[place] for place in order)
    ]
    assert interval_of_kind(renamed) == pytest.approx(report)
    # Without a twin there is no pair.
    alone = trainings[::2]
    if count > 2:
        spread, between, of_mean = of_kind_by_hand(values[::2], influences[::2], alike=0)
        variance = max(spread + max(between, 0), of_mean)
        half = stats.t.ppf(0.975, degrees_of(variance, [spread], len(alone))) * math.sqrt(variance)
        assert interval_of_kind(alone)["auc_high"] == pytest.approx(min(values[::2].mean() + half, 1))


def test_trainings_that_happen_to_agree_are_no_more_certain_than_their_images():
    """Nothing leaks, and what the spread of four AUCs says is often less, by chance, than the variance of
    their mean over images: then the latter counts."""
    by_images = []
    for replicate in range(20):
        trainings = kind_of(study([22, replicate], 4, memory=0.0, noise=3.0))
        values = np.array([comparisons(losses).mean() for losses in trainings])
        influences = np.array([by_image(losses, 400) for losses in trainings])
        spread, between, of_mean = of_kind_by_hand(values, influences)
        by_images.append(spread + max(between, 0) < of_mean)
        variance = max(spread + max(between, 0), of_mean)
        report = interval_of_kind(trainings, measures=["auc"])
        half = stats.t.ppf(0.975, degrees_of(variance, [spread], 4)) * math.sqrt(variance)
        assert report["auc_high"] - report["auc"] == pytest.approx(half)
        assert report["auc_degrees"] == pytest.approx(degrees_of(variance, [spread], 4))
    assert 3 < sum(by_images) < 17


def test_a_contrast_of_kinds_in_pairs_is_the_formula():
    """The same coins for both kinds: an image's influences on one kind go with those on the other."""
    world = study(23, 4)
    kinds = [kind_of(world) for _ in range(2)]
    values = [np.array([comparisons(losses).mean() for losses in kind]) for kind in kinds]
    influences = [np.array([by_image(losses, 400) for losses in kind]) for kind in kinds]
    parts = [of_kind_by_hand(*of_kind) for of_kind in zip(values, influences, strict=True)]
    spread, between, of_means = np.sum(parts, axis=0)
    shared = (influences[0] @ influences[1].T).mean()
    variance = max(spread + max(between - 2 * shared, 0), of_means - 2 * shared)
    degrees = degrees_of(variance, [part[0] for part in parts], 4)
    contrast = contrast_of_kinds(*kinds, NAMES)
    assert contrast["auc_degrees"] == pytest.approx(degrees)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    assert contrast["auc_high"] == pytest.approx(values[0].mean() - values[1].mean() + half)
    # Equal kinds, trained on the same coins: nothing but their images separates them.
    twice = contrast_of_kinds(kinds[0], kinds[0], NAMES)
    assert (twice["auc_difference"], twice["auc_p"]) == (0, 1)


def test_the_tpr_of_a_kind_is_by_influences_too():
    world = study(24, 4, images=3000)
    trainings = kind_of(world)
    report, name = interval_of_kind(trainings), "tpr_at_1pct_fpr"
    estimates = [estimates_of(losses, [name])[name] for losses in trainings]
    influences = np.zeros((4, 3000))
    for row, losses, estimate in zip(influences, trainings, estimates, strict=True):
        row[losses.member_ids], row[losses.nonmember_ids] = estimate.members, estimate.nonmembers
    values = np.array([estimate.value for estimate in estimates])
    spread, between, of_mean = of_kind_by_hand(values, influences)
    variance = max(spread + max(between, 0), of_mean)
    half = stats.t.ppf(0.975, degrees_of(variance, [spread], 4)) * math.sqrt(variance)
    assert report[name] == pytest.approx(values.mean())
    assert report[f"{name}_low"] == pytest.approx(max(values.mean() - half, 0))
    assert report[f"{name}_high"] == pytest.approx(values.mean() + half)
    # 1,500 non-members are too few for 0.1%.
    assert {report[f"tpr_at_0p1pct_fpr{end}"] for end in ("", "_low", "_high", "_degrees")} == {None}
    # An interval that would begin below 0 begins at 0.
    few = interval_of_kind(kind_of(study(25, 2, images=3000)), confidence=0.999)
    assert few[f"{name}_low"] == 0


def test_the_calibrated_attack_is_the_threshold_attack_on_calibrated_losses():
    first, second = (kind_of(world) for world in (study(26, 6), study(26, 6, memory=0.3)))
    calibrated = [calibrated_trainings(kind) for kind in (first, second)]
    for use in (
        lambda first, second, **attack: interval_of_kind(first, confidence=0.9, seed=3, **attack),
        lambda first, second, **attack: contrast_of_kinds(first, second, NAMES, seed=3, **attack),
        lambda first, second, **attack: groups_differ(
            [[simulations.group_of(losses, group, 3) for losses in first] for group in range(3)], **attack
        ),
    ):
        found = use(first, second, attack="calibrated")
        assert found == use(*calibrated)
        assert found != use(first, second)


def test_a_gain_is_the_interval_of_the_differences():
    """Training by training and image by image: the attacks judge the same models."""
    trainings = kind_of(study(27, 6))
    stronger = calibrated_trainings(trainings)
    pairs = list(zip(stronger, trainings, strict=True))
    values = np.array([comparisons(better).mean() - comparisons(worse).mean() for better, worse in pairs])
    influences = np.array([by_image(better, 400) - by_image(worse, 400) for better, worse in pairs])
    spread, between, of_mean = of_kind_by_hand(values, influences)
    variance = max(spread + max(between, 0), of_mean)
    degrees = degrees_of(variance, [spread], 6)
    half = stats.t.ppf(0.95, degrees) * math.sqrt(variance)
    gain = gain_of_calibration(trainings, confidence=0.9)
    expected = values.mean(), values.mean() - half, values.mean() + half, degrees
    assert tuple(gain.values()) == pytest.approx(expected)
    assert list(gain) == ["auc_gain", "auc_gain_low", "auc_gain_high", "auc_gain_degrees"]
    assert gain == gain_of_attack(stronger, trainings, confidence=0.9)
    # The same attack gains nothing, and one training says nothing about kinds.
    assert gain_of_attack(trainings, trainings)["auc_gain_high"] == 0
    single = gain_of_attack(stronger[:1], trainings[:1])
    assert list(single.values()) == [values[0], None, None, None]


def test_a_gain_needs_the_same_examples():
    trainings = kind_of(study(28, 4))
    for stronger, weaker, message in (
        (trainings[:2], trainings, "two attacks on the same trainings, not 2 and 4"),
        ([], [], "two attacks on the same trainings, not 0 and 0"),
        (trainings[::-1], trainings, "the same members and non-members, in the same order"),
    ):
        with pytest.raises(ValueError, match=message):
            gain_of_attack(stronger, weaker)


def test_the_intervals_of_a_study_in_pairs_hold():
    """200 studies of 4 trainings by both attacks. Of intervals of 95%, 93% hold or more in truth: fewer than
    178 in 2% of seeds. Claims of 5%, or less: more than 20 in 0.1%, here in the contrast, in the placebo, and
    in the comparison of two attacks that find equally much."""
    found = []
    for replicate in range(200):
        world = study([29, replicate], 4, images=1500)
        both = [simulations.by_both_attacks(kind_of(world)) for _ in range(2)]
        losses = world.losses()
        noisy = [kind_of(world, losses + world.generator.normal(size=losses.shape)) for _ in range(2)]
        equal = simulations.claimed(gain_of_attack(*noisy), "auc_gain", 0.0)
        found.append(simulations.kind_and_contrast(world, *both) | {"equal attacks": equal})
    columns = {key: np.array([of_run[key] for of_run in found], float) for key in found[0]}
    summary = simulations.shares(columns)
    for attack in ("threshold", "calibrated"):
        assert summary[f"{attack}: auc, covered"] >= 178 / 200
        assert summary[f"{attack}: a contrast of equal kinds claims"] <= 0.1
        assert summary[f"{attack}: placebo claims"] <= 0.1
    assert summary["gain: gain, covered"] >= 178 / 200
    assert summary["equal attacks"] <= 0.1
    # And as real trainings do, these differ by more than their images.
    assert summary["threshold: aucs, spread over trainings"] > 1.2 * summary["threshold: over images"]


def test_the_simulations_are_printed_and_taken_up(tmp_path, capsys, monkeypatch):
    results = tmp_path / "simulations.json"
    expected = {
        "kinds-4": "| kinds-4 | calibrated | 0.6",
        "groups-4": "| calibrated: audits with a false claim |",
    }
    for name, line in expected.items():
        simulations.main(runs=2, only=[name], results=results)
        printed = capsys.readouterr().out
        assert f"### {name}" in printed
        assert line in printed
    monkeypatch.setattr(simulations, "simulate", None)
    simulations.main(runs=2, only=[name], results=results)
    assert capsys.readouterr().out == printed


# ------------------------------------------------------------------------------------------------- verdicts


def test_the_kind_that_leaks_more_is_named():
    more, less = two_kinds(12, 4, 4, (1.5, 0.2))
    contrast, swapped = contrast_of_kinds(more, less, NAMES), contrast_of_kinds(less, more, NAMES)
    pair, swapped_pair = paired_contrast(more[0], less[0], NAMES), paired_contrast(less[0], more[0], NAMES)
    for here, there in ((contrast, swapped), (pair, swapped_pair)):
        assert here["auc_low"] > 0 > there["auc_high"]
        assert here["heldout_advantage_low"] > 0 > there["heldout_advantage_high"]
        assert here["auc_low"] == pytest.approx(-there["auc_high"])
        assert verdict(here) == "deep leaks more than flat"
        assert verdict(there) == "flat leaks more than deep"
        assert verdict(here, ("ten classes", "four")) == "ten classes leaks more than four"
    assert (contrast["first"], contrast["second"]) == NAMES
    # The verdict rests on the AUC, whatever the held-out advantage says.
    assert verdict(contrast | {"heldout_advantage_high": -1.0}) == "deep leaks more than flat"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.2, "deep leaks more than flat"),
        (-0.2, -0.001, "flat leaks more than deep"),
        (0.0, 0.2, NO_DIFFERENCE),
        (-0.2, 0.0, NO_DIFFERENCE),
        (-0.1, 0.2, NO_DIFFERENCE),
        (None, None, NO_VERDICT),
    ],
)
def test_a_verdict_never_contradicts_its_interval(low, high, expected):
    """Whatever the p value, which is adjusted for nothing, and the difference say."""
    contrast = {"first": "deep", "second": "flat", "auc_low": low, "auc_high": high}
    assert verdict(contrast | {"auc_p": 0.001, "auc_difference": 0.0}) == expected


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


def any_claim(groups):
    return any(row["above"] or row["below"] for row in groups_differ(groups))


@pytest.mark.parametrize("trainings", [1, 2, 5, 10])
def test_groups_that_leak_alike_are_seldom_named(trainings):
    """Ten groups; of 250 replicates at most 6% name any (standard error of 5%: 1.4%), and the AUCs of all
    groups lie in their intervals at once in 93%."""
    generator, replicates, claims, missed = np.random.default_rng([14, trainings]), 250, 0, 0
    # For one training the interval is about this very training, whose distance groups_of draws.
    common = 0.2 if trainings > 1 else 0.0
    truth = special.ndtr(0.3 / math.sqrt(2 + (trainings > 1) * (0.2**2 + 0.1**2)))
    for _ in range(replicates):
        rows = groups_differ(groups_of(generator, 10, trainings, [0.3] * 10, common))
        claims += any(row["above"] or row["below"] for row in rows)
        missed += not all(row["auc_low"] <= truth <= row["auc_high"] for row in rows)
    assert claims / replicates <= 0.06
    assert missed / replicates <= 0.07


@pytest.mark.parametrize(("count", "size"), [(10, 20), (10, 200), (10, 1000), (200, 20)])
def test_an_audit_of_one_training_names_no_equal_groups(count, size):
    """At most 6% of 100 audits (standard error of 5%: 2.2%)."""
    generator, claims = np.random.default_rng([15, count, size]), 0
    for _ in range(100):
        losses = generator.normal(size=(count, 2, size))
        claims += any_claim([[Losses(members - 0.5, others)] for members, others in losses])
    assert claims <= 6


@pytest.mark.parametrize("trainings", [2, 4])
def test_groups_of_few_examples_in_several_trainings_are_seldom_named(trainings):
    """200 groups of 20 and 20, 20 replicates: none to 2; by the influences alone it was half of them."""
    generator = np.random.default_rng([16, trainings])
    replicates = [any_claim(groups_of(generator, 200, trainings, [0.8] * 200, n=20, m=20)) for _ in range(20)]
    assert sum(replicates) <= 2


@pytest.mark.parametrize("trainings", [1, 2, 5])
def test_groups_that_leak_differently_are_named(trainings):
    generator = np.random.default_rng(17)
    groups = groups_of(generator, 4, trainings, [0.6, 0.6, -0.6, 2.0], own=0.05)
    found = groups_differ(groups)
    assert [row["above"] for row in found] == [False, False, False, True]
    assert [row["below"] for row in found] == [False, False, True, False]
    for row in found:
        assert row["above"] == (row["difference_low"] > 0)
        assert row["below"] == (row["difference_high"] < 0)
        assert row["auc_low"] < row["auc"] < row["auc_high"]
    assert sum(row["difference"] for row in found) == pytest.approx(0)
    # Nothing depends on the order of the groups or of the trainings.
    again = groups_differ([group[::-1] for group in groups[::-1]])[::-1]
    for row, same in zip(found, again, strict=True):
        assert row == pytest.approx(same)
    # More confidence, wider intervals.
    for row, wide in zip(found, groups_differ(groups, confidence=0.999), strict=True):
        for what in ("auc", "difference"):
            assert wide[f"{what}_low"] <= row[f"{what}_low"] < row[f"{what}_high"] <= wide[f"{what}_high"]
        assert wide["difference_low"] < row["difference_low"] or row["difference_low"] == -1


def test_the_intervals_of_groups_in_one_training_are_the_formula():
    groups = groups_of(np.random.default_rng(18), 3, 1, [0.3, 0.5, 0.7])
    # Student's quantile, with Welch's degrees of freedom, for the normal one.
    each = []
    for (losses,) in groups:
        table = comparisons(losses)
        parts = [table.mean(1).var(ddof=1) / 150, table.mean(0).var(ddof=1) / 75]
        degrees = sum(parts) ** 2 / (parts[0] ** 2 / 149 + parts[1] ** 2 / 74)
        confidence = 2 * stats.norm.cdf(stats.t.ppf(1 - 0.025 / 3, degrees)) - 1
        each.append(auc_with_interval(losses.members, losses.nonmembers, confidence=confidence))
    aucs, lows, highs = np.array(each).T
    for place, row in enumerate(groups_differ(groups)):
        assert (row["auc"], row["auc_low"], row["auc_high"]) == pytest.approx(each[place])
        # 2/3 of the own AUC less 1/3 of each other: its low end takes the others' high ends.
        others = [other for other in range(3) if other != place]
        down = [2 / 3 * (aucs - lows)[place], *((highs - aucs)[others] / 3)]
        up = [2 / 3 * (highs - aucs)[place], *((aucs - lows)[others] / 3)]
        difference = aucs[place] - aucs.mean()
        expected = difference, difference - math.hypot(*down), difference + math.hypot(*up)
        assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx(expected)


def test_the_intervals_of_groups_in_several_trainings_are_the_formula():
    """Three groups, four trainings on the same members."""
    groups = groups_of(np.random.default_rng(19), 3, 4, [0.3, 0.5, 0.7])
    aucs = np.array([[comparisons(losses).mean() for losses in group] for group in groups])
    tables = [delong(*group) for group in groups]
    whole, own = (
        np.array([table.mean() for table in tables]),
        np.array([table.trace() / 4 for table in tables]),
    )
    pairs = np.array([table[~np.eye(4, dtype=bool)].mean() for table in tables])
    spread = np.var(aucs - aucs.mean(0), axis=1, ddof=1).mean() / 4
    of_differences = [4 / 9 * part + (part.sum() - part) / 9 for part in (pairs, whole)]
    beside = max(spread + of_differences[0].mean() - of_differences[1].mean(), 0)
    assert beside > 0
    half = stats.t.ppf(1 - 0.025 / 3, 2 * 3) * math.sqrt(beside)

    def over_images(confidence):
        """Distances to the ends, of each group's mean AUC: Newcombe's is for as many examples as tell as
        much, DeLong's for the variance of the mean."""
        distances = []
        for auc, variance, one in zip(aucs.mean(1), whole, own, strict=True):
            width = stats.norm.ppf((1 + confidence) / 2)
            n, m = 150 * one / variance, 75 * one / variance
            errors = width * math.sqrt(variance) / (auc * (1 - auc))
            low, high = special.expit(special.logit(auc) + np.array([-errors, errors]))
            grid = np.linspace(0.001, 0.999, 200_001)
            pairs_of = 1 + ((n + m) / 2 - 1) * ((1 - grid) / (2 - grid) + grid / (1 + grid))
            inside = grid[np.abs(auc - grid) <= width * np.sqrt(grid * (1 - grid) * pairs_of / (n * m))]
            distances.append((auc - min(low, inside.min()), max(high, inside.max()) - auc))
        return np.array(distances)

    found = groups_differ(groups)
    down, up = over_images(1 - 0.05 / 3).T
    for place, row in enumerate(found):
        others = [other for other in range(3) if other != place]
        difference = aucs[place].mean() - aucs.mean()
        assert row["difference"] == pytest.approx(difference)
        low = math.hypot(2 / 3 * down[place], *(up[others] / 3), half)
        high = math.hypot(2 / 3 * up[place], *(down[others] / 3), half)
        assert row["difference_low"] == pytest.approx(difference - low, abs=2e-5)
        assert row["difference_high"] == pytest.approx(difference + high, abs=2e-5)
    # An AUC adds what is common to all groups, each with half of the risk.
    common, part = aucs.mean(0), np.var(aucs.mean(0), ddof=1) / 4
    variance = max(part + pairs.sum() / 9, whole.sum() / 9)
    degrees = min(variance**2 / (part**2 / 3), 12)
    in_common = stats.t.ppf(1 - 0.025 / 2, degrees) * math.sqrt(variance)
    assert common.mean() == pytest.approx(np.mean([row["auc"] for row in found]))
    half = stats.t.ppf(1 - 0.0125 / 3, 2 * 3) * math.sqrt(beside)
    down, up = over_images(1 - 0.025 / 3).T
    low = math.hypot(2 / 3 * down[0], *(up[1:] / 3), half, in_common)
    assert found[0]["auc_low"] == pytest.approx(aucs[0].mean() - low, abs=2e-5)


# ---------------------------------------------------------------------------------------- ends of the range


def test_too_few_examples_show_no_difference():
    one_of_each, turned_round = Losses([0.1], [0.2]), Losses([0.2], [0.1])
    pair = paired_contrast(one_of_each, turned_round, NAMES)
    kinds = contrast_of_kinds([one_of_each] * 2, [turned_round] * 3, NAMES)
    for contrast in (pair, kinds):
        assert contrast["auc_difference"] == 1
        assert (contrast["auc_low"], contrast["auc_high"], contrast["auc_p"]) == (-1, 1, 1)
        assert (contrast["heldout_advantage_low"], contrast["heldout_advantage_high"]) == (-2, 2)
        assert verdict(contrast) == NO_DIFFERENCE
    for trainings in (1, 3):
        rows = groups_differ([[one_of_each] * trainings, [turned_round] * trainings])
        assert not any(row["above"] or row["below"] for row in rows)


def test_a_perfect_separation_by_every_training_is_not_certain():
    separated = Losses(np.zeros(20), np.ones(20))
    report = interval_of_kind([separated] * 3)
    assert (report["auc"], report["auc_low"], report["auc_high"]) == auc_with_interval(
        np.zeros(20), np.ones(20)
    )
    assert report["auc_low"] < 0.95
    # All members are caught: as 1,000 of 1,000 are.
    caught = interval_of_kind([Losses(np.zeros(1000), np.ones(1000))] * 3)
    assert caught["tpr_at_1pct_fpr"] == caught["tpr_at_1pct_fpr_high"] == 1
    assert caught["tpr_at_1pct_fpr_low"] == pytest.approx(0.025 ** (1 / 1000))
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
    for use in (
        lambda attack: contrast_of_kinds([good], [good], NAMES, attack=attack),
        lambda attack: interval_of_kind([good], attack=attack),
        lambda attack: groups_differ([[good], [good]], attack=attack),
    ):
        with pytest.raises(ValueError, match="the attack must be one of threshold, calibrated, not loss"):
            use("loss")
        with pytest.raises(ValueError, match="4 trainings or more, in pairs, not 1"):
            use("calibrated")
    for use in (
        lambda: contrast_of_kinds([good], [good], NAMES, confidence=95),
        lambda: paired_contrast(good, good, NAMES, confidence=95),
        lambda: interval_of_kind([good], confidence=95),
        lambda: gain_of_attack([good], [good], confidence=95),
        lambda: groups_differ([[good], [good]], confidence=95),
    ):
        with pytest.raises(ValueError, match="the confidence of an interval must be between 0 and 1, not 95"):
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
