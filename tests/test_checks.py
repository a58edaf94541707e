"""The checks before any word on the model: are the values losses, and are both sides of one source?"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from leakage.checks import (
    Shares,
    accuracy_of,
    chi_squared_p,
    doubts,
    doubts_on_accuracy,
    level_of_each,
    same_auc,
    same_rows_a_person,
    same_shares,
    shares_of,
    unrelated,
)
from leakage.estimates import Losses, estimates_of, heldout_estimate, measure_leakage
from leakage.findings import same_source

# ------------------------------------------------------------------------------------------ are they losses


def made(n=2000, m=1500, seed=0, leak=0.9):
    """Losses of a model that leaks: members' losses are a tenth smaller."""
    generator = np.random.default_rng(seed)
    return generator.exponential(leak, n), generator.exponential(1, m)


def doubts_of(members, nonmembers, **options):
    return doubts(Losses(members, nonmembers), measure_leakage(members, nonmembers), **options)


@pytest.mark.parametrize(
    ("members", "nonmembers", "part"),
    [
        (np.arange(50.0) + 100, np.arange(50.0), "larger values"),
        (np.arange(50.0) + 100, np.arange(50.0), "nobody was called"),
        (*made()[::-1], "swapped"),
        (*np.exp(-np.array(made(1500, 1500))), "within 0 and 1"),
        (*-np.array(made(1500, 1500)), "log-probabilities"),
        (made()[0], made()[0], "given twice"),
        (made()[0], np.append(made()[0][:400], made()[1][:1000]), "given twice"),
        (np.maximum(made()[0], 0.3), np.maximum(made()[1], 0.3), "clipped"),
    ],
)
def test_doubts_are_told(members, nonmembers, part):
    assert any(part in doubt for doubt in doubts_of(members, nonmembers))


@pytest.mark.parametrize("digits", [16, 2])
def test_good_losses_raise_no_doubt(digits):
    assert doubts_of(*(np.round(5 + losses, digits) for losses in made())) == []


