"""An audit of anybody's model: losses in, and out a verdict, a table, and a report to keep.

    python -m leakage MEMBERS NONMEMBERS

Members are the examples that the model was trained on, non-members others from the same source. The report
says whether the model leaks who was a member, how sure that is, and what it rests on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import platform
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import date as calendar
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leakage.calibration import calibrated, reference_losses, without_surplus
from leakage.checks import accuracy_of, unrelated
from leakage.command_line import (
    BadInput,
    OneLineParser,
    counted,
    finite_number,
    positive_number,
    run,
    short,
)
from leakage.estimates import EPSILON_IN_FAMILY, FAMILY, LOW_FPRS, allowed
from leakage.files import Columns, different_spelling, read_references, read_training
from leakage.findings import (
    claim_on_epsilon,
    comparable_groups,
    contrast_of,
    difference_to_control,
    epsilon_of,
    explained_by_shares,
    finding_of,
    groups_of,
    kind_of,
    losses_of,
    measures_of,
    persons_of,
    persons_refused,
    same_source,
    unequal_columns,
    warnings_of,
)
from leakage.look import looked_at, new_figure, png_of, styles_of
from leakage.output import output_folder, write_whole
from leakage.page import body_of, page_of
from leakage.panels import loss_panel, roc_panel, shown_of
from leakage.tables import Notes, Source, listed
from leakage.wording import first_sentence, meaning_of, print_report, sure, verdict_of

VERSION = "1.0"
FOLDER = "audit"  # for the report, in the working directory
TITLE = "Membership inference audit"
DELTA = 1e-5  # of the lower bound on epsilon; at a larger delta it is lower, so it holds for smaller ones too
FAIL_IF = re.compile(r"\s*([\w.]+)\s*(<=|>=|<|>)\s*(\S+)\s*")
FAILED = 3  # exit status where --fail-if holds


class Report(dict):
    """What an audit found: a dict, which audit.json holds, and which a notebook's cell shows as a page."""

    def __init__(self, found: Mapping[str, object], draw: partial, examples: partial) -> None:
        super().__init__(found)
        self._draw, self._examples = draw, examples

    def __reduce__(self) -> tuple:
        # The figure is drawn from every loss, and who was a member: that stays where it was audited.
        return dict, (dict(self),)

    def figure(self) -> Figure:
        """ROC curves, and where the losses lie."""
        return self._draw()

    def png(self) -> bytes:
        """The figure, as a PNG file's content."""
        with looked_at():
            return png_of(self.figure())

    def _repr_html_(self) -> str:
        return body_of(self, self.png())

    def save(self, folder: str | Path, *, examples: bool = False) -> list[str]:
        """Writes audit.html, audit.json and mia_audit.png into a folder, and returns their names.

        examples: confidential/audit_examples.csv too, which lists who was a member.
        Raises BadInput if the folder cannot be written.
        """
        folder, figure = output_folder(folder), self.png()
        contents = {
            "audit.html": page_of(self, figure).encode(),
            "audit.json": json.dumps(self, indent=1).encode(),
            "mia_audit.png": figure,
        }
        if examples:
            output_folder(folder / "confidential")
            contents["confidential/audit_examples.csv"] = self._examples().encode()
        for name, content in contents.items():
            write_whole(folder / name, content)
        return list(contents)


