"""The report of an audit in words: the verdict, what it means, the tables, and the console.

What an audit found is in the dict that leakage.audit.audit returns; here it is only put into words.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from leakage.checks import labels_fit
from leakage.command_line import counted, short, show
from leakage.estimates import CONFIDENCE, FEWEST_EXAMPLES, LOW_FPRS, chance_of, nonmembers_needed

MEASURES = {  # key in measure_leakage: name
    "auc": "AUC",
    "heldout_advantage": "held-out advantage",
    "advantage": "advantage, same records",
    "tpr_at_1pct_fpr": "TPR at 1% FPR",
    "tpr_at_0p1pct_fpr": "TPR at 0.1% FPR",
    "tnr_at_1pct_fnr": "TNR at 1% FNR",
}
ATTACKS = {"loss": "loss", "calibrated": "calibrated loss"}
SHOWN_GROUPS = 10  # in a table; audit.json holds all
MOST_DETECTABLE = 0.9995  # an AUC above it is printed as 1.000
MOST_DIGITS = 3  # after the point of a percentage
LETTERS = 40  # of the name of a column or of a group


# ------------------------------------------------------------------------------------------------ the verdict


def verdict_of(report: Mapping) -> list[str]:
    """The lines of the verdict: does the model leak, and in which group the most; by person; and how many
    members are found at a low rate of false alarms."""
    lines = [" ".join([*_answer(report), *_worst_group(report)])]
    if report["finding"]["sides_differ"]:
        return lines
    if "persons" in report:
        lines.append(_by_person(report))
    if "kind" in report:
        trainings = f"Mean of {len(report['trainings'])} trainings, for other trainings and other records."
        return [*lines, trainings]
    return [*lines, _found_at_1_percent(report)]


def first_sentence(report: Mapping) -> str:
    """The first sentence of the verdict, which may have points within, as of a group called St. Louis."""
    return _answer(report)[0]


def _answer(report: Mapping) -> list[str]:
    """Whether the model leaks, in one sentence, and what goes with it, in another."""
    finding = report["finding"]
    attack = ATTACKS[finding["attack"]]
    chance = _if_nothing_leaks(report)
    digits = _percent_digits(finding, "auc", 0.5)
    pairs = (
        f"a random member has a lower {attack} than a random non-member in {finding['auc']:{digits}} of "
        f"pairs ({sure(report, 'auc')} interval {interval(finding, 'auc', digits)}; 50% {chance})"
    )
    if "control" in report:
        control = report["control"]
        pairs += (
            f"; that is {_points(control, 'auc_difference', 'auc')[0]} points beside the control "
            f"({sure(report, 'auc')} interval {_points(control, 'auc_difference', 'auc')[1]}; 0 {chance})"
        )
    if finding["sides_differ"]:
        return _sides_differ(report, pairs)
    if finding["leak_shown"]:
        turned = ""
        if finding["auc_high"] < 0.5 and "control" not in report:
            turned = (
                ", fewer than half: the leak is not in the order of the losses. If the files are swapped, "
                "or the values are confidences, the two sides are told apart all the same"
            )
        return [f"It leaks: {_other_proof(report)}{pairs}{turned}."]
    if _too_few(report):
        few = f"There are too few to tell: {_too_few(report)}."
        return [few, f"Take {FEWEST_EXAMPLES} of each or more."]
    if finding["auc_high"] < 0.5:
        return [f"The losses stand the wrong way round, and no leak can be shown: {pairs}."]
    answer = f"No leak can be shown: {pairs}."
    detectable = finding["detectable_auc"]
    if detectable is None:
        return [answer]
    if detectable > MOST_DETECTABLE:
        return [answer, "There are too few to find even a model that gives all away in 4 of 5 cases."]
    found = f"This attack would have found an AUC of {detectable:.3f} or more in 4 of 5 cases."
    return [answer, found]


def _sides_differ(report: Mapping, pairs: str) -> list[str]:
    """The answer where the sides differ without the model; pairs: what the attack finds."""
    finding, explained = report["finding"], report["same_source"].get("explained")
    why = next(check["sentence"] for check in report["same_source"]["checks"] if check["differs"])
    if finding["leak_shown"]:
        return [
            f"It leaks: {_other_proof(report)}{pairs}.",
            f"The two sides differ without the model too: {why}. But {_words_on_shares(explained)}.",
        ]
    answer = [
        f"The two sides differ without the model, so the losses cannot show whether it leaks: {why}.",
        f"The attack finds this difference too: {pairs}.",
    ]
    return [*answer, f"Of these, {_words_on_shares(explained)}."] if explained else answer


def _words_on_shares(explained: Mapping) -> str:
    """How far the shares are apart, and what they alone can make the attack find."""
    apart, most = (_significant(explained[key], 0.0 if key == "apart" else 0.5) for key in ("apart", "auc"))
    return f"the shares differ by {apart} in all, which explains at most {most} of pairs"


def _significant(share: float, beside: float) -> str:
    """A percentage with as many digits as it needs to differ from another."""
    digits = next((d for d in range(1, MOST_DIGITS) if f"{share:.{d}%}" != f"{beside:.{d}%}"), MOST_DIGITS)
    return f"{share:.{digits}%}"


def _if_nothing_leaks(report: Mapping) -> str:
    """What the value by chance is called: where the sides differ it is not what is found if nothing leaks."""
    return "by chance" if report["finding"]["sides_differ"] else "if nothing leaks"


def _too_few(report: Mapping) -> str:
    """How many records there are, if there are fewer than 10 on a side; else nothing."""
    sizes = [training[report["attack"]] for training in report["trainings"]]
    fewest = [min(of[side] for of in sizes) for side in ("members", "nonmembers")]
    if min(fewest) >= FEWEST_EXAMPLES:
        return ""
    return " and ".join(
        counted(count, word) for count, word in zip(fewest, ("member", "non-member"), strict=True)
    )


def _other_proof(report: Mapping) -> str:
    """What shows the leak, if the AUC that follows does not: the first of the other proofs."""
    finding = report["finding"]
    proofs = finding["shown_by"]
    if any(proof["of"] in (finding["attack"], "control") and proof["measure"] == "auc" for proof in proofs):
        return ""
    proof = proofs[0]
    by = "" if proof["of"] == finding["attack"] else f" by the {ATTACKS.get(proof['of'], proof['of'])}"
    if proof["measure"] == "epsilon_low":
        return f"epsilon is at least {proof['value']:.2g} (95% sure){by}, though "
    if proof["measure"] == "auc_difference":
        value, ends = _points(row_of(proof), "value")
        return f"the AUC{by} is {value} points above the control's ({ends}; 0 if nothing leaks), though "
    digits = _percent_digits(row_of(proof), "value", proof["chance"])
    ends = f"{proof['low']:{digits}} to {proof['high']:{digits}}; {100 * proof['chance']:.3g}%"
    chance = "at most by the unequal shares" if finding["sides_differ"] else "if nothing leaks"
    return f"the {MEASURES[proof['measure']]}{by} is {proof['value']:{digits}} ({ends} {chance}), though "


def row_of(proof: Mapping) -> dict[str, float]:
    """A proof's value and interval under the names that other intervals have."""
    return {"value": proof["value"], "value_low": proof["low"], "value_high": proof["high"]}


