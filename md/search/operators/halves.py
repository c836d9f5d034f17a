"""Clusters cut in two: turned at random, and two parts laid on each other."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from stratal.md.search.limits import Limits

STEPS = 8  # by which parts move apart until no two atoms are too close
STEP = 0.15  # of an atom's spacing


def turned(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """A copy in a random orientation, its center of mass at the origin."""
    copy = Atoms(atoms.numbers.copy(), atoms.positions.copy())
    copy.positions -= copy.get_center_of_mass()
    copy.positions = copy.positions @ Rotation.random(rng=rng).as_matrix().T
    return copy


def joined(upper: Atoms, n_upper: int, lower: Atoms, n_lower: int, limits: Limits) -> Atoms:
    """The highest atoms of one cluster on the lowest of another, cut on cut."""
    top = upper[np.argsort(-upper.positions[:, 2], kind="stable")[:n_upper]]
    bottom = lower[np.argsort(lower.positions[:, 2], kind="stable")[:n_lower]]
    top.positions[:, 2] -= _cut(-upper.positions[:, 2], n_upper, -1)
    bottom.positions[:, 2] -= _cut(lower.positions[:, 2], n_lower, 1)
    return apart(top, bottom, limits)


def apart(top: Atoms, bottom: Atoms, limits: Limits) -> Atoms:
    """Both together, the upper one lifted as far as the closest distances ask."""
    species = limits.species(top.numbers), limits.species(bottom.numbers)
    closest = limits.closest[np.ix_(*species)]
    lift = STEP * limits.spacing(np.concatenate([top.numbers, bottom.numbers]))
    for _ in range(STEPS):
        if (cdist(top.positions, bottom.positions) >= closest).all():
            break
        top.positions[:, 2] += lift
    return top + bottom


def _cut(heights: np.ndarray, n_kept: int, sign: int) -> float:
    """Where the plane lies that parts so many of the lowest ``heights`` from the rest, Å."""
    ordered = np.sort(heights)
    after = ordered[n_kept] if n_kept < len(ordered) else ordered[-1]
    return float(sign * 0.5 * (ordered[n_kept - 1] + after))
