"""What people have, read as columns by name: files, arrays and data frames, with nothing dropped or invented.

A file is a CSV, a .npy or a .npz, told apart by what it holds, not by its name. FILE:NAME is one array of a
.npz, or one column of a CSV. What is not understood is refused in one line: which file, what it holds, and
the option or the line of Python that helps.
"""

import hashlib
import io
import json
import os
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from leakage.command_line import BadInput, short

Source = str | os.PathLike | np.ndarray | pd.DataFrame | Mapping

MISSING = {"", "na", "<na>", "nan", "n/a", "#n/a", "null", "none", "-", ".", "?"}
WHICH = "say which: --column NAME, --member-column NAME, or FILE:NAME"
FORMATS = "np.save(FILE, losses), or write a CSV in UTF-8 with the same fields in each line"
# The kinds of file that people have and that are not read: how they begin, what they are, and what to do.
TO_CSV = "save it as a CSV: pandas.{}(FILE).to_csv(NEW, index=False)"
LOADED = "load it with what wrote it, then np.save(NEW, np.array(losses, dtype=float))"
FOREIGN = {
    b"PAR1": ("is a Parquet file", TO_CSV.format("read_parquet")),
    b"ARROW1": ("is an Arrow file", TO_CSV.format("read_feather")),
    b"\x89HDF": ("is an HDF5 file", LOADED),
    b"MATLAB": ("is a MATLAB file", "np.save(NEW, scipy.io.loadmat(FILE)['losses'])"),
    b"RDX": ("is a file of R", "in R: write.csv(losses, NEW, row.names = FALSE)"),
    b"SQLite format": ("is an SQLite file", "save the table as a CSV"),
    b"\xd0\xcf\x11\xe0": ("is an Excel file", TO_CSV.format("read_excel")),
    b"%PDF": ("is a PDF", "save the losses as a CSV"),
    b"\x89PNG": ("is an image", "save the losses as a CSV"),
    b"\x1f\x8b": ("is compressed by gzip", "unpack it with gunzip first"),
    b"BZh": ("is compressed by bzip2", "unpack it with bunzip2 first"),
    b"\xfd7zXZ": ("is compressed by xz", "unpack it with unxz first"),
    b"\x28\xb5\x2f\xfd": ("is compressed by zstd", "unpack it with unzstd first"),
    **{bytes([0x80, protocol]): ("is a pickle, as torch.save writes", LOADED) for protocol in range(2, 6)},
}


@dataclass(frozen=True)
class Input:
    """A file that was read: its name as given, its size in bytes, and the SHA-256 of its content; or arrays
    from memory."""

    name: str
    size: int
    sha256: str


@dataclass
class Notes:
    """What was noticed while reading, a sentence or two each, and the files that were read, each once.

    as_given: whether what seems to be no loss of an example is used all the same; `taken` then says what.
    """

    remarks: list[str] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    as_given: bool = False
    taken: list[str] = field(default_factory=list)

    def suspect(self, message: str) -> None:
        """Refuses what seems to be something else than it is given for, or keeps the message in `taken`."""
        if not self.as_given:
            raise BadInput(f"{message}, or say --as-given")
        self.taken.append(f"Taken as given: {message}.")


