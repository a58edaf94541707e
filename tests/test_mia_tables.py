"""report/mia_words.py and report/mia_tables.py, on small made-up studies: words against numbers."""

import io
import math
import re
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import leakage
import mia
from leakage.contrasts import NO_DIFFERENCE, NO_VERDICT
from suite.report import mia_tables, mia_words
from suite.report.mia_words import print_conclusion
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import (
    AS_REPORTED,
    CALIBRATED,
    EARLY_STOPPING,
    EQUAL_STEPS,
    JUST_ABOVE,
    JUST_BELOW,
    STOPPED,
    THRESHOLD,
    Pair,
)
from suite.study.tables import joined
from tests.made_up import EPOCHS, SMALL, SMALL_QUESTIONS, Kind, act_of, small_acts, training_of

NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")
PLAIN = ("cnn", "dense$4$", "few")


@pytest.fixture(scope="module", params=[2, 4], ids="{} trainings".format)
def acts(request):
    return small_acts(request.param)


@pytest.fixture(scope="module")
def four():
    return small_acts(4)


def numbers(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def rows_of(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def kind_of(study, model, attack=THRESHOLD):
    [row] = rows_of(study.kinds, model=model, attack=attack, variant=AS_REPORTED).to_dict("records")
    return row


def with_kinds(study, **columns):
    """The study with other values of these columns, one for each of PLAIN."""
    kinds = study.kinds.copy()
    for column, values in columns.items():
        kinds[column] = kinds["model"].map(dict(zip(PLAIN, values, strict=True)))
    return replace(study, kinds=kinds)


def printed(study, answers=("The answer.",), class_names=CLASS_NAMES):
    with redirect_stdout(io.StringIO()) as out:
        print_conclusion(study, answers, class_names)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------- the study


def test_a_study_has_a_row_for_each_training_kind_and_pair(acts):
    attacked, both, defended = acts
    trainings = attacked.results["training"].nunique()
    assert len(attacked.results) == 3 * trainings * len(EPOCHS)
    reported = rows_of(attacked.pairs, variant=AS_REPORTED)
    assert reported[["experiment", "first", "second"]].to_numpy().tolist() == [
        ["architecture", "cnn", "dense$4$"],
        ["classes", "cnn", "few"],
        ["classes", "dense$4$", "few"],
    ]
    assert rows_of(attacked.pairs, variant=EQUAL_STEPS)["equal"].tolist() == ["image size", "layers"]
    attacks = [THRESHOLD] if both is None else [THRESHOLD, CALIBRATED]
    assert rows_of(defended.pairs, variant=AS_REPORTED)["attack"].tolist() == attacks
    # What two acts have in common stands once.
    whole = joined(attacked if both is None else both, defended)
    assert not whole.results.duplicated(["model", "training", "attack", "epoch"]).any()
    assert len(whole.results) == 4 * trainings * len(EPOCHS) * len(attacks)


def test_a_verdict_goes_with_its_interval_and_with_what_was_put_in(four):
    """Leaks of 0.6 and 0.15 of a log loss, against 0.05 by which trainings differ."""
    for study in four[1:]:
        reported = rows_of(study.pairs, variant=AS_REPORTED)
        for _, row in reported.iterrows():
            if row["auc_low"] <= 0 <= row["auc_high"]:
                assert row["verdict"] == NO_DIFFERENCE
            else:
                more, less = row["first"], row["second"]
                if row["auc_difference"] < 0:
                    more, less = less, more
                assert row["verdict"] == f"{more} leaks more than {less}"
    verdicts = rows_of(four[1].pairs, variant=AS_REPORTED, experiment="architecture")["verdict"]
    assert verdicts.tolist() == ["cnn leaks more than dense$4$"] * 2


def test_exchanged_models_reverse_the_verdict():
    kinds = [Kind("much", 2, 1200, 0.6), Kind("little", 2, 1200, 0.1)]
    pairs = {"there": [Pair("much", "little")], "back": [Pair("little", "much")]}
    study = act_of(kinds, pairs, 4, THRESHOLD)
    there, back = (row for _, row in rows_of(study.pairs, variant=AS_REPORTED).iterrows())
    assert there["verdict"] == back["verdict"] == "much leaks more than little"
    assert there["auc_difference"] == -back["auc_difference"]
    assert (there["auc_low"], there["auc_high"]) == (-back["auc_high"], -back["auc_low"])


# -------------------------------------------------------------------------------------------------- verdicts


def pairs_of(*rows):
    """A table of pairs, as reported, of (first, second, attack, verdict)."""
    names = ["first", "second", "attack", "verdict"]
    table = pd.DataFrame(rows, columns=names).assign(variant=AS_REPORTED, experiment="which", equal="")
    table["equal"] = table["first"].map({"a": "so", "d": "such"}).fillna("")
    # What is described is not judged, and has no part in an answer.
    return pd.concat([table, table.assign(variant=EQUAL_STEPS, verdict="")], ignore_index=True)


MORE, LESS = "a leaks more than b", "b leaks more than a"


@pytest.mark.parametrize(
    ("rows", "answer", "finding"),
    [
        (
            [("a", "b", THRESHOLD, NO_DIFFERENCE)],
            "No difference can be shown",
            "No difference can be shown between a and b",
        ),
        (
            [("a", "b", THRESHOLD, NO_DIFFERENCE), ("a", "b", CALIBRATED, NO_DIFFERENCE)],
            "No difference can be shown by either attack",
            "No difference can be shown between a and b, by either attack",
        ),
        (
            [("a", "b", THRESHOLD, NO_DIFFERENCE), ("c", "d", THRESHOLD, NO_DIFFERENCE)],
            "No difference can be shown",
            "No difference can be shown between a and b; no difference can be shown between c and d",
        ),
        ([("a", "b", THRESHOLD, MORE)], MORE, "More leaks from a than from b"),
        ([("a", "b", THRESHOLD, LESS)], LESS, "More leaks from b than from a"),
        (
            [("a", "b", THRESHOLD, MORE), ("a", "b", CALIBRATED, MORE)],
            f"{MORE} by either attack",
            "More leaks from a than from b, by either attack",
        ),
        (
            [("a", "b", THRESHOLD, NO_DIFFERENCE), ("a", "b", CALIBRATED, MORE)],
            f"{MORE} by the calibrated attack alone",
            "More leaks from a than from b, by the calibrated attack alone",
        ),
        (
            [("a", "b", THRESHOLD, LESS), ("a", "b", CALIBRATED, MORE)],
            f"{LESS} by the threshold attack, {MORE} by the calibrated attack",
            "More leaks from b than from a, by the threshold attack; more leaks from a than from b, by the "
            "calibrated attack",
        ),
        (
            [("c", "d", THRESHOLD, NO_DIFFERENCE), ("a", "b", THRESHOLD, MORE)],
            f"{MORE}; between c and d no difference can be shown",
            "More leaks from a than from b; no difference can be shown between c and d",
        ),
        ([("a", "b", THRESHOLD, NO_VERDICT)], f"N{NO_VERDICT[1:]}", f"Which? N{NO_VERDICT[1:]}"),
    ],
)
def test_verdicts_in_one_sentence(rows, answer, finding):
    assert mia_words.answer_of(pairs_of(*rows)) == answer
    assert mia_words.finding_of(pairs_of(*rows), "Which?", {}) == finding


def both_attacks(first, second, *verdicts):
    return [
        (first, second, attack, verdict)
        for attack, verdict in zip((THRESHOLD, CALIBRATED), verdicts, strict=True)
    ]


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        (
            both_attacks("a", "b", MORE, MORE) + both_attacks("d", "e", NO_DIFFERENCE, NO_DIFFERENCE),
            "More leaks from much than from little, by either attack (so); no difference can be shown (such)",
        ),
        (
            both_attacks("d", "e", NO_DIFFERENCE, NO_DIFFERENCE)
            + both_attacks("a", "b", NO_DIFFERENCE, LESS),
            "More leaks from little than from much, by the calibrated attack alone (so); no difference can "
            "be shown (such)",
        ),
        (
            both_attacks("a", "b", MORE, MORE) + both_attacks("d", "e", *["d leaks more than e"] * 2),
            "More leaks from much than from little, by either attack (so and such)",
        ),
        (
            both_attacks("a", "b", *[NO_DIFFERENCE] * 2) + both_attacks("d", "e", *[NO_DIFFERENCE] * 2),
            "No difference can be shown between much and little, by either attack (so and such)",
        ),
        (both_attacks("a", "b", MORE, MORE), "More leaks from much than from little, by either attack"),
        (
            [("a", "b", THRESHOLD, MORE), ("f", "g", THRESHOLD, "f leaks more than g")],
            "More leaks from much than from little (so and f and g)",
        ),
        (
            [("a", "b", THRESHOLD, MORE), ("c", "d", THRESHOLD, "c leaks more than d")],
            "More leaks from much than from little (so); more leaks from c than from d",
        ),
    ],
)
def test_a_title_has_the_words_for_a_pair_s_models(rows, finding):
    """Several pairs with the same words are told apart by what their models have in common."""
    words = ("much", "little")
    names = {("which", *pair): words for pair in (("a", "b"), ("d", "e"), ("f", "g"))}
    names |= {("which", "c", "d"): (), ("other", "c", "d"): words}
    assert mia_words.finding_of(pairs_of(*rows), "Which?", names) == finding


