"""Symmetry of crystals through spglib: space group, Wyckoff sites, standard cells.

A. Togo, K. Shinohara and I. Tanaka, Sci. Technol. Adv. Mater. Methods 4, 2384822 (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import spglib
from ase import Atoms
from ase.data import chemical_symbols
from ase.spacegroup.symmetrize import IntermediateDatasetError, get_symmetrized_atoms

from stratal.errors import InputError

TOLERANCE = 1e-3  # Å
Found = TypeVar("Found")


@dataclass(frozen=True)
class SpaceGroup:
    """Which of the 230, and where its atoms sit."""

    symbol: str  # international, short
    number: int
    sites: tuple[str, ...]  # each orbit, such as "Cu 3c": multiplicity in the conventional cell


def space_group(atoms: Atoms, tolerance: float = TOLERANCE) -> SpaceGroup:
    """The space group of a crystal and its orbits, by Wyckoff letter.

    Args:
        atoms: periodic in three directions.
        tolerance: by which atoms may miss their places, Å.

    Raises:
        InputError: not a crystal, or spglib does not find its group.
    """
    found = dataset(atoms, tolerance)
    cells = len(found.std_types) / len(atoms)  # conventional cells over that of the atoms
    sites = []
    for orbit in np.unique(found.crystallographic_orbits):
        members = np.flatnonzero(found.crystallographic_orbits == orbit)
        symbol, letter = chemical_symbols[atoms.numbers[members[0]]], found.wyckoffs[members[0]]
        sites.append((letter, f"{symbol} {round(cells * len(members))}{letter}"))
    return SpaceGroup(found.international, found.number, tuple(name for _, name in sorted(sites)))


def symmetrized(atoms: Atoms, tolerance: float = TOLERANCE) -> Atoms:
    """The crystal in the same cell, atoms and cell moved to obey its space group exactly.

    Raises:
        InputError: not a crystal, no space group, or one that depends on the tolerance.
    """
    dataset(atoms, tolerance)
    try:
        return get_symmetrized_atoms(atoms, tolerance)[0]
    except (IntermediateDatasetError, AssertionError) as error:
        raise InputError(
            f"{atoms.get_chemical_formula()}: symmetry within {tolerance} Å is ambiguous. Lower it."
        ) from error


def standard_cell(atoms: Atoms, primitive: bool, tolerance: float = TOLERANCE) -> Atoms:
    """The crystal in its standard primitive or conventional cell, obeying its space group exactly.

    It may be turned; what atoms carry but their species is left behind.

    Raises:
        InputError: not a crystal, or spglib does not find its group.
    """
    cell, fractional, numbers = from_spglib(
        lambda crystal: spglib.standardize_cell(crystal, primitive, False, tolerance),
        atoms,
        tolerance,
    )
    return Atoms(numbers, scaled_positions=fractional, cell=cell, pbc=True)


def dataset(atoms: Atoms, tolerance: float = TOLERANCE) -> Any:
    """All that spglib knows of a crystal, its ``SpglibDataset``.

    Raises:
        InputError: not a crystal, or spglib does not find its group.
    """
    return from_spglib(
        lambda crystal: spglib.get_symmetry_dataset(crystal, tolerance), atoms, tolerance
    )


def from_spglib(ask: Callable[[Any], Found | None], atoms: Atoms, tolerance: float) -> Found:
    """What spglib answers about a crystal.

    Args:
        ask: takes the crystal as spglib wants it: cell, fractional positions, numbers.
        atoms: the crystal.
        tolerance: Å, for errors.

    Raises:
        InputError: not a crystal, or no answer.
    """
    name = atoms.get_chemical_formula()
    if not atoms.pbc.all():
        raise InputError(
            f"{name}: periodic along {int(atoms.pbc.sum())} of its cell vectors; space groups are "
            f"of crystals, periodic in three directions. Give one, or set its periodicity."
        )
    try:
        found = ask((atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers))
    except spglib.SpglibError:  # which versions before 3 tell by None
        found = None
    if found is None:
        raise InputError(f"{name}: no space group found within {tolerance} Å. Check the structure.")
    return found
