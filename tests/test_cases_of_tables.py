"""Tables that people have and that went wrong once, made small: each is read right, or refused in one line.

What must come out is written beside each table. Nothing here is random.
"""

import csv
import os
import threading
import unicodedata
import warnings

import numpy as np
import pytest

import laplace
from leakage.look import looked_at, new_figure, png_of
from suite.sources import credit
from suite.sources.cleaning import KAGGLE_COLUMNS, csv_columns, prepareData, similar_name
from suite.sources.credit import describe_csv, load_column
from suite.support.command_line import BadInput

COMPOSED, TAKEN_APART = (unicodedata.normalize(form, "Prénom") for form in ("NFC", "NFD"))


@pytest.fixture
def written(tmp_path):
    """Writes rows as a CSV and returns its path."""

    def write(*rows, name="data.csv"):
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


def values_of(path, column="x", **options):
    """The values, and the notes, of a column of a file."""
    read = load_column(describe_csv(path), column, **options)
    return read.prepared.dataframe[column].tolist(), read.notes


# --------------------------------------------------------------------------------------- arguments and counts


@pytest.mark.parametrize("option", ["column", "person", "month"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_name_is_refused_and_not_taken_for_none(written, option, empty):
    path = written(["", "Month", "x"], ["a", "", 1])  # in which the empty names are there
    with pytest.raises(BadInput, match=f"^--{option} is empty"):
        load_column(describe_csv(path), **{"column": "x", option: empty})


def test_a_file_without_a_name_is_refused():
    for read in (describe_csv, csv_columns, lambda path: prepareData(path, ["x"], {})):
        with pytest.raises(BadInput, match=r"^the name of the data file is empty"):
            read("")


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(BadInput, match=r"^cannot read a.b: embedded null byte; name a CSV file$"):
        csv_columns("a\0b")


@pytest.mark.parametrize(
    ("most", "kind"), [(0, BadInput), (-1, BadInput), (True, BadInput), (2.0, TypeError), ("2", TypeError)]
)
def test_what_is_no_count_is_not_taken_for_one(written, most, kind):
    """0 once counted as 1, and kept one row of each person without a word."""
    path = written(["who", "x"], ["a", 1], ["a", 2])
    with pytest.raises(kind):
        load_column(describe_csv(path), "x", person="who", rows_per_person=most)
    assert values_of(path, person="who", rows_per_person=np.int64(2))[0] == [1, 2]
    with pytest.raises(BadInput, match="give --person COLUMN"):
        load_column(describe_csv(path), "x", rows_per_person=most)


def test_a_missing_value_counts_as_a_finite_number(written):
    path = written(["x", "y"], ["", 1], [2, 1])
    with pytest.raises(BadInput, match="a missing value must count as a finite number, not nan"):
        load_column(describe_csv(path), "x", missing_as=float("nan"))


def test_names_to_import_are_a_list(written):
    with pytest.raises(TypeError, match=r"import_columns must be a list of names, such as \['xy'\]"):
        prepareData(written(["x", "y"], [1, 2]), "xy", {})


# ---------------------------------------------------------------------------- one column that does two things


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "x", "person": "x"}, "column x cannot hold the values and say whose a row is"),
        ({"column": "Month"}, "column Month cannot hold the values and say the month"),
        ({"column": COMPOSED, "person": TAKEN_APART}, "cannot hold the values and say whose a row is"),
        ({"column": "x", "person": "Month"}, "column Month cannot say whose a row is"),
    ],
)
def test_a_column_has_one_task(written, options, message):
    path = written(["x", "Month", COMPOSED], [1, "December", 3], [2, "December", 4])
    with pytest.raises(BadInput, match=message):
        load_column(describe_csv(path), **options)


# ------------------------------------------------------------------ rules of the Kaggle file, and other files


def test_only_a_file_with_the_columns_of_the_kaggle_file_follows_its_rules(written):
    """Trees are older than 120, and NM is New Mexico; in the Kaggle file both mean that nothing is known."""
    others = sorted(KAGGLE_COLUMNS)
    rows = [["480", "NM", "NA"], ["31", "AZ", "NULL"], ["-500", "_", ""]]
    for kaggle, ages, states, countries in (
        (False, [480, 31, -500], ["NM", "AZ", "_"], ["NA", "NULL", None]),
        (True, [None, 31, None], [None, "AZ", None], [None, None, None]),
    ):
        shown = others if kaggle else others[1:]
        path = written(["Age", "State", "Country", *shown], *([*row, *(["1"] * len(shown))] for row in rows))
        frame = prepareData(path, ["Age", "State", "Country"], {"Age": float}).dataframe
        found = [[None if cell != cell or cell is None else cell for cell in frame[name]] for name in frame]
        assert found == [ages, states, countries]


