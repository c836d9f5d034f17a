"""Minimise the loss of a stratum: full-batch L-BFGS or Adam, in blocks of epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stratal.files.hdf5 import digest
from stratal.potentials.training.config import SymmetryFunctionConfig
from stratal.potentials.training.fit_loop import Fit, run_fit
from stratal.potentials.training.problem import Params, Problem, loss, mean_squares

BLOCK = 20  # epochs between two looks of the host
MEMORY = 50  # pairs that L-BFGS remembers


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FitState:
    """All that a fit needs to go on."""

    params: Params
    optimizer: Any  # optax state
    best: Params  # weights of the lowest validation error so far
    best_loss: jax.Array
    best_epoch: jax.Array
    epoch: jax.Array
    curve: jax.Array  # (n_blocks, 5): epoch, RMSE of training and validation, see `Fit`


def fit(
    problem: Problem,
    params: Params,
    config: SymmetryFunctionConfig,
    description: str = "training",
    checkpoint: str | Path | None = None,
) -> Fit:
    """Minimise the loss from ``params``.

    Args:
        problem: data, frozen parts, weights of the loss.
        params: where to begin.
        config: optimizer, epochs, patience, checkpoint interval.
        description: shown with the progress.
        checkpoint: file to resume from and to write; none by default.

    Raises:
        Interrupted: a signal asked to stop; the checkpoint holds the state.
        InputError: the checkpoint belongs to another run.
    """
    with jax.enable_x64(True):
        problem, params = jax.tree.map(jnp.asarray, (problem, params))
        optimizer = make_optimizer(config)
        blocks = -(-config.epochs // BLOCK)
        state = FitState(
            params=params,
            optimizer=optimizer.init(params),
            best=params,
            best_loss=jnp.asarray(jnp.inf),
            best_epoch=jnp.zeros((), int),
            epoch=jnp.zeros((), int),
            curve=jnp.full((blocks, 5), jnp.nan),
        )
        validated = any(float(batch.training.min()) == 0 for batch in problem.batches)
        block = block_of_epochs(config, validated)

        def advance(state: FitState) -> tuple[FitState, dict[str, str]]:
            state = block(problem, state)
            row = np.asarray(state.curve[int(state.epoch) // BLOCK - 1])
            return state, shown(row, validated)

        run = run_key(problem, params, config)
        state = run_fit(state, advance, config, description, checkpoint, run)
        curve = np.asarray(state.curve)
        return Fit(
            params=jax.tree.map(np.asarray, state.best),
            epochs=int(state.epoch),
            kept=int(state.best_epoch),
            curve=curve[: int(state.epoch) // BLOCK],
        )


def make_optimizer(config: SymmetryFunctionConfig) -> optax.GradientTransformation:
    """The optimizer that the settings name."""
    if config.optimizer == "lbfgs":
        search = optax.scale_by_zoom_linesearch(
            max_linesearch_steps=20, initial_guess_strategy="one"
        )
        return optax.lbfgs(memory_size=MEMORY, linesearch=search)
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.epochs, alpha=0.01)
    return optax.adam(schedule)


def block_of_epochs(
    config: SymmetryFunctionConfig, validated: bool
) -> Callable[[Problem, FitState], FitState]:
    """A compiled function that advances a fit by ``BLOCK`` epochs."""
    optimizer = make_optimizer(config)

    def epoch(problem: Problem, carry: tuple[Params, Any]) -> tuple[Params, Any]:
        params, memory = carry
        value_of = partial(loss, problem)
        if config.optimizer == "lbfgs":
            value, gradient = optax.value_and_grad_from_state(value_of)(params, state=memory)
            updates, memory = optimizer.update(
                gradient, memory, params, value=value, grad=gradient, value_fn=value_of
            )
        else:
            gradient = jax.grad(value_of)(params)
            updates, memory = optimizer.update(gradient, memory, params)
        return optax.apply_updates(params, updates), memory  # type: ignore[return-value]

    @jax.jit
    def advance(problem: Problem, state: FitState) -> FitState:
        carry = (state.params, state.optimizer)
        carry = jax.lax.fori_loop(0, BLOCK, lambda _, c: epoch(problem, c), carry)
        params, memory = carry
        train = jnp.sqrt(jnp.array(mean_squares(problem, params, True)[:2]))
        if validated:
            judged = loss(problem, params, training=False)
            valid = jnp.sqrt(jnp.array(mean_squares(problem, params, False)[:2]))
        else:
            judged, valid = loss(problem, params), jnp.full(2, jnp.nan)
        better = judged < state.best_loss
        done = state.epoch + BLOCK
        row = jnp.concatenate([done[None], train, valid])
        return FitState(
            params=params,
            optimizer=memory,
            best=jax.tree.map(lambda new, old: jnp.where(better, new, old), params, state.best),
            best_loss=jnp.where(better, judged, state.best_loss),
            best_epoch=jnp.where(better, done, state.best_epoch),
            epoch=done,
            curve=state.curve.at[state.epoch // BLOCK].set(row),
        )

    return advance


def shown(row: np.ndarray, validated: bool) -> dict[str, str]:
    """Errors for the progress line."""
    energy, force = (row[3], row[4]) if validated else (row[1], row[2])
    name = "validation" if validated else "training"
    return {name: f"{1e3 * energy:.1f} meV/atom {1e3 * force:.0f} meV/Å"}


def run_key(problem: Problem, params: Params, config: SymmetryFunctionConfig) -> str:
    """What a checkpoint must belong to: data, frozen weights, start and settings."""
    leaves = jax.tree.leaves((problem, params))
    settings = replace(config, checkpoint_interval=1.0)
    return digest({"config": repr(settings), "arrays": {str(i): x for i, x in enumerate(leaves)}})
