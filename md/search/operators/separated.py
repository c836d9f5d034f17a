"""Push atoms apart that came too close where parts were joined; the others stay."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits, contacts

STEPS = 15
MARGIN = 1.02  # of the closest distance, to which two atoms are pushed


def separated(atoms: Atoms, limits: Limits) -> Atoms:
    """A copy whose pairs closer than allowed were moved apart along their line, a few times.

    Atoms too close to their own images stay: the cell is then too small.
    """
    moved = atoms.copy()
    for _ in range(STEPS):
        found = contacts(moved, MARGIN * float(limits.closest.max()))
        kinds = limits.species(moved.numbers)
        wanted = MARGIN * limits.closest[kinds[found.receivers], kinds[found.senders]]
        near = found.lengths < wanted
        if not (found.lengths < wanted / MARGIN).any():
            break
        lengths = np.maximum(found.lengths[near], 1e-3)  # Å: two atoms may be on one place
        missing = 0.5 * (wanted[near] - lengths) / lengths
        pushes = -missing[:, None] * found.vectors[near]  # away from the other, half the way
        np.add.at(moved.positions, found.receivers[near], pushes)
    return moved
