"""State of molecular dynamics, and the two moves that all integrators are made of.

One system or many, each in places of its own: arrays by atom are ``(n_systems, n_places, 3)``.
Times are ASE's (Å sqrt(amu/eV)), momenta sqrt(amu eV); positions and momenta are float64 whatever
precision forces are evaluated in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from ase.units import kB

from stratal.descriptors.image_list import Needs
from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Targets:
    """What thermostats and barostats steer to, now."""

    temperature: jax.Array  # (n_systems,), K
    pressure: jax.Array  # (n_systems,), eV/Å³


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MDState:
    """All that a checkpoint needs."""

    structures: Structures  # in the order of species within each system
    neighbors: Neighbors
    needs: Needs  # of the neighbor lists
    waiting: jax.Array  # (n_systems,), for a new neighbor list
    momenta: jax.Array  # (n_systems, n_places, 3); 0 for padding and what is fixed
    masses: jax.Array  # (n_systems, n_places), amu; 1 for padding
    free: jax.Array  # (n_systems, n_places), which atoms move
    n_dof: jax.Array  # (n_systems,), degrees of freedom of the momenta
    energy: jax.Array  # (n_systems,), eV
    forces: jax.Array  # (n_systems, n_places, 3), eV/Å; 0 where nothing moves
    stress: jax.Array  # (n_systems, 3, 3), eV/Å³, without the momenta's part
    targets: Targets
    extra: Any  # variables of the ensemble, by system
    exchanged: jax.Array  # (n_systems,), eV, that went into thermostats and barostats
    keys: jax.Array  # (n_systems, 2), of random numbers
    n_steps: jax.Array  # (), done
    n_lists: jax.Array  # (), neighbor lists that were built

    @property
    def volumes(self) -> jax.Array:
        """``(n_systems,)``, Å³."""
        return self.structures.volumes


# Evaluates energy, forces and stress at the state's positions.
Evaluate = Callable[[MDState], MDState]


class Ensemble(Protocol):
    """What a simulation keeps constant, and how; pure."""

    @property
    def fixes_momentum(self) -> bool:
        """Whether the total momentum stays 0."""
        ...

    def init(self, state: MDState) -> Any:
        """Its variables at the start, leaves by system."""
        ...

    def step(self, state: MDState, evaluate: Evaluate, dt: float) -> MDState:
        """One step of ``dt`` (ASE's unit)."""
        ...

    def reservoir(self, state: MDState) -> jax.Array:
        """Energy of its variables ``(n_systems,)``, eV, which is conserved with the system's."""
        ...


def kick(state: MDState, dt: float) -> MDState:
    """Momenta follow the forces for a time ``dt``."""
    return replace(state, momenta=state.momenta + dt * state.forces)


def drift(state: MDState, dt: float) -> MDState:
    """Positions follow the momenta for a time ``dt``."""
    steps = dt * state.momenta / state.masses[..., None]
    positions = state.structures.positions + steps.reshape(-1, 3)
    return replace(state, structures=replace(state.structures, positions=positions))


def verlet(state: MDState, evaluate: Evaluate, dt: float) -> MDState:
    """A step of velocity Verlet: Swope et al., J. Chem. Phys. 76, 637 (1982)."""
    state = kick(state, 0.5 * dt)
    state = evaluate(drift(state, dt))
    return kick(state, 0.5 * dt)


def with_momenta_scaled(state: MDState, factors: jax.Array) -> MDState:
    """Momenta of each system times its factor, ``(n_systems,)``."""
    return replace(state, momenta=factors[:, None, None] * state.momenta)


def kinetic_energy(state: MDState) -> jax.Array:
    """``(n_systems,)``, eV."""
    return 0.5 * jnp.sum(state.momenta**2 / state.masses[..., None], axis=(1, 2))


def temperature(state: MDState) -> jax.Array:
    """Of the momenta, ``(n_systems,)``, K."""
    return 2 * kinetic_energy(state) / (jnp.maximum(state.n_dof, 1) * kB)


def pressure_tensor(state: MDState) -> jax.Array:
    """Of momenta and forces, ``(n_systems, 3, 3)``, eV/Å³, positive when compressed."""
    velocities = state.momenta / state.masses[..., None]
    kinetic = jnp.einsum("sai,saj->sij", state.momenta, velocities, precision="highest")
    return kinetic / state.volumes[:, None, None] - state.stress


def pressure(state: MDState) -> jax.Array:
    """``(n_systems,)``, eV/Å³."""
    return jnp.trace(pressure_tensor(state), axis1=1, axis2=2) / 3


def split_keys(state: MDState, count: int) -> tuple[MDState, jax.Array]:
    """New random keys, ``(n_systems, count, 2)``, and the state without them."""
    keys = jax.vmap(lambda key: jax.random.split(key, count + 1))(state.keys)
    return replace(state, keys=keys[:, 0]), keys[:, 1:]
