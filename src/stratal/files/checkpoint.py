"""Checkpoints of long loops: save when due, stop cleanly when asked, go on later.

Example::

    checkpoint = Checkpoint("run.h5")
    with interruptible() as stop:
        while step < n_steps and not stop.requested:
            ...
            checkpoint.save(state)  # does nothing until a minute has passed
        checkpoint.save(state, force=True)
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from stratal.errors import InputError
from stratal.files.hdf5 import Tree, read_hdf5, write_hdf5


@dataclass
class Checkpoint:
    """The state of one loop in one file, replaced atomically.

    Not frozen: it remembers when it last saved.
    """

    path: str | Path
    interval_s: float = 60.0
    kind: str = "checkpoint"
    _last: float = field(default_factory=lambda: time.monotonic(), repr=False)

    def due(self) -> bool:
        """Whether ``interval_s`` seconds have passed since the last save (or the start)."""
        return time.monotonic() - self._last >= self.interval_s

    def exists(self) -> bool:
        """Whether there is something to load."""
        return Path(self.path).is_file()

    def save(self, state: Mapping[str, Any], force: bool = False) -> bool:
        """Save if due or forced.

        Args:
            state: nested dictionary of arrays, numbers and text.
            force: save now, due or not.

        Returns:
            Whether it was saved.

        Raises:
            InputError: the file cannot be written; the last checkpoint stays whole.
        """
        if not (force or self.due()):
            return False
        write_hdf5(self.path, state, {}, self.kind)
        self._last = time.monotonic()
        return True

    def load(self) -> Tree:
        """The state last saved.

        Raises:
            InputError: no checkpoint there, or not readable.
        """
        return read_hdf5(self.path, self.kind)[0]

    def load_of(self, run: str, other: str) -> Tree:
        """The state last saved, if its ``run`` is this one.

        Args:
            run: a hash of all that the loop's result depends on.
            other: a sentence for the state of another run.

        Raises:
            InputError: as `load`; the state of another run.
        """
        state = self.load()
        if state["run"] != run:
            raise InputError(f"{self.path}: {other}")
        return state

    def remove(self) -> None:
        """Delete the file, if any: the loop is done."""
        Path(self.path).unlink(missing_ok=True)


@dataclass
class StopFlag:
    """Set when the process was asked to stop; a second Ctrl-C stops at once."""

    requested: bool = False
    signal: str | None = None


@contextmanager
def interruptible(
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1),
) -> Iterator[StopFlag]:
    """Turn signals into a flag that a loop can look at, then restore the old handlers.

    Slurm sends SIGTERM (or, if asked, SIGUSR1) before it ends a job. Outside the main
    thread Python cannot catch signals: the flag is then never set.
    """
    flag = StopFlag()

    def note(number: int, frame: FrameType | None) -> None:
        if flag.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.requested = True
        flag.signal = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, note) for number in signals}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
