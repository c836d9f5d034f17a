"""Sums over pairs of neighbors by tiles, with a reverse pass written by hand.

Sums of G_j G_k [G_jk] (1 + lambda cos theta)^zeta, where G are Gaussians with cutoffs. The
tiles of a row meet those a fixed number of places further on, all at once; steps of 0 to
half the number of tiles so meet every pair of tiles once. Tiles and atoms lie side by side in
the last axis of all arrays, its lanes, where the processor's vectors are.

The reverse pass first contracts the functions with what is asked of them, which leaves few
numbers for each pair of neighbors, and then differentiates.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.gaussians import Gaussian, decay, decay_rate
from stratal.descriptors.neighbors import TILE
from stratal.descriptors.once import computed_once

LANES = 16  # atoms side by side on a processor: what is computed of them stays in its cache
MANY_LANES = 4096  # on an accelerator, which is fast with many alike
FAR = 1e6  # Å², for a neighbor and itself: beyond every cutoff
NEAR = 1e-6  # Å², below the distance of any two atoms; two places of padding may coincide


class Term(NamedTuple):
    """One sum: which Gaussian and angle, and whether G_jk is part of it."""

    gaussian: int
    angle: int
    narrow: bool


class Plan(NamedTuple):
    """What shapes the compiled sums; hashable."""

    gaussians: tuple[Gaussian, ...]
    angles: tuple[tuple[float, float], ...]  # zeta, lambda
    terms: tuple[Term, ...]
    cutoff_function: CutoffFunction
    n_species: int

    @property
    def n_pairs(self) -> int:
        """Unordered pairs of species."""
        return self.n_species * (self.n_species + 1) // 2

    @property
    def kinds(self) -> tuple[tuple[int, bool], ...]:
        """Gaussians that are needed, with and without G_jk."""
        return tuple(sorted({(t.gaussian, t.narrow) for t in self.terms}))

    @property
    def narrow(self) -> tuple[int, ...]:
        """Which Gaussians of r_jk are needed."""
        return tuple(sorted({t.gaussian for t in self.terms if t.narrow}))

    @property
    def cutoffs(self) -> tuple[float, ...]:
        """Of the Gaussians of r_jk, Å."""
        return tuple(sorted({self.gaussians[i].cutoff for i in self.narrow}))


class Sight(NamedTuple):
    """What the sums need to know of each neighbor; arrays ``(TILE, n_tiles * n_atoms)``."""

    distances: jax.Array  # Å
    directions: tuple[jax.Array, ...]  # x, y, z of unit vectors
    weights: tuple[jax.Array, ...]  # of each Gaussian


class Pairs(NamedTuple):
    """What belongs to pairs of neighbors; arrays ``(TILE, TILE, n_tiles * n_atoms)``."""

    cosine: jax.Array  # of theta_jk
    squared: jax.Array  # r_jk², Å²
    count: jax.Array  # how often the pair counts, (TILE, TILE, 1)


def n_lanes(n_atoms: int) -> int:
    """How many of so many atoms to take side by side."""
    return min(LANES if jax.default_backend() == "cpu" else MANY_LANES, n_atoms)


def in_lanes(table: jax.Array) -> jax.Array:
    """Neighbors of chunks of atoms, ``(n_chunks, n_atoms, n_neighbors)``, as lanes.

    Returns:
        ``(n_chunks, TILE, n_tiles * n_atoms)``.
    """
    n_chunks, n_atoms, _ = table.shape
    tiled = table.reshape(n_chunks, n_atoms, -1, TILE)
    return jnp.moveaxis(tiled, (3, 2, 1), (1, 2, 3)).reshape(n_chunks, TILE, -1)


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
    n_tiles, n_atoms = tile_species.shape
    own_species = tile_species.reshape(-1)
    around = twice((sight, own_species))

    def step(total: jax.Array, place: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        offset, count = place
        right, species = computed_once(from_offset, around, offset * n_atoms)
        pairs = pairs_of(sight, right, count)
        factors = computed_once(partial(factors_of, plan), sight, right, pairs)
        by_row = computed_once(partial(products_of, plan), *factors, pairs.cosine)
        sums = jnp.stack([of_row.sum(axis=0) for of_row in by_row])
        own = pairs_of_species(plan, own_species, species, sums.dtype)
        return total + own[:, None] * sums, None

    total = jnp.zeros((plan.n_pairs, len(plan.terms), n_tiles * n_atoms), sight.distances.dtype)
    total, _ = jax.lax.scan(step, total, places(n_tiles, total.dtype))
    return total.reshape(plan.n_pairs, len(plan.terms), n_tiles, n_atoms).sum(axis=2)


def _forward(
    plan: Plan, sight: Sight, tile_species: jax.Array
) -> tuple[jax.Array, tuple[Sight, jax.Array]]:
    return sum_over_triples(plan, sight, tile_species), (sight, tile_species)


def _backward(plan: Plan, saved: tuple[Sight, jax.Array], asked: jax.Array) -> tuple[Sight, None]:
    """The derivative of sum(asked * sums) by all that is seen of the neighbors."""
    sight, tile_species = saved
    n_tiles, n_atoms = tile_species.shape
    own_species = tile_species.reshape(-1)
    around = twice((sight, own_species))
    width = n_tiles * n_atoms
    asked = jnp.tile(asked, n_tiles)  # in every tile of the atom

    def step(
        total: tuple[Sight, Sight], place: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[Sight, Sight], None]:
        offset, count = place
        right, species = computed_once(from_offset, around, offset * n_atoms)
        own = pairs_of_species(plan, own_species, species, asked.dtype)
        factors = sum(
            (pair * of for pair, of in zip(own, asked, strict=True)), start=0.0 * asked[0]
        )
        to_left, to_right = computed_once(partial(pulls, plan), sight, right, factors, count)

        def added(sums: jax.Array, part: jax.Array) -> jax.Array:
            start = offset * n_atoms
            there = jax.lax.dynamic_slice_in_dim(sums, start, width, 1) + part
            return jax.lax.dynamic_update_slice_in_dim(sums, there, start, 1)

        left, right = total
        return (jax.tree.map(jnp.add, left, to_left), jax.tree.map(added, right, to_right)), None

    zero = jax.tree.map(jnp.zeros_like, (sight, around[0]))
    (left, right), _ = jax.lax.scan(step, zero, places(n_tiles, asked.dtype))
    return jax.tree.map(lambda a, b: a + b[:, :width] + b[:, width:], left, right), None


sum_over_triples.defvjp(_forward, _backward)


def factors_of(
    plan: Plan, left: Sight, right: Sight, pairs: Pairs
) -> tuple[list[jax.Array], dict[int, jax.Array]]:
    """G_j G_k [G_jk] of each kind, and what `lower_powers` gives."""
    near = {c: plan.cutoff_function.of_squared(pairs.squared, c) for c in plan.cutoffs}
    weights = []
    for i, narrow in plan.kinds:
        weight = left.weights[i][:, None] * right.weights[i] * pairs.count
        if narrow:
            gaussian = plan.gaussians[i]
            weight = weight * near[gaussian.cutoff] * decay(gaussian, pairs.squared)
        weights.append(weight)
    return weights, lower_powers(plan, pairs.cosine)


def products_of(
    plan: Plan, weights: list[jax.Array], powers: dict[int, jax.Array], cosine: jax.Array
) -> list[jax.Array]:
    """Each term summed over the second neighbors, ``(TILE, lanes)``."""

    def product(term: Term) -> jax.Array:
        base = 1.0 + plan.angles[term.angle][1] * cosine
        weight = weights[plan.kinds.index((term.gaussian, term.narrow))]
        return weight * (powers[term.angle] * base if term.angle in powers else base)

    return [sum_of(product(term), 1) for term in plan.terms]


def pulls(
    plan: Plan, left: Sight, right: Sight, asked: jax.Array, count: jax.Array
) -> tuple[Sight, Sight]:
    """Derivatives of sum(asked * terms) by the tiles at the left and at the right.

    Args:
        plan: which terms.
        left: first neighbors j.
        right: second neighbors k, lane by lane.
        asked: of each term, ``(n_terms, lanes)``.
        count: how often each pair of neighbors counts, ``(TILE, TILE, 1)``.
    """
    pairs = pairs_of(left, right, count)
    between = computed_once(partial(between_of, plan), pairs)
    powers = computed_once(partial(lower_powers, plan), pairs.cosine)
    by_angle, by_squared, by_weight = computed_once(
        partial(slopes_of, plan), left, right, pairs, between, powers, asked
    )
    by_cosine = at_fixed_distances(left, right, by_angle, by_squared)
    r_j, r_k = left.distances[:, None], right.distances
    to_left = Sight(
        sum_of(by_squared * (r_j - r_k * pairs.cosine), 1),
        tuple(sum_of(by_cosine * axis, 1) for axis in right.directions),
        tuple(sum_of(by * w, 1) for by, w in zip(by_weight, right.weights, strict=True)),
    )
    to_right = Sight(
        sum_of(by_squared * (r_k - r_j * pairs.cosine), 0),
        tuple(sum_of(by_cosine * axis[:, None], 0) for axis in left.directions),
        tuple(sum_of(by * w[:, None], 0) for by, w in zip(by_weight, left.weights, strict=True)),
    )
    return to_left, to_right


class Between(NamedTuple):
    """What the distance between two neighbors gives."""

    near: dict[float, jax.Array]  # f_c(r_jk), by cutoff
    near_slope: dict[float, jax.Array]  # its derivative by r_jk²
    decays: dict[int, jax.Array]  # exp(-eta (r_jk - r_s)²)


def between_of(plan: Plan, pairs: Pairs) -> Between:
    """Values and slopes of the Gaussians of r_jk, each pair as often as it counts."""
    cutoff_function, squared = plan.cutoff_function, pairs.squared
    return Between(
        {c: pairs.count * cutoff_function.of_squared(squared, c) for c in plan.cutoffs},
        {c: pairs.count * cutoff_function.slope_by_squared(squared, c) for c in plan.cutoffs},
        {i: decay(plan.gaussians[i], squared) for i in plan.narrow},
    )


def lower_powers(plan: Plan, cosine: jax.Array) -> dict[int, jax.Array]:
    """(1 + lambda cos theta)^(zeta - 1) of each angle but those of which it is 1."""
    return {
        n: power(1.0 + sign * cosine, zeta - 1.0)
        for n, (zeta, sign) in enumerate(plan.angles)
        if zeta != 1.0
    }


def slopes_of(
    plan: Plan,
    left: Sight,
    right: Sight,
    pairs: Pairs,
    between: Between,
    powers: dict[int, jax.Array],
    asked: jax.Array,
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """Derivatives of sum(asked * terms) by what belongs to pairs.

    Returns:
        by cos theta at constant r_jk, twice by r_jk², by each G_j G_k.
    """
    zero = jnp.zeros_like(pairs.cosine)
    by_angle, by_squared, by_weight = zero, zero, []
    for i, gaussian in enumerate(plan.gaussians):
        both, weight = left.weights[i][:, None] * right.weights[i], zero
        if i in plan.narrow:
            value, slope = contracted(plan, (i, True), powers, asked, pairs.cosine)
            near, decays = between.near[gaussian.cutoff], between.decays[i]
            change = (
                between.near_slope[gaussian.cutoff] + decay_rate(gaussian, pairs.squared) * near
            )
            weight = near * decays * value
            by_angle = by_angle + both * (near * decays * slope)
            by_squared = by_squared + both * (change * decays * value)
        if (i, False) in plan.kinds:
            value, slope = contracted(plan, (i, False), powers, asked, pairs.cosine)
            weight = weight + pairs.count * value
            by_angle = by_angle + both * (pairs.count * slope)
        by_weight.append(weight)
    return by_angle, 2.0 * by_squared, by_weight


def contracted(
    plan: Plan,
    kind: tuple[int, bool],
    powers: dict[int, jax.Array],
    asked: jax.Array,
    cosine: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """What is asked of the terms of one kind times their angular powers, and its slope."""
    value, slope = jnp.zeros_like(cosine), jnp.zeros_like(cosine)
    for of_term, term in zip(asked, plan.terms, strict=True):
        if (term.gaussian, term.narrow) == kind:
            zeta, sign = plan.angles[term.angle]
            part = of_term * powers[term.angle] if term.angle in powers else of_term
            value = value + part * (1.0 + sign * cosine)
            slope = slope + (zeta * sign) * part
    return value, slope


def at_fixed_distances(
    left: Sight, right: Sight, by_angle: jax.Array, by_squared: jax.Array
) -> jax.Array:
    """By cos theta where r_jk² = r_j² + r_k² - 2 r_j r_k cos theta goes with it."""
    return by_angle - (by_squared * left.distances[:, None]) * right.distances


def pairs_of(left: Sight, right: Sight, count: jax.Array) -> Pairs:
    """Angles, and distances between two neighbors."""
    x, y, z = (a[:, None] * b for a, b in zip(left.directions, right.directions, strict=True))
    cosine = x + y + z
    r_j, r_k = left.distances[:, None], right.distances
    squared = jnp.maximum(r_j * r_j + r_k * r_k - 2.0 * (r_j * r_k) * cosine, NEAR)
    return Pairs(cosine, jnp.where(count > 0.0, squared, FAR), count)


def sum_of(array: jax.Array, axis: int) -> jax.Array:
    """Sum over a short axis, slice by slice: vectorised, where a reduction is not."""
    places = range(array.shape[axis])
    slices = [jax.lax.index_in_dim(array, n, axis, keepdims=False) for n in places]
    return sum(slices[1:], start=slices[0])


def places(n_tiles: int, dtype: jax.typing.DTypeLike) -> tuple[jax.Array, jax.Array]:
    """How many tiles further on to look, and how often pairs of neighbors count then."""
    count = np.ones((n_tiles // 2 + 1, TILE, TILE, 1))
    count[0] = (1.0 - np.eye(TILE)[..., None]) / 2.0  # both orders are met within a tile
    if n_tiles % 2 == 0:
        count[-1] /= 2.0  # and half the way round
    return jnp.arange(len(count)), jnp.asarray(count, dtype)


def twice(tree: Any) -> Any:
    """Each array's lanes twice over, so that a slice of them goes round."""
    return jax.tree.map(lambda array: jnp.concatenate([array, array], axis=-1), tree)


