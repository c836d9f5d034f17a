"""Filters of labelled data, and how many structures each of them dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from scipy.optimize import linprog

from stratal.errors import InputError
from stratal.potentials.data.labelled import LabelledData


@dataclass(frozen=True)
class Selection:
    """What a filter left, and what each rule dropped; rules count in this order."""

    data: LabelledData
    n_before: int
    dropped: tuple[tuple[str, int], ...]  # rule, frames

    @property
    def n_after(self) -> int:
        """Structures left."""
        return len(self.data)

    def rows(self) -> list[tuple[str, int]]:
        """For a table: frames read, dropped by each rule, left."""
        return [("read", self.n_before), *self.dropped, ("left", self.n_after)]


def select(
    data: LabelledData,
    energy_above_lowest: float | None = None,
    max_force: float | None = None,
    elements: Iterable[str] | None = None,
    mask: Sequence[bool] | np.ndarray | None = None,
) -> Selection:
    """Keep what training should see.

    Args:
        data: labelled structures.
        energy_above_lowest: eV/atom above the lowest. For one composition this is its
            lowest energy per atom; for several it is the lower convex hull of energy
            against composition, so that no composition has to hold its own ground state.
            Taken among the structures that the other rules leave.
        max_force: eV/Å, of the largest force on an atom; structures without forces stay.
        elements: symbols; structures with any other element go.
        mask: ``(n,)``, which to keep.

    Raises:
        InputError: nothing is left, or a mask of another length.
    """
    keep, dropped = np.ones(len(data), bool), []

    def apply(rule: str, passes: np.ndarray) -> None:
        dropped.append((rule, int((keep & ~passes).sum())))
        keep[:] &= passes

    if elements is not None:
        allowed = set(elements)
        inside = [set(frame.symbols) <= allowed for frame in data.frames]
        apply(f"elements other than {', '.join(sorted(allowed))}", np.array(inside, bool))
    if mask is not None:
        apply("masked", _checked_mask(mask, len(data)))
    if max_force is not None:
        apply(f"force above {max_force:g} eV/Å", largest_forces(data) <= max_force)
    if energy_above_lowest is not None:
        passes = np.zeros(len(data), bool)
        passes[keep] = energy_above_hull(data.take(keep)) <= energy_above_lowest
        apply(f"more than {energy_above_lowest:g} eV/atom above the lowest", passes)
    if not keep.any():
        rules = "; ".join(f"{rule}: {count}" for rule, count in dropped)
        raise InputError(f"none of {len(data)} structures is left ({rules}). Loosen a rule.")
    return Selection(data.take(keep), len(data), tuple(dropped))


def largest_forces(data: LabelledData) -> np.ndarray:
    """Largest force on an atom of each structure, ``(n,)``, eV/Å; 0 without forces."""
    return np.array(
        [0.0 if f is None else np.linalg.norm(f, axis=1).max(initial=0.0) for f in data.forces]
    )


def energy_above_hull(data: LabelledData) -> np.ndarray:
    """Energy above the data's own lower convex hull, ``(n,)``, eV/atom; never below 0."""
    if not len(data):
        return np.zeros(0)
    fractions = compositions(data)
    distinct, which = np.unique(fractions.round(8), axis=0, return_inverse=True)
    which = which.reshape(-1)
    lowest = np.full(len(distinct), np.inf)
    np.minimum.at(lowest, which, data.energy_per_atom)
    hull = np.array([_hull_energy(fraction, distinct, lowest) for fraction in distinct])
    return np.maximum(data.energy_per_atom - np.minimum(hull, lowest)[which], 0.0)


def compositions(data: LabelledData) -> np.ndarray:
    """Atomic fractions of the data's elements, ``(n, n_elements)``."""
    numbers = [atomic_numbers[symbol] for symbol in data.elements]
    counts = [np.bincount(frame.numbers, minlength=119)[numbers] for frame in data.frames]
    return np.array(counts, float) / data.n_atoms[:, None]


def _hull_energy(fraction: np.ndarray, fractions: np.ndarray, lowest: np.ndarray) -> float:
    """Lowest energy of any mixture of the compositions that adds up to ``fraction``."""
    if len(lowest) == 1:
        return float(lowest[0])
    constraints = np.vstack([fractions.T, np.ones(len(lowest))])
    solution = linprog(lowest, A_eq=constraints, b_eq=np.append(fraction, 1.0), method="highs")
    return float(solution.fun) if solution.success else np.inf


def _checked_mask(mask: Sequence[bool] | np.ndarray, n: int) -> np.ndarray:
    checked = np.asarray(mask)
    if checked.shape != (n,) or checked.dtype != bool:
        raise InputError(
            f"mask: shape {checked.shape}, {checked.dtype}; expected ({n},) of True and False. "
            f"Give one entry per structure."
        )
    return checked
