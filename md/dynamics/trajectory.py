"""A trajectory: what a simulation observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from stratal.md.recording import read_recording

KIND = "dynamics"


@dataclass(frozen=True)
class Trajectory:
    """Samples of one or several systems; series have the samples along the first axis."""

    numbers: tuple[np.ndarray, ...]  # atomic numbers of each system
    masses: tuple[np.ndarray, ...]  # amu
    pbc: np.ndarray  # (n_systems, 3)
    timestep: float  # fs
    steps: np.ndarray  # (n,), at which samples were taken
    energy: np.ndarray  # (n, n_systems), potential energy, eV
    kinetic: np.ndarray  # (n, n_systems), eV
    temperature: np.ndarray  # (n, n_systems), K
    pressure: np.ndarray  # (n, n_systems, 3, 3), eV/Å³, positive when compressed
    conserved: np.ndarray  # (n, n_systems), eV
    cell: np.ndarray  # (n, n_systems, 3, 3), Å
    frame_steps: np.ndarray  # (n_frames,)
    positions: np.ndarray  # (n_frames, n_systems, n_places, 3), Å; never wrapped
    momenta: np.ndarray  # alike, sqrt(amu eV)

    @classmethod
    def open(cls, folder: str | Path) -> Trajectory:
        """Read the trajectory of a run, finished or not.

        Raises:
            InputError: no trajectory there, or one that is damaged.
        """
        head, series = read_recording(folder, KIND)
        ends = np.cumsum(head["sizes"])[:-1]
        return cls(
            numbers=tuple(np.split(head["numbers"], ends)),
            masses=tuple(np.split(head["masses"], ends)),
            pbc=head["pbc"],
            timestep=float(head["timestep"]),
            **series,
        )

    @property
    def times(self) -> np.ndarray:
        """Of samples, ``(n,)``, ps."""
        return 1e-3 * self.timestep * self.steps

    @property
    def frame_times(self) -> np.ndarray:
        """Of frames, ``(n_frames,)``, ps."""
        return 1e-3 * self.timestep * self.frame_steps

    @property
    def volumes(self) -> np.ndarray:
        """``(n, n_systems)``, Å³."""
        return np.abs(np.linalg.det(self.cell))

    @property
    def pressure_gpa(self) -> np.ndarray:
        """``(n, n_systems)``, GPa."""
        return np.trace(self.pressure, axis1=2, axis2=3) / 3 / units.GPa

    def system(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions (Å) and velocities (Å/ps) of one system, ``(n_frames, n_atoms, 3)`` each."""
        n_atoms = len(self.numbers[number])
        velocities = self.momenta[:, number, :n_atoms] / self.masses[number][:, None]
        return self.positions[:, number, :n_atoms], velocities * 1e3 * units.fs

    def atoms(self, frame: int, number: int = 0) -> Atoms:
        """A system at a frame, as ASE has it, with its potential energy."""
        n_atoms = len(self.numbers[number])
        sample = int(np.searchsorted(self.steps, self.frame_steps[frame]))
        atoms = Atoms(
            self.numbers[number],
            self.positions[frame, number, :n_atoms],
            cell=self.cell[sample, number],
            pbc=self.pbc[number],
            masses=self.masses[number],
            momenta=self.momenta[frame, number, :n_atoms],
        )
        atoms.info["step"] = int(self.frame_steps[frame])
        atoms.calc = SinglePointCalculator(atoms, energy=float(self.energy[sample, number]))
        return atoms


def head_of(systems: Sequence[Atoms], timestep: float) -> dict[str, Any]:
    """What all segments share; atoms in the order of the arrays."""
    return {
        "sizes": np.array([len(atoms) for atoms in systems]),
        "numbers": np.concatenate([atoms.numbers for atoms in systems]),
        "masses": np.concatenate([atoms.get_masses() for atoms in systems]),
        "pbc": np.array([atoms.pbc for atoms in systems]),
        "timestep": timestep,
    }
