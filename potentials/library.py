"""A library: a folder of strata, one file each, that grows with use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase.data import atomic_numbers

from stratal.errors import InputError
from stratal.files.hdf5 import read_hdf5, write_hdf5
from stratal.potentials.compose import compose, names_below, strata_for
from stratal.potentials.evaluate import Potential
from stratal.potentials.stratum import Stratum, stratum_name

KIND = "stratum"


class Library:
    """Strata in a folder: ``Cu.h5``, ``Ag.h5``, ``Ag-Cu.h5``, ...

    Example:
        >>> Library.open("lib/").potential("Cu", "Ag")  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, strata: dict[str, Stratum]) -> None:
        """Use `open` or `create`."""
        self.path = Path(path)
        self.strata = strata

    @classmethod
    def open(cls, path: str | Path) -> Library:
        """Read and verify all strata of a folder (or the folder of one stratum's file).

        Raises:
            InputError: no folder, no strata, a file that is not a stratum or was altered,
                a stratum whose parents changed.
        """
        path = Path(path)
        if path.is_file():
            path = path.parent
        if not path.is_dir():
            raise InputError(f"{path}: no such library. Give a folder that holds strata (*.h5).")
        files = sorted(path.glob("[!.]*.h5"))  # hidden ones are being written
        if not files:
            raise InputError(
                f"{path}: no strata (*.h5) in this folder. Import or train some into it."
            )
        library = cls(path, {})
        for file in files:
            stratum = read_stratum(file)
            library.strata[stratum.name] = stratum
        for stratum in library.strata.values():
            library.check_parents(stratum)
        return library

    @classmethod
    def create(cls, path: str | Path) -> Library:
        """Open a library, or begin an empty one where there is none yet."""
        if Path(path).is_dir() and any(Path(path).glob("[!.]*.h5")):
            return cls.open(path)
        if Path(path).is_file():
            raise InputError(f"{path} is a file. Give the folder of a library, new or existing.")
        return cls(path, {})

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers for which there is a root stratum, ascending."""
        return tuple(sorted({z for s in self.strata.values() if s.is_root for z in s.elements}))

    def stratum(self, *symbols: str) -> Stratum:
        """The stratum of these chemical symbols, in any order."""
        name = stratum_name(symbols)
        if name not in self.strata:
            names = ", ".join(sorted(self.strata)) or "none"
            raise InputError(f"{self.path}: no stratum {name}; there are {names}.")
        return self.strata[name]

    def add(self, stratum: Stratum, replace: bool = False) -> Path:
        """Write a stratum into the library; its file appears whole or not at all.

        Adding what is there already (the same physics) is harmless.

        Raises:
            InputError: another stratum of the same elements is there, or a parent is
                missing or has other weights.
        """
        present = self.strata.get(stratum.name)
        file = self.path / f"{stratum.name}.h5"
        if present is not None and present.physics_hash == stratum.physics_hash and not replace:
            return file
        if present is not None and not replace:
            raise InputError(
                f"{file}: another stratum {stratum.name} is there already. "
                f"Choose another library, or replace it on purpose."
            )
        self.check_parents(stratum)
        self.check_children(stratum)
        self.path.mkdir(parents=True, exist_ok=True)
        write_hdf5(file, stratum.to_tree(), stratum.attributes(), kind=KIND)
        self.strata[stratum.name] = stratum
        return file

    def potential(self, *symbols: str) -> Potential:
        """Compose the potential of these elements; of all elements of the library if none.

        Raises:
            InputError: an unknown symbol, a missing stratum, strata that do not fit.
        """
        unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
        if unknown:
            raise InputError(f"{unknown[0]!r} is not a chemical symbol. Write Cu, Ag, ...")
        numbers = [atomic_numbers[symbol] for symbol in symbols] or list(self.elements)
        try:
            return compose(self.strata, numbers)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None

    def strata_of(self, numbers: Sequence[int]) -> list[Stratum]:
        """The strata that a potential of these elements uses, lowest first."""
        return strata_for(self.strata, tuple(sorted(numbers)))

    def check_parents(self, stratum: Stratum) -> None:
        """Refuse a stratum whose parents are missing or have changed since it was trained.

        Raises:
            InputError: names both files and both hashes.
        """
        for name, expected in stratum.parents.items():
            parent = self.strata.get(name)
            file = self.path / f"{stratum.name}.h5"
            if parent is None:
                raise InputError(
                    f"{file}: its parent {name} is not in the library. Add {name}.h5 with the "
                    f"hash {expected[:12]}, on which {stratum.name} was trained."
                )
            if parent.physics_hash != expected:
                raise InputError(
                    f"{file}: its parent {name} changed: {stratum.name} was trained on "
                    f"{expected[:12]}, {name}.h5 has {parent.physics_hash[:12]}. Restore the old "
                    f"{name}.h5 or train {stratum.name} again."
                )

    def check_children(self, stratum: Stratum) -> None:
        """Refuse to replace a stratum on which others of the library stand."""
        old = self.strata.get(stratum.name)
        if old is None or old.physics_hash == stratum.physics_hash:
            return
        children = sorted(s.name for s in self.strata.values() if stratum.name in s.parents)
        if children:
            raise InputError(
                f"{self.path}: {', '.join(children)} were trained on the present {stratum.name}. "
                f"Train into another library, or remove them first."
            )

    def parents_of(self, numbers: Sequence[int]) -> dict[str, str]:
        """Names and hashes of the strata below that of these elements."""
        return {name: self.strata[name].physics_hash for name in names_below(numbers)}


def read_stratum(file: str | Path) -> Stratum:
    """Read one stratum's file.

    Raises:
        InputError: not HDF5, truncated, of another kind, altered or incomplete.
    """
    tree, about = read_hdf5(file, kind=KIND)
    try:
        return Stratum.from_tree(tree, about)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file}: not a whole stratum: {error!r} is missing or malformed. "
            f"Take the file from a backup or train again."
        ) from error
