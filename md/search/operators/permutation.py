"""Exchange unlike atoms.

C. W. Glass, A. R. Oganov and N. Hansen, Comput. Phys. Commun. 175, 713 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.starts.drawing import drawn

TRIES = 20


def permutation(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The parent with one or more pairs of unlike atoms exchanged, few likelier; or None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    if len(set(parent.numbers)) < 2:
        return None

    def draw() -> Atoms:
        child = parent.copy()
        for _ in range(min(int(rng.geometric(0.5)), len(child) // 2)):
            first = int(rng.integers(len(child)))
            other = int(rng.choice(np.flatnonzero(child.numbers != child.numbers[first])))
            child.numbers[[first, other]] = child.numbers[[other, first]]
        return child

    def changed() -> Atoms | None:
        child = draw()
        return child if (child.numbers != parent.numbers).any() else None

    return drawn(changed, limits, draws=TRIES)
