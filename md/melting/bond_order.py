"""Crystal or melt, atom by atom: how alike the surroundings of neighbors are.

The bond order q_6m of an atom is the mean of the spherical harmonics Y_6m over the directions to
its neighbors: P. J. Steinhardt, D. R. Nelson and M. Ronchetti, Phys. Rev. B 28, 784 (1983). In a
crystal neighbors have the same, in a melt they have not: P. R. ten Wolde, M. J. Ruiz-Montero and D.
Frenkel, J. Chem. Phys. 104, 9932 (1996).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.special import sph_harm_y

from stratal.descriptors.host_list import find_edges
from stratal.descriptors.structures import Structures

DEGREE = 6  # of spherical harmonics: fcc, hcp, bcc and diamond all have it
CRYSTALLINE = 0.5  # coherence, between those of crystals (0.6 to 1) and of melts (0 to 0.4)


def crystalline(atoms: Atoms, reach: float) -> np.ndarray:
    """Which atoms are of a crystal ``(n_atoms,)``, whatever its lattice and elements.

    Args:
        atoms: any structure.
        reach: Å, within which atoms are neighbors: past the first shell, two in bcc.
    """
    return coherence(atoms, reach) > CRYSTALLINE


def coherence(atoms: Atoms, reach: float) -> np.ndarray:
    """Mean over neighbors j of q_6(i) . q_6(j)* / |q_6(i)| |q_6(j)|, ``(n_atoms,)``.

    1 in a perfect crystal with one atom in its primitive cell; 0 of an atom without neighbors.

    Args:
        atoms: any structure.
        reach: Å, within which atoms are neighbors.
    """
    structures = Structures.from_atoms(atoms)
    receivers, senders, shifts = find_edges(structures, reach)
    vectors = atoms.positions[senders] - atoms.positions[receivers] + shifts @ atoms.cell.array
    theta = np.arctan2(np.linalg.norm(vectors[:, :2], axis=1), vectors[:, 2])
    phi = np.arctan2(vectors[:, 1], vectors[:, 0])
    orders = np.arange(-DEGREE, DEGREE + 1)
    harmonics = sph_harm_y(DEGREE, orders, theta[:, None], phi[:, None])
    q = np.zeros((len(atoms), len(orders)), complex)
    np.add.at(q, receivers, harmonics)
    # A sum has the direction of the mean, and only that counts.
    q /= np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-12)
    alike = np.sum(q[receivers] * q[senders].conj(), axis=1).real
    counts = np.bincount(receivers, minlength=len(atoms))
    return np.bincount(receivers, alike, minlength=len(atoms)) / np.maximum(counts, 1)
