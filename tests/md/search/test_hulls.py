"""A search over compositions finds the hull of everything there is on fcc and bcc lattices."""

import numpy as np
import pytest
from ase.build import bulk

from stratal.md import relax_each
from stratal.md.search.candidates.lower_hull import LowerHull
from stratal.md.search.run import search
from stratal.md.search.settings import SearchConfig
from stratal.md.structures.derivative_structures import derivative_structures
from stratal.potentials import EMT

NUMBERS = (29, 79)
CLOSE = 1e-3  # eV/atom


def hull_of(structures):
    hull = LowerHull(NUMBERS)
    for numbers, by_atom in structures:
        hull.add(numbers, by_atom)
    return hull


@pytest.mark.slow
def test_the_hull_is_that_of_all_derivative_structures(tmp_path):
    potential = EMT.for_elements(NUMBERS)
    starts = [
        atoms
        for parent in (bulk("Cu", "fcc", a=3.85), bulk("Cu", "bcc", a=3.05))
        for atoms in derivative_structures(parent, ("Cu", "Au"), (1, 4))
    ]
    relaxed = relax_each(starts, potential, cell="free", fmax=0.005, max_steps=600)
    everything = [(one.atoms.numbers, one.energy / len(one.atoms)) for one in relaxed]
    config = SearchConfig(
        elements=("Cu", "Au"),
        n_atoms=(1, 4),
        start_from=("random",),
        relaxations=480,
        starts=80,
        batch=16,
        fmax=0.005,
        seed=1,
    )
    members = search(config, potential, tmp_path).population.members
    hull = hull_of((member.atoms.numbers, member.by_atom) for member in members)
    assert max(-hull.above(*one) for one in everything) < CLOSE
    # And neither hull is trivial: ordered crystals lie below the line between the elements.
    ordered = [by_atom for numbers, by_atom in everything if len(np.unique(numbers)) > 1]
    pure = hull_of(one for one in everything if len(np.unique(one[0])) == 1)
    assert len(ordered) > 50 and min(pure.above(*one) for one in everything) < -0.01
