"""What happened in a search, in order: lines that are added to a file, each whole or not at all.

That a batch was asked for is on the disk before it is sent. That it is done may be lost: then its
result is found in the journal.

A search that goes on reads them, makes the same decisions again, and takes results from the
journal: no relaxation is lost or done twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stratal.errors import InputError

What = Literal["asked", "done"]


class Event(NamedTuple):
    """A batch was asked for, or is done."""

    what: What
    batch: int
    known: int = 0  # of a batch that was asked for: how many before it had been taken in
    count: int = 0  # likewise: structures that it makes; a larger budget does not change it


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
        of, self.before = self.read(lines)
        if lines and of != run:
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

    def read(self, lines: Sequence[bytes]) -> tuple[object, list[Event]]:
        """The run's hash and what happened.

        Raises:
            InputError: names the first line that is neither.
        """
        values: list[Any] = []
        for number, line in enumerate(lines):
            try:
                value = json.loads(line)
                values.append(Event(*value) if number else value)
            except (ValueError, TypeError):
                raise InputError(
                    f"{self.path}, line {number + 1}: damaged; expected what happened, such as "
                    f'["asked", 0, 0, 8]. Restore the file, or give another folder.'
                ) from None
        return (values[0] if values else None), values[1:]

    def __iter__(self) -> Iterator[Event]:
        """What was there when it was opened."""
        return iter(self.before)

    def add(self, what: What, batch: int, known: int = 0, count: int = 0) -> None:
        """One more; it is written with those that follow."""
        self.waiting.append([what, batch, known, count])

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
