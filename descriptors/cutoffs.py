"""Smooth cutoff functions f_c(r): 1 at r = 0, 0 with zero slope at the cutoff."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

# cos(pi/2 sqrt(u)) = sum_k (-1)^k (pi/2)^2k u^k / (2k)!; the first term left out is
# below 2e-17 for u <= 1.
HALF_COSINE = [(-1) ** k * (math.pi / 2) ** (2 * k) / math.factorial(2 * k) for k in range(11)]
HALF_COSINE_SLOPE = [k * c for k, c in enumerate(HALF_COSINE)][1:]


def cosine_cutoff(squared_distances: jax.Array, cutoff: float) -> jax.Array:
    """Weight of a neighbor that falls smoothly to zero at ``cutoff``.

    f_c(r) = (cos(pi r / r_c) + 1) / 2 for r < r_c, else 0.
    Behler and Parrinello, PRL 98, 146401 (2007).

    It is an entire function of r², so it is summed as a series in r²: no square root,
    and vectorised multiplications where a cosine would be a library call.

    Args:
        squared_distances: r², any shape, Å².
        cutoff: r_c, Å.

    Returns:
        Same shape, dimensionless; exactly 0 from the cutoff on.
    """
    u = squared_distances * (1.0 / cutoff**2)
    series = horner(HALF_COSINE, u)
    return jnp.where(u < 1.0, series * series, 0.0)  # (1 + cos x) / 2 = cos²(x / 2)


def horner(coefficients: list[float], x: jax.Array) -> jax.Array:
    """The polynomial sum_k c_k x^k, by multiplications."""
    series = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        series = series * x + coefficient
    return series


class CutoffFunction(NamedTuple):
    """One of the cutoff functions of n2p2, by its number there.

    With x = (r - alpha r_c) / (r_c - alpha r_c), and 1 for r < alpha r_c:
    0 none (1 up to r_c), 1 cosine, 4 exp(1 - 1 / (1 - x²)), and polynomials of which 1, 2,
    3 or 4 derivatives vanish at both ends (5, 6, 7, 8). Without alpha: 2 tanh³(1 - r / r_c)
    and 3 the same, scaled to 1 at r = 0.
    Singraber, Behler and Dellago, J. Chem. Theory Comput. 15, 1827 (2019).
    """

    kind: int = 1
    alpha: float = 0.0  # inner cutoff / r_c

    def __call__(self, distances: jax.Array, cutoff: float) -> jax.Array:
        """f_c(r) of distances (any shape, Å); exactly 0 from ``cutoff`` (Å) on."""
        alpha = 0.0 if self.kind in (2, 3) else self.alpha
        scaled = (distances - alpha * cutoff) * (1.0 / (cutoff - alpha * cutoff))
        # Between the ends a derivative of exactly 1; beyond them 0.
        x = jnp.where((scaled > 0.0) & (scaled < 1.0), scaled, jnp.where(scaled > 0.0, 1.0, 0.0))
        return jnp.where(distances < cutoff, self.shape(x), 0.0)

    def of_squared(self, squared: jax.Array, cutoff: float) -> jax.Array:
        """f_c of r² (any shape, Å²); no square root where it is a function of r²."""
        if self.is_even:
            return cosine_cutoff(squared, cutoff)
        return self(jnp.sqrt(squared), cutoff)

    def slope_by_squared(self, squared: jax.Array, cutoff: float) -> jax.Array:
        """The derivative of f_c by r², Å^-2, of r² above 0 (any shape, Å²)."""
        if self.is_even:
            u = squared * (1.0 / cutoff**2)
            slope = 2.0 * horner(HALF_COSINE, u) * horner(HALF_COSINE_SLOPE, u)
            return jnp.where(u < 1.0, slope * (1.0 / cutoff**2), 0.0)
        if self.kind in POLYNOMIALS and self.alpha == 0.0:
            # f'(x) is a multiple of x^(m - 1) (1 - x)^(m - 1), so that nothing is divided by r.
            order, coefficients = POLYNOMIALS[self.kind]
            x = jnp.minimum(jnp.sqrt(squared) * (1.0 / cutoff), 1.0)
            falling = jax.lax.integer_pow(1.0 - x, order - 1) * jax.lax.integer_pow(x, order - 2)
            return (0.5 * order * coefficients[0] / cutoff**2) * falling
        distances = jnp.sqrt(squared)
        of_distance = partial(self, cutoff=cutoff)
        _, slope = jax.jvp(of_distance, (distances,), (jnp.ones_like(distances),))
        return 0.5 * slope / distances

    @property
    def is_even(self) -> bool:
        """Whether it is an entire function of r²."""
        return self.kind == 1 and self.alpha == 0.0

    def shape(self, x: jax.Array) -> jax.Array:
        """The function of x in [0, 1]."""
        if self.kind == 0:
            return jnp.ones_like(x)
        if self.kind == 1:
            return horner(HALF_COSINE, x * x) ** 2
        if self.kind in (2, 3):
            scale = math.tanh(1.0) ** -3 if self.kind == 3 else 1.0
            return scale * jnp.tanh(1.0 - x) ** 3
        if self.kind == 4:
            # Nothing is left of it (exp(-1e6) = 0) where the quotient would be singular.
            return jnp.exp(1.0 - 1.0 / jnp.maximum(1.0 - x * x, 1e-6))
        order, coefficients = POLYNOMIALS[self.kind]
        return 1.0 + jax.lax.integer_pow(x, order) * horner(coefficients, x)


# f(x) = 1 + x^m p(x): m and the coefficients of p, lowest first.
POLYNOMIALS = {
    5: (2, [-3.0, 2.0]),
    6: (3, [-10.0, 15.0, -6.0]),
    7: (4, [-35.0, 84.0, -70.0, 20.0]),
    8: (5, [-126.0, 420.0, -540.0, 315.0, -70.0]),
}
