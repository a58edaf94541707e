"""The examples of a training, from what people have: a loss for each, and who was a member.

The sources are read by leakage.tables, probabilities and logits by leakage.scores. Members and non-members
are judged together, so that no fault of one side's file becomes a difference between the two.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from leakage.command_line import BadInput, counted, short
from leakage.estimates import FEWEST_EXAMPLES
from leakage.scores import known_scores, losses_of_known, numbered_classes
from leakage.suspicions import refuse_means, refuse_other_tables, within_persons
from leakage.tables import MISSING, Notes, Source, Table, composed, read_table

TRUTHS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
WHOSE = {"members": True, "non-members": False}
WITH_A_POINT = r"[-+]?\d+(\.\d*)?([eE][-+]\d+)?"  # numbers as numpy and pandas write floats
WHOLE = 2.0**53  # from which on float64 does not tell whole numbers apart
TWO_THINGS = "one column cannot be two things"
ONE_COLUMN = "name its column: FILE:NAME"  # of labels and persons, for which there is no option


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, and whether a CSV begins with a header; None: found out, or not there."""

    loss: str | None = None
    member: str | None = None
    id: str | None = None
    group: str | None = None
    person: str | None = None
    header: bool | None = None


# ------------------------------------------------------------------------------------------------- examples


def read_training(
    sources: Sequence[Source],
    columns: Columns | None = None,
    labels: Sequence[Source] = (),
    persons: Sequence[Source] = (),
    notes: Notes | None = None,
) -> pd.DataFrame:
    """The examples of one training.

    sources: of the members and of the non-members, or one table with a member column. labels: if given, one
    for each source, which then holds probabilities or logits (n, classes), see losses_of. persons: one for
    each source, if no column of the source says whose each example is. notes: what is noticed is added there.
    Returns a frame with a row for each example, in the order given: `loss` (float64), `member` (bool), and
    where there are such columns `id`, `group` and `person` (texts), with labels also `label` (text) and
    `correct` (bool: the true class has the highest score). Raises BadInput for missing values, for what is
    not understood, and for what is no loss of an example.
    """
    columns = columns or Columns()
    notes = Notes() if notes is None else notes
    sides = 2 if columns.member is None else 1
    if len(sources) != sides or len(labels) not in (0, sides) or len(persons) not in (0, sides):
        given = f"{counted(len(sources), 'file')}, {len(labels)} of labels and {len(persons)} of persons"
        raise BadInput(f"{given}; give members and non-members in turn, or tables and a --member-column")
    parts = read_examples(sources, columns, labels, persons, notes)
    if columns.member is None:
        parts = [part.assign(member=place == 0) for place, part in enumerate(parts)]
    frame = pd.concat(parts, ignore_index=True)
    if frame["member"].nunique() < 2:
        raise BadInput(f"all {len(frame):,} examples are of one kind; members and non-members are needed")
    if "id" in frame:
        _refuse_repeated_ids(frame, columns)
    kinds = {whose: frame["loss"][frame["member"] == member].to_numpy() for whose, member in WHOSE.items()}
    for whose, member in WHOSE.items():
        side = frame[frame["member"] == member]
        refuse_means(kinds[whose], whose, notes, side.get("person"))
    if min(map(len, kinds.values())) > 1 and all(np.unique(losses).size == 1 for losses in kinds.values()):
        one, other = (losses[0] for losses in kinds.values())
        constant = f"all members have the same value, {one:g}, and all non-members, {other:g}"
        notes.suspect(f"{constant}; give the loss of each example, not the mean of all")
    if "group" in frame:
        _remark_on_groups(frame, notes)
    return frame


