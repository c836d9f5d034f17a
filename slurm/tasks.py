"""A task: one call of a function, named by what it is, so that a rerun knows it again.

An `Order` is what a worker gets of it, a `Receipt` what comes back.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import joblib

from stratal.files.atomic import write_bytes

SHARED = "shared"  # folder of what many tasks need, or one gives to another
SMALL = 32_768  # bytes; results up to this stand in the journal itself, larger in files

# What went wrong: the function raised; its process died; it took too long, too much memory; it
# cannot be sent; the worker was lost with it; the disk is full.
Failure = Literal["", "error", "killed", "time", "memory", "unpicklable", "lost", "disk"]


@dataclass(frozen=True)
class Task:
    """One call. Equal calls are one task, whatever run or process they are made in."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""  # for people: shown by `stratal journal show`
    key: Any = None  # small; names the call in its journal, where hashing the arguments is slow

    @cached_property
    def id(self) -> str:
        """Hash of the function's name and the arguments' content, 32 hexadecimal digits.

        With a key: of the function's name and the key.
        """
        if self.key is not None:
            return hash_of((signature(self.function), self.key))
        content = [signature(self.function), *map(content_of, self.args)]
        content += [(key, content_of(self.kwargs[key])) for key in sorted(self.kwargs)]
        try:
            return hash_of(content)
        except Exception:  # it cannot be sent either, which is noted under this name
            return hash_of((signature(self.function), self.name))

    def payload(self) -> bytes:
        """The call as bytes that a worker elsewhere can read."""
        return cloudpickle.dumps((self.function, self.args, dict(self.kwargs)))


@dataclass(frozen=True)
class Order:
    """A task on its way to a worker."""

    task: str  # its id
    payload: bytes
    folder: str  # where results are put
    seconds: float | None = None  # longest time
    gigabytes: float | None = None  # most memory


@dataclass(frozen=True)
class Receipt:
    """What became of an order."""

    task: str
    worker: str = ""  # host and process
    seconds: float = 0.0
    size: int = 0  # bytes of the result
    value: bytes | None = None  # the pickled result, if small
    failure: Failure = ""
    message: str = ""  # a traceback, or a sentence


@dataclass(frozen=True)
class Shared:
    """Something large that many tasks need: a file, read once by each worker.

    Given as an argument of a task, the function gets the object itself.
    """

    digest: str
    path: str

    @classmethod
    def of(cls, value: Any, folder: str | Path) -> Shared:
        """Put an object into a folder that all workers see.

        Raises:
            InputError: the folder cannot be written.
        """
        shared = cls.kept(hash_of(value), folder)
        path = Path(shared.path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, cloudpickle.dumps(value))
        return shared

    @classmethod
    def kept(cls, digest: str, folder: str | Path) -> Shared:
        """An object that was put into a folder before, wherever that stands now."""
        return cls(digest, str((Path(folder) / SHARED / f"{digest}.pickle").resolve()))


@dataclass(frozen=True)
class Folder:
    """A folder that all workers see. Given as an argument of a task, the function gets its path.

    Where it stands is no part of what a task is: a run may be moved before it goes on.
    """

    path: str


@lru_cache(maxsize=8)
def load_shared(shared: Shared) -> Any:
    """The object; read from its file the first time."""
    return pickle.loads(Path(shared.path).read_bytes())


def resolved(value: Any) -> Any:
    """An argument as the function gets it."""
    if isinstance(value, Folder):
        return value.path
    return load_shared(value) if isinstance(value, Shared) else value


def content_of(value: Any) -> Any:
    """What an argument's hash is of."""
    if isinstance(value, Folder):
        return "folder"
    return value.digest if isinstance(value, Shared) else value


def hash_of(value: Any) -> str:
    """32 hexadecimal digits, the same for equal content in every process."""
    found = joblib.hash(value)
    assert found is not None
    return found


def signature(function: Callable[..., Any]) -> Any:
    """What a function's hash is of: where it stands, or all of it where it has no name."""
    if isinstance(function, partial):
        return signature(function.func), function.args, function.keywords
    name = getattr(function, "__qualname__", "<")
    if "<" in name:
        return cloudpickle.dumps(function)
    return f"{function.__module__}.{name}"
