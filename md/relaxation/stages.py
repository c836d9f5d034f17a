"""Stages of a relaxation: slots of which size, and how many, one after the other.

Small structures come first; where too few are left to fill a stage's slots, they go on in the
larger slots of the next, among new ones. At the end the slots become fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np
from ase.data import covalent_radii

from stratal.descriptors.cell_plan import plan_cell_list
from stratal.descriptors.image_list import ImageListPlan, n_images_of
from stratal.descriptors.neighbors import TILE
from stratal.descriptors.structures import Structures
from stratal.md.lists import LARGE, Plan, in_tiles
from stratal.md.relaxation.entries import Entry
from stratal.potentials.evaluate import Potential

CLASSES = 4  # sizes of slots at most
WORTH = 5000  # places of structures that one more size must leave out, to be worth its compilation
ATOMS = 1024  # places of all slots, on a processor: what is computed stays in its cache
MANY_ATOMS = 65536  # on an accelerator, which is fast with many alike
FEWER = 8  # times fewer slots at the end ...
LINGERING = 16  # ... if so many blocks did not suffice for the last structures
SPARE = 1.1  # of the width of tables, for structures that grow denser
PACKED = 0.74  # part of space that spheres fill at their densest


@dataclass(frozen=True)
class SlotSize:
    """What a slot can hold."""

    n_places: int  # atoms
    n_images: int  # of the cell
    n_neighbors: int  # of an atom


@dataclass(frozen=True)
class Stage:
    """A program's worth of slots."""

    size: SlotSize
    n_slots: int
    entries: tuple[int, ...]  # which structures begin here
    until: int = 0  # go to the next stage when no more than these are left ...
    patience: int = 0  # ... after so many blocks


def slot_sizes(
    entries: Sequence[Entry], potential: Potential, skin: float, most: int = CLASSES
) -> tuple[SlotSize, ...]:
    """Sizes of slots for structures as they begin, ascending; they may turn out too small.

    Args:
        entries: the structures.
        potential: its cutoff and elements count.
        skin: of neighbor lists, Å.
        most: sizes, at most.
    """
    sizes, low = [], 0
    for n_places in size_classes([len(entry) for entry in entries], most):
        own = [entry for entry in entries if low < len(entry) <= n_places]
        low = n_places
        reach = potential.cutoff + skin
        within = 4 / 3 * np.pi * reach**3 * max(map(density_of, own))
        if not any(entry.atoms.pbc.any() for entry in own):
            within = min(within, n_places - 1)
        # The tiles of each species but one may be half empty.
        width = in_tiles(SPARE * within + TILE / 2 * (len(potential.elements) - 1))
        images = max(n_images_of(reach, entry.cell, entry.atoms.pbc) for entry in own)
        sizes.append(SlotSize(n_places, images, width))
    return tuple(sizes)


def stages_for(
    lengths: Sequence[int], sizes: Sequence[SlotSize], n_slots: int | None = None
) -> list[Stage]:
    """Choose the stages for structures of these numbers of atoms.

    Args:
        lengths: atoms of each structure.
        sizes: from `slot_sizes`.
        n_slots: of each stage; by default as many as the device is fast with.
    """
    order = np.argsort(lengths, kind="stable").tolist()
    stages: list[Stage] = []
    low = carried = 0
    for size in sizes:
        own = tuple(i for i in order if low < lengths[i] <= size.n_places)
        low = size.n_places
        if not own:
            continue
        slots = min(n_slots or slots_of(size.n_places), power_of_two(len(own) + carried))
        if stages:
            stages[-1] = replace(stages[-1], until=min(stages[-1].until, slots))
        stages.append(Stage(size, slots, own, until=slots // 2))
        carried = slots // 2
    last = stages.pop()
    fewer = last.n_slots // FEWER
    if fewer and len(lengths) > last.n_slots:
        stages.append(replace(last, until=fewer, patience=LINGERING))
        stages.append(Stage(last.size, fewer, ()))
    else:
        stages.append(replace(last, until=0))
    return stages


def plan_of(stage: Stage, entries: Sequence[Entry], potential: Potential, skin: float) -> Plan:
    """The plan of a stage's neighbor lists.

    Args:
        stage: slots of what size, and how many.
        entries: structures that are to go into them.
        potential: its cutoff and elements count.
        skin: Å.
    """
    size = stage.size
    if stage.n_slots > 1 or size.n_places < LARGE:
        sizes = (size.n_places, size.n_images, size.n_neighbors)
        return ImageListPlan(*sizes, potential.cutoff, skin)
    structures = Structures.from_atoms(max(entries, key=len).atoms, potential.elements)
    padded = structures.padded(size.n_places)
    return plan_cell_list(padded, potential.cutoff, skin, size.n_neighbors)


def density_of(entry: Entry) -> float:
    """Atoms by volume, 1/Å³; of what is not a crystal, as if its atoms were packed."""
    if entry.atoms.pbc.all():
        return len(entry) / abs(np.linalg.det(entry.cell))
    radius = float(covalent_radii[entry.atoms.numbers].mean())
    return PACKED / (4 / 3 * np.pi * radius**3)


def power_of_two(count: int) -> int:
    """The next, so that jobs of about one size share their programs."""
    return 1 << max(0, count - 1).bit_length()


def slots_of(n_places: int) -> int:
    """How many slots of this size a device is fast with; one of those with a cell list."""
    if n_places >= LARGE:
        return 1
    most = ATOMS if jax.default_backend() == "cpu" else MANY_ATOMS
    return max(1, most // n_places)


def size_classes(lengths: Sequence[int], most: int = CLASSES) -> list[int]:
    """Sizes of slots, ascending, that leave the fewest places empty; no more than are worth it."""
    distinct, counts = np.unique(np.asarray(lengths), return_counts=True)
    n = len(distinct)
    total = np.concatenate([[0], np.cumsum(counts)])
    # cost[k][j]: places for the smallest j sizes in k + 1 classes, and where the last begins.
    cost = np.full((most, n + 1), np.inf)
    begins = np.zeros((most, n + 1), int)
    cost[0] = np.concatenate([[0], distinct * total[1:]])
    for k in range(1, most):
        cost[k, 0] = 0
        for j in range(1, n + 1):
            tried = cost[k - 1, :j] + distinct[j - 1] * (total[j] - total[:j])
            begins[k, j] = int(tried.argmin())
            cost[k, j] = tried.min()
    chosen = 0
    for k in range(1, most):
        if cost[k, n] < cost[chosen, n] - (k - chosen) * WORTH:
            chosen = k
    ends, j = [], n
    for k in range(chosen, -1, -1):
        ends.append(int(distinct[j - 1]))
        j = int(begins[k, j])
    return ends[::-1]