def read_examples(
    sources: Sequence[Source],
    columns: Columns | None = None,
    labels: Sequence[Source] = (),
    persons: Sequence[Source] = (),
    notes: Notes | None = None,
) -> list[pd.DataFrame]:
    """The examples of each source, see read_training. Without a member column two sources are of members and
    of non-members, and of a single one it is not known."""
    columns = columns or Columns()
    notes = Notes() if notes is None else notes
    tables = [read_table(source, columns.header, notes) for source in sources]
    sides = WHOSE.values() if len(tables) == 2 and columns.member is None else [None] * len(tables)
    roles = [_roles(table, columns, side) for table, side in zip(tables, sides, strict=True)]
    names: Sequence[str | None] = [None] * len(tables)
    if len(labels):
        label_tables = [read_table(source, columns.header, notes) for source in labels]
        parts = _losses_of_scores(sources, tables, roles, labels, label_tables, columns)
    else:
        names = [
            table.chosen(columns.loss, taken.values()) for table, taken in zip(tables, roles, strict=True)
        ]
        parts = [
            pd.DataFrame({"loss": _one_each(table, _numbers(table, name))})
            for table, name in zip(tables, names, strict=True)
        ]
        for table, part, name, taken in zip(tables, parts, names, roles, strict=True):
            persons_are_given = len(persons) > 0 or "person" in taken
            refuse_other_tables(table, part["loss"].to_numpy(), {name, *taken.values()}, persons_are_given)
    for place, (table, part) in enumerate(zip(tables, parts, strict=True)):
        for role, name in roles[place].items():
            values = _truths(table, name) if role == "member" else names_of(table, name)
            part[role] = _for_each(table, values, len(part), name)
        if len(persons):
            if columns.person is not None:
                raise BadInput("persons are given, and a column of persons too; leave out one of them")
            table = read_table(persons[place], columns.header, notes)
            name = table.chosen(None, roles[place].values(), ONE_COLUMN)
            if isinstance(persons[place], str | os.PathLike):
                file = str(persons[place]).removesuffix(f":{name}")
                if name == names[place] and file == str(sources[place]).removesuffix(f":{name}"):
                    table.refuse("the losses are given by --persons too", TWO_THINGS)
            part["person"] = _for_each(table, names_of(table, name), len(part), "persons")
    return parts


def _roles(table: Table, columns: Columns, side: bool | None = None) -> dict[str, str]:
    """The names of the columns that hold no losses, by what they hold.

    side: whether the table is that of the members; None: not known. A column that says so too is one of them.
    """
    wanted = {"member": columns.member, "id": columns.id, "group": columns.group, "person": columns.person}
    roles = {role: table.chosen(name) for role, name in wanted.items() if name is not None}
    _refuse_two_uses(table, roles, columns)
    if "member" not in roles and "member" in table.left(roles.values()):
        texts = pd.Series(table.columns["member"].ravel()).astype(str)
        if side is None or not (texts.str.strip().str.lower().map(TRUTHS) == side).all():
            table.refuse("has a column member", "say --member-column member, or leave that column out")
        roles["member"] = "member"
    return roles


def _refuse_two_uses(table: Table, roles: dict[str, str], columns: Columns) -> None:
    """Refuses a column that is named for two things. If no column of losses is named, one that is called loss
    is it."""
    uses = {f"--{role}-column": name for role, name in roles.items()}
    if columns.loss is not None:
        uses["--column"] = composed(columns.loss)
    seen: dict[str, str] = {}
    for option, name in uses.items():
        if name in seen:
            what = f"column {short(name, 40)} is named by {seen[name]} and by {option}"
            table.refuse(what, TWO_THINGS)
        if columns.loss is None and name.lower() == "loss":
            what = f"column {short(name, 40)} holds the losses, and is named by {option}"
            table.refuse(what, f"{TWO_THINGS}; say --column if the losses are in another")
        seen[name] = option


def _for_each(table: Table, values: np.ndarray, n: int, what: str) -> np.ndarray:
    """Values of any shape as (n,)."""
    if values.size != n:
        table.refuse(f"{n:,} losses, but {values.size:,} in {short(what, 40)}", "give one for each loss")
    return values.ravel()


def _refuse_repeated_ids(frame: pd.DataFrame, columns: Columns) -> None:
    repeated = frame["id"].duplicated()
    if not repeated.any():
        return
    name = frame["id"][repeated].iloc[0]
    kinds = frame["member"][frame["id"] == name].nunique()
    where = "among members and non-members" if kinds == 2 else "or more often"
    advice = "give each example its own id, members and non-members in one numbering"
    if "person" not in frame:
        advice += f"; for persons with several rows say --person-column {columns.id} instead"
    raise BadInput(f"the id {short(name, 40)} stands there twice, {where}; {advice}")


