"""The calibrated attack: each loss of a target model beside those of reference models on the same image.

An easy image has a low loss whether or not the target was trained on it, so a threshold on the loss alone
mistakes easy images for members. The attacker trains reference models of the same kind, some on the image,
some not, and asks how likely they find the true class: the calibrated loss is the logarithm of their mean
probability over the target's. Low means member, as for losses, and every statistic takes it as one.

Who cannot train on the image takes references that were trained on none of the target's pool, such as models
of other data, or the base model of a fine-tune; one is enough. Of the two scores in use for them, the log
ratio is the better one: L + log(mean_k exp(-L_k)) has an AUC of 0.592 where L - mean_k L_k has 0.582 (four
references of a network on 8,000 examples; the loss alone 0.546), 0.591 where that has 0.589 (four networks
each on scikit-learn's digits, mean of 6), and 0.671 where that has 0.650 (four, simulated log-normal losses).
With one reference they are the same.

If the references were drawn without looking at the target's members, a target that leaks nothing gives AUC
0.5, however good or bad each reference is: nothing in which the images differ then depends on who is a
member. So what must be checked is that the references do not know the target's members.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from leakage.command_line import BadInput
from leakage.estimates import CONFIDENCE, LOW_FPRS, Losses, clopper_pearson, refuse_confidence

PRIORS = (0.5, 0.1, 0.01)  # shares of members among the candidates, for the precision
COINCIDENCE = 1e-9  # probability below which references that fit the target's members are no accident


def calibrated(target: Losses, references: Sequence[Losses]) -> Losses:
    """The target's calibrated losses, L + log q for each image of the target.

    L is the target's loss, and q the probability of the true class to the references: the mean of two means
    of exp(-L_k), over the references trained on the image and over those not trained on it. For references in
    complementary pairs that is the plain mean. If no reference was trained on any image of the target, it is
    the plain mean of all that know the image, and one reference is enough. For one target it orders images as
    RMIA's online score does (Zarifzadeh, Liu, Shokri 2024; q is their p(x)), but for the ties that a share of
    a finite population has.

    target: losses -log p(true class), from 0 to inf, with the numbers of their images: one numbering for
        members and non-members, so that a training image and a test image never share a number.
    references: of each reference model likewise; its members are the images that it was trained on, its
        non-members the rest of the pool. It may know more images than the target.
    Returns the calibrated losses of members (n,) and non-members (m,), with the target's numbers, from -inf
        to inf, never NaN. Where the losses of the target and of all references are inf it is 0, as for equal
        losses.
    Raises BadInput, a ValueError, for losses that are NaN or -inf, numbers that are missing or repeated, no
        reference, references drawn by the target's members (such as its own complement), and images of the
        target that no reference was trained on, or that all were trained on, unless none was trained on any.
    """
    losses, trained = reference_losses(target, references)
    known = ~np.isnan(losses)
    weights = _half_each(trained, known) if trained.any() else _all_alike(known)
    own = np.concatenate([target.members, target.nonmembers]).astype(float)
    score = _calibrate(own, losses, weights)
    split = len(target.members)
    return replace(target, members=score[:split], nonmembers=score[split:])


def calibrated_trainings(trainings: Sequence[Losses]) -> list[Losses]:
    """The calibrated losses of all trainings of one kind, each with the trainings of the other pairs as its
    references.

    trainings: in complementary pairs (2j, 2j + 1), at least two pairs, with the numbers of their images: what
        one training of a pair has as members the other has as non-members. Every pair has coins of its own.
    Returns for each training what `calibrated(training, references)` gives, with the trainings of all other
        pairs as references; its own twin, which would tell the membership, is none of them.
    Raises BadInput, a ValueError, as `calibrated` does, and if the trainings are odd in number, fewer than 4,
        or not complementary on the images that both of a pair know.
    """
    if len(trainings) < 4 or len(trainings) % 2:
        raise BadInput(
            f"the calibrated attack needs 4 trainings or more, in pairs, not {len(trainings)}: each is "
            "compared with those of the other pairs"
        )
    pools = [_pool(training, f"training {place}") for place, training in enumerate(trainings)]
    every_number = np.unique(np.concatenate([numbers for numbers, _, _ in pools]))
    # Rows are trainings, columns all images; NaN where a training does not know the image.
    losses = np.full((len(trainings), len(every_number)), np.nan)
    trained = np.zeros(losses.shape, dtype=bool)
    places = [np.searchsorted(every_number, numbers) for numbers, _, _ in pools]
    for row, (place, (_, values, is_member)) in enumerate(zip(places, pools, strict=True)):
        losses[row, place] = values
        trained[row, place] = is_member
    held = ~np.isnan(losses)

    scores = []
    for first in range(0, len(trainings), 2):
        pair = [first, first + 1]
        both_know = held[pair].all(axis=0)
        if not both_know.any() or (trained[first] == trained[first + 1])[both_know].any():
            raise BadInput(
                f"trainings {first} and {first + 1} are not complementary: the members of one must be the "
                "non-members of the other"
            )
        references = np.delete(np.arange(len(trainings)), pair)
        for row in pair:
            # As calibrated would see them: the images of the target, its members first.
            place, members = places[row], len(trainings[row].members)
            known, known_trained = held[np.ix_(references, place)], trained[np.ix_(references, place)]
            _refuse_informed_references(known_trained, known, members)
            weights = _half_each(known_trained, known)
            score = _calibrate(losses[row, place], losses[np.ix_(references, place)], weights)
            scores.append(replace(trainings[row], members=score[:members], nonmembers=score[members:]))
    return scores


def _half_each(trained: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The weight of each reference's probability (K, n + m): half for those trained on the image, half for
    the others, 0 for those that do not know it. BadInput for images that lack either.

    trained, held (K, n + m): whether a reference was trained on an image, and whether it knows it.
    """
    inside, outside = trained.sum(axis=0), (held & ~trained).sum(axis=0)
    lacking = np.count_nonzero((inside == 0) | (outside == 0))
    if lacking:
        raise BadInput(
            f"{lacking:,} of the target's {trained.shape[1]:,} images lack a reference trained on them, or "
            "one not trained on them; train references on both halves of the target's pool"
        )
    return np.where(trained, 0.5 / inside, 0.5 / outside) * held


