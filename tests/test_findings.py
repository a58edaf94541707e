"""leakage/findings.py, on small made-up trainings: each row against a direct calculation from the losses."""

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leakage.calibration import calibrated
from leakage.contrasts import contrast_of_kinds, groups_differ, interval_of_kind, paired_contrast
from leakage.estimates import Losses, measure_leakage
from suite.study.exposure import exposure_of
from suite.study.findings import (
    AS_REPORTED,
    EARLY_STOPPING,
    EQUAL_STEPS,
    NO_DUPLICATES,
    Pair,
    Trained,
    findings_of_training,
    questions,
)
from tests.made_up import TRAIN_IMAGES, Kind, measure, nothing_done, trained_kind, training_of

# 50 and 100 steps an epoch, attacked at epochs 0, 2 and 4: the second has the first's 200 steps at epoch 2.
FIRST, SECOND = Kind("first", 2, 2500, 1000, 0.4), Kind("second", 2, 5000, 1000, 0.2)
NEAR = [TRAIN_IMAGES, TRAIN_IMAGES + 3, TRAIN_IMAGES + 4, 7]  # 7 is a member, and stays


def answers_of(trainings, references=0):
    """All answers about the two kinds, by which question."""
    trained = {kind.name: trained_kind(kind, trainings, references) for kind in (FIRST, SECOND)}
    asked = questions(trained, [Pair("first", "second", "so much")], NEAR, measure)
    return {which: question(done=nothing_done) for which, question in asked.items()}


def auc(training, place):
    """Of the attack at an epoch, by scikit-learn."""
    members, nonmembers = training["member_losses"][place], training["nonmember_losses"][place]
    truth = np.repeat([1, 0], [len(members), len(nonmembers)])
    return roc_auc_score(truth, -np.concatenate([members, nonmembers]))


def losses(training, place=-1):
    return Losses(
        training["member_losses"][place],
        training["nonmember_losses"][place],
        training["member_ids"],
        training["nonmember_ids"],
    )


@pytest.fixture(scope="module")
def five():
    return answers_of(5)


@pytest.fixture(scope="module")
def two_calibrated():
    return answers_of(2, references=2)


def by_way(rows):
    return {row["variant"]: row for row in rows}


def test_there_is_a_question_for_each_training_kind_and_pair():
    trained = {"first": trained_kind(FIRST, 2), "second": trained_kind(SECOND, 1)}
    asked = questions(trained, [Pair("second", "first")], NEAR, measure)
    assert list(asked) == [
        ("training", "first", "0"),
        ("training", "first", "1"),
        ("training", "second", "0"),
        ("kind", "first"),
        ("kind", "second"),
        ("pair", "second", "first"),
    ]
    # They go to other processes, and their names into the names of files.
    assert all(isinstance(question, partial) for question in asked.values())


def test_a_training_s_rows_are_what_its_losses_say(five):
    answer, training = five["training", "first", "2"], training_of(FIRST, 2)
    assert [(row["epoch"], row["steps"]) for row in answer["rows"]] == [(0, 0), (2, 100), (4, 200)]
    for place, row in enumerate(answer["rows"]):
        members, nonmembers = training["member_losses"][place], training["nonmember_losses"][place]
        assert row["auc"] == pytest.approx(auc(training, place), abs=1e-12)
        assert row["train_loss"] == pytest.approx(members.mean())
        assert row["test_loss"] == pytest.approx(nonmembers.mean())
        assert row["train_loss"] != pytest.approx(row["test_loss"])
        assert row["train_accuracy"] == pytest.approx((0.22, 0.57, 0.92)[place])
        assert row["test_accuracy"] == (0.1, 0.5, 0.4)[place]
        assert row["gap"] == pytest.approx(row["train_accuracy"] - row["test_accuracy"])
        assert row.items() >= measure_leakage(members, nonmembers).items()
        assert (row["model"], row["seed"], row["attack"], row["parameters"]) == (
            "first",
            2,
            "threshold",
            2005,
        )
    assert "bound_fprs" not in answer["curves"]


def test_a_training_s_curves_are_those_of_its_last_epoch(five):
    curves, training = five["training", "first", "2"]["curves"], training_of(FIRST, 2)
    members, nonmembers = training["member_losses"][-1], training["nonmember_losses"][-1]
    for fpr, tpr in zip(curves["fprs"], curves["tprs"], strict=True):
        accused = int(fpr * 1000 + 1e-9)
        threshold = np.sort(nonmembers)[accused] if accused < 1000 else np.inf
        assert tpr == pytest.approx((members < threshold).mean())
    for kind, values in (("member", members), ("nonmember", nonmembers)):
        for level, loss in zip(curves["levels"], curves[f"{kind}_losses"], strict=True):
            assert (values <= loss).mean() == pytest.approx(level, abs=1 / len(values))


