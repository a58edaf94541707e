"""An audit of anybody's model: losses in, and out a sentence, a table, and three files to keep.

    python -m leakage MEMBERS NONMEMBERS

Members are the examples that the model was trained on, non-members others from the same source. The report
says whether the model leaks who was a member, how sure that is, and how many members can be named.
"""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leakage.calibration import calibrated, precision_table, reference_losses
from leakage.command_line import BadInput, OneLineParser, finite_number, positive_number, run, show
from leakage.contrasts import contrast_of_kinds, groups_differ, interval_of_kind, paired_contrast, verdict
from leakage.estimates import (
    FEWEST_EXAMPLES,
    LOW_FPRS,
    Losses,
    allowed,
    measure_leakage,
    nonmembers_needed,
)
from leakage.files import Columns, read_references, read_training
from leakage.look import looked_at, new_figure, save_figures, styles_of
from leakage.lower_bound import epsilon_lower_bounds, fair_sides
from leakage.output import output_folder, write_whole
from leakage.panels import loss_panel, roc_panel, shown_of
from leakage.tables import Notes, Source

FOLDER = "audit"  # for the report, in the working directory
DELTA = 1e-5  # of the lower bound on epsilon; at a larger delta it is lower, so it holds for smaller ones too
TIED = 0.01  # share of losses tied at the smallest value that is worth a warning
SHARED = 0.1  # share of values on both sides that is worth a warning
MEASURES = {  # key in measure_leakage: name
    "auc": "AUC",
    "heldout_advantage": "held-out advantage",
    "advantage": "advantage, same examples",
    "tpr_at_1pct_fpr": "TPR at 1% FPR",
    "tpr_at_0p1pct_fpr": "TPR at 0.1% FPR",
    "tnr_at_1pct_fnr": "TNR at 1% FNR",
}


def audit(
    *sources: Source,
    against: Sequence[Source] = (),
    references: Sequence[Source] = (),
    reference_members: Sequence[Source] = (),
    labels: Sequence[Source] = (),
    column: str | None = None,
    member_column: str | None = None,
    id_column: str | None = None,
    group_column: str | None = None,
    header: bool | None = None,
    claimed_epsilon: float | None = None,
    delta: float = DELTA,
    output: str | Path | None = None,
) -> dict[str, object]:
    """Audits one model, or several trainings of one kind; every source is a file, an array or a data frame.

    sources: losses of members, of non-members, of the next training's members, ...; with a member_column one
        table for each training. Files of any kind that leakage.files reads.
    against: the same of a second model or kind, for the difference between the two.
    references: losses of reference models on the same examples, for the calibrated attack;
        reference_members: which examples each was trained on, unless the references' own files say so.
    labels: of the members, of the non-members (of the table, with a member_column); then all sources hold
        probabilities or logits (n, classes).
    column, member_column, id_column, group_column: which columns hold the loss, the membership, an id shared
        by all files, and a group to be reported on its own. header: whether CSVs have one; None: found out.
    claimed_epsilon, delta: of differential privacy, to be compared with the lower bound that is found.
    output: a folder for audit.json, audit_examples.csv and mia_audit.png; None writes nothing.
    Returns what audit.json holds. Raises BadInput, in one line, for whatever cannot be used.
    """
    if len(reference_members) and not len(references):
        raise BadInput("the members of references are given, but no references; see --references")
    columns = Columns(column, member_column, id_column, group_column, header=header)
    attack = "calibrated" if len(references) else "loss"
    warnings: list[str] = []
    frames = _trainings(sources, labels, columns, warnings)
    rivals = _trainings(against, labels, columns, warnings) if len(against) else []
    _give_numbers([*frames, *rivals])
    for frame in frames if len(references) else []:
        _calibrate(frame, *read_references(references, reference_members, frame, columns))

    report = {"attack": attack, "trainings": _measured(frames, attack, delta)}
    if len(frames) > 1:
        report["kind"] = interval_of_kind([_losses(frame, attack) for frame in frames])
    if group_column is not None:
        report["groups"] = _groups(frames, attack)
    if rivals:
        report["against"] = _measured(rivals, "loss", delta)
        report["contrast"] = _contrast(frames, rivals)
    measured = [*report["trainings"], *report.get("against", [])]
    for frame, found in zip([*frames, *rivals], measured, strict=True):
        warnings += doubts(_losses(frame, "loss"), found["loss"], computed=len(labels) > 0)
    if claimed_epsilon is not None:
        report["claimed_epsilon"] = claimed_epsilon
        if _largest_bound(report)["epsilon_low"] > claimed_epsilon:
            above = f"The lower bound on epsilon is above the claimed {claimed_epsilon:g}"
            warnings.append(f"{above}: the claim is wrong, or the members were not drawn by lot.")
    report["warnings"] = list(dict.fromkeys(warnings))
    report["versions"] = {name: version(name) for name in ("numpy", "scipy", "pandas", "matplotlib")}
    report["versions"]["python"] = platform.python_version()
    # Numbers become Python's own, and None what is not finite, which JSON does not know.
    report = json.loads(json.dumps(report, default=np.generic.item), parse_constant=lambda _: None)
    report = {"verdict": _sentences(report)} | report
    if output is not None:
        signal = "loss (nats)" if len(labels) else f"{column or 'loss'}, as given"
        figure = _figure(frames, rivals, report, signal)
        folder = output_folder(output)
        save_figures(folder, {"mia_audit.png": figure})
        write_whole(folder / "audit_examples.csv", _examples(frames, attack).encode())
        write_whole(folder / "audit.json", json.dumps(report, indent=1).encode())
    return report


