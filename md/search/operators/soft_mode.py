"""Displace atoms along a soft mode of vibration, as a cheap model of bonds tells it.

A. O. Lyakhov, A. R. Oganov and M. Valle, Comput. Phys. Commun. 181, 1623 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.bond_valence import bonded
from stratal.md.search.starts.drawing import drawn

TRIES = 20
RIGID = 1e-6  # of the largest eigenvalue: the whole moves, or turns, or a part that is not bound
SOFT = 0.3  # probability of the softest mode, then of the next, ...
SHEAR = 0.05  # stiffness of a bond across its direction over that along it
AMPLITUDE = 0.3, 1.0  # of an atom's spacing, of the atom that moves most


def soft_mode(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The parent displaced along one of its softest modes, at the zone's center; or None.

    Soft ones are likelier. Each try that is not allowed is followed by a smaller displacement.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    modes = soft_modes(parent, limits)
    if not len(modes):
        return None
    sizes = iter(limits.spacing(parent.numbers) * 0.9 ** np.arange(TRIES))

    def draw() -> Atoms:
        mode = modes[min(int(rng.geometric(SOFT)), len(modes)) - 1]
        farthest = np.linalg.norm(mode, axis=1).max()
        amplitude = rng.choice([-1, 1]) * rng.uniform(*AMPLITUDE) * next(sizes)
        child = parent.copy()
        child.positions += amplitude / farthest * mode
        return child

    return drawn(draw, limits, draws=TRIES)


def soft_modes(atoms: Atoms, limits: Limits) -> np.ndarray:
    """Displacements ``(n_modes, n_atoms, 3)`` in modes that are not rigid, the softest first."""
    masses = np.repeat(atoms.get_masses(), 3)
    scaled = hessian(atoms, limits) / np.sqrt(masses[:, None] * masses)
    squares, vectors = np.linalg.eigh(scaled)
    vectors = vectors / np.sqrt(masses)[:, None]
    first = 6 if limits.kind == "cluster" and len(atoms) > 2 else 3
    own = squares[first:] > RIGID * max(squares[-1], 0.0)
    return vectors[:, first:][:, own].T.reshape(-1, len(atoms), 3)


def hessian(atoms: Atoms, limits: Limits) -> np.ndarray:
    """Second derivatives ``(3 n_atoms, 3 n_atoms)``, in any unit, of springs at rest.

    As stiff as the bond is strong, along it, and a little across it, so that no atom is loose.
    """
    found, strengths = bonded(atoms, limits)
    directions = found.vectors / found.lengths[:, None]
    along = (1 - SHEAR) * np.einsum("ei,ej->eij", directions, directions) + SHEAR * np.eye(3)
    blocks = strengths[:, None, None] * along
    n_atoms = len(atoms)
    full = np.zeros((n_atoms, n_atoms, 3, 3))
    np.add.at(full, (found.receivers, found.receivers), blocks)
    np.add.at(full, (found.receivers, found.senders), -blocks)
    return full.transpose(0, 2, 1, 3).reshape(3 * n_atoms, 3 * n_atoms)
