"""Sums over pairs of neighbors by tiles, with a reverse pass written by hand.

Sums of G_j G_k [G_jk] (1 + lambda cos theta)^zeta, where G are Gaussians with cutoffs. The
tiles of a row meet one another, two at a time, and each meets itself turned by up to half its
length, so that every pair of neighbors is met once. Atoms lie side by side in the last axis of
all arrays, its lanes, where the processor's vectors are.

The reverse pass first contracts the functions with what is asked of them, which leaves few
numbers for each pair of neighbors, and then differentiates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.neighbors import TILE
from stratal.descriptors.once import computed_once
from stratal.descriptors.triple_terms import Plan, Sight, pulls_of, sums_of


def squared_length(vectors: tuple[jax.Array, ...]) -> jax.Array:
    """r² of x, y and z, Å²."""
    x, y, z = vectors
    return x * x + y * y + z * z


def sight_of(vectors: tuple[jax.Array, ...], weights: Sequence[jax.Array]) -> Sight:
    """What the sums need of neighbors at x, y, z (Å) that count ``weights``."""
    distances = jnp.sqrt(squared_length(vectors))
    return Sight(distances, tuple(axis / distances for axis in vectors), tuple(weights))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def sum_over_triples(plan: Plan, sight: Sight, tile_species: jax.Array) -> jax.Array:
    """Each term summed over unordered pairs of neighbors, by the species of the pair.

    Args:
        plan: which sums.
        sight: the neighbors of a few atoms, side by side.
        tile_species: of each tile's senders, ``(n_tiles, n_atoms)``.

    Returns:
        ``(n_pairs, n_terms, n_atoms)``; pairs of species in the order (0, 0), (0, 1), ...
    """

    def step(
        meet: Callable[..., tuple[Sight, Sight]], total: jax.Array, place: Place
    ) -> tuple[jax.Array, None]:
        tiles = computed_once(tiles_at, sight, place.tiles)
        sums = computed_once(lambda *t: sums_of(plan, *meet(*t)), *tiles, when=place.needed)
        own = pairs_of_species(plan, tile_species, place, sums.dtype)
        return total + own[:, None] * sums, None

    total = jnp.zeros((plan.n_pairs, len(plan.terms), tile_species.shape[1]), sight.distances.dtype)
    for meet, places in meetings(sight):
        total, _ = jax.lax.scan(partial(step, meet), total, places)
    return total


def _forward(
    plan: Plan, sight: Sight, tile_species: jax.Array
) -> tuple[jax.Array, tuple[Sight, jax.Array]]:
    return sum_over_triples(plan, sight, tile_species), (sight, tile_species)


def _backward(plan: Plan, saved: tuple[Sight, jax.Array], asked: jax.Array) -> tuple[Sight, None]:
    """The derivative of sum(asked * sums) by all that is seen of the neighbors."""
    sight, tile_species = saved

    def step(
        meet: Callable[..., tuple[Sight, Sight]], total: list[jax.Array], place: Place
    ) -> tuple[list[jax.Array], None]:
        tiles = computed_once(tiles_at, sight, place.tiles)
        own = pairs_of_species(plan, tile_species, place, asked.dtype)
        factors = sum(
            (pair * of for pair, of in zip(own, asked, strict=True)), start=0.0 * asked[0]
        )

        def pull(factors: jax.Array, *tiles: Sight) -> list[jax.Array]:
            met, back = jax.vjp(meet, *tiles)
            return [jnp.stack(jax.tree.leaves(to)) for to in back(pulls_of(plan, *met, factors))]

        pulled = computed_once(pull, factors, *tiles, when=place.needed)
        return list(map(added, total, pulled, place.tiles)), None

    arrays, tree = jax.tree.flatten(sight)
    total = zero = jnp.zeros_like(jnp.stack(arrays, axis=1))
    for meet, places in meetings(sight):
        # One sum for each side: two updates of one would copy it in between.
        sides, _ = jax.lax.scan(partial(step, meet), [zero] * len(places.tiles), places)
        total = sum(sides, start=total)
    return jax.tree.unflatten(tree, list(jnp.moveaxis(total, 1, 0))), None


sum_over_triples.defvjp(_forward, _backward)


class Place(NamedTuple):
    """Which tiles meet."""

    tiles: tuple[jax.Array, ...]  # their numbers, one or two
    needed: jax.Array  # whether all of them hold neighbors of any atom


def meetings(sight: Sight) -> list[tuple[Callable[..., tuple[Sight, Sight]], Place]]:
    """How tiles meet, and which: each two of them, and each with itself.

    Where all weights of a tile are zero so are their slopes: nothing comes of it.
    """
    n_tiles = len(sight.distances)
    filled = jnp.stack([weight.any(axis=(1, 2)) for weight in sight.weights]).any(axis=0)
    left, right = map(jnp.asarray, np.triu_indices(n_tiles, 1))
    found: list[tuple[Callable[..., tuple[Sight, Sight]], Place]] = [
        (itself, Place((jnp.arange(n_tiles),), filled))
    ]
    if n_tiles > 1:
        found.append((two, Place((left, right), filled[left] & filled[right])))
    return found


def two(left: Sight, right: Sight) -> tuple[Sight, Sight]:
    """All neighbors of a tile, j, and all of another, k."""
    return jax.tree.map(lambda of: of[:, None], left), jax.tree.map(lambda of: of[None], right)


def itself(tile: Sight) -> tuple[Sight, Sight]:
    """The neighbors of a tile, and those 1 to TILE / 2 places further on and round."""

    def turned(of: jax.Array) -> jax.Array:
        return jnp.stack([jnp.roll(of, -n, axis=0) for n in range(1, TILE // 2 + 1)])

    distances, directions, weights = jax.tree.map(turned, tile)
    count = np.ones((TILE // 2, 1, 1))
    count[-1] = 0.5  # half the way round each pair is met from both sides
    weights = tuple(weight * jnp.asarray(count, weight.dtype) for weight in weights)
    return jax.tree.map(lambda of: of[None], tile), Sight(distances, directions, weights)


def tiles_at(sight: Sight, places: tuple[jax.Array, ...]) -> list[Sight]:
    """Some tiles of the neighbors."""

    def at(place: jax.Array) -> Sight:
        return jax.tree.map(
            lambda of: jax.lax.dynamic_index_in_dim(of, place, 0, keepdims=False), sight
        )

    return list(map(at, places))


def added(sums: jax.Array, part: jax.Array, place: jax.Array) -> jax.Array:
    """The sums of all tiles, with a part added to one of them."""
    there = jax.lax.dynamic_index_in_dim(sums, place, 0, keepdims=False)
    return jax.lax.dynamic_update_index_in_dim(sums, there + part, place, 0)


def pairs_of_species(
    plan: Plan, tile_species: jax.Array, place: Place, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Which pair of species each lane is: one-hot, ``(n_pairs, n_atoms)``."""
    left, right = place.tiles[0], place.tiles[-1]
    index = jnp.asarray(pair_index(plan.n_species))[tile_species[left], tile_species[right]]
    return jax.nn.one_hot(index, plan.n_pairs, axis=0, dtype=dtype)


def pair_index(n_species: int) -> np.ndarray:
    """Number of the unordered pair of species, ``(n_species, n_species)``, symmetric."""
    index = np.zeros((n_species, n_species), int)
    low, high = np.triu_indices(n_species)
    index[low, high] = index[high, low] = np.arange(len(low))
    return index