def from_offset(tree: Any, offset: jax.Array) -> Any:
    """Each array's lanes from ``offset`` on and round; of arrays made by `twice`."""

    def part(array: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice_in_dim(array, offset, array.shape[-1] // 2, array.ndim - 1)

    return jax.tree.map(part, tree)


def pairs_of_species(
    plan: Plan, left: jax.Array, right: jax.Array, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Which pair of species each lane is: one-hot, ``(n_pairs, lanes)``."""
    index = jnp.asarray(pair_index(plan.n_species))[left, right]
    return jax.nn.one_hot(index, plan.n_pairs, axis=0, dtype=dtype)


def pair_index(n_species: int) -> np.ndarray:
    """Number of the unordered pair of species, ``(n_species, n_species)``, symmetric."""
    index = np.zeros((n_species, n_species), int)
    low, high = np.triu_indices(n_species)
    index[low, high] = index[high, low] = np.arange(len(low))
    return index


def power(base: jax.Array, exponent: float) -> jax.Array:
    """``base ** exponent``: multiplications for whole numbers, else of the positive part."""
    if exponent != int(exponent):
        positive = base > 0.0
        return jnp.where(positive, jnp.where(positive, base, 1.0) ** exponent, 0.0)
    return jax.lax.integer_pow(base, int(exponent))
