"""Phonons: those of phonopy driven by ASE's calculator; the acoustic slope is the elastic one."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from scipy.integrate import trapezoid

from stratal.errors import InputError
from stratal.md import elastic_tensor, frequencies_at, phonons, relax, thermal
from stratal.md.properties.phonons import bands, density_of_states
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29])
POINTS = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]]


@pytest.fixture(scope="module")
def copper():
    (result,) = relax([bulk("Cu")], POTENTIAL, fmax=1e-5, slots=1)
    return result.atoms


@pytest.fixture(scope="module")
def found(copper):
    return phonons(copper, POTENTIAL, (3, 3, 3))


def test_frequencies_are_those_of_phonopy_driven_by_ase(copper, found):
    unit = PhonopyAtoms(["Cu"], cell=copper.cell.array, scaled_positions=[[0, 0, 0]])
    other = Phonopy(unit, np.diag([3, 3, 3]), log_level=0)
    other.generate_displacements(distance=0.01)
    forces = []
    for cell in other.supercells_with_displacements or ():
        assert cell is not None
        atoms = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True, calculator=AseEMT())
        forces.append(atoms.get_forces())
    other.forces = np.array(forces)
    other.produce_force_constants()
    other.symmetrize_force_constants()
    own, expected = frequencies_at(found, POINTS), frequencies_at(other, POINTS)
    assert_allclose(own, expected, atol=1e-3)  # THz
    assert_allclose(own[0], 0, atol=1e-3)


def test_the_twin_by_a_calculator(copper, found):
    twin = phonons(copper, AseEMT(), (3, 3, 3))
    assert_allclose(frequencies_at(found, POINTS), frequencies_at(twin, POINTS), atol=1e-5)


def test_sound_is_as_fast_as_the_elastic_constants_say(copper):
    """Longitudinal waves along [100]: rho v^2 = C11."""
    long = phonons(copper, POTENTIAL, (6, 6, 6))
    tensor = elastic_tensor(copper, POTENTIAL)
    part = 0.02
    q = np.array([0, part, part])  # along [100] of the cubic cell
    wave = np.linalg.norm(q @ np.linalg.inv(copper.cell.array).T)  # 1/Å
    density = copper.get_masses().sum() / copper.cell.volume  # amu/Å³
    # sqrt(eV/amu) is 1/(1e3 ASE's fs) Å/ps; THz times Å are Å/ps.
    speed = np.sqrt(tensor.constants[0, 0] / density) * 1e3 * units.fs
    assert_allclose(frequencies_at(long, [q])[0, -1], speed * wave, rtol=0.03)


def test_bands_and_density_of_states(found):
    lines = bands(found, 60)
    assert lines.frequencies.shape == (len(lines.distances), 3)
    assert lines.labels[0] == "Γ" and "K|U" in lines.labels
    assert len(lines.ticks) == len(set(lines.ticks)) == len(lines.labels)
    assert lines.frequencies.min() > -1e-3  # copper is stable
    frequencies, density = density_of_states(found, (10, 10, 10))
    assert_allclose(trapezoid(density, frequencies), 3, rtol=0.02)  # modes of the primitive cell


def test_a_conventional_cell_gives_the_phonons_of_its_primitive_one(copper, found):
    (result,) = relax([bulk("Cu", cubic=True)], POTENTIAL, fmax=1e-5, slots=1)
    conventional = phonons(result.atoms, POTENTIAL, (2, 2, 2))
    at_x = frequencies_at(conventional, [[0, 0.5, 0.5]])[0]
    assert len(at_x) == 3
    assert_allclose(at_x, frequencies_at(found, [[0.5, 0.5, 0]])[0], atol=0.1)


def test_heat_capacity_has_the_classical_limit(found):
    values = thermal(found, [0, 300, 3000], mesh=(8, 8, 8))
    assert values.heat_capacity[0] == 0
    # The three modes at the zone's center have no heat; there are 512 points.
    assert_allclose(values.heat_capacity[2], 3 * units.kB * 511 / 512, rtol=1e-3)
    assert values.free_energy[0] > 0 > values.free_energy[2]  # zero-point energy; entropy


def test_what_is_no_crystal_at_rest_is_refused():
    with pytest.raises(InputError, match="periodic in three directions"):
        phonons(Atoms("Cu"), POTENTIAL)
    rattled = bulk("Cu", cubic=True)
    rattled.rattle(0.1, seed=0)
    with pytest.raises(InputError, match="Relax the crystal first"):
        phonons(rattled, POTENTIAL, (1, 1, 1))
