"""The primitive cell of a crystal by its translations alone: faster than all of its symmetry."""

from __future__ import annotations

import numpy as np
from ase import Atoms

SHIFTS = np.stack(np.meshgrid(*[[0, -1, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
SHORTEST = 30  # vectors of the lattice among which its basis is


def primitive_cell(atoms: Atoms, tolerance: float) -> Atoms:
    """The crystal in a cell with the fewest atoms; the same one where there is none smaller.

    Args:
        atoms: periodic in three directions.
        tolerance: by which atoms may miss their images, Å.
    """
    cell, places, numbers = atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers
    kinds, counts = np.unique(numbers, return_counts=True)
    rarest = np.flatnonzero(numbers == kinds[counts.argmin()])
    steps = places[rarest] - places[rarest[0]]  # one of them is every translation that there is
    apart = places + steps[:, None] - places[:, None, None]  # (n_atoms, n_steps, n_atoms, 3)
    lengths = np.linalg.norm((apart - np.round(apart)) @ cell, axis=-1)
    fits = (lengths < tolerance) & (numbers[:, None, None] == numbers)
    kept = fits.any(axis=0).all(axis=-1)
    n_cells = int(kept.sum())
    vectors = basis(steps[kept], cell) if n_cells > 1 else None
    images = fits[:, kept].argmax(axis=0)  # (n_cells, n_atoms): where each atom goes
    first = np.unique(images.min(axis=0))
    if vectors is None or len(first) * n_cells != len(atoms):
        return atoms
    return Atoms(numbers[first], atoms.positions[first], cell=vectors, pbc=True)


def basis(steps: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """Short vectors ``(3, 3)``, Å, of the lattice with these fractional ``(n, 3)`` translations."""
    points = (steps[:, None] + SHIFTS).reshape(-1, 3) @ cell
    order = np.argsort(np.linalg.norm(points, axis=1), kind="stable")
    points = points[order[1 : SHORTEST + 1]]  # without 0
    wanted = abs(np.linalg.det(cell)) / len(steps)
    a, b = np.triu_indices(len(points), 1)
    volumes = np.abs(np.cross(points[a], points[b]) @ points.T)  # (n_pairs, n_points)
    found = (np.abs(volumes - wanted) < 0.05 * wanted) & (np.arange(len(points)) > b[:, None])
    if not found.any():
        return None
    c = int(found.any(axis=0).argmax())  # the first that completes a basis
    pair = int(found[:, c].argmax())
    return points[[a[pair], b[pair], c]]
