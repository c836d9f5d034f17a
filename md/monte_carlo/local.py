"""Atomic energies after some atoms have changed their element: of those that see them alone."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.regrouped import regrouped
from stratal.descriptors.structures import Structures
from stratal.potentials.evaluate import Potential, is_strictly_local


def energies_around(
    potential: Potential,
    structures: Structures,
    neighbors: Neighbors,
    species: jax.Array,
    places: jax.Array,
    energies: jax.Array,
) -> jax.Array:
    """Atomic energies with other species, eV.

    Args:
        potential: any; of one that is not strictly local all atoms are evaluated.
        structures: whose positions count.
        neighbors: their table; its runs of species may be of others.
        species: as they would be, ``(n_systems, n_places)``.
        places: of the atoms that have changed, in each system, ``(n_systems, n_changed)``.
        energies: before, ``(n_systems, n_places)``, eV.
    """
    n_systems, n_places = species.shape
    which = affected(potential, neighbors, places, n_places)
    flat = species.reshape(-1)
    rows = regrouped(neighbors.rows(which, structures), flat, len(potential.elements))
    receivers = replace(structures, species=flat).rows(which)
    displacements = rows.displacements(structures, receivers)
    found = potential.energies(receivers, rows, displacements)
    found = jnp.where(receivers.atom_mask, found, 0.0).astype(energies.dtype)
    return energies.reshape(-1).at[which].set(found).reshape(n_systems, n_places)


def affected(
    potential: Potential, neighbors: Neighbors, places: jax.Array, n_places: int
) -> jax.Array:
    """Rows of the table that see an atom at one of these places; some may come twice."""
    n_systems, n_changed = places.shape
    first = n_places * jnp.arange(n_systems)[:, None]
    changed = (places + first).reshape(-1)
    around = neighbors.senders[changed]
    around = jnp.where(neighbors.mask[changed], around, changed[:, None])
    if not is_strictly_local(potential) or n_changed * (1 + around.shape[1]) >= n_places:
        return jnp.arange(n_systems * n_places)
    return jnp.concatenate([changed[:, None], around], axis=1).reshape(-1)