def _worst_group(report: Mapping) -> list[str]:
    """The group with the highest AUC, with the interval that holds for all groups together."""
    rows = [
        row | {"by": groups["by"], "compared": len(groups["rows"])}  # each set is adjusted on its own
        for groups in (report.get("groups"), report.get("classes"))
        if groups is not None and groups["compared"] > 1
        for row in groups["rows"]
    ]
    if not rows or report["finding"]["sides_differ"]:
        return []
    # As in the table, whose first row has the highest AUC; of those that leak for sure the surest. Beside a
    # control it is the difference to it that counts.
    key, chance = ("auc_difference", 0.0) if "control" in report else ("auc", 0.5)
    leaks = any(row[f"{key}_low"] > chance for row in rows)
    row = max(rows, key=lambda row: row[f"{key}_low" if leaks else key])
    named = f"{short(row['by'], LETTERS)} {short(row['group'], LETTERS)}"
    values = _row_in_words(row, f"adjusted for {row['compared']} groups")
    if leaks:
        surest = "" if row[key] == max(row[key] for row in rows) else " for sure"
        return [f"The group that leaks most{surest} is {named}: {values}."]
    return [f"The highest of the groups is {named}, which may be chance: {values}."]


def _row_in_words(row: Mapping, more: str) -> str:
    """The AUC of a group or of persons, and its difference to the control's, with their intervals."""
    digits = _percent_digits(row, "auc", 0.5)
    words = f"{row['auc']:{digits}} of pairs ({interval(row, 'auc', digits)}, {more})"
    if "auc_difference" in row:
        value, ends = _points(row, "auc_difference")
        words += f", {value} points beside the control ({ends})"
    return words


