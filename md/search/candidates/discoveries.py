"""What a search has found: each low structure once, and how often it was found again.

Also structures count that the population has no place for any more. A child that relaxes back to
one of its parents tells nothing of what else there is, and is no discovery.

From the counts follow the chance that the next discovery is new (I. J. Good, Biometrika 40, 237
(1953)), how many structures there are (A. Chao, Scand. J. Stat. 11, 265 (1984)), and how many had
been found after fewer or more relaxations (A. Chao et al., Ecol. Monogr. 84, 45 (2014)). All of
these take discoveries for independent draws. A search draws from around what it knows, so that
they are estimates of what this search can find, not of all that there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaln

from stratal.md.search.candidates.candidate import Candidate
from stratal.md.search.candidates.sameness import Confirm, twin_among

BEYOND = 2.0  # times the relaxations done, up to where the curve is extrapolated
POINTS = 60


@dataclass
class Discoveries:
    """Not frozen: it grows."""

    near: float  # eV/atom above the lowest or the hull, up to which structures count
    alike: float  # similarity from which two are compared
    confirm: Confirm
    kinds: list[Candidate] = field(default_factory=list)  # the first of each structure
    draws: list[tuple[int, int]] = field(default_factory=list)  # relaxations done, which kind
    kind_of: dict[int, int] = field(default_factory=dict)  # by number of the candidate
    by_composition: dict[tuple, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, candidate: Candidate, above: float, done: int) -> None:
        """One more candidate.

        Args:
            candidate: relaxed.
            above: eV/atom over the lowest or the hull that are known now. These only fall: what
                is too high now will always be.
            done: relaxations with this one.
        """
        if above > self.near:
            return
        known = self.by_composition[candidate.composition]
        twin = twin_among(candidate, [self.kinds[k] for k in known], self.alike, self.confirm)
        if twin is None:
            kind = len(self.kinds)
            self.kinds.append(candidate)
            known.append(kind)
        else:
            kind = self.kind_of[twin.number]
        self.kind_of[candidate.number] = kind
        if kind not in {self.kind_of.get(parent) for parent in candidate.origin.parents}:
            self.draws.append((done, kind))

    def again(self, candidate: Candidate) -> int:
        """How often a candidate's structure was found after the first time."""
        kind = self.kind_of.get(candidate.number)
        return max(0, sum(own == kind for _, own in self.draws) - 1)

    def low(self, lowest: Sequence[float]) -> list[tuple[int, int]]:
        """The draws of structures that are low in the end.

        Args:
            lowest: eV/atom at the composition of each kind: the best, or the hull.
        """
        kept = {
            kind
            for kind, candidate in enumerate(self.kinds)
            if candidate.by_atom - lowest[kind] <= self.near
        }
        return [(done, kind) for done, kind in self.draws if kind in kept]


@dataclass(frozen=True)
class Coverage:
    """How much of what can be found has been found."""

    relaxations: int
    draws: tuple[tuple[int, int], ...]  # relaxations done, which kind; in order

    @property
    def counts(self) -> np.ndarray:
        """How often each structure was found, ``(n_kinds,)``."""
        return np.array(list(Counter(kind for _, kind in self.draws).values()), int)

    @property
    def found(self) -> int:
        """Different structures."""
        return len(self.counts)

    @property
    def chance_missed(self) -> float:
        """Good's estimate that the next discovery is new; 1 before the first."""
        return chance_of_new(self.counts)

    @property
    def expected(self) -> float:
        """How many there are, at least: Chao's estimate."""
        return self.found + unseen(self.counts)

    def course(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Relaxations, different structures and the chance of another, after each discovery."""
        seen: Counter[int] = Counter()
        once, rows = 0, []
        for number, (done, kind) in enumerate(self.draws):
            seen[kind] += 1
            once += {1: 1, 2: -1}.get(seen[kind], 0)
            rows.append((done, len(seen), once / (number + 1)))
        done, found, chance = np.array(rows, float).reshape(-1, 3).T
        return done, found, chance

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Relaxations, and how many structures so many find on average, ``(n,)`` each."""
        counts = self.counts
        n = int(counts.sum())
        if not n:
            return np.zeros(0), np.zeros(0)
        sizes = np.unique(np.linspace(1, BEYOND * n, POINTS).round().astype(int))
        values = [rarefied(counts, m) if m <= n else extrapolated(counts, m - n) for m in sizes]
        return sizes * self.relaxations / n, np.array(values)


def chance_of_new(counts: np.ndarray) -> float:
    """Part of all discoveries that are of structures found once."""
    return float((counts == 1).sum() / counts.sum()) if len(counts) else 1.0


def unseen(counts: np.ndarray) -> float:
    """Structures not found yet, at least: f1 (f1 - 1) / (2 (f2 + 1)), without bias."""
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once * (once - 1) / (2 * (twice + 1))


def rarefied(counts: np.ndarray, size: int) -> float:
    """Different structures among ``size`` of all discoveries, chosen at random, on average.

    S - sum of C(n - n_i, m) / C(n, m); S. H. Hurlbert, Ecology 52, 577 (1971).
    """
    n = int(counts.sum())
    left = n - counts
    able = left >= size
    logs = gammaln(left[able] + 1) - gammaln(left[able] - size + 1)
    logs -= gammaln(n + 1) - gammaln(n - size + 1)
    return float(len(counts) - np.exp(logs).sum())


def extrapolated(counts: np.ndarray, more: int) -> float:
    """Different structures after so many more discoveries, on average.

    S + f0 (1 - (1 - f1 / (n f0 + f1))^m); Chao et al., 2014, with f0 of `unseen`.
    """
    n, once, hidden = int(counts.sum()), int((counts == 1).sum()), unseen(counts)
    if not hidden:
        return float(len(counts))
    return float(len(counts) + hidden * (1 - (1 - once / (n * hidden + once)) ** more))
