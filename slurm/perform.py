"""Carry out a list of tasks with an executor, and note in a journal what becomes of each.

Example::

    tasks = [Task(relax, (structure,)) for structure in structures]
    with Journal("run") as journal, open_executor() as executor:
        for outcome in perform(tasks, journal, executor):
            print(outcome.name, outcome.result())

Run again after any end, it goes on where it was.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from stratal.errors import InputError
from stratal.files.checkpoint import StopFlag, interruptible
from stratal.progress import Progress
from stratal.slurm.executor import Executor
from stratal.slurm.isolation import attempt
from stratal.slurm.journal import Journal
from stratal.slurm.tasks import Failure, Order, Receipt, Task

PATIENCE = 0.5  # s without news before the manager looks whether it shall stop
STATUS_INTERVAL = 10.0  # s
SPARE = 8  # workers, for which one more order waits where tasks are made late


class Stopped(Exception):
    """The run was asked to stop; all that was done is in the journal."""


class TaskFailed(Exception):
    """A task failed as often as it may; the message is its traceback."""


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    task: str  # its id
    name: str
    failure: Failure
    message: str
    journal: Journal

    def result(self) -> Any:
        """The function's result.

        Raises:
            TaskFailed: there is none.
        """
        if self.failure:
            raise TaskFailed(f"task {self.name or self.task} ({self.failure}): {self.message}")
        return self.journal.result(self.task)


def perform(
    tasks: Iterable[Task | None],
    journal: Journal,
    executor: Executor,
    retries: int = 2,
    seconds: float | None = None,
    gigabytes: float | None = None,
    description: str = "tasks",
    shown: bool = True,
    late: bool = False,
    before_sending: Callable[[], None] | None = None,
) -> Generator[Outcome]:
    """Carry out tasks; each is done once, in whatever order, and those done before are not.

    Args:
        tasks: may be made while it runs; only those in flight are kept. Equal ones are done once.
            None: the next depends on one that is in flight, or on an outcome on its way.
        journal: of this run.
        executor: where they are carried out.
        retries: attempts after the first that fails, before a task is left as poison.
        seconds: longest time of an attempt; no limit by default.
        gigabytes: most memory of an attempt; no limit by default.
        description: shown with the progress.
        shown: whether progress is.
        late: tasks depend on what came of others, so that they are asked for no earlier than keeps
            workers busy.
        before_sending: called when some have been asked for, before any of these is sent.

    Yields:
        An outcome for each task, as they end.

    Raises:
        Stopped: a signal asked to.
        InputError: the disk is full.
    """
    manager = Manager(journal, executor, retries, seconds, gigabytes, late, before_sending)
    bar = Progress(tasks, description) if shown else None
    with interruptible() as stop, bar or nullcontext():
        try:
            for outcomes in manager.run(iter(tasks), stop):
                if outcomes and bar:
                    bar.update(len(outcomes))
                yield from outcomes
        finally:
            manager.leave()
    if stop.requested:
        raise Stopped(f"{description}: stopped by {stop.signal}; run again to go on.")


class Manager:
    """Keeps as many orders in flight as the executor wants. Not frozen: it counts."""

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        retries: int,
        seconds: float | None,
        gigabytes: float | None,
        late: bool,
        before_sending: Callable[[], None] | None,
    ) -> None:
        self.journal, self.executor, self.retries, self.late = journal, executor, retries, late
        self.before_sending = before_sending or (lambda: None)
        self.order = partial(Order, folder=journal.results, seconds=seconds, gigabytes=gigabytes)
        self.in_flight: dict[str, tuple[Task, Future[Receipt]]] = {}
        self.again: deque[Task] = deque()
        self.twins: Counter[str] = Counter()  # equal tasks that came while one was in flight
        self.inbox: SimpleQueue[tuple[str, Future[Receipt]]] = SimpleQueue()
        self.exhausted = False
        self.idle = False  # the source has nothing until something comes back
        self.exported = -float("inf")

    @property
    def window(self) -> int:
        """Orders that should be in flight."""
        n_workers = self.executor.n_workers
        enough = n_workers + n_workers // SPARE + 1
        return min(self.executor.window, enough) if self.late else self.executor.window

    def run(self, source: Iterator[Task | None], stop: StopFlag) -> Iterator[list[Outcome]]:
        """All tasks; a list of outcomes whenever there is news."""
        while not stop.requested:
            full = len(self.in_flight) >= self.window
            nothing = self.exhausted or self.idle
            receipts = self.collect(wait=full or (nothing and not self.again))
            refuse_full_disk(receipts)
            orders, known = self.next_orders(source, len(receipts))
            if orders or known:
                self.before_sending()
            # Noted before it is sent: what is in place after a death is then known to be its.
            if orders or receipts:
                started = [(task.id, task.name) for task, _ in orders]
                self.journal.write(started, receipts, self.retries)
            outcomes = known + self.outcomes(receipts)
            self.send(orders)
            yield outcomes
            self.tell()
            if self.exhausted and not self.in_flight and not self.again:
                return

    def next_orders(
        self, source: Iterator[Task | None], n_back: int
    ) -> tuple[list[tuple[Task, Order | Receipt]], list[Outcome]]:
        """What to send next in the place of what is back, and what is known already."""
        orders: dict[str, tuple[Task, Order | Receipt]] = {}
        known: list[Outcome] = []
        room = self.window - len(self.in_flight) + n_back
        self.idle = False
        while len(orders) + len(known) < room and (self.again or not (self.exhausted or self.idle)):
            if self.again:
                task = self.again.popleft()
            elif (task := self.drawn(source)) is None:
                continue
            elif task.id in self.in_flight or task.id in orders:
                self.twins[task.id] += 1
                continue
            elif (outcome := self.known(task)) is not None:
                known.append(outcome)
                continue
            orders[task.id] = task, self.order_for(task)
        return list(orders.values()), known

    def drawn(self, source: Iterator[Task | None]) -> Task | None:
        """The next task of the source; None if it has none now, or none any more."""
        try:
            task = next(source)
        except StopIteration:
            self.exhausted = True
            return None
        self.idle = task is None
        return task

    def order_for(self, task: Task) -> Order | Receipt:
        """The task as it is sent, or its receipt if it cannot be."""
        try:
            return self.order(task=task.id, payload=task.payload())
        except Exception as error:  # whatever pickling a user's objects may raise
            message = f"the task cannot be sent to another process ({error})."
            return Receipt(task.id, failure="unpicklable", message=message)

    def known(self, task: Task) -> Outcome | None:
        """The outcome of a task that an earlier run has done with."""
        record = self.journal.record(task.id)
        state = record.state if record else "pending"
        if state == "pending" and self.journal.adopt(task.id, task.name):
            state = "done"
        if state == "done":
            return Outcome(task.id, task.name, "", "", self.journal)
        if record and state == "poison":
            return Outcome(task.id, task.name, record.failure, record.message, self.journal)
        return None

    def send(self, orders: list[tuple[Task, Order | Receipt]]) -> None:
        """Hand orders to the executor."""
        for task, order in orders:
            future: Future[Receipt] = Future()
            if isinstance(order, Receipt):
                future.set_result(order)
            else:
                future = self.executor.submit(attempt, order)
            self.in_flight[task.id] = task, future
            future.add_done_callback(partial(self.arrived, task.id))

    def arrived(self, task: str, future: Future[Receipt]) -> None:
        """Called by the executor's own thread."""
        self.inbox.put((task, future))

    def collect(self, wait: bool) -> list[Receipt]:
        """Receipts that have come; waits for the first a little while."""
        receipts = []
        try:
            item = self.inbox.get(wait and bool(self.in_flight), PATIENCE)
            while True:
                receipts.append(receipt_of(*item))
                item = self.inbox.get_nowait()
        except Empty:
            return receipts

    def outcomes(self, receipts: list[Receipt]) -> list[Outcome]:
        """Of tasks that are done with; those that may try again wait for that."""
        found = []
        for receipt in receipts:
            task, _ = self.in_flight.pop(receipt.task)
            record = self.journal.record(receipt.task) if receipt.failure else None
            if record and record.state == "pending":
                self.again.append(task)
                continue
            about = (receipt.failure, receipt.message)
            outcome = Outcome(task.id, task.name, *about, self.journal)
            found += [outcome] * (1 + self.twins.pop(task.id, 0))
        return found

    def tell(self) -> None:
        """Readers elsewhere how far the run is, now and then."""
        if time.monotonic() - self.exported > STATUS_INTERVAL:
            self.exported = time.monotonic()
            self.journal.export_status(workers=self.executor.n_workers)

    def leave(self) -> None:
        """Nothing is in flight any more, however the run ends."""
        for _, future in self.in_flight.values():
            future.cancel()
        self.journal.put_back(self.in_flight)
        self.journal.export_status(workers=0)


def refuse_full_disk(receipts: list[Receipt]) -> None:
    """Stop where results cannot be kept; no task is to blame.

    Raises:
        InputError: a worker could not write.
    """
    for receipt in receipts:
        if receipt.failure == "disk":
            raise InputError(
                f"{receipt.message} Free some space and run again: nothing done is lost."
            )


def receipt_of(task: str, future: Future[Receipt]) -> Receipt:
    """The receipt, also where the worker was lost with the task."""
    if future.cancelled():
        return Receipt(task, failure="lost", message="the order was cancelled.")
    error = future.exception()
    if error is not None:
        return Receipt(task, failure="lost", message=f"{type(error).__name__}: {error}")
    return future.result()
