"""The README says what the committed tables say: its tables cell by cell, its prose number by number."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mia
from leakage.contrasts import NO_DIFFERENCE
from suite.report import mia_tables
from suite.report.mia_tables import Study, last_epoch
from suite.sources.cifar10 import CLASS_NAMES

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "figures" / "reference"
README = (ROOT / "README.md").read_text()
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md")})
SEEDS, REFERENCES = 12, 6
COUNT = {2: "two", 5: "five", 6: "six", 12: "twelve"}


def committed():
    """The tables of the reference run."""
    tables = [pd.read_csv(REFERENCE / f"mia_{name}.csv") for name in Study._fields[:4]]
    pairs = tables[3].assign(equal=tables[3]["equal"].fillna(""), verdict=tables[3]["verdict"].fillna(""))
    return Study(*tables[:3], pairs, {})


STUDY = committed()
PRIVATE = [model.name for model in mia.MODELS if model.epsilon is not None]
PLAIN = STUDY.about([model.name for model in mia.MODELS if model.name not in PRIVATE])


def table_after(heading, number=0):
    """A Markdown table after a heading, the first or a later one, as a frame of texts without mark-up."""
    section = re.split(r"\n#+ ", README.split(f"\n{heading}\n", 1)[1], maxsplit=1)[0]
    found = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[number]
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in found.splitlines()
    ]
    return pd.DataFrame(rows[2:], columns=rows[0])


THRESHOLD = PLAIN.of("threshold")
KINDS = THRESHOLD.kinds[THRESHOLD.kinds["variant"] == "as reported"].set_index("model")
WAYS = THRESHOLD.kinds.pivot_table(index="model", columns="variant", values="auc")
LAST = last_epoch(THRESHOLD.results)
MEANS = LAST.groupby("model", sort=False).mean(numeric_only=True)
PAIRS = THRESHOLD.pairs.set_index(["first", "second", "variant"])["auc_difference"]
DEFENCE = STUDY.pairs[(STUDY.pairs["experiment"] == "defence") & (STUDY.pairs["variant"] == "as reported")]


NOT_TOLD = "cannot be told from this"


def models():
    """The table of models, without what their figure's legend says."""
    return mia_tables.models_table(THRESHOLD).drop(columns=["parameters", "train"])


def gains():
    table = mia_tables.gains_table(PLAIN.of("calibrated"))
    return table.rename(columns={"gain in AUC": "gain in AUC over the threshold attack"})


def differences(first, second):
    """A pair's differences in AUC with their intervals, by the threshold attack and by the calibrated one; and
    whether by the latter the first leaks more: None if that cannot be told."""
    reported = STUDY.pairs[STUDY.pairs["variant"] == "as reported"].set_index(["first", "second", "attack"])
    rows = [reported.loc[(first, second, attack)] for attack in ("threshold", "calibrated")]
    told = None if rows[1]["verdict"] == NO_DIFFERENCE else bool(rows[1]["auc_difference"] > 0)
    return "; ".join(mia_tables.with_interval(row, "auc_difference", "+") for row in rows), told


