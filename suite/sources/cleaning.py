"""A few columns of a dirty CSV as a clean data frame.

Whatever the Kaggle credit file writes where nothing is known becomes a missing value, and a number loses the
"_" that some of them end in. A line that does not fit the header, or text where a number belongs, is
reported and never guessed at.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from suite.support.command_line import BadInput

JUNK = {"", "_", "_______", "NM", "!@9#%8", "#F%$D@*&8", "__10000__", "__-333333333333333333333333333__"}
MISSING = JUNK | {"NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"}
PLAUSIBLE = {"Age": (0, 120)}  # the file also writes -500 or 8,688 where the age is not known
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
HEADER_BYTES = 1 << 20  # of a file, to find its first line in
ARCHIVES = {
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"(\xb5/\xfd": "zstd",
}


def csv_columns(location: str | os.PathLike) -> list[str]:
    """The names in the header line of a CSV; BadInput if it cannot be read as one."""
    return _header(location, _reader(location, HEADER_BYTES))


def similar_name(name: str, present: Iterable[str]) -> str | None:
    """The column of another spelling: equal to `name` but for upper and lower case or blanks."""

    def plain(text: str) -> str:
        return "".join(text.split()).casefold()

    return next((held for held in present if held != name and plain(held) == plain(name)), None)


class prepareData:
    """A few columns of a dirty CSV as a clean data frame, with the true answers to the three queries.

    data_file_location: path of a CSV with a header line, in UTF-8, its fields separated by commas.
    import_columns: names of the columns to read.
    col_dtypes: column -> type: float, int, bool (of 0 and 1) or str, or a numpy name of a real number such as
        "uint8"; text where nothing is said. Whole numbers with gaps become pandas' nullable type.
    Raises BadInput (a ValueError) if the file cannot be read as a CSV, a line has more or fewer fields than
    the header, a column is missing or named twice, a cell holds what its type cannot (text, a fraction, a
    number out of its range, a gap in bool), or the type is none of these (dates, categories).
    """

    def __init__(
        self,
        data_file_location: str | os.PathLike,
        import_columns: Sequence[str],
        col_dtypes: Mapping[str, type | str],
    ):
        self.location = Path(data_file_location)
        self.dataframe = self._read(list(dict.fromkeys(import_columns)))
        for column in self.dataframe.columns:
            self.dataframe[column] = self._typed(self.dataframe[column], col_dtypes.get(column, str))

    def _read(self, columns: list[str]) -> pd.DataFrame:
        """The columns as text. The csv module, not pandas: pandas fills short lines, and takes a column for
        an index where lines are one field longer than the header."""
        reader = _reader(self.location)
        present = _header(self.location, reader)
        for column in columns:
            if present.count(column) > 1:
                line = f"{self.location}, line {reader.line_num}"
                raise BadInput(f"{line}, names the column {column} more than once; rename one")
            if column not in present:
                raise BadInput(f"{self.location} has no column {column}{_instead(column, present)}")
        places = [present.index(column) for column in columns]
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
        """Junk becomes missing; a number loses a trailing "_"; whatever does not fit the type is reported."""
        text = text.str.strip()
        text = text.mask(text.isin(MISSING))
        kind = np.dtype("O")
        if dtype not in (str, "str", "string", "object", object):
            try:
                kind = np.dtype(dtype.lower() if isinstance(dtype, str) else dtype)
            except TypeError:
                kind = np.dtype("V")
        if kind.kind == "O":
            return text
        if kind.kind not in "fiub":
            raise BadInput(f"column {text.name}: {dtype} is not read; take float, int, bool or str")
        numbers = pd.to_numeric(text.str.rstrip("_"), errors="coerce").astype(float)
        self._refuse(text, text.notna() & ~np.isfinite(numbers), "are no numbers")
        if text.name in PLAUSIBLE:
            numbers = numbers.where(numbers.between(*PLAUSIBLE[text.name]))
        missing = numbers.isna()
        if kind.kind == "f":
            largest = float(np.finfo(kind).max)
            self._refuse(text, numbers.abs() > largest, f"are beyond {kind.name}")
            return numbers.astype(kind)
        self._refuse(text, numbers % 1 > 0, "are no whole numbers")
        # A float64 cannot hold every whole number beyond 2^53, so those come from the text itself.
        exact = [0 if gap else _whole(cell) for cell, gap in zip(text, missing, strict=True)]
        low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        self._refuse(text, [not low <= number <= high for number in exact], f"are beyond {kind.name}")
        if kind.kind == "b":
            self._refuse(text, missing, "are missing, which bool cannot say")
        whole = pd.Series(np.array(exact, kind), text.index, name=text.name)
        nullable = kind.name.replace("int", "Int").replace("uI", "UI")
        return whole.astype(nullable).mask(missing) if missing.any() else whole

    def _refuse(self, text: pd.Series, wrong: Sequence[bool], why: str) -> None:
        """BadInput if any cell is wrong, with the count, an example, and what commas in it may mean."""
        wrong = np.asarray(wrong, bool)
        if wrong.any():
            example = text[wrong].iloc[0]
            comma = " (decimal commas, or commas between thousands?)" if "," in str(example) else ""
            raise BadInput(
                f"{self.location}, column {text.name}: {wrong.sum():,} of {len(text):,} values {why}, such "
                f"as {str(example)[:60]!r}{comma}; mend them or read another column"
            )

    def apply_column_filter(self, wanted: Mapping[str, object]) -> "prepareData":
        """Keeps the rows in which every named column equals its value; BadInput if there is none."""
        for column, value in wanted.items():
            if column not in self.dataframe:
                raise BadInput(f"no column {column} was imported from {self.location}")
            held = self.dataframe[column]
            self.dataframe = self.dataframe[held == value].reset_index(drop=True)
            if self.dataframe.empty:
                values = ", ".join(map(str, held.dropna().unique()[:12])) or "nothing"
                raise BadInput(
                    f"{self.location} has no row with {column} {value!r}; that column holds {values}"
                )
        return self

    def limit_rows(
        self, person: str, most: int | None = None, seed: int | np.random.Generator | None = None
    ) -> "prepareData":
        """Keeps at most `most` rows of each person, chosen at random. Where `most` is None, a person with
        several rows is BadInput: whoever takes rows for persons understates what one person can change."""
        held = self.dataframe[person]
        if held.isna().any():
            raise BadInput(f"{self.location}: {held.isna().sum():,} rows have no {person}; whose are they?")
        counts = held.value_counts()
        if most is None and (counts > 1).any():
            raise BadInput(
                f"{self.location}: {(counts > 1).sum():,} of {len(counts):,} persons ({person}) have several "
                f"rows here, up to {counts.max():,}; choose one month, or declare how many rows of a person "
                f"may count, such as --rows-per-person {counts.max()}"
            )
        order = np.random.default_rng(seed).permutation(len(held)) if most else np.arange(len(held))
        chosen = self.dataframe.iloc[order].groupby(person).head(most or 1)
        self.dataframe = chosen.sort_index().reset_index(drop=True)
        return self

    def settle_missing(self, column: str, value: float | None = None) -> int:
        """Fills the missing values of a column with `value`, or drops their rows; returns how many."""
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
        """Redraws the values above the quantile (0 to 1) at random from those not above it; n stays.

        No budget pays for this look at all values. One person's value can move the quantile and with it other
        redrawn values: replacing one real income moves the corrected sum by up to 3.5 times the sensitivity,
        so a private answer on corrected data does not have the epsilon it was asked at.
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
            raise BadInput(f"{self.location}, column {column}: no row holds a value; name another column")
        return values


