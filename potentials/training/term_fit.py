"""Fit the terms of one stratum: Adam over minibatches, with weights averaged along the way.

All members of a committee are fitted at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stratal.files.hdf5 import digest
from stratal.potentials.training.config import TrainConfig
from stratal.potentials.training.fit_loop import Fit, run_fit
from stratal.potentials.training.packs import Pack
from stratal.potentials.training.term_problem import (
    TermProblem,
    Weights,
    decay_of,
    loss,
    plain_errors,
    total_squares,
    weighted,
)

BLOCK = 10  # epochs between two looks of the host
WARM_UP = 300  # steps, or a tenth of them all, until the learning rate is reached
FORGETTING = 0.01  # part of the weights' running average that each step renews
CLIP = 100.0  # norm of a gradient beyond which it is shortened

_total_squares = jax.jit(total_squares)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TermState:
    """All that a fit needs to go on."""

    weights: Weights
    average: Weights  # running average, which is judged and kept
    optimizer: Any  # optax state
    key: jax.Array  # draws the order of minibatches
    best: Weights
    best_loss: jax.Array
    best_epoch: jax.Array
    epoch: jax.Array
    curve: jax.Array  # (n_blocks, 5): epoch, RMSE of training and validation, see `Fit`


def fit_terms(
    problem: TermProblem,
    weights: Weights,
    training: list[Pack],
    validation: list[Pack],
    config: TrainConfig,
    description: str = "training",
    checkpoint: str | Path | None = None,
) -> Fit:
    """Minimise the loss from ``weights``.

    Args:
        problem: what is fixed.
        weights: where to begin.
        training: minibatches to fit.
        validation: minibatches by which the fit is judged; may be empty.
        config: epochs, learning rate, weight decay, patience, checkpoint interval.
        description: shown with the progress.
        checkpoint: file to resume from and to write; none by default.

    Raises:
        Interrupted: a signal asked to stop; the checkpoint holds the state.
        InputError: the checkpoint belongs to another run.
    """
    run = run_key(problem, weights, training, config)
    problem, weights, training, validation = jax.tree.map(
        jnp.asarray, (problem, weights, training, validation)
    )
    n_batches = sum(pack.n_batches for pack in training)
    optimizer = make_optimizer(config, n_batches, len(weights[0].kernels), len(weights))
    state = first_state(weights, optimizer, config)
    epoch = make_epoch(optimizer)
    judge = make_judge(bool(validation), chooses=bool(config.patience))

    def advance(state: TermState) -> tuple[TermState, dict[str, str]]:
        for _ in range(min(BLOCK, config.epochs - int(state.epoch))):
            state = epoch(problem, state, training)
        return judge(problem, state, training, validation)

    state = run_fit(state, advance, config, description, checkpoint, run)
    curve = np.asarray(state.curve, float)
    return Fit(
        params=jax.tree.map(np.asarray, problem.whole(state.best)),
        epochs=int(state.epoch),
        kept=int(state.best_epoch),
        curve=curve[np.isfinite(curve[:, 0])],
    )


def first_state(
    weights: Weights, optimizer: optax.GradientTransformation, config: TrainConfig
) -> TermState:
    """The state before the first epoch."""
    return TermState(
        weights=weights,
        average=weights,
        optimizer=optimizer.init(weights),
        key=jax.random.key_data(jax.random.key(config.seed)),
        best=weights,
        best_loss=jnp.asarray(jnp.inf, jnp.float32),
        best_epoch=jnp.zeros((), jnp.int32),
        epoch=jnp.zeros((), jnp.int32),
        curve=jnp.full((-(-config.epochs // BLOCK), 5), jnp.nan, jnp.float32),
    )


@lru_cache(maxsize=8)  # equal ones share compiled steps
def make_optimizer(
    config: TrainConfig, n_batches: int, n_layers: int, n_elements: int
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay; the rate rises, then falls by a cosine to nothing."""
    steps = config.epochs * n_batches
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, max(1, min(WARM_UP, steps // 10)), steps
    )
    mask = (decay_of(n_layers),) * n_elements
    return optax.chain(
        optax.clip_by_global_norm(CLIP),
        optax.adamw(schedule, b2=0.99, weight_decay=config.weight_decay, mask=mask),
    )


@lru_cache(maxsize=8)
def make_epoch(
    optimizer: optax.GradientTransformation,
) -> Callable[[TermProblem, TermState, list[Pack]], TermState]:
    """A function that takes a state through all minibatches once, in a random order.

    It calls one compiled step per minibatch without waiting for it: inside one compiled loop
    a step takes twice as long on a processor.
    """

    @partial(jax.jit, donate_argnums=1)
    def step(problem: TermProblem, carry: tuple, pack: Pack, number: jax.Array) -> tuple:
        weights, memory, average = carry
        gradient = jax.grad(lambda w: loss(problem, w, pack[number]))(weights)
        gradient = jax.tree.map(jnp.multiply, gradient, problem.free)
        updates, memory = optimizer.update(gradient, memory, weights)
        updates = jax.tree.map(jnp.multiply, updates, problem.free)
        weights = optax.apply_updates(weights, updates)
        average = jax.tree.map(lambda a, w: a + FORGETTING * (w - a), average, weights)
        return weights, memory, average

    def epoch(problem: TermProblem, state: TermState, training: list[Pack]) -> TermState:
        key, own = jax.random.split(jax.random.wrap_key_data(state.key))
        places = [(pack, number) for pack in training for number in range(pack.n_batches)]
        carry = jax.tree.map(jnp.copy, (state.weights, state.optimizer, state.average))
        for place in np.asarray(jax.random.permutation(own, len(places))):
            carry = step(problem, carry, *places[place])
        weights, memory, average = carry
        return replace(
            state,
            weights=weights,
            optimizer=memory,
            average=average,
            key=jax.random.key_data(key),
            epoch=state.epoch + 1,
        )

    return epoch


def make_judge(validated: bool, chooses: bool) -> Callable[..., tuple[TermState, dict[str, str]]]:
    """A function that judges the averaged weights, and keeps the best if it chooses.

    Else it keeps the last: a few dozen structures would choose by chance, and before the
    learning rate has fallen energies are off by more than can be gained.
    """

    def judge(
        problem: TermProblem, state: TermState, training: list[Pack], validation: list[Pack]
    ) -> tuple[TermState, dict[str, str]]:
        weights = problem.whole(state.average)
        of_training = _total_squares(problem, weights, training)
        judged = _total_squares(problem, weights, validation) if validated else of_training
        loss_now = weighted(problem, judged).sum()
        better = not chooses or bool(loss_now < state.best_loss)
        errors = [plain_errors(of_training), plain_errors(judged)]
        row = [float(state.epoch), *errors[0].values()]
        row += list(errors[1].values()) if validated else [np.nan, np.nan]
        block = (int(state.epoch) - 1) // BLOCK
        return replace(
            state,
            best=state.average if better else state.best,
            best_loss=loss_now if better else state.best_loss,
            best_epoch=state.epoch if better else state.best_epoch,
            curve=state.curve.at[block].set(jnp.asarray(row, jnp.float32)),
        ), words(errors[1])

    return judge


def words(errors: Mapping[str, float]) -> dict[str, str]:
    """Errors for the progress line."""
    return {"errors": f"{1e3 * errors['energy']:.1f} meV/atom {1e3 * errors['forces']:.0f} meV/Å"}


def run_key(
    problem: TermProblem, weights: Weights, training: list[Pack], config: TrainConfig
) -> str:
    """What a checkpoint must belong to: data, frozen weights, start and settings."""
    settings = replace(config, checkpoint_interval=1.0)
    arrays = [
        weights,
        problem.base,
        problem.free,
        [(p.energy, p.forces, p.weight, p.index) for p in training],
    ]
    leaves = {str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(arrays))}
    return digest({"config": repr(settings), "descriptor": repr(problem.descriptor), **leaves})
