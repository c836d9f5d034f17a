"""Seeds from neighboring sizes: a cluster with an atom more or less.

M. D. Wolf and U. Landman, J. Phys. Chem. A 102, 6129 (1998).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.bond_valence import valences
from stratal.md.search.starts.composition import nearest_counts, repaired
from stratal.md.search.starts.drawing import drawn
from stratal.md.search.starts.placing import with_more

TRIES = 10
NOISE = 0.05  # of the valence, so that each try may choose another atom


def neighboring_size(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The cluster with an atom more on its surface, or without its most weakly bound; or None.

    A parent smaller or larger than allowed grows or shrinks until it is; it may then differ by
    more than one atom. With a formula, by one unit.

    Args:
        parents: one, of any size.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    fewest, most = limits.n_atoms

    def draw() -> Atoms | None:
        grows = len(parent) < fewest or (len(parent) < most and rng.random() < 0.5)
        child = Atoms(parent.numbers.copy(), parent.positions.copy())
        if limits.formula is not None:
            sign = 1 if grows else -1
            counts = limits.counts(parent.numbers) + sign * np.array(limits.formula)
        elif fewest <= len(parent) <= most:
            return _by_one(child, grows, limits, rng)
        else:
            counts = limits.counts(parent.numbers)
        if (counts < 0).any() or not counts.any():
            return None
        wanted = nearest_counts(counts, limits)
        return None if wanted is None else repaired(child, wanted, limits, rng)

    return drawn(draw, limits, draws=TRIES)


def _by_one(child: Atoms, grows: bool, limits: Limits, rng: np.random.Generator) -> Atoms | None:
    if grows:
        return with_more(child, rng.choice(limits.elements, 1), limits, rng)
    if len(child) < 2:
        return None
    bound = valences(child, limits) * (1 + NOISE * rng.normal(size=len(child)))
    del child[[int(np.argmin(bound))]]
    return child
