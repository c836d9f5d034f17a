"""Neighbors: who is within reach of whom, as a dense table of edges.

Row i of the table lists the senders j around the receiver i. Its entries are grouped
by the species of the sender, each group padded to a multiple of ``TILE`` entries, so
that a tile of the table holds one species only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from stratal.descriptors.structures import Structures
from stratal.errors import InputError

TILE = 8


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Neighbors:
    """A dense table of directed edges, receiver (row) to sender (entry)."""

    senders: jax.Array  # (n_atoms, n_neighbors), index of the sending atom
    shifts: jax.Array  # (n_atoms, n_neighbors, 3), cells crossed by the edge
    mask: jax.Array  # (n_atoms, n_neighbors), False for padding
    reverse: jax.Array  # (n_atoms, n_neighbors), where the edge j to i stands in the flat table
    positions: jax.Array  # (n_atoms, 3), Å, where the list was built
    cell: jax.Array  # (n_systems, 3, 3), Å, where the list was built
    overflow: jax.Array  # (n_systems,), True if the table was too narrow: its list is not valid
    cutoff: float = field(metadata={"static": True})  # Å, of the potential
    skin: float = field(metadata={"static": True})  # Å, the list reaches to cutoff + skin
    species: jax.Array | None = None  # of all atoms, where the table holds only some rows

    @property
    def n_neighbors(self) -> int:
        """Entries of each row, padding included."""
        return self.senders.shape[1]

    def displacements(
        self, structures: Structures, receivers: Structures | None = None
    ) -> jax.Array:
        """Receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å.

        Padding entries are a constant vector beyond the list's reach: cutoff functions
        are zero there and no derivative is singular.

        Args:
            structures: all atoms, which senders count.
            receivers: the atoms of the rows, where the table holds only some.
        """
        receivers = receivers or structures
        positions, cell = jnp.asarray(structures.positions), jnp.asarray(structures.cell)
        crossed = jnp.einsum(
            "ijk,ikl->ijl",
            jnp.asarray(self.shifts).astype(positions.dtype),
            cell[receivers.system],
            precision="highest",
        )
        vectors = positions[self.senders] - receivers.positions[:, None, :] + crossed
        beyond = jnp.zeros(3, positions.dtype).at[0].set(2.0 * (self.cutoff + self.skin))
        return jnp.where(self.mask[..., None], vectors, beyond)

    def rows(self, which: jax.Array, structures: Structures) -> Neighbors:
        """Rows of these numbers, as a table whose senders are still all atoms."""
        return replace(
            self,
            senders=self.senders[which],
            shifts=self.shifts[which],
            mask=self.mask[which],
            reverse=self.reverse[which],
            species=self.species_of_all(structures),
        )

    def reversed(self, per_edge: jax.Array) -> jax.Array:
        """For each edge i to j the value ``(n_atoms, n_neighbors, ...)`` of the edge j to i."""
        flat = per_edge.reshape((-1, *per_edge.shape[2:]))
        mask = self.mask.reshape(self.mask.shape + (1,) * (per_edge.ndim - 2))
        return jnp.where(mask, flat[self.reverse], 0)

    def sender_species(self, structures: Structures) -> jax.Array:
        """Species of the senders, ``(n_atoms, n_neighbors)``; of padding, any."""
        return self.species_of_all(structures)[self.senders]

    def tile_species(self, structures: Structures) -> jax.Array:
        """Species of each tile's senders, ``(n_atoms, n_neighbors // TILE)``."""
        return self.species_of_all(structures)[self.senders[:, ::TILE]]

    def species_of_all(self, structures: Structures) -> jax.Array:
        """Species of all atoms, which senders count, also where a table holds some rows."""
        return jnp.asarray(structures.species if self.species is None else self.species)

    def outdated(self, structures: Structures) -> jax.Array:
        """In which systems an edge within the cutoff may be missing, ``(n_systems,)`` bool.

        Atoms may come closer by their motion and by the strain of the cell; the sum of
        both over an edge has to stay below the skin.
        """
        moved = structures.positions - self.positions
        # A strained cell moves atoms affinely: only the rest counts as motion.
        strain = jnp.linalg.solve(self.cell, structures.cell) - jnp.eye(3, dtype=moved.dtype)
        per_atom = strain[structures.system]
        moved = moved - jnp.einsum("ij,ijk->ik", self.positions, per_atom)
        motion = jnp.where(structures.atom_mask, jnp.linalg.norm(moved, axis=1), 0.0)
        motion = structures.max_by_system(motion)
        stretch = jnp.linalg.norm(strain, axis=(1, 2)) * (self.cutoff + self.skin)
        return (2.0 * motion + stretch > self.skin) | self.overflow


def check_entries(n_atoms: int, n_neighbors: int) -> None:
    """Refuse tables whose flat indices, such as those of reverse edges, exceed 32 bits.

    Raises:
        InputError: names both sizes and their limit.
    """
    if n_atoms * n_neighbors >= 2**31:
        raise InputError(
            f"a neighbor table of {n_atoms:,} atoms by {n_neighbors:,} entries has more than the "
            f"{2**31:,} that 32-bit indices reach. Use a smaller system, cutoff or skin."
        )
