"""Several rows of one person, against Obuchowski's (1997) own formula, brute force and simulated truths.

A simulated loss is what all rows of a person share, `alike` of the variance, and noise; a member's is lower
by `distance`. So the AUC is Phi(distance / sqrt 2) and the TPR at 1% FPR Phi(Phi^-1(0.01) + distance). Seeds
are fixed; four_errors is 4 standard errors of a share. benchmarks/simulations.py does the same at length.
"""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from leakage import contrasts, estimates
from leakage.estimates import (
    FAMILY,
    Losses,
    auc_interval,
    auc_with_interval,
    detectable_auc,
    estimates_of,
    evidence_of_leak,
    mean_by_person,
    measure_leakage,
    rows_a_person,
    tpr_with_interval,
)
from leakage.persons import effective_rows, persons_of

NAMES = ("first", "second")


def four_errors(share, count):
    return 4 * math.sqrt(share * (1 - share) / count)


def audit(generator, persons, rows, alike, distance=0.0, by_row=0.0):
    """Losses of one training: half of the persons are members, or of a share of them each row by a coin."""
    whose = np.repeat(np.arange(persons), rows)
    is_member = whose % 2 == 0
    mixed = whose < by_row * persons
    is_member[mixed] = generator.random(np.count_nonzero(mixed)) < 0.5
    common, noise = generator.normal(size=persons)[whose], generator.normal(size=len(whose))
    values = math.sqrt(alike) * common + math.sqrt(1 - alike) * noise - distance * is_member
    sides = is_member, ~is_member
    return Losses(*(values[side] for side in sides), None, None, *(whose[side] for side in sides))


def measured(losses, **options):
    whose = {"member_persons": losses.member_persons, "nonmember_persons": losses.nonmember_persons}
    return measure_leakage(losses.members, losses.nonmembers, **whose, **options)


def placements(losses):
    """Of members and of non-members, the share of the other side that each is on the right side of."""
    table = losses.members[:, None] < losses.nonmembers
    return table.mean(1), table.mean(0)


# ------------------------------------------------------------------------------------------- whose rows


def test_one_row_a_person_changes_nothing():
    """To the last bit, whatever the persons are called."""
    losses = audit(np.random.default_rng(1), 4000, 1, 0.0, 0.3)
    without = measure_leakage(losses.members, losses.nonmembers)
    names = [f"person {number}" for number in losses.member_persons]
    for members, nonmembers in (
        (losses.member_persons, losses.nonmember_persons),
        (losses.member_persons[::-1], None),
        (names, losses.nonmember_persons),
        (None, names),
    ):
        again = measure_leakage(
            losses.members, losses.nonmembers, member_persons=members, nonmember_persons=nonmembers
        )
        assert again == without


def test_losses_without_persons_are_measured_as_before():
    """Values of 725d108, the last commit before persons, of losses that no generator made."""
    members = [(7919 * number % 10007) / 10007 for number in range(1500)]
    nonmembers = [(104729 * number % 10009) / 9000 for number in range(1, 1201)]
    expected = {
        "auc": 0.5506,
        "auc_low": 0.5284866011615824,
        "auc_high": 0.5725151949932785,
        "advantage": 0.10266666666666667,
        "chance_advantage": 0.03364581317475284,
        "heldout_advantage": 0.083225,
        "heldout_advantage_low": 0.05839875014849327,
        "heldout_advantage_high": 0.10794837216454334,
        "tpr_at_1pct_fpr": 0.011333333333333334,
        "tpr_at_1pct_fpr_low": 0.004212811531032073,
        "tpr_at_1pct_fpr_high": 0.020820958520271018,
        "chance_tpr_at_1pct_fpr": 0.010824313072439634,
        "realised_fpr_at_1pct": 0.01,
        "tnr_at_1pct_fnr": 0.10833333333333334,
        "tnr_at_1pct_fnr_low": 0.09112564790836361,
        "tnr_at_1pct_fnr_high": 0.1279518633532088,
        "chance_tnr_at_1pct_fnr": 0.010659560293137908,
    }
    report = measure_leakage(members, nonmembers, seed=3)
    assert {key: report[key] for key in expected} == pytest.approx(expected, rel=1e-13)
    errors = {
        "auc": 0.01123918004622108,
        "heldout_advantage": 0.012643010823316654,
        "tpr_at_1pct_fpr": 0.00402468498037201,
    }
    found = estimates_of(Losses(members, nonmembers), errors, seed=3)
    assert {name: estimate.standard_error for name, estimate in found.items()} == pytest.approx(
        errors, rel=1e-13
    )


