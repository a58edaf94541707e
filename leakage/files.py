"""What people have, read as losses: one for each example, with nothing dropped and nothing invented.

A source is a file (CSV, .npy or .npz, told apart by what it holds, not by its name), an array or a data
frame. FILE:NAME is one array of a .npz, or one column of a CSV. What is not understood is refused in one
line: which file, what it holds, and the option or the line of numpy that helps.
"""

import csv
import io
import math
import os
import warnings
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from scipy import special

from support.command_line import BadInput

Source = str | os.PathLike | np.ndarray | pd.DataFrame

MISSING = {"", "na", "<na>", "nan", "n/a", "#n/a", "null", "none", "-", ".", "?"}
TRUTHS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
SUM_TOLERANCE = 0.01  # of a row of probabilities, which may have been rounded to float16


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

    def refuse(self, what: str, advice: str) -> NoReturn:
        raise BadInput(f"{short(self.source, 70)}: {short(what, 120)}; {short(advice, 100)}")

    def left(self, taken: Collection[str | None]) -> list[str]:
        """The columns that are not taken, without the index that pandas and R write, if there are others."""
        left = [name for name in self.columns if name not in taken]
        return [name for name in left if name and not name.startswith("Unnamed:")] or left

    def chosen(self, wanted: str | None, taken: Collection[str | None] = ()) -> str:
        """The column that is wanted; if none is said, the only one left, or the only one called loss."""
        left = self.left(taken) if wanted is None else [name for name in self.columns if name == wanted]
        called = [name for name in left if name.lower() == "loss"] if len(left) > 1 else left
        if len(called) != 1:
            what = f"has no column {short(wanted, 40)}, but" if wanted else "has several columns or arrays:"
            advice = "say which: --column NAME, --member-column NAME, or FILE:NAME"
            self.refuse(f"{what} {', '.join(self.columns)}", advice)
        return called[0]


def short(text: object, letters: int) -> str:
    """A text on one line, without letters that do not print, its middle cut out to leave so many letters."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(text).split()))
    return line if len(line) <= letters else f"{line[: letters // 2 - 1]}…{line[-(letters // 2) :]}"


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
    remarks = list(table.remarks)
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
            remarks.append(
                f"{short(table.source, 70)}: {saturated:,} of {len(losses):,} examples have probability 0 "
                "or 1 of their true class. If their dtype has saturated, logits keep what is lost here."
            )
    frame = pd.DataFrame({"loss": losses})
    for role, name in roles.items():
        if table.columns[name].size != len(losses):
            table.refuse(f"{len(losses):,} losses, but {table.columns[name].size:,} in {name}", "one each")
        frame[role] = (_truths if role == "member" else _texts)(table, name).ravel()
    return frame, remarks


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
    rows, labels = np.arange(n), labels.astype(int)
    true = scores[rows, labels]
    if are_probabilities:
        if np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE:
            raise BadInput(
                "scores within 0 and 1 do not sum to 1 in each row; give softmax outputs or logits"
            )
        with np.errstate(divide="ignore"):
            return 0 - np.log(np.minimum(true, 1))  # 0 and not -0 for p = 1
    with np.errstate(invalid="ignore"):
        differences = scores - true[:, None]
        differences[rows, labels] = -np.inf
        losses = np.logaddexp(0, special.logsumexp(differences, axis=1))
    if np.isnan(losses).any():
        raise BadInput("no loss follows from infinite logits; give finite ones")
    return losses


def read_references(
    sources: Sequence[Source], memberships: Sequence[Source], examples: pd.DataFrame, columns: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (K, n) of K reference models on the n examples, and whether each was trained on them (K, n).

    sources: losses of one reference (n,), or of several (models, n); a boolean array or the member column of
    the same source says which examples they were trained on, or else memberships, of the same shapes.
    Rows are matched by id where both have ids, else by their order. A loss is NaN where a reference was not
    judged on the example. Raises BadInput.
    """
    losses, trained = [], []
    for place, source in enumerate([*sources, *memberships]):
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
    if len(losses) != len(trained):
        raise BadInput(
            f"losses of {len(losses)} references, but the members of {len(trained)}; say of each what it was "
            "trained on: --reference-members, --member-column, or a boolean array in its .npz"
        )
    return np.array(losses), np.array(trained) == 1


