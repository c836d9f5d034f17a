"""Rows of a neighbor table from candidates: who was found, in which entry, and its way back.

Around an atom the candidates stand in a table of their own; those found are put together in
order, then spread into runs of one species that `Neighbors` wants.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.neighbors import TILE

NO_KEY = np.iinfo(np.int32).max


def places_of(found: jax.Array, count: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where the first ``count`` True of ``(n_rows, n)`` stand in the flat array.

    Returns:
        places ``(count,)``, whether there is one, ``(count,)``, and how many there are in all.
    """
    running, stops = running_sums(found)
    places, taken = places_from(running, stops, count)
    return places, taken, stops[-1]


def running_sums(found: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How many of ``(n_rows, n)`` are True up to each within its row, and up to each row's end.

    For arrays as small as the surroundings of an atom a matrix product is the fastest.
    """
    n = found.shape[1]
    to_here = np.triu(np.ones((n, n), np.float32))
    running = jnp.matmul(found.astype(jnp.float32), to_here, precision="highest")
    running = running.astype(jnp.int32)  # (n_rows, n)
    return running, jnp.cumsum(running[:, -1])


def places_from(running: jax.Array, stops: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """`places_of` from the running sums: a binary search within one row."""
    n_rows, n = running.shape
    entry = jnp.arange(count, dtype=jnp.int32)
    row = jnp.sum(stops <= entry[:, None], axis=1, dtype=jnp.int32)
    row = jnp.minimum(row, n_rows - 1)
    before = entry - (stops - running[:, -1])[row]  # how many stand before it in its row
    flat, column = running.ravel(), jnp.zeros_like(entry)
    for power in reversed(range(n.bit_length())):
        further = column + 2**power
        earlier = flat[row * n + jnp.minimum(further, n) - 1] <= before
        column = jnp.where((further <= n) & earlier, further, column)
    return row * n + jnp.minimum(column, n - 1), entry < stops[-1]


def tiled(keys: jax.Array, ends: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Spread sorted keys ``(n_neighbors,)`` into runs of one species, padded to `TILE`.

    Padding gets the largest key of its run, so that the row stays sorted.

    Args:
        keys: sorted; ``NO_KEY`` after those found.
        ends: of the species' keys, ``(n_species,)``.

    Returns:
        keys, mask, and the width that the row needs.
    """
    first = jnp.sum(keys[:, None] < ends[None, :], axis=0, dtype=jnp.int32)  # of the next species
    first = jnp.concatenate([jnp.zeros(1, first.dtype), first])
    counts = jnp.diff(first)
    tiles = -(-counts // TILE) * TILE
    stop = jnp.cumsum(tiles)
    entry = jnp.arange(len(keys), dtype=jnp.int32)
    run = jnp.sum(entry[:, None] >= stop[None, :], axis=1, dtype=jnp.int32)
    beyond, run = run == len(ends), jnp.minimum(run, len(ends) - 1)
    place = entry - (stop - tiles)[run]
    mask = ~beyond & (place < counts[run])
    found = keys[jnp.where(mask, first[run] + place, 0)]
    padding = jnp.where(beyond, NO_KEY, ends[run] - 1)
    return jnp.where(mask, found, padding), mask, stop[-1]


def places_in_rows(keys: jax.Array, rows: jax.Array, wanted: jax.Array) -> jax.Array:
    """Where ``wanted`` keys stand in sorted ``rows``, as flat index: a binary search."""
    flat, n_neighbors = keys.ravel(), keys.shape[1]
    row = rows * n_neighbors
    low, high = jnp.zeros_like(row), jnp.full_like(row, n_neighbors - 1)
    for _ in range(n_neighbors.bit_length()):
        middle = (low + high) // 2
        below = flat[row + middle] < wanted
        low, high = jnp.where(below, middle + 1, low), jnp.where(below, high, middle)
        low = jnp.minimum(low, high)
    return row + low
