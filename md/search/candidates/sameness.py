"""Whether two candidates are one structure: fingerprints first, then a comparison in space.

Fingerprints are quick and strict, but different structures can have the same distances. Those that
agree in composition, enthalpy and fingerprint are laid on each other: crystals and films by
pymatgen's matcher, clusters by the distances seen from each atom. Mirror images are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.geometry import minkowski_reduce
from scipy.optimize import linear_sum_assignment

from stratal.md.search.candidates.candidate import Candidate
from stratal.md.structures.primitive_cell import primitive_cell
from stratal.md.structures.similarity import matcher, similarities

APART = 2e-3  # eV/atom: structures of other enthalpies are no duplicates
LOOSE = 0.1  # Å, by which atoms may miss their places when a primitive cell is looked for
NIGGLI = (1e-3, 1e-5)  # Å: as in pymatgen, and another for the few cells at which spglib fails
MOST_KEPT = 1000  # candidates as compared, some kB each
MOST_PAIRS = 10_000  # whose comparison is remembered
GAP = 4.0  # Å of vacuum with which films are compared: more would make the matcher more tolerant
# How far the distances of one atom may differ, in sum over the sum of them and each over the
# nearest: L. B. Vilhelmsen and B. Hammer, Phys. Rev. Lett. 108, 126101 (2012), in Å there.
IN_SUM, AT_MOST = 0.015, 0.25

Confirm = Callable[[Candidate, Candidate], bool]


def twin_among(
    candidate: Candidate, others: Sequence[Candidate], alike: float, confirm: Confirm
) -> Candidate | None:
    """The one that is the same structure, the most similar first; None: it is new.

    Args:
        candidate: the new one.
        others: those before it.
        alike: similarity from which a comparison is worth while.
        confirm: the comparison.
    """
    near = [
        other
        for other in others
        if other.composition == candidate.composition
        and abs(other.by_atom - candidate.by_atom) < APART
    ]
    if not near:
        return None
    vectors = np.stack([other.fingerprint for other in near])
    cosines = similarities(candidate.fingerprint[None], vectors)[0]
    for place in np.argsort(-cosines, kind="stable"):
        if cosines[place] <= alike:
            return None
        if confirm(candidate, near[int(place)]):
            return near[int(place)]
    return None


def by_fingerprint_alone(candidate: Candidate, other: Candidate) -> bool:
    """What is similar is the same."""
    return True


@dataclass
class Sameness:
    """Compares in space, each pair once. Not frozen: it remembers.

    A new candidate is compared twice in a row, as a discovery and as a member: what is older is
    seldom asked for again, and is made again then.
    """

    known: dict[tuple[int, int], bool] = field(default_factory=dict)  # by numbers of the two
    forms: dict[int, Any] = field(default_factory=dict)  # as compared, by number

    def __call__(self, candidate: Candidate, other: Candidate) -> bool:
        """Whether they are one structure."""
        pair = candidate.number, other.number
        if pair not in self.known:
            if len(self.known) >= MOST_PAIRS:
                self.known.clear()
            self.known[pair] = same(self.form(candidate), self.form(other))
        return self.known[pair]

    def form(self, candidate: Candidate) -> Any:
        """The candidate as it is compared, made once."""
        if candidate.number not in self.forms:
            if len(self.forms) >= MOST_KEPT:
                self.forms.clear()
            self.forms[candidate.number] = form_of(candidate.atoms)
        return self.forms[candidate.number]


def form_of(atoms: Atoms) -> Any:
    """What is compared: a reduced primitive cell, for pymatgen; the atoms themselves of a cluster.

    Reducing takes longer than comparing, so that it is kept.
    """
    if not atoms.pbc.any():
        return atoms
    from pymatgen.core import Structure

    if not atoms.pbc.all():
        atoms = with_gap(atoms)
    atoms = primitive_cell(atoms, LOOSE)
    vectors, numbers = atoms.cell.array, atoms.numbers
    places = atoms.get_scaled_positions()
    reduced = niggli_cell(vectors)
    return Structure(reduced, numbers.tolist(), places @ vectors @ np.linalg.inv(reduced) % 1.0)


def niggli_cell(vectors: np.ndarray) -> np.ndarray:
    """Niggli's reduced cell, ``(3, 3)``, Å; pymatgen's own takes ten times as long."""
    for tolerance in NIGGLI:
        try:
            reduced = spglib.niggli_reduce(vectors, tolerance)
        except spglib.SpglibError:  # which versions before 3 tell by None
            continue
        if reduced is not None:
            return reduced
    return np.asarray(minkowski_reduce(vectors)[0])


def with_gap(film: Atoms) -> Atoms:
    """A film as a crystal with little between its images."""
    crystal = film.copy()
    heights = film.positions[:, 2] - film.positions[:, 2].min()
    crystal.set_cell([*film.cell.array[:2], [0.0, 0.0, heights.max() + GAP]])
    crystal.positions[:, 2] = heights
    crystal.pbc = True
    return crystal


def same(first: Any, second: Any) -> bool:
    """Whether two structures, as `form_of` made them, are one."""
    if isinstance(first, Atoms):
        return same_clusters(first, second)
    if len(first) != len(second):  # one is a supercell, or not quite primitive: asked in earnest
        return bool(matcher().fit(first, second))
    return bool(quick_matcher().fit(first, second, skip_structure_reduction=True))


@lru_cache(maxsize=1)
def quick_matcher() -> Any:
    """The matcher of structures that are reduced already."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(primitive_cell=False, scale=False)


def same_clusters(first: Atoms, second: Atoms) -> bool:
    """Whether each atom of one has a partner in the other that sees the same distances.

    Stronger than all distances together, which different clusters can have in common.
    """
    if sorted(first.numbers) != sorted(second.numbers):
        return False
    if len(first) == 1:
        return True
    own, other = distances_seen(first), distances_seen(second)
    apart = np.abs(own[:, None] - other[None])
    nearest = np.sort(own, axis=1)[:, 0].mean()
    in_sum = apart.sum(axis=2) / own.sum(axis=1)[:, None]
    fits = (in_sum < IN_SUM) & (apart.max(axis=2) < AT_MOST * nearest)
    fits &= first.numbers[:, None] == second.numbers
    rows, columns = linear_sum_assignment(~fits)
    return bool(fits[rows, columns].all())


def distances_seen(cluster: Atoms) -> np.ndarray:
    """Distances ``(n_atoms, n_atoms - 1)`` from each atom, Å, sorted within each species."""
    positions, numbers = cluster.positions, cluster.numbers
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    np.fill_diagonal(apart, np.inf)
    rows = []
    for index in range(len(cluster)):
        parts = [np.sort(apart[index, numbers == number]) for number in np.unique(numbers)]
        row = np.concatenate(parts)
        rows.append(row[np.isfinite(row)])
    return np.array(rows)
