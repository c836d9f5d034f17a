"""Run dynamics into a folder: observed samples, frames, a checkpoint to go on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.files import Checkpoint, interruptible, write_frames
from stratal.files.run import identity
from stratal.md.dynamics.program import Samples
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.simulation import Simulation
from stratal.md.dynamics.trajectory import (
    SEGMENT,
    Trajectory,
    segments,
    write_head,
    write_segment,
)
from stratal.potentials.evaluate import Potential
from stratal.progress import Progress

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
    folder = Path(folder)
    checkpoint = Checkpoint(folder / "checkpoint.h5", interval, "dynamics")
    run = identity(frames, potential, asdict(config))
    with jax.enable_x64(True):
        simulation = Simulation(potential, frames, config)
        written = prepare(folder, checkpoint, simulation, run, resume)
        stopped_by = advance(simulation, folder, checkpoint, run, written)
        if not stopped_by:
            write_frames(folder / FINAL, final(simulation))
    return Finished(folder, simulation.n_steps, stopped_by)


def prepare(
    folder: Path, checkpoint: Checkpoint, simulation: Simulation, run: str, resume: bool
) -> int:
    """Begin a folder or go on with it; returns how many segments it has."""
    there = checkpoint.exists()
    if there and not resume:
        raise InputError(
            f"{folder}: holds a run of dynamics. Add --resume to go on, or give another folder."
        )
    written = 0
    if there:
        other = (
            "of other structures, another potential or other settings. Give those of that run, or "
            "another folder."
        )
        saved = checkpoint.load_of(run, other)
        simulation.restore(saved["simulation"])
        written = int(saved["segments"])
    else:
        folder.mkdir(parents=True, exist_ok=True)
        systems = [entry.atoms[entry.order] for entry in simulation.entries]
        write_head(folder, systems, simulation.config.timestep)
    for path in segments(folder):  # newer than the checkpoint: observed again
        if path.name > SEGMENT.format(written):
            path.unlink()
    return written


def advance(
    simulation: Simulation, folder: Path, checkpoint: Checkpoint, run: str, written: int
) -> str | None:
    """Do what is left; returns the signal that asked to stop before that, if any."""
    kept: list[Samples] = []

    def save() -> None:
        nonlocal written
        if kept:
            written += 1
            write_segment(folder, written, series_of(kept, simulation.config))
            kept.clear()
        state = {"run": run, "segments": written, "simulation": simulation.snapshot()}
        checkpoint.save(state, force=True)

    if not checkpoint.exists():
        save()
    total = simulation.config.steps
    with interruptible() as stop, Progress(total, "dynamics") as bar:
        bar.update(simulation.n_steps)
        while not simulation.done and not stop.requested:
            before = simulation.n_steps
            samples = simulation.block()
            kept.append(samples)
            kelvin = float(samples.temperature[-1].mean())
            bar.update(simulation.n_steps - before, temperature=kelvin)
            if checkpoint.due():
                save()
        save()
    return None if simulation.done else stop.signal


def series_of(blocks: Sequence[Samples], config: MDConfig) -> dict[str, np.ndarray]:
    """Blocks as the arrays of a segment."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(block, name) for block in blocks])
        for name in Samples._fields
        if getattr(blocks[0], name) is not None
    }
    joined["steps"] = joined.pop("step")
    if config.frame_every:
        is_frame = joined["steps"] % config.frame_every == 0
        for name in ("positions", "momenta"):
            joined[name] = joined[name][is_frame]
        joined["frame_steps"] = joined["steps"][is_frame]
    else:
        empty = np.zeros((0, joined["energy"].shape[1], 0, 3))
        joined |= {"positions": empty, "momenta": empty, "frame_steps": np.zeros(0, int)}
    return joined


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
