"""Carrying out tasks with every executor: the same results, whatever the tasks do."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.slurm.work import MISBEHAVIOUR, fail_times, square

from stratal.errors import InputError
from stratal.slurm.executor import Serial, open_executor
from stratal.slurm.journal import Journal
from stratal.slurm.perform import Stopped, TaskFailed, perform
from stratal.slurm.show import as_text
from stratal.slurm.tasks import Task

MPIEXEC = str(Path(sys.executable).parent / "mpiexec")
LAUNCHERS = {"serial": [], "dask": [], "mpi": [MPIEXEC, "-n", "3"]}
KINDS = list(LAUNCHERS)


def command(what, kind, *arguments):
    """The script in `work` with its launcher."""
    script = [sys.executable, "-m", "tests.slurm.work", what, kind, *map(str, arguments)]
    return [*LAUNCHERS[kind], *script]


def script(what, kind, *arguments):
    """Run the script in `work` and give what it prints."""
    line = command(what, kind, *arguments)
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_poison_is_isolated_and_reported_and_the_rest_is_done(kind, tmp_path):
    said = dict(line.split(": ") for line in script("poisoned", kind, tmp_path))
    expected = {**MISBEHAVIOUR, "unpicklable": "unpicklable"}
    expected |= {f"square {n}": str(n**2) for n in range(30)}
    assert said == expected
    text = as_text(tmp_path)
    assert "ended by SIGSEGV" in text and "longer than the 5 s" in text
    assert "more than the 0.5 GB" in text and "ValueError: as asked" in text


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shared_arrives_everywhere(kind, tmp_path):
    assert script("shared", kind, tmp_path) == [str([10, 11, 12, 13, 14])]


class Threads(Serial):
    """Four orders at a time."""

    n_workers = window = 4

    def __init__(self):
        self.pool = ThreadPoolExecutor(4)
        self.submitted = 0

    def submit(self, *arguments):
        self.submitted += 1
        return self.pool.submit(*arguments)


def test_a_rerun_does_nothing_again_and_equal_tasks_are_done_once(tmp_path):
    tasks = [Task(square, (n // 2, 0.05)) for n in range(10)]
    expected = [(n // 2) ** 2 for n in range(10)]
    threads = Threads()
    with Journal(tmp_path) as journal:
        assert sorted(o.result() for o in perform(tasks, journal, threads)) == expected
    assert threads.submitted == 5

    class Nobody(Serial):
        def submit(self, *arguments):
            raise AssertionError("nothing is left to do")

    with Journal(tmp_path) as journal:
        assert sorted(o.result() for o in perform(tasks, journal, Nobody())) == expected


def test_tasks_may_wait_for_others_and_are_asked_for_late(tmp_path):
    asked, done, told = [], [], []

    def source():
        for number in range(6):
            while len(done) < number - 2:  # which depends on that three before
                yield None
            asked.append(number)
            yield Task(square, (number,), name=str(number))

    class Many(Threads):
        n_workers, window = 2, 50

        def submit(self, *arguments):
            told.append(asked[-1])
            assert len(asked) - len(done) <= 4  # one for each, one to spare, one on its way
            return super().submit(*arguments)

    noted = []
    with Journal(tmp_path) as journal:
        how = {"late": True, "before_sending": lambda: noted.append(asked[-1])}
        for outcome in perform(source(), journal, Many(), **how):
            done.append(outcome.result())
    assert sorted(done) == [number**2 for number in range(6)]
    assert set(told) <= set(noted) and noted[-1] == 5


def test_a_task_is_tried_again_as_often_as_it_may(tmp_path):
    for name, retries, expected in (("a", 2, 2), ("b", 1, None)):
        (tmp_path / name).mkdir()
        with Journal(tmp_path / f"journal {name}") as journal:
            task = Task(fail_times, (str(tmp_path / name), 2))
            (outcome,) = perform([task], journal, Serial(), retries=retries)
            if expected is not None:
                assert outcome.result() == expected
                continue
            with pytest.raises(TaskFailed, match="call 1"):
                outcome.result()


def test_a_signal_stops_the_run_and_the_next_goes_on(tmp_path):
    tasks = [Task(square, (n,)) for n in range(8)]
    found = []
    with Journal(tmp_path) as journal, pytest.raises(Stopped, match="SIGTERM; run again"):
        for outcome in perform(tasks, journal, Serial()):
            found.append(outcome.result())
            if len(found) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
    assert 2 <= len(found) < 8
    with Journal(tmp_path) as journal:
        assert journal.counts()["running"] == 0
        assert sorted(o.result() for o in perform(tasks, journal, Serial())) == [
            n**2 for n in range(8)
        ]


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_nothing_is_lost(full_disk):
    tasks = [Task(bytes, (40_000 + n,)) for n in range(10)]
    found = []
    for expected in ("full", "enough"):
        if expected == "enough":
            subprocess.run(["mount", "-o", "remount,size=3m", str(full_disk)], check=True)
        with Journal(full_disk / "run") as journal, open_executor("serial") as executor:
            try:
                for outcome in perform(tasks, journal, executor):
                    found.append(len(outcome.result()))
            except InputError as error:
                assert expected == "full" and "Free some space and run again" in str(error)
                assert 0 < len(found) < 10
                before, found = found, []
    assert found == [40_000 + n for n in range(10)] and found[: len(before)] == before


def test_unknown_executors_and_missing_packages_are_refused(monkeypatch):
    with pytest.raises(InputError, match="give one of serial, mpi, dask"), open_executor("slurm"):
        pass
    for kind, module in (("dask", "distributed"), ("mpi", "mpi4py")):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, "stratal.slurm.dask", raising=False)
        with pytest.raises(InputError, match=rf"stratal\[{kind}\]"), open_executor(kind):
            pass