def _by_person(report: Mapping) -> str:
    persons = report["persons"]
    if persons["refused"]:
        return f"By person nothing can be said: {persons['refused']}."
    key, chance = ("auc_difference", 0.0) if "control" in report else ("auc", 0.5)
    answer = "leaks" if persons[f"{key}_low"] > chance else "no leak can be shown"
    sizes = f"{sure(report, 'auc')} sure, {persons['members']:,} persons and {persons['nonmembers']:,}"
    if persons["without_mean"]:
        sizes += f"; {counted(persons['without_mean'], 'person')} with inf and -inf left out"
    return (
        f"By person, the unit at risk: {answer}; the mean {ATTACKS[report['attack']]} of a random member is "
        f"lower than that of a random non-member in {_row_in_words(persons, sizes)}."
    )


def _found_at_1_percent(report: Mapping) -> str:
    measured, key = report["trainings"][0][report["attack"]], "tpr_at_1pct_fpr"
    if measured[key] is None:
        needed = nonmembers_needed(LOW_FPRS["1pct"])
        return f"To tell how many are found at 1 false alarm in 100 takes {needed:,} non-members or more."
    chance = measured[f"chance_{key}"]
    compared = beside(measured, key, chance, ("more than", "fewer than", "not told from"))
    digits = _percent_digits(measured, key, chance, fewest=2)
    found = f"{measured[key]:{digits}} of the members are found ({interval(measured, key, digits)})"
    return f"At 1 false alarm in 100 non-members, {found}, {compared} chance, {chance:{digits}}."


def meaning_of(report: Mapping) -> str:
    """What the verdict means, for somebody who knows none of its words."""
    finding = report["finding"]
    record = "person" if "persons" in report else "record"
    if finding["sides_differ"] and not finding["leak_shown"]:
        return (
            f"The {record}s that the model was trained on differ from the others for reasons that have "
            "nothing to do with the model. So this audit cannot say whether the model gives away who was in "
            "its data."
        )
    right, instead = _right_of_100(report)
    if finding["leak_shown"] and _other_proof(report):
        return (
            "Somebody who sees how sure the model is of a record can tell in some cases whether the record "
            "was used to train it, though not by taking the lower of two losses: a threshold, or a part of "
            "the records, gives it away."
        )
    if finding["leak_shown"]:
        return (
            "Somebody who sees how sure the model is of a record can tell better than by a coin whether the "
            "record was used to train it: of one record that was used and one that was not, the right one is "
            f"picked in {right} of 100 cases instead of {instead}."
        )
    if _too_few(report):
        return "So few records say nothing of what the model gives away. Audit it with more."
    if finding["auc_high"] < 0.5:
        return (
            "The model fits the records that it is said to have been trained on worse than the others, which "
            "training does not explain. Likely causes: the values are confidences, or the files are swapped; "
            "the members' losses were taken in training mode, with dropout or augmentation; the members are "
            "the more difficult records. Of audits in which nothing is wrong 2.5% or fewer get there by "
            "chance."
        )
    return (
        "Somebody who sees how sure the model is of a record was not shown to tell better than by a coin "
        "whether the record was used to train it. Another attack, or more records, may still show it."
    )


