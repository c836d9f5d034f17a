"""Where dynamics starts: positions as given, momenta given or drawn for a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from ase import units

from stratal.md.dynamics.program import Schedule
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.state import MDState, Targets
from stratal.md.lists import Plan, no_neighbors
from stratal.md.relaxation.entries import Entry, in_slots


def starting_state(
    entries: Sequence[Entry],
    elements: Sequence[int],
    config: MDConfig,
    schedule: Schedule,
    plan: Plan,
) -> MDState:
    """The state before the first evaluation.

    Args:
        entries: the systems.
        elements: atomic numbers that species count.
        config: its ensemble and seed count.
        schedule: of targets.
        plan: of neighbor lists, which are empty yet.
    """
    n_systems, ensemble = len(entries), config.ensemble
    shape = (n_systems, max(map(len, entries)))
    arrays, freedom, _ = in_slots(dict(enumerate(entries)), shape, elements, 0, "float64")
    structures = jax.tree.map(jnp.asarray, arrays)
    masses, momenta = np.ones(shape), np.zeros((*shape, 3))
    for number, entry in enumerate(entries):
        own = slice(0, len(entry))
        masses[number, own] = entry.atoms.get_masses()[entry.order]
        rng = np.random.default_rng([config.seed, number])
        fixes = ensemble.fixes_momentum
        momenta[number, own] = starting_momenta(entry, config.temperature, fixes, rng)
    free = np.asarray(freedom.atoms)
    held = np.array([not entry.free.all() for entry in entries])
    n_dof = 3 * free.sum(axis=1) - 3 * (ensemble.fixes_momentum & ~held)
    neighbors, needs, waiting = no_neighbors(structures, plan)
    numbered = jax.vmap(jax.random.fold_in, (None, 0))
    state = MDState(
        structures=structures,
        neighbors=neighbors,
        needs=needs,
        waiting=waiting,
        momenta=jnp.asarray(momenta),
        masses=jnp.asarray(masses),
        free=jnp.asarray(free),
        n_dof=jnp.maximum(jnp.asarray(n_dof, float), 0),
        energy=jnp.zeros(n_systems),
        forces=jnp.zeros((*shape, 3)),
        stress=jnp.zeros((n_systems, 3, 3)),
        targets=schedule.first,
        extra=(),
        exchanged=jnp.zeros(n_systems),
        keys=numbered(jax.random.PRNGKey(config.seed), jnp.arange(n_systems)),
        n_steps=jnp.zeros((), jnp.int64),
        n_lists=jnp.zeros((), jnp.int64),
    )
    return replace(state, extra=ensemble.init(state))


def schedule_of(config: MDConfig, n_systems: int) -> Schedule:
    """Targets at the first and the last step."""

    def targets(kelvin: float, gigapascal: float) -> Targets:
        each = (kelvin, gigapascal * units.GPa)
        return Targets(*(jnp.full(n_systems, value) for value in each))

    end = config.temperature if config.temperature_end is None else config.temperature_end
    pressure_end = config.pressure_end_gpa
    return Schedule(
        targets(config.temperature, config.pressure_gpa),
        targets(end, config.pressure_gpa if pressure_end is None else pressure_end),
        jnp.asarray(config.steps),
    )


def starting_momenta(
    entry: Entry, kelvin: float, fixes_momentum: bool, rng: np.random.Generator
) -> np.ndarray:
    """Momenta ``(n_atoms, 3)`` in the slot's order: those given, or of a temperature.

    The total momentum is taken out where it would stay for ever.
    """
    masses = entry.atoms.get_masses()[entry.order][:, None]
    given = entry.atoms.get_momenta()[entry.order]
    momenta = given
    if not given.any():
        momenta = np.sqrt(masses * units.kB * kelvin) * rng.normal(size=(len(entry), 3))
    momenta = momenta * entry.free[:, None]
    if fixes_momentum and entry.free.all() and len(entry) > 1:
        momenta = momenta - masses / masses.sum() * momenta.sum(axis=0)
    return momenta
