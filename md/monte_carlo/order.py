"""Order in alloys: who neighbors whom, and waves of composition."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from stratal.descriptors.host_list import edges_of_system
from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError

WITHIN = 1.7  # times the shortest distance: where the gap behind the first shell is looked for


def warren_cowley(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Short-range order: 0 of random alloys, negative where unlike atoms attract.

    alpha_ab = 1 - P(b around a) / x_b. J. M. Cowley, Phys. Rev. 77, 669 (1950).

    Args:
        pairs: directed pairs in shells, ``(..., n_shells, n_species, n_species)``.
        counts: atoms of each species, ``(..., n_species)``.

    Returns:
        as ``pairs``; NaN for species that are not there.
    """
    fractions = counts / counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        around = pairs / pairs.sum(axis=-1, keepdims=True)
        return 1 - around / fractions[..., None, None, :]


def shell_of_edges(structures: Structures, neighbors: Neighbors, radii: jax.Array) -> jax.Array:
    """The shell of each edge, ``(n_atoms, n_neighbors)``; ``n_shells`` for those beyond.

    Args:
        structures: the atoms.
        neighbors: their table.
        radii: outer radii of the shells, ascending, ``(n_shells,)``, Å.
    """
    lengths = jnp.linalg.norm(neighbors.displacements(structures), axis=-1)
    shell = jnp.searchsorted(radii, lengths)
    return jnp.where(neighbors.mask, shell, len(radii))


def pairs_in_shells(
    shell: jax.Array, neighbors: Neighbors, species: jax.Array, real: jax.Array, n: tuple[int, int]
) -> jax.Array:
    """Directed pairs of species in each shell, ``(n_systems, n_shells, n_species, n_species)``.

    Args:
        shell: of each edge, from `shell_of_edges`.
        neighbors: the table.
        species: ``(n_systems, n_places)``.
        real: which places hold atoms, alike.
        n: numbers of shells and species.
    """
    n_shells, n_species = n
    own = jax.nn.one_hot(jnp.where(real, species, n_species), n_species, dtype=jnp.float32)
    senders = species.reshape(-1)[neighbors.senders]
    found = []
    for number in range(n_shells):
        sees = jax.nn.one_hot(
            jnp.where(shell == number, senders, n_species), n_species, dtype=jnp.float32
        ).sum(axis=1)
        sees = sees.reshape(*species.shape, n_species)
        found.append(jnp.einsum("sia,sib->sab", own, sees, precision="highest"))
    return jnp.stack(found, axis=1)


def phases(structures: Structures, wavevectors: jax.Array) -> jax.Array:
    """exp(2 pi i n . s) of all atoms, ``(n_systems, n_places, n_waves)``; s in lattice coordinates.

    Args:
        structures: in places.
        wavevectors: n, by system, in its cell's reciprocal, ``(n_systems, n_waves, 3)``.
    """
    n_systems = structures.n_systems
    positions = structures.positions.reshape(n_systems, -1, 3)
    reciprocal = jnp.linalg.inv(structures.cell)
    fractional = jnp.einsum("sai,sij->saj", positions, reciprocal, precision="highest")
    turns = jnp.einsum("saj,swj->saw", fractional, wavevectors, precision="highest")
    return jnp.exp(2j * jnp.pi * turns)


def structure_factors(
    phase: jax.Array, species: jax.Array, real: jax.Array, n_species: int
) -> jax.Array:
    """|sum over atoms of a species of their phases|² / N, ``(n_systems, n_waves, n_species)``.

    Of order N in an ordered alloy, of order 1 in a random one.
    """
    own = jax.nn.one_hot(jnp.where(real, species, n_species), n_species, dtype=phase.real.dtype)
    amplitude = jnp.einsum("saw,sac->swc", phase, own, precision="highest")
    return jnp.abs(amplitude) ** 2 / real.sum(axis=1)[:, None, None]


def first_shell(atoms: Atoms, reach: float) -> float:
    """The radius in the widest gap behind the shortest distances, Å.

    Raises:
        InputError: no two atoms within ``reach``.
    """
    cell = atoms.cell.complete().array
    lengths = np.sort(edges_of_system(atoms.positions, cell, atoms.pbc, reach)[3])
    if not len(lengths):
        raise InputError(
            f"{atoms.get_chemical_formula()}: no two atoms within {reach:.3g} Å, the reach of the "
            f"potential. Give mc.shells, or a denser structure."
        )
    lengths = np.append(lengths, reach)
    near = np.flatnonzero(lengths[:-1] < WITHIN * lengths[0])
    widest = near[np.argmax(np.diff(lengths)[near])]
    return float(0.5 * (lengths[widest] + lengths[widest + 1]))
