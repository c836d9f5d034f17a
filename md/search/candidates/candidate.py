"""A candidate of a search: a relaxed structure, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from ase import Atoms


class Origin(NamedTuple):
    """How a structure was made."""

    operator: str  # or the kind of start
    parents: tuple[int, ...] = ()  # numbers of candidates


@dataclass(frozen=True, eq=False)
class Candidate:
    """A structure at its minimum."""

    number: int  # of the relaxation, from 0 in the order in which they were asked for
    atoms: Atoms
    enthalpy: float  # E + pV of the whole structure, eV
    fingerprint: np.ndarray  # of `similarity.fingerprints`
    origin: Origin
    n_steps: int = 0  # evaluations of its relaxation
    grade: float = float("nan")  # of extrapolation
    outside: bool = False  # of the potential's domain: its enthalpy is a guess

    @cached_property
    def bare(self) -> Atoms:
        """Species, positions and cell alone: what offspring are made of."""
        own = self.atoms
        return Atoms(own.numbers, own.positions, cell=own.cell.array, pbc=own.pbc)

    @cached_property
    def composition(self) -> tuple[tuple[int, int], ...]:
        """Atomic numbers and counts, in the smallest whole numbers."""
        numbers, counts = np.unique(self.atoms.numbers, return_counts=True)
        divisor = int(np.gcd.reduce(counts))
        return tuple((int(z), int(n) // divisor) for z, n in zip(numbers, counts, strict=True))

    @cached_property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Atomic numbers and how many atoms of each."""
        units = len(self.atoms) // sum(count for _, count in self.composition)
        return tuple((z, units * count) for z, count in self.composition)

    @cached_property
    def by_atom(self) -> float:
        """Enthalpy of an atom, eV."""
        return self.enthalpy / len(self.atoms)