def claims():
    """What is commonly said, what is compared, the numbers, the answer; those of laplace.py are checked in
    test_laplace.py. A saying that two pairs can answer stands once."""
    dense, cnn = "dense4_10c", "cnn4_10c"
    parameters = {model: f"{MEANS.loc[model, 'parameters']:,.0f} parameters" for model in (dense, cnn)}
    compared = [
        ("Larger models leak more", f"{cnn} ({parameters[cnn]}) - {dense} ({parameters[dense]})", cnn, dense),
        ("Deeper models leak more", "seven dense layers - four, ten classes", "dense7_10c", dense),
        ("", "seven dense layers - four, four classes", "dense7_4c", "dense4_4c"),
        (
            "More classes leak more, as there is more signal",
            "ten classes - four, 5,000 images of each",
            dense,
            "dense4_4c",
        ),
        ("", "ten classes - four, 2,000 images of each", "dense4_10c_20k", "dense4_4c_8k"),
        ("Fewer images leak more", "5,000 images a class - 2,000, ten classes", dense, "dense4_10c_20k"),
        ("", "5,000 images a class - 2,000, four classes", "dense4_4c", "dense4_4c_8k"),
        ("A CNN memorises more than a dense network", f"{cnn} - {dense}", cnn, dense),
        ("Private training protects", f"{dense} - {dense}_dp", dense, f"{dense}_dp"),
    ]
    second_is_said_to_leak_more, saying = ("Larger models leak more", "Fewer images leak more"), ""
    for said, pair, first, second in compared:
        saying = said or saying
        numbers, first_leaks_more = differences(first, second)
        holds = first_leaks_more != (saying in second_is_said_to_leak_more)
        yield [said, pair, numbers, NOT_TOLD if first_leaks_more is None else "yes" if holds else "no"]
    early = THRESHOLD.kinds[THRESHOLD.kinds["variant"] == "at best epoch"].set_index("model").loc[dense]
    yield [
        "Early stopping is enough",
        f"{dense}, stopped at its best test accuracy; chance is 0.5",
        mia_tables.with_interval(early, "auc"),
        "no" if early["auc_low"] > 0.5 else NOT_TOLD,
    ]
    gained = last_epoch(PLAIN.of("calibrated").results)
    yield [
        "The loss says all that an attacker can know",
        f"{dense}, calibrated attack - threshold attack, over examples",
        mia_tables.gains_table(PLAIN.of("calibrated")).set_index("model").loc[dense, "gain in AUC"],
        "no" if (gained[gained["model"] == dense]["auc_gain_low"] > 0).all() else NOT_TOLD,
    ]


@pytest.mark.parametrize(
    ("heading", "make"),
    [("### Act one: the attack", models), ("### Act two: the stronger attack", gains)],
    ids=["models", "gains"],
)
def test_the_tables_are_those_of_the_csv_files(heading, make):
    pd.testing.assert_frame_equal(table_after(heading), make().astype(str))


def test_the_answers_to_what_is_said_are_those_of_the_csv_files():
    heads, *rows = table_after("## What is commonly said, and what was measured").T.reset_index().T.to_numpy()
    assert heads.tolist() == ["commonly said", "compared here", "measured, with 95% interval", "answer"]
    expected = list(claims())
    assert [row.tolist() for row in rows[: len(expected)]] == expected
    assert len(rows) == len(expected) + 2  # those of laplace.py


def test_the_first_screen_says_what_the_tables_say():
    calibrated = last_epoch(PLAIN.of("calibrated").results).groupby("model")["auc"].mean()
    private = last_epoch(STUDY.about(PRIVATE).results).groupby("attack")["auc"].mean()
    assert (
        f"Yes, a little: AUC {KINDS['auc'].min():.3f} to {KINDS['auc'].max():.3f} by the loss alone, "
        f"{calibrated.min():.3f} to {calibrated.max():.3f} with {COUNT[REFERENCES]} reference models, where "
        f"chance is 0.5; at most {private.max():.3f} if trained privately"
    ) in README
    assert (
        f"{COUNT[SEEDS]} trainings of each model and {COUNT[REFERENCES]} reference models for each" in README
    )


def percent(value, digits=2):
    return f"{100 * value:.{digits}f}%"


