"""suite/study/findings.py on small made-up trainings: each row against a calculation from the losses."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

import mia
from leakage.contrasts import (
    NO_DIFFERENCE,
    contrast_of_kinds,
    gain_of_calibration,
    groups_differ,
    interval_of_kind,
)
from leakage.estimates import Losses
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import (
    AS_REPORTED,
    CALIBRATED,
    EARLY_STOPPING,
    EQUAL_STEPS,
    HISTOGRAM_EDGES,
    JUST_ABOVE,
    JUST_BELOW,
    THRESHOLD,
    compare_kinds,
    describe_kind,
    detectable_difference,
    loss_histograms,
    losses_at,
    scores_at,
)
from tests.made_up import Kind, training_of

# 6 and 12 steps an epoch, attacked at epochs 0, 2 and 4: the second has the first's 24 steps at epoch 2.
# Their mean test accuracy is best at epoch 2, that of trainings 2 and 3 at epoch 4.
FIRST, SECOND = Kind("first", 2, 600, 0.8), Kind("second", 2, 1200, 0.1)
PRIVATE = Kind("private", 2, 600, 0.0, epsilon=3.0)
NAMES = ("first", "second")


def trained(kind, count):
    return [training_of(kind, number) for number in range(count)]


def described(trainings, attack, confidence=0.95, class_confidence=0.95):
    return by_variant(describe_kind(trainings, attack, CLASS_NAMES, confidence, class_confidence))


def compared(first, second, names=NAMES, equal="", attack=THRESHOLD, family=1, stopped_confidence=0.9):
    """As mia.py compares them, with the confidence of a family."""
    confidence = mia.confidence_of(family)
    return by_variant(
        compare_kinds(first, second, names, equal, attack, family, confidence, stopped_confidence)
    )


def by_variant(answer):
    return {row["variant"]: row for row in answer["rows"]}


def threshold_scores(trainings, place):
    """Losses as the library takes them, put together here."""
    scores = []
    for training in trainings:
        losses, inside, ids = training["losses"][place], training["is_member"], training["image_ids"]
        scores.append(Losses(losses[inside], losses[~inside], ids[inside], ids[~inside]))
    return scores


def calibrated_losses(trainings, place):
    """The calibrated loss (N,) of each training: its loss, and the logarithm of the mean probability to the
    trainings of all other pairs, at the same epoch."""
    scores = []
    for number, training in enumerate(trainings):
        others = [one["losses"][place] for k, one in enumerate(trainings) if k // 2 != number // 2]
        mean = special.logsumexp(-np.array(others), axis=0) - np.log(len(others))
        scores.append(training["losses"][place] + mean)
    return scores


def mean_auc(trainings, scores):
    """By scikit-learn, of scores (N,) of each training."""
    pairs = zip(trainings, scores, strict=True)
    return np.mean([roc_auc_score(training["is_member"], -losses) for training, losses in pairs])


def losses_of(trainings, place, attack):
    if attack == CALIBRATED:
        return calibrated_losses(trainings, place)
    return [training["losses"][place] for training in trainings]


# --------------------------------------------------------------------------------------------------- scores


def test_members_and_others_keep_their_images():
    training = training_of(FIRST, 1)
    losses = losses_at(training, 2)
    for values, ids, inside in (
        (losses.members, losses.member_ids, True),
        (losses.nonmembers, losses.nonmember_ids, False),
    ):
        expected = {
            image: loss
            for image, loss, member in zip(
                training["image_ids"], training["losses"][2], training["is_member"], strict=True
            )
            if member == inside
        }
        assert dict(zip(ids, values, strict=True)) == expected


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("count", [4, 6])
def test_calibrated_scores_are_those_of_the_formula(place, count):
    trainings = trained(FIRST, count)
    for training, scores, expected in zip(
        trainings, scores_at(trainings, place, CALIBRATED), calibrated_losses(trainings, place), strict=True
    ):
        inside = training["is_member"]
        np.testing.assert_allclose(scores.members, expected[inside], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(scores.nonmembers, expected[~inside], rtol=1e-9, atol=1e-9)


def test_calibrated_scores_come_from_other_pairs_at_the_same_epoch_alone():
    """Of training 2 all losses of its twin are changed, and those of other pairs at other epochs: nothing
    happens. Then a single loss of another pair at this epoch."""

    def scores(trainings):
        of_target = scores_at(trainings, 1, CALIBRATED)[2]
        return np.concatenate([of_target.members, of_target.nonmembers])

    trainings = trained(FIRST, 6)
    before = scores(trainings)
    trainings[3]["losses"] = trainings[3]["losses"] * 7
    for number in (0, 1, 4, 5):
        trainings[number]["losses"][[0, 2]] += 3
    assert np.array_equal(scores(trainings), before)
    trainings[4]["losses"][1, 8] += 3
    assert np.count_nonzero(scores(trainings) != before) == 1


# ------------------------------------------------------------------------------------------ a kind of model


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
def test_a_kind_is_described_at_its_last_and_at_its_best_epoch(attack):
    trainings = trained(SECOND, 6)
    rows = described(trainings, attack, confidence=0.99)
    assert list(rows) == [AS_REPORTED, EARLY_STOPPING]
    for variant, place, epoch in ((AS_REPORTED, 2, 4), (EARLY_STOPPING, 1, 2)):
        row = rows[variant]
        assert (row["attack"], row["epoch"], row["trainings"], row["confidence"]) == (attack, epoch, 6, 0.99)
        assert row["auc"] == pytest.approx(
            mean_auc(trainings, losses_of(trainings, place, attack)), abs=1e-12
        )
        expected = interval_of_kind(threshold_scores(trainings, place), attack=attack, confidence=0.99)
        assert {name: row[name] for name in expected} == pytest.approx(expected, nan_ok=True)
        assert row["auc_low"] < row["auc"] < row["auc_high"]


def test_the_best_epoch_is_that_of_the_mean_and_not_of_each_training():
    trainings = trained(SECOND, 4)
    best = [int(np.argmax(training["test_accuracy"])) for training in trainings]
    assert best == [1, 1, 2, 2]
    assert described(trainings, THRESHOLD)[EARLY_STOPPING]["epoch"] == 2
    for training in trainings[:2]:
        training["test_accuracy"] = np.array([0.1, 0.41, 0.4])
    assert described(trainings, THRESHOLD)[EARLY_STOPPING]["epoch"] == 4


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
def test_classes_are_compared_by_their_own_scores(attack):
    """Calibrated with the whole pool, then divided. What stands in a row is what groups_differ says."""
    trainings = trained(FIRST, 4)
    row = described(trainings, attack, confidence=0.5, class_confidence=0.9)[AS_REPORTED]
    scores = losses_of(trainings, 2, attack)
    groups = []
    for label in (0, 1):
        groups.append([])
        for training, losses in zip(trainings, scores, strict=True):
            inside, of_class = training["is_member"], training["labels"] == label
            kept = [of_class & inside, of_class & ~inside]
            groups[label].append(
                Losses(*(losses[chosen] for chosen in kept), *(training["image_ids"][one] for one in kept))
            )
    expected = groups_differ(groups, confidence=0.9)
    for name, of_class in zip(("airplane", "automobile"), expected, strict=True):
        assert row[f"auc_{name}"] == pytest.approx(of_class["auc"])
        for column, field in (("difference", "difference"), ("low", "difference_low")):
            assert row[f"class_{name}_{column}"] == pytest.approx(of_class[field])
        assert row[f"class_{name}_high"] == pytest.approx(of_class["difference_high"])
    for side in ("above", "below"):
        named = [name for name, of_class in zip(CLASS_NAMES, expected, strict=False) if of_class[side]]
        assert row[f"classes_{side}"] == " ".join(named)


def test_classes_that_leak_more_and_less_are_named():
    """Members of every second class are made to leak, and nobody else."""
    trainings = trained(Kind("ten", 10, 4000, 0.0), 4)
    for training in trainings:
        leaking = training["is_member"] & (training["labels"] % 2 == 1)
        training["losses"] = np.where(leaking, training["losses"] / 20, training["losses"])
    row = described(trainings, THRESHOLD)[AS_REPORTED]
    assert row["classes_above"].split() == list(CLASS_NAMES[1::2])
    assert row["classes_below"].split() == list(CLASS_NAMES[::2])


def test_the_gain_is_what_calibration_adds_and_stands_beside_the_calibrated_attack():
    trainings = trained(FIRST, 4)
    calibrated = described(trainings, CALIBRATED, 0.99)
    threshold = described(trainings, THRESHOLD, 0.99)
    gain = calibrated[AS_REPORTED]["auc_gain"]
    assert gain == pytest.approx(calibrated[AS_REPORTED]["auc"] - threshold[AS_REPORTED]["auc"], abs=1e-12)
    assert gain > 0  # easiness is the same for all models, and calibration takes it away
    expected = gain_of_calibration(threshold_scores(trainings, 2), confidence=0.99)
    assert {name: calibrated[AS_REPORTED][name] for name in expected} == expected
    for row in (calibrated[EARLY_STOPPING], *threshold.values()):
        assert "auc_gain" not in row


def test_memorisation_is_that_of_the_last_epoch_and_stands_beside_the_threshold_attack():
    trainings = trained(FIRST, 6)
    answer = describe_kind(trainings, THRESHOLD, CLASS_NAMES, 0.95, 0.95)
    losses = np.array([training["losses"][-1] for training in trainings])
    inside = np.array([training["is_member"] for training in trainings])
    means = [np.nanmean(np.where(part, losses, np.nan), axis=0) for part in (inside, ~inside)]
    assert np.array_equal(answer["image_ids"], trainings[0]["image_ids"])
    np.testing.assert_allclose(answer["member_loss"], means[0])
    np.testing.assert_allclose(answer["memorisation"], means[1] - means[0])
    assert 0 < by_variant(answer)[AS_REPORTED]["memorisation_reliability"] < 1
    assert "memorisation_reliability" not in by_variant(answer)[EARLY_STOPPING]
    assert set(describe_kind(trainings, CALIBRATED, CLASS_NAMES, 0.95, 0.95)) == {"rows"}


def test_histograms_are_counts_of_each_side_in_the_same_bins():
    losses = Losses(np.array([0.0, 0.05, 0.1, 4.95, 5.0, 99.0, np.inf, 2.0]), np.array([1.0, 1.05, 7.0]))
    histograms = loss_histograms(losses)
    for name, values in (("member histogram", losses.members), ("non-member histogram", losses.nonmembers)):
        lefts, shares = histograms[name]
        assert lefts == pytest.approx(HISTOGRAM_EDGES[:-1])
        assert sum(shares) == pytest.approx(1)
        for place, left in enumerate(lefts):
            right = HISTOGRAM_EDGES[place + 1] if place < len(lefts) - 1 else np.inf
            left = left if place else -np.inf
            assert shares[place] == np.mean((values >= left) & ((values < right) | np.isinf(right)))


# -------------------------------------------------------------------------------------------- a pair of kinds


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
def test_a_pair_is_the_first_less_the_second_in_each_variant(attack):
    kinds = trained(FIRST, 4), trained(SECOND, 6)
    rows = compared(*kinds, equal="so much", attack=attack, family=7)
    assert list(rows) == [AS_REPORTED, EARLY_STOPPING, EQUAL_STEPS]
    places = {AS_REPORTED: (2, 2), EARLY_STOPPING: (1, 1), EQUAL_STEPS: (2, 1)}
    for variant, row in rows.items():
        chosen = places[variant]
        assert (row["first_epoch"], row["second_epoch"]) == tuple(2 * place for place in chosen)
        means = [
            mean_auc(kind, losses_of(kind, place, attack)) for kind, place in zip(kinds, chosen, strict=True)
        ]
        assert [row["first_auc"], row["second_auc"]] == pytest.approx(means, abs=1e-12)
        accuracies = [
            np.mean([training["test_accuracy"][place] for training in kind])
            for kind, place in zip(kinds, chosen, strict=True)
        ]
        assert [row["first_accuracy"], row["second_accuracy"]] == pytest.approx(accuracies, abs=1e-12)
        assert row["auc_difference"] == pytest.approx(means[0] - means[1], abs=1e-12)
        scores = [threshold_scores(kind, place) for kind, place in zip(kinds, chosen, strict=True)]
        expected = contrast_of_kinds(*scores, NAMES, attack=attack, confidence=1 - 0.05 / 7)
        measures = {name: value for name, value in expected.items() if name.startswith(("auc", "heldout"))}
        assert {name: row[name] for name in measures} == pytest.approx(measures)
        assert (row["first"], row["second"], row["equal"]) == ("first", "second", "so much")
        assert (row["attack"], row["trainings"], row["family"]) == (attack, 4, 7)
        assert row["confidence"] == pytest.approx(1 - 0.05 / 7)
        assert row["auc_detectable"] == detectable_difference(expected, 1 - 0.05 / 7)
        assert "stopped_advantage" not in row


def test_the_verdict_is_whether_0_lies_inside_and_variants_have_none():
    """A family so large that the interval reaches 0 undoes the verdict."""
    kinds = trained(FIRST, 4), trained(SECOND, 4)
    for family, expected in ((1, "first leaks more than second"), (10**9, NO_DIFFERENCE)):
        rows = compared(*kinds, equal="so much", family=family)
        assert (rows[AS_REPORTED]["auc_low"] <= 0) == (expected == NO_DIFFERENCE)
        assert {variant: row["verdict"] for variant, row in rows.items()} == {
            AS_REPORTED: expected,
            EARLY_STOPPING: "",
            EQUAL_STEPS: "",
        }
    turned = compared(*kinds[::-1], NAMES[::-1])
    assert turned[AS_REPORTED]["verdict"] == "first leaks more than second"
    assert turned[AS_REPORTED]["auc_high"] < 0


@pytest.mark.parametrize(
    ("second", "equal"),
    [
        (SECOND, ""),
        (FIRST._replace(name="second"), "images"),
        (FIRST._replace(name="second", pool=500), "images"),
    ],
    ids=["nothing is said to be equal", "equally many steps as it is", "not attacked there"],
)
def test_equal_steps_only_where_they_say_something(second, equal):
    rows = compared(trained(FIRST, 2), trained(second, 2), equal=equal)
    assert list(rows) == [AS_REPORTED, EARLY_STOPPING]


@pytest.mark.parametrize("attack", [THRESHOLD, CALIBRATED])
@pytest.mark.parametrize(
    ("goal", "epochs"),
    [
        (0.48, {JUST_BELOW: 4, JUST_ABOVE: 6}),
        (0.4, {JUST_BELOW: 2, JUST_ABOVE: 4}),
        (0.45, {JUST_BELOW: 2, JUST_ABOVE: 4}),  # as accurate counts as above
        (0.3, {JUST_ABOVE: 2}),  # the untrained model is no model stopped early
        (0.05, {JUST_ABOVE: 2}),
        (0.6, {JUST_BELOW: 6}),  # the best of all, where none is as accurate
    ],
)
def test_a_private_model_is_set_beside_the_plain_one_stopped_before_and_after_equal_accuracy(
    attack, goal, epochs
):
    """The plain model's mean test accuracies are 0.1, 0.35, 0.45, 0.5 and 0.4; the private one's last is the
    goal."""
    kinds = [[training_of(kind, number, (0, 2, 4, 6, 8)) for number in range(4)] for kind in (FIRST, PRIVATE)]
    for number, (plain, private) in enumerate(zip(*kinds, strict=True)):
        shift = 0.01 * (-1) ** number  # no training has the mean itself
        plain["test_accuracy"] = np.array([0.1, 0.35 + shift, 0.45 + shift, 0.5 - shift, 0.4])
        private["test_accuracy"] = np.array([0.1, 0.7, 0.2, 0.2, goal + shift / 2])
    if goal == 0.45:  # to the last bit, which the mean of unequal numbers need not have
        for plain, private in zip(*kinds, strict=True):
            plain["test_accuracy"][2] = private["test_accuracy"][-1] = 0.45
    rows = compared(*kinds, attack=attack, family=2, stopped_confidence=0.99)
    assert list(rows) == [AS_REPORTED, EARLY_STOPPING, *epochs]
    for variant, epoch in epochs.items():
        row, index = rows[variant], epoch // 2
        assert (row["first_epoch"], row["second_epoch"], row["verdict"]) == (epoch, 8, "")
        mean = np.mean([training["test_accuracy"][index] for training in kinds[0]])
        assert [row["first_accuracy"], row["second_accuracy"]] == pytest.approx([mean, goal], abs=1e-12)
        expected = [
            mean_auc(kind, losses_of(kind, place, attack))
            for kind, place in zip(kinds, (index, 4), strict=True)
        ]
        assert row["auc_difference"] == pytest.approx(expected[0] - expected[1], abs=1e-12)
        stopped = interval_of_kind(threshold_scores(kinds[0], index), attack=attack, confidence=0.99)
        for end in ("", "_low", "_high"):
            assert row[f"stopped_advantage{end}"] == pytest.approx(stopped[f"heldout_advantage{end}"])
    assert list(compared(*kinds[::-1])) == [AS_REPORTED, EARLY_STOPPING]


@pytest.mark.parametrize("degrees", [6.0, 12.0, 40.0])
@pytest.mark.parametrize("confidence", [0.95, 1 - 0.05 / 8])
def test_the_detectable_difference_is_found_in_80_percent_of_runs(degrees, confidence):
    """By simulated trainings: a difference so large, a standard error of 0.01 that is estimated with these
    degrees of freedom, and the share of the intervals that leave 0 out. 40,000 runs: 0.8 +- 0.01 is missed
    once in 10^6 times."""
    wide = stats.t.ppf(0.5 + confidence / 2, degrees)
    contrast = {"auc_low": -0.01 * wide, "auc_high": 0.01 * wide, "auc_degrees": degrees}
    smallest = detectable_difference(contrast, confidence)
    generator = np.random.default_rng(0)
    differences = generator.normal(smallest, 0.01, 40_000)
    errors = 0.01 * np.sqrt(generator.chisquare(degrees, 40_000) / degrees)
    assert (differences > wide * errors).mean() == pytest.approx(0.8, abs=0.01)


def test_two_trainings_of_each_are_compared_by_the_threshold_attack():
    row = compared(trained(FIRST, 2), trained(SECOND, 2))[AS_REPORTED]
    assert row["trainings"] == 2
    assert row["auc_low"] < row["auc_difference"] < row["auc_high"]
    row = described(trained(FIRST, 2), THRESHOLD)[AS_REPORTED]
    assert row["memorisation_reliability"] is None
