"""README says what the committed tables say: its tables cell by cell, its prose number by number."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mia
from leakage.contrasts import NO_DIFFERENCE
from leakage.estimates import POWER
from suite.report import mia_tables, mia_words
from suite.report.mia_tables import last_epoch, reported, with_interval
from suite.sources.cifar10 import CLASS_NAMES
from suite.study.findings import CALIBRATED, THRESHOLD
from suite.study.tables import Study

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "figures" / "reference"
README = (ROOT / "README.md").read_text()
PAGE = (REFERENCE / "README.md").read_text()  # the committed run, for specialists
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md"), *ROOT.glob("suite/*/*.md")})
NUMBER = re.compile(r"(?<![\w.,/-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?%?(?![\w%])")
FAMILIES = {"attack": 8, "defence": 2}  # verdicts of an act: pairs, and pairs by attacks


def committed(folder):
    """The tables of a committed run. Of the two smaller runs, curves and single images are not committed."""
    tables = {name: pd.read_csv(folder / f"mia_{name}.csv") for name in ("results", "kinds", "pairs")}
    for name in ("curves", "memorisation"):
        path = folder / f"mia_{name}.csv"
        whole = pd.read_csv(path if path.exists() else REFERENCE / path.name)
        tables[name] = whole if path.exists() else whole.iloc[:0]
    for column in ("equal", "verdict"):
        tables["pairs"][column] = tables["pairs"][column].astype(object).fillna("")
    for column in ("classes_above", "classes_below"):
        tables["kinds"][column] = tables["kinds"][column].astype(object).fillna("")
    return Study(**tables)


STUDY = committed(REFERENCE)
SCHEDULE = committed(REFERENCE / "schedule")
DEPTH = committed(REFERENCE / "depth")
BY_NAME = {model.name: model for model in mia.MODELS}
PRIVATE = [model.name for model in mia.MODELS if model.epsilon is not None]
PLAIN = STUDY.about([model.name for model in mia.MODELS if model.name not in PRIVATE])
DEFENDED = STUDY.about(["dense4_10c", *PRIVATE])
NAMES_OF_A_PAIR = ["first", "second", "attack"]
# The depth pairs were trained further, so their answers come from the larger run.
PAIRS = (
    pd.concat([reported(study.pairs) for study in (STUDY, SCHEDULE, DEPTH)])
    .drop_duplicates(NAMES_OF_A_PAIR, keep="last")
    .set_index(NAMES_OF_A_PAIR)
)


def section(page, heading):
    """What stands below a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    below = page.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", below, maxsplit=1)[0]


def table_after(page, heading, number=0):
    """A Markdown table after a heading, the first or a later one, as a frame of texts without mark-up."""
    text = re.split(r"\n#+ ", page.split(f"\n{heading}\n", 1)[1], maxsplit=1)[0]
    lines = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[number].splitlines()
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    return pd.DataFrame(rows[2:], columns=rows[0])


def by_both_attacks(study):
    """mia.py's table of models for the threshold attack, and the AUC by the calibrated one beside it."""
    table = mia_tables.models_table(study.of(THRESHOLD)).drop(columns="held-out advantage")
    table = table.assign(calibrated=mia_tables.models_table(study.of(CALIBRATED))["AUC"])
    return table.rename(columns={"AUC": "AUC, threshold", "calibrated": "AUC, calibrated"})


def as_on_the_page(table):
    return table.astype(str).apply(lambda column: column.str.strip())


@pytest.mark.parametrize(
    ("heading", "number", "expected"),
    [
        ("### Act one: the attack", 0, lambda: by_both_attacks(PLAIN)),
        ("### What hangs on the training", 0, lambda: by_both_attacks(SCHEDULE)),
        ("### Depth, with twice as many trainings", 0, lambda: by_both_attacks(DEPTH)),
        ("### Act one: the attack", 1, lambda: mia_tables.pairs_table(PLAIN.of(THRESHOLD))),
        ("### Act two: the stronger attack", 0, lambda: mia_tables.extremes_table(PLAIN.of(CALIBRATED))),
        ("### Act two: the stronger attack", 1, lambda: mia_tables.pairs_table(PLAIN.of(CALIBRATED))),
        ("### Act three: the defence", 0, lambda: mia_tables.limits_table(DEFENDED)),
    ],
)
def test_the_tables_of_the_reference_page_are_those_that_mia_prints(heading, number, expected):
    pd.testing.assert_frame_equal(table_after(PAGE, heading, number), as_on_the_page(expected()))