@pytest.mark.parametrize(
    ("members", "nonmembers", "message"),
    [
        ([1, 2], None, r"^member_persons must name 3 persons, one for each loss, not 2"),
        (None, [1], r"^nonmember_persons must name 2 persons, one for each loss, not 1"),
        ([1.0, math.nan, 2.0], [1, 2], r"^1 losses have no person"),
        (["a", None, None], ["a", "b"], r"^2 losses have no person"),
        ([[1], [2], [3]], None, r"^persons must be one row"),
    ],
)
def test_persons_that_are_no_use(members, nonmembers, message):
    with pytest.raises(ValueError, match=message):
        measure_leakage([1.0, 2.0, 3.0], [1.0, 2.0], member_persons=members, nonmember_persons=nonmembers)


def test_a_number_and_its_digits_are_two_persons():
    """Whatever stands beside them: an array of both would be one of texts."""
    persons = persons_of([1, 1, 2], ["1", "2"], 3, 2)
    assert len(np.unique(persons.codes)) == 4
    assert not persons.on_both_sides.any()


def test_numbers_and_names_are_persons_alike():
    losses = audit(np.random.default_rng(2), 60, 5, 0.5, 0.5, by_row=0.3)
    expected = measured(losses)
    for rename in (
        lambda numbers: numbers + 10**12,
        lambda numbers: numbers.astype(float),
        lambda numbers: np.array([f"p{number}" for number in numbers]),
        lambda numbers: np.array([f"p{n}" if n % 3 else int(n) for n in numbers], dtype=object),
    ):
        whose = rename(losses.member_persons), rename(losses.nonmember_persons)
        assert measured(Losses(losses.members, losses.nonmembers, None, None, *whose)) == expected


# ------------------------------------------------------------------------------------------------- AUC


def obuchowski(losses):
    """Variance of the AUC with several rows a person (Obuchowski 1997, equation 5)."""
    area = (losses.members[:, None] < losses.nonmembers).mean()
    everybody = np.union1d(losses.member_persons, losses.nonmember_persons)
    sums = np.zeros((2, len(everybody)))
    for side, (shares, whose) in enumerate(
        zip(placements(losses), (losses.member_persons, losses.nonmember_persons), strict=True)
    ):
        for place, person in enumerate(everybody):
            sums[side, place] = (shares[whose == person] - area).sum()
    n, m = len(losses.members), len(losses.nonmembers)
    persons = [len(np.unique(whose)) for whose in (losses.member_persons, losses.nonmember_persons)]
    own = [
        count / (count - 1) * np.square(of_side).sum() / rows**2
        for count, of_side, rows in zip(persons, sums, (n, m), strict=True)
    ]
    both = len(everybody) / (len(everybody) - 1) * (sums[0] @ sums[1]) / (n * m)
    return sum(own) + 2 * both


def test_the_standard_error_is_obuchowski_s():
    generator = np.random.default_rng(3)
    apart = audit(generator, 40, 6, 0.5, 0.4)
    # All persons on both sides, with three rows on each.
    whose = np.repeat(np.arange(30), 3)
    common = generator.normal(size=30)[whose]
    both = Losses(
        common + generator.normal(size=90) - 0.5, common + generator.normal(size=90), None, None, whose, whose
    )
    for losses in (apart, both):
        auc = estimates_of(losses, ["auc"])["auc"]
        assert auc.standard_error**2 == pytest.approx(obuchowski(losses))
        by_rows = estimates_of(Losses(losses.members, losses.nonmembers), ["auc"])["auc"].standard_error
        # What persons share widens the interval if they are on one side, and cancels if they are on both.
        assert (auc.standard_error > 1.3 * by_rows) == (losses is apart)
        assert (auc.standard_error < 0.9 * by_rows) == (losses is both)
        assert auc.degrees == pytest.approx(38 if losses is apart else 58, abs=6)


def test_persons_with_unequal_numbers_of_rows():
    """1,500 replicates without a leak: the mean of the squared standard error is the variance of the AUC,
    within 4 standard errors of a variance, where a few persons have most of the rows."""
    generator, found = np.random.default_rng(4), []
    rows = np.repeat([1, 2, 3, 30], [10, 10, 8, 2])
    for _ in range(1500):
        values = [
            np.repeat(generator.normal(size=30), rows) + generator.normal(size=rows.sum()) for _ in "ab"
        ]
        whose = np.repeat(np.arange(30), rows)
        auc = estimates_of(Losses(*values, None, None, whose, whose + 30), ["auc"])["auc"]
        found.append((auc.value, auc.standard_error**2, auc.degrees))
    values, variances, degrees = np.array(found).T
    assert values.var() <= variances.mean() * (1 + 4 * math.sqrt(2 / 1500))
    assert variances.mean() < 1.4 * values.var()
    assert degrees.max() < 8  # two persons on each side decide
    half = special.stdtrit(degrees, 0.975) * np.sqrt(variances)
    assert (np.abs(values - 0.5) > half).mean() < 0.07


