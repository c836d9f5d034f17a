"""Tasks on MPI ranks: the first manages, every other drives its own device or cores."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from stratal.errors import InputError
from stratal.slurm.launch import Place, check_ranks, set_up_process, summary


@contextmanager
def open_mpi() -> Iterator[Ranks]:
    """The ranks as an executor, on the first; the others serve it, then end.

    Raises:
        InputError: mpi4py or an MPI library is missing, or the ranks do not find each other.
    """
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"executor 'mpi': mpi4py finds no MPI library ({error}). Install both: "
            f"pip install 'stratal[mpi]'; or mpi4py alone, beside a cluster's own MPI."
        ) from None
    world = MPI.COMM_WORLD
    check_ranks(world.size)
    if world.size < 2:
        raise InputError(
            "executor 'mpi': one rank is nobody to work for the manager. Start several, such as "
            "mpiexec -n 3 ..., or use the executor 'serial'."
        )
    sys.excepthook = end_all_ranks
    if world.rank:  # the manager decides when to stop
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    divide_node(world, world.Split_type(MPI.COMM_TYPE_SHARED))
    places = world.gather(Place.of_this_process())
    with MPICommExecutor(world, root=0) as pool:
        if pool is not None:
            assert places is not None
            print(summary(places), file=sys.stderr, flush=True)
            yield Ranks(pool, world.size - 1)
    if world.rank:
        sys.exit(0)


def divide_node(world: Any, node: Any) -> None:
    """Cores and devices for the ranks of one node, unless the launcher has divided them.

    The manager works little: it has no cores of its own.
    """
    beside_manager = node.bcast(world.rank) == 0
    divided = len(set(node.allgather(Place.of_this_process()))) > 1
    if world.rank == 0 or divided:
        set_up_process()
    else:
        set_up_process(node.rank - beside_manager, node.size - beside_manager)


def end_all_ranks(kind: Any, error: Any, at: Any) -> None:
    """An exception that nobody catches on one rank would leave the others waiting."""
    from mpi4py import MPI

    if isinstance(error, InputError):
        print(f"Error: {error}", file=sys.stderr, flush=True)
    else:
        traceback.print_exception(kind, error, at)
    MPI.COMM_WORLD.Abort(2 if isinstance(error, InputError) else 1)


class Ranks:
    """An executor over MPI ranks."""

    def __init__(self, pool: Any, n_workers: int) -> None:
        self._pool, self.n_workers = pool, n_workers
        self.window = 4 * n_workers + 60  # many, so that one write of the journal is for many

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function on one of the ranks."""
        return self._pool.submit(function, *args, **kwargs)
