"""Features of labelled structures and their derivatives, computed once and cached.

With features G and Jacobians dG/dq (q: positions and strain) at hand, an epoch of
training is a few matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from stratal.descriptors.descriptor import Descriptor, n_features
from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.structures import Structures, bucket
from stratal.errors import InputError
from stratal.files.hdf5 import digest, read_hdf5, write_hdf5
from stratal.progress import Progress

ROWS = 128  # atoms per call
TOGETHER = 16  # of them whose derivatives, one by one of all features, are in memory
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # ASE's order


@dataclass(frozen=True)
class FeatureBatch:
    """Structures of about one size, padded to ``n_atoms`` each.

    The derivatives are with respect to 3 n_atoms Cartesian coordinates and 6 strains.
    """

    frames: np.ndarray  # (n_frames,), which frames of the data
    features: np.ndarray  # (n_frames, n_atoms, n_features)
    jacobian: np.ndarray  # (n_frames, n_atoms, n_features, 3 n_atoms + 6)
    species: np.ndarray  # (n_frames, n_atoms)
    mask: np.ndarray  # (n_frames, n_atoms)


def featurize(
    frames: Sequence[Atoms],
    descriptor: Descriptor,
    elements: Sequence[int],
    cache: str | Path | None = None,
) -> list[FeatureBatch]:
    """Features and Jacobians of all frames, in float64.

    Args:
        frames: structures that hold no other than ``elements``.
        descriptor: what an atom sees.
        elements: atomic numbers, ascending; they fix the layout of the features.
        cache: a folder; what was computed there before is read, not computed again.

    Raises:
        InputError: overlapping atoms, foreign elements.
    """
    if cache is None:
        return compute(frames, descriptor, elements)
    key = cache_key(frames, descriptor, elements)
    path = Path(cache) / f"features-{key[:16]}.h5"
    if path.is_file():
        try:
            return from_tree(read_hdf5(path, kind="features")[0])
        except InputError:
            path.unlink()  # cut short or of another version: only a cache
    batches = compute(frames, descriptor, elements)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {f"{i:04d}": vars(batch) for i, batch in enumerate(batches)}
    write_hdf5(path, tree, {}, kind="features")
    return batches


def from_tree(tree: dict) -> list[FeatureBatch]:
    """Batches as read from the cache."""
    return [FeatureBatch(**tree[key]) for key in sorted(tree)]


def cache_key(frames: Sequence[Atoms], descriptor: Descriptor, elements: Sequence[int]) -> str:
    """Hash of all that the features depend on."""
    content = {
        "descriptor": descriptor.to_tree(),
        "elements": np.array(elements),
        "numbers": np.concatenate([frame.numbers for frame in frames]),
        "sizes": np.array([len(frame) for frame in frames]),
        "positions": np.concatenate([frame.positions for frame in frames]),
        "cells": np.array([frame.cell.array for frame in frames]),
        "pbc": np.array([frame.pbc for frame in frames]),
    }
    return digest(content)


def compute(
    frames: Sequence[Atoms], descriptor: Descriptor, elements: Sequence[int]
) -> list[FeatureBatch]:
    """Features and Jacobians, batch by batch."""
    sizes = np.array([bucket(len(frame), 1) for frame in frames])
    total = sum(len(frame) for frame in frames)
    batches = []
    descriptor = descriptor.of_elements(elements)
    with jax.enable_x64(True), Progress(total, "symmetry functions") as progress:
        structures = Structures.from_atoms(frames, elements)
        neighbors = neighbor_list(structures, descriptor.cutoff)
        edges = jax.jit(neighbors.displacements)(structures)
        tiles = np.asarray(neighbors.tile_species(structures))
        first = np.concatenate([[0], np.cumsum([len(frame) for frame in frames])])
        local = np.asarray(neighbors.senders) - first[np.asarray(structures.system)][:, None]
        count = n_features(descriptor, elements)
        for size in np.unique(sizes):
            chosen = np.flatnonzero(sizes == size)
            batch = empty_batch(chosen, int(size), count)
            rows = np.concatenate([np.arange(first[f], first[f + 1]) for f in chosen])
            frame_of_row = np.repeat(np.arange(len(chosen)), [len(frames[f]) for f in chosen])
            atom_of_row = rows - first[chosen][frame_of_row]
            for start in range(0, len(rows), ROWS):
                part = slice(start, start + ROWS)
                picked, n = padded_rows(rows[part]), len(rows[part])
                values, pulls = rows_with_pulls(
                    descriptor,
                    len(elements),
                    edges[picked],
                    tiles[picked],
                    np.asarray(structures.species)[picked],
                    neighbors.mask[picked],
                )
                receivers = padded_rows(atom_of_row[part])
                jacobian = by_coordinate(int(size), pulls, edges[picked], local[picked], receivers)
                where = (frame_of_row[part], atom_of_row[part])
                batch.features[where] = values[:n]
                batch.jacobian[where] = jacobian[:n]
                batch.species[where] = np.asarray(structures.species)[rows[part]]
                batch.mask[where] = True
                progress.update(n)
            batches.append(batch)
    return batches


def empty_batch(frames: np.ndarray, n_atoms: int, count: int) -> FeatureBatch:
    """A batch of zeros to be filled."""
    shape = (len(frames), n_atoms)
    return FeatureBatch(
        frames=frames,
        features=np.zeros((*shape, count)),
        jacobian=np.zeros((*shape, count, 3 * n_atoms + 6)),
        species=np.zeros(shape, np.int32),
        mask=np.zeros(shape, bool),
    )


def padded_rows(rows: np.ndarray) -> np.ndarray:
    """Exactly ``ROWS`` rows: one compiled program serves all calls."""
    return np.pad(rows, (0, ROWS - len(rows)), mode="edge")


@partial(jax.jit, static_argnums=(0, 1))
def rows_with_pulls(
    descriptor: Descriptor,
    n_species: int,
    edges: jax.Array,
    tiles: jax.Array,
    species: jax.Array,
    mask: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Features of some atoms, and their derivatives by the displacements of their neighbors.

    Returns:
        ``(n_rows, n_features)`` and ``(n_rows, n_features, n_neighbors, 3)``.
    """

    def of_rows(chunk: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        vectors, of_tiles, centers, real = chunk
        values, pull_back = jax.vjp(lambda v: descriptor(v, of_tiles, centers, n_species), vectors)
        units = jnp.eye(values.shape[1], dtype=values.dtype)[:, None, :]
        (pulls,) = jax.vmap(lambda unit: pull_back(jnp.broadcast_to(unit, values.shape)))(units)
        return values, jnp.where(real[None, ..., None], pulls, 0.0).swapaxes(0, 1)

    split = jax.tree.map(
        lambda a: a.reshape(-1, TOGETHER, *a.shape[1:]), (edges, tiles, species, mask)
    )
    values, pulls = jax.lax.map(of_rows, split)
    return values.reshape(ROWS, -1), pulls.reshape(ROWS, -1, *edges.shape[1:])


@partial(jax.jit, static_argnums=0)
def by_coordinate(
    n_atoms: int, pulls: jax.Array, edges: jax.Array, senders: jax.Array, receivers: jax.Array
) -> jax.Array:
    """Derivatives by the atoms of the own system and by strain.

    Args:
        n_atoms: atoms of a system, padding included.
        pulls: ``(n_rows, n_features, n_neighbors, 3)``, by displacement.
        edges: displacements, ``(n_rows, n_neighbors, 3)``, Å.
        senders: numbers within the system, ``(n_rows, n_neighbors)``.
        receivers: numbers within the system, ``(n_rows,)``.

    Returns:
        ``(n_rows, n_features, 3 n_atoms + 6)``.
    """
    # A displacement ends at the sender and begins at the receiver.
    to = jax.nn.one_hot(senders, n_atoms, dtype=pulls.dtype)
    to = to - jax.nn.one_hot(receivers, n_atoms, dtype=pulls.dtype)[:, None, :]
    by_atom = jnp.einsum("rfmx,rma->rfax", pulls, to)
    strain = jnp.einsum("rfmx,rmy->rfxy", pulls, edges)
    strain = 0.5 * (strain + strain.swapaxes(-1, -2))
    voigt = jnp.stack([strain[..., x, y] for x, y in VOIGT], axis=-1)
    return jnp.concatenate([by_atom.reshape(*by_atom.shape[:2], 3 * n_atoms), voigt], axis=-1)
