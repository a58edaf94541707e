"""An audit of anybody's model: losses in, and out a sentence, a table, and three files to keep.

    python -m leakage MEMBERS NONMEMBERS

Members are the examples that the model was trained on, non-members others from the same source. The report
says whether the model leaks who was a member, how sure that is, and how many members can be named.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from leakage.calibration import calibrated, precision_table, reference_losses
from leakage.contrasts import contrast_of_kinds, groups_differ, interval_of_kind, paired_contrast, verdict
from leakage.estimates import (
    CONFIDENCE,
    FEWEST_EXAMPLES,
    LOW_FPRS,
    Losses,
    allowed,
    auc_with_interval,
    measure_leakage,
    nonmembers_needed,
)
from leakage.files import Columns, Source, read_examples, read_references, short
from leakage.panels import Point, Shown, curves_of, loss_panel, roc_panel
from support.command_line import BadInput, OneLineParser, finite_number, positive_number, run, show
from support.files import output_folder, write_whole
from support.look import looked_at, new_figure, save_figures, styles_of

FOLDER = "audit"  # for the report, in the working directory
DELTA = 1e-5  # of the lower bound on epsilon; at a larger delta it is lower, so it holds for smaller ones too
EPSILON_RATES = (0.001, 0.01, 0.1, 0.3)  # false positive and false negative rates, fixed before any data
TIED = 0.01  # share of losses tied at the smallest value that is worth a warning
SHARED = 0.1  # share of values on both sides that is worth a warning
MEASURES = {  # key in measure_leakage: name, value (or key of it) if nothing leaks, what it takes
    "auc": ("AUC", 0.5, ""),
    "heldout_advantage": ("held-out advantage", 0.0, ""),
    "advantage": ("advantage, same examples", "chance_advantage", ""),
    "tpr_at_1pct_fpr": ("TPR at 1% FPR", "chance_tpr_at_1pct_fpr", "non-members"),
    "tpr_at_0p1pct_fpr": ("TPR at 0.1% FPR", "chance_tpr_at_0p1pct_fpr", "non-members"),
    "tnr_at_1pct_fnr": ("TNR at 1% FNR", "chance_tnr_at_1pct_fnr", "members"),
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
    if not 0 <= delta < 1:
        raise BadInput(f"delta must be at least 0 and below 1, not {delta}")
    columns = Columns(column, member_column, id_column, group_column, header)
    attack = "calibrated" if len(references) else "loss"
    warnings: list[str] = []
    frames = _trainings(sources, labels, columns, warnings)
    rivals = _trainings(against, labels, columns, warnings) if len(against) else []
    _give_numbers([*frames, *rivals])
    for frame in frames:
        if len(references):
            _calibrate(frame, *read_references(references, reference_members, frame, columns))
    for frame in [*frames, *rivals]:
        warnings += doubts(_losses(frame, "loss"), computed=len(labels) > 0)

    report = {"attack": attack, "trainings": [_measured(frame, attack, delta) for frame in frames]}
    if len(frames) > 1:
        report["kind"] = interval_of_kind([_losses(frame, attack) for frame in frames])
    if group_column is not None:
        report["groups"] = _groups(frames, attack)
    if rivals:
        report["against"] = [_measured(frame, "loss", delta) for frame in rivals]
        report["contrast"] = _contrast(frames, rivals)
    if claimed_epsilon is not None:
        report["claimed_epsilon"] = claimed_epsilon
        if report["trainings"][0]["epsilon"]["epsilon_low"] > claimed_epsilon:
            warnings.append(
                f"The lower bound on epsilon is above the claimed {claimed_epsilon:g}: the claim is wrong, "
                "or members and non-members differ in more than the training."
            )
    report = _plain(report | {"warnings": list(dict.fromkeys(warnings)), "versions": _versions()})
    report = {"verdict": _sentences(report)} | report
    if output is not None:
        signal = "loss (nats)" if len(labels) else f"{column or 'loss'}, as given"
        figure = _figure(frames, rivals, report, signal)
        folder = output_folder(output)
        save_figures(folder, {"mia_audit.png": figure})
        write_whole(folder / "audit_examples.csv", _examples(frames, attack).to_csv(index=False).encode())
        write_whole(folder / "audit.json", json.dumps(report, indent=1, allow_nan=False).encode())
    return report


# -------------------------------------------------------------------------------------------------- examples


def _trainings(
    sources: Sequence[Source], labels: Sequence[Source], columns: Columns, remarks: list[str]
) -> list[pd.DataFrame]:
    """The examples of each training: `loss`, `member`, and `id` and `group` where there are such columns."""
    sides = 2 if columns.member is None else 1
    if not sources or len(sources) % sides or len(labels) not in (0, sides):
        raise BadInput(
            f"{len(sources)} files and {len(labels)} of labels; give members and non-members in turn, with "
            "one file of labels for either, or a --member-column and one table for each training"
        )
    frames = []
    for start in range(0, len(sources), sides):
        parts = []
        for place, source in enumerate(sources[start : start + sides]):
            part, found = read_examples(source, columns, labels[place] if len(labels) else None)
            remarks += found
            parts.append(part if columns.member is not None else part.assign(member=place == 0))
        frame = pd.concat(parts, ignore_index=True)
        if frame["member"].nunique() < 2:
            raise BadInput(f"all {len(frame):,} examples are of one kind; members and non-members are needed")
        if "id" in frame and not frame["id"].is_unique:
            twice = short(frame["id"][frame["id"].duplicated()].iloc[0], 40)
            raise BadInput(f"the id {twice} stands there twice; members and non-members share one numbering")
        frames.append(frame)
    return frames


def _give_numbers(frames: list[pd.DataFrame]) -> None:
    """Gives each frame a `number`, which the same example has in all of them: by id, or by its row."""
    if "id" in frames[0]:
        numbers = pd.factorize(pd.concat([frame["id"] for frame in frames]))[0]
        for frame, part in zip(frames, np.split(numbers, np.cumsum([len(f) for f in frames])), strict=False):
            frame["number"] = part
        return
    for frame in frames:
        if not np.array_equal(frame["member"], frames[0]["member"]):
            raise BadInput("the trainings have other examples; say which is which with an --id-column")
        frame["number"] = np.arange(len(frame))


def _losses(frame: pd.DataFrame, score: str) -> Losses:
    """The scores of one training, without the examples that have none."""
    known = frame[frame[score].notna()]
    members, nonmembers = known[known["member"]], known[~known["member"]]
    return Losses(
        members[score].to_numpy(),
        nonmembers[score].to_numpy(),
        members["number"].to_numpy(),
        nonmembers["number"].to_numpy(),
    )


def _calibrate(frame: pd.DataFrame, losses: np.ndarray, trained: np.ndarray) -> None:
    """Adds `calibrated`, NaN where no reference, or every one, was trained on the example.

    losses, trained (K, n): of the K references, see read_references.
    """
    references = [
        _losses(frame.assign(loss=loss, member=member), "loss")
        for loss, member in zip(losses, trained, strict=True)
    ]
    reference_losses(_losses(frame, "loss"), references)  # refuses references that know who is a member
    judged = ~np.isnan(losses)
    count, inside = judged.sum(axis=0), (judged & trained).sum(axis=0)
    frame["calibrated"] = frame["loss"].where((inside > 0) & (inside < count))
    known = frame["calibrated"].notna()
    if frame.loc[known, "member"].nunique() < 2:
        raise BadInput(
            "no member, or no non-member, has a reference trained on it and another that was not; train them "
            "on random halves of members and non-members together"
        )
    scores = calibrated(_losses(frame, "calibrated"), references)
    frame.loc[known & frame["member"], "calibrated"] = scores.members
    frame.loc[known & ~frame["member"], "calibrated"] = scores.nonmembers


# -------------------------------------------------------------------------------------------------- findings


def _measured(frame: pd.DataFrame, attack: str, delta: float) -> dict[str, object]:
    """What is found about one training: by its losses, and by the calibrated ones if that is the attack."""
    found: dict[str, object] = {"loss": _leakage(_losses(frame, "loss"))}
    if attack == "calibrated":
        found |= {"calibrated": _leakage(_losses(frame, attack)), "left_out": frame[attack].isna().sum()}
    scores = _losses(frame, attack)
    return found | {
        "precision": precision_table(found[attack]).to_dict("records"),
        "epsilon": epsilon_lower_bound(scores.members, scores.nonmembers, delta),
    }


def _leakage(losses: Losses) -> dict[str, object]:
    return measure_leakage(losses.members, losses.nonmembers)


def doubts(losses: Losses, computed: bool = False) -> list[str]:
    """Warnings about values that may not be the losses they are believed to be, a sentence or two each.

    computed: they were computed here, from probabilities or logits.
    """
    members, nonmembers = losses.members, losses.nonmembers
    found = []
    everything = np.concatenate([members, nonmembers])
    least, most = everything.min(), everything.max()
    auc, _, auc_high = auc_with_interval(members, nonmembers)
    if auc_high < 0.5:
        found.append(
            f"Members have the larger values (AUC {auc:.4f}). Are these confidences, whose negatives would "
            "be losses, or are the two files swapped?"
        )
    if least >= 0 and most <= 1 and not computed:
        found.append("All values lie within 0 and 1. If they are probabilities p, give -np.log(p).")
    if least < 0 and most <= 0:
        found.append("No value is above 0. If they are log-probabilities, give their negatives.")
    # Different examples hardly ever have equal losses, but for rounding, which repeats them on one side too.
    distinct = np.unique(members), np.unique(nonmembers)
    shared = len(np.intersect1d(*distinct, assume_unique=True)) / min(map(len, distinct))
    repeated = 1 - sum(map(len, distinct)) / len(everything)
    if shared > max(SHARED, 4 * repeated):
        found.append(
            f"{shared:.0%} of the different values stand on both sides. Was one file given twice, or do "
            "members and non-members overlap?"
        )
    tied = np.count_nonzero(everything == least)
    if tied > max(TIED * len(everything), 2):
        found.append(
            f"{tied / len(everything):.1%} of the values are tied at the smallest, {least:.4g}, as those "
            "of float32 probabilities are. No threshold parts them, and TPR at a low FPR is understated: "
            "compute the losses from logits."
        )
    return found


def epsilon_lower_bound(members: np.ndarray, nonmembers: np.ndarray, delta: float = 0.0) -> dict[str, float]:
    """A lower bound, of 95% confidence, on the epsilon at this delta of the training that gave these scores.

    members (n,) and nonmembers (m,): scores, low for members. Differential privacy bounds every event: TPR <=
    e^epsilon FPR + delta, and TNR <= e^epsilon FNR + delta (Kairouz, Oh, Viswanath 2015). The thresholds are
    fixed beforehand as ranks: the (a + 1)-th smallest non-member for the FPRs, the (a + 1)-th largest member
    for the FNRs, a = floor(rate * number), at the four EPSILON_RATES; ties are broken at random. The share of
    all other such examples beyond that threshold has the distribution Beta(a + 1, m - a), whatever that of
    the scores (Wilks 1941), and the other side has no part in the threshold, so that its own share there has
    a Clopper-Pearson bound. Bonferroni over four rates, two directions and two bounds each.

    It holds if each example's membership was drawn at random, and if the scores are independent draws from
    one distribution for the members and one for the non-members: exactly so if every example has a training
    of its own. Examples of one model share its training. That adds a spread that this bound does not count
    (Steinke, Nasr, Jagielski 2023 bound it, for canaries included by a coin each). And ordinary examples are
    no canaries made to be remembered: the bound says what the average example shows, the true epsilon, which
    holds for the worst, may be far above it.
    """
    error = (1 - CONFIDENCE) / (4 * len(EPSILON_RATES))
    bound = {"epsilon_low": 0.0, "delta": delta, "confidence": CONFIDENCE}
    scores = np.concatenate([members, nonmembers])
    shuffled = np.random.default_rng(0).permutation(len(scores))
    places = np.empty(len(scores))
    places[shuffled[np.argsort(scores[shuffled], kind="stable")]] = np.arange(len(scores))
    members, nonmembers = places[: len(members)], places[len(members) :]
    for caught, accused in ((members, nonmembers), (-nonmembers, -members)):
        ordered = np.sort(accused)
        for rate in EPSILON_RATES:
            rank = allowed(rate, len(accused))
            hits = int((caught < ordered[rank]).sum())
            share = stats.beta.ppf(error, hits, len(caught) - hits + 1) if hits else 0.0
            rate_high = stats.beta.ppf(1 - error, rank + 1, len(accused) - rank)
            if share > delta:
                bound["epsilon_low"] = max(bound["epsilon_low"], float(np.log((share - delta) / rate_high)))
    return bound


def _groups(frames: list[pd.DataFrame], attack: str) -> dict[str, object]:
    """AUC of each group of examples, and whether the groups' AUCs differ at all."""
    trainings = {
        name: [_losses(frame[frame["group"] == name], attack) for frame in frames]
        for name in pd.unique(pd.concat([frame["group"] for frame in frames]))
    }
    rows, compared = [], []
    for name, losses in trainings.items():
        sizes = min(len(part.members) for part in losses), min(len(part.nonmembers) for part in losses)
        row = {"group": name, "members": sizes[0], "nonmembers": sizes[1]}
        row |= dict.fromkeys(["auc", "auc_low", "auc_high"])
        if min(sizes) and len(frames) == 1:
            measured = auc_with_interval(losses[0].members, losses[0].nonmembers)
            row |= zip(["auc", "auc_low", "auc_high"], measured, strict=True)
        elif min(sizes):
            kind = interval_of_kind(losses)
            row |= {key: kind[key] for key in ("auc", "auc_low", "auc_high")}
        if min(sizes) >= FEWEST_EXAMPLES:
            compared.append(losses)
        rows.append(row)
    differ = groups_differ(compared) if len(compared) > 1 else None
    return {"rows": rows, "compared": len(compared), "differ": differ}


