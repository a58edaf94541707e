"""report/mia_tables.py, on small made-up studies: every number that is printed, calculated once more."""

import io
import math
import re
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mia
from leakage.contrasts import NO_DIFFERENCE, NO_VERDICT
from leakage.look import looked_at
from suite.report import mia_tables, mia_words
from suite.report.mia_figures import attack_figures
from suite.report.mia_tables import joined, last_epoch
from suite.report.mia_words import print_conclusion
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import (
    AS_REPORTED,
    CALIBRATED,
    EARLY_STOPPING,
    EQUAL_STEPS,
    NO_DUPLICATES,
    THRESHOLD,
    Pair,
)
from tests.made_up import EPOCHS, SMALL, SMALL_QUESTIONS, Kind, act_of, drawing_of, small_acts, training_of

NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")
PLAIN = ("cnn", "dense$4$", "few")


@pytest.fixture(scope="module", params=[1, 2, 5], ids="{} trainings".format)
def acts(request):
    return small_acts(request.param)


def numbers(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def rows_of(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def printed(study, answers=("The answer.",), class_names=CLASS_NAMES, **options):
    with redirect_stdout(io.StringIO()) as out:
        print_conclusion(study, answers, class_names, **options)
    return out.getvalue()


def test_a_study_has_a_row_for_each_training_kind_and_pair(acts):
    attacked, both, defended = acts
    trainings = attacked.results["seed"].nunique()
    assert len(attacked.results) == 3 * trainings * len(EPOCHS)
    assert len(both.results) == 3 * trainings * (len(EPOCHS) + 1)
    assert len(attacked.kinds) == 3 * 3
    reported = rows_of(attacked.pairs, variant=AS_REPORTED)
    assert reported[["first", "second"]].to_numpy().tolist() == [
        ["cnn", "dense$4$"],
        ["cnn", "few"],
        ["dense$4$", "few"],
    ]
    assert reported["experiment"].tolist() == ["architecture", "classes", "classes"]
    assert rows_of(attacked.pairs, variant=EQUAL_STEPS)["equal"].tolist() == ["image size", "layers"]
    assert rows_of(defended.pairs, variant=AS_REPORTED)["attack"].tolist() == ["threshold", "calibrated"]
    # What several acts found out stands once.
    whole = joined([both, defended])
    assert not whole.results.duplicated(["model", "seed", "attack", "epoch"]).any()
    assert len(whole.results) == len(both.results) + trainings * (len(EPOCHS) + 1)
    assert not whole.kinds.duplicated(["model", "attack", "variant"]).any()
    assert set(both.exposures) == {
        (model, attack) for model in ("cnn", "dense$4$") for attack in ("threshold", "calibrated")
    }


def test_the_files_hold_the_tables_and_the_ranks(acts):
    both = acts[1]
    files = both.files()
    assert list(files) == [f"mia_{name}.csv" for name in ("results", "curves", "kinds", "pairs", "exposure")]
    ranks = files["mia_exposure.csv"].set_index("image")
    for (model, attack), exposure in both.exposures.items():
        assert (
            ranks.loc[exposure.ids, f"{model}_{attack}_rank"].to_numpy().tolist() == exposure.ranks.tolist()
        )
    assert files["mia_pairs.csv"] is both.pairs


def test_the_curves_are_the_last_epoch_s(acts):
    curves = rows_of(acts[0].curves, model="cnn", seed=0)
    training = training_of(SMALL[0], 0)
    for name, kind in (("member losses", "member"), ("non-member losses", "nonmember")):
        losses = training[f"{kind}_losses"][-1]
        for _, point in rows_of(curves, curve=name).iterrows():
            assert (losses <= point["x"]).mean() == pytest.approx(point["y"], abs=1 / len(losses))
    roc = rows_of(curves, curve="roc")
    assert roc[["x", "y"]].iloc[-1].tolist() == [1, 1]
    assert (roc["y"] >= roc["x"] - 0.01).all()  # this model leaks


def test_verdicts_are_holm_s_over_the_pairs_of_the_act(acts):
    """p values times 3, 2 and 1 in their order, never falling; the model that was made to leak more does."""
    attacked = acts[0]
    reported = rows_of(attacked.pairs, variant=AS_REPORTED)
    others = attacked.pairs[attacked.pairs["variant"] != AS_REPORTED]
    assert others["auc_adjusted_p"].isna().all()
    assert (others["verdict"] == "").all()
    if attacked.results["seed"].nunique() == 1:
        assert (reported["verdict"] == NO_VERDICT).all()
        assert reported["auc_adjusted_p"].isna().all()
        return
    smallest, middle, largest = reported["auc_p"].sort_values()
    first = min(3 * smallest, 1)
    second = max(first, min(2 * middle, 1))
    expected = [first, second, max(second, largest)]
    assert reported.sort_values("auc_p")["auc_adjusted_p"].tolist() == pytest.approx(expected)
    for _, row in reported.iterrows():
        more, less = (row["first"], row["second"])
        if row["auc_difference"] < 0:
            more, less = less, more
        shown = row["auc_adjusted_p"] < 0.05
        assert row["verdict"] == (f"{more} leaks more than {less}" if shown else NO_DIFFERENCE)


def test_five_trainings_find_what_was_put_in():
    """Leaks of 0.6 and 0.15 of a log loss, against 0.05 by which trainings differ; and of 0.15 and 0."""
    attacked, _, defended = small_acts(5)
    verdicts = rows_of(attacked.pairs, variant=AS_REPORTED)["verdict"].tolist()
    assert verdicts[0] == "cnn leaks more than dense$4$"
    differences = rows_of(defended.pairs, variant=AS_REPORTED)["auc_difference"]
    assert (differences > 0).all()


def test_exchanged_losses_reverse_the_verdict():
    kinds = [Kind("much", 2, 1000, 1000, 0.6), Kind("little", 2, 1000, 1000, 0.1)]
    pairs = {"there": [Pair("much", "little")], "back": [Pair("little", "much")]}
    study = act_of(kinds, pairs, 3, {THRESHOLD: 0})
    there, back = (row for _, row in rows_of(study.pairs, variant=AS_REPORTED).iterrows())
    assert there["verdict"] == back["verdict"] == "much leaks more than little"
    assert there["auc_difference"] == -back["auc_difference"]
    assert (there["auc_low"], there["auc_high"]) == (-back["auc_high"], -back["auc_low"])


def test_the_table_of_models_against_the_results(acts):
    for attack in ("threshold", "calibrated"):
        part = acts[1].of(attack)
        table = mia_tables.models_table(part)
        assert table["model"].tolist() == list(PLAIN)
        for _, line in table.iterrows():
            rows = rows_of(part.results, model=line["model"], epoch=4)
            [kind] = rows_of(part.kinds, model=line["model"], variant=AS_REPORTED).to_dict("records")
            assert numbers(line["parameters"]) == [rows["parameters"].iloc[0]]
            for column, name in (("train", "train_accuracy"), ("test", "test_accuracy"), ("gap", "gap")):
                assert float(line[column]) == pytest.approx(rows[name].mean(), abs=5.1e-5)
            for column, name in (("AUC", "auc"), ("held-out advantage", "heldout_advantage")):
                value, low, high = numbers(line[column])
                assert value == pytest.approx(rows[name].mean(), abs=5.1e-5)
                assert low == pytest.approx(kind[f"{name}_low"], abs=5.1e-5)
                assert high == pytest.approx(kind[f"{name}_high"], abs=5.1e-5)
                assert low < value < high


def test_the_table_of_low_rates_against_the_results(acts):
    part = acts[0]
    table = mia_tables.extremes_table(part).set_index("model")
    for model in PLAIN:
        rows = rows_of(part.results, model=model, epoch=4)
        for column, name in (
            ("TPR at 1.0% FPR (%)", "tpr_at_1pct_fpr"),
            ("TNR at 1.0% FNR (%)", "tnr_at_1pct_fnr"),
        ):
            if model == "few" and column.startswith("TPR"):
                continue
            parts = (name, f"{name}_low", f"{name}_high", f"chance_{name}")
            expected = [100 * rows[part_of].astype(float).mean() for part_of in parts]
            assert numbers(table.loc[model, column]) == pytest.approx(expected, abs=0.0051)
    # (a + 1) / (m + 1): 10 of 1,000 non-members may be accused; 30 of 3,000 members, and 15 of 1,500, missed.
    assert table.loc["cnn", "TPR at 1.0% FPR (%)"].endswith(f", {100 * 11 / 1001:.2f}")
    assert table.loc["cnn", "TNR at 1.0% FNR (%)"].endswith(f", {100 * 31 / 3001:.2f}")
    assert table.loc["few", "TNR at 1.0% FNR (%)"].endswith(f", {100 * 16 / 1501:.2f}")
    assert table.loc["few", "TPR at 1.0% FPR (%)"] == "needs 1,000"
    assert (table["TPR at 0.1% FPR (%)"] == "needs 10,000").all()


def test_the_table_of_pairs_against_the_results(acts):
    part = acts[0]
    table = mia_tables.pairs_table(part)
    ends = rows_of(part.results, epoch=4).groupby("model")[["auc", "heldout_advantage"]].mean()
    for (_, line), (_, pair) in zip(
        table.iterrows(), rows_of(part.pairs, variant=AS_REPORTED).iterrows(), strict=True
    ):
        assert line["first - second"] == f"{pair['first']} - {pair['second']}"
        for column, name in (("AUC", "auc"), ("held-out advantage", "heldout_advantage")):
            value, low, high = numbers(line[column])
            difference = ends.loc[pair["first"], name] - ends.loc[pair["second"], name]
            assert value == pytest.approx(difference, abs=5.1e-5)
            assert (low, high) == pytest.approx((pair[f"{name}_low"], pair[f"{name}_high"]), abs=5.1e-5)
            assert low < value < high
        if pd.isna(pair["auc_adjusted_p"]):
            assert "p, adjusted" not in table
        else:
            assert float(line["p, adjusted"]) == pytest.approx(pair["auc_adjusted_p"], rel=0.05)


def test_the_table_of_ways_against_the_results(acts):
    part = acts[0]
    table = mia_tables.sensitivity_table(part).set_index("model, or first - second")
    ways = [AS_REPORTED, EARLY_STOPPING, NO_DUPLICATES, EQUAL_STEPS]
    assert list(table) == ways
    assert list(table.index) == [*PLAIN, "cnn - dense$4$", "cnn - few", "dense$4$ - few"]
    assert (table.loc[list(PLAIN), EQUAL_STEPS] == "").all()
    best = part.results.loc[part.results.groupby(["model", "seed"])["test_accuracy"].idxmax()]
    for model in PLAIN:
        ends = rows_of(part.results, model=model, epoch=4)["auc"].mean()
        stopped = rows_of(best, model=model)["auc"].mean()
        assert float(table.loc[model, AS_REPORTED]) == pytest.approx(ends, abs=5.1e-5)
        assert float(table.loc[model, EARLY_STOPPING]) == pytest.approx(stopped, abs=5.1e-5)
    # After 120 steps: epoch 2 of the ten-class models, epoch 4 of the other.
    means = part.results.groupby(["model", "epoch"])["auc"].mean()
    for model in ("cnn", "dense$4$"):
        expected = means[model, 2] - means["few", 4]
        assert float(table.loc[f"{model} - few", EQUAL_STEPS]) == pytest.approx(expected, abs=5.1e-5)
    assert table.loc["cnn - dense$4$", EQUAL_STEPS] == ""


def test_the_gain_is_between_the_two_attacks(acts):
    both = acts[1]
    ends = rows_of(both.results, epoch=4).groupby(["model", "attack"])["auc"].mean()
    for _, line in mia_tables.gains_table(both.of("calibrated")).iterrows():
        value, low, high = numbers(line["gain in AUC"])
        model = line["model"]
        assert value == pytest.approx(ends[model, "calibrated"] - ends[model, "threshold"], abs=5.1e-5)
        assert low < value < high


def test_the_table_of_precisions_by_hand():
    """50% members: TPR / (TPR + FPR), with a FPR of 11 / 10,001 if 10 non-members are below the threshold."""
    kinds = [Kind("large", 2, 2000, 10_000, 0.6), Kind("few", 2, 2000, 1000, 0.6)]
    study = act_of(kinds, {"sizes": [Pair("large", "few")]}, 1, {THRESHOLD: 0})
    table = mia_tables.precisions_table(study)
    assert table["model"].tolist() == ["large"]
    [row] = rows_of(study.results, model="large", epoch=4).to_dict("records")
    tpr, fpr = row["tpr_at_0p1pct_fpr"], 11 / 10_001
    for prior in (0.5, 0.1, 0.01):
        value, low, high = numbers(table.loc[0, f"if {prior:.0%} are members"])
        assert value == pytest.approx(100 * prior * tpr / (prior * tpr + (1 - prior) * fpr), abs=0.051)
        assert low < value < high


def test_the_control_counts_the_untrained_models():
    attacked = small_acts(5)[0]
    untrained = rows_of(attacked.results, epoch=0)
    sentence = mia_words.control_sentence(attacked.results)
    misses = ((untrained["auc_low"] > 0.5) | (untrained["auc_high"] < 0.5)).sum()
    assert numbers(sentence) == pytest.approx(
        [15, untrained["auc"].min(), untrained["auc"].max(), misses, 95, 0.5, 0.8], abs=5.1e-5
    )
    # An AUC of 0.6 before training is an alarm, with the name and the seed.
    loud = attacked.results.copy()
    chosen = (loud["epoch"] == 0) & (loud["model"] == "few") & (loud["seed"] == 3)
    loud.loc[chosen, ["auc", "auc_low", "auc_high"]] = 0.62, 0.57, 0.67
    assert "LEAK: few (seed 3). Members" in mia_words.control_sentence(loud)
    assert "WARNING" not in sentence


def with_class_p(study, p_values):
    """The study with other p values of the test whether the classes differ."""
    by_model = dict(zip(PLAIN, p_values, strict=True))
    return study._replace(kinds=study.kinds.assign(classes_p=study.kinds["model"].map(by_model)))


def test_a_class_is_named_only_where_the_classes_differ(acts):
    study = with_class_p(acts[0], [0.01, 0.03, 0.2])
    differ = mia_tables.classes_differ(study)
    assert differ.tolist() == pytest.approx([0.03, 0.06, 0.2])  # Holm: times 3, 2, 1
    lines = mia_words.class_sentence(study, CLASS_NAMES).split("\n")
    means = rows_of(study.results, model="cnn", epoch=4)[[f"auc_{name}" for name in CLASS_NAMES]].mean()
    most, least = means.idxmax().removeprefix("auc_"), means.idxmin().removeprefix("auc_")
    assert lines[0] == (
        f"cnn: its classes differ (p = 0.03); {most} is among the most exposed ({means.max():.3f}), {least} "
        f"among the least ({means.min():.3f})."
    )
    assert lines[1:] == [
        "No difference between its classes can be shown in dense$4$ (p = 0.06), few (p = 0.2)."
    ]
    assert not any(name in line for line in lines[1:] for name in CLASS_NAMES)


@pytest.mark.parametrize("missing", [None, math.nan], ids=["None", "NaN, as from a CSV file"])
def test_a_test_of_classes_that_is_missing_is_no_finding(missing):
    study = with_class_p(small_acts(2)[0], [0.04, missing, 0.01])
    differ = mia_tables.classes_differ(study)
    assert differ.iloc[[0, 2]].tolist() == pytest.approx([0.04, 0.02])
    assert math.isnan(differ.iloc[1])
    lines = mia_words.class_sentence(study, CLASS_NAMES).split("\n")
    assert [line.split(":")[0] for line in lines[:2]] == ["cnn", "few"]
    assert lines[2:] == ["A class has too few images to compare the classes of dense$4$."]
    nothing = mia_words.class_sentence(with_class_p(study, [missing] * 3), CLASS_NAMES)
    assert nothing == "A class has too few images to compare the classes of cnn, dense$4$, few."


def test_what_so_many_trainings_do_not_allow():
    assert "nothing can be concluded about kinds" in mia_words.caution(1)
    assert "“no difference can be shown” says little" in mia_words.caution(4)
    assert mia_words.caution(5) == ""


def test_all_that_is_printed(acts):
    """The answers, and for each attack every table and every sentence."""
    both = acts[1]
    text = printed(both)
    trainings = both.results["seed"].nunique()
    over = "examples" if trainings == 1 else "trainings and examples"
    assert text.startswith("\nThe answer.\n")
    for attack in ("threshold", "calibrated"):
        part = both.of(attack)
        assert (
            f"The {attack} attack after the last epoch (4); in brackets\n95% intervals over {over}." in text
        )
        for table in (mia_tables.models_table, mia_tables.extremes_table, mia_tables.pairs_table):
            assert table(part).to_string(index=False) in text
        assert mia_tables.sensitivity_table(part).to_string(index=False) in text
        assert " ".join(mia_words.class_sentence(part, CLASS_NAMES).split()) in " ".join(text.split())
    assert text.count("Control:") == 1
    assert mia_tables.gains_table(both.of("calibrated")).to_string(index=False) in text
    assert "nan" not in text.lower()
    assert "Empty" not in text  # a table without a row
    assert ("Try --seeds 5" in " ".join(text.split())) == (trainings < 5)


def test_a_rehearsal_concludes_nothing(acts):
    both = acts[1].judged(rehearsal=True)
    assert set(both.pairs["verdict"]) == {"", mia_tables.REHEARSAL}
    assert both.pairs["auc_adjusted_p"].isna().all()
    text = printed(both, rehearsal=True)
    assert mia_tables.models_table(both.of("threshold")).to_string(index=False) in text
    for words in ("differ", "Control", "Try --seeds", "leaks more", "p, adjusted"):
        assert words not in text


def test_the_answers_of_act_one_hold_intervals_and_verdicts(acts):
    study = acts[0]
    leaking, *experiments = mia_words.attack_answers(study, SMALL_QUESTIONS)
    kinds = rows_of(study.kinds, variant=AS_REPORTED).set_index("model").sort_values("auc")
    ends = [kinds.iloc[place][["auc", "auc_low", "auc_high"]].tolist() for place in (0, -1)]
    sure = (kinds["auc_low"] > 0.5).sum()
    who = "All 3" if sure == 3 else f"{sure} of 3"
    assert leaking.startswith(f"{who} models leak: AUC ")
    between = leaking.removeprefix(f"{who} models leak").replace(f"({kinds.index[0]})", "")
    assert numbers(between.replace(f"({kinds.index[-1]})", "")) == pytest.approx(
        [*ends[0], *ends[1], 0.5], abs=5.1e-5
    )
    assert f"({kinds.index[0]}) to " in leaking
    assert f"({kinds.index[-1]})," in leaking
    if study.results["seed"].nunique() == 1:
        assert experiments == []  # nothing can be said about kinds
        return
    assert [answer.split("?")[0] + "?" for answer in experiments] == [
        SMALL_QUESTIONS["architecture"],
        SMALL_QUESTIONS["classes"],
    ]
    for _, row in rows_of(study.pairs, variant=AS_REPORTED).iterrows():
        [answer] = [answer for answer in experiments if SMALL_QUESTIONS[row["experiment"]] in answer]
        assert row["verdict"].lower() in answer.lower()
        interval = f"{row['auc_difference']:+.4f} [{row['auc_low']:+.4f}, {row['auc_high']:+.4f}]"
        assert f"{row['first']} - {row['second']} {interval}" in answer


def test_one_model_alone_without_any_pair():
    """Whoever takes rows out of mia.py's tables."""
    kinds = [Kind("one", 10, 3000, 1000, leak) for leak in (1, 0)]
    leaking, nothing = (act_of([kind], {}, 2, {"threshold": 0}) for kind in kinds)
    [kind] = rows_of(leaking.kinds, variant=AS_REPORTED).to_dict("records")
    interval = f"{kind['auc']:.4f} [{kind['auc_low']:.4f}, {kind['auc_high']:.4f}]"
    assert mia_words.attack_answers(leaking, {}) == [f"one leaks: AUC {interval} (one), where chance is 0.5."]
    assert mia_words.attack_answers(nothing, {})[0].startswith("one is not shown to leak: AUC ")
    with looked_at():
        assert list(attack_figures(leaking, drawing_of(kinds[:1], {})))
    assert "First minus second" not in printed(leaking)


def test_the_answer_of_act_two_is_the_gain(acts):
    both = acts[1]
    [answer] = mia_words.stronger_answers(both.of(CALIBRATED), SMALL_QUESTIONS)
    ends = rows_of(both.results, epoch=4, attack=CALIBRATED)
    sure = sum(rows["auc_gain_low"].min() > 0 for _, rows in ends.groupby("model"))
    assert f"surely finds more in {sure} of 3 models: " in answer
    means = ends.groupby("model")["auc_gain"].mean()
    for value, model in ((means.min(), means.idxmin()), (means.max(), means.idxmax())):
        assert re.search(rf"{re.escape(f'{value:+.4f}')} \[[^]]*\] \({re.escape(model)}\)", answer)


def test_the_answers_of_act_three_are_the_verdicts_and_the_bound(acts):
    defended = acts[2]
    answer, bound = mia_words.defence_answers(defended, SMALL_QUESTIONS)
    assert answer.startswith(SMALL_QUESTIONS["defence"])
    for _, row in rows_of(defended.pairs, variant=AS_REPORTED).iterrows():
        interval = f"{row['auc_difference']:+.4f} [{row['auc_low']:+.4f}, {row['auc_high']:+.4f}]"
        assert f"{row['attack']} {interval}" in answer
    largest = rows_of(defended.results, model="private", epoch=4)["heldout_advantage"].max()
    assert bound == (
        f"No attack on private can exceed an advantage of 0.300; the largest held-out one measured is "
        f"{largest:.3f}."
    )


def test_no_line_is_wider_than_100_letters():
    """With the names of the models and experiments of mia.py, and numbers as long as they can get."""
    kinds = [Kind(model.name, model.classes, model.images // 40, 100, 0.3) for model in mia.MODELS]
    experiments = {experiment.name: experiment.pairs for experiment in mia.EXPERIMENTS}
    # 20,000 images have as many steps in 20 epochs as 50,000 in 8.
    attacks = {THRESHOLD: 0, CALIBRATED: 2}
    study = act_of(kinds, experiments, 2, attacks, pictured=mia.PICTURED, epochs=(0, 8, 20))
    study = study._replace(results=study.results.assign(parameters=1_234_567))
    study.results[[f"{end}tpr_at_1pct_fpr" for end in ("chance_", "")]] = 1.0
    study.results[[f"tpr_at_1pct_fpr_{end}" for end in ("low", "high")]] = 1.0
    study.pairs.loc[study.pairs["variant"] == AS_REPORTED, "auc_adjusted_p"] = 1.23e-12
    questions = {experiment.name: experiment.question for experiment in mia.EXPERIMENTS}
    answers = mia_words.attack_answers(study.of(THRESHOLD), questions)
    lines = printed(study, [*answers, *mia_words.stronger_answers(study, questions)]).splitlines()
    assert EQUAL_STEPS in " ".join(lines)
    assert [line for line in lines if len(line) > 100] == []


def test_a_finished_training_s_line():
    line = mia_words.finished_line("cnn-seed3", training_of(SMALL[0], 3))
    assert line == f"{'cnn-seed3':>25}  epoch   4  train 0.9300  test 0.5200"


def test_the_last_epoch_is_each_model_s_own():
    table = pd.DataFrame(
        {"model": ["a", "a", "b"], "seed": 0, "attack": "threshold", "epoch": [0, 4, 2], "auc": [1, 2, 3]}
    )
    assert last_epoch(table)["auc"].tolist() == [2, 3]


def test_untrained_models_seem_to_leak_by_chance_one_in_ten_thousand():
    """The alarm goes off where the AUC lies further from 0.5, in standard errors of its logit, than 0.9999 of
    a normal variable does."""
    bound = stats.norm.isf(0.5e-4)
    for factor, alarms in ((0.99, False), (1.01, True)):
        middle, half = bound * factor * 0.1, stats.norm.isf(0.025) * 0.1
        auc, low, high = 1 / (1 + np.exp(-np.array([middle, middle - half, middle + half])))
        row = {"model": "cnn", "seed": 0, "epoch": 0, "auc": auc, "auc_low": low, "auc_high": high}
        assert ("WARNING" in mia_words.control_sentence(pd.DataFrame([row]))) == alarms