@dataclass(frozen=True)
class Table:
    """Columns by name: texts of a CSV, arrays of any shape of a .npz. What has no name has the name ""."""

    source: str  # for messages
    notes: Notes = field(default_factory=Notes)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    named: bool = True  # False: the columns of a CSV without a header are called 1, 2, 3 ... here

    def refuse(self, what: object, advice: str) -> NoReturn:
        raise BadInput(self._message(what, advice))

    def suspect(self, what: object, advice: str) -> None:
        """As refuse, unless everything is taken as given."""
        self.notes.suspect(self._message(what, advice))

    def _message(self, what: object, advice: str) -> str:
        return f"{short(self.source, 70)}: {short(what, 120)}; {short(advice, 100)}"

    def remark(self, what: str) -> None:
        self.notes.remarks.append(f"{short(self.source, 70)}: {what}")

    def add(self, names: Sequence[object], columns: Iterable[np.ndarray]) -> None:
        names = [composed(str(name)) for name in names]
        if len(set(names)) < len(names):
            self.refuse(f"several columns have the same name: {', '.join(names)}", "name each differently")
        self.columns.update(zip(names, columns, strict=True))

    def left(self, taken: Collection[str | None]) -> list[str]:
        """The columns that are not taken, without the index that pandas and R write, if there are others."""
        left = [name for name in self.columns if name not in taken]
        return [name for name in left if name and not name.startswith("Unnamed:")] or left

    def chosen(
        self,
        wanted: str | None,
        taken: Collection[str | None] = (),
        advice: str = WHICH,
        usual: str = "loss",
    ) -> str:
        """The column that is wanted; if none is said, the only one left, or the one with the usual name."""
        if wanted is not None:
            if not wanted:
                self.refuse("the name of a column is empty", "is a variable of the shell not set?")
            if composed(wanted) not in self.columns:
                shown = [name if name.isprintable() else ascii(name) for name in self.columns if name]
                there = ", ".join(shown) or "one without a name"
                self.refuse(f"has no column {short(wanted, 40)}, but {there}", advice)
            return composed(wanted)
        left = self.left(taken)
        called = [name for name in left if name.lower() == usual] if len(left) > 1 else left
        if len(called) != 1:
            self.refuse(f"has {len(self.columns):,} columns or arrays: {', '.join(self.columns)}", advice)
        return called[0]


