"""The compiled part of Monte Carlo: some sweeps of all systems, with samples of what is observed.

Atoms stay where they are; which element sits there changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.regrouped import without_gaps
from stratal.descriptors.structures import Structures
from stratal.md.dynamics.program import Schedule
from stratal.md.dynamics.state import MDState, split_keys
from stratal.md.lists import Plan, renewed
from stratal.md.monte_carlo.local import energies_around
from stratal.md.monte_carlo.order import (
    pairs_in_shells,
    phases,
    shell_of_edges,
    structure_factors,
)
from stratal.md.monte_carlo.trials import Trial, accepted, swap, transmutation
from stratal.potentials.chunks import result_by_rows
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential, in_float64


@dataclass(frozen=True)
class Program:
    """What shapes the compiled block."""

    plan: Plan
    into: tuple[bool, ...]  # which species turn into each other; () where atoms change places
    precision: str  # of energies
    n_rows: int  # of the neighbor table, evaluated at a time
    n_entries: int  # of a row of the neighbor table, at most
    n_renewed: int  # systems whose neighbor lists are renewed at a time
    sample_every: int  # sweeps
    n_samples: int  # of a block


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Conditions:
    """What elements are steered by, and what is looked at."""

    schedule: Schedule  # of temperatures, by sweep
    chemical_potentials: jax.Array  # (n_species,), eV
    masses: jax.Array  # (n_species,), amu
    radii: jax.Array  # (n_shells,), Å
    wavevectors: jax.Array  # (n_systems, n_waves, 3)


class Samples(NamedTuple):
    """What was observed, each with a leading axis of samples; then ``(n_systems, ...)``."""

    sweep: jax.Array  # (n_samples,), sweeps done
    temperature: jax.Array  # K
    energy: jax.Array  # eV
    counts: jax.Array  # (n_samples, n_systems, n_species), atoms
    acceptance: jax.Array  # part of the trials since the sample before
    pairs: jax.Array  # (n_samples, n_systems, n_shells, n_species, n_species), directed
    structure_factors: jax.Array  # (n_samples, n_systems, n_waves, n_species)


class Sites(NamedTuple):
    """Which element sits where, while positions stay."""

    species: jax.Array  # (n_systems, n_places)
    energies: jax.Array  # (n_systems, n_places), eV
    accepted: jax.Array  # (n_systems,), since the sample before
    state: MDState  # whose random keys count


@partial(compiled, static_argnames="program")
def run_block(
    program: Program,
    potential: Potential,
    conditions: Conditions,
    state: MDState,
    sweep: jax.Array,
) -> tuple[MDState, Samples]:
    """Some sweeps of all systems.

    Args:
        program: what shapes it.
        potential: in the program's precision.
        conditions: temperatures and chemical potentials.
        state: whose systems may wait for neighbor lists.
        sweep: how many are done.

    Returns:
        the state after them, atoms again in the order of species, waiting for neighbor lists;
        what was observed. Not valid where a neighbor list overflowed.
    """
    state = with_lists(program, state)
    structures = state.structures.astype(program.precision)
    shape = state.masses.shape
    result = result_by_rows(potential, structures, state.neighbors, program.n_rows)
    sites = Sites(
        structures.species.reshape(shape),
        result.energies.reshape(shape),
        jnp.zeros(shape[0], jnp.int64),
        state,
    )
    table = without_gaps(state.neighbors, program.n_entries)
    shell = shell_of_edges(state.structures, table, conditions.radii)
    phase = phases(state.structures, conditions.wavevectors)
    real = structures.atom_mask.reshape(shape)
    trials = program.sample_every * shape[1]

    def trial(temperature: jax.Array, _: jax.Array, sites: Sites) -> Sites:
        return tried(program, potential, conditions, (structures, table), temperature, sites)

    def sample(carry: tuple[Sites, jax.Array], _: None) -> tuple[tuple[Sites, jax.Array], Samples]:
        sites, sweep = carry
        temperature = conditions.schedule.at(sweep).temperature
        sites = sites._replace(accepted=jnp.zeros_like(sites.accepted))
        sites = jax.lax.fori_loop(0, trials, partial(trial, temperature), sites)
        sweep = sweep + program.sample_every
        n_species, n_shells = len(potential.elements), len(conditions.radii)
        species = jnp.where(real, sites.species, n_species)
        observed = Samples(
            sweep=sweep,
            temperature=temperature,
            energy=in_float64(sites.energies).sum(axis=1),
            counts=(species[..., None] == jnp.arange(n_species)).sum(axis=1),
            acceptance=sites.accepted / trials,
            pairs=pairs_in_shells(shell, table, sites.species, real, (n_shells, n_species)),
            structure_factors=structure_factors(phase, sites.species, real, n_species),
        )
        return (sites, sweep), observed

    (sites, _), samples = jax.lax.scan(sample, (sites, sweep), None, length=program.n_samples)
    return settled(state, sites, conditions.masses), samples


def with_lists(program: Program, state: MDState) -> MDState:
    """The state with neighbor lists for the systems that wait for them."""
    lists = (state.neighbors, state.needs, state.waiting)
    structures = state.structures
    neighbors, needs, waiting = renewed(
        program.plan, program.n_renewed, structures, lists, structures.system_mask
    )
    return replace(state, neighbors=neighbors, needs=needs, waiting=waiting)


def tried(
    program: Program,
    potential: Potential,
    conditions: Conditions,
    where: tuple[Structures, Neighbors],
    temperature: jax.Array,
    sites: Sites,
) -> Sites:
    """One trial in each system."""
    state, keys = split_keys(sites.state, 2)
    trial = proposed(program, keys[:, 0], sites.species, state.free)
    each = jnp.arange(len(keys))[:, None]
    species = sites.species.at[each, trial.places].set(trial.species)
    energies = energies_around(potential, *where, species, trial.places, sites.energies)
    change = in_float64(energies - sites.energies).sum(axis=1)
    before = jnp.take_along_axis(sites.species, trial.places, axis=1)
    mu = conditions.chemical_potentials
    change = change - (mu[trial.species] - mu[before]).sum(axis=1)
    taken = jax.vmap(accepted)(keys[:, 1], change, temperature) & trial.possible
    return Sites(
        jnp.where(taken[:, None], species, sites.species),
        jnp.where(taken[:, None], energies, sites.energies),
        sites.accepted + taken,
        state,
    )


def proposed(program: Program, keys: jax.Array, species: jax.Array, free: jax.Array) -> Trial:
    """A trial for each system."""
    if program.into:
        into = jnp.asarray(program.into)
        return jax.vmap(transmutation, (0, 0, 0, None))(keys, species, free, into)
    return jax.vmap(swap)(keys, species, free)


def settled(state: MDState, sites: Sites, masses: jax.Array) -> MDState:
    """The state with the sites' elements, atoms in the order of species as lists want them.

    Atoms that have become another element get its mass; their kinetic energy stays.
    """
    shape = sites.species.shape
    changed = sites.species != state.structures.species.reshape(shape)
    new_masses = jnp.where(changed, masses[sites.species], state.masses)
    momenta = state.momenta * jnp.sqrt(new_masses / state.masses)[..., None]
    real = state.structures.atom_mask.reshape(shape)
    order = jnp.argsort(jnp.where(real, sites.species, len(masses)), axis=1, stable=True)

    def sorted_(by_place: jax.Array) -> jax.Array:
        index = order.reshape(*order.shape, *(1,) * (by_place.ndim - 2))
        return jnp.take_along_axis(by_place, index, axis=1)

    structures = replace(
        state.structures,
        positions=sorted_(state.structures.positions.reshape(*shape, 3)).reshape(-1, 3),
        species=sorted_(sites.species).reshape(-1),
    )
    return replace(
        state,
        structures=structures,
        momenta=sorted_(momenta),
        masses=sorted_(new_masses),
        free=sorted_(state.free),
        forces=sorted_(state.forces),  # of before, until they are evaluated
        energy=in_float64(sites.energies).sum(axis=1),
        keys=sites.state.keys,
        waiting=state.structures.system_mask | state.waiting,
    )
