"""Effective medium theory of Jacobsen, Stoltze and Norskov, Surf. Sci. 366, 394 (1996).

An atom sits in the electron gas of its neighbors: it costs the cohesive function of the
density around it, corrected by the pair terms that differ from a perfect fcc crystal.
Parameters, cutoff and atomic energies are those of ASE's calculator, so that the two agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import chemical_symbols
from ase.units import Bohr

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic.pairs import (
    check_elements_ascend,
    pair_distances,
    species_of_pairs,
)

BETA = 1.809  # nearest-neighbor distance of fcc over its Wigner-Seitz radius, rounded as ASE's

# Element: E_0 (eV), s_0 (bohr), V_0 (eV), eta_2, kappa, lambda (1/bohr), n_0 (1/bohr^3).
# H, C, N and O exist for play: they describe no real material.
PARAMETERS = {
    "Al": (-3.28, 3.00, 1.493, 1.240, 2.000, 1.169, 0.00700),
    "Cu": (-3.51, 2.67, 2.476, 1.652, 2.740, 1.906, 0.00910),
    "Ag": (-2.96, 3.01, 2.132, 1.652, 2.790, 1.892, 0.00547),
    "Au": (-3.80, 3.00, 2.321, 1.674, 2.873, 2.182, 0.00703),
    "Ni": (-4.44, 2.60, 3.673, 1.669, 2.757, 1.948, 0.01030),
    "Pd": (-3.90, 2.87, 2.773, 1.818, 3.107, 2.155, 0.00688),
    "Pt": (-5.85, 2.90, 4.067, 1.812, 3.145, 2.192, 0.00802),
    "H": (-3.21, 1.31, 0.132, 2.652, 2.790, 3.892, 0.00547),
    "C": (-3.50, 1.81, 0.332, 1.652, 2.790, 1.892, 0.01322),
    "N": (-5.10, 1.88, 0.132, 1.652, 2.790, 1.892, 0.01222),
    "O": (-4.60, 1.95, 0.332, 1.652, 2.790, 1.892, 0.00850),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EMT:
    """Effective medium theory; build it with `EMT.for_elements`."""

    strictly_local: ClassVar[bool] = True
    e_0: jax.Array  # (n_species,), cohesive energy of the crystal, eV, negative
    s_0: jax.Array  # (n_species,), Wigner-Seitz radius of the crystal, Å
    v_0: jax.Array  # (n_species,), eV
    eta_2: jax.Array  # (n_species,), 1/Å
    kappa: jax.Array  # (n_species,), 1/Å
    lambda_: jax.Array  # (n_species,), 1/Å
    n_0: jax.Array  # (n_species,), density of the crystal, 1/Å^3
    gamma_1: jax.Array  # (n_species,), shell sum that makes the crystal's sigma_1 = 12 gamma_1
    gamma_2: jax.Array  # (n_species,), the same for sigma_2
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending
    midpoint: float = field(metadata={"static": True})  # Å, where the weight of a pair is 1/2
    slope: float = field(metadata={"static": True})  # 1/Å, of the logistic weight
    cutoff: float = field(metadata={"static": True})  # Å, where pairs end

    @classmethod
    def for_elements(cls, numbers: Iterable[int], asap_cutoff: bool = False) -> EMT:
        """EMT for these atomic numbers.

        Args:
            numbers: atomic numbers, in any order.
            asap_cutoff: choose the cutoff by the largest atom of these elements, as ASE
                does when a calculation holds just these; else by that of all EMT elements,
                which is ASE's default: then a crystal's energy is the same in any alloy.

        Raises:
            InputError: an element without EMT parameters.
        """
        elements = tuple(sorted({int(z) for z in numbers}))
        check_elements_ascend(elements, "EMT")
        symbols = [chemical_symbols[z] for z in elements]
        foreign = [symbol for symbol in symbols if symbol not in PARAMETERS]
        if foreign:
            raise InputError(
                f"EMT: no parameters for {', '.join(foreign)}; it covers "
                f"{', '.join(PARAMETERS)}. Choose another potential for these elements."
            )
        midpoint, slope, cutoff = cutoff_of(symbols if asap_cutoff else PARAMETERS, asap_cutoff)
        e_0, s_0, v_0, eta_2, kappa, lambda_, n_0 = np.array([PARAMETERS[s] for s in symbols]).T
        s_0, n_0 = s_0 * Bohr, n_0 / Bohr**3
        eta_2, kappa, lambda_ = eta_2 / Bohr, kappa / Bohr, lambda_ / Bohr
        gamma_1, gamma_2 = shell_sums(s_0, eta_2, kappa, midpoint, slope)
        parameters = (e_0, s_0, v_0, eta_2, kappa, lambda_, n_0, gamma_1, gamma_2)
        return cls(*parameters, elements, midpoint, slope, cutoff)  # pyright: ignore[reportArgumentType]

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV, above those of the crystals."""
        distances, within = pair_distances(displacements, self.cutoff)
        of = self.astype(distances.dtype)
        pairs = species_of_pairs(structures, neighbors)
        weights = jnp.where(within, jax.nn.sigmoid(self.slope * (self.midpoint - distances)), 0)
        density = of.sigma_1(distances, weights, pairs)
        species = jnp.asarray(structures.species)
        cohesive = of.cohesive(density, species)
        return cohesive - of.e_0[species] + of.pair_energies(distances, weights, pairs)

    def sigma_1(self, distances: jax.Array, weights: jax.Array, pairs: tuple) -> jax.Array:
        """Density around each atom in units of a crystal neighbor's, ``(n_atoms,)``."""
        receivers, senders = pairs
        chi = (self.n_0[None, :] / self.n_0[:, None])[receivers, senders]
        decay = jnp.exp(-self.eta_2[senders] * (distances - BETA * self.s_0[senders]))
        return jnp.sum(chi * decay * weights, axis=1)

    def cohesive(self, density: jax.Array, species: jax.Array) -> jax.Array:
        """Cohesive function and the crystal's pair terms at this density, ``(n_atoms,)``, eV.

        An atom without neighbors has neither.
        """
        embedded = density > 0
        ratio = jnp.where(embedded, density, 1) / (12 * self.gamma_1[species])
        expansion = -jnp.log(ratio) / (BETA * self.eta_2[species])  # s - s_0, Å
        scaled = self.lambda_[species] * expansion
        cohesive = self.e_0[species] * (1 + scaled) * jnp.exp(-scaled)
        crystal = 6 * self.v_0[species] * jnp.exp(-self.kappa[species] * expansion)
        return jnp.where(embedded, cohesive + crystal, 0)

    def pair_energies(self, distances: jax.Array, weights: jax.Array, pairs: tuple) -> jax.Array:
        """Pair terms of each atom, ``(n_atoms,)``, eV, shared evenly by both atoms."""
        receivers, senders = pairs
        chi = (self.n_0[None, :] / self.n_0[:, None])[receivers, senders]
        strength = -0.5 * self.v_0 / self.gamma_2
        decay_of_sender = jnp.exp(-self.kappa[senders] * (distances / BETA - self.s_0[senders]))
        decay_of_receiver = jnp.exp(
            -self.kappa[receivers] * (distances / BETA - self.s_0[receivers])
        )
        seen = strength[receivers] * chi * decay_of_sender
        given = strength[senders] / chi * decay_of_receiver
        return 0.5 * jnp.sum((seen + given) * weights, axis=1)

    def astype(self, dtype: jax.typing.DTypeLike) -> EMT:
        """Parameters as jax arrays of another floating-point type."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), self)


def cutoff_of(symbols: Sequence[str] | dict, asap_cutoff: bool) -> tuple[float, float, float]:
    """Midpoint (Å), slope (1/Å) and end (Å) of the logistic weight of a pair.

    The midpoint lies between the third and fourth neighbors of the fcc crystal of the
    largest atom; at the fourth the weight is 1e-4.
    """
    largest = max(PARAMETERS[symbol][1] for symbol in symbols) * Bohr
    first, fourth = BETA * largest, 2 * BETA * largest
    midpoint = first * 0.5 * (sqrt(3.0) + 2.0)
    slope = log(1 / 1e-4 - 1) / (fourth - midpoint)
    return midpoint, slope, 1.045 * midpoint if asap_cutoff else midpoint + 0.5


def shell_sums(
    s_0: np.ndarray, eta_2: np.ndarray, kappa: np.ndarray, midpoint: float, slope: float
) -> tuple[np.ndarray, np.ndarray]:
    """gamma_1 and gamma_2, ``(n_species,)``: three shells of fcc over its first."""
    count, distance = np.array([12, 6, 24]), np.sqrt([1.0, 2.0, 3.0])
    r = BETA * s_0[:, None] * distance
    weights = count / 12 / (1 + np.exp(slope * (r - midpoint)))
    beyond_first = r - BETA * s_0[:, None]
    gamma_1 = np.sum(weights * np.exp(-eta_2[:, None] * beyond_first), axis=1)
    gamma_2 = np.sum(weights * np.exp(-kappa[:, None] / BETA * beyond_first), axis=1)
    return gamma_1, gamma_2
