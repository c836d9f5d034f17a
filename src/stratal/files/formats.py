"""Structures out, in any format that ASE writes, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype, get_ioformat

from stratal.errors import InputError
from stratal.files.atomic import atomic_path
from stratal.files.extxyz import write_frames

KNOWN = "extended XYZ (.extxyz), CIF (.cif), POSCAR (POSCAR or .vasp), LAMMPS (.lammps-data), .traj"


def write_structures(path: str | Path, frames: Sequence[Atoms], name: str | None = None) -> None:
    """Write structures atomically; extended XYZ with all its digits, others as ASE does.

    Args:
        path: the file, replaced if it exists.
        frames: one or several, where the format holds several.
        name: ASE's name of the format; by default that which belongs to the file's name.

    Raises:
        InputError: a format that is not known or does not hold this, or the file cannot be written.
    """
    path = Path(path)
    known = _format_of(path, name)
    if known == "extxyz":
        write_frames(path, frames)
        return
    if len(frames) > 1 and get_ioformat(known).single:
        raise InputError(
            f"{path}: {known} holds one structure, found {len(frames)}. Choose one with an index, "
            f"or write extended XYZ."
        )
    with atomic_path(path) as temporary:
        try:
            ase.io.write(temporary, list(frames), format=known)
        except OSError:
            raise  # atomic_path says what to do
        except Exception as error:  # each of ASE's writers has its own
            raise InputError(
                f"{path}: ASE cannot write this as {known} ({type(error).__name__}: {error}). "
                f"Write another format: {KNOWN}."
            ) from error


def _format_of(path: Path, name: str | None) -> str:
    try:
        known = name or filetype(str(path), read=False)
        if get_ioformat(known).can_write and known != "bundletrajectory":  # that is a folder
            return known
    except UnknownFileTypeError:
        known = name or path.suffix or path.name
    raise InputError(
        f"{path}: {known!r} is no format that can be written; expected one of ASE's, such as "
        f"{KNOWN}. Give the file another name, or the format."
    )