LEAKS_LESS = "Private training leaks less than plain training"
ONLY = "and only it has a proven limit"


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([MORE], f"{LEAKS_LESS}, {ONLY}"),
        ([MORE, MORE], f"{LEAKS_LESS} by either attack, {ONLY}"),
        ([MORE, NO_DIFFERENCE], f"{LEAKS_LESS} by the threshold attack alone, {ONLY}"),
        (
            [NO_DIFFERENCE, NO_DIFFERENCE],
            "No difference can be shown between plain training and private training, by either attack; a "
            "limit is proven for private training alone",
        ),
        (
            [MORE, LESS],
            "More leaks from plain training than from private training, by the threshold attack; more leaks "
            "from private training than from plain training, by the calibrated attack; a limit is proven for "
            "private training alone",
        ),
    ],
)
def test_private_training_leaks_less_only_if_a_verdict_says_so(four, verdicts, said):
    results = pd.DataFrame({"model": ["a", "b", "a", "b"], "epsilon": [math.nan, 3.0] * 2})
    study = replace(four[2], results=results)
    attacks = (THRESHOLD, CALIBRATED)
    rows = pairs_of(
        *[("a", "b", attack, verdict) for attack, verdict in zip(attacks, verdicts, strict=False)]
    )
    names = {("which", "a", "b"): ("plain training", "private training")}
    assert mia_words.defence_sentence(study, rows, "Which?", names) == said
    if said.startswith(LEAKS_LESS):
        unnamed = said.replace("Private training", "b").replace("plain training", "a")
        assert mia_words.defence_sentence(study, rows, "Which?", {}) == unnamed


