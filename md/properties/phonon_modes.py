"""Crystals displaced along a phonon mode, by phonopy's modulations.

In the harmonic limit the energy rises by 1/2 ω² Q², Q the mass-weighted length of the displacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from ase import Atoms, units
from phonopy import Phonopy

from stratal.errors import InputError
from stratal.md.properties.phonons import as_atoms

MAX_REPEATS = 12  # of a cell along each of its vectors
CLOSE = 1e-3  # how far a wave vector may miss a fraction: 0.333 is a third


@dataclass(frozen=True)
class DisplacedCrystal:
    """A supercell, and what moving its atoms along a mode means."""

    atoms: Atoms  # displaced
    at_rest: Atoms
    frequency: float  # ω/2π, THz; negative: imaginary
    coordinate: float  # Q, Å amu^1/2: the square root of the sum of m u²
    repeats: tuple[int, int, int]  # of the cell

    @property
    def energy(self) -> float:
        """1/2 ω² Q², eV: what the displacement costs in the harmonic limit."""
        omega = 2 * np.pi * self.frequency / (1e3 * units.fs)
        return float(0.5 * np.sign(self.frequency) * omega**2 * self.coordinate**2)


def displaced_along_mode(
    found: Phonopy,
    crystal: Atoms,
    q: Sequence[float],
    mode: int,
    amplitude: float,
    repeats: Sequence[int] | None = None,
) -> DisplacedCrystal:
    """Displace a supercell of a crystal along a mode of phonopy's.

    Lattice and places are those of phonopy's crystal; of the one given the choice of cell counts.

    Args:
        found: force constants, from `phonons` or `read_phonons`.
        crystal: any cell of phonopy's crystal, not turned.
        q: wave vector in reciprocal lattice vectors of phonopy's primitive cell.
        mode: from 1, by ascending frequency.
        amplitude: of the atom that moves farthest, Å.
        repeats: of the cell; the fewest into which the wave fits by default.

    Raises:
        InputError: another crystal, no such mode, a wave that does not fit.
    """
    n_modes = 3 * len(found.primitive)
    if not 1 <= mode <= n_modes:
        raise InputError(
            f"mode {mode}: the primitive cell of {len(found.primitive)} atoms has modes 1 to "
            f"{n_modes}. Give one of these."
        )
    cell = cell_in_primitive(crystal, found)
    wave = cell @ np.asarray(q, float)  # in reciprocal vectors of the crystal's own cell
    counts = _repeats(wave) if repeats is None else tuple(int(n) for n in repeats)
    cycles = wave * counts
    if (
        astray := np.flatnonzero(np.abs(cycles - np.round(cycles)) > CLOSE * np.array(counts))
    ).size:
        axis = int(astray[0])
        raise InputError(
            f"q = {list(q)} makes {cycles[axis]:.4g} waves in {counts[axis]} repeats along axis "
            f"{axis}; expected a whole number. Give other repeats, or none to have them chosen."
        )
    exact = np.linalg.solve(cell, np.round(cycles) / counts)
    matrix = np.diag(counts) @ cell
    # phonopy's matrices hold the new vectors as columns. Its amplitude scales them all evenly.
    modulation = found.run_modulations(matrix.T, [[exact, mode - 1, 1.0, 0.0]])
    at_rest = as_atoms(modulation.supercell)
    at_rest.set_masses(modulation.supercell.masses)
    moves = modulation.modulations[0].real
    moves *= amplitude / np.linalg.norm(moves, axis=1).max()
    atoms = at_rest.copy()
    atoms.positions += moves
    coordinate = np.sqrt((at_rest.get_masses()[:, None] * moves**2).sum())
    frequency = float(modulation.frequencies[0])
    return DisplacedCrystal(atoms, at_rest, frequency, float(coordinate), counts)


def cell_in_primitive(crystal: Atoms, found: Phonopy) -> np.ndarray:
    """Vectors of a crystal's cell in those of phonopy's primitive cell, integers ``(3, 3)``.

    Raises:
        InputError: it is not a cell of phonopy's crystal.
    """
    unit = as_atoms(found.primitive)
    rows = crystal.cell.array @ np.linalg.inv(unit.cell.array)
    cell = np.round(rows)
    count = abs(round(float(np.linalg.det(cell))))
    same = sorted(crystal.symbols) == sorted(count * list(unit.symbols))
    if not same or np.abs(rows - cell).max() > 0.05:  # what relaxation may have changed
        raise InputError(
            f"{crystal.get_chemical_formula()}: not a cell of the crystal whose phonons are given, "
            f"with primitive cell {unit.get_chemical_formula()}, "
            f"{np.round(unit.cell.array, 3).tolist()} Å. Give a cell of it that is not turned."
        )
    return cell.astype(int)


def _repeats(wave: np.ndarray) -> tuple[int, int, int]:
    """The fewest repeats of a cell into which a wave ``(3,)``, by cell, fits."""
    closest = [Fraction(float(part)).limit_denominator(MAX_REPEATS) for part in wave]
    for part, fraction in zip(wave, closest, strict=True):
        if abs(part - fraction) > CLOSE:
            raise InputError(
                f"a wave of {part:.4g} by cell fits into no supercell of up to {MAX_REPEATS} "
                f"repeats (q not commensurate). Give fractions, such as 0.25 or 0.3333."
            )
    first, second, third = (fraction.denominator for fraction in closest)
    return first, second, third
