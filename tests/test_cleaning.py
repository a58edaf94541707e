"""suite.sources.cleaning and credit: what a CSV holds is read right, or refused in a line that says where.

Well-formed tables are compared with pandas, persons and months with a loop over the rows.
"""

import copy
import gzip
import io
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from suite.sources import credit
from suite.sources.cleaning import csv_columns, prepareData, similar_name
from suite.sources.credit import describe_csv, load_column
from suite.support.command_line import BadInput

DIRTY = """\
Customer_ID,Month,Age,Annual_Income,Amount_invested_monthly,Monthly_Balance,Occupation,Payment_of_Min_Amount
a,December,23_,1000.5_,__10000__,300,Scientist,NM
a,November,-500,1000.5,80.25,__-333333333333333333333333333__,_______,Yes
b,December,8688,  24000000_ ,_,12.5,!@9#%8,No
b,November,31,2000,,,#F%$D@*&8,No
"""


@pytest.fixture
def written(tmp_path):
    """Writes a CSV and returns its path."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# ------------------------------------------------------------------------------------------------- reading


def test_cleaning(written):
    columns = DIRTY.splitlines()[0].split(",")
    types = {"Annual_Income": float, "Amount_invested_monthly": "float64", "Monthly_Balance": float}
    frame = prepareData(written(DIRTY), columns, types | {"Age": int}).dataframe
    assert list(frame.columns) == columns
    assert frame.Age.tolist()[::3] == [23, 31]
    assert frame.Age.isna().tolist() == [False, True, True, False]
    assert frame.Annual_Income.tolist() == [1000.5, 1000.5, 24_000_000.0, 2000.0]
    assert frame.Amount_invested_monthly.dropna().tolist() == [80.25]
    assert frame.Monthly_Balance.dropna().tolist() == [300.0, 12.5]
    assert frame.Occupation.dropna().tolist() == ["Scientist"]
    assert frame.Payment_of_Min_Amount.dropna().tolist() == ["Yes", "No", "No"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_well_formed_tables_are_read_as_pandas_reads_them(written, newline):
    """Quotes, commas and line ends inside quotes, gaps, a byte order mark, no line end at the end."""
    generator = np.random.default_rng(0)
    texts = np.array(["plain", "with, comma", 'with "quotes"', "with\nline", "é", " blanks "], object)
    table = pd.DataFrame(
        {
            "text": generator.choice(texts, 300),
            "gap": np.where(generator.random(300) < 0.2, np.nan, generator.normal(size=300)),
            "whole": generator.integers(-(10**12), 10**12, 300),
        }
    )
    content = table.to_csv(index=False, lineterminator=newline).rstrip("\r\n")
    frame = prepareData(
        written("\ufeff" + content), ["whole", "text", "gap"], {"gap": float, "whole": int}
    ).dataframe
    expected = pd.read_csv(io.StringIO(content))
    assert frame.whole.tolist() == expected.whole.tolist()
    np.testing.assert_array_equal(frame.gap, expected.gap)
    assert frame.text.tolist() == expected.text.str.strip().tolist()


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("x\n1\n\n3\n", [1.0, None, 3.0]),  # an empty line of a single column is a gap
        ("x\n1\n\n", [1.0, None]),  # the last one too: else n would hang on where the gap is
        ("x\r\n1\r\n\r\n\r\n", [1.0, None, None]),
        ("x\n1", [1.0]),
        ("x,y\n1,2\n\n3,4\n\n", [1.0, 3.0]),  # of several columns it is none
        (",x\n0,1\n1,2\n", [1.0, 2.0]),  # a blank name that nobody asks for, as pandas writes its index
        ("y,y,x\n0,0,5\n", [5.0]),
        ("x,\n7,\n", [7.0]),
        ("x\nNA\n2\n", [None, 2.0]),
    ],
)
def test_odd_tables_that_are_read_right(written, content, values):
    read = prepareData(written(content), ["x"], {"x": float}).dataframe.x
    assert [None if np.isnan(value) else value for value in read] == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("", "empty"),
        ("\n\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "CSV"),
        (b'x,y\n1,2\n"1,2,3\n4', "CSV"),
        ("y,z\n1,2\n", "no column x; it has y, z"),
        ("x\n1\ntwo\n3_\ntwenty\n", "column x: 2 of 4 values are no numbers, such as 'two'"),
        ("x\n1\ninf\n", "column x: 1 of 2 values are no numbers, such as 'inf'"),
        ("id,x,y\n1,10,70,\n2,20,80,\n", "line 2, has 4 fields, but the header 3"),
        ("id,name,x\n1,Ann,500\n2,Bob,12,345\n", "line 3, has 4 fields, but the header 3"),
        ("id,x\n1,2\n3\n", "line 3, has 1 fields, but the header 2"),
        ('id,x\n1,"a\nb"\n3,4,5\n', "line 4, has 3 fields"),
        ("x,y,x\n1,2,3\n", "line 1, names the column x more than once"),
        ("id;x\n1;11,5\n2;12,5\n", "separated by semicolons"),
        ("id\tx\n1\t2\n", "separated by tabs"),
        ('x\n"11,5"\n', "such as '11,5' .decimal commas"),
        ("X\n1\n", "no column x, but 'X'"),
        (" x \n1\n", "no column x, but ' x '"),
        ("x\n1\n".encode("utf-16"), "UTF-16"),
        ("x,é\n1,2\n".encode("latin-1"), "UTF-8"),
        (gzip.compress(b"x\n1\n", mtime=0), "gzip archive"),
        (gzip.compress(b"x\n1\n", mtime=0)[:12], "gzip archive"),
    ],
)
def test_files_that_are_no_use(written, tmp_path, content, message):
    path = tmp_path / "data.csv" if content is None else written(content)
    with pytest.raises(BadInput, match=message) as raised:
        prepareData(path, ["x"], {"x": float})
    assert "data.csv" in str(raised.value)


def test_a_zip_archive_a_folder_and_a_long_file_s_header(written, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.csv", "x\n1\n")
    with pytest.raises(BadInput, match="zip archive"):
        csv_columns(tmp_path / "a.zip")
    with pytest.raises(BadInput, match="directory"):
        csv_columns(tmp_path)
    assert describe_csv(tmp_path).description == tmp_path.name
    # More than is read for a header, with a letter of two bytes across the place where reading stops.
    assert csv_columns(written("x,y\n" + "é,1\n" * 300_000)) == ["x", "y"]
    assert csv_columns(written("PK,x\n1,2\n")) == ["PK", "x"]  # a primary key, not an archive


def test_names_of_another_spelling():
    assert similar_name("Customer_ID", ["id", " customer_id"]) == " customer_id"
    assert similar_name("Customer_ID", ["Customer_ID", "CustomerID"]) is None


# --------------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["9007199254740991_", "-9007199254740991"], int, [2**53 - 1, 1 - 2**53]),
        (["7", ""], np.int64, [7, None]),
        (["12.0", "1e3"], "Int64", [12, 1000]),
        (["1.5", ""], np.dtype("float64"), [1.5, None]),
        (["1.5", ""], "Float64", [1.5, None]),
        (["a", " "], str, ["a", None]),
        (["a", " "], "string", ["a", None]),
        (["7", "NM"], "object", ["7", "NM"]),  # New Mexico, where it is not the Kaggle file
        (["7", "NM"], float, [7, None]),
    ],
)
def test_types_hold_what_the_file_says(written, cells, dtype, values):
    read = prepareData(written("x,y\n" + "".join(f"{cell},0\n" for cell in cells)), ["x"], {"x": dtype})
    found = [None if pd.isna(value) else value for value in read.dataframe.x.tolist()]
    assert found == values
    if dtype in (int, np.int64, "Int64"):
        assert read.dataframe.x.dtype == ("Int64" if None in values else "int64")


@pytest.mark.parametrize(
    ("cells", "dtype", "message"),
    [
        (["9007199254740993", "12"], int, "1 of 2 values are 2.53 or more.*, such as '9007199254740993'"),
        (["-9223372036854775809"], int, "2.53 or more"),
        (["12.5", "3"], int, r"1 of 2 values are no whole numbers, such as '12\.5'"),
        *[(["1"], other, "is not read; take float, int or str") for other in ("uint8", np.uint8, bool)],
        *[(["1"], other, "is not read; take float, int or str") for other in ("float16", np.float32)],
        (["2024-01-01"], "datetime64[ns]", "datetime64.* is not read"),
        (["a"], "category", "category is not read"),
        (["1"], complex, "is not read"),
        (["1"], "rubbish", "is not read"),
        (["1_000"], int, "no numbers"),
    ],
)
def test_what_a_type_cannot_hold_is_refused(written, cells, dtype, message):
    with pytest.raises(BadInput, match=message):
        prepareData(written("x,y\n" + "".join(f"{cell},0\n" for cell in cells)), ["x"], {"x": dtype})


# ----------------------------------------------------------------------------------------- rows and values


def test_filter_and_true_answers(written):
    prepared = prepareData(
        written(DIRTY), ["Month", "Annual_Income", "Monthly_Balance"], {"Annual_Income": float}
    )
    prepared.apply_column_filter({"Month": "December"})
    assert len(prepared.dataframe) == 2
    assert prepared.nonprivate_sum("Annual_Income") == 24_001_000.5
    assert prepared.nonprivate_average("Annual_Income") == 12_000_500.25
    assert prepared.nonprivate_max("Annual_Income") == 24_000_000.0
    with pytest.raises(BadInput, match="no row with Month 'May'; that column holds December"):
        prepared.apply_column_filter({"Month": "May"})


def test_clean_skewness_keeps_n_and_redraws_from_below(written):
    """The 0.985 quantile of 0 ... 200 is 197 itself, which is not above it and stays."""
    path = written("x\n" + "\n".join(map(str, range(201))))
    first, same, another = (prepareData(path, ["x"], {"x": int}) for _ in range(3))
    for prepared, seed in ((first, 1), (same, 1), (another, 2)):
        prepared.clean_skewness("x", 0.985, seed)
    corrected = first.dataframe.x.to_numpy()
    assert corrected[:198].tolist() == list(range(198))
    assert (corrected[198:] <= 197).all()
    assert len(corrected) == 201
    assert first.dataframe.equals(same.dataframe)
    assert not first.dataframe.equals(another.dataframe)
    constant = prepareData(written("x\n5\n5\n"), ["x"], {"x": float}).clean_skewness("x", 0.5)
    assert constant.dataframe.x.tolist() == [5, 5]


def test_one_value_moves_the_corrected_sum_by_many_sensitivities_but_no_more_than_is_said(written):
    """Among 400 values that one person can exchange: as many move as are redrawn, and one or two more."""
    values, upper, quantile = np.random.default_rng(4).uniform(0, 100, 400), 100.0, 0.95

    def corrected_sum(values):
        prepared = prepareData(written("x\n" + "\n".join(map(str, values))), ["x"], {"x": float})
        return prepared.clean_skewness("x", quantile, 7).nonprivate_sum("x")

    before, moved = corrected_sum(values), []
    for value in (0.0, 50.0, 100.0):
        for place in range(0, 400, 20):
            changed = values.copy()
            changed[place] = value
            moved.append(abs(corrected_sum(changed) - before) / upper)
    assert 1.5 < max(moved) < (1 - quantile) * 400 + 2


ROWS = "who,x\na,1\nb,2\na,3\nc,4\na,5\nb,6\n"


def test_a_person_with_several_rows_is_refused_unless_declared(written):
    read = prepareData(written(ROWS), ["who", "x"], {"x": int})

    def rows(most, seed=0):
        return copy.copy(read).limit_rows("who", most, seed).dataframe

    with pytest.raises(
        BadInput, match=r"2 of 3 persons \(who\) have several rows here, up to 3; .*-person 3"
    ):
        rows(None)
    assert rows(1).who.value_counts().to_dict() == {"a": 1, "b": 1, "c": 1}
    assert rows(2).who.value_counts().to_dict() == {"a": 2, "b": 2, "c": 1}
    assert rows(3).x.tolist() == [1, 2, 3, 4, 5, 6]
    # Each of a's three rows is chosen equally often: of 600 draws, chi-squared is above 18.4 once in 10,000.
    chosen = [rows(1, seed).set_index("who").x["a"] for seed in range(600)]
    counts = np.unique(chosen, return_counts=True)[1]
    assert len(counts) == 3
    assert ((counts - 200) ** 2 / 200).sum() < 18.4
    nameless = prepareData(written("who,x\na,1\n,2\n"), ["who", "x"], {"x": int})
    with pytest.raises(BadInput, match="1 of 2 rows have no who"):
        nameless.limit_rows("who")


MONTHS = "Customer_ID,Month,x\n" + "".join(
    f"{person},{month},{value}\n"
    for person, values in {"a": (1, 1, 2), "b": (7, 9, 7), "c": (5, "", 4), "d": (3, 8, "")}.items()
    for month, value in zip(("October", "November", "December"), values, strict=True)
)


def test_a_column_of_december_and_what_the_other_months_say(written):
    source = describe_csv(written(MONTHS))
    read = load_column(source, "x")
    assert read.prepared.dataframe.x.tolist() == [2, 7, 4]
    assert read.usual.tolist() == [1, 7, 4]  # of 4 and 5, equally frequent, the smaller
    assert read.others.tolist() == [1, 8, 5]
    assert read.month == "December"
    assert len(read.notes) == 1
    assert "1 of 4 values is missing and left out, so n = 3 is not independent" in read.notes[0]
    kept = load_column(source, "x", missing_as=0.5)
    assert kept.prepared.dataframe.x.tolist() == [2, 7, 4, 0.5]
    assert [read.n_is_public, kept.n_is_public] == [False, True]
    assert "1 of 4 values is missing and counts as 0.5" in kept.notes[0]
    one = load_column(source, "x", rows_per_person=1)  # declared, but no other than without a word
    assert (one.usual.tolist(), one.others.tolist()) == (read.usual.tolist(), read.others.tolist())
    assert np.isnan(load_column(source, "x", rows_per_person=2).others).all()
    october = load_column(source, "x", month="October")
    assert october.prepared.dataframe.x.tolist() == [1, 7, 5, 3]
    assert october.others.tolist() == [1.5, 8, 4, 8]
    assert october.notes == []


def test_values_that_change_every_month_have_no_usual_one(written):
    rows = "".join(f"{person},{month},{value}\n" for person, month, value in CHANGING)
    read = load_column(describe_csv(written("Customer_ID,Month,x\n" + rows)), "x")
    assert np.isnan(read.usual).all()
    assert read.others.tolist() == [1, 4, 6]


CHANGING = [("a", "November", 1), ("a", "December", 2), ("b", "November", 4), ("b", "December", 3)]
CHANGING += [("c", "November", 6), ("c", "December", 6)]  # one of three persons


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (MONTHS.replace("Month", "month"), {}, "no column is called Month, but one 'month'.* several rows"),
        (MONTHS.replace("Month", "month"), {"month": "May"}, "no column Month, but 'month'"),
        (MONTHS.replace("Customer_ID", "customer_id"), {}, "no column Customer_ID, but 'customer_id'"),
        (MONTHS, {"person": "Person"}, "no column Person"),
        ("x\n1\n", {"rows_per_person": 2}, "give --person"),
        ("Month,x\n12,1\n11,2\n", {}, "that column holds 12, 11; give --month VALUE$"),
        ("Month,x\nDec,1\n", {}, "no row with Month 'December'; that column holds Dec; give --month VALUE$"),
        ("Month,x\nDec,1\n", {"month": "May"}, "no row with Month 'May'; that column holds Dec$"),
        ("x,y\n,1\n,2\n", {}, "no row holds a value"),
    ],
)
def test_persons_and_months_that_cannot_be_told(written, content, options, message):
    with pytest.raises(BadInput, match=message):
        load_column(describe_csv(written(content)), "x", **options)


def test_without_a_person_s_column_each_row_counts_as_one(written):
    read = load_column(describe_csv(written("x\n1\n2\n")), "x")
    assert ["epsilon is that of a row" in note for note in read.notes] == [True]
    assert read.persons_are_apart  # each is one row
    assert np.isnan(read.usual).all()
    assert read.month is None
    declared = load_column(describe_csv(written(ROWS)), "x", person="who", rows_per_person=2)
    assert len(declared.prepared.dataframe) == 5
    assert declared.notes == [
        "Note: 1 of 6 rows is left out, so that no person has more than 2; which one, is drawn."
    ]


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
    assert credit.find_credit_csv()[:2] == (own, "test.csv")
    assert "SHA-256 differs" in capsys.readouterr().out
    monkeypatch.setattr(credit, "KAGGLE_SHA256", credit._sha256(own))
    assert credit.find_credit_csv()[:2] == (own, credit.KAGGLE_NAME)
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
