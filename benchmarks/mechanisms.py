"""Mechanisms that tell something of many coins, and whose epsilon is known.

Each takes a random generator and a number of examples, tosses a coin for each, and returns bool (n,), who is
in, and float (n,), a score of each that is low for those who are. So the true epsilon can stand beside the
lower bound that an audit of the scores finds.
"""

from collections.abc import Callable

import dp_accounting
import numpy as np

from leakage import epsilon_lower_bound

Told = tuple[np.ndarray, np.ndarray]
Mechanism = Callable[[np.random.Generator, int], Told]


def randomised_response(epsilon: float) -> Mechanism:
    """Says of every coin how it fell, truly with probability e^epsilon / (1 + e^epsilon)."""

    def tell(generator: np.random.Generator, examples: int) -> Told:
        is_member = generator.random(examples) < 0.5
        lie = generator.random(examples) < 1 / (1 + np.exp(epsilon))
        return is_member, (is_member == lie).astype(float)

    return tell


def gaussian_noise(sigma: float) -> Mechanism:
    """Says of every coin how it fell, with noise: see gaussian_epsilon."""

    def tell(generator: np.random.Generator, examples: int) -> Told:
        is_member = generator.random(examples) < 0.5
        return is_member, sigma * generator.normal(size=examples) - is_member

    return tell


def noisy_sum(sigma: float, dimensions: int) -> Mechanism:
    """Gives away the sum of the members' vectors of length 1, which all point elsewhere, with noise in every
    dimension; an example's score is how little the sum goes its way. What is told of one example depends on
    all, as it does in a training. Its epsilon is gaussian_epsilon too."""

    def tell(generator: np.random.Generator, examples: int) -> Told:
        is_member = generator.random(examples) < 0.5
        vectors = generator.normal(size=(examples, dimensions))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        told = is_member @ vectors + sigma * generator.normal(size=dimensions)
        return is_member, -vectors @ told

    return tell


def gaussian_epsilon(sigma: float, delta: float) -> float:
    """Of a number or vector that one example moves by 1 at most, told with normal noise."""
    return dp_accounting.get_epsilon_gaussian(sigma, delta)


def many_at_once(delta: float, revealed: int, epsilon: float = 0.0) -> Mechanism:
    """Randomised response, but that sometimes it tells all of so many coins: each with probability delta."""

    def tell(generator: np.random.Generator, examples: int) -> Told:
        is_member, scores = randomised_response(epsilon)(generator, examples)
        if generator.random() < delta * examples / revealed:
            told = generator.choice(examples, revealed, replace=False)
            scores[told] = np.where(is_member[told], -1.0, 2.0)
        return is_member, scores

    return tell


def bounds_of(
    mechanism: Mechanism, generator: np.random.Generator, audits: int, examples: int, delta: float
) -> np.ndarray:
    """Lower bounds on epsilon (audits,), one of each time that the mechanism tells something."""
    bounds = np.empty(audits)
    for number in range(audits):
        is_member, scores = mechanism(generator, examples)
        found = epsilon_lower_bound(scores[is_member], scores[~is_member], delta)
        bounds[number] = found["epsilon_low"]
    return bounds
