"""Supercells: repeated along the vectors of a cell, or by a matrix of integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from stratal.errors import InputError


def supercell(atoms: Atoms, matrix: Sequence[int] | np.ndarray) -> Atoms:
    """The structure in a larger cell, or in another cell of the same lattice.

    Args:
        atoms: with cell vectors where it is repeated.
        matrix: repeats ``(3,)``, or ``(3, 3)``: its rows are the new vectors in the old ones.

    Raises:
        InputError: no positive volume, a direction that is repeated without a cell vector.
    """
    rows = np.diag(matrix) if np.ndim(matrix) == 1 else np.asarray(matrix)
    count = round(float(np.linalg.det(rows)))
    if count < 1:
        what = "is singular" if count == 0 else "makes a left-handed cell"
        remedy = "Give three independent rows." if count == 0 else "Exchange two of its rows."
        raise InputError(
            f"supercell matrix {rows.tolist()}: {what} (determinant {count}); expected a "
            f"determinant above 0. {remedy}"
        )
    changed = (rows != np.eye(3)).any(axis=0)
    if (missing := np.flatnonzero(changed & (atoms.cell.lengths() < 1e-6))).size:
        raise InputError(
            f"{atoms.get_chemical_formula()}: no cell vector along axis {missing[0]}, which the "
            f"supercell repeats. Give the structure a cell."
        )
    if not changed.any():
        return atoms.copy()
    if np.count_nonzero(rows) == 3 and np.diag(rows).all():
        return atoms.repeat(tuple(np.diag(rows)))
    return make_supercell(atoms, rows, wrap=True)
