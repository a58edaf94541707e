"""The audit's verdict and its report: what is read, what is said of it, and what can be handed on."""

import base64
import copy
import json
import math
import pickle
import re
import stat
import subprocess
import sys
import tomllib
from hashlib import sha256
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from leakage import Losses, auc_with_interval, measure_leakage, paired_contrast
from leakage.audit import VERSION, _without_output, audit, command_line
from leakage.command_line import BadInput
from leakage.page import LETTERS, page_of
from leakage.wording import (
    bound_on_epsilon,
    first_sentence,
    glossary_of,
    measures_table,
    print_report,
    words_on_contrast,
    words_on_groups,
)

ROOT = Path(__file__).resolve().parents[1]


def made(n=2000, m=1500, seed=0, leak=0.9):
    """Losses of a model that leaks: members' losses are a tenth smaller."""
    generator = np.random.default_rng(seed)
    return generator.exponential(leak, n), generator.exponential(1, m)


@pytest.fixture
def run_audit(tmp_path, capsys):
    """Runs the command line on two files: exit status, standard output, standard error."""
    np.save(tmp_path / "members.npy", made()[0])
    np.save(tmp_path / "nonmembers.npy", made()[1])

    def run(*arguments, output="audit"):
        files = [str(tmp_path / name) for name in ("members.npy", "nonmembers.npy")]
        try:
            command_line([*files, *arguments, "--output", str(tmp_path / output)], "python -m leakage")
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run


# ----------------------------------------------------------------------------------------------- the verdict


def test_a_leak_that_the_auc_does_not_show_is_told():
    """Boosted trees on a few hundred records: members' losses are in the middle of the non-members', so that
    the AUC is near 0.5, but no member has a large loss."""
    generator = np.random.default_rng(0)
    report = audit(np.exp(generator.normal(-9, 0.5, 284)), np.exp(generator.normal(-9, 3, 285)))
    finding = report["finding"]
    assert finding["auc_low"] < 0.5
    assert finding["heldout_advantage_low"] > 0
    assert report["verdict"][0].startswith("It leaks: the held-out advantage is")
    assert finding["leak_shown"]
    assert "cases instead of 50" not in report["meaning"]
    assert {proof["measure"] for proof in finding["shown_by"]} >= {"heldout_advantage", "epsilon_low"}


def test_a_leak_with_an_auc_below_one_half_is_one_statement():
    """Members in the middle, and more often above than below: no question whether the files are swapped."""
    generator = np.random.default_rng(0)
    sides = 1.5 * np.exp(generator.normal(-9, 0.5, 3284)), np.exp(generator.normal(-9, 3, 3285))
    report = audit(*sides)
    assert report["finding"]["auc_high"] < 0.5
    assert report["verdict"][0].startswith("It leaks: the held-out advantage is")
    assert "fewer than half" in report["verdict"][0]
    assert not any("swapped" in warning for warning in report["warnings"])
    # Of another model the verdict tells nothing, and one of several trainings may be swapped.
    first, second = made(2000, 2000, leak=0.1), made(2000, 2000, leak=0.5)[::-1]
    for others in (audit(*first, against=second), audit(*first, *second)):
        assert others["finding"]["leak_shown"]
        assert sum("swapped" in warning for warning in others["warnings"]) == 1


@pytest.mark.parametrize(
    ("n", "m", "said"), [(1, 1, "1 member and 1 non-member."), (200, 3, "200 members and 3")]
)
def test_a_handful_of_records_is_too_few(n, m, said):
    report = audit(np.linspace(0.2, 0.9, n), np.linspace(0.3, 0.95, m))
    assert report["verdict"][0].startswith(f"There are too few to tell: {said}")
    assert "pairs" not in report["verdict"][0]
    assert "100.0%" not in " ".join(report["verdict"])
    assert "So few records" in report["meaning"]


def test_few_persons_could_not_have_shown_anything():
    """30 rows of 3 persons and 40 of 4: no AUC would have been found, not 1.000 either."""
    persons = [np.repeat(np.arange(3), 10), np.repeat(np.arange(3, 7), 10)]
    report = audit(*made(30, 40), persons=persons)
    assert "1.000" not in report["verdict"][0]
    assert "too few" in report["verdict"][0]


@pytest.mark.filterwarnings("error")
def test_losses_near_the_largest_number_are_losses():
    losses = np.random.default_rng(0).uniform(0, 1.7, 720)
    large, small = (
        audit(
            *np.split(scale * losses[:360], [200]),
            references=[scale * losses[360:]],
            reference_members="None",
        )
        for scale in (1e308, 1)
    )
    assert large["trainings"][0]["loss"] == small["trainings"][0]["loss"]
    assert large["same_source"] == small["same_source"]
    assert large.png()


def test_what_would_have_been_found_is_told_if_nothing_is():
    report = audit(*made(seed=3, leak=1.0))
    detectable = report["finding"]["detectable_auc"]
    half = (report["finding"]["auc_high"] - report["finding"]["auc_low"]) / 2
    assert detectable == pytest.approx(0.5 + half * (1 + 0.8416 / 1.96), abs=1e-3)
    assert f"would have found an AUC of {detectable:.3f} or more" in report["verdict"][0]


def test_models_that_leak_nothing_are_said_to_leak_in_at_most_5_percent():
    """By the loss, with references, groups and classes at once: of 120 audits 14 or more would come in 1 of
    300 such tests at a rate of 5%; it was 1."""
    generator, claims = np.random.default_rng(4), 0
    for _ in range(120):
        difficulty = generator.normal(0, 1, 240)
        logits = np.column_stack([np.zeros(240), difficulty + generator.normal(0, 0.5, 240)])
        labels, reference = generator.integers(0, 2, 240), np.exp(difficulty)
        frames = [
            pd.DataFrame({"a": logits[side, 0], "b": logits[side, 1], "sex": np.arange(120) % 3})
            for side in (slice(120), slice(120, 240))
        ]
        report = audit(
            *frames,
            labels=[labels[:120], labels[120:]],
            group_column="sex",
            references=[reference],
            reference_members="none",
        )
        assert len(report["finding"]["shown_by"]) == 0 or report["finding"]["leak_shown"]
        claims += report["verdict"][0].startswith("It leaks")
    assert claims < 14


def test_several_trainings_are_read_one_by_one_too():
    """A mean of two trainings can show nothing; that one of them leaks still stands in the first sentence,
    and contradicts the epsilon that is claimed of both."""
    report = audit(*made(seed=3, leak=1.0), *made(seed=5, leak=0.2), claimed_epsilon=0.5)
    assert report["kind"]["auc_low"] < 0.5
    assert report["verdict"][0].startswith("It leaks: the AUC by the loss of training 2")
    bounds = report["claim"]["epsilon_low"]
    assert bounds[0] < 0.5 < bounds[1]
    assert report["claim"]["contradicted"]
    assert any("above the claimed 0.5" in warning for warning in report["warnings"])


