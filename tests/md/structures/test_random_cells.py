"""Random cells are what was asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md.structures.random_cells import THINNEST, random_cell, random_cells


@settings(deadline=None, database=None, derandomize=True, max_examples=50)
@given(seed=st.integers(0, 2**31 - 1), n_atoms=st.integers(1, 12))
def test_cells_keep_their_volume_and_distances(seed, n_atoms):
    atoms = random_cell(np.random.default_rng(seed), n_atoms, (29, 47), volume=15.0, closest=1.9)
    assert len(atoms) == n_atoms and set(atoms.numbers) <= {29, 47} and atoms.pbc.all()
    assert_allclose(atoms.cell.volume, 15.0 * n_atoms)
    faces = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    assert faces.min() > THINNEST * 15.0 ** (1 / 3)
    distances = atoms.get_all_distances(mic=True)[~np.eye(n_atoms, dtype=bool)]
    assert distances.size == 0 or distances.min() > 1.9


def test_the_same_seed_gives_the_same_cells():
    one, other = (random_cells(3, 4, 2, 5, (29,)) for _ in range(2))
    assert one == other and {len(atoms) for atoms in one} <= {2, 3, 4, 5}


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="8 atoms of 2 Å³ do not fit"):
        random_cell(np.random.default_rng(0), 8, (29,), volume=2, closest=2.5)
