"""Twist a part of a cluster against the rest.

M. D. Wolf and U. Landman, J. Phys. Chem. A 102, 6129 (1998); as on Rubik's cube: S. Hajinazar et
al., Comput. Phys. Commun. 259, 107679 (2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from stratal.md.search.limits import Limits
from stratal.md.search.operators.halves import apart, turned
from stratal.md.search.starts.drawing import drawn

TRIES = 20
SHARE = 0.2, 0.8  # of the atoms that turn
SMALLEST = 20  # degrees


def plane_rotation(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The cluster with all atoms above a random plane turned about its normal, or None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    if len(parent) < 4:
        return None

    def draw() -> Atoms:
        whole = turned(parent, rng)
        order = np.argsort(whole.positions[:, 2], kind="stable")
        n_lower = int(np.clip(rng.uniform(*SHARE) * len(whole), 2, len(whole) - 2))
        bottom, top = whole[order[:n_lower]], whole[order[n_lower:]]
        angle = rng.uniform(SMALLEST, 360 - SMALLEST)
        turn = Rotation.from_euler("z", angle, degrees=True).as_matrix()
        top.positions = top.positions @ turn.T
        return apart(top, bottom, limits)

    return drawn(draw, limits, draws=TRIES)