def _contrast(first: list[pd.DataFrame], second: list[pd.DataFrame]) -> dict[str, object]:
    """The difference between two models, by the loss; between two kinds if either has several trainings."""
    first, second = ([_losses(frame, "loss") for frame in kind] for kind in (first, second))
    names = "the audited model", "the other"
    if len(first) == len(second) == 1:
        contrast = paired_contrast(first[0], second[0], names)
    else:
        contrast = contrast_of_kinds(first, second, names)
    return contrast | {"verdict": verdict(contrast, contrast["auc_p"])}


# ---------------------------------------------------------------------------------------------------- report


def _sentences(report: dict) -> list[str]:
    """Does it leak, how sure is that, and how many can be named: of the stronger attack that was made."""
    trainings, kind = report["trainings"], report.get("kind")
    measured = trainings[0][report["attack"]]
    loss = "calibrated loss" if report["attack"] == "calibrated" else "loss"
    found = kind or measured
    if found["auc_low"] is None:
        answer = "How sure this is cannot be said"
    elif found["auc_low"] > 0.5:
        answer = "It leaks"
    elif found["auc_high"] < 0.5:
        answer = "The losses stand the wrong way round"
    else:
        answer = "No leak can be shown"
    sentences = [
        f"{answer}: a random member has a lower {loss} than a random non-member in {found['auc']:.1%} of "
        f"pairs (95% interval {_interval(found, 'auc', '.1%')}; 50% if nothing leaks)."
    ]
    if kind:
        return [*sentences, f"Mean of {len(trainings)} trainings, for other trainings and other examples."]
    named, chance = measured["tpr_at_1pct_fpr"], measured["chance_tpr_at_1pct_fpr"]
    if named is None:
        needed = nonmembers_needed(LOW_FPRS["1pct"])
        sentences.append(f"How many members can be named takes {needed:,} non-members or more.")
    else:
        low, high = measured["tpr_at_1pct_fpr_low"], measured["tpr_at_1pct_fpr_high"]
        compared = "more than" if low > chance else "fewer than" if high < chance else "no more than"
        sentences.append(
            f"At most 1% of the non-members accused, {named:.2%} of the members are named "
            f"({_interval(measured, 'tpr_at_1pct_fpr', '.2%')}), {compared} the {chance:.2%} of chance."
        )
    return sentences


