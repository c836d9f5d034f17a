"""What the tests of executors let workers do; a script that carries out tasks, to be killed."""

import ctypes
import os
import sys
import time
from pathlib import Path

from stratal.slurm.executor import open_executor
from stratal.slurm.journal import Journal
from stratal.slurm.perform import perform
from stratal.slurm.tasks import Shared, Task


def square(number, wait=0.0):
    time.sleep(wait)
    return number**2


def add(number, shared):
    return number + shared["more"]


def logged_square(number, wait, log):
    """Says that it is about to be finished: the result is put into place right afterwards."""
    time.sleep(wait)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{number} {os.getpid()}\n".encode())
    os.close(descriptor)
    return number**2


def fail_times(folder, times):
    """Fails until it was called so many times."""
    before = len(list(Path(folder).glob("call*")))
    (Path(folder) / f"call{before}").touch()
    if before < times:
        raise ValueError(f"call {before}")
    return before


def misbehave(how):
    if how == "segmentation fault":
        ctypes.string_at(0)
    if how == "endless loop":
        while True:
            pass
    if how == "out of memory":
        blocks = []
        while True:
            blocks.append(bytearray(20_000_000))
            time.sleep(0.02)
    if how == "exit":
        sys.exit(0)
    if how == "unpicklable result":
        return (number for number in range(3))
    raise ValueError("as asked")


MISBEHAVIOUR = {
    "segmentation fault": "killed",
    "endless loop": "time",
    "out of memory": "memory",
    "exit": "error",
    "unpicklable result": "error",
    "exception": "error",
}


def poisoned(count):
    """Good tasks with bad ones among them."""
    tasks = [Task(square, (n,), name=f"square {n}") for n in range(count)]
    for place, how in enumerate(MISBEHAVIOUR):
        tasks.insert(3 * place, Task(misbehave, (how,), name=how))
    tasks.insert(5, Task(square, ((n for n in range(3)),), name="unpicklable"))
    return tasks


def main():
    """Arguments: kind of executor, journal's folder, number of tasks, seconds of each; a file.

    With a file for dask's scheduler it has the workers that join.
    """
    kind, folder, count, wait, *file = sys.argv[1:]
    tasks = [
        Task(logged_square, (n, float(wait), f"{folder}.log"), name=str(n))
        for n in range(int(count))
    ]
    options = {"scheduler_file": file[0]} if file else {"n_workers": 2}
    with open_executor(kind, **options) as executor, Journal(folder) as journal:
        for outcome in perform(tasks, journal, executor):
            assert outcome.result() == int(outcome.name) ** 2
        print("counts", dict(journal.counts()), flush=True)


def main_poisoned():
    """Arguments: kind of executor, journal's folder."""
    with open_executor(sys.argv[1], n_workers=2) as executor, Journal(sys.argv[2]) as journal:
        found = perform(poisoned(30), journal, executor, retries=1, seconds=5.0, gigabytes=0.5)
        for outcome in found:
            print(f"{outcome.name}: {outcome.failure or outcome.result()}", flush=True)


def main_shared():
    """Arguments: kind of executor, journal's folder."""
    folder = sys.argv[2]
    shared = Shared.of({"more": 10}, folder)
    with open_executor(sys.argv[1], n_workers=2) as executor, Journal(folder) as journal:
        tasks = [Task(add, (n, shared)) for n in range(5)]
        print(sorted(outcome.result() for outcome in perform(tasks, journal, executor)), flush=True)


if __name__ == "__main__":
    {"run": main, "elastic": main, "poisoned": main_poisoned, "shared": main_shared}[
        sys.argv.pop(1)
    ]()
