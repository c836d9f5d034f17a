"""Results as files: written beside their place, then renamed into it, whole or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stratal.errors import InputError
from stratal.files.atomic import UNFINISHED, write_bytes
from stratal.slurm.tasks import SMALL


def place(folder: str | Path, task: str) -> Path:
    """Where a task's result stands; not more than some thousand to a folder."""
    return Path(folder) / task[:2] / f"{task}.pickle"


def put(folder: str | Path, task: str, content: bytes) -> Path:
    """Put a result into place. Large ones are forced to disk; small ones soon enter the journal.

    Raises:
        InputError: the disk is full, or the like; nothing is left behind.
    """
    path = place(folder, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content, durable=len(content) > SMALL)
    return path


def get(folder: str | Path, task: str) -> Any:
    """The result that stands in its place.

    Raises:
        InputError: it does not, or is damaged.
    """
    path = place(folder, task)
    try:
        return pickle.loads(path.read_bytes())
    except (OSError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(
            f"{path}: a result that cannot be read ({error}). Restore the file; else stratal "
            f"journal repair has its task done again, but a search begins in another folder."
        ) from None


def remains(folder: str | Path) -> Iterator[Path]:
    """What processes that died in the middle of writing have left."""
    return Path(folder).glob(f"*/{UNFINISHED}*")