def audit(
    *sources: Source,
    against: Sequence[Source] = (),
    references: Sequence[Source] = (),
    reference_members: Sequence[Source] = (),
    control: Sequence[Source] = (),
    labels: Sequence[Source] = (),
    persons: Sequence[Source] = (),
    column: str | None = None,
    member_column: str | None = None,
    id_column: str | None = None,
    group_column: str | None = None,
    person_column: str | None = None,
    header: bool | None = None,
    claimed_epsilon: float | None = None,
    delta: float | None = None,
    title: str = TITLE,
    date: str | None = None,
    command: str = "leakage.audit.audit(...)",
    output: str | Path | None = None,
    examples: bool = False,
    as_given: bool = False,
) -> Report:
    """Audits one model, or several trainings of one kind; every source is a file, an array or a data frame.

    sources: losses of members, of non-members, of the next training's members, ...; with a member_column one
        table for each training. Files of any kind that leakage.files reads.
    against: the same of a second model or kind, for the difference between the two.
    references: losses of reference models on the same examples, for the calibrated attack;
        reference_members: which examples each was trained on, unless the references' own files say so; the
        word "none" for references that were trained on neither side, of which one is enough.
    control: losses, on the same examples, of one model that saw neither side: members and non-members as for
        sources, or one source with all of them in this order. The finding is then the difference to it.
    labels: of the members, of the non-members (of the table, with a member_column); then all sources hold
        probabilities or logits (n, classes).
    persons: of the members, of the non-members (of the table): whose each row is, if several rows may belong
        to one person; person_column: the column of a table that says so. Then the person is the unit.
    column, member_column, id_column, group_column: which columns hold the loss, the membership, an id shared
        by all files, and a group to be reported on its own. header: whether CSVs have one; None: found out.
    claimed_epsilon, delta: of differential privacy, to be compared with the lower bound that is found; delta
        is 1e-5 if not given.
    title, date, command: for the report; the date is today's if not given.
    output: a folder for audit.html, audit.json and mia_audit.png; None writes nothing. examples: whether to
        write confidential/audit_examples.csv too, which lists who was a member.
    as_given: whether to audit what seems to be no loss of an example, such as the means of batches or the
        rows of a training log. The report then says what it was taken for.
    Returns what audit.json holds, as a dict that a notebook shows as a page. Raises BadInput, in one line,
    for whatever cannot be used.
    """
    against, references, reference_members, control, labels, persons = map(
        listed, (against, references, reference_members, control, labels, persons)
    )
    if reference_members and not references:
        raise BadInput("the members of references are given, but no references; see --references")
    if claimed_epsilon is not None and not 0 < claimed_epsilon < np.inf:
        raise BadInput(f"the claimed epsilon must be a finite number above 0, not {claimed_epsilon}")
    columns = Columns(column, member_column, id_column, group_column, person_column, header)
    notes = Notes(as_given=as_given)
    frames = _trainings(sources, labels, persons, columns, notes)
    rivals = _trainings(against, labels, persons, columns, notes) if against else []
    _give_numbers([*frames, *rivals])
    trained_on_them = False  # whether any reference was trained on any of the records
    for frame in frames if references else []:
        losses, trained = read_references(references, reference_members, frame, columns, notes)
        _calibrate(frame, losses, trained, notes)
        trained_on_them |= bool(trained.any())
    if control:
        _add_control(frames, control, labels, persons, columns, notes)

    attacks = ["loss", "calibrated"] if references else ["loss"]
    attack = attacks[-1]
    group_sets = {"groups": ("group", group_column), "classes": ("label", "class")}
    group_sets = {name: by for name, by in group_sets.items() if by[0] in frames[0]}
    compared = {name: comparable_groups(frames, attack, column) for name, (column, _) in group_sets.items()}
    refused = persons_refused(frames, attack)
    # A model that leaks nothing has as many chances to seem to leak as questions are asked: each attack, of
    # one training or of the mean and of the single trainings; each set of groups; persons.
    several = len(frames) > 1
    sets_asked = sum(len(groups) > 0 for groups, _ in compared.values())
    questions = len(attacks) * (1 + several) + sets_asked + (refused == "")
    confidences = {measure: 1 - (1 - alone) / questions for measure, alone in FAMILY.items()}
    of_trainings = {name: 1 - (1 - confidence) / len(frames) for name, confidence in confidences.items()}
    confidences["epsilon_low"] = 1 - (1 - EPSILON_IN_FAMILY) / questions
    delta, delta_is_given = DELTA if delta is None else delta, delta is not None

    found: dict[str, object] = {
        "title": short(title, 120),
        "date": short(date or calendar.today().isoformat(), 40),
        "version": f"leakage {VERSION}, code {_code()}",
        "command": command,
        "inputs": [{"name": each.name, "bytes": each.size, "sha256": each.sha256} for each in notes.inputs],
        "attack": attack,
        "confidences": confidences,
        "confidences_of_trainings": of_trainings,
        "trainings": measures_of(frames, attacks, of_trainings, delta),
    }
    for_verdict = confidences["epsilon_low"]
    found["epsilon"] = epsilon_of(found["trainings"], frames, attack, delta, for_verdict)
    if references:
        found["references"] = {"trained_on_these_records": trained_on_them}
    trainings = {score: [losses_of(frame, score) for frame in frames] for score in attacks}
    if several:
        kinds = {score: kind_of(of, confidences) for score, of in trainings.items()}
        found |= {"kind": kinds[attack], "kind_by_loss": kinds["loss"]}
    if "correct" in frames[0]:
        found["accuracy"] = [accuracy_of(frame) for frame in frames]
    for name, (_, by) in group_sets.items():
        found[name] = groups_of(*compared[name], attack, by, confidences["auc"], beside_control=bool(control))
    if refused is not None:
        found["persons"] = {"refused": refused}
        if not refused:
            found["persons"] = persons_of(frames, attack, confidences["auc"], beside_control=bool(control))
    if rivals:
        found["against"] = measures_of(rivals, ["loss"], of_trainings, delta)
        found["contrast"] = contrast_of(frames, rivals)
    found["same_source"] = same_source(frames, group_sets)
    if control:
        found["control"] = difference_to_control(frames, attack, confidences["auc"])
    unequal = unequal_columns(found["same_source"]["checks"], group_sets)
    if unequal:
        found["same_source"]["explained"] = explained_by_shares(frames, attack, unequal)
    found["finding"] = finding_of(
        found, frames, attacks, {name: of for name, (of, _) in compared.items()}, unequal
    )
    if claimed_epsilon is not None:
        found["claim"] = claim_on_epsilon(found, claimed_epsilon, delta_is_given)
    found["taken_as_given"] = list(dict.fromkeys(notes.taken))
    warnings = [*notes.taken, *notes.remarks, *warnings_of(found, [*frames, *rivals], computed=bool(labels))]
    found["warnings"] = list(dict.fromkeys(warnings))
    found["versions"] = {name: version(name) for name in ("numpy", "scipy", "pandas", "matplotlib")}
    found["versions"]["python"] = platform.python_version()
    # Numbers become Python's own, and None what is not finite, which JSON does not know.
    found = json.loads(json.dumps(found, default=np.generic.item), parse_constant=lambda _: None)
    found = {"verdict": verdict_of(found), "meaning": meaning_of(found)} | found
    signal = "loss (nats)" if labels else f"{column or 'loss'}, as given"
    report = Report(
        found, partial(_figure, frames, rivals, found, signal), partial(_examples, frames, attack)
    )
    if output is not None:
        report.save(output, examples=examples)
    return report


