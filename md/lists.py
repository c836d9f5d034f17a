"""Neighbor lists of systems that move: many small ones, or a large one, by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.cell_list import search
from stratal.descriptors.cell_plan import CellListPlan, plan_cell_list
from stratal.descriptors.image_list import ImageListPlan, Needs, build_images
from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures

AT_A_TIME = 4  # systems: more at once are not faster, and build some that need none
PAIRS = 1_000_000  # of atoms, without their images
MUCH_MORE = 20  # times a plan: who needs so much has collapsed
LARGE = 256  # atoms of a system from which a cell list serves better than all pairs

Plan = ImageListPlan | CellListPlan
Lists = tuple[Neighbors, Needs, jax.Array]  # with which systems wait for new ones


def at_a_time(n_places: int, n_systems: int) -> int:
    """How many systems' lists to build at once: all their pairs have to fit into memory."""
    return max(1, min(n_systems, AT_A_TIME, PAIRS // n_places**2))


def build_lists(plan: Plan, structures: Structures) -> tuple[Neighbors, Needs]:
    """Neighbors of all systems by a plan, and what they took; pure, to be called under `jax.jit`.

    Args:
        plan: for many systems, or for one.
        structures: in the places that the plan is for.
    """
    if isinstance(plan, ImageListPlan):
        return build_images(plan, structures)
    neighbors, needs = search(plan, structures)
    each = (needs["capacity"], needs["width"], needs["shortest"])
    return neighbors, Needs(*(jnp.reshape(value, 1) for value in each))


def renewed(
    plan: Plan, count: int, structures: Structures, lists: Lists, which: jax.Array
) -> Lists:
    """New lists for the systems that wait for one; pure, at no cost where none does.

    Args:
        plan: of the lists.
        count: how many systems' lists are built at once, as `at_a_time` has it.
        structures: as they are now, in places.
        lists: neighbors, needs, and which systems wait, ``(n_systems,)``.
        which: systems that count; others go on waiting.

    Returns:
        the same with new lists; those that outgrow the plan wait on.
    """
    n_places = structures.n_atoms // structures.n_systems

    def wait(lists: Lists) -> jax.Array:
        neighbors, _, waiting = lists
        return waiting & which & ~neighbors.overflow

    def some(lists: Lists) -> Lists:
        neighbors, needs, waiting = lists
        chosen = jnp.argsort(~wait(lists))[:count].astype(jnp.int32)
        built, own = build_lists(plan, systems(structures, chosen, n_places))
        needs = Needs(*(all_.at[chosen].set(new) for all_, new in zip(needs, own, strict=True)))
        waiting = waiting.at[chosen].set(built.overflow)
        return put_lists(neighbors, built, chosen, n_places), needs, waiting

    def every(lists: Lists) -> Lists:
        built, needs = build_lists(plan, structures)
        needs = Needs(*(n.astype(old.dtype) for n, old in zip(needs, lists[1], strict=True)))
        return as_before(built, lists[0]), needs, built.overflow

    if structures.n_systems > count:
        return jax.lax.while_loop(lambda lists: wait(lists).any(), some, lists)
    # No loop: what in its body does not depend on the lists would be computed at every call.
    return jax.lax.cond(wait(lists).any(), every, lambda same: same, lists)


def as_before(built: Neighbors, before: Neighbors) -> Neighbors:
    """A table with the types of another."""
    return jax.tree.map(lambda new, old: new.astype(old.dtype), built, before)


def systems(structures: Structures, chosen: jax.Array, n_atoms: int) -> Structures:
    """The systems of these numbers, counted anew."""

    def of_atoms(array: jax.Array) -> jax.Array:
        by_system = array.reshape(-1, n_atoms, *array.shape[1:])[chosen]
        return by_system.reshape(-1, *array.shape[1:])

    return Structures(
        positions=of_atoms(structures.positions),
        species=of_atoms(structures.species),
        system=jnp.repeat(jnp.arange(len(chosen), dtype=structures.system.dtype), n_atoms),
        atom_mask=of_atoms(structures.atom_mask),
        cell=structures.cell[chosen],
        pbc=structures.pbc[chosen],
        system_mask=structures.system_mask[chosen],
        elements=structures.elements,
    )


def put_lists(table: Neighbors, built: Neighbors, chosen: jax.Array, n_atoms: int) -> Neighbors:
    """The table with the rows of these systems taken from lists of their own."""
    here = jnp.arange(len(chosen), dtype=jnp.int32)
    further = jnp.repeat((chosen - here) * n_atoms, n_atoms)[:, None]  # in the whole table
    further = further.astype(jnp.int32)

    def put(all_: jax.Array, some: jax.Array) -> jax.Array:
        by_system = (-1, n_atoms, *all_.shape[1:])
        new = all_.reshape(by_system).at[chosen].set(some.reshape(by_system).astype(all_.dtype))
        return new.reshape(all_.shape)

    return replace(
        table,
        senders=put(table.senders, built.senders + further),
        shifts=put(table.shifts, built.shifts),
        mask=put(table.mask, built.mask),
        reverse=put(table.reverse, built.reverse + further * table.n_neighbors),
        positions=put(table.positions, built.positions),
        cell=table.cell.at[chosen].set(built.cell),
        overflow=table.overflow.at[chosen].set(built.overflow),
    )


def no_neighbors(structures: Structures, plan: Plan) -> Lists:
    """A table of a plan's shape without entries, of systems that all wait for theirs."""
    shape, n_systems = (structures.n_atoms, plan.n_neighbors), structures.n_systems
    neighbors = Neighbors(
        senders=jnp.zeros(shape, jnp.int32),
        shifts=jnp.zeros((*shape, 3), getattr(plan, "shift_type", jnp.int8)),
        mask=jnp.zeros(shape, bool),
        reverse=jnp.zeros(shape, jnp.int32),
        positions=structures.positions,
        cell=structures.cell,
        overflow=jnp.zeros(n_systems, bool),
        cutoff=plan.cutoff,
        skin=plan.skin,
    )
    dtype = structures.positions.dtype
    needs = Needs(*jnp.zeros((2, n_systems), jnp.int32), jnp.full(n_systems, jnp.inf, dtype))
    return neighbors, needs, jnp.asarray(structures.system_mask)


def wider(plan: Plan, needs: Needs, structures: Structures) -> Plan:
    """A plan for lists that outgrew theirs.

    Args:
        plan: which was too small.
        needs: what it was found to need.
        structures: as they were when they outgrew it, all or those that did.
    """
    images, width = (int(np.asarray(need).max()) for need in needs[:2])
    if width > plan.n_neighbors:
        width = in_tiles(1.1 * width)  # what outgrew a plan once grows on
    n_neighbors = max(width, plan.n_neighbors)
    if isinstance(plan, ImageListPlan):
        return replace(plan, n_images=max(plan.n_images, images), n_neighbors=n_neighbors)
    if images > plan.capacity or width > plan.n_neighbors:
        return replace(plan, capacity=max(images + 2, plan.capacity), n_neighbors=n_neighbors)
    # The cell has become narrower, or atoms are far from home. Bins never become more again, so
    # that a cell that fluctuates between two layouts does not go back and forth between them.
    new = plan_cell_list(structures, plan.cutoff, plan.skin, n_neighbors, plan.n_bins)
    same = np.equal(new.n_bins, plan.n_bins)
    reach = np.where(same, np.maximum(new.reach_bins, plan.reach_bins), new.reach_bins)
    return replace(new, reach_bins=tuple(reach.tolist()), capacity=max(new.capacity, images))


def hopeless(plan: Plan, neighbors: Neighbors, needs: Needs) -> np.ndarray:
    """Systems for which no larger plan will do, ``(n_systems,)``: collapsed, or flown apart."""
    overflow, images, width = (np.asarray(a) for a in (neighbors.overflow, *needs[:2]))
    if not isinstance(plan, ImageListPlan):
        return overflow & (width > MUCH_MORE * plan.n_neighbors)
    enough = (images <= plan.n_images) & (width <= plan.n_neighbors)
    too_much = (images > MUCH_MORE * plan.n_images) | (width > MUCH_MORE * plan.n_neighbors)
    return overflow & (enough | too_much)


def plan_as(plan: Plan) -> dict[str, Any]:
    """The plan for a checkpoint."""
    return {"kind": type(plan).__name__, **vars(plan)}


def plan_from(content: Mapping[str, Any]) -> Plan:
    """The plan that `plan_as` gave."""
    kind = ImageListPlan if content["kind"] == "ImageListPlan" else CellListPlan

    def plain(value: Any) -> Any:
        value = np.asarray(value).tolist()
        return tuple(value) if isinstance(value, list) else value

    return kind(**{f.name: plain(content[f.name]) for f in fields(kind)})


def in_tiles(width: float) -> int:
    """The width of a table, in whole tiles."""
    return TILE * max(1, int(np.ceil(width / TILE)))