def act_one():
    """The sentences of act one, from the tables."""
    untrained = THRESHOLD.results[THRESHOLD.results["epoch"] == 0]
    misses = int(((untrained["auc_low"] > 0.5) | (untrained["auc_high"] < 0.5)).sum())
    yield (
        f"**All seven leak, and all of them little.** The AUCs lie between {KINDS['auc'].min():.4f} and "
        f"{KINDS['auc'].max():.4f}. The {len(untrained)} untrained models, which can leak nothing, lie between "
        f"{untrained['auc'].min():.4f} and {untrained['auc'].max():.4f}; {misses} of their 95% intervals miss 0.5."
    )
    surplus = (MEANS["heldout_advantage"] - MEANS["gap"]).sort_values()
    yield (
        "**This attack finds about what the accuracies give away.** Its held-out advantage differs from the gap "
        f"by {surplus.iloc[0]:+.4f} (`{surplus.index[0]}`) to {surplus.iloc[-1]:+.4f} (`{surplus.index[-1]}`)."
    )
    named, recognised = MEANS["tpr_at_0p1pct_fpr"].dropna(), MEANS["tnr_at_1pct_fnr"]
    yield (
        f"**It names hardly anybody without mistakes:** at 0.1% FPR {percent(named.min())} to "
        f"{percent(named.max())} of the members, where chance gives 0.11%. It is better at the opposite: at 1% "
        f"FNR it recognises {percent(recognised.min())} to {percent(recognised.max())} of the non-members."
    )
    best = {}
    for model in ("cnn4_10c", "dense4_10c"):
        rows = THRESHOLD.results[THRESHOLD.results["model"] == model].groupby("epoch")
        best[model] = rows["test_accuracy"].mean().idxmax(), rows["auc"].mean()
    epoch, aucs = best["cnn4_10c"]
    cnn, dense = MEANS.loc["cnn4_10c"], MEANS.loc["dense4_10c"]
    yield (
        f"The CNN leaks more, by {PAIRS['cnn4_10c', 'dense4_10c', 'as reported']:.4f} in AUC, although it has "
        f"{cnn['parameters']:,.0f} parameters and the dense network {dense['parameters']:,.0f}: fewer "
        "parameters do not mean less leakage. Stopping at the best mean test accuracy would have prevented "
        f"little of it: its AUC was {aucs[epoch]:.3f} at epoch {epoch} and {aucs.iloc[-1]:.3f} at the end."
    )
    seven = MEANS.loc["dense7_10c"]
    by_seed = LAST.pivot_table(index="seed", columns="model", values="auc")
    apart = by_seed["dense7_10c"] - by_seed["dense4_10c"]
    yield (
        f"No difference can be shown: {PAIRS['dense7_10c', 'dense4_10c', 'as reported']:+.4f} in AUC. Seven "
        f"layers have {seven['parameters']:,.0f} parameters, "
        f"{100 * (seven['parameters'] / dense['parameters'] - 1):.0f}% more than four. One training of each "
        f"would have misled: between the trainings the difference goes from {apart.min():+.4f} to "
        f"{apart.max():+.4f}."
    )
    steps = {model: f"{MEANS.loc[model, 'steps']:,.0f}" for model in MEANS.index}
    at = {key: f"{value:+.4f}" for key, value in PAIRS.items()}
    adjusted = THRESHOLD.pairs.set_index(["first", "second", "variant"])["auc_adjusted_p"]
    yield (
        "With equally many images a class, no difference between ten classes and four can be shown: "
        f"{at['dense4_10c', 'dense4_4c', 'as reported']} in AUC at 5,000 images a class (p = "
        f"{adjusted['dense4_10c', 'dense4_4c', 'as reported']:.2g}, adjusted for seven pairs), "
        f"{at['dense4_10c_20k', 'dense4_4c_8k', 'as reported']} at 2,000. Fewer images a class leak more: "
        f"{at['dense4_10c', 'dense4_10c_20k', 'as reported']} with ten classes, "
        f"{at['dense4_4c', 'dense4_4c_8k', 'as reported']} with four. With 20,000 images each, ten classes do "
        f"leak more than four ({KINDS.loc['dense4_10c_20k', 'auc']:.4f} and {KINDS.loc['dense4_4c', 'auc']:.4f}), "
        "but then they have 2,000 images a class, and the four have 5,000."
    )
    yield (
        f"Equal epochs are not equal steps: {steps['dense4_10c']} for `dense4_10c`, {steps['dense4_4c']} for "
        f"`dense4_4c` and `dense4_10c_20k`, {steps['dense4_4c_8k']} for `dense4_4c_8k`. After equally many "
        "steps four classes leak more than ten: "
        f"{at['dense4_10c', 'dense4_4c', 'at equal steps']} and "
        f"{at['dense4_10c_20k', 'dense4_4c_8k', 'at equal steps']}."
    )
    raised = WAYS["no near-duplicates"] - WAYS["as reported"]
    wide = THRESHOLD.pairs.pivot_table(index=["first", "second"], columns="variant", values="auc_difference")
    moved = (wide["no near-duplicates"] - wide["as reported"]).abs().max()
    spared = 1 - (WAYS["at best epoch"] - 0.5) / (WAYS["as reported"] - 0.5)
    yield (
        f"Without near-duplicates every AUC is higher, by {raised.min():.4f} to {raised.max():.4f}, and no "
        f"difference moves by more than {moved:.4f}. Early stopping spares {percent(spared.min(), 0)} to "
        f"{percent(spared.max(), 0)} of what lies above 0.5."
    )
    differ = mia_tables.classes_differ(THRESHOLD)
    surely = [model for model, p in differ.items() if p < 0.05]
    classes = MEANS.loc["cnn4_10c", [f"auc_{name}" for name in CLASS_NAMES]]
    yield (
        f"The classes differ in {', '.join(f'`{model}` (adjusted p = {differ[model]:.2g})' for model in surely)}; "
        f"in the other {len(differ) - len(surely)} models that cannot be shown, and no class of them is to be "
        f"named. In the CNN, the class {classes.idxmax().removeprefix('auc_')} is among the most exposed "
        f"({classes.max():.3f}) and {classes.idxmin().removeprefix('auc_')} among the least ({classes.min():.3f})."
    )
    reported = THRESHOLD.pairs[THRESHOLD.pairs["variant"] == "as reported"]
    judged = [verdict for verdict in reported["verdict"] if verdict != NO_DIFFERENCE]
    yield (
        "Seven pairs were fixed before the run, and the verdicts on their AUCs are adjusted (Holm), so that "
        "together they claim a difference falsely in at most 5% of runs. They say: "
        f"{'; '.join(judged)}. For the other {len(reported) - len(judged)} pairs no difference can be shown. Of "
        "two equal kinds, 2% to 6% of simulated contrasts claim a difference before that adjustment."
    )


