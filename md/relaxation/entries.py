"""Structures as they enter a relaxation: checked, in the order that slots want, and back again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.geometry import minkowski_reduce
from ase.stress import full_3x3_to_voigt_6_stress

from stratal.descriptors.structures import Structures, check_elements, check_geometry
from stratal.errors import InputError
from stratal.md.coordinates import Freedom
from stratal.md.relaxation.symmetry import Symmetry, operations_of

# How the cell may change: not at all, in all ways, at its volume, at its shape, in the plane of
# its first two vectors.
CellMode = Literal["fixed", "free", "fixed volume", "fixed shape", "plane"]
CELL_MODES: tuple[CellMode, ...] = ("fixed", "free", "fixed volume", "fixed shape", "plane")


@dataclass(frozen=True)
class Entry:
    """One structure ready for a slot."""

    number: int  # in the list that was given
    atoms: Atoms  # as given
    order: np.ndarray  # (n_atoms,), its atoms in the order of their species
    cell: np.ndarray  # (3, 3), Å, of the same lattice, with short vectors
    strain: np.ndarray  # (3, 3), projects on the directions in which the cell may be strained
    free: np.ndarray  # (n_atoms,), which atoms may move, in that order
    rotations: np.ndarray | None = None  # (n_operations, 3, 3), where symmetry is kept
    images: np.ndarray | None = None  # (n_operations, n_atoms), in that order

    @classmethod
    def of(
        cls,
        number: int,
        atoms: Atoms,
        elements: Sequence[int],
        cell: CellMode = "free",
        symmetry: bool = False,
    ) -> Entry:
        """Check a structure and prepare it.

        Raises:
            InputError: a geometry that no potential can work with, species that the potential
                does not cover, constraints other than ``FixAtoms``, a plane that is none.
        """
        where = f"structure {number}"
        check_geometry(atoms, where)
        check_elements(atoms, elements, where)
        order = np.argsort(atoms.numbers, kind="stable")
        free = free_atoms(atoms, where)[order]
        rotations = images = None
        if symmetry:
            rotations, given = operations_of(atoms)
            inverse = np.empty_like(order)
            inverse[order] = np.arange(len(order))
            images = inverse[given[:, order]]
        reduced = minkowski_reduce(atoms.cell.complete(), atoms.pbc)[0]
        strain = free_strain(atoms, cell, where)
        return cls(number, atoms, order, np.asarray(reduced), strain, free, rotations, images)

    def __len__(self) -> int:
        return len(self.order)


def free_atoms(atoms: Atoms, where: str) -> np.ndarray:
    """Which atoms may move, from ``FixAtoms``."""
    free = np.ones(len(atoms), bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise InputError(
                f"{where}: constraint {type(constraint).__name__} is not known here; FixAtoms is. "
                f"Remove it, or relax this structure with ASE and StratalCalculator."
            )
        free[constraint.index] = False
    return free


def free_strain(atoms: Atoms, cell: CellMode, where: str) -> np.ndarray:
    """The projection on the directions in which the cell may be strained, ``(3, 3)``."""
    if cell not in CELL_MODES:
        raise InputError(f"cell {cell!r}: give one of {', '.join(CELL_MODES)}.")
    if cell == "plane" and not atoms.pbc[:2].all():
        raise InputError(
            f"{where}: the plane of the first two cell vectors is to be relaxed, but it is not "
            f"periodic along both. Set pbc, or give cell = fixed."
        )
    vectors = atoms.cell.array[:2] if cell == "plane" else atoms.cell.array[atoms.pbc]
    if cell == "fixed" or not len(vectors):
        return np.zeros((3, 3))
    basis = np.linalg.qr(vectors.T)[0]  # orthonormal columns
    return basis @ basis.T


def in_slots(
    entries: Mapping[int, Entry],
    shape: tuple[int, int],
    elements: Sequence[int],
    n_operations: int,
    dtype: np.typing.DTypeLike,
) -> tuple[Structures, Freedom, Symmetry | None]:
    """Arrays of slots with these entries in some of them; the others are empty.

    Args:
        entries: by slot.
        shape: how many slots, and places for atoms of each.
        elements: atomic numbers that species count.
        n_operations: of symmetry, at most; 0 to keep none.
        dtype: of positions and cells.
    """
    n_slots, n_places = shape
    positions, species = np.zeros((*shape, 3), dtype), np.zeros(shape, np.int32)
    real, free = np.zeros(shape, bool), np.zeros(shape, bool)
    cells = np.tile(np.eye(3, dtype=dtype), (n_slots, 1, 1))
    strain = np.zeros((n_slots, 3, 3), dtype)
    pbc, filled = np.zeros((n_slots, 3), bool), np.zeros(n_slots, bool)
    rotations = np.zeros((n_slots, n_operations, 3, 3), dtype)
    images = np.tile(np.arange(n_places, dtype=np.int32), (n_slots, n_operations, 1))
    weights = np.zeros((n_slots, n_operations), dtype)
    for slot, entry in entries.items():
        n_atoms, atoms = len(entry), entry.atoms
        positions[slot, :n_atoms] = atoms.positions[entry.order]
        species[slot, :n_atoms] = np.searchsorted(elements, atoms.numbers[entry.order])
        real[slot, :n_atoms], free[slot, :n_atoms] = True, entry.free
        cells[slot], strain[slot] = entry.cell, entry.strain
        pbc[slot], filled[slot] = atoms.pbc, True
        if n_operations and entry.rotations is not None and entry.images is not None:
            count = len(entry.rotations)
            rotations[slot, :count], weights[slot, :count] = entry.rotations, 1 / count
            images[slot, :count, :n_atoms] = entry.images
    structures = Structures(
        positions=positions.reshape(-1, 3),  # pyright: ignore[reportArgumentType]
        species=species.ravel(),  # pyright: ignore[reportArgumentType]
        system=np.repeat(np.arange(n_slots, dtype=np.int32), n_places),  # pyright: ignore[reportArgumentType]
        atom_mask=real.ravel(),  # pyright: ignore[reportArgumentType]
        cell=cells,  # pyright: ignore[reportArgumentType]
        pbc=pbc,  # pyright: ignore[reportArgumentType]
        system_mask=filled,  # pyright: ignore[reportArgumentType]
        elements=tuple(elements),
    )
    symmetry = Symmetry(rotations, images, weights) if n_operations else None  # pyright: ignore[reportArgumentType]
    return structures, Freedom(free, strain), symmetry  # pyright: ignore[reportArgumentType]


def relaxed_atoms(
    entry: Entry,
    positions: np.ndarray,
    deformation: np.ndarray,
    energy: float,
    forces: np.ndarray,
    stress: np.ndarray,
) -> Atoms:
    """The structure at its end, atoms and cell vectors in the order that was given.

    Args:
        entry: the structure as it began.
        positions: ``(n_atoms, 3)`` in the slot's order, Å.
        deformation: F of the cell, ``(3, 3)``.
        energy: eV.
        forces: ``(n_atoms, 3)`` in the slot's order, eV/Å.
        stress: ``(3, 3)``, eV/Å³.
    """
    atoms = entry.atoms.copy()
    given = np.empty_like(entry.order)
    given[entry.order] = np.arange(len(entry))
    atoms.set_cell(entry.atoms.cell.array @ deformation.T, scale_atoms=False)
    atoms.set_positions(positions[given], apply_constraint=False)
    results: dict = {"energy": float(energy), "forces": forces[given].astype(float)}
    if atoms.cell.rank == 3:
        results["stress"] = full_3x3_to_voigt_6_stress(stress.astype(float))
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms
