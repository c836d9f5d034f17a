"""Vacancies and surfaces: those of ASE's calculator and optimizer, in the limits that are known."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md import relax
from stratal.md.defects import in_the_limit, surface_energies, vacancy_energies
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29])


@pytest.fixture(scope="module")
def copper():
    (result,) = relax([bulk("Cu", cubic=True)], POTENTIAL, fmax=1e-5, slots=1)
    return result.atoms


def test_a_vacancy_costs_what_ase_finds(copper):
    own = vacancy_energies(copper, POTENTIAL, repeats=(2, 3))
    twin = vacancy_energies(copper, AseEMT(), repeats=(2, 3))
    assert_allclose(own, twin, atol=1e-4)
    assert 0.8 < own[1] < 1.4  # eV, about that of copper
    assert_allclose(in_the_limit(1.2 + 3.0 / np.array([32, 108]), np.array([32, 108])), 1.2)


def test_surfaces_cost_what_ase_finds_and_close_packed_ones_least(copper):
    own = surface_energies(copper, POTENTIAL, n_layers=5)
    twin = surface_energies(copper, AseEMT(), n_layers=5)
    assert_allclose(own, twin, atol=1e-5)
    assert own[2] < own[0] < own[1]
    thicker = surface_energies(copper, POTENTIAL, planes=[(1, 1, 1)], n_layers=8)
    assert_allclose(thicker[0], own[2], rtol=0.01)


def test_a_vacancy_in_a_compound_is_refused():
    alloy = bulk("Cu", cubic=True)
    alloy.symbols[0] = "Ag"
    with pytest.raises(InputError, match="depends on where its atom goes"):
        vacancy_energies(alloy, POTENTIAL)
