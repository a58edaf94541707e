"""What looks like losses of examples, but is something else: training logs, means of batches, summary rows;
and examples that belong to persons of whom nothing was said.

A verdict on any of these would be wrong without a word, so they are refused. What is merely odd is remarked.
"""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from leakage.command_line import BadInput, short
from leakage.tables import Notes, Table

COUNTERS = {"epoch", "step", "global_step", "iteration"}  # columns that count the rows of a training log
SUMMARIES = {
    *("mean", "average", "avg", "total", "sum", "all", "overall"),
    *("count", "std", "min", "25%", "50%", "75%", "max", "median"),  # of pandas' describe()
}
PERSONS = {"person", "patient", "subject", "participant", "user", "customer", "client", "author", "speaker"}
FEWEST = 10  # values of which the last is the mean of the others by no accident
FEWEST_LOSSES = 20  # from which on equal runs are no accident
MOST_EPOCHS = 500  # of a training log
FALLING = -0.8  # rank correlation with the place; below it by accident once in 100,000 times among 20 values
EXACT = 1e-5  # relative difference of a mean from one that was computed or written with fewer digits


def refuse_other_tables(table: Table, losses: np.ndarray, taken: Collection[str]) -> None:
    """Refuses a table whose rows are epochs or hold summaries, and one of persons that are not named.

    losses: the column (n,) that was taken from the table; taken: the names of other columns whose use is
    known. Raises BadInput.
    """
    others = {
        name: values.ravel()
        for name, values in table.columns.items()
        if name not in taken and values.size == len(losses) > 1
    }
    for name, values in others.items():
        if name.lower().startswith("val_"):
            table.refuse(f"a column {name}, as a training log has", "give the loss of each example")
        if name.strip().lower() in COUNTERS:
            _refuse_counted(table, name, values)
        _refuse_persons(table, name, values)
    for name, values in table.columns.items():
        if values.size == len(losses) and values.dtype.kind in "OU":
            _refuse_named_summaries(table, name, values.ravel())
    _refuse_summary(table, losses)


def _refuse_persons(table: Table, name: str, values: np.ndarray) -> None:
    """Refuses a column of persons, some with several rows, whose use is not said: these depend on each other,
    and intervals that take them for independent examples are too narrow."""
    unit = re.sub(r"[ _-]?id$", "", name.strip().lower())
    if (unit in PERSONS or name.strip().lower() == "id") and pd.Series(values).astype(str).nunique() < len(
        values
    ):
        what = f"column {name} repeats, so some have several rows"
        table.refuse(what, f"say --person-column {short(name, 30)}, or leave that column out")


def _refuse_counted(table: Table, name: str, values: np.ndarray) -> None:
    counted = pd.to_numeric(pd.Series(values).astype(str), errors="coerce").to_numpy(float)
    if (np.diff(counted) > 0).all():
        table.refuse(f"column {name} counts the rows, as in a training log", "give the loss of each example")
    if name.strip().lower() == "epoch" and len(np.unique(counted)) > 1:
        table.refuse("its rows are of several epochs", "keep those of one epoch, the last")


def _refuse_named_summaries(table: Table, name: str, values: np.ndarray) -> None:
    """Refuses a last row, and it alone, called mean, total ...; elsewhere that may be an example's name."""
    last = str(values[-1]).strip()
    if last.lower() in SUMMARIES and sum(str(value).strip() == last for value in values) == 1:
        table.refuse(f"row {len(values):,} is called {last} in column {name or 1}", "leave out summaries")


def _refuse_summary(table: Table, losses: np.ndarray) -> None:
    """Refuses a last value that is the mean or the sum of the others."""
    if len(losses) < FEWEST or not np.isfinite(losses).all() or (losses[1:-1] == losses[0]).all():
        return
    scaled = losses / np.abs(losses).max()  # a sum of values near 1e308 would be infinite
    others, last = scaled[:-1], scaled[-1]
    if last in others:
        return
    for kind, value in {"mean": others.mean(), "sum": others.sum()}.items():
        if abs(last - value) <= EXACT * abs(value):
            table.refuse(f"the last value, {losses[-1]:.6g}, is the {kind} of the others", "leave it out")


def refuse_means(losses: np.ndarray, whose: str, notes: Notes) -> None:
    """Refuses losses (n,) in which each value stands equally often, as means of batches do; remarks on
    equal values that stand together, and on values that fall as those of a training log. Raises BadInput.

    whose: the members, the non-members, or a reference.
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
    advice = "give the loss of each example, as by reduction='none'"
    if in_runs or shuffled:
        times = f"each {runs[0] if in_runs else counts.max()} times"
        raise BadInput(f"{whose} have {len(values):,} different values, {times}: means of batches; {advice}")
    if 1 < len(starts) == len(values) <= len(losses) / FEWEST_LOSSES:
        together = f"{whose} have {len(values):,} different values, and equal ones stand together"
        notes.remarks.append(f"{together}. If they are means of batches, {advice}.")
    if len(losses) <= MOST_EPOCHS and len(values) > 1:
        ranks = np.unique(losses, return_inverse=True)[1]
        if np.corrcoef(ranks, np.arange(len(losses)))[0, 1] < FALLING:
            notes.remarks.append(
                f"{whose} have values that fall from the first to the last. A training log has one for each "
                "epoch; the loss of each example is needed. (If they are sorted, all is well.)"
            )
