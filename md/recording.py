"""Runs that grow in a folder: observed samples in segments, a checkpoint to go on from.

Each segment is an HDF5 file put into place whole, so that a death leaves no half of one. Those that
are newer than the checkpoint of a run that goes on are done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stratal.errors import InputError
from stratal.files import Checkpoint, interruptible
from stratal.files.hdf5 import read_hdf5, write_hdf5
from stratal.progress import Progress

SEGMENT = "segment-{:06d}.h5"


class Run(Protocol):
    """What is recorded while it advances by blocks."""

    @property
    def n_done(self) -> int:
        """Steps or sweeps done."""
        ...

    @property
    def n_total(self) -> int:
        """Of these, when it is done."""
        ...

    def block(self) -> Any:
        """Advance by some; returns what was observed."""
        ...

    def series(self, blocks: list[Any]) -> dict[str, np.ndarray]:
        """What was observed in blocks, as the arrays of a segment."""
        ...

    def shown(self, block: Any) -> dict[str, float]:
        """What the progress bar tells of a block."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """All that a checkpoint needs, as a tree of arrays."""
        ...

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot, to the last bit as if there had been no end."""
        ...


class Recording:
    """A folder in which a run is recorded."""

    def __init__(self, folder: Path, kind: str, identity: str, interval: float) -> None:
        """Name it.

        Args:
            folder: of the run.
            kind: of run, such as ``dynamics``.
            identity: of structures, potential and settings, from `files.run.identity`.
            interval: s between checkpoints.
        """
        self.folder, self.kind, self.identity = folder, kind, identity
        self.checkpoint = Checkpoint(folder / "checkpoint.h5", interval, kind)
        self.n_segments = 0

    def begin(self, run: Run, head: dict[str, Any], resume: bool) -> None:
        """Begin the folder, or go on with it.

        Raises:
            InputError: it is in the way, or of another run.
        """
        there = self.checkpoint.exists()
        if there and not resume:
            raise InputError(
                f"{self.folder}: holds a run of {self.kind}. Add --resume to go on, or give "
                f"another folder."
            )
        if there:
            other = (
                "of other structures, another potential or other settings. Give those of that "
                "run, or another folder."
            )
            saved = self.checkpoint.load_of(self.identity, other)
            run.restore(saved["run_state"])
            self.n_segments = int(saved["segments"])
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_hdf5(self.folder / "systems.h5", head, {}, f"{self.kind} systems")
        for path in segments(self.folder):  # newer than the checkpoint: observed again
            if path.name > SEGMENT.format(self.n_segments):
                path.unlink()

    def advance(self, run: Run) -> str | None:
        """Do what is left; returns the signal that asked to stop before that, if any."""
        kept: list[Any] = []

        def save() -> None:
            if kept:
                self.n_segments += 1
                path = self.folder / SEGMENT.format(self.n_segments)
                write_hdf5(path, run.series(kept), {}, f"{self.kind} segment")
                kept.clear()
            state = {"run_state": run.snapshot(), "segments": self.n_segments}
            self.checkpoint.save({"run": self.identity, **state}, force=True)

        if not self.checkpoint.exists():
            save()
        with interruptible() as stop, Progress(run.n_total, self.kind) as bar:
            bar.update(run.n_done)
            while run.n_done < run.n_total and not stop.requested:
                before = run.n_done
                observed = run.block()
                kept.append(observed)
                bar.update(run.n_done - before, **run.shown(observed))
                if self.checkpoint.due():
                    save()
            save()
        return None if run.n_done >= run.n_total else stop.signal


def segments(folder: Path) -> list[Path]:
    """Files of what was observed, in order."""
    return sorted(folder.glob(SEGMENT.format(0).replace("000000", "*")))


def read_recording(folder: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What all segments of a run share, and what was observed, finished or not.

    Raises:
        InputError: no such run there, nothing observed yet, a file that is damaged.
    """
    folder = Path(folder)
    if not (folder / "systems.h5").is_file():
        raise InputError(f"{folder}: no run of {kind} there. Give the folder of one.")
    head = read_hdf5(folder / "systems.h5", f"{kind} systems")[0]
    parts = [read_hdf5(path, f"{kind} segment")[0] for path in segments(folder)]
    if not parts:
        raise InputError(f"{folder}: nothing was observed yet. Let the run go on.")
    return head, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
