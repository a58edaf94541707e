"""laplace.py against scipy, against brute force, against an attacker, and against rubbish.

Random tests use fixed seeds and say how often a correct program would fail them with another seed.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import laplace
from data import credit
from report.laplace_tables import best_bound

ROOT = Path(laplace.__file__).parent
FIGURES = {
    "annual_income_distribution_plots.png",
    "repeated_average_historgram.png",
    "skew_corrected_repeated_average_historgram.png",
    "normalized_noise_observations.png",
}
FUNCTIONS = [laplace.repeated_sum, laplace.repeated_average, laplace.repeated_max]


@pytest.fixture(scope="module")
def incomes():
    """500 made-up incomes between 7,000 and 180,000, with cents."""
    return np.random.default_rng(1).uniform(7_000, 180_000, 500).round(2)


# ------------------------------------------------------------------------------------------- the mechanism


@pytest.mark.parametrize(
    ("function", "truth", "sensitivity"),
    [
        (laplace.repeated_sum, np.sum, 150_000),
        (laplace.repeated_average, np.mean, 150_000 / 500),
        (laplace.repeated_max, np.max, 150_000),
    ],
)
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 30.0])
def test_the_noise_is_laplace_of_the_formula_s_scale(function, truth, sensitivity, epsilon, incomes):
    """Kolmogorov-Smirnov against scipy, 9 times at p < 1e-4: a correct program fails once in 1,100 seeds.
    A scale 4% off would be found: 20,000 answers tell 1.5% (three standard errors) apart."""
    answers = function(20_000, incomes, epsilon, lower_bound=10_000, upper_bound=160_000, seed=7)
    expected = stats.laplace(truth(np.clip(incomes, 10_000, 160_000)), sensitivity / epsilon)
    assert answers.shape == (20_000,)
    assert answers.dtype == np.float64
    assert stats.kstest(answers, expected.cdf).pvalue > 1e-4
    wrong = stats.laplace(expected.mean(), 1.04 * sensitivity / epsilon)
    mean_deviation = np.abs(answers - expected.mean()).mean()
    assert abs(mean_deviation - sensitivity / epsilon) < abs(mean_deviation - wrong.std() / math.sqrt(2))


def reaches(answer, truth, scale):
    """Whether `truth + rng.laplace(scale=scale)`, in floating point, can give exactly `answer`.

    numpy turns U, a multiple of 2^-53, into scale * log(U + U), or from one half on into -scale *
    log(2 - U - U). Where few U come near the answer all are tried; where many do, one is taken to hit.
    """
    tail = math.exp(-abs(answer - truth) / scale) / 2  # U, or 1 - U
    reach = tail * 4 * math.ulp(max(abs(answer), abs(truth))) / scale + 8 * math.ulp(tail)
    low, high = (tail - reach, tail + reach) if answer < truth else (1 - tail - reach, 1 - tail + reach)
    # Two more on either side, because 2 - U is rounded to a multiple of 2^-52.
    first, last = max(math.floor(low * 2**53) - 2, 1), min(math.ceil(high * 2**53) + 2, 2**53 - 1)
    if last - first > 400:
        return True
    for uniform in (k * 2.0**-53 for k in range(first, last + 1)):
        noise = (
            -scale * math.log(2.0 - uniform - uniform) if uniform >= 0.5 else scale * math.log(uniform * 2)
        )
        if truth + noise == answer:
            return True
    return False


def low_bits_attack(answers, truth, neighbour, scale):
    """How many answers the attacker attributes to the right and to the wrong of two neighbouring data sets,
    because only that one could have given them (Mironov 2012)."""
    pairs = [
        (reaches(answer, truth, scale), reaches(answer, neighbour, scale)) for answer in answers.tolist()
    ]
    return sum(ours and not other for ours, other in pairs), sum(other and not ours for ours, other in pairs)


@pytest.mark.parametrize(("epsilon", "found"), [(1.0, 0.003), (0.1, 0.03), (0.01, 0.3)])
def test_the_low_bits_betray_floating_point_noise_but_not_ours(epsilon, found, incomes):
    """The attack must identify the share `found` of naive answers, never wrongly. On ours its verdicts must
    be right and wrong equally often (binomial p < 1e-4, 3 times: fails once in 3,300 seeds)."""
    people = np.tile(incomes, 25)
    other = people.copy()
    other[0] = 0.0
    truth, neighbour = math.fsum(people) / len(people), math.fsum(other) / len(other)
    upper = 25e6  # the wide bound that the data as recorded need
    scale = upper / len(people) / epsilon
    naive = truth + np.random.default_rng(3).laplace(scale=scale, size=4000)
    right, wrong = low_bits_attack(naive, truth, neighbour, scale)
    assert wrong == 0
    assert right > found * len(naive)

    ours = laplace.repeated_average(4000, people, epsilon, upper_bound=upper, seed=4)
    theirs = laplace.repeated_average(4000, other, epsilon, upper_bound=upper, seed=5)
    right, wrong = low_bits_attack(ours, truth, neighbour, scale)
    assert right + wrong == 0 or stats.binomtest(right, right + wrong).pvalue > 1e-4
    # What makes it so: both data sets' answers are whole multiples of one power of two ...
    grid = 2.0 ** math.ceil(math.log2(scale / 2**40))
    steps = [answers / grid for answers in (ours, theirs)]
    assert all((one == np.rint(one)).all() for one in steps)
    # ... and the low bits of those whole numbers are distributed alike (chi-squared, p < 1e-4 as above).
    steps = np.array(steps, np.int64) // np.gcd.reduce(np.array(steps, np.int64), axis=None)
    counts = [np.bincount(one % 16, minlength=16) for one in steps]
    assert stats.chi2_contingency(counts).pvalue > 1e-4


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_neighbouring_data_sets_answer_within_epsilon(function, epsilon):
    """The log ratio of the frequencies, bin by bin, stays below epsilon plus 4.5 standard errors: 6 tests of
    about 24 bins fail once in 2,000 seeds. The same answers must refute 0.8 epsilon, or the test is blind."""
    pairs = [(1, [0.0, 0.0, 0.0, 100.0]), (2, [0.0, 0.0, 0.0, 0.0])]
    answers = [function(400_000, data, epsilon, upper_bound=100.0, seed=seed) for seed, data in pairs]
    scale = answers[1].std() / math.sqrt(2)
    edges = np.arange(-5, 10.5, 0.5) * scale
    first, second = (np.histogram(one, edges)[0] for one in answers)
    enough = (first > 200) & (second > 200)
    ratio = np.abs(np.log(first[enough] / second[enough]))
    error = np.sqrt(1 / first[enough] + 1 / second[enough])
    assert (ratio < epsilon + 4.5 * error).all()
    assert (ratio > 0.8 * epsilon + 4.5 * error).any()


def test_the_order_of_the_rows_does_not_matter(incomes):
    large_and_small = np.append(incomes, [1e-7, 199_999.99])
    for function in FUNCTIONS:
        one = function(50, large_and_small, 1.0, upper_bound=200_000.0, seed=0)
        assert np.array_equal(one, function(50, large_and_small[::-1], 1.0, upper_bound=200_000.0, seed=0))


@pytest.mark.parametrize("epsilon", [1e-5, 1e3, 1e9, 1e300])
def test_extreme_epsilons_answer_near_the_truth(epsilon, incomes):
    answers = laplace.repeated_average(1000, incomes, epsilon, upper_bound=200_000.0, seed=0)
    scale = 400 / epsilon
    assert np.abs(answers - incomes.mean()).max() < 25 * scale + 1e-9


def test_equal_seeds_give_equal_answers_and_others_do_not(incomes):
    for function in FUNCTIONS:
        one, same, other = (function(20, incomes, 1.0, upper_bound=2e5, seed=seed) for seed in (5, 5, 6))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


def test_a_bound_from_the_data_warns(incomes):
    for function in FUNCTIONS:
        with pytest.warns(laplace.PrivacyLeakWarning, match="maximum"):
            undeclared = function(20, incomes, 1.0, seed=0)
        assert np.array_equal(undeclared, function(20, incomes, 1.0, upper_bound=incomes.max(), seed=0))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        *[({"privacy_budget": bad}, ValueError) for bad in (0, -1.0, math.nan, math.inf, 1e-9)],
        *[({"privacy_budget": bad}, TypeError) for bad in ("1", None, True)],
        *[({"iterations": bad}, ValueError) for bad in (0, -3)],
        *[({"iterations": bad}, TypeError) for bad in (1.5, "10")],
        *[({"data": bad}, ValueError) for bad in ([], [1.0, math.nan], [1.0, math.inf], [[1.0], [2.0]])],
        *[({"data": bad}, TypeError) for bad in (["a"], [None, 1.0])],
        *[({"lower_bound": low, "upper_bound": 5.0}, ValueError) for low in (5.0, 6.0, math.nan, -math.inf)],
        ({"upper_bound": "9"}, TypeError),
        ({"upper_bound": math.inf}, ValueError),
        ({"upper_bound": 1e150}, ValueError),
    ],
)
def test_functions_refuse_rubbish(change, error):
    arguments = {"iterations": 3, "data": [1.0, 2.0], "privacy_budget": 1.0, "upper_bound": 9.0} | change
    for function in FUNCTIONS:
        with pytest.raises(error):
            function(**arguments)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
def test_total_epsilon_of_one_answer_is_the_textbook_s(epsilon):
    """One Laplace answer is (e, delta) private for delta = 1 - exp((e - epsilon) / 2) at best."""
    total, method = laplace.total_epsilon(epsilon, 1, delta=1e-3)
    assert total == pytest.approx(epsilon + 2 * math.log1p(-1e-3), rel=2e-3)
    assert method == "PLD"


def test_total_epsilon_never_exceeds_basic_composition_and_serves_a_million_answers():
    few, _ = laplace.total_epsilon(0.1, laplace.LARGEST_PLD)
    many, method = laplace.total_epsilon(0.1, 1_000_000)
    assert method == "RDP"
    assert few < 0.1 * laplace.LARGEST_PLD
    assert 0.1**2 / 2 * 1_000_000 < many < 0.1 * 1_000_000  # above the mean privacy loss, epsilon^2 / 2 each


def test_best_bound_is_the_one_brute_force_finds():
    values = np.random.default_rng(2).lognormal(10, 2, 300)
    for epsilon in (1.0, 0.2, 0.03):
        bound, above, bias, noise = best_bound(values, 0.0, epsilon)
        totals = [
            values.mean() - np.minimum(values, one).mean() + one / (len(values) * epsilon) for one in values
        ]
        assert noise - bias == pytest.approx(min(totals))
        assert above == (values > bound).sum()
        assert abs(above - 1 / epsilon) <= 1


# ------------------------------------------------------------------------------------------------ the data

DIRTY = """\
Customer_ID,Month,Age,Annual_Income,Amount_invested_monthly,Monthly_Balance,Occupation,Payment_of_Min_Amount
a,December,23_,1000.5_,__10000__,300,Scientist,NM
a,November,-500,1000.5,80.25,__-333333333333333333333333333__,_______,Yes
b,December,8688,  24000000_ ,_,12.5,!@9#%8,No
b,November,31,2000,,,#F%$D@*&8,No
"""


@pytest.fixture
def dirty(tmp_path):
    path = tmp_path / "dirty.csv"
    path.write_text(DIRTY)
    return path


def test_cleaning(dirty):
    columns = DIRTY.splitlines()[0].split(",")
    types = {
        "Age": int,
        "Annual_Income": float,
        "Amount_invested_monthly": "float64",
        "Monthly_Balance": float,
    }
    frame = laplace.prepareData(dirty, columns, types | {"Age": int}).dataframe
    assert list(frame.columns) == columns
    assert frame.Age.tolist()[::3] == [23, 31]
    assert frame.Age.isna().tolist() == [False, True, True, False]
    assert frame.Annual_Income.tolist() == [1000.5, 1000.5, 24_000_000.0, 2000.0]
    assert frame.Amount_invested_monthly.dropna().tolist() == [80.25]
    assert frame.Monthly_Balance.dropna().tolist() == [300.0, 12.5]
    assert frame.Occupation.dropna().tolist() == ["Scientist"]
    assert frame.Payment_of_Min_Amount.dropna().tolist() == ["Yes", "No", "No"]


def test_filter_and_true_answers(dirty):
    prepared = laplace.prepareData(
        dirty, ["Month", "Annual_Income", "Monthly_Balance"], {"Annual_Income": float}
    )
    prepared.apply_column_filter({"Month": "December"})
    assert len(prepared.dataframe) == 2
    assert prepared.nonprivate_sum("Annual_Income") == 24_001_000.5
    assert prepared.nonprivate_average("Annual_Income") == 12_000_500.25
    assert prepared.nonprivate_max("Annual_Income") == 24_000_000.0


def test_clean_skewness_keeps_n_and_redraws_from_below(tmp_path):
    values = np.append(np.arange(1.0, 198.0), [1e6, 2e6, 3e6])
    path = tmp_path / "skewed.csv"
    pd.DataFrame({"x": values}).to_csv(path, index=False)
    first, same, other = (laplace.prepareData(path, ["x"], {"x": int}) for _ in range(3))
    for prepared, seed in ((first, 1), (same, 1), (other, 2)):
        prepared.clean_skewness("x", 0.985, seed)
    corrected = first.dataframe.x.to_numpy()
    assert len(corrected) == 200
    assert (corrected[:197] == values[:197]).all()
    assert set(corrected[197:]) <= set(values[:197])
    assert first.dataframe.equals(same.dataframe)
    assert not first.dataframe.equals(other.dataframe)


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (None, ["x"], "No such file"),
        (b"", ["x"], "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", ["x"], "CSV"),
        (b'x,y\n1,2\n"1,2,3\n4', ["x"], "CSV"),
        (b"y,z\n1,2\n", ["x"], "no column x; it has y, z"),
        (b"x\n1\ntwo\n3_\ntwenty\n", ["x"], "column x: 2 of 4 values are no numbers, such as 'two'"),
        (b"x\n1\ninf\n", ["x"], "column x: 1 of 2 values are no numbers, such as 'inf'"),
    ],
)
def test_files_that_are_no_use(tmp_path, content, columns, message):
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        laplace.prepareData(path, columns, {"x": float})


def test_text_where_a_whole_number_belongs(dirty):
    with pytest.raises(ValueError, match=r"1 of 4 values are no whole numbers, such as '12\.5'"):
        laplace.prepareData(dirty, ["Monthly_Balance"], {"Monthly_Balance": int})


# --------------------------------------------------------------------------------------------- the whole run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """400 made-up customers in two months; five December incomes contradict November."""
    path = tmp_path_factory.mktemp("small") / "small.csv"
    incomes = np.random.default_rng(0).uniform(8_000, 150_000, 400).round(2)
    wrong = incomes.copy()
    wrong[:5] = [1e6, 2e6, 5e6, 9e6, 2e7]
    months = [("November", incomes), ("December", wrong)]
    frames = [
        pd.DataFrame({"Customer_ID": np.arange(400), "Month": m, "Annual_Income": v, "Score": v / 1000 - 20})
        for m, v in months
    ]
    pd.concat(frames).to_csv(path, index=False)
    return path


def test_writes_the_four_figures_and_nothing_else(small, tmp_path):
    """From another working directory, without a display, as a reader starts it."""
    folder = tmp_path / "new" / "figures"
    command = [sys.executable, ROOT / "laplace.py", "--data", small, "--figures", folder]
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    before = set(ROOT.glob("*")) | set((ROOT / "figures").glob("*"))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert before == set(ROOT.glob("*")) | set((ROOT / "figures").glob("*"))
    assert {path.name for path in folder.iterdir()} == FIGURES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert done.stderr == ""
    assert "5 values (1.25%) lie above the bound 200,000. 5 of them contradict" in done.stdout


def test_the_results_are_those_of_the_definitions(small, tmp_path):
    results = laplace.main(data=small, iterations=300, epsilon=0.5, figures=tmp_path)
    again = laplace.main(data=small, iterations=300, epsilon=0.5, figures=tmp_path)
    frame = pd.read_csv(small)
    december = frame[frame.Month == "December"].Annual_Income
    by_name = {(result.query, result.data_set): result for result in results}
    assert len(by_name) == 9
    assert by_name["sum", "as recorded"].truth == pytest.approx(december.sum(), abs=0.005)
    assert by_name["average", "as recorded"].truth == pytest.approx(december.mean(), abs=0.005)
    assert by_name["maximum", "as recorded"].truth == december.max()
    clamped = by_name["average", "clamped"]
    assert clamped.truth == pytest.approx(december.clip(0, 200_000).mean())
    assert clamped.bias == pytest.approx(december.clip(0, 200_000).mean() - december.mean())
    assert clamped.scale == pytest.approx(200_000 / 400 / 0.5)
    assert all(np.array_equal(a.answers, b.answers) for a, b in zip(results, again, strict=True))
    # 300 answers: the standard error of a 95% coverage is 1.3%; 9 results within 5 of them fail once in 2e5.
    assert all(abs(result.coverage - 0.95) < 0.065 for result in results)


def test_another_column_says_that_its_bounds_leak(small, tmp_path, run_command_line):
    run = ("--data", small, "--column", "Score", "--iterations", 50, "--figures", tmp_path)
    status, output, _ = run_command_line(laplace, *run)
    assert status == 0
    assert "bounds of Score were not declared" in output
    status, output, _ = run_command_line(laplace, *run, "--lower", -20, "--upper", 20_000)
    assert status == 0
    assert "Warning" not in output
    assert {path.name for path in tmp_path.iterdir()} == FIGURES


def test_a_file_without_months_or_customers(tmp_path, run_command_line):
    (tmp_path / "own.csv").write_text("height\n" + "\n".join(str(150 + i % 50) for i in range(200)))
    run = ("--data", tmp_path / "own.csv", "--column", "height", "--lower", 0, "--upper", 250)
    status, output, _ = run_command_line(laplace, *run, "--figures", tmp_path / "f")
    assert status == 0
    assert "own.csv, n = 200" in output
    run = (*run, "--month", "May", "--figures", tmp_path / "g")
    status, _, error = run_command_line(laplace, *run)
    assert status == 2
    assert "no column Month" in error
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data", "absent.csv"],
        ["--data", "empty.csv"],
        ["--data", "not_a.csv"],
        ["--data", "no_column.csv"],
        ["--data", "text.csv"],
        ["--month", "Smarch"],
        *[["--epsilon", bad] for bad in ("0", "-1", "nan", "inf", "one", "1e-12")],
        *[["--iterations", bad] for bad in ("0", "-5", "1.5", "ten")],
        ["--lower", "5", "--upper", "5"],
        ["--column", "Absent"],
        ["--figures", "a_file"],
        ["--figures", "a_file/below"],
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(arguments, small, tmp_path, monkeypatch, run_command_line):
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "empty.csv": b"",
        "not_a.csv": bytes(range(256)) * 40,
        "no_column.csv": b"Customer_ID,Month\n1,December\n",
        "text.csv": b"Customer_ID,Month,Annual_Income\n1,December,much\n",
        "a_file": b"in the way",
    }.items():
        Path(name).write_bytes(content)
    Path("kept").mkdir()
    for name in FIGURES:
        Path("kept", name).write_bytes(b"an older figure")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # The case's arguments come last, so that they win.
    run = ("--data", small, "--iterations", 20, "--figures", "kept", *arguments)
    status, _, error = run_command_line(laplace, *run)
    assert status == 2
    assert error.startswith("laplace.py: ")
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_breaks_off_leaves_the_older_figures(small, tmp_path, monkeypatch):
    (tmp_path / "repeated_average_historgram.png").write_bytes(b"an older figure")
    monkeypatch.setattr(laplace, "normalized_figure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        laplace.main(data=small, iterations=20, figures=tmp_path)
    assert (tmp_path / "repeated_average_historgram.png").read_bytes() == b"an older figure"
    assert len(list(tmp_path.iterdir())) == 1


# -------------------------------------------------------------------------------- where the file comes from


def test_without_a_network_it_is_the_sample_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(credit, "READERS_COPY", tmp_path / "test.csv")
    monkeypatch.setattr(credit, "_reachable", lambda host: False)
    source = credit.find_credit_csv()
    assert source.path == credit.SAMPLE
    assert "SAMPLE" in source.description
    assert "FICTIONAL SAMPLE" in capsys.readouterr().out
    assert not (tmp_path / "test.csv").exists()


def test_the_readers_copy_comes_first_and_is_checked(tmp_path, monkeypatch, capsys):
    own = tmp_path / "test.csv"
    own.write_text("Annual_Income\n1\n")
    monkeypatch.setattr(credit, "READERS_COPY", own)
    assert credit.find_credit_csv() == (own, "test.csv")
    assert "SHA-256 differs" in capsys.readouterr().out
    monkeypatch.setattr(credit, "KAGGLE_SHA256", credit._sha256(own))
    assert credit.find_credit_csv() == (own, credit.KAGGLE_NAME)
    assert capsys.readouterr().out == ""


def test_kaggle_s_file_is_fetched_once_and_kept(tmp_path, monkeypatch):
    """kagglehub is a fake here: it hands out a small file, once."""
    fetched = tmp_path / "download.csv"
    fetched.write_text("Annual_Income\n1\n")
    calls = []
    fake = type(sys)("kagglehub")
    fake.dataset_download = lambda *arguments, **options: calls.append(arguments) or str(fetched)
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    monkeypatch.setattr(credit, "_reachable", lambda host: True)
    monkeypatch.setattr(credit, "READERS_COPY", tmp_path / "data" / "test.csv")
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(credit, "KAGGLE_SHA256", credit._sha256(fetched))
    assert [credit.find_credit_csv().description for _ in range(2)] == [credit.KAGGLE_NAME] * 2
    assert calls == [(credit.KAGGLE_DATASET,)]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["test.csv"]
