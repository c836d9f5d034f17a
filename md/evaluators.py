"""Energies, forces and stresses of many structures, by a potential in batches or any calculator.

Properties ask for nothing else, so that each has its twin by an ASE calculator, which labels by
another code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from stratal.errors import InputError
from stratal.md.paths.neb import Path, minimum_energy_paths
from stratal.md.relax import relax
from stratal.md.relaxation.entries import CellMode
from stratal.potentials.batch import Predictions, predict_frames
from stratal.potentials.evaluate import Potential

# What ASE's filter is given for each way in which a cell may change.
FILTERS: dict[str, dict[str, Any]] = {
    "free": {},
    "fixed volume": {"constant_volume": True},
    "fixed shape": {"hydrostatic_strain": True},
    "plane": {"mask": [True, True, False, False, False, True]},  # for vectors in x and y
}


class Evaluator(Protocol):
    """What properties need."""

    def evaluate(self, frames: Sequence[Atoms]) -> Predictions:
        """Energies (eV), forces (eV/Å) and stresses (eV/Å³)."""
        ...

    def relaxed(self, frames: Sequence[Atoms], fmax: float, cell: CellMode) -> list[Atoms]:
        """The structures at their minima.

        Raises:
            InputError: one does not converge.
        """
        ...

    def paths(self, ends: Sequence[Sequence[Atoms]], **settings: Any) -> list[Path]:
        """Paths of least energy between minima, with settings of `NEBConfig`."""
        ...


class ByPotential:
    """Many structures at once on this process's device."""

    def __init__(self, potential: Potential) -> None:
        self.potential = potential

    def evaluate(self, frames: Sequence[Atoms]) -> Predictions:
        """All in few batches."""
        return predict_frames(frames, lambda _: self.potential)

    def relaxed(self, frames: Sequence[Atoms], fmax: float, cell: CellMode) -> list[Atoms]:
        """All in flight."""
        results = relax(frames, self.potential, fmax=fmax, cell=cell)
        for result in results:
            if not result.converged:
                raise InputError(
                    f"structure {result.number} ({result.atoms.get_chemical_formula()}) ended "
                    f"{result.outcome.label} after {result.n_steps} steps of its relaxation. Start "
                    f"nearer to a minimum, or give a larger fmax."
                )
        return [result.atoms for result in results]

    def paths(self, ends: Sequence[Sequence[Atoms]], **settings: Any) -> list[Path]:
        """All images of all paths at once."""
        return minimum_energy_paths(ends, self.potential, **settings)


class ByCalculator:
    """One structure after the other."""

    def __init__(self, calculator: BaseCalculator, max_steps: int = 1000) -> None:
        self.calculator, self.max_steps = calculator, max_steps

    def evaluate(self, frames: Sequence[Atoms]) -> Predictions:
        """By the calculator; a stress that it cannot tell is NaN."""
        energies, forces, stresses = [], [], []
        for frame in frames:
            atoms = frame.copy()
            atoms.calc = self.calculator
            energies.append(atoms.get_potential_energy())
            forces.append(atoms.get_forces())
            told = atoms.cell.rank == 3 and "stress" in self.calculator.implemented_properties
            stresses.append(atoms.get_stress() if told else np.full(6, np.nan))
        return Predictions(np.array(energies), tuple(forces), np.array(stresses))

    def relaxed(self, frames: Sequence[Atoms], fmax: float, cell: CellMode) -> list[Atoms]:
        """By ASE's FIRE."""
        found = []
        for number, frame in enumerate(frames):
            atoms = frame.copy()
            atoms.calc = self.calculator
            target = atoms if cell == "fixed" else FrechetCellFilter(atoms, **FILTERS[cell])
            if not FIRE(cast(Any, target), logfile=None).run(fmax=fmax, steps=self.max_steps):
                raise InputError(
                    f"structure {number} ({atoms.get_chemical_formula()}) did not converge in "
                    f"{self.max_steps} steps of its relaxation. Start nearer to a minimum."
                )
            found.append(atoms)
        return found

    def paths(self, ends: Sequence[Sequence[Atoms]], **settings: Any) -> list[Path]:
        """By ASE's NEB."""
        return minimum_energy_paths(ends, self.calculator, **settings)


def evaluator(source: Potential | BaseCalculator | Evaluator) -> Evaluator:
    """What evaluates structures, from a potential or a calculator."""
    if isinstance(source, BaseCalculator):
        return ByCalculator(source)
    if hasattr(source, "relaxed"):
        return cast(Evaluator, source)
    return ByPotential(cast(Potential, source))
