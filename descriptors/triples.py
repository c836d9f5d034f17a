"""Sums over pairs of neighbors by tiles, with a reverse pass written by hand.

Sums of G_j G_k [G_jk] (1 + lambda cos theta)^zeta, where G are Gaussians with cutoffs. The
tiles of a row meet those a fixed number of places further on, all at once; steps of 0 to
half the number of tiles so meet every pair of tiles once.

The reverse pass first contracts the functions with what is asked of them, which leaves few
numbers for each pair of neighbors, and then differentiates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.angular import pair_index, power
from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.gaussians import Gaussian, cutoff_and_slope, decay, decay_rate
from stratal.descriptors.neighbors import TILE

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


class Sight(NamedTuple):
    """What the sums need to know of each neighbor; arrays ``(n_tiles, TILE, lanes)``."""

    distances: jax.Array  # Å
    directions: tuple[jax.Array, ...]  # x, y, z of unit vectors
    weights: tuple[jax.Array, ...]  # of each Gaussian


class Pairs(NamedTuple):
    """What belongs to pairs of neighbors; arrays ``(n_tiles, TILE, TILE, lanes)``."""

    cosine: jax.Array  # of theta_jk
    near: dict[float, tuple[jax.Array, jax.Array]]  # f_c(r_jk) and slope by r_jk², by cutoff
    decays: dict[int, jax.Array]  # exp(-eta (r_jk - r_s)²)
    rates: dict[int, jax.Array | float]  # its logarithmic derivative by r_jk²
    count: jax.Array  # how often the pair counts, (TILE, TILE, 1)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def sum_over_triples(plan: Plan, sight: Sight, tile_species: jax.Array) -> jax.Array:
    """Each term summed over unordered pairs of neighbors, by the species of the pair.

    Args:
        plan: which sums.
        sight: the neighbors of a few atoms, side by side in the last axis.
        tile_species: of each tile's senders, ``(n_tiles, lanes)``.

    Returns:
        ``(n_pairs, n_terms, lanes)``; pairs of species in the order (0, 0), (0, 1), ...
    """
    around = twice((sight, tile_species))

    def step(total: jax.Array, place: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        offset, count = place
        right, species = from_offset(around, offset)
        pairs = pairs_of(plan, sight, right, count)
        weights, angles = in_one_branch(partial(factors_of, plan), sight, right, pairs)
        sums = [
            (weights[plan.kinds.index((term.gaussian, term.narrow))] * angles[term.angle])
            .sum(axis=(1, 2))
            for term in plan.terms
        ]  # fmt: skip
        own = pairs_of_species(plan, tile_species, species, pairs.cosine.dtype)
        return total + jnp.stack([(jnp.stack(sums) * pair).sum(axis=1) for pair in own]), None

    lanes, dtype = tile_species.shape[-1], sight.distances.dtype
    total = jnp.zeros((plan.n_pairs, len(plan.terms), lanes), dtype)
    return jax.lax.scan(step, total, places(len(tile_species), dtype))[0]


def _forward(
    plan: Plan, sight: Sight, tile_species: jax.Array
) -> tuple[jax.Array, tuple[Sight, jax.Array]]:
    return sum_over_triples(plan, sight, tile_species), (sight, tile_species)


def _backward(plan: Plan, saved: tuple[Sight, jax.Array], asked: jax.Array) -> tuple[Sight, None]:
    """The derivative of sum(asked * sums) by all that is seen of the neighbors."""
    sight, tile_species = saved
    n_tiles, around = len(tile_species), twice(saved)

    def step(
        total: tuple[Sight, Sight], place: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[Sight, Sight], None]:
        offset, count = place
        right, species = from_offset(around, offset)
        own = pairs_of_species(plan, tile_species, species, asked.dtype)
        parts = (pair[None] * of[:, None] for pair, of in zip(own, asked, strict=True))
        factors = sum(parts, start=jnp.zeros((), asked.dtype))
        to_left, to_right = pulls(plan, sight, right, factors[:, :, None, None], count)

        def added(sums: jax.Array, part: jax.Array) -> jax.Array:
            there = jax.lax.dynamic_slice_in_dim(sums, offset, n_tiles) + part
            return jax.lax.dynamic_update_slice_in_dim(sums, there, offset, 0)

        left, right = total
        return (jax.tree.map(jnp.add, left, to_left), jax.tree.map(added, right, to_right)), None

    zero = jax.tree.map(jnp.zeros_like, (sight, around[0]))
    (left, right), _ = jax.lax.scan(step, zero, places(n_tiles, asked.dtype))
    return jax.tree.map(lambda a, b: a + b[:n_tiles] + b[n_tiles:], left, right), None


sum_over_triples.defvjp(_forward, _backward)


def pulls(
    plan: Plan, left: Sight, right: Sight, factors: jax.Array, count: jax.Array
) -> tuple[Sight, Sight]:
    """Derivatives of sum(factors * terms) by the tiles at the left and at the right.

    Args:
        plan: which terms.
        left: first neighbors j.
        right: second neighbors k, tile by tile.
        factors: of each term and pair of tiles, ``(n_terms, n_tiles, 1, 1, lanes)``.
        count: how often each pair of neighbors counts, ``(TILE, TILE, 1)``.
    """
    pairs = pairs_of(plan, left, right, count)
    by_cosine, by_squared, turned, by_weight = in_one_branch(
        partial(slopes_of, plan), left, right, pairs, factors
    )
    # r_jk² = r_j² + r_k² - 2 r_j r_k cos theta
    r_j, r_k = left.distances, right.distances
    to_left = Sight(
        by_squared.sum(axis=2) * r_j - (turned * r_k[:, None]).sum(axis=2),
        tuple((by_cosine * axis[:, None]).sum(axis=2) for axis in right.directions),
        tuple(
            (by * w[:, None]).sum(axis=2) for by, w in zip(by_weight, right.weights, strict=True)
        ),
    )
    to_right = Sight(
        by_squared.sum(axis=1) * r_k - (turned * r_j[:, :, None]).sum(axis=1),
        tuple((by_cosine * axis[:, :, None]).sum(axis=1) for axis in left.directions),
        tuple(
            (by * w[:, :, None]).sum(axis=1) for by, w in zip(by_weight, left.weights, strict=True)
        ),
    )
    return to_left, to_right


def factors_of(
    plan: Plan, left: Sight, right: Sight, pairs: Pairs
) -> tuple[list[jax.Array], list[jax.Array]]:
    """G_j G_k [G_jk] of each kind, and each angle's power."""
    weights = []
    for i, narrow in plan.kinds:
        weight = left.weights[i][:, :, None] * right.weights[i][:, None] * pairs.count
        if narrow:
            weight = weight * pairs.near[plan.gaussians[i].cutoff][0] * pairs.decays[i]
        weights.append(weight)
    return weights, [power(1.0 + sign * pairs.cosine, zeta) for zeta, sign in plan.angles]