def _reader(location: str | os.PathLike, most: int = -1):
    """A csv.reader of a file, or of the lines in its first bytes; BadInput for what is no text in UTF-8."""
    try:
        with Path(location).open("rb") as file:
            content = file.read(most)
    except OSError as problem:
        raise BadInput(f"cannot read {location}: {problem.strerror or problem}; name a CSV file") from None
    for start, kind in ARCHIVES.items():
        if content.startswith(start):
            raise BadInput(f"{location} is a {kind} archive, not a CSV; unpack it and name the file inside")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{location} is a CSV in UTF-16; save it as UTF-8")
    if len(content) == most:
        content = content[: content.rfind(b"\n") + 1] or content
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise _unreadable(location, line, "it holds the character 0, which no text does")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise _unreadable(location, line, "it is not UTF-8, perhaps Latin-1; save it as UTF-8") from None
    return csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), strict=True)


def _header(location: str | os.PathLike, reader) -> list[str]:
    """The first line that is not empty."""
    try:
        names = next((row for row in reader if row), None)
    except csv.Error as problem:
        raise _unreadable(location, reader.line_num, problem) from None
    if names is None:
        raise BadInput(f"{location} is empty; name a CSV file with a header line")
    return names


def _unreadable(location: str | os.PathLike, line: int, problem: object) -> BadInput:
    return BadInput(f"{location} cannot be read as a CSV ({problem}; line {line}); mend it or name another")


def _instead(column: str, present: list[str]) -> str:
    """What to say after "has no column": a name of another spelling, a separator, or all names."""
    similar = similar_name(column, present)
    if similar:
        return f", but {similar!r}: names count to the letter; rename it, or name that one"
    held = ", ".join(present)
    for mark, name in SEPARATORS.items():
        if mark in held:
            return f"; its header is {held[:200]!r}: are its fields separated by {name}? Save it with commas"
    return f"; it has {held[:400]}; name one of these"


def _whole(cell: str) -> int:
    """The whole number that a cell holds, exactly where it is written in digits alone."""
    cell = cell.rstrip("_")
    try:
        return int(cell)
    except ValueError:
        return int(float(cell))
