"""Strata that do not stand on one another, trained at the same time in processes.

Each process has its own share of the cores: fits of this size do not gain from more than one,
and processes that share cores slow one another down many times over.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

from stratal.files.checkpoint import interruptible
from stratal.progress import Progress

T = TypeVar("T")


def run_in_processes(
    function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], workers: int, description: str
) -> Iterator[T]:
    """Results of ``function(*task)`` as they come, each from a process of its own.

    A signal that asks to stop is passed on to the processes; what they then raise is raised.

    Args:
        function: importable by name in a new process.
        tasks: arguments, which must pickle.
        workers: processes at a time, at most.
        description: shown with the progress.
    """
    workers = min(workers, len(tasks))
    shares = share_cores(sorted(os.sched_getaffinity(0)), workers)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for share in shares:
        queue.put(share)
    with (
        interruptible() as stop,
        ProcessPoolExecutor(workers, context, initializer=begin, initargs=(queue,)) as pool,
        Progress(len(tasks), description) as progress,
    ):
        waiting: set[Future[T]] = {pool.submit(function, *task) for task in tasks}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            if stop.requested:
                for future in waiting:
                    future.cancel()
                for process in (pool._processes or {}).values():
                    if process.pid is not None:
                        os.kill(process.pid, signal.SIGTERM)
                waiting = {future for future in waiting if not future.cancelled()}
            for future in done:
                progress.update(1)
                yield future.result()


def share_cores(cores: Sequence[int], workers: int) -> list[list[int]]:
    """Cores for each of so many processes; shared only where there are too few.

    >>> share_cores([0, 1, 2, 3], 2)
    [[0, 1], [2, 3]]
    >>> share_cores([0, 1], 3)
    [[0], [1], [0]]
    """
    if workers >= len(cores):
        return [[cores[i % len(cores)]] for i in range(workers)]
    size = len(cores) // workers
    return [list(cores[i * size : (i + 1) * size]) for i in range(workers)]


def begin(queue: Any) -> None:
    """Take a share of the cores, before jax counts them, and leave the terminal alone."""
    os.sched_setaffinity(0, queue.get())
    os.environ["STRATAL_PROGRESS"] = "off"