def _interval(found: dict, key: str, digits: str) -> str:
    low, high = found.get(f"{key}_low"), found.get(f"{key}_high")
    return "" if low is None or high is None else f"{low:{digits}} to {high:{digits}}"


def measures_table(report: dict) -> pd.DataFrame:
    """A row for each training, attack and measure: its value, interval, and value if nothing leaks."""
    rows = []
    for number, training in enumerate(report["trainings"], 1):
        for attack in ("loss", "calibrated") if "calibrated" in training else ("loss",):
            found = training[attack]
            for key, (name, chance, needs) in MEASURES.items():
                expected = found[chance] if isinstance(chance, str) else chance
                given = found[key] is not None
                needed = nonmembers_needed(LOW_FPRS["0p1pct" if "0p1pct" in key else "1pct"])
                rows.append(
                    {
                        "training": number,
                        "attack": attack,
                        "measure": name,
                        "value": f"{found[key]:.4f}" if given else "",
                        "95% interval": _interval(found, key, ".4f")
                        if given
                        else f"takes {needed:,} {needs}",
                        "if nothing leaks": f"{expected:.4f}" if given else "",
                    }
                )
    table = pd.DataFrame(rows)
    return table if len(report["trainings"]) > 1 else table.drop(columns="training")


def print_report(report: dict) -> None:
    """Says what audit returns, the answer first."""
    print("\n".join(report["verdict"]) + "\n")
    show(measures_table(report))
    trainings = report["trainings"]
    for training in trainings if len(trainings) == 1 else []:
        if training.get("left_out"):
            print(
                f"\n{training['left_out']:,} examples lack a reference trained on them, or one that was not."
            )
        print()
        for row in training["precision"]:
            if row["precision"] is not None:
                print(
                    f"Of those named at 0.1% FPR, {row['precision']:.1%} are members "
                    f"({_interval(row, 'precision', '.1%')}) if {row['prior']:.0%} of the candidates are."
                )
        claim = f"; {report['claimed_epsilon']:g} is claimed" if "claimed_epsilon" in report else ""
        bound = training["epsilon"]
        print(f"Epsilon at delta {bound['delta']:g}: at least {bound['epsilon_low']:.3f} (95% sure){claim}.")
    if "groups" in report:
        groups, differ = report["groups"]["rows"], report["groups"]["differ"]
        print()
        show(pd.DataFrame(groups).round(4).astype(object).fillna(""))
        if differ and differ["p"] is not None:
            answer = "differ" if differ["p"] < 1 - CONFIDENCE else "cannot be shown to differ"
            print(
                f"The groups' AUCs {answer} (p = {differ['p']:.2g}, {report['groups']['compared']} groups)."
            )
    if "contrast" in report:
        contrast = report["contrast"]
        interval = _interval(contrast, "auc", "+.4f")
        print(
            f"\nAUC of {contrast['first']} minus {contrast['second']}, by the loss: "
            f"{contrast['auc_difference']:+.4f}"
            + (f" ({interval}, over {contrast['over']})" if interval else "")
            + f": {contrast['verdict']}"
        )
    for warning in report["warnings"]:
        print(f"\nWarning: {warning}")


