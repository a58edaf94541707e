"""Finds the credit score CSV, the reader's copy, else Kaggle's, else the fictional sample, and reads a column
of it, or of any other CSV: one month, a known number of rows a person."""

import hashlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from suite.sources.cleaning import csv_columns, prepareData, similar_name
from suite.support.command_line import BadInput

FOLDER = Path(__file__).resolve().parents[2] / "data"
READERS_COPY = FOLDER / "test.csv"
SAMPLE = FOLDER / "credit_sample.csv"
KAGGLE_DATASET, KAGGLE_FILE = "parisrohan/credit-score-classification", "test.csv"
KAGGLE_HOST = "www.kaggle.com"
KAGGLE_SHA256 = "5c606cd0118d49b70d6e934811a0ad806482c2e7f2514fd263315e6be9dacd9b"
REACH_SECONDS = 2.0
CUSTOMER, MONTH, STUDY_MONTH = "Customer_ID", "Month", "December"
KAGGLE_NAME = "Kaggle credit score data"
SAMPLE_NAME = "FICTIONAL SAMPLE, not the Kaggle file"


class CreditSource(NamedTuple):
    """A CSV file and what to call it in a caption."""

    path: Path
    description: str


def find_credit_csv() -> CreditSource:
    """The first of: data/test.csv; Kaggle's file, which is then kept as data/test.csv; the sample.

    Says on the console which one it is. Without a network it comes to the sample in under 5 seconds.
    """
    if not READERS_COPY.exists():
        try:
            _fetch_from_kaggle(READERS_COPY)
        except Exception as problem:  # kagglehub raises a dozen kinds; the sample is the answer to all
            print(f"Kaggle's file cannot be fetched ({' '.join(str(problem).split())[:120]}).")
            print(f"Using the FICTIONAL SAMPLE {SAMPLE.name}; for the real file see data/README.md.")
            return describe_csv(SAMPLE)
    source = describe_csv(READERS_COPY)
    if source.description != KAGGLE_NAME:
        print(f"Warning: {source.path} is not the Kaggle file the README speaks of: its SHA-256 differs.")
    return source


def describe_csv(path: str | Path) -> CreditSource:
    """Names a file by its content: Kaggle's file, the fictional sample, or else its own name."""
    path = Path(path)
    try:
        digest = _sha256(path)
        if digest == KAGGLE_SHA256:
            return CreditSource(path, KAGGLE_NAME)
        if digest == _sha256(SAMPLE):
            return CreditSource(path, SAMPLE_NAME)
    except OSError:
        pass  # whoever reads the file says what is wrong with it
    return CreditSource(path, path.name)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fetch_from_kaggle(destination: Path) -> None:
    """Downloads the file through kagglehub and keeps it, whole, at the destination."""
    if not _reachable(KAGGLE_HOST):
        raise ConnectionError(f"{KAGGLE_HOST} does not answer")
    import kagglehub  # half a second, so only when it is needed

    fetched = kagglehub.dataset_download(KAGGLE_DATASET, path=KAGGLE_FILE)
    with tempfile.TemporaryDirectory(dir=destination.parent) as scratch:
        copy = Path(scratch) / destination.name
        shutil.copyfile(fetched, copy)
        copy.replace(destination)


def _reachable(host: str) -> bool:
    """Whether the host takes a connection at once; asked in a thread, as a name look-up knows no time-out."""
    answers = []

    def knock() -> None:
        try:
            socket.create_connection((host, 443), timeout=REACH_SECONDS).close()
            answers.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    return bool(answers)


class Column(NamedTuple):
    """One numeric column of one month, n rows, and what the same persons' other months say of it."""

    prepared: prepareData
    month: str | None  # None where the file has no months
    usual: np.ndarray  # (n,), the person's most frequent value over all months, the smaller of two; or NaN
    others: np.ndarray  # (n,), the median of the person's other months; or NaN
    notes: list[str]  # what was assumed, for the console


def load_column(
    source: CreditSource,
    column: str,
    *,
    month: str | None = None,
    person: str | None = None,
    rows_per_person: int | None = None,
    missing_as: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> Column:
    """Reads one month of a column.

    month: value of the column Month; December where there is such a column. person: the column that says
    whose a row is; Customer_ID where there is such a column. rows_per_person: how many rows of a person
    count, chosen at random; None refuses a person with several. missing_as: what a missing value counts as;
    None leaves it out. Raises BadInput for what the file does not hold.
    """
    present, notes = csv_columns(source.path), []
    if person is None and CUSTOMER in present:
        person = CUSTOMER
    elif person is None and (similar := similar_name(CUSTOMER, present)):
        raise BadInput(f"{source.path} has no column {CUSTOMER}, but {similar!r}; give --person '{similar}'")
    if month is None and MONTH in present:
        month = STUDY_MONTH
    elif month is None and (similar := similar_name(MONTH, present)):
        notes.append(f"Note: no column is called {MONTH}, but one {similar!r}: rows of all months are taken.")

    keys = [*([person] if person else []), *([MONTH] if month is not None else [])]
    prepared = prepareData(source.path, [*keys, column], {column: float})
    everything = prepared.dataframe
    if month is not None:
        prepared.apply_column_filter({MONTH: month})
    if person:
        try:
            prepared.limit_rows(person, rows_per_person, seed)
        except BadInput as problem:
            raise BadInput(" ".join([*notes, str(problem)])) from None
    elif rows_per_person:
        raise BadInput("--rows-per-person needs the column that says whose a row is: give --person COLUMN")
    else:
        notes.append("Note: no column says whose a row is, so each counts as a person; else give --person.")

    missing, rows = prepared.settle_missing(column, missing_as), len(prepared.dataframe)
    if missing and missing_as is None:
        notes.append(
            f"Note: {missing:,} of {missing + rows:,} values are missing and left out, so n = {rows:,} is "
            "not independent of the data: --missing-as VALUE keeps n."
        )
    elif missing:
        notes.append(f"Note: {missing:,} of {rows:,} values are missing and count as {missing_as:g}.")
    usual = others = np.full(rows, np.nan)
    if person and month is not None and not rows_per_person:
        usual, others = _other_months(everything, prepared.dataframe[person], month, column)
    return Column(prepared, month, usual, others, notes)


def _other_months(
    everything: pd.DataFrame, persons: pd.Series, month: str, column: str
) -> tuple[np.ndarray, np.ndarray]:
    """For each person the most frequent value over all months, and the median over the other months."""
    counts = everything.groupby([persons.name, column], as_index=False).size()
    commonest = counts.sort_values("size", ascending=False, kind="stable").drop_duplicates(persons.name)
    rest = everything[everything[MONTH] != month].groupby(persons.name)[column].median()
    usual = persons.map(commonest.set_index(persons.name)[column])
    return usual.to_numpy(float), persons.map(rest).to_numpy(float)