# -------------------------------------------------------------------------------------------------- examples


def _trainings(
    sources: Sequence[Source], labels: Sequence[Source], columns: Columns, remarks: list[str]
) -> list[pd.DataFrame]:
    """The examples of each training: `loss`, `member`, and `id` and `group` where there are such columns."""
    sides = 2 if columns.member is None else 1
    if not sources or len(sources) % sides or len(labels) not in (0, sides):
        given = f"{len(sources)} files and {len(labels)} of labels"
        raise BadInput(f"{given}; give members and non-members in turn, or tables and a --member-column")
    notes = Notes()
    starts = range(0, len(sources), sides)
    frames = [read_training(sources[start : start + sides], columns, labels, notes=notes) for start in starts]
    remarks += notes.remarks
    return frames


def _give_numbers(frames: list[pd.DataFrame]) -> None:
    """Gives each frame a `number`, which the same example has in all of them: by id, or by its row."""
    names = [frame.get("id", frame.index) for frame in frames]
    if "id" not in frames[0] and not all(frame["member"].equals(frames[0]["member"]) for frame in frames):
        raise BadInput("the trainings have other examples; say which is which with an --id-column")
    numbers = pd.Index(np.concatenate(names)).unique()
    for frame, names_of_frame in zip(frames, names, strict=True):
        frame["number"] = numbers.get_indexer(names_of_frame)


def _losses(frame: pd.DataFrame, score: str) -> Losses:
    """The scores of one training, without the examples that have none."""
    kinds = [frame[frame[score].notna() & (frame["member"] == member)] for member in (True, False)]
    return Losses(*(kind[name].to_numpy() for name in (score, "number") for kind in kinds))


def _calibrate(frame: pd.DataFrame, losses: np.ndarray, trained: np.ndarray) -> None:
    """Adds `calibrated`, NaN where no reference, or every one, was trained on the example. If none was
    trained on any example it is NaN where no reference knows it.

    losses, trained (K, n): of the K references, see read_references.
    """
    pairs = zip(losses, trained, strict=True)
    references = [_losses(frame.assign(loss=loss, member=member), "loss") for loss, member in pairs]
    reference_losses(_losses(frame, "loss"), references)  # refuses references that know who is a member
    judged = ~np.isnan(losses)
    count, inside = judged.sum(axis=0), (judged & trained).sum(axis=0)
    usable = (inside > 0) & (inside < count) if inside.any() else count > 0
    frame["calibrated"] = frame["loss"].where(usable)
    known = frame["calibrated"].notna()
    if frame.loc[known, "member"].nunique() < 2:
        lacking = "no member, or no non-member, has a reference trained on it and another that was not"
        raise BadInput(
            f"{lacking}; train them on random halves of members and non-members together, or on neither"
        )
    scores = calibrated(_losses(frame, "calibrated"), references)
    frame.loc[known & frame["member"], "calibrated"] = scores.members
    frame.loc[known & ~frame["member"], "calibrated"] = scores.nonmembers


# -------------------------------------------------------------------------------------------------- findings