def test_the_group_that_leaks_most_stands_in_the_second_sentence():
    generator = np.random.default_rng(6)
    table = pd.DataFrame(
        {
            "loss": np.concatenate([*made(3000, 3000, leak=1.0), *made(200, 200, leak=0.1)]),
            "in": np.repeat([1, 0, 1, 0], [3000, 3000, 200, 200]),
            "died": np.repeat([0, 1], [6000, 400]),
        }
    ).sample(frac=1, random_state=generator)
    report = audit(table, member_column="in", column="loss", group_column="died")
    rows = {row["group"]: row for row in report["groups"]["rows"]}
    second = report["verdict"][0].split(". ", 2)[1] if "It leaks" in report["verdict"][0] else ""
    assert f"The group that leaks most is died 1: {rows['1']['auc']:.1%} of pairs" in report["verdict"][0]
    assert "adjusted for 2 groups" in report["verdict"][0]
    assert rows["1"]["auc_low"] > 0.8
    assert "above it died 1; below it died 0" in words_on_groups(report["groups"])
    assert "died 1" in second


def test_groups_and_classes_are_adjusted_each_set_on_its_own():
    generator = np.random.default_rng(6)
    labels = generator.integers(0, 3, 900)
    table = pd.DataFrame(generator.normal(0, 1, (900, 3)) + 2 * np.eye(3)[labels], columns=list("abc"))
    table["g"] = np.where(np.arange(900) % 2, "odd", "even")
    report = audit(table[:450], table[450:], labels=[labels[:450], labels[450:]], group_column="g")
    named = 3 if " is class " in report["verdict"][0] else 2
    assert [len(report[name]["rows"]) for name in ("groups", "classes")] == [2, 3]
    assert f"adjusted for {named} groups" in report["verdict"][0]


def test_the_group_named_is_not_at_odds_with_the_table():
    """A large group leaks for sure, a small one seems to leak more: the verdict does not call the first the
    one that leaks most. Where nothing is shown, the highest is that of the table's first row."""
    members, nonmembers = made(3040, 3040, leak=0.7)
    members[3000:] *= 0.5
    groups = np.repeat(["large", "small"], [3000, 40])
    sides = [pd.DataFrame({"loss": losses, "g": groups}) for losses in (members, nonmembers)]
    report = audit(*sides, column="loss", group_column="g")
    rows = {row["group"]: row for row in report["groups"]["rows"]}
    assert rows["large"]["auc"] < rows["small"]["auc"]
    assert rows["large"]["auc_low"] > rows["small"]["auc_low"]
    assert "The group that leaks most for sure is g large" in report["verdict"][0]
    generator = np.random.default_rng(1)
    sides = [
        pd.DataFrame({"loss": np.r_[generator.normal(0, 1, 3000), losses], "g": groups})
        for losses in (np.linspace(-1.1, 1, 40), np.linspace(-1, 1.1, 40))
    ]
    report = audit(*sides, column="loss", group_column="g")
    assert not report["finding"]["leak_shown"]
    assert "The highest of the groups is g small" in report["verdict"][0]


def test_a_source_that_is_disproved_is_not_said_to_be_assumed(tmp_path, capsys):
    files = [str(tmp_path / name) for name in ("members.csv", "nonmembers.csv")]
    for file, share in zip(files, (0.2, 0.6), strict=True):
        count = int(1000 * share)
        losses = made(1000, 1000)[0] - np.repeat([0.0, 0.5], [1000 - count, count])
        pd.DataFrame({"loss": losses, "sex": np.repeat([0, 1], [1000 - count, count])}).to_csv(file)
    command_line([*files, "--column", "loss", "--group-column", "sex", "--output", str(tmp_path / "audit")])
    printed = capsys.readouterr().out
    assert "one source is disproved" in printed
    assert "one source is assumed" not in printed


@pytest.mark.parametrize("claimed", [-1, 0, float("nan"), float("inf")])
def test_a_claimed_epsilon_is_a_number_above_0(claimed):
    with pytest.raises(BadInput, match="claimed epsilon"):
        audit(*made(50, 50), claimed_epsilon=claimed)


def test_classes_are_groups_and_accuracy_is_printed(run_audit, tmp_path, capsys):
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 3, 900)
    logits = generator.normal(0, 1, (900, 3)) + 2 * np.eye(3)[labels]
    for name, part in {"members": slice(450), "nonmembers": slice(450, 900)}.items():
        np.save(tmp_path / f"{name}.npy", logits[part])
        np.save(tmp_path / f"{name}_labels.npy", labels[part])
        np.save(tmp_path / f"{name}_shuffled.npy", generator.permutation(labels[part]))
    files = [str(tmp_path / name) for name in ("members.npy", "nonmembers.npy")]
    command = [*files, "--output", str(tmp_path / "audit"), "--labels"]
    command_line([*command, *(str(tmp_path / f"{name}_labels.npy") for name in ("members", "nonmembers"))])
    out, right = capsys.readouterr().out, np.mean(logits[:450].argmax(axis=1) == labels[:450])
    assert f"Accuracy: {right:.1%} of the members" in out
    assert "Warning" not in out
    assert out.count("class members") == 1
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert sorted(row["group"] for row in report["classes"]["rows"]) == ["0", "1", "2"]
    command_line([*command, *(str(tmp_path / f"{name}_shuffled.npy") for name in ("members", "nonmembers"))])
    assert "no better than calling everything the largest class" in capsys.readouterr().out


def test_persons_have_a_line_of_their_own():
    """Rows of a person are alike: 100 persons a side with 10 rows each, and nothing leaks."""
    generator = np.random.default_rng(8)
    persons = np.repeat(np.arange(200), 10)
    losses = np.exp(np.repeat(generator.normal(0, 1, 200), 10) + generator.normal(0, 0.5, 2000))
    table = pd.DataFrame({"loss": losses, "in": (persons < 100).astype(int), "who": persons})
    report = audit(table, member_column="in", column="loss", person_column="who")
    by_array = audit(losses[:1000], losses[1000:], persons=[persons[:1000], persons[1000:]])
    assert report["finding"] == by_array["finding"]
    assert report["verdict"][1].startswith("By person, the unit at risk: no leak can be shown")
    assert f", {100 * report['confidences']['auc']:.4g}% sure, 100 persons and 100)" in report["verdict"][1]
    assert [check["check"] for check in report["same_source"]["checks"]] == ["rows a person"]
    alone = audit(losses[:1000], losses[1000:])["finding"]
    width, of_rows = (found["auc_high"] - found["auc_low"] for found in (report["finding"], alone))
    assert width > 2 * of_rows


def test_a_person_of_inf_and_minus_inf_is_counted_and_left_out():
    """Rows of which the model gives one no probability, and its references another: as forests do, whose
    trees vote 0. The losses themselves hold no NaN, and the rest of the audit counts them."""
    generator = np.random.default_rng(18)
    persons = np.repeat(np.arange(60), 2)
    own, reference = np.exp(generator.normal(0, 1, (2, 120)))
    own[[0, 4, 6]], reference[[1, 5, 8]] = np.inf, np.inf
    sides = {"persons": [persons[:60], persons[60:]], "references": [reference], "reference_members": "none"}
    report = audit(own[:60], own[60:], **sides)
    assert (report["persons"]["without_mean"], report["persons"]["members"]) == (2, 28)
    assert "28 persons and 30; 2 persons with inf and -inf left out)" in report["verdict"][1]
    assert report["trainings"][0]["calibrated"]["members"] == 60
    assert report.png()
    own[:44:2], reference[1:44:2] = np.inf, np.inf
    report = audit(own[:60], own[60:], **sides)
    told = "only 9 persons are members, or non-members, with all their rows (21 more have inf and -inf)"
    assert report["persons"] == {"refused": told}


