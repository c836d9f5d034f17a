"""Make a cluster symmetric: one half and its mirror image, or its inverse.

S. Hajinazar et al., Comput. Phys. Commun. 259, 107679 (2021); pieces are reflected too in
I. Rata et al., Phys. Rev. Lett. 85, 546 (2000).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.halves import joined, turned
from stratal.md.search.starts.composition import nearest_counts, repaired
from stratal.md.search.starts.drawing import drawn

TRIES = 20


def reflection_inversion(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The upper half of a cluster and its image below, or None.

    Of an odd number of atoms one has no image. Where the image has other elements than were
    below, atoms are changed until the composition is the parent's.

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
        image = whole.copy()
        flips = [1, 1, -1] if rng.random() < 0.5 else [-1, -1, -1]
        image.positions = image.positions * flips
        n_upper = (len(whole) + 1) // 2
        child = joined(whole, n_upper, image, len(whole) - n_upper, limits)
        counts = nearest_counts(limits.counts(parent.numbers), limits)
        return None if counts is None else repaired(child, counts, limits, rng)

    return drawn(draw, limits, draws=TRIES)
