"""Tasks on dask workers, which come and go: started here, or elsewhere with ``stratal worker``."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client, LocalCluster, Worker, WorkerPlugin

from stratal.errors import InputError
from stratal.files.checkpoint import StopFlag, interruptible
from stratal.slurm.launch import set_up_process

COUNT_INTERVAL = 2.0  # s between two counts of the workers
SETTINGS = {
    # The manager decides about tasks that went down with their workers, see `Journal`.
    "distributed.scheduler.allowed-failures": 100,
    "distributed.worker.memory.terminate": False,  # the task's own limit does this
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
}


@contextmanager
def open_dask(
    n_workers: int | None = None, scheduler_file: str | Path | None = None
) -> Iterator[Workers]:
    """A scheduler in this process and its workers, as an executor.

    Args:
        n_workers: processes started here; by default one for each core, none with a file.
        scheduler_file: written for workers elsewhere, on a disk that they see; removed at the end.
    """
    if n_workers is None:
        n_workers = 0 if scheduler_file else len(os.sched_getaffinity(0))
    elsewhere = {"host": host_name()} if scheduler_file else {}
    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=None,  # type: ignore[arg-type]
            scheduler_kwargs={"scheduler_file": str(scheduler_file)} if scheduler_file else {},
            silence_logs=50,
            **elsewhere,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Division(n_workers))
        try:
            yield Workers(client)
        finally:
            if scheduler_file:
                Path(scheduler_file).unlink(missing_ok=True)


def serve(scheduler_file: str | Path, wait: float) -> None:
    """Work for the manager that writes this file until it is done, or a signal asks to leave.

    Raises:
        InputError: no manager came in time.
    """
    deadline = time.monotonic() + wait
    while not Path(scheduler_file).exists():
        if time.monotonic() > deadline:
            raise InputError(
                f"{scheduler_file}: no manager wrote it in {wait:.0f} s. Start one with the "
                f"executor dask and this file, or wait longer (--wait)."
            )
        time.sleep(0.5)
    with dask.config.set(SETTINGS), interruptible() as stop:
        asyncio.run(work(str(scheduler_file), wait, stop))


async def work(scheduler_file: str, wait: float, stop: StopFlag) -> None:
    """A worker with one thread; its task runs in a child, see `isolation`."""
    async with Worker(
        scheduler_file=scheduler_file,
        nthreads=1,
        death_timeout=wait,
        dashboard=False,
    ) as worker:
        leaving = asyncio.ensure_future(worker.finished())
        while not leaving.done() and not stop.requested:
            await asyncio.wait([leaving], timeout=0.5)


def host_name() -> str:
    """A name of this machine that others know."""
    return socket.gethostbyname(socket.gethostname())


class Workers:
    """An executor over dask workers."""

    def __init__(self, client: Any) -> None:
        self._client, self._pool = client, client.get_executor(pure=False)
        self._counted, self._n_workers = -float("inf"), 0

    @property
    def n_workers(self) -> int:
        """Workers at present."""
        if time.monotonic() - self._counted > COUNT_INTERVAL:
            self._counted = time.monotonic()
            self._n_workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        return self._n_workers

    @property
    def window(self) -> int:
        """Some for every worker, and some for those that may yet come."""
        return 4 * self.n_workers + 16

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function on one of the workers."""
        return self._pool.submit(function, *args, **kwargs)


class Division(WorkerPlugin):
    """Gives workers that were started here their share of the cores: a plugin of dask."""

    name = "stratal-division"

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers

    def setup(self, worker: Any) -> None:
        """Called in every worker as it starts; those from elsewhere have no such number."""
        if isinstance(worker.name, int) and worker.name < self.n_workers:
            set_up_process(worker.name, self.n_workers)
        else:
            set_up_process()
