"""Adam, L-BFGS, Levenberg-Marquardt and a Kalman filter on the same fit: errors against time.

The problem is that of one stratum of moments, an element or a pair: the same structures, first
weights, loss and weight decay for all. Adam is what `stratal train` uses. The others are
written here, over the same residuals: L-BFGS is SciPy's; Levenberg-Marquardt takes the whole
Jacobian and damps by whether the loss fell; the Kalman filter is the extended one with a
forgetting factor that approaches 1 (Singraber et al., J. Chem. Theory Comput. 15, 3075 (2019)),
all labels of a few structures at a time. Times are those of steps, compilation left out; every
look at the errors stops the clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cupdag_library import data_of
from reference import arguments, machine


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--elements", default="Cu")
    parser.add_argument("--seconds", type=float, default=120.0, help="for each optimiser")
    parser.add_argument("--kinds", nargs="*", default=list(OPTIMIZERS), choices=list(OPTIMIZERS))
    parser.add_argument("--library", type=Path, help="strata below, for a pair")
    parser.add_argument("--figure", type=Path, help="where to draw the curves")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    task = set_up(options.data, options.elements.split("-"), options.library)
    print(machine(), f"; {options.elements}: {task.n_weights} weights, {task.n_labels} labels")
    print("                     seconds  steps  training meV/atom, meV/Å  test meV/atom, meV/Å")
    curves = {}
    for kind in options.kinds:
        curves[kind] = curve = run(kind, task, options.seconds)
        best = min(curve, key=lambda row: row[6])
        for label, row in (("best", best), ("last", curve[-1])):
            print(
                f"{kind:20s} {row[0]:7.0f} {row[1]:6.0f}  {row[2]:12.2f}, {row[3]:7.1f}"
                f"  {row[4]:14.2f}, {row[5]:6.1f}  {label}",
                flush=True,
            )
    if options.figure:
        draw(curves, options.figure)


@dataclass(frozen=True)
class Task:
    """One fit: flat weights, its structures one by one and in minibatches, its test."""

    problem: Any
    start: np.ndarray  # (n_weights,), what is trained
    flatten: Any
    unflatten: Any
    minibatches: list[Any]
    singles: list[Any]  # minibatches of one structure
    test: list[Any]
    decay: np.ndarray  # (n_weights,), 1 where weights are drawn to the base
    config: Any

    @property
    def n_weights(self) -> int:
        """How many weights are trained."""
        return len(self.start)

    @property
    def n_labels(self) -> int:
        """Energies, force components and stress components."""
        return int(
            sum(
                (p.weight[:, 0] > 0).sum() + p.force_mask.sum() + 6 * p.strain_mask.sum()
                for p in self.singles
            )
        )


def set_up(folder: Path, elements: list[str], library: Path | None) -> Task:
    """The fit of one stratum with one member."""
    import jax
    import jax.numpy as jnp
    from ase.data import atomic_numbers

    from stratal.potentials import Library
    from stratal.potentials.compose import names_below
    from stratal.potentials.training import TrainConfig
    from stratal.potentials.training.packs import pack
    from stratal.potentials.training.term_problem import decay_of
    from stratal.potentials.training.term_setup import set_up_terms
    from stratal.potentials.training.term_strata import (
        atomic_energies,
        settings_of_fit,
        targets_of,
    )

    numbers = tuple(sorted(atomic_numbers[symbol] for symbol in elements))
    below = {}
    if len(numbers) > 1:
        strata = Library.open(library).strata
        below = {name: strata[name] for name in names_below(numbers)}
    members = next((s.n_members for s in below.values()), 1)
    config = TrainConfig(validation=0.0, members=members)
    packs = []
    for data in data_of(folder, elements):
        own = data.take(np.array([set(f.symbols) == set(elements) for f in data.frames]))
        if not packs:
            reference = np.zeros(len(numbers)) if below else atomic_energies(own, numbers)
        targets = targets_of(own, numbers, config, below, reference)
        for size in (config.batch, 1):
            packs.append(pack(own, targets, config.descriptor, numbers, size, 0))
    minibatches, singles, test, _ = packs
    config = settings_of_fit(config, not below, sum(own.n_batches for own in minibatches))
    problem, first = set_up_terms(numbers, config, config.descriptor, below, minibatches)

    def joined(tree):
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])

    flat, free = joined(first), joined(problem.free)
    trained = np.flatnonzero(free)
    mask = (decay_of(len(config.hidden) + 1),) * len(numbers)
    decayed = jax.tree.map(lambda x, on: np.full_like(x, float(on)), first, mask)
    decay = joined(decayed)[trained]
    leaves, kind = jax.tree.flatten(first)
    ends = np.cumsum([leaf.size for leaf in leaves])

    def unflatten(weights):
        whole = jnp.asarray(flat).at[trained].set(weights)
        parts = jnp.split(whole, ends[:-1])
        return jax.tree.unflatten(
            kind, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        )

    return Task(
        problem, flat[trained], lambda tree: joined(tree)[trained], unflatten, minibatches, singles,
        test, decay, config,
    )  # fmt: skip


def run(kind: str, task: Task, seconds: float) -> list[list[float]]:
    """Rows of seconds, steps, errors of training and test, test loss."""
    import jax

    from stratal.potentials.training.term_problem import plain_errors, total_squares, weighted

    errors_of = jax.jit(
        lambda w, packs: total_squares(task.problem, task.problem.whole(task.unflatten(w)), packs)
    )
    rows: list[list[float]] = []
    spent, steps = 0.0, 0
    iterator = OPTIMIZERS[kind](task, seconds)
    next(iterator)  # compiles, and gives the first weights
    while spent < seconds:
        began = time.perf_counter()
        found = next(iterator, None)
        if found is None:
            break
        weights, taken = found
        jax.block_until_ready(weights)
        spent += time.perf_counter() - began
        steps += taken
        training, test = (errors_of(weights, packs) for packs in (task.minibatches, task.test))
        errors = [1e3 * v for sums in (training, test) for v in plain_errors(sums).values()]
        rows.append([spent, steps, *errors, float(weighted(task.problem, test).sum())])
    return rows


def adam(task: Task, seconds: float) -> Iterator[tuple[Any, int]]:
    """The fit of `stratal train`, for as many epochs as there is time."""
    import jax

    from stratal.potentials.training.term_fit import first_state, make_epoch, make_optimizer

    first = task.unflatten(task.start)
    n_batches = sum(pack.n_batches for pack in task.minibatches)

    def begin(epochs: int) -> tuple[Any, Any]:
        """The compiled epoch of a schedule of so many, and the first state."""
        config = replace(task.config, epochs=epochs)
        optimizer = make_optimizer(config, n_batches, len(first[0].kernels), len(first))
        epoch, state = make_epoch(optimizer), first_state(first, optimizer, config)
        jax.block_until_ready(epoch(task.problem, state, task.minibatches).average)
        return epoch, state

    # How many epochs there is time for decides the schedule.
    epoch, state = begin(10)
    began = time.perf_counter()
    jax.block_until_ready(epoch(task.problem, state, task.minibatches).average)
    epochs = max(10, int(seconds / (time.perf_counter() - began)))
    epoch, state = begin(epochs)
    yield task.start, 0
    for _ in range(0, epochs, 10):
        for _ in range(10):
            state = epoch(task.problem, state, task.minibatches)
        yield task.flatten(state.average), 10 * n_batches


def residuals_of(task: Task):
    """Flat weighted residuals of one structure: their squares sum to its part of the loss.

    The means of the loss are over all structures, as `term_problem.weighted` has them.
    """
    import jax.numpy as jnp

    from stratal.potentials.training.term_problem import residuals

    counts = np.array(
        [
            sum(float(p.weight[:, 0].sum()) for p in task.singles),
            sum(float(p.force_mask.sum()) for p in task.singles),
            sum(6.0 * float(p.strain_mask.sum()) for p in task.singles),
        ]
    )
    config = task.config
    factors = np.array([config.energy_weight, config.force_weight, config.stress_weight])
    scale = 100.0 * np.sqrt(factors / np.maximum(counts, 1.0))

    def flat(weights, pack):
        whole = task.problem.whole(task.unflatten(weights))
        energy, forces, strain = residuals(task.problem, whole, pack)
        real = pack.weight > 0
        parts = [
            scale[0] * jnp.where(real, energy, 0.0),
            scale[1] * jnp.where(real[..., None], forces, 0.0),
            scale[2] * jnp.where(real[..., None], strain, 0.0),
        ]
        return jnp.concatenate([part.ravel() for part in parts])

    return flat


def loss_of(task: Task):
    """The loss over all structures and its gradient, by one compiled step per minibatch."""
    import jax
    import jax.numpy as jnp

    flat, draw_in = residuals_of(task), jnp.asarray(task.decay)

    @jax.jit
    def of_minibatch(weights, pack, number):
        return jax.value_and_grad(lambda w: (flat(w, pack[number]) ** 2).sum())(weights)

    @jax.jit
    def of_weights(weights):
        return jax.value_and_grad(lambda w: L2 * (draw_in * w**2).sum())(weights)

    def value_and_gradient(weights: np.ndarray) -> tuple[float, np.ndarray]:
        single = jnp.asarray(weights, jnp.float32)
        parts = [of_weights(single)]
        parts += [of_minibatch(single, p, n) for p in task.minibatches for n in range(p.n_batches)]
        return (
            float(sum(np.asarray(value, float) for value, _ in parts)),
            sum(np.asarray(gradient, float) for _, gradient in parts),
        )

    return value_and_gradient


def lbfgs(task: Task, seconds: float) -> Iterator[tuple[Any, int]]:
    """SciPy's L-BFGS over all structures; L2 in place of decay. Begins anew every 50 steps."""
    from scipy.optimize import minimize

    value_and_gradient = loss_of(task)
    weights = np.asarray(task.start, float)
    value_and_gradient(weights)
    yield task.start, 0
    while True:
        options = {"maxiter": 50, "maxcor": 30, "ftol": 0.0, "gtol": 0.0}
        found = minimize(value_and_gradient, weights, jac=True, method="L-BFGS-B", options=options)
        weights = found.x
        yield np.asarray(weights, np.float32), found.nit
        if found.nit == 0:
            return  # float32 leaves no descent


