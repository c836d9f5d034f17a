"""Relaxing a file: streamed, interrupted and gone on with, to the same results bit for bit."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import bulk
from numpy.testing import assert_array_equal

from stratal.errors import InputError
from stratal.files import read_frames, write_frames
from stratal.md.random_cells import random_cells
from stratal.md.relaxation import RelaxConfig
from stratal.md.relaxation import file as relaxation_file
from stratal.md.relaxation.file import relax_file, relax_file_on

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


def test_missing_results_and_a_full_disk_are_said(files, monkeypatch):
    output = files[1]
    partial = relaxation_file.Partial(output)
    output.write_text("short")
    with pytest.raises(InputError, match="5 bytes, where the checkpoint knows 9"):
        partial.cut(9)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device.*Free some space"):
        partial.append([bulk("Cu")])


def full(_):
    raise OSError(28, "No space left on device")


def test_parts_on_workers_give_the_file_too(files, tmp_path):
    structures, output = files
    for _ in range(2):
        done = relax_file_on(structures, output, "emt", CONFIG, tmp_path / "journal", "serial")
        assert done.outcomes == {"converged": len(CELLS)}
    assert [frame.info["name"] for frame in read_frames(output)] == [
        f"cell {number}" for number in range(len(CELLS))
    ]


@pytest.mark.slow
def test_a_process_killed_five_times_gives_the_same_file(files, tmp_path):
    """SIGKILL at random instants of the command itself, with a checkpoint at each block."""
    structures, whole = files
    write_frames(structures, random_cells(1, 40, 4, 8, (29, 47)))
    relax_file(structures, whole, "emt", RelaxConfig(slots=8))
    cut = tmp_path / "cut.extxyz"
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path\n"
        "from stratal.md.relaxation import RelaxConfig\n"
        "from stratal.md.relaxation.file import relax_file\n"
        f"relax_file(Path({str(structures)!r}), Path({str(cut)!r}), 'emt',\n"
        "           RelaxConfig(slots=8), resume=True, interval=0.0)\n"
    )
    rng = np.random.default_rng(int(time.time()))
    checkpoint = tmp_path / "cut.extxyz.checkpoint.h5"
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
    same(whole, cut)
