"""SIGKILL at random instants: nothing that was finished is lost or done again.

Four kills of each kind of process by default; ``STRATAL_KILLS=20 pytest -m slow`` does twenty.
"""

import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from tests.slurm.test_perform import KINDS, command

KILLS = int(os.environ.get("STRATAL_KILLS", "4"))
TASKS, SECONDS = 60, 0.15


def start(kind, folder):
    """The script in `work`, with all its processes in one session."""
    return subprocess.Popen(
        command("run", kind, folder, TASKS, SECONDS),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def processes(kind, run):
    """The manager, the workers and all processes of a run."""
    everything = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
    named = {}
    for process in everything:
        try:
            named[process] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    scripts = [
        p for p, line in named.items() if "tests.slurm.work" in line and "mpiexec" not in line
    ]
    cells = [p for p, line in named.items() if "stratal.slurm.cell" in line]
    if kind == "mpi":  # the first rank manages; it was started first
        scripts = sorted((p for p in scripts if "hydra" not in named[p]), key=lambda p: p.pid)
        return scripts[:1], [*scripts[1:], *cells], everything
    spawned = [p for p, line in named.items() if "spawn_main" in line]  # of dask
    return scripts[:1], [*cells, *spawned], everything


def finished(folder):
    """Numbers of tasks whose results are in the journal or in their place."""
    path = folder / "journal.sqlite"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as database:  # rolls back what was half-written
        try:
            rows = database.execute("select id, name, state from tasks").fetchall()
        except sqlite3.OperationalError:
            return set()
    in_place = {file.stem for file in (folder / "results").glob("*/*.pickle")}
    return {int(name) for task, name, state in rows if state == "done" or task in in_place}


def executions(folder):
    log = Path(f"{folder}.log")
    return [int(line.split()[0]) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("target", ["worker", "manager", "everything"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_finished_is_lost_or_done_again(kind, target, tmp_path):
    rng = random.Random(f"{kind} {target}")
    folder, kills, restarts = tmp_path / "run", 0, 0
    run = start(kind, folder)
    while True:
        try:
            said, _ = run.communicate(timeout=rng.uniform(0.5, 4.0) if kills < KILLS else 120)
            if run.returncode == 0:
                break
        except subprocess.TimeoutExpired:
            pass
        if run.poll() is None:
            manager, workers, everything = processes(kind, run)
            chosen = {"worker": workers, "manager": manager, "everything": everything}[target]
            if not chosen:
                continue  # too early
            for process in [rng.choice(chosen)] if target != "everything" else chosen:
                try:
                    process.send_signal(signal.SIGKILL)
                except psutil.Error:
                    continue
            kills += 1
            if target == "worker" and kind != "mpi":
                continue  # the run goes on by itself
            began = time.monotonic()
            run.communicate(timeout=10.0)  # it ends, and does not hang
            assert time.monotonic() - began < 10.0
            wait_for_end(everything)
        before, was_done = len(executions(folder)), finished(folder)
        run = start(kind, folder)
        restarts += 1
        assert restarts < 3 * KILLS + 5
        if kills >= KILLS:
            said, _ = run.communicate(timeout=120)
            assert run.returncode == 0
            assert not was_done & set(executions(folder)[before:])
            break
        time.sleep(rng.uniform(0.0, 2.0))
        assert not was_done & set(executions(folder)[before:])
    assert kills > 0
    assert f"'done': {TASKS}" in said
    assert finished(folder) == set(range(TASKS))


def wait_for_end(processes):
    """All of a run's processes follow the one that was killed."""
    _, alive = psutil.wait_procs(processes, timeout=10.0)
    assert not alive, [process.cmdline() for process in alive]
