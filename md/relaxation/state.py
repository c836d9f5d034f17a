"""State of a relaxation: many systems on their way to minima, each in a slot of its own.

The arrays have a place for every atom that a slot can hold. A system that has ended stays as it
is until the host takes it out and puts another into its slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import covalent_radii

from stratal.descriptors.image_list import Needs
from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.md.coordinates import Coordinates, Freedom, undeformed
from stratal.md.lists import Plan, no_neighbors
from stratal.md.relaxation.symmetry import Symmetry


class Outcome(IntEnum):
    """How a relaxation ended."""

    RUNNING = 0
    CONVERGED = 1  # no force above the threshold
    UNCONVERGED = 2  # as many steps as it was given
    EXPLODED = 3  # energy or forces not finite, or a cell far from where it began
    TOO_CLOSE = 4  # converged, with atoms nearer than atoms come
    OUTSIDE = 5  # converged, outside the domain of the potential
    EMPTY = 6  # no system in this slot

    @property
    def label(self) -> str:
        """In words, as files and tables have it."""
        return self.name.lower().replace("_", " ")


class Minimizer(Protocol):
    """A method that steps downhill, for many systems at a time; pure."""

    def init(self, x: Coordinates) -> Any:
        """What it remembers before the first step; all leaves by system."""
        ...

    def step(self, state: Any, x: Coordinates, forces: Coordinates) -> tuple[Coordinates, Any]:
        """The displacement from ``x``, and what to remember."""
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Relaxing:
    """All that a checkpoint needs."""

    structures: Structures  # in the order of species within each slot
    neighbors: Neighbors  # as they were when each system's list was built
    needs: Needs
    start: jax.Array  # (n_systems, 3, 3), cells before deformation, Å
    x: Coordinates
    freedom: Freedom
    symmetry: Symmetry | None
    minimizer: Any  # what the minimizer remembers
    energy: jax.Array  # (n_systems,), eV, at the last evaluation
    forces: jax.Array  # (n_atoms, 3), eV/Å
    stress: jax.Array  # (n_systems, 3, 3), eV/Å³
    largest: jax.Array  # (n_systems,), eV/Å, the largest force on what may move
    n_steps: jax.Array  # (n_systems,), evaluations
    waiting: jax.Array  # (n_systems,), for a new neighbor list
    outcome: jax.Array  # (n_systems,), of `Outcome`

    @property
    def running(self) -> jax.Array:
        """Which systems go on, ``(n_systems,)``."""
        return self.outcome == Outcome.RUNNING


def beginning(
    structures: Structures,
    freedom: Freedom,
    symmetry: Symmetry | None,
    minimizer: Minimizer,
    plan: Plan,
) -> Relaxing:
    """The state before the first evaluation; each system waits for its neighbor list."""
    structures, freedom, symmetry = jax.tree.map(jnp.asarray, (structures, freedom, symmetry))
    n_systems, n_atoms = structures.n_systems, structures.n_atoms
    dtype = structures.positions.dtype
    x = undeformed(structures)
    neighbors, needs, waiting = no_neighbors(structures, plan)

    def each(value: float | int, kind: Any = dtype) -> jax.Array:
        return jnp.full(n_systems, value, kind)

    return Relaxing(
        structures=structures,
        neighbors=neighbors,
        needs=needs,
        start=structures.cell,
        x=x,
        freedom=freedom,
        symmetry=symmetry,
        minimizer=minimizer.init(x),
        energy=jnp.zeros(n_systems, float),
        forces=jnp.zeros((n_atoms, 3), dtype),
        stress=jnp.zeros((n_systems, 3, 3), dtype),
        largest=each(jnp.inf),
        n_steps=each(0, jnp.int32),
        waiting=waiting,
        outcome=jnp.where(structures.system_mask, Outcome.RUNNING, Outcome.EMPTY).astype(jnp.int32),
    )


def shortest_bonds(structures: Structures, neighbors: Neighbors) -> jax.Array:
    """The shortest distance in each system over the atoms' covalent radii, ``(n_systems,)``."""
    radii = jnp.asarray(covalent_radii[np.array(structures.elements)])
    sums = radii[structures.species][:, None] + radii[neighbors.sender_species(structures)]
    lengths = jnp.linalg.norm(neighbors.displacements(structures), axis=-1)
    ratios = jnp.where(neighbors.mask, lengths / sums, jnp.inf).min(axis=1)
    return -jax.ops.segment_max(-ratios, structures.system, structures.n_systems, True)
