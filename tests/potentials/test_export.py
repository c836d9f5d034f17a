"""Exported models are read back as the same physics, and give MAISE's own numbers in MAISE."""

import os
import re
import subprocess

import jax
import numpy as np
import pytest
from ase.build import bulk
from numpy.testing import assert_allclose

from stratal.descriptors import (
    CutoffFunction,
    ElementSymmetryFunctions,
    PairFunction,
    Structures,
    TripleFunction,
    neighbor_list,
)
from stratal.errors import InputError
from stratal.potentials.compose import compose
from stratal.potentials.evaluate import evaluate
from stratal.potentials.foreign import read_maise, read_n2p2, write_maise, write_n2p2
from stratal.potentials.stratum import Coupling, Stratum, Trunk

SETUP = "JOBT 20\nNPAR 1\nNDIM 3\nMINT 0\nMITR 1\nRLXT 2\nETOL 1e-8\n"
_evaluate = jax.jit(evaluate)


def crystal(elements, a=4.2):
    atoms = bulk("Cu", "fcc", a=a, cubic=True) * (2, 1, 1)
    atoms.numbers[:] = np.resize(sorted(elements), len(atoms))
    atoms.rattle(0.1, seed=1)
    return atoms[np.argsort(atoms.numbers, kind="stable")]


def results(strata, numbers, atoms):
    potential = compose(strata, numbers)
    with jax.enable_x64(True):
        structures = Structures.from_atoms(atoms, potential.elements)
        neighbors = neighbor_list(structures, potential.cutoff)
        return jax.tree.map(np.asarray, _evaluate(potential, structures, neighbors))


@pytest.mark.parametrize("symbols", [("Cu",), ("Ag", "Pd"), ("Cu", "Ag", "Pd")])
def test_maise_model_read_back_is_the_same_physics(strata, tmp_path, symbols):
    made = strata("Cu", "Pd", "Ag", short_range="close")
    write_maise(made, symbols, tmp_path / "model")
    back = {s.name: s for s in read_maise(tmp_path / "model", "close")}
    assert set(back) <= set(made) and len(back) == 2 ** len(symbols) - 1
    for name, stratum in back.items():
        assert stratum.physics_hash == made[name].physics_hash


@pytest.mark.parametrize("symbols", [("Ag",), ("Cu", "Ag", "Pd")])
def test_n2p2_model_read_back_gives_the_same_energies(strata, tmp_path, symbols):
    made = strata("Cu", "Pd", "Ag")
    write_n2p2(made, symbols, tmp_path / "model")
    back = read_n2p2(tmp_path / "model")
    atoms = crystal(back.elements)
    own, theirs = (results(s, back.elements, atoms) for s in (made, {back.name: back}))
    assert_allclose(theirs.energies, own.energies, rtol=1e-12)
    assert_allclose(theirs.forces, own.forces, atol=1e-12 * np.abs(own.forces).max())


def test_n2p2_model_of_n2p2_kind_read_back_is_the_same(tmp_path):
    """Other functions, networks and activations for each element."""
    rng = np.random.default_rng(0)
    functions = (
        (29, (PairFunction(29, 0.1, 0.5, 5.0),
              TripleFunction(29, 47, 0.1, 2.0, -1.0, 0.3, 4.0, True))),
        (47, (PairFunction(29, 0.2, 0.0, 5.0), PairFunction(47, 0.2, 0.0, 5.0))),
    )  # fmt: skip
    descriptor = ElementSymmetryFunctions(functions, CutoffFunction(6, 0.1))

    def trunk(*sizes, activations=()):
        kernels = tuple(rng.normal(size=n) for n in zip(sizes, [*sizes[1:], 1], strict=True))
        biases = tuple(rng.normal(size=k.shape[1]) for k in kernels)
        return Trunk(rng.normal(size=sizes[0]), kernels, biases, activations)

    trunks = {29: trunk(3, 2), 47: trunk(4, activations=("softplus", "linear"))}
    stratum = Stratum(
        elements=(29, 47),
        descriptor=descriptor,
        trunks=trunks,
        couplings={
            (z, block.neighbors): Coupling(
                np.zeros(block.size), np.ones(block.size), rng.normal(size=(block.size, n))
            )
            for z, n in ((29, 3), (47, 4))
            for block in descriptor.blocks((29, 47))
        },
    )
    write_n2p2({stratum.name: stratum}, ["Cu", "Ag"], tmp_path / "model")
    back = read_n2p2(tmp_path / "model")
    assert back.trunks[47].activations == ("softplus", "linear")
    atoms = crystal((29, 47))
    own, theirs = (results({s.name: s}, (29, 47), atoms) for s in (stratum, back))
    assert_allclose(theirs.energies, own.energies, rtol=1e-12)
    with pytest.raises(InputError, match="symmetry functions that all elements share"):
        write_maise({stratum.name: stratum}, ["Cu", "Ag"], tmp_path / "no")


