"""Slide a slab of a crystal or film against the rest.

The ripple of D. C. Lonie and E. Zurek, Comput. Phys. Commun. 182, 372 (2011), with a step in place
of the wave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.separated import separated
from stratal.md.search.starts.drawing import drawn

TRIES = 20
SHARE = 0.25, 0.75  # of the cell, or of a film's thickness, that slides
FARTHEST = 0.5  # of a cell vector


def slide(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The parent with a slab moved along its faces by up to half a cell vector, or None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    film = limits.kind == "film"

    def draw() -> Atoms | None:
        axis = int(rng.integers(3))
        fractional = parent.get_scaled_positions()
        place = fractional[:, axis]
        if film and axis == 2:  # from a height within the film up to its top
            moves = place > place.min() + rng.uniform(*SHARE) * np.ptp(place)
        else:
            moves = (place + rng.random()) % 1.0 < rng.uniform(*SHARE)
        if moves.all() or not moves.any():
            return None
        along = rng.uniform(-FARTHEST, FARTHEST, 3)
        along[[axis, 2] if film else axis] = 0.0
        child = parent.copy()
        child.positions[moves] += along @ parent.cell.array
        return separated(child, limits)

    return drawn(draw, limits, draws=TRIES)