def act_two():
    """The sentences of act two, from the tables."""
    calibrated = last_epoch(PLAIN.of("calibrated").results)
    gains = calibrated.groupby("model")["auc_gain"].mean()
    sure = calibrated.groupby("model")["auc_gain_low"].min() > 0
    yield (
        f"**It finds more in {sure.sum()} of {len(sure)} models:** {gains.min():+.4f} to {gains.max():+.4f} in "
        "AUC over the threshold attack on the same targets, and there every training's interval over examples "
        "lies above 0."
    )
    means = calibrated.groupby("model", sort=False).mean(numeric_only=True)
    caught, before = means.loc["dense4_10c"], MEANS.loc["dense4_10c"]
    yield (
        f"At 0.1% FPR it names {percent(caught['tpr_at_0p1pct_fpr'])} of `dense4_10c`'s members instead of "
        f"{percent(before['tpr_at_0p1pct_fpr'])}, at 1% FPR {percent(caught['tpr_at_1pct_fpr'])} instead of "
        f"{percent(before['tpr_at_1pct_fpr'])}."
    )
    told = PLAIN.of("calibrated").pairs
    told = told[(told["variant"] == "as reported") & (told["verdict"] != NO_DIFFERENCE)]
    also = set(told["verdict"]) - set(THRESHOLD.pairs["verdict"])
    [new] = [row for row in told.itertuples() if row.verdict in also]
    assert set(THRESHOLD.pairs["verdict"]) - {"", NO_DIFFERENCE} <= set(told["verdict"])
    yield (
        f"**It sees a difference that the loss alone does not show:** the verdicts of act one hold, and `{new.second}` "
        f"leaks more than `{new.first}`, by {-new.auc_difference:.4f} in AUC (adjusted p = "
        f"{new.auc_adjusted_p:.2g}): with 5,000 images of each class, four classes leak more than ten."
    )
    precisions = mia_tables.precisions_table(PLAIN.of("calibrated")).set_index("model")
    half, hundredth = precisions.loc["dense4_10c", ["if 50% are members", "if 1% are members"]]
    yield (
        "How many of those whom it names at 0.1% FPR are members depends on how many of the candidates are: of "
        f"those named in `dense4_10c`, first training, {half} if half of the candidates are, {hundredth} if one "
        "in a hundred is (over examples)."
    )
    agreement = PLAIN.kinds[PLAIN.kinds["variant"] == "as reported"].set_index(["model", "attack"])
    agreement = agreement["exposed_agreement"]
    yield (
        "Of the 1% of images that it names first under one seed, "
        f"{percent(agreement['cnn4_10c', 'calibrated'], 0)} (CNN) and "
        f"{percent(agreement['dense4_10c', 'calibrated'], 0)} (dense) are also among the 1% under another; by "
        f"the loss alone {percent(agreement['cnn4_10c', 'threshold'], 0)} and "
        f"{percent(agreement['dense4_10c', 'threshold'], 0)}, by chance 1%."
    )
    ranks = pd.read_csv(REFERENCE / "mia_exposure.csv").set_index("image")
    shared = []
    for model in ("cnn4_10c", "dense4_10c"):
        first = [
            ranks[f"{model}_{attack}_rank"].nsmallest(len(ranks) // 100)
            for attack in ("threshold", "calibrated")
        ]
        shared.append(len(first[0].index.intersection(first[1].index)) / len(first[0]))
    yield (
        "The two attacks expose different images: of the 1% that the loss alone names first, the calibrated "
        f"attack names {percent(shared[0], 0)} first too in the CNN, {percent(shared[1], 0)} in the dense network."
    )


def act_three():
    """The sentences of act three, from the tables."""
    last = last_epoch(STUDY.results)
    private = last[last["model"].isin(PRIVATE)]
    plain = last[(last["model"] == "dense4_10c") & (last["attack"] == "threshold")]
    by_attack = private.groupby("attack")
    yield (
        f"It classifies {percent(private['test_accuracy'].mean(), 1)} of the test images instead of "
        f"{percent(plain['test_accuracy'].mean(), 1)}, and its AUC is "
        f"{by_attack['auc'].mean()['threshold']:.4f} by the threshold attack and "
        f"{by_attack['auc'].mean()['calibrated']:.4f} by the calibrated one."
    )
    adjusted = DEFENCE.set_index("attack")
    yield (
        "Both verdicts say that the plain model leaks more: by "
        f"{adjusted.loc['threshold', 'auc_difference']:.4f} and "
        f"{adjusted.loc['calibrated', 'auc_difference']:.4f} in AUC (adjusted p = "
        f"{adjusted.loc['threshold', 'auc_adjusted_p']:.2g} and {adjusted.loc['calibrated', 'auc_adjusted_p']:.2g})."
    )
    curves = STUDY.about(PRIVATE).curves
    bound = curves[(curves["curve"] == "bound") & (curves["seed"] == 0)].sort_values("x")
    limit = np.interp([0.001, 0.01], bound["x"], bound["y"])
    yield (
        f"Whatever the attack, its advantage cannot exceed {private['advantage_bound'].max():.3f}, nor its TPR "
        f"{percent(limit[0])} at 0.1% FPR and {percent(limit[1])} at 1%. Measured were a held-out advantage of "
        f"{private['heldout_advantage'].max():.3f}, {percent(private['tpr_at_0p1pct_fpr'].max())} and "
        f"{percent(private['tpr_at_1pct_fpr'].max())} at most, in any seed and by either attack."
    )
    rows = STUDY.results[(STUDY.results["model"] == "dense4_10c") & (STUDY.results["attack"] == "threshold")]
    epochs = rows.groupby("epoch")[["test_accuracy", "auc"]].mean()
    nearest = (epochs["test_accuracy"] - private["test_accuracy"].mean()).abs().idxmin()
    yield (
        f"Early stopping protects as well on average: stopped at epoch {nearest}, where its test accuracy is "
        f"nearest ({percent(epochs.loc[nearest, 'test_accuracy'], 1)}), the plain model has an AUC of "
        f"{epochs.loc[nearest, 'auc']:.4f} by the threshold attack. But only private training promises it."
    )


@pytest.mark.parametrize("sentence", [*act_one(), *act_two(), *act_three()], ids=lambda text: text[:30])
def test_the_prose_says_what_the_tables_say(sentence):
    assert sentence in " ".join(README.split())


def test_every_difference_is_that_of_the_rows_it_is_made_of():
    """Of the means over the seeds in mia_results.csv, whose numbers have six digits."""
    last = last_epoch(STUDY.results).groupby(["attack", "model"])[["auc", "heldout_advantage"]].mean()
    for row in STUDY.pairs[STUDY.pairs["variant"] == "as reported"].itertuples():
        difference = last.loc[row.attack, row.first] - last.loc[row.attack, row.second]
        stated = [row.auc_difference, row.heldout_advantage_difference]
        assert stated == pytest.approx(difference.tolist(), abs=2e-6)


def test_the_verdicts_are_holm_s_on_the_p_values_of_each_act():
    from statsmodels.stats.multitest import multipletests

    reported = STUDY.pairs[STUDY.pairs["variant"] == "as reported"]
    acts = [reported["experiment"] == "defence"]
    acts += [
        (reported["experiment"] != "defence") & (reported["attack"] == attack)
        for attack in set(reported["attack"])
    ]
    for act in acts:
        rows = reported[act]
        assert len(rows) == (2 if (rows["experiment"] == "defence").all() else 7)
        _, adjusted, _, _ = multipletests(rows["auc_p"], method="holm")
        assert rows["auc_adjusted_p"].tolist() == pytest.approx(adjusted.tolist(), rel=1e-4)
        for row, p in zip(rows.itertuples(), adjusted, strict=True):
            more, less = (row.first, row.second) if row.auc_difference > 0 else (row.second, row.first)
            expected = f"{more} leaks more than {less}" if p < 0.05 else "no difference can be shown"
            assert row.verdict == expected


def test_the_committed_run_is_the_reference_run():
    results = STUDY.results
    assert f"mia.py --seeds {SEEDS} --references {REFERENCES} --figures figures/reference" in README
    assert set(results["model"]) == {model.name for model in mia.MODELS}
    assert set(results["seed"]) == set(range(SEEDS))
    threshold = results[results["attack"] == "threshold"]
    for model in mia.MODELS:
        epochs = sorted(set(threshold[threshold["model"] == model.name]["epoch"]))
        assert epochs == mia.cell_of(model, 0, None, 1.0).attacked
        assert set(results[results["model"] == model.name]["members"]) == {model.images}
    assert np.isfinite(results["auc"]).all()


def test_no_attack_lies_above_the_proven_bound():
    """In every seed, by both attacks: held-out advantage, and the ROC curves at 1% FPR and above, where 100
    non-members and more decide."""
    private = STUDY.about(PRIVATE)
    last = last_epoch(private.results)
    assert len(last) == 2 * SEEDS
    assert (last["heldout_advantage"] < last["advantage_bound"]).all()
    for _, curves in private.curves.groupby(["seed", "attack"]):
        roc = curves[curves["curve"] == "roc"].set_index("x")["y"]
        bound = curves[curves["curve"] == "bound"].set_index("x")["y"]
        assert (
            roc[roc.index >= 0.01].to_numpy() <= np.interp(roc.index[roc.index >= 0.01], bound.index, bound)
        ).all()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_points_to_is_there(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_commands_of_the_first_screen_fit_its_width():
    """838 pixels, of which a letter of code takes 8.2 and the frame 32; the test command is one line for the
    continuous integration."""
    blocks = [
        re.match(r"\s*```sh\n(.*?)\n```", README.split(f"\n{heading}\n", 1)[1], re.DOTALL)[1]
        for heading in ("## Run", "## Test")
    ]
    assert max(map(len, blocks[0].splitlines())) <= 98
    assert "\n" not in blocks[1]


def test_the_readme_can_be_read_in_one_sitting():
    assert README.count("\n") <= 250