@pytest.mark.parametrize(
    ("epsilons", "rows", "said"),
    [
        (
            [1.0, 3.0],
            [("a", "b", THRESHOLD, MORE)],
            "More leaks from a than from b, and a limit is proven for each",
        ),
        (
            [math.nan, 1.0, 3.0],
            [("a", "b", THRESHOLD, MORE), ("b", "c", THRESHOLD, NO_DIFFERENCE)],
            "More leaks from a than from b; no difference can be shown between b and c; a limit is proven "
            "for b and c alone",
        ),
    ],
)
def test_limits_of_several_private_models(four, epsilons, rows, said):
    study = replace(
        four[2], results=pd.DataFrame({"model": list("abc")[: len(epsilons)], "epsilon": epsilons})
    )
    assert mia_words.defence_sentence(study, pairs_of(*rows), "Which?", {}) == said


def test_a_private_model_alone_has_a_limit(four):
    alone = four[2].about(["private"])
    kinds = alone.kinds
    for low, said in ((0.49, "private is not shown to leak"), (0.51, "private leaks")):
        study = replace(alone, kinds=kinds.assign(auc_low=low))
        assert mia_words.defence_sentence(study, study.pairs, "", {}) == f"{said}, and a limit is proven"


# ------------------------------------------------------------------------------------------- above figures


def test_members_losses_are_called_smaller_only_where_that_can_be_shown(four):
    both = ["cnn", "dense$4$"]
    for lows, aucs, said in (
        ((0.51, 0.51, 0.4), (0.6, 0.55, 0.5), "Members' losses are a little smaller: that is the leak"),
        ((0.51, 0.51, 0.4), (0.8, 0.55, 0.5), "Members' losses are smaller: that is the leak"),
        (
            (0.49, 0.51, 0.6),
            (0.6, 0.55, 0.7),
            "Members' losses are a little smaller in dense$4$: that is the leak",
        ),
        ((0.49, 0.49, 0.6), (0.6, 0.55, 0.7), "It cannot be shown that members' losses are smaller"),
    ):
        study = with_kinds(four[0], auc_low=lows, auc=aucs)
        assert mia_words.loss_sentence(study, both) == said
    study = with_kinds(four[0], auc_low=(0.51, 0.49, 0.6), auc=(0.52, 0.5, 0.7))
    assert mia_words.leaking_sentence(study) == (
        "2 of 3 models are shown to leak a little by the loss: AUC 0.520 to 0.700, where chance is 0.5"
    )
    study = with_kinds(four[0], auc_low=(0.51, 0.51, 0.6), auc=(0.52, 0.5, 0.701))
    assert mia_words.leaking_sentence(study) == (
        "All 3 models leak by the loss: AUC 0.500 to 0.701, where chance is 0.5"
    )
    study = with_kinds(four[0], auc_low=(0.49, 0.49, 0.49))
    assert mia_words.leaking_sentence(study) == "0 of 3 models are shown to leak by the loss"
    study = with_kinds(four[0], auc_low=(0.51, 0.51, 0.6))
    assert mia_words.who_leaks(study) == "All 3 models leak"
    assert mia_words.who_leaks(study.about(["cnn", "few"])) == "Both models leak"


