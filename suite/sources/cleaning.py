"""A few columns of a dirty CSV as a clean data frame.

In a column of numbers, the texts that stand for "not known" become missing values, and a number loses the
"_" that some numbers of the Kaggle credit file end in. A column of texts is taken as it is written, because
NA may be Namibia, and NM New Mexico. Only in the Kaggle file they mean that nothing is known. A line that
does not fit the header, or text where a number belongs, is reported and never guessed at.

Names and texts are compared in Unicode's normal form NFC: two ways to write é are the same letter.
"""

import csv
import io
import math
import operator
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suite.support.command_line import BadInput, short

JUNK = {"", "_", "_______", "NM", "!@9#%8", "#F%$D@*&8", "__10000__", "__-333333333333333333333333333__"}
MISSING = JUNK | {"NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"}
# A file with all of these columns is the Kaggle file or one like it, so its rules for texts and ages hold.
KAGGLE_COLUMNS = {"Customer_ID", "Month", "Annual_Income", "Amount_invested_monthly", "Monthly_Balance"}
PLAUSIBLE = {"Age": (0, 120)}  # years; the Kaggle file also writes -500 or 8,688 where the age is not known
NAME_LETTERS = 60  # of a name in a message, before its middle is cut out
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
HEADER_BYTES = 1 << 20  # of a file, to find its first line in
LONGEST_FIELD = 2**31 - 1  # letters; more the csv module cannot count on every system
TEXTS = {"str", "string", "object"}
FLOATS, WHOLE_NUMBERS = {"float", "float64", "Float64"}, {"int", "int64", "Int64"}
ARCHIVES = {
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"(\xb5/\xfd": "zstd",
}


def csv_columns(location: str | os.PathLike, content: bytes | None = None) -> list[str]:
    """The names in the header line of a CSV, in the normal form NFC.

    content: the file's bytes, if they have been read already (a pipe can be read only once).
    Raises BadInput if the file cannot be read as a CSV.
    """
    start = read_content(location, HEADER_BYTES) if content is None else content[:HEADER_BYTES]
    if len(start) == HEADER_BYTES:  # the last line may be cut, and with it a letter of several bytes
        start = start[: start.rfind(b"\n") + 1] or start
    return _header(location, _reader(location, start))


def read_content(location: str | os.PathLike, most: int = -1) -> bytes:
    """The bytes of a file, or its first `most` bytes; BadInput if it has no name or cannot be read."""
    if not os.fspath(location):
        raise BadInput("the name of the data file is empty; name a CSV file")
    try:
        with Path(location).open("rb") as file:
            return file.read(most)
    except (OSError, ValueError) as problem:  # ValueError: a name that no file can have
        reason = getattr(problem, "strerror", None) or problem
        raise BadInput(f"cannot read {location}: {reason}; name a CSV file") from None


def similar_name(name: str, present: Iterable[str]) -> str | None:
    """The first of `present` that is another spelling of `name`: equal but for upper and lower case, blanks,
    letters that do not show, wide or narrow forms of a letter, and of a whole number 0 before it and ".0"
    behind it; None if there is none."""
    return next((other for other in present if other != name and _plain(other) == _plain(name)), None)


def spelt_in_several_ways(names: Iterable[str]) -> list[list[str]]:
    """Of different names those that are spellings of one, as similar_name tells it, one list for each."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_plain(name), []).append(name)
    return [spellings for spellings in groups.values() if len(spellings) > 1]


def _plain(text: str) -> str:
    """What all spellings of a name have in common."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    letters = "".join(letter for letter in text.casefold() if letter.isprintable() and not letter.isspace())
    return re.sub(r"^\+?(-?)0*((?!0)\d+|0)(\.0*)?$", r"\1\2", letters)


def composed(text: str) -> str:
    """The text in Unicode's normal form NFC: é is one letter, and not e with an accent after it."""
    return unicodedata.normalize("NFC", text)


