"""Displace atoms at random.

L. B. Vilhelmsen and B. Hammer, J. Chem. Phys. 141, 044711 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.separated import separated
from stratal.md.search.starts.drawing import drawn

TRIES = 20
SHARE = 0.4, 1.0  # of the atoms that move
SMALLER = 0.9
WIDTH = 0.08, 0.35  # standard deviation of a coordinate over an atom's spacing


def rattle(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The parent with some or all atoms displaced by Gaussians of a random width, or None.

    Each try that is not allowed is followed by smaller displacements.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    spacings = iter(limits.spacing(parent.numbers) * SMALLER ** np.arange(TRIES))

    def draw() -> Atoms:
        child = parent.copy()
        moves = rng.random(len(child)) < rng.uniform(*SHARE)
        moves[rng.integers(len(child))] = True
        width = rng.uniform(*WIDTH) * next(spacings)
        child.positions[moves] += width * rng.normal(size=(int(moves.sum()), 3))
        return separated(child, limits)

    return drawn(draw, limits, draws=TRIES)
