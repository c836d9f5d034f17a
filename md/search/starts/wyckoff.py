"""Wyckoff positions of all space groups, derived from their operations.

Coordinates of special positions and all translations are multiples of 1/24 in spglib's standard
settings, so that a grid of them meets every position; which operations fix a point of the grid
tells its position, exactly, in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import spglib

GRID = 24  # points along a cell vector


@dataclass(frozen=True, eq=False)
class Wyckoff:
    """Sites of one kind: x = projector y + origin for any y, and its images."""

    multiplicity: int  # sites in the conventional cell
    projector: np.ndarray  # (3, 3), onto the directions along which the site is free
    origin: np.ndarray  # (3,), fractional

    @property
    def n_free(self) -> int:
        """Coordinates that can be chosen, 0 to 3."""
        return round(float(np.trace(self.projector)))

    def site(self, rng: np.random.Generator) -> np.ndarray:
        """A site ``(3,)``, fractional, its free coordinates at random."""
        return self.projector @ rng.random(3) + self.origin


@dataclass(frozen=True, eq=False)
class Group:
    """A space group in spglib's standard setting, with its Wyckoff positions."""

    number: int
    rotations: np.ndarray  # (n_operations, 3, 3), integers, on fractional coordinates
    translations: np.ndarray  # (n_operations, 3), fractional
    primitive: np.ndarray  # (3, 3), rows: the vectors of a primitive cell in the conventional ones
    positions: tuple[Wyckoff, ...]  # those of few sites first

    @property
    def n_centers(self) -> int:
        """Primitive cells in the conventional one."""
        return round(1 / abs(np.linalg.det(self.primitive)))

    def orbit(self, site: np.ndarray) -> np.ndarray:
        """All images ``(n_operations, 3)`` of a site, fractional; several may be one."""
        return self.rotations @ site + self.translations


@lru_cache(maxsize=230)
def group(number: int) -> Group:
    """Space group 1 to 230; derived once, then remembered."""
    known = spglib.get_symmetry_from_database(_settings()[number])
    assert known is not None  # each setting has one
    rotations = known["rotations"].astype(int)
    steps = np.round(GRID * known["translations"]).astype(int)
    centers = steps[(rotations == np.eye(3, dtype=int)).all(axis=(1, 2))] / GRID
    positions = sorted(_positions(rotations, steps), key=lambda own: own.multiplicity)
    return Group(number, rotations, steps / GRID, _primitive(centers), tuple(positions))


@lru_cache(maxsize=1)
def _settings() -> dict[int, int]:
    """The first of spglib's settings (Hall numbers) of each space group."""
    first: dict[int, int] = {}
    for hall in range(1, 531):
        found = spglib.get_spacegroup_type(hall)
        assert found is not None
        first.setdefault(found.number, hall)
    return first


def _primitive(centers: np.ndarray) -> np.ndarray:
    """Primitive vectors of a lattice with these centers, rows, in the conventional ones."""
    wanted = 1 / len(centers)
    shifts = np.stack(np.meshgrid(*[[0, -1, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    vectors = (centers + shifts).reshape(-1, 3)
    vectors = vectors[np.argsort((vectors**2).sum(axis=1), kind="stable")][1:]  # without 0
    for a in range(len(vectors)):
        for b in range(a + 1, len(vectors)):
            volumes = vectors[b + 1 :] @ np.cross(vectors[a], vectors[b])
            found = np.flatnonzero(np.isclose(np.abs(volumes), wanted))
            if len(found):
                return np.array([vectors[a], vectors[b], vectors[b + 1 + found[0]]])
    raise AssertionError("a lattice has a primitive cell")


def _positions(rotations: np.ndarray, steps: np.ndarray) -> list[Wyckoff]:
    """All Wyckoff positions, from operations with translations in steps of the grid."""
    axis = np.arange(GRID)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    fixed = np.empty((len(rotations), len(grid)), bool)
    for rotation in np.unique(rotations, axis=0):  # centers of the lattice share them
        moved = _numbered(grid @ (rotation - np.eye(3, dtype=int)).T)
        own = np.flatnonzero((rotations == rotation).all(axis=(1, 2)))
        fixed[own] = moved == _numbered(-steps[own])[:, None]
    orders = fixed.sum(axis=0)
    open_points = np.ones(len(grid), bool)
    found = []
    while open_points.any():
        point = int(np.argmax(np.where(open_points, orders, 0)))  # the most symmetric first
        projector = rotations[fixed[:, point]].mean(axis=0)
        origin = grid[point] - projector @ grid[point]
        found.append(Wyckoff(len(rotations) // int(orders[point]), projector, origin / GRID))
        if orders[point] == 1:  # the general position: all that is left
            return found
        along = grid[point] + _directions(projector)
        images = np.einsum("gij,nj->gni", rotations, along) + steps[:, None]
        # Points of higher symmetry on this line or plane have been taken before.
        open_points[_numbered(images).ravel()] = False
    raise AssertionError("each group has a general position")


def _numbered(points: np.ndarray) -> np.ndarray:
    """Which point of the grid, ``(...)``, points ``(..., 3)`` in steps are, in the first cell."""
    x, y, z = np.moveaxis(points % GRID, -1, 0)
    return (x * GRID + y) * GRID + z


def _directions(projector: np.ndarray) -> np.ndarray:
    """All steps of the grid ``(n, 3)`` along which a site is free."""
    small = np.stack(np.meshgrid(*[range(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    free = small[np.isclose(small @ projector.T, small).all(axis=1)]
    free = free[np.argsort((free**2).sum(axis=1), kind="stable")][1:]  # without 0
    basis: list[np.ndarray] = []  # the shortest that are independent: a basis in two dimensions
    for vector in free:
        if np.linalg.matrix_rank([*basis, vector]) > len(basis):
            basis.append(vector)
    points = np.zeros((1, 3), int)
    for vector in basis:
        points = (points + np.arange(GRID)[:, None, None] * vector).reshape(-1, 3)
    return points
