"""Trials of Monte Carlo: which atoms would become which elements, and whether they do. Pure.

Proposals are as likely as their reverse, so that Metropolis's rule keeps the ensemble:
N. Metropolis et al., J. Chem. Phys. 21, 1087 (1953).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from ase.units import kB


class Trial(NamedTuple):
    """A change of one system."""

    places: jax.Array  # (n_changed,), of the atoms that change
    species: jax.Array  # (n_changed,), that they become
    possible: jax.Array  # (), False where nothing can change


def swap(key: jax.Array, species: jax.Array, free: jax.Array) -> Trial:
    """Two atoms of different species change places.

    Args:
        key: of random numbers.
        species: of the system's places, ``(n_places,)``.
        free: which may change, ``(n_places,)``.
    """
    one, other = jax.random.split(key)
    first = one_of(one, free)
    others = free & (species != species[first])
    second = one_of(other, others)
    places = jnp.stack([first, second])
    return Trial(places, species[places[::-1]], others.any())


def transmutation(key: jax.Array, species: jax.Array, free: jax.Array, into: jax.Array) -> Trial:
    """One atom becomes another species of those that may turn into each other.

    Args:
        key: of random numbers.
        species: of the system's places, ``(n_places,)``.
        free: which may change, ``(n_places,)``.
        into: the species that take part, ``(n_species,)`` bool.
    """
    one, other = jax.random.split(key)
    free = free & into[species]
    place = one_of(one, free)
    new = one_of(other, into & (jnp.arange(len(into)) != species[place]))
    return Trial(place[None], new.astype(species.dtype)[None], free.any())


def one_of(key: jax.Array, which: jax.Array) -> jax.Array:
    """The number of one True of ``(n,)``, all equally likely; 0 if there is none."""
    running = jnp.cumsum(which)
    return jnp.argmax(running > jax.random.randint(key, (), 0, jnp.maximum(running[-1], 1)))


def accepted(key: jax.Array, change: jax.Array, temperature: jax.Array) -> jax.Array:
    """Metropolis's rule; at 0 K only what costs nothing.

    Args:
        key: of random numbers.
        change: of energy less chemical potentials, eV.
        temperature: K.
    """
    return change <= -kB * temperature * jnp.log1p(-jax.random.uniform(key, dtype=change.dtype))