def _aligned(table: Table, values: np.ndarray, examples: pd.DataFrame, id_column: str | None) -> np.ndarray:
    """Values (models, n) in the order of the examples, NaN where the table lacks one."""
    values = np.atleast_2d(_one_each(table, values) if 1 in values.shape else values).astype(float)
    if id_column in table.columns and "id" in examples:
        ids = pd.Index(_texts(table, id_column).ravel())
        if not ids.is_unique or len(ids) != values.shape[1]:
            table.refuse(
                f"{values.shape[1]:,} examples, {ids.nunique():,} different ids", "give each its own"
            )
        places = ids.get_indexer(examples["id"])
        return np.where(places >= 0, values[:, places], np.nan)
    if values.shape[1:] != (len(examples),):
        what = f"its shape is {values.shape}, but {len(examples):,} examples are audited"
        table.refuse(what, "(models, members then non-members), or match rows by --id-column")
    return values


# --------------------------------------------------------------------------------------------------- values


def _numbers(table: Table, name: str, what: str = "losses") -> np.ndarray:
    """A column in float64, of any shape; refuses what is no number, and missing values."""
    values = table.columns[name]
    if values.dtype.kind in "OUS":
        texts = [str(value).strip() for value in values.ravel()]
        numbers = [math.nan if text.lower() in MISSING else _number(text) for text in texts]
        if None in numbers:
            row = numbers.index(None)
            table.refuse(
                f"row {row + 1:,} holds {short(texts[row], 40)!r}, no number", "write numbers as 0.53"
            )
        values = np.array(numbers).reshape(values.shape)
    elif values.dtype.kind not in "iuf":
        table.refuse(f"holds {values.dtype}, not numbers", "save them as numbers: losses.astype(float)")
    values = values.astype(float)
    missing = np.isnan(values.ravel())
    if missing.any():
        what = f"{missing.sum():,} of {missing.size:,} {what} are missing or NaN, first in row"
        table.refuse(f"{what} {missing.argmax() + 1:,}", "find out why, then leave these examples out")
    return values


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # float() takes 1_000 for a thousand
    except ValueError:
        return None


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


def _truths(table: Table, name: str) -> np.ndarray:
    """A column of memberships, of any shape, as booleans."""
    values = table.columns[name]
    texts = pd.Series(values.ravel()).astype(str).str.strip().str.lower()
    wrong = texts[~texts.isin(TRUTHS)]
    if len(wrong):
        table.refuse(f"{short(wrong.iloc[0], 40)!r} in {short(name, 40)} is no membership", "write 1 or 0")
    return texts.map(TRUTHS).to_numpy(bool).reshape(values.shape)


def _texts(table: Table, name: str) -> np.ndarray:
    """A column of ids or groups as texts."""
    texts = pd.Series(table.columns[name].ravel()).astype(str).str.strip()
    blank = texts.isin(["", "nan", "None", "<NA>"]).sum()
    if blank:
        table.refuse(f"{blank:,} rows have nothing in {short(name, 40)}", "fill them in")
    return texts.to_numpy(object)


# ---------------------------------------------------------------------------------------------------- files


def read_table(source: Source, header: bool | None = None) -> Table:
    """All columns of a source. header: whether a CSV begins with one; None: found out. Raises BadInput."""
    if isinstance(source, pd.DataFrame):
        return Table("data frame", {str(name): column.to_numpy() for name, column in source.items()})
    if not isinstance(source, str | os.PathLike):
        return Table("array", {"": np.asarray(source)})
    path, wanted = os.fspath(source), None
    table = Table(path)
    try:
        if not Path(path).exists() and Path(path.rpartition(":")[0]).is_file():
            path, _, wanted = path.rpartition(":")
        content = Path(path).read_bytes()
    except (OSError, ValueError) as problem:
        table.refuse(getattr(problem, "strerror", None) or str(problem), "name a file that can be read")
    if content.startswith(b"PK"):
        _read_npz(table, content)
    elif content.startswith(b"\x93NUMPY"):
        table.columns[""] = _read_array(table, io.BytesIO(content))
    else:
        _read_csv(table, content, header)
    return (
        table if wanted is None else Table(path, {wanted: table.columns[table.chosen(wanted)]}, table.remarks)
    )


