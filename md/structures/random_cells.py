"""Random periodic cells: where relaxations and searches begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.geometry import get_distances

from stratal.errors import InputError

THINNEST = 0.8  # of the length that an atom's volume has, between opposite faces of a cell
TRIES = 200  # of places for one atom, before the whole cell is drawn anew
CELLS = 30  # of those


def random_cells(
    seed: int,
    count: int,
    fewest: int,
    most: int,
    numbers: Sequence[int],
    volume: float = 14.0,
    closest: float = 1.8,
) -> list[Atoms]:
    """``count`` cells of ``fewest`` to ``most`` atoms each, as `random_cell` draws them."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(fewest, most + 1, count)
    return [random_cell(rng, int(size), numbers, volume, closest) for size in sizes]


def random_cell(
    rng: np.random.Generator,
    n_atoms: int,
    numbers: Sequence[int],
    volume: float = 14.0,
    closest: float = 1.8,
) -> Atoms:
    """A triclinic cell with atoms in random places.

    Args:
        rng: where it is drawn from.
        n_atoms: how many.
        numbers: atomic numbers, of which each atom gets one.
        volume: Å³ for each atom.
        closest: no two atoms are nearer, Å.

    Raises:
        InputError: so many atoms do not fit.
    """
    for _ in range(CELLS):
        cell = random_vectors(rng, volume * n_atoms, THINNEST * volume ** (1 / 3))
        positions = random_places(rng, n_atoms, cell, closest)
        if positions is not None:
            return Atoms(rng.choice(numbers, n_atoms), positions, cell=cell, pbc=True)
    raise InputError(
        f"{n_atoms} atoms of {volume} Å³ do not fit into a random cell {closest} Å apart. Give a "
        f"larger volume or a shorter distance."
    )


def random_vectors(rng: np.random.Generator, volume: float, thinnest: float) -> np.ndarray:
    """Cell vectors ``(3, 3)`` of a volume (Å³), opposite faces ``thinnest`` apart or more (Å)."""
    while True:
        cell = rng.normal(size=(3, 3)) + 1.5 * np.eye(3)
        cell *= (volume / abs(np.linalg.det(cell))) ** (1 / 3)
        if (1 / np.linalg.norm(np.linalg.inv(cell), axis=0)).min() > thinnest:
            return cell


def random_places(
    rng: np.random.Generator, n_atoms: int, cell: np.ndarray, closest: float
) -> np.ndarray | None:
    """Positions ``(n_atoms, 3)``, Å; None where no place is left."""
    positions = np.zeros((0, 3))
    for _ in range(n_atoms):
        for _ in range(TRIES):
            new = rng.random((1, 3)) @ cell
            if not len(positions) or get_distances(new, positions, cell, True)[1].min() > closest:
                positions = np.concatenate([positions, new])
                break
        else:
            return None
    return positions