def test_a_gain_is_one_only_where_its_interval_lies_above_0(four):
    gains = {"auc_gain": (0.03, 0.01, 0.02), "auc_gain_high": (0.05, 0.02, 0.03)}
    for lows, said in (
        (
            (0.01, 0.005, 0.01),
            "With reference models the attack finds more in all 3 models: AUC +0.010 to +0.030",
        ),
        (
            (-0.01, 0.005, 0.01),
            "With reference models the attack finds more in 2 of 3 models: AUC up to +0.020",
        ),
        ((-0.01, -0.01, -0.01), "It cannot be shown that reference models make the attack find more"),
    ):
        study = with_kinds(four[1], **gains, auc_gain_low=lows)
        assert mia_words.gain_sentence(study) == said
        [answer, *_] = mia_words.stronger_answers(study, SMALL_QUESTIONS)
        least = f"+0.0100 [{lows[1]:+.4f}, +0.0200] (dense$4$)"
        largest = {
            0.01: f"+0.0300 [{lows[0]:+.4f}, +0.0500] (cnn)",
            -0.01: "+0.0200 [+0.0100, +0.0300] (few)",
        }
        sure = sum(low > 0 for low in lows)
        values = f": AUC {least} to {largest[lows[0]]}" if sure else ""
        assert answer == f"With reference models the attack surely finds more in {sure} of 3 models{values}."


def test_classes_are_named_in_groups(four):
    study = with_kinds(four[0], classes_above=("cat frog", "", "cat"), classes_below=("ship", math.nan, ""))
    assert mia_words.class_lines(study, CLASS_NAMES).splitlines() == [
        "cnn: cat and frog leak more, ship leaks less than the mean of its classes.",
        "few: cat leaks more than the mean of its classes.",
        "No class of dense$4$ can be named that leaks more, or less, than the mean.",
    ]
    assert mia_words.classes_sentence(study) == (
        "By the loss, cat leaks more than the mean of the classes in 2 of 3 models, ship less in 1"
    )
    assert mia_words.classes_sentence(study.about(["cnn"])) == (
        "By the loss, cat and frog leak more than the mean of the classes of cnn, ship less"
    )
    less = with_kinds(four[0], classes_above=("", "", ""), classes_below=("ship", "cat ship", "cat"))
    assert mia_words.classes_sentence(less) == (
        "By the loss, ship and cat leak less than the mean of the classes in 2 of 3 models"
    )
    nothing = with_kinds(four[0], classes_above=("", "", ""), classes_below=(math.nan,) * 3)
    columns = [name for name in nothing.kinds if name.startswith("class_") and name.endswith("_low")]
    unknown = replace(nothing, kinds=nothing.kinds.assign(**dict.fromkeys(columns, math.nan)))
    assert mia_words.class_lines(unknown, CLASS_NAMES) == (
        "A class has too few images to compare the classes of cnn, dense$4$ and few."
    )
    assert mia_words.classes_sentence(nothing) == (
        "By the loss, no class can be named that leaks more, or less, than the mean of all"
    )


def test_an_image_is_called_memorised_only_if_that_is_reliable(four):
    study = with_kinds(four[0], memorisation_reliability=(0.4996, 0.5, math.nan))
    assert mia_words.memorisation_sentence(study).splitlines() == [
        "Memorisation: reliability 0.500 (cnn); below 0.5 no single image is to be called memorised.",
        "Which images are memorised can be said: reliability 0.500 (dense$4$).",
    ]


@pytest.mark.parametrize(
    ("outside", "reliability", "said"),
    [
        ([0.1] * 10, 0.4, "The images with the lowest losses are easy; which are memorised is not known yet"),
        ([0.1] * 10, 0.6, "The images with the lowest losses are easy; the memorised ones are others"),
        ([0.1] * 9 + [9.0], 0.6, "The images with the lowest losses are easy"),
        ([9.0] * 10, 0.6, "The images with the lowest losses, and those whose loss training lowers most"),
    ],
)
def test_what_the_loss_names_first_is_called_easy_only_if_it_is(four, outside, reliability, said):
    """Ten images of the lowest loss as members; as non-members their loss is `outside`, that of others 1."""
    member_loss = np.append(np.full(10, 0.05), np.full(90, 0.5))
    nonmember_loss = np.append(outside, np.full(90, 1.0))
    table = pd.DataFrame({"image": range(100), "label": 0, "cnn_member_loss": member_loss})
    table["cnn_memorisation"] = nonmember_loss - member_loss
    study = with_kinds(replace(four[0], memorisation=table), memorisation_reliability=(reliability,) * 3)
    assert mia_words.samples_sentence(study, ["cnn"]) == said


def test_a_model_s_name_in_words():
    rows = pd.DataFrame([{"classes": 10, "members": 2950, "nonmembers": 3050, "epsilon": math.nan}])
    for name, words in (
        ("dense4_10c", "4 dense layers, 10 classes, 3,000 members"),
        ("cnn4_10c", "CNN of 4 layers, 10 classes, 3,000 members"),
        ("my model", "10 classes, 3,000 members"),
    ):
        assert mia_words.model_words(rows.assign(model=name)) == words
    private = mia_words.model_words(rows.assign(model="dense4_10c_dp", epsilon=3.0))
    assert private == "4 dense layers, DP-SGD at epsilon 3, 10 classes, 3,000 members"
    falling = mia_words.model_words(rows.assign(model="cnn4_10c_falling", falling_rate=True))
    assert falling == "CNN of 4 layers, learning rate falling, 10 classes, 3,000 members"


