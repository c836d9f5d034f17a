"""Results as files: written beside their place, then renamed into it, whole or not at all."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stratal.slurm.tasks import SMALL


def place(folder: str | Path, task: str) -> Path:
    """Where a task's result stands; not more than some thousand to a folder."""
    return Path(folder) / task[:2] / f"{task}.pickle"


def put(folder: str | Path, task: str, content: bytes) -> Path:
    """Put a result into place. Large ones are forced to disk; small ones soon enter the journal.

    Raises:
        OSError: the disk is full, or the like; nothing is left behind.
    """
    path = place(folder, task)
    temporary = path.with_suffix(f".{os.uname().nodename}-{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            if len(content) > SMALL:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return path


def get(folder: str | Path, task: str) -> Any:
    """The result that stands in its place."""
    return pickle.loads(place(folder, task).read_bytes())


def remains(folder: str | Path) -> Iterator[Path]:
    """What processes that died in the middle of writing have left."""
    return Path(folder).glob("*/*.part")
