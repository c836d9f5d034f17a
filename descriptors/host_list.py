"""Neighbor list on the host: any cell shape, any number of systems, with a k-d tree.

Around each system the periodic images within reach are laid out, and a k-d tree finds
the pairs; the cost is linear in the atoms (times a logarithm).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from stratal.descriptors.neighbors import TILE, Neighbors, check_entries
from stratal.descriptors.structures import Structures
from stratal.errors import InputError


class Edges(NamedTuple):
    """Directed edges, sorted by receiver."""

    receivers: np.ndarray  # (n_edges,)
    senders: np.ndarray  # (n_edges,)
    shifts: np.ndarray  # (n_edges, 3), cells crossed from receiver to sender


def neighbor_list(
    structures: Structures,
    cutoff: float,
    skin: float = 0.0,
    n_neighbors: int | None = None,
    shortest: float = 1e-3,
) -> Neighbors:
    """Find all neighbors within ``cutoff + skin``.

    Args:
        structures: systems with positions on the host or a device.
        cutoff: reach of the potential, Å.
        skin: how much further the list reaches, Å; it stays valid while atoms move.
        n_neighbors: width of the table; a multiple of ``TILE``, as wide as it must be by
            default.
        shortest: two atoms closer than this (Å) are refused.

    Raises:
        InputError: overlapping atoms, or more neighbors than ``n_neighbors``.
    """
    edges = find_edges(structures, cutoff + skin, shortest)
    return as_table(structures, edges, cutoff, skin, n_neighbors)


def find_edges(structures: Structures, reach: float, shortest: float = 1e-3) -> Edges:
    """All directed edges shorter than ``reach`` (Å) between real atoms."""
    real = np.asarray(structures.atom_mask)
    positions = np.asarray(structures.positions, float)
    system = np.asarray(structures.system)
    found = []
    for index in np.flatnonzero(np.asarray(structures.system_mask)):
        atoms = np.flatnonzero((system == index) & real)
        cell, pbc = np.asarray(structures.cell[index], float), np.asarray(structures.pbc[index])
        receivers, senders, shifts, lengths = edges_of_system(positions[atoms], cell, pbc, reach)
        if len(lengths) and lengths.min() < shortest:
            worst = int(np.argmin(lengths))
            raise InputError(
                f"structure {index}: atoms {receivers[worst]} and {senders[worst]} overlap "
                f"({lengths[worst]:.2g} Å apart). Remove one of them or the structure."
            )
        found.append((atoms[receivers], atoms[senders], shifts))
    if not found:
        return Edges(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3), int))
    return Edges(*(np.concatenate(column) for column in zip(*found, strict=True)))


def edges_of_system(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Receivers, senders, shifts and lengths of one system, sorted by receiver."""
    inverse = np.linalg.inv(cell)
    home = np.where(pbc, np.floor(positions @ inverse), 0.0)  # cells to move back into the first
    wrapped = positions - home @ cell
    images, shift_of_image, atom_of_image = images_within(wrapped, cell, inverse, pbc, reach)
    tree, image_tree = KDTree(wrapped), KDTree(images)
    pairs = tree.sparse_distance_matrix(image_tree, reach, output_type="ndarray")
    receivers, image, lengths = pairs["i"], pairs["j"], pairs["v"]
    senders, shifts = atom_of_image[image], shift_of_image[image]
    # The list reaches up to and excluding `reach`; an atom is not its own neighbor.
    keep = (lengths < reach) & ~((receivers == senders) & (shifts == 0).all(axis=1))
    receivers, senders, shifts, lengths = (
        column[keep] for column in (receivers, senders, shifts, lengths)
    )
    shifts = shifts + (home[receivers] - home[senders]).astype(int)
    order = np.lexsort((*shifts.T, senders, receivers))
    return receivers[order], senders[order], shifts[order], lengths[order]


def images_within(
    wrapped: np.ndarray, cell: np.ndarray, inverse: np.ndarray, pbc: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of the atoms that lie within ``reach`` of the first cell or the atoms in it.

    Returns:
        positions ``(n_images, 3)``, shifts ``(n_images, 3)`` and atoms ``(n_images,)``.
    """
    heights = 1.0 / np.linalg.norm(inverse, axis=0)  # distance between opposite faces, Å
    margin = np.where(pbc, reach / heights, 0.0)
    count = np.ceil(margin).astype(int)
    fractional = wrapped @ inverse
    ranges = [np.arange(-n, n + 1) for n in count]
    shifts = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    place = fractional[None] + shifts[:, None]
    low, high = fractional.min(axis=0) - margin, fractional.max(axis=0) + margin
    inside = ((place >= low - 1e-9) & (place <= high + 1e-9)).all(axis=2)
    which_shift, atoms = np.nonzero(inside)
    return wrapped[atoms] + shifts[which_shift] @ cell, shifts[which_shift], atoms


def as_table(
    structures: Structures, edges: Edges, cutoff: float, skin: float, n_neighbors: int | None
) -> Neighbors:
    """Lay edges out as a dense table, grouped by species of the sender."""
    n_atoms = structures.n_atoms
    entry, width = entries(edges, np.asarray(structures.species), n_atoms, len(structures.elements))
    if n_neighbors is not None:
        if width > n_neighbors:
            raise InputError(
                f"an atom needs {width} entries of the neighbor table, which has {n_neighbors}. "
                f"Give n_neighbors = {width} or more."
            )
        width = n_neighbors
    check_entries(n_atoms, width)
    shape = (n_atoms, width)
    senders, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
    shifts, reverse = np.zeros((*shape, 3), np.int32), np.zeros(shape, np.int32)
    senders[edges.receivers, entry] = edges.senders
    shifts[edges.receivers, entry] = edges.shifts
    mask[edges.receivers, entry] = True
    flat = edges.receivers * width + entry
    forward = np.lexsort((*edges.shifts.T, edges.senders, edges.receivers))
    backward = np.lexsort((*-edges.shifts.T, edges.receivers, edges.senders))
    partner = np.empty(len(flat), np.int32)
    partner[backward] = flat[forward]
    reverse[edges.receivers, entry] = partner
    return Neighbors(
        senders=senders,
        shifts=shifts,
        mask=mask,
        reverse=reverse,
        positions=np.asarray(structures.positions),
        cell=np.asarray(structures.cell),
        overflow=np.zeros(structures.n_systems, bool),
        cutoff=float(cutoff),
        skin=float(skin),
    )


def entries(
    edges: Edges, species: np.ndarray, n_atoms: int, n_species: int
) -> tuple[np.ndarray, int]:
    """The entry of each edge in its receiver's row, and the width that the table needs."""
    group = edges.receivers * n_species + species[edges.senders]
    counts = np.bincount(group, minlength=n_atoms * n_species).reshape(n_atoms, n_species)
    tiles = -(-counts // TILE) * TILE
    start = np.cumsum(tiles, axis=1) - tiles
    order = np.argsort(group, kind="stable")
    first = np.cumsum(counts.ravel()) - counts.ravel()
    rank = np.empty(len(group), int)
    rank[order] = np.arange(len(group)) - first[group[order]]
    return rank + start.ravel()[group], max(int(tiles.sum(axis=1).max(initial=0)), TILE)


def table_width(structures: Structures, edges: Edges) -> int:
    """Entries that each row of the table needs, a multiple of ``TILE``."""
    species = np.asarray(structures.species)
    return entries(edges, species, structures.n_atoms, len(structures.elements))[1]
