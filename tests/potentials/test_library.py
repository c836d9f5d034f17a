"""A library gives back what was put in, bit for bit, and refuses whatever does not fit."""

import re
import shutil
from dataclasses import replace

import h5py
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.files.hdf5 import write_hdf5
from stratal.potentials.compose import compose
from stratal.potentials.evaluate import evaluate
from stratal.potentials.library import Library, read_stratum
from stratal.potentials.stratum import Stratum

evaluated = jax.jit(evaluate)


@pytest.fixture
def copied(library, tmp_path):
    """The folder of a library that a test may damage."""
    return shutil.copytree(library.path, tmp_path / "copied")


def arrays_of(stratum: Stratum) -> list[np.ndarray]:
    trunks = [(t.bias, *t.kernels, *t.biases) for t in stratum.trunks.values()]
    return [a for c in stratum.couplings.values() for a in c] + [a for t in trunks for a in t]


def refused(*words: str):
    """An error that names all of these, in this order."""
    return pytest.raises(InputError, match="(?s)" + ".*".join(map(re.escape, words)))


def edit(file, path, change) -> None:
    """Change a data set in place, as an editor of HDF5 files would."""
    with h5py.File(file, "r+") as opened:
        opened[path][...] = change(opened[path][...])  # type: ignore[index]


def test_strata_come_back_bit_for_bit(library):
    opened = Library.open(library.path)
    assert sorted(opened.strata) == sorted(library.strata) and len(opened.strata) == 7
    for name, stratum in library.strata.items():
        read = opened.strata[name]
        assert read.couplings.keys() == stratum.couplings.keys()
        assert read.trunks.keys() == stratum.trunks.keys()
        for found, given_ in zip(arrays_of(read), arrays_of(stratum), strict=True):
            assert found.dtype == given_.dtype
            np.testing.assert_array_equal(found, given_, strict=True)
        assert read.descriptor == stratum.descriptor
        assert (read.parents, read.info) == (stratum.parents, stratum.info)
        assert (read.level_of_theory, read.short_range) == (None, "none")
        assert read.physics_hash == stratum.physics_hash
        assert (read.name, read.n_weights, read.is_root) == (
            stratum.name,
            stratum.n_weights,
            "-" not in name,
        )
    assert opened.elements == (29, 46, 47)


def test_what_does_not_determine_energies_does_not_change_the_hash(library):
    stratum = library.stratum("Cu")
    assert stratum.with_info(note="x").info == {**stratum.info, "note": "x"}
    assert stratum.with_info(note="x").physics_hash == stratum.physics_hash
    assert replace(stratum, level_of_theory="PBE").physics_hash == stratum.physics_hash
    turned = replace(stratum, couplings=dict(reversed(stratum.couplings.items())))
    assert turned.physics_hash == stratum.physics_hash


def test_every_number_that_determines_energies_changes_the_hash(library):
    """Each array in turn by one unit in the last place, and every setting."""
    stratum = library.stratum("Cu")
    changed = [replace(stratum, short_range="zbl"), replace(stratum, parents={"Ag": "0"})]
    descriptor = stratum.descriptor
    changed += [
        replace(stratum, descriptor=replace(descriptor, **settings))
        for settings in (
            {"cutoff": np.nextafter(4.0, 5.0)},
            {"radial": descriptor.radial[::-1]},
            {"angular": descriptor.angular[:2]},
        )
    ]
    for number in range(len(arrays_of(stratum))):
        copy = replace(
            stratum,
            couplings={k: type(c)(*map(np.copy, c)) for k, c in stratum.couplings.items()},
            trunks=jax.tree.map(np.copy, stratum.trunks),
        )
        array = arrays_of(copy)[number].reshape(-1)
        array[0] = np.nextafter(array[0], np.inf)
        changed.append(copy)
    hashes = {other.physics_hash for other in changed} | {stratum.physics_hash}
    assert len(hashes) == len(changed) + 1


