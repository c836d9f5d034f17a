"""Strain a crystal or film at random, its volume kept.

C. W. Glass, A. R. Oganov and N. Hansen, Comput. Phys. Commun. 175, 713 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.starts.drawing import drawn

TRIES = 20
WIDTH = 0.2  # standard deviation of a component of the strain, at first


def strain(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The parent under a random strain without change of volume (of area: films), or None.

    Fractional coordinates stay as they are. Each try that is not allowed is followed by a
    smaller strain.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    n_axes = 2 if limits.kind == "film" else 3
    widths = iter(WIDTH * 0.9 ** np.arange(TRIES))

    def draw() -> Atoms | None:
        deformation = np.eye(3)
        random = next(widths) * rng.normal(size=(n_axes, n_axes))
        deformation[:n_axes, :n_axes] += 0.5 * (random + random.T)
        volume = np.linalg.det(deformation)
        if volume < 0.1:  # turned inside out, or nearly flat
            return None
        deformation[:n_axes, :n_axes] *= volume ** (-1 / n_axes)
        child = parent.copy()
        child.set_cell(parent.cell.array @ deformation, scale_atoms=True)
        return child if limits.allows(child) else None  # as it is: no other cell is chosen

    return drawn(draw, limits, draws=TRIES)
