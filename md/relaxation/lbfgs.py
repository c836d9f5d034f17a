"""L-BFGS: Newton steps with the curvature that the last steps have shown.

Nocedal and Wright, Numerical Optimization (2nd ed.), algorithm 7.4, without a line search as in
ASE's ``LBFGS``: a step is bounded instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from stratal.md.coordinates import Coordinates, where


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LbfgsState:
    """What L-BFGS remembers of each system, newest last."""

    steps: Coordinates  # s, with an axis (n_systems, memory, ...)
    changes: Coordinates  # y, of the gradient, alike
    curvatures: jax.Array  # 1/(s y), (n_systems, memory); 0 where there is none
    last_x: Coordinates
    last_forces: Coordinates
    count: jax.Array  # (n_systems,), evaluations so far


@dataclass(frozen=True)
class Lbfgs:
    """The minimizer."""

    memory: int = 20
    stiffness: float = 70.0  # eV/Å², of all directions before the first step
    longest_step: float = 0.2  # Å, of any atom

    def init(self, x: Coordinates) -> LbfgsState:
        """Without a past."""
        n_systems = len(x.cell)

        def history(part: jax.Array) -> jax.Array:
            return jnp.zeros((n_systems, self.memory, *part.shape[1:]), part.dtype)

        empty, nothing = jax.tree.map(history, x), jax.tree.map(jnp.zeros_like, x)
        curvatures = jnp.zeros((n_systems, self.memory), x.cell.dtype)
        count = jnp.zeros(n_systems, jnp.int32)
        return LbfgsState(empty, empty, curvatures, nothing, nothing, count)

    def step(
        self, state: LbfgsState, x: Coordinates, forces: Coordinates
    ) -> tuple[Coordinates, LbfgsState]:
        """The displacement from ``x``, and what to remember."""
        s, y = x - state.last_x, state.last_forces - forces
        curvature = s.dot(y)
        # Where the energy curves down along the step, nothing is learned from it.
        useful = (state.count > 0) & (curvature > 1e-10 * y.dot(y) / self.stiffness)

        def pushed(history: jax.Array, newest: jax.Array) -> jax.Array:
            return jnp.concatenate([history[:, 1:], newest[:, None]], axis=1)

        newer = (
            jax.tree.map(pushed, state.steps, s),
            jax.tree.map(pushed, state.changes, y),
            pushed(state.curvatures, 1.0 / jnp.where(useful, curvature, 1.0)),
        )
        past = where(useful, newer, (state.steps, state.changes, state.curvatures))
        direction = self.newton(*past, forces)
        length = jnp.maximum(direction.longest(), 1e-30)
        displacement = direction.scaled(jnp.minimum(1.0, self.longest_step / length))
        return displacement, LbfgsState(*past, x, forces, state.count + 1)

    def newton(
        self, steps: Coordinates, changes: Coordinates, curvatures: jax.Array, forces: Coordinates
    ) -> Coordinates:
        """The inverse Hessian of the past times the forces: the two loops of the algorithm."""

        def of(history: Coordinates, number: jax.Array | int) -> Coordinates:
            return jax.tree.map(lambda part: part[:, number], history)

        def backward(q: Coordinates, number: jax.Array) -> tuple[Coordinates, jax.Array]:
            weight = curvatures[:, number] * of(steps, number).dot(q)
            return q - of(changes, number).scaled(weight), weight

        def forward(r: Coordinates, past: tuple) -> tuple[Coordinates, None]:
            number, weight = past
            change = curvatures[:, number] * of(changes, number).dot(r)
            return r + of(steps, number).scaled(weight - change), None

        order = jnp.arange(self.memory)
        q, weights = jax.lax.scan(backward, forces, order[::-1])
        # Directions of unknown curvature: as stiff as the last step was, eq. (7.20).
        known = curvatures[:, -1] > 0
        newest = curvatures[:, -1] * of(changes, -1).dot(of(changes, -1))
        stiffness = jnp.where(known, newest, self.stiffness)
        r, _ = jax.lax.scan(forward, q.scaled(1 / stiffness), (order, weights[::-1]))
        return r
