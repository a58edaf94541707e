"""Finds the credit score CSV: the reader's copy, else Kaggle's file, else the fictional sample. Reads one
column of it, or of any other CSV: the values of one month, with a known number of rows a person."""

import hashlib
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from suite.sources.cleaning import (
    MISSING,
    NAME_LETTERS,
    composed,
    csv_columns,
    prepareData,
    read_content,
    similar_name,
    spelt_in_several_ways,
)
from suite.support.command_line import BadInput, short

FOLDER = Path(__file__).resolve().parents[2] / "data"
READERS_COPY = FOLDER / "test.csv"
SAMPLE = FOLDER / "credit_sample.csv"
KAGGLE_DATASET, KAGGLE_FILE = "parisrohan/credit-score-classification", "test.csv"
KAGGLE_HOST = "www.kaggle.com"
KAGGLE_SHA256 = "5c606cd0118d49b70d6e934811a0ad806482c2e7f2514fd263315e6be9dacd9b"
REACH_SECONDS = 2.0  # for Kaggle's host to answer
CUSTOMER, MONTH, STUDY_MONTH = "Customer_ID", "Month", "December"
KAGGLE_NAME = "Kaggle credit score data"
SAMPLE_NAME = "FICTIONAL SAMPLE, not the Kaggle file"


class CreditSource(NamedTuple):
    """A CSV file, what to call it in a caption, and its content if it could be read."""

    path: Path
    description: str
    content: bytes | None = None


def find_credit_csv() -> CreditSource:
    """The first of these: data/test.csv; Kaggle's file, from then on kept as data/test.csv; the sample.

    The console says if it is the sample, or a data/test.csv that differs from Kaggle's. Without a network
    this takes less than 5 seconds.
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


def describe_csv(path: str | os.PathLike) -> CreditSource:
    """Names a file by its content: Kaggle's file, the fictional sample, or else its own name.

    The file is read here and never again, so that a pipe will do. If it cannot be read, the content is None,
    and csv_columns says why. Raises BadInput if the path is empty.
    """
    if not os.fspath(path):
        raise BadInput("the name of the data file is empty (is a shell variable not set?); name a CSV file")
    path = Path(path)
    name = "a pipe" if path.is_fifo() else short(path.name or path, NAME_LETTERS)
    try:
        content = read_content(path)
    except BadInput:
        return CreditSource(path, name)
    digest = hashlib.sha256(content).hexdigest()
    if digest == KAGGLE_SHA256:
        name = KAGGLE_NAME
    elif digest == _sha256(SAMPLE):
        name = SAMPLE_NAME
    return CreditSource(path, name, content)


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
    """Whether the host takes a connection within REACH_SECONDS. A thread asks it, because the look-up of a
    name has no time-out."""
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
    """One column of numbers in one month, n rows, and the same persons' values in other months."""

    prepared: prepareData
    month: str | None  # None where the file has no months
    usual: np.ndarray  # (n,), the person's most frequent value over all months, the smaller of two; or NaN
    others: np.ndarray  # (n,), the median of the person's other months; or NaN
    notes: list[str]  # what was assumed and what was left out, for the console
    n_is_public: bool  # False where rows are left out for what they hold: no value, no month
    persons_are_apart: bool  # False where two names may be one person's, who then has more rows than count


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
    """Reads one month of a column of numbers.

    month: a value of the column Month; December where there is such a column. person: the column that says
    whose a row is; Customer_ID where there is such a column. rows_per_person: how many rows of a person
    count, a whole number of at least 1, chosen at random; None refuses a person with several. missing_as:
    what a missing value counts as, in the column's unit; None leaves it out. seed: of numpy's generator.
    Raises BadInput for empty names and for what the file does not hold.
    """
    # What was asked for, else what the Kaggle file calls it, if the file has that column.
    for option, name in {"column": column, "person": person, "month": month}.items():
        if name is not None and not name.strip():
            raise BadInput(f"--{option} is empty (is a shell variable not set?); name one, or leave it out")
    present, notes, hint = csv_columns(source.path, source.content), [], ""
    if person is None and CUSTOMER in present:
        person = CUSTOMER
    elif person is None and (similar := similar_name(CUSTOMER, present)):
        raise BadInput(f"{source.path} has no column {CUSTOMER}, but {similar!r}; give --person '{similar}'")
    if month is None and MONTH in present:
        month = STUDY_MONTH
        hint = "; give --month VALUE"  # nobody asked for this month
    elif month is None and (similar := similar_name(MONTH, present)):
        notes.append(f"Note: no column is called {MONTH}, but one {similar!r}: rows of all months are taken.")
    # A column can do one thing only.
    for task, name in {"say whose a row is": person, "say the month": month and MONTH}.items():
        if name is not None and composed(name) == composed(column):
            both = f"the column {short(column, NAME_LETTERS)} cannot hold the values and {task}"
            raise BadInput(f"{both}; name another with --column or --person")
    if month is not None and person == MONTH:
        raise BadInput(f"the column {MONTH} cannot say whose a row is; name another with --person")

    # The rows of the month, and of these so many a person. What is left out is noted.
    keys = [name for name in (person, MONTH if month is not None else None) if name is not None]
    prepared = prepareData(source.path, [*keys, column], {column: float}, content=source.content)
    everything, left_out, persons_are_apart = prepared.dataframe, 0, True
    if month is not None:
        month = composed(month)
        left_out = _note_other_months(everything[MONTH], month, notes)
        try:
            prepared.apply_column_filter({MONTH: month})
        except BadInput as problem:
            raise BadInput(f"{problem}{hint}") from None
    if person is not None:
        persons_are_apart = not _note_spellings(prepared.dataframe[person], notes)
        try:
            _limit(prepared, person, rows_per_person, seed, notes)
        except BadInput as problem:
            raise BadInput(" ".join([*notes, str(problem)])) from None
    elif rows_per_person is not None:
        raise BadInput("--rows-per-person needs the column that says whose a row is: give --person COLUMN")
    else:
        notes.append(
            "Note: no column says whose a row is, so each counts as a person, and epsilon is that of a row; "
            "if a person may have several, give --person COLUMN."
        )

    # A row without a value counts as missing_as, or is left out.
    missing, rows = prepared.settle_missing(column, missing_as), len(prepared.dataframe)
    are, count = ("is", "counts") if missing == 1 else ("are", "count")
    if missing and missing_as is None:
        notes.append(
            f"Note: {missing:,} of {missing + rows:,} values {are} missing and left out, so n = {rows:,} is "
            "not independent of the data: --missing-as VALUE keeps n."
        )
    elif missing:
        notes.append(f"Note: {missing:,} of {rows:,} values {are} missing and {count} as {missing_as:g}.")
    usual = others = np.full(rows, np.nan)
    if person is not None and month is not None and rows_per_person in (None, 1):
        usual, others = _other_months(everything, prepared.dataframe[person], month, column)
    n_is_public = not left_out and not (missing and missing_as is None)
    return Column(prepared, month, usual, others, notes, n_is_public, persons_are_apart)


