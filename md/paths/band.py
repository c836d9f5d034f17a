"""A nudged elastic band: images of a system between two minima, held apart by springs. Pure.

All images of all bands are one batch of structures; a band is what the minimizer moves.
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
from stratal.md.coordinates import Coordinates
from stratal.md.coordinates import where as chosen
from stratal.md.lists import Plan, renewed
from stratal.md.relaxation.fire import Fire
from stratal.potentials.chunks import result_by_rows
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential


@dataclass(frozen=True)
class Program:
    """What shapes the compiled block."""

    plan: Plan
    n_images: int  # of each band, its ends among them
    minimizer: Fire
    spring: float  # eV/Å²
    fmax: float  # eV/Å
    climb_below: float  # eV/Å, of the largest force; 0: never
    n_rows: int  # of the neighbor table, evaluated at a time
    n_renewed: int  # systems whose neighbor lists are renewed at a time
    n_steps: int  # of a block


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bands:
    """All that goes on; arrays by band, by image, by atom."""

    structures: Structures  # of all images of all bands
    neighbors: Neighbors
    needs: Needs
    waiting: jax.Array  # (n_bands * n_images,), for a new neighbor list
    free: jax.Array  # (n_bands, n_images, n_places), which atoms move; none of the ends
    minimizer: Any
    energies: jax.Array  # (n_bands, n_images), eV
    largest: jax.Array  # (n_bands,), eV/Å, the largest force that moves an atom
    climbs: jax.Array  # (n_bands,), whether the highest image does
    running: jax.Array  # (n_bands,)
    n_steps: jax.Array  # (n_bands,), evaluations


@partial(compiled, static_argnames="program")
def run_block(program: Program, potential: Potential, bands: Bands) -> Bands:
    """Some steps of all bands; not valid where a neighbor list overflowed."""
    return jax.lax.fori_loop(
        0, program.n_steps, lambda _, bands: step(program, potential, bands), bands
    )


def step(program: Program, potential: Potential, bands: Bands) -> Bands:
    """One evaluation of all images and the step of each band that follows from it."""
    structures = bands.structures
    waiting = bands.waiting | bands.neighbors.outdated(structures)
    lists = (bands.neighbors, bands.needs, waiting & ~bands.neighbors.overflow)
    neighbors, needs, waiting = renewed(
        program.plan, program.n_renewed, structures, lists, structures.system_mask
    )
    result = result_by_rows(potential, structures, neighbors, program.n_rows)
    shape = bands.free.shape
    positions = structures.positions.reshape(*shape, 3)
    energies = result.energy.reshape(shape[:2])
    forces = nudged(
        positions, energies, result.forces.reshape(*shape, 3), bands.climbs, program.spring
    )
    forces = jnp.where(bands.free[..., None], forces, 0.0)
    largest = jnp.sqrt((forces**2).sum(-1).max((1, 2)))
    climbs = bands.climbs | (largest < program.climb_below)
    # Where the highest image begins to climb now, the forces are not yet those of a saddle.
    ended = (largest < program.fmax) & (climbs == bands.climbs)
    running = bands.running & ~ended
    displacement, minimizer = program.minimizer.step(
        bands.minimizer, as_vectors(positions), as_vectors(forces)
    )
    moved = positions + displacement.atoms.reshape(positions.shape)
    positions = jnp.where(running[:, None, None, None], moved, positions)
    return replace(
        bands,
        structures=replace(structures, positions=positions.reshape(-1, 3)),
        neighbors=neighbors,
        needs=needs,
        waiting=waiting,
        minimizer=chosen(running, minimizer, bands.minimizer),
        energies=chosen(bands.running, energies, bands.energies),
        largest=jnp.where(bands.running, largest, bands.largest),
        climbs=climbs,
        running=running,
        n_steps=bands.n_steps + bands.running,
    )


def nudged(
    positions: jax.Array, energies: jax.Array, forces: jax.Array, climbs: jax.Array, spring: float
) -> jax.Array:
    """Forces on the images of bands, ``(n_bands, n_images, n_places, 3)``, eV/Å.

    Of the true force what is across the path, of the springs what is along it: G. Henkelman and
    H. Jónsson, J. Chem. Phys. 113, 9978 (2000), equations 8 to 12. On the highest image, where it
    climbs, the true force turned around along the path: G. Henkelman, B. P. Uberuaga and
    H. Jónsson, J. Chem. Phys. 113, 9901 (2000), equation 5.

    Args:
        positions: ``(n_bands, n_images, n_places, 3)``, Å; of one image after the other without
            jumps through the cell.
        energies: ``(n_bands, n_images)``, eV.
        forces: as positions, eV/Å.
        climbs: ``(n_bands,)``.
        spring: eV/Å².
    """
    to_next = positions[:, 1:] - positions[:, :-1]
    before, after = to_next[:, :-1], to_next[:, 1:]
    tangent = tangents(before, after, energies)
    inner = forces[:, 1:-1]
    along = (inner * tangent).sum((-2, -1), keepdims=True)
    lengths = jnp.sqrt((to_next**2).sum((-2, -1), keepdims=True))
    pull = spring * (lengths[:, 1:] - lengths[:, :-1])
    highest = jnp.argmax(energies[:, 1:-1], axis=1)
    is_highest = jnp.arange(inner.shape[1]) == highest[:, None]
    climbing = (is_highest & climbs[:, None])[..., None, None]
    found = jnp.where(climbing, inner - 2 * along * tangent, inner + (pull - along) * tangent)
    return jnp.zeros_like(forces).at[:, 1:-1].set(found)


def tangents(before: jax.Array, after: jax.Array, energies: jax.Array) -> jax.Array:
    """Unit vectors along the path at the inner images, towards the neighbor of higher energy.

    Args:
        before: from the image before, ``(n_bands, n_images - 2, n_places, 3)``, Å.
        after: to the image after, alike.
        energies: of all images, ``(n_bands, n_images)``, eV.
    """
    low, here, high = energies[:, :-2], energies[:, 1:-1], energies[:, 2:]
    change = jnp.abs(jnp.stack([high - here, low - here]))
    most, least = change.max(axis=0), change.min(axis=0)
    uphill = high > low
    of_after = jnp.where(uphill, most, least)
    of_before = jnp.where(uphill, least, most)
    # At an extremum both count; else the one that goes up.
    rises, falls = (high > here) & (here > low), (high < here) & (here < low)
    of_after = jnp.where(rises, 1.0, jnp.where(falls, 0.0, of_after))[..., None, None]
    of_before = jnp.where(falls, 1.0, jnp.where(rises, 0.0, of_before))[..., None, None]
    flat = of_after + of_before == 0
    tangent = jnp.where(flat, before + after, of_after * after + of_before * before)
    length = jnp.sqrt((tangent**2).sum((-2, -1), keepdims=True))
    return tangent / jnp.maximum(length, 1e-30)


def as_vectors(by_image: jax.Array) -> Coordinates:
    """What each band's images have together, as one vector for the minimizer."""
    n_bands = len(by_image)
    return Coordinates(by_image.reshape(n_bands, -1, 3), jnp.zeros((n_bands, 3, 3), by_image.dtype))
