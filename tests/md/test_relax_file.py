"""Relaxing a file: streamed, interrupted and gone on with, to the same results bit for bit."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.testing import assert_array_equal

from stratal.errors import InputError
from stratal.files import Checkpoint, read_frames, write_frames
from stratal.md.relaxation import Outcome, RelaxConfig, Relaxed, streams
from stratal.md.relaxation import file as relaxation_file
from stratal.md.relaxation.file import relax_file, relax_file_on
from stratal.md.relaxation.results import as_arrays, from_arrays, read_relaxed, write_relaxed
from stratal.md.relaxation.streams import Partial, Parts
from stratal.md.structures.random_cells import random_cells

CONFIG = RelaxConfig(slots=4, fmax=0.02)
CELLS = random_cells(0, 6, 3, 6, (29, 47))


@pytest.fixture
def files(tmp_path):
    structures = tmp_path / "candidates.extxyz"
    for number, atoms in enumerate(CELLS):
        atoms.info["name"] = f"cell {number}"
    write_frames(structures, CELLS)
    return structures, tmp_path / "relaxed.extxyz"


def same(one, other):
    """Whether two files hold the same structures and labels, bit for bit."""
    for a, b in zip(read_frames(one), read_frames(other), strict=True):
        assert_array_equal(a.positions, b.positions)
        assert_array_equal(a.cell.array, b.cell.array)
        assert_array_equal(a.get_forces(), b.get_forces())
        assert a.get_potential_energy() == b.get_potential_energy()
        assert a.info == b.info


class Killed(Exception):
    """Stands for a death at this instant."""


def test_a_run_killed_at_any_instant_goes_on_to_the_same_result(files, tmp_path, monkeypatch):
    structures, whole = files
    done = relax_file(structures, whole, "emt", CONFIG)
    assert done.outcomes == {"converged": len(CELLS)} and done.stopped_by is None
    assert [frame.info["name"] for frame in read_frames(whole)] == [
        f"cell {number}" for number in range(len(CELLS))
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [structures.name, whole.name]

    rng = np.random.default_rng(0)
    real, cut = relaxation_file.shrinking, tmp_path / "cut.extxyz"
    kills = 0
    while not cut.exists():
        left = int(rng.integers(1, 6))

        def dying(flight):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(flight)

        monkeypatch.setattr(relaxation_file, "shrinking", dying if kills < 5 else real)
        # A checkpoint after every block, or after every second: what came later is done again.
        interval = 0.0 if kills % 2 else 0.3
        try:
            relax_file(structures, cut, "emt", CONFIG, resume=True, interval=interval)
        except Killed:
            kills += 1
    assert kills == 5
    same(whole, cut)


def test_a_signal_stops_with_a_checkpoint(files, tmp_path, monkeypatch):
    structures, output = files
    real = relaxation_file.shrinking

    def signalled(flight):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(flight)

    monkeypatch.setattr(relaxation_file, "shrinking", signalled)
    assert relax_file(structures, output, "emt", CONFIG).stopped_by == "SIGTERM"
    monkeypatch.setattr(relaxation_file, "shrinking", real)
    assert not output.exists()
    with pytest.raises(InputError, match="left by a run that was cut short"):
        relax_file(structures, output, "emt", CONFIG)
    other = RelaxConfig(slots=4, fmax=0.03)
    with pytest.raises(InputError, match="of other structures, another potential or other"):
        relax_file(structures, output, "emt", other, resume=True)
    partial = tmp_path / "relaxed.extxyz.partial.extxyz"
    kept = partial.read_bytes()
    partial.write_bytes(kept + b"5\nhalf a fra")  # as a death leaves it
    assert relax_file(structures, output, "emt", CONFIG, resume=True).outcomes.total() == 6
    assert len(read_frames(output)) == 6


def test_missing_results_and_a_full_disk_are_said(files, tmp_path, monkeypatch):
    output = files[1]
    partial = Partial(output)
    output.write_text("short")
    with pytest.raises(InputError, match="5 bytes, where the checkpoint knows 9"):
        partial.cut(9)
    parts = Parts(tmp_path / "relaxed.h5.parts")
    with pytest.raises(InputError, match="0 parts, where the checkpoint knows 1"):
        parts.cut(1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device.*Free some space"):
        partial.append([relaxed(0)])
    parts.append([relaxed(0)])
    with pytest.raises(InputError, match=r"No space left on device.*run again with --resume"):
        parts.mark()
    assert list(parts.path.iterdir()) == []


def full(_):
    raise OSError(28, "No space left on device")


def test_parts_on_workers_give_the_file_too(files, tmp_path):
    structures, output = files
    for path in (output, tmp_path / "relaxed.h5"):
        done = relax_file_on(structures, path, "emt", CONFIG, tmp_path / "journal", "serial")
        assert done.outcomes == {"converged": len(CELLS)}
    assert [result.number for result in read_relaxed(path)] == list(range(len(CELLS)))
    assert [frame.info["name"] for frame in read_frames(output)] == [
        f"cell {number}" for number in range(len(CELLS))
    ]


DEATHS = (
    ("a block", relaxation_file, "shrinking", 2, False),
    ("before a part", streams, "write_hdf5", 1, False),
    ("a part without its checkpoint", streams, "write_hdf5", 2, True),
    ("a checkpoint", Checkpoint, "save", 2, True),
    ("before the output", streams, "joined", 1, False),
    ("the output, all else left", Checkpoint, "remove", 1, False),
    ("the output, parts left", Parts, "remove", 1, False),
)


def test_hdf5_is_whole_or_absent_and_the_same_after_any_death(files, tmp_path, monkeypatch):
    structures = files[0]
    whole, cut, parts = tmp_path / "whole.h5", tmp_path / "cut.h5", tmp_path / "cut.h5.parts"
    assert relax_file(structures, whole, "emt", CONFIG).outcomes == {"converged": len(CELLS)}
    assert sorted(path.name for path in tmp_path.iterdir()) == [structures.name, whole.name]
    for instant, place, name, count, after in DEATHS:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, dying(getattr(place, name), count, after))
            with pytest.raises(Killed):
                relax_file(structures, cut, "emt", CONFIG, resume=True, interval=0.0)
        assert cut.exists() == instant.startswith("the output"), instant
        if parts.exists():
            (parts / ".stratal-x.h5").write_bytes(b"half")  # as a death leaves it
    assert whole.read_bytes() == cut.read_bytes()
    cut.unlink()
    assert relax_file(structures, cut, "emt", CONFIG, resume=True).outcomes.total() == len(CELLS)
    assert whole.read_bytes() == cut.read_bytes()
    assert not parts.exists() and not (tmp_path / "cut.h5.checkpoint.h5").exists()


def dying(function, count, after):
    """A function that dies at the call of this number, before or after its work."""

    def called(*arguments, **settings):
        nonlocal count
        count -= 1
        if count == 0 and not after:
            raise Killed
        result = function(*arguments, **settings)
        if count == 0:
            raise Killed
        return result

    return called


def test_both_formats_give_back_the_same_results(files, tmp_path):
    structures, output = files
    relax_file(structures, output, "emt", CONFIG)
    relax_file(structures, tmp_path / "x.h5", "emt", CONFIG)
    one, other = read_relaxed(output), read_relaxed(tmp_path / "x.h5")
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        assert a.number == b.number == number and a.outcome == b.outcome == Outcome.CONVERGED
        assert a.atoms.info == b.atoms.info == {"name": f"cell {number}"}
        assert_array_equal(a.atoms.positions, b.atoms.positions)
        assert_array_equal(a.atoms.get_stress(), b.atoms.get_stress())
        assert (a.energy, a.n_steps) == (b.energy, b.n_steps)
    with pytest.raises(InputError, match=r"candidates.extxyz, frame 0: no outcome"):
        read_relaxed(structures)


def relaxed(number, **labels):
    """A result of two atoms that brings all sorts of things along."""
    atoms = bulk("Cu") * (2, 1, 1)
    atoms.set_tags([1, 2])
    atoms.info |= {"name": "Cu", "list": [1, 2], "vector": np.arange(3.0), "outcome": "before"}
    results = {"energy": -1.0 / 3, "forces": np.full((2, 3), 1e-3), **labels}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return Relaxed(number, atoms, Outcome.TOO_CLOSE, 7, 1e-3, float("nan"))


@pytest.mark.parametrize("ending", ["h5", "extxyz"])
def test_all_that_a_structure_has_comes_back(tmp_path, ending):
    path = tmp_path / f"relaxed.{ending}"
    given = [relaxed(1), relaxed(0, stress=np.arange(6.0))]
    assert write_relaxed(path, given) == {"too close": 2}
    first, second = read_relaxed(path)
    assert_array_equal(first.atoms.get_stress(), np.arange(6.0))
    with pytest.raises(PropertyNotImplementedError):
        second.atoms.get_stress()
    for found in (first, second):
        assert (found.outcome, found.n_steps, found.largest_force) == (Outcome.TOO_CLOSE, 7, 1e-3)
        assert np.isnan(found.grade) and found.energy == -1.0 / 3
        assert found.atoms == given[0].atoms and found.atoms.pbc.all()
        assert_array_equal(found.atoms.get_tags(), [1, 2])
        assert_array_equal(found.atoms.info["vector"], np.arange(3.0))
        assert found.atoms.info["name"] == "Cu" and "outcome" not in found.atoms.info


def test_what_json_cannot_hold_is_kept_as_text():
    result = relaxed(0)
    result.atoms.info["thing"] = Outcome
    (found,) = from_arrays(as_arrays([result]))
    assert "Outcome" in found.atoms.info["thing"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["extxyz", "h5"])
def test_a_process_killed_five_times_gives_the_same_file(files, tmp_path, ending):
    """SIGKILL at random instants of the command itself, with a checkpoint at each block."""
    structures, whole = files[0], tmp_path / f"whole.{ending}"
    write_frames(structures, random_cells(1, 40, 4, 8, (29, 47)))
    relax_file(structures, whole, "emt", RelaxConfig(slots=8))
    cut = tmp_path / f"cut.{ending}"
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path\n"
        "from stratal.md.relaxation import RelaxConfig\n"
        "from stratal.md.relaxation.file import relax_file\n"
        f"relax_file(Path({str(structures)!r}), Path({str(cut)!r}), 'emt',\n"
        "           RelaxConfig(slots=8), resume=True, interval=0.0)\n"
    )
    rng = np.random.default_rng(int(time.time()))
    checkpoint = tmp_path / f"cut.{ending}.checkpoint.h5"
    kills = 0
    while not cut.exists():
        before = checkpoint.stat().st_mtime if checkpoint.exists() else 0.0
        process = subprocess.Popen([sys.executable, str(script)])
        # After it has got some way: a checkpoint newer than the last.
        while process.poll() is None and kills < 5:
            if checkpoint.exists() and checkpoint.stat().st_mtime > before:
                time.sleep(float(rng.uniform(0, 0.3)))
                process.kill()
                kills += 1
                break
            time.sleep(0.01)
        process.wait()
    assert kills == 5
    if ending == "h5":
        assert whole.read_bytes() == cut.read_bytes()
    else:
        same(whole, cut)
