"""Distances between atoms by species: radial distributions g(r), and the shortest of each pair.

All periodic images within reach count, also those beyond half of a small cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from stratal.descriptors.host_list import find_edges
from stratal.descriptors.structures import Structures
from stratal.errors import InputError

OF_CRYSTALS = "g(r)"
OF_CLUSTERS = "neighbors per atom and Å"


@dataclass(frozen=True)
class RadialDistribution:
    """What stands around an atom at which distance, by pairs of species and over all of them.

    Of crystals g_ab(r), the number of atoms against that in an ideal gas of the same density, so
    that the total is the sum of c_a c_b g_ab over ordered pairs. What is not periodic in three
    directions has no density: there the neighbors per atom (of the whole) and Å, which add up
    to the total over pairs.
    """

    distances: np.ndarray  # (n_bins,), Å, centers of bins
    pairs: tuple[tuple[str, str], ...]  # symbols, each pair once
    partial: np.ndarray  # (n_pairs, n_bins)
    total: np.ndarray  # (n_bins,)
    quantity: str  # OF_CRYSTALS or OF_CLUSTERS

    @property
    def curves(self) -> dict[str, np.ndarray]:
        """By name: ``total``, and each pair such as ``Ag-Cu``."""
        named = {"-".join(pair): own for pair, own in zip(self.pairs, self.partial, strict=True)}
        return {"total": self.total, **named}

    def as_csv(self) -> str:
        """A line for each distance, a column for each curve, with a head."""
        lines = [",".join(["distance", *self.curves])]
        for row in zip(self.distances, *self.curves.values(), strict=True):
            lines.append(",".join(f"{value:.10g}" for value in row))
        return "\n".join(lines) + "\n"


class PairLengths(NamedTuple):
    """Lengths of all edges; each two atoms have two, one in each direction."""

    lengths: np.ndarray  # (n_edges,), Å
    pairs: np.ndarray  # (n_edges,), which of `species_pairs`
    systems: np.ndarray  # (n_edges,)


def species_pairs(n_species: int) -> list[tuple[int, int]]:
    """Pairs of species, each once.

    >>> species_pairs(2)
    [(0, 0), (0, 1), (1, 1)]
    """
    return [(a, b) for a in range(n_species) for b in range(a, n_species)]


def pair_lengths(structures: Structures, reach: float) -> PairLengths:
    """Distances between atoms closer than ``reach`` (Å), with the species that they join."""
    edges = find_edges(structures, reach, shortest=0.0)
    positions, species = np.asarray(structures.positions), np.asarray(structures.species)
    systems = np.asarray(structures.system)[edges.receivers]
    crossed = np.einsum("ei,eij->ej", edges.shifts, np.asarray(structures.cell)[systems])
    vectors = positions[edges.senders] - positions[edges.receivers] + crossed
    n_species = len(structures.elements)
    number = np.zeros((n_species, n_species), int)
    for pair, (a, b) in enumerate(species_pairs(n_species)):
        number[a, b] = number[b, a] = pair
    pairs = number[species[edges.receivers], species[edges.senders]]
    return PairLengths(np.linalg.norm(vectors, axis=1), pairs, systems)


def distribution_by_species(
    frames: Iterable[Atoms], cutoff: float = 8.0, n_bins: int = 160
) -> RadialDistribution:
    """Radial distributions over structures, all periodic in three directions or none.

    Args:
        frames: such as those of a trajectory; read one after the other.
        cutoff: Å.
        n_bins: up to it.

    Raises:
        InputError: no frames, a cutoff or number of bins that is not above 0, crystals among
            others.
    """
    if cutoff <= 0 or n_bins < 1:
        raise InputError(
            f"cutoff = {cutoff} Å in {n_bins} bins: expected a length and a number above 0, such "
            f"as 8 and 160. Correct them."
        )
    bins = np.linspace(0, cutoff, n_bins + 1)
    counts = defaultdict(lambda: np.zeros(n_bins))  # of edges, by pair of atomic numbers
    densities: dict[tuple[int, int], float] = defaultdict(float)  # edges of an ideal gas by Å³
    n_atoms, periodic = 0, set()
    for frame in frames:
        structures = Structures.from_atoms(frame)
        found = pair_lengths(structures, cutoff)
        numbers = np.bincount(structures.species)
        volume = abs(np.linalg.det(np.asarray(structures.cell[0])))
        for number, (a, b) in enumerate(species_pairs(len(numbers))):
            pair = structures.elements[a], structures.elements[b]
            counts[pair] += np.histogram(found.lengths[found.pairs == number], bins)[0]
            ordered = numbers[a] * numbers[b] * (1 if a == b else 2)
            densities[pair] += ordered / volume
        n_atoms += len(frame)
        periodic.add(bool(frame.pbc.all()))
    if len(periodic) != 1:
        raise InputError(
            "radial distribution: no structures, or crystals and others together; expected some "
            "that are all periodic in three directions or none. Choose them with an index."
        )
    pairs = sorted(counts)
    summed, centers = np.array([counts[pair] for pair in pairs]), 0.5 * (bins[1:] + bins[:-1])
    symbols = tuple((chemical_symbols[a], chemical_symbols[b]) for a, b in pairs)
    if periodic == {False}:
        partial = summed / (n_atoms * np.diff(bins))
        return RadialDistribution(centers, symbols, partial, partial.sum(axis=0), OF_CLUSTERS)
    ideal = np.array([[densities[pair]] for pair in pairs]) * 4 / 3 * np.pi * np.diff(bins**3)
    total = summed.sum(axis=0) / ideal.sum(axis=0)
    return RadialDistribution(centers, symbols, summed / ideal, total, OF_CRYSTALS)


def shortest_distances(atoms: Atoms) -> dict[str, float]:
    """The shortest distance (Å) between atoms of each two species, by names such as ``Ag-Cu``.

    Of an atom that has no partner, and no image, there is none.
    """
    present = [chemical_symbols[z] for z in np.unique(atoms.numbers)]
    found = {}
    for a, b in species_pairs(len(present)):
        first, second = present[a], present[b]
        # Only these two species: of rare ones, far apart, not all that lies between is looked at.
        chosen = atoms[[symbol in (first, second) for symbol in atoms.symbols]]
        if (length := _shortest(chosen, a == b)) is not None:
            found[f"{first}-{second}"] = length
    return found


def _shortest(atoms: Atoms, alike: bool) -> float | None:
    """The shortest distance between two atoms of one species, or of the two that there are."""
    structures = Structures.from_atoms(atoms)
    wanted = 0 if alike else 1
    # Every two atoms have images closer than the extent of the atoms and of the cell together.
    extent = np.linalg.norm(np.ptp(atoms.positions, axis=0)) + atoms.cell.lengths()[atoms.pbc].sum()
    reach = 3.0
    while True:
        found = pair_lengths(structures, reach)
        lengths = found.lengths[found.pairs == wanted]
        if len(lengths):
            return float(lengths.min())
        if reach > extent:
            return None
        reach *= 1.5
