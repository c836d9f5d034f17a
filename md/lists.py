"""Neighbor lists of systems that move: many small ones, or a large one, by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from stratal.descriptors.cell_list import search
from stratal.descriptors.cell_plan import CellListPlan, plan_cell_list
from stratal.descriptors.image_list import ImageListPlan, Needs, build_images
from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures

LARGE = 256  # atoms of a system from which a cell list serves better than all pairs

Plan = ImageListPlan | CellListPlan


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


def wider(plan: Plan, needs: Needs, structures: Structures) -> Plan:
    """A plan for lists that outgrew theirs.

    Args:
        plan: which was too small.
        needs: what it was found to need.
        structures: as they are now, all or those that outgrew it.
    """
    images, width = (int(np.asarray(need).max()) for need in needs[:2])
    if width > plan.n_neighbors:
        width = in_tiles(1.1 * width)  # what outgrew a plan once grows on
    n_neighbors = max(width, plan.n_neighbors)
    if isinstance(plan, ImageListPlan):
        return replace(plan, n_images=max(plan.n_images, images), n_neighbors=n_neighbors)
    new = plan_cell_list(structures, plan.cutoff, plan.skin, n_neighbors)
    if new.n_bins == plan.n_bins:  # host and device may round an atom into other bins
        new = replace(new, capacity=max(new.capacity, images, plan.capacity))
    return new


def plan_from(content: Mapping[str, Any]) -> Plan:
    """The plan of a checkpoint: its kind and fields."""
    kind = ImageListPlan if content["kind"] == "ImageListPlan" else CellListPlan

    def plain(value: Any) -> Any:
        value = np.asarray(value).tolist()
        return tuple(value) if isinstance(value, list) else value

    return kind(**{f.name: plain(content[f.name]) for f in fields(kind)})


def in_tiles(width: float) -> int:
    """The width of a table, in whole tiles."""
    return TILE * max(1, int(np.ceil(width / TILE)))
