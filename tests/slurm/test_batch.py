"""Scripts of batch jobs and graphs of them, without a Slurm."""

import subprocess

import pytest

from stratal.errors import InputError
from stratal.slurm import queue
from stratal.slurm.batch import BatchJob, render, write_script
from stratal.slurm.graph import in_order, read_graph
from stratal.slurm.submission import array_numbers, journals_below, status

FULL = BatchJob(
    "relax", "stratal relax all.xyz", time="1-12:00:00", nodes=2, tasks=8, cpus_per_task=4,
    gpus_per_task=1, memory="16G", partition="gpu", account="ab12", modules=("gcc/13", "cuda"),
    activate="source env/bin/activate", array="", warning=300, options=("--exclusive",),
)  # fmt: skip


def test_a_script_asks_for_what_the_job_says(tmp_path):
    script = write_script(FULL, tmp_path, tmp_path)
    lines = script.read_text().splitlines()
    for expected in (
        "#SBATCH --time=1-12:00:00",
        "#SBATCH --ntasks=8",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --gpus-per-task=1",
        "#SBATCH --mem=16G",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=ab12",
        "#SBATCH --exclusive",
        "#SBATCH --open-mode=append",
        "#SBATCH --signal=B:USR1@300",
        f"#SBATCH --output={tmp_path}/relax.log",
        "module load gcc/13 || exit 1",
        "source env/bin/activate || exit 1",
        "srun --mpi=pmi2 --kill-on-bad-exit=1 stratal relax all.xyz &",
    ):
        assert expected in lines
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    plain = render(BatchJob("one", "true"), tmp_path, tmp_path)
    assert "partition" not in plain and "srun" not in plain and "module" not in plain


@pytest.mark.parametrize("command, code, done", [("true", 0, True), ("exit 3", 3, False)])
def test_a_script_leaves_a_mark_only_when_all_went_well(tmp_path, command, code, done):
    script = write_script(BatchJob("one", f"bash -c '{command}'"), tmp_path, tmp_path)
    assert subprocess.run(["bash", str(script)]).returncode == code
    assert (tmp_path / "one.done").exists() == done


def test_a_job_that_is_done_does_nothing_again(tmp_path):
    script = write_script(BatchJob("one", f"touch {tmp_path}/called"), tmp_path, tmp_path)
    for _ in range(2):
        assert subprocess.run(["bash", str(script)]).returncode == 0
        called = (tmp_path / "called").exists()
        (tmp_path / "called").unlink(missing_ok=True)
    assert not called


def test_a_user_may_bring_a_template(tmp_path):
    template = tmp_path / "mine.sh"
    template.write_text("#!/bin/bash\n#SBATCH --qos=long -J {{ job.name }}\n{{ job.launch }}")
    assert "--qos=long -J relax" in render(FULL, tmp_path, tmp_path, template)
    template.write_text("{{ job.partitoin }}")
    with pytest.raises(InputError, match=r"mine.sh: .*partitoin.* Mend the template"):
        render(FULL, tmp_path, tmp_path, template)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"name": "a b"}, "letters, digits"),
        ({"command": " "}, "command is empty"),
        ({"time": "two hours"}, "hours:minutes:seconds"),
        ({"tasks": 0}, "tasks = 0: give 1 or more"),
    ],
)
def test_jobs_that_cannot_be_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        BatchJob(**{"name": "one", "command": "true", **change})


def test_paths_that_slurm_does_not_take_are_refused(tmp_path):
    with pytest.raises(InputError, match="spaces, quotes or %"):
        render(FULL, tmp_path / "my jobs", tmp_path)


def test_a_graph_is_read_in_order_with_defaults(tmp_path):
    file = tmp_path / "jobs.toml"
    file.write_text(
        '[defaults]\npartition = "cpu"\n'
        '[[job]]\nname = "pairs"\ncommand = "b"\nafter = ["elements"]\n'
        '[[job]]\nname = "elements"\ncommand = "a"\npartition = "big"\n'
    )
    elements, pairs = read_graph(file)
    assert (elements.name, elements.partition) == ("elements", "big")
    assert (pairs.name, pairs.partition, pairs.after) == ("pairs", "cpu", ("elements",))


@pytest.mark.parametrize(
    "text, says",
    [
        ('[[job]]\nname = "a"\ncommand = "x"\npartitoin = "b"', "job a: key 'partitoin'"),
        ('[[job]]\nname = "a"\ncommand = "x"\ntasks = "many"', "job a.tasks = 'many'"),
        ('[[job]]\nname = "a"\ncommand = "x"\nafter = ["b"]', "no such job; there are a"),
        ('[[job]]\nname = "a"\ncommand = "x"\n' * 2, "two jobs are called a"),
        ("[defaults]", "no jobs"),
        ("job = 3", "no jobs"),
        ("job = [3]", "not tables"),
        ('defaults = 3\n[[job]]\nname = "a"\ncommand = "x"', "not tables"),
        ('[[job]]\nname = "a"', "job a: command is missing"),
        ('[jobs]\nname = "a"', "'jobs' is not known"),
        ("[[job]", "not TOML"),
        ('[[job]]\nname = "a"\ncommand = ""', "command is empty"),
    ],
)
def test_mistakes_in_a_graph_are_named(tmp_path, text, says):
    file = tmp_path / "jobs.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=f"jobs.toml.*{says}"):
        read_graph(file)


def test_jobs_that_wait_for_each_other_are_refused():
    jobs = [BatchJob("a", "x", after=("b",)), BatchJob("b", "x", after=("a",))]
    with pytest.raises(
        InputError, match=r"wait for each other: a after b after a|b after a after b"
    ):
        in_order(jobs)


def test_numbers_of_arrays():
    assert array_numbers("0-6:2,9%4") == [0, 2, 4, 6, 9]
    assert array_numbers("3") == [3]


def test_without_slurm_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="sbatch is not on this machine"):
        queue.submit("job.sh")
    with pytest.raises(InputError, match=r"jobs.json: cannot be read"):
        status(tmp_path)
    assert journals_below(tmp_path) == {}
