"""Labelled data: what enters is right, what is dropped is counted, groups stay whole."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stratal.cli.data import data as data_command
from stratal.errors import InputError
from stratal.files import read_frames, write_frames
from stratal.potentials.data import (
    energy_above_hull,
    k_folds,
    read_labelled,
    select,
    shortest_contact,
    split_by_group,
    stress_suspects,
    summarize,
)


def labelled(atoms, **results):
    """A frame with EMT's labels, or with those given."""
    if not results:
        atoms.calc = EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def alloy(seed, n_silver=1, scale=1.0):
    atoms = bulk("Cu", cubic=True)
    atoms.numbers[:n_silver] = 47
    atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
    atoms.rattle(0.05, seed=seed)
    atoms.info["group"] = f"g{seed % 4}"
    return labelled(atoms)


@pytest.fixture(scope="module")
def alloys(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "alloys.extxyz"
    write_frames(path, [alloy(seed, seed % 3) for seed in range(24)])
    return read_labelled(path, "EMT")


# file: structures and whether they have stresses, by the files' own description; offsets of
# stresses (GPa), by hand from energies of uniaxial or isotropic strains
REAL = {
    "AgPd_vasp": (1154, True, [-0.6] * 5),
    "CuAg_maise_vasp": (342, True, []),
    "CuPd_vasp_relaxed": (110, True, []),
    "Cu_ace21_1k": (889, False, []),
    "Cu_poet19": (150, False, []),
    "cupdag_nequix_large": (454, True, []),
    "mlearn_Cu": (293, True, [2.6]),
    "mlearn_Ni": (294, True, [3.1]),
    "mlearn_Si": (239, True, []),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_pass_the_door(shared, name):
    path = shared / "data" / "potentials" / f"{name}.extxyz.gz"
    if not path.is_file():
        pytest.skip(f"no reference data: {path} is absent")
    data = read_labelled(path, "DFT")
    n, has_stress, offset = REAL[name]
    assert len(data) == n
    assert data.has_forces.all()
    assert data.has_stress.all() == has_stress
    # Signs were checked by others; some are off the derivative of the energies.
    suspects = stress_suspects(data)
    offsets = [suspect.offset / units.GPa for suspect in suspects if not suspect.order]
    np.testing.assert_allclose(offsets, offset, atol=0.2)
    orders = [suspect.order for suspect in suspects if suspect.order]
    assert orders == (["xz, yz, xy"] if name in ("mlearn_Cu", "mlearn_Ni") else [])


def test_cu_ag_folds_and_published_energy_window(shared):
    path = shared / "data" / "potentials" / "CuAg_maise_vasp.extxyz.gz"
    data = read_labelled(path, "PBE", group_key="fold")
    assert Counter(data.groups).keys() == set("01234")
    folds = k_folds(data, key="fold")
    assert len(folds) == 5
    assert sum(len(held) for _, held in folds) == 342
    usable = [bool(frame.info["usable"]) for frame in data.frames]
    assert len(select(data, mask=usable).data) == sum(usable)


def test_reversed_stresses_of_real_data_are_found(shared):
    data = read_labelled(shared / "data" / "potentials" / "cupdag_nequix.extxyz.gz", "teacher")
    curves = data.take(np.array([group.startswith("eos") for group in data.groups]))
    assert stress_suspects(curves) == ()
    suspects = stress_suspects(replace(curves, stress=-curves.stress))
    assert len(suspects) == 9  # hcp, diamond and the lattices of one atom, of three elements
    # Differences over coarse steps: a few percent.
    np.testing.assert_allclose([s.ratio for s in suspects], -1.0, atol=0.1)


def test_writing_and_reading_keeps_all(alloys, tmp_path):
    write_frames(tmp_path / "a.extxyz.gz", alloys.to_frames())
    again = read_labelled(tmp_path / "a.extxyz.gz")  # the level of theory is in the file
    assert again.level_of_theory == "EMT"
    assert again.groups == alloys.groups
    np.testing.assert_array_equal(again.energy, alloys.energy)
    np.testing.assert_array_equal(again.stress, alloys.stress)
    for found, expected in zip(again.forces, alloys.forces, strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_labels_under_other_names_and_virial(tmp_path):
    expected = alloy(1)
    frame = expected.copy()
    frame.info["REF_energy"] = expected.get_potential_energy()
    frame.arrays["REF_forces"] = expected.get_forces()
    frame.info["virial"] = -expected.get_stress(voigt=False) * expected.get_volume()
    frame.info["my_energy"] = 7.0
    write(tmp_path / "a.extxyz", frame)
    found = read_labelled(tmp_path / "a.extxyz", "EMT")
    assert found.energy[0] == expected.get_potential_energy()
    np.testing.assert_allclose(
        np.asarray(found.forces[0]), expected.get_forces(), atol=1e-8
    )  # ASE prints eight digits
    np.testing.assert_allclose(found.stress[0], expected.get_stress(), atol=1e-12)
    assert read_labelled(tmp_path / "a.extxyz", "EMT", energy_key="my_energy").energy[0] == 7.0


def good():
    return alloy(3)


def changed(**changes):
    frame = good()
    assert frame.calc is not None
    results = {**frame.calc.results, **changes}
    # Set past the constructor, which would refuse some of them.
    frame.calc.results = {name: value for name, value in results.items() if value is not None}
    return frame


def noted(**info):
    frame = good()
    frame.info.update(info)
    return frame


def moved(positions=None, cell=None):
    frame = Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]] if positions is None else positions)
    frame.cell, frame.pbc = np.eye(3) * 6 if cell is None else cell, True
    return labelled(frame, energy=-1.0)


