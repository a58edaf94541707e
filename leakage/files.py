"""What people have, read as losses: one for each example, with nothing dropped and nothing invented.

A source is a file (CSV, .npy or .npz, told apart by what it holds, not by its name), an array or a data
frame. FILE:NAME is one array of a .npz, or one column of a CSV. What is not understood is refused in one
line: which file, what it holds, and the option or the line of numpy that helps.
"""

import io
import os
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from scipy import special

from leakage.command_line import BadInput, short

Source = str | os.PathLike | np.ndarray | pd.DataFrame

MISSING = {"", "na", "<na>", "nan", "n/a", "#n/a", "null", "none", "-", ".", "?"}
TRUTHS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
SUM_TOLERANCE = 0.01  # of a row of probabilities, which may have been rounded to float16
WHICH = "say which: --column NAME, --member-column NAME, or FILE:NAME"
FORMATS = "np.save(FILE, losses), or write a CSV in UTF-8 with the same fields in each line"


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, and whether a CSV begins with a header; None: found out, or not there."""

    loss: str | None = None
    member: str | None = None
    id: str | None = None
    group: str | None = None
    header: bool | None = None


@dataclass(frozen=True)
class Table:
    """Columns by name: texts of a CSV, arrays of any shape of a .npz. What has no name has the name ""."""

    source: str  # for messages
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def refuse(self, what: object, advice: str) -> NoReturn:
        raise BadInput(f"{short(self.source, 70)}: {short(what, 120)}; {short(advice, 100)}")

    def remark(self, what: str) -> None:
        self.remarks.append(f"{short(self.source, 70)}: {what}")

    def add(self, names: Sequence[object], columns: Iterable[np.ndarray]) -> None:
        names = [str(name) for name in names]
        if len(set(names)) < len(names):
            self.refuse(f"several columns have the same name: {', '.join(names)}", "name each differently")
        self.columns.update(zip(names, columns, strict=True))

    def left(self, taken: Collection[str | None]) -> list[str]:
        """The columns that are not taken, without the index that pandas and R write, if there are others."""
        left = [name for name in self.columns if name not in taken]
        return [name for name in left if name and not name.startswith("Unnamed:")] or left

    def chosen(self, wanted: str | None, taken: Collection[str | None] = ()) -> str:
        """The column that is wanted; if none is said, the only one left, or the only one called loss."""
        if wanted is not None:
            if wanted not in self.columns:
                there = ", ".join(filter(None, self.columns)) or "one without a name"
                self.refuse(f"has no column {short(wanted, 40)}, but {there}", WHICH)
            return wanted
        left = self.left(taken)
        called = [name for name in left if name.lower() == "loss"] if len(left) > 1 else left
        if len(called) != 1:
            self.refuse(f"has {len(self.columns):,} columns or arrays: {', '.join(self.columns)}", WHICH)
        return called[0]


# ------------------------------------------------------------------------------------------------- examples


def read_examples(
    source: Source, columns: Columns | None = None, labels: Source | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The examples of a source, and remarks on what was found there.

    labels: if given, the source holds probabilities or logits (n, classes), see losses_of.
    Returns a frame of n rows in the source's order: `loss` (float64), and if columns name them `member`
    (bool), `id` and `group` (texts). Raises BadInput for missing values, and for what is not understood.
    """
    columns = columns or Columns()
    table = read_table(source, columns.header)
    roles = {"member": columns.member, "id": columns.id, "group": columns.group}
    roles = {role: table.chosen(name) for role, name in roles.items() if name is not None}
    if "member" not in roles and "member" in table.left(roles.values()):
        table.refuse("has a column member", "say --member-column member, or leave that column out")
    if labels is None:
        losses = _one_each(table, _numbers(table, table.chosen(columns.loss, roles.values())))
    else:
        label_table = read_table(labels, columns.header)
        classes = _one_each(label_table, _numbers(label_table, label_table.chosen(None), "labels"))
        try:
            losses = losses_of(_scores(table, columns.loss, roles.values()), classes)
        except BadInput as problem:
            table.refuse(*str(problem).rsplit("; ", 1))
        saturated = np.count_nonzero((losses == 0) | np.isinf(losses))
        if saturated:
            certain = f"{saturated:,} of {len(losses):,} examples have probability 0 or 1 of their true class"
            table.remark(f"{certain}. If their dtype has saturated, logits keep what is lost here.")
    frame = pd.DataFrame({"loss": losses})
    for role, name in roles.items():
        values = (_truths if role == "member" else _texts)(table, name)
        if values.size != len(losses):
            table.refuse(f"{len(losses):,} losses, but {values.size:,} in {name}", "give one for each loss")
        frame[role] = values.ravel()
    return frame, table.remarks


def losses_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Losses (n,), -log p(true class) in float64, from scores (n, classes) and labels (n,) from 0 on.

    Rows within 0 and 1 that sum to 1 are probabilities, other rows logits. One column is that of a binary
    classifier: p(class 1) or its logit. The loss of logits is log(1 + sum over other classes of
    exp(logit - true logit)), which neither overflows nor cancels. Raises BadInput.
    """
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    scores = scores.reshape(len(scores), -1)
    are_probabilities = scores.min() >= 0 and scores.max() <= 1 + SUM_TOLERANCE
    if scores.shape[1] == 1:
        scores = np.hstack([1 - scores if are_probabilities else 0 * scores, scores])
    n, classes = scores.shape
    if labels.shape != (n,):
        raise BadInput(f"{n:,} rows of scores, but {labels.size:,} labels; give one label for each row")
    if not np.isin(labels, np.arange(classes)).all():
        least, most = labels.min(), labels.max()
        raise BadInput(f"{classes} classes, but labels from {least:g} to {most:g}; count them from 0 on")
    if are_probabilities and np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise BadInput("scores within 0 and 1 do not sum to 1 in each row; give softmax outputs or logits")
    true = np.arange(n), labels.astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        if are_probabilities:
            return 0 - np.log(np.minimum(scores[true], 1))  # 0 and not -0 for p = 1
        differences = scores - scores[true][:, None]
        differences[true] = -np.inf
        losses = np.logaddexp(0, special.logsumexp(differences, axis=1))
    if np.isnan(losses).any():
        raise BadInput("no loss follows from infinite logits; give finite ones")
    return losses


def read_references(
    sources: Sequence[Source], memberships: Sequence[Source], examples: pd.DataFrame, columns: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (K, n) of K reference models on the n examples, and whether each was trained on them (K, n).

    sources: losses of one reference (n,), or of several (models, n); a boolean array or the member column of
    the same source says which examples they were trained on, or else memberships, of the same shapes; the
    single word "none" stands for references that were trained on no example.
    Rows are matched by id where both have ids, else by their order. A loss is NaN where a reference was not
    judged on the example. Raises BadInput.
    """
    losses, trained = [], []
    trained_on_none = len(memberships) == 1 and isinstance(memberships[0], str) and memberships[0] == "none"
    for place, source in enumerate([*sources, *([] if trained_on_none else memberships)]):
        table = read_table(source, columns.header)
        member = columns.member or "member"
        told = [name for name, values in table.columns.items() if values.dtype == bool or name == member]
        if place < len(sources):
            wanted = columns.loss if columns.loss in table.columns else None
            name = table.chosen(wanted, [*told, columns.id, columns.group])
            losses.extend(_aligned(table, _numbers(table, name), examples, columns.id))
        else:
            told = told or [table.chosen(None, [columns.id, columns.group])]
        for name in told:
            trained.extend(_aligned(table, _truths(table, name), examples, columns.id))
    if trained_on_none:
        trained += [np.zeros(len(examples)) for _ in losses]
    if len(losses) != len(trained):
        given = f"losses of {len(losses)} references, but the members of {len(trained)}"
        advice = "give --reference-members FILE (or none), --member-column, or a boolean array in each .npz"
        raise BadInput(f"{given}; {advice}")
    return np.array(losses), np.array(trained) == 1


def _aligned(table: Table, values: np.ndarray, examples: pd.DataFrame, id_column: str | None) -> np.ndarray:
    """Values (models, n) in the order of the examples, NaN where the table lacks one."""
    values = np.atleast_2d(_one_each(table, values) if 1 in values.shape else values).astype(float)
    places = np.arange(values.shape[1])
    if id_column in table.columns and "id" in examples:
        ids = pd.Index(_texts(table, id_column).ravel())
        if not ids.is_unique or len(ids) != len(places):
            table.refuse(f"{len(places):,} examples, {ids.nunique():,} different ids", "give each its own")
        places = ids.get_indexer(examples["id"])
    elif values.shape[1:] != (len(examples),):
        what = f"its shape is {values.shape}, but {len(examples):,} examples are audited"
        table.refuse(what, "(models, members then non-members), or match rows by --id-column")
    return np.where(places >= 0, values[:, places], np.nan)


# --------------------------------------------------------------------------------------------------- values


def _numbers(table: Table, name: str, what: str = "losses") -> np.ndarray:
    """A column in float64, of any shape; refuses what is no number, and missing values."""
    values = table.columns[name]
    if values.dtype.kind in "OUS":
        texts = pd.Series(values.ravel()).astype(str)
        missing = texts.str.strip().str.lower().isin(MISSING)
        values = texts.mask(missing, "nan").to_numpy(object).reshape(values.shape)
    elif values.dtype.kind not in "iuf":
        table.refuse(f"holds {values.dtype}, not numbers", "save them as numbers: losses.astype(float)")
    try:
        values = values.astype(float)
    except ValueError as problem:
        table.refuse(problem, "write numbers as 0.53")
    missing = np.isnan(values.ravel())
    if missing.any():
        what = f"{missing.sum():,} of {missing.size:,} {what} are missing or NaN, first in row"
        table.refuse(f"{what} {missing.argmax() + 1:,}", "find out why, then leave these examples out")
    return values


def _one_each(table: Table, values: np.ndarray) -> np.ndarray:
    """Values (n,) from (n,), (n, 1) or (1, n)."""
    if not values.ndim or max(values.shape) != values.size or not values.size:
        advice = "one number for each example; probabilities or logits need --labels, one-hot labels argmax"
        table.refuse(f"its shape is {values.shape}", advice)
    return values.ravel()


