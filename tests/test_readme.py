"""The README says what the committed results say."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mia
from leakage.contrasts import student_interval
from report.mia_tables import summary_table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = pd.read_csv(ROOT / "figures" / "reference" / "mia_results.csv")


def table_after(heading):
    """The first Markdown table after a heading, as a frame of texts without mark-up."""
    lines = README.split(f"\n{heading}\n", 1)[1].split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return pd.DataFrame(rows[2:], columns=rows[0])


def test_the_table_of_models_is_that_of_the_csv():
    expected = summary_table(RESULTS).replace("nan", "")
    pd.testing.assert_frame_equal(table_after("### Each model"), expected)


def test_the_table_of_differences_is_that_of_the_csv():
    """The differences of the AUC, seed by seed, and their Student t interval; the CSV has six digits."""
    last = RESULTS[RESULTS.epoch == RESULTS.epoch.max()].pivot_table(
        index="seed", columns="model", values="auc"
    )
    stated = table_after("### Each pair").set_index("first - second")
    pairs = [pair for experiment in mia.EXPERIMENTS for pair in experiment.pairs]
    assert list(stated.index) == [f"{first} - {second}" for first, second in pairs]
    for first, second in pairs:
        differences = (last[first] - last[second]).to_numpy()
        low, high = student_interval(differences)
        row = stated.loc[f"{first} - {second}"]
        numbers = [float(number) for number in re.findall(r"[-+]\d\.\d+", row["AUC"])]
        assert numbers == pytest.approx([differences.mean(), low, high], abs=1e-4)
        leader = first if low > 0 else second if high < 0 else None
        by_auc = row["verdict"].removeprefix("by AUC ")
        assert by_auc.startswith(f"{leader} leaks more" if leader else "no difference can be shown")


def test_the_committed_run_is_the_reference_run():
    assert set(RESULTS.model) == {model.name for model in mia.MODELS}
    assert set(RESULTS.seed) == set(range(5))
    assert sorted(set(RESULTS.epoch)) == list(range(0, mia.EPOCHS + 1, mia.ATTACK_EVERY))
    full = RESULTS.groupby("model").train_images.first()
    assert {model.name: model.images for model in mia.MODELS} == full.to_dict()
    assert np.isfinite(RESULTS.auc).all()


def test_every_file_that_the_readme_points_to_is_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("heading", ["## Run", "## Test"])
def test_run_and_test_open_with_one_command_line(heading):
    block = re.match(r"\s*```sh\n(.*?)\n```", README.split(f"\n{heading}\n", 1)[1], re.DOTALL)
    assert block
    assert "\n" not in block[1]
