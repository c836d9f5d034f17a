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

from stratal.descriptors.image_list import Needs
from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.md.coordinates import Strain, forces_on, log_strains, placed, where
from stratal.md.lists import Plan, build_lists
from stratal.md.relaxation.state import Minimizer, Outcome, Relaxing
from stratal.potentials.chunks import result_by_rows
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential

Lists = tuple[Neighbors, Needs, jax.Array]  # with which systems wait

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
    state = renewed(program, state)
    ready = state.running & ~state.waiting
    structures = state.structures
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


def renewed(program: Program, state: Relaxing) -> Relaxing:
    """The state with new lists for the systems that wait for one, a few at a time."""
    plan, structures, running = program.plan, state.structures, state.running
    lists = state.neighbors, state.needs, state.waiting

    def wait(lists: Lists) -> jax.Array:
        neighbors, _, waiting = lists
        return waiting & running & ~neighbors.overflow

    def some(lists: Lists) -> Lists:
        neighbors, needs, waiting = lists
        chosen = jnp.argsort(~wait(lists))[: program.n_renewed].astype(jnp.int32)
        built, own = build_lists(plan, systems(structures, chosen, program.n_places))
        needs = Needs(*(all_.at[chosen].set(new) for all_, new in zip(needs, own, strict=True)))
        waiting = waiting.at[chosen].set(built.overflow)
        return put_lists(neighbors, built, chosen, program.n_places), needs, waiting

    neighbors, needs, waiting = jax.lax.while_loop(lambda lists: wait(lists).any(), some, lists)
    return replace(state, neighbors=neighbors, needs=needs, waiting=waiting)


def systems(structures: Structures, chosen: jax.Array, n_atoms: int) -> Structures:
    """The systems of these numbers, counted anew."""

    def of_atoms(array: jax.Array) -> jax.Array:
        by_system = array.reshape(-1, n_atoms, *array.shape[1:])[chosen]
        return by_system.reshape(-1, *array.shape[1:])

    return Structures(
        positions=of_atoms(structures.positions),
        species=of_atoms(structures.species),
        system=jnp.repeat(jnp.arange(len(chosen), dtype=structures.system.dtype), n_atoms),
        atom_mask=of_atoms(structures.atom_mask),
        cell=structures.cell[chosen],
        pbc=structures.pbc[chosen],
        system_mask=structures.system_mask[chosen],
        elements=structures.elements,
    )


def put_lists(table: Neighbors, built: Neighbors, chosen: jax.Array, n_atoms: int) -> Neighbors:
    """The table with the rows of these systems taken from lists of their own."""
    here = jnp.arange(len(chosen), dtype=jnp.int32)
    further = jnp.repeat((chosen - here) * n_atoms, n_atoms)[:, None]  # in the whole table
    further = further.astype(jnp.int32)

    def put(all_: jax.Array, some: jax.Array) -> jax.Array:
        by_system = (-1, n_atoms, *all_.shape[1:])
        new = all_.reshape(by_system).at[chosen].set(some.reshape(by_system).astype(all_.dtype))
        return new.reshape(all_.shape)

    return replace(
        table,
        senders=put(table.senders, built.senders + further),
        shifts=put(table.shifts, built.shifts),
        mask=put(table.mask, built.mask),
        reverse=put(table.reverse, built.reverse + further * table.n_neighbors),
        positions=put(table.positions, built.positions),
        cell=table.cell.at[chosen].set(built.cell),
        overflow=table.overflow.at[chosen].set(built.overflow),
    )
