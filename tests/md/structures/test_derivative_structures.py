"""Derivative structures: published counts, none alike by pymatgen, what is refused."""

from collections import Counter
from itertools import combinations

import pytest
from ase.build import bulk
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from stratal.errors import InputError
from stratal.md.structures.derivative_structures import derivative_structures

# Binary structures by atoms of a cell, both elements told apart: half of 4, 12, 28 and 104 where
# they are not, G. L. W. Hart and R. W. Forcade, PRB 77, 224115 (2008), table IV.
PUBLISHED = {1: 2, 2: 2, 3: 6, 4: 19, 5: 28, 6: 80, 7: 104, 8: 390}


@pytest.mark.parametrize("parent", [bulk("Cu"), bulk("Fe")], ids=["fcc", "bcc"])
def test_counts_of_binary_structures_are_the_published_ones(parent):
    counts = Counter(len(a) for a in derivative_structures(parent, ("Cu", "Au"), (1, 8)))
    assert counts == PUBLISHED


@pytest.mark.parametrize("parent", [bulk("Cu"), bulk("Mg")], ids=["fcc", "hcp"])
def test_no_two_are_alike(parent):
    matcher = StructureMatcher(scale=False, primitive_cell=True, ltol=0.05, stol=0.05)
    found = list(derivative_structures(parent, ("Cu", "Ag", "Au"), (1, 4)))
    crystals = [AseAtomsAdaptor.get_structure(atoms) for atoms in found]  # type: ignore[arg-type]
    assert not any(
        matcher.fit(one, other)
        for one, other in combinations(crystals, 2)
        if one.composition.reduced_formula == other.composition.reduced_formula
    )
    assert all(
        abs(a.cell.volume / len(a) / parent.cell.volume * len(parent) - 1) < 1e-9 for a in found
    )


def test_sizes_are_those_asked_for():
    found = list(derivative_structures(bulk("Mg"), ("Mg", "Al"), (3, 5)))
    assert {len(atoms) for atoms in found} == {4}


def test_cells_that_are_not_primitive_or_too_large_are_refused():
    with pytest.raises(InputError, match="no primitive cell"):
        list(derivative_structures(bulk("Cu", cubic=True), ("Cu", "Au"), (1, 4)))
    with pytest.raises(InputError, match="Give smaller cells"):
        list(derivative_structures(bulk("Cu"), ("Cu", "Au"), (1, 40)))