def test_a_person_called_na_is_a_person(written):
    """Person ids are country codes, and NA is Namibia."""
    path = written(["Customer_ID", "x"], ["AO", 1], ["NA", 2], ["BW", 3])
    values, notes = values_of(path)
    assert values == [1, 2, 3]
    [note] = notes
    assert "1 of 3 rows have the Customer_ID 'NA', which is taken for one person" in note
    # Where it stands for no id it stands in several rows, and is refused as any person with several.
    several = written(["Customer_ID", "x"], ["AO", 1], ["NA", 2], ["NA", 3])
    with pytest.raises(BadInput, match=r"2 of 3 rows have the Customer_ID 'NA'.* 1 of 2 persons"):
        values_of(several)
    with pytest.raises(BadInput, match="1 of 2 rows have no Customer_ID; fill it in"):
        values_of(written(["Customer_ID", "x"], ["AO", 1], ["", 2]))


# ---------------------------------------------------------------------------------- rows that are left out


@pytest.mark.parametrize("gap", ["", "NA", "nan"])
def test_rows_without_a_month_are_counted(written, gap):
    rows = [[f"c{k}", month, k] for k in range(5) for month in ("November", "December")]
    rows = [[person, gap if person == "c2" else month, x] for person, month, x in rows]
    read = load_column(describe_csv(written(["Customer_ID", "Month", "x"], *rows)), "x")
    assert read.prepared.dataframe.x.tolist() == [0, 1, 3, 4]
    assert not read.n_is_public
    [note] = read.notes
    assert note.startswith("Note: 2 of 10 rows have no Month and are left out, so n is not independent")


def test_a_month_called_na_has_rows(written):
    """Whoever asks for it gets its rows, and no note that they lack a month."""
    read = load_column(describe_csv(written(["Customer_ID", "Month", "x"], ["a", "NA", 1])), "x", month="NA")
    assert read.prepared.dataframe.x.tolist() == [1]
    assert (read.notes, read.n_is_public) == ([], True)


def test_rows_of_a_month_in_another_spelling_are_counted(written):
    rows = [["a", "December", 1], ["b", "december", 2], ["c", "DECEMBER", 3], ["d", "december", 4]]
    read = load_column(describe_csv(written(["Customer_ID", "Month", "x"], *rows)), "x")
    assert read.prepared.dataframe.x.tolist() == [1]
    assert not read.n_is_public
    assert read.notes == [
        "Note: 3 of 4 rows hold a Month spelt 'december' or the like, not 'December', and are left out."
    ]


def test_nothing_left_out_is_no_note(written):
    read = load_column(describe_csv(written(["Customer_ID", "Month", "x"], ["a", "December", 1])), "x")
    assert (read.notes, read.n_is_public) == ([], True)


# --------------------------------------------------------------------------------------- letters of all kinds


def test_one_letter_written_in_two_ways_is_one(written):
    """macOS writes é as e and an accent, keyboards write it as one letter."""
    assert COMPOSED != TAKEN_APART
    for held, wanted in ((COMPOSED, TAKEN_APART), (TAKEN_APART, COMPOSED)):
        path = written(["Customer_ID", "Month", held], ["a", "Février", 1], ["b", "Mars", 2])
        month = unicodedata.normalize("NFD" if held == COMPOSED else "NFC", "Février")
        read = load_column(describe_csv(path), wanted, month=month)
        assert read.prepared.dataframe[wanted].tolist() == [1]
        assert np.isnan(read.others).all()  # no other month of a is there
        filtered = prepareData(path, ["Month"], {}).apply_column_filter({"Month": month})
        assert filtered.dataframe.Month.tolist() == [unicodedata.normalize("NFC", "Février")]
    with pytest.raises(BadInput, match="names the column Prénom more than once"):
        values_of(written([COMPOSED, TAKEN_APART], [1, 2]), COMPOSED)


def test_a_column_written_in_two_ways_has_one_folder():
    assert laplace.folder_of_column(COMPOSED) == laplace.folder_of_column(TAKEN_APART)


def test_a_person_written_in_two_ways_is_one_person(written):
    """Else the person would have two rows, and the noise would hide only one of them."""
    path = written(["Customer_ID", "x"], [COMPOSED, 1], [TAKEN_APART, 2])
    with pytest.raises(BadInput, match="1 of 1 persons"):
        values_of(path)