def _right_of_100(report: Mapping) -> tuple[str, str]:
    """In how many of 100 pairs the lower loss is the member's, and in how many if nothing leaked: with as
    many digits as the lower end of the interval needs to be told from that."""
    finding = report["finding"]
    low, instead, more = finding["auc_low"], 0.5, ""
    if "control" in report:
        control = report["control"]
        instead, more = control["control_auc"], ", as by a model that saw neither"
        low = instead + control["auc_low"]
    elif finding["sides_differ"]:
        instead, more = report["same_source"]["explained"]["auc"], " at most, by the unequal shares"
    digits = _digits_apart((low, finding["auc"]), instead, 0)
    return f"{100 * finding['auc']:.{digits}f}", f"{100 * instead:.{digits}f}{more}"


# ----------------------------------------------------------------------------------------------------- tables


def beside(found: Mapping, key: str, chance: float, words: tuple[str, str, str]) -> str:
    """One of three words: the interval lies above chance, below it, or around it."""
    above, below, around = words
    return above if found[f"{key}_low"] > chance else below if found[f"{key}_high"] < chance else around


def interval(found: Mapping, key: str, digits: str) -> str:
    """Both ends of an interval; nothing where there is none."""
    low, high = found[f"{key}_low"], found[f"{key}_high"]
    return "" if low is None else f"{low:{digits}} to {high:{digits}}"


def _points(contrast: Mapping, key: str, ends: str = "") -> tuple[str, str]:
    """A difference and its interval, in points of a percentage. ends: the interval's name, if another."""
    value, low, high = (contrast[name] for name in (key, f"{ends or key}_low", f"{ends or key}_high"))
    digits = _digits_apart((low, high), 0.0, 1)
    return f"{100 * value:+.{digits}f}", f"{100 * low:+.{digits}f} to {100 * high:+.{digits}f}"


def _digits_apart(ends: tuple[float | None, ...], chance: float, fewest: int) -> int:
    """How many digits percentages need so that no end of an interval that is above, or below, chance is
    rounded to it: `fewest` at least, three at most."""
    apart = [end for end in ends if end is not None and end != chance]
    for digits in range(fewest, MOST_DIGITS):
        if all(round(100 * end, digits) != round(100 * chance, digits) for end in apart):
            return digits
    return MOST_DIGITS


def _percent_digits(found: Mapping, key: str, chance: float, fewest: int = 1) -> str:
    """The same as a format, of a value and the ends of its interval."""
    ends = found[f"{key}_low"], found[f"{key}_high"]
    return f".{_digits_apart(ends, chance, fewest)}%"


def sure(report: Mapping, measure: str) -> str:
    """The confidence of a measure's interval, as 95%."""
    return _percent(report["confidences"][measure])


def _percent(confidence: float) -> str:
    return f"{100 * confidence:.4g}%"