def _scores(table: Table, wanted: str | None, taken: Collection[str]) -> np.ndarray:
    """Scores (n, classes): one array, or all columns of a CSV but those taken."""
    names = table.left(taken) if wanted is None else [table.chosen(wanted)]
    scores = [_numbers(table, name, "scores") for name in names]
    if len({values.shape for values in scores}) != 1 or scores[0].ndim > 2 or not scores[0].size:
        table.refuse(f"holds {', '.join(names)}", "give one array (n, classes), or FILE:NAME")
    return scores[0] if len(scores) == 1 else np.column_stack(scores)


def _texts(table: Table, name: str) -> np.ndarray:
    """A column of ids, groups or memberships as texts, of any shape."""
    values = table.columns[name]
    texts = pd.Series(values.ravel()).astype(str).str.strip()
    blank = texts.isin(["", "nan", "None", "<NA>"]).sum()
    if blank:
        table.refuse(f"{blank:,} rows have nothing in {short(name, 40)}", "fill them in")
    return texts.to_numpy(object).reshape(values.shape)


def _truths(table: Table, name: str) -> np.ndarray:
    """A column of memberships, of any shape, as booleans."""
    texts = _texts(table, name)
    truths = pd.Series(texts.ravel()).str.lower().map(TRUTHS)
    if truths.isna().any():
        wrong = short(texts.ravel()[truths.isna().argmax()], 40)
        table.refuse(f"{wrong!r} in {short(name, 40)} is no membership", "write 1 or 0")
    return truths.to_numpy(bool).reshape(texts.shape)


# ---------------------------------------------------------------------------------------------------- files


def read_table(source: Source, header: bool | None = None) -> Table:
    """All columns of a source. header: whether a CSV begins with one; None: found out. Raises BadInput."""
    if isinstance(source, pd.DataFrame):
        table = Table("data frame")
        table.add(source.columns, [column.to_numpy() for _, column in source.items()])
        return table
    if not isinstance(source, str | os.PathLike):
        return Table("array", {"": np.asarray(source)})
    path, wanted = os.fspath(source), None
    table = Table(path)
    try:
        if not Path(path).exists() and Path(path.rpartition(":")[0]).is_file():
            path, _, wanted = path.rpartition(":")
        with warnings.catch_warnings(action="ignore"):  # of Python's parser, about a damaged array's header
            contents = _contents(Path(path).read_bytes())
    except Exception as problem:  # whatever the parsers of numpy, pandas, zipfile and Python raise
        table.refuse(f"cannot be read: {getattr(problem, 'strerror', None) or problem}", FORMATS)
    if isinstance(contents, pd.DataFrame):
        _name_columns(table, contents, header)
    else:
        table.add(list(contents), contents.values())
    if wanted is not None:
        return Table(path, {wanted: table.columns[table.chosen(wanted)]}, table.remarks)
    return table


def _contents(content: bytes) -> dict[str, np.ndarray] | pd.DataFrame:
    """The arrays of a file by name, or all cells of a CSV as texts, its first line and empty ones too."""
    if content.startswith((b"PK", b"\x93NUMPY")):
        stream = io.BytesIO(content)
        found = np.load(stream, allow_pickle=False)
        found = {"": found} if isinstance(found, np.ndarray) else dict(found)
        if "" in found and stream.read(1):
            raise ValueError("more than one array, or something after it")
        if not all(isinstance(array, np.ndarray) for array in found.values()):
            raise ValueError(f"an archive of {', '.join(found)}")
        return found
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    return pd.read_csv(
        io.StringIO(text), sep=separator, header=None, dtype=str, na_filter=False, skip_blank_lines=False
    )


def _name_columns(table: Table, cells: pd.DataFrame, header: bool | None) -> None:
    """Adds the columns of a CSV to the table, by the names of its header if it has one.

    A first line is a header if one of its cells is neither a number nor what stands for a missing one. pandas
    calls columns without names 0, 1, 2 ..., which could be losses. Where no other row has a whole number they
    are taken for names, and that is told; where it cannot be known, they are refused.
    """
    first = [cell.strip().removeprefix("#").strip() for cell in cells.iloc[0]]  # numpy writes # before names
    counted = [str(place) for place in range(len(first))]
    if header is None:
        header = not all(map(_is_number, first)) or (len(first) > 1 and first == ["", *counted[:-1]])
        if all(name.isdecimal() for name in first):
            whole = cells.iloc[1:].map(lambda cell: cell.strip().lstrip("+-").isdecimal()).any(axis=None)
            line = f"the first line, {short(','.join(first), 40)}"
            if whole == (first == counted):
                table.refuse(f"{line}, could be a header or losses", "say --header yes or --header no")
            header = not whole
            if header:
                told = "was taken for the header that pandas writes. If it is a loss, say --header no."
                table.remark(f"{line}, {told}")
    if not header:
        first = [""] if len(first) == 1 else [str(place + 1) for place in range(len(first))]
    table.add(first, cells.iloc[int(header) :].to_numpy(object).T)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in MISSING
    return True
