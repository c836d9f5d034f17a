"""Elastic constants: those of ASE's calculator, of the equation of state, with their symmetry."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md import elastic_tensor, equation_of_state, relax
from stratal.md.properties.elasticity import ElasticTensor, rotated, strained_by
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29, 47])


def at_rest(crystal):
    (result,) = relax([crystal], POTENTIAL, fmax=1e-5, slots=1, symmetry=True)
    return result.atoms


@pytest.fixture(scope="module")
def copper():
    return at_rest(bulk("Cu"))


def test_cubic_constants_are_those_of_ase_driven_differences(copper):
    found = elastic_tensor(copper, POTENTIAL)
    twin = elastic_tensor(copper, AseEMT())
    assert_allclose(found.constants_gpa, twin.constants_gpa, atol=0.01)
    c = found.constants_gpa
    # By energies, which have nothing to do with stresses: E/V = C e^2 / 2.
    copper.calc = AseEMT()
    volume, energy = copper.cell.volume, copper.get_potential_energy()
    for component, constant in ((0, c[0, 0]), (3, c[3, 3])):
        rise = 0.0
        for sign in (1, -1):
            strained = strained_by(copper, component, sign * 2e-3)
            strained.calc = AseEMT()
            rise += strained.get_potential_energy() - energy
        assert_allclose(rise / volume / 2e-3**2 / units.GPa, constant, atol=0.5)
    expected = np.zeros((6, 6))
    expected[:3, :3] = c[0, 1]
    expected[np.arange(3), np.arange(3)] = c[0, 0]
    expected[np.arange(3, 6), np.arange(3, 6)] = c[3, 3]
    assert_allclose(c, expected, atol=1e-9)
    assert found.is_stable


def test_the_bulk_modulus_is_that_of_the_equation_of_state(copper):
    found = elastic_tensor(copper, POTENTIAL)
    curve = equation_of_state(copper, POTENTIAL, strain=0.01)
    assert_allclose(found.bulk_moduli[2], curve.bulk_modulus, rtol=0.01)
    assert_allclose(found.bulk_moduli, found.bulk_moduli[0])  # cubic: the averages agree
    voigt, reuss, hill = found.shear_moduli
    assert reuss < hill < voigt
    assert_allclose(found.young_modulus, 2 * hill * (1 + found.poisson_ratio))


def test_constants_do_not_depend_on_the_orientation(copper):
    turned = copper.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    axis = np.array([1, 2, 3]) / np.sqrt(14)
    angle = np.deg2rad(37)
    cross = np.cross(np.eye(3), axis)
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    assert_allclose(turned.cell.array, copper.cell.array @ rotation.T, atol=1e-12)
    one, other = elastic_tensor(copper, POTENTIAL), elastic_tensor(turned, POTENTIAL)
    assert_allclose(rotated(one.constants_gpa, rotation), other.constants_gpa, atol=1e-2)


def test_relaxed_atoms_soften_a_crystal_whose_strain_they_follow():
    crystal = at_rest(bulk("Cu", "hcp", a=2.6, c=4.2))
    clamped = elastic_tensor(crystal, POTENTIAL, relax_atoms=False)
    relaxed = elastic_tensor(crystal, POTENTIAL)
    assert np.linalg.eigvalsh(clamped.constants - relaxed.constants).min() > -1e-4
    assert clamped.constants_gpa[0, 0] > relaxed.constants_gpa[0, 0] + 0.5
    # Hexagonal: C66 = (C11 - C12) / 2.
    c = relaxed.constants_gpa
    assert_allclose(c[5, 5], 0.5 * (c[0, 0] - c[0, 1]), rtol=1e-6)


def test_an_unstable_crystal_is_told_and_what_is_none_refused():
    bcc = at_rest(bulk("Cu", "bcc", a=2.9))
    assert not elastic_tensor(bcc, POTENTIAL).is_stable
    assert not ElasticTensor(-np.eye(6)).is_stable
    with pytest.raises(InputError, match="under a stress of"):
        elastic_tensor(bulk("Cu", a=3.2), POTENTIAL)
    with pytest.raises(InputError, match="periodic in three directions"):
        elastic_tensor(Atoms("Cu"), POTENTIAL)
