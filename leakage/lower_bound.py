"""How large epsilon must be, judged by the membership that the scores of one training give away.

Differential privacy promises that nobody can be much surer who was trained on. So whoever guesses right too
often has shown that epsilon is not small: a lower bound from an attack, beside the upper bound from a proof.
One training is enough if it decided many memberships, each by a coin of its own (Steinke, Nasr and Jagielski
2023, "Privacy auditing with one (1) training run").
"""

import math
import zlib
from collections.abc import Sequence

import numpy as np
from scipy import special

from leakage.command_line import BadInput
from leakage.estimates import CONFIDENCE, checked, refuse_confidence

# How many examples with the lowest scores are guessed to be in, and how many with the highest to be out: k
# and 0, 0 and k, or k and k, for each k from a thousandth to a quarter of the examples. They are fixed before
# any score is seen. Few guesses find the few who are surely remembered, many find a small leak of many.
GUESSES = (10, 50, 200, 1000, 5000, 20_000, 100_000)
FEWEST_SHARE, LARGEST_SHARE = 1 / 1000, 1 / 4
# Few guesses are made for the sake of a large epsilon. Where not even this one could be shown if all of them
# were right, because the delta could be the reason, they are left out, and the others share the error.
WORTH_SHOWING = 1.0
FAR_FROM_FAIR = 5  # standard deviations between the sides; fair coins go as far in 6 of 10 million cases
HALVINGS = 50  # of the interval in which epsilon is looked for


def epsilon_lower_bound(
    members: np.ndarray,
    nonmembers: np.ndarray,
    delta: float,
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, float | int]:
    """A lower bound on epsilon, at this delta, of the training that gave these scores.

    members (n,) and nonmembers (m,): a score of each example whose membership was drawn, low for members.
    delta: at least 0 and below 1. confidence: that epsilon is not below the bound, one-sided; of several
        trainings see common_bound, of attacks of which the largest bound is to count epsilon_lower_bounds.
        seed: of the order of equal scores, which is drawn.

    It assumes of the scores:
    - Each example was in or out by a fair coin of its own, all else fixed. So epsilon is that of one example
      added or removed. Where a fixed number of examples is drawn, one that comes in puts another out.
    - They are of one training. Of a training and its complement, both told by the same coin, epsilon is twice
      as large.
    - What makes a score of a loss (reference models, the direction, the choice of an epoch) knows nothing of
      the coins. It may depend on everything else, and nothing is assumed of how the examples influence each
      other.
    - An example is what the promise is for. If several rows of a person are in or out together, the person is
      one example.
    Where the members were not drawn by a coin, the bound measures how they differ from the others too.

    The attack guesses "in" for the lowest scores and "out" for the highest. Of r guesses v are right. Under
    (epsilon, delta), with B binomial of r trials and the rate e^epsilon / (1 + e^epsilon),

        P(V >= v) <= P(B >= v) + 2 N delta max over i of P(v > B >= v - i) / i

    (theorem 5.2 and corollary 5.4), where N = n + m counts every example with a coin, guessed or not. The
    bound is the largest epsilon for which this is too unlikely, over a fixed grid of numbers of guesses
    (GUESSES), which share the error, 1 - confidence, equally. It takes 40 examples. Ordinary examples are no
    canaries made to be remembered, and the score may be a weak one: the true epsilon may be far above the
    bound.

    Returns `epsilon_low`, at least 0; `guesses`, r; `right`, v; `guessed_in` and `guessed_out`, which add up
    to r, and all of which are 0 if nothing is shown; `examples`, N; `delta`; `confidence`.
    Raises BadInput for sides that a fair coin hardly gives, |n - m| > 5 sqrt(n + m) (see fair_sides), and for
    scores, a delta or a confidence that are none.
    """
    members, nonmembers = checked(members, "member"), checked(nonmembers, "non-member")
    refuse_confidence(confidence)
    if not 0 <= delta < 1:
        raise BadInput(f"delta must be at least 0 and below 1, not {delta}")
    examples = len(members) + len(nonmembers)
    if not _fair(len(members), len(nonmembers)):
        raise BadInput(
            f"{len(members):,} members and {len(nonmembers):,} non-members are no fair coins; the bound on "
            "epsilon needs sides of about one size, drawn at random from the larger"
        )
    is_member = _members_in_order(members, nonmembers, seed)
    grid = _grid(examples, delta, 1 - confidence)
    found = {"epsilon_low": 0.0, "guesses": 0, "right": 0, "guessed_in": 0, "guessed_out": 0}
    for lowest, highest in grid:
        guesses = lowest + highest
        right = np.count_nonzero(is_member[:lowest]) + np.count_nonzero(~is_member[examples - highest :])
        least, error = found["epsilon_low"], (1 - confidence) / len(grid)
        epsilon = _epsilon(examples, guesses, right, delta, error, least)
        if epsilon > least:
            found = dict(zip(found, (epsilon, guesses, int(right), lowest, highest), strict=True))
    return found | {"examples": examples, "delta": delta, "confidence": confidence}


