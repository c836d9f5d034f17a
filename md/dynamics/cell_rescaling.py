"""Stochastic cell rescaling: constant temperature and pressure.

Of the volume: Bernetti and Bussi, J. Chem. Phys. 153, 114107 (2020), in the square root of the
volume, whose noise is constant. Of lengths or the whole cell: Del Tatto, Raiteri, Bernetti and
Bussi, Appl. Sci. 12, 1139 (2022), without the cell's rotation. The atoms' temperature is kept by
stochastic velocity rescaling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
from ase.units import kB

from stratal.md.dynamics.bussi import rescaled
from stratal.md.dynamics.state import (
    Evaluate,
    MDState,
    kinetic_energy,
    pressure,
    pressure_tensor,
    split_keys,
    verlet,
)

# What of the cell changes: its volume; its lengths along x, y and z; all of it.
Change = Literal["isotropic", "anisotropic", "full"]


@dataclass(frozen=True)
class CellRescaling:
    """The isothermal-isobaric ensemble."""

    relaxation_time: float  # of the kinetic energy, ASE's unit of time
    cell_relaxation_time: float  # of the cell, alike
    compressibility: float  # about that of the system, Å³/eV: with it the time above is right
    change: Change = "isotropic"
    fixes_momentum: bool = True

    def init(self, state: MDState) -> tuple[()]:
        """Nothing beside atoms and cell."""
        del state
        return ()

    def step(self, state: MDState, evaluate: Evaluate, dt: float) -> MDState:
        """Half of the thermostat, the cell, velocity Verlet, the other half."""
        state = rescaled(state, 0.5 * dt, self.relaxation_time)
        state = self.with_cell(state, dt)
        state = verlet(state, evaluate, dt)
        return rescaled(state, 0.5 * dt, self.relaxation_time)

    def with_cell(self, state: MDState, dt: float) -> MDState:
        """Cell, positions and momenta after a time ``dt`` of the barostat."""
        state, keys = split_keys(state, 1)
        before = kinetic_energy(state) + state.targets.pressure * state.volumes
        if self.change == "isotropic":
            change = self.volume_change(state, keys[:, 0], dt)
        else:
            change = self.shape_change(state, keys[:, 0], dt)
        positions = state.structures.positions.reshape(state.momenta.shape)
        # The atoms' energy is evaluated only after the drift: its change, to first order.
        strain = change - jnp.eye(3)
        work = jnp.einsum("sij,sij->s", state.stress, strain) * state.volumes
        structures = replace(
            state.structures,
            positions=jnp.einsum("sij,saj->sai", change, positions, precision="highest").reshape(
                -1, 3
            ),
            cell=jnp.einsum("sij,skj->ski", change, state.structures.cell, precision="highest"),
        )
        inverse = jnp.linalg.inv(change)
        momenta = jnp.einsum("sij,saj->sai", inverse, state.momenta, precision="highest")
        state = replace(state, structures=structures, momenta=momenta)
        after = kinetic_energy(state) + state.targets.pressure * state.volumes
        return replace(state, exchanged=state.exchanged + before - after - work)

    def volume_change(self, state: MDState, keys: jax.Array, dt: float) -> jax.Array:
        """By what the cell is multiplied, ``(n_systems, 3, 3)``."""
        thermal = kB * state.targets.temperature
        rate = self.compressibility / self.cell_relaxation_time
        root = jnp.sqrt(state.volumes)
        excess = state.targets.pressure - pressure(state) - 0.5 * thermal / state.volumes
        noise = jax.vmap(jax.random.normal)(keys)
        change = -0.5 * rate * root * excess * dt + jnp.sqrt(0.5 * thermal * rate * dt) * noise
        factor = jnp.maximum(1 + change / root, 0.5) ** (2 / 3)
        return factor[:, None, None] * jnp.eye(3)

    def shape_change(self, state: MDState, keys: jax.Array, dt: float) -> jax.Array:
        """By what the cell is multiplied, ``(n_systems, 3, 3)``: symmetric, no rotation."""
        thermal = (kB * state.targets.temperature)[:, None, None]
        rate = self.compressibility / (3 * self.cell_relaxation_time)
        volumes, identity = state.volumes[:, None, None], jnp.eye(3)
        excess = state.targets.pressure[:, None, None] * identity - pressure_tensor(state)
        excess = excess - thermal / volumes * identity
        noise = jax.vmap(lambda key: jax.random.normal(key, (3, 3)))(keys)
        strain = -rate * excess * dt + jnp.sqrt(2 * thermal * rate * dt / volumes) * noise
        if self.change == "anisotropic":
            return identity + strain * identity
        return without_rotation(identity + strain)

    def reservoir(self, state: MDState) -> jax.Array:
        """What baths took, and pV."""
        return state.exchanged + state.targets.pressure * state.volumes


def without_rotation(change: jax.Array) -> jax.Array:
    """The symmetric factor of matrices near 1, ``(n_systems, 3, 3)``: F = R U.

    The polar decomposition by Newton's iteration (Higham, SIAM J. Sci. Stat. Comput. 7, 1160).
    """
    rotation = change
    for _ in range(6):  # quadratic: to rounding from strains of a tenth
        rotation = 0.5 * (rotation + jnp.linalg.inv(rotation).swapaxes(1, 2))
    symmetric = jnp.matmul(rotation.swapaxes(1, 2), change, precision="highest")
    return 0.5 * (symmetric + symmetric.swapaxes(1, 2))