@pytest.mark.parametrize(("persons", "rows", "alike"), [(100, 20, 0.6), (40, 5, 0.6)])
@pytest.mark.parametrize("distance", [0.0, 0.7])
def test_intervals_over_persons_hold(persons, rows, alike, distance):
    """200 replicates. The AUC's leave out the truth in at most 5% and 3 standard errors, 9.6%; those of the
    TPR at 1% in 7% (benchmarks/README.md) and 2 standard errors, 10.6%. Over rows it is up to 55% and 28%."""
    generator, replicates = np.random.default_rng([5, persons, rows, int(10 * distance)]), 200
    truth, tpr_truth = special.ndtr(distance / math.sqrt(2)), special.ndtr(special.ndtri(0.01) + distance)
    wrong, found = 0, []
    for _ in range(replicates):
        losses = audit(generator, persons, rows, alike, distance)
        low, high = auc_interval(estimates_of(losses, ["auc"])["auc"])
        wrong += not low <= truth <= high
        found.append(tpr_with_interval(losses, 0.01))
    assert wrong / replicates <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / replicates)
    if found[0][0] is None:
        assert persons * rows < 2000
        return
    values, lows, highs = np.array(found).T
    if distance == 0:
        tpr_truth = values.mean()  # of so few non-members a little above 1%
        assert 0.01 < tpr_truth < 0.016
    assert ((lows > tpr_truth) | (highs < tpr_truth)).mean() <= 0.07 + 2 * math.sqrt(0.07 * 0.93 / replicates)


def test_a_separated_audit_is_as_certain_as_its_persons():
    """20 against 20 persons with 50 rows each, all members below all others: not as 1,000 against 1,000."""
    whose = np.repeat(np.arange(20), 50)
    report = measured(Losses(np.zeros(1000), np.ones(1000), None, None, whose, whose + 20))
    auc = auc_with_interval(np.zeros(20), np.ones(20))
    assert (report["auc"], report["auc_low"], report["auc_high"]) == pytest.approx(auc)
    assert report["heldout_advantage_low"] == pytest.approx(2 * 0.025 ** (1 / 20) - 1)
    # The TPR likewise: Student's quantile for 19 degrees of freedom makes 17.5 of 20 persons.
    trials = 20 * (1.959964 / special.stdtrit(19, 0.975)) ** 2
    assert 1 - report["tpr_at_1pct_fpr_low"] == pytest.approx(1 - 0.025 ** (1 / trials), rel=1e-5)


def test_of_fewer_than_ten_persons_nothing_is_claimed():
    generator = np.random.default_rng(6)
    losses = audit(generator, 18, 200, 0.1, 1.0)
    report = measured(losses)
    assert (report["heldout_advantage_low"], report["heldout_advantage_high"]) == (-1, 1)
    assert report["tpr_at_1pct_fpr"] is None
    assert report["tnr_at_1pct_fnr"] is None
    one = Losses(losses.members, losses.nonmembers, None, None, np.zeros(1800), np.ones(1800))
    assert (measured(one)["auc_low"], measured(one)["auc_high"]) == pytest.approx((0, 1), abs=0.05)
    assert measured(one)["heldout_advantage"] == 0


# ----------------------------------------------------------------------------------- the held-out advantage


def test_halves_are_of_persons_and_not_of_rows():
    losses = audit(np.random.default_rng(7), 51, 4, 0.5, by_row=0.4)
    persons = persons_of(
        losses.member_persons, losses.nonmember_persons, len(losses.members), len(losses.nonmembers)
    )
    splits = np.array(list(persons.halves(0, 20)))
    for in_first in splits:
        chosen = np.bincount(persons.codes, in_first) / np.bincount(persons.codes)
        assert set(chosen) == {0, 1}
        for kind in (persons.on_both_sides, ~persons.on_both_sides & (persons.rows[0] > 0)):
            assert abs(chosen[kind].sum() - kind.sum() / 2) <= 0.5
    assert len({split.tobytes() for split in splits}) == 20
    assert (splits == list(persons.halves(0, 20))).all()


