"""What every descriptor promises: features of an atom in blocks, each labelled.

A block is labelled with the neighbor species that it needs; all its features are
exactly 0 when one of them is absent. That is all that the stratified rule asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax


@dataclass(frozen=True)
class Block:
    """Some consecutive features, and the neighbor species without which they vanish."""

    neighbors: tuple[int, ...]  # atomic numbers, ascending, repeated as often as needed
    start: int
    size: int

    @property
    def features(self) -> slice:
        """Where the block stands among the features."""
        return slice(self.start, self.start + self.size)

    def stratum(self, center: int) -> tuple[int, ...]:
        """The elements of the stratum that the block belongs to around ``center``."""
        return tuple(sorted({center, *self.neighbors}))


class Descriptor(Protocol):
    """What an atom sees. Definitions are hashable and free of elements."""

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        ...

    def blocks(self, elements: Sequence[int]) -> tuple[Block, ...]:
        """The blocks for these atomic numbers (ascending), in the order of the features."""
        ...

    def __call__(
        self,
        displacements: jax.Array,
        tile_species: jax.Array,
        species: jax.Array,
        n_species: int,
    ) -> jax.Array:
        """Features of every atom, ``(n_atoms, n_features)``, invariant under rotation.

        Args:
            displacements: receiver to sender, ``(n_atoms, n_neighbors, 3)``, Å; padding lies
                beyond the cutoff.
            tile_species: species of each tile's senders, ``(n_atoms, n_neighbors // TILE)``.
            species: of the receivers, ``(n_atoms,)``.
            n_species: number of species.
        """
        ...

    def of_elements(self, elements: Sequence[int]) -> Descriptor:
        """The descriptor for a system of these atomic numbers (ascending).

        What species 0, 1, ... are matters only where central elements differ.
        """
        ...

    def to_tree(self) -> dict[str, Any]:
        """Nested dictionary of arrays and strings, for files and hashes."""
        ...


def n_features(descriptor: Descriptor, elements: Sequence[int]) -> int:
    """How many features an atom has in a system of these elements."""
    return sum(block.size for block in descriptor.blocks(elements))