def slopes_of(
    plan: Plan, left: Sight, right: Sight, pairs: Pairs, factors: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, list[jax.Array]]:
    """Derivatives of sum(factors * terms) by what belongs to pairs.

    Returns:
        by cos theta, twice by r_jk², the same times cos theta, by each G_j G_k.
    """
    zero = jnp.zeros_like(pairs.cosine)
    by_cosine, by_squared, by_weight = zero, zero, []
    for i, gaussian in enumerate(plan.gaussians):
        both = left.weights[i][:, :, None] * right.weights[i][:, None] * pairs.count
        value, slope = contracted(plan, i, False, factors, pairs.cosine)
        if i in plan.narrow:
            narrow, narrow_slope = contracted(plan, i, True, factors, pairs.cosine)
            near, near_slope = pairs.near[gaussian.cutoff]
            between = near * pairs.decays[i]
            value, slope = value + between * narrow, slope + between * narrow_slope
            between_slope = (near_slope + pairs.rates[i] * near) * pairs.decays[i]
            by_squared = by_squared + both * between_slope * narrow
        by_cosine = by_cosine + both * slope
        by_weight.append(value * pairs.count)
    by_squared = 2.0 * by_squared
    apart = left.distances[:, :, None] * right.distances[:, None]
    return by_cosine - apart * by_squared, by_squared, by_squared * pairs.cosine, by_weight


