"""The child's side of `isolation`: read an order, carry it out, put the result into place.

Started as ``python -m stratal.slurm.cell FILE_DESCRIPTOR PARENT``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import signal
import sys
import time
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection

import cloudpickle

from stratal.errors import InputError
from stratal.slurm.isolation import name
from stratal.slurm.results import put
from stratal.slurm.tasks import SMALL, Order, Receipt, resolved

PR_SET_PDEATHSIG = 1
FIRST_TO_GO = "500"  # when the system runs out of memory it shall end this process, not the worker


def main() -> None:
    """Carry out orders until the worker is gone."""
    number, parent = map(int, sys.argv[1:])
    die_with(parent)
    # The worker decides when to stop: signals to the whole group are its own business.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(ignored, signal.SIG_IGN)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(FIRST_TO_GO)
    connection = Connection(number)
    with suppress(EOFError):
        while True:
            connection.send(carry_out(connection.recv()))


def die_with(parent: int) -> None:
    """End when the parent ends, however that comes about."""
    with suppress(OSError, AttributeError):  # not Linux: the closed connection ends us
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        sys.exit(1)


def carry_out(order: Order) -> Receipt:
    """Call the function and put its result into place."""
    began = time.monotonic()

    def receipt(**fields) -> Receipt:
        return Receipt(order.task, name(), time.monotonic() - began, **fields)

    try:
        function, args, kwargs = pickle.loads(order.payload)
        args = [resolved(value) for value in args]
        result = function(*args, **{key: resolved(value) for key, value in kwargs.items()})
        content = cloudpickle.dumps(result)
    except MemoryError:
        return receipt(failure="memory", message=traceback.format_exc())
    except BaseException:  # SystemExit too is the task's own affair
        return receipt(failure="error", message=traceback.format_exc())
    try:
        put(order.folder, order.task, content)
    except (InputError, OSError) as error:
        number = getattr(error.__cause__ or error, "errno", None)
        full = number in (errno.ENOSPC, errno.EDQUOT)
        return receipt(failure="disk" if full else "error", message=str(error))
    small = len(content) <= SMALL
    return receipt(size=len(content), value=content if small else None)


if __name__ == "__main__":
    main()