def test_the_odd_person_is_in_either_half_by_chance():
    """Of 11 members, 11 non-members and 11 on both sides, independently; within 4 standard errors of half."""
    persons = persons_of([*range(11), *range(22, 33)] * 2, [*range(11, 33)] * 2, 44, 44)
    firsts = np.array([np.bincount(persons.codes, split) > 0 for split in persons.halves(0, 400)])
    kinds = [
        persons.on_both_sides,
        ~persons.on_both_sides & (persons.rows[0] > 0),
        ~persons.on_both_sides & (persons.rows[1] > 0),
    ]
    more = np.array([firsts[:, kind].sum(axis=1) == 6 for kind in kinds])
    assert [kind.sum() for kind in kinds] == [11] * 3
    assert np.abs(more.mean(axis=1) - 0.5).max() < four_errors(0.5, 400)
    assert np.abs(np.corrcoef(more) - np.eye(3)).max() < 4 / 20


def test_the_heldout_advantage_is_that_of_halves_of_persons():
    losses = audit(np.random.default_rng(8), 60, 5, 0.5, 0.8, by_row=0.3)
    members, nonmembers = losses.members, losses.nonmembers
    persons = persons_of(losses.member_persons, losses.nonmember_persons, len(members), len(nonmembers))
    value = 0.0
    for in_first in persons.halves(3, 20):
        halves = [
            (members[half[: len(members)]], nonmembers[half[len(members) :]])
            for half in (in_first, ~in_first)
        ]
        for choosing, judged in (halves, halves[::-1]):
            thresholds = np.sort(np.concatenate(choosing))
            gains = [np.subtract(*((kind <= t).mean() for kind in choosing)) for t in thresholds]
            threshold = thresholds[np.argmax(np.round(gains, 12))]
            value += np.subtract(*((kind <= threshold).mean() for kind in judged)) / 40
    assert measured(losses, seed=3)["heldout_advantage"] == pytest.approx(value)


def test_the_heldout_advantage_of_persons_seldom_claims_a_leak():
    """Over rows 20% and more; 100 replicates, of which 2.5% are allowed and have a standard error of 1.6%."""
    generator, claims = np.random.default_rng(9), 0
    for _ in range(100):
        estimate = estimates_of(audit(generator, 60, 8, 0.6), ["heldout_advantage"])["heldout_advantage"]
        claims += estimates.heldout_interval(estimate)[0] > 0
    assert claims <= 5


# ------------------------------------------------------------------------------------------------- chance


def test_permutations_are_of_persons():
    losses = audit(np.random.default_rng(10), 40, 6, 0.5)
    persons = persons_of(losses.member_persons, losses.nonmember_persons, 120, 120)
    permuted = np.array(list(persons.permutations(0, 200)))
    of_persons = permuted[:, np.argsort(persons.codes, kind="stable")].reshape(200, 40, 6)
    assert (of_persons.all(axis=2) | ~of_persons.any(axis=2)).all()
    assert (permuted.sum(axis=1) == 120).all()
    assert np.abs(of_persons[:, :, 0].mean(axis=0) - 0.5).max() < four_errors(0.5, 200)
    # Persons on both sides keep their numbers of members where all have the same.
    whose = np.repeat(np.arange(30), 4)
    persons = persons_of(whose, whose, 120, 120)
    permuted = np.array(list(persons.permutations(0, 200)))
    of_persons = permuted[:, np.argsort(persons.codes, kind="stable")].reshape(200, 30, 8)
    assert (of_persons.sum(axis=2) == 4).all()
    assert np.abs(permuted.mean(axis=0) - 0.5).max() < four_errors(0.5, 200)


def test_no_permutation_leaves_a_side_without_rows():
    """Where few persons, on both sides, have shares that whole numbers of rows cannot have."""
    for seed in range(100):
        generator = np.random.default_rng(seed)
        n, m = generator.integers(1, 5, 2)
        whose = generator.integers(0, 3, n + m)
        persons = persons_of(whose[:n], whose[n:], n, m)
        for is_member in persons.permutations(seed, 50) if persons is not None else ():
            assert 0 < is_member.sum() < n + m
    few = measure_leakage([0.1, 0.2], [0.3], member_persons=["A", "B"], nonmember_persons=["A"])
    assert few["advantage"] == few["chance_advantage"] == 1 or 0 < few["chance_advantage"] < 1


@pytest.mark.parametrize("by_row", [0.0, 0.5])
def test_chance_levels_are_those_of_audits_that_leak_nothing(by_row):
    """The mean of 200 audits of 100 persons with 10 rows, against the mean of 10 chance levels: within 4
    standard errors. That of independent rows would be 0.055."""
    generator = np.random.default_rng(11)
    audits = [estimates._ranked(audit(generator, 100, 10, 0.5, by_row=by_row)) for _ in range(200)]
    advantages = np.array([estimates._advantage(ranked) for ranked in audits])
    chances = [estimates._chances(ranked) for ranked in audits[:10]]
    chance = np.mean([of_audit["advantage"] for of_audit in chances])
    assert abs(advantages.mean() - chance) < 4 * advantages.std() * math.sqrt(1 / 200 + 1 / 200)
    assert chance > 0.06
    rates = [estimates._cuts(*(side.losses for side in ranked.sides), 5)[0].called / 500 for ranked in audits]
    chance = np.mean([of_audit["tpr_at_1pct_fpr"] for of_audit in chances])
    assert abs(np.mean(rates) - chance) < 4 * np.std(rates) * math.sqrt(1 / 200 + 1 / 200)