def measures_table(report: Mapping) -> pd.DataFrame:
    """A row for each attack and measure: its value, interval, how sure that is, and the value if nothing
    leaks. Of several trainings first for their mean, then for those that show the leak, as the verdict names
    the first of them, then for the others."""
    attacks = dict.fromkeys(["loss", report["attack"]])
    rows = []
    if "kind" in report:
        for attack in attacks:
            kind = report["kind" if attack == report["attack"] else "kind_by_loss"]
            chances = report["trainings"][0][attack]
            found = {key: value for key, value in chances.items() if key.startswith("chance")} | kind
            rows += [("mean", attack, *cells) for cells in _cells(found, report["confidences"])]
    each = [(number, attack) for number in range(1, len(report["trainings"]) + 1) for attack in attacks]
    named = [proof["of"] for proof in report["finding"]["shown_by"]]
    places = {of: place for place, of in reversed(list(enumerate(named)))}
    each.sort(key=lambda row: places.get(of_training(row[1], row[0]), len(named)))
    for number, attack in each:
        cells_of_all = _cells(report["trainings"][number - 1][attack], report["confidences_of_trainings"])
        rows += [(number, attack, *cells) for cells in cells_of_all]
    columns = ["training", "attack", "measure", "value", "interval", "sure", _if_nothing_leaks(report)]
    table = pd.DataFrame(rows, columns=columns)
    return table if len(report["trainings"]) > 1 else table.drop(columns="training")


def of_training(attack: str, number: int) -> str:
    """An attack on one of several trainings, which are counted from 1, as a proof names it."""
    return f"{ATTACKS[attack]} of training {number}"


