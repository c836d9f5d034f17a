"""Atomic writes: a file holds its old content or all of its new content, never a part.

The new content goes to a temporary name in the same folder, is forced to disk, and takes
the place of the old file in one step.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stratal.errors import InputError

UNFINISHED = ".stratal-"  # how names of temporary files begin
_REMEDIES = {
    errno.ENOSPC: "Free some space or write elsewhere.",
    errno.EDQUOT: "Free some of your quota or write elsewhere.",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f) or write elsewhere.",
    errno.EACCES: "Change the permissions or write elsewhere.",
    errno.EPERM: "Change the permissions or write elsewhere.",
    errno.EROFS: "Write to another file system.",
    errno.ENOENT: "Create the folder or correct the path.",
    errno.ENOTDIR: "Correct the path: one of its folders is a file.",
    errno.EISDIR: "Give the name of a file: this is a folder.",
    errno.ENAMETOOLONG: "Give a shorter name.",
}


@contextmanager
def atomic_path(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """Write to the path that this yields; on success it becomes ``path``.

    The temporary file keeps the suffixes of ``path`` (so that writers which go by suffix
    work) and is removed if anything fails; ``path`` then keeps its old content.

    Args:
        path: the file.
        durable: force it to disk, so that it also outlives the machine's end.

    Raises:
        InputError: the folder is missing, the disk is full, permission is denied.
    """
    path = Path(path)
    with _errors_as_sentences(path):
        target = path.resolve()  # a link stays a link: its target is replaced
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = _temporary_beside(target)
        try:
            yield temporary
            if durable:
                _force_to_disk(temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            _force_folder_to_disk(target.parent)


def write_bytes(path: str | Path, content: bytes | memoryview, durable: bool = True) -> None:
    """Replace the file's content atomically."""
    with atomic_path(path, durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Replace the file's content atomically, as UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: str | Path, content: Any) -> None:
    """Replace the file's content atomically with JSON: numbers must be finite.

    Raises:
        InputError: NaN, infinity, or something that JSON does not know.
    """
    try:
        text = json.dumps(content, indent=2, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be written as JSON ({error}). "
            f"Give finite numbers, text, lists and dictionaries with text keys."
        ) from error
    write_text(path, text + "\n")


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, and paths, as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


@contextmanager
def _errors_as_sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and Path(str(error.filename)).parent != path.resolve().parent
        if error.errno not in _REMEDIES or elsewhere:
            raise
        remedy = _REMEDIES[error.errno]
        raise InputError(f"{path}: cannot be written: {error.strerror}. {remedy}") from error


def _temporary_beside(target: Path) -> Path:
    """An empty new file beside ``target``, with the permissions a new file would have."""
    descriptor, name = tempfile.mkstemp(
        dir=target.parent, prefix=UNFINISHED, suffix="".join(target.suffixes[-2:])
    )
    mask = os.umask(0)
    os.umask(mask)
    os.fchmod(descriptor, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
    os.close(descriptor)
    return Path(name)


def _force_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _force_folder_to_disk(folder: Path) -> None:
    with suppress(OSError):  # some network file systems do not sync folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