# -------------------------------------------------------------------------------------- answers and controls


def test_the_answers_of_act_one_hold_intervals_and_verdicts(acts):
    study = acts[0]
    leaking, *experiments = mia_words.attack_answers(study, SMALL_QUESTIONS)
    kinds = rows_of(study.kinds, variant=AS_REPORTED).sort_values("auc")
    kinds = kinds[kinds["auc_low"] > 0.5]  # a range of those that are shown to leak, and no other
    ends = []
    for _, kind in kinds.iloc[[0, -1]].iterrows() if len(kinds) else ():
        ends.append(f"{kind['auc']:.4f} [{kind['auc_low']:.4f}, {kind['auc_high']:.4f}] ({kind['model']})")
    values = f": AUC {' to '.join(ends)}, where chance is 0.5" if ends else ""
    assert leaking == f"{mia_words.who_leaks(study)}{values}."
    assert [answer.split("?")[0] + "?" for answer in experiments] == [
        SMALL_QUESTIONS["architecture"],
        SMALL_QUESTIONS["classes"],
    ]
    for _, row in rows_of(study.pairs, variant=AS_REPORTED).iterrows():
        [answer] = [answer for answer in experiments if SMALL_QUESTIONS[row["experiment"]] in answer]
        assert row["verdict"].lower() in answer.lower()
        interval = f"{row['auc_difference']:+.4f} [{row['auc_low']:+.4f}, {row['auc_high']:+.4f}]"
        assert f"{row['first']} - {row['second']} {interval}" in answer


def test_the_answers_of_act_three_are_the_verdicts_the_bound_and_early_stopping(acts):
    defended = acts[2]
    answer, bound, stopped = mia_words.defence_answers(defended, SMALL_QUESTIONS)
    early = defended.pairs[defended.pairs["variant"].isin(STOPPED)]
    assert len(early)
    for rows, said in ((rows_of(defended.pairs, variant=AS_REPORTED), answer), (early, stopped)):
        assert said.count("[") == len(rows)
        for _, row in rows.iterrows():
            assert f"{row['auc_difference']:+.4f} [{row['auc_low']:+.4f}, {row['auc_high']:+.4f}]" in said
            assert row["attack"] in said or len(acts[0].results["training"].unique()) == 2
            assert row["verdict"].lower() in said.lower()
    largest = rows_of(defended.results, model="private", epoch=4)["heldout_advantage"].max()
    assert bound == (
        "No attack on private tells whether an image was in by the coin with an advantage above 0.300; that "
        "is for one training, ideal noise, and a coin that the attacker does not know. The largest held-out "
        f"advantage measured is {largest:.3f}."
    )
    assert stopped == mia_words.stopped_answer(early)


def stopped_at(variant, epoch, accuracy, *intervals):
    """Rows of the plain model "a", stopped early, minus the private "b": one for each attack."""
    rows = pd.DataFrame(intervals, columns=["auc_low", "auc_high"])
    rows = rows.assign(auc_difference=(rows["auc_low"] + rows["auc_high"]) / 2, auc_detectable=0.03)
    rows["attack"] = [THRESHOLD, CALIBRATED][: len(rows)]
    return rows.assign(
        first="a", second="b", variant=variant, first_epoch=epoch, first_accuracy=accuracy, verdict=""
    )


UNDECIDED = " Where none can be shown, one of 0.0300 would have been found in 80% of runs."


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([(-0.1, 0.1)], f"No difference can be shown.{UNDECIDED}"),
        ([(-0.1, 0.1)] * 2, f"No difference can be shown by either attack.{UNDECIDED}"),
        ([(-0.1, 0.1), (0.01, 0.1)], f"a leaks more than b by the calibrated attack alone.{UNDECIDED}"),
        ([(0.01, 0.1)] * 2, "a leaks more than b by either attack."),
        (
            [(-0.1, -0.01), (0.01, 0.1)],
            "b leaks more than a by the threshold attack, a leaks more than b by the calibrated attack.",
        ),
        ([(-0.1, -0.01)] * 2, "b leaks more than a by either attack."),
        ([(-0.1, -0.01), (-0.1, 0.1)], f"b leaks more than a by the threshold attack alone.{UNDECIDED}"),
    ],
)
def test_of_a_model_stopped_early_the_words_say_what_each_attack_s_interval_shows(intervals, said):
    assert mia_words.stopped_finding(stopped_at(JUST_BELOW, 4, 0.397, *intervals)) == said


