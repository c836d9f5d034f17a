"""Equations of state: known curves come back; a potential and a calculator give the same one."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT as AseEMT
from ase.eos import birchmurnaghan
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md import equation_of_state, equations_of_state
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29, 47])


class Curve(Calculator):
    """A Birch-Murnaghan curve, without a stress."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, energy, modulus, derivative, volume):
        super().__init__()
        self.curve = (energy, modulus, derivative, volume)

    def calculate(self, atoms=None, properties=(), system_changes=()):
        assert atoms is not None
        energy = birchmurnaghan(atoms.cell.volume / len(atoms), *self.curve)
        self.results = {"energy": energy * len(atoms), "forces": np.zeros((len(atoms), 3))}


def test_a_known_curve_comes_back_from_far_away():
    crystal = bulk("Cu", a=4.2, cubic=True)  # 18.5 Å³/atom: the points have to follow
    found = equation_of_state(crystal, Curve(-3.5, 0.8, 5.2, 11.7))
    assert_allclose((found.energy, found.volume), (-3.5, 11.7), rtol=1e-6)
    assert_allclose((found.bulk_modulus, found.bulk_modulus_derivative), (0.8, 5.2), rtol=1e-4)
    assert_allclose(crystal.cell.volume * found.scale**3, 4 * 11.7, rtol=1e-6)
    assert abs(found.volumes.mean() / 11.7 - 1) < 0.03


def test_several_crystals_at_once_are_each_that_of_ase():
    crystals = [bulk("Cu"), bulk("Ag", cubic=True), bulk("Ag", a=4.6)]
    own, twin = equations_of_state(crystals, POTENTIAL), equations_of_state(crystals, AseEMT())
    for one, other in zip(own, twin, strict=True):
        assert_allclose(one.energies, other.energies, atol=1e-9)
        assert_allclose(one.bulk_modulus_derivative, other.bulk_modulus_derivative, rtol=1e-4)
    assert_allclose(own[1].volume, own[2].volume, rtol=1e-3)  # one of them began far away


def test_pressures_are_those_of_the_curve():
    """The curve's derivative, with its B and B', against stresses, which it has not seen."""
    found = equation_of_state(bulk("Cu"), AseEMT())
    pressures = []
    for volume in found.volumes:
        atoms = bulk("Cu", a=(4 * volume) ** (1 / 3))
        atoms.calc = AseEMT()
        pressures.append(-atoms.get_stress()[:3].mean())
    x = (found.volume / found.volumes) ** (1 / 3)
    bend = 1 + 0.75 * (found.bulk_modulus_derivative - 4) * (x**2 - 1)
    expected = 1.5 * found.bulk_modulus * (x**7 - x**5) * bend
    assert_allclose(pressures, expected, atol=0.01 * max(pressures))
    assert_allclose(found.bulk_modulus_gpa, 134.4, atol=2)


def test_relaxed_at_each_volume():
    """What may relax lowers the energy; the volumes stay those that were asked for."""
    stretched = bulk("Cu", "hcp", a=2.48, c=4.4)
    stiff = equation_of_state(stretched, POTENTIAL, n_points=5)
    shape = equation_of_state(stretched, POTENTIAL, n_points=5, relax="fixed volume")
    twin = equation_of_state(stretched, AseEMT(), n_points=5, relax="fixed volume")
    assert shape.energy < stiff.energy - 0.01
    assert_allclose(shape.volume, twin.volume, rtol=1e-3)
    assert_allclose(shape.energy, twin.energy, atol=1e-4)
    # hcp copper at rest is within 30 meV of fcc copper, which is near zero by EMT.
    assert abs(shape.energy) < 0.03


def test_what_has_no_equation_of_state_is_said():
    with pytest.raises(InputError, match="periodic in three directions"):
        equation_of_state(Atoms("Cu"), AseEMT())
    with pytest.raises(InputError, match="3 volumes; give 5 or more"):
        equation_of_state(bulk("Cu"), AseEMT(), n_points=3)
    with pytest.raises(InputError, match=r"no minimum of the energy between 0\.6 and 1\.4"):
        equation_of_state(bulk("Cu"), Curve(-3.5, 0.8, 5.2, 80.0))
