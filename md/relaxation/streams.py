"""Results of a run under way: streamed to disk, cut back to a checkpoint, ordered at the end.

Extended XYZ is appended to one file. HDF5 cannot be appended to safely: there each checkpoint has
its part, put into place whole.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from stratal.errors import InputError
from stratal.files import read_frames, read_hdf5, write_hdf5
from stratal.files.atomic import UNFINISHED
from stratal.files.extxyz import format_frame
from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.results import (
    KIND,
    annotated,
    as_arrays,
    from_frame,
    is_hdf5,
    joined,
    write_relaxed,
)

PART = "part-{:06d}.h5"
MISSING = "results are missing. Remove it and the checkpoint to begin anew."
AGAIN = "Free some space and run again with --resume: nothing before the last checkpoint is lost."


class Stream(Protocol):
    """Where results go, in the order in which they come."""

    path: Path

    def cut(self, mark: int) -> None:
        """Go on after a mark; what a death left behind it goes.

        Raises:
            InputError: there is less than was marked, or it cannot be written.
        """
        ...

    def append(self, results: Sequence[Relaxed]) -> None:
        """Add results.

        Raises:
            InputError: they cannot be written, as on a full disk; nothing before them is lost.
        """
        ...

    def mark(self) -> int:
        """Have all on the disk; returns what a checkpoint needs to know.

        Raises:
            InputError: as `append`.
        """
        ...

    def finish(self, output: Path) -> Counter[str]:
        """Write all in the order of the input; returns how many ended in which way.

        Raises:
            InputError: the output cannot be written.
        """
        ...

    def remove(self) -> None:
        """Delete it: the output is written."""
        ...


def stream_for(output: Path) -> Stream:
    """The stream of an output, beside it."""
    if is_hdf5(output):
        return Parts(output.with_name(f"{output.name}.parts"))
    return Partial(output.with_name(f"{output.name}.partial.extxyz"))


class Partial:
    """Extended XYZ, one after the other in a file; marks are bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes

    def cut(self, mark: int) -> None:
        """A frame that a death left half-written is cut off."""
        try:
            with self.path.open("ab") as file:
                found = file.tell()
                if found < mark:
                    raise InputError(
                        f"{self.path}: {found} bytes, where the checkpoint knows {mark}: {MISSING}"
                    )
                file.truncate(mark)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self.size = mark

    def append(self, results: Sequence[Relaxed]) -> None:
        """At once, and to the disk."""
        frames = [annotated(result) for result in results]
        content = "".join(format_frame(frame, str(self.path)) for frame in frames).encode()
        if not content:
            return
        try:
            with self.path.open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}). {AGAIN}"
            ) from error
        self.size += len(content)

    def mark(self) -> int:
        """Bytes written."""
        return self.size

    def finish(self, output: Path) -> Counter[str]:
        """As extended XYZ."""
        frames = read_frames(self.path)
        return write_relaxed(output, [from_frame(frame, 0, str(self.path)) for frame in frames])

    def remove(self) -> None:
        """The file."""
        self.path.unlink(missing_ok=True)


class Parts:
    """HDF5 files in a folder, one for each mark; marks are their number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.kept: list[Relaxed] = []  # since the last mark

    def cut(self, mark: int) -> None:
        """Parts that are newer go; a death leaves no half of one."""
        try:
            self.path.mkdir(exist_ok=True)
            there = sorted(self.path.glob(PART.format(0).replace("000000", "*")))
            if there[:mark] != self.parts(mark):
                raise InputError(
                    f"{self.path}: {len(there)} parts, where the checkpoint knows {mark}: {MISSING}"
                )
            for path in (*there[mark:], *self.path.glob(f"{UNFINISHED}*")):
                path.unlink()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self.count, self.kept = mark, []

    def parts(self, count: int) -> list[Path]:
        """The first parts."""
        return [self.path / PART.format(number) for number in range(1, count + 1)]

    def append(self, results: Sequence[Relaxed]) -> None:
        """Kept until the next mark."""
        self.kept += results

    def mark(self) -> int:
        """What was kept becomes a part."""
        if self.kept:
            path = self.path / PART.format(self.count + 1)
            try:
                write_hdf5(path, as_arrays(self.kept), {}, KIND)
            except InputError as error:
                raise InputError(f"{error} {AGAIN}") from error
            self.count, self.kept = self.count + 1, []
        return self.count

    def finish(self, output: Path) -> Counter[str]:
        """As one HDF5 file."""
        whole = joined([read_hdf5(path, KIND)[0] for path in self.parts(self.count)])
        write_hdf5(output, whole, {}, KIND)
        return Counter(whole["outcome"])

    def remove(self) -> None:
        """The parts, and the folder if nothing else stands in it."""
        self.cut(0)
        with suppress(OSError):
            self.path.rmdir()
