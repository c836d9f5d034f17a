"""Nosé-Hoover chains: the canonical ensemble by deterministic, reversible dynamics.

Martyna, Tuckerman, Tobias and Klein, Mol. Phys. 87, 1117 (1996), with the factorisation of third
order of Yoshida and Suzuki.
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
    verlet,
    with_momenta_scaled,
)

OUTER = 1 / (2 - 2 ** (1 / 3))
WEIGHTS = (OUTER, 1 - 2 * OUTER, OUTER)  # of the substeps


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Chain:
    """Thermostats of each system; the first acts on the atoms, each next on the one before."""

    positions: jax.Array  # (n_systems, length)
    velocities: jax.Array  # (n_systems, length), 1/time


@dataclass(frozen=True)
class NoseHoover:
    """The canonical ensemble by a chain of thermostats."""

    relaxation_time: float  # period over 2 pi of the chain, ASE's unit of time
    length: int = 3
    substeps: int = 2
    fixes_momentum: bool = True

    def init(self, state: MDState) -> Chain:
        """At rest."""
        at_rest = jnp.zeros((len(state.energy), self.length), state.momenta.dtype)
        return Chain(at_rest, at_rest)

    def step(self, state: MDState, evaluate: Evaluate, dt: float) -> MDState:
        """Half a step of the chain, velocity Verlet, the other half."""
        state = self.with_chain(state, 0.5 * dt)
        state = verlet(state, evaluate, dt)
        return self.with_chain(state, 0.5 * dt)

    def masses(self, state: MDState) -> jax.Array:
        """Of the thermostats, ``(n_systems, length)``."""
        thermal = kB * state.targets.temperature * self.relaxation_time**2
        first = jnp.arange(self.length) == 0
        return thermal[:, None] * jnp.where(first, state.n_dof[:, None], 1)

    def with_chain(self, state: MDState, dt: float) -> MDState:
        """Thermostats and momenta after a time ``dt``."""
        thermal, masses = kB * state.targets.temperature, self.masses(state)
        energy = kinetic_energy(state)
        scale = jnp.ones_like(energy)
        positions, velocities = state.extra.positions, list(state.extra.velocities.T)
        last = self.length - 1

        def pull(number: int) -> jax.Array:
            """What accelerates a thermostat."""
            if number == 0:
                return (2 * scale**2 * energy - state.n_dof * thermal) / masses[:, 0]
            before = masses[:, number - 1] * velocities[number - 1] ** 2
            return (before - thermal) / masses[:, number]

        for weight in WEIGHTS * self.substeps:
            short = weight * dt / self.substeps
            velocities[last] = velocities[last] + 0.5 * short * pull(last)
            for number in reversed(range(last)):
                damping = jnp.exp(-0.25 * short * velocities[number + 1])
                pulled = velocities[number] * damping + 0.5 * short * pull(number)
                velocities[number] = pulled * damping
            scale = scale * jnp.exp(-short * velocities[0])
            positions = positions + short * jnp.stack(velocities, axis=1)
            for number in range(last):
                damping = jnp.exp(-0.25 * short * velocities[number + 1])
                pulled = velocities[number] * damping + 0.5 * short * pull(number)
                velocities[number] = pulled * damping
            velocities[last] = velocities[last] + 0.5 * short * pull(last)
        chain = Chain(positions, jnp.stack(velocities, axis=1))
        return replace(with_momenta_scaled(state, scale), extra=chain)

    def reservoir(self, state: MDState) -> jax.Array:
        """Energy of the chain; conserved with the atoms' at a constant temperature."""
        chain: Chain = state.extra
        kinetic = 0.5 * jnp.sum(self.masses(state) * chain.velocities**2, axis=1)
        count = jnp.where(jnp.arange(self.length) == 0, state.n_dof[:, None], 1)
        thermal = kB * state.targets.temperature
        return kinetic + thermal * jnp.sum(count * chain.positions, axis=1)
