"""What the manager of a search costs: per offspring, with 1,000 workers, with two against one.

``offspring``: the manager's time for each structure: choosing parents, hashing and pickling of
tasks, journal, events, taking candidates in. ``workers``: the same with many workers whose tasks
take about 10 s of a simulated clock, which runs on with the manager's true time and stands still
while results are made up. ``scaling``: a real search on one and on two MPI ranks, each with a core
of its own.

What is made up are results alone: candidates are minima of Cu-Au with small changes of energy.
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import os
import pickle
import pstats
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Empty
from unittest.mock import patch

import numpy as np
from reference import machine

WARM = 2.0  # durations of a task, after which workers count
SEARCH = """
[search]
elements = ["Cu", "Au"]
n_atoms = [2, 8]
relaxations = {relaxations}
batch = 8
"""


class Clock:
    """The true time of the manager, and what it would have waited."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.made_up = 0.0  # s of the processor, while it stood still

    def now(self) -> float:
        """Seconds."""
        return time.perf_counter() + self.offset

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing in here takes time."""
        began, before = time.perf_counter(), time.process_time()
        yield
        self.offset -= time.perf_counter() - began
        self.made_up += time.process_time() - before


class Simulated:
    """An executor whose workers take time on the clock alone, and the inbox of their receipts."""

    def __init__(self, n_workers: int, seconds: float, pool: list) -> None:
        self.n_workers, self.window, self.seconds = n_workers, 4 * n_workers + 60, seconds
        self.pool, self.clock, self.rng = pool, Clock(), np.random.default_rng(0)
        self.began = self.clock.now()
        self.free = [self.began] * n_workers  # when each worker is free again
        self.due: list = []
        self.received: deque = deque()
        self.busy: list[tuple[float, float]] = []  # begin and end of tasks
        self.waited = 0.0  # s, of the manager
        self.last_order = self.began

    def submit(self, function, order) -> Future:
        """To the worker that is free first."""
        future: Future = Future()
        now = self.clock.now()
        begin = max(now, heapq.heappop(self.free))
        end = begin + self.seconds * self.rng.uniform(0.7, 1.3)
        heapq.heappush(self.free, end)
        heapq.heappush(self.due, (end, len(self.busy), future, order))
        self.busy.append((begin, end))
        return future

    def put(self, item) -> None:
        """A receipt has come."""
        self.received.append(item)

    def get_nowait(self):
        """What has come by now."""
        return self.get(False)

    def get(self, block: bool = True, timeout: float | None = None):
        """What `perform` asks for news: the clock jumps to the next if it has to wait."""
        if not self.due or (not block and self.due[0][0] > self.clock.now()):
            raise Empty
        wait = max(0.0, self.due[0][0] - self.clock.now())
        self.clock.offset += wait
        self.waited += wait
        with self.clock.stopped():
            end, _, future, order = heapq.heappop(self.due)
            orders = pickle.loads(order.payload)[1][0]
            if orders:
                self.last_order = end
            future.set_result(self.receipt(order, orders))
        return self.received.popleft()

    def receipt(self, order, orders):
        """As `cell` makes it."""
        import cloudpickle

        from stratal.md.search.breeding import Brood
        from stratal.slurm.results import put
        from stratal.slurm.tasks import SMALL, Receipt

        found = []
        for one in orders:
            drawn = self.pool[self.rng.integers(len(self.pool))]
            higher = len(drawn.atoms) * self.rng.exponential(0.02)  # eV
            parents = one.parent_numbers
            origin = drawn.origin._replace(operator=one.operator, parents=parents)
            found.append(
                replace(drawn, number=one.number, origin=origin, enthalpy=drawn.enthalpy + higher)
            )
        content = cloudpickle.dumps(Brood(found, order.task if orders else "", (9, 10)))
        put(order.folder, order.task, content)
        small = content if len(content) <= SMALL else None
        return Receipt(order.task, "worker", self.seconds, len(content), small)

    def part_busy(self) -> float:
        """Of the workers' time, from when all have had work until the last structure was made."""
        low = self.began + WARM * self.seconds
        high = self.last_order - 1.3 * self.seconds
        inside = (min(end, high) - max(begin, low) for begin, end in self.busy)
        return sum(max(0.0, part) for part in inside) / ((high - low) * self.n_workers)