def test_rows_tell_as_much_as_the_design_effect_says():
    """All rows of a person alike: as many as persons. All independent: about as many as rows."""
    whose = np.repeat(np.arange(500), 10)
    student = (1.959964 / special.stdtrit(499, 0.975)) ** 2
    alike = np.repeat(np.arange(500) % 4 == 0, 10).astype(float)
    assert effective_rows(alike, whose, 0.95) == pytest.approx(500 * student, rel=0.01)
    independent = (np.random.default_rng(12).random(5000) < 0.25).astype(float)
    assert effective_rows(independent, whose, 0.95) > 4500
    for nothing_varies in (np.zeros(5000), np.ones(5000)):
        assert effective_rows(nothing_varies, whose, 0.95) == pytest.approx(500 * student, rel=1e-5)


# ------------------------------------------------------------------------------------ the mean loss a person


def test_the_mean_loss_a_person():
    losses = Losses(
        np.append([1.0, 3.0, 5.0, 100.0], np.arange(9.0)),
        np.append([2.0, 4.0, 200.0], np.arange(9.0)),
        None,
        None,
        ["a", "b", "a", "both", *"cdefghijk"],
        ["x", "x", "both", *"lmnopqrst"],
    )
    means = mean_by_person(losses)
    assert means.members.tolist() == [3, 3, *range(9)]
    assert means.nonmembers.tolist() == [3, *range(9)]
    assert len({*means.member_ids.tolist(), *means.nonmember_ids.tolist()}) == 21
    plain = audit(np.random.default_rng(13), 40, 1, 0.0)
    assert mean_by_person(plain).members.tolist() == plain.members.tolist()


def test_who_has_no_mean_loss_is_left_out_of_the_means():
    """Rows with inf and -inf, as a calibrated loss can be; with one of them alone the mean is infinite."""
    whose = np.repeat(np.arange(40), 2)
    values = np.random.default_rng(17).normal(size=80)
    values[[0, 1, 42, 43]] = np.inf, -np.inf, -np.inf, np.inf
    values[[2, 4]] = np.inf, -np.inf
    means = mean_by_person(Losses(values[:40], values[40:], None, None, whose[:40], whose[40:]))
    assert means.member_ids.tolist() == list(range(1, 20))
    assert means.nonmember_ids.tolist() == [20, *range(22, 40)]
    assert means.members[:2].tolist() == [np.inf, -np.inf]
    np.testing.assert_allclose(means.members[2:], values[6:40].reshape(17, 2).mean(axis=1))
    assert not np.isnan(means.nonmembers).any()


def test_a_mean_loss_a_person_that_makes_no_sense_is_refused():
    generator = np.random.default_rng(14)
    for losses, message in (
        (Losses([1.0, 2.0], [3.0]), "say whose each row is"),
        (audit(generator, 100, 8, 0.3, by_row=0.9), r"9\d of 100 persons .* decided by row, not by person"),
        (audit(generator, 18, 8, 0.3), "only 9 persons are members, or non-members, with all their rows"),
    ):
        with pytest.raises(ValueError, match=message):
            mean_by_person(losses)


def test_means_of_persons_seldom_claim_a_leak_and_rows_a_person_are_compared():
    generator, claims, replicates = np.random.default_rng(15), np.zeros(2), 300
    for _ in range(replicates):
        losses = audit(generator, 60, 5, 0.6, by_row=0.2)
        means = mean_by_person(losses)
        intervals = auc_with_interval(means.members, means.nonmembers), rows_a_person(losses)
        claims += [not low <= 0.5 <= high for _, low, high in intervals]
    assert claims[0] / replicates < 0.05 + four_errors(0.05, replicates)
    assert claims[1] == 0  # all have five
    # Members with one row, non-members with four: their skewed means differ although no loss does.
    rows = np.repeat([1, 4], 200)
    whose = np.repeat(np.arange(400), rows)
    values = generator.exponential(size=len(whose)) ** 2
    uneven = Losses(values[:200], values[200:], None, None, whose[:200], whose[200:])
    means = mean_by_person(uneven)
    assert auc_with_interval(means.members, means.nonmembers)[1] > 0.5
    assert rows_a_person(uneven)[1] > 0.99
    assert rows_a_person(Losses([1.0], [2.0])) == (0.5, 0.0, 1.0)


