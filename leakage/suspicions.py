"""What looks like losses of examples, but is something else: training logs, means of batches, summary rows;
and examples that belong to persons of whom nothing was said.

A verdict on any of these would be wrong without a word, so they are refused, unless whoever gave them says
that they are what they are given for (--as-given): then the report says so. What is merely odd is remarked.
"""

import re
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from leakage.command_line import short
from leakage.tables import Notes, Table

COUNTERS = {"epoch", "step", "global_step", "iteration"}  # columns that count the rows of a training log
OF_VALIDATION = r"val_(loss|acc(uracy)?)([_\d].*)?"  # columns of training logs, and hardly of other tables
SUMMARIES = {
    *("mean", "average", "avg", "total", "sum", "all", "overall"),
    *("count", "std", "min", "25%", "50%", "75%", "max", "median"),  # of pandas' describe()
}
PERSONS = {"person", "patient", "subject", "participant", "user", "customer", "client", "author", "speaker"}
FEWEST = 10  # values of which the last is the mean of the others by no accident
FEWEST_LOSSES = 20  # from which on equal runs are no accident
MOST_EPOCHS = 500  # of a training log
FALLING = -0.8  # rank correlation with the place; below it by accident once in 100,000 times among 20 values
# A mean that was computed or written with fewer digits differs from that of the others by this share of it,
# and of their spread, at most; a normal value by accident once in 125,000 files.
EXACT = 1e-5
ROUNDED = 1e-12  # relative difference of a mean from one in the same digits, added up in another order


def refuse_other_tables(
    table: Table, losses: np.ndarray, taken: Collection[str], persons_are_given: bool = False
) -> None:
    """Refuses a table whose rows are epochs or hold summaries, and one of persons that are not named.

    losses: the column (n,) that was taken from the table; taken: the names of other columns whose use is
    known; persons_are_given: whether it is known whose each row is. Raises BadInput.
    """
    others = {
        name: values.ravel()
        for name, values in table.columns.items()
        if name not in taken and values.size == len(losses) > 1
    }
    of_log = next((name for name, values in others.items() if _is_of_a_log(name, values)), None)
    if of_log is not None:
        what = f"a column {short(of_log, 30)}, as a training log has"
        table.suspect(what, "give the loss of each example, or leave that column out")
    for name, values in others.items():
        if name.strip().lower() in COUNTERS:
            _refuse_counted(table, name, values)
        if not persons_are_given:
            _refuse_persons(table, name, values)
    for name, values in table.columns.items():
        if values.size == len(losses) and values.dtype.kind in "OU":
            _refuse_named_summaries(table, name, values.ravel())
    _refuse_summary(table, losses)


def _is_of_a_log(name: str, values: np.ndarray) -> bool:
    """Whether a column is the one of a training log on the validation set. Columns such as val_id and
    val_fold are none: of other names only those with decimals are, in a table as short as a log."""
    name = name.strip().lower()
    if re.fullmatch(OF_VALIDATION, name):
        return True
    if not name.startswith("val_") or len(values) > MOST_EPOCHS:
        return False
    return bool((_as_numbers(values) % 1 > 0).any())


