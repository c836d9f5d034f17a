"""Move the most weakly bound atoms of a cluster to better places of its surface.

B. Hartke, J. Comput. Chem. 20, 1752 (1999); H. Takeuchi, J. Chem. Inf. Model. 46, 2066 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.bond_valence import valences
from stratal.md.search.starts.drawing import drawn
from stratal.md.search.starts.placing import on_surface

TRIES = 10
NOISE = 0.05  # of the valence, so that each try may choose another atom


def surface_move(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The cluster with one or more of its most weakly bound atoms elsewhere, or None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    if len(parent) < 4:
        return None

    def draw() -> Atoms | None:
        child = Atoms(parent.numbers.copy(), parent.positions.copy())
        for _ in range(min(int(rng.geometric(0.6)), len(child) // 4)):
            bound = valences(child, limits) * (1 + NOISE * rng.normal(size=len(child)))
            weakest = int(np.argmin(bound))
            kinds = limits.species(child.numbers)
            rest = np.arange(len(child)) != weakest
            place = on_surface(child.positions[rest], kinds[rest], kinds[weakest], limits, rng)
            if place is None:
                return None
            child.positions[weakest] = place
        return child

    return drawn(draw, limits, draws=TRIES)
