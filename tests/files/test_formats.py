"""What is written in ASE's formats reads back; what fails leaves nothing behind."""

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from stratal.errors import InputError
from stratal.files import read_frames, write_structures
from stratal.md.structures.random_cells import random_cells

# How closely a format keeps numbers, Å.
SINGLE = {"POSCAR": 1e-12, "a.vasp": 1e-12, "a.xsf": 1e-9, "a.cif": 1e-6, "a.cif.gz": 1e-6}
SEVERAL = {"a.extxyz": 0.0, "a.xyz.gz": 0.0, "a.traj": 0.0, "a.json": 1e-12, "a.cif": 1e-6}


@pytest.mark.parametrize("name", SINGLE)
def test_one_structure_reads_back(name, tmp_path):
    (atoms,) = random_cells(1, 1, 4, 6, (29, 47))
    write_structures(tmp_path / name, [atoms])
    (found,) = read_frames(tmp_path / name)
    assert list(found.symbols) == list(atoms.symbols) and found.pbc.all()
    # CIF tells a cell by lengths and angles: distances are what stays.
    lengths = [each.get_all_distances(mic=True) for each in (found, atoms)]
    assert_allclose(*lengths, atol=10 * SINGLE[name])
    assert_allclose(found.cell.cellpar(), atoms.cell.cellpar(), atol=10 * SINGLE[name])


@pytest.mark.parametrize("name", SEVERAL)
def test_several_structures_read_back(name, tmp_path):
    frames = random_cells(2, 3, 4, 6, (29, 47))
    write_structures(tmp_path / name, frames)
    found = read_frames(tmp_path / name)
    assert len(found) == 3
    for one, other in zip(found, frames, strict=True):
        assert_allclose(one.cell.cellpar(), other.cell.cellpar(), atol=10 * SEVERAL[name] + 1e-12)
        assert np.array_equal(one.numbers, other.numbers)
        assert SEVERAL[name] or np.array_equal(one.positions, other.positions)


def test_a_name_may_be_given(tmp_path):
    frames = random_cells(3, 1, 4, 6, (29,))
    write_structures(tmp_path / "start", frames, "vasp")
    assert (tmp_path / "start").read_text().split()[0] == "Cu"


@pytest.mark.parametrize(
    "name, frames, message",
    [
        ("a.foo", [Atoms("Cu")], "'.foo' is no format that can be written"),
        ("foo", [Atoms("Cu")], "'foo' is no format that can be written"),
        ("a.bundle", [Atoms("Cu")], "bundle"),
        ("a.vasp", [Atoms("Cu"), Atoms("Cu")], "vasp holds one structure, found 2"),
        ("a.vasp", [Atoms("Cu2", [[0, 0, 0], [0, 0, 2]])], "ASE cannot write this as vasp"),
        ("none/a.cif", [Atoms("Cu")], "Create the folder"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(name, frames, message, tmp_path):
    path = tmp_path / name
    if path.parent == tmp_path:
        path.write_text("old")
    with pytest.raises(InputError, match=message):
        write_structures(path, frames)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"] * path.exists()
