"""Cut two clusters by a plane near their centers and join the parts.

D. M. Deaven and K. M. Ho, Phys. Rev. Lett. 75, 288 (1995).
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
SHIFT = 0.15  # of the atoms, standard deviation: by how many the plane misses the center of mass


def cluster_cut_and_splice(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """A child of two clusters with as many atoms as one of them, or None.

    Both are turned at random; one gives its atoms above a plane, the other as many of its lowest
    as are then missing, and the cuts are laid on each other.

    Args:
        parents: two.
        limits: what the child obeys.
        rng: random numbers.
    """
    first, second = parents

    def draw() -> Atoms | None:
        upper, lower = turned(first, rng), turned(second, rng)
        n_atoms = len(first if rng.random() < 0.5 else second)
        above = upper.get_center_of_mass()[2]
        n_upper = int((upper.positions[:, 2] > above).sum() + SHIFT * n_atoms * rng.normal())
        n_upper = int(np.clip(n_upper, max(1, n_atoms - len(second)), min(n_atoms - 1, len(first))))
        if not 0 < n_upper < n_atoms:
            return None
        child = joined(upper, n_upper, lower, n_atoms - n_upper, limits)
        counts = nearest_counts(limits.counts(child.numbers), limits)
        return None if counts is None else repaired(child, counts, limits, rng)

    return drawn(draw, limits, draws=TRIES)
