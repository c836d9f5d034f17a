"""Smooth cutoff functions f_c(r): 1 at r = 0, 0 with zero slope at the cutoff."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

# cos(pi/2 sqrt(u)) = sum_k (-1)^k (pi/2)^2k u^k / (2k)!; the first term left out is
# below 2e-17 for u <= 1.
HALF_COSINE = [(-1) ** k * (math.pi / 2) ** (2 * k) / math.factorial(2 * k) for k in range(11)]


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
    series = jnp.full_like(u, HALF_COSINE[-1])
    for coefficient in HALF_COSINE[-2::-1]:
        series = series * u + coefficient
    return jnp.where(u < 1.0, series * series, 0.0)  # (1 + cos x) / 2 = cos²(x / 2)