def test_a_model_stopped_early_is_shown_before_and_after_equal_accuracy():
    """Never that it protects as well: what can be shown at either epoch, and that it promises nothing."""
    below = stopped_at(JUST_BELOW, 4, 0.397, (-0.01, 0.01), (-0.02, 0.02))
    above = stopped_at(JUST_ABOVE, 8, 0.4286, (0.01, 0.02), (0.02, 0.03))
    rows = pd.concat([below[:1], above[:1], below[1:], above[1:]]).assign(second_accuracy=0.405)
    begin = (
        "a stopped early minus b, which is right for 40.5% of non-members (described, not judged). At epoch "
        "4, right for 39.7%: +0.0000 [-0.0100, +0.0100] (threshold attack) and +0.0000 [-0.0200, +0.0200] "
        f"(calibrated attack) in AUC. No difference can be shown by either attack.{UNDECIDED}"
    )
    later = (
        " At epoch 8, right for 42.9%: +0.0150 [+0.0100, +0.0200] (threshold attack) and +0.0250 [+0.0200, "
        "+0.0300] (calibrated attack) in AUC. a leaks more than b by either attack."
    )
    end = " But early stopping promises nothing."
    assert mia_words.stopped_answer(rows) == begin + later + end
    assert mia_words.stopped_answer(rows[rows["variant"] == JUST_BELOW]) == begin + end


def test_what_is_certain_what_is_reached_and_what_is_proven(acts):
    """The median bound by the stronger attack, the largest advantage, and the accountant's numbers."""
    table = mia_tables.limits_table(acts[2]).set_index("model")
    for model, row in table.iterrows():
        last = rows_of(acts[2].results, model=model, epoch=4)
        bounds = last[last["attack"] == acts[2].results["attack"].iloc[-1]]["epsilon_low"]
        assert row["epsilon at least"] == f"{np.median(bounds):.2f}"
        assert row["advantage reached"] == f"{last['heldout_advantage'].max():.3f}"
    assert table["advantage at most"].tolist() == ["1", "0.300"]
    assert table["epsilon at most"].tolist() == ["no limit", "3"]
    assert float(table.loc["private", "epsilon at least"]) < 3


def test_a_difference_that_would_have_been_found_stands_beside_an_undecided_verdict():
    rows = pd.DataFrame(
        {"verdict": [NO_DIFFERENCE, "a leaks", NO_DIFFERENCE], "auc_detectable": [0.1, 0.9, 0.2]}
    )
    words = " Where none can be shown, one of 0.2000 would have been found in 80% of runs."
    assert mia_words.found_otherwise(rows) == words
    assert mia_words.found_otherwise(rows[1:2]) == ""


def test_one_model_alone_without_any_pair():
    """Whoever names one model after --only."""
    kinds = [Kind("one", 10, 4000, leak) for leak in (1, 0)]
    leaking, nothing = (act_of([kind], {}, 2, THRESHOLD) for kind in kinds)
    kind = kind_of(leaking, "one")
    interval = f"{kind['auc']:.4f} [{kind['auc_low']:.4f}, {kind['auc_high']:.4f}]"
    assert mia_words.attack_answers(leaking, {}) == [f"one leaks: AUC {interval} (one), where chance is 0.5."]
    assert mia_words.attack_answers(nothing, {})[0] == "one is not shown to leak."
    assert "First minus second" not in printed(leaking)


def test_the_controls_count_the_intervals_that_miss_chance(four):
    attacked = four[0]
    [sentence] = mia_words.control_sentence(attacked.results).splitlines()
    expected = []
    for rows, measure in (
        (rows_of(attacked.results, epoch=0), "auc"),
        (rows_of(attacked.results, epoch=4), "placebo_auc"),
    ):
        misses = ((rows[f"{measure}_low"] > 0.5) | (rows[f"{measure}_high"] < 0.5)).sum()
        expected += [12, rows[measure].min(), rows[measure].max(), misses, 95, 0.5, 0.6]
    assert numbers(sentence) == pytest.approx(expected, abs=5.1e-5)


@pytest.mark.parametrize(
    ("epoch", "measure", "alarm"),
    [(0, "auc", "UNTRAINED MODELS SEEM TO LEAK"), (4, "placebo_auc", "COINS THAT NO TRAINING WAS GIVEN")],
)
def test_a_control_raises_the_alarm_by_chance_one_in_ten_thousand(four, epoch, measure, alarm):
    """Where the AUC lies further from 0.5, in standard errors of its logit, than 0.9999 of a normal variable
    does; the alarm names the training."""
    bound = stats.norm.isf(0.5e-4)
    for factor, raised in ((0.99, False), (1.01, True)):
        middle, half = bound * factor * 0.1, stats.norm.isf(0.025) * 0.1
        results = four[0].results.copy()
        chosen = (results["epoch"] == epoch) & (results["model"] == "few") & (results["training"] == 3)
        columns = [measure, f"{measure}_low", f"{measure}_high"]
        results.loc[chosen, columns] = 1 / (1 + np.exp(-np.array([middle, middle - half, middle + half])))
        said = mia_words.control_sentence(results)
        assert (alarm in said) == raised
        assert ("few (training 3)" in said) == raised


