"""Surfaces: those of ASE's calculator and optimizer."""

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.md import relax
from stratal.md.properties.surfaces import surface_energies
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29])


@pytest.fixture(scope="module")
def copper():
    (result,) = relax([bulk("Cu", cubic=True)], POTENTIAL, fmax=1e-5, slots=1)
    return result.atoms


def test_surfaces_cost_what_ase_finds_and_close_packed_ones_least(copper):
    own = surface_energies(copper, POTENTIAL, n_layers=5)
    twin = surface_energies(copper, AseEMT(), n_layers=5)
    assert_allclose(own, twin, atol=1e-5)
    assert own[2] < own[0] < own[1]
    thicker = surface_energies(copper, POTENTIAL, planes=[(1, 1, 1)], n_layers=8)
    assert_allclose(thicker[0], own[2], rtol=0.01)
