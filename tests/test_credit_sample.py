"""The bundled credit sample: what the script makes, as dirty as the Kaggle file, and distributed like it.

The file is read with plain string handling, not with the studies' own cleaning. Counts and quantiles of the
Kaggle file stand here as numbers measured on it.
"""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "data" / "make_credit_sample.py"
SAMPLE = SCRIPT.with_name("credit_sample.csv")
COLUMNS = [
    "Customer_ID",
    "Month",
    "Annual_Income",
    "Credit_Utilization_Ratio",
    "Amount_invested_monthly",
    "Monthly_Balance",
]
LARGEST_RIGHT_INCOME = 180_000


@pytest.fixture(scope="module")
def script():
    """What the script defines; data/ is no package."""
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.fixture(scope="module")
def sample():
    return pd.read_csv(SAMPLE, dtype=str, keep_default_na=False)


def incomes(sample):
    """Customers x months, as numbers."""
    numbers = sample["Annual_Income"].str.rstrip("_").astype(float)
    return sample.assign(Annual_Income=numbers).pivot(
        index="Customer_ID", columns="Month", values="Annual_Income"
    )


def test_the_script_run_elsewhere_makes_the_committed_bytes(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    copied = shutil.copy(SCRIPT, folder)
    subprocess.run([sys.executable, copied], cwd=tmp_path, check=True, capture_output=True)
    made = (folder / "credit_sample.csv").read_bytes()
    # Not `made == ...` in the assert: pytest would try to explain a difference of a megabyte.
    same = made == SAMPLE.read_bytes()
    assert same, "run data/make_credit_sample.py and commit data/credit_sample.csv"
    assert len(made) <= 2_500_000
    assert b"\r" not in made
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_another_seed_makes_another_sample(sample, script):
    other = script.make_sample(script.SEED + 1)
    assert (other["Annual_Income"] != sample["Annual_Income"]).mean() > 0.9


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, script):
    output = tmp_path / "credit_sample.csv"
    output.mkdir()  # a folder of that name cannot be replaced by a file
    with pytest.raises(SystemExit, match=r"Cannot write .*credit_sample\.csv"):
        script.main(output)
    assert list(tmp_path.iterdir()) == [output]


def test_two_rows_a_customer_in_the_format_of_the_kaggle_file(sample):
    assert list(sample.columns) == COLUMNS
    assert len(sample) == 25_000
    assert sample["Customer_ID"].nunique() == 12_500
    assert sample["Customer_ID"].str.fullmatch(r"CUS_0x[0-9a-f]{4}").all()
    assert (sample["Customer_ID"][::2].values == sample["Customer_ID"][1::2].values).all()
    assert (sample["Month"][::2] == "November").all()
    assert (sample["Month"][1::2] == "December").all()
    # Two decimals at most, no trailing zero but the one after the point.
    number = r"\d+\.(\d|\d[1-9])"
    assert sample["Annual_Income"].str.fullmatch(number + "_?").all()
    assert sample["Credit_Utilization_Ratio"].str.fullmatch(number).all()


def test_no_customer_id_can_be_a_real_one(sample):
    largest_real_id = 50_999
    assert sample["Customer_ID"].str[len("CUS_0x") :].map(lambda text: int(text, 16)).min() > largest_real_id


@pytest.mark.parametrize(
    ("column", "cell", "november", "december"),
    [
        ("Annual_Income", r".*_", 803, 899),
        ("Amount_invested_monthly", "", 553, 581),
        ("Amount_invested_monthly", "__10000__", 589, 510),
        ("Monthly_Balance", "", 129, 144),
        ("Monthly_Balance", "__-333333333333333333333333333__", 0, 3),
    ],
)
def test_dirt_is_as_frequent_as_in_the_kaggle_file(sample, column, cell, november, december):
    count = sample[column].str.fullmatch(cell).groupby(sample["Month"]).sum()
    assert count["November"] == pytest.approx(november, rel=0.01)
    assert count["December"] == pytest.approx(december, rel=0.01)


@pytest.mark.parametrize("column", ["Amount_invested_monthly", "Monthly_Balance"])
def test_no_other_dirt(sample, column):
    known = r"\d+\.\d{1,2}||__10000__|__-333333333333333333333333333__"
    assert sample[column].str.fullmatch(known).all()


def test_every_recording_error_contradicts_the_other_month(sample):
    income = incomes(sample)
    wrong = income > LARGEST_RIGHT_INCOME
    assert wrong.sum().to_dict() == {"November": 145, "December": 145}
    assert not wrong.all(axis="columns").any()
    disagree = income["November"] != income["December"]
    assert (disagree == wrong.any(axis="columns")).all()
    errors = income.to_numpy()[wrong.to_numpy()]
    assert (errors % 1 == 0).all()
    assert errors.min() >= 357_797
    assert errors.max() <= 24_140_000
    # Like 11 of December's 145 in the Kaggle file, a few carry the underscore too.
    number = sample["Annual_Income"].str.rstrip("_").astype(float)
    both = (number > LARGEST_RIGHT_INCOME) & sample["Annual_Income"].str.endswith("_")
    assert both.groupby(sample["Month"]).sum().between(5, 20).all()


def test_december_incomes_are_distributed_as_in_the_kaggle_file(sample):
    december = incomes(sample)["December"]
    kaggle = {0.05: 9_754, 0.1: 14_311, 0.25: 19_488, 0.5: 37_685, 0.75: 73_048, 0.9: 113_631, 0.95: 135_119}
    for share, value in kaggle.items():
        assert december.quantile(share) == pytest.approx(value, rel=0.05), share
    assert december.quantile(0.99) == pytest.approx(3_579_188, rel=0.1)
    assert december.mean() == pytest.approx(183_665, rel=0.05)
    assert december.min() == pytest.approx(7_006, rel=0.01)
    right = december[december <= LARGEST_RIGHT_INCOME]
    assert right.max() == pytest.approx(179_987, rel=0.01)
    assert right.mean() == pytest.approx(50_505, rel=0.02)


def test_incomes_have_the_humps_of_the_kaggle_file(sample):
    usual = incomes(sample).min(axis="columns")  # an error is always the larger of the two
    dips = {(11_000, 13_500): 0.017, (22_000, 26_000): 0.0286, (47_000, 52_000): 0.023}
    humps = {(15_000, 21_000): 0.1758, (29_000, 40_000): 0.1614, (57_000, 75_000): 0.1282}
    for (low, high), share in (dips | humps).items():
        assert ((usual > low) & (usual <= high)).mean() == pytest.approx(share, rel=0.1), (low, high)


@pytest.mark.parametrize(
    ("column", "kaggle"),
    [
        ("Credit_Utilization_Ratio", [24.26, 25.38, 28.14, 32.33, 36.46, 39.03, 40.22]),
        ("Amount_invested_monthly", [30.17, 42.74, 72.88, 129.94, 236.45, 438.52, 606.89]),
        ("Monthly_Balance", [176.4, 217.1, 270.3, 336.8, 472.4, 716.5, 863.0]),
    ],
)
def test_december_quantiles_of_the_other_columns(sample, column, kaggle):
    cells = sample.loc[sample["Month"] == "December", column]
    numbers = cells[cells.str.fullmatch(r"\d+\.\d+")].astype(float)
    shares = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    assert numbers.quantile(shares).tolist() == pytest.approx(kaggle, rel=0.05)
