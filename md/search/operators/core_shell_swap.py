"""Exchange an atom near the center of a cluster with an unlike one near its surface.

S. Lysgaard, D. D. Landis, T. Bligaard and T. Vegge, Top. Catal. 57, 33 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.starts.drawing import drawn

TRIES = 20
CORE = 0.5  # of the atoms: those nearest to the center


def core_shell_swap(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The cluster with one or more atoms of its core exchanged with unlike ones outside, or None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    distances = np.linalg.norm(parent.positions - parent.get_center_of_mass(), axis=1)
    order = np.argsort(distances, kind="stable")
    n_core = int(np.ceil(CORE * len(parent)))
    core, shell = order[:n_core], order[n_core:]

    def draw() -> Atoms | None:
        child = parent.copy()
        for _ in range(int(rng.geometric(0.5))):
            inner = int(rng.choice(core))
            unlike = shell[child.numbers[shell] != child.numbers[inner]]
            if len(unlike):
                outer = int(rng.choice(unlike))
                child.numbers[[inner, outer]] = child.numbers[[outer, inner]]
        return child if (child.numbers != parent.numbers).any() else None

    return drawn(draw, limits, draws=TRIES) if len(set(parent.numbers)) > 1 else None
