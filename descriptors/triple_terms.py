"""What pairs of neighbors give to sums over triples, and the derivatives.

Terms G_j G_k [G_jk] (1 + lambda cos theta)^zeta, where G are Gaussians with cutoffs, and the
derivatives of what they are contracted with. The last axis of all arrays is atoms, side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.gaussians import Gaussian, decay, decay_rate
from stratal.descriptors.once import computed_once

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
    """What the sums need to know of each neighbor; arrays ``(n_tiles, TILE, n_atoms)``.

    Of a single tile ``(TILE, n_atoms)``; of neighbors that meet, j and k, any two shapes
    ``(..., ..., n_atoms)`` that broadcast.
    """

    distances: jax.Array  # Å
    directions: tuple[jax.Array, ...]  # x, y, z of unit vectors
    weights: tuple[jax.Array, ...]  # of each Gaussian


class Pairs(NamedTuple):
    """What belongs to pairs of neighbors; arrays ``(..., ..., n_atoms)``."""

    cosine: jax.Array  # of theta_jk
    squared: jax.Array  # r_jk², Å²


def pairs_of(left: Sight, right: Sight) -> Pairs:
    """Angles, and distances between two neighbors."""
    x, y, z = (a * b for a, b in zip(left.directions, right.directions, strict=True))
    cosine = x + y + z
    r_j, r_k = left.distances, right.distances
    squared = jnp.maximum(r_j * r_j + r_k * r_k - 2.0 * (r_j * r_k) * cosine, NEAR)
    return Pairs(cosine, squared)


def sums_of(plan: Plan, left: Sight, right: Sight) -> jax.Array:
    """Each term summed over neighbors that meet, ``(n_terms, n_atoms)``."""
    pairs = pairs_of(left, right)
    weights = computed_once(partial(weights_of, plan), left, right, pairs.squared)
    powers = computed_once(partial(powers_of, plan), pairs.cosine)
    by_row = computed_once(partial(products_of, plan), weights, powers)
    return jnp.stack([of_row.sum(axis=0) for of_row in by_row])


def weights_of(plan: Plan, left: Sight, right: Sight, squared: jax.Array) -> list[jax.Array]:
    """G_j G_k [G_jk] of each kind."""
    near = {c: plan.cutoff_function.of_squared(squared, c) for c in plan.cutoffs}
    weights = []
    for i, narrow in plan.kinds:
        weight = left.weights[i] * right.weights[i]
        if narrow:
            gaussian = plan.gaussians[i]
            weight = weight * near[gaussian.cutoff] * decay(gaussian, squared)
        weights.append(weight)
    return weights


def powers_of(plan: Plan, cosine: jax.Array) -> jax.Array:
    """(1 + lambda cos theta)^zeta of each angle."""
    return jnp.stack([power(1.0 + sign * cosine, zeta) for zeta, sign in plan.angles])


def products_of(plan: Plan, weights: list[jax.Array], powers: jax.Array) -> list[jax.Array]:
    """Each term summed over the second axis, ``(..., n_atoms)``.

    Angles that follow one another are summed together, which reads the weights once.
    """
    sums = {}
    for (i, narrow), weight in zip(plan.kinds, weights, strict=True):
        angles = [t.angle for t in plan.terms if (t.gaussian, t.narrow) == (i, narrow)]
        for first, last in runs(angles):
            of_run = sum_of(weight * powers[first : last + 1], 2)
            for n in range(first, last + 1):
                sums[Term(i, n, narrow)] = of_run[n - first]
    return [sums[term] for term in plan.terms]


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of successive numbers."""
    ordered = sorted(set(numbers))
    starts = [n for n in ordered if n - 1 not in ordered]
    ends = [n for n in ordered if n + 1 not in ordered]
    return list(zip(starts, ends, strict=True))


def pulls_of(plan: Plan, left: Sight, right: Sight, asked: jax.Array) -> tuple[Sight, Sight]:
    """Derivatives of sum(asked * terms) by the neighbors j and k that meet.

    Args:
        plan: which terms.
        left: neighbors j.
        right: neighbors k.
        asked: of each term, ``(n_terms, n_atoms)``.
    """
    pairs = pairs_of(left, right)
    between = computed_once(partial(between_of, plan), pairs.squared)
    powers = computed_once(partial(lower_powers, plan), pairs.cosine)
    by_angle, by_squared, by_weight = computed_once(
        partial(slopes_of, plan), left, right, pairs, between, powers, asked
    )
    # By cos theta where r_jk² = r_j² + r_k² - 2 r_j r_k cos theta goes with it.
    by_cosine = by_angle - (by_squared * left.distances) * right.distances

    def side(own: Sight, other: Sight) -> Sight:
        def summed(array: jax.Array) -> jax.Array:
            for axis in (0, 1):
                if own.distances.shape[axis] == 1:
                    array = sum_of(array, axis)[(slice(None),) * axis + (None,)]
            return array

        return Sight(
            summed(by_squared * (own.distances - other.distances * pairs.cosine)),
            tuple(summed(by_cosine * axis) for axis in other.directions),
            tuple(summed(by * w) for by, w in zip(by_weight, other.weights, strict=True)),
        )

    return side(left, right), side(right, left)


class Between(NamedTuple):
    """What the distance between two neighbors gives."""

    near: dict[float, jax.Array]  # f_c(r_jk), by cutoff
    near_slope: dict[float, jax.Array]  # its derivative by r_jk²
    decays: dict[int, jax.Array]  # exp(-eta (r_jk - r_s)²)


def between_of(plan: Plan, squared: jax.Array) -> Between:
    """Values and slopes of the Gaussians of r_jk."""
    cutoff_function = plan.cutoff_function
    return Between(
        {c: cutoff_function.of_squared(squared, c) for c in plan.cutoffs},
        {c: cutoff_function.slope_by_squared(squared, c) for c in plan.cutoffs},
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
        both, weight = left.weights[i] * right.weights[i], zero
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
            weight = weight + value
            by_angle = by_angle + both * slope
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


def sum_of(array: jax.Array, axis: int) -> jax.Array:
    """Sum over a short axis, slice by slice: vectorised, where a reduction is not."""
    places = range(array.shape[axis])
    slices = [jax.lax.index_in_dim(array, n, axis, keepdims=False) for n in places]
    return sum(slices[1:], start=slices[0])


def power(base: jax.Array, exponent: float) -> jax.Array:
    """``base ** exponent``: multiplications for whole numbers, else of the positive part."""
    if exponent != int(exponent):
        positive = base > 0.0
        return jnp.where(positive, jnp.where(positive, base, 1.0) ** exponent, 0.0)
    return jax.lax.integer_pow(base, int(exponent))
