"""Equation of state: energy against volume, and what follows at its minimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from ase.eos import EquationOfState as BirchMurnaghan

from stratal.errors import InputError


@dataclass(frozen=True)
class EquationOfState:
    """Energies of a uniformly scaled crystal and the fit through them."""

    volumes: np.ndarray  # (n,), Å³ per atom
    energies: np.ndarray  # (n,), eV per atom
    volume: float  # at the minimum, Å³ per atom
    energy: float  # at the minimum, eV per atom
    bulk_modulus: float  # at the minimum, eV/Å³
    scale: float  # of lengths, from the given crystal to the minimum

    @property
    def bulk_modulus_gpa(self) -> float:
        """Bulk modulus, GPa."""
        return self.bulk_modulus / units.GPa


def equation_of_state(
    crystal: Atoms, calculator: BaseCalculator, strain: float = 0.03, n_points: int = 9
) -> EquationOfState:
    """Scale a crystal uniformly and fit the Birch-Murnaghan equation of state.

    The range follows the minimum: if it lies outside, the crystal is scaled to where it is
    expected and the points are taken again.

    Args:
        crystal: with full periodic cell; atoms keep their fractional positions.
        calculator: any ASE calculator.
        strain: largest change of lengths around the minimum.
        n_points: number of volumes.

    Raises:
        InputError: no minimum of the energy within 40 % of the given lengths.
    """
    scale = 1.0
    for _ in range(20):
        factors = scale * np.linspace(1 - strain, 1 + strain, n_points)
        energies = np.array([energy_at(crystal, calculator, factor) for factor in factors])
        volumes = crystal.cell.volume * factors**3 / len(crystal)
        lowest = int(np.argmin(energies))
        if 1 < lowest < n_points - 2:
            volume, energy, modulus = BirchMurnaghan(volumes, energies, "birchmurnaghan").fit()
            new = (volume * len(crystal) / crystal.cell.volume) ** (1 / 3)
            return EquationOfState(volumes, energies, volume, energy, modulus, float(new))
        scale = float(factors[lowest])
        if not 0.6 < scale < 1.4:
            break
    raise InputError(
        f"{crystal.get_chemical_formula()}: no minimum of the energy between 0.6 and 1.4 times its "
        f"lengths. Give a crystal nearer to equilibrium, or check the potential."
    )


def energy_at(crystal: Atoms, calculator: BaseCalculator, factor: float) -> float:
    """Energy per atom of the crystal with all lengths scaled, eV."""
    scaled = crystal.copy()
    scaled.set_cell(crystal.cell.array * factor, scale_atoms=True)
    scaled.calc = calculator
    return scaled.get_potential_energy() / len(crystal)
