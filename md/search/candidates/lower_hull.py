"""The lower convex hull of enthalpies over compositions, kept up while candidates come."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import ConvexHull, QhullError

UPRIGHT = 1e-6  # part along the energy of normals of facets at the side of the hull, by rounding
HIGH = 1e3  # eV/atom, of an element of which nothing is known yet


@dataclass
class LowerHull:
    """Not frozen: it falls. Planes are enthalpies as linear functions of composition."""

    elements: tuple[int, ...]  # atomic numbers
    lowest: dict[tuple[float, ...], float] = field(default_factory=dict)  # eV/atom by fractions
    planes: np.ndarray = field(init=False)  # (n_planes, n_elements), eV/atom of pure elements

    def __post_init__(self) -> None:
        self.planes = np.full((1, len(self.elements)), HIGH)

    def fractions(self, numbers: np.ndarray) -> np.ndarray:
        """Of atoms of each element, ``(n_elements,)``."""
        return (numbers[:, None] == np.array(self.elements)).mean(axis=0)

    def above(self, numbers: np.ndarray, by_atom: float) -> float:
        """How far an enthalpy (eV/atom) lies above the hull; negative below."""
        return by_atom - float(self.heights(self.fractions(numbers)))

    def heights(self, fractions: np.ndarray) -> np.ndarray:
        """The hull at compositions ``(..., n_elements)``, eV/atom."""
        # It is convex: at each composition the highest of its planes.
        return (fractions @ self.planes.T).max(axis=-1)

    def add(self, numbers: np.ndarray, by_atom: float) -> None:
        """Let the hull fall to a structure that lies below it."""
        if self.above(numbers, by_atom) >= 0:
            return
        key = tuple(self.fractions(numbers).round(9).tolist())
        self.lowest[key] = min(by_atom, self.lowest.get(key, np.inf))
        self.planes = planes_below(np.array(list(self.lowest)), np.array([*self.lowest.values()]))


def planes_below(fractions: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Planes of the lower hull, ``(n_planes, n_elements)``: enthalpies of the pure elements.

    Args:
        fractions: of structures, ``(n, n_elements)``.
        energies: eV/atom, ``(n,)``; elements of which there is none count as very high.
    """
    n_elements = fractions.shape[1]
    pure = np.eye(n_elements)
    unknown = [row for row in pure if not (np.abs(fractions - row) < 1e-6).all(axis=1).any()]
    points = np.vstack([fractions, *unknown])
    heights = np.append(energies, np.full(len(unknown), HIGH))
    if n_elements == 1:
        return heights.min(keepdims=True)[None]
    at_corners = heights[[int(np.abs(points - row).sum(axis=1).argmin()) for row in pure]]
    # Seen from the plane through the elements, so that flat hulls are exact.
    formed = heights - points @ at_corners
    below = formed < -1e-12
    corners = np.array([(np.abs(points - row) < 1e-6).all(axis=1) for row in pure]).any(axis=0)
    kept = below | corners
    if not below.any():
        return at_corners[None]
    flat = np.column_stack([points[kept][:, 1:], formed[kept]])
    try:
        equations = ConvexHull(flat).equations
    except QhullError:
        return at_corners[None]
    lower = equations[equations[:, -2] < -UPRIGHT]
    # normal . x + offset = 0, solved for the energy at each corner of the simplex.
    ends = np.vstack([np.zeros(n_elements - 1), np.eye(n_elements - 1)])
    at_ends = -(ends @ lower[:, :-2].T + lower[:, -1]) / lower[:, -2]
    return np.unique((at_ends.T + at_corners).round(12), axis=0)