def unknown_element():
    frame = good()
    frame.numbers[2] = 0
    return frame


TINY = np.diag([0.2, 8.0, 8.0])
SKEWED = np.array([[1, 0, 0], [7.1, 0.2, 0], [0, 0, 9.0]])  # a short vector hides in it
NAN = float("nan")
BAD_FRAMES = {
    "no energy": (changed(energy=None), r"no energy under energy, .*1 of 2 frames.*--energy-key"),
    "energy NaN": (changed(energy=NAN), "energy is nan; expected a finite.*Remove the frame"),
    "energy a word": (changed(energy="low"), "energy is 'low'; expected one number.*Mend"),
    "forces NaN": (changed(forces=np.full((4, 3), NAN)), "force on atom 0 is .*Remove the frame"),
    "forces short": (changed(forces=np.ones((4, 2))), r"shape \(4, 2\); expected \(4, 3\).*Mend"),
    "stress NaN": (changed(stress=np.full(6, NAN)), "stress is .*nan.*Remove the stress"),
    "stress shape": (changed(stress=np.ones(4)), r"stress: .*shape \(4,\); expected 6.*Mend"),
    "stress skew": (changed(stress=np.triu(np.ones((3, 3)))), "not symmetric.*Check the order"),
    "stress kbar": (changed(stress=np.full(6, 50.0)), "up to 50; expected eV/Å³.*kbar.*divide by"),
    "no element": (unknown_element(), r"atom 2 has no element \('X'\).*Correct the symbol"),
    "overlap": (moved([[0, 0, 0], [0.1, 0, 0]]), "atoms 0 and 1 are 0.100 Å.*Check the cell"),
    "across": (moved([[0.1, 0, 0], [5.95, 0, 0]]), "atoms 0 and 1 are 0.150 Å.*Check the cell"),
    "tiny cell": (moved([[0, 0, 0], [0, 4, 0]], TINY), "images of atom 0 are 0.200 Å"),
    "skewed cell": (moved([[0, 0, 0], [0, 0, 4]], SKEWED), "images of atom 0 are 0.224 Å"),
    "flat cell": (moved(cell=np.diag([6, 6, 0.0])), "cell vector is zero.*Give the cell"),
    "no volume": (moved(cell=[[6, 0, 0], [0, 6, 0], [6, 6, 0]]), "no volume.*Mend the cell"),
    "position": (moved([[0, 0, 0], [NAN, 0, 0]]), "position of atom 1 is not finite. Mend"),
    "two energies": (noted(dft_energy=5.0), "energy and dft_energy .*differ.*--energy-key energy"),
    "other level": (noted(level_of_theory="LDA"), "'LDA'.*expected one level.*separately"),
}


@pytest.mark.parametrize(("bad", "sentence"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frames_say_where_what_and_how(tmp_path, bad, sentence):
    path = tmp_path / "bad.traj"  # holds whatever it is given, unlike our own writer
    write(path, [good(), bad])
    with pytest.raises(InputError, match=rf"bad\.traj, frame 1\b.*{sentence}"):
        read_labelled(path, "EMT")


def test_bad_files_and_options(tmp_path):
    one, two = tmp_path / "one.extxyz", tmp_path / "two.extxyz"
    write_frames(one, noted(level_of_theory="PBE"))
    write_frames(two, [noted(level_of_theory="PBE"), noted(level_of_theory="r2SCAN")])
    with pytest.raises(InputError, match=r"one.*'PBE', but .*two\.extxyz, frame 1 is 'r2SCAN'"):
        read_labelled([one, two])
    with pytest.raises(InputError, match="'PBE', but --level-of-theory is 'LDA'"):
        read_labelled(one, "LDA")
    write_frames(two, good())
    with pytest.raises(InputError, match=r"two\.extxyz, frame 0: no level.*--level-of-theory"):
        read_labelled([one, two])
    with pytest.raises(InputError, match=r"frame 0: no group under 'fold'; .*group.*--group-key"):
        read_labelled(two, "EMT", group_key="fold")
    with pytest.raises(InputError, match=r"frame 0: species Ag unknown; covered are Cu"):
        read_labelled(two, "EMT", elements=["Cu"])
    with pytest.raises(InputError, match="'Coper' is no chemical symbol"):
        read_labelled(two, "EMT", elements=["Coper"])
    with pytest.raises(InputError, match="no files given"):
        read_labelled([])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 4))
