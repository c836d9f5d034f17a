"""Rows of a neighbor table whose senders have changed their species."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import TILE, Neighbors


def without_gaps(table: Neighbors, width: int) -> Neighbors:
    """The same edges, first in each row, whatever their species; for `regrouped`.

    Args:
        table: all rows.
        width: at least the edges of any row.
    """
    one = regrouped(table, jnp.zeros(len(table.senders), jnp.int32), 1)
    names = ("senders", "shifts", "mask", "reverse")
    return replace(table, **{name: getattr(one, name)[:, :width] for name in names})


def regrouped(rows: Neighbors, species: jax.Array, n_species: int) -> Neighbors:
    """The same edges with the entries of each row in runs of one species, as `Neighbors` wants.

    Reverse edges are left out: the table serves energies, not forces.

    Args:
        rows: some rows of a table, or all; the result is wide enough for any species.
        species: of all atoms now, ``(n_atoms,)``.
        n_species: how many there are.
    """
    n_rows, width = rows.senders.shape
    own = jnp.where(rows.mask, species[rows.senders], n_species)
    is_of = own[:, :, None] == jnp.arange(n_species)
    counts = is_of.sum(axis=1, dtype=jnp.int32)  # (n_rows, n_species)
    tiles = -(-counts // TILE) * TILE
    first = jnp.cumsum(tiles, axis=1) - tiles
    before = jnp.cumsum(is_of, axis=1, dtype=jnp.int32) - 1  # (n_rows, width, n_species)
    place = jnp.where(is_of, first[:, None] + before, 0).sum(axis=2)
    wide = width + TILE * (n_species - 1)  # no run wastes a whole tile
    place = jnp.where(rows.mask, place, wide)  # dropped
    entry = jnp.full((n_rows, wide), -1, jnp.int32)
    each = jnp.arange(n_rows)[:, None]
    entry = entry.at[each, place].set(jnp.arange(width, dtype=jnp.int32), mode="drop")
    mask, entry = entry >= 0, jnp.maximum(entry, 0)
    return replace(
        rows,
        senders=jnp.where(mask, jnp.take_along_axis(rows.senders, entry, axis=1), 0),
        shifts=jnp.take_along_axis(rows.shifts, entry[:, :, None], axis=1),
        mask=mask,
        reverse=jnp.zeros_like(entry),
        species=species,
    )