def _all_alike(held: np.ndarray) -> np.ndarray:
    """The same for references that were trained on none of the images: all that know the image weigh alike.

    held (K, n + m): whether a reference knows an image. BadInput for images that none knows.
    """
    knowing = held.sum(axis=0)
    lacking = np.count_nonzero(knowing == 0)
    if lacking:
        raise BadInput(
            f"{lacking:,} of the target's {held.shape[1]:,} images lack a reference; give the references' "
            "losses on all of them"
        )
    return held / knowing


def _calibrate(own: np.ndarray, losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The calibrated losses (n + m,) of a target's own (n + m,).

    losses, weights (K, n + m): of the references, and of their probabilities in the mean; NaN losses where a
    reference does not know the image.
    """
    # Relative to the least of the references' losses nothing overflows, and expm1 and log1p keep what losses
    # near 0 differ by: the probabilities themselves would all be 1.
    losses = np.where(np.isnan(losses), np.inf, losses)
    least = losses.min(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = own - least + np.log1p((weights * np.expm1(least - losses)).sum(axis=0))
    # Where all references' losses are inf, so that q = 0, the difference above is not a number.
    return np.where(np.isinf(least), np.where(np.isinf(own), 0.0, -np.inf), score)


def reference_losses(target: Losses, references: Sequence[Losses]) -> tuple[np.ndarray, np.ndarray]:
    """The references' losses on the target's images, matched by number.

    Returns losses (K, n + m) of the K references on the target's n members, then its m non-members, NaN where
    a reference does not know the image; and whether a reference was trained on the image, bool (K, n + m).
    Raises BadInput as `calibrated` does, but for images that lack references.
    """
    if not references:
        raise BadInput("no reference is given; the calibrated attack needs one at least")
    numbers, _, member = _pool(target, "the target")
    losses = np.full((len(references), len(numbers)), np.nan)
    trained = np.zeros(losses.shape, dtype=bool)
    for row, reference in enumerate(references):
        known, known_losses, known_trained = _pool(reference, f"reference {row + 1}")
        _, here, there = np.intersect1d(numbers, known, assume_unique=True, return_indices=True)
        losses[row, here] = known_losses[there]
        trained[row, here] = known_trained[there]
    _refuse_informed_references(trained, ~np.isnan(losses), np.count_nonzero(member))
    return losses, trained


def without_surplus(
    losses: np.ndarray, trained: np.ndarray, member: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray] | None:
    """References (K, n) of n images, of which each image has left one out by lot, so that how many were
    trained on it does not tell whether the target was.

    Take models with each image in a fixed number of them, as LiRA's are, one of them as the target and all
    others as references: c of these were trained on a member and c + 1 on a non-member. So a member leaves
    out one of the references that were not trained on it, a non-member one of those that were. Then both have
    c that were and K - c - 1 that were not, and if the target leaks nothing no score of them knows more.
    losses, trained (K, n): of the references; member (n,): of the target. seed: of the lot.
    Returns losses, NaN where left out, and trained, False there; None if the references are no such models.
    """
    inside = trained.sum(axis=0)
    counts = [np.unique(inside[side]) for side in (member, ~member)]
    if np.isnan(losses).any() or any(len(of_side) != 1 for of_side in counts):
        return None
    (of_members,), (of_nonmembers,) = counts
    if of_nonmembers != of_members + 1 or of_members < 1 or of_nonmembers >= len(losses):
        return None
    lots = np.random.default_rng(seed).random(losses.shape)
    lots[trained == member] = -1
    left_out = np.argmax(lots, axis=0), np.arange(losses.shape[1])
    losses, trained = losses.copy(), trained.copy()
    losses[left_out], trained[left_out] = np.nan, False
    return losses, trained


def precision(tpr: float, fpr: float, prior: float) -> float:
    """Share of members among those whom an attack names: prior TPR / (prior TPR + (1 - prior) FPR).

    tpr, fpr: from 0 to 1. prior: share of members among the candidates, from 0 to 1. NaN if nobody is named.
    """
    for name, value in (("TPR", tpr), ("FPR", fpr), ("prior", prior)):
        if not 0 <= value <= 1:
            raise BadInput(f"the {name} must be from 0 to 1, not {value}")
    named = prior * tpr + (1 - prior) * fpr
    return prior * tpr / named if named else math.nan


def precision_table(
    report: Mapping[str, float | None],
    priors: Sequence[float] = PRIORS,
    *,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Of the candidates whom the attack names at 0.1% FPR, how many are members, by their share beforehand.

    The threshold is the (a + 1)-th smallest loss of m non-members; a of them are below it. An attacker takes
    it to other candidates, and two things are uncertain there:
    - Its FPR on other non-members is not a / m, but distributed as Beta(a + 1, m - a), with the mean
      (a + 1) / (m + 1), for any distribution of the losses without ties (Wilks 1941). For a = 10 and
      m = 10,000 the mean is 0.11%, the middle 95% are 0.055% to 0.184%.
    - Its TPR on other members is known from n members: Clopper and Pearson's interval for this threshold. An
      interval that counts the threshold's uncertainty too would count it twice here.
    Both errors are independent, since members have no part in the threshold. The interval of log(TPR / FPR)
    adds the squares of its parts (MOVER, Zou and Donner 2008); the precision depends on that ratio and the
    prior alone.

    report: of measure_leakage: `members`, `nonmembers`, `tpr_at_0p1pct_fpr`, `realised_fpr_at_0p1pct`. Where
        these are None or NaN, for want of non-members, the precision is NaN.
    priors: shares of members among the candidates, between 0 and 1, both left out.
    confidence: of the intervals.
    Returns one row per prior: `prior`, `precision`, `precision_low`, `precision_high`.
    """
    refuse_confidence(confidence)
    if not all(0 < prior < 1 for prior in priors):
        raise BadInput(f"shares of members beforehand must be between 0 and 1, not {list(priors)}")
    n, m = int(report["members"]), int(report["nonmembers"])
    (name,) = (name for name, fpr in LOW_FPRS.items() if fpr == 0.001)
    tpr, realised = report[f"tpr_at_{name}_fpr"], report[f"realised_fpr_at_{name}"]
    if tpr is None or realised is None or math.isnan(tpr) or math.isnan(realised):
        bounds = np.full(3, math.nan)
    else:
        caught, accused = round(tpr * n), round(realised * m)
        tails = np.array([1 - confidence, 1 + confidence]) / 2
        fpr, fpr_bounds = (accused + 1) / (m + 1), special.betaincinv(accused + 1, m - accused, tails)
        with np.errstate(divide="ignore"):  # no member caught: log 0
            bounds = _log_ratio_with_interval(
                np.log(tpr),
                np.log(clopper_pearson(caught, n, confidence)),
                np.log(fpr),
                np.log(fpr_bounds),
            )
    rows = [(prior, *special.expit(special.logit(prior) + bounds)) for prior in priors]
    return pd.DataFrame(rows, columns=["prior", "precision", "precision_low", "precision_high"])


def _pool(losses: Losses, whose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members, then non-members: their numbers (N,), losses (N,), and who is a member, bool (N,)."""
    if losses.member_ids is None or losses.nonmember_ids is None:
        raise BadInput(f"{whose} has no numbers of images; give member_ids and nonmember_ids, one numbering")
    parts = losses.members, losses.nonmembers, losses.member_ids, losses.nonmember_ids
    members, nonmembers, *numbers = map(np.asarray, parts)
    values = np.concatenate([members, nonmembers]).astype(float)
    numbers = np.concatenate(numbers)
    ordered = np.sort(numbers)
    if numbers.shape != values.shape or (ordered[1:] == ordered[:-1]).any():
        raise BadInput(
            f"the images of {whose}, members and non-members together, must have {len(values):,} different "
            "numbers, one for each loss; let those of non-members go on where those of members end"
        )
    unusable = np.count_nonzero(~(values > -np.inf))
    if unusable:
        raise BadInput(f"{unusable:,} losses of {whose} are NaN or -inf; drop these images everywhere")
    return numbers, values, np.arange(len(values)) < len(members)


def _refuse_informed_references(trained: np.ndarray, held: np.ndarray, members: int) -> None:
    """Refuses references that know who the target's members are.

    trained, held: whether a reference was trained on an image, and whether it knows it, bool (K, n + m), the
    target's members first. If references were drawn without looking at the members, any set of images that
    they define has its fair share of members. Two kinds of set are looked at: the images that one reference
    was trained on, and those that at least c references were (or were not) trained on. The second kind shows
    what the first cannot: take many models with each image in half of them, one as the target, the rest as
    references; then a member is in one reference fewer than a non-member.
    """
    (informed,) = np.nonzero(_is_informed(trained, held, members))
    if len(informed):
        raise BadInput(
            f"the images that reference {informed[0] + 1} was trained on tell the target's members (is it "
            "the target's complement or twin?); draw the references' images without looking at the target's"
        )
    for what, sets in (("trained", trained), ("not trained", held & ~trained)):
        counts = sets.sum(axis=0)
        at_least = counts >= np.unique(counts)[1:, None]
        if _is_informed(at_least, np.ones_like(at_least), members).any():
            raise BadInput(
                f"how many references were {what} on an image tells whether the target was; draw the "
                "references' images without looking at the target's, or if each image is in a fixed number "
                "of models, give all models but the target, on all images"
            )


def _is_informed(sets: np.ndarray, held: np.ndarray, members: int) -> np.ndarray:
    """Whether sets of images, bool (R, n + m), among those that are held, likewise, tell the n members: a set
    is the members or the non-members to the last image, or its share of them is no coincidence.

    By Serfling (1974), corollary 1.1, the share in a sample of n out of N without replacement exceeds that of
    the whole by t with a probability of at most exp(-2 n t^2 / (1 - (n - 1) / N)).
    """
    known = held[:, :members].sum(axis=1), held[:, members:].sum(axis=1)
    inside = sets[:, :members].sum(axis=1), sets[:, members:].sum(axis=1)
    both_known = (known[0] > 0) & (known[1] > 0)
    exactly = ((inside[0] == known[0]) & (inside[1] == 0)) | ((inside[0] == 0) & (inside[1] == known[1]))
    # The smaller kind is the sample, where the bound is closer.
    sample = np.minimum(*known)
    of_sample = np.where(known[0] <= known[1], inside[0], inside[1]) / np.maximum(sample, 1)
    whole = np.maximum(known[0] + known[1], 1)
    excess = np.abs(of_sample - (inside[0] + inside[1]) / whole)
    chance = 2 * np.exp(-2 * sample * excess**2 / (1 - (sample - 1) / whole))
    return both_known & (exactly | (chance < COINCIDENCE))


def _log_ratio_with_interval(
    log_tpr: float, log_tpr_bounds: np.ndarray, log_fpr: float, log_fpr_bounds: np.ndarray
) -> np.ndarray:
    """log(TPR / FPR), then its interval's lower and upper end, from those of either rate."""
    value = log_tpr - log_fpr
    if math.isinf(log_tpr):  # no member is caught: on this scale there is only the widest interval
        return np.array([value, -np.inf, log_tpr_bounds[1] - log_fpr_bounds[0]])
    down = np.hypot(log_tpr - log_tpr_bounds[0], log_fpr_bounds[1] - log_fpr)
    up = np.hypot(log_tpr_bounds[1] - log_tpr, log_fpr - log_fpr_bounds[0])
    return np.array([value, value - down, value + up])
