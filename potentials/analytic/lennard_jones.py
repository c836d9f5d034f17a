"""Lennard-Jones: E = sum over pairs of 4 epsilon [(sigma/r)^12 - (sigma/r)^6].

The simplest pair potential.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic.pairs import (
    check_elements_ascend,
    pair_distances,
    species_of_pairs,
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LennardJones:
    """Lennard-Jones pairs with the cutoffs of ASE's calculator.

    With ``smooth`` the pair energy is multiplied by a function that falls from 1 at
    ``onset`` to 0 at ``cutoff``; else it is raised by a constant to be 0 at the cutoff
    (``shift``), or cut as it is. Only ``smooth`` has continuous forces.
    J. E. Jones, Proc. R. Soc. A 106, 463 (1924).
    """

    strictly_local: ClassVar[bool] = True
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending
    epsilon: ArrayLike  # depth of the well, one or (n_species, n_species), eV
    sigma: ArrayLike  # where the energy crosses zero, one or (n_species, n_species), Å
    cutoff: float = field(metadata={"static": True})  # Å, for all pairs
    smooth: bool = field(default=False, metadata={"static": True})
    shift: bool = field(default=True, metadata={"static": True})  # ignored if smooth
    onset: float | None = field(default=None, metadata={"static": True})  # Å, 0.66 cutoff if None

    def __post_init__(self) -> None:
        """Check what is static: arrays may be traced here.

        Raises:
            InputError: elements not ascending, a cutoff or onset that cannot be.
        """
        check_elements_ascend(self.elements, "LennardJones")
        if self.cutoff <= 0:
            raise InputError(f"LennardJones: cutoff = {self.cutoff} Å: give a length above 0")
        if self.onset is not None and not 0 <= self.onset < self.cutoff:
            raise InputError(
                f"LennardJones: onset = {self.onset} Å: give a length from 0 up to below "
                f"the cutoff, {self.cutoff} Å"
            )

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV: half of each pair's energy."""
        distances, within = pair_distances(displacements, self.cutoff)
        pairs = species_of_pairs(structures, neighbors)
        epsilon = self.pair_parameter("epsilon", distances.dtype)[pairs]
        sigma = self.pair_parameter("sigma", distances.dtype)[pairs]
        pair = well(distances, epsilon, sigma)
        if self.smooth:
            pair = pair * self.switch(distances)
        elif self.shift:
            pair = pair - well(jnp.asarray(self.cutoff, distances.dtype), epsilon, sigma)
        return 0.5 * jnp.where(within, pair, 0).sum(axis=1)

    def pair_parameter(self, name: str, dtype: jax.typing.DTypeLike) -> jax.Array:
        """A parameter for all pairs of species, ``(n_species, n_species)``."""
        n_species = len(self.elements)
        given = jnp.asarray(getattr(self, name), dtype)
        if given.shape not in ((), (n_species, n_species)):
            raise InputError(
                f"LennardJones: {name} has the shape {given.shape}: give one number or a "
                f"({n_species}, {n_species}) array, a row and a column per element"
            )
        return jnp.broadcast_to(given, (n_species, n_species))

    def switch(self, distances: jax.Array) -> jax.Array:
        """1 below the onset, 0 at the cutoff; cubic in the squared distance."""
        onset = 0.66 * self.cutoff if self.onset is None else self.onset
        width = self.cutoff**2 - onset**2
        x = jnp.clip((distances**2 - onset**2) / width, 0, 1)
        return (1 - x) ** 2 * (1 + 2 * x)


def well(distances: jax.Array, epsilon: jax.Array, sigma: jax.Array) -> jax.Array:
    """4 epsilon [(sigma/r)^12 - (sigma/r)^6], eV."""
    sixth = (sigma / distances) ** 6
    return 4 * epsilon * (sixth**2 - sixth)
