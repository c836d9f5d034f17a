"""Sutton-Chen: power-law pairs and a square root of a power-law density.

A. P. Sutton and J. Chen, Phil. Mag. Lett. 61, 139 (1990).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import chemical_symbols

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic.pairs import (
    check_elements_ascend,
    pair_distances,
    safe_sqrt,
    smooth_step,
    species_of_pairs,
)

# Element: n, m, epsilon (eV), c, a (Å); the paper's table for fcc metals.
PARAMETERS = {
    "Ni": (9, 6, 1.5707e-2, 39.432, 3.52),
    "Cu": (9, 6, 1.2382e-2, 39.432, 3.61),
    "Pd": (12, 7, 4.1790e-3, 108.27, 3.89),
    "Ag": (12, 6, 2.5415e-3, 144.41, 4.09),
    "Pt": (10, 8, 1.9833e-2, 34.408, 3.92),
    "Au": (10, 8, 1.2793e-2, 34.408, 4.08),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SuttonChen:
    """E_i = 1/2 sum_j epsilon_ij (a_ij/r)^n_ij - c_i epsilon_i sqrt(sum_j (a_ij/r)^m_ij).

    Alloys mix epsilon geometrically and n, m, a arithmetically, as Qi, Cagin, Kimura and
    Goddard, Phys. Rev. B 59, 3527 (1999). Each power is multiplied by a smooth step from
    ``onset`` to ``cutoff``; the paper sums to infinity.
    """

    strictly_local: ClassVar[bool] = True
    epsilon: jax.Array  # (n_species,), eV
    c: jax.Array  # (n_species,)
    n: jax.Array  # (n_species,), power of the repulsion
    m: jax.Array  # (n_species,), power of the density
    a: jax.Array  # (n_species,), lattice constant of the fcc crystal, Å
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending
    onset: float = field(metadata={"static": True})  # Å
    cutoff: float = field(metadata={"static": True})  # Å

    @classmethod
    def for_elements(
        cls, numbers: Iterable[int], cutoff: float | None = None, onset: float | None = None
    ) -> SuttonChen:
        """Sutton-Chen for these atomic numbers.

        Args:
            numbers: atomic numbers, in any order.
            cutoff: where pairs end, Å; twice the largest lattice constant by default, which
                loses some per cent of the density of the slowest power, 6.
            onset: where the step begins, Å; 0.9 of the cutoff by default.

        Raises:
            InputError: an element without parameters, or an onset beyond the cutoff.
        """
        elements = tuple(sorted({int(z) for z in numbers}))
        check_elements_ascend(elements, "SuttonChen")
        symbols = [chemical_symbols[z] for z in elements]
        foreign = [symbol for symbol in symbols if symbol not in PARAMETERS]
        if foreign:
            raise InputError(
                f"SuttonChen: no parameters for {', '.join(foreign)}; known are "
                f"{', '.join(PARAMETERS)}. Choose another potential for these elements."
            )
        n, m, epsilon, c, a = np.array([PARAMETERS[symbol] for symbol in symbols], float).T
        cutoff = float(2 * a.max() if cutoff is None else cutoff)
        onset = 0.9 * cutoff if onset is None else float(onset)
        if not 0 <= onset < cutoff:
            raise InputError(
                f"SuttonChen: onset = {onset} Å, cutoff = {cutoff} Å: give 0 <= onset < cutoff"
            )
        return cls(epsilon, c, n, m, a, elements, onset, cutoff)  # pyright: ignore[reportArgumentType]

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV."""
        distances, within = pair_distances(displacements, self.cutoff)
        of = jax.tree.map(lambda leaf: jnp.asarray(leaf, distances.dtype), self)
        i, j = species_of_pairs(structures, neighbors)
        weights = jnp.where(within, smooth_step(distances, self.onset, self.cutoff), 0)
        reduced = 0.5 * (of.a[i] + of.a[j]) / distances
        repulsion = jnp.sqrt(of.epsilon[i] * of.epsilon[j]) * reduced ** (0.5 * (of.n[i] + of.n[j]))
        density = jnp.sum(weights * reduced ** (0.5 * (of.m[i] + of.m[j])), axis=1)
        species = jnp.asarray(structures.species)
        cohesion = of.c[species] * of.epsilon[species] * safe_sqrt(density)
        return 0.5 * jnp.sum(weights * repulsion, axis=1) - cohesion
