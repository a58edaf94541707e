"""leakage/exposure.py: which images first, and the agreement of trainings, against counting by hand."""

import numpy as np
import pandas as pd
import pytest

from leakage import exposure
from leakage.estimates import Losses
from suite.study.exposure import exposure_of, exposure_table

NOBODY = np.zeros(1)


def training(members, ids=None):
    return Losses(np.asarray(members, dtype=float), NOBODY, None if ids is None else np.asarray(ids))


def test_the_smallest_losses_are_the_most_exposed():
    ids = np.arange(7, 1007)
    losses = np.random.default_rng(0).permutation(1000)
    found = exposure_of([training(losses, ids)])
    assert found.most.tolist() == [int(ids[losses == place][0]) for place in range(10)]
    assert found.least.tolist() == [int(ids[losses == 999 - place][0]) for place in range(10)]
    assert found.agreement is None
    assert found.stability == "One seed: how stable this choice is has not been measured."


def test_ranks_are_averaged_over_trainings_and_shared_by_ties():
    found = exposure_of([training([0.5, 0.1, 0.1, np.inf]), training([0.0, 0.3, 0.2, 0.1])])
    assert found.ids.tolist() == [0, 1, 2, 3]
    assert found.ranks.tolist() == [(2 + 0) / 2, (0.5 + 3) / 2, (0.5 + 2) / 2, (3 + 1) / 2]
    assert found.most.tolist() == [0, 2, 1, 3]


def test_members_are_matched_by_number_not_by_place():
    losses = np.random.default_rng(1).random(500)
    order = np.random.default_rng(2).permutation(500)
    found = exposure_of([training(losses, np.arange(500)), training(losses[order], order)])
    assert found.agreement == 1.0
    assert np.array_equal(found.ranks, np.argsort(np.argsort(losses)))


def test_agreement_is_the_mean_over_pairs_of_trainings():
    """Of 200 images the 2 most exposed: {0, 1}, {1, 2}, {0, 1} share 1, 2 and 1 of 2."""
    rows = [np.full(200, 9.0) for _ in range(3)]
    for row, top in zip(rows, ([0, 1], [1, 2], [0, 1]), strict=True):
        row[top] = 0
    found = exposure_of([training(row) for row in rows])
    assert found.agreement == pytest.approx((1 + 2 + 1) / 3 / 2)
    assert found.chance == 0.01
    expected = "Of the 1% most exposed images under one seed, 67% are also among the 1% under another; "
    assert found.stability == expected + "chance gives 1%."


def test_trainings_without_anything_in_common_agree_by_chance():
    """100 trainings of 1,000 images, 4,950 pairs: the mean agreement has a standard error of 0.0014 if pairs
    are independent, as pairs of random sets are; tolerance 4 of them."""
    generator = np.random.default_rng(3)
    found = exposure_of([training(generator.random(1000)) for _ in range(100)])
    assert abs(found.agreement - found.chance) < 4 * 0.0014


def test_ties_are_no_agreement():
    """Half of the losses are 0 in either training: which of them come first is by lot, and so is the rest."""
    constant = exposure_of([training(np.zeros(1000)), training(np.zeros(1000))])
    assert constant.agreement == pytest.approx(constant.chance)
    halves = np.repeat([0.0, 1.0], 500), np.tile([0.0, 1.0], 500)
    # 10 places among 500 in either; 250 images are in both, each with probability 1/50 squared.
    assert exposure_of([training(half) for half in halves]).agreement == pytest.approx(250 / 50**2 / 10)


def test_the_sentence_follows_the_constant(monkeypatch):
    monkeypatch.setattr(exposure, "EXPOSED_SHARE", 0.025)
    found = exposure_of([training(np.arange(1000)), training(np.arange(1000))])
    expected = "Of the 2.5% most exposed images under one seed, 100% are also among the 2.5% under another; "
    assert found.stability == expected + "chance gives 2.5%."


def test_few_images():
    found = exposure_of([training([0.2]), training([0.3])])
    assert (found.agreement, found.chance, found.most.tolist()) == (1.0, 1.0, [0])
    assert "100%" in found.stability


def test_the_table_has_both_ranks_of_each_image():
    raw = exposure_of([training([0.3, 0.1, 0.2], [5, 9, 7])])
    calibrated = exposure_of([training([-2.0, 1.0, -1.0], [5, 9, 7])])
    expected = pd.DataFrame(
        {"image": [5, 7, 9], "loss_rank": [2.0, 1.0, 0.0], "calibrated_rank": [0.0, 1.0, 2.0]}
    )
    pd.testing.assert_frame_equal(exposure_table(raw, calibrated), expected)


@pytest.mark.parametrize(
    ("trainings", "message"),
    [
        ([], "no training"),
        ([training([0.1, 0.2], [1, 2]), training([0.1, 0.2], [1, 3])], "different members"),
        ([training([0.1, 0.2], [1, 1])], "2 different integers"),
        ([training([0.1, 0.2], [1])], "2 different integers"),
        ([training([])], "0 different integers"),
        ([training([0.1, np.nan])], "1 members' losses are NaN"),
    ],
)
def test_bad_input_is_refused_in_one_line(trainings, message):
    with pytest.raises(ValueError, match=message) as refused:
        exposure_of(trainings)
    assert "\n" not in str(refused.value)


def test_a_table_of_different_members_is_refused():
    with pytest.raises(ValueError, match="different members"):
        exposure_table(exposure_of([training([1, 2])]), exposure_of([training([1, 2, 3])]))