def _remark_on_groups(frame: pd.DataFrame, notes: Notes) -> None:
    """Tells of groups that seem to be written differently on the two sides. Small groups are not named: their
    rows would say who is in them."""
    groups, large = [], []
    for member in (True, False):
        side = frame[frame["member"] == member]
        units = side.drop_duplicates(["group", "person"]) if "person" in side else side
        sizes = units["group"].value_counts(sort=False)
        groups.append(sizes.index)
        large.append(sizes.index[sizes >= FEWEST_EXAMPLES])
    if different_spelling(*groups) is not None:
        spelled = different_spelling(*large)
        examples = "" if spelled is None else f", {spelled},"
        notes.remarks.append(f"Groups are written in two ways{examples} and taken for different ones.")
    elif groups[0].intersection(groups[1]).empty:
        question = "."
        if min(map(len, large)):
            examples = " and ".join(short(names[0], 40) for names in large)
            question = f"; are {examples} of one kind?"
        notes.remarks.append(f"No group has both members and non-members{question}")


def different_spelling(first: pd.Index, second: pd.Index) -> str | None:
    """Two names that may mean the same, "00017 and 17": one is missing among the second, the other among the
    first, and they differ in zeros before them, in capitals or blanks alone. None if there are none."""
    alone = first.difference(second, sort=False), second.difference(first, sort=False)
    if min(map(len, alone)) == 0:
        return None
    same = [
        pd.Series(names, names.str.replace(r"\s+", "", regex=True).str.lower().str.lstrip("0"), dtype=object)
        for names in alone
    ]
    common = same[0].index.intersection(same[1].index)
    if common.empty:
        return None
    return " and ".join(short(names[names.index == common[0]].iloc[0], 40) for names in same)


# --------------------------------------------------------------------------------------------------- scores


def _losses_of_scores(
    sources: Sequence[Source],
    tables: Sequence[Table],
    roles: Sequence[dict[str, str]],
    labels: Sequence[Source],
    label_tables: Sequence[Table],
    columns: Columns,
) -> list[pd.DataFrame]:
    """`loss`, `label` and `correct` of each source's examples; all sources hold the same kind of scores."""
    found, names_of_classes = [], []
    for source, table, taken, label in zip(sources, tables, roles, labels, strict=True):
        known = set(taken.values())
        if isinstance(label, str):
            name = label.removeprefix(f"{source}:")  # a column of the same file
            if name in known and name != taken.get("group"):
                table.refuse(
                    f"column {short(name, 40)} is given by --labels, and for another use", TWO_THINGS
                )
            known.add(name)
        scores, names = _scores(table, columns.loss, known)
        if names and found and sorted(names) == sorted(names_of_classes[0]):
            scores = scores[:, [names.index(name) for name in names_of_classes[0]]]
            names = names_of_classes[0]
        try:
            found.append(known_scores(scores, names))
        except BadInput as problem:
            table.refuse(*str(problem).rsplit("; ", 1))
        names_of_classes.append(names)
    kinds = {
        f"{'probabilities' if kind else 'logits'} of {scores.shape[1]} classes" for scores, kind in found
    }
    if len(kinds) > 1:
        raise BadInput(
            f"the sources hold {' and '.join(sorted(kinds))}; give the same kind of scores in both"
        )

    texts = [_labels(*side, columns) for side in zip(label_tables, tables, roles, strict=True)]
    classes = found[0][0].shape[1]
    try:
        numbers, order = numbered_classes(np.concatenate(texts), names_of_classes[0], classes)
    except BadInput as problem:
        label_tables[0].refuse(*str(problem).rsplit("; ", 1))
    if (order != np.arange(classes)).any():
        tables[0].remark("the columns of the classes are taken in the order of the numbers in their names.")
    parts = []
    for table, (scores, are_probabilities), labels_of_side in zip(tables, found, texts, strict=True):
        numbers_of_side, numbers = np.split(numbers, [len(labels_of_side)])
        scores = scores[:, order]
        try:
            losses = losses_of_known(scores, are_probabilities, numbers_of_side)
        except BadInput as problem:
            table.refuse(*str(problem).rsplit("; ", 1))
        correct = scores.argmax(axis=1) == numbers_of_side
        parts.append(pd.DataFrame({"loss": losses, "label": labels_of_side, "correct": correct}))
    return parts


