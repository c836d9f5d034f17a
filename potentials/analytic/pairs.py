"""What pair terms share: masked distances, pairs of species, smooth steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError


def pair_distances(displacements: jax.Array, reach: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Lengths of the edges, and which of them a pair term sees.

    Edges beyond ``reach``, padding among them, get the length ``reach`` and no gradient,
    so that a pair term is finite there before it is masked.

    Args:
        displacements: receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å.
        reach: of all pairs, or of each, ``(n_atoms, n_neighbors)``, Å.

    Returns:
        distances (Å) and whether they are below ``reach``, both ``(n_atoms, n_neighbors)``.
    """
    reach = jnp.asarray(reach, displacements.dtype)
    squared = jnp.sum(displacements**2, axis=-1)
    within = (squared < reach**2) & (squared > 0)
    safe = jnp.where(within, squared, 1)
    return jnp.where(within, jnp.sqrt(safe), reach), within


def species_of_pairs(structures: Structures, neighbors: Neighbors) -> tuple[jax.Array, jax.Array]:
    """Species of receivers and senders: the index of a pair into a table of pairs."""
    receivers = jnp.asarray(structures.species)[:, None]
    senders = neighbors.sender_species(structures)
    return jnp.broadcast_to(receivers, senders.shape), senders


def smooth_step(distances: jax.Array, onset: ArrayLike, cutoff: ArrayLike) -> jax.Array:
    """1 up to ``onset``, 0 from ``cutoff``; value and two derivatives are continuous.

    1 - 10 x^3 + 15 x^4 - 6 x^5 with x = (r - onset) / (cutoff - onset).
    """
    onset, cutoff = (jnp.asarray(length, distances.dtype) for length in (onset, cutoff))
    x = jnp.clip((distances - onset) / (cutoff - onset), 0, 1)
    return (1 - x) ** 3 * (1 + 3 * x + 6 * x**2)


def safe_sqrt(values: jax.Array) -> jax.Array:
    """Square root; at 0 its gradient is 0, as atoms without neighbors need."""
    positive = values > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, values, 1)), 0)


def check_elements_ascend(elements: tuple[int, ...], name: str) -> None:
    """Refuse atomic numbers that are not in ascending order.

    Raises:
        InputError: names the potential and the order expected.
    """
    if not elements or list(elements) != sorted(set(elements)):
        raise InputError(
            f"{name}: elements = {tuple(elements)}: give each atomic number once, ascending"
        )