def epsilon_lower_bounds(
    scores: Sequence[tuple[np.ndarray, np.ndarray]],
    delta: float,
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> list[dict[str, float | int]]:
    """Lower bounds that hold all together, and so the largest of them: of several trainings of one kind, of
    several attacks on one training, or of both.

    scores: of each training and attack, those of the members and of the non-members. Each gets its share of
    the error allowed, (1 - confidence) / len(scores), whatever they have in common. Trainings are not pooled:
    in twins, of which one has the members that the other lacks, a coin decides twice and spends 2 epsilon.
    With many examples and a delta above 0 a share of the error is dear; see common_bound for what takes less.
    Returns what epsilon_lower_bound does, with the confidence of each. Raises BadInput as it does.
    """
    of_each = 1 - (1 - confidence) / max(len(scores), 1)
    return [
        epsilon_lower_bound(members, nonmembers, delta, confidence=of_each, seed=seed)
        for members, nonmembers in scores
    ]


def common_bound(bounds: Sequence[float]) -> float:
    """One lower bound on the epsilon that several trainings of one kind have in common: of their k bounds
    (k,) the j-th largest, j = k / 2 rounded up, if each has the confidence of confidence_of_each.

    If it lies above epsilon, j of the bounds or more do. Each does with the probability a j / k at most,
    where a is the error allowed, so that their number is at most a j on average, and is j or more with a
    probability of at most a (Markov), whatever the trainings have in common. For one or two it is the
    largest; for an even number it is the upper of the two in the middle, of bounds with half of the error.
    """
    return sorted(bounds, reverse=True)[_rank(len(bounds)) - 1]


def confidence_of_each(count: int, confidence: float = CONFIDENCE) -> float:
    """The confidence that each of so many trainings' bounds needs if common_bound of them is to have this
    one: 1 - (1 - confidence) j / k."""
    return 1 - (1 - confidence) * _rank(count) / count


def _rank(count: int) -> int:
    return (count + 1) // 2


def fair_sides(
    members: np.ndarray, nonmembers: np.ndarray, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Members (n,) and non-members (m,), of which the larger side is drawn down to what a fair coin gives.

    Say that each of the n + m examples was in by a coin that falls on "in" with probability n / (n + m). Then
    those that remain, if each of the larger side does with probability min(n, m) / max(n, m), were in or out
    by a fair coin; those left out are known to all. Sides that a fair coin may have given stay as they are.
    One at least is left of either. Raises BadInput for scores that are none.
    """
    members, nonmembers = checked(members, "member"), checked(nonmembers, "non-member")
    if _fair(len(members), len(nonmembers)):
        return members, nonmembers
    generator = np.random.default_rng(seed)
    fewer = min(len(members), len(nonmembers))
    stays = [generator.random(len(side)) * len(side) < fewer for side in (members, nonmembers)]
    for of_side in stays:
        of_side[0] |= not of_side.any()
    return members[stays[0]], nonmembers[stays[1]]


def _fair(n: int, m: int) -> bool:
    return abs(n - m) <= FAR_FROM_FAIR * math.sqrt(n + m)


def _members_in_order(members: np.ndarray, nonmembers: np.ndarray, seed: int) -> np.ndarray:
    """Who is a member (n + m,), from the lowest score to the highest; the order of equal ones is drawn."""
    scores = np.concatenate([members, nonmembers])
    # Members stand first, so that one order for all scores would favour them, or the others, in every audit.
    generator = np.random.default_rng([seed, len(members), zlib.crc32(scores)])
    drawn = generator.permutation(len(scores))
    return drawn[np.argsort(scores[drawn], kind="stable")] < len(members)


def _grid(examples: int, delta: float, error: float) -> list[tuple[int, int]]:
    """Numbers of guesses "in" and "out" (GUESSES), by the number of examples, delta and the error alone.

    The most guesses come first, and are there wherever there are examples enough.
    """
    numbers = [k for k in GUESSES if FEWEST_SHARE * examples <= k <= LARGEST_SHARE * examples]
    pairs = sorted((pair for k in numbers for pair in ((k, 0), (0, k), (k, k))), key=sum, reverse=True)
    while len(pairs) > 1:
        fewest = sum(pairs[-1])
        if p_value(examples, fewest, fewest, WORTH_SHOWING, delta) <= error / len(pairs):
            break
        pairs.pop()
    return pairs


def p_value(examples: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """At most how likely `right` or more of the guesses are, under (epsilon, delta): see epsilon_lower_bound.

    examples: all that have a coin.
    """
    rate = float(special.expit(epsilon))

    def at_least(count: int) -> float:
        """P(B >= count)"""
        return float(special.betainc(count, guesses - count + 1, rate)) if count > 0 else 1.0

    beyond = at_least(right)
    if delta == 0 or right == 0:
        return beyond

    def mean(width: int) -> float:
        """P(v > B >= v - width) / width, the mean probability of that many numbers below v."""
        return (at_least(right - width) - beyond) / width

    # Below its mode a binomial distribution falls, so that the mean rises until the next probability is below
    # it, and then falls for good. That comes once the mode is among the numbers.
    mode = min(math.floor((guesses + 1) * rate), guesses)
    low, high = min(max(right - mode, 1), right), right
    while low < high:
        middle = (low + high) // 2
        if mean(middle + 1) > mean(middle):
            low = middle + 1
        else:
            high = middle
    return min(beyond + 2 * examples * delta * mean(low), 1.0)


def _epsilon(examples: int, guesses: int, right: int, delta: float, error: float, least: float) -> float:
    """The largest epsilon for which so many right guesses are too unlikely, `least` if that is larger."""
    if p_value(examples, guesses, right, least, delta) > error:
        return least
    # With delta 0 the answer is known, and with more it is smaller.
    low, high = least, max(float(special.logit(special.betaincinv(right, guesses - right + 1, error))), least)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if p_value(examples, guesses, right, middle, delta) <= error:
            low = middle
        else:
            high = middle
    return low
