"""Slurm's commands: sbatch, squeue, scancel, scontrol."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from stratal.errors import InputError

PATIENCE = 60.0  # s for an answer of the controller


def slurm(*arguments: str) -> str:
    """What one of Slurm's commands prints.

    Raises:
        InputError: it is not there, or refuses; says what it said.
    """
    if shutil.which(arguments[0]) is None:
        raise InputError(
            f"{arguments[0]} is not on this machine. Run this where jobs are submitted."
        )
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{arguments[0]} gave no answer in {PATIENCE:.0f} s: Slurm's controller may be down. "
            f"Try later."
        ) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise InputError(f"{' '.join(arguments[:3])}: {said}")
    return done.stdout


def submit(script: str | Path, after: Sequence[str] = ()) -> str:
    """Put a script into the queue; the job's number.

    Args:
        script: the file.
        after: numbers of jobs that must have ended well.

    Raises:
        InputError: Slurm refuses it, for a partition that there is not, say.
    """
    # Without the second a job whose parent failed would wait for ever.
    chain = (
        [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"] if after else []
    )
    return slurm("sbatch", "--parsable", *chain, str(script)).strip().split(";")[0]


def test_only(script: str | Path) -> None:
    """Ask Slurm whether it would take a script.

    Raises:
        InputError: it would not; says why.
    """
    slurm("sbatch", "--test-only", str(script))


def states(jobs: Iterable[str]) -> dict[str, str]:
    """State of each job that the queue still knows, by number; of an array, of all its parts."""
    wanted = set(jobs)
    if not wanted:
        return {}
    found: dict[str, set[str]] = {}
    for line in slurm("squeue", "-h", "-a", "-o", "%F %T %L %r").splitlines():
        number, state, left, reason = line.split(maxsplit=3)
        if number in wanted:
            note = f", {left} left" if state == "RUNNING" else f", {reason}"
            note = "" if state == "PENDING" and reason == "None" else note
            found.setdefault(number, set()).add(state + note)
    return {number: "; ".join(sorted(own)) for number, own in found.items()}


def steps_are_deferred() -> bool:
    """Whether the controller is set to start nothing at once, which delays every step of a job."""
    lines = slurm("scontrol", "show", "config").splitlines()
    return any("SchedulerParameters" in line and "defer" in line for line in lines)


def cancel(jobs: Sequence[str]) -> None:
    """Take jobs out of the queue."""
    if jobs:
        slurm("scancel", *jobs)