# A question; the models compared; and whether the answer is yes if the first leaks more.
QUESTIONS = [
    ("Does a CNN leak more than a dense network?", "cnn4_10c", "dense4_10c", True),
    ("And where the learning rate falls?", "cnn4_10c_falling", "dense4_10c_falling", True),
    ("Do seven dense layers leak more than four?", "dense7_10c", "dense4_10c", True),
    ("Do they with four classes?", "dense7_4c", "dense4_4c", True),
    ("Does telling ten classes apart leak more than four?", "dense4_10c", "dense4_4c", True),
    ("Does it with two fifths of the images?", "dense4_10c_12k", "dense4_4c_5k", True),
    ("Do more images of each class leak less?", "dense4_10c", "dense4_10c_12k", False),
    ("Do they with four classes?", "dense4_4c", "dense4_4c_5k", False),
    ("Does private training protect?", "dense4_10c", "dense4_10c_dp", True),
]


def answer_to(rows, yes_if_more):
    """What the verdicts of both attacks answer; rows: of the pair, by attack."""
    answers = {
        attack: "yes" if (row["auc_difference"] > 0) == yes_if_more else "no"
        for attack, row in rows.items()
        if row["verdict"] != NO_DIFFERENCE
    }
    if not answers:
        found = f"{rows[CALIBRATED]['auc_detectable']:.4f} would have been found in {POWER:.0%} of runs"
        return f"not shown; a difference of {found}"
    if len(answers) == 1:
        [(attack, answer)] = answers.items()
        return f"{answer}, by the {attack} attack alone"
    assert len(set(answers.values())) == 1
    return answers[CALIBRATED]


def test_the_answers_are_those_of_the_csv_files():
    """Both attacks must agree for a yes or a no; if one alone decides, the answer names it. The interval is
    that of the calibrated attack, or of the one that is named, so that none contradicts its answer."""
    table = table_after(README, "## What was found")
    first_row = list(table["question"]).index(QUESTIONS[0][0])
    stated = table.iloc[first_row : first_row + len(QUESTIONS)]
    for (question, first, second, yes_if_more), (_, row) in zip(QUESTIONS, stated.iterrows(), strict=True):
        rows = {attack: PAIRS.loc[(first, second, attack)] for attack in (THRESHOLD, CALIBRATED)}
        deciding = [attack for attack in rows if rows[attack]["verdict"] != NO_DIFFERENCE]
        shown = rows[deciding[0] if len(deciding) == 1 else CALIBRATED]
        measured = f"{first} - {second}: {with_interval(shown, 'auc_difference', '+')}"
        assert row.tolist() == [question, answer_to(rows, yes_if_more), measured]
    [early] = [row for _, row in table.iterrows() if row["question"] == "Is early stopping enough?"]
    stopped = STUDY.pairs[STUDY.pairs["variant"].str.endswith("equal accuracy")]
    for _, row in stopped[stopped["attack"] == CALIBRATED].iterrows():
        assert with_interval(row, "auc_difference", "+") in early["measured"]
        assert f"epoch {row['first_epoch']}" in early["measured"]
    alike = [
        all(rows["auc_low"] <= 0) and all(rows["auc_high"] >= 0) for _, rows in stopped.groupby("variant")
    ]
    more = [all(rows["auc_low"] > 0) for _, rows in stopped.groupby("variant")]
    assert ("no difference is shown" in early["answer"]) == any(alike)
    assert ("leaks more" in early["answer"]) == any(more)
    assert all(map(any, zip(alike, more, strict=True)))  # else the answer must name the attack