def minima(count: int) -> list:
    """Relaxed structures of Cu-Au, as a worker describes them."""
    from stratal.md.search.breeding import Order, breed
    from stratal.md.search.evolution import Evolution
    from stratal.md.search.plan import breeding_for, operators_for, starts_for
    from stratal.md.search.room import limits_of

    config, potential = config_of(count)
    evolution = Evolution(config, operators_for(config), starts_for(config))
    breeding = breeding_for(config, potential, limits_of(config), evolution)
    sizes = np.resize(config.sizes, count).tolist()
    orders = [Order(n, evolution.starts[n % 4], size=size) for n, size in enumerate(sizes)]
    with tempfile.TemporaryDirectory() as folder:
        found = breed(orders, None, potential, breeding, folder).offspring
    return [one for one in found if one.atoms is not None]


def config_of(relaxations: int):
    from stratal.md.search.settings import SearchConfig
    from stratal.potentials.sources import potential_from

    config = SearchConfig(("Cu", "Au"), n_atoms=(2, 8), relaxations=relaxations, population=30)
    return config, potential_from("emt", config.numbers)


def simulated(relaxations: int, n_workers: int, seconds: float, pool: list) -> Simulated:
    """A search on workers that are not there."""
    from stratal.md.search.run import search

    config, potential = config_of(relaxations)
    executor = Simulated(n_workers, seconds, pool)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("stratal.slurm.perform.SimpleQueue", lambda: executor),
    ):
        found = search(config, potential, folder, executor)
    assert found.evolution.done >= relaxations - n_workers * config.batch
    return executor


def offspring(count: int, profiled: bool) -> None:
    pool = minima(120)
    profile = cProfile.Profile()
    if profiled:
        profile.enable()
    before = time.process_time()
    executor = simulated(count, 16, 10.0, pool)
    busy = time.process_time() - before - executor.clock.made_up
    profile.disable()
    spent = executor.clock.now() - executor.began - executor.waited
    print(
        f"{count} offspring, 16 workers: {1e3 * spent / count:.2f} ms of the manager for each, "
        f"{1e3 * busy / count:.2f} ms of them of its core; the rest waits for the disk"
    )
    if profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def workers(count: int, n_workers: int) -> None:
    executor = simulated(count, n_workers, 10.0, minima(120))
    wall = executor.clock.now() - executor.began
    print(
        f"{n_workers} workers, tasks of 8 structures and 10 s: {100 * executor.part_busy():.1f} % "
        f"busy; the manager {100 - 100 * executor.waited / wall:.0f} %"
    )


def scaling(count: int) -> None:
    rates = {n_workers: structures_per_second(count, n_workers) for n_workers in (1, 2)}
    print(f"{rates[1]:.1f} structures/s on one worker, {rates[2]:.1f} on two")
    print(f"two workers are {rates[2] / rates[1]:.2f} times as fast")


def structures_per_second(count: int, n_workers: int) -> float:
    """Of a search on MPI ranks, between a quarter and nine tenths of its batches."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:n_workers]))
    marks = 0.25 * count, 0.9 * count
    with tempfile.TemporaryDirectory() as folder:
        settings, events = Path(folder) / "search.toml", Path(folder) / "run" / "events.jsonl"
        settings.write_text(SEARCH.format(relaxations=count))
        launcher = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(n_workers + 1)]
        command = [sys.executable, "-m", "stratal", "search", str(settings)]
        where = ["--potential", "emt", "-o", f"{folder}/run"]
        run = subprocess.Popen(
            ["taskset", "-c", cores, *launcher, *command, *where], stdout=subprocess.DEVNULL
        )
        passed: list[tuple[float, int]] = []  # when, and how many structures had been relaxed
        while run.poll() is None and len(passed) < 2:
            time.sleep(0.02)
            done = 8 * events.read_bytes().count(b'"done"') if events.exists() else 0
            if done >= marks[len(passed)]:
                passed.append((time.perf_counter(), done))
        assert run.wait() == 0
    (began, before), (ended, after) = passed
    return (after - before) / (ended - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("offspring", "workers", "scaling"))
    parser.add_argument("--count", type=int, help="structures")
    parser.add_argument("--workers", type=int, default=1000, help="of the simulated ones")
    parser.add_argument("--profile", action="store_true", help="where the manager's time goes")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    print(machine())
    if options.what == "offspring":
        offspring(options.count or 4000, options.profile)
    elif options.what == "workers":
        workers(options.count or 40_000, options.workers)
    else:
        scaling(options.count or 1600)


if __name__ == "__main__":
    main()
