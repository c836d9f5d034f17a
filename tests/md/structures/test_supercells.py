"""Supercells have the same energy per atom, and the atoms that their matrix says."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md.properties.prototypes import prototype
from stratal.md.structures.similarity import fingerprints, similarities
from stratal.md.structures.supercells import supercell

ENTRIES = st.lists(st.integers(-2, 2), min_size=9, max_size=9)


@given(entries=ENTRIES)
@settings(max_examples=10, deadline=None)
def test_any_matrix_makes_the_same_crystal(entries):
    rows = np.reshape(entries, (3, 3))
    count = round(float(np.linalg.det(rows)))
    assume(1 <= count <= 8)
    crystal = prototype("L12", ["Cu", "Ag"], 14.0)
    larger = supercell(crystal, rows)
    assert len(larger) == count * len(crystal)
    assert_allclose(larger.cell.array, rows @ crystal.cell.array, atol=1e-12)
    vectors = fingerprints([crystal, larger])
    assert_allclose(similarities(vectors, vectors), 1.0, atol=1e-9)


def test_energy_per_atom_stays():
    crystal = bulk("Cu", a=3.59)
    cube = supercell(crystal, [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    assert_allclose(cube.cell.array, 3.59 * np.eye(3), atol=1e-12)
    repeated = supercell(crystal, [2, 3, 1])
    assert repeated == crystal.repeat((2, 3, 1))
    for atoms in (crystal, cube, repeated):
        atoms.calc = EMT()
    energies = [atoms.get_potential_energy() / len(atoms) for atoms in (crystal, cube, repeated)]
    assert_allclose(energies, energies[0], atol=1e-10)


def test_a_slab_needs_no_third_vector():
    slab = Atoms("Cu", cell=[2.5, 2.5, 0], pbc=[True, True, False])
    assert len(supercell(slab, [2, 2, 1])) == 4
    with pytest.raises(InputError, match="no cell vector along axis 2"):
        supercell(slab, [1, 1, 2])


@pytest.mark.parametrize(
    "matrix, message",
    [
        ([[1, 1, 0], [2, 2, 0], [0, 0, 1]], "is singular .* three independent rows"),
        ([2, 0, 1], "is singular"),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 1]], "left-handed cell .* Exchange two"),
    ],
)
def test_matrices_without_a_volume(matrix, message):
    with pytest.raises(InputError, match=message):
        supercell(bulk("Cu"), matrix)
