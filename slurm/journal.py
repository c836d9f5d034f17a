"""The journal of a run: which tasks there are, what became of each, and their results.

A folder with an SQLite file (rollback journal: write-ahead logging does not work on network file
systems), written by one process, the manager. Workers put results into files; the manager takes
small ones into the journal. Whatever dies at whatever instant, a result that is in its place is
never lost, and its task never done again.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from stratal.errors import InputError
from stratal.files.atomic import write_json
from stratal.slurm.results import get, place, remains
from stratal.slurm.tasks import Failure, Receipt

FORMAT = 1
MOST_LOST = 10  # times that a task may end with its worker, before it counts as poison
FILE = "journal.sqlite"
STATUS = "status.json"
RESULTS = "results"
TABLES = """
create table about (key text primary key, value text not null);
create table tasks (
    id text primary key,
    name text not null,
    state text not null,      -- pending, running, done, poison
    attempts integer not null, -- that failed
    lost integer not null,     -- that ended with their worker
    seconds real,
    worker text,
    failure text not null,     -- of the last attempt that failed
    message text not null,
    size integer,              -- bytes of the result
    value blob                 -- the pickled result; null: in its file
);
create index states on tasks (state);
"""

State = Literal["pending", "running", "done", "poison"]
STATES: tuple[State, ...] = ("pending", "running", "done", "poison")


@dataclass(frozen=True)
class Record:
    """What the journal knows of a task."""

    id: str
    name: str
    state: State
    attempts: int = 0
    lost: int = 0
    seconds: float | None = None
    worker: str | None = None
    failure: Failure = ""
    message: str = ""


COLUMNS = "id, name, state, attempts, lost, seconds, worker, failure, message"


class Journal:
    """The journal of one run, open for writing.

    Not frozen: it holds the file. Use it as a context manager.
    """

    def __init__(self, folder: str | Path, run: str | None = "") -> None:
        """Open a journal, or begin one.

        Args:
            folder: where it stands, on a disk that all workers see.
            run: what its tasks belong to, such as a hash of settings; must be the same again.
                None: whatever there is, to look after it.

        Raises:
            InputError: it belongs to another run or a later version, another process writes it,
                or the folder cannot be written.
        """
        self.folder = Path(folder)
        if run is None and not (self.folder / FILE).is_file():
            raise InputError(f"{self.folder / FILE}: no journal there. Give the folder of a run.")
        self._lock = lock(self.folder)
        try:
            with sentences(self.folder):
                self._database = opened(self.folder / FILE, run or "")
                check(self._database, self.folder, run)
            self.adopted = self._recover()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; another process may open it then."""
        self._database.close()
        os.close(self._lock)

    @property
    def results(self) -> str:
        """Folder of the workers' results."""
        return results_of(self.folder)

    def record(self, task: str) -> Record | None:
        """What is known of a task; None if nothing."""
        row = self._database.execute(f"select {COLUMNS} from tasks where id = ?", (task,))
        found = row.fetchone()
        return Record(*found) if found else None

    def result(self, task: str) -> Any:
        """The result of a task that is done.

        Raises:
            InputError: it is not there, or damaged.
        """
        return result_in(self._database, self.folder, task)

    def write(
        self,
        started: Sequence[tuple[str, str]] = (),
        receipts: Sequence[Receipt] = (),
        retries: int = 0,
    ) -> None:
        """Note in one step what begins and what came back.

        Args:
            started: id and name of tasks that are about to be sent to workers.
            receipts: of those that came back.
            retries: attempts after the first, before a task counts as poison.

        Raises:
            InputError: the disk is full; what was noted before stands.
        """
        done = [r for r in receipts if not r.failure]
        failed = [r for r in receipts if r.failure]
        with sentences(self.folder), self._database as database:
            database.executemany(
                "insert into tasks values (?, ?, 'running', 0, 0, null, null, '', '', null, null) "
                "on conflict (id) do update set state = 'running'",
                started,
            )
            database.executemany(
                "update tasks set state = 'done', seconds = ?, worker = ?, size = ?, value = ? "
                "where id = ?",
                [(r.seconds, r.worker, r.size, r.value, r.task) for r in done],
            )
            database.executemany(
                "update tasks set attempts = attempts + ?, lost = lost + ?, seconds = ?, "
                "worker = ?, failure = ?, message = ? where id = ?",
                [
                    (r.failure != "lost", r.failure == "lost", r.seconds, r.worker, r.failure,
                     r.message, r.task)
                    for r in failed
                ],
            )  # fmt: skip
            database.executemany(
                "update tasks set state = case when attempts > ? or lost > ? "
                "or failure = 'unpicklable' then 'poison' else 'pending' end where id = ?",
                [(retries, MOST_LOST, r.task) for r in failed],
            )
        for receipt in done:  # only now: until then the file is what keeps the result
            if receipt.value is not None:
                place(self.results, receipt.task).unlink(missing_ok=True)

    def put_back(self, tasks: Iterable[str]) -> None:
        """Tasks that were sent but will not be carried out are pending again."""
        with sentences(self.folder), self._database as database:
            database.executemany(
                "update tasks set state = 'pending' where id = ? and state = 'running'",
                [(task,) for task in tasks],
            )

    def adopt(self, task: str, name: str) -> bool:
        """Take in a result that stands in its place though nothing is known of its task."""
        path = place(self.results, task)
        if not path.exists():
            return False
        self.write([(task, name)], [Receipt(task, size=path.stat().st_size)])
        return True

    def counts(self) -> Counter[str]:
        """Tasks by state."""
        return counts_in(self._database)

    def retry(self) -> int:
        """Poison tasks get all their attempts again; how many those are."""
        with sentences(self.folder), self._database as database:
            return database.execute(
                "update tasks set state = 'pending', attempts = 0, lost = 0 where state = 'poison'"
            ).rowcount

    def repair(self) -> dict[str, int]:
        """Set right what an unclean end or a meddling hand has left.

        Returns:
            How many results were taken in, results were missing, and unfinished files removed.
        """
        parts = [*remains(self.results), *remains(self.folder)]
        for part in parts:
            part.unlink(missing_ok=True)
        rows = self._database.execute(
            "select id, size from tasks where state='done' and value is null"
        )
        missing = [
            task for task, size in rows.fetchall()
            if not (file := place(self.results, task)).exists() or file.stat().st_size != size
        ]  # fmt: skip
        with sentences(self.folder), self._database as database:
            database.executemany(
                "update tasks set state = 'pending' where id = ?", [(task,) for task in missing]
            )
        return {"taken in": self.adopted, "missing": len(missing), "unfinished": len(parts)}

    def export_status(self, **notes: Any) -> None:
        """Write the small file from which readers elsewhere see how far the run is."""
        content = {"format": FORMAT, "tasks": dict(self.counts()), "written": time.time(), **notes}
        write_json(self.folder / STATUS, content)

    def _recover(self) -> int:
        """What was running when the last manager ended: done if its result is in place."""
        rows = self._database.execute("select id, name from tasks where state = 'running'")
        running = rows.fetchall()
        found = [task for task, name in running if self.adopt(task, name)]
        self.put_back(task for task, _ in running)
        return len(found)