@example(seed=698, n=2)  # ASE's nearest images miss these two in the cell as it is given
@example(seed=3070, n=2)
def test_shortest_contact_agrees_with_a_supercell(seed, n):
    rng = np.random.default_rng(seed)
    cell = rng.uniform(-3, 3, (3, 3))
    if abs(np.linalg.det(cell)) < 2:
        cell += 4 * np.eye(3)
    frame = Atoms("Cu" * n, rng.uniform(-2, 2, (n, 3)) @ cell, cell=cell, pbc=True)
    shifts = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3), axis=-1).reshape(-1, 3) @ cell
    apart = frame.positions[:, None] - frame.positions[None]
    lengths = np.linalg.norm(apart[:, :, None] + shifts, axis=-1)
    lengths[np.eye(n, dtype=bool)[..., None] & (np.linalg.norm(shifts, axis=1) < 1e-9)] = np.inf
    expected = lengths.min()
    if np.linalg.norm(cell, axis=1).max() < 8 and np.linalg.cond(cell) < 6:  # 15 images suffice
        assert shortest_contact(frame)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("pbc", [True, False, (True, True, False)])
def test_shortest_contact_of_many_atoms(pbc):
    frame = bulk("Cu", cubic=True) * 3
    frame.pbc = pbc
    frame.rattle(0.1, seed=2)
    distances = frame.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    assert shortest_contact(frame)[0] == pytest.approx(distances.min(), abs=1e-9)
    assert shortest_contact(Atoms("Cu"))[0] == np.inf


def test_summary_finds_duplicates_outliers_and_net_forces(tmp_path):
    frames = [alloy(seed) for seed in range(12)]
    copy = frames[4].copy()
    order = np.random.default_rng(0).permutation(4)
    copy = copy[order]  # other order and origin, turned by a quarter
    copy.positions += [0.3, 0.2, 0.1]
    copy.rotate(90, "z", rotate_cell=True)
    frames.append(labelled(copy))
    high = alloy(20)
    pulled = alloy(21)
    high = labelled(high, energy=high.get_potential_energy() + 40.0)
    pulled = labelled(
        pulled, energy=pulled.get_potential_energy(), forces=pulled.get_forces() + 60.0
    )
    write_frames(tmp_path / "a.extxyz", [*frames, high, pulled])
    summary = summarize(read_labelled(tmp_path / "a.extxyz", "EMT"))
    path = tmp_path / "a.extxyz"
    assert summary.duplicates == ((f"{path}, frame 4", f"{path}, frame 12"),)
    assert [outlier.source for outlier in summary.outliers] == [
        f"{path}, frame 13",
        f"{path}, frame 14",
    ]
    assert "robust deviations from the median of AgCu3" in summary.outliers[0].reason
    assert any("do not sum to zero" in warning for warning in summary.warnings)
    assert summary.by_elements == {"Ag-Cu": 15}
    assert json.loads(json.dumps(summary.as_dict()))["n_frames"] == 15


def test_stress_of_wrong_sign_is_suspected(tmp_path):
    frames = []
    for scale in (0.96, 0.98, 1.0, 1.02, 1.04):
        frames.append(labelled(bulk("Cu", a=3.6 * scale)))
    write_frames(tmp_path / "a.extxyz", frames)
    data = read_labelled(tmp_path / "a.extxyz", "EMT")
    assert stress_suspects(data) == ()
    (suspect,) = stress_suspects(replace(data, stress=-data.stress))
    assert suspect.ratio == pytest.approx(-1, abs=0.1)
    (unit,) = stress_suspects(replace(data, stress=160 * data.stress))
    assert "another unit" in str(unit)


