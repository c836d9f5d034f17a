"""Jobs of a folder: submitted, looked at, resumed, cancelled.

The folder holds for each job its script, its log, its mark when it is done, and in ``jobs.json``
its number in the queue.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratal.errors import InputError
from stratal.files.atomic import write_json
from stratal.slurm import queue
from stratal.slurm.batch import BatchJob, write_script
from stratal.slurm.journal import FILE, read_status

JOBS = "jobs.json"


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands."""

    name: str
    number: str  # in the queue; "" before it was submitted
    state: str  # done, or as the queue says, or ended


def submit_jobs(
    jobs: Sequence[BatchJob], folder: str | Path, template: str | Path | None = None
) -> list[JobStatus]:
    """Write scripts and submit jobs, in their order; those that are done or queued stay.

    Args:
        jobs: each after those that it stands on.
        folder: for scripts, logs and numbers.
        template: another than the package's.

    Raises:
        InputError: Slurm refuses one; those before it are submitted and noted.
    """
    folder = Path(folder)
    for job in jobs:
        write_script(job, folder, Path.cwd(), template)
    known = {job.name: {"number": "", "after": list(job.after), "array": job.array} for job in jobs}
    for name, entry in read_jobs(folder).items() if (folder / JOBS).exists() else ():
        if name in known:
            known[name]["number"] = entry["number"]
    write_jobs(folder, known)
    return resume(folder)


def resume(folder: str | Path) -> list[JobStatus]:
    """Submit again what is neither done nor in the queue.

    Raises:
        InputError: no jobs there, or Slurm refuses one.
    """
    folder, jobs = Path(folder), read_jobs(folder)
    waiting = queue.states(entry["number"] for entry in jobs.values())
    for name, entry in jobs.items():
        if is_done(folder, name, entry) or entry["number"] in waiting:
            continue
        parents = [jobs[parent] | {"name": parent} for parent in entry["after"]]
        after = [p["number"] for p in parents if not is_done(folder, p["name"], p)]
        entry["number"] = queue.submit(folder / f"{name}.sh", after)
        write_jobs(folder, jobs)
    return status(folder)


def status(folder: str | Path) -> list[JobStatus]:
    """Where each job stands.

    Raises:
        InputError: no jobs there.
    """
    folder, jobs = Path(folder), read_jobs(folder)
    waiting = queue.states(entry["number"] for entry in jobs.values())
    found = []
    for name, entry in jobs.items():
        number = entry["number"]
        state = waiting.get(number) or (f"ended, see {name}.log" if number else "not submitted")
        found.append(JobStatus(name, number, "done" if is_done(folder, name, entry) else state))
    return found


def cancel(folder: str | Path) -> list[JobStatus]:
    """Take all jobs out of the queue.

    Raises:
        InputError: no jobs there.
    """
    numbers = [entry["number"] for entry in read_jobs(Path(folder)).values()]
    queue.cancel(sorted(queue.states(numbers)))
    return status(folder)


def journals_below(folder: str | Path) -> dict[str, dict[str, Any]]:
    """What the managers of runs in this folder or its own folders last wrote, by path."""
    found = {}
    for path in sorted([*Path(folder).glob(FILE), *Path(folder).glob(f"*/{FILE}")]):
        try:
            found[str(path.parent)] = read_status(path.parent)
        except InputError:
            continue  # it has not begun
    return found


def is_done(folder: Path, name: str, entry: dict[str, Any]) -> bool:
    """Whether the job, or each of an array, has left its mark."""
    if not entry["array"]:
        return (folder / f"{name}.done").exists()
    return all((folder / f"{name}-{n}.done").exists() for n in array_numbers(entry["array"]))


def array_numbers(text: str) -> list[int]:
    """The numbers of an array as Slurm writes it, such as 0-6:2,9%4."""
    numbers: list[int] = []
    for part in text.split("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        numbers += range(int(first), int(last or first) + 1, int(step or 1))
    return numbers


def read_jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """Jobs by name.

    Raises:
        InputError: no file of jobs there.
    """
    try:
        return json.loads((folder / JOBS).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / JOBS}: cannot be read ({error}). Give the folder of submitted jobs."
        ) from None


def write_jobs(folder: Path, jobs: dict[str, dict[str, Any]]) -> None:
    """Note the jobs, whole or not at all."""
    write_json(folder / JOBS, jobs)
