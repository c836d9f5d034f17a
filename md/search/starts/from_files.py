"""Starts from files: structures of the user, each relaxed once, before all others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ase import Atoms

from stratal.errors import InputError
from stratal.files import read_frames
from stratal.md.search.limits import Limits

FROM_FILE = "file"


def starts_from_files(paths: Iterable[str | Path], limits: Limits) -> tuple[Atoms, ...]:
    """All structures of these files, in standard form.

    Args:
        paths: any files that ASE reads.
        limits: what they obey.

    Raises:
        InputError: an unreadable file, a structure that is not what is searched.
    """
    found = []
    for path in paths:
        for number, frame in enumerate(read_frames(path)):
            start = limits.admitted(frame)
            if start is None:
                raise InputError(
                    f"{path}, frame {number} ({frame.get_chemical_formula()}): no start of this "
                    f"search: {limits.reason(frame) or 'not finite'}. Remove it, or change the "
                    f"settings."
                )
            found.append(start)
    return tuple(found)