def levenberg_marquardt(task: Task, seconds: float) -> Iterator[tuple[Any, int]]:
    """Damped Gauss-Newton steps with the whole Jacobian."""
    import jax
    import jax.numpy as jnp
    from scipy.linalg import cho_factor, cho_solve

    flat, draw_in = residuals_of(task), L2 * task.decay
    value_and_gradient = loss_of(task)

    @jax.jit
    def normal(weights, matrix, structures):
        jacobian = jax.vmap(jax.jacrev(flat), (None, 0))(weights, structures)
        jacobian = jacobian.reshape(-1, len(weights))
        return matrix + jnp.matmul(jacobian.T, jacobian, precision="highest")

    groups = [
        jax.tree.map(lambda a, own=own: a[own], pack)
        for pack in task.singles
        for own in np.array_split(np.arange(pack.n_batches), -(-pack.n_batches // STRUCTURES))
    ]
    weights, damping = np.asarray(task.start, float), 1e-2
    empty = jnp.zeros((len(weights),) * 2, jnp.float32)
    for group in groups:
        jax.block_until_ready(normal(jnp.asarray(task.start), empty, group))
    now, slope = value_and_gradient(weights)
    yield task.start, 0
    while damping < 1e8:
        matrix = empty
        for group in groups:
            matrix = normal(jnp.asarray(weights, jnp.float32), matrix, group)
        matrix = np.asarray(matrix, float) + np.diag(draw_in)
        size = np.diag(matrix).mean()
        while damping < 1e8:
            factor = cho_factor(matrix + damping * size * np.eye(len(slope)))
            new = weights - cho_solve(factor, 0.5 * slope)
            value, slope_new = value_and_gradient(new)
            if value < now:
                weights, now, slope, damping = new, value, slope_new, damping / 3
                break
            damping *= 4
        yield jnp.asarray(weights, jnp.float32), 1


def kalman(task: Task, seconds: float) -> Iterator[tuple[Any, int]]:
    """Extended Kalman filter, one structure at a time, energy, forces and stress together."""
    import jax
    import jax.numpy as jnp

    flat = residuals_of(task)
    n_structures = sum(pack.n_batches for pack in task.singles)
    memory, approach = 0.98, 0.9987  # forgetting factor and how fast it approaches 1

    @jax.jit
    def step(weights, covariance, forgetting, pack, number):
        own = pack[number]
        errors = flat(weights, own) * np.sqrt(n_structures)
        slopes = jax.jacrev(flat)(weights, own) * np.sqrt(n_structures)
        spread = covariance @ slopes.T
        inner = forgetting * jnp.eye(len(errors)) + slopes @ spread
        gain = jax.scipy.linalg.solve(inner, spread.T, assume_a="pos").T
        weights = weights - gain @ errors
        covariance = (covariance - gain @ spread.T) / forgetting
        covariance = 0.5 * (covariance + covariance.T)
        return weights, covariance, 1.0 - approach * (1.0 - forgetting)

    rng = np.random.default_rng(0)
    weights = jnp.asarray(task.start)
    covariance = 0.01 * jnp.eye(len(weights))
    carry = (weights, covariance, jnp.asarray(memory))
    jax.block_until_ready([step(*carry, pack, 0)[0] for pack in task.singles])
    yield weights, 0
    places = [(pack, n) for pack in task.singles for n in range(pack.n_batches)]
    while True:
        for part in np.array_split(rng.permutation(len(places)), 4):
            for place in part:
                carry = step(*carry, *places[place])
            yield carry[0], len(part)


STRUCTURES = 32  # whose Jacobian Levenberg-Marquardt takes at once
L2 = 1e-3  # of squares of decaying weights beside the loss, where there is no decoupled decay
OPTIMIZERS = {
    "Adam": adam,
    "L-BFGS": lbfgs,
    "Levenberg-Marquardt": levenberg_marquardt,
    "Kalman": kalman,
}


def draw(curves: dict[str, list[list[float]]], path: Path) -> None:
    """Test and training errors against time."""
    from stratal.report.figures import PALETTE, new_figure

    figure, axes = new_figure(n_columns=2)
    for ax, columns, quantity in zip(axes, ((2, 4), (3, 5)), ("meV/atom", "meV/Å"), strict=True):
        for color, (kind, rows) in zip(PALETTE, curves.items(), strict=False):
            table = np.array(rows)
            ax.plot(table[:, 0], table[:, columns[1]], color=color, linewidth=1.4, label=kind)
            ax.plot(table[:, 0], table[:, columns[0]], color=color, linewidth=0.8, linestyle=":")
        ax.set(yscale="log")
        ax.set_xlabel("seconds (one core)")
        ax.set_ylabel(f"RMSE ({quantity}); dotted: training")
    axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
