"""Random starts: cells, slabs and clusters with atoms in random places, none too close.

C. J. Pickard and R. J. Needs, J. Phys.: Condens. Matter 23, 053201 (2011).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms

from stratal.md.search.limits import PERIODIC, Limits
from stratal.md.search.starts.drawing import Composition, drawn, numbers_of
from stratal.md.search.starts.placing import Room, filled, in_cell, in_ellipsoid

LOOSER = 1.2  # Å³ of a start over what is aimed at, up to
SHAPES = 50  # of which about every second is taken
LONGEST = 1.6  # axis of a cluster's ellipsoid over its shortest, up to


def random_structure(
    composition: Composition, limits: Limits, rng: np.random.Generator, seconds: float = 1.0
) -> Atoms | None:
    """A structure with atoms in random places, or None.

    Args:
        composition: atoms by atomic number.
        limits: what it obeys.
        rng: random numbers.
        seconds: after which it is given up.
    """
    numbers = numbers_of(composition)
    return drawn(lambda: scattered(numbers, limits, rng), limits, seconds)


def scattered(numbers: np.ndarray, limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """One try: these atoms in a random shape; None where they find no place."""
    numbers = rng.permutation(numbers)
    volume = limits.target_volume(numbers) * rng.uniform(1.0, LOOSER)
    shape = {"crystal": _crystal, "film": _film, "cluster": _cluster}[limits.kind]
    cell, draw = shape(numbers, volume, limits, rng)
    positions = filled(Room.of(limits, cell), limits.species(numbers), draw)
    if positions is None:
        return None
    periodic = limits.kind != "cluster"
    return Atoms(numbers, positions, cell=cell if periodic else None, pbc=PERIODIC[limits.kind])


def random_cell(volume: float, limits: Limits, rng: np.random.Generator) -> np.ndarray:
    """Cell vectors ``(3, 3)`` (Å) of a volume (Å³), with angles and lengths within the limits."""
    for _ in range(SHAPES):
        cell = np.eye(3) + 0.5 * rng.normal(size=(3, 3))
        lengths = np.linalg.norm(cell, axis=1)
        unit = cell / lengths[:, None]
        steepest = np.abs(np.triu(unit @ unit.T, 1)).max()
        flat = abs(np.linalg.det(unit)) < 0.3
        if steepest < 0.7 and not flat and lengths.max() < min(limits.aspect, 3.0) * lengths.min():
            return cell * (volume / abs(np.linalg.det(cell))) ** (1 / 3)
    return np.eye(3) * volume ** (1 / 3)


def _crystal(numbers: np.ndarray, volume: float, limits: Limits, rng: np.random.Generator):
    cell = random_cell(volume, limits, rng)
    return cell, in_cell(rng, cell)


def _film(numbers: np.ndarray, volume: float, limits: Limits, rng: np.random.Generator):
    spacing = limits.spacing(numbers)
    # As thick as allowed, but not so thick that the area is less than that of one atom or two.
    thickest = max(min(limits.thickness, volume / (2 * spacing**2) - spacing), 0.0)
    extent = rng.uniform(0.0, thickest)
    area = volume / (extent + spacing)
    length = extent + limits.vacuum
    ratio, angle = np.exp(rng.uniform(-0.5, 0.5)), np.radians(rng.uniform(60, 120))
    a = np.sqrt(area * ratio / np.sin(angle))
    b = a / ratio
    cell = np.array([[a, 0, 0], [b * np.cos(angle), b * np.sin(angle), 0], [0, 0, length]])
    return cell, in_cell(rng, cell, 0.0, extent / length)


def _cluster(numbers: np.ndarray, volume: float, limits: Limits, rng: np.random.Generator):
    axes = np.exp(rng.uniform(0, np.log(LONGEST), 3))
    axes *= (volume / (4 / 3 * np.pi * axes.prod())) ** (1 / 3)
    return np.eye(3), in_ellipsoid(rng, axes)
