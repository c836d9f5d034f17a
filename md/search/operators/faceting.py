"""Cut a facet on a cluster: atoms beyond a plane go to other places of the surface.

S. Hajinazar et al., Comput. Phys. Commun. 259, 107679 (2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.halves import turned
from stratal.md.search.starts.drawing import drawn
from stratal.md.search.starts.placing import on_surface

TRIES = 10
LARGEST = 0.2  # of the atoms that move
PLACES = 10  # tried for each


def faceting(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The cluster with the atoms beyond a random plane moved to its other facets, or None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    if len(parent) < 4:
        return None

    def draw() -> Atoms | None:
        whole = turned(parent, rng)
        most = max(int(LARGEST * len(whole)), 1)
        order = np.argsort(whole.positions[:, 2], kind="stable")
        n_left = len(whole) - int(rng.integers(1, most + 1))
        left, cut = whole[order[:n_left]], whole[order[n_left:]]
        height = left.positions[:, 2].max()
        for number in cut.numbers:
            place = _below(left, int(number), height, limits, rng)
            if place is None:
                return None
            left.extend(Atoms([number], [place]))
        return left

    return drawn(draw, limits, draws=TRIES)


def _below(
    cluster: Atoms, number: int, height: float, limits: Limits, rng: np.random.Generator
) -> np.ndarray | None:
    """A place ``(3,)`` (Å) on the surface, not higher than this."""
    species, others = int(limits.species(number)), limits.species(cluster.numbers)
    for _ in range(PLACES):
        place = on_surface(cluster.positions, others, species, limits, rng)
        if place is not None and place[2] <= height:
            return place
    return None
