"""Real spherical harmonics as polynomials of a unit vector: values, slopes, couplings.

They are orthonormal over the sphere times 4 pi: the mean of Y_lm² over all directions is 1
(``Y_00 = 1``). Harmonics are counted l² + l + m, as ``Y_00, Y_1-1, Y_10, Y_11, Y_2-2, ...``.
"""

from __future__ import annotations

from functools import cache
from math import factorial, prod, sqrt
from typing import Any

import numpy as np

# x^a y^b z^c to its coefficient
Polynomial = dict[tuple[int, int, int], float]


def n_harmonics(l_max: int) -> int:
    """Number of harmonics up to and including ``l_max``."""
    return (l_max + 1) ** 2


def harmonics(x: Any, y: Any, z: Any, l_max: int) -> list[Any]:
    """Y_lm of unit vectors given by components of any shape, in the order of the module."""
    one = x * 0.0 + 1.0
    cosines, sines = [one], [one * 0.0]  # real and imaginary part of (x + i y)^m
    for _ in range(l_max):
        cosines, sines = (
            [*cosines, cosines[-1] * x - sines[-1] * y],
            [*sines, sines[-1] * x + cosines[-1] * y],
        )
    found = []
    for l in range(l_max + 1):  # noqa: E741
        for m in range(-l, l + 1):
            part = sines[-m] if m < 0 else cosines[m]
            along = along_z(l, abs(m))
            found.append(part * horner(along, z))
    return found


def horner(coefficients: np.ndarray, z: Any) -> Any:
    """Sum of c_k z^k; coefficients that vanish cost nothing."""
    total: Any = float(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * z + float(c) if c else total * z
    return total


@cache
def along_z(l: int, m: int) -> np.ndarray:  # noqa: E741
    """Coefficients by powers of z of Y_lm / (x + i y)^m on the unit sphere."""
    legendre = np.polynomial.legendre.leg2poly(np.eye(l + 1)[l])
    for _ in range(m):
        legendre = np.polynomial.polynomial.polyder(legendre)
    norm = sqrt((2 * l + 1) * factorial(l - m) / factorial(l + m)) * (sqrt(2.0) if m else 1.0)
    return norm * legendre


@cache
def solid_harmonics(l_max: int) -> tuple[Polynomial, ...]:
    """r^l Y_lm(r/|r|) as homogeneous polynomials of x, y, z."""
    found = []
    for l in range(l_max + 1):  # noqa: E741
        for m in range(-l, l + 1):
            total: Polynomial = {}
            for power, c in enumerate(along_z(l, abs(m))):
                rest = l - abs(m) - power  # powers of r, an even number
                if c and rest >= 0:
                    radius = power_of({(2, 0, 0): 1.0, (0, 2, 0): 1.0, (0, 0, 2): 1.0}, rest // 2)
                    term = product({(0, 0, power): float(c)}, radius)
                    total = added(total, product(term, around_z(m)))
            found.append(total)
    return tuple(found)


def around_z(m: int) -> Polynomial:
    """Real (m >= 0) or imaginary part of (x + i y)^|m|."""
    real, imaginary = {(0, 0, 0): 1.0}, {}
    for _ in range(abs(m)):
        real, imaginary = (
            added(product(real, {(1, 0, 0): 1.0}), product(imaginary, {(0, 1, 0): -1.0})),
            added(product(imaginary, {(1, 0, 0): 1.0}), product(real, {(0, 1, 0): 1.0})),
        )
    return imaginary if m < 0 else real


@cache
def slopes(l_max: int) -> np.ndarray:
    """d(r^l Y_lm)/dx_a as combinations of harmonics of degree l - 1.

    Returns:
        ``(3, n_harmonics(l_max), n_harmonics(l_max - 1))``; on the unit sphere
        dY_p/dx_a = sum_q slopes[a, p, q] Y_q up to a radial part.
    """
    solid = solid_harmonics(l_max)
    lower = solid[: n_harmonics(l_max - 1)] if l_max else ()
    found = np.zeros((3, len(solid), len(lower)))
    for p, own in enumerate(solid):
        for axis in range(3):
            derivative = derived(own, axis)
            for q, other in enumerate(lower):
                if derivative and sum(next(iter(derivative))) == sum(next(iter(other))):
                    found[axis, p, q] = mean_over_sphere(product(derivative, other))
    found[np.abs(found) < 1e-12] = 0.0
    return found


@cache
def triple_coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """Coefficients that couple harmonics of three degrees to a scalar.

    They are the means of Y_p Y_q Y_r over the sphere (real Gaunt coefficients), scaled to unit
    norm.

    Returns:
        ``(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)``.
    """
    solid = solid_harmonics(max(l1, l2, l3))
    first, second, third = (solid[l * l : (l + 1) ** 2] for l in (l1, l2, l3))  # noqa: E741
    found = np.zeros((len(first), len(second), len(third)))
    for p, own in enumerate(first):
        for q, other in enumerate(second):
            pair = product(own, other)
            found[p, q] = [mean_over_sphere(product(pair, last)) for last in third]
    found[np.abs(found) < 1e-12] = 0.0
    return found / np.linalg.norm(found)


def added(a: Polynomial, b: Polynomial) -> Polynomial:
    """Sum of polynomials."""
    total = dict(a)
    for powers, c in b.items():
        total[powers] = total.get(powers, 0.0) + c
    return total


def product(a: Polynomial, b: Polynomial) -> Polynomial:
    """Product of polynomials."""
    total: Polynomial = {}
    for (i, j, k), c in a.items():
        for (u, v, w), d in b.items():
            powers = (i + u, j + v, k + w)
            total[powers] = total.get(powers, 0.0) + c * d
    return total


def power_of(a: Polynomial, exponent: int) -> Polynomial:
    """A whole power of a polynomial."""
    total: Polynomial = {(0, 0, 0): 1.0}
    for _ in range(exponent):
        total = product(total, a)
    return total


def derived(a: Polynomial, axis: int) -> Polynomial:
    """Derivative by x, y or z."""
    total: Polynomial = {}
    for powers, c in a.items():
        if powers[axis]:
            lowered = list(powers)
            lowered[axis] -= 1
            total[lowered[0], lowered[1], lowered[2]] = c * powers[axis]
    return total


def mean_over_sphere(a: Polynomial) -> float:
    """Mean over all directions; of x^a y^b z^c it is (a-1)!! (b-1)!! (c-1)!! / (a+b+c+1)!!."""
    return sum(
        c * prod(double_factorial(p - 1) for p in powers) / double_factorial(sum(powers) + 1)
        for powers, c in a.items()
        if not any(p % 2 for p in powers)
    )


def double_factorial(n: int) -> int:
    """N!! = n (n - 2) (n - 4) ...; 1 for n <= 0."""
    return prod(range(n, 0, -2))
