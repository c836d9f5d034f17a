"""Plans of neighbor lists that were outgrown: the next holds, and none comes twice."""

import jax
import numpy as np
from ase.build import bulk

from stratal.descriptors.cell_plan import CellListPlan, plan_cell_list
from stratal.descriptors.image_list import Needs
from stratal.descriptors.structures import Structures
from stratal.md.lists import build_lists, wider

REACH = 6.0


def sized(length, crowded=0.0):
    """Argon in a cell of this length, Å, with some of its atoms drawn towards a corner."""
    atoms = bulk("Ar", a=length / 4, cubic=True) * 4
    atoms.rattle(0.1, seed=0)
    scaled = atoms.get_scaled_positions()
    atoms.set_scaled_positions(scaled - crowded * np.sin(2 * np.pi * scaled))
    return Structures.from_atoms(atoms)


def outgrown(plan, structures):
    """Whether a plan is too small, and what it needs."""
    with jax.enable_x64(True):
        neighbors, needs = build_lists(plan, structures)
    return bool(neighbors.overflow[0]), Needs(*(np.asarray(need) for need in needs))


def bins_of(plan):
    """Of a plan of bins, along each cell vector."""
    assert isinstance(plan, CellListPlan)
    return plan.n_bins


def test_a_cell_that_fluctuates_between_two_layouts_comes_to_an_end():
    # Three bins of the wide cell, two of the narrow one. Two bins planned for the narrow cell are
    # too small for the crowd in the wide one, where they have to hold more, not to become three.
    wide, narrow = sized(18.1, crowded=0.05), sized(17.9)
    plan, seen = plan_cell_list(wide, REACH), []
    assert plan.n_bins == (3, 3, 3)
    for structures in (narrow, wide) * 3:
        while True:
            over, needs = outgrown(plan, structures)
            if not over:
                break
            seen.append(plan)
            plan = wider(plan, needs, structures)
            assert plan not in seen
    assert bins_of(plan) == (2, 2, 2)
    assert len(seen) == 2


def test_bins_that_hold_too_few_atoms_hold_more():
    plan = plan_cell_list(sized(18.1), REACH)
    small = plan.__class__(**{**vars(plan), "capacity": 5, "n_bins": (2, 2, 2)})
    over, needs = outgrown(small, sized(18.1))
    assert over
    larger = wider(small, needs, sized(18.1))
    assert bins_of(larger) == (2, 2, 2)
    assert not outgrown(larger, sized(18.1))[0]
