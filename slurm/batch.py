"""A batch job: what is asked of Slurm, and the script that asks it.

The script is rendered from a small template (``slurm/templates/job.sh``), which a user may read,
copy and replace.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratal.errors import InputError
from stratal.files.atomic import write_text

TEMPLATE = Path(__file__).parent / "templates" / "job.sh"
EARLY = 60  # s that Slurm may send its signal before the time that was asked for
TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}|infinite")


@dataclass(frozen=True)
class BatchJob:
    """One job; each field is a key of a ``[[job]]`` table."""

    name: str
    command: str  # a line of shell; it ends with code 0 when all is done
    time: str = "01:00:00"  # [days-]hours:minutes:seconds
    nodes: int = 1
    tasks: int = 1  # processes that the launcher starts
    cpus_per_task: int = 1
    gpus_per_task: int = 0
    memory: str = ""  # of a node, such as "16G"
    partition: str = ""
    account: str = ""
    modules: tuple[str, ...] = ()  # loaded first
    activate: str = ""  # a line of shell, such as "source ~/venv/bin/activate"
    launcher: str | None = None  # by default srun where there are several tasks
    array: str = ""  # numbers of an array of equal jobs, such as "0-15"
    after: tuple[str, ...] = ()  # names of jobs that must have ended well
    warning: int = 120  # s before the end of its time at which the command is told to stop
    options: tuple[str, ...] = ()  # further options of sbatch, such as "--exclusive"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]+", self.name):
            raise InputError(f"job.name = {self.name!r}: use letters, digits and . + - _ only.")
        if not self.command.strip():
            raise InputError(f"job {self.name}: command is empty: give a line of shell.")
        if not TIME.fullmatch(self.time):
            raise InputError(
                f"job {self.name}: time = {self.time!r}: give [days-]hours:minutes:seconds, such "
                f"as 1-12:00:00."
            )
        for key in ("nodes", "tasks", "cpus_per_task", "warning"):
            if getattr(self, key) < 1:
                raise InputError(f"job {self.name}: {key} = {getattr(self, key)}: give 1 or more.")

    @property
    def launch(self) -> str:
        """The command with its launcher."""
        launcher = self.launcher
        if launcher is None:
            # If one rank dies the others would wait for it.
            several = self.tasks > 1 and not self.array
            launcher = "srun --mpi=pmi2 --kill-on-bad-exit=1" if several else ""
        return f"{launcher} {self.command}".strip()

    @property
    def grace(self) -> int:
        """Seconds that the command has to stop in, once it was told."""
        return max(self.warning - EARLY, self.warning // 2)


def render(
    job: BatchJob, folder: str | Path, directory: str | Path, template: str | Path | None = None
) -> str:
    """The job's script.

    Args:
        job: what it asks for.
        folder: of its log and its mark that it is done.
        directory: where the command runs.
        template: another than the package's.

    Raises:
        InputError: the template cannot be read or has a mistake.
    """
    from jinja2 import Environment, StrictUndefined, TemplateError

    source = Path(template or TEMPLATE)
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    try:
        made = environment.from_string(source.read_text())
        fields: dict[str, Any] = {"folder": quoted(folder), "directory": quoted(directory)}
        return made.render(job=job, **fields) + "\n"
    except OSError as error:
        raise InputError(
            f"{source}: cannot be read ({error.strerror}). Correct the path."
        ) from None
    except TemplateError as error:
        raise InputError(f"{source}: {error}. Mend the template.") from None


def quoted(path: str | Path) -> str:
    """A path for a script, absolute.

    Raises:
        InputError: Slurm's own options could not hold it.
    """
    found = str(Path(path).resolve())
    if shlex.quote(found) != found or "%" in found:
        raise InputError(
            f"{found}: Slurm does not take spaces, quotes or % in such a path. Use another folder."
        )
    return found


def write_script(
    job: BatchJob, folder: str | Path, directory: str | Path, template: str | Path | None = None
) -> Path:
    """Write the job's script beside its log."""
    path = Path(folder) / f"{job.name}.sh"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(job, folder, directory, template))
    return path
