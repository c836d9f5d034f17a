"""Structures in a folder, a file each, whole or absent: what is there is not computed again."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms

from stratal.errors import InputError
from stratal.files import digest, read_frames, write_frames

KEY = "made_of"  # in a file: hash of all that it depends on


class Kept:
    """What became of some structures, by their numbers."""

    def __init__(self, folder: str | Path, of: str, write: bool = True) -> None:
        """Name it.

        Args:
            folder: made when something is put there.
            of: what else results depend on, such as a hash of a potential.
            write: else what is there counts whatever it depends on: it is only looked at.
        """
        self.folder, self.of, self.write = Path(folder), of, write

    def get(self, number: int, start: Atoms) -> Atoms | None:
        """What became of a structure; None: not done, or of another one."""
        path = self.path(number)
        if not path.is_file():
            return None
        try:
            (found,) = read_frames(path)
        except InputError:  # damaged by other hands: done again
            return None
        made_of = found.info.pop(KEY, "")
        return found if not self.write or made_of == self.hash(start) else None

    def put(self, number: int, start: Atoms, result: Atoms) -> None:
        """Keep a result; from now on it is there, whatever happens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        noted = result.copy()
        noted.calc = result.calc
        noted.info[KEY] = self.hash(start)
        write_frames(self.path(number), noted)

    def path(self, number: int) -> Path:
        """Of a structure's file."""
        return self.folder / f"{number}.extxyz"

    def hash(self, start: Atoms) -> str:
        """Of what a result depends on."""
        tree = {"numbers": start.numbers, "positions": start.positions, "cell": start.cell.array}
        return digest(tree | {"pbc": start.pbc, "of": self.of})
