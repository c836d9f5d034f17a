"""Melting points from crystal and melt side by side in one cell.

At constant energy two phases find their temperature by themselves: where it is too hot, crystal
melts and takes up heat; where too cold, melt freezes and gives it off. The mean temperature is then
the melting point at the mean pressure: J. R. Morris, C. Z. Wang, K. M. Ho and C. T. Chan, Phys.
Rev. B 49, 3109 (1994). Cells with a thermostat have to be watched at many temperatures until each
has frozen or melted, and tell two bounds; this takes one run and gives an average with its error.

Cells of a few lengths come to a few pressures, and a line through them gives the melting point at
the pressure asked for: L.-F. Zhu et al., Comput. Mater. Sci. 187, 110065 (2021). The pressure is
that across the interfaces, which both phases share; along them the interfaces pull.

Example::

    crystal = elongated(bulk("Cu", cubic=True, a=3.6), n_atoms=1000)
    found = melting_point(crystal, potential, MeltingConfig(guess=1300), "melting")
    print(found.temperature, "K")

For elements, and compounds that melt as they are: in other alloys the two phases differ in
composition, and atoms do not diffuse through a crystal while a simulation lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.md.dynamics.observables import Mean
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.trajectory import Trajectory
from stratal.md.melting.bond_order import crystalline
from stratal.md.melting.two_phases import (
    Coexistence,
    Verdict,
    at_rest,
    crystal_alone,
    half_molten,
    left_alone,
    observed,
    settled,
    shares,
    stretched,
    verdict,
)
from stratal.md.structures.radial_distribution import shortest_distances
from stratal.potentials.evaluate import Potential

STEP = 0.1  # of the trial temperature, where a phase was gone
NEAR = 0.07  # of it, within which the crystal has the right lengths for the melting point
SHORTEST = 8.0  # of a cell across the interfaces, in reaches of neighbors
SAMPLES = 200  # of coexistence, for errors that can be trusted


@dataclass(frozen=True)
class MeltingConfig:
    """How a melting point is looked for."""

    guess: float  # K; more than a few percent off costs rounds
    pressure_gpa: float = 0.0
    equilibration: int = 5_000  # steps of each stage that prepares coexistence
    steps: int = 30_000  # of coexistence
    early: float = 0.3  # part of these that does not count
    lengths: tuple[float, ...] = (0.99, 1.0, 1.01)  # factors of the cell across the interfaces
    overheating: float = 2.0  # times the trial temperature: there half of the crystal melts
    rounds: int = 4  # trial temperatures, at most
    reach: float = 1.35  # of neighbors that are compared, in shortest distances of the crystal
    # Time step, relaxation times, compressibility, precision, seed and the like of all runs;
    # steps, temperature, pressure and ensemble are those of each stage.
    motion: MDConfig = field(default_factory=MDConfig)

    def __post_init__(self) -> None:
        for key in ("guess", "reach", "rounds"):
            if not getattr(self, key) > 0:
                raise InputError(f"melting.{key} = {getattr(self, key)}: give a number above 0.")
        if not self.overheating > 1:
            raise InputError(
                f"melting.overheating = {self.overheating}: give a factor above 1, such as 2."
            )
        if not 0 <= self.early < 1:
            raise InputError(f"melting.early = {self.early}: give a part from 0 to below 1.")
        if len(set(self.lengths)) < 2 or not all(0.8 < one < 1.2 for one in self.lengths):
            raise InputError(
                f"melting.lengths = {self.lengths}: give two or more different factors near 1, "
                f"such as 0.99, 1, 1.01."
            )
        if not self.motion.frame_every:
            raise InputError("melting.motion.frame_every = 0: give a number of steps, such as 100.")
        n_samples = int((1 - self.early) * self.steps / self.motion.sample_every)
        if n_samples < SAMPLES:
            raise InputError(
                f"melting.steps = {self.steps}: {n_samples} samples would count, expected "
                f"{SAMPLES} or more. Give more steps."
            )
        for stage in (self.at_volume, self.at_energy):
            stage(self.guess)  # refuses steps that do not suit those between frames

    def at_pressure(self, kelvin: float) -> MDConfig:
        """Of a stage at constant temperature and pressure."""
        return replace(self.at_volume(kelvin), barostat="anisotropic")

    def at_volume(self, kelvin: float) -> MDConfig:
        """Of a stage at constant temperature and volume."""
        return replace(
            self.motion,
            steps=self.equilibration,
            temperature=kelvin,
            temperature_end=None,
            thermostat="bussi",
            barostat="none",
            pressure_gpa=self.pressure_gpa,
            pressure_end_gpa=None,
            replicas=1,
        )

    def at_energy(self, kelvin: float) -> MDConfig:
        """Of coexistence; momenta are drawn for a temperature."""
        return replace(self.at_volume(kelvin), steps=self.steps, thermostat="none")


@dataclass(frozen=True)
class Trial:
    """A temperature at which crystal and melt were put together, and what became of them."""

    temperature: float  # K
    systems: tuple[Coexistence, ...] = ()
    lost: Verdict | None = None  # which phase was left, where one went while they were prepared

    @property
    def coexisting(self) -> tuple[Coexistence, ...]:
        """Systems that kept both phases."""
        return tuple(one for one in self.systems if one.verdict == "coexistence")

    @property
    def verdict(self) -> Verdict:
        """Coexistence where two systems or more show it, else what most have come to."""
        if self.lost is not None:
            return self.lost
        if len(self.coexisting) >= 2:
            return "coexistence"
        found = [system.verdict for system in self.systems]
        return "melted" if found.count("melted") >= found.count("frozen") else "frozen"


@dataclass(frozen=True)
class MeltingPoint:
    """Where crystal and melt coexist."""

    temperature: Mean  # K, at the pressure asked for
    slope: Mean  # dT/dp of the melting line, K/GPa
    trials: tuple[Trial, ...]  # the result is from the last


def melting_point(
    crystal: Atoms, potential: Potential, config: MeltingConfig, folder: str | Path
) -> MeltingPoint:
    """The melting point of a crystal; called again with the same arguments it goes on.

    Args:
        crystal: a long cell of it, such as `elongated` makes, of some hundred atoms or more.
        potential: that covers its elements.
        config: how.
        folder: for the runs, each in a folder of its own.

    Raises:
        InputError: a cell that does not suit, a folder of something else, no coexistence at any
            trial temperature (says what was found at each, and what to change).
        InterruptedError: a signal asked to stop.
    """
    check(crystal, config)
    trials: list[Trial] = []
    for number in range(1, config.rounds + 1):
        kelvin = next_temperature(trials) if trials else config.guess
        own = Path(folder) / f"round-{number}"
        trials.append(attempt(crystal, potential, config, kelvin, own))
        if trials[-1].verdict == "coexistence":
            value, slope = through(trials[-1].coexisting, config.pressure_gpa)
            if abs(value.value / kelvin - 1) < NEAR or number == config.rounds:
                return MeltingPoint(value, slope, tuple(trials))
    tried = ", ".join(f"{trial.verdict} at {trial.temperature:.0f} K" for trial in trials)
    raise InputError(
        f"{folder}: crystal and melt did not coexist: {tried}. Give a guess between those at which "
        f"it froze and melted, more rounds, or a longer cell, whose phases last longer."
    )


def elongated(crystal: Atoms, n_atoms: int = 1000, aspect: float = 2.0) -> Atoms:
    """Copies of a crystal in a cell whose third vector is longer than the others.

    Args:
        crystal: a cell whose third vector is along z, the others across it.
        n_atoms: about.
        aspect: the third vector's length over those of the others, about.
    """
    width = (n_atoms * crystal.get_volume() / len(crystal) / aspect) ** (1 / 3)
    counts = np.array([width, width, aspect * width]) / crystal.cell.lengths()
    return crystal * tuple(max(1, round(count)) for count in counts)


def attempt(
    crystal: Atoms, potential: Potential, config: MeltingConfig, kelvin: float, folder: Path
) -> Trial:
    """Put crystal and melt together at a temperature, then leave them alone.

    Raises:
        InputError: half of the crystal did not melt.
    """
    reach = reach_of(crystal, config)
    solid = crystal_alone(crystal, potential, config.at_pressure(kelvin), folder / "crystal")
    if verdict(shares(Trajectory.open(folder / "crystal"), 0, reach, 0.5)) == "melted":
        return Trial(kelvin, lost="melted")
    hot = config.at_volume(config.overheating * kelvin)
    molten = half_molten(solid, potential, hot, folder / "melt")
    if (share := crystalline(molten, reach).mean()) > 0.75:
        raise InputError(
            f"{folder / 'melt'}: {100 * share:.0f} % of the atoms are crystalline after "
            f"{hot.steps} steps at {hot.temperature:.0f} K, which should have melted half of them. "
            f"Give more overheating than {config.overheating}, or more steps of equilibration."
        )
    both = settled(molten, solid, potential, config.at_pressure(kelvin), folder / "settled")
    if (left := verdict(crystalline(both, reach).mean(keepdims=True))) != "coexistence":
        return Trial(kelvin, lost=left)
    frames = [at_rest(stretched(both, factor)) for factor in config.lengths]
    runs = left_alone(frames, potential, config.at_energy(kelvin), folder / "coexistence")
    return Trial(kelvin, tuple(observed(*run, reach, config.early) for run in runs))


def next_temperature(trials: Sequence[Trial]) -> float:
    """Where to try next, K: where two phases were, between what froze and melted, or a step on."""
    if trials[-1].verdict == "coexistence":
        return float(np.mean([one.temperature.value for one in trials[-1].coexisting]))
    melted = [trial.temperature for trial in trials if trial.verdict == "melted"]
    frozen = [trial.temperature for trial in trials if trial.verdict == "frozen"]
    if melted and frozen:
        return 0.5 * (min(melted) + max(frozen))
    return (1 - STEP) * min(melted) if melted else (1 + STEP) * max(frozen)


def through(systems: Sequence[Coexistence], pressure_gpa: float) -> tuple[Mean, Mean]:
    """Temperature (K) at a pressure, and slope (K/GPa), of a line through two systems or more.

    Errors are those of the systems' means, or the scatter about the line where it is larger.
    """
    kelvin, error = np.array([one.temperature for one in systems]).T
    pressure, pressure_error = np.array([one.pressure_gpa for one in systems]).T
    apart = pressure - pressure_gpa
    slope = np.polyfit(apart, kelvin, 1)[0]
    errors = np.hypot(error, slope * pressure_error)
    rows = np.stack([np.ones_like(apart), apart], axis=1) / errors[:, None]
    covariance = np.linalg.inv(rows.T @ rows)
    line = covariance @ rows.T @ (kelvin / errors)
    n_free = len(systems) - 2
    scatter = np.sum((rows @ line - kelvin / errors) ** 2) / n_free if n_free else 1.0
    deviations = np.sqrt(np.diag(covariance) * max(1.0, scatter))
    value, slope = (Mean(float(v), float(e)) for v, e in zip(line, deviations, strict=True))
    return value, slope


def check(crystal: Atoms, config: MeltingConfig) -> None:
    """Refuse cells in which crystal and melt cannot lie one above the other."""
    cell = crystal.cell.array
    tilted = np.abs([*cell[:2, 2], *cell[2, :2]]).max() > 1e-6 * np.abs(cell).max()
    if tilted or not crystal.pbc.all():
        raise InputError(
            f"crystal with cell {cell.round(3).tolist()}: its third vector has to be along z, the "
            f"others across it, all periodic. Begin with a conventional cell and `elongated`."
        )
    reach = reach_of(crystal, config)
    if cell[2, 2] < SHORTEST * reach:
        raise InputError(
            f"crystal of {len(crystal)} atoms, {cell[2, 2]:.1f} Å long: too short for a melt and a "
            f"crystal between two interfaces; expected {SHORTEST * reach:.1f} Å or more. Repeat it "
            f"along z."
        )
    if crystalline(crystal, reach).mean() < 0.95:
        raise InputError(
            "crystal: its atoms are not told from those of a melt, as neighbors' surroundings "
            "differ. Give the perfect crystal, or another `reach`."
        )


def reach_of(crystal: Atoms, config: MeltingConfig) -> float:
    """Within which atoms are neighbors, Å."""
    return config.reach * min(shortest_distances(crystal).values())