class prepareData:
    """A few columns of a dirty CSV as a clean data frame, with the true answers to the three queries.

    data_file_location: path of a CSV with a header line, in UTF-8, with commas between the fields.
    import_columns: names of the columns to read.
    col_dtypes: column -> float, int or str, or their names in numpy and pandas ("float64", "int64"); text
        where nothing is said. Whole numbers with gaps become pandas' nullable type Int64.
    content: the file's bytes, if they have been read already (a pipe can be read only once).
    Raises BadInput (a ValueError) if the file cannot be read as a CSV, a line has more or fewer fields than
    the header, a column is missing or named twice, a cell holds what its type cannot (text, a fraction, a
    whole number of 2^53 or more, which float64 would round), or the type is none of these.
    Raises TypeError if import_columns is one text and no list.
    """

    def __init__(
        self,
        data_file_location: str | os.PathLike,
        import_columns: Sequence[str],
        col_dtypes: Mapping[str, type | str],
        *,
        content: bytes | None = None,
    ) -> None:
        if isinstance(import_columns, str):
            raise TypeError(f"import_columns must be a list of names, such as [{import_columns!r}]")
        content = read_content(data_file_location) if content is None else content
        self.location = Path(data_file_location)
        self.dataframe = self._read(list(dict.fromkeys(import_columns)), content)
        for column in self.dataframe.columns:
            self.dataframe[column] = self._typed(self.dataframe[column], col_dtypes.get(column, str))

    def _read(self, columns: list[str], content: bytes) -> pd.DataFrame:
        """The columns as text. The csv module, not pandas: pandas fills short lines, and takes a column for
        an index where lines are one field longer than the header."""
        reader = _reader(self.location, content)
        present = _header(self.location, reader)
        self.is_like_kaggle = set(present) >= KAGGLE_COLUMNS
        names = [composed(column) for column in columns]
        for name in names:
            if present.count(name) > 1:
                where = f"{self.location}, line {reader.line_num}"
                raise BadInput(f"{where}, names the {_column(name)} more than once; rename one")
            if name not in present:
                raise BadInput(f"{self.location} has no {_column(name)}{_instead(name, present)}")
        places = [present.index(name) for name in names]
        rows = []
        try:
            for row in reader:
                if not row and len(present) > 1:
                    continue  # an empty line; in a single column it is a missing value
                if len(row or [""]) != len(present):
                    raise BadInput(
                        f"{self.location}, line {reader.line_num}, has {len(row)} fields, but the header "
                        f"{len(present)}; mend that line (a value with a comma needs quotes around it)"
                    )
                rows.append([row[place] for place in places] if row else [""])
        except csv.Error as problem:
            raise _unreadable(self.location, reader.line_num, problem) from None
        return pd.DataFrame(rows, columns=columns, dtype=object)

    def _typed(self, text: pd.Series, dtype: type | str) -> pd.Series:
        """What stands for "not known" becomes missing, and a number loses a trailing "_". Whatever does not
        fit the type is reported."""
        text = text.str.strip()
        kind = dtype.__name__ if isinstance(dtype, type) else str(dtype)
        if kind in TEXTS:
            text = text.map(composed)
            return text.mask(text.isin(MISSING if self.is_like_kaggle else {""}))
        if kind not in FLOATS | WHOLE_NUMBERS:
            raise BadInput(f"{_column(text.name)}: the type {kind} is not read; take float, int or str")
        text = text.mask(text.isin(MISSING))
        numbers = pd.to_numeric(text.str.rstrip("_"), errors="coerce").astype(float)
        self._refuse(text, text.notna() & ~np.isfinite(numbers), "are no numbers")
        if self.is_like_kaggle and text.name in PLAUSIBLE:
            numbers = numbers.where(numbers.between(*PLAUSIBLE[text.name]))
        if kind in FLOATS:
            return numbers
        self._refuse(text, numbers % 1 > 0, "are no whole numbers")
        self._refuse(text, numbers.abs() >= 2.0**53, "are 2^53 or more, where whole numbers are rounded")
        return numbers.astype("Int64" if numbers.isna().any() else "int64")

    def _refuse(self, text: pd.Series, wrong: Sequence[bool], why: str) -> None:
        """BadInput if any cell is wrong, with the count, an example, and what commas in it may mean."""
        wrong = np.asarray(wrong, bool)
        if wrong.any():
            example = text[wrong].iloc[0]
            comma = " (decimal commas, or commas between thousands?)" if "," in str(example) else ""
            raise BadInput(
                f"{self.location}, {_column(text.name)}: {wrong.sum():,} of {len(text):,} values {why}, such "
                f"as {str(example)[:60]!r}{comma}; mend them or read another column"
            )

    def apply_column_filter(self, wanted: Mapping[str, object]) -> "prepareData":
        """Keeps the rows in which every named column equals its value; BadInput if there is none."""
        for column, value in wanted.items():
            if column not in self.dataframe:
                raise BadInput(f"no {_column(column)} was imported from {self.location}")
            cells = self.dataframe[column]
            value = composed(value) if isinstance(value, str) else value
            self.dataframe = self.dataframe[cells == value].reset_index(drop=True)
            if self.dataframe.empty:
                values = short(", ".join(map(str, cells.dropna().unique()[:12])), 200) or "nothing"
                raise BadInput(
                    f"{self.location} has no row with {short(column, NAME_LETTERS)} "
                    f"{short(repr(value), NAME_LETTERS)}; that column holds {values}"
                )
        return self

    def limit_rows(
        self, person: str, most: int | None = None, seed: int | np.random.Generator | None = None
    ) -> "prepareData":
        """Keeps at most `most` rows of each person, a whole number of at least 1; which ones, is drawn.

        person: the column that says whose a row is. Where `most` is None, a person with several rows is
        BadInput: whoever takes rows for persons understates what one person can change. A row without a
        person is BadInput too. A count that is not whole is a TypeError.
        """
        if most is not None and (isinstance(most, bool) or operator.index(most) < 1):
            raise BadInput(f"the number of rows that count of a person must be at least 1, not {most}")
        persons, name = self.dataframe[person], short(person, NAME_LETTERS)
        if persons.isna().any():
            raise BadInput(
                f"{self.location}: {persons.isna().sum():,} of {len(persons):,} rows have no {name}; fill it "
                "in, or leave these rows out"
            )
        counts = persons.value_counts()
        if most is None and (counts > 1).any():
            raise BadInput(
                f"{self.location}: {(counts > 1).sum():,} of {len(counts):,} persons ({name}) have several "
                f"rows here, up to {counts.max():,}; choose one month, or declare how many rows of a person "
                f"may count, such as --rows-per-person {counts.max()}"
            )
        order = np.random.default_rng(seed).permutation(len(persons)) if most else np.arange(len(persons))
        chosen = self.dataframe.iloc[order].groupby(person).head(most or 1)
        self.dataframe = chosen.sort_index().reset_index(drop=True)
        return self

    def settle_missing(self, column: str, value: float | None = None) -> int:
        """Fills the missing values of a column with `value`, a finite number; if it is None, drops their
        rows. Returns how many were missing. Raises BadInput if no row is left."""
        if value is not None and not math.isfinite(value):
            raise BadInput(f"a missing value must count as a finite number, not {value}")
        missing = self.dataframe[column].isna()
        if value is None:
            self.dataframe = self.dataframe[~missing].reset_index(drop=True)
            self._known(column)
        else:
            self.dataframe[column] = self.dataframe[column].fillna(value)
        return int(missing.sum())

    def clean_skewness(
        self, column: str, quantile: float, seed: int | np.random.Generator | None = None
    ) -> "prepareData":
        """Replaces each value above the quantile by a random one of those that are not above it; n stays.

        quantile: between 0 and 1. seed: of numpy's generator. This looks at all values, and no privacy budget
        pays for it. One person's value can move the quantile, and with it which values are redrawn, and all
        that they are redrawn as. About (1 - quantile) n values are, and each can move by the sensitivity of
        one: so far can the corrected sum move. So an answer on corrected data does not have the epsilon that
        was asked for. Raises BadInput for another quantile.
        """
        if not 0 < quantile < 1:
            raise BadInput(f"the quantile must lie between 0 and 1, not {quantile}")
        values = self._known(column).copy()
        too_large = values > np.quantile(values, quantile)
        values[too_large] = np.random.default_rng(seed).choice(values[~too_large], too_large.sum())
        known = self.dataframe[column].notna()
        self.dataframe[column] = self.dataframe[column].astype(float)
        self.dataframe.loc[known, column] = values
        return self

    def nonprivate_sum(self, column: str) -> float:
        """The true sum of the known values, correctly rounded whatever their order."""
        return math.fsum(self._known(column))

    def nonprivate_average(self, column: str) -> float:
        """The true average of the known values."""
        values = self._known(column)
        return math.fsum(values) / len(values)

    def nonprivate_max(self, column: str) -> float:
        """The largest known value."""
        return float(self._known(column).max())

    def _known(self, column: str) -> np.ndarray:
        values = self.dataframe[column].dropna().to_numpy(float)
        if not len(values):
            raise BadInput(f"{self.location}, {_column(column)}: no row holds a value; name another column")
        return values