# ------------------------------------------------------------------------------------- models, kinds, groups


def influences_by_person(losses, persons):
    """On the AUC (persons,), without any correction."""
    found = np.zeros(persons)
    for shares, whose in zip(
        placements(losses), (losses.member_persons, losses.nonmember_persons), strict=True
    ):
        np.add.at(found, whose, (shares - shares.mean()) / len(whose))
    return found


def test_a_contrast_subtracts_person_by_person():
    """Two models on the same 40 persons, one of them on other rows: 1 / 19 of the variance is correction."""
    generator = np.random.default_rng(16)
    first, second = (audit(generator, 40, 6, 0.5, 0.4) for _ in range(2))
    contrast = contrasts.paired_contrast(first, second, NAMES)
    apart = influences_by_person(first, 40) - influences_by_person(second, 40)
    error = math.sqrt(np.square(apart).sum() / (1 - 1 / 20))
    half = (contrast["auc_high"] - contrast["auc_low"]) / 2
    degrees = min(estimates_of(losses, ["auc"])["auc"].degrees for losses in (first, second))
    assert half == pytest.approx(special.stdtrit(degrees, 0.975) * error)
    named = [
        Losses(
            losses.members,
            losses.nonmembers,
            None,
            None,
            [f"p{number}" for number in losses.member_persons],
            [f"p{number}" for number in losses.nonmember_persons],
        )
        for losses in (first, second)
    ]
    assert contrasts.paired_contrast(*named, NAMES) == pytest.approx(contrast)
    with pytest.raises(ValueError, match="the persons of both models, or of none"):
        contrasts.paired_contrast(first, Losses(second.members, second.nonmembers), NAMES)
    with pytest.raises(ValueError, match="the persons of all trainings"):
        contrasts.interval_of_kind([first, Losses(second.members, second.nonmembers)])


def test_one_row_a_person_changes_no_interval_of_kinds():
    generator = np.random.default_rng(17)
    trainings = [audit(generator, 1200, 1, 0.5, 0.4) for _ in range(3)]
    plain = [Losses(losses.members, losses.nonmembers) for losses in trainings]
    for use in (
        contrasts.interval_of_kind,
        lambda kind: contrasts.contrast_of_kinds(kind[:2], kind[1:], NAMES),
        lambda kind: contrasts.paired_contrast(*kind[:2], NAMES),
        lambda kind: contrasts.gain_of_attack(kind[:2], kind[:2]),
    ):
        found, expected = use(trainings), use(plain)
        names = {name for name, value in expected.items() if isinstance(value, float)}
        assert {name: found[name] for name in names} == pytest.approx(
            {name: expected[name] for name in names}, rel=1e-12
        )
        assert {name for name, value in found.items() if isinstance(value, float)} == names
    for row, same in zip(
        contrasts.groups_differ([[trainings[0]], [trainings[1]]]),
        contrasts.groups_differ([[plain[0]], [plain[1]]]),
        strict=True,
    ):
        # Both groups have the same persons here, whom members and non-members of either do not share.
        assert row["auc_low"] == pytest.approx(same["auc_low"])


@pytest.mark.parametrize("trainings", [1, 3])
def test_intervals_of_kinds_over_persons_hold(trainings):
    """Two models, or kinds of three, that leak alike on 60 persons with 8 rows: of 120 replicates at most 11%
    claim a difference (5% and 3 standard errors); over rows of 40 15% and more."""
    generator, claims, rows_claim = np.random.default_rng([18, trainings]), 0, 0
    for replicate in range(120):
        kinds = []
        for _ in range(2):
            whose = np.repeat(np.arange(60), 8)
            values = generator.normal(size=60)[whose] + generator.normal(size=(trainings, 480))
            kinds.append([Losses(v[:240], v[240:], None, None, whose[:240], whose[240:]) for v in values])
        claims += difference_claimed(kinds)
        if replicate < 40:
            rows_claim += difference_claimed(
                [[Losses(losses.members, losses.nonmembers) for losses in kind] for kind in kinds]
            )
    assert claims / 120 <= 0.11
    assert rows_claim / 40 > 0.15


def difference_claimed(kinds):
    """By AUC, of two models or of two kinds."""
    if len(kinds[0]) > 1:
        return contrasts.contrast_of_kinds(*kinds, NAMES, measures=["auc"])["auc_p"] < 0.05
    return contrasts.paired_contrast(kinds[0][0], kinds[1][0], NAMES)["auc_p"] < 0.05


