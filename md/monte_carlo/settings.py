"""Settings of Monte Carlo: one field per key of the ``[mc]`` table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ase.data import atomic_numbers

from stratal.errors import InputError
from stratal.md.dynamics.settings import Barostat, MDConfig
from stratal.md.relaxation.entries import CELL_MODES, CellMode

Between = Literal["nothing", "relax", "md"]


@dataclass(frozen=True)
class MCConfig:
    """How elements change places; each field is a key of the ``[mc]`` table.

    Without chemical potentials two atoms of different elements change places (canonical); with
    them one atom becomes another element (semi-grand canonical: as many atoms, any composition).
    """

    sweeps: int = 1000  # of as many trials as the largest system has atoms
    temperature: float = 300.0  # K
    temperature_end: float | None = None  # K, reached evenly; by default as at the start
    temperatures: tuple[float, ...] = ()  # K, instead: replicas at each of them, side by side
    # eV by element; only their differences count, and only these elements turn into each other.
    chemical_potentials: dict[str, float] = field(default_factory=dict)
    between: Between = "nothing"  # what atoms do between sweeps
    between_every: int = 10  # sweeps
    md_steps: int = 100  # each time, with between = md
    timestep: float = 2.0  # fs, of these
    barostat: Barostat = "none"  # of these
    pressure_gpa: float = 0.0
    cell: CellMode = "free"  # what may change, with between = relax
    fmax: float = 0.02  # eV/Å, of these relaxations
    shells: tuple[float, ...] = ()  # outer radii of neighbor shells, Å; the first by default
    # Integers in the reciprocal of the given cells, for structure factors.
    wavevectors: tuple[tuple[int, int, int], ...] = ()
    replicas: int = 1  # of each structure (and temperature), with other random numbers
    seed: int = 0
    sample_every: int = 1  # sweeps between samples of energy, composition, order
    frame_every: int = 100  # sweeps between frames; 0: none
    precision: Literal["float64", "float32"] = "float64"  # of energies

    def __post_init__(self) -> None:
        for key in ("sweeps", "between_every", "md_steps", "timestep", "fmax", "sample_every"):
            if not getattr(self, key) > 0:
                raise InputError(f"mc.{key} = {getattr(self, key)}: give a number above 0.")
        if self.between not in ("nothing", "relax", "md"):
            raise InputError(f"mc.between = {self.between!r}: give nothing, relax or md.")
        if self.cell not in CELL_MODES:
            raise InputError(f"mc.cell = {self.cell!r}: give one of {', '.join(CELL_MODES)}.")
        self.check_elements()
        self.check_shells()
        if any(kelvin < 0 for kelvin in self.temperatures):
            raise InputError(f"mc.temperatures = {self.temperatures}: give 0 K or more.")
        for key in ("frame_every", *(("between_every",) * (self.between != "nothing"))):
            if getattr(self, key) % self.sample_every:
                raise InputError(
                    f"mc.{key} = {getattr(self, key)}: give a multiple of sample_every = "
                    f"{self.sample_every}."
                )
        if self.sweeps % self.stride:
            raise InputError(
                f"mc.sweeps = {self.sweeps}: give a multiple of {self.stride}, so that the last "
                f"sample, frame and motion are at the end."
            )
        _ = self.dynamics  # its checks

    def check_elements(self) -> None:
        """Chemical potentials are of two elements or more."""
        for symbol in self.chemical_potentials:
            if symbol not in atomic_numbers:
                raise InputError(
                    f"mc.chemical_potentials: {symbol!r} is no element. Give symbols, such as Cu."
                )
        if len(self.chemical_potentials) == 1:
            raise InputError(
                f"mc.chemical_potentials = {self.chemical_potentials}: one element has nothing to "
                f"turn into. Give two or more, or none to exchange atoms."
            )

    def check_shells(self) -> None:
        """Radii ascend from above 0."""
        if list(self.shells) != sorted({radius for radius in self.shells if radius > 0}):
            raise InputError(f"mc.shells = {self.shells}: give radii above 0 Å, ascending.")

    @property
    def stride(self) -> int:
        """Sweeps after which samples, frames and motion are all due."""
        if self.between != "nothing" and self.frame_every % self.between_every:
            raise InputError(
                f"mc.frame_every = {self.frame_every}: give a multiple of between_every = "
                f"{self.between_every}."
            )
        moves = self.between_every if self.between != "nothing" else self.sample_every
        return self.frame_every or moves

    @property
    def dynamics(self) -> MDConfig:
        """Of the molecular dynamics between sweeps; its samples are not kept."""
        rounds = self.sweeps // self.between_every if self.between == "md" else 1
        return MDConfig(
            steps=max(1, rounds) * self.md_steps,
            timestep=self.timestep,
            temperature=self.temperature,
            temperature_end=self.temperature_end,
            barostat=self.barostat,
            pressure_gpa=self.pressure_gpa,
            replicas=self.replicas * max(1, len(self.temperatures)),
            seed=self.seed,
            sample_every=self.md_steps,
            frame_every=0,
            precision=self.precision,
            skin=0.6 if self.between == "md" else 0.1,
        )
