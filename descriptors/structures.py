"""Structures: one or many atomic systems as one flat set of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from stratal.errors import InputError

BUCKET_RATIO = 1.25


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Structures:
    """A flat concatenation of atomic systems; padding atoms and systems are masked.

    One big crystal and a thousand small cells have the same form.
    """

    positions: jax.Array  # (n_atoms, 3), Å, per atom
    species: jax.Array  # (n_atoms,), index into `elements`, per atom
    system: jax.Array  # (n_atoms,), which system an atom belongs to, per atom
    atom_mask: jax.Array  # (n_atoms,), False for padding, per atom
    cell: jax.Array  # (n_systems, 3, 3), rows are lattice vectors, Å, per system
    pbc: jax.Array  # (n_systems, 3), per system
    system_mask: jax.Array  # (n_systems,), False for padding, per system
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending

    @classmethod
    def from_atoms(
        cls, atoms: Atoms | Sequence[Atoms], elements: Sequence[int] | None = None
    ) -> Structures:
        """Collect ASE atoms.

        Args:
            atoms: one system or several.
            elements: atomic numbers that `species` counts; those present by default.

        Raises:
            InputError: an element that is not among `elements`, positions or a cell that
                are not finite, a periodic direction without a cell vector.
        """
        frames: list[Atoms] = [atoms] if isinstance(atoms, Atoms) else list(atoms)
        numbers = [frame.numbers for frame in frames]
        present = np.unique(np.concatenate(numbers)) if frames else np.array([], int)
        known = np.unique(present if elements is None else np.asarray(elements, int))
        for index, frame in enumerate(frames):
            check_geometry(frame, f"structure {index}")
            check_elements(frame, known, f"structure {index}")
        return cls(
            positions=np.concatenate([frame.positions for frame in frames]),
            species=np.searchsorted(known, np.concatenate(numbers)).astype(np.int32),
            system=np.repeat(np.arange(len(frames)), [len(f) for f in frames]).astype(np.int32),
            atom_mask=np.ones(sum(map(len, frames)), bool),
            cell=np.array([frame.cell.complete().array for frame in frames]),
            pbc=np.array([frame.pbc for frame in frames]),
            system_mask=np.ones(len(frames), bool),
            elements=tuple(int(z) for z in known),
        )

    @property
    def n_atoms(self) -> int:
        """Atoms, padding included."""
        return self.positions.shape[0]

    @property
    def n_systems(self) -> int:
        """Systems, padding included."""
        return self.cell.shape[0]

    @property
    def volumes(self) -> jax.Array:
        """Volume of each cell, ``(n_systems,)``, Å³; of a molecule, that of its box."""
        return jnp.abs(jnp.linalg.det(self.cell))

    def sum_by_system(self, per_atom: jax.Array) -> jax.Array:
        """Add a per-atom quantity ``(n_atoms, ...)`` over each system, ``(n_systems, ...)``."""
        return jax.ops.segment_sum(per_atom, self.system, self.n_systems, indices_are_sorted=True)

    def max_by_system(self, per_atom: jax.Array) -> jax.Array:
        """The largest of a per-atom quantity ``(n_atoms, ...)``, at least 0, in each system."""
        largest = jax.ops.segment_max(per_atom, self.system, self.n_systems, True)
        return jnp.maximum(largest, 0)

    def padded(self, n_atoms: int, n_systems: int | None = None) -> Structures:
        """Extend to fixed sizes; padding atoms belong to the last system and are masked."""
        more = n_atoms - self.n_atoms
        more_systems = (n_systems or self.n_systems) - self.n_systems
        if more < 0 or more_systems < 0:
            raise ValueError(
                f"cannot pad {self.n_atoms} atoms, {self.n_systems} systems to {n_atoms} and "
                f"{n_systems}: give sizes at least as large"
            )
        last = self.n_systems + more_systems - 1
        return replace(
            self,
            positions=np.pad(self.positions, ((0, more), (0, 0))),
            species=np.pad(self.species, (0, more)),
            system=np.pad(self.system, (0, more), constant_values=last),
            atom_mask=np.pad(self.atom_mask, (0, more)),
            cell=np.concatenate([self.cell, np.broadcast_to(np.eye(3), (more_systems, 3, 3))]),
            pbc=np.pad(self.pbc, ((0, more_systems), (0, 0))),
            system_mask=np.pad(self.system_mask, (0, more_systems)),
        )

    def rows(self, which: jax.Array) -> Structures:
        """Atoms of these numbers, in the same systems."""
        names = ("positions", "species", "system", "atom_mask")
        return replace(self, **{name: getattr(self, name)[which] for name in names})

    def astype(self, dtype: jax.typing.DTypeLike) -> Structures:
        """Positions and cells in another floating-point type."""
        return replace(self, positions=self.positions.astype(dtype), cell=self.cell.astype(dtype))


def bucket(size: int, smallest: int = 8) -> int:
    """The padded size for ``size``: a geometric series, in multiples of ``smallest``.

    A campaign over structures of all sizes so compiles a handful of programs.

    >>> [bucket(n) for n in (1, 8, 9, 100, 121)]
    [8, 8, 16, 120, 152]
    """
    padded = smallest
    while padded < size:
        padded = smallest * max(
            int(np.ceil(padded * BUCKET_RATIO / smallest)), padded // smallest + 1
        )
    return padded


def check_geometry(atoms: Atoms, where: str) -> None:
    """Refuse positions or a cell that no potential can work with.

    Raises:
        InputError: names ``where``, what is wrong and how to mend it.
    """
    if len(atoms) == 0:
        raise InputError(f"{where}: no atoms. Remove the structure.")
    if not np.isfinite(atoms.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[0])
        raise InputError(f"{where}: position of atom {atom} is not finite. Mend or remove it.")
    if not np.isfinite(atoms.cell.array).all():
        raise InputError(f"{where}: the cell is not finite. Mend or remove the structure.")
    lengths = np.linalg.norm(atoms.cell.array, axis=1)
    if (atoms.pbc & (lengths < 1e-6)).any():
        axis = int(np.flatnonzero(atoms.pbc & (lengths < 1e-6))[0])
        raise InputError(
            f"{where}: periodic along axis {axis}, but that cell vector is zero. "
            f"Give the cell or switch periodicity off."
        )
    if atoms.pbc.any():
        complete = atoms.cell.complete().array
        volume = abs(np.linalg.det(complete))
        if volume < 1e-6 * np.prod(np.linalg.norm(complete, axis=1)):
            raise InputError(
                f"{where}: the cell has no volume ({volume:.2g} Å³): its vectors lie in a plane. "
                f"Mend the cell or remove the structure."
            )


def check_elements(atoms: Atoms, known: Sequence[int] | np.ndarray, where: str) -> None:
    """Refuse elements that are not among ``known`` atomic numbers.

    Raises:
        InputError: names ``where`` and both lists of elements.
    """
    foreign = sorted(set(atoms.numbers.tolist()) - {int(z) for z in known})
    if foreign:
        names = ", ".join(chemical_symbols[z] for z in foreign)
        covered = ", ".join(chemical_symbols[int(z)] for z in known)
        raise InputError(
            f"{where}: species {names} unknown; covered are {covered or 'none'}. "
            f"Add the missing strata or remove the structure."
        )
