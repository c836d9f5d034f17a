"""Imported models give MAISE's own numbers, and fall apart into the strata they are made of."""

import re

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.testing import assert_allclose

from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.compose import compose
from stratal.potentials.evaluate import evaluate
from stratal.potentials.foreign.maise import read_maise
from stratal.potentials.library import Library

COMPARED = (
    "nn_Ag_d3_vp",
    "nn_CuAg_d3_vp",
    "nn_CuPdAg_d3_v1",
    "nn_CuPdAg_d3_vp",
    "nn_Cu_d3_v1",
    "nn_Cu_d3_vp",
)
MODELS = (*COMPARED, "nn_CuPd_d3_vp", "nn_PdAg_d3_vp", "nn_Pd_d3_vp")
# One shape for all tests, so that a potential is compiled once.
ATOMS, SYSTEMS, WIDTH = 264, 6, 208

_evaluate = jax.jit(evaluate)


@pytest.fixture(scope="session")
def maise(shared):
    folder = shared / "reference" / "maise"
    if not (folder / "models").is_dir():
        pytest.skip(f"no MAISE reference: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def strata_of(maise):
    """Strata of a published model, by name."""

    def read(model, short_range="none"):
        return {s.name: s for s in read_maise(maise / "models" / model, short_range)}

    return read


def elements_of(strata):
    return sorted({z for stratum in strata.values() for z in stratum.elements})


def results(potential, frames):
    """Everything of the structures (at once, padded to one shape) and each one's atoms."""
    with jax.enable_x64(True):
        structures = Structures.from_atoms(frames, potential.elements).padded(ATOMS, SYSTEMS)
        neighbors = neighbor_list(structures, potential.cutoff, n_neighbors=WIDTH)
        found = jax.tree.map(np.asarray, _evaluate(potential, structures, neighbors))
    ends = np.cumsum([len(frame) for frame in frames])
    return found, [slice(end - len(frame), end) for end, frame in zip(ends, frames, strict=True)]


@pytest.mark.parametrize("model", COMPARED)
def test_numbers_are_those_of_maise(maise, strata_of, model):
    expected = np.load(maise / "expected" / f"{model}.npz")
    count = int(expected["n"])
    frames = [
        Atoms(
            expected[f"numbers_{i}"],
            expected[f"positions_{i}"],
            cell=expected[f"cell_{i}"],
            pbc=expected[f"pbc_{i}"],
        )
        for i in range(count)
    ]
    strata = strata_of(model)
    found, atoms = results(compose(strata, elements_of(strata)), frames)
    for i, frame in enumerate(frames):
        assert_allclose(found.energy[i], expected[f"energy_{i}"], rtol=1e-12)
        assert_allclose(found.energies[atoms[i]], expected[f"local_energy_{i}"], atol=1e-11)
        xx, yy, zz, xy, yz, zx = expected[f"stress_{i}"]  # -dE/d(strain), eV
        virial = -found.stress[i] * frame.cell.volume
        maise_virial = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
        for own, theirs in (
            (found.forces[atoms[i]], expected[f"forces_{i}"]),
            (virial, maise_virial),
        ):
            # MAISE writes 0 for what is below 1e-8; of the rest it prints all digits.
            assert_allclose(np.where(theirs == 0, 0, own), theirs, rtol=1e-10, atol=1e-10)
            assert np.abs(own[theirs == 0]).max(initial=0) < 1e-8


@pytest.mark.parametrize("model", MODELS)
def test_a_model_survives_the_library(maise, strata_of, tmp_path, model):
    strata = strata_of(model)
    count = len(elements_of(strata))
    assert len(strata) == 2**count - 1
    target = Library.create(tmp_path / "lib")
    for stratum in strata.values():
        target.add(stratum)
    opened = Library.open(tmp_path / "lib")
    for name, stratum in strata.items():
        assert opened.strata[name].physics_hash == stratum.physics_hash
        assert opened.strata[name].info["source"] == f"MAISE model {model}"
    weights = re.search(r"number of weights\s*\|\s*(\d+)", (maise / "models" / model).read_text())
    assert weights and sum(s.n_weights for s in strata.values()) == int(weights[1])
    written = jax.tree.leaves(compose(opened.strata, elements_of(strata)))
    for one, two in zip(
        written, jax.tree.leaves(compose(strata, elements_of(strata))), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_published_models_share_their_lower_strata(strata_of):
    """The ternary holds all its unaries and binaries, each published alone as well."""
    ternary = strata_of("nn_CuPdAg_d3_vp")
    alone = {}
    for model in ("Cu", "Pd", "Ag", "CuPd", "PdAg", "CuAg"):
        for name, stratum in strata_of(f"nn_{model}_d3_vp").items():
            assert alone.setdefault(name, stratum).physics_hash == stratum.physics_hash
    assert set(ternary) == {*alone, "Ag-Cu-Pd"} and len(alone) == 6
    for name, stratum in alone.items():
        assert ternary[name].physics_hash == stratum.physics_hash


def test_versions_differ(strata_of):
    assert (
        strata_of("nn_Cu_d3_v1")["Cu"].physics_hash != strata_of("nn_Cu_d3_vp")["Cu"].physics_hash
    )


@pytest.mark.parametrize("lower", ["nn_Cu_d3_vp", "nn_CuAg_d3_vp"])
def test_the_ternary_gives_the_energies_of_lower_models_bit_for_bit(strata_of, lower):
    strata, ternary = strata_of(lower), strata_of("nn_CuPdAg_d3_vp")
    frames, rng = [], np.random.default_rng(0)
    for _ in range(SYSTEMS):
        atoms = bulk("Cu", cubic=True, a=rng.uniform(3.6, 3.9))
        atoms.numbers[rng.permutation(4)[:2]] = elements_of(strata)[-1]
        atoms.rattle(0.1, rng=rng)
        frames.append(atoms)
    below, _ = results(compose(strata, elements_of(strata)), frames)
    above, _ = results(compose(ternary, (29, 46, 47)), frames)
    np.testing.assert_array_equal(above.energies, below.energies)
    assert np.ptp(below.energies[:8]) > 1e-3  # eV: not all the same


def test_repulsion_acts_only_between_atoms_that_are_too_close(strata_of):
    radii = {29: 0.895, 47: 1.030}  # Å, of Cu and Ag in MAISE
    plain = compose(strata_of("nn_CuAg_d3_vp"), (29, 47))
    strata = strata_of("nn_CuAg_d3_vp", "close")
    assert {stratum.short_range for stratum in strata.values()} == {"close"}
    repulsive = compose(strata, (29, 47))
    frames = [
        Atoms(symbols, [(0, 0, 0), (0, 0, distance)])
        for symbols, distance in (
            ("CuAg", 1.9251),  # R_i + R_j = 1.925 Å
            ("CuAg", 1.9),
            ("Cu2", 1.5),
            ("Ag2", 2.0),
            ("Ag2", 2.07),
        )
    ]
    frames.append(bulk("Cu", cubic=True, a=3.6))
    without, atoms = results(plain, frames)
    with_, _ = results(repulsive, frames)
    added = with_.energies - without.energies
    for frame, own in zip(frames, atoms, strict=True):
        reach = sum(radii[z] for z in frame.numbers[:2])
        distance = frame.get_distance(0, 1)
        each = 100 * reach / distance * (1 + np.cos(np.pi * distance / reach)) / 2
        each = each if distance < reach else 0.0
        assert_allclose(added[own], each, rtol=1e-9, atol=1e-11)  # differences of some eV
    np.testing.assert_array_equal(added[atoms[0]], 0)
    np.testing.assert_array_equal(added[atoms[5]], 0)
    assert (added[atoms[2]] > 1).all()


@pytest.fixture
def lines(maise):
    return (maise / "models" / "nn_Cu_d3_vp").read_text().splitlines()


def refused(tmp_path, content: str | bytes) -> str:
    file = tmp_path / "nn_broken"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as error:
        read_maise(file)
    assert str(file) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kept", [20, 45, 72, 74, 80, 300, 506, 508, 512, 530, 545, 548])
def test_a_model_cut_short_names_the_line(tmp_path, lines, kept):
    """In the header, the ranges, the weights, the functions and their lists."""
    message = refused(tmp_path, "\n".join(lines[:kept]))
    assert f"line {kept + 1}" in message and "cut short" in message


@pytest.mark.parametrize(
    "line, found",
    [
        (45, "0.0 nonsense 1.0"),
        (45, "0.0 1.0"),
        (76, "1.0 2.0"),
        (76, "nan"),
        (300, "1.0e"),
        (508, "1.0"),
    ],
)
def test_a_wrong_number_names_the_line_and_what_it_found(tmp_path, lines, line, found):
    lines[line - 1] = found
    message = refused(tmp_path, "\n".join(lines))
    assert f"line {line}" in message and repr(found) in message


@pytest.mark.parametrize(
    "row", ["  1   3   0   0   0   0   0   0   0", "  1   2   0   0  99   0   0   0   0"]
)
def test_an_unknown_symmetry_function_is_named(tmp_path, lines, row):
    lines[511] = row
    assert str([int(word) for word in row.split()]) in refused(tmp_path, "\n".join(lines))


def test_functions_that_do_not_make_the_inputs_are_refused(tmp_path, lines):
    assert "30 inputs" in refused(tmp_path, "\n".join(lines[:530] + lines[531:]))


def test_two_cutoffs_are_refused(tmp_path, lines):
    lines[542] = "Rc 2 11.338 9.0"
    lines[511] = "  1   2   1   0   0   0   0   0   0"
    assert "2 different cutoffs" in refused(tmp_path, "\n".join(lines))


def test_foreign_files_are_refused(maise, tmp_path):
    assert "line 3" in refused(tmp_path, "one\ntwo\n")
    assert "line 1" in refused(tmp_path, "")
    assert "cannot be read as a MAISE model" in refused(tmp_path, b"\x89HDF\r\n\x1a\n\xff\xfe\x00")
    assert "no neural-network model of MAISE" in refused(tmp_path, "one\ntwo\n")
    gupta = (maise / "models" / "gp_Cu_d3_vp").read_text()
    assert "no neural-network model of MAISE" in refused(tmp_path, gupta)
    with pytest.raises(InputError, match="nowhere"):
        read_maise(tmp_path / "nowhere")
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        read_maise(tmp_path)
