"""Moments of the neighborhood: sums over neighbors of radial functions times harmonics.

M_k,lm of a neighbor species is the sum of B_k(r_ij) Y_lm(r_ij / |r_ij|) over the neighbors j
of that species: one pass over the neighbors, whatever is made of the moments afterwards. The
sums and their reverse pass are matrix products, written out by hand (``jax.custom_vjp``)
because derived ones would evaluate each harmonic's slopes once per edge and radial function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from stratal.descriptors.harmonics import harmonics, n_harmonics, slopes
from stratal.descriptors.neighbors import TILE
from stratal.descriptors.once import computed_once


@dataclass(frozen=True)
class RadialBasis:
    """B_k(r) = T_k(s) (1 - r/r_c)^3, with s linear in (r^4 + a^4)^(-1/4), from 1 at 0 to -1 at r_c.

    Chebyshev polynomials of the inverse distance resolve short distances more finely; ``inner``,
    a, where that ends: they are bounded however close two atoms come. Value and two derivatives
    vanish at the cutoff.
    """

    cutoff: float  # r_c, Å
    size: int  # number of functions
    inner: float = 1.6  # a, Å, below the shortest bond

    def __call__(self, distances: jax.Array) -> list[jax.Array]:
        """Values ``size`` times the shape of ``distances`` (Å); exactly 0 from the cutoff on."""
        low, high = (self.cutoff**4 + self.inner**4) ** -0.25, 1.0 / self.inner
        squared = distances * distances
        inverse = jax.lax.rsqrt(jnp.sqrt(squared * squared + self.inner**4))
        s = (2.0 * inverse - (low + high)) * (1.0 / (high - low))
        u = jnp.maximum(1.0 - distances * (1.0 / self.cutoff), 0.0)
        smooth = u * u * u
        values = [smooth, s * smooth]
        for _ in range(2, self.size):
            values.append(2.0 * s * values[-1] - values[-2])
        return values[: self.size]

    def with_slopes(self, distances: jax.Array) -> tuple[list[jax.Array], list[jax.Array]]:
        """Values and derivatives by the distance."""
        return jax.jvp(self.__call__, (distances,), (jnp.ones_like(distances),))


def neighborhood_moments(
    basis: RadialBasis,
    l_max: int,
    displacements: jax.Array,
    tile_species: jax.Array,
    n_species: int,
) -> jax.Array:
    """All moments of all atoms.

    Args:
        basis: the radial functions B_k.
        l_max: highest degree of the harmonics.
        displacements: receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å.
        tile_species: of each tile's senders, ``(n_atoms, n_neighbors // TILE)``.
        n_species: number of species.

    Returns:
        ``(n_atoms, n_harmonics, n_species, basis.size)``; 0 for a species without neighbors.
    """
    # The components on their own: one strided read here instead of one per harmonic.
    vectors = tuple(displacements[..., axis] for axis in range(3))
    of_species = None
    if n_species > 1:
        one_hot = tile_species[:, None, :] == jnp.arange(n_species)[None, :, None]
        of_species = jnp.repeat(one_hot, TILE, axis=2).astype(displacements.dtype)
    summed: jax.Array = sums(basis, l_max, vectors, of_species)  # pyright: ignore[reportAssignmentType]
    return summed.reshape(*summed.shape[:2], n_species, basis.size)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def sums(
    basis: RadialBasis,
    l_max: int,
    vectors: tuple[jax.Array, ...],
    of_species: jax.Array | None,
) -> jax.Array:
    """Moments ``(n_atoms, n_harmonics, n_species * size)`` of components ``(n_atoms, J)``."""
    return sums_forward(basis, l_max, vectors, of_species)[0]


def sums_forward(basis, l_max, vectors, of_species):  # noqa: D103
    unit, inverse, distances = directions(vectors)
    radial = computed_once(lambda r: jnp.stack(basis(r), axis=1), distances)
    radial = by_species(radial, of_species)
    angular = jnp.stack(harmonics(*unit, l_max), axis=1)
    summed = jnp.einsum("imj,ikj->imk", angular, radial, precision="highest")
    return summed, (unit, inverse, distances, radial, angular, of_species)


def sums_reverse(basis, l_max, kept, pull):  # noqa: D103
    unit, inverse, distances, radial, angular, of_species = kept
    slope = computed_once(lambda r: jnp.stack(basis.with_slopes(r)[1], axis=1), distances)
    slope = by_species(slope, of_species)
    along = jnp.einsum("imk,ikj->imj", pull, slope, precision="highest")
    by_distance = sum_of_products(along, angular)
    if l_max == 0:
        return tuple(by_distance * u for u in unit), None
    lower = angular[:, : n_harmonics(l_max - 1)]
    turned = jnp.einsum("apq,ipk->aiqk", jnp.asarray(slopes(l_max), pull.dtype), pull)
    across = tuple(
        sum_of_products(jnp.einsum("iqk,ikj->iqj", own, radial, precision="highest"), lower)
        for own in turned
    )
    radial_part = by_distance - inverse * sum(u * t for u, t in zip(unit, across, strict=True))
    return tuple(radial_part * u + inverse * t for u, t in zip(unit, across, strict=True)), None


sums.defvjp(sums_forward, sums_reverse)


def directions(vectors: tuple[jax.Array, ...]) -> tuple[tuple, jax.Array, jax.Array]:
    """Unit vectors by component, inverse distances (1/Å) and distances (Å)."""
    x, y, z = vectors
    squared = x * x + y * y + z * z
    inverse = jax.lax.rsqrt(squared)
    # Made once: the compiler would otherwise repeat this for every function of it.
    *unit, inverse, distances = jax.lax.optimization_barrier(
        (x * inverse, y * inverse, z * inverse, inverse, squared * inverse)
    )
    return tuple(unit), inverse, distances


def by_species(radial: jax.Array, of_species: jax.Array | None) -> jax.Array:
    """Radial functions ``(n_atoms, size, J)``, one copy for each species' neighbors alone."""
    if of_species is None:
        return radial
    n_atoms, _size, n_neighbors = radial.shape
    split = of_species[:, :, None, :] * radial[:, None]
    return split.reshape(n_atoms, -1, n_neighbors)


def sum_of_products(a: jax.Array, b: jax.Array) -> jax.Array:
    """Sum of ``a * b`` over axis 1, term by term so that it becomes one loop over the last."""
    total = a[:, 0] * b[:, 0]
    for i in range(1, b.shape[1]):
        total = total + a[:, i] * b[:, i]
    return total
