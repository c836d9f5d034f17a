"""Structures survive writing and reading; a bad file says which frame and line."""

import gzip
import os

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from stratal.errors import InputError
from stratal.files import as_voigt, read_frames, write_frames


def frame(seed=0, n=3):
    rng = np.random.default_rng(seed)
    atoms = Atoms("CuAgPd"[: 2 * n], rng.uniform(0, 5, (n, 3)), pbc=rng.random(3) < 0.5)
    atoms.cell = np.diag(rng.uniform(4, 6, 3)) + rng.uniform(-0.3, 0.3, (3, 3))
    atoms.info = {"group": f"g {seed}", "fold": seed % 5, "usable": bool(seed % 2), "x": 0.1}
    atoms.arrays["weight"] = rng.normal(size=n)
    atoms.arrays["marked"] = rng.random(n) < 0.5
    results = {
        "energy": rng.normal(),
        "forces": rng.normal(size=(n, 3)),
        "stress": rng.normal(size=6),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def assert_equal(found, expected):
    assert (found.numbers == expected.numbers).all()
    assert (found.pbc == expected.pbc).all()
    assert (found.positions == expected.positions).all()
    assert (found.cell.array == expected.cell.array).all()
    assert found.info == expected.info
    for name in ("weight", "marked"):
        assert (found.arrays[name] == expected.arrays[name]).all()
    for name in ("energy", "forces", "stress"):
        assert (np.asarray(found.calc.results[name]) == expected.calc.results[name]).all()


@settings(max_examples=25, deadline=None)
@given(seeds=st.lists(st.integers(0, 2**31), min_size=1, max_size=3), packed=st.booleans())
def test_roundtrip_is_exact(seeds, packed, tmp_path_factory):
    path = tmp_path_factory.mktemp("xyz") / ("a.extxyz.gz" if packed else "a.extxyz")
    frames = [frame(seed) for seed in seeds]
    write_frames(path, frames)
    for found, expected in zip(read_frames(path), frames, strict=True):
        assert_equal(found, expected)


def test_ase_reads_what_we_write(tmp_path):
    expected = bulk("Cu", cubic=True) * 2
    expected.rattle(0.1, seed=1)
    expected.calc = EMT()
    expected.get_stress()
    write_frames(tmp_path / "a.extxyz", expected)
    (found,) = ase.io.iread(tmp_path / "a.extxyz")
    assert found.get_potential_energy() == expected.get_potential_energy()
    np.testing.assert_array_equal(found.get_forces(), expected.get_forces())
    np.testing.assert_array_equal(found.get_stress(), expected.get_stress())


def test_we_read_what_ase_writes(tmp_path):
    expected = frame(4)
    for name in ("a.extxyz", "a.traj", "a.xyz.gz"):
        ase.io.write(tmp_path / name, [expected, expected])
        found = read_frames(tmp_path / name)
        assert len(found) == 2
        # ASE prints eight digits.
        np.testing.assert_allclose(found[1].get_forces(), expected.get_forces(), atol=1e-8)
        np.testing.assert_allclose(found[1].get_stress(), expected.get_stress(), atol=1e-8)


def test_index(tmp_path):
    write_frames(tmp_path / "a.extxyz", [frame(seed) for seed in range(5)])
    assert [f.info["fold"] for f in read_frames(tmp_path / "a.extxyz", "1:4:2")] == [1, 3]
    assert read_frames(tmp_path / "a.extxyz", -1)[0].info["fold"] == 4
    for index, sentence in (
        (7, "no frame 7; the file has 5"),
        ("x", "does not say which"),
        ("9:", "no"),
    ):
        with pytest.raises(InputError, match=f"a.extxyz: .*{sentence}"):
            read_frames(tmp_path / "a.extxyz", index)


def test_molecule_blank_lines_and_six_stresses(tmp_path):
    head = 'Properties=species:S:1:pos:R:3 Lattice="3 0 0 0 3 0 0 0 3" stress="1 2 3 4 5 6"'
    (tmp_path / "a.xyz").write_text(f"\n1\n\nH 0 0 0\n\n1\n{head}\nH 0 0 0\n\n\n")
    molecule, crystal = read_frames(tmp_path / "a.xyz")
    assert not molecule.pbc.any()
    assert crystal.get_stress().tolist() == [1, 2, 3, 4, 5, 6]


def test_voigt_order():
    tensor = [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    for form in (tensor, np.ravel(tensor), [1, 2, 3, 4, 5, 6]):
        assert as_voigt(form, "here").tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["energy", "forces", "stress", "info", "positions"])
def test_refuses_to_write_nan_and_keeps_the_old_file(tmp_path, name):
    path = tmp_path / "a.extxyz.gz"
    write_frames(path, frame())
    before = path.read_bytes()
    bad = frame(1)
    if name == "info":
        bad.info["info"] = float("nan")
    elif name == "positions":
        bad.positions[1, 2] = np.inf
    else:
        assert bad.calc is not None
        bad.calc.results[name] = bad.calc.results[name] * np.nan
    with pytest.raises(InputError, match=rf"a\.extxyz\.gz, frame 1: {name} holds NaN.*Remove"):
        write_frames(path, [frame(), bad])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_same_frames_same_bytes(tmp_path):
    for name in ("a.extxyz.gz", "b.extxyz.gz"):
        write_frames(tmp_path / name, frame())
    assert (tmp_path / "a.extxyz.gz").read_bytes() == (tmp_path / "b.extxyz.gz").read_bytes()


GOOD = "1\nProperties=species:S:1:pos:R:3\nCu 0 0 0\n"
ASYMMETRIC = GOOD.replace("Prop", 'stress="1 0.5 0 0 1 0 0 0 1" Prop')
BAD_FILES = {
    "truncated": (
        GOOD + "3\nProperties=species:S:1:pos:R:3\nCu 0 0 0\n",
        r"frame 1 \(line 4\): truncated: 1 lines.*expected 3\. Write",
    ),
    "header cut": (GOOD + "1\n", r"frame 1 \(line 4\): truncated: 0 lines"),
    "count wrong": (
        GOOD + "1\n\nCu 0 0 0\nCu 1 1 1\n",
        r"frame 2 \(line 7\): 'Cu 1 1 1' where a frame begins.*Compare",
    ),
    "word for number": (
        GOOD + GOOD.replace("Cu 0 0 0", "Cu 0 zero 0"),
        r"frame 1 \(line 4\): cannot be read.*Mend",
    ),
    "stars": (
        GOOD.replace("Cu 0 0 0", "Cu ***** 0 0"),
        r"frame 0 \(line 1\): cannot be read.*Mend",
    ),
    "column missing": (
        GOOD.replace("Cu 0 0 0", "Cu 0 0"),
        r"frame 0 \(line 1\): cannot be read.*Mend",
    ),
    "unknown symbol": (GOOD.replace("Cu", "Qq"), r"frame 0 \(line 1\): cannot be read.*Mend"),
    "cell short": (
        GOOD.replace("Prop", 'Lattice="1 0 0" Prop'),
        r"frame 0 \(line 1\): cannot be read.*Mend",
    ),
    "asymmetric": (ASYMMETRIC, r"frame 0 \(line 1\), stress: not symmetric.*0\.5.*Check the order"),
    "stress short": (
        GOOD.replace("Prop", 'stress="1 2" Prop'),
        r"frame 0 \(line 1\), stress: .*expected 6 numbers.*Mend",
    ),
    "stress a word": (
        GOOD.replace("Prop", "stress=high Prop"),
        r"frame 0 \(line 1\), stress: 'high'.*Mend",
    ),
    "only blank": ("\n\n", r"no structures"),
    "prose": ("Dear reader\n", r"frame 0 \(line 1\): 'Dear reader' where a frame begins"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files_say_what_is_wrong(tmp_path, text, sentence):
    path = tmp_path / "bad.extxyz"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"bad\.extxyz.*{sentence}"):
        read_frames(path)


def test_other_bad_files(tmp_path):
    cases = {
        "absent.xyz": (None, "no such file; expected structures. Correct"),
        "empty.xyz": (b"", "empty file"),
        "cut.xyz.gz": (gzip.compress(GOOD.encode() * 500)[:-20], "not a whole gzip file.*Copy"),
        "plain.xyz.gz": (GOOD.encode(), "not a whole gzip file.*drop the suffix"),
        "binary.xyz": (b"\xff\xfe\x00", "not text.*suffix of its format"),
        "what.nonsense": (b"what", "ASE does not know this format. Convert"),
        "bad.cif": (b"data_x\nloop_\n", "no structures at.*Check"),
        "bad.traj": (b"not one", "ASE cannot read it.*Check"),
    }
    for name, (content, sentence) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: .*{sentence}"):
            read_frames(tmp_path / name)
    with pytest.raises(InputError, match="is a folder"):
        read_frames(tmp_path)
