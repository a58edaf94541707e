"""What an audit finds: measures, bound on epsilon, groups, persons, contrasts, and what they say together.

The frames are those of leakage.files.read_training, one for each training, with a column for each attack's
score. Every function returns plain numbers and texts, as audit.json holds them. leakage.audit asks the
questions; leakage.wording puts the findings into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from leakage.calibration import precision_table
from leakage.checks import (
    Shares,
    doubts,
    doubts_on_accuracy,
    level_of_each,
    same_auc,
    same_rows_a_person,
    same_shares,
    shares_of,
    unrelated,
)
from leakage.command_line import BadInput, short
from leakage.contrasts import MEASURES as KIND_MEASURES
from leakage.contrasts import (
    contrast_of_kinds,
    gain_of_attack,
    groups_differ,
    interval_of_kind,
    paired_contrast,
    verdict,
)
from leakage.estimates import (
    CHANCES,
    CONFIDENCE,
    FAMILY,
    FEWEST_EXAMPLES,
    Losses,
    auc_interval,
    chance_of,
    detectable_auc,
    estimates_of,
    mean_by_person,
    measure_leakage,
)
from leakage.lower_bound import common_bound, confidence_of_each, epsilon_lower_bound, fair_sides
from leakage.wording import ATTACKS, MEASURES, of_training

MEASURE_NAMES = tuple(prefix + name for name in MEASURES for prefix in ("", "chance_"))


def losses_of(frame: pd.DataFrame, score: str) -> Losses:
    """The scores of one training, without the examples that have none."""
    kinds = [frame[frame[score].notna() & (frame["member"] == member)] for member in (True, False)]
    names = [score, "number", *(["person"] if "person" in frame else [])]
    return Losses(*(kind[name].to_numpy() for name in names for kind in kinds))


def measures_of(
    frames: list[pd.DataFrame], attacks: Sequence[str], confidences: Mapping[str, float], delta: float
) -> list[dict[str, object]]:
    """What is found about each training by each attack, and the lower bound on epsilon by the last of them: a
    bound by both would have half the error for each, and be lower."""
    bounds = _bounds(frames, attacks[-1], delta, CONFIDENCE)
    found = []
    for frame, bound in zip(frames, bounds, strict=True):
        measured: dict[str, object] = {}
        for score in attacks:
            losses = losses_of(frame, score)
            measured[score] = measure_leakage(
                losses.members,
                losses.nonmembers,
                confidence=confidences,
                member_persons=losses.member_persons,
                nonmember_persons=losses.nonmember_persons,
            )
            if "person" in frame:
                measured[score]["auc_degrees"] = estimates_of(losses, ["auc"])["auc"].degrees
        measured["epsilon"] = bound
        # Its intervals are for independent records, and would be too narrow for rows of persons.
        independent = "person" not in frame
        measured["precision"] = (
            precision_table(measured[attacks[-1]]).to_dict("records") if independent else []
        )
        measured["left_out"] = frame[attacks[-1]].isna().sum()
        found.append(measured)
    return found


def kind_of(trainings: Sequence[Losses], confidences: Mapping[str, float]) -> dict[str, float | None]:
    """What is found about all trainings together, each measure with its own confidence."""
    found: dict[str, float | None] = {}
    for measure in KIND_MEASURES:
        found |= interval_of_kind(trainings, confidence=confidences[measure], measures=[measure])
    return found


def _auc_of(trainings: Sequence[Losses], confidence: float) -> dict[str, float | None]:
    """The AUC of one training over examples, or of several over trainings and examples, with its interval."""
    if len(trainings) > 1:
        found = interval_of_kind(trainings, confidence=confidence, measures=["auc"])
        return {key: found[key] for key in ("auc", "auc_low", "auc_high")}
    estimate = estimates_of(trainings[0], ["auc"])["auc"]
    low, high = auc_interval(estimate, confidence)
    return {"auc": estimate.value, "auc_low": low, "auc_high": high}


# ------------------------------------------------------------------------------------------ bound on epsilon


def _bounds(
    frames: list[pd.DataFrame], attack: str, delta: float, confidence: float
) -> list[dict[str, float | int | str | None]]:
    """Lower bounds on epsilon, one a training, for common_bound; several rows of a person are one example.

    If too few persons are in or out with all their rows, epsilon_low is None, and `refused` says why.
    """
    sides = []
    for frame in frames:
        losses = losses_of(frame, attack)
        try:
            unit = losses if losses.member_persons is None else mean_by_person(losses)
        except BadInput as problem:
            return [{"epsilon_low": None, "refused": str(problem), "delta": delta}] * len(frames)
        # Membership by lot is assumed here, and said where the bound is printed.
        sides.append(fair_sides(unit.members, unit.nonmembers))
    of_each = confidence_of_each(len(sides), confidence)
    return [epsilon_lower_bound(*of_one, delta, confidence=of_each) for of_one in sides]


def epsilon_of(
    found: Sequence[Mapping], frames: list[pd.DataFrame], attack: str, delta: float, for_verdict: float
) -> dict[str, float | str | None]:
    """The lower bound on epsilon of all trainings together, with 95%, and with the confidence `for_verdict`
    that it has as one question of several. found: of measures_of."""
    refused = found[0]["epsilon"].get("refused", "")
    low = low_for_verdict = None
    if not refused:
        low = common_bound([training["epsilon"]["epsilon_low"] for training in found])
        sure = _bounds(frames, attack, delta, for_verdict)
        low_for_verdict = common_bound([bound["epsilon_low"] for bound in sure])
    return {
        "epsilon_low": low,
        "confidence": CONFIDENCE,
        "low_for_verdict": low_for_verdict,
        "confidence_for_verdict": for_verdict,
        "delta": delta,
        "refused": refused,
    }


def claim_on_epsilon(found: Mapping, claimed: float, delta_is_given: bool) -> dict[str, object]:
    """The claimed epsilon beside the lower bound, and beside the bound of each training."""
    bounds = [training["epsilon"]["epsilon_low"] for training in found["trainings"]]
    low = found["finding"]["epsilon_low"]
    return {
        "claimed_epsilon": claimed,
        "delta_is_given": delta_is_given,
        "epsilon_low": bounds,
        "contradicted": low is not None and low > claimed,
    }


# ---------------------------------------------------------------------------------------- groups and persons


def comparable_groups(
    frames: list[pd.DataFrame], attack: str, column: str
) -> tuple[dict[str, list[pd.DataFrame]], int]:
    """The rows of each group, training by training, if in each it has 10 members and non-members or more, or
    so many persons; and how many groups are smaller. These are counted, and not shown: their rows would say
    who is in them."""
    unit = "person" if "person" in frames[0] else "number"
    of_frames = [dict(list(frame.groupby(column, sort=False))) for frame in frames]
    large, too_small = {}, 0
    for name in pd.unique(pd.concat([frame[column] for frame in frames])):
        parts = [of_frame.get(name) for of_frame in of_frames]
        if min(0 if part is None else _fewest(part, attack, unit) for part in parts) < FEWEST_EXAMPLES:
            too_small += 1
        else:
            large[name] = parts
    return large, too_small


def _fewest(frame: pd.DataFrame, attack: str, unit: str) -> int:
    """The number of members, or of non-members, that have a score, whichever is smaller."""
    judged = frame[frame[attack].notna()]
    return min(judged.loc[judged["member"] == member, unit].nunique() for member in (True, False))


def groups_of(
    large: Mapping[str, list[pd.DataFrame]],
    too_small: int,
    attack: str,
    by: str,
    confidence: float,
    *,
    beside_control: bool,
) -> dict[str, object]:
    """AUC of each group, which of them lie above or below the mean of all, and the differences to a control.

    large, too_small: of comparable_groups. by: what the groups are of. confidence: of all intervals together.
    """
    losses = [[losses_of(part, attack) for part in parts] for parts in large.values()]
    rows: list[dict[str, object]] = [
        {
            "group": name,
            "members": min(len(of_one.members) for of_one in trainings),
            "nonmembers": min(len(of_one.nonmembers) for of_one in trainings),
        }
        for name, trainings in zip(large, losses, strict=True)
    ]
    of_groups = groups_differ(losses, confidence=confidence) if len(losses) > 1 else []
    of_groups = of_groups or [_auc_of(trainings, confidence) for trainings in losses]
    for row, of_group, parts in zip(rows, of_groups, large.values(), strict=True):
        row |= of_group
        if beside_control:
            both = [part[part["control"].notna() & part[attack].notna()] for part in parts]
            scores = [[losses_of(part, score) for part in both] for score in (attack, "control")]
            row |= _named_difference(*scores, 1 - (1 - confidence) / len(rows))
    return {
        "by": by,
        "rows": rows,
        "compared": len(rows),
        "too_small": too_small,
        "fewest": FEWEST_EXAMPLES,
        "confidence": confidence,
    }


def persons_refused(frames: list[pd.DataFrame], attack: str) -> str | None:
    """Why the mean loss of a person says nothing; empty if it does, None without persons."""
    if "person" not in frames[0]:
        return None
    try:
        for frame in frames:
            mean_by_person(losses_of(frame, attack))
    except BadInput as problem:
        return str(problem)
    return ""


def persons_of(
    frames: list[pd.DataFrame], attack: str, confidence: float, *, beside_control: bool
) -> dict[str, object]:
    """Whether the mean loss of a person tells members from non-members: the person is what is at risk."""
    means = [mean_by_person(losses_of(frame, attack)) for frame in frames]
    ends = [frame.groupby("person")[attack].agg(["min", "max"]) for frame in frames]
    found = {
        "refused": "",
        "members": min(len(losses.members) for losses in means),
        "nonmembers": min(len(losses.nonmembers) for losses in means),
        # Of a calibrated loss of inf and one of -inf there is no mean.
        "without_mean": max(int(((each["min"] == -np.inf) & (each["max"] == np.inf)).sum()) for each in ends),
    } | _auc_of(means, confidence)
    if beside_control:
        both = [frame[frame["control"].notna() & frame[attack].notna()] for frame in frames]
        try:
            pairs = [_means_of_both(frame, attack) for frame in both]
        except BadInput as problem:  # too few persons were judged by the control
            return {"refused": str(problem)}
        found |= _named_difference(*zip(*pairs, strict=True), confidence)
    return found


def _means_of_both(frame: pd.DataFrame, attack: str) -> list[Losses]:
    """The mean loss of each person by the model, and by the control, of those persons who have both."""
    means = [mean_by_person(losses_of(frame, score)) for score in (attack, "control")]
    common = [
        np.isin(getattr(mine, side), getattr(other, side))
        for mine, other in (means, means[::-1])
        for side in ("member_ids", "nonmember_ids")
    ]
    return [
        Losses(
            losses.members[members],
            losses.nonmembers[nonmembers],
            losses.member_ids[members],
            losses.nonmember_ids[nonmembers],
        )
        for losses, members, nonmembers in zip(means, common[::2], common[1::2], strict=True)
    ]


# ------------------------------------------------------------------------------------------------- contrasts


def contrast_of(first: list[pd.DataFrame], second: list[pd.DataFrame]) -> dict[str, object]:
    """The difference between two models, by the loss; between two kinds if either has several trainings."""
    kinds = [[losses_of(frame, "loss") for frame in kind] for kind in (first, second)]
    names = "the audited model", "the other"
    if len(first) == len(second) == 1:
        contrast = paired_contrast(*kinds[0], *kinds[1], names)
    else:
        contrast = contrast_of_kinds(*kinds, names)
    return contrast | {"verdict": verdict(contrast)}


def difference_to_control(frames: list[pd.DataFrame], attack: str, confidence: float) -> dict[str, object]:
    """The AUC of the control, and by how much the model's is larger, on the same examples."""
    both = [frame[frame[attack].notna() & frame["control"].notna()] for frame in frames]
    model, control = ([losses_of(frame, score) for frame in both] for score in (attack, "control"))
    alone = np.mean([estimates_of(losses, ["auc"])["auc"].value for losses in control])
    return {"control_auc": alone} | _difference(model, control, confidence)


