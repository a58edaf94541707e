"""What can be wrong with the examples, before any word on the model: are the values losses, and do both sides
come from one source?

A leak is a difference between members and non-members that the training made. If both sides differed before,
as patients of two hospitals do, every attack finds that difference too, and no interval tells the two apart.
No file can prove that the sides are of one source. What it holds beside the losses can prove that they are
not: the losses of models that did not look at who is a member, and the shares of classes and groups. Every
check is made at its share of the level, so that of fair sides at most 5% are suspected by all checks
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from leakage.command_line import BadInput, short
from leakage.estimates import (
    CONFIDENCE,
    FEWEST_EXAMPLES,
    MOST_BY_ROW,
    Losses,
    auc_interval,
    estimates_of,
    rows_a_person,
    share_by_row,
)
from leakage.persons import persons_of

TIED = 0.01  # share of losses tied at the smallest value that is worth a warning
SHARED = 0.1  # share of values on both sides that is worth a warning
ROUNDED = 1e-5  # the smallest losses that float32 probabilities below 1 have are 6e-8, 1.2e-7, ...
CLIPPED = 0.01  # probabilities are hardly clipped so far below 1 that their loss is above this
NEAR_0 = 12.0  # losses above it are of probabilities below 6e-6, which no vote of a forest gives
HALF_PRECISION = 2.0**-11  # what the largest float16 below 1 lacks to 1
FEWEST_EXPECTED = 5  # of a class on either side, or the chi-squared distribution is no approximation
ALL_BY_ROW = 0.8  # see share_by_row; from it on all rows count as drawn by a lot of their own
UNRELATED = 3.0  # standard errors of a rank correlation of 0; losses in unlike orders pass it in 0.3%
FEWEST_FOR_ORDER, MOST_FOR_ORDER = 100, 10_000  # records for that correlation; of more every k-th is taken
CAUSES_OF_LARGER_VALUES = (
    "Are these confidences, whose negatives would be losses, or are the two files swapped? If the AUC is not "
    "far below 0.5: were the members' losses taken in training mode, with dropout or augmentation, or are "
    "the members the more difficult records? Of audits in which nothing is wrong 2.5% or fewer get there by "
    "chance."
)


# ------------------------------------------------------------------------------------------ are they losses


def doubts(
    losses: Losses, found: Mapping[str, object], computed: bool = False, order_is_explained: bool = False
) -> list[str]:
    """Warnings about values that may not be the losses they are believed to be, a sentence or two each.

    found: of measure_leakage. computed: they were computed here, from probabilities or logits.
    order_is_explained: the verdict says why members may have the larger values: no sign of a swap then.
    """
    everything = np.concatenate([losses.members, losses.nonmembers])
    least, most = everything.min(), everything.max()
    # Different examples hardly ever have equal losses, but for rounding, which repeats them on one side too.
    distinct = np.unique(losses.members), np.unique(losses.nonmembers)
    shared = len(np.intersect1d(*distinct, assume_unique=True)) / min(map(len, distinct))
    repeated = 1 - sum(map(len, distinct)) / len(everything)
    tied = np.count_nonzero(everything == least)
    many_ties = tied > max(TIED * len(everything), 2)
    near_0 = np.isinf(most) and everything[np.isfinite(everything)].max(initial=0) > NEAR_0
    saturated = np.count_nonzero((everything == 0) | np.isinf(everything))
    heldout = {found["heldout_advantage"], found["heldout_advantage_low"], found["heldout_advantage_high"]}
    warnings = []
    if found["auc_high"] < 0.5 and not order_is_explained:
        warnings.append(f"Members have the larger values (AUC {found['auc']:.4f}). {CAUSES_OF_LARGER_VALUES}")
    if heldout == {0.0}:
        warnings.append(
            "The held-out advantage is 0 because no threshold gained anything on the records on which it was "
            "chosen: members do not have the low values, and nobody was called a member."
        )
    if least >= 0 and most <= 1 and not computed:
        warnings.append("All values lie within 0 and 1. If they are probabilities p, give -np.log(p).")
    if least < 0 and most <= 0:
        warnings.append("No value is above 0. If they are log-probabilities, give their negatives.")
    if shared > max(SHARED, 4 * repeated):
        warnings.append(
            f"{shared:.0%} of the different values stand on both sides. Was one file given twice, or do "
            "members and non-members overlap?"
        )
    if many_ties:
        warnings.append(
            f"{tied / len(everything):.1%} of the values are tied at the smallest, {least + 0.0:.4g}, "
            f"{_cause_of_ties(everything, least)}"
        )
    elif computed and saturated > 0 and (_round_to_1(everything) or near_0):
        warnings.append(
            f"{saturated:,} of {len(everything):,} records have probability 0 or 1 of their true class, as "
            "float32 and float16 round them. Logits keep what is lost."
        )
    return warnings


def _cause_of_ties(values: np.ndarray, least: float) -> str:
    """Why many values are tied at the smallest, and what to do: by the next value above it."""
    above = values[values > least]
    ends = "A TPR is the mean over all orders of the tied ones."
    if least == 0 and _round_to_1(values):
        return (
            "as those of float32 or float16 probabilities are, which round to 1. No threshold parts them: "
            f"compute the losses from logits. {ends}"
        )
    if least == 0:
        return (
            "as those of models are that give probability 1 to the true class: trees grown to the end, and "
            f"nearest neighbours, which find the record itself. No threshold parts them. {ends}"
        )
    if least > CLIPPED and len(np.unique(above)) < len(above) / 2:
        return f"as those of models are that give few different values. No threshold parts them. {ends}"
    return f"as those of clipped probabilities are. No threshold parts them: leave the clipping out. {ends}"


def _round_to_1(losses: np.ndarray) -> bool:
    """Whether the losses of 0 are of probabilities that were rounded to 1: others stand as near to 1 as
    float32 or float16 allow. Trees and nearest neighbours give 1 too, but nothing else so near to it."""
    least = float(losses[losses > 0].min(initial=np.inf))
    return least < ROUNDED or abs(-np.expm1(-least) / HALF_PRECISION - 1) < 1e-3


def accuracy_of(frame: pd.DataFrame) -> dict[str, float]:
    """The accuracy of members and non-members, and what to compare it with.

    frame: of one training, with `loss`, `correct` and `label`, as files.read_training gives it.
    Returns for both sides, `members` and `nonmembers`: the accuracy, from 0 to 1; `largest_class_...`, the
    largest class's share; and `gain_...`, in nats a record: by how much the labels' mean loss is lower than
    by their shares alone (the entropy), if the model's probabilities count half, and the shares half. Of
    labels that are not those of the scores it is below 0, and of probabilities that are calibrated above it,
    however rare a class is. A probability of 0, as a forest gives, makes it no infinite loss.
    """
    found = {}
    for side, of_side in (("members", frame[frame["member"]]), ("nonmembers", frame[~frame["member"]])):
        shares = of_side["label"].value_counts(normalize=True)
        of_labels = of_side["label"].map(shares).to_numpy(float)
        found[side] = float(of_side["correct"].mean())
        found[f"largest_class_{side}"] = float(shares.iloc[0])
        found[f"gain_{side}"] = float(np.log((np.exp(-of_side["loss"]) / of_labels + 1) / 2).mean())
    return found


def labels_fit(accuracy: Mapping[str, float], side: str) -> bool:
    """Whether the labels seem to be those of the scores: the model is right more often than by the largest
    class, or says more of the labels than their shares. accuracy: of accuracy_of; side: one of its sides."""
    return accuracy[side] > accuracy[f"largest_class_{side}"] or accuracy[f"gain_{side}"] > 0


def doubts_on_accuracy(accuracy: Mapping[str, float]) -> list[str]:
    """A warning if the model is no better than calling everything the largest class, and its probabilities
    say no more of the labels than their shares: then the labels are probably not those of the scores.
    accuracy: of accuracy_of."""
    sides = {"members": "members", "nonmembers": "non-members"}
    poor = [side for side in sides if not labels_fit(accuracy, side)]
    if not poor:
        return []
    in_words = " and ".join(
        f"{accuracy[side]:.1%} of the {sides[side]} (largest class {accuracy[f'largest_class_{side}']:.1%})"
        for side in poor
    )
    return [
        f"The model is right for {in_words}, no better than calling everything the largest class, and its "
        "probabilities say no more of the labels than their shares do. Are the labels in the order of the "
        "scores, and counted as the classes are?"
    ]


# ------------------------------------------------------------------------------------------------ one source


def same_auc(name: str, what: str, losses: Losses, level: float) -> dict[str, object]:
    """Checks that a score that cannot know who is a member does not part members from non-members.

    name: of the check. what: the score, for the sentence. losses: its values. level: of the test, such as
    0.05 for a single check.
    Returns `check` (its name), `auc`, `auc_low`, `auc_high` (its interval of the confidence 1 - level),
    `differs` (whether 0.5 lies outside), and `sentence`.
    """
    estimate = estimates_of(losses, ["auc"])["auc"]
    return _of_auc(name, what, estimate.value, *auc_interval(estimate, 1 - level))


def _of_auc(name: str, what: str, auc: float, low: float, high: float) -> dict[str, object]:
    differs = not low <= 0.5 <= high
    sentence = (
        f"{what} {'parts' if differs else 'does not part'} members from non-members: AUC {auc:.3f} "
        f"({low:.3f} to {high:.3f}; 0.5 for sides of one source)"
    )
    found = {"auc": auc, "auc_low": low, "auc_high": high}
    return {"check": name} | found | {"differs": differs, "sentence": sentence}


def same_shares(name: str, what: str, frame: pd.DataFrame, column: str, level: float) -> dict[str, object]:
    """Checks that classes, or groups, have the same shares among members and among non-members.

    name, level: as for same_auc. what: the categories, for the sentence. frame: of one training. column: of
    the categories. With persons, each counts once, with the first row that stands on its side; who has rows
    on both sides is left out. If membership was decided by row, rows count: each had a lot of its own then,
    and whoever has all rows on one side has few. If it was decided by row for a part of the persons, neither
    may count, and nothing is compared.
    Pearson's chi-squared test; categories that are too rare for it count together.
    Returns `check`, `p`, `differs` (p < level), and `sentence`; p is None with fewer than two categories, and
    where nothing is compared.
    """
    if "person" in frame:
        sides = [frame.loc[frame["member"] == member, "person"].to_numpy() for member in (True, False)]
        persons = persons_of(*sides, *map(len, sides))
        by_row = 0.0 if persons is None else share_by_row(persons)
        if MOST_BY_ROW < by_row < ALL_BY_ROW:
            why = "who was a member was decided by row for some persons, and for others at once"
            sentence = f"the shares of {what} cannot be compared: {why}"
            return {"check": name, "p": None, "differs": False, "sentence": sentence}
        if by_row <= MOST_BY_ROW:
            both = frame.groupby("person")["member"].transform("nunique") > 1
            frame = frame[~both].drop_duplicates("person")
    codes = frame[column].factorize()[0]
    member = frame["member"].to_numpy()
    counts = np.array(
        [np.bincount(codes[side], minlength=codes.max(initial=-1) + 1) for side in (member, ~member)]
    )
    p = chi_squared_p(counts)
    differs = p is not None and p < level
    sentence = f"{what} have {'other' if differs else 'the same'} shares among members and non-members"
    if p is None:
        sentence = f"{what}: too few of each to compare their shares"
    else:
        sentence += f" (p = {p:.2g}"
        shares = counts / counts.sum(axis=1, keepdims=True)
        # A rare one is not named: its rows would say who is in it.
        apart = np.where(counts.min(axis=0) >= FEWEST_EXAMPLES, np.abs(shares[0] - shares[1]), -1.0)
        most = int(np.argmax(apart))
        if differs and apart[most] >= 0:
            value = short(frame[column].iloc[int(np.argmax(codes == most))], 40)
            sentence += f"; most apart: {value}, {shares[0, most]:.1%} and {shares[1, most]:.1%}"
        sentence += ")"
    return {"check": name, "p": p, "differs": differs, "sentence": sentence}


def same_rows_a_person(losses: Losses, level: float) -> dict[str, object]:
    """Checks that members have as many rows a person as non-members: means of few rows have another spread
    than means of many. losses: with persons. level, and what is returned: as for same_auc; with too few
    persons on one side alone, and if membership was decided by row, nothing is checked, and the interval is
    None."""
    what = "the number of rows a person"
    try:
        auc, low, high = rows_a_person(losses, confidence=1 - level)
    except BadInput as problem:
        nothing = {"auc": None, "auc_low": None, "auc_high": None, "differs": False}
        return {"check": "rows a person"} | nothing | {"sentence": f"{what} cannot be compared: {problem}"}
    return _of_auc("rows a person", what, auc, low, high)


def chi_squared_p(counts: np.ndarray) -> float | None:
    """Pearson's chi-squared test of counts (2, categories): whether both rows have the same shares.

    Categories of which fewer than 5 are expected in a row are added up. None with fewer than two left.
    """
    counts = counts[:, counts.sum(axis=0) > 0]
    if not counts.sum(axis=1).all():
        return None
    share = counts.sum(axis=1) / counts.sum()
    rare = share.min() * counts.sum(axis=0) < FEWEST_EXPECTED
    counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)]) if rare.any() else counts
    if rare.any() and share.min() * counts[:, -1].sum() < FEWEST_EXPECTED:
        # The rare ones are too few even together: to the smallest of the others.
        order = np.argsort(counts[:, :-1].sum(axis=0))
        counts = counts[:, [*order, counts.shape[1] - 1]]
        if counts.shape[1] > 1:
            counts = np.column_stack([counts[:, 1:-1], counts[:, 0] + counts[:, -1]])
    if counts.shape[1] < 2:
        return None
    expected = np.outer(share, counts.sum(axis=0))
    return float(special.chdtrc(counts.shape[1] - 1, ((counts - expected) ** 2 / expected).sum()))


@dataclass(frozen=True)
class Shares:
    """The shares of categories among members (k,) and non-members (k,), those first that are the commonest
    among members beside non-members; and what these shares alone can make an attack find.

    Say that in each category members and non-members have losses of one distribution, because the model leaks
    nothing. Then a loss tells of who is a member what it tells of the category, and nothing else, so that no
    attack can find more than one that sees the categories themselves and takes them in this order (Neyman and
    Pearson). Each bound is the value of that attack. It is one on the mean over losses, for these very
    records: what an interval leaves to chance comes on top.
    """

    members: np.ndarray
    nonmembers: np.ndarray

    @property
    def apart(self) -> float:
        """Half the sum of the differences: the share of either side that would have to be others."""
        return float(np.abs(self.members - self.nonmembers).sum() / 2)

    @property
    def auc(self) -> float:
        """The largest AUC, at most 1/2 + t - t^2 / 2, where t is how far the shares are apart."""
        tprs, fprs = self._curve
        return float((np.diff(fprs) * (tprs[1:] + tprs[:-1])).sum() / 2)

    def most(self, measure: str, chance: float) -> float:
        """The largest value of a measure of measure_leakage, which is `chance` if nothing leaks and the
        shares are equal: of a TPR or TNR that of the best attack at this rate."""
        if measure == "auc":
            return self.auc
        if measure == "heldout_advantage":
            return self.apart
        found, wrong = self._curve
        if measure.startswith("tnr"):
            found, wrong = 1 - wrong[::-1], 1 - found[::-1]
        return float(np.interp(chance, wrong, found))

    @property
    def _curve(self) -> tuple[np.ndarray, np.ndarray]:
        """TPR and FPR of the attack that sees the categories, from 0 to 1 (k + 1,)."""
        return tuple(np.append(0.0, np.cumsum(side)) for side in (self.members, self.nonmembers))


def shares_of(frame: pd.DataFrame, columns: Sequence[str]) -> Shares:
    """The shares of the categories of these columns together; frame: of one training. One category without
    any column."""
    member = frame["member"].to_numpy()
    codes = np.zeros(len(frame), int)
    for column in columns:
        codes = pd.factorize(codes * len(frame) + frame[column].factorize()[0])[0]
    counts = np.array([np.bincount(codes[side], minlength=codes.max() + 1) for side in (member, ~member)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Shares(*shares[:, np.argsort(-shares[0] / shares.sum(axis=0), kind="stable")])


def unrelated(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two models' losses (n,) on the same records, NaN where there is none, have nothing to do with
    each other, as where their rows stand in unlike orders: by their rank correlation r, if |r| sqrt(n - 1) is
    below 3. Losses in unlike orders pass for related ones in 0.3%. Related ones with the correlation r are
    called unrelated in 16% if r is 4 / sqrt(n), in 2.3% if it is 5 / sqrt(n). False for fewer than 100
    records and for losses that are all equal.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    if np.count_nonzero(both) < FEWEST_FOR_ORDER:
        return False
    step = -(-np.count_nonzero(both) // MOST_FOR_ORDER)
    ranks = [pd.Series(losses[both][::step]).rank().to_numpy() for losses in (first, second)]
    if any(np.ptp(of_one) == 0 for of_one in ranks):
        return False
    return abs(np.corrcoef(*ranks)[0, 1]) * math.sqrt(len(ranks[0]) - 1) < UNRELATED


def level_of_each(checks: int) -> float:
    """The level of each of so many checks: all together suspect at most 5% of fair sides (Bonferroni)."""
    return (1 - CONFIDENCE) / max(checks, 1)