def _scores(table: Table, wanted: str | None, taken: Collection[str]) -> tuple[np.ndarray, list[str]]:
    """Scores (n, classes): one array, or all columns but those taken, and the names of these columns."""
    names = table.left(taken) if wanted is None else [table.chosen(wanted)]
    scores = [_numbers(table, name, "scores") for name in names]
    if len({values.shape for values in scores}) != 1 or scores[0].ndim > 2 or not scores[0].size:
        table.refuse(f"holds {', '.join(names)}", "give one array (n, classes), or FILE:NAME")
    if len(scores) == 1:
        return scores[0], []
    return np.column_stack(scores), names if table.named else []


def _labels(labels: Table, table: Table, roles: dict[str, str], columns: Columns) -> np.ndarray:
    """Labels as texts, in the order of the table's examples: by their ids if both have these."""
    name = labels.chosen(None, [columns.id, columns.group, columns.person], ONE_COLUMN, "label")
    values = labels.columns[name]
    if values.dtype == bool:
        values = values.astype(int)
    texts = names_of(labels, name, _one_each(labels, values))
    if "id" in roles and columns.id in labels.columns:
        places = _places(labels, names_of(table, roles["id"]).ravel(), columns.id)
        if (places < 0).any():
            labels.refuse(f"{(places < 0).sum():,} examples have no label", "give one for each id")
        texts = texts[places]
    return texts


# ----------------------------------------------------------------------------------------------- references


