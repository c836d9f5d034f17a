"""Where tasks run: in this process's own child, on MPI ranks, or on dask workers.

All are executors of `concurrent.futures`; one option or ``STRATAL_EXECUTOR`` selects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from stratal.errors import InputError
from stratal.slurm import isolation
from stratal.slurm.launch import check_ranks, ranks_asked, set_up_process

KINDS = ("serial", "mpi", "dask")


class Executor(Protocol):
    """The interface of `concurrent.futures.Executor`, and how much it can hold."""

    @property
    def n_workers(self) -> int:
        """Workers at present."""
        ...

    @property
    def window(self) -> int:
        """Orders that should be in flight, so that no worker waits for the manager."""
        ...

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function somewhere."""
        ...


@contextmanager
def open_executor(
    kind: str | None = None,
    n_workers: int | None = None,
    scheduler_file: str | Path | None = None,
) -> Iterator[Executor]:
    """An executor, closed at the end.

    With ``mpi`` all ranks call this; it returns on the first one alone, the manager. The others
    work until the manager closes it, then their process ends.

    Args:
        kind: ``"serial"``, ``"mpi"`` or ``"dask"``; by default what ``STRATAL_EXECUTOR`` says, else
            ``"mpi"`` under an MPI launcher, else ``"serial"``.
        n_workers: of dask, started here; by default one for each core, none with a file.
        scheduler_file: of dask, through which workers elsewhere join (``stratal worker``).

    Raises:
        InputError: an unknown kind, a package that is not installed, ranks that do not find each
            other.
    """
    kind = kind or os.environ.get("STRATAL_EXECUTOR") or default_kind()
    if kind not in KINDS:
        raise InputError(f"executor {kind!r}: give one of {', '.join(KINDS)}.")
    if kind == "mpi":
        from stratal.slurm.mpi import open_mpi

        with open_mpi() as executor:
            yield executor
    elif kind == "dask":
        with dask().open_dask(n_workers, scheduler_file) as executor:
            yield executor
    else:
        check_ranks(1)
        set_up_process()
        try:
            yield Serial()
        finally:
            isolation.close()


def work_for(scheduler_file: str | Path, wait: float = 600.0) -> None:
    """Be a worker of the manager that writes this file, until it is done.

    Args:
        scheduler_file: as given to `open_executor`.
        wait: s to wait for it to appear, and for a manager that is silent.

    Raises:
        InputError: dask is not installed, or no manager came.
    """
    set_up_process()
    dask().serve(scheduler_file, wait)


def dask() -> ModuleType:
    """The module of dask's executor.

    Raises:
        InputError: dask's ``distributed`` is not installed.
    """
    try:
        return import_module("stratal.slurm.dask")
    except ImportError as error:
        raise InputError(
            f"executor 'dask': {error}. Install it: pip install 'stratal[dask]'."
        ) from None


def default_kind() -> str:
    """``"mpi"`` under a launcher of several ranks."""
    return "mpi" if (ranks_asked() or 1) > 1 else "serial"


class Serial:
    """One order at a time, carried out when it is submitted."""

    n_workers = 1
    window = 1

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function now."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
