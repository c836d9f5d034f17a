"""Symmetry that is kept: forces averaged over the operations of each system's space group.

In the undeformed cell the operations are rotations that stay what they are while the cell is
strained, since the strain is symmetric under them too.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.md.coordinates import Coordinates
from stratal.md.structures.crystal_symmetry import dataset


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Symmetry:
    """Operations of each system; with weight 0 those that only fill the arrays."""

    rotations: jax.Array  # (n_systems, n_operations, 3, 3), of column vectors
    images: jax.Array  # (n_systems, n_operations, n_places), where each atom comes to
    weights: jax.Array  # (n_systems, n_operations), summing to 1

    def symmetrized(self, vector: Coordinates) -> Coordinates:
        """The symmetric part: of atoms' vectors, and of the cell's tensors."""
        turned = jnp.einsum(
            "so,soij,saj->soai", self.weights, self.rotations, vector.atoms, precision="highest"
        )
        # Atom a's vector, turned, belongs to its image: gathered from where each comes from.
        origins = jnp.argsort(self.images, axis=2)
        atoms = jnp.take_along_axis(turned, origins[..., None], axis=2).sum(axis=1)
        cell = jnp.einsum(
            "so,soij,sjk,solk->sil",
            self.weights,
            self.rotations,
            vector.cell,
            self.rotations,
            precision="highest",
        )
        return Coordinates(atoms, cell)


def operations_of(atoms: Atoms, tolerance: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    """Rotations ``(n, 3, 3)`` and images ``(n, n_atoms)`` of a crystal's space group.

    Args:
        atoms: periodic in three directions.
        tolerance: by which atoms may miss their places, Å.

    Raises:
        InputError: not a crystal, or spglib does not find its group.
    """
    found = dataset(atoms, tolerance)
    fractional = atoms.get_scaled_positions(wrap=False)
    columns = atoms.cell.array.T
    rotations = columns @ found.rotations @ np.linalg.inv(columns)
    images = []
    for rotation, translation in zip(found.rotations, found.translations, strict=True):
        moved = fractional @ rotation.T + translation
        apart = moved[:, None] - fractional[None]
        lengths = np.linalg.norm((apart - np.round(apart)) @ atoms.cell.array, axis=2)
        lengths[atoms.numbers[:, None] != atoms.numbers[None]] = np.inf
        images.append(lengths.argmin(axis=1))
        if len(set(images[-1])) != len(atoms):
            name = atoms.get_chemical_formula()
            raise InputError(f"{name}: symmetry within {tolerance} Å is ambiguous. Lower it.")
    return rotations, np.array(images)
