"""Batch jobs on a real Slurm: submitted, interrupted in every way, and done in the end."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.slurm.cluster import wait_for
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.slurm.batch import BatchJob
from stratal.slurm.preflight import preflight
from stratal.slurm.queue import slurm
from stratal.slurm.submission import cancel, resume, status, submit_jobs

REVOKED = (
    3.0  # s, before a job is started again: in the second of its end Slurm refuses it for good
)

pytestmark = pytest.mark.slow
PYTHON = sys.executable
ROOT = Path(__file__).parents[2]


def work(kind, folder, count, seconds):
    return f"{PYTHON} -m tests.slurm.work run {kind} {folder} {count} {seconds}"


def states(folder):
    return {job.name: job.state for job in status(folder)}


def all_done(folder):
    return set(states(folder).values()) == {"done"}


def counts(log):
    return log.read_text().count("counts {'done': ")


@pytest.fixture(autouse=True)
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STRATAL_PROGRESS", "off")


def test_a_graph_runs_in_order_and_an_mpi_job_on_two_nodes(cluster, tmp_path):
    folder = tmp_path / "jobs"
    jobs = (
        BatchJob("first", f"sleep 1; date +%s.%N > {tmp_path}/first", time="5"),
        BatchJob("ranks", work("mpi", tmp_path / "run", 8, 0.1), tasks=2, time="5",
                 nodes=2, after=("first",)),
        BatchJob("array", f"touch {tmp_path}/array-$SLURM_ARRAY_TASK_ID", array="0-2", time="5",
                 after=("ranks",)),
    )  # fmt: skip
    assert [job.name for job in submit_jobs(jobs, folder)] == ["first", "ranks", "array"]
    wait_for(lambda: all_done(folder), 120)
    assert "counts {'done': 8}" in (folder / "ranks.log").read_text()
    assert "2 ranks: one manager, 1 workers" in (folder / "ranks.log").read_text()
    assert all((tmp_path / f"array-{n}").exists() for n in range(3))


def test_ranks_that_do_not_find_each_other_are_refused(cluster, tmp_path):
    folder = tmp_path / "jobs"
    job = BatchJob("alone", work("mpi", tmp_path / "run", 4, 0.1), tasks=2, nodes=2, time="5",
                   launcher="srun --mpi=none")  # fmt: skip
    submit_jobs([job], folder)
    wait_for(lambda: "ended" in states(folder)["alone"], 60)
    said = (folder / "alone.log").read_text()
    assert "2 processes were asked for, but this one finds 1" in said
    assert "srun --mpi=pmi2 -n 2" in said


@pytest.mark.parametrize("how", ["time limit", "node failure", "requeue", "scancel"])
def test_whatever_ends_a_job_it_goes_on(cluster, tmp_path, how):
    folder, run = tmp_path / "jobs", tmp_path / "run"
    count, seconds, minutes = (600, 0.15, "2") if how == "time limit" else (60, 0.2, "5")
    job = BatchJob("long", work("serial", run, count, seconds), time=minutes, warning=55)
    (before,) = submit_jobs([job], folder)
    log = Path(f"{run}.log")
    wait_for(lambda: log.exists() and log.read_text().count("\n") > 5, 60)
    if how == "node failure":
        node = slurm("squeue", "-h", "-j", before.number, "-o", "%N").strip()
        slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        time.sleep(REVOKED)
        wait_for(lambda: "down" not in node_state(node), 60, 1.0)
    elif how == "requeue":
        slurm("scontrol", "requeue", before.number)
    elif how == "scancel":
        cancel(folder)
        wait_for(lambda: "ended" in states(folder)["long"], 30)
        resume(folder)
    elif how == "time limit":
        wait_for(lambda: "BeginTime" in states(folder)["long"], 150)

    time.sleep(REVOKED)

    def goes_on():
        """A requeued job would wait two minutes."""
        with suppress(InputError):
            slurm("scontrol", "update", f"JobId={before.number}", "StartTime=now")
        return all_done(folder)

    wait_for(goes_on, 400, 2.0)
    assert f"counts {{'done': {count}}}" in (folder / "long.log").read_text()
    numbers = [line.split()[0] for line in log.read_text().splitlines()]
    assert set(numbers) == {str(n) for n in range(count)}
    assert len(numbers) <= count + 1  # at most the one that was cut off


def node_state(node):
    """Brings it back too, as soon as Slurm allows."""
    with suppress(InputError):
        slurm("scontrol", "update", f"nodename={node}", "state=resume")
    return slurm("sinfo", "-h", "-n", node, "-o", "%t")


def test_what_depends_on_a_failed_job_is_taken_out_of_the_queue(cluster, tmp_path):
    jobs = (BatchJob("bad", "false"), BatchJob("child", "true", after=("bad",)))
    submit_jobs(jobs, tmp_path)
    wait_for(lambda: all("ended" in state for state in states(tmp_path).values()), 60)
    assert not list(tmp_path.glob("*.done"))


def test_workers_of_an_array_join_a_running_manager_and_leave_it(cluster, tmp_path):
    file = tmp_path / "scheduler.json"
    manager = f"{PYTHON} -m tests.slurm.work elastic dask {tmp_path / 'run'} 60 0.3 {file}"
    workers = BatchJob("workers", f"stratal worker {file}", array="0-1", time="5",
                       activate=f"export PATH={Path(PYTHON).parent}:$PATH")  # fmt: skip
    run = subprocess.Popen(manager.split(), stdout=subprocess.PIPE, text=True)
    (array,) = submit_jobs([workers], tmp_path / "jobs")
    log = Path(f"{tmp_path / 'run'}.log")
    wait_for(lambda: log.exists() and log.read_text().count("\n") > 6, 90)
    slurm("scancel", f"{array.number}_0")  # one leaves
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 0 and "counts {'done': 60}" in said
    wait_for(lambda: array.number not in slurm("squeue", "-h", "-o", "%F"), 60)  # the other too


def test_what_would_not_run_is_known_before_the_queue(cluster, tmp_path):
    good = BatchJob("good", "true")
    bad = (
        good,
        BatchJob("nowhere", "true", partition="gpu"),
        BatchJob("large", "true", nodes=7, tasks=7),
        BatchJob("typo", "stratl train"),
        BatchJob("module", "true", modules=("fftw/99",)),
        BatchJob("env", "true", activate="source /no/such/activate"),
    )
    assert preflight([good], tmp_path / "new") == []
    problems = {p.split()[1].rstrip(":"): p for p in preflight(bad, tmp_path / "new")}
    assert set(problems) == {"nowhere", "large", "typo", "module", "env"}
    assert "nvalid partition" in problems["nowhere"] and "no program stratl" in problems["typo"]
    assert "fftw/99" in problems["module"] and "/no/such/activate" in problems["env"]
    assert not (tmp_path / "new").exists()


def test_the_commands(cluster, tmp_path):
    runner = CliRunner()
    file = tmp_path / "jobs.toml"
    file.write_text('[[job]]\nname = "one"\ncommand = "sleep 30"\n')
    folder = str(tmp_path / "jobs")
    checked = runner.invoke(app, ["submit", str(file), "-o", folder, "--check"])
    assert checked.exit_code == 0 and "1 jobs would run" in checked.output
    found = runner.invoke(app, ["submit", str(file), "-o", folder, "--json"])
    assert json.loads(found.output)["jobs"][0]["state"].split(",")[0] in ("PENDING", "RUNNING")
    again = runner.invoke(app, ["submit", str(file), "-o", folder, "--json"])
    numbers = [json.loads(r.output)["jobs"][0]["number"] for r in (found, again)]
    assert numbers[0] == numbers[1]  # it is in the queue already
    assert runner.invoke(app, ["cancel", folder]).exit_code == 0
    wait_for(lambda: "ended" in runner.invoke(app, ["status", folder]).output, 30)
