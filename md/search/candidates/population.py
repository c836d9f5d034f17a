"""The population of a search: the best candidates that differ from each other.

At one composition the best are those of the lowest enthalpy; over a whole system of elements those
that lie nearest to the convex hull. Clusters of different sizes cannot be compared by atom: those
with the same atoms are a niche, candidates are ranked within it, and the best of each stays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stratal.md.search.candidates.candidate import Candidate
from stratal.md.search.candidates.lower_hull import LowerHull
from stratal.md.search.candidates.sameness import Confirm, by_fingerprint_alone, twin_among

Verdict = Literal["new best", "new", "duplicate", "worse"]
Counts = tuple[tuple[int, int], ...]
NEAR_BEST = 1e-6  # eV/atom, that a new best is lower


@dataclass
class Population:
    """Not frozen: candidates come and go."""

    size: int
    elements: tuple[int, ...]  # atomic numbers
    alike: float = 0.98  # similarity from which two are duplicates
    variable: bool = False  # over compositions, by distance from the hull
    niches: bool = False  # by numbers of atoms, each for itself
    confirm: Confirm = by_fingerprint_alone  # whether two that are similar are the same
    members: list[Candidate] = field(default_factory=list)  # the best first
    hull: LowerHull = field(init=False)
    lowest: dict[Counts, float] = field(default_factory=dict)  # eV/atom, of each niche
    fractions: dict[Counts, np.ndarray] = field(default_factory=dict)  # by composition

    def __post_init__(self) -> None:
        self.hull = LowerHull(self.elements)

    def add(self, candidate: Candidate) -> Verdict:
        """Take a candidate in, if it is better than the worst and none is like it."""
        twin = self.twin_of(candidate)
        if twin is not None:
            if candidate.by_atom < twin.by_atom - NEAR_BEST:  # the same, relaxed farther
                self.members[self.members.index(twin)] = candidate
                self.sort(candidate)
            return "duplicate"
        is_lower = self.is_lower(candidate)
        self.members.append(candidate)
        self.sort(candidate)
        lost = self.members[-1]
        if len(self.members) > self.size and not (self.niches and self.above(lost) <= 0):
            self.members.pop()
            if lost is candidate:
                return "worse"
        return "new best" if is_lower else "new"

    def is_lower(self, candidate: Candidate) -> bool:
        """Whether it is better than all before it, of its niche where there are niches."""
        if self.variable:
            return self.hull.above(candidate.atoms.numbers, candidate.by_atom) < -NEAR_BEST
        return candidate.by_atom < self.lowest.get(self.niche_of(candidate), np.inf) - NEAR_BEST

    def niche_of(self, candidate: Candidate) -> Counts:
        """What it is compared with: those with the same atoms, or all."""
        return candidate.counts if self.niches else ()

    def twin_of(self, candidate: Candidate) -> Candidate | None:
        """The member that is the same structure, if there is one."""
        near = [member for member in self.members if self.may_be_same(member, candidate)]
        return twin_among(candidate, near, self.alike, self.confirm)

    def may_be_same(self, first: Candidate, second: Candidate) -> bool:
        """Whether they have the same atoms; a crystal may be repeated."""
        if self.niches:
            return first.counts == second.counts
        return first.composition == second.composition

    def sort(self, new: Candidate) -> None:
        """The best first; the hull and the lowest with a new one."""
        self.hull.add(new.atoms.numbers, new.by_atom)
        niche = self.niche_of(new)
        self.lowest[niche] = min(new.by_atom, self.lowest.get(niche, np.inf))
        above = self.above_all()
        order = np.lexsort(([member.number for member in self.members], above))
        self.members = [self.members[place] for place in order]
        if self.niches:  # the best of each, the second of each, and so on
            seen: Counter[Counts] = Counter()
            places = []
            for member in self.members:
                places.append(seen[member.counts])
                seen[member.counts] += 1
            order = np.argsort(places, kind="stable")
            self.members = [self.members[place] for place in order]

    def above_all(self) -> np.ndarray:
        """`above` of all members, ``(n_members,)``."""
        if not self.variable:
            return np.array([self.above(member) for member in self.members])
        by_atom = np.array([member.by_atom for member in self.members])
        return by_atom - self.hull.heights(
            np.stack([self.fractions_of(member) for member in self.members])
        )

    def fractions_of(self, member: Candidate) -> np.ndarray:
        """Of each element, ``(n_elements,)``."""
        if member.composition not in self.fractions:
            self.fractions[member.composition] = self.hull.fractions(member.atoms.numbers)
        return self.fractions[member.composition]

    def above(self, member: Candidate) -> float:
        """How far it lies above the hull, or the lowest that it is compared with, eV/atom.

        The first of its niche is 0 above.
        """
        if self.variable:
            return self.hull.above(member.atoms.numbers, member.by_atom)
        return member.by_atom - self.lowest.get(self.niche_of(member), member.by_atom)

    def fitness(self) -> np.ndarray:
        """Weights with which members become parents, ``(n,)``: by rank, the best three times."""
        return np.linspace(3.0, 1.0, len(self.members))

    def parents(self, rng: np.random.Generator, count: int) -> list[Candidate]:
        """Different members, better ones more often; fewer where there are not so many."""
        weights = self.fitness()
        count = min(count, len(self.members))
        chosen = rng.choice(len(self.members), count, replace=False, p=weights / weights.sum())
        return [self.members[index] for index in chosen]

    def best(self) -> list[Candidate]:
        """The lowest; all on the hull, along it; or of each niche, the smallest clusters first."""
        if self.variable:
            near = self.above_all() < NEAR_BEST if self.members else []
            found = [m for m, is_near in zip(self.members, near, strict=True) if is_near]
            return sorted(found, key=lambda own: tuple(-self.fractions_of(own)))
        if not self.niches:
            return self.members[:1]
        lowest: dict[Counts, Candidate] = {}
        for member in self.members:
            lowest.setdefault(member.counts, member)
        return sorted(lowest.values(), key=lambda own: (len(own.atoms), own.counts))
