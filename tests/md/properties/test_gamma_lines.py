"""Stacking faults: against layers stacked by hand, and ASE's calculator."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md import relax
from stratal.md.evaluators import ByCalculator
from stratal.md.properties.dimers import dimer_curves
from stratal.md.properties.gamma_lines import gamma_line, oriented, stacking_fault_energy
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29, 47])
A = 3.6
COPPER = bulk("Cu", cubic=True, a=A)


def stacked(sequence):
    """Close-packed layers of copper, one atom each."""
    spacing, height = A / np.sqrt(2), A / np.sqrt(3)
    cell = [[spacing, 0, 0], [spacing / 2, spacing * np.sqrt(0.75), 0], [0, 0, 0]]
    cell[2][2] = height * len(sequence)
    offset = {"A": 0, "B": 1 / 3, "C": 2 / 3}
    places = [
        np.array([offset[name]] * 2 + [0]) @ cell + [0, 0, height * layer]
        for layer, name in enumerate(sequence)
    ]
    return Atoms(f"Cu{len(sequence)}", places, cell=cell, pbc=True)


def test_the_intrinsic_fault_is_that_of_layers_stacked_by_hand():
    found = stacking_fault_energy(COPPER, POTENTIAL, n_layers=11, fmax=1e-4)
    fault, perfect = stacked("ABCABCBCABC"), stacked("ABC")
    twin = ByCalculator(AseEMT())
    (fault,) = twin.relaxed([fault], 1e-4, "fixed")
    energies = twin.evaluate([fault, perfect]).energy
    area = np.linalg.norm(np.cross(*fault.cell.array[:2]))
    assert_allclose(found, (energies[0] - 11 / 3 * energies[1]) / area, atol=1e-6)


def test_a_line_begins_at_the_crystal_and_ends_at_the_fault():
    (result,) = relax([COPPER], POTENTIAL, fmax=1e-5, slots=1)
    crystal = result.atoms
    line = gamma_line(crystal, POTENTIAL, n_points=5, n_layers=6)
    twin = gamma_line(crystal, AseEMT(), n_points=5, n_layers=6)
    assert_allclose(line.energies, twin.energies, atol=1e-9)
    assert_allclose(line.shifts[-1], crystal.cell.lengths()[0] / np.sqrt(6))
    assert line.energies[0] == 0
    assert line.unstable == line.energies[1:4].max()
    fault = stacking_fault_energy(crystal, POTENTIAL, n_layers=6)
    # Atoms that relax gain little on rigid halves that moved apart.
    assert fault - 1e-6 < line.energies[-1] < fault + 2e-4
    # A whole lattice vector is no fault, and half of one is the middle of the line.
    whole = gamma_line(crystal, POTENTIAL, direction=(0.5, -0.5, 0), n_points=5, n_layers=6)
    assert_allclose(whole.energies, whole.energies[::-1], atol=1e-6)


@pytest.mark.parametrize("plane, spacing", [((1, 1, 1), 3), ((1, 1, 0), 2), ((0, 0, 1), 1)])
def test_cells_along_a_plane_are_the_crystal(plane, spacing):
    cell = oriented(COPPER, plane, 4)
    assert_allclose(cell.cell.array[:2] @ np.array(plane), 0, atol=1e-9)
    assert_allclose(cell.cell.volume / len(cell), A**3 / 4)
    area = np.linalg.norm(np.cross(*cell.cell.array[:2]))
    assert_allclose(area, A**2 * np.sqrt(spacing))
    cell.calc, crystal = AseEMT(), COPPER.copy()
    crystal.calc = AseEMT()
    energies = [atoms.get_potential_energy() / len(atoms) for atoms in (cell, crystal)]
    assert_allclose(energies[0], energies[1], atol=1e-9)


def test_a_direction_out_of_the_plane_is_refused():
    with pytest.raises(InputError, match="is not in the plane"):
        gamma_line(COPPER, POTENTIAL, direction=(1, 0, 0))
    with pytest.raises(InputError, match="smaller Miller indices"):
        gamma_line(COPPER, POTENTIAL, plane=(17, 5, 3), direction=(0, 0, 0))


def test_dimers_are_those_of_ase():
    distances = np.array([2.0, 2.4, 3.0])
    found = dimer_curves(["Cu", "Ag"], POTENTIAL, distances)
    assert list(found) == ["Cu-Cu", "Cu-Ag", "Ag-Ag"]
    for pair, curve in found.items():
        for distance, energy in zip(distances, curve, strict=True):
            atoms = [Atoms(pair.replace("-", ""), [[0, 0, 0], [d, 0, 0]]) for d in (distance, 20)]
            for one in atoms:
                one.calc = AseEMT(asap_cutoff=False)
            exact = atoms[0].get_potential_energy() - atoms[1].get_potential_energy()
            assert_allclose(energy, exact, atol=1e-9)