@pytest.mark.parametrize("auc", [0.0, 1.0])
@pytest.mark.parametrize(("count", "raised"), [(1000, True), (8, False), (9, True)])
def test_a_control_that_parts_all_images_is_loud_unless_there_are_few(auc, count, raised):
    """Whose logit is infinite. Of 16 images 12,870 halves can be the members, and two of these halves give
    such an AUC, once in 6,435 runs; of 18 it is once in 24,310."""
    low, high = leakage.auc_with_interval(np.arange(count) + 2 * count * (1 - auc), np.arange(count) + count)[
        1:
    ]
    row = {"model": "perfect", "training": 1, "attack": THRESHOLD, "members": count, "nonmembers": count}
    fair = {"auc": 0.5, "auc_low": 0.4, "auc_high": 0.6}
    found = {"auc": auc, "auc_low": low, "auc_high": high}
    placebo = {f"placebo_{name}": value for name, value in fair.items()}
    said = mia_words.control_sentence(pd.DataFrame([row | found | placebo | {"epoch": 0}]))
    assert ("UNTRAINED MODELS SEEM TO LEAK: perfect (training 1)" in said) == raised
    placebo = {f"placebo_{name}": value for name, value in found.items()}
    said = mia_words.control_sentence(pd.DataFrame([row | fair | placebo | {"epoch": 4}]))
    assert ("COINS THAT NO TRAINING WAS GIVEN SEEM TO BE KNOWN: perfect (training 1)" in said) == raised


# ---------------------------------------------------------------------------------------------- the console


def test_the_tables_hold_the_numbers_of_the_study(four):
    for attack in (THRESHOLD, CALIBRATED):
        part = four[1].of(attack)
        models = mia_tables.models_table(part).set_index("model")
        extremes = mia_tables.extremes_table(part).set_index("model")
        assert list(extremes) == ["TPR at 1.0% FPR (%)", "by chance (1.0%)"]  # none is given at 0.1%
        for model in PLAIN:
            kind, last = kind_of(part, model, attack), rows_of(part.results, model=model, epoch=4)
            for column, name in (
                ("on members", "train_accuracy"),
                ("on others", "test_accuracy"),
                ("gap", "gap"),
            ):
                assert float(models.loc[model, column]) == pytest.approx(last[name].mean(), abs=5.1e-5)
            for column, name in (("AUC", "auc"), ("held-out advantage", "heldout_advantage")):
                expected = [kind[name], kind[f"{name}_low"], kind[f"{name}_high"]]
                assert numbers(models.loc[model, column]) == pytest.approx(expected, abs=5.1e-5)
                assert kind[name] == pytest.approx(last[name].mean())
            if model == "few":
                assert extremes.loc[model, "TPR at 1.0% FPR (%)"] == "needs 1,000 non-members"
            else:
                expected = [100 * kind[f"tpr_at_1pct_fpr{end}"] for end in ("", "_low", "_high")]
                assert numbers(extremes.loc[model, "TPR at 1.0% FPR (%)"]) == pytest.approx(
                    expected, abs=0.0051
                )
        reported = rows_of(part.pairs, variant=AS_REPORTED)
        for (_, line), (_, pair) in zip(
            mia_tables.pairs_table(part).iterrows(), reported.iterrows(), strict=True
        ):
            assert line["first - second"] == f"{pair['first']} - {pair['second']}"
            expected = [pair[f"auc_{end}"] for end in ("difference", "low", "high")]
            assert numbers(line["AUC"]) == pytest.approx(expected, abs=5.1e-5)
            assert float(line["found in 80% of runs"]) == pytest.approx(pair["auc_detectable"], abs=5.1e-5)


def test_the_other_ways_to_look(four):
    part = four[0]
    table = mia_tables.sensitivity_table(part).set_index("model, or first - second")
    assert list(table) == [AS_REPORTED, EARLY_STOPPING, EQUAL_STEPS]
    means = part.results.groupby(["model", "epoch"])["auc"].mean()
    for model in PLAIN:
        for way, epoch in ((AS_REPORTED, 4), (EARLY_STOPPING, 2)):
            assert float(table.loc[model, way]) == pytest.approx(means[model, epoch], abs=5.1e-5)
    # As many steps as "few" has in all: epoch 2 of the ten-class models, epoch 4 of the other.
    for model in ("cnn", "dense$4$"):
        expected = means[model, 2] - means["few", 4]
        assert float(table.loc[f"{model} - few", EQUAL_STEPS]) == pytest.approx(expected, abs=5.1e-5)
    assert table.loc["cnn - dense$4$", EQUAL_STEPS] == ""