def test_degrees_of_freedom_are_at_most_those_of_the_persons():
    """Ten trainings that hardly differ, on 12 persons of either kind: less than 22, not 4 * 9."""
    generator = np.random.default_rng(26)
    one = audit(generator, 24, 5, 0.5, 0.5)
    moved = generator.normal(0, 0.05, (10, 60))
    trainings = [replace(one, members=one.members + of_training) for of_training in moved]
    found = contrasts.interval_of_kind(trainings, measures=["auc"])
    plain = [Losses(losses.members, losses.nonmembers) for losses in trainings]
    without = contrasts.interval_of_kind(plain, measures=["auc"])["auc_degrees"]
    most = min(estimates_of(losses, ["auc"])["auc"].degrees for losses in trainings)
    assert 11 <= most <= 22
    assert found["auc_degrees"] <= most < 30 < without <= 36


@pytest.mark.parametrize(("rows_in", "trainings"), [("one group", 1), ("all groups", 1), ("all groups", 3)])
def test_groups_of_persons_that_leak_alike_are_seldom_named(rows_in, trainings):
    """Eight groups; 50 replicates, of which 5% has a standard error of 3.1%: at most 7 name any group, and in
    at most 7 an AUC of 0.5 lies outside any interval. Over rows half and more of 20 name a group, if each
    person is in one."""
    generator, claims, missed, rows_claim = np.random.default_rng([19, trainings]), 0, 0, 0
    for replicate in range(50):
        whose = np.repeat(np.arange(160), 12)
        group = whose % 8 if rows_in == "one group" else np.arange(len(whose)) % 8
        is_member = whose // 8 % 2 == 0
        common = generator.normal(size=160)[whose]
        values = common + generator.normal(size=(trainings, len(whose)))
        groups = [
            [
                Losses(v[(group == g) & is_member], v[(group == g) & ~is_member], None, None, *of_sides)
                for v in values
            ]
            for g in range(8)
            for of_sides in [(whose[(group == g) & is_member], whose[(group == g) & ~is_member])]
        ]
        rows = contrasts.groups_differ(groups)
        claims += any(row["above"] or row["below"] for row in rows)
        missed += not all(row["auc_low"] <= 0.5 <= row["auc_high"] for row in rows)
        if rows_in == "one group" and replicate < 20:
            plain = [
                [Losses(losses.members, losses.nonmembers) for losses in of_group] for of_group in groups
            ]
            rows_claim += any(row["above"] or row["below"] for row in contrasts.groups_differ(plain))
    assert claims <= 7
    assert missed <= 7
    assert rows_claim >= 10 or rows_in == "all groups"


def test_persons_in_several_groups_move_them_apart():
    """A person has members' rows in one group and non-members' rows in the next: if easy, it raises the one
    AUC and lowers the other. Differences are wider by what the sums by person say."""
    generator, whose = np.random.default_rng(24), np.repeat(np.arange(90), 4)
    common = generator.normal(size=90)[whose]
    values = common + 0.5 * generator.normal(size=(2, 360))
    groups = [
        [
            Losses(
                *(v[rows] for v, rows in zip(values, sides, strict=True)),
                None,
                None,
                *(whose[s] for s in sides),
            )
        ]
        for g in range(3)
        for sides in [(whose % 3 == g, (whose + 1) % 3 == g)]
    ]
    rows = contrasts.groups_differ(groups)
    influences = np.zeros((3, 90))
    for of_group, (losses,) in zip(influences, groups, strict=True):
        of_group += influences_by_person(losses, 90)
    apart = np.square(influences - influences.mean(axis=0)).sum(axis=1)
    of_groups = np.square(influences).sum(axis=1)
    alone = of_groups / 3 + of_groups.sum() / 9
    assert (apart > 1.3 * alone).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrasts, "_by_shared_persons", lambda kinds: np.ones(3))
        narrow = contrasts.groups_differ(groups)
    for row, other, ratio in zip(rows, narrow, np.sqrt(apart / alone), strict=True):
        for end in ("difference_low", "difference_high"):
            assert row[end] - row["difference"] == pytest.approx((other[end] - other["difference"]) * ratio)