def composed(text: str) -> str:
    """The text with each accent in one letter with what it stands on, as most systems but macOS write it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def listed(sources: Source | Sequence[Source] | None) -> Sequence[Source]:
    """Several sources as they are, a single one or none as a list."""
    if sources is None:
        return []
    return [sources] if isinstance(sources, str | os.PathLike | pd.DataFrame | Mapping) else sources


def read_table(source: Source, header: bool | None = None, notes: Notes | None = None) -> Table:
    """All columns of a source. header: whether a CSV begins with one; None: found out. Raises BadInput."""
    notes = Notes() if notes is None else notes
    if not isinstance(source, str | os.PathLike):
        return _table_of_object(source, notes)
    path, wanted = os.fspath(source), None
    if not path:
        raise BadInput("the name of a file is empty; is a variable of the shell not set?")
    table = Table(path, notes)
    try:
        before_colon = path.rpartition(":")[0]
        if before_colon and not Path(path).exists() and Path(before_colon).exists():
            path, _, wanted = path.rpartition(":")
        content = Path(path).read_bytes()  # once, as a pipe can be read
        read = Input(path, len(content), hashlib.sha256(content).hexdigest())
        if read not in notes.inputs:
            notes.inputs.append(read)
        with warnings.catch_warnings(action="ignore"):  # of Python's parser, about a damaged array's header
            contents = _contents(content)
    except BadInput as problem:
        table.refuse(*str(problem).split("; ", 1))
    except Exception as problem:  # whatever the parsers of numpy, pandas, zipfile and Python raise
        table.refuse(f"cannot be read: {getattr(problem, 'strerror', None) or problem}", FORMATS)
    if isinstance(contents, pd.DataFrame):
        table = _named_columns(table, contents, header)
    else:
        table.add(list(contents), contents.values())
    if wanted is not None:
        return Table(path, notes, {wanted: table.columns[table.chosen(wanted)]}, table.named)
    return table


# --------------------------------------------------------------------------------------------------- objects


def _table_of_object(source: object, notes: Notes) -> Table:
    """The columns of a data frame (of pandas, polars or Arrow) or of a mapping, or what becomes an array."""
    if hasattr(source, "collect"):  # of polars or Spark
        Table("data frame", notes).refuse("is not computed yet", "give it as a pandas data frame")
    names = getattr(source, "column_names", getattr(source, "columns", None))
    if isinstance(source, Mapping):
        names = list(source)
    table = Table("array" if names is None else "data frame", notes)
    try:
        if isinstance(source, pd.DataFrame):
            columns = [column.to_numpy() for _, column in source.items()]
        elif names is not None:
            columns = [_array(source[name]) for name in names]
        else:
            names, columns = [""], [_array(source)]
    except Exception as problem:  # whatever the objects of other libraries raise
        if "inhomogeneous" in str(problem):
            advice = "one number for each example: batches joined, a text's tokens averaged"
            table.refuse("its rows have different lengths", advice)
        what = f"a {type(source).__module__}.{type(source).__name__} cannot be made an array: {problem}"
        table.refuse(what, "give an array of numbers, a pandas data frame, or a file")
    table.add(names, columns)
    read = _input_of(table)
    if read not in notes.inputs:
        notes.inputs.append(read)
    return table


def _input_of(table: Table) -> Input:
    """Arrays from memory as an input: what they are, their size, and the SHA-256 of their bytes, in C order;
    of texts, of their UTF-8."""
    digest, size, kinds = hashlib.sha256(), 0, []
    for name, column in table.columns.items():
        if column.dtype.kind in "OU":
            content = "\0".join(map(str, column.ravel())).encode("utf-8", "replace")
        else:
            content = np.ascontiguousarray(column).tobytes()
        digest.update(content)
        size += len(content)
        kind = f"{' x '.join(map(str, column.shape))} {column.dtype}"
        kinds.append(f"{name}: {kind}" if name else kind)
    return Input(f"{table.source}, {'; '.join(kinds)}", size, digest.hexdigest())


def _array(values: object) -> np.ndarray:
    """An array of what numpy, pandas, torch, TensorFlow and others have; masked values become NaN."""
    if hasattr(
        values, "detach"
    ):  # a tensor of torch, perhaps with a gradient, on another device, in bfloat16
        values = values.detach().cpu()
        values = values.float() if "bfloat16" in str(values.dtype) else values
    if isinstance(values, list | tuple) and any(hasattr(value, "detach") for value in values):
        values = [_array(value) for value in values]
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        values = values.astype(float).filled(np.nan)
    array = np.asarray(values)
    if array.dtype == object and not array.ndim:
        raise TypeError("it has no rows")
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


# ----------------------------------------------------------------------------------------------------- files


def _contents(content: bytes) -> dict[str, np.ndarray] | pd.DataFrame:
    """The arrays of a file by name, or all cells of a CSV as texts, its first line and empty ones too."""
    for beginning, (what, advice) in FOREIGN.items():
        if content.startswith(beginning):
            raise BadInput(f"{what}; {advice}")
    if content[8:10] == b'{"' and int.from_bytes(content[:8], "little") < len(content):
        raise BadInput(f"is a file of safetensors; {LOADED}")
    if content.startswith(b"PK"):
        _refuse_other_archives(content)
    if content.startswith((b"PK", b"\x93NUMPY")):
        stream = io.BytesIO(content)
        try:
            found = np.load(stream, allow_pickle=False)
            found = {"": found} if isinstance(found, np.ndarray) else dict(found)
        except ValueError as problem:
            if "pickle" in str(problem):
                raise BadInput("holds objects, not numbers, in a pickle; " + LOADED) from None
            raise
        if "" in found and stream.read(1):
            raise ValueError("more than one array, or something after it")
        if not all(isinstance(array, np.ndarray) for array in found.values()):
            raise ValueError(f"an archive of {', '.join(found)}")
        return found
    if not content.strip():
        raise BadInput("is empty; write the losses into it")
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    _refuse_other_texts(text)
    text, separator = _separated(text)
    return pd.read_csv(
        io.StringIO(text), sep=separator, header=None, dtype=object, na_filter=False, skip_blank_lines=False
    )


def _refuse_other_archives(content: bytes) -> None:
    """Refuses a zip that is no .npz."""
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    if "xl/workbook.xml" in names:
        raise BadInput(f"is an Excel file; {TO_CSV.format('read_excel')}")
    if any(name.endswith("data.pkl") for name in names):
        advice = "torch.load it, then np.save(NEW, losses.detach().cpu().numpy())"
        raise BadInput(f"is a file of torch.save, with {short(names[0], 40)}; {advice}")
    if not all(name.endswith(".npy") for name in names):
        raise BadInput(f"is a zip archive of {short(', '.join(names), 80)}; unpack it first")


def _refuse_other_texts(text: str) -> None:
    """Refuses JSON, a list as Python prints it, markup, and what a training prints."""
    text = text.strip()
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        try:
            json.loads(text)
            kind = "is JSON"
        except ValueError:
            kind = "is JSON in lines" if text[0] == "{" else "holds a list as Python prints it"
        raise BadInput(f"{kind}; in Python: np.save(NEW, np.array(losses, dtype=float))")
    if re.match(r"<[!?]|<html", text, re.IGNORECASE):
        raise BadInput("is HTML or XML; save the losses as a CSV")
    # Not so a table with a column for each epoch, of which one may be called loss.
    if re.match(r"epoch[\[ :]*\d+(/\d+|\b.*loss[ :=]*\d)", text, re.IGNORECASE):
        raise BadInput("is what a training prints; the loss of each example is needed, after the training")


def _separated(text: str) -> tuple[str, str]:
    """The text and its separator: the most frequent in the first line, or the blanks that numpy writes."""
    first, _, rest = text.partition("\n")
    second = (rest.partition("\n")[0] or first).split()
    if not any(mark in first for mark in ",;\t") and len(second) > 1 and all(map(_is_number, second)):
        return text.removeprefix("#"), r"\s+"
    # As often as a comma, a semicolon is the separator: the commas are decimal ones.
    return text, max(",;\t", key=lambda mark: (first.count(mark), mark == ";" and mark in first))


def _named_columns(table: Table, cells: pd.DataFrame, header: bool | None) -> Table:
    """The columns of a CSV, by the names of its header if it has one.

    A first line is a header if one of its cells is neither a number nor what stands for a missing one. pandas
    calls columns without names 0, 1, 2 ..., which could be losses. Where no other row has a whole number they
    are taken for names, and that is told; where it cannot be known, they are refused. So is a header that
    seems to hold a value, 0.53 or tensor(0.53): it would be an example that is lost.
    """
    first = [cell.strip().removeprefix("#").strip() for cell in cells.iloc[0]]  # numpy writes # before names
    counted = [str(place) for place in range(len(first))]
    if header is None:
        line = f"the first line, {short(','.join(first), 40)}"
        header = not all(map(_is_number, first)) or (len(first) > 1 and first == ["", *counted[:-1]])
        if header and any(map(_seems_a_value, first)):
            advice = "write values as 0.53, and say --header yes or --header no"
            table.refuse(f"{line}, could be a header or values", advice)
        if all(name.isdecimal() for name in first):
            whole = cells.iloc[1:].map(lambda cell: cell.strip().lstrip("+-").isdecimal()).any(axis=None)
            if whole == (first == counted):
                table.refuse(f"{line}, could be a header or losses", "say --header yes or --header no")
            header = not whole
            if header:
                told = "was taken for the header that pandas writes. If it is a loss, say --header no."
                table.remark(f"{line}, {told}")
    if not header:
        first = [""] if len(first) == 1 else [str(place + 1) for place in range(len(first))]
    found = Table(table.source, table.notes, named=bool(header))
    found.add(first, cells.iloc[int(header) :].to_numpy(object).T)
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in MISSING
    return True


def _seems_a_value(text: str) -> bool:
    """Whether a name holds a value as a name hardly would: 0.53, tensor(0.5), 0.5 nats, 0,53, 50%."""
    if _is_number(text):
        return not text.isdecimal() and text.lower() not in MISSING
    held = re.search(r"\d[.,]\d|[(\[{]\s*[-+]?\d", text) or re.fullmatch(r"[^A-Za-z]*\d[^A-Za-z]*", text)
    return held is not None
