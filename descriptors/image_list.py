"""Neighbor list on the device for many small systems: the images of every pair of atoms.

Each system has the same number of places for atoms, its atoms in the first of them and in the
order of their species. A pair is taken at its nearest in lattice coordinates; the images of the
cell around that are looked at, as many as reach and shape of the cell ask for. What shapes
the compiled program is a plan; a system that outgrows it says so with `overflow`, alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures
from stratal.descriptors.table_rows import NO_KEY, places_from, running_sums, tiled

MOST = np.iinfo(np.int8).max  # cells that an edge of the table can cross
SLACK = 1e-6  # relative, for rounding of the reach


@dataclass(frozen=True)
class ImageListPlan:
    """What shapes the compiled search; hashable, so that equal plans share a program."""

    n_atoms: int  # places of each system
    n_images: int  # of the cell, that are looked at
    n_neighbors: int  # width of the table
    cutoff: float  # Å, of the potential
    skin: float  # Å, the list reaches to cutoff + skin

    @property
    def reach(self) -> float:
        """Å."""
        return self.cutoff + self.skin


class Needs(NamedTuple):
    """What the lists of systems took, each ``(n_systems,)``."""

    images: jax.Array  # of the cell
    width: jax.Array  # entries of the fullest row; a lower bound where it overflows
    shortest: jax.Array  # distance between two atoms, Å; inf without neighbors


def build_images(plan: ImageListPlan, structures: Structures) -> tuple[Neighbors, Needs]:
    """Find all neighbors within the plan's reach; pure, to be called under `jax.jit`.

    Args:
        plan: sizes of the search.
        structures: flat arrays of ``n_systems`` times ``plan.n_atoms`` places.

    Returns:
        the table of `neighbor_list`; ``overflow`` where a system needs more images or width.
    """
    n_systems, n_atoms = structures.n_systems, plan.n_atoms
    by_system = jax.vmap(partial(rows_of_system, plan, len(structures.elements)))
    senders, shifts, mask, reverse, far, needs = by_system(
        structures.positions.reshape(n_systems, n_atoms, 3),
        structures.species.reshape(n_systems, n_atoms),
        structures.atom_mask.reshape(n_systems, n_atoms),
        structures.cell,
        structures.pbc,
    )
    first = n_atoms * jnp.arange(n_systems, dtype=senders.dtype)[:, None, None]
    flat = (n_systems * n_atoms, plan.n_neighbors)
    neighbors = Neighbors(
        senders=(senders + first).reshape(flat),
        shifts=shifts.reshape(*flat, 3),
        mask=mask.reshape(flat),
        reverse=(reverse + first * plan.n_neighbors).reshape(flat),
        positions=structures.positions,
        cell=structures.cell,
        overflow=far | (needs.images > plan.n_images) | (needs.width > plan.n_neighbors),
        cutoff=plan.cutoff,
        skin=plan.skin,
    )
    return neighbors, needs


def rows_of_system(
    plan: ImageListPlan,
    n_species: int,
    positions: jax.Array,
    species: jax.Array,
    real: jax.Array,
    cell: jax.Array,
    pbc: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, Needs]:
    """Senders, shifts, mask and reverse edges of one system, counted within it.

    Then whether a shift is too large for the table, and what was needed.
    """
    n_atoms, n_images = plan.n_atoms, plan.n_images
    inverse = jnp.linalg.inv(cell)
    fractional = jnp.matmul(positions, inverse, precision="highest")
    apart = fractional[None, :] - fractional[:, None]  # receiver to sender
    home = jnp.where(pbc, -jnp.round(apart), 0.0)  # odd in the pair: edges have their reverse
    images, sides = images_needed(plan.reach, inverse, pbc)
    code = jnp.arange(n_images, dtype=jnp.int32)
    shifts = shift_of_code(code, sides)
    crossed = jnp.matmul(shifts.astype(cell.dtype), cell, precision="highest")
    nearest = jnp.matmul(apart + home, cell, precision="highest")
    squared = sum((nearest[:, :, None, axis] + crossed[:, axis]) ** 2 for axis in range(3))
    center = (images - 1) // 2
    itself = jnp.eye(n_atoms, dtype=bool)[:, :, None] & (code == center)
    found = (squared < plan.reach**2) & ~itself & (code < images)  # pyright: ignore[reportOperatorIssue]
    found &= (real[:, None] & real[None, :])[:, :, None]

    counts = jnp.sum((species[:, None] == jnp.arange(n_species)) & real[:, None], axis=0)
    ends = (n_images * jnp.cumsum(counts)).astype(jnp.int32)
    running, stops = jax.vmap(running_sums)(found)

    def row(running: jax.Array, stops: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        place, taken = places_from(running, stops, plan.n_neighbors)
        keys, mask, width = tiled(jnp.where(taken, place, NO_KEY), ends)
        return keys, mask, jnp.where(stops[-1] > plan.n_neighbors, stops[-1], width)

    keys, mask, width = jax.vmap(row)(running, stops)
    senders = jnp.where(mask, keys // n_images, 0)
    code = keys % n_images
    receivers = jnp.arange(n_atoms, dtype=keys.dtype)[:, None]
    # The reverse edge is the opposite image of the receiver, in the sender's row.
    back = jnp.where(mask, images - 1 - code, 0)
    entry = entries_of_first(running, stops, counts)[senders, receivers]
    entry += running[senders, receivers, back] - 1
    mask &= found[senders, receivers, back]  # at the very end of the reach one may be rounded out
    reverse = jnp.where(mask, senders * plan.n_neighbors + entry, 0)
    # From tables: as many divisions of integers would take longer than all else.
    crossing = shifts.astype(jnp.int8)[code] + home.astype(jnp.int8)[receivers, senders]
    far = jnp.abs(home).max() + jnp.stack(sides).max() > MOST
    shortest = jnp.sqrt(jnp.where(found, squared, jnp.inf).min())
    needs = Needs(images, width.max(), shortest)
    return senders, jnp.where(mask[..., None], crossing, 0), mask, reverse, far, needs


def entries_of_first(running: jax.Array, stops: jax.Array, counts: jax.Array) -> jax.Array:
    """The entry of a sender's first image in each receiver's row, ``(n_atoms, n_atoms)``.

    Args:
        running: running sums over the images of each pair, ``(n_atoms, n_atoms, n_images)``.
        stops: over the senders, ``(n_atoms, n_atoms)``.
        counts: atoms of each species, ``(n_species,)``.
    """
    n_atoms = len(stops)
    first = stops - running[..., -1]  # were there no tiles
    last = jnp.cumsum(counts)
    of_species = jnp.diff(stops[:, jnp.maximum(last - 1, 0)] * (last > 0), axis=1, prepend=0)
    unused = -of_species % TILE  # at the end of each species' tiles
    before = jnp.cumsum(unused, axis=1) - unused
    species = jnp.sum(jnp.arange(n_atoms)[:, None] >= last, axis=1)
    return first + before[:, jnp.minimum(species, len(counts) - 1)]


def images_needed(
    reach: float, inverse: jax.Array, pbc: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """How many images of a cell, and how many to either side along its vectors.

    Args:
        reach: Å.
        inverse: of the cell, 1/Å.
        pbc: ``(3,)``.
    """
    # Nearest in lattice coordinates is half a cell away at most.
    to_side = reach * (1 + SLACK) * jnp.linalg.norm(inverse, axis=0) + 0.5
    to_side = jnp.where(jnp.isfinite(to_side), jnp.clip(to_side, 0, MOST), MOST)
    sides = jnp.where(pbc, jnp.floor(to_side), 0).astype(jnp.int32)
    return jnp.prod(2 * sides + 1, dtype=jnp.int32), tuple(sides)


def shift_of_code(code: jax.Array, sides: tuple[jax.Array, ...]) -> jax.Array:
    """The shift of an image by its number, ``(..., 3)``; the opposite one counts from the end."""
    x_size, y_size, _ = (2 * side + 1 for side in sides)
    x, y, z = code % x_size, code // x_size % y_size, code // (x_size * y_size)
    return jnp.stack([x, y, z], axis=-1) - jnp.stack(sides)


def n_images_of(reach: float, cell: np.ndarray, pbc: np.ndarray) -> int:
    """How many images of a cell are looked at; for plans.

    Args:
        reach: Å.
        cell: rows are vectors, Å.
        pbc: ``(3,)``.
    """
    to_side = reach * (1 + SLACK) * np.linalg.norm(np.linalg.inv(cell), axis=0) + 0.5
    return int(np.prod(2 * np.floor(np.where(pbc, to_side, 0)) + 1))