def test_every_block_belongs_to_one_stratum(library):
    """The couplings of the strata, together, are those of all centers and blocks."""
    blocks = library.stratum("Cu").descriptor.blocks(library.elements)
    wanted = {(center, b.neighbors) for center in library.elements for b in blocks}
    found = [key for stratum in library.strata.values() for key in stratum.couplings]
    assert len(found) == len(set(found)) and set(found) == wanted


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_pure_energies_are_those_of_the_unary_bit_for_bit(library, seed):
    """What a pair of elements adds is silent where one of them is absent."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True, a=rng.uniform(3.4, 3.8))
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.1, (4, 3))
    found = []
    for symbols in (["Cu"], ["Cu", "Ag"], ["Cu", "Ag", "Pd"]):
        with jax.enable_x64(True):
            potential = library.potential(*symbols)
            structures = Structures.from_atoms(atoms, potential.elements)
            neighbors = neighbor_list(structures, potential.cutoff, n_neighbors=96)
            found.append(evaluated(potential, structures, neighbors))
    for other in found[1:]:
        np.testing.assert_array_equal(other.energies, found[0].energies)
    assert np.ptp(found[0].energies) > 1e-6  # eV: they say something of the environment


def test_order_of_symbols_and_of_strata_does_not_matter(library):
    first = library.potential("Cu", "Ag", "Pd")
    turned = dict(reversed(library.strata.items()))
    for other in (library.potential("Pd", "Ag", "Cu", "Ag"), compose(turned, [47, 46, 29])):
        assert jax.tree.structure(other) == jax.tree.structure(first)
        for one, two in zip(jax.tree.leaves(other), jax.tree.leaves(first), strict=True):
            np.testing.assert_array_equal(one, two)
    assert library.potential().elements == (29, 46, 47)
    assert library.stratum("Cu", "Ag") is library.stratum("Ag", "Cu")


def test_adding_twice_is_harmless(library, copied):
    opened = Library.open(copied)
    before = {file.name: file.read_bytes() for file in copied.iterdir()}
    for stratum in library.strata.values():
        assert opened.add(stratum) == copied / f"{stratum.name}.h5"
        opened.add(stratum.with_info(note="other notes, same physics"))
    assert {file.name: file.read_bytes() for file in copied.iterdir()} == before


def test_another_stratum_of_the_same_elements_is_refused(strata, tmp_path):
    opened = Library.create(tmp_path / "lib")
    file = opened.add(strata("Cu")["Cu"])
    content = file.read_bytes()
    other = strata("Cu", seed=1)["Cu"]
    with refused(str(file), "another stratum Cu", "replace it on purpose"):
        opened.add(other)
    assert file.read_bytes() == content
    opened.add(other, replace=True)
    assert Library.open(opened.path).strata["Cu"].physics_hash == other.physics_hash


def test_a_stratum_with_children_is_not_replaced(strata, copied):
    opened, content = Library.open(copied), (copied / "Cu.h5").read_bytes()
    with refused(str(copied), "Ag-Cu, Ag-Cu-Pd, Cu-Pd", "present Cu"):
        opened.add(strata("Cu", seed=1)["Cu"], replace=True)
    assert (copied / "Cu.h5").read_bytes() == content
    assert opened.strata["Cu"].physics_hash == Library.open(copied).strata["Cu"].physics_hash
    opened.add(opened.strata["Cu"].with_info(note="new"), replace=True)  # the same physics
    assert Library.open(copied).strata["Cu"].info["note"] == "new"


def test_a_changed_parent_is_named_with_its_child(library, strata, copied):
    other = strata("Cu", seed=1)["Cu"]
    write_hdf5(copied / "Cu.h5", other.to_tree(), other.attributes(), kind="stratum")
    old = library.strata["Cu"].physics_hash[:12]
    with refused("Ag-Cu", "parent Cu changed", old, f"Cu.h5 has {other.physics_hash[:12]}"):
        Library.open(copied)


def test_a_missing_parent_is_named_with_its_child(library, strata, copied, tmp_path):
    (copied / "Ag.h5").unlink()
    expected = library.strata["Ag"].physics_hash[:12]
    with refused("Ag-Cu", "parent Ag is not in the library", "Ag.h5", expected):
        Library.open(copied)
    target = Library.create(tmp_path / "new")
    with refused("Ag-Cu.h5", "is not in the library"):
        target.add(library.strata["Ag-Cu"])
    assert not (tmp_path / "new").exists()


def test_a_missing_stratum_is_named(strata, tmp_path):
    opened = Library.create(tmp_path / "lib")
    for symbol in ("Cu", "Ag", "Pd"):
        opened.add(strata("Cu", "Pd", "Ag")[symbol])
    with refused(str(opened.path), "no stratum for Ag-Cu;", "Ag, Cu, Pd"):
        opened.potential("Cu", "Ag")
    with refused(str(opened.path), "no stratum for Cu-Pd, Ag-Cu, Ag-Pd, Ag-Cu-Pd"):
        opened.potential()
    with refused(str(opened.path), "no stratum for Au"):
        opened.potential("Au")
    with refused(str(opened.path), "no stratum Ag-Cu", "Ag, Cu, Pd"):
        opened.stratum("Cu", "Ag")
    assert opened.potential("Ag").elements == (47,)


@pytest.mark.parametrize("symbol", ["Xy", "cu", "", "Cu-Ag"])
def test_an_unknown_symbol_is_named(library, symbol):
    with refused(repr(symbol), "not a chemical symbol"):
        library.potential("Cu", symbol)


@pytest.mark.parametrize("kept", [0.95, 0.5, 0.05])
def test_a_truncated_stratum_is_refused(copied, kept):
    file = copied / "Ag-Cu.h5"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with refused(str(file), "truncated"):
        Library.open(copied)


def test_foreign_files_are_refused(copied):
    file = copied / "Cu.h5"
    file.write_bytes(b"")
    with refused(str(file), "not an HDF5 file"):
        Library.open(copied)
    with h5py.File(file, "w") as opened:
        opened["weights"] = np.arange(3.0)
    with refused(str(file), "without the attributes that Stratal writes"):
        Library.open(copied)
    write_hdf5(file, {"positions": np.zeros(3)}, {}, kind="checkpoint")
    with refused(str(file), "holds a checkpoint", "expected a stratum"):
        read_stratum(file)


@pytest.mark.parametrize(
    "path",
    [
        "physics/couplings/Cu/Cu/kernel",
        "physics/couplings/Cu/Cu-Cu/factor",
        "physics/trunks/Cu/biases/00",
        "physics/descriptor/cutoff",
        "physics/descriptor/angular",
    ],
)
def test_altered_physics_is_noticed(copied, path):
    file = copied / "Cu.h5"
    edit(file, path, lambda value: value + 1e-12)
    with refused(str(file), "do not have the hash recorded"):
        Library.open(copied)


@pytest.mark.parametrize(
    "path",
    [
        "physics",
        "hash",
        "physics/trunks/Cu/bias",
        "physics/couplings/Cu/Cu/kernel",
        "physics/parents",
    ],
)
def test_a_missing_part_is_noticed(copied, path):
    file = copied / "Cu.h5"
    with h5py.File(file, "r+") as opened:
        del opened[path]
    with refused(str(file)):
        Library.open(copied)


def test_an_element_that_does_not_exist_is_noticed(copied):
    file = copied / "Cu.h5"
    edit(file, "physics/elements", lambda numbers: numbers + 1000)
    with refused(str(file)):
        Library.open(copied)


def test_files_under_another_name_are_refused_or_read_by_content(copied):
    """The name of a file is no part of what it holds."""
    (copied / "Cu.h5").rename(copied / "renamed.h5")
    assert "Cu" in Library.open(copied).strata


def test_levels_of_theory_do_not_mix(strata):
    one, other = strata("Cu", "Ag", level="PBE"), strata("Cu", "Ag", level="SCAN")
    unstated = strata("Cu", "Ag")
    assert compose({**one, "Ag": unstated["Ag"]}, [29, 47]).elements == (29, 47)
    with refused("different levels of theory", "Cu: PBE", "Ag: SCAN"):
        compose({**unstated, "Cu": one["Cu"], "Ag": other["Ag"]}, [29, 47])


def test_a_library_keeps_to_one_level_of_theory_per_potential(strata, tmp_path):
    opened = Library.create(tmp_path)
    opened.add(strata("Cu", "Ag", level="PBE")["Cu"])
    opened.add(strata("Cu", "Ag", level="SCAN")["Ag"])
    opened.add(strata("Cu", "Ag", level="PBE")["Ag-Cu"])
    with refused(str(tmp_path), "different levels of theory", "PBE", "SCAN"):
        opened.potential("Cu", "Ag")


def test_each_stratum_brings_the_repulsion_of_its_own_pairs(strata):
    made = strata("Cu", "Ag")
    with_zbl = {name: replace(stratum, short_range="zbl") for name, stratum in made.items()}
    mixed = {**made, "Ag-Cu": with_zbl["Ag-Cu"]}

    def energy(strata, atoms):
        potential = compose(strata, [29, 47])
        structures = Structures.from_atoms(atoms, potential.elements)
        neighbors = neighbor_list(structures, potential.cutoff)
        return float(evaluated(potential, structures, neighbors).energy[0])

    for symbols, has_repulsion in (("Cu2", False), ("Ag2", False), ("CuAg", True)):
        pair = Atoms(symbols, [(0, 0, 0), (0, 0, 1.5)])
        without, some, every = (energy(which, pair) for which in (made, mixed, with_zbl))
        assert every > without + 1
        assert some == (every if has_repulsion else without)


def test_descriptors_do_not_mix(strata):
    base = strata("Cu", "Ag")
    wider = replace(base["Cu"].descriptor, cutoff=5.0)
    with refused("Cu and Ag differ in their descriptor"):
        compose({**base, "Ag": strata("Cu", "Ag", descriptor=wider)["Ag"]}, [29, 47])
    with refused("'morse' is not known", "zbl", "close"):
        compose(strata("Cu", short_range="morse"), [29])


def test_four_elements_are_made_of_triples_at_most(strata):
    """Pairs of neighbors are as far as the descriptor sees: quaternaries add nothing."""
    quaternary = strata("Cu", "Pd", "Ag", "Au")
    assert len(quaternary) == 4 + 6 + 4
    assert compose(quaternary, [79, 47, 46, 29]).elements == (29, 46, 47, 79)


def test_folders_that_are_no_library_are_refused(tmp_path):
    with refused(str(tmp_path / "nowhere"), "no such library"):
        Library.open(tmp_path / "nowhere")
    with refused(str(tmp_path), "no strata"):
        Library.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with refused(str(tmp_path / "file"), "is a file"):
        Library.create(tmp_path / "file")
    assert Library.create(tmp_path / "new").strata == {} and not (tmp_path / "new").exists()


def test_the_file_of_one_stratum_stands_for_its_library(copied):
    assert Library.open(copied / "Ag-Cu.h5").elements == (29, 46, 47)
