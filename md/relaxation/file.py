"""Relax the structures of a file; a run that was cut short goes on where it was.

Results are streamed to ``OUTPUT.partial.extxyz``, or for HDF5 to parts in ``OUTPUT.parts``; what is
under way stands in ``OUTPUT.checkpoint.h5``. At the end the results are written in order and both
are removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.files import Checkpoint, interruptible, read_frames
from stratal.files.run import identity
from stratal.md.relax import entries_of, relax_on
from stratal.md.relaxation.in_flight import Flight
from stratal.md.relaxation.memory import shrinking
from stratal.md.relaxation.results import write_relaxed
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.streams import Stream, stream_for
from stratal.potentials.evaluate import Potential, in_precision
from stratal.potentials.sources import potential_from
from stratal.progress import Progress
from stratal.slurm import Journal, Stopped, open_executor


@dataclass(frozen=True)
class Relaxation:
    """How a run of `relax_file` went."""

    outcomes: Counter[str]  # structures by how they ended
    stopped_by: str | None  # the signal that asked to stop, before all was done


def relax_file(
    structures: Path,
    output: Path,
    source: str | Path | Potential,
    config: RelaxConfig,
    resume: bool = False,
    interval: float = 60.0,
) -> Relaxation:
    """Relax all structures of a file and write them in their order; `read_relaxed` reads them.

    In extended XYZ each has ``outcome``, ``n_steps``, ``largest_force`` (eV/Å) and, where the
    potential can tell, ``extrapolation_grade`` beside its energy, forces and stress.

    Args:
        structures: any file that ASE reads.
        output: HDF5 if it ends in .h5 or .hdf5, else extended XYZ, compressed if it ends in .gz.
        source: a potential that covers all elements, the folder of a library, or ``emt``.
        config: how.
        resume: go on with a run that was cut short; the result is that of a whole one.
        interval: s between checkpoints.

    Raises:
        InputError: unreadable structures, settings out of range, files of another run in the way,
            a full disk.
    """
    frames = read_frames(structures)
    potential = opened(source, frames)
    stream = stream_for(output)
    checkpoint = Checkpoint(
        output.with_name(f"{output.name}.checkpoint.h5"), interval, "relaxation"
    )
    run = identity(frames, potential, asdict(config))
    if checkpoint.exists() and not resume:
        raise InputError(
            f"{checkpoint.path}: left by a run that was cut short. Add --resume to go on, or "
            f"remove it and {stream.path}."
        )
    with jax.enable_x64(True):
        entries = entries_of(frames, potential, config)
        flight = Flight(in_precision(potential, config.precision), entries, config)
        if resume and checkpoint.exists():
            other = (
                "of other structures, another potential or other settings. Give those of that run, "
                "or remove it to begin anew."
            )
            saved = checkpoint.load_of(run, other)
            flight.restore(saved["flight"])
            stream.cut(int(saved["streamed"]))
        else:
            stream.cut(0)
        stopped_by = fly(flight, stream, checkpoint, run)
    if stopped_by:
        return Relaxation(Counter(), stopped_by)
    outcomes = stream.finish(output)
    checkpoint.remove()
    stream.remove()
    return Relaxation(outcomes, None)


def relax_file_on(
    structures: Path,
    output: Path,
    source: str | Path | Potential,
    config: RelaxConfig,
    journal: Path,
    executor: str | None = None,
) -> Relaxation:
    """What `relax_file` does, in parts that are shared out over workers.

    Args:
        structures: as in `relax_file`.
        output: alike.
        source: alike.
        config: how.
        journal: folder that all workers see; parts that are done stay there.
        executor: ``"serial"``, ``"mpi"`` or ``"dask"``; by default as launched.

    Raises:
        InputError: as `relax_file`; an executor that is not there.
        TaskFailed: a part failed on all of its attempts.
    """
    frames = read_frames(structures)
    potential = opened(source, frames)
    run = identity(frames, potential, asdict(config))
    with open_executor(executor) as workers, Journal(journal, run) as kept:
        try:
            results = list(relax_on(workers, kept, frames, potential, config))
        except Stopped as stopped:
            return Relaxation(Counter(), str(stopped))
        return Relaxation(write_relaxed(output, results), None)


def opened(source: str | Path | Potential, frames: Sequence[Atoms]) -> Potential:
    """The potential that a source gives for these structures."""
    if isinstance(source, str | Path):
        return potential_from(source, np.concatenate([frame.numbers for frame in frames]))
    return source


def fly(flight: Flight, stream: Stream, checkpoint: Checkpoint, run: str) -> str | None:
    """Relax what is left; returns the signal that asked to stop before that, if any."""

    def save(force: bool = False) -> None:
        if force or checkpoint.due():
            state = {"run": run, "streamed": stream.mark(), "flight": flight.snapshot()}
            checkpoint.save(state, force=True)

    total = len(flight.entries)
    with interruptible() as stop, Progress(total, "relaxing") as bar:
        bar.update(total - flight.n_left)
        while flight.n_left and not stop.requested:
            ended = shrinking(flight)
            stream.append(ended)
            bar.update(len(ended), under_way=len(flight.carried))
            save()
        save(force=True)
    return stop.signal if flight.n_left else None