def test_the_other_rows_of_what_was_found():
    """AUCs, found members and reliabilities are those of the CSV files; of laplace.py's row each number stands
    in the page's section on it, which tests/test_laplace.py checks."""
    table = table_after(README, "## What was found").set_index("question")
    by_attack = [reported(PLAIN.of(attack).kinds).set_index("model") for attack in (THRESHOLD, CALIBRATED)]
    [pairs_right, aucs] = table.loc["Can one tell members by the loss?"]
    ends = [end for kinds in by_attack for end in (kinds["auc"].min(), kinds["auc"].max())]
    assert [number for number in NUMBER.findall(pairs_right) if number != "100"] == [
        f"{100 * end:.0f}" for end in ends
    ]
    pictured = sorted(by_attack[0].loc[list(mia.PICTURED), "auc"])
    shares = " or ".join(f"{100 * auc:.0f}" for auc in pictured)
    assert f"in {shares} of 100 pairs" in README.split("## Run")[0]
    by_auc = [kinds.sort_values("auc").iloc[[0, -1]] for kinds in by_attack]
    spans = [" to ".join(with_interval(row, "auc") for _, row in rows.iterrows()) for rows in by_auc]
    assert aucs == f"AUC {'; '.join(spans)}"
    found = []
    for kinds in by_attack:
        columns = [f"tpr_at_0p1pct_fpr{end}" for end in ("", "_low", "_high")]
        found.append("{:.2%} [{:.2%}, {:.2%}]".format(*kinds.loc["dense4_10c", columns]))
    rates = table.loc["Can one find members with hardly a false alarm?", "measured"]
    assert rates == f"TPR at 0.1% FPR of dense4_10c: {'; '.join(found)}"
    reliability = by_attack[0].loc[["cnn4_10c", "dense4_10c"], "memorisation_reliability"]
    stated = NUMBER.findall(table.loc["Which images are memorised?", "measured"])
    assert stated == [f"{value:.3f}" for value in reliability]
    asked_again = " ".join(table.loc["Do many answers reveal what one hides?"])
    known = NUMBER.findall(section(PAGE, "## The Laplace mechanism: `laplace.py`"))
    assert set(NUMBER.findall(asked_again)) <= set(known)


def printed():
    """All that mia.py prints of the committed run at the end of its acts."""
    questions = {experiment.name: experiment.question for experiment in mia.EXPERIMENTS}
    with redirect_stdout(io.StringIO()) as stream:
        for study, answers in (
            (PLAIN.of(THRESHOLD), mia_words.attack_answers),
            (PLAIN.of(CALIBRATED), mia_words.stronger_answers),
            (DEFENDED, mia_words.defence_answers),
        ):
            mia_words.print_conclusion(study, answers(study, questions), CLASS_NAMES)
    return stream.getvalue()


@pytest.mark.parametrize("page", [README, PAGE], ids=["README.md", "figures/reference/README.md"])
def test_every_number_of_the_prose_is_in_what_the_run_prints(page):
    """Or in its tables, in as many digits; or is one of the constants of the experiment."""
    prose = re.sub(r"^\|.*\n", "", section(page, "## Membership inference: `mia.py`"), flags=re.MULTILINE)
    prose = re.sub(r"\]\([^)]*\)|```.*?```|`[^`]*`", "", prose, flags=re.DOTALL)
    numbers = [match.lstrip("+-") for match in NUMBER.findall(prose)]
    allowed = {match.lstrip("+-") for match in NUMBER.findall(printed())}
    means = STUDY.results.groupby(["model", "attack", "epoch"]).mean(numeric_only=True)
    further = [table for study in (SCHEDULE, DEPTH) for table in (study.kinds, study.pairs)]
    for table in (STUDY.results, means, STUDY.kinds, STUDY.pairs, *further):
        for values in table.select_dtypes("number").to_numpy().T:
            known = np.abs(values[np.isfinite(values)])
            allowed |= {f"{value:.{digits}f}" for value in known for digits in (3, 4)}
            allowed |= {f"{100 * value:.{digits}f}%" for value in known for digits in (0, 1, 2)}
    allowed |= {f"{steps:,}" for steps in STUDY.results["steps"]}
    allowed |= {f"{value:.2f}" for value in STUDY.results["exchange_epsilon"].dropna()}
    allowed |= {f"{model.each // 2:,}" for model in mia.MODELS}
    allowed |= {f"{settings.expected_members:,}" for settings in map(default_settings, mia.MODELS)}
    allowed |= {
        f"{BY_NAME['dense4_10c_dp'].epsilon:g}",
        "1e-5",
        "95%",
        "0.5",
        "1%",
        "0.1%",
    }  # of the experiment
    allowed |= set(NUMBER.findall((ROOT / "benchmarks" / "README.md").read_text()))  # simulations, sizes
    allowed |= {str(year) for year in range(1990, 2030)}
    assert len(numbers) > 20
    assert [number for number in numbers if number not in allowed and len(number) > 2] == []


