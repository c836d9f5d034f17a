"""Langevin dynamics: friction and noise at every atom.

The splitting BAOAB of Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34, whose averages of
positions are accurate at long steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from ase.units import kB

from stratal.md.dynamics.state import Evaluate, MDState, drift, kick, kinetic_energy, split_keys


@dataclass(frozen=True)
class Langevin:
    """The canonical ensemble by friction; the total momentum fluctuates too."""

    relaxation_time: float  # of momenta, ASE's unit of time
    fixes_momentum: bool = False

    def init(self, state: MDState) -> tuple[()]:
        """Nothing beside the atoms."""
        del state
        return ()

    def step(self, state: MDState, evaluate: Evaluate, dt: float) -> MDState:
        """One step: kick, drift, friction and noise, drift, kick."""
        state = drift(kick(state, 0.5 * dt), 0.5 * dt)
        state = drift(self.with_noise(state, dt), 0.5 * dt)
        return kick(evaluate(state), 0.5 * dt)

    def with_noise(self, state: MDState, dt: float) -> MDState:
        """Friction and noise for a time ``dt``: exact for free particles."""
        before = kinetic_energy(state)
        state, keys = split_keys(state, 1)
        shape = state.momenta.shape[1:]
        noise = jax.vmap(lambda key: jax.random.normal(key, shape))(keys[:, 0])
        left = jnp.exp(-dt / self.relaxation_time)
        thermal = state.masses * kB * state.targets.temperature[:, None]
        width = jnp.sqrt((1 - left**2) * thermal * state.free)
        momenta = left * state.momenta + width[..., None] * noise
        state = replace(state, momenta=momenta)
        return replace(state, exchanged=state.exchanged + before - kinetic_energy(state))

    def reservoir(self, state: MDState) -> jax.Array:
        """What the bath took."""
        return state.exchanged