def test_what_a_program_cannot_express_is_refused(strata, tmp_path):
    file = tmp_path / "model"
    with pytest.raises(InputError, match="up to three"):
        write_maise(strata("Cu", "Pd", "Ag", "Au"), ["Cu", "Pd", "Ag", "Au"], file)
    with pytest.raises(InputError, match="'zbl' is not known to MAISE"):
        write_maise(strata("Cu", short_range="zbl"), ["Cu"], file)
    with pytest.raises(InputError, match="'close' is not known to n2p2"):
        write_n2p2(strata("Cu", short_range="close"), ["Cu"], file)
    with pytest.raises(InputError, match="no stratum for Pd"):
        write_n2p2(strata("Cu"), ["Cu", "Pd"], file)
    with pytest.raises(InputError, match="Xx"):
        write_maise(strata("Cu"), ["Xx"], file)
    made = strata("Cu")["Cu"]
    trunk = made.trunks[29]._replace(activations=("softplus", "tanh", "linear"))
    soft = Stratum(made.elements, made.descriptor, made.couplings, {29: trunk})
    with pytest.raises(InputError, match="tanh"):
        write_maise({"Cu": soft}, ["Cu"], file)
    assert not file.exists()


@pytest.fixture
def binary(shared):
    program = shared / "reference" / "maise" / "bin" / "maise"
    if not program.is_file():
        pytest.skip(f"no MAISE: {program} is absent")
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    if "not found" in linked:
        pytest.skip("MAISE needs libgsl and libsymspg, which are not installed")
    return program


def test_maise_itself_gives_the_same_energies_and_forces(binary, shared, tmp_path):
    """A step of relaxation: MAISE prints the energy before it, and everything after it."""
    models = shared / "reference" / "maise" / "models"
    strata = {s.name: s for s in read_maise(models / "nn_CuAg_d3_vp")}
    write_maise(strata, ["Ag", "Cu"], tmp_path / "model")
    atoms = crystal((29, 47), a=3.85) * (1, 2, 2)
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    atoms.write(tmp_path / "POSCAR", format="vasp")
    (tmp_path / "setup").write_text(SETUP)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [binary], cwd=tmp_path, check=True, capture_output=True, env=environment
    )
    before = re.search(rb"INI\s+(\S+)", finished.stdout)
    assert before and float(before[1]) == pytest.approx(
        results(strata, (29, 47), atoms).energy[0], abs=6e-9
    )  # digits printed
    lines = (tmp_path / "OUTCAR").read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if "TOTAL-FORCE" in line) + 2
    printed = np.array([line.split() for line in lines[start : start + len(atoms)]], float)
    atoms.positions = printed[:, :3]
    found = results(strata, (29, 47), atoms)
    # Positions are rounded to 1e-6 Å: that times the forces (some eV/Å), and times how
    # forces change (some eV/Å²).
    assert_allclose(printed[:, 6], found.energies, atol=2e-5)
    assert_allclose(printed[:, 3:6], found.forces, atol=2e-5)
