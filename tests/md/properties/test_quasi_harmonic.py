"""Quasi-harmonic properties: those of phonopy driven by hand with ASE's calculator; its laws."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose
from phonopy import Phonopy, PhonopyQHA
from phonopy.structure.atoms import PhonopyAtoms

from stratal.errors import InputError
from stratal.md.properties.quasi_harmonic import grid_around, quasi_harmonic
from stratal.potentials import EMT

COPPER = bulk("Cu", a=3.5899)  # at EMT's minimum
KELVIN = np.array([0.0, 40.0, 300.0, 310.0, 900.0])
HOW = {"supercell": (2, 2, 2), "relax": None, "mesh": (9, 9, 9)}


@pytest.fixture(scope="module")
def found():
    return quasi_harmonic(COPPER, EMT.for_elements([29]), KELVIN, **HOW)


def by_hand(temperatures):
    """Volumes, energies and thermal properties of seven crystals, each on its own."""
    volumes, energies, properties = [], [], []
    for factor in np.linspace(0.99, 1.03, 7):
        cell = COPPER.cell.array * factor
        unit = PhonopyAtoms(["Cu"], cell=cell, scaled_positions=[[0, 0, 0]])
        lattice = Phonopy(unit, np.diag([2, 2, 2]), log_level=0)
        lattice.generate_displacements(distance=0.01)
        forces = []
        for moved in lattice.supercells_with_displacements or ():
            assert moved is not None
            atoms = Atoms(moved.symbols, moved.positions, cell=moved.cell, pbc=True)
            atoms.calc = AseEMT()
            forces.append(atoms.get_forces())
        lattice.forces = np.array(forces)
        lattice.produce_force_constants()
        lattice.symmetrize_force_constants()
        lattice.run_mesh([9, 9, 9])
        lattice.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
        values = lattice.thermal_properties
        assert values is not None
        properties.append((values.free_energy, values.heat_capacity, values.entropy))
        atoms = Atoms("Cu", cell=cell, pbc=True, calculator=AseEMT())
        volumes.append(atoms.cell.volume)
        energies.append(atoms.get_potential_energy())
    return volumes, energies, np.array(properties).transpose(1, 2, 0)


def test_it_is_phonopy_driven_by_hand(found):
    grid = grid_around(KELVIN)
    volumes, energies, (free, capacity, entropy) = by_hand(grid)
    with pytest.warns(DeprecationWarning, match="PhonopyQHA"):
        other = PhonopyQHA(
            volumes, energies, grid, free_energy=free, cv=capacity, entropy=entropy, t_max=905
        )
    at = np.searchsorted(grid, KELVIN)
    joule = units.J / units.mol
    expected = {
        "volume": other.volume_temperature,
        "thermal_expansion": other.thermal_expansion,
        "bulk_modulus_gpa": other.bulk_modulus_temperature,
        "gibbs_energy": other.gibbs_temperature,
        "heat_capacity": np.array(other.heat_capacity_P_polyfit) * joule,
        "gruneisen": other.gruneisen_temperature,
    }
    for name, values in expected.items():
        scale = np.abs(np.asarray(values)[at]).max()
        # At 40 K Grüneisen's parameter is a small expansion over a small heat capacity.
        bound = 1e-5 if name == "gruneisen" else 1e-6
        own = getattr(found, name)
        assert_allclose(own, np.asarray(values)[at], rtol=bound, atol=bound * scale, err_msg=name)


def test_the_twin_by_a_calculator(found):
    twin = quasi_harmonic(COPPER, AseEMT(), KELVIN, **HOW)
    assert_allclose(found.volume, twin.volume, rtol=1e-6)
    assert_allclose(found.heat_capacity, twin.heat_capacity, rtol=1e-5, atol=1e-9)


def test_copper_expands_as_copper_does(found):
    """Measured: 5.0e-5 1/K at 300 K, growing; B falls; Cp exceeds the classical limit of Cv."""
    assert found.thermal_expansion[0] == found.heat_capacity[0] == 0
    assert (np.diff(found.thermal_expansion) > 0).all()
    assert 4e-5 < found.thermal_expansion[2] < 8e-5
    slope = np.diff(np.log(found.volume))[2] / 10  # from 300 to 310 K
    assert_allclose(slope, found.thermal_expansion[2:4].mean(), rtol=1e-3)
    assert (np.diff(found.bulk_modulus) < 0).all()
    assert found.heat_capacity[-1] > 3 * units.kB > found.heat_capacity[2]
    # Cp = T dS/dT, S = -dG/dT.
    between = np.diff(found.entropy)[2] * 30.5
    assert_allclose(between, found.heat_capacity[2:4].mean(), rtol=1e-3)
    assert_allclose(-np.diff(found.gibbs_energy)[2] / 10, found.entropy[2:4].mean(), rtol=1e-4)
    assert (found.volumes[0] < found.volume).all() and (found.volume < found.volumes[-1]).all()


def test_two_atoms_relax_at_each_volume():
    """By symmetry there is nothing to relax in the conventional cell: the same comes out."""
    cell = bulk("Cu", a=3.5899, cubic=True)
    how = {**HOW, "supercell": (1, 1, 1)}
    stiff = quasi_harmonic(cell, AseEMT(), [300], **how)
    relaxed = quasi_harmonic(cell, AseEMT(), [300], **{**how, "relax": "fixed volume"})
    assert_allclose(stiff.volume, relaxed.volume, rtol=1e-6)
    assert stiff.n_atoms == 1  # phonopy finds the primitive cell


def test_what_is_no_stable_crystal_is_said():
    with pytest.raises(InputError, match=r"imaginary frequencies .* at volumes of 11\.\d\d"):
        quasi_harmonic(bulk("Cu", "bcc", a=2.86), AseEMT(), [300], **HOW)
    narrow = {**HOW, "strain": (-0.01, 0.005)}
    with pytest.raises(InputError, match=r"at 900 K its volume of .* lies beyond those computed"):
        quasi_harmonic(COPPER, AseEMT(), [100, 900], **narrow)
    with pytest.raises(InputError, match="give a list of ascending ones"):
        quasi_harmonic(COPPER, AseEMT(), [300, 100], **HOW)
    with pytest.raises(InputError, match="4 volumes; give 5 or more"):
        quasi_harmonic(COPPER, AseEMT(), [300], n_volumes=4, **HOW)
    with pytest.raises(InputError, match="give one below and one above 0"):
        quasi_harmonic(COPPER, AseEMT(), [300], **{**HOW, "strain": (0.0, 0.03)})
