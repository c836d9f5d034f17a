"""Gaussians of distances times a cutoff function, and their slopes."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from stratal.descriptors.cutoffs import CutoffFunction, horner
from stratal.descriptors.once import computed_once

# Half the width of the interval about 0 on which a polynomial stands for exp, and its degree:
# the relative errors are 1e-8 and 1e-16.
POLYNOMIAL_OF = {"float32": (0.25, 5), "float64": (0.125, 8)}


class Gaussian(NamedTuple):
    """exp(-eta (r - r_s)²) f_c(r): what a neighbor counts."""

    eta: float  # Å^-2
    r_s: float  # Å
    cutoff: float  # Å


def gaussians(
    functions: tuple[Gaussian, ...], cutoff_function: CutoffFunction, squared: jax.Array
) -> list[jax.Array]:
    """Each function of r² (above 0, any shape, Å²); exactly 0 from its cutoff on."""
    return _values(functions, cutoff_function, squared)  # pyright: ignore[reportReturnType]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _values(
    functions: tuple[Gaussian, ...], cutoff_function: CutoffFunction, squared: jax.Array
) -> list[jax.Array]:
    return [
        decay(function, squared) * cutoff_function.of_squared(squared, function.cutoff)
        for function in functions
    ]


def _forward(
    functions: tuple[Gaussian, ...], cutoff_function: CutoffFunction, squared: jax.Array
) -> tuple[list[jax.Array], jax.Array]:
    return _values(functions, cutoff_function, squared), squared  # pyright: ignore[reportReturnType]


def _reverse(
    functions: tuple[Gaussian, ...],
    cutoff_function: CutoffFunction,
    squared: jax.Array,
    asked: list[jax.Array],
) -> tuple[jax.Array]:
    def pull(squared: jax.Array, asked: list[jax.Array]) -> jax.Array:
        total = jnp.zeros_like(squared)
        for function, of_function in zip(functions, asked, strict=True):
            value = cutoff_function.of_squared(squared, function.cutoff)
            slope = cutoff_function.slope_by_squared(squared, function.cutoff)
            change = slope + decay_rate(function, squared) * value
            total = total + of_function * (decay(function, squared) * change)
        return total

    return (computed_once(pull, squared, asked),)


_values.defvjp(_forward, _reverse)


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

    exp(y) = exp(y / 2^n)^(2^n), with a polynomial about the middle of the range: several
    times as fast as the library's exponential in float64, where that is not vectorised.
    """
    half_width, degree = POLYNOMIAL_OF["float64" if x.dtype == jnp.float64 else "float32"]
    span = abs(rate) * largest
    halvings = max(0, math.ceil(math.log2(span / (2 * half_width)))) if span > 0 else 0
    if halvings > 7:  # each squaring doubles the rounding error
        return jnp.exp(rate * x)
    scale = 0.5**halvings
    middle = 0.5 * rate * largest * scale
    polynomial = math.exp(middle) * exponential_polynomial(half_width, degree)
    result = horner(polynomial.tolist(), x * (rate * scale) - middle)
    for _ in range(halvings):
        result = result * result
    return result


@cache
def exponential_polynomial(half_width: float, degree: int) -> np.ndarray:
    """Coefficients of a polynomial that is close to exp up to ``half_width`` on either side of 0.

    The series of exp, economised: written by Chebyshev polynomials, of which the high are left
    out. Its error is spread evenly and 2^degree times below that of the shortened series.
    """
    powers = half_width ** np.arange(degree + 9)
    series = powers / np.array([math.factorial(n) for n in range(degree + 9)])
    kept = chebyshev.poly2cheb(series)[: degree + 1]
    return chebyshev.cheb2poly(kept) / powers[: degree + 1]


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
