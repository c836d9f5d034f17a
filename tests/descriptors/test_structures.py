import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from stratal.descriptors import Structures
from stratal.descriptors.structures import bucket
from stratal.errors import InputError


def test_many_systems_are_one_concatenation():
    frames = [bulk("Cu"), bulk("Ag", cubic=True), Atoms("CuAg", [(0, 0, 0), (0, 0, 2)])]
    structures = Structures.from_atoms(frames)
    assert structures.elements == (29, 47)
    assert structures.system.tolist() == [0, 1, 1, 1, 1, 2, 2]
    assert structures.species.tolist() == [0, 1, 1, 1, 1, 0, 1]
    assert structures.sum_by_system(np.ones(7)).tolist() == [1, 4, 2]
    assert np.allclose(structures.volumes[:2], [frames[0].cell.volume, frames[1].cell.volume])


def test_padding_is_masked_and_changes_no_sum():
    structures = Structures.from_atoms([bulk("Cu"), bulk("Ag", cubic=True)])
    padded = structures.padded(8, 4)
    assert (padded.n_atoms, padded.n_systems) == (8, 4)
    assert padded.atom_mask.sum() == 5
    sums = padded.sum_by_system(np.where(padded.atom_mask, 1.0, 0.0))
    assert sums.tolist() == [1, 4, 0, 0]
    with pytest.raises(ValueError, match="at least as large"):
        padded.padded(7)


@given(st.integers(1, 100_000), st.sampled_from([1, 8, 64]))
def test_buckets_are_few_and_waste_little(size, smallest):
    padded = bucket(size, smallest)
    assert padded >= size
    assert padded % smallest == 0
    assert bucket(padded, smallest) == padded
    assert padded <= max(1.25 * size + 2 * smallest, smallest)


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        (Atoms(), "no atoms"),
        (Atoms("Cu", [(np.nan, 0, 0)]), "position of atom 0 is not finite"),
        (Atoms("Cu", cell=[1, 1, 0], pbc=True), "that cell vector is zero"),
        (Atoms("Cu", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True), "no volume"),
    ],
)
def test_impossible_structures_are_refused_by_number(atoms, words):
    with pytest.raises(InputError, match=f"structure 1: .*{words}"):
        Structures.from_atoms([bulk("Cu"), atoms], (29,))


def test_foreign_elements_are_named():
    with pytest.raises(InputError, match="structure 0: species Au unknown; covered are Cu, Ag"):
        Structures.from_atoms(bulk("Au"), (29, 47))