def test_a_turned_order_is_no_sign_of_a_swap_where_the_verdict_tells_why():
    assert not any("swapped" in doubt for doubt in doubts_of(*made()[::-1], order_is_explained=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_ties_of_rounded_probabilities_and_of_trees_have_different_causes(dtype):
    logits = np.random.default_rng(0).normal(9, 4, (2, 2000))
    rounded = -np.log((1 / (1 + np.exp(-logits))).astype(dtype).astype(float))
    assert any("round to 1" in doubt for doubt in doubts_of(*rounded))
    # 100 trees: shares of votes; members are voted for by all.
    votes = np.random.default_rng(1).binomial(100, 0.97, 2000) / 100
    [doubt] = (doubt for doubt in doubts_of(-np.zeros(2000), -np.log(votes)) if "tied" in doubt)
    assert "smallest, 0, as those" in doubt  # and not -0
    assert "trees" in doubt
    assert "nearest neighbours" in doubt
    assert "logits" not in doubt


def test_what_saturated_is_told_once_and_with_its_cause():
    """Few probabilities of 0 or 1: rounded ones are told, those of 100 votes are not; many: the ties tell."""
    logits = np.random.default_rng(0).normal(5, 4, (2, 2000))
    with np.errstate(divide="ignore", over="ignore"):
        rounded = -np.log((1 / (1 + np.exp(-logits))).astype(np.float32).astype(float))
        low = -np.log(np.float64(np.float16(1 / (1 + np.exp(logits + 5)))))
        votes = -np.log(np.random.default_rng(1).binomial(100, 0.5, (2, 2000)) / 100)
    votes[:, :5], votes[0, 5:10] = np.inf, 0
    few = np.where(rounded > 0, rounded, 0.1)
    few[0, :3] = 0
    for sides in (few, low):
        [doubt] = (doubt for doubt in doubts_of(*sides, computed=True) if "0 or 1" in doubt)
        assert "logits" in doubt.lower()
        assert not any("0 or 1" in doubt for doubt in doubts_of(*sides))  # given as losses
    assert not any("0 or 1" in doubt for doubt in doubts_of(*votes, computed=True))
    many = doubts_of(*np.where(rounded < 0.01, 0, rounded), computed=True)
    assert sum("logits" in doubt or "trees" in doubt for doubt in many) == 1


def test_few_different_values_are_no_clipping():
    """As those of a shallow tree, none of whose leaves is pure."""
    values = np.tile([0.4, 0.9, 1.6], 40)
    losses = Losses(values[:60], values[60:])
    told = " ".join(doubts(losses, measure_leakage(losses.members, losses.nonmembers)))
    assert "few different values" in told
    assert "clip" not in told


def accuracy_by(scores, labels):
    """Of a model that gives each class these probabilities (2 n, classes); the first n are members."""
    probabilities = scores[np.arange(len(labels)), labels]
    with np.errstate(divide="ignore"):
        columns = {"loss": -np.log(probabilities), "correct": scores.argmax(axis=1) == labels}
    member = np.arange(len(labels)) < len(labels) // 2
    return accuracy_of(pd.DataFrame({"member": member, "label": labels.astype(str), **columns}))


def test_accuracy_at_the_share_of_the_largest_class_is_warned_of():
    """Shuffled labels give the accuracy of guessing."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 2000)
    scores = np.exp(generator.normal(0, 1, (2000, 4)) + 2.5 * np.eye(4)[labels])
    scores /= scores.sum(axis=1, keepdims=True)
    good = accuracy_by(scores, labels)
    assert good["members"] == pytest.approx(0.92, abs=0.03)
    assert 0.25 <= good["largest_class_members"] < 0.3
    assert doubts_on_accuracy(good) == []
    [warning] = doubts_on_accuracy(accuracy_by(scores, (labels + 1) % 4))
    assert f"{(scores[:1000].argmax(axis=1) == (labels[:1000] + 1) % 4).mean():.1%} of the members" in warning
    assert "labels" in warning
    # One side alone is named.
    half = np.where(np.arange(2000) < 1000, labels, generator.permutation(labels))
    [warning] = doubts_on_accuracy(accuracy_by(scores, half))
    assert "of the non-members" in warning and "of the members" not in warning


def rare_class(generator, n, share, votes=None):
    """Calibrated probabilities of two classes, of which the second is rare and never called, with an AUC of
    0.91; as shares of votes, if there are any, of which 0 makes infinite losses. And labels drawn from
    them."""
    rare = 1 / (1 + (1 / share - 1) * np.exp(1.6 - generator.normal(0, 2, n)))
    rare = np.minimum(rare, 0.49)
    labels = (generator.random(n) < rare).astype(int)
    if votes is not None:
        rare = np.minimum(generator.binomial(votes, rare) / votes, 0.49)
    return np.column_stack([1 - rare, rare]), labels


@pytest.mark.parametrize("votes", [None, 100])
@pytest.mark.parametrize("share", [0.01, 0.05])
def test_a_class_that_is_too_rare_to_be_called_is_no_sign_of_wrong_labels(share, votes):
    """20 models of which none is right more often than by the largest class: none is suspected. With the
    labels in another order all are."""
    generator = np.random.default_rng(int(1000 * share))
    for _ in range(20):
        scores, labels = rare_class(generator, 8000, share, votes)
        accuracy = accuracy_by(scores, labels)
        assert accuracy["members"] == accuracy["largest_class_members"]
        assert doubts_on_accuracy(accuracy) == []
        [warning] = doubts_on_accuracy(accuracy_by(scores, generator.permutation(labels)))
        assert "of the members" in warning and "of the non-members" in warning
        assert "in the order of the scores" in warning


# ------------------------------------------------------------------------------------------------ one source


def test_the_chi_squared_test_is_scipys():
    counts = np.random.default_rng(0).integers(20, 60, (2, 7))
    assert chi_squared_p(counts) == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue)


def test_categories_that_are_too_rare_count_together():
    counts = np.array([[50, 60, 1, 2, 3, 0], [55, 50, 2, 1, 4, 0]])
    together = np.array([[50, 60, 6], [55, 50, 7]])
    assert chi_squared_p(counts) == pytest.approx(chi_squared_p(together))
    # Even together too few: they go to the smallest of the others.
    assert chi_squared_p(np.array([[50, 60, 1], [55, 50, 0]])) == pytest.approx(
        chi_squared_p(np.array([[51, 60], [55, 50]]))
    )
    assert chi_squared_p(np.array([[3, 2], [1, 4]])) is None
    assert chi_squared_p(np.array([[10, 20], [0, 0]])) is None


def frame_of(generator, n=600, persons=None):
    """An audit of two sides of one source: classes, groups, references and a control that know nothing."""
    difficulty = generator.normal(0, 1, n)
    frame = pd.DataFrame(
        {
            "number": np.arange(n),
            "member": generator.permutation(n) < n // 2,
            "loss": np.exp(difficulty),
            "reference": np.exp(difficulty + generator.normal(0, 0.3, n)),
            "control": np.exp(difficulty + generator.normal(0, 0.3, n)),
            "label": generator.choice(list("abcdefgh"), n, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.04, 0.01]),
            "group": generator.choice(["x", "y"], n),
        }
    )
    if persons is not None:
        rows = frame.iloc[generator.integers(0, persons, n)]
        # Every row of a person is on its side and has its class and its group.
        frame[["member", "label", "group"]] = rows[["member", "label", "group"]].to_numpy()
        frame["person"] = rows["number"].to_numpy().astype(str)
        frame["member"] = frame["member"].astype(bool)
    return frame


SETS = {"groups": ("group", "sex"), "classes": ("label", "class")}


@pytest.mark.parametrize("persons", [None, 100])
def test_fair_sides_are_suspected_in_at_most_5_percent(persons):
    """Of 400 audits with four checks, or with five and 6 rows a person; 34 or more of 400 would come in 1 of
    300 such tests at a rate of 5%."""
    generator = np.random.default_rng(2)
    found = [same_source([frame_of(generator, persons=persons)], SETS) for _ in range(400)]
    assert all(len(each["checks"]) == 4 + (persons is not None) for each in found)
    assert sum(each["differs"] for each in found) < 34


def test_sides_that_differ_are_told():
    """In the losses of references and control, in classes, in groups, in rows a person; each alone."""
    generator = np.random.default_rng(3)
    fair = frame_of(generator)
    members = fair["member"].to_numpy()
    for column in ("reference", "control"):
        shifted = fair.assign(**{column: fair[column] * np.where(members, 0.6, 1)})
        found = same_source([shifted], SETS)
        assert [check["check"] for check in found["checks"] if check["differs"]] == [column]
    for column, name in {"label": "classes", "group": "groups"}.items():
        skewed = fair.assign(**{column: np.where(members & (generator.random(600) < 0.3), "a", fair[column])})
        found = same_source([skewed], SETS)
        assert [check["check"] for check in found["checks"] if check["differs"]] == [name]
        sentence = next(check["sentence"] for check in found["checks"] if check["differs"])
        assert "most apart: a" in sentence or name == "groups"
    persons = np.where(members, np.arange(600) // 2, np.arange(600) // 6 + 1000)
    losses = Losses(
        *(fair["loss"][side].to_numpy() for side in (members, ~members)),
        member_persons=persons[members],
        nonmember_persons=persons[~members],
    )
    assert same_rows_a_person(losses, level=0.01)["differs"]


def test_a_level_is_shared_and_widens_the_interval():
    losses = Losses(*made(300, 300))
    wide, narrow = (same_auc("x", "the score", losses, level) for level in (0.01, 0.05))
    assert wide["auc_low"] < narrow["auc_low"]
    assert level_of_each(4) == pytest.approx(0.0125)
    assert level_of_each(0) == pytest.approx(0.05)


def test_a_rare_category_is_not_named():
    """Its rows would say who is in it."""
    frame = pd.DataFrame({"member": np.arange(400) < 200, "label": "common"})
    frame.loc[:80, "label"] = "other"
    frame.loc[395:, "label"] = "secret"
    check = same_shares("classes", "classes", frame, "label", 0.05)
    assert check["differs"]
    assert "secret" not in check["sentence"]
    # Nor where it is rare on one side alone, however far apart the shares are.
    frame["label"] = np.where(np.arange(400) % 2, "common", "other")
    frame.loc[[*range(191, 200), *range(300, 400)], "label"] = "secret"
    sentence = same_shares("classes", "classes", frame, "label", 0.05)["sentence"]
    assert "most apart: common" in sentence or "most apart: other" in sentence
    frame.loc[190, "label"] = "secret"
    assert "most apart: secret" in same_shares("classes", "classes", frame, "label", 0.05)["sentence"]


def test_shares_are_of_persons_with_all_rows_on_one_side():
    """Each once, however many rows they have; who is on both sides would stand on either."""
    frame = pd.DataFrame({"member": np.arange(400) < 200, "group": np.tile(["x", "y"], 200)})
    frame["person"] = np.arange(400)
    alone = same_shares("groups", "groups", frame, "group", 0.05)["p"]
    assert alone == pytest.approx(1)
    both = pd.DataFrame({"member": [True] * 40 + [False] * 40, "group": ["x"] * 40 + ["y"] * 40})
    both["person"] = 1000 + np.arange(80) % 40
    whole = pd.concat([frame, frame, both], ignore_index=True)
    assert same_shares("groups", "groups", whole, "group", 0.05)["p"] == alone


def test_rows_a_person_that_cannot_be_compared_are_told():
    losses = Losses(*made(40, 40), member_persons=np.arange(40) // 2, nonmember_persons=np.arange(40) // 2)
    check = same_rows_a_person(losses, level=0.05)
    assert check["sentence"].startswith("the number of rows a person cannot be compared: ")
    assert not check["differs"]
    assert check["auc"] is check["auc_low"] is check["auc_high"] is None


# ---------------------------------------------------------------------------------- what shares can explain


def counted_sides(counts, losses):
    """Losses of a member of each category so often, and of a non-member; losses (k,) of the categories."""
    return Losses(*(np.repeat(losses, of_side).astype(float) for of_side in counts))


def test_what_shares_explain_is_what_the_categories_themselves_tell():
    """Losses that are the categories in their best order reach every bound; sides without a category that
    the other has reach t - t^2 / 2."""
    counts = np.array([[300, 500, 200], [100, 500, 400]])
    frame = pd.DataFrame(
        {
            "member": np.repeat([True, False], 1000),
            "c": np.concatenate([np.repeat([*"xyz"], k) for k in counts]),
        }
    )
    shares = shares_of(frame.sample(frac=1, random_state=0), ["c"])
    assert shares.apart == pytest.approx(0.2)
    best = measure_leakage(*(np.repeat([1.0, 2, 3], of_side) for of_side in counts))
    assert shares.auc == pytest.approx(best["auc"])
    assert shares.most("heldout_advantage", 0) == pytest.approx(best["advantage"])
    # At 5% FPR a half of x is called; at 1% FNR a twentieth of z is left.
    assert shares.most("tpr_at_1pct_fpr", 0.05) == pytest.approx(0.15)
    assert shares.most("tnr_at_1pct_fnr", 0.01) == pytest.approx(0.02)
    apart = Shares(np.array([0.3, 0.7, 0.0]), np.array([0.0, 0.7, 0.3]))
    assert apart.auc == pytest.approx(0.5 + 0.3 - 0.3**2 / 2)
    nothing = shares_of(frame, [])
    assert (nothing.apart, nothing.auc, nothing.most("tpr_at_1pct_fpr", 0.0123)) == (0, 0.5, 0.0123)


def test_no_losses_find_more_than_the_shares_explain():
    """200 times categories with random shares, and losses of random places and spreads: the mean over 40
    audits is below each bound; 4 standard errors of the mean of 40 are left to chance."""
    generator = np.random.default_rng(6)
    for _ in range(40):
        shares = generator.dirichlet(np.ones(3), 2)
        counts = np.array([generator.multinomial(2000, of_side) for of_side in shares])
        frame = pd.DataFrame(
            {
                "member": np.repeat([True, False], 2000),
                "c": np.concatenate([np.repeat(np.arange(3), of_side) for of_side in counts]),
            }
        )
        bound = shares_of(frame, ["c"])
        places, spreads = generator.normal(0, 3, 3), generator.exponential(1, 3)
        found = []
        for _ in range(20):
            losses = generator.normal(places[frame["c"]], spreads[frame["c"]])
            both = losses[frame["member"]], losses[~frame["member"]]
            tpr = estimates_of(Losses(*both), ["tpr_at_1pct_fpr"])["tpr_at_1pct_fpr"].value
            auc = estimates_of(Losses(*both), ["auc"])["auc"].value
            found.append((auc, heldout_estimate(*both).value, tpr))
        errors = np.std(found, axis=0, ddof=1) / np.sqrt(20)
        most = bound.auc, bound.apart, bound.most("tpr_at_1pct_fpr", 21 / 2001)
        assert (np.mean(found, axis=0) < np.array(most) + 4 * errors + 1e-9).all()


def test_losses_in_another_order_are_unrelated():
    """To models of one kind losses are related; a permuted file is told in 99.7%, and no related one."""
    generator = np.random.default_rng(7)
    hardness = generator.normal(0, 1, 25_000)
    first, second = (np.exp(hardness + generator.normal(0, 1, 25_000)) for _ in range(2))
    assert not unrelated(first, second)
    assert unrelated(first, generator.permutation(second))
    assert not unrelated(first, -second)  # confidences are in one order too
    missing = np.where(np.arange(25_000) % 200, np.nan, second)
    assert not unrelated(first, missing)
    assert unrelated(first, generator.permutation(missing))
    missing[20_000:] = np.nan
    assert not unrelated(first, np.where(np.arange(25_000) < 99, generator.normal(size=25_000), np.nan))
    assert not unrelated(first, np.ones(25_000))


def test_shares_are_of_rows_where_rows_were_drawn():
    """Persons with many rows are in a group; each row is in by a coin of 80%."""
    generator = np.random.default_rng(8)
    claims = 0
    for _ in range(200):
        rows = generator.geometric(1 / 3, 400)
        who = np.repeat(np.arange(400), rows)
        frame = pd.DataFrame({"person": who, "many": (rows > 2)[who]})
        frame["member"] = generator.random(len(who)) < 0.8
        check = same_shares("groups", "groups", frame, "many", 0.05)
        assert check["p"] is not None
        claims += check["differs"]
    assert claims < 22  # 5% of 200, and 3.9 standard deviations
    # Half of the persons at once, half row by row: neither rows nor persons can be counted.
    frame["member"] = np.where(who % 2, (generator.random(400) < 0.8)[who], frame["member"])
    check = same_shares("groups", "groups", frame, "many", 0.05)
    assert check["p"] is None and not check["differs"]
    assert "cannot be compared" in check["sentence"]
