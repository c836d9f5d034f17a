"""The host's part of every fit: blocks of epochs, progress, checkpoint, signals, early stopping.

Between blocks the host looks at the validation error, shows progress, writes the checkpoint and
obeys signals. The state holds everything, so a run that was interrupted ends with the same
weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
import numpy as np

from stratal.files.checkpoint import Checkpoint, interruptible
from stratal.files.pytrees import leaves_of, with_leaves
from stratal.potentials.training.config import SymmetryFunctionConfig, TrainConfig
from stratal.progress import Progress


class Interrupted(Exception):
    """The run was asked to stop; its checkpoint is written."""


class FitState(Protocol):
    """What the loop needs to know of a fit's state, a pytree."""

    @property
    def epoch(self) -> jax.Array:
        """Epochs done."""
        ...

    @property
    def best_epoch(self) -> jax.Array:
        """The epoch whose weights are kept; of the lowest validation error where that chooses."""
        ...


State = TypeVar("State", bound=FitState)


@dataclass(frozen=True)
class Fit:
    """What came out of a fit."""

    params: Any  # a pytree of weights
    epochs: int
    kept: int  # the epoch whose weights they are
    curve: np.ndarray  # (n, 5): epoch; energy, force RMSE in training; the same in validation

    @property
    def errors(self) -> np.ndarray:
        """Of the weights that were kept, ``(4,)``, as in the curve; NaN where there are none."""
        rows = self.curve[self.curve[:, 0] == self.kept]
        return rows[-1, 1:] if len(rows) else np.full(4, np.nan)


def run_fit(
    state: State,
    advance: Callable[[State], tuple[State, dict[str, str]]],
    settings: TrainConfig | SymmetryFunctionConfig,
    description: str,
    checkpoint: str | Path | None,
    run: str,
) -> State:
    """Advance a state until it is finished.

    Args:
        state: the first one, or the form of that in the checkpoint.
        advance: takes it through a block of epochs; gives also what to show.
        settings: when to stop.
        description: shown with the progress.
        checkpoint: file to resume from and to write; removed when all is done.
        run: what the checkpoint must belong to.

    Raises:
        Interrupted: a signal asked to stop; the checkpoint holds the state.
        InputError: the checkpoint belongs to another run.
    """
    store = Checkpoint(checkpoint, settings.checkpoint_interval) if checkpoint else None
    if store and store.exists():
        state = load_state(store, state, run)
    with interruptible() as stop, Progress(settings.epochs, description) as progress:
        done = int(state.epoch)
        progress.update(done)
        while not finished(state, settings):
            state, shown = advance(state)
            progress.update(int(state.epoch) - done, **shown)
            done = int(state.epoch)
            if store and (stop.requested or store.due()):
                save_state(store, state, run)
            if stop.requested:
                raise Interrupted(f"{description}: stopped by {stop.signal} after {done} epochs.")
    if store:
        store.remove()
    return state


def finished(state: FitState, settings: TrainConfig | SymmetryFunctionConfig) -> bool:
    """All epochs done, or no gain for long."""
    if int(state.epoch) >= settings.epochs:
        return True
    stale = int(state.epoch) - int(state.best_epoch)
    return bool(settings.patience) and stale >= settings.patience


def save_state(store: Checkpoint, state: Any, run: str) -> None:
    """Write all leaves of the state."""
    store.save({"run": run, "leaves": leaves_of(state)}, force=True)


def load_state(store: Checkpoint, like: State, run: str) -> State:
    """Read a state back into the form of ``like``.

    Raises:
        InputError: the checkpoint belongs to another run.
    """
    other = (
        "checkpoint of another run (other data, settings or parents). Restore those, or remove the "
        "file to begin anew."
    )
    return with_leaves(like, store.load_of(run, other)["leaves"])