def _measured(frames: list[pd.DataFrame], attack: str, delta: float) -> list[dict[str, object]]:
    """What is found about each training: by its losses, and by the calibrated ones if that is the attack."""
    scores = [_losses(frame, attack) for frame in frames]
    # Membership by lot is assumed here, and said where the bound is printed.
    sides = [fair_sides(losses.members, losses.nonmembers) for losses in scores]
    found = []
    for frame, bound in zip(frames, epsilon_lower_bounds(sides, delta), strict=True):
        losses = {score: _losses(frame, score) for score in dict.fromkeys(["loss", attack])}
        measured = {score: measure_leakage(of.members, of.nonmembers) for score, of in losses.items()}
        precisions = precision_table(measured[attack]).to_dict("records")
        left_out = frame[attack].isna().sum()
        found.append(measured | {"left_out": left_out, "precision": precisions, "epsilon": bound})
    return found


def _largest_bound(report: dict) -> dict[str, float]:
    """The lower bound on epsilon, of the training that shows the most; each has its share of the error."""
    return max((training["epsilon"] for training in report["trainings"]), key=lambda of: of["epsilon_low"])


def doubts(losses: Losses, found: dict[str, object], computed: bool = False) -> list[str]:
    """Warnings about values that may not be the losses they are believed to be, a sentence or two each.

    found: of measure_leakage. computed: they were computed here, from probabilities or logits.
    """
    everything = np.concatenate([losses.members, losses.nonmembers])
    least, most = everything.min(), everything.max()
    # Different examples hardly ever have equal losses, but for rounding, which repeats them on one side too.
    distinct = np.unique(losses.members), np.unique(losses.nonmembers)
    shared = len(np.intersect1d(*distinct, assume_unique=True)) / min(map(len, distinct))
    repeated = 1 - sum(map(len, distinct)) / len(everything)
    tied = np.count_nonzero(everything == least)
    heldout = {found["heldout_advantage"], found["heldout_advantage_low"], found["heldout_advantage_high"]}
    checks = {
        f"Members have the larger values (AUC {found['auc']:.4f}). Are these confidences, whose negatives "
        "would be losses, or are the two files swapped?": found["auc_high"] < 0.5,
        "The held-out advantage is 0 because no threshold gained anything on the examples on which it was "
        "chosen: members do not have the low values, and nobody was called a member.": heldout == {0.0},
        "All values lie within 0 and 1. If they are probabilities p, give -np.log(p).": (
            least >= 0 and most <= 1 and not computed
        ),
        "No value is above 0. If they are log-probabilities, give their negatives.": least < 0 and most <= 0,
        f"{shared:.0%} of the different values stand on both sides. Was one file given twice, or do members "
        "and non-members overlap?": shared > max(SHARED, 4 * repeated),
        f"{tied / len(everything):.1%} of the values are tied at the smallest, {least:.4g}, as those of "
        "float32 probabilities are. No threshold parts them, and TPR at a low FPR is understated: compute "
        "the losses from logits.": tied > max(TIED * len(everything), 2),
    }
    return [warning for warning, holds in checks.items() if holds]


def _groups(frames: list[pd.DataFrame], attack: str) -> dict[str, object]:
    """AUC of each group with enough examples, and which of these lie above or below the mean of all."""
    rows, compared = [], {}
    for name in pd.unique(pd.concat([frame["group"] for frame in frames])):
        trainings = [_losses(frame[frame["group"] == name], attack) for frame in frames]
        row = {
            "group": name,
            "members": min(len(losses.members) for losses in trainings),
            "nonmembers": min(len(losses.nonmembers) for losses in trainings),
        } | dict.fromkeys(["auc", "auc_low", "auc_high"])
        if min(row["members"], row["nonmembers"]) >= FEWEST_EXAMPLES:
            compared[len(rows)] = trainings
            if len(trainings) > 1:
                found = interval_of_kind(trainings)
            else:
                found = measure_leakage(trainings[0].members, trainings[0].nonmembers)
            row |= {key: found[key] for key in row if key.startswith("auc")}
        rows.append(row)
    if len(compared) > 1:
        for place, found in zip(compared, groups_differ(list(compared.values())), strict=True):
            rows[place] |= {key: value for key, value in found.items() if not key.startswith("auc")}
    return {"rows": rows, "compared": len(compared)}


