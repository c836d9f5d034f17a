"""Equation of state: energy against volume, and what follows at its minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from ase.eos import EquationOfState as BirchMurnaghan

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential

# What relaxes at each volume: the atoms, or the cell's shape as well.
AtVolume = Literal["fixed", "fixed volume"]

FEWEST = 5  # volumes, so that the lowest can have two neighbors to each side
ROUNDS = 20  # in which the points may follow a minimum
REACH = (0.6, 1.4)  # of the given lengths, within which a minimum is looked for


@dataclass(frozen=True)
class EquationOfState:
    """Energies of a crystal at several volumes and the fit through them."""

    volumes: np.ndarray  # (n,), Å³ per atom
    energies: np.ndarray  # (n,), eV per atom
    volume: float  # at the minimum, Å³ per atom
    energy: float  # at the minimum, eV per atom
    bulk_modulus: float  # at the minimum, eV/Å³
    bulk_modulus_derivative: float  # B', with pressure, at the minimum
    scale: float  # of lengths, from the given crystal to the minimum

    @property
    def bulk_modulus_gpa(self) -> float:
        """Bulk modulus, GPa."""
        return self.bulk_modulus / units.GPa


def equation_of_state(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    strain: float = 0.03,
    n_points: int = 9,
    relax: AtVolume | None = None,
    fmax: float = 1e-3,
) -> EquationOfState:
    """`equations_of_state` of one crystal."""
    return equations_of_state([crystal], source, strain, n_points, relax, fmax)[0]


def equations_of_state(
    crystals: Sequence[Atoms],
    source: Potential | BaseCalculator | Evaluator,
    strain: float = 0.03,
    n_points: int = 9,
    relax: AtVolume | None = None,
    fmax: float = 1e-3,
) -> list[EquationOfState]:
    """Scale crystals and fit Birch-Murnaghan equations of state, all volumes evaluated at once.

    The range follows each minimum: where it lies outside, the crystal is scaled to where it is
    expected and the points are taken again.

    Args:
        crystals: periodic in three directions.
        source: a potential, or any ASE calculator.
        strain: largest change of lengths around the minimum.
        n_points: number of volumes.
        relax: at each volume ``"fixed"`` relaxes the atoms, ``"fixed volume"`` the shape of the
            cell as well; without, atoms keep their fractional positions.
        fmax: of that relaxation, eV/Å.

    Raises:
        InputError: not a crystal, too few points, no minimum of the energy within 40 % of the given
            lengths.
    """
    if n_points < FEWEST:
        raise InputError(f"equation of state: {n_points} volumes; give {FEWEST} or more.")
    for crystal in crystals:
        check_crystal(crystal)
    evaluate = evaluator(source)
    around = np.linspace(1 - strain, 1 + strain, n_points)
    scales = np.ones(len(crystals))
    found: dict[int, EquationOfState] = {}
    for _ in range(ROUNDS):
        left = [n for n in range(len(crystals)) if n not in found]
        if not left:
            break
        frames = [scaled(crystals[n], factor) for n in left for factor in scales[n] * around]
        frames = evaluate.relaxed(frames, fmax, relax) if relax else frames
        energies = evaluate.evaluate(frames).energy.reshape(len(left), n_points)
        for n, total in zip(left, energies, strict=True):
            factors, lowest = scales[n] * around, int(np.argmin(total))
            if 1 < lowest < n_points - 2:
                found[n] = fitted(crystals[n], factors, total)
            scales[n] = factors[lowest]
            if not REACH[0] < scales[n] < REACH[1]:
                raise no_minimum(crystals[n])
    for n, crystal in enumerate(crystals):
        if n not in found:
            raise no_minimum(crystal)
    return [found[n] for n in range(len(crystals))]


def check_crystal(crystal: Atoms) -> None:
    """Refuse what has no volume.

    Raises:
        InputError: not periodic in three directions.
    """
    if not crystal.pbc.all() or crystal.cell.rank < 3:
        raise InputError(
            f"{crystal.get_chemical_formula()}: equations of state are of crystals, periodic in "
            f"three directions."
        )


def scaled(crystal: Atoms, factor: float) -> Atoms:
    """A copy with all lengths scaled."""
    copy = crystal.copy()
    copy.set_cell(crystal.cell.array * factor, scale_atoms=True)
    return copy


def fitted(crystal: Atoms, factors: np.ndarray, energies: np.ndarray) -> EquationOfState:
    """The curve through energies of a crystal.

    F. Birch, Phys. Rev. 71, 809 (1947), by ASE's fit.

    Args:
        crystal: as given.
        factors: by which its lengths are scaled, ``(n,)``.
        energies: of the cell, ``(n,)``, eV.
    """
    volumes, energies = crystal.cell.volume * factors**3 / len(crystal), energies / len(crystal)
    curve = BirchMurnaghan(volumes, energies, "birchmurnaghan")
    volume, energy, modulus = curve.fit()
    derivative = float(curve.eos_parameters[2])
    scale = float((volume * len(crystal) / crystal.cell.volume) ** (1 / 3))
    return EquationOfState(volumes, energies, volume, energy, modulus, derivative, scale)


def no_minimum(crystal: Atoms) -> InputError:
    """What is said where the energy has no minimum within reach."""
    return InputError(
        f"{crystal.get_chemical_formula()}: no minimum of the energy between {REACH[0]} and "
        f"{REACH[1]} times its lengths. Give a crystal nearer to equilibrium, or check the "
        f"potential."
    )