def _read_array(table: Table, stream: io.BufferedIOBase) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about a damaged header
            array = np.lib.format.read_array(stream, allow_pickle=False)
        rest = stream.read(1)
    # A damaged header raises whatever Python's parser raises; a false size is a lack of memory.
    except Exception as problem:
        table.refuse(f"cannot be read as an array of numbers: {problem}", "np.save(FILE, losses)")
    if rest:
        table.refuse("more than one array, or something after it", "save one: np.concatenate, then np.save")
    return array


def _read_npz(table: Table, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names) or not all(name.endswith(".npy") for name in names):
                table.refuse(f"an archive of {', '.join(names)}", "np.save(FILE, losses)")
            for name in names:
                with archive.open(name) as stream:
                    table.columns[name.removesuffix(".npy")] = _read_array(table, stream)
    except BadInput:
        raise
    except Exception as problem:  # damaged, encrypted, packed in a way that zipfile does not know
        table.refuse(f"a damaged archive: {problem}", "np.savez(FILE, loss=losses)")
    if not table.columns:
        table.refuse("an empty archive", "np.savez(FILE, loss=losses)")


def _read_csv(table: Table, content: bytes, header: bool | None) -> None:
    """Adds the columns of a CSV; every line must have as many fields as the first, and none may be empty."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        table.refuse("is neither .npy nor .npz nor text in UTF-8", "np.save(FILE, losses), or write a CSV")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, problem = [], "" if text else "is empty"
    try:
        for row in reader:
            if not any(row):
                problem = f"line {reader.line_num:,} is empty, as of a missing loss"
            elif rows and len(row) != len(rows[0]):
                problem = f"line {reader.line_num:,} has {len(row)} fields, the first has {len(rows[0])}"
            rows.append(row)
            if problem:
                break
    except csv.Error as error:
        problem = f"line {reader.line_num:,}: {error}"
    if problem:
        table.refuse(problem, "a CSV has a line for each example, and the same fields in each")
    names = [name.strip().removeprefix("#").strip() for name in rows[0]]  # numpy writes # before a header
    if header is None:
        header = _is_header(table, names, rows[1:])
    cells = np.array(rows[header:], object)
    if not len(cells):
        table.refuse("holds a header and no examples", "a CSV has a line for each example")
    if not header:
        if len(cells) == 1 and len(names) > 1:
            table.refuse(f"one line of {len(names):,} fields", "one loss a line: np.savetxt(FILE, losses)")
        names = [""] if len(names) == 1 else [str(place) for place in range(1, len(names) + 1)]
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        table.refuse(f"two columns are called {twice[0]}", "give each a name of its own")
    table.columns.update(zip(names, cells.T, strict=True))


def _is_header(table: Table, first: list[str], rest: list[list[str]]) -> bool:
    """Whether a first row names columns: a cell is neither a number nor what stands for a missing one.

    pandas calls columns without names 0, 1, 2 ..., which could be losses. Where no other row has a whole
    number they are taken for names, and that is told; where it cannot be known, they are refused.
    """
    if any(_number(name) is None and name.lower() not in MISSING for name in first):
        return True
    counted = [str(place) for place in range(len(first))]
    if first == ["", *counted[:-1]] and len(first) > 1:
        return True
    if not all(name.isdecimal() for name in first):
        return False
    whole = any(cell.strip().lstrip("+-").isdecimal() for row in rest for cell in row)
    if whole and first != counted:
        return False
    line = f"the first line, {short(','.join(first), 40)}"
    if first != counted or whole or not rest:
        table.refuse(f"{line}, could be a header or losses", "say --header yes or --header no")
    table.remarks.append(
        f"{short(table.source, 70)}: {line}, was taken for the header that pandas writes. If it is a loss, "
        "say --header no."
    )
    return True