def _code() -> str:
    """The first digits of the SHA-256 of this package's own code, by which a later version is told apart."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# -------------------------------------------------------------------------------------------------- examples


def _trainings(
    sources: Sequence[Source],
    labels: Sequence[Source],
    persons: Sequence[Source],
    columns: Columns,
    notes: Notes,
) -> list[pd.DataFrame]:
    """The examples of each training, see files.read_training."""
    sides = 2 if columns.member is None else 1
    if not sources or len(sources) % sides or len(labels) not in (0, sides):
        given = f"{counted(len(sources), 'file')} and {len(labels)} of labels"
        raise BadInput(f"{given}; give members and non-members in turn, or tables and a --member-column")
    starts = range(0, len(sources), sides)
    return [
        read_training(sources[start : start + sides], columns, labels, persons, notes) for start in starts
    ]


def _give_numbers(frames: list[pd.DataFrame]) -> None:
    """Gives each frame a `number`, which the same example has in all of them: by id, or by its row. Persons
    become numbers too, the same in all frames."""
    names = [frame.get("id", frame.index) for frame in frames]
    for other in names[1:] if "id" in frames[0] else []:
        spelled = different_spelling(pd.Index(names[0]), pd.Index(other))
        if spelled is not None:
            raise BadInput(f"ids are written in two ways, {spelled}; write them alike in all files")
    if "id" not in frames[0] and not all(frame["member"].equals(frames[0]["member"]) for frame in frames):
        raise BadInput("the trainings have other examples; say which is which with an --id-column")
    numbers = pd.Index(np.concatenate(names)).unique()
    for frame, names_of_frame in zip(frames, names, strict=True):
        frame["number"] = numbers.get_indexer(names_of_frame)
    if "person" in frames[0]:
        persons = pd.factorize(np.concatenate([frame["person"] for frame in frames]))[0]
        ends = np.cumsum([len(frame) for frame in frames])[:-1]
        for frame, of_frame in zip(frames, np.split(persons, ends), strict=True):
            frame["person"] = of_frame


def _calibrate(frame: pd.DataFrame, losses: np.ndarray, trained: np.ndarray, notes: Notes) -> None:
    """Adds `calibrated`, NaN where no reference, or every one, was trained on the example. If none was
    trained on any example it is NaN where no reference knows it. And `reference`, the mean loss of the
    references that know the example.

    losses, trained (K, n): of the K references, see read_references. notes: what is remarked is added there.
    """
    own = frame["loss"].to_numpy()
    strange = [str(place) for place, of_one in enumerate(losses, 1) if unrelated(own, of_one)]
    if strange:
        which = f"{'reference' if len(strange) == 1 else 'references'} {short(', '.join(strange), 40)}"
        which = "the references" if len(strange) == len(losses) > 1 else which
        _remark_on_order(which, notes)
    balanced = without_surplus(losses, trained, frame["member"].to_numpy())
    if balanced is not None:
        losses, trained = balanced
        notes.remarks.append(
            "One reference more was trained on each non-member than on each member, as where each record is "
            "in a fixed number of models and the audited model is one of them. So that this does not tell "
            "the members, one reference of each record was left out by lot."
        )
    pairs = zip(losses, trained, strict=True)
    references = [losses_of(frame.assign(loss=loss, member=member), "loss") for loss, member in pairs]
    reference_losses(losses_of(frame, "loss"), references)  # refuses references that know who is a member
    judged = ~np.isnan(losses)
    count, inside = judged.sum(axis=0), (judged & trained).sum(axis=0)
    # Divided before they are added up: the sum of losses near 1e308 would be infinite.
    mean = np.where(judged, losses / np.maximum(count, 1), 0).sum(axis=0)
    frame["reference"] = np.where(count > 0, mean, np.nan)
    usable = (inside > 0) & (inside < count) if inside.any() else count > 0
    frame["calibrated"] = frame["loss"].where(usable)
    known = frame["calibrated"].notna()
    if frame.loc[known, "member"].nunique() < 2:
        lacking = "no member, or no non-member, has a reference trained on it and another that was not"
        raise BadInput(
            f"{lacking}; train them on random halves of members and non-members together, or on neither"
        )
    scores = calibrated(losses_of(frame, "calibrated"), references)
    frame.loc[known & frame["member"], "calibrated"] = scores.members
    frame.loc[known & ~frame["member"], "calibrated"] = scores.nonmembers


def _remark_on_order(which: str, notes: Notes) -> None:
    notes.remarks.append(
        f"The losses of {which} have nothing to do with the model's. Are the rows in one order, members "
        "first?"
    )


def _add_control(
    frames: list[pd.DataFrame],
    control: Sequence[Source],
    labels: Sequence[Source],
    persons: Sequence[Source],
    columns: Columns,
    notes: Notes,
) -> None:
    """Adds `control`, the losses of a model that saw neither side; NaN where it was not judged."""
    if len(control) == 1 and columns.member is None:
        for frame in frames:
            losses, _ = read_references(control, ["none"], frame, columns, notes)
            if len(losses) != 1:
                raise BadInput(f"the control holds losses of {len(losses)} models; give those of one")
            frame["control"] = losses[0]
        _check_order_of_control(frames, notes)
        return
    [judged, *more] = _trainings(control, labels, persons, columns, notes)
    if more:
        raise BadInput(f"the control is one model, not {1 + len(more)}")
    _give_numbers([*frames, judged])
    losses = judged.set_index("number")["loss"]
    for frame in frames:
        frame["control"] = losses.reindex(frame["number"]).to_numpy()
        if frame.loc[frame["control"].notna(), "member"].nunique() < 2:
            raise BadInput("the control has no losses of the members, or none of the non-members")
    _check_order_of_control(frames, notes)


def _check_order_of_control(frames: list[pd.DataFrame], notes: Notes) -> None:
    if any(unrelated(frame["loss"].to_numpy(), frame["control"].to_numpy()) for frame in frames):
        _remark_on_order("the control", notes)


# ---------------------------------------------------------------------------------------------------- report


def _examples(frames: list[pd.DataFrame], attack: str) -> str:
    """A CSV with a row for each training and example, in the order given; rank 1 is the most exposed example.

    An example without an id has its row among the members, or among the non-members, counted from 0.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # in less time than pandas takes
    for number, frame in enumerate(frames, 1):
        scores, nonmembers = frame[attack], losses_of(frame, attack).nonmembers
        threshold = np.sort(nonmembers)[allowed(LOW_FPRS["1pct"], len(nonmembers))]
        table = frame[list(dict.fromkeys(["member", "loss", attack]))].astype({"member": int})
        table.insert(0, "id", frame["id"] if "id" in frame else frame.groupby("member").cumcount())
        table["rank"] = scores.rank(method="min").astype("Int64")
        table["called_at_1pct_fpr"] = (scores < threshold).astype("Int64").where(scores.notna())
        if len(frames) > 1:
            table.insert(0, "training", number)
        if number == 1:
            writer.writerow(table)
        columns = (column.astype(object).where(column.notna(), None).tolist() for _, column in table.items())
        writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _figure(frames: list[pd.DataFrame], rivals: list[pd.DataFrame], report: dict, signal: str) -> Figure:
    """ROC curves of every attack and model, and the distributions of the strongest attack's score.

    signal: the name of the loss, for the axis.
    """
    drawn = {"loss": (frames, "loss", "trainings")}
    if report["attack"] == "calibrated":
        signal = "calibrated loss (nats)"
        drawn["calibrated loss"] = (frames, "calibrated", "trainings")
    strongest = len(drawn) - 1
    if rivals:
        drawn["loss of the other"] = (rivals, "loss", "against")
    looks, models = styles_of(list(drawn)), []
    for label, (kind, attack, part) in drawn.items():
        trainings = [losses_of(frame, attack) for frame in kind]
        found = [training[attack] for training in report[part]]
        models.append(shown_of(label, looks[label], trainings, found))
    caption = (
        "Members are records that the model was trained on. The attack calls a record a member if its "
        "value is below a threshold; a non-member so called is a false alarm. "
    )
    by_person = "person" in frames[0]
    # For rows of persons it would be too narrow.
    caption += (
        "Dotted: as many members as false alarms, by chance."
        if by_person
        else "Grey: where 95% of models that leak nothing would lie, at each rate by itself."
    )
    if any(model.points for model in models):
        caption += f" Markers: TPR at a low FPR, with {sure(report, 'tpr_at_1pct_fpr')} intervals."
    with looked_at():
        figure = new_figure(6.5, first_sentence(report), caption)
        roc, distributions = figure.subplots(1, 2)
        roc_panel(roc, models, "Members found, by false alarms", band=not by_person)
        loss_panel(distributions, models[strongest:], "Where members and non-members lie", signal)
    return figure


