"""What labelled data must satisfy: each check is a sentence that says how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers
from ase.geometry import complete_cell, find_mic, minkowski_reduce
from ase.neighborlist import neighbor_list

from stratal.errors import InputError
from stratal.files.extxyz import as_voigt

SHORTEST = 0.3
"""Atoms closer than this (Å) are a mistake, whatever the elements."""

STRESS_LIMIT = 10.0
"""eV/Å³, some 1600 GPa: above it, the unit must be another."""


def check_structure(frame: Atoms, allowed: Sequence[str] | None, where: str) -> None:
    """Refuse structures that no potential can work with.

    Raises:
        InputError: unknown elements, positions or cell not usable, overlapping atoms.
    """
    from stratal.descriptors.structures import check_elements, check_geometry  # imports jax

    check_geometry(frame, where)
    if (frame.numbers < 1).any():
        atom = int(np.flatnonzero(frame.numbers < 1)[0])
        raise InputError(
            f"{where}: atom {atom} has no element ('X'); expected a chemical symbol. "
            f"Correct the symbol or remove the frame."
        )
    if allowed is not None:
        check_elements(frame, [_number(symbol) for symbol in allowed], where)
    distance, one, other = shortest_contact(frame)
    if distance < SHORTEST:
        which = f"atoms {one} and {other} are" if one != other else f"images of atom {one} are"
        raise InputError(
            f"{where}: {which} {distance:.3f} Å apart; expected at least {SHORTEST} Å. "
            f"Check the cell and the unit of length (Å), or remove the frame."
        )


def check_energy(value: Any, where: str) -> float:
    """An energy, eV.

    Raises:
        InputError: not one finite number.
    """
    try:
        energy = float(np.asarray(value, float).reshape(()))
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: energy is {str(value)[:60]!r}; expected one number, eV. Mend it."
        ) from None
    if not np.isfinite(energy):
        raise InputError(
            f"{where}: energy is {energy}; expected a finite number, eV. "
            f"Remove the frame: its calculation failed."
        )
    return energy


def check_forces(value: Any, n_atoms: int, where: str) -> np.ndarray:
    """Forces, ``(n_atoms, 3)``, eV/Å.

    Raises:
        InputError: another shape, or not finite.
    """
    try:
        forces = np.asarray(value, float)
    except (TypeError, ValueError):
        forces = np.zeros(0)
    if forces.shape != (n_atoms, 3):
        raise InputError(
            f"{where}: forces of shape {np.shape(value)}; expected ({n_atoms}, 3), eV/Å. "
            f"Mend the columns of the file or remove the frame."
        )
    if not np.isfinite(forces).all():
        atom = int(np.flatnonzero(~np.isfinite(forces).all(axis=1))[0])
        raise InputError(
            f"{where}: force on atom {atom} is {forces[atom]}; expected finite numbers, eV/Å. "
            f"Remove the frame: its calculation failed."
        )
    return forces


def check_stress(value: Any, where: str) -> np.ndarray:
    """A stress as ``(6,)``, xx yy zz yz xz xy, eV/Å³.

    Raises:
        InputError: another shape, not symmetric, not finite, or plainly another unit.
    """
    stress = as_voigt(value, f"{where}, stress")
    if not np.isfinite(stress).all():
        raise InputError(
            f"{where}: stress is {stress}; expected finite numbers, eV/Å³. "
            f"Remove the stress or the frame."
        )
    largest = np.abs(stress).max()
    if largest > STRESS_LIMIT:
        raise InputError(
            f"{where}: stress up to {largest:.4g}; expected eV/Å³, seldom above 1. It is likely "
            f"in kbar (divide by {10 / units.GPa:.1f}; VASP prints kbar, pressure positive: change "
            f"the sign too) or GPa (divide by {1 / units.GPa:.2f})."
        )
    return stress


def stress_from_virial(virial: Any, frame: Atoms, where: str) -> np.ndarray:
    """Stress ``(6,)``, eV/Å³, from a virial −V · stress, eV.

    Raises:
        InputError: as ``check_stress``, or there is no volume.
    """
    volume = abs(np.linalg.det(frame.cell.array))
    if volume == 0:
        raise InputError(
            f"{where}: a virial, but no cell; expected a volume to divide by. Remove the virial."
        )
    return check_stress(-as_voigt(virial, f"{where}, virial") / volume, where)


def shortest_contact(frame: Atoms) -> tuple[float, int, int]:
    """The shortest distance (Å) between atoms or their images, and the two atoms.

    Infinite for a single atom without periodicity. Exact for cells of any shape and size.
    """
    best = (np.inf, 0, 0)
    if frame.pbc.any():  # an atom and its own images
        best = (float(_norms(reduced_cell(frame)[frame.pbc]).min()), 0, 0)
    if len(frame) == 1:
        return best
    if len(frame) > 40:  # from here on a list is faster than all pairs
        return min(best, _shortest_by_list(frame))
    first, second = np.triu_indices(len(frame), k=1)
    vectors = frame.positions[second] - frame.positions[first]
    pbc: Any = frame.pbc
    lengths = find_mic(vectors, reduced_cell(frame), pbc)[1] if pbc.any() else _norms(vectors)
    nearest = int(np.argmin(lengths))
    return min(best, (float(lengths[nearest]), int(first[nearest]), int(second[nearest])))


def reduced_cell(frame: Atoms) -> np.ndarray:
    """The Minkowski-reduced cell, ``(3, 3)``, Å: the same lattice, its shortest vectors.

    ASE's nearest images must be asked for in this cell: in a skewed one its shortcut can
    miss the nearest image, and the distance comes out too long.
    """
    pbc: Any = frame.pbc
    return np.asarray(minkowski_reduce(complete_cell(frame.cell.array), pbc)[0])


def _shortest_by_list(frame: Atoms) -> tuple[float, int, int]:
    reach, lengths = 1.5, np.zeros(0)
    first = second = np.zeros(0, int)
    extent = np.ptp(frame.positions, axis=0).sum() + np.abs(frame.cell.array).sum() + reach
    while not lengths.size and reach < 2 * extent:
        first, second, lengths = neighbor_list("ijd", frame, reach)
        reach *= 1.6
    nearest = int(np.argmin(lengths))
    return float(lengths[nearest]), int(first[nearest]), int(second[nearest])


def _number(symbol: str) -> int:
    if symbol not in atomic_numbers or symbol == "X":
        raise InputError(f"elements: {symbol!r} is no chemical symbol. Write them as 'Cu', 'Ag'.")
    return atomic_numbers[symbol]


def _norms(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
