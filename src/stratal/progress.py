"""Progress with time left: a bar on a terminal, plain lines in a batch job.

Set ``STRATAL_PROGRESS=off`` to hear nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import Any, Generic, TextIO, TypeVar, cast

Item = TypeVar("Item")


class Progress(Generic[Item]):
    """How far a loop has come, on standard error.

    Example::

        for frame in progress(frames, "reading"):
            ...

        with progress(n_steps, "training") as bar:
            bar.update(1, loss=0.03)

    Not frozen: it counts.
    """

    def __init__(
        self,
        what: Iterable[Item] | int | None,
        description: str,
        interval_s: float = 10.0,
        stream: TextIO | None = None,
    ) -> None:
        """Set up; nothing is shown before the first update.

        Args:
            what: what to iterate over, or how many updates will come (None: unknown).
            description: what is being done.
            interval_s: least seconds between two lines in a batch job.
            stream: where to write; standard error by default.
        """
        self._items = what if not isinstance(what, int) and what is not None else None
        self.total = what if isinstance(what, int) else _length(what)
        self.description = description
        self.done = 0
        self._interval_s = interval_s
        self._stream = stream or sys.stderr
        self._begin = self._last_line = time.monotonic()
        self._notes = ""
        self._quiet = os.environ.get("STRATAL_PROGRESS", "").lower() in ("off", "0", "no")
        self._bar = None if self._quiet or not self._stream.isatty() else self._rich_bar()

    def update(self, n: int = 1, **notes: Any) -> None:
        """Count ``n`` more; ``notes`` such as ``loss=0.03`` are shown beside."""
        self.done += n
        if notes:
            self._notes = ", ".join(f"{key} {_short(value)}" for key, value in notes.items())
        now = time.monotonic()
        if self._bar is not None:
            bar, task = self._bar
            bar.start()
            bar.update(task, completed=self.done, notes=self._notes)
        elif now - self._last_line >= self._interval_s:
            self._last_line = now
            self._write_line(now)

    def close(self) -> None:
        """Finish: the bar stays as it is, or a last line tells the time taken."""
        now = time.monotonic()
        if self._bar is not None:
            self._bar[0].stop()
        elif now - self._begin >= self._interval_s:  # short work needs no line
            self._write_line(now)

    def __iter__(self) -> Iterator[Item]:
        if self._items is None:
            raise TypeError("this progress counts to a number; call update() in the loop")
        with self:
            for item in self._items:
                yield item
                self.update()

    def __enter__(self) -> Progress[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def line(self, elapsed_s: float) -> str:
        """The plain line after ``elapsed_s`` seconds."""
        if not self.total:
            parts = [f"{self.description}: {self.done}"]
        else:
            percent = 100 * self.done / self.total
            parts = [f"{self.description}: {percent:3.0f}% ({self.done}/{self.total})"]
        parts.append(f"elapsed {clock(elapsed_s)}")
        if self.total and 0 < self.done < self.total:
            parts.append(f"left {clock(elapsed_s * (self.total - self.done) / self.done)}")
        return ", ".join([*parts, *([self._notes] if self._notes else [])])

    def _write_line(self, now: float) -> None:
        if not self._quiet:
            print(self.line(now - self._begin), file=self._stream, flush=True)

    def _rich_bar(self) -> tuple[Any, Any]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[notes]}", markup=False),
            console=Console(file=self._stream),
        )
        return bar, bar.add_task(self.description, total=self.total, notes="")


def progress(
    what: Iterable[Item] | int | None, description: str, interval_s: float = 10.0
) -> Progress[Item]:
    """Show how far a loop has come; see ``Progress``.

    >>> [2 * n for n in progress([1, 2], "doubling")]
    [2, 4]
    """
    return Progress(what, description, interval_s)


def clock(seconds: float) -> str:
    """Seconds for a reader.

    >>> clock(7), clock(75), clock(4000), clock(200000)
    ('0:07', '1:15', '1:06:40', '2 d 7:33:20')
    """
    days, rest = divmod(round(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days} d {text}" if days else text


def _length(what: object) -> int | None:
    return len(cast(Sized, what)) if hasattr(what, "__len__") else None


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
