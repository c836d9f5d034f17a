"""Stacking faults: what it costs to shift one half of a crystal against the other.

Example::

    line = gamma_line(copper, potential)  # to the intrinsic fault of an fcc crystal
    print(1000 * line.energies[-1] / (J / m**2))  # mJ/m²
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.calculators.calculator import BaseCalculator
from scipy.interpolate import CubicSpline

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential

OPENINGS = np.linspace(-0.1, 0.5, 9)  # Å, of the fault, that are tried


@dataclass(frozen=True)
class GammaLine:
    """Energies along a line of faults: V. Vitek, Phil. Mag. 18, 773 (1968)."""

    shifts: np.ndarray  # (n,), Å, of one half of the crystal against the other
    energies: np.ndarray  # (n,), eV/Å², at the best opening of each shift
    openings: np.ndarray  # (n,), Å

    @property
    def unstable(self) -> float:
        """The highest, eV/Å²."""
        return float(self.energies.max())


def gamma_line(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    plane: tuple[int, int, int] = (1, 1, 1),
    direction: Sequence[float] = (1 / 6, 1 / 6, -1 / 3),
    n_points: int = 11,
    n_layers: int = 9,
) -> GammaLine:
    """Energies of faults on a plane, of rigid halves that may move apart, in one batch.

    One fault in a periodic cell: its last vector carries the shift, so that no surface is made.

    Args:
        crystal: at rest, its conventional cell, to which plane and direction refer.
        source: a potential, or any ASE calculator.
        plane: Miller indices.
        direction: of the last shift, in lattice coordinates and in the plane; by default that of
            the intrinsic fault of an fcc crystal.
        n_points: from no shift to the last.
        n_layers: lattice planes of the cell, between a fault and its image.

    Raises:
        InputError: a direction that is not in the plane.
    """
    if abs(np.dot(plane, direction)) > 1e-6:
        raise InputError(
            f"direction {tuple(direction)} is not in the plane {plane}: h u + k v + l w has to be "
            f"0, as for (1, -1, 0) in (1, 1, 1)."
        )
    cell = oriented(crystal, plane, n_layers)
    first, second = cell.cell.array[:2]
    normal = np.cross(first, second)
    area = float(np.linalg.norm(normal))
    normal /= area
    shifts = np.linspace(0, 1, n_points)[:, None] * (np.array(direction) @ crystal.cell.array)
    frames = [faulted(cell, shift + opening * normal) for shift in shifts for opening in OPENINGS]
    energies = evaluator(source).evaluate(frames).energy
    best = [lowest(row) for row in energies.reshape(n_points, len(OPENINGS)) / area]
    return GammaLine(
        shifts=np.linalg.norm(shifts, axis=1),
        # Against no shift at its best opening, which is not quite 0 where the crystal is strained.
        energies=np.array([energy - best[0][1] for _, energy in best]),
        openings=np.array([opening for opening, _ in best]),
    )


def stacking_fault_energy(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    plane: tuple[int, int, int] = (1, 1, 1),
    direction: Sequence[float] = (1 / 6, 1 / 6, -1 / 3),
    n_layers: int = 11,
    fmax: float = 1e-3,
) -> float:
    """Energy of one fault whose atoms relax, eV/Å²; by default the intrinsic one of fcc crystals.

    Args:
        crystal: at rest, its conventional cell.
        source: a potential, or any ASE calculator.
        plane: Miller indices.
        direction: of the shift, in lattice coordinates; where it leads has to be a minimum.
        n_layers: lattice planes between a fault and its image.
        fmax: eV/Å.
    """
    evaluate = evaluator(source)
    cell = oriented(crystal, plane, n_layers)
    fault = faulted(cell, np.array(direction) @ crystal.cell.array)
    fault = evaluate.relaxed([fault], fmax, "fixed")
    energies = evaluate.evaluate([cell, *fault]).energy
    area = np.linalg.norm(np.cross(*cell.cell.array[:2]))
    return float((energies[1] - energies[0]) / area)


def faulted(cell: Atoms, shift: np.ndarray) -> Atoms:
    """The cell with its last vector shifted, its atoms where they were: a fault at its top."""
    found = cell.copy()
    found.set_cell(cell.cell.array + np.array([np.zeros(3), np.zeros(3), shift]))
    return found


def oriented(crystal: Atoms, plane: tuple[int, int, int], n_layers: int) -> Atoms:
    """A cell with two vectors in a plane and the third across ``n_layers`` lattice planes.

    The crystal is not turned: directions stay what they are.
    """
    indices = np.array(plane) // gcd(*plane)
    basis = plane_basis(indices)
    across = next(
        np.array(step)
        for step in sorted(np.ndindex(7, 7, 7), key=lambda s: sum(abs(v - 3) for v in s))
        if np.dot(np.array(step) - 3, indices) == 1
    )
    vectors = np.array([*basis, n_layers * (across - 3)])
    # The third as upright as whole steps in the plane can make it.
    cartesian = vectors @ crystal.cell.array
    steps = np.linalg.lstsq(cartesian[:2].T, cartesian[2], rcond=None)[0]
    vectors[2] -= np.round(steps).astype(int) @ vectors[:2]
    if np.linalg.det(vectors) < 0:
        vectors[:2] = vectors[[1, 0]]
    found = make_supercell(crystal, vectors)
    # Each layer's atoms where a cut between layers leaves them whole.
    places = found.get_scaled_positions(wrap=False)
    heights = np.sort(places[:, 2] % 1)
    gaps = np.diff(np.append(heights, heights[0] + 1))
    top = heights[gaps.argmax()] + 0.5 * gaps.max()
    found.set_scaled_positions((places - [0, 0, top]) % 1)
    return found


def plane_basis(indices: np.ndarray) -> np.ndarray:
    """Two whole vectors that span a lattice plane, short ones, ``(2, 3)``."""
    candidates = [np.array(step) - 3 for step in np.ndindex(7, 7, 7)]
    inside = [v for v in candidates if v.any() and not v @ indices]
    inside.sort(key=lambda v: (v @ v, tuple(-v)))
    # The plane's lattice has cells of |h, k, l|: the cross product of its basis is the normal.
    for second in inside[1:]:
        if (np.abs(np.cross(inside[0], second)) == np.abs(indices)).all():
            return np.array([inside[0], second])
    raise InputError(f"plane {tuple(indices)}: give smaller Miller indices, up to 3.")


def lowest(energies: np.ndarray) -> tuple[float, float]:
    """Opening (Å) and energy at the minimum of a spline through the openings that were tried."""
    spline = CubicSpline(OPENINGS, energies)
    flat = spline.derivative().roots(extrapolate=False)
    tried = np.append(OPENINGS, flat)
    best = tried[spline(tried).argmin()]
    return float(best), float(spline(best))