def _reader(location: str | os.PathLike, content: bytes) -> Any:
    """A csv.reader (its class has no public name) of a file's content; BadInput for what is no UTF-8."""
    for start, kind in ARCHIVES.items():
        if content.startswith(start):
            raise BadInput(f"{location} is a {kind} archive, not a CSV; unpack it and name the file inside")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{location} is a CSV in UTF-16; save it as UTF-8")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise _unreadable(location, line, "it holds the character 0, which no text does")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise _unreadable(location, line, "it is not UTF-8, perhaps Latin-1; save it as UTF-8") from None
    # The csv module refuses a cell of more than 131,072 letters unless it is told that there may be one.
    csv.field_size_limit(max(csv.field_size_limit(), min(len(text), LONGEST_FIELD)))
    return csv.reader(io.StringIO(text, newline=""), strict=True)


def _header(location: str | os.PathLike, reader: Any) -> list[str]:
    """The names in the first line that is not empty, in the normal form NFC."""
    try:
        names = next((row for row in reader if row), None)
    except csv.Error as problem:
        raise _unreadable(location, reader.line_num, problem) from None
    if names is None:
        raise BadInput(f"{location} is empty; name a CSV file with a header line")
    return [composed(name) for name in names]


def _column(name: str) -> str:
    return f"column {short(name, NAME_LETTERS)}"


def _unreadable(location: str | os.PathLike, line: int, problem: object) -> BadInput:
    return BadInput(f"{location} cannot be read as a CSV ({problem}; line {line}); mend it or name another")


def _instead(column: str, present: list[str]) -> str:
    """What to say after "has no column": a name of another spelling, a separator, or all names."""
    similar = similar_name(column, present)
    if similar:
        return f", but {similar[:NAME_LETTERS]!r}: names count to the letter; rename it, or name that one"
    names = ", ".join(present)
    for mark, separator in SEPARATORS.items():
        if mark in names:
            header = f"; its header is {names[:200]!r}"
            return f"{header}: are its fields separated by {separator}? Save it with commas"
    return f"; it has {short(names, 400)}; name one of these"
