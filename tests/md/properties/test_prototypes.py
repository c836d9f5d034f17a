"""Prototypes have the space groups of their names; formation energies are ASE's."""

import pytest
import spglib
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md.properties.prototypes import PROTOTYPES, formation_energies, prototype
from stratal.potentials import EMT

# Numbers of the space groups: Mehl et al., Comput. Mater. Sci. 136, S1 (2017).
GROUPS = {
    "A1": 225, "A2": 229, "A3": 194, "A4": 227, "Ah": 221, "B1": 225, "B2": 221, "B3": 216,
    "L10": 123, "L11": 166, "L12": 221, "C11b": 139, "D03": 225, "D019": 194, "D022": 139,
    "C1b": 216, "L21": 225,
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOTYPES)
def test_space_groups(name):
    elements = ["Cu", "Ag", "Pd"][: PROTOTYPES[name].n_elements]
    crystal = prototype(name, elements, 15.0)
    assert_allclose(crystal.cell.volume, 15.0 * len(crystal))
    cell = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    found = spglib.get_spacegroup(cell, 1e-5)
    assert found is not None and int(found.split("(")[1].rstrip(")")) == GROUPS[name]
    distances = crystal.repeat(2).get_all_distances(mic=True)
    assert distances[distances > 0].min() > 2.0


def test_formation_energies_are_those_of_ase():
    elements = {s: prototype("A1", [s], v) for s, v in (("Cu", 11.6), ("Ag", 16.8))}
    crystals = [prototype("L12", ["Ag", "Cu"], 12.9), prototype("B2", ["Ag", "Cu"], 14.0)]
    own, relaxed = formation_energies(crystals, elements, EMT.for_elements([29, 47]), fmax=0.01)
    twin, _ = formation_energies(crystals, elements, AseEMT(), fmax=0.01)
    assert_allclose(own, twin, atol=2e-4)  # both stop within the same bound of a minimum
    assert [len(atoms) for atoms in relaxed] == [4, 2]
    # Of the elements themselves: nothing.
    none, _ = formation_energies(list(elements.values()), elements, EMT.for_elements([29, 47]))
    assert_allclose(none, 0, atol=1e-6)


def test_what_is_not_known_is_said():
    with pytest.raises(InputError, match="prototype 'Z9': give one of A1"):
        prototype("Z9", ["Cu"], 12.0)
    with pytest.raises(InputError, match="L12 has 2 element"):
        prototype("L12", ["Cu"], 12.0)
    with pytest.raises(InputError, match="no crystal of Ag, Cu given"):
        formation_energies([prototype("B2", ["Cu", "Ag"], 15.0)], {}, AseEMT())