def _note_other_months(months: pd.Series, month: str, notes: list[str]) -> int:
    """Notes the rows that are left out although they may be of the month, and returns how many they are:
    those without a month, and those with another spelling of it."""
    without = int((months.isna() | (months.isin(MISSING) & (months != month))).sum())
    if without:
        notes.append(
            f"Note: {without:,} of {len(months):,} rows have no {MONTH} and are left out, so n is not "
            "independent of the data: fill them in."
        )
    spellings = [other for other in months.dropna().unique() if similar_name(month, [other]) is not None]
    misspelt = int(months.isin(spellings).sum())
    if misspelt:
        notes.append(
            f"Note: {misspelt:,} of {len(months):,} rows hold a {MONTH} spelt {spellings[0]!r} or the like, "
            f"not {month!r}, and are left out."
        )
    return without + misspelt


def _note_spellings(persons: pd.Series, notes: list[str]) -> int:
    """Notes and counts the names that may be one person's, as they differ in spelling alone."""
    several = spelt_in_several_ways(persons.dropna().unique())
    count = sum(map(len, several))
    if several:
        name, (first, second, *_) = short(persons.name, NAME_LETTERS), several[0]
        notes.append(
            f"Note: {count:,} names in {name} may be fewer persons, such as {first!r} and {second!r}. Each "
            "counts as a person, so what epsilon a person has is not known: spell each person in one way."
        )
    return count


def _limit(
    prepared: prepareData,
    person: str,
    rows_per_person: int | None,
    seed: int | np.random.Generator | None,
    notes: list[str],
) -> None:
    """Leaves at most so many rows of each person; notes how many went, and a person called like a gap."""
    before = prepared.dataframe[person]
    gap = next((text for text in before.dropna().unique() if text in MISSING), None)
    if gap is not None:
        count = (before == gap).sum()
        name = short(person, NAME_LETTERS)
        notes.append(
            f"Note: {count:,} of {len(before):,} rows have the {name} {gap!r}, which is taken for one "
            "person; if it stands for none, fill it in or leave these rows out."
        )
    prepared.limit_rows(person, rows_per_person, seed)
    lost = len(before) - len(prepared.dataframe)
    if lost:
        are, which = ("is", "which one") if lost == 1 else ("are", "which ones")
        notes.append(
            f"Note: {lost:,} of {len(before):,} rows {are} left out, so that no person has more than "
            f"{rows_per_person}; {which}, is drawn."
        )


def _other_months(
    everything: pd.DataFrame, persons: pd.Series, month: str, column: str
) -> tuple[np.ndarray, np.ndarray]:
    """For each of n persons: the most frequent value over all months (n,), and the median of the values in
    other months than this one (n,). NaN where there is none.

    Where the values of most persons never repeat, as a balance that changes every month, none is usual: NaN.
    Of equally frequent values the smaller is taken, as a recording error is the larger one.
    """
    counts = everything.groupby([persons.name, column], as_index=False).size()
    commonest = counts.sort_values("size", ascending=False, kind="stable").drop_duplicates(persons.name)
    rest = everything[everything[MONTH] != month].groupby(persons.name)[column].median()
    if (commonest["size"] > 1).mean() < 0.5:
        commonest[column] = np.nan
    usual = persons.map(commonest.set_index(persons.name)[column])
    return usual.to_numpy(float), persons.map(rest).to_numpy(float)
