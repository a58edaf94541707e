"""How often do the intervals of kinds of model hold, where the truth is known?

A simulated study has all parts of the experiment by coins, and takes milliseconds: a pool of images, a coin
for each image and pair of trainings, complementary trainings, and the other pairs as references. An image is
hard or easy, and it is remembered more or less, for all trainings of a kind. A training remembers more or
less than the others of its kind. The loss of an image in a training is log(1 + e^z), in nats, with

    z = hardness of the image + noise - strength of the training * memory of the image, if it is a member.

All sizes are chosen so that the studies resemble the real one, with fewer images. The spread of the AUC over
trainings and over images, and the correlations, are printed beside the results. The truth is the mean over
all studies; with 1,000 of them its error is a thirtieth of the spread of one. The truth is 0 for a difference
between equal kinds, and 0.5 for a placebo.

Audits of one training stand beside them: of many groups, and of persons with several rows, in which

    z = what all rows of a person share + noise - memory of the person, if the row is a member.

    python benchmarks/simulations.py [--runs N] [--only CELL ...] [--results FILE]

The cells called bound-... ask something else: of mechanisms whose epsilon is known, how often is the lower
bound above it? Each of their runs is 10 audits. And those called audits-...: of models that leak nothing, how
many are said to leak by a whole audit?

Cells whose results are in FILE (JSON) are not simulated again, so a run can be stopped and continued.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.mechanisms import (
    Mechanism,
    bounds_of,
    gaussian_epsilon,
    gaussian_noise,
    many_at_once,
    noisy_sum,
    randomised_response,
)
from leakage import epsilon_lower_bound, fair_sides
from leakage.audit import audit
from leakage.calibration import calibrated_trainings
from leakage.command_line import OneLineParser
from leakage.contrasts import (
    MEASURES,
    contrast_of_kinds,
    gain_of_attack,
    groups_differ,
    interval_of_kind,
)
from leakage.estimates import (
    FAMILY,
    Losses,
    auc_interval,
    auc_with_interval,
    estimates_of,
    evidence_of_leak,
    mean_by_person,
    measure_leakage,
    tpr_with_interval,
)
from suite.support.command_line import whole_number

RUNS = 1000  # of each cell
ATTACKS = ("threshold", "calibrated")
# One family: the share of the pool that each kind has, and the pairs of kinds that are judged.
FAMILY_POOLS = (1.0, 1.0, 1.0, 0.4, 0.4, 0.4, 0.16)
FAMILY_PAIRS = ((0, 1), (2, 1), (4, 3), (1, 3), (5, 6), (1, 5), (3, 6))
AUDITS = 10  # of a mechanism in each run
# Groups of one training: their number, and the number of members, and of non-members, in each.
SINGLE_GROUPS = ((10, 20), (10, 200), (10, 1000), (200, 20), (1000, 20))
PERSONS, ROWS, ALIKE_ROWS = (100, 500, 1000), (1, 4, 10, 20), (0.0, 0.3, 0.6)  # of one audit each
MEMORY = 0.5  # of a person, in standard deviations of the loss of a row, where there is a leak

# The columns of the table: the name of a result, and the heading.
COLUMNS = {
    "auc, mean": "AUC",
    "auc, half width": "half width",
    "auc, covered": "truth inside",
    "a contrast of equal kinds claims": "contrast claims",
    "all 7 contrasts of equal kinds, claims": "all 7, one by one",
    "families of 7 with a claim": "family of 7 claims",
    "placebo claims": "placebo claims",
    "placebo of one training claims": "of one training",
    "aucs, correlation in pairs": "correlation in pairs",
}


@dataclass(frozen=True)
class World:
    """The numbers that decide the losses of a simulated kind of model."""

    images: int = 3000  # in the pool
    memory: float = 0.6  # what a training subtracts from z of an average member
    unequal_images: float = 1.0  # spread of log memory over images
    hardness: float = 2.0  # spread over images
    noise: float = 0.85  # spread over images and trainings
    unequal_trainings: float = 0.27  # spread of the strength of trainings, whose mean is 1
    alike: float = 0.3  # correlation of the strengths of a pair
    shared: float = (
        0.5  # share of the variance of hardness and memory over images that all kinds have in common
    )


TWINS_ALIKE = World()


class Study:
    """A pool of images and the coins of a number of trainings. Kinds of model are drawn for them."""

    def __init__(self, generator: np.random.Generator, world: World, trainings: int) -> None:
        self.generator, self.world, self.trainings = generator, world, trainings
        self.is_member = self.toss(trainings // 2)
        # Of the hardness and of the logarithm of the memory.
        self.in_common = generator.normal(size=(2, world.images))

    def toss(self, pairs: int) -> np.ndarray:
        """Who is a member of which training, bool (2 * pairs, images); rows 2j and 2j + 1 are complements."""
        heads = self.generator.random((pairs, self.world.images)) < 0.5
        return np.stack([heads, ~heads], axis=1).reshape(2 * pairs, self.world.images)

    def losses(self, share: float = 1.0, groups: int = 1, own_of_groups: float = 0.0) -> np.ndarray:
        """The losses (trainings, images), in nats, of all trainings of a new kind, on the first `share` of
        the images.

        groups: the number of groups of images, by the image's number modulo it. own_of_groups: the standard
        deviation of what a training adds to its strength in one group; in the first group 1.5 times that.
        """
        world, draw = self.world, self.generator.normal
        images = round(world.images * share)
        own = draw(size=(2, images)) * np.sqrt(1 - world.shared)
        hard, remembered = self.in_common[:, :images] * np.sqrt(world.shared) + own
        memory = world.memory * np.exp(world.unequal_images * remembered - world.unequal_images**2 / 2)
        of_pairs = np.repeat(draw(size=self.trainings // 2), 2) * np.sqrt(world.alike)
        of_trainings = draw(size=self.trainings) * np.sqrt(1 - world.alike)
        strength = 1 + world.unequal_trainings * (of_pairs + of_trainings)
        of_groups = own_of_groups * draw(size=(self.trainings, groups))
        of_groups[:, 0] *= 1.5
        strength = strength[:, None] + of_groups[:, np.arange(images) % groups]
        z = world.hardness * hard + world.noise * draw(size=(self.trainings, images))
        return np.logaddexp(0, z - strength * memory * self.is_member[:, :images])


def trainings_of(scores: np.ndarray, is_member: np.ndarray) -> list[Losses]:
    """The scores (S, N) of S trainings, with the image numbers 0 to N - 1. is_member: bool (S, N)."""
    numbers = np.arange(scores.shape[1])
    return [
        Losses(of_training[members], of_training[~members], numbers[members], numbers[~members])
        for of_training, members in zip(scores, is_member[:, : scores.shape[1]], strict=True)
    ]


def by_both_attacks(trainings: list[Losses]) -> dict[str, list[Losses]]:
    """The scores of all trainings, by each attack."""
    return {"threshold": trainings, "calibrated": calibrated_trainings(trainings)}


# ------------------------------------------------------------------------------- what is asked of one study


def kinds(study: Study) -> dict[str, float]:
    """Asks of seven equal kinds: intervals, contrasts one by one and as a family, placebo, and gains."""
    all_kinds = [
        by_both_attacks(trainings_of(study.losses(share), study.is_member)) for share in FAMILY_POOLS
    ]
    answers = kind_and_contrast(study, *all_kinds[:2])
    for attack in ATTACKS:
        contrasts = []
        for pair in FAMILY_PAIRS:
            first, second = (all_kinds[place][attack] for place in pair)
            contrasts.append(contrast_of(first, second, 1 - 0.05 / len(FAMILY_PAIRS)))
        alone = [contrast["auc_p"] < 0.05 for contrast in contrasts]
        together = [claimed(contrast, "auc", 0.0) for contrast in contrasts]
        answers[f"{attack}: all 7 contrasts of equal kinds, claims"] = np.mean(alone)
        answers[f"{attack}: families of 7 with a claim"] = any(together)
    # Two attacks that add equal noise, and so find equally much.
    losses = study.losses()
    noisy = [
        trainings_of(losses + study.generator.normal(size=losses.shape), study.is_member) for _ in range(2)
    ]
    answers["equal attacks said to differ"] = claimed(gain_of_attack(*noisy), "auc_gain", 0.0)
    return answers


def kind_and_contrast(
    study: Study, first: dict[str, list[Losses]], second: dict[str, list[Losses]]
) -> dict[str, float]:
    """Asks of two equal kinds, by each attack: the first's interval, its placebo, the contrast, the gain."""
    answers = {}
    placebo = np.tile(study.toss(1), (study.trainings // 2, 1))
    for attack in ATTACKS:
        trainings = first[attack]
        answers |= {f"{attack}: {key}": value for key, value in interval_of(trainings).items()}
        contrast = contrast_of(trainings, second[attack], 0.95)
        answers[f"{attack}: a contrast of equal kinds claims"] = claimed(contrast, "auc", 0.0)
        aucs = [auc_with_interval(losses.members, losses.nonmembers) for losses in trainings]
        answers[f"{attack}: aucs"] = [auc for auc, _, _ in aucs]
        answers[f"{attack}: over images"] = np.mean([high - low for _, low, high in aucs]) / 2 / 1.96
        # The same scores, judged by coins that no training was given.
        scores = np.empty((study.trainings, study.world.images))
        for row, losses in zip(scores, trainings, strict=True):
            row[losses.member_ids], row[losses.nonmember_ids] = losses.members, losses.nonmembers
        judged = trainings_of(scores, placebo)
        answers[f"{attack}: placebo claims"] = claimed(interval_of(judged), "auc", 0.5)
        one_by_one = [auc_with_interval(losses.members, losses.nonmembers) for losses in judged]
        answers[f"{attack}: placebo of one training claims"] = np.mean(
            [not low <= 0.5 <= high for _, low, high in one_by_one]
        )
    gain = gain_of_attack(first["calibrated"], first["threshold"])
    return answers | {f"gain: {key.removeprefix('auc_')}": value for key, value in gain.items()}


def two_kinds(study: Study) -> dict[str, float]:
    """Asks the same of two new equal kinds."""
    both = [by_both_attacks(trainings_of(study.losses(), study.is_member)) for _ in range(2)]
    return kind_and_contrast(study, *both)


def all_measures(study: Study) -> dict[str, float]:
    """Asks for the intervals of one kind, for all measures but the AUC."""
    answers = {}
    for attack, trainings in by_both_attacks(trainings_of(study.losses(), study.is_member)).items():
        report = interval_of_kind(trainings, measures=[name for name in MEASURES if name != "auc"])
        answers |= {f"{attack}: {key}": value for key, value in report.items() if value is not None}
    return answers


def groups(study: Study, own_of_groups: float) -> dict[str, float]:
    """Asks of ten equal groups of images: is any said to leak more or less than the mean?"""
    losses = study.losses(groups=10, own_of_groups=own_of_groups)
    answers = {}
    for attack, trainings in by_both_attacks(trainings_of(losses, study.is_member)).items():
        split = [[group_of(of_training, group, 10) for of_training in trainings] for group in range(10)]
        rows = groups_differ(split)
        answers[f"{attack}: audits with a false claim"] = any(row["above"] or row["below"] for row in rows)
    return answers


def group_of(losses: Losses, group: int, groups: int) -> Losses:
    """The losses of the images whose number is `group` modulo groups."""
    members, nonmembers = losses.member_ids % groups == group, losses.nonmember_ids % groups == group
    return Losses(
        losses.members[members],
        losses.nonmembers[nonmembers],
        losses.member_ids[members],
        losses.nonmember_ids[nonmembers],
    )


def groups_of_one_training(generator: np.random.Generator, distance: float) -> dict[str, bool]:
    """Asks the same of one training, for each number and size of groups. Its losses are normal; members' lie
    `distance` standard deviations below the others'."""
    answers = {}
    for count, size in SINGLE_GROUPS if distance == 0 else SINGLE_GROUPS[:3]:
        losses = generator.normal(size=(count, 2, size))
        rows = groups_differ([[Losses(members - distance, others)] for members, others in losses])
        answers[f"{count} groups of {size} + {size}"] = any(row["above"] or row["below"] for row in rows)
    return answers


def persons_of_one_training(
    generator: np.random.Generator,
    persons: int,
    rows: int,
    alike: float,
    split: str,
    memory: float = 0.0,
    whole: bool = False,
) -> dict[str, float]:
    """An audit of one training with several rows a person: which intervals leave out the truth.

    persons: on both sides together. rows: of each, on average if unequal. alike: the share of the variance of
    a loss that all rows of a person have in common. split: "persons", half of them members with all rows;
    "unequal", likewise, with numbers of rows from a geometric distribution; "some", a fifth of the persons
    with each row by a coin, as "rows" has all. memory: what a member's loss is less by, on average; persons
    are remembered unequally. whole: whether all measures are judged, which takes ten times as long.
    """
    counts = generator.geometric(1 / rows, persons) if split == "unequal" else np.full(persons, rows)
    codes = np.repeat(np.arange(persons), counts)
    is_member = (codes % 2).astype(bool)
    share = {"some": 0.2, "rows": 1.0}.get(split, 0.0)
    by_row = codes < share * persons
    is_member[by_row] = generator.random(np.count_nonzero(by_row)) < 0.5
    common, noise = generator.normal(size=persons)[codes], generator.normal(size=len(codes))
    remembered = memory * np.exp(generator.normal(0, 0.5, persons) - 0.125)[codes]
    losses = np.sqrt(alike) * common + np.sqrt(1 - alike) * noise - remembered * is_member
    whose = codes[is_member], codes[~is_member]
    both = losses[is_member], losses[~is_member]

    truths = truths_of(memory)
    answers: dict[str, float] = {}
    for unit, losses in (("persons", Losses(*both, None, None, *whose)), ("rows", Losses(*both))):
        low, high = auc_interval(estimates_of(losses, ["auc"])["auc"])
        answers[f"{unit}: AUC wrong"] = not low <= truths["auc"] <= high
        # Where chance decides how many non-members there are, there must be 1,000 in all runs.
        if persons * rows >= (2000 if split == "persons" else 2500):
            tpr, low, high = tpr_with_interval(losses, 0.01)
            answers |= {f"{unit}: TPR at 1% FPR": tpr}
            answers |= {f"{unit}: TPR at 1% FPR_low": low, f"{unit}: TPR at 1% FPR_high": high}
            answers[f"{unit}: TPR at 1% FPR wrong"] = not low <= truths["tpr"] <= high
    if split != "rows":
        means = mean_by_person(Losses(*both, None, None, *whose))
        _, low, high = auc_with_interval(means.members, means.nonmembers)
        answers["mean loss a person: not told from 0.5"] = low <= 0.5 <= high
    if whole:
        report = measure_leakage(
            *both, member_persons=whose[0], nonmember_persons=whose[1], confidence=FAMILY
        )
        answers["persons: held-out advantage wrong"] = report["heldout_advantage_low"] > truths["advantage"]
        answers["persons: said to leak by any measure"] = bool(evidence_of_leak(report))
    return answers


def truths_of(memory: float) -> dict[str, float]:
    """AUC, TPR at 1% FPR and the advantage of the best threshold, of persons remembered unequally."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    gained, weights = memory * np.exp(0.5 * nodes - 0.125), weights / weights.sum()
    thresholds = np.linspace(-2, 1, 61)
    advantages = [weights @ special.ndtr(t + gained) - special.ndtr(t) for t in thresholds]
    return {
        "auc": float(weights @ special.ndtr(gained / np.sqrt(2))),
        "tpr": float(weights @ special.ndtr(special.ndtri(0.01) + gained)),
        "advantage": float(max(advantages)),
    }


def interval_of(trainings: Sequence[Losses]) -> dict[str, float]:
    """The 95% interval of a kind's AUC."""
    return interval_of_kind(trainings, measures=["auc"])


def contrast_of(first: Sequence[Losses], second: Sequence[Losses], confidence: float) -> dict[str, float]:
    """The first's AUC minus the second's, with an interval of this confidence."""
    return contrast_of_kinds(first, second, ("first", "second"), measures=["auc"], confidence=confidence)


def claimed(answers: dict[str, float], name: str, truth: float) -> bool:
    """Whether the truth lies outside the interval."""
    return not answers[f"{name}_low"] <= truth <= answers[f"{name}_high"]


def bounds(generator: np.random.Generator, examples: int) -> dict[str, float]:
    """Lower bounds on epsilon for mechanisms that tell something of so many examples."""
    # Each with its epsilon, at a delta.
    mechanisms: dict[str, tuple[Mechanism, float, float]] = {"nothing": (randomised_response(0.0), 0.0, 0.0)}
    for epsilon in (0.5, 1.0, 2.0):
        mechanisms[f"response {epsilon}"] = randomised_response(epsilon), epsilon, 0.0
    normal = gaussian_epsilon(1.0, 1e-5)
    mechanisms["noise"] = gaussian_noise(1.0), normal, 1e-5
    mechanisms["noisy sum"] = noisy_sum(1.0, 100), normal, 1e-5
    for often, revealed in ((0.1, examples // 2), (0.1, examples // 10), (0.2, examples // 50)):
        delta = often * revealed / examples
        mechanisms[f"{revealed} at once in {often:.0%}"] = many_at_once(delta, revealed), 0.0, delta
    delta = 0.1 * 100 / examples
    mechanisms["response 1.0, or 100 at once in 10%"] = many_at_once(delta, 100, 1.0), 1.0, delta
    answers = {}
    for name, (mechanism, epsilon, delta) in mechanisms.items():
        of_audits = bounds_of(mechanism, generator, AUDITS, examples, delta)
        answers[f"{name}: bound"] = of_audits.mean()
        answers[f"{name}: above epsilon"] = (of_audits > epsilon).mean()
    return answers


def told(generator: np.random.Generator, is_member: np.ndarray, epsilon: float) -> np.ndarray:
    """Randomised response about these coins: scores, low for those who are said to be in."""
    lie = generator.random(len(is_member)) < 1 / (1 + np.exp(epsilon))
    return (is_member == lie).astype(float)


def lopsided_bounds(generator: np.random.Generator) -> dict[str, float]:
    """The same for a coin that makes 9 of 10 members, which are then drawn down to as many as the others."""
    found = {}
    for epsilon in (0.0, 1.0):
        above = []
        for seed in range(AUDITS):
            is_member = generator.random(10_000) < 0.9
            scores = told(generator, is_member, epsilon)
            sides = fair_sides(scores[is_member], scores[~is_member], seed=seed)
            above.append(epsilon_lower_bound(*sides, 0.0)["epsilon_low"] > epsilon)
        found[f"response {epsilon}: above epsilon"] = np.mean(above)
    return found


def misused_bounds(generator: np.random.Generator) -> dict[str, float]:
    """Where the bound's assumptions do not hold: twins are pooled, or ten rows of a person are taken for ten
    examples. Beside it, for the persons, their mean score and ten times the epsilon."""
    above = {"twins pooled": [], "rows of persons": [], "persons": []}
    for seed in range(AUDITS):
        is_member = generator.random(2000) < 0.5
        scores = told(generator, is_member, 1.0) - told(generator, ~is_member, 1.0)
        bound = epsilon_lower_bound(scores[is_member], scores[~is_member], 0.0)
        above["twins pooled"].append(bound["epsilon_low"] > 1.0)
        persons = generator.random(1000) < 0.5
        rows = np.repeat(persons, 10)
        scores = told(generator, rows, 0.3).reshape(1000, 10).mean(axis=1)
        sides = scores.repeat(10)[rows], scores.repeat(10)[~rows]
        bound = epsilon_lower_bound(*fair_sides(*sides, seed=seed), 0.0)
        above["rows of persons"].append(bound["epsilon_low"] > 0.3)
        bound = epsilon_lower_bound(scores[persons], scores[~persons], 0.0)
        above["persons"].append(bound["epsilon_low"] > 3.0)
    return {f"{name}: above epsilon": np.mean(of_audits) for name, of_audits in above.items()}


def audits(generator: np.random.Generator, examples: int) -> dict[str, bool]:
    """A whole audit of a model that leaks nothing, with so many examples on each side: by losses alone, with
    two groups and a reference, and of layouts in which the sides have unequal shares of the groups."""
    hardness = generator.normal(size=2 * examples)
    own, reference = np.exp(hardness + generator.normal(0, 0.5, (2, 2 * examples)))
    group = generator.integers(0, 2, 2 * examples)
    members = slice(examples), slice(examples, None)
    plain = audit(*(own[side] for side in members))["finding"]
    names = [proof["measure"] for proof in plain["shown_by"]]
    found = {
        "said to leak": bool(plain["leak_shown"]),
        "by the AUC": "auc" in names,
        "by the bound on epsilon": "epsilon_low" in names,
        "bound on epsilon above 0": plain["epsilon_low"] > 0,
    }
    options = {"column": "loss", "group_column": "group"}
    sides = [pd.DataFrame({"loss": own[side], "group": group[side]}) for side in members]
    references = {"references": [reference], "reference_members": "none"}
    both = audit(*sides, **options, **references)["finding"]
    found["with groups and a reference: said to leak"] = bool(both["leak_shown"])
    found["with groups and a reference: sides said to differ"] = both["sides_differ"]
    # Non-members have more of a group whose losses are a hundredth.
    group[members[1]] |= generator.random(examples) < 0.3
    sides = [
        pd.DataFrame({"loss": own[side] * 0.01 ** group[side], "group": group[side]}) for side in members
    ]
    unequal = audit(*sides[::-1], **options)["finding"]
    found["unequal shares: sides said to differ"] = unequal["sides_differ"]
    found["unequal shares: said to leak"] = bool(unequal["leak_shown"])
    return found


# -------------------------------------------------------------------------------------------------- summaries


def shares(answers: dict[str, np.ndarray]) -> dict[str, float]:
    """Over all runs: how often something was claimed; and for each interval, how often it holds the mean of
    all runs, and half of its width on average."""
    summary = {}
    for key, values in answers.items():
        if f"{key}_low" in answers:
            low, high = answers[f"{key}_low"], answers[f"{key}_high"]
            summary[f"{key}, mean"] = values.mean()
            summary[f"{key}, covered"] = ((low <= values.mean()) & (values.mean() <= high)).mean()
            summary[f"{key}, half width"] = (high - low).mean() / 2
        elif key.endswith(": aucs"):
            # Rows are runs, columns trainings, pairs side by side.
            correlations = np.corrcoef(values, rowvar=False)
            numbers = np.arange(len(correlations))
            summary[f"{key}, spread over trainings"] = np.sqrt(values.var(axis=0, ddof=1).mean())
            summary[f"{key}, correlation in pairs"] = correlations[numbers, numbers ^ 1].mean()
        elif not key.endswith(("_low", "_high", "_degrees")):
            summary[key] = values.mean()
    return {key: float(value) for key, value in summary.items()}


@dataclass(frozen=True)
class Cell:
    """What is asked, with how many trainings, in which world."""

    ask: Callable[[Study], dict[str, float]]
    trainings: int
    world: World = TWINS_ALIKE


def unequal_groups(study: Study) -> dict[str, float]:
    """Asks of groups that a training remembers more or less than others, though equally on average."""
    return groups(study, own_of_groups=0.4)


def equal_groups(study: Study) -> dict[str, float]:
    """Asks of groups that every training treats alike."""
    return groups(study, own_of_groups=0.0)


def persons_cell(*world: float | str, whole: bool = False) -> Cell:
    """Audits of one training with several rows a person, see persons_of_one_training."""
    return Cell(
        lambda study: persons_of_one_training(study.generator, *world, whole=whole), 0, World(images=0)
    )


CELLS = {
    **{f"kinds-{count}": Cell(kinds, count) for count in (4, 6, 12, 24)},
    **{f"alike-{count}": Cell(two_kinds, count, World(alike=0.4)) for count in (4, 6, 12)},
    **{f"unlike-{count}": Cell(two_kinds, count, World(alike=0.0)) for count in (4, 6, 12)},
    **{f"weak-{count}": Cell(two_kinds, count, World(memory=0.15)) for count in (4, 12)},
    **{f"absent-{count}": Cell(two_kinds, count, World(memory=0.0)) for count in (4, 12)},
    **{f"measures-{count}": Cell(all_measures, count, World(images=24_000)) for count in (4, 12)},
    **{f"groups-{count}": Cell(unequal_groups, count) for count in (4, 12)},
    **{f"equal-groups-{count}": Cell(equal_groups, count) for count in (4, 12)},
    "single-groups": Cell(lambda study: groups_of_one_training(study.generator, 0.0), 0, World(images=0)),
    "single-groups-leaking": Cell(
        lambda study: groups_of_one_training(study.generator, 1.0), 0, World(images=0)
    ),
    **{
        f"bound-{count}": Cell(lambda study, count=count: bounds(study.generator, count), 0, World(images=0))
        for count in (200, 1000, 10_000)
    },
    "bound-lopsided": Cell(lambda study: lopsided_bounds(study.generator), 0, World(images=0)),
    "bound-misused": Cell(lambda study: misused_bounds(study.generator), 0, World(images=0)),
    **{
        f"persons-{split}-{memory:g}-{persons}-{rows}-{alike:g}": persons_cell(
            persons, rows, alike, split, memory
        )
        for split, memory in (
            ("persons", 0.0),
            ("persons", MEMORY),
            ("unequal", 0.0),
            ("some", 0.0),
            ("rows", 0.0),
        )
        for persons in PERSONS
        for rows in ROWS
        for alike in ALIKE_ROWS
    },
    **{
        f"persons-whole-{persons}-{rows}": persons_cell(persons, rows, 0.6, "persons", 0.0, whole=True)
        for persons, rows in ((100, 10), (500, 4))
    },
    **{
        f"audits-{count}": Cell(lambda study, count=count: audits(study.generator, count), 0, World(images=0))
        for count in (100, 1000, 10_000)
    },
}


def simulate(name: str, runs: int) -> dict[str, float]:
    """Simulates `runs` studies of a cell. Each has its own generator: a longer run repeats a shorter one."""
    cell, began = CELLS[name], time.process_time()
    seeds = np.random.SeedSequence([list(CELLS).index(name)]).spawn(runs)
    answers = [cell.ask(Study(np.random.default_rng(seed), cell.world, cell.trainings)) for seed in seeds]
    columns = {key: np.array([of_run[key] for of_run in answers], dtype=float) for key in answers[0]}
    return shares(columns) | {"runs": runs, "seconds": time.process_time() - began}


def main(runs: int = RUNS, only: Sequence[str] = (), results: Path | None = None) -> None:
    """Simulates the cells, and prints the results: one table of all kinds, and the rest cell by cell.

    runs: of each cell. only: names of the cells; if empty, all. results: a file that keeps them, or None.
    """
    kept = json.loads(results.read_text()) if results is not None and results.exists() else {}
    names = list(only or CELLS)
    for name in names:
        if kept.get(name, {}).get("runs") != runs:
            kept[name] = simulate(name, runs)
            if results is not None:
                results.write_text(json.dumps(kept, indent=1))
        print(f"{name}: {kept[name]['seconds']:.0f} s", file=sys.stderr)
    print(f"| cell | attack | {' | '.join(COLUMNS.values())} |\n|---|---|{'---|' * len(COLUMNS)}")
    for name in names:
        for attack in ATTACKS if f"threshold: {next(iter(COLUMNS))}" in kept[name] else ():
            values = [kept[name].get(f"{attack}: {key}") for key in COLUMNS]
            cells = ("" if value is None else f"{value:.3f}" for value in values)
            print(f"| {name} | {attack} | {' | '.join(cells)} |")
    in_table = {f"{attack}: {key}" for attack in ATTACKS for key in COLUMNS}
    for name in names:
        print(f"\n### {name}\n\n| | |\n|---|---|")
        for key, value in kept[name].items():
            if key not in in_table:
                print(f"| {key} | {value:.4g} |")


if __name__ == "__main__":
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=whole_number, default=RUNS, help="of each cell (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=CELLS, metavar="CELL", default=(), help=", ".join(CELLS))
    parser.add_argument("--results", type=Path, metavar="FILE", help="keeps what is simulated")
    main(**vars(parser.parse_args()))
