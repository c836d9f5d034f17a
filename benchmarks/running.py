"""What running tasks costs: overhead of a task, a manager of many workers, two workers against one.

``overhead``: empty tasks, on one and on two workers of each executor, and how much of the time goes
into the journal. ``manager``: tasks of 0.1 s on simulated workers that only wait, so that what is
measured is the manager. ``scaling``: tasks that compute with jax, on one worker with one core and
on two with one each, MPI ranks.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from reference import machine


def nothing(number: int) -> int:
    return number


def compute(number: int) -> float:
    """Half a second of matrix products, by a program compiled once in each worker."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def powers(matrix):
        return jax.lax.fori_loop(0, 120, lambda _, m: jnp.tanh(m @ matrix), matrix)

    return float(powers(jnp.full((700, 700), 1e-3 * (1 + number)))[0, 0])


def carry_out(kind: str, what: str, count: int, n_workers: int) -> None:
    """In a process (or rank) of its own; prints seconds without start and first task of each."""
    from stratal.slurm import Journal, Task, open_executor, perform

    function = {"nothing": nothing, "compute": compute}[what]
    with (
        tempfile.TemporaryDirectory() as folder,
        open_executor(kind, n_workers=n_workers) as executor,
        Journal(folder) as journal,
    ):
        warm = [Task(function, (-n - 1,)) for n in range(4 * n_workers)]
        list(perform(warm, journal, executor))
        spent = timed(journal)
        began = time.perf_counter()
        for outcome in perform([Task(function, (n,)) for n in range(count)], journal, executor):
            outcome.result()
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "journal": spent[0]}), flush=True)


def timed(journal) -> list[float]:
    """Count the seconds that the journal's own writing takes."""
    spent, write = [0.0], journal.write

    def counted(*arguments):
        began = time.perf_counter()
        write(*arguments)
        spent[0] += time.perf_counter() - began

    journal.write = counted
    return spent


def in_processes(
    kind: str, what: str, count: int, n_workers: int, n_cores: int | None = None
) -> dict[str, float]:
    """`carry_out` with its launcher, perhaps on so many cores; what it prints."""
    command = [sys.executable, __file__, "carry-out", kind, what, str(count), str(n_workers)]
    if kind == "mpi":
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(n_workers + 1), *command]
    if n_cores:
        cores = sorted(os.sched_getaffinity(0))[:n_cores]
        command = ["taskset", "-c", ",".join(map(str, cores)), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def overhead(count: int) -> None:
    print(f"{'executor':>8s} {'workers':>7s}  ms per task  journal, ms per task")
    for kind, n_workers in (("serial", 1), ("mpi", 1), ("mpi", 2), ("dask", 1), ("dask", 2)):
        found = in_processes(kind, "nothing", count, n_workers)
        each, journal = (1e3 * found[key] / count for key in ("seconds", "journal"))
        print(f"{kind:>8s} {n_workers:7d}  {each:11.2f}  {journal:20.3f}", flush=True)


def scaling(count: int) -> None:
    seconds = [in_processes("mpi", "compute", count, n, n)["seconds"] for n in (1, 2)]
    print(f"{count} tasks: {seconds[0]:.1f} s on one worker, {seconds[1]:.1f} s on two")
    print(f"two workers are {seconds[0] / seconds[1]:.2f} times as fast")


class Sleepers:
    """An executor of workers that only wait; their receipts are made here."""

    def __init__(self, n_workers: int, seconds: float) -> None:
        self.n_workers, self.window, self.seconds = n_workers, 4 * n_workers + 16, seconds
        self._free = [0.0] * n_workers  # when each worker is free again
        self._due: list[tuple[float, int, Future, str]] = []
        self._count, self._new = 0, threading.Condition()
        threading.Thread(target=self._deliver, daemon=True).start()

    def submit(self, function, order) -> Future:
        """As soon as a worker is free."""
        future: Future = Future()
        with self._new:
            begin = max(time.monotonic(), heapq.heappop(self._free))
            heapq.heappush(self._free, begin + self.seconds)
            self._count += 1
            due = (begin + self.seconds, self._count, future, order.task)
            heapq.heappush(self._due, due)
            self._new.notify()
        return future

    def _deliver(self) -> None:
        from stratal.slurm.tasks import Receipt

        while True:
            with self._new:
                while not self._due or self._due[0][0] > time.monotonic():
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    self._new.wait(wait)
                _, _, future, task = heapq.heappop(self._due)
            future.set_result(Receipt(task, "worker", self.seconds, 4, b"\x80\x05N."))


def manager(count: int, n_workers: int) -> None:
    from stratal.slurm import Journal, Task, perform

    with tempfile.TemporaryDirectory() as folder:
        began, done = time.perf_counter(), 0
        with Journal(folder) as journal:
            tasks = (Task(nothing, (n,)) for n in range(count))
            for _ in perform(tasks, journal, Sleepers(n_workers, 0.1)):
                done += 1
                if done % (count // 10) == 0:
                    seconds = time.perf_counter() - began
                    print(
                        f"{done} tasks, {done / seconds:.0f} tasks/s, {memory():.0f} MB", flush=True
                    )
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
        print(f"journal: {size / 1e6:.0f} MB")


def memory() -> float:
    """Resident memory now, MB; the peak where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("overhead", "manager", "scaling", "carry-out"))
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--workers", type=int, default=1000, help="of the simulated ones")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    if options.what == "carry-out":
        kind, what, count, n_workers = options.arguments
        return carry_out(kind, what, int(count), int(n_workers))
    print(machine())
    if options.what == "overhead":
        overhead(options.tasks or 2000)
    elif options.what == "manager":
        manager(options.tasks or 1_000_000, options.workers)
    else:
        scaling(options.tasks or 24)


if __name__ == "__main__":
    main()
