"""Run orders in a child process, so that whatever a task does, the worker lives on.

A segmentation fault, an endless loop or memory without bound ends the child; the worker says so
in the receipt and starts another child for the next order. The child keeps what it has
compiled and read from one order to the next.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from stratal.slurm.tasks import Failure, Order, Receipt

LOOK = 0.2  # s between two looks at the child's time and memory
OF_LAUNCHERS = ("PMI_", "PMIX_", "OMPI_", "PRTE_", "MPI_LOCAL", "HYDI_")

_own = threading.local()


def attempt(order: Order) -> Receipt:
    """Carry out an order in this thread's child process."""
    if not hasattr(_own, "cell"):
        _own.cell = Cell()
    return _own.cell.carry_out(order)


class Cell:
    """A child process that carries out one order after the other.

    Not frozen: it holds the process.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def carry_out(self, order: Order) -> Receipt:
        """Send an order and wait for its receipt; limits and death become a failure."""
        began = time.monotonic()
        connection = self._started()
        try:
            connection.send(order)
            failure, message = self._wait(connection, order, began)
            if not failure:
                return connection.recv()
        except (EOFError, OSError):
            failure, message = "killed", self._how_it_ended()
        self.close()
        return Receipt(order.task, name(), time.monotonic() - began, 0, None, failure, message)

    def __del__(self) -> None:
        """The child ends with its thread."""
        self.close()

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

    def _started(self) -> Connection:
        """The connection to a living child."""
        if self._connection is not None and self._process and self._process.poll() is None:
            return self._connection
        self.close()
        here, there = Pipe()
        number = there.fileno()
        # A child that took itself for a rank would wait for the others for ever.
        env = {k: v for k, v in os.environ.items() if not k.startswith(OF_LAUNCHERS)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stratal.slurm.cell", str(number), str(os.getpid())],
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            env=env,
        )
        there.close()  # so that the child's death ends what is read here
        self._connection = here
        return here

    def _wait(self, connection: Connection, order: Order, began: float) -> tuple[Failure, str]:
        """Until there is an answer, or a limit is passed."""
        process = self._process
        assert process is not None
        while not connection.poll(LOOK):
            if order.seconds is not None and time.monotonic() - began > order.seconds:
                return "time", f"took longer than the {order.seconds:g} s that a task may take."
            if order.gigabytes is not None and memory(process.pid) > order.gigabytes:
                return "memory", f"used more than the {order.gigabytes:g} GB that a task may use."
        return "", ""

    def _how_it_ended(self) -> str:
        """What the operating system says of the child's death."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            return "the task closed the connection of its process."
        if code >= 0:
            return f"the task's process ended with exit code {code}."
        cause = ", as when memory runs out" if -code == signal.SIGKILL else ""
        return f"the task's process was ended by {signal.Signals(-code).name}{cause}."


def close() -> None:
    """End this thread's child process, if it has one."""
    _own.__dict__.pop("cell", None)


def memory(pid: int) -> float:
    """Resident memory of a process, GB; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9
    except OSError:
        return 0.0


def name() -> str:
    """Host and process, for people."""
    return f"{os.uname().nodename}:{os.getpid()}"