def contracted(
    plan: Plan, gaussian: int, narrow: bool, factors: jax.Array, cosine: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Sum of factors times angular powers over the terms of one Gaussian, and its slope."""
    value, slope = jnp.zeros_like(cosine), jnp.zeros_like(cosine)
    for n, term in enumerate(plan.terms):
        if (term.gaussian, term.narrow) == (gaussian, narrow):
            zeta, sign = plan.angles[term.angle]
            base = 1.0 + sign * cosine
            value = value + factors[n] * power(base, zeta)
            slope = slope + (sign * zeta) * factors[n] * power(base, zeta - 1.0)
    return value, slope


def pairs_of(plan: Plan, left: Sight, right: Sight, count: jax.Array) -> Pairs:
    """Angles, and the Gaussians of the distance between two neighbors without amplitudes."""
    axes = zip(left.directions, right.directions, strict=True)
    cosine = jnp.sum(jnp.stack([a[:, :, None] * b[:, None] for a, b in axes]), axis=0)
    r_j, r_k = left.distances[:, :, None], right.distances[:, None]
    squared = jnp.maximum(r_j * r_j + r_k * r_k - 2.0 * (r_j * r_k) * cosine, NEAR)
    squared = jnp.where(count > 0.0, squared, FAR)
    if not plan.narrow:
        return Pairs(cosine, {}, {}, {}, count)
    cutoffs = sorted({plan.gaussians[i].cutoff for i in plan.narrow})

    def between(squared: jax.Array) -> tuple[dict, dict]:
        near = {c: cutoff_and_slope(plan.cutoff_function, c, squared) for c in cutoffs}
        return near, {i: decay(plan.gaussians[i], squared) for i in plan.narrow}

    reachable = (squared < cutoffs[-1] ** 2).any()
    near, decays = jax.lax.cond(reachable, between, zeros_like(between), squared)
    rates = {i: decay_rate(plan.gaussians[i], squared) for i in plan.narrow}
    return Pairs(cosine, near, decays, rates, count)


def in_one_branch(function: Callable[..., Any], left: Sight, right: Sight, pairs: Pairs, *more):
    """The function's arrays, each computed once.

    Without a branch, though it is always taken, the compiler would do all the work that
    leads to an array again in every sum over it.
    """
    always = pairs.count[-1, 0, 0] > 0.0
    return jax.lax.cond(always, function, zeros_like(function), left, right, pairs, *more)


def zeros_like(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives zeros where another gives values."""

    def zeros(*arguments: Any) -> Any:
        shapes = jax.eval_shape(function, *arguments)
        return jax.tree.map(lambda of: jnp.zeros(of.shape, of.dtype), shapes)

    return zeros


def places(n_tiles: int, dtype: jax.typing.DTypeLike) -> tuple[jax.Array, jax.Array]:
    """How many tiles further on to look, and how often pairs of neighbors count then."""
    count = np.ones((n_tiles // 2 + 1, TILE, TILE, 1))
    count[0] = (1.0 - np.eye(TILE)[..., None]) / 2.0  # both orders are met within a tile
    if n_tiles % 2 == 0:
        count[-1] /= 2.0  # and half the way round
    return jnp.arange(len(count)), jnp.asarray(count, dtype)


def twice(tree: Any) -> Any:
    """Each array's tiles twice over, so that a slice of it goes round."""
    return jax.tree.map(lambda array: jnp.concatenate([array, array]), tree)


def from_offset(tree: Any, offset: jax.Array) -> Any:
    """Each array's tiles from ``offset`` on and round; of arrays made by `twice`."""
    return jax.tree.map(
        lambda array: jax.lax.dynamic_slice_in_dim(array, offset, len(array) // 2), tree
    )


def pairs_of_species(
    plan: Plan, left: jax.Array, right: jax.Array, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Which pair of species each pair of tiles is: one-hot, ``(n_pairs, n_tiles, lanes)``."""
    index = jnp.asarray(pair_index(plan.n_species))[left, right]
    return jax.nn.one_hot(index, plan.n_pairs, axis=0, dtype=dtype)