def _as_numbers(values: np.ndarray) -> np.ndarray:
    """Values (n,), which may be texts, as numbers; NaN for what is none or infinite."""
    numbers = pd.to_numeric(pd.Series(values).astype(str), errors="coerce").to_numpy(float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _refuse_persons(table: Table, name: str, values: np.ndarray) -> None:
    """Refuses a column of persons, some with several rows, whose use is not said: these depend on each other,
    and intervals that take them for independent examples are too narrow."""
    unit = re.sub(r"[ _-]?id$", "", name.strip().lower())
    if (unit in PERSONS or name.strip().lower() == "id") and pd.Series(values).astype(str).nunique() < len(
        values
    ):
        what = f"column {short(name, 30)} repeats, so some have several rows"
        groups = "--group-column for groups, or leave it out"
        table.suspect(what, f"say --person-column {short(name, 30)}, or {groups}")


def _refuse_counted(table: Table, name: str, values: np.ndarray) -> None:
    counted = _as_numbers(values)
    named = "or name it by --id-column or --group-column"
    if (np.diff(counted) > 0).all():
        what = f"column {name} counts the rows, as in a training log"
        table.suspect(what, f"give the loss of each example, {named}")
    elif name.strip().lower() == "epoch" and len(np.unique(counted)) > 1:
        table.suspect("its rows are of several epochs", "keep the last epoch's, or name it by --group-column")


def _refuse_named_summaries(table: Table, name: str, values: np.ndarray) -> None:
    """Refuses a last row, and it alone, called mean, total ...; elsewhere that may be an example's name."""
    last = str(values[-1]).strip()
    if last.lower() in SUMMARIES and sum(str(value).strip() == last for value in values) == 1:
        table.suspect(f"row {len(values):,} is called {last} in column {name or 1}", "leave out summaries")


def _refuse_summary(table: Table, losses: np.ndarray) -> None:
    """Refuses a last value that is the mean or the sum of the others."""
    others, last = losses[:-1], losses[-1]
    if len(losses) < FEWEST or not np.isfinite(losses).all() or last in others:
        return
    largest = np.abs(losses).max()  # not 0, as the last value is none of the others
    others, last = others / largest, last / largest  # a sum of values near 1e308 would be infinite
    for kind, value in {"mean": others.mean(), "sum": others.sum()}.items():
        if abs(last - value) <= max(EXACT * min(abs(value), others.std()), ROUNDED * abs(value)):
            table.suspect(f"the last value, {losses[-1]:.6g}, is the {kind} of the others", "leave it out")


def refuse_means(
    losses: np.ndarray, whose: str, notes: Notes, persons: Sequence | np.ndarray | None = None
) -> None:
    """Refuses losses (n,) in which each value stands equally often, as means of batches do; remarks on
    equal values that stand together, and on values that fall as those of a training log. Raises BadInput.

    whose: the members, the non-members, or a reference. persons (n,): whose the rows are, if that is known:
    a loss that stands in several rows of one person, and of nobody else, is that person's.
    """
    if len(losses) < FEWEST_LOSSES:
        return
    starts = np.flatnonzero(np.append(True, losses[1:] != losses[:-1]))
    values, counts = np.unique(losses, return_counts=True)
    # Sorted losses of a model that gives few different ones stand in runs too, but hardly in equal ones.
    is_sorted = len(np.unique(np.sign(np.diff(losses[starts])))) < 2
    runs = np.diff(np.append(starts, len(losses)))  # the last batch may be smaller
    in_runs = (
        len(runs) >= (8 if is_sorted else 3) and (runs[:-1] == runs[0]).all() and 1 < runs[0] >= runs[-1]
    )
    shuffled = len(values) >= 8 and counts.max() > 1 and np.count_nonzero(counts != counts.max()) < 2
    together = 1 < len(starts) == len(values) <= len(losses) / FEWEST_LOSSES
    if (in_runs or shuffled or together) and (persons is None or not within_persons(losses, persons)):
        found = f"{whose} have {len(values):,} different values"
        advice = "give the loss of each example, as by reduction='none'"
        times = runs[0] if in_runs else counts.max()
        if in_runs or shuffled:
            repeated = f"if each record stands there {times} times, keep one"
            notes.suspect(f"{found}, each {times} times: means of batches; {advice}; {repeated}")
        else:
            equal = "and equal ones stand together. If they are means of batches"
            notes.remarks.append(f"{found}, {equal}, {advice}.")
    if len(losses) <= MOST_EPOCHS and len(values) > 1:
        ranks = np.unique(losses, return_inverse=True)[1]
        if np.corrcoef(ranks, np.arange(len(losses)))[0, 1] < FALLING:
            notes.remarks.append(
                f"{whose} have values that fall from the first to the last. A training log has one for each "
                "epoch; the loss of each example is needed. (If they are sorted, all is well.)"
            )


def within_persons(losses: np.ndarray, persons: Sequence | np.ndarray) -> bool:
    """Whether equal losses (n,) are always those of one person. persons (n,): whose the rows are. Rows
    without a loss, NaN, are left out."""
    pairs = pd.DataFrame({"loss": losses, "person": np.asarray(persons)}).dropna().drop_duplicates()
    return not pairs["loss"].duplicated().any()