def test_a_pressure_that_the_energies_do_not_know_is_found(tmp_path):
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(8):
        atoms = bulk("Cu", cubic=True)
        strain = 0.005 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain + strain.T), scale_atoms=True)
        frames.append(labelled(atoms))
    write_frames(tmp_path / "a.extxyz", frames)
    data = read_labelled(tmp_path / "a.extxyz", "EMT")
    assert stress_suspects(data) == ()
    pressure = 2.0 * units.GPa * np.array([1, 1, 1, 0, 0, 0])
    (suspect,) = stress_suspects(replace(data, stress=data.stress + pressure))
    assert suspect.offset == pytest.approx(2.0 * units.GPa, rel=0.1)
    assert "stress_weight = 0" in str(suspect)
    as_vasp = [0, 1, 2, 5, 3, 4]  # xx yy zz xy yz zx taken for xx yy zz yz xz xy
    (suspect,) = stress_suspects(replace(data, stress=data.stress[:, as_vasp]))
    assert suspect.order == "xy, yz, xz"


def test_hull_is_the_lowest_for_one_composition_and_a_chord_for_several(alloys):
    pure = select(alloys, elements=["Cu"]).data
    expected = pure.energy_per_atom - pure.energy_per_atom.min()
    np.testing.assert_allclose(energy_above_hull(pure), expected, atol=1e-12)
    assert energy_above_hull(alloys).min() == 0.0
    silver = np.array([(frame.numbers == 47).mean() for frame in alloys.frames])
    for middle, expected in ((0.0, 2.0), (-5.0, 0.0)):  # above and below the chord at -2 eV/atom
        per_atom = np.select([silver == 0, silver == 0.25], [-1.0, middle], -3.0)
        above = energy_above_hull(replace(alloys, energy=per_atom * alloys.n_atoms))
        np.testing.assert_allclose(above[silver == 0.25], expected, atol=1e-9)
        np.testing.assert_allclose(above[silver != 0.25], 0.0, atol=1e-9)


def test_selection_counts_add_up(alloys):
    mask = np.arange(24) % 6 > 0
    selection = select(alloys, 0.02, max_force=1.5, elements=["Cu", "Ag"], mask=mask)
    rows = dict(selection.rows())
    assert rows["masked"] == 4
    assert rows["read"] - sum(count for _, count in selection.dropped) == rows["left"]
    forces = np.concatenate([np.asarray(f) for f in selection.data.forces])
    assert np.linalg.norm(forces, axis=1).max() <= 1.5
    with pytest.raises(InputError, match=r"none of 24 .*force above 0 eV/Å: 24.*Loosen"):
        select(alloys, max_force=0.0)
    with pytest.raises(InputError, match=r"mask: shape \(2,\).*expected \(24,\)"):
        select(alloys, mask=[True, False])


@settings(max_examples=50, deadline=None)
@given(
    names=st.lists(st.sampled_from(["", "a", "b", "c", "d", "e"]), min_size=24, max_size=24),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 100),
)
def test_splits_never_divide_a_group(alloys, names, fraction, seed):
    data = replace(alloys, groups=tuple(names))
    if len(set(names)) == 1 and names[0]:
        with pytest.raises(InputError, match="one group"):
            split_by_group(data, fraction, seed)
        return
    train, held = split_by_group(data, fraction, seed)
    assert sorted([*train.sources, *held.sources]) == sorted(data.sources)
    assert len(train) > 0 < len(held)
    assert not (set(train.groups) & set(held.groups)) - {""}
    assert split_by_group(data, fraction, seed)[1].sources == held.sources


def test_folds(alloys):
    folds = k_folds(alloys, 4, seed=1)
    assert sorted(s for _, held in folds for s in held.sources) == sorted(alloys.sources)
    for train, held in folds:
        assert not set(train.groups) & set(held.groups)
    with pytest.raises(InputError, match=r"5 folds of 4 groups.*Choose fewer"):
        k_folds(alloys, 5)
    with pytest.raises(InputError, match="frame 0: no fold under 'fold'"):
        k_folds(alloys, key="fold")
    with pytest.raises(InputError, match=r"fraction 1\.5; expected one between"):
        split_by_group(alloys, 1.5)


def test_command_writes_parts_summary_and_report(alloys, tmp_path, monkeypatch):
    import typer
    from typer.testing import CliRunner

    app = typer.Typer()
    app.command()(data_command)
    monkeypatch.chdir(tmp_path)
    write_frames("in.extxyz", alloys.to_frames())
    options = "--split 0.25 --max-force 2 -o out.extxyz.gz --json out.json --report out.html"
    result = CliRunner().invoke(app, ["in.extxyz", *options.split()], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    parts = [read_frames(f"out.{name}.extxyz.gz") for name in ("train", "test")]
    summary = json.loads((tmp_path / "out.json").read_text())
    assert sum(map(len, parts)) == summary["n_frames"] == summary["selection"]["left"]
    assert "Structures by group" in (tmp_path / "out.html").read_text()
    assert "level of theory" in result.output
