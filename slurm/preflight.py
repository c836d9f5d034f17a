"""What can be known of a batch job before it waits in the queue."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stratal.errors import InputError
from stratal.slurm import queue
from stratal.slurm.batch import BatchJob, write_script

PATIENCE = 120.0  # s for a module or an environment to load


def preflight(
    jobs: Sequence[BatchJob], folder: str | Path, template: str | Path | None = None
) -> list[str]:
    """Try what the jobs ask for; submits nothing and writes nothing into the folder.

    Returns:
        A sentence for each thing that will not work; empty if all is well.
    """
    problems = unwritable(Path(folder))
    with tempfile.TemporaryDirectory() as scratch:
        for job in jobs:
            script = write_script(job, scratch, Path.cwd(), template)
            try:
                queue.test_only(script)
            except InputError as error:
                problems.append(f"job {job.name}: {error}")
    environments = {(job.modules, job.activate, programs(job)): job.name for job in jobs}
    for (modules, activate, wanted), name in environments.items():
        problems += [f"job {name}: {found}" for found in broken(modules, activate, wanted)]
    return problems


def unwritable(folder: Path) -> list[str]:
    """Whether the folder, or the one that it would be made in, can be written."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            return []
    except OSError as error:
        return [f"{existing}: cannot be written ({error.strerror}). Give another folder."]


def programs(job: BatchJob) -> tuple[str, ...]:
    """The programs that the job's line begins with: launcher and command."""
    words = {shlex.split(line)[0] for line in (job.launch, job.command) if line.strip()}
    return tuple(sorted(words))


def broken(modules: Sequence[str], activate: str, wanted: Sequence[str]) -> list[str]:
    """What fails of modules, activation and programs, in a login shell as the job's."""
    shell = shutil.which("bash") or "/bin/bash"
    lines = [f"module load {shlex.quote(module)}" for module in modules]
    lines += [activate] if activate else []
    lines += [f"command -v {shlex.quote(program)}" for program in wanted]
    problems: list[str] = []
    for count, line in enumerate(lines, 1):
        so_far = " && ".join(f"{{ {earlier}; }}" for earlier in lines[:count])
        try:
            done = subprocess.run(
                [shell, "-lc", so_far], capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return [*problems, f"'{line}' took longer than {PATIENCE:.0f} s."]
        if done.returncode != 0:
            said = " ".join(done.stderr.split())
            missing = f"no program {line.split()[-1]} there" if "command -v" in line else said
            return [*problems, f"'{line}' fails: {missing or 'it says nothing'}."]
    return problems