def test_what_is_common_to_groups_varies_by_person_too():
    """Of three trainings: each one's variance, the sums over two groups by person; 1 / 9 is correction."""
    generator, whose = np.random.default_rng(25), np.repeat(np.arange(20), 6)
    in_first, is_member = np.arange(120) % 2 == 0, whose < 10
    groups = [[], []]
    for _ in range(3):
        values = generator.normal(size=20)[whose] + generator.normal(size=120)
        for of_group, inside in zip(groups, (in_first, ~in_first), strict=True):
            sides = inside & is_member, inside & ~is_member
            of_group.append(Losses(*(values[s] for s in sides), None, None, *(whose[s] for s in sides)))
    kinds = [contrasts._kinds(of_group, ["auc"], "threshold", 0)["auc"] for of_group in groups]
    common = contrasts._mean_of_groups(kinds, contrasts._persons_of_groups(groups))
    summed = [
        sum(influences_by_person(losses, 20) for losses in pair) / 2 for pair in zip(*groups, strict=True)
    ]
    assert common.of_one == pytest.approx(np.square(summed).sum() / 3 * 10 / 9)
    assert common.over_examples == pytest.approx(np.square(np.mean(summed, axis=0)).sum() * 10 / 9)


# --------------------------------------------------------------------------------------- the whole verdict


def test_a_verdict_of_all_measures_seldom_claims_a_leak():
    """300 models that leak nothing, on 1,000 and 1,000: at most 5% get any evidence (standard error 1.3%)."""
    generator, claims = np.random.default_rng(20), 0
    for _ in range(300):
        found = measure_leakage(generator.normal(size=1000), generator.normal(size=1000), confidence=FAMILY)
        claims += bool(evidence_of_leak(found))
    assert claims / 300 <= 0.05


def test_evidence_is_named():
    """A narrow distribution in the middle of a wide one has an AUC of 0.5, and yet a threshold parts them."""
    generator = np.random.default_rng(21)
    nonmembers = special.ndtri((np.arange(300) + 0.5) / 300)
    members = 0.2 * nonmembers
    found = measure_leakage(members, nonmembers, confidence=FAMILY)
    assert found["auc_low"] < 0.5 < found["auc_high"]
    assert evidence_of_leak(found) == ["heldout_advantage"]
    assert evidence_of_leak(measure_leakage(nonmembers, nonmembers)) == []
    # Each measure with its own confidence.
    wide = measure_leakage(members, nonmembers)
    assert (wide["auc_low"], wide["auc_high"]) == (found["auc_low"], found["auc_high"])
    assert wide["heldout_advantage_low"] > found["heldout_advantage_low"]
    leaking = measure_leakage(generator.normal(size=1200) - 2, generator.normal(size=1200), confidence=FAMILY)
    assert evidence_of_leak(leaking) == ["auc", "heldout_advantage", "tpr_at_1pct_fpr", "tnr_at_1pct_fnr"]
    with pytest.raises(ValueError, match="the confidence of an interval must be between 0 and 1, not 2"):
        measure_leakage(members, nonmembers, confidence={"auc": 2})


@pytest.mark.parametrize(("persons", "rows"), [(400, 1), (200, 6)])
def test_four_in_five_audits_find_the_auc_that_they_could_have_found(persons, rows):
    """300 replicates (standard error 2.3%): between 74% and 86%, over rows and over persons."""
    generator, found, replicates = np.random.default_rng([22, rows]), 0, 300
    detectable = np.mean([detectable_auc(auc_of(audit(generator, persons, rows, 0.5))) for _ in range(50)])
    assert 0.55 < detectable < 0.7
    distance = special.ndtri(detectable) * math.sqrt(2)
    for _ in range(replicates):
        found += auc_of(audit(generator, persons, rows, 0.5, distance))["auc_low"] > 0.5
    assert 0.74 < found / replicates < 0.86
    assert detectable_auc({"auc_low": None, "auc_high": None}) is None
    assert detectable_auc({"auc_low": 0.0, "auc_high": 1.0}) <= 1
    # With few degrees of freedom an interval is wider than its error.
    few = {"auc_low": 0.4, "auc_high": 0.6, "auc_degrees": 3.0}
    width = special.stdtrit(
        3, 0.975
    )  # in errors that are estimated: sqrt(chi-squared / 3) times the true one
    estimated = np.sqrt(special.chdtri(3, (np.arange(100_000) + 0.5) / 100_000) / 3)
    distance = (detectable_auc(few) - 0.5) / (0.1 / width)
    assert special.ndtr(distance - width * estimated).mean() == pytest.approx(0.8, abs=1e-4)
    assert detectable_auc(few | {"auc_degrees": math.inf}) == pytest.approx(
        0.6 + 0.1 * 0.8416 / 1.96, rel=1e-4
    )


def auc_of(losses):
    low, high = auc_interval(estimates_of(losses, ["auc"])["auc"])
    return {"auc_low": low, "auc_high": high}


def test_twenty_thousand_persons_take_less_than_two_seconds():
    """With five rows each, by the processor's time: 0.4 s."""
    losses = audit(np.random.default_rng(23), 20_000, 5, 0.5)
    began = time.process_time()
    measured(losses)
    assert time.process_time() - began < 2
