"""`run_md`: molecular dynamics into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms

from stratal.files import write_frames
from stratal.files.run import identity
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.simulation import Simulation
from stratal.md.dynamics.trajectory import KIND, Trajectory, head_of
from stratal.md.recording import Recording
from stratal.potentials.evaluate import Potential

FINAL = "final.extxyz"


@dataclass(frozen=True)
class Finished:
    """How a run of `run_md` went."""

    folder: Path
    n_steps: int
    stopped_by: str | None  # the signal that asked to stop, before all steps were done

    def trajectory(self) -> Trajectory:
        """What was observed."""
        return Trajectory.open(self.folder)


def run_md(
    frames: Sequence[Atoms],
    potential: Potential,
    config: MDConfig,
    folder: str | Path,
    resume: bool = False,
    interval: float = 60.0,
) -> Finished:
    """Molecular dynamics of one or several systems, side by side.

    Args:
        frames: where they start; momenta of theirs are used, else drawn for the temperature.
        potential: that covers all their elements.
        config: how; `MDConfig` tells what can be set.
        folder: for what is observed, `Trajectory` reads it; ``final.extxyz`` is the end.
        resume: go on with a run that was cut short: bit for bit as if it had not been.
        interval: s between checkpoints.

    Raises:
        InputError: settings out of range, a folder in the way or of another run, a system that
            explodes (says at which step, and what to try).
    """
    recording = Recording(Path(folder), KIND, identity(frames, potential, asdict(config)), interval)
    with jax.enable_x64(True):
        simulation = Simulation(potential, frames, config)
        systems = [entry.atoms[entry.order] for entry in simulation.entries]
        recording.begin(simulation, head_of(systems, config.timestep), resume)
        stopped_by = recording.advance(simulation)
        if not stopped_by:
            write_frames(recording.folder / FINAL, final(simulation))
    return Finished(recording.folder, simulation.n_done, stopped_by)


def final(simulation: Simulation) -> list[Atoms]:
    """The systems as they are now, atoms in the order that was given, with momenta."""
    state = simulation.state
    shape = state.momenta.shape
    positions = np.asarray(state.structures.positions).reshape(shape)
    found = []
    for number, entry in enumerate(simulation.entries):
        given = np.argsort(entry.order)
        own = slice(0, len(entry))
        atoms = entry.atoms.copy()
        change = np.linalg.solve(entry.cell, np.asarray(state.structures.cell[number]))
        atoms.set_cell(entry.atoms.cell.array @ change)
        atoms.set_positions(positions[number, own][given], apply_constraint=False)
        atoms.set_momenta(np.asarray(state.momenta)[number, own][given], apply_constraint=False)
        found.append(atoms)
    return found
