"""Space groups and Wyckoff sites as tables have them; standard cells are the same crystal."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.emt import EMT
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from stratal.errors import InputError
from stratal.md.properties.prototypes import PROTOTYPES, prototype
from stratal.md.structures.crystal_symmetry import space_group, standard_cell, symmetrized

# Symbols, numbers, sites, atoms in the conventional and primitive cell, two elements A and B:
# Mehl et al., Comput. Mater. Sci. 136, S1 (2017).
TABLE = {
    "A1": ("Fm-3m", 225, "4", 4, 1),
    "A2": ("Im-3m", 229, "2", 2, 1),
    "A3": ("P6_3/mmc", 194, "2", 2, 2),
    "A4": ("Fd-3m", 227, "8", 8, 2),
    "B1": ("Fm-3m", 225, "4 4", 8, 2),
    "B2": ("Pm-3m", 221, "1 1", 2, 2),
    "B3": ("F-43m", 216, "4 4", 8, 2),
    "L10": ("P4/mmm", 123, "1 1", 2, 2),
    "L11": ("R-3m", 166, "3 3", 6, 2),
    "L12": ("Pm-3m", 221, "1 3", 4, 4),
    "C11b": ("I4/mmm", 139, "2 4", 6, 3),
    "D03": ("Fm-3m", 225, "4 4 8", 16, 4),
    "D019": ("P6_3/mmc", 194, "2 6", 8, 8),
    "D022": ("I4/mmm", 139, "2 2 4", 8, 4),
}  # fmt: skip


def crystal_of(name: str) -> Atoms:
    return prototype(name, ["Cu", "Ag"][: PROTOTYPES[name].n_elements], 14.0)


def energy(atoms: Atoms) -> float:
    """EMT's, eV/atom."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms.get_potential_energy() / len(atoms)


@pytest.mark.parametrize("name", TABLE)
def test_space_groups_whatever_the_cell(name):
    symbol, number, sites, _, _ = TABLE[name]
    crystal = crystal_of(name)
    larger = make_supercell(crystal, [[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    turn = Rotation.from_rotvec([0.3, 0.5, -0.2]).as_matrix()
    larger.set_cell(larger.cell.array @ turn.T, scale_atoms=True)
    larger.rattle(1e-3, seed=1)
    for atoms, tolerance in ((crystal, 1e-5), (larger, 0.05)):
        found = space_group(atoms, tolerance)
        assert (found.symbol, found.number) == (symbol, number)
        assert " ".join(sorted(site.split()[1][:-1] for site in found.sites)) == sites
    assert space_group(larger, 1e-6).number < number


def test_wyckoff_letters():
    assert space_group(crystal_of("L12")).sites == ("Cu 1a", "Ag 3c")
    assert space_group(crystal_of("D019")).sites == ("Cu 2c", "Ag 6h")
    assert space_group(crystal_of("D03")).sites == ("Cu 4a", "Ag 4b", "Ag 8c")


@pytest.mark.parametrize("name", TABLE)
def test_standard_cells_are_the_same_crystal(name):
    _, number, _, n_conventional, n_primitive = TABLE[name]
    crystal = crystal_of(name)
    start = make_supercell(crystal, [[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    conventional, primitive = (standard_cell(start, which) for which in (False, True))
    assert (len(conventional), len(primitive)) == (n_conventional, n_primitive)
    for atoms in (conventional, primitive):
        assert space_group(atoms, 1e-6).number == number
        assert_allclose(atoms.cell.volume / len(atoms), 14.0)
        assert_allclose(energy(atoms), energy(crystal), atol=1e-9)


@pytest.mark.parametrize("name", ["A3", "L11", "L12", "D022"])
def test_symmetrized_keeps_cell_and_order(name):
    perfect = crystal_of(name).repeat((1, 2, 1))
    start = perfect.copy()
    start.rattle(2e-3, seed=2)
    start.set_cell(start.cell.array * [1.0005, 1, 0.9996], scale_atoms=True)
    found = symmetrized(start, 0.05)
    assert space_group(start, 1e-5).number == 1
    assert space_group(found, 1e-5).number == TABLE[name][1]
    assert list(found.symbols) == list(start.symbols)
    assert np.abs(found.positions - start.positions).max() < 0.02
    assert np.abs(found.cell.array - start.cell.array).max() < 0.01
    assert_allclose(energy(found), energy(perfect), atol=1e-3)  # of a cell as little strained
    assert_allclose(symmetrized(found, 0.05).positions, found.positions, atol=1e-9)
    assert_allclose(energy(symmetrized(perfect)), energy(perfect), atol=1e-9)


@pytest.mark.parametrize("change", [symmetrized, lambda atoms: standard_cell(atoms, True)])
def test_only_crystals_have_a_space_group(change):
    with pytest.raises(InputError, match="Cu2: periodic along 0 of its cell vectors"):
        change(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]))
    with pytest.raises(InputError, match="no space group found"):
        change(Atoms("Cu2", [[0, 0, 0], [0, 0, 0]], cell=[3, 3, 3], pbc=True))
