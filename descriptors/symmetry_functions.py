"""Behler-Parrinello symmetry functions: G2 of distances, G4 of angles.

Behler and Parrinello, PRL 98, 146401 (2007); Behler, J. Chem. Phys. 134, 074106 (2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.angular import AngularFunction, angular_symmetry_functions
from stratal.descriptors.cutoffs import cosine_cutoff
from stratal.descriptors.descriptor import Block
from stratal.descriptors.neighbors import TILE
from stratal.errors import InputError


class RadialFunction(NamedTuple):
    """One G2: exp(-eta (r - r_s)²) f_c(r), summed over the neighbors of an atom."""

    eta: float  # Å^-2
    r_s: float  # Å


@dataclass(frozen=True)
class SymmetryFunctions:
    """A set of G2 and G4 with one cosine cutoff, the same for all species.

    The features of an atom are G2 for each neighbor species, then G4 for each unordered
    pair of neighbor species, whatever the atom's own species.
    """

    cutoff: float  # Å
    radial: tuple[RadialFunction, ...]
    angular: tuple[AngularFunction, ...] = ()

    def __post_init__(self) -> None:
        if not self.cutoff > 0:
            raise InputError(f"cutoff = {self.cutoff} Å: give a length above 0, such as 6.0")
        if not self.radial:
            raise InputError("no radial symmetry functions: give at least one G2")

    def blocks(self, elements: Sequence[int]) -> tuple[Block, ...]:
        """One block per neighbor species (G2), then one per pair of them (G4)."""
        singles = [((z,), len(self.radial)) for z in elements]
        pairs = [(pair, len(self.angular)) for pair in combinations_with_replacement(elements, 2)]
        labels = singles + (pairs if self.angular else [])
        ends = np.cumsum([size for _, size in labels])
        return tuple(
            Block(label, int(end) - size, size)
            for (label, size), end in zip(labels, ends, strict=True)
        )

    def __call__(
        self,
        displacements: jax.Array,
        tile_species: jax.Array,
        species: jax.Array,
        n_species: int,
    ) -> jax.Array:
        """Describe every atom, ``(n_atoms, n_features)``; see `Descriptor`."""
        del species  # all elements have the same functions
        edges = (displacements, tile_species, n_species)
        by_species = radial_symmetry_functions(self.radial, self.cutoff, *edges)
        features = [by_species.reshape(len(displacements), -1)]
        if self.angular:
            by_pair = angular_symmetry_functions(self.angular, self.cutoff, *edges)
            features.append(by_pair.reshape(len(displacements), -1))
        return jnp.concatenate(features, axis=1)

    def of_elements(self, elements: Sequence[int]) -> SymmetryFunctions:
        """The same functions, for whatever elements."""
        return self

    def to_tree(self) -> dict[str, Any]:
        """Nested dictionary of arrays and strings, for files and hashes."""
        return {
            "kind": "symmetry functions",
            "cutoff": np.float64(self.cutoff),
            "radial": np.array(self.radial, float).reshape(-1, 2),
            "angular": np.array(self.angular, float).reshape(-1, 3),
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> SymmetryFunctions:
        """The inverse of `to_tree`."""
        return cls(
            cutoff=float(tree["cutoff"]),
            radial=tuple(RadialFunction(*map(float, row)) for row in tree["radial"]),
            angular=tuple(AngularFunction(*map(float, row)) for row in tree["angular"]),
        )


def radial_symmetry_functions(
    functions: Sequence[RadialFunction],
    cutoff: float,
    displacements: jax.Array,
    tile_species: jax.Array,
    n_species: int,
) -> jax.Array:
    """G2 by neighbor species, ``(n_atoms, n_species, len(functions))``.

    Args:
        functions: which G2.
        cutoff: r_c, Å.
        displacements: receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å.
        tile_species: of each tile's senders, ``(n_atoms, n_neighbors // TILE)``.
        n_species: number of species.
    """
    squared = (displacements * displacements).sum(axis=-1)  # never 0: no atom is its own neighbor
    weights = cosine_cutoff(squared, cutoff)
    # Masked, then summed over the whole row: the order of the sum, and so its last bit, is
    # the same for any number of species.
    of_species = [jnp.repeat(tile_species == s, TILE, axis=1) for s in range(n_species)]
    distances = jnp.sqrt(squared) if any(f.r_s for f in functions) else squared

    def summed(function: RadialFunction) -> jax.Array:
        apart = (distances - function.r_s) ** 2 if function.r_s else squared
        terms = weights * jnp.exp(-function.eta * apart)
        return jnp.stack([jnp.where(own, terms, 0.0).sum(axis=1) for own in of_species], axis=-1)

    return jnp.stack([summed(function) for function in functions], axis=-1)
