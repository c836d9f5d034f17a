"""Moments of the atoms of labelled structures, and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from stratal.descriptors.harmonics import harmonics, n_harmonics
from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.invariants import Moments
from stratal.descriptors.moments import RadialBasis
from stratal.descriptors.neighbors import TILE
from stratal.descriptors.structures import Structures, bucket
from stratal.potentials.training.features import VOIGT

ROWS = 64  # atoms per call


class RowSource:
    """Structures of up to ``n_atoms`` atoms, whose rows are computed when asked for.

    Attributes:
        species: of every atom, ``(n_rows,)``.
        frame: which structure it belongs to, ``(n_rows,)``.
        n_moments: numbers that describe an atom.
    """

    def __init__(
        self, frames: Sequence[Atoms], descriptor: Moments, elements: Sequence[int], n_atoms: int
    ) -> None:
        """Find the neighbors.

        Raises:
            InputError: overlapping atoms, elements that are not among ``elements``.
        """
        structures = Structures.from_atoms(frames, elements)
        neighbors = neighbor_list(structures, descriptor.cutoff)
        width = bucket(neighbors.n_neighbors, TILE)
        neighbors = neighbor_list(structures, descriptor.cutoff, n_neighbors=width)
        with jax.enable_x64(True):
            displacements = jax.jit(neighbors.displacements)(structures)
        sizes = [len(frame) for frame in frames]
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        self.species = np.asarray(structures.species)
        self.frame = np.asarray(structures.system)
        self.n_moments = n_harmonics(descriptor.l_max) * len(elements) * descriptor.n_radial
        self._shape = (descriptor.basis, descriptor.l_max, len(elements), n_atoms)
        self._arrays = (
            np.asarray(displacements, np.float32),
            np.asarray(neighbors.tile_species(structures)),
            np.asarray(neighbors.mask),
            np.asarray(neighbors.senders) - first[self.frame][:, None],
            np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        )

    def rows(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Moments and derivatives of some atoms, in float32.

        Returns:
            ``(n, n_moments)`` and ``(n, n_moments, 3 n_atoms + 6)``, by Cartesian coordinates of
            the structure (Å) and by strains in ASE's order.
        """
        moments = np.zeros((len(which), self.n_moments), np.float32)
        jacobian = np.zeros((*moments.shape, 3 * self._shape[-1] + 6), np.float32)
        for start in range(0, len(which), ROWS):
            part = which[start : start + ROWS]
            padded = np.pad(part, (0, ROWS - len(part)), mode="edge")  # one compiled program
            found = rows_with_derivatives(*self._shape, *(a[padded] for a in self._arrays))
            own = slice(start, start + len(part))
            moments[own], jacobian[own] = (np.asarray(x)[: len(part)] for x in found)
        return moments, jacobian


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def rows_with_derivatives(
    basis: RadialBasis,
    l_max: int,
    n_species: int,
    n_atoms: int,
    edges: jax.Array,
    tiles: jax.Array,
    mask: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Moments ``(n_rows, n_moments)`` and derivatives ``(n_rows, n_moments, 3 n_atoms + 6)``."""

    def per_edge(vectors: jax.Array) -> jax.Array:
        distances = jnp.sqrt((vectors * vectors).sum(axis=-1))
        x, y, z = (vectors[..., axis] / distances for axis in range(3))
        angular = jnp.stack(harmonics(x, y, z, l_max), axis=-1)
        return angular[..., :, None] * jnp.stack(basis(distances), axis=-1)[..., None, :]

    def along(axis: int) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(per_edge, (edges,), (jnp.zeros_like(edges).at[..., axis].set(1.0),))

    real = mask[..., None, None]
    values = jnp.where(real, along(0)[0], 0.0)
    slopes = jnp.stack([jnp.where(real, along(axis)[1], 0.0) for axis in range(3)], axis=-1)
    of_species = jnp.repeat(tiles[..., None] == jnp.arange(n_species), TILE, axis=1) * 1.0
    summed = jnp.einsum("rjmk,rjs->rmsk", values, of_species)
    # A displacement ends at the sender and begins at the receiver.
    to = jax.nn.one_hot(senders, n_atoms) - jax.nn.one_hot(receivers, n_atoms)[:, None, :]
    by_atom, by_strain = [], []
    for s in range(n_species):
        own = slopes * of_species[:, :, s, None, None, None]
        by_atom.append(jnp.einsum("rjmkx,rja->rmkax", own, to))
        strain = jnp.einsum("rjmkx,rjy->rmkxy", own, edges)
        strain = 0.5 * (strain + strain.swapaxes(-1, -2))
        by_strain.append(jnp.stack([strain[..., x, y] for x, y in VOIGT], axis=-1))
    positions = jnp.stack(by_atom, axis=2).reshape(*summed.shape, 3 * n_atoms)
    jacobian = jnp.concatenate([positions, jnp.stack(by_strain, axis=2)], axis=-1)
    n_rows = len(edges)
    return summed.reshape(n_rows, -1), jacobian.reshape(n_rows, -1, 3 * n_atoms + 6)