# ---------------------------------------------------------------------------------------------- command line


def number_named(report: Mapping, name: str) -> float:
    """A number of audit.json by its name: of the finding, or by its path, such as trainings.0.loss.auc_high.

    Raises BadInput if there is no such number, if there are several, and if it is not known.
    """
    numbers = dict(_numbers(report, ""))
    paths = [path for path in (f"finding.{name}", name) if path in numbers]
    paths = paths or [path for path in numbers if path.endswith(f".{name}")]
    if not paths:
        known = ", ".join(path.removeprefix("finding.") for path in numbers if path.startswith("finding."))
        raise BadInput(
            f"--fail-if: audit.json has no number {short(name, 40)}; it has {short(known, 200)} ..."
        )
    if len(paths) > 1:
        raise BadInput(
            f"--fail-if: {short(name, 40)} stands in {len(paths)} places; say which: "
            f"{short(', '.join(paths), 160)}"
        )
    value = numbers[paths[0]]
    if value is None:
        why = "for these examples; ask for another number"
        if report["finding"]["sides_differ"]:
            why = "where the two sides differ without the model; see sides_differ"
        raise BadInput(f"--fail-if: {short(name, 40)} is not known {why}")
    return float(value)


def _numbers(found: object, path: str):
    """Every number, truth and None of nested dicts and lists, with its path."""
    if isinstance(found, dict | list):
        items = found.items() if isinstance(found, dict) else enumerate(found)
        for name, value in items:
            yield from _numbers(value, f"{path}.{name}" if path else str(name))
    elif found is None or isinstance(found, int | float):
        yield path, found


