"""Primitive cells: as many atoms as spglib finds, and the same crystal."""

import numpy as np
import spglib
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st

from stratal.md.structures.primitive_cell import primitive_cell
from stratal.md.structures.random_cells import random_cells
from stratal.md.structures.similarity import fingerprints, similarities

KNOWN = [bulk("Cu"), bulk("Ti", "hcp", 2.95, 4.68), bulk("Si", "diamond", 5.43),
         bulk("NaCl", "rocksalt", 5.64), bulk("CuAu", "cesiumchloride", 3.0)]  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31 - 1))
def test_supercells_go_back_to_primitive_cells(seed):
    rng = np.random.default_rng(seed)
    crystal: Atoms = [*KNOWN, *random_cells(seed, 2, 1, 4, (29, 79))][int(rng.integers(7))]
    matrix = np.diag(rng.integers(1, 4, 3))
    matrix[1, 0], matrix[2, 1] = rng.integers(0, 3, 2)
    large = make_supercell(crystal, matrix)
    large = large[rng.permutation(len(large))]
    large.positions += 0.002 * rng.normal(size=large.positions.shape)
    found = primitive_cell(large, 0.1)
    given = large.cell.array, large.get_scaled_positions(), large.numbers
    exact = spglib.find_primitive(given, 0.1)
    assert exact is not None and len(found) == len(exact[2]) == len(crystal)
    vectors = fingerprints([crystal, found])
    assert similarities(vectors[:1], vectors[1:])[0, 0] > 0.99  # of the noise
