"""Stochastic velocity rescaling: the canonical ensemble, dynamics hardly disturbed.

Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007), eq. (A7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from ase.units import kB

from stratal.md.dynamics.state import (
    Evaluate,
    MDState,
    kinetic_energy,
    split_keys,
    verlet,
    with_momenta_scaled,
)


@dataclass(frozen=True)
class Bussi:
    """The canonical ensemble by rescaling all momenta of a system alike."""

    relaxation_time: float  # of the kinetic energy, ASE's unit of time
    fixes_momentum: bool = True

    def init(self, state: MDState) -> tuple[()]:
        """Nothing beside the atoms."""
        del state
        return ()

    def step(self, state: MDState, evaluate: Evaluate, dt: float) -> MDState:
        """Half of the rescaling, velocity Verlet, the other half."""
        state = rescaled(state, 0.5 * dt, self.relaxation_time)
        state = verlet(state, evaluate, dt)
        return rescaled(state, 0.5 * dt, self.relaxation_time)

    def reservoir(self, state: MDState) -> jax.Array:
        """What the bath took."""
        return state.exchanged


def rescaled(state: MDState, dt: float, relaxation_time: float) -> MDState:
    """Momenta after a time ``dt`` with the bath."""
    state, keys = split_keys(state, 2)
    n_dof = state.n_dof.astype(state.momenta.dtype)
    one = jax.vmap(jax.random.normal)(keys[:, 0])
    # The other squares of normal numbers, one less than degrees of freedom, have a sum at once.
    others = jax.vmap(jax.random.gamma)(keys[:, 1], jnp.maximum(0.5 * (n_dof - 1), 1e-6))
    squares = one**2 + 2 * others
    energy = kinetic_energy(state)
    left = jnp.exp(-dt / relaxation_time)
    share = 0.5 * kB * state.targets.temperature / jnp.maximum(energy, 1e-30)
    squared = left + share * (1 - left) * squares + 2 * one * jnp.sqrt(share * left * (1 - left))
    sign = jnp.sign(one + jnp.sqrt(left / jnp.maximum((1 - left) * share, 1e-30)))
    factors = jnp.where(energy > 0, sign * jnp.sqrt(jnp.maximum(squared, 0)), 1.0)
    state = with_momenta_scaled(state, factors)
    return replace(state, exchanged=state.exchanged + energy - kinetic_energy(state))
