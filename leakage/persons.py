"""Several rows of one person: the person is the unit, because its rows are in or out together, and are alike.

Ten rows of one person tell less than ten rows of ten persons. So what a person adds to the error of an
estimate is the sum over its rows, members and non-members together, and the squares of these sums are added
(Obuchowski 1997). Halves are halves of the persons, permutations give persons another membership, and a
share is as certain as one of fewer rows would be (design effect; Korn and Graubard 1998).

With few persons the squares are too small: a person with the share h of the rows of its side pulls the mean
towards itself. They are divided by 1 - h, which is exact if rows are independent (Bell and McCaffrey 2002),
and the interval is Student's.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import special

from leakage.command_line import BadInput


@dataclass(frozen=True)
class Persons:
    """Whose the rows are. codes (n + m,): persons of the n members, then of the m non-members, from 0 on."""

    codes: np.ndarray
    members: int  # n

    @cached_property
    def rows(self) -> np.ndarray:
        """How many rows each person has among the members, and among the non-members (2, P)."""
        count = int(self.codes.max()) + 1
        sides = self.codes[: self.members], self.codes[self.members :]
        return np.array([np.bincount(side, minlength=count) for side in sides])

    @property
    def fewest(self) -> int:
        """The number of persons on the side with fewer of them."""
        return int((self.rows > 0).sum(axis=1).min())

    @property
    def on_both_sides(self) -> np.ndarray:
        """Whether a person has rows on both sides (P,)."""
        return (self.rows > 0).all(axis=0)

    @cached_property
    def corrections(self) -> tuple[np.ndarray, np.ndarray]:
        """What the influences of the members (n,) and of the non-members (m,) are multiplied by, because few
        persons deviate too little from their own mean; see the top of this file."""
        sides = self.codes[: self.members], self.codes[self.members :]
        return tuple(_correction(rows)[side] for rows, side in zip(self.rows, sides, strict=True))

    def summed(self, members: np.ndarray, nonmembers: np.ndarray) -> np.ndarray:
        """Influences of the members (n,) and non-members (m,), added up by person (P,)."""
        return np.bincount(self.codes, np.concatenate([members, nonmembers]))

    def degrees(self, members: np.ndarray, nonmembers: np.ndarray) -> float:
        """Degrees of freedom of the variance that the squares of these sums have, after Satterthwaite: of
        each side one less than its persons, counted as persons with equally many rows would be."""
        codes, uncertainty, whole = self.codes, 0.0, 0.0
        sides = (codes[: self.members], members), (codes[self.members :], nonmembers)
        for rows, (side, influences) in zip(self.rows, sides, strict=True):
            variance = float(np.square(np.bincount(side, influences)).sum())
            whole += variance
            uncertainty += variance**2 / degrees_of(rows)
        return whole**2 / uncertainty if uncertainty else math.inf

    def halves(self, seed: int, splits: int) -> Iterator[np.ndarray]:
        """Of each split, which rows are in its first half (n + m,): whole persons, half of those with rows
        among the members alone, among the non-members alone, and on both sides."""
        generator = np.random.default_rng(seed)
        inside = self.rows > 0
        kinds = [np.flatnonzero((inside[0] == first) & (inside[1] == second)) for first, second in _KINDS]
        for _ in range(splits):
            chosen = np.zeros(inside.shape[1], bool)
            for kind in kinds:
                # Which half gets the odd one is tossed: or else it would be the first's of each kind.
                count = (len(kind) + int(generator.integers(2))) // 2
                chosen[generator.choice(kind, count, replace=False, shuffle=False)] = True
            yield chosen[self.codes]

    def permutations(self, seed: int, count: int) -> Iterator[np.ndarray]:
        """Who would be a member (n + m,) if persons had each other's membership.

        A person with all rows among the members, or none, gives that to another person. Of a person on both
        sides the other gets the share, and of its rows it is a run, in an order and from a start by chance.
        Both sides have a row at least.
        """
        generator = np.random.default_rng(seed)
        rows = self.rows.sum(axis=0)
        shares = self.rows[0] / rows
        mixed = self.on_both_sides.any()
        if mixed:
            # The place of each row among those of its person, in an order by chance.
            order = np.lexsort((generator.random(len(self.codes)), self.codes))
            places = np.empty(len(self.codes), int)
            places[order] = np.arange(len(self.codes)) - np.repeat(np.cumsum(rows) - rows, rows)
        for _ in range(count):
            of_persons = generator.permutation(shares)
            if not mixed:
                yield of_persons[self.codes] > 0
                continue
            wanted = np.floor(of_persons * rows + generator.random(len(rows)) * (1 - 1e-9)).astype(int)
            starts = generator.integers(rows)
            is_member = (places - starts[self.codes]) % rows[self.codes] < wanted[self.codes]
            if is_member.all() or not is_member.any():
                # Few rows had a share each, and whole numbers of them left none for one side.
                row = generator.integers(len(is_member))
                is_member[row] = not is_member[row]
            yield is_member


_KINDS = ((True, False), (False, True), (True, True))  # of persons: rows among members, among non-members


def persons_of(
    members: Sequence | np.ndarray | None, nonmembers: Sequence | np.ndarray | None, n: int, m: int
) -> Persons | None:
    """Whose rows n members and m non-members are; None if each is a person of its own.

    members (n,), nonmembers (m,): a person's integer, name or other hashable, the same on both sides; None
    for a side on which each row is a person of its own. BadInput for other lengths and missing persons.
    """
    if members is None and nonmembers is None:
        return None
    for name, side, count in (("member_persons", members, n), ("nonmember_persons", nonmembers, m)):
        if side is not None and len(side) != count:
            raise BadInput(f"{name} must name {count:,} persons, one for each loss, not {len(side):,}")
    codes = pd.factorize(joined([side for side in (members, nonmembers) if side is not None]))[0]
    if (codes < 0).any():
        raise BadInput(
            f"{np.count_nonzero(codes < 0):,} losses have no person; drop them, or say whose they are"
        )
    # A side without persons has as many new ones as rows.
    if members is None:
        codes = np.concatenate([codes.max() + 1 + np.arange(n), codes])
    if nonmembers is None:
        codes = np.concatenate([codes, codes.max() + 1 + np.arange(m)])
    if np.bincount(codes).max() < 2:
        return None
    return Persons(codes, n)


def joined(sides: Sequence[Sequence | np.ndarray]) -> np.ndarray:
    """The persons of all sides, one after another. BadInput for more than one dimension."""
    arrays = [np.asarray(side) for side in sides]
    if any(array.ndim != 1 for array in arrays):
        raise BadInput("persons must be one row: one integer or name for each loss")
    # Numbers and names side by side stay what they are.
    numbered = all(array.dtype.kind in "iu" for array in arrays)
    return np.concatenate([array if numbered else array.astype(object) for array in arrays])


def _correction(rows: np.ndarray) -> np.ndarray:
    """Of each person (P,) with so many rows on one side."""
    total = rows.sum()
    # A person with all rows has no other to be compared with; nothing is claimed then.
    return 1 / np.sqrt(np.maximum(1 - rows / total, 1 / (total + 1)))


def degrees_of(rows: np.ndarray) -> float:
    """Degrees of freedom of the spread over persons with so many rows (P,), 1 at least: P - 1 if equally
    many."""
    squares = np.square(rows.astype(float))
    return max(float(squares.sum() ** 2 / np.square(squares).sum()) - 1, 1.0)


def effective_rows(called: np.ndarray, codes: np.ndarray, confidence: float) -> float:
    """As how many rows of a person each tell as much of a share as these rows do.

    called (n,): from 0 to 1, how much of a row counts; codes (n,): its person. The variance by person over
    that of independent rows is the design effect, taken to be 1 at least. A share of 0 or 1 has none, and
    counts as if all rows of a person were the same. The degrees of freedom of the spread over persons
    shrink the number further, so that an interval for independent rows may be used (Korn and Graubard 1998).
    """
    rows, n, share = np.bincount(codes), len(codes), float(called.mean())
    number = fewest = n**2 / float(np.square(rows.astype(float)).sum())
    if 0 < share < 1:
        deviations = np.bincount(codes, called - share) * _correction(rows)
        variance = float(np.square(deviations).sum()) / n**2
        independent = share * (1 - share) / max(n - 1, 1)
        number = min(max(n * independent / variance, fewest), n) if variance else n
    tail = 0.5 + confidence / 2
    return number * float(special.ndtri(tail) / special.stdtrit(degrees_of(rows), tail)) ** 2
