"""A trajectory: what a simulation observed, in a folder that grows by segments.

Each segment is an HDF5 file put into place whole, so that a death leaves no half of one. Those that
are newer than the checkpoint of a run that goes on are done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from stratal.errors import InputError
from stratal.files.hdf5 import read_hdf5, write_hdf5

KIND = "md segment"
HEAD_KIND = "md trajectory"
HEAD = "systems.h5"
SEGMENT = "segment-{:06d}.h5"


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
        folder = Path(folder)
        if not (folder / HEAD).is_file():
            raise InputError(f"{folder}: no trajectory there. Give the folder of a run of `md`.")
        head = read_hdf5(folder / HEAD, HEAD_KIND)[0]
        parts = [read_hdf5(path, KIND)[0] for path in segments(folder)]
        if not parts:
            raise InputError(f"{folder}: nothing was observed yet. Let the run go on.")
        series = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
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


def segments(folder: Path) -> list[Path]:
    """Files of a trajectory, in order."""
    return sorted(folder.glob(SEGMENT.format(0).replace("000000", "*")))


def write_head(folder: Path, systems: Sequence[Atoms], timestep: float) -> None:
    """What all segments share; atoms in the order of the arrays."""
    head: dict[str, Any] = {
        "sizes": np.array([len(atoms) for atoms in systems]),
        "numbers": np.concatenate([atoms.numbers for atoms in systems]),
        "masses": np.concatenate([atoms.get_masses() for atoms in systems]),
        "pbc": np.array([atoms.pbc for atoms in systems]),
        "timestep": timestep,
    }
    write_hdf5(folder / HEAD, head, {}, HEAD_KIND)


def write_segment(folder: Path, number: int, series: dict[str, np.ndarray]) -> None:
    """Put a segment into place."""
    write_hdf5(folder / SEGMENT.format(number), series, {}, KIND)
