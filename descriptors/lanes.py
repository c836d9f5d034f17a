"""Atoms in chunks of one species, side by side in the last axis of arrays: the lanes.

A chunk is what is computed at a time. Atoms with as many tiles of neighbors come together, so
that few chunks look at tiles that are empty for most of their atoms.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import TILE
from stratal.descriptors.triples import squared_length

LANES = 64  # at most, on a processor: what is computed of them stays in its cache
VECTOR = 8  # numbers of double precision in a vector of the processor
MANY_LANES = 16384  # on an accelerator, which is fast with many alike


class Lanes(NamedTuple):
    """Where the atoms are."""

    atoms: jax.Array  # in each place, (n_chunks, n_lanes); n_atoms where there is none
    places: jax.Array  # of each atom in the chunks, one after the other, (n_atoms,)
    species: jax.Array  # of each chunk, (n_chunks,); n_species where it is empty

    @classmethod
    def of(
        cls, displacements: jax.Array, cutoff: float, species: jax.Array, n_species: int
    ) -> Lanes:
        """Share atoms out.

        Args:
            displacements: of their neighbors, ``(n_atoms, n_neighbors, 3)``, Å.
            cutoff: Å; tiles of neighbors beyond it count as empty.
            species: of each atom, ``(n_atoms,)``; a chunk holds atoms of one of them.
            n_species: how many there are.
        """
        species = jnp.asarray(species)
        n_atoms = len(species)
        n_lanes = width_for(n_atoms)
        n_chunks = -(-n_atoms // n_lanes) + n_species - 1  # enough for any composition
        order = jnp.lexsort((n_tiles_within(displacements, cutoff), species))
        counts = jnp.bincount(species, length=n_species)
        chunks = -(-counts // n_lanes)
        first_chunk = jnp.cumsum(chunks) - chunks
        first_atom = jnp.cumsum(counts) - counts
        ordered = species[order]
        place = n_lanes * first_chunk[ordered] + jnp.arange(n_atoms) - first_atom[ordered]
        atoms = jnp.full(n_chunks * n_lanes, n_atoms, order.dtype).at[place].set(order)
        places = jnp.zeros(n_atoms, place.dtype).at[order].set(place)
        past = jnp.cumsum(chunks)
        of_chunk = (jnp.arange(n_chunks)[:, None] >= past[None]).sum(axis=1)
        return cls(atoms.reshape(n_chunks, n_lanes), places, of_chunk)

    def tiles(self, per_neighbor: jax.Array, fill: float) -> jax.Array:
        """What belongs to neighbors, ``(n_atoms, n_neighbors)``, or to tiles of them.

        Returns:
            ``(n_chunks, n_tiles, TILE, n_lanes)``; ``fill`` where there is no atom.
        """
        rows: jax.Array = taken(per_neighbor, self.atoms, self.places, fill)  # pyright: ignore[reportAssignmentType]
        return jnp.moveaxis(rows.reshape(*self.atoms.shape, -1, TILE), 1, -1)

    def species_of_tiles(self, tile_species: jax.Array) -> jax.Array:
        """Species of tiles, ``(n_atoms, n_tiles)``, as ``(n_chunks, n_tiles, n_lanes)``."""
        return jnp.moveaxis(taken(tile_species, self.atoms, self.places, 0), 1, -1)

    def back(self, per_chunk: jax.Array) -> jax.Array:
        """Features in chunks, ``(n_chunks, n_features, n_lanes)``, as ``(n_atoms, n_features)``."""
        rows = jnp.moveaxis(per_chunk, 1, -1)
        return rows.reshape(-1, rows.shape[-1])[self.places]


def width_for(n_atoms: int) -> int:
    """How many of so many atoms to take side by side: chunks of one size, in whole vectors."""
    most = LANES if jax.default_backend() == "cpu" else MANY_LANES
    n_chunks = -(-n_atoms // most)
    return min(-(-n_atoms // (VECTOR * n_chunks)) * VECTOR, n_atoms)


def n_tiles_within(displacements: jax.Array, cutoff: float) -> jax.Array:
    """Tiles of each atom up to the last that holds a neighbor within the cutoff."""
    squared = squared_length(tuple(jnp.moveaxis(displacements, -1, 0)))
    within = (squared < cutoff**2).reshape(len(squared), -1, TILE).any(axis=2)
    return jnp.max(within * jnp.arange(1, within.shape[1] + 1), axis=1)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def taken(per_atom: jax.Array, atoms: jax.Array, places: jax.Array, fill: float) -> jax.Array:
    """Rows of a table, ``(n_chunks, n_lanes, ...)``; ``fill`` where there is no atom.

    The reverse pass is a gather, no scatter.
    """
    return jnp.concatenate([per_atom, jnp.full_like(per_atom[:1], fill)])[atoms]


def _taken_forward(
    per_atom: jax.Array, atoms: jax.Array, places: jax.Array, fill: float
) -> tuple[jax.Array, jax.Array]:
    return taken(per_atom, atoms, places, fill), places


def _taken_reverse(fill: float, places: jax.Array, pull: jax.Array) -> tuple[jax.Array, None, None]:
    del fill
    return pull.reshape(-1, *pull.shape[2:])[places], None, None


taken.defvjp(_taken_forward, _taken_reverse)
