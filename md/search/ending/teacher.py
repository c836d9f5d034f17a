"""What labels and relaxes structures at the end of a search: a potential, or any ASE calculator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from stratal.errors import InputError
from stratal.files import digest
from stratal.files.pytrees import leaves_of
from stratal.md.evaluators import FILTERS
from stratal.md.relax import entries_of, relax_each
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.stages import slot_sizes
from stratal.md.relaxation.state import Outcome
from stratal.potentials.batch import predict_frames
from stratal.potentials.data.label import compute, make_calculator
from stratal.potentials.evaluate import Potential
from stratal.potentials.sources import BUILT_IN, potential_from

UNCONVERGED = Outcome.UNCONVERGED.label
FAILED = "failed"  # the calculator did, of which its error tells
USABLE = (Outcome.CONVERGED.label, Outcome.OUTSIDE.label, UNCONVERGED)


@dataclass(frozen=True)
class Teacher:
    """Evaluates structures; ``info["outcome"]`` of what it relaxed says how that ended."""

    name: str
    source: Potential | BaseCalculator

    @classmethod
    def named(cls, source: str | Path, numbers: Sequence[int], options: str = "{}") -> Teacher:
        """From what a user gives for it.

        Args:
            source: folder of a library, ``emt``, ASE's name of a calculator, or module:factory.
            numbers: atomic numbers that it has to know.
            options: keyword arguments of a calculator, as JSON.

        Raises:
            InputError: none of these, or it cannot be made.
        """
        if str(source) == BUILT_IN or Path(source).is_dir():
            if options.strip() != "{}":
                raise InputError(
                    f"--options {options}: {source} is a potential and has none. Leave them out, "
                    f"or give a calculator as teacher."
                )
            return cls(Path(source).name, potential_from(source, numbers))
        return cls(str(source), make_calculator(str(source), options, "--teacher"))

    @property
    def identity(self) -> str:
        """A hash: of a potential's weights, of a calculator's class and parameters."""
        if isinstance(self.source, BaseCalculator):
            parameters = getattr(self.source, "parameters", None)
            return digest({"calculator": repr((type(self.source), parameters))})
        return digest({"potential": leaves_of(self.source)})

    def labelled(self, frames: Mapping[int, Atoms]) -> Iterator[tuple[int, Atoms]]:
        """Energy (eV), forces (eV/Å) and stress (eV/Å³) of each as it stands, by its number.

        One at which a calculator fails has the error in ``info["failure"]``.
        """
        if not isinstance(self.source, BaseCalculator):
            yield from zip(frames, evaluated(list(frames.values()), self.source), strict=True)
            return
        for number, frame in frames.items():
            try:
                yield number, compute(frame, self.source, self.name)
            except Exception as error:  # a calculator may raise anything
                yield number, failed(frame, error)

    def relaxed(
        self, frames: Mapping[int, Atoms], config: RelaxConfig
    ) -> Iterator[tuple[int, Atoms]]:
        """Each at its minimum as soon as it is there, by its number."""
        numbers = list(frames)
        if isinstance(self.source, BaseCalculator):
            for number, frame in frames.items():
                yield number, relaxed_by(self.source, frame, config, self.name)
            return
        entries = entries_of(frames.values(), self.source, config)
        size = slot_sizes(entries, self.source, config.skin, most=1) if entries else ()
        for result in relax_each(frames.values(), self.source, config, size):
            number, atoms, outcome = numbers[result.number], result.atoms, result.outcome.label
            if outcome not in USABLE:
                yield number, without_results(frames[number], outcome)
                continue
            atoms.info = {"outcome": outcome, "level_of_theory": self.name}
            yield number, atoms


def evaluated(frames: Sequence[Atoms], potential: Potential) -> list[Atoms]:
    """Copies with what a potential says of them."""
    if not frames:
        return []
    told = predict_frames(frames, lambda _: potential)
    found = []
    each = zip(frames, told.energy, told.forces, told.stress, strict=True)
    for frame, energy, forces, stress in each:
        atoms = frame.copy()
        results = {"energy": float(energy), "forces": forces}
        if atoms.cell.rank == 3:
            results["stress"] = stress
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def relaxed_by(calculator: BaseCalculator, frame: Atoms, config: RelaxConfig, name: str) -> Atoms:
    """A structure at the minimum of a calculator, by ASE's BFGS: few evaluations, each dear."""
    atoms = frame.copy()
    atoms.calc = calculator
    target: Any = atoms
    if config.cell != "fixed":
        own = FILTERS[config.cell]
        target = FrechetCellFilter(atoms, scalar_pressure=config.pressure, **own)
    try:
        done = BFGS(cast(Any, target), logfile=None).run(fmax=config.fmax, steps=config.max_steps)
        found = compute(atoms, calculator, name)
    except Exception as error:  # a calculator may raise anything
        return failed(frame, error)
    found.info = {"outcome": Outcome.CONVERGED.label if done else UNCONVERGED}
    found.info["level_of_theory"] = name
    return found


def failed(frame: Atoms, error: Exception) -> Atoms:
    """The structure as it was, with what went wrong."""
    atoms = without_results(frame, FAILED)
    atoms.info["failure"] = f"{type(error).__name__}: {error}".splitlines()[0]
    return atoms


def without_results(frame: Atoms, outcome: str) -> Atoms:
    """The structure as it was."""
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    atoms.info["outcome"] = outcome
    return atoms
