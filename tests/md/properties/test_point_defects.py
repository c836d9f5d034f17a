"""Point defects: those of ASE's calculator and optimizer, sites and voids that are known."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.md import relax
from stratal.md.properties.point_defects import (
    Defect,
    antisite,
    antisites,
    defect_energies,
    divacancy,
    dumbbell,
    in_the_limit,
    interstitials,
    kinds_of_sites,
    migration,
    sizes_of,
    vacancy,
    voids,
)
from stratal.md.properties.prototypes import prototype
from stratal.potentials import EMT

POTENTIAL = EMT.for_elements([29, 47])
A = 3.61


@pytest.fixture(scope="module")
def copper():
    (result,) = relax([bulk("Cu", cubic=True)], POTENTIAL, fmax=1e-5, slots=1)
    return result.atoms


def test_point_defects_cost_what_ase_finds(copper):
    defects = [vacancy(copper), divacancy(copper), interstitials(copper)[0], antisite(copper, "Ag")]
    own, twin = (
        defect_energies(copper, defects, source, (2,), {"Ag": 0.0})
        for source in (POTENTIAL, AseEMT())
    )
    assert_allclose(own, twin, atol=1e-4)
    assert 0.8 < own[0, 0] < 1.4  # eV, about that of copper
    assert own[0, 0] < own[1, 0] < 2 * own[0, 0]  # two vacancies bind
    assert own[2, 0] > 2 * own[0, 0]


def test_supercells_are_the_crystal_but_for_the_defect():
    crystal = bulk("Cu", cubic=True, a=A)
    hole = vacancy(crystal).within(crystal, 3)
    assert len(hole) == 107
    # What is missing is in the middle, a corner of the middle cell.
    assert_allclose(np.linalg.norm(hole.positions - [A, A, A], axis=1).min(), A / np.sqrt(2))
    pair = divacancy(crystal).within(crystal, 3)
    assert len(pair) == 106
    second = divacancy(crystal, shell=2)
    assert np.abs(second.removed[1][1]).sum() == 1 and second.removed[1][0] == 0  # a cell away
    split = dumbbell(crystal, (1, 0, 0)).within(crystal, 2)
    close = np.sort(split.get_all_distances(mic=True), axis=None)[len(split)]
    assert len(split) == 33 and close == pytest.approx(0.75 * A / np.sqrt(2))
    assert antisite(crystal, "Ag").balance(crystal) == {"Cu": -1, "Ag": 1}
    assert dumbbell(crystal, (1, 1, 0)).balance(crystal) == {"Cu": 1}
    assert list(sizes_of(crystal, (2, 3))) == [32, 108]


def test_voids_are_those_of_the_textbook():
    (octahedral, wide), (tetrahedral, narrow) = voids(bulk("Cu", cubic=True, a=A))
    assert_allclose([wide, narrow], [A / 2, np.sqrt(3) / 4 * A])
    assert_allclose(np.round(2 * octahedral), 2 * octahedral, atol=1e-9)  # halves
    assert_allclose((4 * tetrahedral) % 2, 1, atol=1e-9)  # odd quarters
    ((place, radius),) = voids(bulk("Fe", "bcc", a=2.87, cubic=True))
    assert_allclose(radius, np.sqrt(5) / 4 * 2.87)  # tetrahedral
    assert_allclose(np.sort(np.round(4 * place) % 2), [0, 0, 1])
    assert_allclose(np.round(4 * place), 4 * place, atol=1e-9)


def test_kinds_of_sites_and_antisites_follow_the_space_group():
    ordered = prototype("L12", ("Ag", "Cu"), 12.5)
    assert kinds_of_sites(ordered) == [0, 1]
    assert [defect.name for defect in antisites(ordered)] == ["Cu on Ag", "Ag on Cu"]
    assert kinds_of_sites(bulk("Cu", cubic=True)) == [0]


def test_elastic_images_fall_with_the_inverse_of_the_volume():
    assert_allclose(in_the_limit(1.2 + 3.0 / np.array([32, 108]), np.array([32, 108])), 1.2)


def test_a_vacancy_hops_over_a_symmetric_saddle(copper):
    path = migration(copper, POTENTIAL, repeat=2, n_images=1)
    assert path.converged
    assert_allclose(path.barrier, path.reverse_barrier, atol=1e-4)
    assert 0.5 < path.barrier < 1.0  # eV; 0.7 of copper


def test_what_cannot_be_is_refused(copper):
    ordered = prototype("L12", ("Ag", "Cu"), 12.5)
    with pytest.raises(InputError, match="depends on where an atom of Ag"):
        defect_energies(ordered, [vacancy(ordered)], POTENTIAL, (1,))
    with pytest.raises(InputError, match="Repeat the cell more"):
        Defect("twice", removed=((0, (0, 0, 0)), (0, (1, 0, 0)))).within(copper, 1)
    with pytest.raises(InputError, match="shell 0"):
        divacancy(copper, shell=0)