def _examples(frames: list[pd.DataFrame], attack: str) -> pd.DataFrame:
    """A row for each training and example, in the order given; rank 1 is the most exposed example.

    An example without an id has its row among the members, or among the non-members, counted from 0.
    """
    tables = []
    for number, frame in enumerate(frames, 1):
        scores, nonmembers = frame[attack], _losses(frame, attack).nonmembers
        threshold = np.sort(nonmembers)[allowed(LOW_FPRS["1pct"], len(nonmembers))]
        ids = frame["id"] if "id" in frame else frame.groupby("member").cumcount()
        table = pd.DataFrame({"training": number, "id": ids, "member": frame["member"].astype(int)})
        table = table.assign(**{name: frame[name] for name in dict.fromkeys(["loss", attack])})
        whole = "Int64" if scores.isna().any() else int  # pandas' own takes several times as long to write
        table["rank"] = scores.rank(method="min").astype(whole)
        table["called_at_1pct_fpr"] = (scores < threshold).astype(whole).where(scores.notna())
        tables.append(table)
    table = pd.concat(tables)
    return table if len(frames) > 1 else table.drop(columns="training")


def _figure(frames: list[pd.DataFrame], rivals: list[pd.DataFrame], report: dict, signal: str) -> Figure:
    """ROC curves of every attack and model, and the distributions of the strongest attack's score.

    signal: the name of the loss, for the axis.
    """
    drawn = {"loss": (frames, "loss", "trainings")}
    if report["attack"] == "calibrated":
        drawn["calibrated loss"] = (frames, "calibrated", "trainings")
    if rivals:
        drawn["loss of the other"] = (rivals, "loss", "against")
    looks, models = styles_of(list(drawn)), {}
    for label, (kind, attack, part) in drawn.items():
        trainings = [_losses(frame, attack) for frame in kind]
        found = [training[attack] for training in report[part]]
        models[label] = Shown(
            f"{label}: AUC {np.mean([each['auc'] for each in found]):.3f}",
            looks[label],
            len(trainings[0].members),
            len(trainings[0].nonmembers),
            float(np.mean([each["advantage"] for each in found])),
            [curves_of(losses) for losses in trainings],
            _points(found[0]) if len(found) == 1 else [],
        )
    shown = list(models.values())
    if report["attack"] == "calibrated":
        signal, shown = "calibrated loss (nats)", [models["calibrated loss"]]
    caption = (
        "Members are examples that the model was trained on. The attack calls an example a member if its "
        "value is below a threshold. Grey: where 95% of models that leak nothing would lie."
    )
    if any(model.points for model in models.values()):
        caption += " Markers: TPR at a low FPR, with 95% intervals."
    with looked_at():
        figure = new_figure(6.5, report["verdict"][0], caption)
        roc, distributions = figure.subplots(1, 2)
        roc_panel(roc, list(models.values()), "Members named, by non-members accused")
        loss_panel(distributions, shown, "Where members and non-members lie", signal)
    return figure