def _difference(
    model: Sequence[Losses], control: Sequence[Losses], confidence: float
) -> dict[str, float | None]:
    """By how much larger the model's AUC is than the control's, on the same examples, with the interval and
    its degrees of freedom."""
    if len(model) > 1:
        gain = gain_of_attack(model, control, confidence=confidence)
        names = {"auc_difference": "", "auc_low": "_low", "auc_high": "_high", "auc_degrees": "_degrees"}
        return {name: gain[f"auc_gain{end}"] for name, end in names.items()}
    contrast = paired_contrast(*model, *control, ("the audited model", "the control"), confidence=confidence)
    found = {key: contrast[key] for key in ("auc_difference", "auc_low", "auc_high")}
    degrees = [estimates_of(losses, ["auc"])["auc"].degrees for losses in (*model, *control)]
    return found | {"auc_degrees": min(degrees)}


def _named_difference(
    model: Sequence[Losses], control: Sequence[Losses], confidence: float
) -> dict[str, float | None]:
    """The same for a row that has an AUC of its own."""
    found = _difference(model, control, confidence)
    ends = {"": "auc_difference", "_low": "auc_low", "_high": "auc_high"}
    return {f"auc_difference{end}": found[key] for end, key in ends.items()}


# ------------------------------------------------------------------------------------------------ one source