def read_references(
    sources: Sequence[Source],
    memberships: Sequence[Source],
    examples: pd.DataFrame,
    columns: Columns,
    notes: Notes | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (K, n) of K reference models on the n examples, and whether each was trained on them (K, n).

    sources: losses of one reference (n,), or of several (models, n); a boolean array or the member column of
    the same source says which examples they were trained on, or else memberships, of the same shapes; the
    single word "none", in any case, stands for references that were trained on no example.
    Rows are matched by id where both have ids, else by their order. A loss is NaN where a reference was not
    judged on the example. notes: what is noticed is added there. Raises BadInput.
    """
    losses, trained = [], []
    trained_on_none = len(memberships) == 1 and isinstance(memberships[0], str)
    trained_on_none = trained_on_none and memberships[0].strip().lower() == "none"
    taken = [columns.id, columns.group, columns.person]
    for place, source in enumerate([*sources, *([] if trained_on_none else memberships)]):
        table = read_table(source, columns.header, notes)
        member = columns.member or "member"
        told = [name for name, values in table.columns.items() if values.dtype == bool or name == member]
        if place < len(sources):
            wanted = columns.loss if columns.loss in table.columns else None
            values = _numbers(table, table.chosen(wanted, [*told, *taken]))
            aligned = _aligned(table, values, examples, columns.id)
            in_rows = np.atleast_2d(_one_each(table, values) if 1 in values.shape else values)
            for of_rows, of_examples in zip(in_rows, aligned, strict=True):
                if "person" not in examples or not within_persons(of_examples, examples["person"]):
                    refuse_means(of_rows, "a reference", table.notes)
            losses.extend(aligned)
        else:
            told = told or [table.chosen(None, taken)]
        for name in told:
            trained.extend(_aligned(table, _truths(table, name), examples, columns.id))
    if trained_on_none:
        trained += [np.zeros(len(examples)) for _ in losses]
    if len(losses) != len(trained):
        given = f"losses of {counted(len(losses), 'reference')}, but the members of {len(trained)}"
        advice = "give --reference-members FILE (or none), --member-column, or a boolean array in each .npz"
        raise BadInput(f"{given}; {advice}")
    return np.array(losses), np.array(trained) == 1


def _aligned(table: Table, values: np.ndarray, examples: pd.DataFrame, id_column: str | None) -> np.ndarray:
    """Values (models, n) in the order of the examples, NaN where the table lacks one."""
    values = np.atleast_2d(_one_each(table, values) if 1 in values.shape else values).astype(float)
    places = np.arange(values.shape[1])
    if id_column in table.columns and "id" in examples:
        places = _places(table, examples["id"], id_column, len(places))
    elif values.shape[1:] != (len(examples),):
        what = f"its shape is {values.shape}, but {len(examples):,} examples are audited"
        table.refuse(what, "(models, members then non-members), or match rows by --id-column")
    return np.where(places >= 0, values[:, places], np.nan)


def _places(table: Table, wanted: Sequence[str], id_column: str, n: int | None = None) -> np.ndarray:
    """The rows of the ids that are wanted, -1 where the table lacks one; n: how many rows it has."""
    ids, wanted = pd.Index(names_of(table, id_column).ravel()), pd.Index(wanted)
    if not len(ids) or not ids.is_unique or len(ids) != (len(ids) if n is None else n):
        table.refuse(f"{n or len(ids):,} examples, {ids.nunique():,} different ids", "give each its own")
    places = ids.get_indexer(wanted)
    spelled = different_spelling(wanted, ids) if (places < 0).any() else None
    if spelled is not None:
        table.refuse(f"its ids are written in another way: {spelled}", "write them alike in all files")
    if (places < 0).all():
        examples = f"{short(wanted[0], 30)} there, {short(ids[0], 30)} here"
        table.refuse(f"none of its ids is that of an example: {examples}", "write them alike in all files")
    return places


# --------------------------------------------------------------------------------------------------- values


def _numbers(table: Table, name: str, what: str = "losses") -> np.ndarray:
    """A column in float64, of any shape; refuses what is no number, and missing values."""
    values = table.columns[name]
    if values.dtype.kind in "OUS" and pd.api.types.infer_dtype(values.ravel(), skipna=False) == "string":
        try:  # at a third of the time, if no value is missing
            values = values.astype(float)
        except ValueError:
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
        table.refuse(problem, "write numbers as 0.53; name an --id-column if it is one")
    missing = np.isnan(np.atleast_1d(values))
    if missing.any():
        row, *further = (index + 1 for index in np.unravel_index(missing.argmax(), missing.shape))
        where = f"first in row {row:,}" + (f", column {further[0]:,}" if further else "")
        what = f"{missing.sum():,} of {missing.size:,} {what} are missing or NaN, {where}"
        table.refuse(what, "find out why, then leave these examples out")
    return values


def _one_each(table: Table, values: np.ndarray) -> np.ndarray:
    """Values (n,) from (n,), (n, 1) or (1, n)."""
    if not values.ndim or max(values.shape) != values.size or not values.size:
        advice = "one number for each example; probabilities or logits need --labels, one-hot labels argmax"
        table.refuse(f"its shape is {values.shape}", advice)
    return values.ravel()


def names_of(table: Table, name: str, values: np.ndarray | None = None) -> np.ndarray:
    """A column of ids, groups, persons or labels as texts, of any shape; refuses missing ones.

    A whole number is written without a point: what is 17 in one file is 17.0 in another, where numpy saved
    it, or pandas, after a join.
    """
    texts = _texts(table, name, values).copy()
    written = pd.Series(texts.ravel())
    written = written[written.str.contains("[.+]")]  # few have any: all others need no closer look
    numbers = written[written.str.fullmatch(WITH_A_POINT)].astype(float)
    numbers = numbers[(numbers == np.floor(numbers)) & (numbers.abs() < WHOLE)]
    texts.ravel()[numbers.index] = numbers.astype(np.int64).astype(str)
    return texts


def _texts(table: Table, name: str, values: np.ndarray | None = None) -> np.ndarray:
    """A column as texts, of any shape; refuses missing ones."""
    values = table.columns[name] if values is None else values
    texts = pd.Series([composed(str(value).strip()) for value in values.ravel()], dtype=object)
    # In a CSV only a blank cell is nothing: there are people called None, and Namibia is NA.
    blank = (texts == "").to_numpy() | pd.isna(pd.Series(values.ravel())).to_numpy()
    if blank.any():
        place = short(name, 40) or "it"
        what = f"{blank.sum():,} rows have nothing in {place}, first row {blank.argmax() + 1:,}"
        table.refuse(what, "fill them in")
    return texts.to_numpy(object).reshape(values.shape)


def _truths(table: Table, name: str) -> np.ndarray:
    """A column of memberships, of any shape, as booleans."""
    texts = _texts(table, name)
    truths = pd.Series(texts.ravel()).str.lower().map(TRUTHS)
    if truths.isna().any():
        wrong = short(texts.ravel()[truths.isna().argmax()], 40)
        table.refuse(f"{wrong!r} in {short(name, 40)} is no membership", "write 1 or 0")
    return truths.to_numpy(bool).reshape(texts.shape)
