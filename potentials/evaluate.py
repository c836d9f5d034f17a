"""What a potential is, and the one place where derivatives of the energy are taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures

# Rows whose edges stay in a processor's cache, unless a potential says `cached_rows`: no more
# at a time are faster.
CACHED = 256


class Potential(Protocol):
    """What dynamics, search and screening need to know of a potential.

    One whose atomic energies depend on the atom's own row of the neighbor table alone says
    ``strictly_local: ClassVar[bool] = True``: large systems are then evaluated in parts. It
    finds species through the methods of `Neighbors`, never by `Structures.species[senders]`.
    """

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        ...

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers covered, ascending; `Structures.species` counts them."""
        ...

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies, ``(n_atoms,)``, eV; differentiable in the displacements."""
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Result:
    """Energies and their derivatives; zero for padding."""

    energy: jax.Array  # (n_systems,), eV
    energies: jax.Array  # (n_atoms,), eV
    forces: jax.Array  # (n_atoms, 3), eV/Å
    stress: jax.Array  # (n_systems, 3, 3), eV/Å³, tension positive
    stresses: jax.Array  # (n_atoms, 3, 3), eV/Å³; they sum to the stress, as ASE's


def evaluate(potential: Potential, structures: Structures, neighbors: Neighbors) -> Result:
    """Energies (eV), forces (eV/Å) and stresses (eV/Å³) from one reverse pass."""
    displacements = neighbors.displacements(structures)
    energies, pull, virials = energies_and_pull(potential, structures, neighbors, displacements)
    forces = pull.sum(axis=1) - neighbors.reversed(pull).sum(axis=1)  # a gather, no scatter
    return as_result(structures, energies, forces, virials)


def energies_and_pull(
    potential: Potential, structures: Structures, neighbors: Neighbors, displacements: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Atomic energies, what pulls on each edge, and virials; 0 for padding.

    Returns:
        energies ``(n_atoms,)``, eV; derivatives of their sum by the displacements
        ``(n_atoms, n_neighbors, 3)``, eV/Å; virials ``(n_atoms, 3, 3)``, eV.
    """
    energy_of = partial(potential.energies, structures, neighbors)
    energies, pull_back = jax.vjp(energy_of, displacements)
    (pull,) = pull_back(jnp.where(structures.atom_mask, 1.0, 0.0).astype(energies.dtype))
    pull = jnp.where(neighbors.mask[..., None], pull, 0.0)
    virials = jnp.einsum("ijk,ijl->ikl", displacements, pull, precision="highest")
    virials = 0.5 * (virials + virials.swapaxes(1, 2))  # symmetric but for rounding per system
    return jnp.where(structures.atom_mask, energies, 0.0), pull, virials


def as_result(
    structures: Structures, energies: jax.Array, forces: jax.Array, virials: jax.Array
) -> Result:
    """Sum per-atom energies (eV) and virials (eV) over each system."""
    volumes = structures.volumes[:, None, None]
    return Result(
        energy=structures.sum_by_system(in_float64(energies)),
        energies=energies,
        forces=forces,
        stress=structures.sum_by_system(virials) / volumes,
        stresses=virials / volumes[structures.system],
    )


def is_strictly_local(potential: Potential) -> bool:
    """Whether each atomic energy depends on the atom's own row of the neighbor table alone."""
    return bool(getattr(potential, "strictly_local", False))


def in_precision(potential: Potential, dtype: jax.typing.DTypeLike) -> Potential:
    """The potential on the device, its floating-point arrays in ``dtype``."""

    def cast(leaf: Any) -> jax.Array:
        array = jnp.asarray(leaf)
        return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(cast, potential)


def in_float64(array: jax.Array) -> jax.Array:
    """The array in float64 where 64-bit types are enabled, else as it is."""
    return array.astype(jnp.promote_types(array.dtype, jnp.zeros((), float).dtype))