def same_source(frames: list[pd.DataFrame], group_sets: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    """What the files say on whether both sides are of one source, beside the losses of the model itself."""
    # Trainings of the same members are one and the same case.
    sides = {
        (frame["number"].to_numpy().tobytes(), frame["member"].to_numpy().tobytes()): frame
        for frame in frames
    }
    checks = []
    for frame in sides.values():
        for column, what in {
            "control": "the control's loss, which knows nothing of who is a member,",
            "reference": "the references' own mean loss, which knows nothing of who is a member,",
        }.items():
            if column in frame:
                checks.append(partial(_same_auc, column, what, frame))
        for name, (column, by) in group_sets.items():
            what = "classes" if name == "classes" else f"the groups of {short(by, 40)}"
            checks.append(partial(same_shares, name, what, frame, column))
        if "person" in frame:
            checks.append(partial(same_rows_a_person, losses_of(frame, "loss")))
    level = level_of_each(len(checks))
    found = [check(level=level) for check in checks]
    return {"checks": found, "differs": any(check["differs"] for check in found)}


def _same_auc(column: str, what: str, frame: pd.DataFrame, level: float) -> dict[str, object]:
    """As same_auc, of other models' losses. If these have nothing to do with the model's, as where the rows
    stand in another order, they do not show that the sides are of one source: then nothing was checked."""
    found = same_auc(column, what, losses_of(frame, column), level)
    if found["differs"] or not unrelated(frame["loss"].to_numpy(), frame[column].to_numpy()):
        return found
    sentence = (
        f"{what} cannot be used: it has nothing to do with the model's, as if rows were in another order"
    )
    return found | {"auc": None, "auc_low": None, "auc_high": None, "sentence": sentence}


def unequal_columns(checks: Sequence[Mapping], group_sets: Mapping[str, tuple[str, str]]) -> list[str]:
    """The columns whose categories have other shares on either side, if the sides are known to differ in
    nothing else; empty if they do, or are not known to differ at all."""
    unequal = dict.fromkeys(check["check"] for check in checks if check["differs"])
    if not unequal.keys() <= group_sets.keys():
        return []
    return [group_sets[name][0] for name in unequal]


def explained_by_shares(frames: list[pd.DataFrame], score: str, columns: Sequence[str]) -> dict[str, float]:
    """How far the shares of these columns' categories are `apart`, and the AUC that they alone can give."""
    shares = _shares(frames, score, columns)
    return {
        "apart": float(np.mean([of_one.apart for of_one in shares])),
        "auc": _most(shares, "auc", 0.5),
    }


def _shares(frames: list[pd.DataFrame], score: str, columns: Sequence[str]) -> list[Shares]:
    """Of each training, of the examples that have this score."""
    return [shares_of(frame[frame[score].notna()], columns) for frame in frames]


def _most(shares: Sequence[Shares], measure: str, chance: float) -> float:
    """What these shares alone can make a measure, on average over the trainings."""
    return float(np.mean([of_one.most(measure, chance) for of_one in shares]))


# ---------------------------------------------------------------------------------------------- the finding


def finding_of(
    found: Mapping,
    frames: list[pd.DataFrame],
    attacks: Sequence[str],
    groups: Mapping[str, Mapping[str, list[pd.DataFrame]]],
    unequal: Sequence[str],
) -> dict[str, object]:
    """What the verdict rests on: of the last of the attacks, and everything that shows a leak.

    Of models that leak nothing at most 5% get any proof, all together: each question has its share of the
    level, and within an attack FAMILY shares it out. If the sides differ without the model, there are proofs
    only if they are known to differ in the shares of the columns `unequal` alone: what these do not explain.
    groups: of comparable_groups, for each set of them.
    """
    attack = attacks[-1]
    headline = found["kind"] if "kind" in found else found["trainings"][0][attack]
    differs = found["same_source"]["differs"]
    by_attacks = by_others = by_groups = []
    if not differs or unequal:
        by_attacks = _proofs_of_attacks(found, frames, attacks, unequal)
        by_groups = _proofs_of_groups(found, attack, groups, unequal)
    if not differs:
        by_others = [*_proofs_of_epsilon(found, attack), *_proofs_of_persons(found, attack)]
    proofs = [*by_attacks, *by_others, *by_groups]
    confidence = found["confidences"]["auc"]
    if "control" in found:
        chance = found["control"]["control_auc"]
        detectable = detectable_auc(found["control"], confidence=confidence, chance=chance)
    else:
        detectable = detectable_auc(headline, confidence=confidence)
    return {
        "attack": attack,
        "sides_differ": differs,
        # Of a model whose sides differ without it nothing is known, unless that explains too little.
        "leak_shown": True if proofs else None if differs else False,
        "shown_by": proofs,
        "detectable_auc": detectable,
        "epsilon_low": None if differs else found["epsilon"]["epsilon_low"],
        "delta": found["epsilon"]["delta"],
    } | {key: value for key, value in headline.items() if key.startswith(MEASURE_NAMES)}


def _proofs_of_attacks(
    found: Mapping, frames: list[pd.DataFrame], attacks: Sequence[str], unequal: Sequence[str]
) -> list[dict[str, object]]:
    """The measures of all attacks that show a leak, those of the last attack first."""
    attack, several, control = attacks[-1], "kind" in found, "control" in found
    proofs = []
    if control:
        both = [frame[frame["control"].notna()] for frame in frames]
        difference = found["control"] | {"auc": found["control"]["auc_difference"]}
        chance = _most_beside_control(_shares(both, attack, unequal))
        if difference["auc_low"] > chance:
            proofs.append(_proof("control", "auc", difference, chance))
    for score in reversed(attacks):
        shares = _shares(frames, score, unequal)
        if several:
            chances = {key: value for key, value in found["trainings"][0][score].items() if "chance" in key}
            kind = found["kind" if score == attack else "kind_by_loss"]
            proofs += _proofs(score, chances | kind, shares, control)
        for number, (training, shares_of_one) in enumerate(zip(found["trainings"], shares, strict=True), 1):
            of = of_training(score, number) if several else score
            proofs += _proofs(of, training[score], [shares_of_one], control)
    return proofs


def _proofs(of: str, measured: Mapping, shares: Sequence[Shares], control: bool) -> list[dict[str, object]]:
    """The measures of one attack that show a leak. With a control the difference to it counts, in place of
    the AUC and of the held-out advantage."""
    proofs = []
    for measure in FAMILY:
        low, chance = measured.get(f"{measure}_low"), chance_of(measured, measure)
        if low is None or chance is None or (control and measure in CHANCES):
            continue
        chance = _most(shares, measure, chance)
        if low > chance:
            proofs.append(_proof(of, measure, measured, chance))
    return proofs


def _most_beside_control(shares: Sequence[Shares]) -> float:
    """The largest difference to a control that these shares alone can make: they may lower its AUC too."""
    return 2 * _most(shares, "auc", 0.5) - 1


def _proofs_of_epsilon(found: Mapping, attack: str) -> list[dict[str, object]]:
    """The value is the bound that is printed, the lower end the bound with the verdict's confidence."""
    epsilon = found["epsilon"]
    if not epsilon["low_for_verdict"]:
        return []
    ends = {"epsilon_low_low": epsilon["low_for_verdict"], "epsilon_low_high": None}
    return [_proof(attack, "epsilon_low", epsilon | ends, 0.0)]


def _proofs_of_persons(found: Mapping, attack: str) -> list[dict[str, object]]:
    row = found.get("persons", {"refused": "none are given"})
    return [] if row["refused"] else _proofs_of_row(f"mean {ATTACKS[attack]} of a person", row, 0.5, 0.0)


def _proofs_of_groups(
    found: Mapping,
    attack: str,
    groups: Mapping[str, Mapping[str, list[pd.DataFrame]]],
    unequal: Sequence[str],
) -> list[dict[str, object]]:
    proofs = []
    for name, of_set in groups.items():
        for row, parts in zip(found[name]["rows"], of_set.values(), strict=True):
            shares = _shares(parts, attack, unequal)
            of = f"{ATTACKS[attack]} in the group {short(row['group'], 40)}"
            proofs += _proofs_of_row(of, row, _most(shares, "auc", 0.5), _most_beside_control(shares))
    return proofs


def _proofs_of_row(of: str, row: Mapping, chance: float, beside_control: float) -> list[dict[str, object]]:
    """The AUC of a group or of persons, or its difference to the control's, if that shows a leak."""
    if "auc_difference" in row:
        shown = row["auc_difference_low"] > beside_control
        return [_proof(of, "auc_difference", row, beside_control)] if shown else []
    return [_proof(of, "auc", row, chance)] if row["auc_low"] > chance else []


def _proof(of: str, measure: str, found: Mapping, chance: float) -> dict[str, object]:
    ends = {"low": found[f"{measure}_low"], "high": found[f"{measure}_high"]}
    return {"of": of, "measure": measure, "value": found[measure]} | ends | {"chance": chance}


def warnings_of(found: Mapping, frames: list[pd.DataFrame], computed: bool) -> list[str]:
    """What looks wrong with the values, the labels or the claim."""
    warnings, finding = [], found["finding"]
    own = len(found["trainings"])
    # Of several trainings one may be swapped though the others leak, unless the verdict tells of the order.
    tells_of_order = finding["leak_shown"] and (own == 1 or finding["auc_high"] < 0.5)
    measured = [*found["trainings"], *found.get("against", [])]
    for place, (frame, of_frame) in enumerate(zip(frames, measured, strict=True)):
        order_is_explained = finding["sides_differ"] or (tells_of_order and place < own)
        warnings += doubts(losses_of(frame, "loss"), of_frame["loss"], computed, order_is_explained)
    for accuracy in found.get("accuracy", []):
        warnings += doubts_on_accuracy(accuracy)
    for name in ("groups", "classes"):
        if name in found and not found[name]["compared"]:
            by = short(found[name]["by"], 40)
            warnings.append(
                f"No group of {by} has {FEWEST_EXAMPLES} members and {FEWEST_EXAMPLES} non-members."
            )
    if "claim" in found and found["claim"]["contradicted"]:
        unit = "person with all rows" if "persons" in found else "record"
        warnings.append(
            f"The lower bound on epsilon, at delta {finding['delta']:g} and for one {unit}, is above the "
            f"claimed {found['claim']['claimed_epsilon']:g}: the claim is wrong, or is for another unit or "
            "delta, or no lot decided who was a member."
        )
    return warnings
