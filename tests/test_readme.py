"""The README says what the committed tables say: its tables cell by cell, its prose number by number."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mia
from report import mia_tables
from report.mia_tables import Study, last_epoch

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "figures" / "reference"
README = (ROOT / "README.md").read_text()
SEEDS, REFERENCES = 5, 2


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


@pytest.mark.parametrize(
    ("heading", "number", "make", "study"),
    [
        ("### Act one: the attack", 0, mia_tables.models_table, PLAIN.of("threshold")),
        ("### Act one: the attack", 1, mia_tables.pairs_table, PLAIN.of("threshold")),
        ("### Act one: the attack", 2, mia_tables.sensitivity_table, PLAIN.of("threshold")),
        ("### Act two: the stronger attack", 0, mia_tables.gains_table, PLAIN.of("calibrated")),
        ("### Act two: the stronger attack", 1, mia_tables.precisions_table, PLAIN.of("calibrated")),
    ],
    ids=["models", "pairs", "ways to look", "gains", "precisions"],
)
def test_the_tables_are_those_of_the_csv_files(heading, number, make, study):
    pd.testing.assert_frame_equal(table_after(heading, number), make(study).astype(str))


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


def test_every_file_that_the_readme_points_to_is_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("heading", ["## Run", "## Test"])
def test_run_and_test_open_with_one_command_line(heading):
    block = re.match(r"\s*```sh\n(.*?)\n```", README.split(f"\n{heading}\n", 1)[1], re.DOTALL)
    assert block
    assert "\n" not in block[1]