def condition(text: str) -> tuple[str, str, float]:
    """A condition of --fail-if, such as "auc_high > 0.55": name, operator, number; for argparse."""
    matched = FAIL_IF.fullmatch(text)
    if not matched:
        raise argparse.ArgumentTypeError(
            f"{short(text, 60)!r} is no condition; write as in 'auc_high > 0.55'"
        )
    name, operator, number = matched.groups()
    return name, operator, finite_number(number)


def holds(report: Mapping, name: str, operator: str, number: float) -> bool:
    """Whether a condition of --fail-if holds."""
    value = number_named(report, name)
    return {"<": value < number, ">": value > number, "<=": value <= number, ">=": value >= number}[operator]


def _without_output(words: Sequence[str]) -> list[str]:
    """A command's words but for --output DIR: where a report is kept is no part of what it says."""
    kept, remaining = [], iter(words)
    for word in remaining:
        name, _, folder = word.partition("=")
        if word == "--":
            return [*kept, word, *remaining]
        if name == "--output":
            if not folder:
                next(remaining, None)
            continue
        kept.append(word)
    return kept


def command_line(arguments: Sequence[str] | None = None, program: str = "python -m leakage") -> None:
    """Audits what the arguments name, prints the report, and writes it into a folder."""
    parser = OneLineParser(prog=program, description="How much a model's losses tell of its training data.")
    further = "losses of members, of non-members; then those of further trainings of the same kind"
    parser.add_argument("files", nargs="+", metavar="FILE", help=further)
    for option, help_text in {
        "--against": "the same of another model, or of several trainings of another kind",
        "--references": "losses of reference models on the same examples, for the calibrated attack",
        "--reference-members": "which examples each reference was trained on, if its own file does not say; "
        "the word none for references that were trained on neither side",
        "--control": "losses of one model that saw neither side, on the same examples",
        "--labels": "labels of members, of non-members; then FILE holds probabilities or logits (n, classes)",
        "--persons": "whose each row is, of members, of non-members, if a person has several rows",
    }.items():
        parser.add_argument(option, nargs="+", metavar="FILE", default=[], help=help_text)
    for option, help_text in {
        "--column": "the column of the losses",
        "--member-column": "the column that is 1 for members, 0 for non-members; then FILE is one table",
        "--id-column": "the column of the examples' ids, by which files are matched",
        "--group-column": "a column of groups, each of which is reported too",
        "--person-column": "the column that says whose each row is, if a person has several rows",
    }.items():
        parser.add_argument(option, metavar="NAME", help=help_text)
    taken = "audit what seems to be no loss of an example; the report says what it was taken for"
    parser.add_argument("--as-given", action="store_true", help=taken)
    parser.add_argument("--header", choices=["yes", "no"], help="whether CSV files begin with a header")
    bound = "to compare with the lower bound found"
    parser.add_argument("--claimed-epsilon", type=positive_number, metavar="E", help=bound)
    parser.add_argument(
        "--delta", type=finite_number, metavar="D", help=f"of that claim and bound ({DELTA:g})"
    )
    parser.add_argument("--title", default=TITLE, metavar="TEXT", help="of the report (%(default)s)")
    parser.add_argument("--date", metavar="TEXT", help="of the report (today)")
    parser.add_argument("--output", default=FOLDER, metavar="DIR", help="for the report (%(default)s)")
    listing = "write every example's rank too, which lists who was a member, into confidential/"
    parser.add_argument("--examples", action="store_true", help=listing)
    failing = (
        f"end with status {FAILED} if a number of audit.json is so, as 'auc_high > 0.55'; may be repeated"
    )
    conditions: list[tuple[str, str, float]] = []
    parser.add_argument(
        "--fail-if", type=condition, action="append", default=conditions, metavar="CONDITION", help=failing
    )
    words = sys.argv[1:] if arguments is None else [*arguments]
    options = vars(parser.parse_args(words))
    options["header"] = {"yes": True, "no": False}.get(options["header"])
    files, folder, examples, conditions = (
        options.pop(name) for name in ("files", "output", "examples", "fail_if")
    )
    failed = []

    def study() -> None:
        report = audit(*files, command=shlex.join([*program.split(), *_without_output(words)]), **options)
        # All of them, so that a name that is not known is refused before anything is printed or written.
        for name, operator, number in conditions:
            if holds(report, name, operator, number):
                failed.append(f"{name} is {number_named(report, name):.6g}, {operator} {number:g}")
        # Before any file is written, so that it is seen even where none can be.
        print_report(report)
        names = report.save(folder, examples=examples)
        print(f"\n{', '.join(names[:-1])} and {names[-1]} written into {folder}")
        if examples:
            print(f"{names[-1]} lists who was a member: keep it from those who may not know.")

    run(program, study)
    if failed:
        print(*(f"{program}: {line}" for line in failed), sep="\n", file=sys.stderr)
        sys.exit(FAILED)
