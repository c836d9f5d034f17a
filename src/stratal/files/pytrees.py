"""Pytrees of arrays as the groups of HDF5 files, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

Arrays = TypeVar("Arrays")


def leaves_of(tree: Any) -> dict[str, np.ndarray]:
    """The leaves of a pytree, by their numbers."""
    import jax  # only here: files are read without it

    return {f"{n:05d}": np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(tree))}


def with_leaves(like: Arrays, leaves: Mapping[str, Any]) -> Arrays:
    """A pytree of the form of ``like`` with leaves that `leaves_of` gave, as jax arrays."""
    import jax

    arrays = [jax.numpy.asarray(leaves[key]) for key in sorted(leaves)]
    return jax.tree.unflatten(jax.tree.structure(like), arrays)