def default_settings(model):
    return mia.settings_of(model, 0, None, 1.0)


def test_every_difference_is_that_of_the_rows_it_is_made_of():
    """Of the means over the trainings in mia_results.csv, whose numbers have six digits."""
    last = last_epoch(STUDY.results).groupby(["attack", "model"])[["auc", "heldout_advantage"]].mean()
    for row in reported(STUDY.pairs).itertuples():
        difference = last.loc[row.attack, row.first] - last.loc[row.attack, row.second]
        stated = [row.auc_difference, row.heldout_advantage_difference]
        assert stated == pytest.approx(difference.tolist(), abs=2e-6)


def test_every_verdict_goes_with_its_interval():
    rows = pd.concat([reported(study.pairs) for study in (STUDY, SCHEDULE, DEPTH)])
    for row in rows.itertuples():
        family = FAMILIES["defence" if row.experiment == "defence" else "attack"]
        assert (row.family, row.confidence) == (family, pytest.approx(1 - 0.05 / family, abs=1e-6))
        more, less = (row.first, row.second) if row.auc_difference > 0 else (row.second, row.first)
        decided = row.auc_low > 0 or row.auc_high < 0
        assert row.verdict == (f"{more} leaks more than {less}" if decided else NO_DIFFERENCE)
    assert len(rows) == sum((7, 7, 2, 1, 1, 2, 2))


@pytest.mark.parametrize(
    ("study", "only", "folder"),
    [
        (STUDY, (), ""),
        (SCHEDULE, ("schedule",), "/schedule"),
        (DEPTH, ("depth", "depth_4class"), "/depth"),
    ],
    ids=str,
)
def test_the_committed_runs_are_those_of_their_commands(study, only, folder):
    """As many trainings of the models as the page's command says, each judged at its epochs."""
    options = f" --only {' '.join(only)}" if only else ""
    [trainings] = re.findall(
        rf"mia.py --trainings (\d+){options} --figures figures/reference{folder}\n", PAGE
    )
    results = study.results
    models, _ = mia.chosen(only)
    assert set(results["model"]) == {model.name for model in models}
    for model in models:
        settings = default_settings(model)
        for attack in (THRESHOLD, CALIBRATED):
            rows = results[(results["model"] == model.name) & (results["attack"] == attack)]
            assert sorted(set(rows["training"])) == list(range(int(trainings)))
            assert sorted(set(rows["epoch"])) == settings.attacked_epochs
        # The members of two trainings of a pair add up to the pool.
        members = last_epoch(rows).set_index("training")["members"]
        for first in range(0, int(trainings), 2):
            assert members[first] + members[first + 1] == model.classes * model.each
    assert np.isfinite(results["auc"]).all()


def test_no_attack_lies_above_the_proven_bound():
    """In every training, by both attacks: held-out advantage, lower bound on epsilon, and the ROC curves at 1%
    FPR and above, where 300 non-members and more decide."""
    private = STUDY.about(PRIVATE)
    last = last_epoch(private.results)
    assert (last["heldout_advantage"] < last["advantage_bound"]).all()
    assert (last["epsilon_low"] < last["epsilon"]).all()
    for _, curves in private.curves.groupby(["training", "attack"]):
        roc = curves[curves["curve"] == "roc"].set_index("x")["y"]
        bound = curves[curves["curve"] == "bound"].set_index("x")["y"]
        high = roc.index >= 0.01
        assert (roc[high].to_numpy() <= np.interp(roc.index[high], bound.index, bound)).all()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_points_to_is_there(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_audit_shown_is_that_of_the_audits_own_page():
    """Which tests/test_report.py runs."""
    [session] = re.findall(r"```console\n(.*?)```", section(README, "## Your own model"), re.DOTALL)
    own_page = (ROOT / "leakage" / "README.md").read_text()
    command, answer = session.splitlines()
    assert f"{command.replace('.venv/bin/', '')}\n{answer}\n" in own_page
