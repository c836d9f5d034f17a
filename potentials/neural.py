"""The composed neural potential: strata laid together for a set of elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp

from stratal.descriptors.descriptor import Descriptor
from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.potentials.evaluate import Potential
from stratal.potentials.networks import AtomicNetwork


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NeuralPotential:
    """Atomic energies by one network per element on scaled features, + short range."""

    strictly_local: ClassVar[bool] = True
    networks: tuple[AtomicNetwork, ...]  # one per element
    minimum: jax.Array  # (n_elements, n_features), G_min of each central element
    factor: jax.Array  # (n_elements, n_features), 1 / (G_max - G_min)
    short_range: Potential | None
    descriptor: Descriptor = field(metadata={"static": True})
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        reach = self.short_range.cutoff if self.short_range else 0.0
        return max(self.descriptor.cutoff, reach)

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies, ``(n_atoms,)``, eV."""
        tile_species = neighbors.tile_species(structures)
        species = jnp.asarray(structures.species)
        features = self.descriptor(displacements, tile_species, species, len(self.elements))
        energies = jnp.zeros(structures.n_atoms, features.dtype)
        for species, network in enumerate(self.networks):
            scaled = (features - self.minimum[species]) * self.factor[species]
            energies = jnp.where(structures.species == species, network(scaled), energies)
        if self.short_range is not None:
            energies = energies + self.short_range.energies(structures, neighbors, displacements)
        return energies