def test_precisions_by_hand():
    """50% members: TPR / (TPR + FPR), the FPR being (a + 1) / (m + 1) for a of m non-members accused."""
    results = pd.DataFrame(
        [
            {"model": "large", "tpr_at_0p1pct_fpr": 0.005, "realised_fpr_at_0p1pct": 0.001},
            {"model": "few", "tpr_at_0p1pct_fpr": math.nan, "realised_fpr_at_0p1pct": math.nan},
        ]
    ).assign(training=0, attack=CALIBRATED, epoch=4, members=2000, nonmembers=10_000)
    table = mia_tables.precisions_table(replace(small_acts(4)[0], results=results))
    assert table["model"].tolist() == ["large"]
    for prior in (0.5, 0.1, 0.01):
        value, low, high = numbers(table.loc[0, f"if {prior:.0%} are members"])
        fpr = 11 / 10_001
        assert value == pytest.approx(100 * prior * 0.005 / (prior * 0.005 + (1 - prior) * fpr), abs=0.051)
        assert low < value < high


def test_all_that_is_printed(acts):
    """The answers, and for each attack every table and every sentence."""
    attacked, both, _ = acts
    study = attacked if both is None else both
    text = printed(study)
    words = " ".join(text.split())
    assert text.startswith("\nThe answer.\n")
    trainings = study.results["training"].nunique()
    assert f"With {trainings} trainings of each model" in text
    assert text.count("Controls, in which") == len(study.results["attack"].unique())
    for attack in study.results["attack"].unique():
        part = study.of(attack)
        assert f"The {attack} attack after the last epoch (4)" in text
        assert words.count("intervals of a column hold for all models together in 95% of runs") >= 2
        for table in (
            mia_tables.models_table,
            mia_tables.extremes_table,
            mia_tables.pairs_table,
            mia_tables.sensitivity_table,
        ):
            assert table(part).to_string(index=False) in text
        assert " ".join(mia_words.class_lines(part, CLASS_NAMES).split()) in words
    if both is not None:
        assert mia_tables.gains_table(both.of(CALIBRATED)).to_string(index=False) in text
        assert mia_words.memorisation_sentence(both.of(THRESHOLD)).split(";")[0] in words
    assert "nan" not in text.lower()
    assert "Empty" not in text  # a table without a row


def test_no_line_is_wider_than_100_letters():
    """With the names of the models and experiments of mia.py, and with every column that there can be."""
    plain = [model for model in mia.MODELS if model.epsilon is None]
    kinds = [Kind(model.name, model.classes, 1000 if model.classes == 10 else 400, 0.3) for model in plain]
    names = {kind.name for kind in kinds}
    experiments = {
        experiment.name: experiment.pairs
        for experiment in mia.EXPERIMENTS
        if all(pair.second in names for pair in experiment.pairs)
    }
    # 400 images have as many steps in 5 epochs as 1,000 in 2.
    attacks = [act_of(kinds, experiments, 4, attack, epochs=(0, 2, 5)) for attack in (THRESHOLD, CALIBRATED)]
    study = joined(*attacks)
    rates = [name for name in study.kinds if name.startswith("tpr_at") and not name.endswith("degrees")]
    study = replace(study, kinds=study.kinds.assign(**dict.fromkeys(rates, 1.0)))
    questions = {experiment.name: experiment.question for experiment in mia.EXPERIMENTS}
    answers = mia_words.attack_answers(study.of(THRESHOLD), questions)
    lines = printed(study, [*answers, *mia_words.stronger_answers(study, questions)]).splitlines()
    assert EQUAL_STEPS in " ".join(lines)
    assert "100.00 [100.00, 100.00]" in " ".join(lines)
    # Act three: the longest names of variants.
    defended = Kind("dense4_10c_dp", 10, 1000, 0.1, epsilon=3.0)
    pair = {"defence": [Pair("dense4_10c", "dense4_10c_dp")]}
    kinds = [next(kind for kind in kinds if kind.name == "dense4_10c"), defended]
    # The private model's accuracy, 0.49 at the end, is passed between two epochs, 0.3 and 0.5.
    defence = [act_of(kinds, pair, 4, attack, epochs=range(5)) for attack in (THRESHOLD, CALIBRATED)]
    lines += printed(joined(*defence), mia_words.defence_answers(joined(*defence), questions)).splitlines()
    assert JUST_BELOW in " ".join(lines)
    assert JUST_ABOVE in " ".join(lines)
    assert [line for line in lines if len(line) > 100] == []


def test_a_finished_training_s_line():
    line = mia_words.finished_line("cnn-3", training_of(SMALL[0], 3))
    assert line == f"{'cnn-3':>25}  epoch   4  right: members 0.9300, others 0.5200"


def test_the_last_epoch_is_each_model_s_own():
    table = pd.DataFrame(
        {"model": ["a", "a", "b"], "training": 0, "attack": THRESHOLD, "epoch": [0, 4, 2], "auc": [1, 2, 3]}
    )
    assert mia_tables.last_epoch(table)["auc"].tolist() == [2, 3]
