"""G4: symmetry functions of pairs of neighbors, by tiles of the neighbor table.

The table's entries come in tiles of one species (`descriptors.neighbors`). Pairs of
neighbors are met as pairs of tiles, each once; what belongs to which pair of species
is then a property of a pair of tiles, not of a pair of atoms. A few atoms at a time
are treated side by side in the last axis, where the processor's vector lanes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.cutoffs import cosine_cutoff
from stratal.descriptors.neighbors import TILE

LANES = 16  # atoms side by side; a multiple of every vector width, small enough for caches


class AngularFunction(NamedTuple):
    """One G4: exp(-eta (r_ij² + r_ik² + r_jk²)) (1 + lambda cos theta)^zeta and cutoffs."""

    eta: float  # Å^-2
    zeta: float
    lambda_: float  # +1 or -1


def angular_symmetry_functions(
    functions: Sequence[AngularFunction],
    cutoff: float,
    displacements: jax.Array,
    tile_species: jax.Array,
    n_species: int,
) -> jax.Array:
    """Sum G4 over ordered pairs of neighbors, by the species of the pair.

    G4 = 2^(1-zeta) sum_{j,k != i, j != k} (1 + lambda cos theta_ijk)^zeta
    exp(-eta (r_ij² + r_ik² + r_jk²)) f_c(r_ij) f_c(r_ik) f_c(r_jk).
    Behler, J. Chem. Phys. 134, 074106 (2011), eq. 8.

    Args:
        functions: which G4.
        cutoff: r_c, Å.
        displacements: receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å.
        tile_species: of each tile's senders, ``(n_atoms, n_neighbors // TILE)``.
        n_species: number of species.

    Returns:
        ``(n_atoms, n_species (n_species + 1) / 2, len(functions))``; pairs of species
        in the order (0, 0), (0, 1), ..., (1, 1), ...
    """
    n_atoms = len(displacements)
    lanes = min(LANES, n_atoms)
    padding = -n_atoms % lanes
    n_pairs = n_species * (n_species + 1) // 2

    def in_lanes(per_atom: jax.Array, fill: float) -> jax.Array:
        widths = [(0, padding)] + [(0, 0)] * (per_atom.ndim - 1)
        chunks = jnp.pad(per_atom, widths, constant_values=fill)
        return jnp.moveaxis(chunks.reshape(-1, lanes, *per_atom.shape[1:]), 1, -1)

    @jax.checkpoint  # the pairs of a chunk are computed again in the reverse pass, not stored
    def of_chunk(chunk: tuple[jax.Array, jax.Array]) -> jax.Array:
        vectors, species = chunk
        return sum_over_pairs(functions, cutoff, vectors, species, n_species)

    chunks = (in_lanes(displacements, 2 * cutoff), in_lanes(tile_species, 0))
    summed = jax.lax.map(of_chunk, chunks)  # (n_chunks, n_pairs, n_functions, lanes)
    return jnp.moveaxis(summed, -1, 1).reshape(-1, n_pairs, len(functions))[:n_atoms]


def sum_over_pairs(
    functions: Sequence[AngularFunction],
    cutoff: float,
    vectors: jax.Array,
    tile_species: jax.Array,
    n_species: int,
) -> jax.Array:
    """G4 ``(pairs, functions, lanes)`` of a few atoms, vectors ``(n_neighbors, 3, lanes)``."""
    first, second = np.triu_indices(len(vectors) // TILE)
    radial, angular = pair_terms(functions, cutoff, vectors, first, second)
    sums = jnp.stack(
        [(radial[f.eta] * angular[f.zeta, f.lambda_]).sum(axis=(1, 2)) for f in functions]
    )  # (functions, tile pairs, lanes)
    index = jnp.asarray(pair_index(n_species))[tile_species[first], tile_species[second]]
    of_pair = jax.nn.one_hot(index, n_species * (n_species + 1) // 2, axis=0, dtype=vectors.dtype)
    # By hand: a matrix product would need the lanes as a batch, for which they lie badly.
    return jnp.stack([(sums * pair).sum(axis=1) for pair in of_pair])


def pair_terms(
    functions: Sequence[AngularFunction],
    cutoff: float,
    vectors: jax.Array,
    first: np.ndarray,
    second: np.ndarray,
) -> tuple[dict[float, jax.Array], dict[tuple[float, float], jax.Array]]:
    """The radial factors by eta and the angular factors by (zeta, lambda).

    Each is ``(n_tile_pairs, TILE, TILE, lanes)``; the radial one carries the cutoffs, the
    factor 2 of ordered pairs, and 0 for a neighbor with itself.
    """
    lanes = vectors.shape[-1]
    squared = (vectors * vectors).sum(axis=1)  # r_ij², (n_neighbors, lanes)
    tiled = (-1, TILE, lanes)
    r2 = squared.reshape(tiled)
    inverse = jax.lax.rsqrt(r2)
    weight = cosine_cutoff(r2, cutoff)
    x, y, z = (vectors[:, axis].reshape(tiled) for axis in range(3))

    def left(per_neighbor: jax.Array) -> jax.Array:
        return per_neighbor[first][:, :, None]

    def right(per_neighbor: jax.Array) -> jax.Array:
        return per_neighbor[second][:, None, :]

    dot = left(x) * right(x) + left(y) * right(y) + left(z) * right(z)
    sum_of_squares = left(r2) + right(r2)
    r2_jk = sum_of_squares - 2.0 * dot  # the law of cosines
    cosine = dot * left(inverse) * right(inverse)
    # Each pair of tiles stands for both orders; within one tile both orders are met.
    same = (first == second)[:, None, None]
    count = np.where(same, 1.0 - np.eye(TILE), 2.0).astype(vectors.dtype)[..., None]
    weights = cosine_cutoff(r2_jk, cutoff) * left(weight) * right(weight) * count
    total = sum_of_squares + r2_jk
    radial = {eta: weights * jnp.exp(-eta * total) for eta in sorted({f.eta for f in functions})}
    angular = {
        (zeta, sign): 2.0 ** (1.0 - zeta) * power(1.0 + sign * cosine, zeta)
        for zeta, sign in sorted({(f.zeta, f.lambda_) for f in functions})
    }
    return radial, angular


def power(base: jax.Array, exponent: float) -> jax.Array:
    """``base ** exponent``: multiplications for whole numbers, else of the positive part."""
    if exponent != int(exponent):
        positive = base > 0.0
        return jnp.where(positive, jnp.where(positive, base, 1.0) ** exponent, 0.0)
    return jax.lax.integer_pow(base, int(exponent))


def pair_index(n_species: int) -> np.ndarray:
    """Number of the unordered pair of species, ``(n_species, n_species)``, symmetric."""
    index = np.zeros((n_species, n_species), int)
    low, high = np.triu_indices(n_species)
    index[low, high] = index[high, low] = np.arange(len(low))
    return index
