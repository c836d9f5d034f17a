"""Compact clusters: icosahedra, decahedra and truncated octahedra, trimmed or filled to a size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.cluster import Decahedron, Icosahedron, Octahedron

from stratal.md.search.limits import Limits
from stratal.md.search.starts.drawing import Composition, drawn, numbers_of
from stratal.md.search.starts.placing import on_surface

TOUCHING = 1.2  # of the distance of nearest neighbors
OFF_CENTER = 0.5  # of that distance: how far from the middle the center of a trimmed motif is
LARGEST = 600  # atoms of a motif
FILLED = 0.15  # of the atoms are put on a smaller motif, up to
MIXED = 0.5  # of the starts have their elements mixed at random, the others in shells or halves


def compact(
    composition: Composition, limits: Limits, rng: np.random.Generator, seconds: float = 1.0
) -> Atoms | None:
    """A piece of a packed motif with the elements mixed, in shells or side by side; or None.

    Args:
        composition: atoms by atomic number.
        limits: what it obeys; of clusters.
        rng: random numbers.
        seconds: after which it is given up.
    """
    numbers = numbers_of(composition)
    if limits.kind != "cluster":
        return None
    bond = (np.sqrt(2) * limits.target_volume(numbers) / len(numbers)) ** (1 / 3)

    def draw() -> Atoms | None:
        points = _sized(len(numbers), bond, limits, rng)
        return None if points is None else Atoms(_decorated(points, numbers, rng), points)

    return drawn(draw, limits, seconds)


@lru_cache(maxsize=1)
def motifs() -> tuple[np.ndarray, ...]:
    """Positions ``(n, 3)`` of complete motifs, nearest neighbors 1 apart, around the origin."""
    lattice = np.sqrt(2)
    found = [Icosahedron("Cu", shells, lattice) for shells in range(2, 7)]
    found += [
        Decahedron("Cu", p, q, r, lattice) for p in range(2, 6) for q in range(1, 5) for r in (0, 1)
    ]
    found += [
        Octahedron("Cu", length, cut, lattice)
        for length in range(2, 9)
        for cut in range((length - 1) // 2 + 1)
    ]
    points = [cluster.positions - cluster.positions.mean(axis=0) for cluster in found]
    return tuple(own for own in points if len(own) <= LARGEST)


def _sized(
    n_atoms: int, bond: float, limits: Limits, rng: np.random.Generator
) -> np.ndarray | None:
    """Positions ``(n_atoms, 3)``, Å, of a motif that had about as many; None: none is so large."""
    least = (1 - FILLED) * n_atoms
    sizes = np.array([len(own) for own in motifs()])
    able = np.flatnonzero(sizes >= least)
    if not len(able):
        return None
    # Those of near size are likelier: less is trimmed, more of their shape is left.
    chances = 1 / (1 + np.abs(sizes[able] - n_atoms))
    points = bond * motifs()[int(rng.choice(able, p=chances / chances.sum()))]
    return (
        _trimmed(points, n_atoms, bond, rng)
        if len(points) > n_atoms
        else _filled(points, n_atoms, limits, rng)
    )


def _trimmed(points: np.ndarray, n_atoms: int, bond: float, rng: np.random.Generator) -> np.ndarray:
    """Without the atoms far from a point near the middle, then those with the fewest neighbors."""
    center = OFF_CENTER * bond * rng.normal(size=3)
    outside = np.linalg.norm(points - center, axis=1)
    points = points[np.argsort(outside)[: n_atoms + max(2, n_atoms // 5)]]
    while len(points) > n_atoms:
        apart = np.linalg.norm(points[:, None] - points, axis=-1)
        neighbors = (apart < TOUCHING * bond).sum(axis=1) + 1e-3 * rng.random(len(points))
        points = np.delete(points, np.argmin(neighbors), axis=0)
    return points


def _filled(
    points: np.ndarray, n_atoms: int, limits: Limits, rng: np.random.Generator
) -> np.ndarray | None:
    """With atoms put on the surface, as if all were of one element."""
    some = int(rng.integers(len(limits.elements)))
    while len(points) < n_atoms:
        place = on_surface(points, np.full(len(points), some), some, limits, rng)
        if place is None:
            return None
        points = np.concatenate([points, place[None]])
    return points


def _decorated(points: np.ndarray, numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Atomic numbers by site: mixed, in shells around the middle, or side by side."""
    if rng.random() < MIXED:
        return rng.permutation(numbers)
    centered = points - points.mean(axis=0)
    shells = rng.random() < 0.5
    along = np.linalg.norm(centered, axis=1) if shells else centered @ rng.normal(size=3)
    kinds = rng.permutation(np.unique(numbers))
    by_kind = np.concatenate([numbers[numbers == kind] for kind in kinds])
    decorated = np.empty(len(numbers), int)
    decorated[np.argsort(along, kind="stable")] = by_kind
    return decorated