def test_a_private_training_has_the_bound_among_its_curves():
    kind = Kind("private", 2, 500, 500, 0.0, epsilon=2.0)
    training = training_of(kind, 0)
    answer = findings_of_training(measure, Trained(partial(dict, training)), nothing_done)
    assert answer["curves"]["bound_fprs"] == training["bound_fprs"].tolist()
    assert answer["curves"]["bound_tprs"] == training["bound_tprs"].tolist()
    assert {row["epsilon"] for row in answer["rows"]} == {2.0}
    assert {row["advantage_bound"] for row in answer["rows"]} == {0.2}


def test_a_kind_is_looked_at_in_three_ways(five):
    answer, trainings = five["kind", "second"], [training_of(SECOND, seed) for seed in range(5)]
    rows = by_way(answer["rows"])
    assert list(rows) == [AS_REPORTED, EARLY_STOPPING, NO_DUPLICATES]
    assert {(row["trainings"], row["over"]) for row in answer["rows"]} == {(5, "trainings and examples")}
    # Seeds 3 and 4 are best at the last epoch, the others at the middle one.
    best = [auc(training, 1 + (seed in (3, 4))) for seed, training in enumerate(trainings)]
    assert rows[EARLY_STOPPING]["auc"] == pytest.approx(np.mean(best), abs=1e-12)
    assert rows[AS_REPORTED]["auc"] == pytest.approx(np.mean([auc(one, -1) for one in trainings]), abs=1e-12)
    assert rows[AS_REPORTED].items() >= interval_of_kind([losses(one) for one in trainings]).items()
    # Non-members' ids follow those of the training images; 0, 3 and 4 are left out, and no member.
    kept = np.setdiff1d(np.arange(1000), [0, 3, 4])
    without = [one | {"nonmember_losses": one["nonmember_losses"][:, kept]} for one in trainings]
    assert rows[NO_DUPLICATES]["auc"] == pytest.approx(np.mean([auc(one, -1) for one in without]), abs=1e-12)
    assert rows[NO_DUPLICATES]["auc"] != rows[AS_REPORTED]["auc"]


def test_the_classes_are_compared_by_their_own_losses(five):
    trainings = [training_of(SECOND, seed) for seed in range(5)]
    groups = []
    for label in (0, 1):
        # Classes come in turn, so that of either every second image is one.
        part = slice(label, None, 2)
        groups.append(
            [
                Losses(
                    one["member_losses"][-1][part],
                    one["nonmember_losses"][-1][part],
                    one["member_ids"][part],
                    one["nonmember_ids"][part],
                )
                for one in trainings
            ]
        )
    assert {row["classes_p"] for row in five["kind", "second"]["rows"]} == {groups_differ(groups)["p"]}


def test_exposure_is_that_of_all_trainings(five):
    answer, trainings = five["kind", "first"], [losses(training_of(FIRST, seed)) for seed in range(5)]
    expected = exposure_of(trainings)
    assert np.array_equal(answer["exposure_ids"], expected.ids)
    assert np.array_equal(answer["exposure_ranks"], expected.ranks)
    assert not np.array_equal(expected.ranks, exposure_of(trainings[:1]).ranks)
    assert (answer["exposure_agreement"], answer["exposure_chance"]) == (expected.agreement, expected.chance)


def test_a_pair_is_the_first_minus_the_second_in_four_ways(five):
    rows = by_way(five["pair", "first", "second"]["rows"])
    assert list(rows) == [AS_REPORTED, EARLY_STOPPING, EQUAL_STEPS, NO_DUPLICATES]
    first, second = ([training_of(kind, seed) for seed in range(5)] for kind in (FIRST, SECOND))
    kinds = [[losses(one) for one in kind] for kind in (first, second)]
    assert rows[AS_REPORTED].items() >= contrast_of_kinds(*kinds, ("first", "second")).items()
    assert rows[AS_REPORTED]["auc_difference"] > 0  # the first was made to leak more
    assert rows[AS_REPORTED]["auc_low"] < rows[AS_REPORTED]["auc_difference"] < rows[AS_REPORTED]["auc_high"]
    # 200 steps: the last epoch of the first, the middle one of the second.
    expected = np.mean([auc(one, 2) for one in first]) - np.mean([auc(one, 1) for one in second])
    assert rows[EQUAL_STEPS]["auc_difference"] == pytest.approx(expected, abs=1e-12)
    for way in (AS_REPORTED, EARLY_STOPPING, NO_DUPLICATES):
        means = [by_way(five["kind", kind]["rows"])[way]["auc"] for kind in ("first", "second")]
        assert rows[way]["auc_difference"] == pytest.approx(means[0] - means[1], abs=1e-12)


