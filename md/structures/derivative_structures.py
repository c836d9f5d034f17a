"""Derivative structures: every way to put elements on the sites of a lattice, up to a cell's size.

Cells are the superlattices of the parent; of those that its symmetry maps onto each other, and of
decorations alike, one is kept. G. L. W. Hart and R. W. Forcade, PRB 77, 224115 (2008); of parents
with several sites, PRB 80, 014120 (2009).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.geometry import minkowski_reduce

from stratal.errors import InputError
from stratal.md.structures.crystal_symmetry import dataset

MOST = 5_000_000  # decorations of one cell
NEAR = 1e-5  # of a cell vector: sites that are the same


def derivative_structures(
    parent: Atoms, elements: Sequence[str], n_atoms: tuple[int, int]
) -> Iterator[Atoms]:
    """All structures of these elements on a parent lattice, smaller cells first.

    Args:
        parent: a primitive cell; its elements do not count.
        elements: chemical symbols, of which a structure has one or more.
        n_atoms: fewest and most of a cell. A structure that repeats in a smaller cell comes there.

    Yields:
        each once, with a compact cell and the parent's volume of an atom.

    Raises:
        InputError: no primitive cell, or too many decorations.
    """
    numbers = np.array([atomic_numbers[symbol] for symbol in elements])
    rotations, shifts = symmetry_of(parent)
    fewest, most = n_atoms
    check_size(len(numbers), most // len(parent) * len(parent))
    for times in range(-(-fewest // len(parent)), most // len(parent) + 1):
        for cell in superlattices(times, rotations):
            sites = sites_of(parent, cell)
            for colors in decorations(sites, cell, rotations, shifts, len(numbers)):
                yield decorated(parent, cell, sites, numbers[colors])


def symmetry_of(parent: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Rotations ``(n, 3, 3)`` and translations ``(n, 3)`` of a lattice of equal sites."""
    sites = parent.copy()
    sites.numbers[:] = 1
    found = dataset(sites, NEAR)
    if len(found.rotations) > 48:
        raise InputError(
            f"derivative_structures: the parent {parent.symbols} is no primitive cell of a "
            f"crystal. Give one, as ase.build.bulk does."
        )
    return found.rotations, found.translations


def check_size(n_elements: int, n_sites: int) -> None:
    """Few enough decorations to go through."""
    if n_elements**n_sites > MOST:
        raise InputError(
            f"derivative_structures: {n_elements} elements on {n_sites} sites are "
            f"{float(n_elements**n_sites):.1e} decorations. Give smaller cells."
        )


def superlattices(times: int, rotations: np.ndarray) -> list[np.ndarray]:
    """Superlattices of a volume, ``(3, 3)`` with rows in the parent's vectors, none alike.

    Each is in Hermite normal form.
    """
    kept: list[np.ndarray] = []
    inverses: list[np.ndarray] = []
    for a in range(1, times + 1):
        for c in range(1, times // a + 1):
            if times % (a * c):
                continue
            for b, d, e in product(range(a), range(a), range(c)):
                cell = np.array([[a, 0, 0], [b, c, 0], [d, e, times // (a * c)]])
                images = cell @ rotations.transpose(0, 2, 1)
                if not any(integers(images @ inverse).any() for inverse in inverses):
                    kept.append(cell)
                    inverses.append(np.linalg.inv(cell))
    return kept


def integers(matrices: np.ndarray) -> np.ndarray:
    """Which of these matrices hold whole numbers alone."""
    return np.all(np.abs(matrices - matrices.round()) < NEAR, axis=(-2, -1))


def sites_of(parent: Atoms, cell: np.ndarray) -> np.ndarray:
    """Sites in a superlattice's cell, in the parent's vectors, ``(n_sites, 3)``.

    Those of one translation follow each other.
    """
    # A Hermite normal form's translations are a box of its diagonal.
    translations = np.array(list(product(*(range(n) for n in np.diag(cell)))))
    basis = parent.get_scaled_positions()
    return (translations[:, None] + basis).reshape(-1, 3)


def decorations(
    sites: np.ndarray,
    cell: np.ndarray,
    rotations: np.ndarray,
    shifts: np.ndarray,
    n_elements: int,
) -> np.ndarray:
    """Which element is on which site, ``(n, n_sites)``; none alike, none of a smaller cell."""
    inverse = np.linalg.inv(cell)
    n_basis = len(sites) // round(np.linalg.det(cell))
    translations = sites[::n_basis] - sites[0]
    moves = [permutation(sites, sites + move, inverse) for move in translations]
    own = integers(cell @ rotations.transpose(0, 2, 1) @ inverse)
    turns = [
        permutation(sites, sites @ rotation.T + shift, inverse)
        for rotation, shift in zip(rotations[own], shifts[own], strict=True)
    ]
    powers = n_elements ** np.arange(len(sites))
    codes = np.arange(n_elements ** len(sites))
    colors = codes[:, None] // powers % n_elements
    first = np.ones(len(codes), bool)
    for move in moves[1:]:
        first &= colors[:, move] @ powers != codes
    for turn in turns:
        for move in moves:
            colors, codes = colors[first], codes[first]
            first = colors[:, turn[move]] @ powers >= codes
    return colors[first]


def permutation(sites: np.ndarray, images: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """The site on which each image lies, modulo the superlattice, ``(n_sites,)``."""
    apart = (images[:, None] - sites) @ inverse
    same = np.all(np.abs(apart - apart.round()) < NEAR, axis=-1)
    return same.argmax(axis=1)


def decorated(parent: Atoms, cell: np.ndarray, sites: np.ndarray, numbers: np.ndarray) -> Atoms:
    """A structure with a compact cell."""
    vectors = minkowski_reduce(cell @ parent.cell.array)[0]
    positions = sites @ parent.cell.array
    atoms = Atoms(numbers=numbers, positions=positions, cell=vectors, pbc=True)
    atoms.wrap()
    return atoms
