"""A few columns of a dirty CSV as a clean data frame.

Whatever the Kaggle credit file writes where nothing is known becomes a missing value, and a number loses the
"_" that some of them end in. Text that is left where a number belongs is reported, never dropped.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from support.command_line import BadInput

JUNK = {"", "_", "_______", "NM", "!@9#%8", "#F%$D@*&8", "__10000__", "__-333333333333333333333333333__"}
PLAUSIBLE = {"Age": (0, 120)}  # the file also writes -500 or 8,688 where the age is not known


def csv_columns(location: str | os.PathLike) -> list[str]:
    """The names in the header line of a CSV; BadInput if it cannot be read as one."""
    try:
        return list(pd.read_csv(location, nrows=0).columns)
    except pd.errors.EmptyDataError:
        raise BadInput(f"{location} is empty; name a CSV file with a header line") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as problem:
        raise BadInput(f"{location} cannot be read as a CSV ({problem}); name another file") from None
    except OSError as problem:
        raise BadInput(f"cannot read {location}: {problem.strerror or problem}; name a CSV file") from None


class prepareData:
    """A few columns of a dirty CSV as a clean data frame, with the true answers to the three queries.

    data_file_location: path of a CSV with a header line.
    import_columns: names of the columns to read.
    col_dtypes: column -> type (float, int, str, or any that pandas knows); text where nothing is said.
    Raises BadInput (a ValueError) if the file cannot be read as a CSV, lacks a column, or holds text where a
    number belongs.
    """

    def __init__(
        self,
        data_file_location: str | os.PathLike,
        import_columns: Sequence[str],
        col_dtypes: Mapping[str, type | str],
    ):
        self.location = Path(data_file_location)
        self.dataframe = self._read(list(import_columns))
        for column in import_columns:
            self.dataframe[column] = self._typed(self.dataframe[column], col_dtypes.get(column, str))

    def _read(self, columns: list[str]) -> pd.DataFrame:
        present = csv_columns(self.location)
        missing = ", ".join(column for column in columns if column not in present)
        if missing:
            held = ", ".join(present)
            raise BadInput(f"{self.location} has no column {missing}; it has {held[:400]}; name one of these")
        try:
            return pd.read_csv(self.location, usecols=columns, dtype=str)[columns]
        except (pd.errors.ParserError, UnicodeDecodeError) as problem:
            raise BadInput(
                f"{self.location} cannot be read as a CSV ({problem}); name another file"
            ) from None

    def _typed(self, text: pd.Series, dtype: type | str) -> pd.Series:
        """Junk becomes missing; a number loses a trailing "_"; whatever else is no number is reported."""
        text = text.str.strip()
        text = text.mask(text.isin(JUNK))
        dtype = pd.api.types.pandas_dtype(dtype)
        if not pd.api.types.is_numeric_dtype(dtype):
            return text
        numbers = pd.to_numeric(text.str.rstrip("_"), errors="coerce")
        whole = pd.api.types.is_integer_dtype(dtype)
        wrong = text.notna() & ~np.isfinite(numbers.fillna(np.nan))
        if whole:
            wrong |= numbers.notna() & (numbers % 1 != 0)
        if wrong.any():
            kind = "whole numbers" if whole else "numbers"
            raise BadInput(
                f"{self.location}, column {text.name}: {wrong.sum():,} of {len(text):,} values are no "
                f"{kind}, such as {text[wrong].iloc[0]!r}; mend them or read another column"
            )
        if text.name in PLAUSIBLE:
            numbers = numbers.where(numbers.between(*PLAUSIBLE[text.name]))
        if whole and numbers.isna().any():
            dtype = "Int64"  # numpy's integers have no missing value
        return numbers.astype(dtype)

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

    def clean_skewness(
        self, column: str, quantile: float, seed: int | np.random.Generator | None = None
    ) -> "prepareData":
        """Redraws the values above the quantile (0 to 1) at random from those not above it; n stays."""
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
            raise BadInput(f"{self.location}, column {column}: no row holds a value")
        return values