@pytest.mark.parametrize(
    ("second", "equal"),
    [
        (SECOND, ""),
        (FIRST._replace(name="second"), "images"),
        (FIRST._replace(name="second", members=4000), "images"),
    ],
    ids=["nothing is said to be equal", "equally many steps as it is", "not attacked there"],
)
def test_equal_steps_only_where_they_say_something(second, equal):
    trained = {"first": trained_kind(FIRST, 1), "second": trained_kind(second, 1)}
    asked = questions(trained, [Pair("first", "second", equal)], NEAR, measure)
    rows = asked["pair", "first", "second"](done=nothing_done)["rows"]
    assert [row["variant"] for row in rows] == [AS_REPORTED, EARLY_STOPPING, NO_DUPLICATES]


def test_one_training_gives_intervals_over_examples_and_no_p_value():
    one = answers_of(1)
    first, second = (training_of(kind, 0) for kind in (FIRST, SECOND))
    kind = by_way(one["kind", "first"]["rows"])[AS_REPORTED]
    report = measure_leakage(first["member_losses"][-1], first["nonmember_losses"][-1])
    assert (kind["trainings"], kind["over"]) == (1, "examples")
    for name in ("auc_low", "auc_high", "heldout_advantage_low", "heldout_advantage_high"):
        assert kind[name] == report[name]
    pair = by_way(one["pair", "first", "second"]["rows"])[AS_REPORTED]
    contrast = paired_contrast(losses(first), losses(second), ("first", "second"))
    assert pair["over"] == "examples"
    assert pair["auc_p"] is None
    for name in ("auc_difference", "auc_low", "auc_high", "heldout_advantage_low", "heldout_advantage_high"):
        assert pair[name] == contrast[name]
    assert one["kind", "first"]["exposure_agreement"] is None


def test_the_calibrated_attack_is_judged_at_the_end_alone(two_calibrated):
    target = losses(training_of(FIRST, 1))
    references = [losses(training_of(FIRST, number, reference=number)) for number in (0, 1)]
    against = calibrated(target, references)
    answer = two_calibrated["training", "first", "1"]
    [row] = answer["rows"]
    assert (row["epoch"], row["attack"]) == (4, "calibrated")
    assert row.items() >= measure_leakage(against.members, against.nonmembers).items()
    # The losses themselves stay those of the target.
    assert row["train_loss"] == pytest.approx(target.members.mean())
    gain = paired_contrast(against, target, ("calibrated", "threshold"))
    assert row["auc_gain"] == pytest.approx(row["auc"] - auc(training_of(FIRST, 1), -1), abs=1e-12)
    assert (row["auc_gain_low"], row["auc_gain_high"]) == (gain["auc_low"], gain["auc_high"])
    assert row["auc_gain"] > 0  # easiness is the same for all models, and calibration takes it away
    for question in (("kind", "first"), ("pair", "first", "second")):
        assert [one["variant"] for one in two_calibrated[question]["rows"]] == [AS_REPORTED, NO_DUPLICATES]
    # At the end the pair's differences are those of the kinds, as for the threshold attack.
    means = [two_calibrated["kind", kind]["rows"][0]["auc"] for kind in ("first", "second")]
    difference = two_calibrated["pair", "first", "second"]["rows"][0]["auc_difference"]
    assert difference == pytest.approx(means[0] - means[1], abs=1e-12)


def test_done_is_called_when_something_is_done():
    calls = []
    findings_of_training(measure, trained_kind(FIRST, 1)[0], lambda: calls.append(1))
    assert calls


def test_every_question_says_once_that_it_is_done():
    """A job of one step that said it twice would fill the bar beyond its end."""
    said = []
    trained = {kind.name: trained_kind(kind, 2, 2) for kind in (FIRST, SECOND)}
    asked = questions(trained, [Pair("first", "second", "so much")], NEAR, measure)
    for question in asked.values():
        question(done=lambda: said.append(1))
    assert len(said) == len(asked)
