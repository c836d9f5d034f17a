"""Potentials added up: strata of different kinds, and a fixed repulsion at short range."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.potentials.evaluate import CACHED, Potential


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SumPotential:
    """The sum of several potentials of the same elements, each strictly local."""

    strictly_local: ClassVar[bool] = True
    parts: tuple[Potential, ...]
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        return max(part.cutoff for part in self.parts)

    @property
    def cached_rows(self) -> int:
        """Rows that a processor's cache holds: as many as of the part that needs most."""
        return min(getattr(part, "cached_rows", CACHED) for part in self.parts)

    @property
    def n_members(self) -> int:
        """Members of the committee among the parts; 1 if there is none."""
        return max(getattr(part, "n_members", 1) for part in self.parts)

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies, ``(n_atoms,)``, eV."""
        edges = (structures, neighbors, displacements)
        return sum((part.energies(*edges) for part in self.parts), start=jnp.zeros(()))

    def member_energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies by each member, ``(n_members, n_atoms)``, eV."""
        edges = (structures, neighbors, displacements)
        total = jnp.zeros(())
        for part in self.parts:
            by_member = getattr(part, "member_energies", None)
            total = total + (by_member(*edges) if by_member else part.energies(*edges)[None])
        return total

    def trust_factors(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """What the parts say of the trust in each atom, ``(3, n_atoms)``; NaN if none does."""
        edges = (structures, neighbors, displacements)
        found = [p.trust_factors(*edges) for p in self.parts if hasattr(p, "trust_factors")]  # type: ignore[attr-defined]
        return jnp.stack(found).max(axis=0) if found else jnp.full((3, len(displacements)), jnp.nan)
