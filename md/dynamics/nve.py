"""Constant energy: velocity Verlet alone."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from stratal.md.dynamics.state import Evaluate, MDState, verlet


@dataclass(frozen=True)
class NVE:
    """The microcanonical ensemble."""

    fixes_momentum: bool = True

    def init(self, state: MDState) -> tuple[()]:
        """Nothing beside the atoms."""
        del state
        return ()

    def step(self, state: MDState, evaluate: Evaluate, dt: float) -> MDState:
        """One step of velocity Verlet."""
        return verlet(state, evaluate, dt)

    def reservoir(self, state: MDState) -> jax.Array:
        """None."""
        return jnp.zeros_like(state.energy)
