"""Tiled starts: a small random motif repeated, its species exchanged among the tiles.

Large cells of wholly random atoms are all alike, glasses; those with translational order are not.
A. O. Lyakhov, A. R. Oganov and M. Valle, Comput. Phys. Commun. 181, 1623 (2010).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from stratal.md.search.limits import Limits, reduced
from stratal.md.search.starts.composition import repaired
from stratal.md.search.starts.drawing import Composition, drawn, numbers_of
from stratal.md.search.starts.random_structure import scattered

ORDERED = 0.5  # of the starts whose composition allows it: all tiles alike


def tiled(
    composition: Composition, limits: Limits, rng: np.random.Generator, seconds: float = 1.0
) -> Atoms | None:
    """A crystal or film of two or more equal tiles, decorated to the composition, or None.

    Where the number of atoms has no divisor, some sites of the last tile stay empty.

    Args:
        composition: atoms by atomic number.
        limits: what it obeys.
        rng: random numbers.
        seconds: after which it is given up.
    """
    numbers = numbers_of(composition)
    if limits.kind == "cluster" or len(numbers) < 2:
        return None
    motif_limits = replace(limits, formula=None, n_atoms=(1, len(numbers)))

    def draw() -> Atoms | None:
        tiles = number_of_tiles(len(numbers), rng)
        motif = scattered(motif_of(numbers, tiles, rng), motif_limits, rng)
        if motif is None:
            return None
        structure = repeated(motif, tiles, limits, rng)
        if (limits.counts(structure.numbers) != limits.counts(numbers)).any():
            structure.numbers = rng.permutation(structure.numbers)
        return repaired(structure, limits.counts(numbers), limits, rng)

    return drawn(draw, limits, seconds)


def number_of_tiles(n_atoms: int, rng: np.random.Generator) -> int:
    """A divisor of the number of atoms above 1; of a prime number, half or a third of them."""
    divisors = [n for n in range(2, n_atoms + 1) if n_atoms % n == 0 and n < n_atoms]
    return int(rng.choice(divisors or [2, min(3, n_atoms)]))


def motif_of(numbers: np.ndarray, tiles: int, rng: np.random.Generator) -> np.ndarray:
    """Atomic numbers in a tile: the composition's share where that is whole, else some of them."""
    kinds, counts = np.unique(numbers, return_counts=True)
    if (counts % tiles == 0).all() and rng.random() < ORDERED:
        return np.repeat(kinds, counts // tiles)
    return rng.permutation(numbers)[: -(-len(numbers) // tiles)]


def repeated(motif: Atoms, tiles: int, limits: Limits, rng: np.random.Generator) -> Atoms:
    """The motif in a random supercell of so many tiles, in its shortest vectors."""
    return reduced(make_supercell(motif, random_supercell(tiles, limits, rng), wrap=False), limits)


def random_supercell(tiles: int, limits: Limits, rng: np.random.Generator) -> np.ndarray:
    """A matrix ``(3, 3)`` of integers with this determinant, in Hermite normal form.

    Every supercell of a lattice has one; films are repeated along their first two vectors.
    """
    n_axes = 2 if limits.kind == "film" else 3
    diagonal = np.ones(3, int)
    for prime in _primes(tiles):
        diagonal[rng.integers(n_axes)] *= prime
    matrix = np.diag(diagonal)
    for row in range(1, n_axes):
        for column in range(row):
            matrix[row, column] = rng.integers(diagonal[column])
    return matrix


def _primes(number: int) -> list[int]:
    """Prime factors, ascending."""
    factors, candidate = [], 2
    while number > 1:
        while number % candidate == 0:
            factors.append(candidate)
            number //= candidate
        candidate += 1
    return factors
