"""The compiled part of dynamics: a block of steps, with samples of what is observed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stratal.descriptors.structures import Structures
from stratal.md.dynamics.state import (
    Ensemble,
    MDState,
    Targets,
    kinetic_energy,
    pressure_tensor,
    temperature,
)
from stratal.md.lists import Plan, renewed
from stratal.potentials.chunks import result_by_rows
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential


@dataclass(frozen=True)
class Program:
    """What shapes the compiled block."""

    plan: Plan
    ensemble: Ensemble
    dt: float  # ASE's unit of time
    precision: str  # of forces
    n_rows: int  # of the neighbor table, evaluated at a time
    n_renewed: int  # systems whose neighbor lists are renewed at a time
    sample_every: int  # steps
    n_samples: int  # of a block
    frames: bool  # whether samples hold positions and momenta


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Schedule:
    """Targets that change evenly from the first step to the last."""

    first: Targets
    last: Targets
    n_steps: jax.Array  # ()

    def at(self, step: jax.Array) -> Targets:
        """The targets of a step."""
        part = jnp.clip(step / jnp.maximum(self.n_steps, 1), 0.0, 1.0)
        return jax.tree.map(lambda one, other: one + part * (other - one), self.first, self.last)


class Samples(NamedTuple):
    """What was observed, each with a leading axis of samples; then ``(n_systems, ...)``."""

    step: jax.Array  # (n_samples,), steps done
    energy: jax.Array  # potential energy, eV
    kinetic: jax.Array  # eV
    temperature: jax.Array  # K
    pressure: jax.Array  # (n_samples, n_systems, 3, 3), eV/Å³, positive when compressed
    conserved: jax.Array  # eV
    cell: jax.Array  # (n_samples, n_systems, 3, 3), Å
    positions: jax.Array | None  # (n_samples, n_systems, n_places, 3), Å; never wrapped
    momenta: jax.Array | None  # alike, sqrt(amu eV)


@partial(compiled, static_argnames="program")
def run_block(
    program: Program, potential: Potential, schedule: Schedule, state: MDState
) -> tuple[MDState, Samples]:
    """Some steps of all systems.

    Returns:
        the state after them, not valid where a neighbor list overflowed; what was observed.
    """
    evaluate = partial(evaluated, program, potential)

    def step(_: jax.Array, state: MDState) -> MDState:
        state = replace(state, targets=schedule.at(state.n_steps))
        state = program.ensemble.step(state, evaluate, program.dt)
        return replace(state, n_steps=state.n_steps + 1)

    def sample(state: MDState, _: None) -> tuple[MDState, Samples]:
        state = jax.lax.fori_loop(0, program.sample_every, step, state)
        return state, observed(program, state)

    return jax.lax.scan(sample, state, None, length=program.n_samples)


def evaluated(program: Program, potential: Potential, state: MDState) -> MDState:
    """The state with energy, forces and stress at its positions."""
    structures, neighbors = state.structures, state.neighbors
    waiting = state.waiting | neighbors.outdated(structures)
    waiting &= ~neighbors.overflow & structures.system_mask
    lists = (neighbors, state.needs, waiting)
    n_lists = state.n_lists + waiting.any()
    neighbors, needs, waiting = renewed(
        program.plan, program.n_renewed, structures, lists, structures.system_mask
    )
    placed = structures.astype(program.precision)
    result = result_by_rows(potential, placed, neighbors, program.n_rows)
    forces = result.forces.reshape(state.momenta.shape).astype(state.momenta.dtype)
    return replace(
        state,
        neighbors=neighbors,
        needs=needs,
        waiting=waiting,
        energy=result.energy,
        forces=jnp.where(state.free[..., None], forces, 0.0),
        stress=result.stress.astype(state.momenta.dtype),
        n_lists=n_lists,
    )


first_evaluation = compiled(evaluated, static_argnames="program")


def observed(program: Program, state: MDState) -> Samples:
    """What a state shows."""
    kinetic = kinetic_energy(state)
    structures: Structures = state.structures
    positions = structures.positions.reshape(state.momenta.shape) if program.frames else None
    return Samples(
        step=state.n_steps,
        energy=state.energy,
        kinetic=kinetic,
        temperature=temperature(state),
        pressure=pressure_tensor(state),
        conserved=state.energy + kinetic + program.ensemble.reservoir(state),
        cell=structures.cell,
        positions=positions,
        momenta=state.momenta if program.frames else None,
    )
