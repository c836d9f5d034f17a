"""Change the species of atoms.

S. Lysgaard, D. D. Landis, T. Bligaard and T. Vegge, Top. Catal. 57, 33 (2014).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.starts.drawing import drawn

TRIES = 20


def substitution(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The parent with one or more atoms of another species, few likelier; or None.

    The volume follows the composition. With a formula, which it would break: None.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    elements = np.array(limits.elements)
    if len(elements) < 2 or limits.formula is not None:
        return None

    def draw() -> Atoms:
        child = parent.copy()
        n_changed = min(int(rng.geometric(0.5)), len(child))
        for atom in rng.choice(len(child), n_changed, replace=False):
            child.numbers[atom] = rng.choice(elements[elements != child.numbers[atom]])
        ratio = limits.target_volume(child.numbers) / limits.target_volume(parent.numbers)
        return _grown(child, ratio ** (1 / 3))

    return drawn(draw, limits, draws=TRIES)


def _grown(atoms: Atoms, factor: float) -> Atoms:
    """All lengths times this."""
    if atoms.cell.rank:
        atoms.set_cell(factor * atoms.cell.array, scale_atoms=True)
    else:
        atoms.positions *= factor
    return atoms
