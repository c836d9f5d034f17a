"""Crystal and melt in one cell: put together in stages, left to themselves, watched.

Each stage is a run of dynamics in a folder of its own, which goes on where it was cut short; the
next begins with what it left there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms

from stratal.files import read_frames
from stratal.md.dynamics.observables import Mean, mean_of
from stratal.md.dynamics.run import FINAL, run_md
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.simulation import TOGETHER
from stratal.md.dynamics.trajectory import Trajectory
from stratal.md.melting.bond_order import crystalline
from stratal.potentials.evaluate import Potential

FEWEST, MOST = 0.15, 0.85  # share of crystalline atoms beyond which one phase is gone
ROOM = 0.1  # by which the half that melts is longer: more than nearly all expand
LOOKED_AT = 50  # frames of a run, for the share of crystal

Verdict = Literal["coexistence", "melted", "frozen"]


@dataclass(frozen=True)
class Coexistence:
    """What a cell of crystal and melt showed at constant energy."""

    temperature: Mean  # K
    pressure_gpa: Mean  # across the interfaces, which both phases share
    shares: np.ndarray  # (n_frames,), of crystalline atoms

    @property
    def verdict(self) -> Verdict:
        """Whether both phases lasted, or which was left."""
        return verdict(self.shares)


def verdict(shares: np.ndarray) -> Verdict:
    """What a series of shares of crystalline atoms tells; a phase once gone does not come back."""
    if shares.min() < FEWEST:
        return "melted"
    return "frozen" if shares.max() > MOST else "coexistence"


def crystal_alone(crystal: Atoms, potential: Potential, config: MDConfig, folder: Path) -> Atoms:
    """The crystal at a temperature and pressure, with its mean lengths there."""
    (found,) = stage([crystal], potential, config, folder)
    cells = Trajectory.open(folder).cell[:, 0]
    mean = cells[len(cells) // 2 :].mean(axis=0)
    # Cells of the trajectory are of the same lattice, perhaps by other vectors.
    found.set_cell(found.cell.array @ np.linalg.solve(cells[-1], mean), scale_atoms=True)
    return found


def half_molten(solid: Atoms, potential: Potential, config: MDConfig, folder: Path) -> Atoms:
    """The crystal after a run in which its upper half moves alone, hot and with more room."""
    frame = at_rest(with_room(solid))
    frame.set_constraint(FixAtoms(np.flatnonzero(~upper(solid))))
    (found,) = stage([frame], potential, config, folder)
    found.set_constraint()
    return found


def upper(atoms: Atoms) -> np.ndarray:
    """Which atoms lie in the upper half of the cell, ``(n_atoms,)``."""
    return atoms.get_scaled_positions()[:, 2] >= 0.5


def with_room(solid: Atoms) -> Atoms:
    """A copy whose upper half is longer: under its own pressure it would not melt."""
    found = solid.copy()
    found.wrap()
    middle = 0.5 * solid.cell.array[2]
    heights = found.get_scaled_positions()[:, 2:] - 0.5
    found.positions += np.where(upper(solid)[:, None], 2 * ROOM * heights * middle, 0)
    found.set_cell(stretched(solid, 1 + 0.5 * ROOM).cell)
    return found


def settled(
    molten: Atoms, solid: Atoms, potential: Potential, config: MDConfig, folder: Path
) -> Atoms:
    """Both phases at temperature and pressure, in a cell as long as their mean volume asks for.

    In the plane of the interfaces it is that of the crystal alone, which so is under no strain.
    """
    (found,) = stage([at_rest(molten)], potential, config, folder)
    volumes = Trajectory.open(folder).volumes[:, 0]
    longer = volumes[len(volumes) // 2 :].mean() / solid.get_volume()
    found.set_cell(stretched(solid, longer).cell, scale_atoms=True)
    return found


def left_alone(
    frames: Sequence[Atoms], potential: Potential, config: MDConfig, folder: Path
) -> list[tuple[Trajectory, int]]:
    """Runs of all systems: the trajectory of each, and which of its systems it is."""
    if len(frames[0]) <= TOGETHER:
        stage(frames, potential, config, folder)
        return [(Trajectory.open(folder), number) for number in range(len(frames))]
    found = []
    for number, frame in enumerate(frames):
        own = folder / f"length-{number + 1}"
        stage([frame], potential, replace(config, seed=config.seed + number), own)
        found.append((Trajectory.open(own), 0))
    return found


def stage(
    frames: Sequence[Atoms], potential: Potential, config: MDConfig, folder: Path
) -> list[Atoms]:
    """The systems after a run, which goes on where it was cut short.

    Raises:
        InterruptedError: a signal asked to stop.
    """
    done = run_md(frames, potential, config, folder, resume=True)
    if done.stopped_by:
        raise InterruptedError(
            f"{folder}: stopped by {done.stopped_by} after {done.n_steps} of {config.steps} steps. "
            f"Run the same again to go on."
        )
    return read_frames(folder / FINAL)


def at_rest(atoms: Atoms) -> Atoms:
    """A copy without momenta: the run that it begins draws them for its temperature."""
    found = atoms.copy()
    found.set_momenta(np.zeros((len(atoms), 3)))
    return found


def stretched(atoms: Atoms, factor: float) -> Atoms:
    """A copy whose third cell vector is longer by a factor, its atoms with it."""
    found = atoms.copy()
    found.set_cell(atoms.cell.array * [[1], [1], [factor]], scale_atoms=True)
    return found


def observed(run: Trajectory, number: int, reach: float, early: float) -> Coexistence:
    """Averages of a system past the first part of its run."""
    late = slice(int(early * len(run.steps)), None)
    across = run.pressure[late, number, 2, 2] / units.GPa
    kelvin = mean_of(run.temperature[late, number])
    return Coexistence(kelvin, mean_of(across), shares(run, number, reach, early))


def shares(run: Trajectory, number: int, reach: float, early: float) -> np.ndarray:
    """Crystalline atoms over all, in some frames of a system past the first part of its run."""
    n_frames = len(run.frame_steps)
    first = min(int(early * n_frames), n_frames - 1)
    chosen = np.unique(np.linspace(first, n_frames - 1, LOOKED_AT).astype(int))
    return np.array([crystalline(run.atoms(frame, number), reach).mean() for frame in chosen])
