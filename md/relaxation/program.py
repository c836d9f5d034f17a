"""The compiled part of a relaxation: a block of steps of all slots.

A step renews the neighbor lists of the systems whose atoms have moved far, a few at a time,
evaluates all systems, and moves those that are not at their end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from stratal.md.coordinates import Strain, forces_on, log_strains, placed, where
from stratal.md.lists import Plan, renewed
from stratal.md.relaxation.state import Minimizer, Outcome, Relaxing
from stratal.potentials.chunks import result_by_rows
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential

LARGEST_STRAIN = 1.5  # of lengths, logarithmic: a cell beyond has exploded or collapsed


@dataclass(frozen=True)
class Program:
    """What shapes the compiled block."""

    plan: Plan
    n_places: int  # for atoms, of each slot
    minimizer: Minimizer
    strain: Strain
    pressure: float  # eV/Å³
    fmax: float  # eV/Å
    max_steps: int
    n_rows: int  # of the neighbor table, evaluated at a time
    n_renewed: int  # systems whose neighbor lists are renewed at a time
    n_steps: int  # of a block


@partial(compiled, static_argnames="program")
def run_block(program: Program, potential: Potential, state: Relaxing) -> tuple[Relaxing, Any]:
    """Some steps of all systems.

    Returns:
        the state after them, and how many systems moved in each step, ``(n_steps,)``.
    """

    def one(state: Relaxing, _: None) -> tuple[Relaxing, jax.Array]:
        return step(program, potential, state)

    return jax.lax.scan(one, state, None, length=program.n_steps)


def step(program: Program, potential: Potential, state: Relaxing) -> tuple[Relaxing, jax.Array]:
    """One evaluation of all systems and the step that follows from it."""
    plan, structures = program.plan, state.structures
    lists = (state.neighbors, state.needs, state.waiting)
    lists = renewed(plan, program.n_renewed, structures, lists, state.running)
    state = replace(state, neighbors=lists[0], needs=lists[1], waiting=lists[2])
    ready = state.running & ~state.waiting
    result = result_by_rows(potential, structures, state.neighbors, program.n_rows)
    symmetrized = state.symmetry.symmetrized if state.symmetry else None
    forces = forces_on(
        state.x,
        structures,
        result,
        state.freedom,
        program.strain,
        program.pressure,
        symmetrized,
    )
    largest = forces.longest()
    outcome = jnp.where(ready, outcome_of(program, state, result.energy, largest), state.outcome)
    by_atom = jnp.repeat(ready, program.n_places)
    state = replace(
        state,
        energy=jnp.where(ready, result.energy, state.energy),
        forces=where(by_atom, result.forces, state.forces),
        stress=where(ready, result.stress, state.stress),
        largest=jnp.where(ready, largest, state.largest),
        n_steps=state.n_steps + ready,
        outcome=outcome,
    )
    moving = ready & state.running
    displacement, minimizer = program.minimizer.step(state.minimizer, state.x, forces)
    x = (state.x + displacement).where(moving, state.x)
    # Only what moves is placed anew: all else keeps the positions that were evaluated.
    moved = placed(structures, state.start, x)
    structures = replace(
        structures,
        positions=where(
            jnp.repeat(moving, program.n_places), moved.positions, structures.positions
        ),
        cell=where(moving, moved.cell, structures.cell),
    )
    outdated = state.neighbors.outdated(structures)
    return replace(
        state,
        x=x,
        minimizer=where(moving, minimizer, state.minimizer),
        structures=structures,
        waiting=state.waiting | (moving & outdated),
    ), moving.sum()


def outcome_of(
    program: Program, state: Relaxing, energy: jax.Array, largest: jax.Array
) -> jax.Array:
    """What a system's evaluation makes of it, ``(n_systems,)``."""
    strain = jnp.abs(log_strains(state.structures, state.x)).max(axis=(1, 2))
    sound = jnp.isfinite(energy) & jnp.isfinite(largest) & (strain < LARGEST_STRAIN)
    ended = jnp.where(state.n_steps + 1 >= program.max_steps, Outcome.UNCONVERGED, Outcome.RUNNING)
    ended = jnp.where(largest < program.fmax, Outcome.CONVERGED, ended)
    return jnp.where(sound, ended, Outcome.EXPLODED).astype(state.outcome.dtype)
