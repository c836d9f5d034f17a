"""What happened in a search, in order: lines that are added to a file, each whole or not at all.

That a batch was asked for is on the disk before it is sent. That it is done may be lost: then its
result is found in the journal.

A search that goes on reads them, makes the same decisions again, and takes results from the
journal: no relaxation is lost or done twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from stratal.errors import InputError

What = Literal["asked", "done"]


class Event(NamedTuple):
    """A batch was asked for, or is done."""

    what: What
    batch: int
    known: int = 0  # of a batch that was asked for: how many before it had been taken in


class Events:
    """The file. The first line is the run's hash."""

    def __init__(self, path: str | Path, run: str, write: bool = True) -> None:
        """Open or begin it.

        Args:
            path: the file.
            run: a hash of all that decisions depend on.
            write: else it is read alone; another process may be writing it.

        Raises:
            InputError: of another run, or not to be written; none, to be read.
        """
        self.path = Path(path)
        if not write and not self.path.is_file():
            raise InputError(f"{self.path}: no search there. Give the folder of one.")
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        self.waiting: list[object] = []  # to be written
        self.before = [Event(*json.loads(line)) for line in lines[1:]]
        if lines and json.loads(lines[0]) != run:
            raise InputError(
                f"{self.path}: of a search with other settings, another potential or other starts. "
                f"Give those of that search, or another folder."
            )
        if not write:
            return
        whole = sum(len(line) + 1 for line in lines)
        with self.path.open("ab") as file:
            file.truncate(whole)  # what a death left of a line
        if not lines:
            self.waiting.append(run)
            self.write()

    def __iter__(self) -> Iterator[Event]:
        """What was there when it was opened."""
        return iter(self.before)

    def add(self, what: What, batch: int, known: int = 0) -> None:
        """One more; it is written with those that follow."""
        self.waiting.append([what, batch, known])

    def write(self) -> None:
        """Put all that were added on the disk; one call for many, since it is slow.

        Raises:
            InputError: the disk is full.
        """
        if not self.waiting:
            return
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in self.waiting)
        try:
            with self.path.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}). Free some space and run "
                f"again: nothing that was done is lost."
            ) from error
        self.waiting.clear()