def _contrast(first: list[pd.DataFrame], second: list[pd.DataFrame]) -> dict[str, object]:
    """The difference between two models, by the loss; between two kinds if either has several trainings."""
    kinds = [[_losses(frame, "loss") for frame in kind] for kind in (first, second)]
    names = "the audited model", "the other"
    if len(first) == len(second) == 1:
        contrast = paired_contrast(*kinds[0], *kinds[1], names)
    else:
        contrast = contrast_of_kinds(*kinds, names)
    return contrast | {"verdict": verdict(contrast)}


# ---------------------------------------------------------------------------------------------------- report


def _sentences(report: dict) -> list[str]:
    """Does it leak, how sure is that, and how many can be named: of the stronger attack that was made."""
    measured = report["trainings"][0][report["attack"]]
    found = report.get("kind", measured)
    loss = "calibrated loss" if report["attack"] == "calibrated" else "loss"
    answer = _beside(
        found, "auc", 0.5, ("It leaks", "The losses stand the wrong way round", "No leak can be shown")
    )
    sentences = [
        f"{answer}: a random member has a lower {loss} than a random non-member in {found['auc']:.1%} of "
        f"pairs (95% interval {_interval(found, 'auc', '.1%')}; 50% if nothing leaks)."
    ]
    if "kind" in report:
        return [
            *sentences,
            f"Mean of {len(report['trainings'])} trainings, for other trainings and other examples.",
        ]
    key = "tpr_at_1pct_fpr"
    if measured[key] is None:
        needed = nonmembers_needed(LOW_FPRS["1pct"])
        return [*sentences, f"How many members can be named takes {needed:,} non-members or more."]
    chance = measured[f"chance_{key}"]
    compared = _beside(measured, key, chance, ("more than", "fewer than", "not told from"))
    named = f"{measured[key]:.2%} of the members are named ({_interval(measured, key, '.2%')})"
    return [*sentences, f"At most 1% of the non-members accused, {named}, {compared} chance, {chance:.2%}."]


def _beside(found: dict, key: str, chance: float, words: tuple[str, str, str]) -> str:
    """One of three words: the interval lies above chance, below it, or around it."""
    above, below, around = words
    return above if found[f"{key}_low"] > chance else below if found[f"{key}_high"] < chance else around


def _interval(found: dict, key: str, digits: str) -> str:
    low, high = found[f"{key}_low"], found[f"{key}_high"]
    return "" if low is None else f"{low:{digits}} to {high:{digits}}"


def measures_table(report: dict) -> pd.DataFrame:
    """A row for each training, attack and measure: its value, interval, and value if nothing leaks."""
    rows = []
    for number, training in enumerate(report["trainings"], 1):
        for attack in dict.fromkeys(["loss", report["attack"]]):
            found = training[attack]
            for key, name in MEASURES.items():
                kind = "members" if key.startswith("tnr") else "non-members"
                needed = nonmembers_needed(LOW_FPRS["0p1pct" if "0p1pct" in key else "1pct"])
                cells = "", f"takes {needed:,} {kind}", ""
                if found[key] is not None:
                    interval = _interval(found, key, ".4f") if f"{key}_low" in found else ""
                    expected = found.get(f"chance_{key}", 0.5 if key == "auc" else 0.0)
                    cells = f"{found[key]:.4f}", interval, f"{expected:.4f}"
                rows.append((number, attack, name, *cells))
    columns = ["training", "attack", "measure", "value", "95% interval", "if nothing leaks"]
    table = pd.DataFrame(rows, columns=columns)
    return table if len(report["trainings"]) > 1 else table.drop(columns="training")


def print_report(report: dict) -> None:
    """Says what audit returns, the answer first."""
    print(*report["verdict"], "", sep="\n")
    show(measures_table(report))
    if len(report["trainings"]) == 1:
        _print_training(report["trainings"][0])
    _print_bound(report)
    if "groups" in report:
        groups, compared = pd.DataFrame(report["groups"]["rows"]), report["groups"]["compared"]
        print()
        show(groups.drop(columns=["above", "below"], errors="ignore").round(4).astype(object).fillna(""))
        if compared > 1:
            sides = {side: groups["group"][groups[side].eq(True)] for side in ("above", "below")}
            parts = [f"{side} it {', '.join(map(str, names))}" for side, names in sides.items() if len(names)]
            answer = "; ".join(parts) or "no group can be told from it"
            print(f"Beside the mean AUC of {compared} groups (95% sure of all together): {answer}.")
    if "contrast" in report:
        contrast = report["contrast"]
        interval = _interval(contrast, "auc", "+.4f")
        over = f" ({interval}, over {contrast['over']})" if interval else ""
        print(
            f"\nAUC of {contrast['first']} minus {contrast['second']}, by the loss: "
            f"{contrast['auc_difference']:+.4f}{over}: {contrast['verdict']}"
        )
    for warning in report["warnings"]:
        print(f"\nWarning: {warning}")


