"""Gaussians of distances times a cutoff function, and their slopes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stratal.descriptors.cutoffs import CutoffFunction, horner

HALF_WIDTH = 0.25  # the series of exp is used on [-1/4, 1/4]
DEGREE = {"float32": 6, "float64": 11}  # first term left out: 1e-8, 1e-16


class Gaussian(NamedTuple):
    """exp(-eta (r - r_s)²) f_c(r): what a neighbor counts."""

    eta: float  # Å^-2
    r_s: float  # Å
    cutoff: float  # Å


def gaussians(
    functions: Sequence[Gaussian], cutoff_function: CutoffFunction, squared: jax.Array
) -> list[jax.Array]:
    """Each function of r² (above 0, any shape, Å²); exactly 0 from its cutoff on."""
    distances = jnp.sqrt(squared)
    return [
        decay(function, squared) * cutoff_function(distances, function.cutoff)
        for function in functions
    ]


def cutoff_and_slope(
    cutoff_function: CutoffFunction, cutoff: float, squared: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """f_c and its derivative by r² (Å^-2), of r² (above 0, any shape, Å²)."""
    distances = jnp.sqrt(squared)
    of_distance = partial(cutoff_function, cutoff=cutoff)
    value, slope = jax.jvp(of_distance, (distances,), (jnp.ones_like(distances),))
    return value, 0.5 * slope / distances


def decay(function: Gaussian, squared: jax.Array) -> jax.Array:
    """exp(-eta (r - r_s)²) of r² up to the cutoff; any finite number beyond it."""
    eta, r_s, cutoff = function
    if r_s == 0.0:
        return exponential(-eta, cutoff**2, jnp.minimum(squared, cutoff**2))
    farthest = max(r_s**2, (cutoff - r_s) ** 2)
    return exponential(-eta, farthest, (jnp.minimum(jnp.sqrt(squared), cutoff) - r_s) ** 2)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def exponential(rate: float, largest: float, x: jax.Array) -> jax.Array:
    """exp(rate x) for x from 0 to ``largest``, by multiplications only.

    exp(y) = exp(y / 2^n)^(2^n), with a short series about the middle of the range: several
    times as fast as the library's exponential in float64, where that is not vectorised.
    """
    span = abs(rate) * largest
    halvings = max(0, math.ceil(math.log2(span / (2 * HALF_WIDTH)))) if span > 0 else 0
    if halvings > 6:  # each squaring doubles the rounding error
        return jnp.exp(rate * x)
    scale = 0.5**halvings
    middle = 0.5 * rate * largest * scale
    degree = DEGREE["float64" if x.dtype == jnp.float64 else "float32"]
    series = [math.exp(middle) / math.factorial(n) for n in range(degree + 1)]
    result = horner(series, x * (rate * scale) - middle)
    for _ in range(halvings):
        result = result * result
    return result


@exponential.defjvp
def _exponential_jvp(
    rate: float, largest: float, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    result = exponential(rate, largest, *primals)
    return result, rate * result * tangents[0]


def decay_rate(function: Gaussian, squared: jax.Array) -> jax.Array | float:
    """Logarithmic derivative of `decay` by r², Å^-2."""
    if function.r_s == 0.0:
        return -function.eta
    return -function.eta * (1.0 - function.r_s / jnp.sqrt(squared))
