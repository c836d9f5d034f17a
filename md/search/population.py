"""The population of a search: the best candidates that differ from each other.

At one composition the best are those of the lowest enthalpy; over a whole system of elements those
that lie nearest to the convex hull.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stratal.md.search.candidate import Candidate
from stratal.md.search.lower_hull import LowerHull
from stratal.md.search.sameness import Confirm, by_fingerprint_alone, twin_among

Verdict = Literal["new best", "new", "duplicate", "worse"]
NEAR_BEST = 1e-6  # eV/atom, that a new best is lower


@dataclass
class Population:
    """Not frozen: candidates come and go."""

    size: int
    elements: tuple[int, ...]  # atomic numbers
    alike: float = 0.98  # similarity from which two are duplicates
    variable: bool = False  # over compositions, by distance from the hull
    confirm: Confirm = by_fingerprint_alone  # whether two that are similar are the same
    members: list[Candidate] = field(default_factory=list)  # the best first
    rediscovered: dict[int, int] = field(default_factory=dict)  # how often, by number
    hull: LowerHull = field(init=False)

    def __post_init__(self) -> None:
        self.hull = LowerHull(self.elements)

    def add(self, candidate: Candidate) -> Verdict:
        """Take a candidate in, if it is better than the worst and none is like it."""
        twin = self.twin_of(candidate)
        if twin is not None:
            self.rediscovered[twin.number] = self.rediscovered.get(twin.number, 0) + 1
            if candidate.by_atom < twin.by_atom - NEAR_BEST:  # the same, relaxed farther
                self.members[self.members.index(twin)] = candidate
                self.rediscovered[candidate.number] = self.rediscovered.pop(twin.number)
                self.sort(candidate)
            return "duplicate"
        before = self.members[0].number if self.members else None
        is_lower = self.is_lower(candidate)
        self.members.append(candidate)
        self.sort(candidate)
        if len(self.members) > self.size:
            lost = self.members.pop()
            self.rediscovered.pop(lost.number, None)
            if lost is candidate:
                return "worse"
        if self.variable:
            return "new best" if is_lower else "new"
        return "new best" if self.members[0].number != before else "new"

    def is_lower(self, candidate: Candidate) -> bool:
        """Whether it lies below the hull of those before it."""
        return self.hull.above(candidate.atoms.numbers, candidate.by_atom) < -NEAR_BEST

    def twin_of(self, candidate: Candidate) -> Candidate | None:
        """The member that is the same structure, if there is one."""
        return twin_among(candidate, self.members, self.alike, self.confirm)

    def sort(self, new: Candidate) -> None:
        """The best first; the hull with a new one."""
        self.hull.add(new.atoms.numbers, new.by_atom)
        self.members.sort(key=self.rank)

    def rank(self, member: Candidate) -> tuple[float, int]:
        """What is compared: eV/atom, then age."""
        if self.variable:
            return self.hull.above(member.atoms.numbers, member.by_atom), member.number
        return member.by_atom, member.number

    def fitness(self) -> np.ndarray:
        """Weights with which members become parents, ``(n,)``: by rank, the best three times."""
        return np.linspace(3.0, 1.0, len(self.members))

    def parents(self, rng: np.random.Generator, count: int) -> list[Candidate]:
        """Different members, better ones more often; fewer where there are not so many."""
        weights = self.fitness()
        count = min(count, len(self.members))
        chosen = rng.choice(len(self.members), count, replace=False, p=weights / weights.sum())
        return [self.members[index] for index in chosen]

    def best(self) -> Sequence[Candidate]:
        """The lowest, or all on the hull."""
        if not self.variable:
            return self.members[:1]
        return [m for m in self.members if self.rank(m)[0] < NEAR_BEST]
