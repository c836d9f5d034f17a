"""The check before work starts: are there as many ranks as were asked for, each on its own cores?

Mismatched launchers and MPI libraries start N processes that each believe to be alone: the same
work N times, silently. Cores are divided before jax is imported, which counts them once.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stratal.errors import InputError

# What launchers tell their processes of how many there are; the launcher's name.
LAUNCHERS = {
    "OMPI_COMM_WORLD_SIZE": "mpiexec of Open MPI",
    "PMI_SIZE": "mpiexec of MPICH or srun --mpi=pmi2",
    "SLURM_STEP_NUM_TASKS": "srun",
    "SLURM_NTASKS": "Slurm",
}
DEVICES = "CUDA_VISIBLE_DEVICES"
CACHE = "JAX_COMPILATION_CACHE_DIR"


def ranks_asked() -> int | None:
    """How many processes the launcher started; None without one."""
    for variable in LAUNCHERS:
        value = os.environ.get(variable, "")
        if value.isdigit():
            return int(value)
    return None


def check_ranks(found: int) -> None:
    """Refuse to work where ranks do not find each other.

    Args:
        found: how many this process knows of, itself included.

    Raises:
        InputError: the launcher started another number; says what to start instead.
    """
    asked = ranks_asked()
    if asked is None or asked == found:
        return
    program = " ".join(Path(part).name if n == 0 else part for n, part in enumerate(sys.argv))
    if "SLURM_NTASKS" in os.environ:
        mend = f"srun --mpi=pmi2 -n {asked} {program}' (or the --mpi that 'srun --mpi=list' has)"
    else:
        mend = f"mpiexec -n {asked} {program}', with the mpiexec of mpi4py's MPI library"
    raise InputError(
        f"{asked} processes were asked for, but this one finds {found}: each would do all the "
        f"work. Start them so that they find each other: '{mend}. For one process ask for one "
        f"task."
    )


def set_up_process(number: int = 0, n_local: int = 1) -> None:
    """Give this process its cores, its device and the common compile cache.

    Call it before jax is imported. What the user has set stays.

    Args:
        number: of this process among those of its node that share its cores and devices.
        n_local: how many those are.
    """
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // n_local
    if n_local > 1 and share:
        os.sched_setaffinity(0, cores[number * share : (number + 1) * share])
    if n_local > 1 and (devices := visible_devices()):
        os.environ[DEVICES] = devices[number % len(devices)]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stratal" / "compiled"
    os.environ.setdefault(CACHE, str(cache))


def visible_devices() -> list[str]:
    """Accelerators of this node that this process may use, as their numbers."""
    given = os.environ.get(DEVICES)
    if given is not None:
        return [device for device in given.split(",") if device]
    return [str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


@dataclass(frozen=True)
class Place:
    """Where a rank is."""

    host: str
    cores: tuple[int, ...]
    device: str

    @classmethod
    def of_this_process(cls) -> Place:
        """As it is now."""
        cores = tuple(sorted(os.sched_getaffinity(0)))
        return cls(os.uname().nodename, cores, os.environ.get(DEVICES, ""))


def summary(places: Sequence[Place]) -> str:
    """One line for each node: its ranks, their cores and devices."""
    lines = [f"{len(places)} ranks: one manager, {len(places) - 1} workers"]
    for host, count in Counter(place.host for place in places).items():
        own = [place for place in places if place.host == host]
        cores = len(set().union(*(place.cores for place in own)))
        shared = sum(len(place.cores) for place in own) > cores
        devices = sorted({place.device for place in own} - {""})
        lines.append(
            f"  {host}: {count} ranks on {cores} cores{' that they share' if shared else ''}"
            + (f", devices {', '.join(devices)}" if devices else "")
        )
    return "\n".join(lines)