def _points(found: dict[str, object]) -> list[Point]:
    """The TPRs that are marked on a curve, as far as there are enough non-members for them."""
    keys = {fpr: f"tpr_at_{name}_fpr" for name, fpr in LOW_FPRS.items()}
    return [
        Point(fpr, found[key], found[f"{key}_low"], found[f"{key}_high"])
        for fpr, key in keys.items()
        if found[key] is not None
    ]


def _plain(value: object) -> object:
    """Numbers of Python's own, as JSON holds them; None for what is not finite."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "pandas", "matplotlib")
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


# ---------------------------------------------------------------------------------------------- command line


def command_line(arguments: Sequence[str] | None = None, program: str = "python -m leakage") -> None:
    """Audits what the arguments name, prints the report, and writes it into a folder."""
    parser = OneLineParser(prog=program, description="How much a model's losses tell of its training data.")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="losses of members, of non-members; then those of further trainings of the same kind",
    )
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
    parser.add_argument(
        "--claimed-epsilon", type=positive_number, metavar="E", help="to compare with the lower bound found"
    )
    parser.add_argument(
        "--delta", type=finite_number, default=DELTA, help="of that bound (default: %(default)s)"
    )
    parser.add_argument(
        "--output", default=FOLDER, metavar="DIR", help="for the report (default: %(default)s)"
    )
    options = vars(parser.parse_args(arguments))
    options["header"] = {"yes": True, "no": False, None: None}[options["header"]]
    files, folder = options.pop("files"), options["output"]

    def study() -> None:
        print_report(audit(*files, **options))
        print(f"\naudit.json, audit_examples.csv and mia_audit.png written into {folder}")

    run(program, study)
