"""Relax the structures of a file; a run that was cut short goes on where it was.

Results are appended to ``OUTPUT.partial.extxyz``; what is under way stands in
``OUTPUT.checkpoint.h5``. At the end the results are written in order and both are removed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.files import Checkpoint, interruptible, read_frames, write_frames
from stratal.files.extxyz import format_frame
from stratal.files.run import identity
from stratal.md.relax import entries_of, relax_on
from stratal.md.relaxation.in_flight import Flight
from stratal.md.relaxation.memory import shrinking
from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.settings import RelaxConfig
from stratal.potentials.evaluate import Potential, in_precision
from stratal.potentials.sources import potential_from
from stratal.progress import Progress
from stratal.slurm import Journal, Stopped, open_executor

NUMBER = "relax_number"  # info key in the partial file: of the structure in the input


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
    """Relax all structures of a file and write them as extended XYZ, in their order.

    Each has ``outcome``, ``n_steps``, ``largest_force`` (eV/Å) and, where the potential can tell,
    ``extrapolation_grade`` beside its energy, forces and stress.

    Args:
        structures: any file that ASE reads.
        output: extended XYZ to write, compressed if it ends in .gz.
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
    partial = Partial(beside(output, "partial.extxyz"))
    checkpoint = Checkpoint(beside(output, "checkpoint.h5"), interval, "relaxation")
    run = identity(frames, potential, asdict(config))
    if checkpoint.exists() and not resume:
        raise InputError(
            f"{checkpoint.path}: left by a run that was cut short. Add --resume to go on, or "
            f"remove it and {partial.path}."
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
            partial.cut(int(saved["bytes"]))
        else:
            partial.cut(0)
        stopped_by = fly(flight, partial, checkpoint, run)
    if stopped_by:
        return Relaxation(Counter(), stopped_by)
    done = finished(read_frames(partial.path), output)
    checkpoint.remove()
    partial.path.unlink()
    return done


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
        results = relax_on(workers, kept, frames, potential, config)
        try:
            done = [annotated(result) for result in results]
        except Stopped as stopped:
            return Relaxation(Counter(), str(stopped))
        return finished(done, output)


def finished(frames: Sequence[Atoms], output: Path) -> Relaxation:
    """Write results in the order of the input."""
    done = sorted(frames, key=lambda frame: frame.info[NUMBER])
    for frame in done:
        del frame.info[NUMBER]
    write_frames(output, done)
    return Relaxation(Counter(str(frame.info["outcome"]) for frame in done), None)


def opened(source: str | Path | Potential, frames: Sequence[Atoms]) -> Potential:
    """The potential that a source gives for these structures."""
    if isinstance(source, str | Path):
        return potential_from(source, np.concatenate([frame.numbers for frame in frames]))
    return source


def fly(flight: Flight, partial: Partial, checkpoint: Checkpoint, run: str) -> str | None:
    """Relax what is left; returns the signal that asked to stop before that, if any."""

    def save(force: bool = False) -> None:
        if force or checkpoint.due():
            state = {"run": run, "bytes": partial.size, "flight": flight.snapshot()}
            checkpoint.save(state, force=True)

    total = len(flight.entries)
    with interruptible() as stop, Progress(total, "relaxing") as bar:
        bar.update(total - flight.n_left)
        while flight.n_left and not stop.requested:
            ended = shrinking(flight)
            partial.append(annotated(result) for result in ended)
            bar.update(len(ended), under_way=len(flight.carried))
            save()
        save(force=True)
    return stop.signal if flight.n_left else None


def annotated(result: Relaxed) -> Atoms:
    """A result as it stands in files."""
    atoms = result.atoms
    atoms.info |= {
        NUMBER: result.number,
        "outcome": result.outcome.label,
        "n_steps": result.n_steps,
        "largest_force": result.largest_force,
    }
    if np.isfinite(result.grade):
        atoms.info["extrapolation_grade"] = result.grade
    return atoms


class Partial:
    """Results one after the other in a file; what a death left half-written is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes

    def cut(self, size: int) -> None:
        """Go on after so many bytes.

        Raises:
            InputError: the file is shorter, or cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                found = file.tell()
                if found < size:
                    raise InputError(
                        f"{self.path}: {found} bytes, where the checkpoint knows {size}: results "
                        f"are missing. Remove it and the checkpoint to begin anew."
                    )
                file.truncate(size)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self.size = size

    def append(self, frames: Iterable[Atoms]) -> None:
        """Add results, and have them on the disk.

        Raises:
            InputError: they cannot be written, as on a full disk; nothing before them is lost.
        """
        text = "".join(format_frame(frame, str(self.path)) for frame in frames)
        if not text:
            return
        content = text.encode()
        try:
            with self.path.open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}). Free some space and run again "
                f"with --resume: nothing before the last checkpoint is lost."
            ) from error
        self.size += len(content)


def beside(output: Path, ending: str) -> Path:
    """A file of the run, beside its output."""
    return output.with_name(f"{output.name}.{ending}")
