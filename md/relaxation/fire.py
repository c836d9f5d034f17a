"""FIRE, the fast inertial relaxation engine.

Bitzek, Koskinen, Gähler, Moseler and Gumbsch, PRL 97, 170201 (2006), in the form of ASE's
``FIRE``: the masses are 1, and the whole step of a system is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from stratal.md.coordinates import Coordinates, where


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FireState:
    """What FIRE remembers of each system."""

    velocities: Coordinates
    dt: jax.Array  # (n_systems,)
    mixing: jax.Array  # (n_systems,), part of the velocity that turns to the force: alpha
    downhill: jax.Array  # (n_systems,), steps since the power was last negative


@dataclass(frozen=True)
class Fire:
    """The minimizer; times are in units in which a mass of 1 amu and eV/Å give Å."""

    dt: float = 0.1
    longest_dt: float = 1.0
    longest_step: float = 0.2  # Å, of a whole system
    delay: int = 5  # N_min
    faster: float = 1.1  # f_inc
    slower: float = 0.5  # f_dec
    mixing: float = 0.1  # alpha_start
    less_mixing: float = 0.99  # f_alpha

    def init(self, x: Coordinates) -> FireState:
        """At rest."""
        n_systems, dtype = len(x.cell), x.cell.dtype
        at_rest = jax.tree.map(jnp.zeros_like, x)
        each = (jnp.full(n_systems, value, dtype) for value in (self.dt, self.mixing))
        return FireState(at_rest, *each, jnp.zeros(n_systems, jnp.int32))

    def step(
        self, state: FireState, x: Coordinates, forces: Coordinates
    ) -> tuple[Coordinates, FireState]:
        """The displacement from ``x``, and what to remember."""
        del x
        velocities = state.velocities
        moving = velocities.norm() > 0
        downhill = forces.dot(velocities) > 0
        along = velocities.norm() / jnp.maximum(forces.norm(), 1e-30)
        turned = velocities.scaled(1 - state.mixing) + forces.scaled(state.mixing * along)
        velocities = where(downhill, turned, jax.tree.map(jnp.zeros_like, velocities))

        fast = downhill & (state.downhill > self.delay)
        dt = jnp.where(fast, jnp.minimum(state.dt * self.faster, self.longest_dt), state.dt)
        mixing = jnp.where(fast, state.mixing * self.less_mixing, state.mixing)
        uphill = moving & ~downhill  # at rest is neither
        dt = jnp.where(uphill, dt * self.slower, dt)
        mixing = jnp.where(uphill, self.mixing, mixing)
        count = jnp.where(downhill, state.downhill + 1, 0)

        velocities = velocities + forces.scaled(dt)
        displacement = velocities.scaled(dt)
        length = jnp.maximum(displacement.norm(), 1e-30)
        displacement = displacement.scaled(jnp.minimum(1.0, self.longest_step / length))
        return displacement, FireState(velocities, dt, mixing, count)