def counts_in(database: sqlite3.Connection) -> Counter[str]:
    """Tasks by state."""
    rows = database.execute("select state, count(*) from tasks group by state")
    return Counter(dict(rows.fetchall()))


def read_status(folder: str | Path) -> dict[str, Any]:
    """What the manager of a run last wrote.

    Raises:
        InputError: there is no such file, or it is not one.
    """
    path = Path(folder) / STATUS
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}). Give the folder of a run's journal."
        ) from None


def records(folder: str | Path, state: State | None = None, limit: int = 20) -> list[Record]:
    """Tasks of a journal, also one that another process is writing.

    Raises:
        InputError: there is no journal.
    """
    with reading(folder) as database:
        where, values = ("where state = ?", (state,)) if state else ("", ())
        rows = database.execute(f"select {COLUMNS} from tasks {where} limit ?", (*values, limit))
        return [Record(*row) for row in rows.fetchall()]


@contextmanager
def reading(folder: str | Path) -> Iterator[sqlite3.Connection]:
    """A journal's tables, to read from.

    Raises:
        InputError: there is no journal.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(f"{path}: no journal there. Give the folder of a run.")
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30.0)
    try:
        with sentences(Path(folder)):
            yield database
    finally:
        database.close()


def lock(folder: Path) -> int:
    """An exclusive lock, given back whatever way the process ends; its file descriptor.

    Raises:
        InputError: another process has it, or the folder cannot be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}). Give a folder that can."
        ) from None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise InputError(
            f"{folder}: process {holder} writes this journal. Wait until it is done or end it; "
            f"a journal has one manager."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.uname().nodename}:{os.getpid()}".encode(), 0)
    return descriptor


def opened(path: Path, run: str) -> sqlite3.Connection:
    """The database; with its tables if it is new."""
    database = sqlite3.connect(path, timeout=60.0)
    database.execute("pragma journal_mode = persist")  # fewest changes of the folder
    database.execute("pragma synchronous = normal")
    if not database.execute("select name from sqlite_master where name = 'about'").fetchone():
        quoted = run.replace("'", "''")
        about = f"insert into about values ('format', '{FORMAT}'), ('run', '{quoted}');"
        database.executescript(f"begin; {TABLES} {about} commit;")
    return database


def check(database: sqlite3.Connection, folder: Path, run: str | None) -> None:
    """Refuse a journal of another run or of a later version."""
    about = dict(database.execute("select key, value from about").fetchall())
    if int(about["format"]) > FORMAT:
        raise InputError(
            f"{folder}: journal of format {about['format']}; this version reads up to format "
            f"{FORMAT}. Go on with the version that wrote it, or give another folder."
        )
    if run is not None and about["run"] != run:
        raise InputError(
            f"{folder}: journal of another run ({about['run'] or 'unnamed'}, not "
            f"{run or 'unnamed'}): its settings or inputs differ. Restore those, or give another "
            f"folder."
        )


def results_of(folder: Path) -> str:
    """Where the workers of a run put their results."""
    return str((folder / RESULTS).resolve())


def result_in(database: sqlite3.Connection, folder: Path, task: str) -> Any:
    """The result of a task that is done, from the journal or its own file.

    Raises:
        InputError: it is not there, or damaged.
    """
    row = database.execute("select value from tasks where id = ?", (task,)).fetchone()
    if row is None:
        raise InputError(
            f"{folder / FILE}: no result of task {task}, which is done. Restore the file, or give "
            f"another folder."
        )
    return get(results_of(folder), task) if row[0] is None else pickle.loads(row[0])


@contextmanager
def sentences(folder: Path) -> Iterator[None]:
    """SQLite's errors as sentences."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        remedy = "Free some space and run again: nothing that was done is lost."
        if "full" not in str(error) and "I/O" not in str(error):
            remedy = "Restore the file, or give another folder."
        raise InputError(f"{folder / FILE}: {error}. {remedy}") from None
