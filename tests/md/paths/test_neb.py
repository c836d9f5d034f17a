"""Paths of least energy: against ASE's NEB, and saddles that are known."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.emt import EMT as AseEMT
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.files import read_frames, write_frames
from stratal.md.evaluators import ByPotential
from stratal.md.paths.band import nudged
from stratal.md.paths.neb import minimum_energy_paths
from stratal.potentials.analytic import EMT

COPPER = EMT.for_elements([29])


@pytest.fixture(scope="module")
def hop():
    """A copper atom on a (100) surface, before and after it hops to the next hollow."""
    ends = []
    for offset in ((0, 0), (1, 0)):
        slab = fcc100("Cu", (3, 3, 2), vacuum=6.0)
        add_adsorbate(slab, "Cu", 1.7, "hollow", offset=offset)
        slab.set_constraint(FixAtoms(range(9)))
        slab.info = {}  # of ASE's builder
        ends.append(slab)
    ends[1].positions[-1] = ends[0].positions[-1] + [ends[0].cell[0, 0] / 3, 0, 0]
    return ByPotential(COPPER).relaxed(ends, 0.01, "fixed")


def test_a_path_is_that_of_ase(hop):
    how = {"n_images": 3, "fmax": 0.02}
    (ours,), (theirs,) = (
        minimum_energy_paths([hop], source, **how) for source in (COPPER, AseEMT())
    )
    assert ours.converged and theirs.converged
    assert_allclose(ours.barrier, theirs.barrier, atol=1e-3)  # both within fmax of the saddle
    assert_allclose(ours.energies, theirs.energies, atol=2e-3)
    # The two hollows are alike by a mirror: the bridge between them is the saddle.
    assert_allclose(ours.barrier, ours.reverse_barrier, atol=1e-6)
    assert int(ours.energies.argmax()) == 2
    highest = ours.images[2].get_forces()[9:]
    assert np.linalg.norm(highest, axis=1).max() < 0.02  # a true saddle, not of the band alone
    assert ours.fit.fit_energies.max() >= ours.barrier - 1e-9


def test_several_paths_are_found_side_by_side(hop):
    there, back = minimum_energy_paths([hop, hop[::-1]], COPPER, n_images=3)
    assert_allclose(there.energies, back.energies[::-1], atol=1e-3)
    assert_allclose(there.barrier, back.reverse_barrier, atol=1e-6)


def test_nudged_forces_have_no_part_of_the_force_along_and_of_the_spring_across():
    rng = np.random.default_rng(0)
    positions = np.cumsum(rng.normal(size=(1, 5, 2, 3)), axis=1)
    energies = np.array([[0.0, 1.0, 2.0, 1.5, 0.5]])
    forces = rng.normal(size=positions.shape)
    found = np.asarray(nudged(positions, energies, forces, np.array([False]), 0.0))  # pyright: ignore[reportArgumentType]
    assert (found[:, [0, -1]] == 0).all()
    uphill = positions[0, 2] - positions[0, 1]  # image 1 lies below image 2
    unit = uphill / np.linalg.norm(uphill)
    assert_allclose((found[0, 1] * unit).sum(), 0, atol=1e-5)
    across = forces[0, 1] - (forces[0, 1] * unit).sum() * unit
    assert_allclose(found[0, 1], across, atol=1e-5)
    climbing = np.asarray(nudged(positions, energies, forces, np.array([True]), 0.0))  # pyright: ignore[reportArgumentType]
    assert_allclose(climbing[0, [1, 3]], found[0, [1, 3]])
    # What across means is the same; along the path the force is turned around.
    assert_allclose((climbing[0, 2] * found[0, 2]).sum(), (found[0, 2] ** 2).sum(), rtol=1e-4)
    assert_allclose((climbing[0, 2] ** 2).sum(), (forces[0, 2] ** 2).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    "ends, settings, message",
    [
        ([bulk("Cu")], {}, "give its first and its last"),
        ([bulk("Cu"), bulk("Cu") * 2], {}, "in the same order"),
        ([bulk("Cu"), bulk("Cu", a=4.0)], {}, "the cells differ"),
        ([bulk("Cu"), bulk("Cu")], {"n_images": 0}, "neb.n_images = 0"),
        ([bulk("Cu"), bulk("Cu")], {"interpolation": "curved"}, "neb.interpolation"),
    ],
)
def test_ends_that_no_path_joins_are_refused(ends, settings, message):
    with pytest.raises(InputError, match=message):
        minimum_energy_paths([ends], COPPER, **settings)


def test_atoms_that_run_into_each_other_are_named():
    ends = [Atoms("Cu2", [[0, 0, 0], [d, 0, 0]], cell=[12] * 3, pbc=True) for d in (2.5, -2.5)]
    with pytest.raises(InputError, match="path 0, image 2: exploded"):
        minimum_energy_paths([ends], COPPER, n_images=3, interpolation="linear")


def test_the_command_writes_images_and_barriers(hop, tmp_path):
    write_frames(tmp_path / "ends.extxyz", hop)
    words = ["neb", "emt", tmp_path / "ends.extxyz", "-o", tmp_path / "path.extxyz"]
    words += ["--images", 3, "--fmax", 0.05, "--figure", tmp_path / "path.png"]
    words += ["--json", tmp_path / "path.json"]
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0 and "barrier" in done.output
    images = read_frames(tmp_path / "path.extxyz")
    found = json.loads((tmp_path / "path.json").read_text())
    assert_allclose([image.get_potential_energy() for image in images], found["energies_eV"])
    assert found["converged"] and (tmp_path / "path.png").stat().st_size > 5000
