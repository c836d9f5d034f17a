"""Settings of dynamics: one field per key of the ``[md]`` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase import units

from stratal.errors import InputError
from stratal.md.dynamics.bussi import Bussi
from stratal.md.dynamics.cell_rescaling import CellRescaling
from stratal.md.dynamics.langevin import Langevin
from stratal.md.dynamics.nose_hoover import NoseHoover
from stratal.md.dynamics.nve import NVE
from stratal.md.dynamics.state import Ensemble

Thermostat = Literal["bussi", "langevin", "nose-hoover", "none"]
Barostat = Literal["none", "isotropic", "anisotropic", "full"]
THERMOSTATS = ("bussi", "langevin", "nose-hoover", "none")
BAROSTATS = ("none", "isotropic", "anisotropic", "full")


@dataclass(frozen=True)
class MDConfig:
    """How atoms move; each field is a key of the ``[md]`` table."""

    steps: int = 10_000
    timestep: float = 2.0  # fs
    temperature: float = 300.0  # K
    temperature_end: float | None = None  # K, reached evenly; by default as at the start
    thermostat: Thermostat = "bussi"  # none: constant energy
    relaxation_time: float = 100.0  # fs, of the thermostat
    barostat: Barostat = "none"  # what of the cell changes; with thermostat bussi
    pressure_gpa: float = 0.0
    pressure_end_gpa: float | None = None
    cell_relaxation_time: float = 1000.0  # fs, of the barostat
    compressibility: float = 0.01  # 1/GPa, about that of the system: 0.007 of copper
    replicas: int = 1  # of each structure, with other random numbers
    seed: int = 0
    sample_every: int = 10  # steps between samples of energies, temperature, pressure
    frame_every: int = 100  # steps between frames of the trajectory; 0: none
    precision: Literal["float64", "float32"] = "float64"  # of forces
    skin: float = 0.6  # Å, of neighbor lists

    def __post_init__(self) -> None:
        above = ("steps", "timestep", "relaxation_time", "cell_relaxation_time", "compressibility")
        for key in (*above, "replicas", "sample_every", "skin"):
            if not getattr(self, key) > 0:
                raise InputError(f"md.{key} = {getattr(self, key)}: give a number above 0.")
        for key in ("temperature", "temperature_end", "frame_every"):
            if (value := getattr(self, key)) is not None and not value >= 0:
                raise InputError(f"md.{key} = {value}: give 0 or more.")
        for key, known in (
            ("thermostat", THERMOSTATS),
            ("barostat", BAROSTATS),
            ("precision", ("float64", "float32")),
        ):
            if getattr(self, key) not in known:
                raise InputError(
                    f"md.{key} = {getattr(self, key)!r}: give one of {', '.join(known)}."
                )
        if self.barostat != "none" and self.thermostat != "bussi":
            raise InputError(
                f"md.barostat = {self.barostat!r} with thermostat {self.thermostat!r}: cells are "
                f"rescaled together with thermostat bussi. Give that, or no barostat."
            )
        if self.frame_every % self.sample_every:
            raise InputError(
                f"md.frame_every = {self.frame_every}: give a multiple of sample_every = "
                f"{self.sample_every}."
            )
        if self.steps % (self.frame_every or self.sample_every):
            raise InputError(
                f"md.steps = {self.steps}: give a multiple of frame_every or, without frames, of "
                f"sample_every, so that the last sample is at the end."
            )

    @property
    def ensemble(self) -> Ensemble:
        """The integrator that these settings ask for."""
        time = self.relaxation_time * units.fs
        if self.barostat != "none":
            return CellRescaling(
                relaxation_time=time,
                cell_relaxation_time=self.cell_relaxation_time * units.fs,
                compressibility=self.compressibility / units.GPa,
                change=self.barostat,
            )
        if self.thermostat == "langevin":
            return Langevin(time)
        if self.thermostat == "nose-hoover":
            return NoseHoover(time)
        return Bussi(time) if self.thermostat == "bussi" else NVE()
