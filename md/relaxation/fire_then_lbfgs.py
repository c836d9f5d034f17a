"""FIRE while far from a minimum, L-BFGS near it.

FIRE rolls into the basin where the structure begins; L-BFGS, whose long first steps often leave
it, then needs a fraction of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from stratal.md.coordinates import Coordinates, where
from stratal.md.relaxation.fire import Fire, FireState
from stratal.md.relaxation.lbfgs import Lbfgs, LbfgsState


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FireThenLbfgsState:
    """What both remember of each system."""

    fire: FireState
    lbfgs: LbfgsState
    near: jax.Array  # (n_systems,), whether L-BFGS has begun


@dataclass(frozen=True)
class FireThenLbfgs:
    """The minimizer."""

    near: float = 0.1  # eV/Å: with no larger force, a minimum is near
    fire: Fire = field(default_factory=Fire)
    lbfgs: Lbfgs = field(default_factory=Lbfgs)

    def init(self, x: Coordinates) -> FireThenLbfgsState:
        """FIRE at rest."""
        far = jnp.zeros(len(x.cell), bool)
        return FireThenLbfgsState(self.fire.init(x), self.lbfgs.init(x), far)

    def step(
        self, state: FireThenLbfgsState, x: Coordinates, forces: Coordinates
    ) -> tuple[Coordinates, FireThenLbfgsState]:
        """The displacement from ``x``, and what to remember."""
        near = state.near | (forces.longest() < self.near)
        rolling, fire = self.fire.step(state.fire, x, forces)
        newton, lbfgs = self.lbfgs.step(state.lbfgs, x, forces)
        displacement = newton.where(near, rolling)
        # The past that L-BFGS learns from begins with it.
        return displacement, FireThenLbfgsState(fire, where(near, lbfgs, state.lbfgs), near)
