"""Systems put into slots, taken out of them, and moved to slots of another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from stratal.md.coordinates import Coordinates, where
from stratal.md.relaxation.state import Outcome, Relaxing
from stratal.potentials.compiled import compiled


@compiled
def merged(state: Relaxing, other: Relaxing, which: jax.Array) -> Relaxing:
    """The state with these slots, ``(n_systems,)``, taken from another of the same shape."""
    n_systems = len(which)

    def pick(own: jax.Array, others: jax.Array) -> jax.Array:
        by_system = (n_systems, -1, *own.shape[1:])
        rows = own.reshape(by_system), others.reshape(by_system)
        return where(which, rows[1], rows[0]).reshape(own.shape)

    return jax.tree.map(pick, state, other)


def without(state: Relaxing, slots: Sequence[int]) -> Relaxing:
    """The state with these slots empty."""
    outcome = np.array(state.outcome)
    outcome[list(slots)] = Outcome.EMPTY
    return replace(state, outcome=jax.numpy.asarray(outcome))


def moved_to(state: Relaxing, slots: Sequence[int], blank: Relaxing) -> Relaxing:
    """Some systems go on in slots of another shape: the first of ``blank``, which is empty.

    Their neighbor lists are built anew.

    Args:
        state: where they are.
        slots: which they are.
        blank: the new slots.
    """
    n_old = state.x.atoms.shape[1]
    n_new, count = blank.x.atoms.shape[1], len(slots)
    state, blank = jax.tree.map(np.array, (state, blank))

    def by_system(old: Any, new: Any) -> Any:
        new[:count] = old[list(slots)]
        return new

    def by_place(old: np.ndarray, new: np.ndarray, axis: int) -> np.ndarray:
        """Along ``axis`` of arrays by system stand places."""
        smaller = min(n_old, n_new)
        index = (slice(0, count), *(slice(None),) * (axis - 1), slice(0, smaller))
        new[index] = old[list(slots)][(slice(None), *index[1:])]
        return new

    def flat(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        shaped = new.reshape(-1, n_new, *new.shape[1:])
        by_place(old.reshape(-1, n_old, *old.shape[1:]), shaped, 1)
        return shaped.reshape(new.shape)

    def either(old: Any, new: Any) -> Any:
        if isinstance(old, Coordinates):
            axis = old.atoms.ndim - 2
            return Coordinates(by_place(old.atoms, new.atoms, axis), by_system(old.cell, new.cell))
        return by_system(old, new)

    def tree(old: Any, new: Any) -> Any:
        return jax.tree.map(either, old, new, is_leaf=lambda node: isinstance(node, Coordinates))

    structures = blank.structures
    for name in ("positions", "species", "atom_mask"):
        flat(getattr(state.structures, name), getattr(structures, name))
    for name in ("cell", "pbc", "system_mask"):
        by_system(getattr(state.structures, name), getattr(structures, name))
    by_place(state.freedom.atoms, blank.freedom.atoms, 1)
    by_system(state.freedom.strain, blank.freedom.strain)
    if state.symmetry and blank.symmetry:
        by_system(state.symmetry.rotations, blank.symmetry.rotations)
        by_system(state.symmetry.weights, blank.symmetry.weights)
        by_place(state.symmetry.images, blank.symmetry.images, 2)
    flat(state.forces, blank.forces)
    for name in ("start", "energy", "stress", "largest", "n_steps", "outcome"):
        by_system(getattr(state, name), getattr(blank, name))
    blank.waiting[:count] = True
    return jax.tree.map(
        jax.numpy.asarray,
        replace(blank, x=tree(state.x, blank.x), minimizer=tree(state.minimizer, blank.minimizer)),
    )