def _print_training(training: dict) -> None:
    if training["left_out"]:
        left_out = f"{training['left_out']:,} examples"
        print(f"\n{left_out} lack a reference trained on them, or one that was not.")
    print()
    for row in training["precision"]:
        if row["precision"] is not None:
            print(
                f"Of those named at 0.1% FPR, {row['precision']:.1%} are members "
                f"({_interval(row, 'precision', '.1%')}) if {row['prior']:.0%} of the candidates are."
            )


def _print_bound(report: dict) -> None:
    bound, claim = _largest_bound(report), ""
    if "claimed_epsilon" in report:
        claim = f"; {report['claimed_epsilon']:g} is claimed"
    least = f"Epsilon at delta {bound['delta']:g}: at least {bound['epsilon_low']:.3f}"
    print(f"{least} (95% sure, if a lot decided for each example whether it is a member){claim}.")


def _examples(frames: list[pd.DataFrame], attack: str) -> str:
    """A CSV with a row for each training and example, in the order given; rank 1 is the most exposed example.

    An example without an id has its row among the members, or among the non-members, counted from 0.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # in less time than pandas takes
    for number, frame in enumerate(frames, 1):
        scores, nonmembers = frame[attack], _losses(frame, attack).nonmembers
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
        trainings = [_losses(frame, attack) for frame in kind]
        found = [training[attack] for training in report[part]]
        models.append(shown_of(label, looks[label], trainings, found))
    caption = (
        "Members are examples that the model was trained on. The attack calls an example a member if its "
        "value is below a threshold. Grey: where 95% of models that leak nothing would lie."
    )
    caption += (
        " Markers: TPR at a low FPR, with 95% intervals." if any(model.points for model in models) else ""
    )
    with looked_at():
        figure = new_figure(6.5, report["verdict"][0], caption)
        roc, distributions = figure.subplots(1, 2)
        roc_panel(roc, models, "Members named, by non-members accused")
        loss_panel(distributions, models[strongest:], "Where members and non-members lie", signal)
    return figure


# ---------------------------------------------------------------------------------------------- command line


def command_line(arguments: Sequence[str] | None = None, program: str = "python -m leakage") -> None:
    """Audits what the arguments name, prints the report, and writes it into a folder."""
    parser = OneLineParser(prog=program, description="How much a model's losses tell of its training data.")
    further = "losses of members, of non-members; then those of further trainings of the same kind"
    parser.add_argument("files", nargs="+", metavar="FILE", help=further)
    for option, help_text in {
        "--against": "the same of another model, or of several trainings of another kind",
        "--references": "losses of reference models on the same examples, for the calibrated attack",
        "--reference-members": "which examples each reference was trained on, if its own file does not say",
        "--labels": "labels of members, of non-members; then FILE holds probabilities or logits (n, classes)",
    }.items():
        parser.add_argument(option, nargs="+", metavar="FILE", default=[], help=help_text)
    for option, help_text in {
        "--column": "the column of the losses",
        "--member-column": "the column that is 1 for members, 0 for non-members; then FILE is one table",
        "--id-column": "the column of the examples' ids, by which files are matched",
        "--group-column": "a column of groups, each of which is reported too",
    }.items():
        parser.add_argument(option, metavar="NAME", help=help_text)
    parser.add_argument("--header", choices=["yes", "no"], help="whether CSV files begin with a header")
    bound = "to compare with the lower bound found"
    parser.add_argument("--claimed-epsilon", type=positive_number, metavar="E", help=bound)
    parser.add_argument("--delta", type=finite_number, default=DELTA, help="of that bound (%(default)s)")
    parser.add_argument("--output", default=FOLDER, metavar="DIR", help="for the report (%(default)s)")
    options = vars(parser.parse_args(arguments))
    options["header"] = {"yes": True, "no": False}.get(options["header"])
    files, folder = options.pop("files"), options["output"]

    def study() -> None:
        print_report(audit(*files, **options))
        print(f"\naudit.json, audit_examples.csv and mia_audit.png written into {folder}")

    run(program, study)
