"""SIGKILL of real processes at random instants, a full disk, Ctrl-C: nothing finished is lost.

Four kills of each kind by default; ``STRATAL_KILLS=20 pytest -m slow`` does twenty.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import replace

import psutil
import pytest
from tests.slurm.test_kill import wait_for_end
from tests.slurm.test_perform import LAUNCHERS, full_disk  # noqa: F401 (a fixture)

from stratal.errors import InputError
from stratal.files.hdf5 import read_hdf5
from stratal.md.search.run import search
from stratal.md.search.settings import SearchConfig
from stratal.potentials import EMT
from stratal.slurm.executor import Serial, open_executor
from stratal.slurm.perform import Stopped

KILLS = int(os.environ.get("STRATAL_KILLS", "4"))
COUNT = 120 + 20 * KILLS  # so many that it is not over before the last
SETTINGS = f"""
[search]
elements = ["Cu", "Au"]
n_atoms = [1, 3]
relaxations = {COUNT}
starts = 16
batch = 4
fmax = 0.05
"""


def start(kind, settings, folder):
    """The command, with all its processes in one session."""
    command = [sys.executable, "-m", "stratal", "search", settings, "--potential", "emt"]
    with said(folder).open("ab") as errors:
        return subprocess.Popen(
            [
                *LAUNCHERS[kind],
                *map(str, command),
                "-o",
                str(folder),
                "--executor",
                kind,
                "--resume",
            ],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            env=os.environ | {"STRATAL_PROGRESS": "off"},
        )


def said(folder):
    """The file of what a run says."""
    return folder.with_suffix(".errors")


def done(folder):
    """Who did each task that is done; of those whose result is in its place alone: nobody."""
    path = folder / "journal.sqlite"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as database:  # rolls back what was half-written
        with suppress(sqlite3.OperationalError):
            rows = database.execute("select id, state, worker, seconds from tasks").fetchall()
            known = {task: own for task, state, *own in rows if state == "done"}
            in_place = {file.stem for file in (folder / "results").glob("*/*.pickle")}
            return {task: ["", 0.0] for task in in_place} | known
    return {}


def n_events(folder):
    path = folder / "events.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_news(run, folder, count):
    """Until so many events more have happened, or the run has ended."""
    before = n_events(folder)
    while run.poll() is None and n_events(folder) < before + count:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["serial", "mpi"])
def test_a_search_outlives_any_death(kind, tmp_path):
    rng, settings, folder = random.Random(kind), tmp_path / "cuau.toml", tmp_path / "cut"
    settings.write_text(SETTINGS)
    kills, finished = 0, {}
    run = start(kind, settings, folder)
    while kills < KILLS:
        # Ranks are not killed while they start: some would be nobody's children then.
        wait_for_news(run, folder, rng.randint(kind == "mpi", 4))
        time.sleep(rng.uniform(0.0, 0.2))
        assert run.poll() is None, said(folder).read_text()
        everything = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        victims = everything if rng.random() < 0.3 else [rng.choice(everything)]
        for process in victims:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        kills += 1
        with suppress(subprocess.TimeoutExpired):
            run.wait(timeout=1.5)
        if run.poll() is None:  # a worker's child alone: its task is done by another
            continue
        wait_for_end(everything)
        finished |= done(folder)
        run = start(kind, settings, folder)
    assert run.wait(timeout=300) == 0, said(folder).read_text()
    assert finished.items() <= done(folder).items()  # none was done again
    lineage = read_hdf5(folder / "search.h5", "search")[0]
    assert sorted(lineage["number"]) == list(range(COUNT))  # none was lost
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()[1:]]
    known = [(what, batch) for what, batch, *_ in events]
    assert len(known) == len(set(known)) == 2 * len(done(folder))
    assert len(list((folder / "shared").glob("[!.]*"))) == 1  # the potential
    if kind == "serial":
        whole = start(kind, settings, tmp_path / "whole")
        assert whole.wait(timeout=300) == 0
        for name in ("search.json", "best.extxyz"):
            assert (folder / name).read_text() == (tmp_path / "whole" / name).read_text()


CONFIG = SearchConfig(("Cu", "Au"), n_atoms=(1, 2), relaxations=60, starts=60, batch=4, fmax=0.05)


def test_a_full_disk_is_a_sentence_and_the_search_goes_on(full_disk):  # noqa: F811
    potential = EMT.for_elements([29, 79])
    with open_executor("serial") as executor, pytest.raises(InputError, match="some space"):
        search(CONFIG, potential, full_disk / "run", executor)
    subprocess.run(["mount", "-o", "remount,size=30m", str(full_disk)], check=True)
    found = search(CONFIG, potential, full_disk / "run")
    assert sorted(step.number for step in found.evolution.steps) == list(range(60))


class Clumsy(Serial):
    """Every third batch is lost with its worker."""

    def __init__(self):
        self.count = 0

    def submit(self, function, /, *args, **kwargs):
        self.count += 1
        if self.count % 3 == 0:
            future = Future()
            future.set_exception(RuntimeError("lost"))
            return future
        return super().submit(function, *args, **kwargs)


class Interrupted(Serial):
    """Somebody presses Ctrl-C while the third batch is relaxed."""

    def __init__(self):
        self.count = 0

    def submit(self, function, /, *args, **kwargs):
        self.count += 1
        if self.count == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().submit(function, *args, **kwargs)


def test_it_does_not_matter_that_it_stopped_when_asked_or_lost_workers(tmp_path):
    potential, config = EMT.for_elements([29, 79]), replace(CONFIG, starts=12)
    with pytest.raises(Stopped, match="SIGINT; run again to go on"):
        search(config, potential, tmp_path / "cut", Interrupted())
    found = search(config, potential, tmp_path / "cut", Clumsy())
    whole = search(config, potential, tmp_path / "whole")
    for own, other in zip(found.evolution.steps, whole.evolution.steps, strict=True):
        assert own.number == other.number and own.verdict == other.verdict
        assert own.parents == other.parents