def _cells(found: Mapping, confidences: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The rows of one attack, without what was not measured."""
    rows = []
    for key, name in MEASURES.items():
        if key not in found:
            continue
        if found[key] is None:
            kind = "members" if key.startswith("tnr") else "non-members"
            needed = nonmembers_needed(LOW_FPRS["0p1pct" if "0p1pct" in key else "1pct"])
            rows.append((name, "", f"takes {needed:,} {kind}", "", ""))
            continue
        ends = interval(found, key, ".4f") if f"{key}_low" in found else ""
        expected = chance_of(found, key)
        rows.append((name, f"{found[key]:.4f}", ends, ends and _percent(confidences[key]), f"{expected:.4f}"))
    return rows


def groups_table(groups: Mapping) -> pd.DataFrame:
    """The groups that are compared, the highest AUC first, and how each stands beside the mean of all."""
    rows = sorted(groups["rows"], key=lambda row: -row["auc"])
    return pd.DataFrame(
        [
            (
                short(row["group"], LETTERS),
                f"{row['members']:,}",
                f"{row['nonmembers']:,}",
                f"{row['auc']:.4f}",
                interval(row, "auc", ".4f"),
                "above" if row.get("above") else "below" if row.get("below") else "",
            )
            for row in rows
        ],
        columns=[
            short(groups["by"], LETTERS),
            "members",
            "non-members",
            "AUC",
            "interval",
            "beside the mean",
        ],
    )


def words_on_groups(groups: Mapping) -> str:
    """What is to be said below the table of groups: what the intervals are, and who is not shown."""
    rows, words, by = groups["rows"], "", short(groups["by"], LETTERS)
    if len(rows) > SHOWN_GROUPS:
        words = f"The {SHOWN_GROUPS} highest of {len(rows)} are shown; audit.json holds all. "
    words += f"The intervals of all {len(rows)} hold together, {100 * groups['confidence']:.4g}% sure."
    sides = {side: [row["group"] for row in rows if row.get(side)] for side in ("above", "below")}
    apart = [
        f"{side} it {by} {', '.join(short(name, LETTERS) for name in names[:SHOWN_GROUPS])}"
        for side, names in sides.items()
        if names
    ]
    if len(rows) > 1:
        words += f" Beside the mean AUC of the groups: {'; '.join(apart) or 'no group can be told from it'}."
    if groups["too_small"]:
        words += f" {groups['too_small']:,} with fewer than {groups['fewest']} of a kind are not shown."
    return words


def words_on_measures(report: Mapping) -> list[str]:
    """All that is to be said below the table of measures, in lines."""
    return [
        *words_on_trainings(report),
        *precisions(report),
        *words_on_accuracy(report),
        *words_on_control(report),
        *words_on_contrast(report),
        bound_on_epsilon(report),
    ]


def precisions(report: Mapping) -> list[str]:
    """Of the members found at 0.1% FPR, how many are members, by their share beforehand."""
    if len(report["trainings"]) > 1 or report["finding"]["sides_differ"]:
        return []
    return [
        f"Of those called members at 0.1% FPR, {row['precision']:.1%} are members "
        f"({interval(row, 'precision', '.1%')}) if {row['prior']:.0%} of the candidates are."
        for row in report["trainings"][0]["precision"]
        if row["precision"] is not None
    ]


def bound_on_epsilon(report: Mapping) -> str:
    """The lower bound on epsilon, and the claim beside it."""
    finding, epsilon = report["finding"], report["epsilon"]
    if finding["sides_differ"]:
        return "Epsilon: nothing can be said, since the two sides differ without the model."
    if epsilon["refused"]:
        return f"Epsilon: nothing can be said: {epsilon['refused']}."
    words = (
        f"Epsilon at delta {epsilon['delta']:g}: at least {epsilon['epsilon_low']:.3f} (95% sure, if a lot "
        f"decided for each {_unit(report)} whether it is a member)"
    )
    bounds = [training["epsilon"]["epsilon_low"] for training in report["trainings"]]
    if len(bounds) > 1:
        each = ", ".join(f"{bound:.3f}" for bound in bounds)
        ordinal = "largest" if len(bounds) == 2 else f"{(len(bounds) + 1) // 2}th largest"
        ordinal = {"2th largest": "second largest", "3th largest": "third largest"}.get(ordinal, ordinal)
        words += f", the {ordinal} of the bounds of {len(bounds)} trainings ({each})"
    if "claim" in report:
        claim = report["claim"]
        words += f"; {claim['claimed_epsilon']:g} is claimed"
        if not claim["delta_is_given"]:
            words += f", and taken to be at delta {epsilon['delta']:g} (--delta)"
    if epsilon["epsilon_low"] and not epsilon["low_for_verdict"] and not finding["leak_shown"]:
        words += (
            ". By itself that would be a leak; the verdict asks several questions, of which this one must be "
            f"{_percent(epsilon['confidence_for_verdict'])} sure, and then nothing is shown"
        )
    return f"{words}."


def _unit(report: Mapping) -> str:
    """What is a member or not."""
    return "person with all rows" if "persons" in report else "record"


def words_on_accuracy(report: Mapping) -> list[str]:
    """How often the model is right, of each training."""
    return [
        f"Accuracy: {accuracy['members']:.1%} of the members, {accuracy['nonmembers']:.1%} of the "
        "non-members "
        f"(largest class: {accuracy['largest_class_members']:.1%} and "
        f"{accuracy['largest_class_nonmembers']:.1%})."
        for accuracy in report.get("accuracy", [])
    ]


def words_on_contrast(report: Mapping) -> list[str]:
    """By how much a second model leaks less or more."""
    if "contrast" not in report:
        return []
    contrast = report["contrast"]
    ends = interval(contrast, "auc", "+.4f")
    level, over = _percent(CONFIDENCE), contrast["over"].replace("examples", "records")
    over = f" ({ends}, {level} sure, over {over})" if ends else ""
    aucs = [training["loss"]["auc"] for training in report["against"]]
    mean = "" if len(aucs) == 1 else f", mean of {len(aucs)} trainings"
    words = (
        f"AUC of {contrast['second']}, by the loss: {sum(aucs) / len(aucs):.4f}{mean}. "
        f"AUC of {contrast['first']} minus {contrast['second']}: {contrast['auc_difference']:+.4f}{over}"
    )
    # Where the sides differ without the model, neither AUC is of a leak.
    return [f"{words}." if report["finding"]["sides_differ"] else f"{words}: {contrast['verdict']}."]


def words_on_control(report: Mapping) -> list[str]:
    """What the control finds, and the difference to it."""
    if "control" not in report:
        return []
    control = report["control"]
    ends = f"{interval(control, 'auc', '+.4f')}, {sure(report, 'auc')} sure"
    return [
        f"Control, a model that saw neither side: AUC {control['control_auc']:.4f}. Difference to it "
        f"{control['auc_difference']:+.4f} ({ends}; 0 {_if_nothing_leaks(report)})."
    ]


def words_on_trainings(report: Mapping) -> list[str]:
    """Examples that the calibrated attack cannot judge."""
    left_out = report["trainings"][0]["left_out"]
    if not left_out:
        return []
    return [f"{left_out:,} records lack a reference trained on them, or one that was not."]


# ------------------------------------------------------------------ what was checked, assumed and not checked


def checked(report: Mapping) -> list[str]:
    """What was checked, in sentences."""
    sentences = [_sentence(check["sentence"]) for check in report["same_source"]["checks"] if _made(check)]
    if report.get("references", {}).get("trained_on_these_records"):
        sentences.append(
            "The references were not drawn by who is a member: what they were trained on does not tell it."
        )
    for accuracy in report.get("accuracy", []):
        sides = ("members", "nonmembers")
        if all(accuracy[side] > accuracy[f"largest_class_{side}"] for side in sides):
            sentences.append(
                "The labels fit the scores: the model is right more often than by the largest class."
            )
        elif all(labels_fit(accuracy, side) for side in sides):
            sentences.append(
                "The labels fit the scores: the model's probabilities say more of them than their shares do."
            )
    of_one_kind = ", on both sides of one kind" if "accuracy" in report else ""
    return [*sentences, f"The values: read whole, none missing{of_one_kind}."]


def _made(check: Mapping) -> bool:
    """Whether a check could be made: not where there were too few of something, for one."""
    return check.get("p") is not None or check.get("auc") is not None


def assumed(report: Mapping) -> list[str]:
    """What the verdict rests on and no file can prove."""
    sentences = []
    checks = report["same_source"]["checks"]
    if not any(map(_made, checks)):
        sentences.append(
            "Members and non-members are of the same source, and differ in nothing but the training. Nothing "
            "in these files could be checked for that; references, labels, groups or a control could be."
        )
    else:
        sentences.append(
            "Members and non-members are of the same source, and differ in nothing but the training, as far "
            "as the checks above do not say otherwise."
        )
    sentences += [_sentence(check["sentence"]) for check in checks if not _made(check)]
    if "persons" in report:
        sentences.append(
            "The persons are independent of each other, and all rows of a person are named as theirs."
        )
    else:
        sentences.append("The records are independent of each other: no person has several rows.")
    sentences.append(
        "The losses are those of the model in question, after its last step, without dropout or "
        "augmentation, for the very rows that it was trained on."
    )
    if report["finding"]["epsilon_low"] is not None:
        sentences.append(
            f"For the bound on epsilon: a lot decided for each {_unit(report)} whether it is a member."
        )
    if report["attack"] == "calibrated":
        sentences.append(
            "The references saw of the members what they are said to have seen, and nothing else."
        )
    if "control" in report:
        sentences.append("The control saw neither members nor non-members.")
    return [*sentences, *report["taken_as_given"]]


def not_checked(report: Mapping) -> list[str]:
    """What no file can show. Whether persons have rows on both sides is known where persons are given."""
    repeated = "near-duplicates" if "persons" in report else "rows of a person, or near-duplicates,"
    return [
        "Whether the non-members took part in the training in another way, such as for early stopping or the "
        "choice of a model: then they are half members, and the leak is larger than what is found.",
        f"Whether {repeated} stand on both sides because the data were split by row.",
        "Whether the model in use is the one that gave these losses.",
    ]


IS_NOT = (
    "An upper bound. A stronger attack, with more references or queries, may find more. Only a proof, such "
    "as that of differential privacy, says what no attack can exceed.",
    "A word on each record. The numbers are means; a few unusual records may be far more exposed.",
    "A statement about a model's file. Nearest neighbours, support vector machines and Gaussian processes "
    "hold rows of their training data, and a tree grown to the end holds thresholds and leaves of single "
    "records: whoever has the file has those, whatever an attack on the losses finds.",
    "An audit of what else can leak, such as the contents of records, or properties of the group as a whole.",
)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


# --------------------------------------------------------------------------------------------------- glossary

GLOSSARY = {  # word in the report: word, explanation
    "member": (
        "Member, non-member",
        "A record that the model was trained on; one from the same source that it was not trained on.",
    ),
    "loss": (
        "Loss",
        "How wrong the model is on a record, usually -log of the probability that it gives to the truth. "
        "Low where it is sure and right.",
    ),
    "calibrated": (
        "Calibrated loss, reference",
        "The loss beside those of other models, the references, on the same record: so an easy record is "
        "not taken for a member.",
    ),
    "control": (
        "Control",
        "A model that saw neither side. What the attack finds there is not due to training.",
    ),
    "AUC": (
        "AUC",
        "The probability that a random member has a lower loss than a random non-member. 50% (0.5) is "
        "guessing, 100% tells all.",
    ),
    "advantage": (
        "Advantage",
        "Members found minus false alarms, at the best threshold. Held-out: the threshold is chosen on one "
        "half of the records and judged on the other, so that 0 is expected if nothing leaks. Same records: "
        "chosen and judged on all, which is too high, most of all with few records.",
    ),
    "FPR": (
        "TPR at 1% FPR",
        "The share of members found (called members) at a threshold that calls at most 1% of the "
        "non-members so: 1 false alarm in 100.",
    ),
    "FNR": (
        "TNR at 1% FNR",
        "The share of non-members recognised while at most 1% of the members are missed.",
    ),
    "ROC": (
        "ROC curve",
        "The TPR for every FPR: members found for every rate of false alarms, from strict to lax thresholds.",
    ),
    "beside the mean": (
        "Beside the mean",
        "Whether a group's AUC is above or below the mean AUC of all groups for sure; empty if neither.",
    ),
    "p": (
        "p",
        "How often sides of one source would differ as much as these, or more, by chance.",
    ),
    "interval": (
        "Interval, sure",
        "Where the true value lies, with the confidence given. Each is wide enough that of models that leak "
        "nothing at most 5% are said to leak, by all together.",
    ),
    "Epsilon": (
        "Epsilon, delta",
        "How much differential privacy allows to be learnt of one record: 0 is nothing, above 5 or so "
        "little is promised. Delta is the probability that the promise may fail.",
    ),
    "person": (
        "By person",
        "A person may have several rows, which are in or out together. The person is what is counted then.",
    ),
}


def glossary_of(report: Mapping) -> list[tuple[str, str]]:
    """The words that the report uses, explained."""
    left_out = {
        "calibrated": report["attack"] != "calibrated",
        "control": "control" not in report,
        "person": "persons" not in report,
        "beside the mean": not any(report.get(name, {}).get("compared") for name in ("groups", "classes")),
        "p": not any(check.get("p") is not None for check in report["same_source"]["checks"]),
    }
    return [entry for word, entry in GLOSSARY.items() if not left_out.get(word)]


# ---------------------------------------------------------------------------------------------------- console


def print_report(report: Mapping) -> None:
    """Says what audit returns, the answer first."""
    print(*report["verdict"], "", sep="\n")
    show(measures_table(report))
    print()
    print(*words_on_measures(report), sep="\n")
    for groups in (report.get("groups"), report.get("classes")):
        if groups is not None and groups["compared"]:
            table = groups_table(groups)
            print()
            show(table.head(SHOWN_GROUPS))
            print(words_on_groups(groups))
    checks = [_sentence(check["sentence"]) for check in report["same_source"]["checks"]]
    made = any(map(_made, report["same_source"]["checks"]))
    nothing = "; nothing in these files could be checked for it (--control could be)"
    differs = "disproved" if report["same_source"]["differs"] else "assumed"
    print(f"\nThat both sides are of one source is {differs}{'' if made else nothing}.", *checks)
    for warning in report["warnings"]:
        print(f"\nWarning: {warning}")