@pytest.mark.parametrize(
    ("first", "second"), [("cus_1", "CUS_1"), ("7", "7.0"), ("7.00", "7"), ("7", "07"), ("Ann Lee", "AnnLee")]
)
def test_a_person_in_two_spellings_has_no_epsilon(written, first, second):
    """They are taken for two persons, whose noise would hide half of the one that they may be."""
    path = written(["Customer_ID", "x"], [first, 1], ["other", 2], [second, 3])
    read = load_column(describe_csv(path), "x")
    assert read.prepared.dataframe.x.tolist() == [1, 2, 3]
    assert not read.persons_are_apart
    [note] = read.notes
    assert note.startswith(
        f"Note: 2 names in Customer_ID may be fewer persons, such as {first!r} and {second!r}"
    )
    study = laplace.main(data=path, column="x", lower=0.0, upper=5.0, iterations=2, figures=path.parent / "f")
    assert not any(result.promised for result in study.results)


@pytest.mark.parametrize(
    ("first", "second"), [("A7", "A07"), ("70", "7"), ("7", "7.1"), ("7", "-7"), ("v1.0", "v1")]
)
def test_other_persons_are_others(written, first, second):
    read = load_column(describe_csv(written(["Customer_ID", "x"], [first, 1], [second, 2])), "x")
    assert (read.persons_are_apart, read.notes) == (True, [])


@pytest.mark.parametrize("held", ["年収 ", "\u200b年収", "\ufeff年収", "年\u00a0収"])
def test_a_name_with_letters_that_do_not_show_is_told(written, held):
    with pytest.raises(BadInput, match="has no column 年収, but '") as raised:
        values_of(written(["y", held], [1, 2]), "年収")
    assert repr(held) in str(raised.value)


def test_wide_letters_are_another_spelling():
    wide_x = "\N{FULLWIDTH LATIN SMALL LETTER X}"
    assert similar_name("x", ["y", wide_x]) == wide_x
    assert similar_name("年収", ["月出"]) is None


# ----------------------------------------------------------------------------------------------- long texts


def test_a_long_cell_of_another_column_is_no_fault(written):
    long = "letters, " * 20_000  # 180,000, more than the csv module allows unless told
    path = written(["note", "x"], ["short", 1], [long, 2])
    assert values_of(path)[0] == [1, 2]
    assert prepareData(path, ["note"], {}).dataframe.note[1] == long.strip()


def test_a_message_about_long_names_stays_a_line(written):
    long, longer = "a" * 300, "b" * 300
    path = written([long, *(f"{longer}{k}" for k in range(50))], ["text"] * 51)
    for column in (long, longer):
        with pytest.raises(BadInput) as raised:
            values_of(path, column)
        assert len(str(raised.value)) - len(str(path)) < 600
    with pytest.raises(BadInput, match="are no numbers, such as 'text'"):
        values_of(path, long)


# ----------------------------------------------------------------------------------- files that are not files


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system knows no pipes with names")
def test_a_pipe_is_read_once(tmp_path):
    """As `--data <(zcat file.csv.gz)` in a shell."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"Customer_ID,x\na,1\nb,2\n",), daemon=True)
    writer.start()
    source = describe_csv(pipe)
    writer.join(10)
    assert source.description == "a pipe"
    assert load_column(source, "x").prepared.dataframe.x.tolist() == [1, 2]
    assert load_column(source, "x").prepared.dataframe.x.tolist() == [1, 2]


def test_a_file_is_known_by_its_content_however_it_comes(tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(credit.SAMPLE.read_bytes())
    assert describe_csv(copy).description == credit.SAMPLE_NAME


def test_a_file_s_name_is_fit_for_a_title(tmp_path):
    """A title cannot hold bytes that are no letters, nor the end of a line."""
    for name, shown in ((b"caf\xe9.csv", "caf?.csv"), (b"two\nlines.csv", "two lines.csv")):
        try:
            path = tmp_path / os.fsdecode(name)
            path.write_text("x\n1\n")
        except (OSError, UnicodeError):
            pytest.skip("this file system takes no such name")
        assert describe_csv(path).description == shown
        assert values_of(path)[0] == [1]
    assert len(describe_csv(tmp_path / ("a" * 200)).description) <= 60


def test_letters_that_the_font_lacks_are_no_warnings():
    with looked_at(), warnings.catch_warnings(action="error"):
        figure = new_figure(2, "年収", "")
        png_of(figure)
