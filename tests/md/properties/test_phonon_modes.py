"""Along a mode the energy rises by 1/2 ω² Q²; waves fit into their supercell."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from numpy.testing import assert_allclose
from phonopy import Phonopy

from stratal.errors import InputError
from stratal.md.properties.phonon_modes import cell_in_primitive, displaced_along_mode
from stratal.md.properties.phonons import frequencies_at, phonons, read_phonons
from stratal.md.properties.prototypes import prototype

CRYSTALS = {
    "Cu": bulk("Cu", a=3.59, cubic=True),
    "Cu3Ag": prototype("L12", ["Ag", "Cu"], 12.8),
}


@pytest.fixture(scope="module")
def lattices() -> dict[str, Phonopy]:
    return {name: phonons(atoms, EMT(), (2, 2, 2)) for name, atoms in CRYSTALS.items()}


def energy(atoms: Atoms) -> float:
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms.get_potential_energy()


@pytest.mark.parametrize(
    "name, q, mode, repeats",
    [
        ("Cu", (0.5, 0.5, 0), 3, (1, 1, 1)),
        ("Cu", (0.5, 0, 0), 1, (2, 2, 2)),
        ("Cu", (0.25, 0.5, 0.75), 2, (1, 2, 1)),  # a wave that is not its own mirror image
        ("Cu3Ag", (0, 0, 0), 12, (1, 1, 1)),
        ("Cu3Ag", (0.5, 0, 0), 3, (2, 1, 1)),
    ],
)
def test_energy_rises_as_harmonic(lattices, name, q, mode, repeats):
    lattice, crystal = lattices[name], CRYSTALS[name]
    found = displaced_along_mode(lattice, crystal, q, mode, 0.02)
    assert len(found.atoms) == len(crystal) * np.prod(found.repeats)
    assert found.repeats == repeats
    assert_allclose(found.frequency, frequencies_at(lattice, [q])[0, mode - 1], atol=1e-6)
    moves = found.atoms.positions - found.at_rest.positions
    assert_allclose(np.linalg.norm(moves, axis=1).max(), 0.02)
    # What is not harmonic grows with the fourth power of 0.02 Å: well below a percent.
    assert_allclose(energy(found.atoms) - energy(found.at_rest), found.energy, rtol=0.02)
    twice = displaced_along_mode(lattice, crystal, q, mode, 0.04)
    assert_allclose(twice.energy, 4 * found.energy)


def test_thirds_may_be_rounded(lattices):
    rounded, exact = (
        displaced_along_mode(lattices["Cu"], bulk("Cu", a=3.59), (third, third, 0), 2, 0.02)
        for third in (0.333, 1 / 3)
    )
    assert rounded.repeats == exact.repeats == (3, 3, 1)
    assert_allclose(rounded.atoms.positions, exact.atoms.positions, atol=1e-9)


def test_a_given_supercell_may_be_larger(lattices):
    how = (lattices["Cu"], CRYSTALS["Cu"], (0.5, 0.5, 0), 3, 0.02)
    larger = displaced_along_mode(*how, repeats=(2, 1, 1))
    assert_allclose(larger.energy, 2 * displaced_along_mode(*how).energy)


def test_any_cell_of_the_crystal_is_known(lattices):
    rows = cell_in_primitive(bulk("Cu", a=3.62).repeat((1, 2, 1)), lattices["Cu"])
    assert abs(round(np.linalg.det(rows))) == 2


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mode": 4}, "mode 4: .* has modes 1 to 3"),
        ({"mode": 0}, "mode 0"),
        ({"q": (0.123, 0, 0)}, "not commensurate"),
        ({"q": (0.25, 0, 0), "repeats": (2, 2, 2)}, "-0.5 waves in 2 repeats along axis 0"),
        ({"crystal": bulk("Ag")}, "Ag: not a cell of the crystal"),
        ({"crystal": bulk("Cu", "bcc", a=2.8)}, "Cu: not a cell of the crystal"),
    ],
)
def test_waves_that_do_not_fit(lattices, change, message):
    how = {"crystal": CRYSTALS["Cu"], "q": (0.5, 0, 0), "mode": 1, "amplitude": 0.02} | change
    with pytest.raises(InputError, match=message):
        displaced_along_mode(lattices["Cu"], **how)


def test_force_constants_are_read_back(lattices, tmp_path):
    path = tmp_path / "phonons.yaml"
    lattices["Cu"].save(path, settings={"force_constants": True})
    points = [[0.5, 0.5, 0.0], [0.25, 0.0, 0.0]]
    again = frequencies_at(read_phonons(path), points)
    assert_allclose(again, frequencies_at(lattices["Cu"], points), atol=1e-6)
    path.write_text("nothing: 1\n")
    with pytest.raises(InputError, match="phonopy cannot read it"):
        read_phonons(path)
    lattices["Cu"].save(path, settings={"force_sets": False, "displacements": False})
    with pytest.raises(InputError, match="no force constants in it"):
        read_phonons(path)
