"""`run_mc`: Monte Carlo into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from stratal.files import write_frames
from stratal.files.run import identity
from stratal.md.monte_carlo.chain import Chain
from stratal.md.monte_carlo.record import KIND, Record
from stratal.md.monte_carlo.settings import MCConfig
from stratal.md.recording import Recording
from stratal.potentials.evaluate import Potential

FINAL = "final.extxyz"


@dataclass(frozen=True)
class Finished:
    """How a run of `run_mc` went."""

    folder: Path
    n_sweeps: int
    stopped_by: str | None  # the signal that asked to stop, before all sweeps were done

    def record(self) -> Record:
        """What was observed."""
        return Record.open(self.folder)


def run_mc(
    frames: Sequence[Atoms],
    potential: Potential,
    config: MCConfig,
    folder: str | Path,
    resume: bool = False,
    interval: float = 60.0,
) -> Finished:
    """Monte Carlo of which element sits where, in one or several systems side by side.

    Args:
        frames: where they start; atoms that ``FixAtoms`` holds keep their element.
        potential: that covers all their elements, and those of the chemical potentials.
        config: how; `MCConfig` tells what can be set.
        folder: for what is observed, `Record` reads it; ``final.extxyz`` is the end.
        resume: go on with a run that was cut short: bit for bit as if it had not been.
        interval: s between checkpoints.

    Raises:
        InputError: settings out of range, a folder in the way or of another run, a system in
            which nothing can change.
    """
    recording = Recording(Path(folder), KIND, identity(frames, potential, asdict(config)), interval)
    with jax.enable_x64(True):
        chain = Chain(potential, frames, config)
        head = {
            "elements": np.asarray(potential.elements),
            "sizes": np.array([len(entry) for entry in chain.entries]),
            "pbc": np.array([entry.atoms.pbc for entry in chain.entries]),
            "radii": np.asarray(chain.conditions.radii),
        }
        recording.begin(chain, head, resume)
        stopped_by = recording.advance(chain)
        if not stopped_by:
            write_frames(recording.folder / FINAL, final(chain))
    return Finished(recording.folder, chain.n_done, stopped_by)


def final(chain: Chain) -> list[Atoms]:
    """The systems as they are now, with their energies where no motion followed."""
    found = chain.atoms()
    if chain.config.between == "nothing":
        for atoms, energy in zip(found, np.asarray(chain.simulation.state.energy), strict=True):
            atoms.calc = SinglePointCalculator(atoms, energy=float(energy))
    return found
