"""The journal of a run that another process writes, or that was left by a death: read only."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from stratal.errors import InputError
from stratal.slurm.journal import FILE, result_in, sentences


class JournalReader:
    """Results by task, as a `Journal` tells them. Use it as a context manager."""

    def __init__(self, folder: str | Path) -> None:
        """Open it.

        Raises:
            InputError: no journal, or a damaged one.
        """
        self.folder = Path(folder)
        path = self.folder / FILE
        if not path.is_file():
            raise InputError(f"{path}: no journal there. Give the folder of a run.")
        with sentences(self.folder):
            self._database = opened(path)

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def result(self, task: str) -> Any:
        """The result of a task that is done.

        Raises:
            InputError: it is not there, or damaged.
        """
        with sentences(self.folder):
            return result_in(self._database, self.folder, task)


def opened(path: Path) -> sqlite3.Connection:
    """The database. A death in the middle of a write leaves it to SQLite to take that back."""
    for mode in ("ro", "rw"):  # taking back needs to write; locks guard a process that runs
        database = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=30.0)
        try:
            database.execute("select 1 from tasks").fetchone()
            return database
        except sqlite3.DatabaseError:
            database.close()
            if mode == "rw":
                raise
    raise AssertionError("one of two")
