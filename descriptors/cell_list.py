"""Neighbor list on the device for one large system: a cell list of linear cost.

Atoms are sorted into bins of the cell; an atom's neighbors lie in the bins around its
own, periodic images included, so that cells smaller than the reach work too. What shapes
the compiled program is a plan made on the host; where the atoms outgrow the plan the list
says so with `overflow`, and `cell_list` makes a larger plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.cell_plan import (
    CellListPlan,
    bins_of,
    code_of_shift,
    offsets_of,
    plan_cell_list,
    shift_of_code,
    spans_of,
)
from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures
from stratal.descriptors.table_rows import NO_KEY, places_in_rows, places_of, tiled
from stratal.errors import InputError

CHUNK = 2**20  # candidate pairs looked at in one go: some 50 MB


def cell_list(
    structures: Structures,
    cutoff: float,
    skin: float = 0.0,
    plan: CellListPlan | None = None,
    shortest: float = 1e-3,
) -> tuple[Neighbors, CellListPlan]:
    """Find all neighbors within ``cutoff + skin`` of one system, on the device.

    Args:
        structures: one system; padding atoms get no edges.
        cutoff: reach of the potential, Å.
        skin: how much further the list reaches, Å.
        plan: that of an earlier call, to run the same program again; grown if need be, and
            ignored if it is for another reach.
        shortest: two atoms closer than this (Å) are refused.

    Returns:
        the same table as `neighbor_list`, perhaps wider, and the plan that made it.

    Raises:
        InputError: several systems, or overlapping atoms.
    """
    if plan is not None and (plan.cutoff, plan.skin) != (float(cutoff), float(skin)):
        plan = None
    guessed = plan is None
    plan = plan or plan_cell_list(structures, cutoff, skin)
    while True:
        neighbors, needs = search(plan, structures)
        length, width = float(needs["shortest"]), max(TILE, int(needs["width"]))
        if length < shortest:
            raise InputError(
                f"structure 0: two atoms overlap ({length:.2g} Å apart). Remove one of them or "
                f"the structure."
            )
        # A first guess that was far too wide would cost in all that follows.
        wasteful = guessed and plan.n_neighbors > 1.25 * width
        if not (bool(neighbors.overflow.any()) or wasteful):
            return neighbors, plan
        plan = grown(plan, structures, width, int(needs["capacity"]), guessed)
        guessed = False


def grown(
    plan: CellListPlan, structures: Structures, width: int, capacity: int, guessed: bool
) -> CellListPlan:
    """A plan for what a search was found to need; a guess may also be too wide."""
    if not guessed and width > plan.n_neighbors:
        width += TILE  # what outgrew a plan once grows on
    n_neighbors = width if guessed else max(width, plan.n_neighbors)
    renewed = plan_cell_list(structures, plan.cutoff, plan.skin, n_neighbors)
    if renewed.n_bins == plan.n_bins:  # host and device may round an atom into other bins
        capacity = max(capacity, renewed.capacity, plan.capacity)
        renewed = replace(renewed, capacity=capacity)
    return renewed


def build(plan: CellListPlan, structures: Structures) -> Neighbors:
    """The neighbor list by a plan; pure, to be called inside or outside `jax.jit`.

    ``overflow`` is set where a bin or a row is too small, or where the cell has changed so
    much that neighbors may lie in bins further away than the plan looks.
    """
    return search(plan, structures)[0]


@partial(jax.jit, static_argnums=0)
def search(plan: CellListPlan, structures: Structures) -> tuple[Neighbors, dict[str, jax.Array]]:
    """The list; the width and capacity it needed and the shortest distance (Å) that it found."""
    structures = jax.tree.map(jnp.asarray, structures)
    positions, cell = structures.positions, structures.cell[0]
    real, pbc = structures.atom_mask & (structures.system == 0), np.array(plan.pbc)
    n_bins = np.array(plan.n_bins)
    index, home = bins_of(jnp, positions, real, cell, pbc, n_bins)
    index = jnp.where(real, index, n_bins.prod()).astype(jnp.int32)
    wrapped = positions - jnp.matmul(home, cell, precision="highest")

    # Atoms ordered by species: keys made of this rank sort as rows of the table must.
    by_species = jnp.argsort(structures.species, stable=True).astype(jnp.int32)
    rank = inverse_of(by_species)
    counts = jnp.bincount(structures.species, length=len(structures.elements))
    ends = jnp.cumsum(counts).astype(jnp.int32)  # of the species' ranks

    in_order = jnp.argsort(index).astype(jnp.int32)  # neighbors in space, neighbors in memory
    bins, fullest = fill_bins(plan, index, in_order, wrapped, rank)

    def found(atom: jax.Array) -> FoundRow:
        return row_of_atom(plan, wrapped[atom], rank[atom], index[atom], bins, cell, ends)

    def edges(atom: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        return edges_of_row(plan, atom, rows, by_species, rank, home)

    candidates = offsets_of(plan).shape[0] * plan.capacity
    rows = fill_rows(found, in_order, CHUNK // candidates)
    senders, shifts, reverse = fill_rows(edges, in_order, CHUNK // (8 * plan.n_neighbors))

    spans = spans_of(jnp, positions, real, cell, pbc)
    reach = (plan.cutoff + plan.skin) * n_bins / jnp.maximum(spans, 1e-9)
    sees_all = ~pbc & (np.array(plan.reach_bins) >= n_bins - 1)
    blind = jnp.any((reach > np.array(plan.reach_bins)) & ~sees_all)
    blind |= jnp.any(structures.pbc[0] != pbc)
    width, drift = rows.width.max(), home.max(axis=0) - home.min(axis=0)
    far = jnp.any(drift + np.array(plan.max_shift) > np.iinfo(plan.shift_type).max)
    overflow = blind | far | (fullest > plan.capacity) | (width > plan.n_neighbors)
    neighbors = Neighbors(
        senders=senders,
        shifts=shifts,
        mask=rows.mask,
        reverse=reverse,
        positions=structures.positions,
        cell=structures.cell,
        overflow=jnp.full(structures.n_systems, overflow),
        cutoff=plan.cutoff,
        skin=plan.skin,
    )
    shortest = jnp.sqrt(rows.shortest.min())
    return neighbors, {"width": width, "capacity": fullest, "shortest": shortest}


def fill_rows(row_of: Callable[[jax.Array], Any], order: jax.Array, batch: int) -> Any:
    """A table of ``row_of(atom)`` for every atom, made ``batch`` rows at a time.

    The last batch takes up rows of the one before: no rows are padded, none copied.
    """
    n_atoms = order.shape[0]
    batch = max(1, min(n_atoms, batch))

    def fill(number: jax.Array, table: Any) -> Any:
        start = jnp.minimum(number * batch, n_atoms - batch)
        atoms = jax.lax.dynamic_slice_in_dim(order, start, batch)
        rows = jax.vmap(row_of)(atoms)
        return jax.tree.map(lambda all_, some: all_.at[atoms].set(some), table, rows)

    row = jax.eval_shape(row_of, jax.ShapeDtypeStruct((), order.dtype))
    empty = jax.tree.map(lambda leaf: jnp.zeros((n_atoms, *leaf.shape), leaf.dtype), row)
    return jax.lax.fori_loop(0, -(-n_atoms // batch), fill, empty)


class FoundRow(NamedTuple):
    """What is found around one atom; of all atoms, each has a leading axis."""

    keys: jax.Array  # (n_neighbors,), sorted: rank of the sender, then code of the shift
    mask: jax.Array  # (n_neighbors,), False for padding
    width: jax.Array  # (), entries that the row needs
    shortest: jax.Array  # (), squared distance to the nearest, Å^2


def row_of_atom(
    plan: CellListPlan,
    position: jax.Array,
    rank: jax.Array,
    bin_of_atom: jax.Array,
    bins: Bins,
    cell: jax.Array,
    ends: jax.Array,
) -> FoundRow:
    """Look through the bins around an atom; ``ends`` are of the species' ranks."""
    around, shifts = bins_around(plan, bin_of_atom)
    ranks = bins.ranks[around]  # (n_offsets, capacity)
    crossed = jnp.matmul(shifts.astype(cell.dtype), cell, precision="highest")
    apart = bins.positions[around] + (crossed - position)[:, :, None]
    squared = apart[:, 0] ** 2 + apart[:, 1] ** 2 + apart[:, 2] ** 2
    itself = (ranks == rank) & (shifts == 0).all(axis=-1)[:, None]
    found = (ranks >= 0) & ~itself & (squared < (plan.cutoff + plan.skin) ** 2)
    # As many as the row can hold come together first: sorting all candidates, or keeping
    # their distances, would be the greater part of the whole search.
    place, taken, total = places_of(found, plan.n_neighbors)
    bin_, column = place // plan.capacity, place % plan.capacity
    apart = bins.positions[around[bin_], :, column] + crossed[bin_] - position
    shortest = jnp.where(taken, jnp.sum(apart**2, axis=-1), jnp.inf).min()
    keys = ranks[bin_, column] * plan.n_shifts + code_of_shift(plan, shifts)[bin_]
    keys = jnp.sort(jnp.where(taken, keys, NO_KEY))
    keys, mask, width = tiled(keys, ends * plan.n_shifts)
    most = -(-total // TILE) * TILE + TILE * (len(ends) - 1)  # where not all were counted
    return FoundRow(keys, mask, jnp.where(total > plan.n_neighbors, most, width), shortest)


def bins_around(plan: CellListPlan, bin_of_atom: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Bins ``(n_offsets,)`` within reach of one, and the cells crossed, ``(n_offsets, 3)``.

    Where there is none, and around padding atoms, it is the last, empty bin.
    """
    n_bins = np.array(plan.n_bins, np.int32)
    place = jnp.stack(jnp.unravel_index(bin_of_atom, plan.n_bins)) + offsets_of(plan)
    shifts = jnp.floor_divide(place, n_bins)
    open_axes = np.flatnonzero(~np.array(plan.pbc))
    inside = (shifts[:, open_axes] == 0).all(axis=-1) & (bin_of_atom < n_bins.prod())
    x, y, z = (place - shifts * n_bins).T
    flat = (x * plan.n_bins[1] + y) * plan.n_bins[2] + z
    return jnp.where(inside, flat, n_bins.prod()), shifts


def edges_of_row(
    plan: CellListPlan,
    atom: jax.Array,
    rows: FoundRow,
    by_species: jax.Array,
    rank: jax.Array,
    home: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Senders, shifts and reverse edges of a row; 0 in its padding."""
    keys, mask = rows.keys[atom], rows.mask[atom]
    senders = jnp.where(mask, by_species[jnp.where(mask, keys // plan.n_shifts, 0)], 0)
    code = keys % plan.n_shifts
    shifts = shift_of_code(plan, code) + (home[atom] - home[senders]).astype(jnp.int32)
    shifts = jnp.where(mask[:, None], shifts, 0).astype(plan.shift_type)
    wanted = rank[atom] * plan.n_shifts + plan.n_shifts - 1 - code
    reverse = jnp.where(mask, places_in_rows(rows.keys, senders, wanted), 0)
    return senders, shifts, reverse


class Bins(NamedTuple):
    """Atoms by bin; the last bin is empty and stands for all that is outside."""

    positions: jax.Array  # (n_bins + 1, 3, capacity), Å
    ranks: jax.Array  # (n_bins + 1, capacity), -1 where a place is empty


def fill_bins(
    plan: CellListPlan, index: jax.Array, order: jax.Array, wrapped: jax.Array, rank: jax.Array
) -> tuple[Bins, jax.Array]:
    """Put atoms into bins; ``order`` sorts them by bin. Returns also the most in any bin."""
    n_atoms, total = index.shape[0], int(np.prod(plan.n_bins))
    counts = jnp.bincount(index, length=total + 1).astype(jnp.int32)
    place = (jnp.cumsum(counts) - counts)[:, None] + jnp.arange(plan.capacity, dtype=jnp.int32)
    counts = counts.at[total].set(0)  # padding atoms
    atoms = order[jnp.minimum(place, n_atoms - 1)]
    taken = jnp.arange(plan.capacity) < counts[:, None]
    ranks = jnp.where(taken, rank[atoms], -1)
    return Bins(wrapped[atoms].swapaxes(1, 2), ranks), counts.max()


def inverse_of(order: jax.Array) -> jax.Array:
    """The permutation that undoes another."""
    return jnp.zeros_like(order).at[order].set(jnp.arange(order.shape[0], dtype=order.dtype))