@pytest.mark.parametrize(("trainings", "references"), [(1, False), (2, False), (2, True)])
def test_the_level_is_shared_by_all_questions_and_all_trainings(trainings, references):
    """Each attack on each training and on their mean, the groups, the persons: 5% together."""
    reference = {"references": [np.concatenate(made(60, 50, seed=9))], "reference_members": "none"}
    sides = [
        pd.DataFrame(
            {"loss": losses, "g": np.arange(len(losses)) % 2, "who": first + np.arange(len(losses)) // 2}
        )
        for seed in range(trainings)
        for first, losses in zip((0, 100), made(60, 50, seed=seed), strict=True)
    ]
    options = {"column": "loss", "group_column": "g", "person_column": "who"}
    report = audit(*sides, **options, **(reference if references else {}))
    questions = (2 if references else 1) * trainings + 2
    assert report["confidences"]["auc"] == pytest.approx(1 - 0.05 / questions)
    of_trainings = report["confidences_of_trainings"]
    assert of_trainings["auc"] == pytest.approx(1 - 0.05 / questions / trainings)
    assert of_trainings["heldout_advantage"] == pytest.approx(1 - 0.01 / questions / trainings)
    assert report["confidences"]["epsilon_low"] == pytest.approx(1 - 0.005 / questions)
    assert report["groups"]["confidence"] == report["confidences"]["auc"]
    found = report["trainings"][-1]["loss"]
    assert found.pop("auc_degrees") < 60
    assert found == pytest.approx(
        measure_leakage(
            *(side["loss"].to_numpy() for side in sides[-2:]),
            confidence=of_trainings,
            member_persons=sides[-2]["who"].to_numpy(),
            nonmember_persons=sides[-1]["who"].to_numpy(),
        )
    )


def test_persons_and_the_control_have_their_shares_of_the_level():
    members, nonmembers = made(60, 50)
    persons = np.arange(60) // 2, 100 + np.arange(50) // 2
    control = np.concatenate(made(60, 50, seed=1))
    report = audit(members, nonmembers, persons=persons, control=[control])
    assert report["confidences"]["auc"] == pytest.approx(0.975)
    means = [losses.reshape(-1, 2).mean(axis=1) for losses in (members, nonmembers)]
    expected = auc_with_interval(*means, confidence=0.975)
    assert [report["persons"][key] for key in ("auc", "auc_low", "auc_high")] == pytest.approx(expected)
    models = [
        Losses(losses[:60], losses[60:], None, None, *persons)
        for losses in (np.concatenate([members, nonmembers]), control)
    ]
    contrast = paired_contrast(*models, ("a", "b"), confidence=0.975)
    for key in ("auc_difference", "auc_low", "auc_high"):
        assert report["control"][key] == pytest.approx(contrast[key])


# ------------------------------------------------------------------------------------------------ one source


def sides_with_models(shift, leak, n=3000, seed=9):
    """Losses of a model, of a control and of four references; members are easier by `shift` to all models."""
    generator = np.random.default_rng(seed)
    member = np.arange(2 * n) < n
    difficulty = generator.normal(0, 1, 2 * n) - shift * member

    def losses(memory):
        return np.exp(difficulty + generator.normal(0, 0.3, 2 * n) - memory)

    trained = [half for _ in range(2) for half in (lambda half: (half, ~half))(generator.random(2 * n) < 0.5)]
    references = np.array([losses(0.3 * mask) for mask in trained])
    return losses(leak * member), losses(0), references, np.array(trained), n


def test_sides_that_differ_without_the_model_are_the_first_sentence():
    """Neither a leak nor the wrong order is told, and no epsilon contradicted, by references or a control."""
    own, control, references, trained, n = sides_with_models(shift=1.0, leak=-0.3)
    sides = own[:n], own[n:]
    reports = [
        audit(*sides, references=[references], reference_members=[trained], claimed_epsilon=0.01),
        audit(*sides, control=[control], claimed_epsilon=0.01),
    ]
    for report in reports:
        assert report["verdict"][0].startswith("The two sides differ without the model")
        assert report["meaning"].endswith("cannot say whether the model gives away who was in its data.")
        assert "wrong way round" not in json.dumps(report)
        assert "swapped" not in json.dumps(report["warnings"])
        assert not report["finding"]["leak_shown"]
        assert report["finding"]["epsilon_low"] is None
        assert not report["claim"]["contradicted"]
        assert len(report["verdict"]) == 1
    assert audit(*sides)["verdict"][0].startswith("It leaks")  # what cannot be known from these files


def unequal_sides(leak=1.0, easier=1.0, shares=(0.5, 0.53), n=20_000, seed=3):
    """Two sides with unequal shares of a sex, whose losses are those of the other times `easier`; members'
    losses are those of non-members times `leak`."""
    generator, sides = np.random.default_rng(seed), []
    for share, times in zip(shares, (leak, 1.0), strict=True):
        sex = (np.arange(n) < share * n).astype(int)
        sides.append(pd.DataFrame({"loss": times * easier**sex * generator.exponential(1, n), "sex": sex}))
    return sides


GROUPED = {"column": "loss", "group_column": "sex"}


def test_what_unequal_shares_cannot_explain_stays_a_leak():
    """Half of the members and 53% of the others are of one sex: by itself an AUC of at most 0.515."""
    report = audit(*unequal_sides(leak=0.5), **GROUPED)
    finding = report["finding"]
    assert finding["sides_differ"] and finding["leak_shown"] is True
    assert report["same_source"]["explained"] == pytest.approx({"apart": 0.03, "auc": 0.515})
    chances = {proof["measure"]: proof["chance"] for proof in finding["shown_by"] if proof["of"] == "loss"}
    assert chances["auc"] == pytest.approx(0.515)
    assert chances["heldout_advantage"] == pytest.approx(0.03)
    # Of 100 false alarms 53 are of that sex at most; the attack that names the other finds 50 / 47 as many.
    assert chances["tpr_at_1pct_fpr"] == pytest.approx(0.50 / 0.47 * (201 / 20_001))
    # Within a sex the shares explain nothing.
    assert {proof["chance"] for proof in finding["shown_by"] if "in the group" in proof["of"]} == {0.5}
    assert "epsilon_low" not in chances and finding["epsilon_low"] is None
    verdict = report["verdict"][0]
    assert verdict.startswith("It leaks: a random member has a lower loss")
    assert "the shares differ by 3.0% in all, which explains at most 51.5% of pairs" in verdict
    assert "instead of 52 at most, by the unequal shares" in report["meaning"]


def test_beside_a_control_unequal_shares_explain_twice_as_much():
    """They may raise the model's AUC and lower the control's: here by 0.015 and 0.012, and nothing leaks."""
    members, nonmembers = unequal_sides(easier=0.01)[::-1]
    generator = np.random.default_rng(8)
    easy = np.concatenate([members["sex"], nonmembers["sex"]])
    control = generator.exponential(1, 40_000) * 30.0**easy
    report = audit(members, nonmembers, **GROUPED, control=[control])
    assert [check["check"] for check in report["same_source"]["checks"] if check["differs"]] == [
        "control",
        "groups",
    ]
    assert report["finding"]["leak_shown"] is None  # the control differs too: nothing is known
    # A control that does not part the sides, and a model that the shares alone move by 0.015.
    control = generator.exponential(1, 40_000)
    report = audit(members, nonmembers, **GROUPED, control=[control])
    assert [check["check"] for check in report["same_source"]["checks"] if check["differs"]] == ["groups"]
    assert 0 < report["control"]["auc_low"] < 0.03
    assert report["finding"]["leak_shown"] is None
    strong = members.assign(loss=members["loss"] * 0.2)
    proofs = audit(strong, nonmembers, **GROUPED, control=[control])["finding"]["shown_by"]
    assert (proofs[0]["of"], proofs[0]["chance"]) == ("control", pytest.approx(0.03))


def test_a_gate_on_a_leak_that_is_not_known_ends_with_status_2(tmp_path, capsys):
    """A sex is easier, and no leak is there: the difference is within what the shares explain."""
    sides = unequal_sides(easier=0.01)
    report = audit(*sides, **GROUPED)
    assert report["finding"]["auc_high"] < 0.5  # members are fewer of the easy sex
    assert report["finding"]["leak_shown"] is None
    assert "Of these, the shares differ by 3.0% in all, which explains at most 51.5%" in report["verdict"][0]
    files = []
    for place, side in enumerate(sides):
        files.append(str(tmp_path / f"{place}.csv"))
        side.to_csv(files[-1], index=False)
    command = [*files, "--column", "loss", "--group-column", "sex", "--output", str(tmp_path / "audit")]
    for condition, status in (("leak_shown > 0", 2), ("sides_differ > 0", 3)):
        with pytest.raises(SystemExit) as ended:
            command_line([*command, "--fail-if", condition])
        assert ended.value.code == status
        assert capsys.readouterr().err.count("\n") == 1


def test_nothing_is_judged_below_a_verdict_that_cannot_be_given():
    own, control, *_, n = sides_with_models(shift=1.0, leak=0.3, n=10_000)
    report = audit(own[:n], own[n:], control=[control], against=(own[n:], own[:n]))
    shown = report._repr_html_()
    assert report["finding"]["sides_differ"]
    shown = shown.partition("<h2>Words")[0]
    for words in ("leaks more", "if nothing leaks", "Of those called members at"):
        assert words not in shown
    assert "by chance" in shown


def test_a_split_by_row_is_told_and_compares_nothing():
    """400 persons, rows in by a coin of 80%: who has all rows on one side has few, and outside the fewest.
    Nothing leaks, and a group is commoner among those with many rows."""
    generator = np.random.default_rng(5)
    rows = generator.geometric(1 / 3, 400)
    table = pd.DataFrame({"who": np.repeat(np.arange(400), rows), "many": np.repeat(rows > 3, rows)})
    table["in"] = (generator.random(len(table)) < 0.8).astype(int)
    table["loss"] = np.repeat(generator.normal(0, 1, 400), rows) + generator.normal(0, 1, len(table))
    report = audit(table, member_column="in", column="loss", person_column="who", group_column="many")
    assert not report["finding"]["sides_differ"]
    assert "who was a member was decided by row, not by person" in report["verdict"][1]
    assert {check["check"]: check.get("p") is None for check in report["same_source"]["checks"]} == {
        "groups": False,  # counted by row
        "rows a person": True,
    }
    assert report["finding"]["epsilon_low"] is None
    shown = report._repr_html_()
    assert "Epsilon: nothing can be said: " in shown
    made_checks, assumed_parts = shown.partition("<h2>What is assumed")[::2]
    assert "cannot be compared" not in made_checks.partition("<h2>What was checked")[2]
    assert "The number of rows a person cannot be compared" in assumed_parts
    # With persons the band of the figure would be too narrow, and is left out.
    roc = report.figure().axes[0]
    assert len(roc.collections) == 0 < len(audit(*made(50, 50)).figure().axes[0].collections)


def test_groups_and_persons_stand_beside_the_control():
    """Members of one group are easier to all models, by chance of the sample: no leak beside a control."""
    generator, n = np.random.default_rng(4), 4000
    easy = np.repeat([0.0, 1.0], n) * (np.arange(2 * n) % 40 == 0)
    difficulty = generator.normal(0, 1, 2 * n) + 0.8 * easy
    own, control = (np.exp(difficulty + generator.normal(0, 0.1, 2 * n)) for _ in range(2))
    group = np.where(np.arange(2 * n) % 40, "others", "few")
    sides = [pd.DataFrame({"loss": own[side], "g": group[side]}) for side in (slice(n), slice(n, 2 * n))]
    options = {"column": "loss", "group_column": "g"}
    alone, beside = (audit(*sides, **options, **more) for more in ({}, {"control": [control]}))
    assert any("in the group few" in proof["of"] for proof in alone["finding"]["shown_by"])
    assert not beside["finding"]["sides_differ"]
    assert not any("in the group few" in proof["of"] for proof in beside["finding"]["shown_by"])
    row = next(row for row in beside["groups"]["rows"] if row["group"] == "few")
    # The two groups share the level of the groups, half of 5%.
    at = np.flatnonzero(group == "few")
    models = [
        Losses(scores[at[at < n]], scores[at[at >= n]], at[at < n], at[at >= n]) for scores in (own, control)
    ]
    contrast = paired_contrast(*models, ("a", "b"), confidence=1 - 0.025 / 2)
    assert row["auc_difference_low"] == pytest.approx(contrast["auc_low"])
    assert row["auc_low"] > 0.5 and row["auc_difference_low"] < 0 < row["auc_difference_high"]
    # A leak in that group is shown as the difference, in the verdict too; and so is one by person.
    own[:n] *= np.where(easy[n:] > 0, 0.2, 1)
    sides = [pd.DataFrame({"loss": own[side], "g": group[side]}) for side in (slice(n), slice(n, 2 * n))]
    whose = [np.arange(n) // 2, n + np.arange(n) // 2]
    found = audit(*sides, **options, control=[control], persons=whose)
    proofs = {proof["of"]: proof for proof in found["finding"]["shown_by"]}
    assert proofs["loss in the group few"]["measure"] == "auc_difference"
    assert proofs["loss in the group few"]["chance"] == 0
    assert "The group that leaks most is g few" in found["verdict"][0]
    assert "points beside the control" in found["verdict"][1]
    for several in (sides, [*sides, *sides]):
        assert "auc_difference_low" in audit(*several, **options, control=[control], persons=whose)["persons"]


def test_persons_are_the_same_in_all_trainings_whatever_the_order():
    """Of two trainings with other members, in which the rows stand in other orders."""
    generator = np.random.default_rng(6)
    whose, common = np.repeat(np.arange(80), 3), np.repeat(generator.normal(0, 1, 80), 3)
    tables = []
    for _ in range(2):
        table = pd.DataFrame({"id": np.arange(240), "who": [f"person {number}" for number in whose]})
        table["in"] = (generator.random(80) < 0.5)[whose].astype(int)
        tables.append(table.assign(loss=np.exp(common + generator.normal(0, 0.3, 240))))
    options = {"member_column": "in", "column": "loss", "id_column": "id", "person_column": "who"}
    orders = [audit(tables[0], tables[1].sample(frac=1, random_state=seed), **options) for seed in range(3)]
    for other in orders[1:]:
        assert other["persons"] == pytest.approx(orders[0]["persons"])


def test_the_detectable_auc_stands_above_the_controls():
    own, control, *_, n = sides_with_models(shift=0, leak=0, n=300, seed=12)
    report = audit(own[:n], own[n:], control=[control])
    found = report["control"]
    half = (found["auc_high"] - found["auc_low"]) / 2
    expected = found["control_auc"] + half * (1 + 0.8416 / 1.96)
    assert abs(found["control_auc"] - 0.5) > 0.003
    assert report["finding"]["detectable_auc"] == pytest.approx(expected, abs=1e-5)


def test_the_bound_on_epsilon_counts_at_its_share():
    """Of 20 guesses, at the 10 lowest and the 10 highest of 60 losses, 15 are right: 2.1% by chance, enough
    for a bound with 95%, but not for one with 99.5%. The words say which is which."""
    member = np.array([1] * 9 + [0] + [0, 1] * 21 + [0, 1, 0, 0, 1, 0, 1, 0], bool)
    losses = np.linspace(3, 4, 60) ** 2
    report = audit(losses[member], losses[~member])
    epsilon = report["epsilon"]
    assert epsilon["epsilon_low"] > 0 == epsilon["low_for_verdict"]
    assert not report["finding"]["leak_shown"]
    shown = report._repr_html_()
    assert f"at least {epsilon['epsilon_low']:.3f} (95% sure" in shown
    assert "must be 99.5% sure, and then nothing is shown" in shown
    # Where something else shows the leak, the verdict is not at odds with the bound.
    leaking = report | {"finding": report["finding"] | {"leak_shown": True}}
    assert "then nothing is shown" not in bound_on_epsilon(leaking)
    # With 17, 0.13% by chance, it is a proof, told by the bound that is printed.
    member[[9, 11, 12, 51]] = member[[11, 9, 51, 12]]
    report = audit(losses[member], losses[~member])
    proof = next(proof for proof in report["finding"]["shown_by"] if proof["measure"] == "epsilon_low")
    assert proof["value"] == report["finding"]["epsilon_low"] > proof["low"] > 0
    assert "then nothing is shown" not in report._repr_html_()


@pytest.mark.parametrize(("persons", "unit"), [(False, "record"), (True, "person with all rows")])
def test_a_contradicted_claim_names_its_unit_and_its_delta(persons, unit):
    sides = made(3000, 3000, leak=0.05)
    whose = {"persons": [np.arange(3000) // 2, 3000 + np.arange(3000) // 2]} if persons else {}
    report = audit(*sides, **whose, claimed_epsilon=0.1, delta=1e-6)
    [warning] = (words for words in report["warnings"] if "claimed" in words)
    assert f"at delta 1e-06 and for one {unit}, is above the claimed 0.1" in warning
    assert f"if a lot decided for each {unit}" in report._repr_html_()
    assert "--delta" not in report._repr_html_().partition("What was checked")[0]
    assert "taken to be at delta 1e-05 (--delta)" in audit(*sides, claimed_epsilon=0.1)._repr_html_()


def test_rounding_does_not_contradict_the_verdict():
    """An interval that begins at 50.04% is above 50%, on the page too; and 50.4 of 100 are not 50."""
    generator = np.random.default_rng(1)
    for shift in np.linspace(0.02, 0.03, 60):
        losses = generator.normal(0, 1, (2, 20_000))
        report = audit(losses[0] - shift, losses[1])
        low = report["finding"]["auc_low"]
        if 0.5 < low < 0.5005:
            break
    assert 0.5 < low < 0.5005
    assert " interval 50.0% to" not in report["verdict"][0]
    assert "instead of 50." in report["meaning"] and "in 50 of 100" not in report["meaning"]


def test_a_small_difference_to_the_control_is_not_rounded_away():
    """Members' losses are a hundredth smaller than the control's: 0.3 of 100 pairs more, 49.49 at least, not
    49.25. In whole numbers these ends would be one."""
    generator = np.random.default_rng(3)
    difficulty = generator.normal(0, 1, 4000)
    own = np.exp(difficulty - 0.01 * (np.arange(4000) < 2000))
    control = np.exp(difficulty + generator.normal(0, 0.02, 4000))
    report = audit(own[:2000], own[2000:], control=[control])
    assert report["control"]["control_auc"] + report["control"]["auc_low"] == pytest.approx(0.4949, abs=1e-4)
    assert "in 49.5 of 100 cases instead of 49.3, as by a model" in report["meaning"]


def test_proofs_are_named_after_the_attack():
    own, _, references, trained, n = sides_with_models(shift=0, leak=0.6)
    table = pd.DataFrame({"loss": own, "g": np.arange(2 * n) % 2})
    report = audit(
        *(table[:n], table[n:]),
        column="loss",
        group_column="g",
        references=[references],
        reference_members=[trained],
        persons=[np.arange(n) // 2, n + np.arange(n) // 2],
    )
    names = {proof["of"] for proof in report["finding"]["shown_by"]}
    assert {"mean calibrated loss of a person", "calibrated loss in the group 0"} <= names
    assert "the mean calibrated loss of a random member" in report["verdict"][1]


def test_what_was_not_checked_is_not_said_to_be():
    """Of references that saw neither side nothing is known to be drawn by lot; values have no other kind."""
    own, control, *_, n = sides_with_models(shift=0, leak=0.3, n=300)
    shown = audit(own[:n], own[n:], references=[control], reference_members="none")._repr_html_()
    checks = shown.partition("What was checked")[2].partition("What is assumed")[0]
    assert "not drawn by who is a member" not in checks
    assert "of one kind" not in checks


def test_an_auc_below_one_half_has_its_likeliest_causes():
    report = audit(*made(leak=1.2))
    assert report["verdict"][0].startswith("The losses stand the wrong way round, and no leak can be shown")
    for words in (report["meaning"], " ".join(report["warnings"])):
        for cause in ("confidences", "swapped", "training mode", "dropout", "difficult", "2.5% or fewer"):
            assert cause in words


@pytest.mark.parametrize("n", [2, 5, 9, 10])
def test_below_10_records_a_side_they_are_too_few_whatever_their_order(n):
    report = audit(5 + np.arange(n), np.linspace(0, 1, 40) ** 2)
    assert report["finding"]["auc_high"] < 0.5
    assert n == 10 or not report["finding"]["leak_shown"]
    few = report["verdict"][0].startswith(f"There are too few to tell: {n} members and 40 non-members.")
    assert few == report["meaning"].startswith("So few records say nothing") == (n < 10)


def test_a_set_without_a_group_to_compare_asks_no_question():
    losses = made(90, 90)
    labels = np.arange(90) % 15
    logits = [np.column_stack([of_side, *np.zeros((14, 90))]) for of_side in losses]
    assert audit(*logits, labels=[labels, labels])["confidences"]["auc"] == pytest.approx(0.95)
    few = [labels % 3, labels % 3]
    assert audit(*logits, labels=few)["confidences"]["auc"] == pytest.approx(0.975)


def test_rows_in_another_order_are_no_check_of_one_source():
    """Of references and of a control; where the order is right the check is made, and where the sides differ
    all the same that is told."""
    own, control, *_, n = sides_with_models(shift=0, leak=0.3, n=300)
    order = np.random.default_rng(2).permutation(2 * n)
    nothing = "has nothing to do with the model's, as if rows were in another order"
    for given, what in (
        ({"references": [control], "reference_members": "none"}, "The references' own mean loss"),
        ({"control": [control]}, "The control's loss"),
    ):
        [right] = audit(own[:n], own[n:], **given)["same_source"]["checks"]
        assert right["auc_low"] < 0.5 < right["auc_high"] and nothing not in right["sentence"]
        option = next(iter(given))
        report = audit(own[:n], own[n:], **given | {option: [control[order]]})
        assert any("in one order" in warning for warning in report["warnings"])
        [wrong] = report["same_source"]["checks"]
        assert not wrong["differs"] and wrong["auc"] is None and nothing in wrong["sentence"]
        found, _, supposed = report._repr_html_().partition("What is assumed")
        assert what not in found.partition("What was checked")[2]
        assert escape(what) in supposed and "Nothing in these files could be checked" in supposed
        [apart] = audit(own[:n], own[n:], **given | {option: [np.sort(control)]})["same_source"]["checks"]
        assert apart["differs"] and apart["auc"] is not None


def test_that_persons_have_rows_on_both_sides_is_not_among_what_no_file_shows():
    persons = np.random.default_rng(3).integers(0, 300, 1000)
    losses = made(1000, 1)[0]
    sides = losses[:800], losses[800:]
    for given, words in (
        ({}, "Whether rows of a person, or near-duplicates, stand on both sides"),
        ({"persons": [persons[:800], persons[800:]]}, "Whether near-duplicates stand on both sides"),
    ):
        not_shown = audit(*sides, **given)._repr_html_().partition("was not checked")[2]
        assert words in not_shown
        assert ("of a person, or" in not_shown) == (not given)


def test_the_other_model_and_every_level_are_in_words(capsys):
    first, second = made(), made(leak=0.5)
    report = audit(*first, against=second, control=[np.concatenate(made(seed=5, leak=1))], command="x")
    print_report(report)
    out = capsys.readouterr().out
    other = report["against"][0]["loss"]["auc"]
    assert f"AUC of the other, by the loss: {other:.4f}. AUC of the audited model minus the other: " in out
    level = f"{100 * report['confidences']['auc']:.4g}% sure"
    assert re.search(r"minus the other: \S+ \(\S+ to \S+, 95% sure, over records\)", out)
    assert re.search(rf"Difference to it \S+ \(\S+ to \S+, {level}; 0 if nothing leaks\)", out)
    assert "others. By the loss it is compared with another model." in report._repr_html_()
    kinds = audit(*first, *made(seed=1), against=[*second, *made(seed=1, leak=0.5)])
    mean = np.mean([training["loss"]["auc"] for training in kinds["against"]])
    assert f", by the loss: {mean:.4f}, mean of 2 trainings. " in " ".join(words_on_contrast(kinds))
    assert "compared with 2 trainings of another kind." in kinds._repr_html_()


def test_the_finding_is_the_difference_to_a_control():
    """With the examples in common it is found where the AUC alone is not told from 0.5."""
    own, control, *_, n = sides_with_models(shift=0, leak=0.04)
    for sources in ([control], [control[:n], control[n:]]):
        report = audit(own[:n], own[n:], control=sources)
        assert report["finding"]["auc_low"] < 0.5 < report["finding"]["auc"]
        assert report["control"]["auc_low"] > 0
        assert report["verdict"][0].startswith("It leaks")
        assert "points beside the control" in report["verdict"][0]
        assert report["finding"]["shown_by"][0]["of"] == "control"
    # In place of the AUC and the held-out advantage themselves, which the sides may have by chance.
    strong = sides_with_models(shift=0, leak=0.3)[0]
    proofs = audit(strong[:n], strong[n:], control=[control])["finding"]["shown_by"]
    of_loss = {proof["measure"] for proof in proofs if proof["of"] == "loss"}
    assert "epsilon_low" in of_loss and not of_loss & {"auc", "heldout_advantage"}
    nothing = audit(*np.split(sides_with_models(shift=0, leak=0, seed=10)[0], 2), control=[control])
    assert nothing["verdict"][0].startswith("No leak can be shown")


def test_a_control_is_one_model_on_the_same_examples():
    own, control, references, _, n = sides_with_models(shift=0, leak=0, n=100)
    with pytest.raises(BadInput, match="4 models; give those of one"):
        audit(own[:n], own[n:], control=[references])
    with pytest.raises(BadInput):
        audit(own[:n], own[n:], control=[control[:-1]])


# ------------------------------------------------------------------------------------------------- the report


class Tags(HTMLParser):
    """Whether every tag is closed, and which addresses are named."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.names = [], [], set()

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_that_says_what_was_audited(run_audit, tmp_path):
    words = ["--title", "Model <b>7</b> & co", "--date", "2026-01-31"]
    assert run_audit(*words)[0] == 0
    page = (tmp_path / "audit" / "audit.html").read_text()
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.names and "link" not in tags.names and "b>7" not in page
    assert all(address.startswith("data:image/png;base64,") for address in tags.addresses)
    assert "http" not in page and "url(" not in page
    assert len(page) < 1_000_000
    assert "Model &lt;b&gt;7&lt;/b&gt; &amp; co" in page
    assert "2026-01-31" in page
    for name in ("members.npy", "nonmembers.npy"):
        content = (tmp_path / name).read_bytes()
        assert sha256(content).hexdigest() in page
        assert f"{len(content):,}" in page
    for part in (report["verdict"][0], report["meaning"], f"leakage {VERSION}", "--title"):
        assert part in page
    for heading in (
        "What was checked",
        "What is assumed",
        "was not checked",
        "What this audit is not",
        "Words",
    ):
        assert heading in page
    assert "Gaussian processes hold rows of their training data, and a tree grown to the end holds" in page
    assert "An upper bound" in page


LETTER_SIZES = {"p": 8, "li": 8, "dd": 6.8, "h1": 12, "h2": 8.8, "tr": 6.8}  # in points
MARGINS = {"p": 4.8, "li": 0, "dd": 1.2, "h1": 1.2, "h2": 12, "tr": 2.4}


class Rows(HTMLParser):
    """The cells of all rows of all tables, and the height of the page in points as it prints on A4: of each
    line of text at 0.55 of its size a letter, which is wide, and of the figure."""

    WIDTH, HEIGHT = (210 - 26) / 25.4 * 72, (297 - 26) / 25.4 * 72  # without the margins

    def __init__(self):
        super().__init__()
        self.tables, self.text, self.height = [], "", 0.0

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "img":
            png = base64.b64decode(dict(attributes)["src"].partition(",")[2])
            width, height = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
            self.height += 13.5 / 2.54 * 72 * height / width
        if tag == "dt" or (tag in LETTER_SIZES and tag != "dd"):  # a word stands in the line of its meaning
            self.text = ""

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self.text)
            self.text = ""
        elif tag in ("style", "title"):
            self.text = ""
        elif tag in LETTER_SIZES:
            text = "   ".join(self.tables[-1][-1]) if tag == "tr" else self.text
            lines = math.ceil(len(text) * 0.55 * LETTER_SIZES[tag] / (self.WIDTH - 20))
            self.height += 1.35 * LETTER_SIZES[tag] * max(lines, 1) + MARGINS[tag]

    @property
    def pages(self):
        return self.height / self.HEIGHT


def rows_of(report):
    rows = Rows()
    rows.feed(page_of(report, report.png()))
    return rows


def test_a_large_report_shows_what_decides_and_says_what_it_leaves_out():
    """12 trainings of which the last leaks, whose rows would be the last, by two attacks; references that
    leave records out; 7 warnings, 24 inputs."""
    generator, n = np.random.default_rng(20), 300
    difficulty, sides = generator.normal(0, 1, 2 * n), []
    for number in range(1, 13):
        losses = np.exp(difficulty + generator.normal(0, 0.5, 2 * n))
        losses[:n] *= 2 if number <= 6 else 0.3 if number == 12 else 1
        sides += [losses[:n], losses[n:]]
    trained = generator.random((3, 2 * n)) < 0.5
    references = np.exp(difficulty + generator.normal(0, 0.5, (3, 2 * n)) - 0.2 * trained)
    report = audit(*sides, references=[references], reference_members=[trained])
    assert len(report["warnings"]) == 7
    assert report["verdict"][0].startswith("It leaks: the AUC by the calibrated loss of training 12 is ")
    page, rows = report._repr_html_(), rows_of(report)
    auc = report["trainings"][11]["calibrated"]["auc"]
    measures, inputs = rows.tables
    assert measures[9][:4] == ["12", "calibrated", "AUC", f"{auc:.4f}"]
    assert f"is {auc:.1%}" in report["verdict"][0]
    assert [row[0] for row in measures[1:]] == ["mean"] * 8 + ["12"] * 10
    assert f'<p class="small">{len(measures_table(report)) - 18:,} more rows are in audit.json.</p>' in page
    assert len(measures_table(report)) == 8 + 12 * 12
    assert len(inputs) == 1 + 10
    assert f'<p class="small">{24 + 2 - 10} more rows are in audit.json.</p>' in page
    assert page.count("<b>Warning.</b>") == 6
    assert page.count("Members have the larger values") == 5
    assert "<b>Warning.</b> 2 more are in audit.json.</p>" in page
    lacking = (trained.sum(axis=0) % 3 == 0).sum()
    assert f"<p>{lacking} records lack a reference trained on them, or one that was not.</p>" in page
    given, judged = (report["trainings"][0][attack] for attack in ("loss", "calibrated"))
    audited = (
        "Audited: 12 trainings of one kind of model, by their losses, and those of reference models on "
        f"{given['members']} records that it was trained on and {given['nonmembers']} others, of which the "
        f"references can judge {judged['members']} and {judged['nonmembers']}."
    )
    assert audited in page
    assert rows.pages < 3
    assert (
        "Audited: one trained model, by its losses on 300 records that it" in audit(*sides[:2])._repr_html_()
    )


def test_a_page_with_everything_prints_on_three_pages():
    """Groups, classes, persons, references, a control, a second model, a claim and six warnings as long as
    can be; and precisions, which take 10,000 non-members."""
    generator, n = np.random.default_rng(21), 10_000
    labels = generator.integers(0, 12, 2 * n)
    logits = generator.normal(0, 1, (2 * n, 12)) + 1.5 * np.eye(12)[labels]
    logits[:n] += 0.4 * np.eye(12)[labels[:n]]
    table = pd.DataFrame(logits, columns=[f"class {number}" for number in range(12)])
    table["g"], table["who"] = generator.integers(0, 30, 2 * n), np.arange(2 * n) // 2
    sides = [table[:n], table[n:]]
    losses = -np.log(np.exp(logits)[np.arange(2 * n), labels] / np.exp(logits).sum(axis=1))
    others = losses + generator.normal(0, 0.3, (3, 2 * n)) ** 2
    half = generator.random(2 * n) < 0.5
    report = audit(
        *sides,
        against=sides,
        labels=[labels[:n], labels[n:]],
        group_column="g",
        person_column="who",
        references=[others[:2]],
        reference_members=[np.array([half, ~half])],
        control=[others[2]],
        claimed_epsilon=0.001,
        title="A title " * 20,
        command="python -m leakage " + "file " * 100,
    )
    report["warnings"] += [f"{number} {'warning ' * 60}" for number in range(6)]
    rows = rows_of(report)
    assert len(rows.tables) == 4
    assert 1.5 < rows.pages < 3
    assert max(map(len, report["warnings"])) > LETTERS
    # Of persons their intervals would be too narrow.
    assert report["trainings"][0]["precision"] == []


def test_of_those_called_members_how_many_are_stands_on_the_page():
    report = audit(*made(10_000, 10_000))
    precision = report["trainings"][0]["precision"]
    assert len(precision) == 3
    for row in precision:
        said = (
            f"{row['precision']:.1%} are members ({row['precision_low']:.1%} to {row['precision_high']:.1%})"
        )
        assert (
            f"<p>Of those called members at 0.1% FPR, {said} if {row['prior']:.0%} of" in report._repr_html_()
        )


def test_the_page_and_the_console_say_the_same_of_the_measures(capsys):
    report = audit(
        *made(60, 50), control=[np.concatenate(made(60, 50, seed=1))], against=made(60, 50, seed=2)
    )
    print_report(report)
    printed = capsys.readouterr().out
    [said] = re.findall(r"</table>\n(<p>.*?)\n", report._repr_html_().partition("What was measured")[2])
    paragraphs = re.findall("<p>(.*?)</p>", said)
    assert len(paragraphs) == 3
    assert "\n\n" + "\n".join(map(unescape, paragraphs)) + "\n\n" in printed


def test_a_point_within_the_first_sentence_does_not_end_the_title():
    towns = [np.repeat(["St. Louis", "Paris"], sizes) for sizes in ((200, 100), (100, 200))]
    sides = [pd.DataFrame({"loss": of, "town": town}) for of, town in zip(made(300, 300), towns, strict=True)]
    report = audit(*sides, column="loss", group_column="town")
    assert report["verdict"][0].startswith(first_sentence(report))
    assert "St. Louis, 66.7% and 33.3%" in first_sentence(report)
    shown = [" ".join(text.get_text().split()) for text in report.figure().findobj(Text)]
    assert first_sentence(report) in shown
    assert first_sentence(audit(*made(3, 3))) == "There are too few to tell: 3 members and 3 non-members."


@pytest.mark.parametrize(
    "page", [ROOT / "leakage" / "README.md", ROOT / "README.md"], ids=["leakage", "root"]
)
def test_the_example_prints_what_its_page_shows(page, tmp_path):
    """Two files made from nothing, and the command; of the root's page if it shows them."""
    text = page.read_text()
    shown = re.search(r"```python\n([^`]*members\.csv[^`]*)```.*?```console\n([^`]*)```", text, re.DOTALL)
    assert shown or page.parent == ROOT
    if not shown:
        return
    program, session = shown.groups()
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    for step in session.removeprefix("$ ").split("\n$ "):
        command, _, expected = step.partition("\n")
        command = re.sub(r"^\S*python\b", sys.executable, command)
        ended = subprocess.run(
            command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert ended.stdout.startswith(expected.rstrip() + "\n")


def test_the_same_input_and_date_give_the_same_bytes(run_audit, tmp_path):
    """In whatever folder they are kept."""
    pages = []
    for folder in ("audit", "audit", "other"):
        assert run_audit("--date", "today", output=folder)[0] == 0
        pages.append((tmp_path / folder / "audit.html").read_bytes())
    assert pages[0] == pages[1] == pages[2]
    assert _without_output(["a", "--output=x", "--output", "y", "b", "--", "--output"]) == [
        "a",
        "b",
        "--",
        "--output",
    ]


def test_no_option_is_taken_by_the_beginning_of_its_name(run_audit):
    status, out, error = run_audit("--as-give")
    assert (status, out) == (2, "")
    assert error == "python -m leakage: unrecognized arguments: --as-give; see --help\n"


def test_the_version_is_that_of_the_package():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_a_notebook_shows_the_report_which_stays_a_dict():
    report = audit(*made(300, 300))
    shown = report._repr_html_()
    assert report["verdict"][0] in shown
    assert "<html" not in shown
    assert json.loads(json.dumps(report)) == dict(report) == copy.deepcopy(report)
    # What is copied or handed on holds no losses, and not who was a member.
    for kept in (pickle.loads(pickle.dumps(report)), copy.copy(report), copy.deepcopy(report)):
        assert type(kept) is dict
        assert kept == report
    assert len(pickle.dumps(report)) < 2 * len(json.dumps(report))
    # Arrays are named too, with the digest of their bytes.
    assert [each["name"] for each in report["inputs"]] == ["array, 300 float64"] * 2
    assert report["inputs"][0]["sha256"] == sha256(made(300, 300)[0].tobytes()).hexdigest()


def test_what_is_taken_as_given_stands_in_every_part_of_the_report(run_audit, tmp_path):
    means = np.repeat(made()[0][:15], 64)
    np.save(tmp_path / "members.npy", means)
    status, _, error = run_audit()
    assert status == 2
    assert "means of batches" in error and error.endswith(", or say --as-given\n")
    status, out, _ = run_audit("--as-given")
    assert status == 0
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    [told] = report["taken_as_given"]
    assert told.startswith(
        "Taken as given: members have 15 different values, each 64 times: means of batches"
    )
    assert report["warnings"][0] == told
    assert f"Warning: {told}" in out
    page = (tmp_path / "audit" / "audit.html").read_text()
    assert f"<b>Warning.</b> {escape(told)}" in page
    assert f"<li>{escape(told)}</li>" in page.partition("What is assumed")[2].partition("<h2>")[0]
    assert audit(means, made()[1], as_given=True)["warnings"] == report["warnings"]
    assert audit(*made())["taken_as_given"] == []


def test_words_of_the_data_are_escaped_everywhere():
    table = pd.DataFrame({"loss": np.concatenate(made(300, 300, leak=0.2)), "in": np.repeat([1, 0], 300)})
    table["<i>sex"] = np.where(np.arange(600) % 2, "<script>alert(1)</script>", "&amp")
    shown = audit(table, member_column="in", column="loss", group_column="<i>sex")._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "<i>sex" not in shown
    assert "&amp;amp" in shown


def test_the_words_of_the_report_are_explained_and_are_one_for_one_thing(capsys):
    """What is audited is a record on the page, on the console and in the figure."""
    sides = [pd.DataFrame({"loss": of_side, "g": np.arange(900) % 2}) for of_side in made(900, 900, leak=0.5)]
    grouped, plain = (
        audit(*sides, column="loss", group_column="g"),
        audit(*made(900, 900), against=made(900, 900)),
    )
    words = [dict(glossary_of(report)) for report in (grouped, plain)]
    assert {"p", "Beside the mean"} <= words[0].keys()
    assert not {"p", "Beside the mean"} & words[1].keys()
    for of_report, report in zip(words, (grouped, plain), strict=True):
        assert {"ROC curve", "Advantage", "AUC"} <= of_report.keys()
        assert "Same records" in of_report["Advantage"]
        print_report(report)
        shown = capsys.readouterr().out + report._repr_html_().partition("<img")[0]
        shown += report._repr_html_().partition("<h2>What was measured")[2].partition("<h2>From what")[0]
        shown += " ".join(text.get_text() for text in report.figure().findobj(Text))
        assert "advantage, same records" in shown
        assert "example" not in shown


def test_who_was_a_member_is_listed_only_when_asked_for(run_audit, tmp_path):
    status, out, _ = run_audit()
    assert status == 0
    assert not (tmp_path / "audit" / "confidential").exists()
    assert "confidential" not in out
    status, out, _ = run_audit("--examples")
    assert (tmp_path / "audit" / "confidential" / "audit_examples.csv").exists()
    assert out.splitlines()[-1].startswith("confidential/audit_examples.csv lists who was a member")


def test_files_obey_the_umask(tmp_path):
    """Of a process of its own, as the mask is a process's."""
    np.save(tmp_path / "m.npy", made()[0])
    np.save(tmp_path / "n.npy", made()[1])
    program = (
        "import os; os.umask(0o077); from leakage.audit import audit;"
        "audit('m.npy', 'n.npy', output='out', examples=True)"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}


def test_a_report_that_cannot_be_written_is_printed_first(run_audit, tmp_path):
    (tmp_path / "file").write_text("")
    status, out, error = run_audit(output="file/x")
    assert status == 2
    assert out.startswith("It leaks")
    assert error.count("\n") == 1
    assert "cannot write" in error


# ------------------------------------------------------------------------------------------------- --fail-if


@pytest.mark.parametrize(
    ("condition", "status", "part"),
    [
        ("auc_high > 0.6", 0, ""),
        ("auc_high > 0.5", 3, "auc_high is 0.5"),
        ("auc<0.9", 3, "< 0.9"),
        ("trainings.0.loss.auc_high >= 0.51", 3, "trainings.0.loss.auc_high is 0.5"),
        ("leak_shown > 0", 3, "leak_shown is 1"),
        ("members <= 2000", 3, "members is 2000"),
        ("aucc > 0.5", 2, "has no number aucc"),
        ("verdict > 0.5", 2, "has no number verdict"),
        ("tpr_at_0p1pct_fpr > 0.5", 2, "is not known"),
        ("prior > 0.5", 2, "places"),
        ("auc", 2, "is no condition"),
        ("auc > nan", 2, "not a finite number"),
        ("auc == 0.5", 2, "is no condition"),
    ],
)
def test_a_condition_decides_the_exit_status(run_audit, tmp_path, condition, status, part):
    ended, _, error = run_audit("--fail-if", condition)
    assert ended == status
    assert error.count("\n") == (status != 0)
    assert part in error
    assert (tmp_path / "audit").exists() == (status != 2)  # what is not known is refused before


def test_several_conditions_are_all_looked_at(run_audit):
    status, _, error = run_audit(
        "--fail-if", "auc > 0.9", "--fail-if", "auc > 0.5", "--fail-if", "auc > 0.51"
    )
    assert status == 3
    assert error.count("\n") == 2
