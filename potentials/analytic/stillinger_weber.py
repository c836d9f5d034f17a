"""Stillinger-Weber: pairs and triples that favour tetrahedral angles.

F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic.pairs import pair_distances


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StillingerWeber:
    """Stillinger-Weber potential of one element; r below is in units of ``sigma``.

    v_2 = epsilon A (B r^-p - r^-q) exp(1 / (r - a)), eq. (2.3);
    v_3 = epsilon lambda exp(gamma / (r_ij - a) + gamma / (r_ik - a)) (cos theta_jik + 1/3)^2,
    eqs. (2.4, 2.5); both are 0 from r = a on, with all derivatives.
    """

    strictly_local: ClassVar[bool] = True
    elements: tuple[int, ...] = field(metadata={"static": True})  # one atomic number
    epsilon: jax.Array | float  # eV
    sigma: float = field(metadata={"static": True})  # Å
    a: float = field(metadata={"static": True})  # cutoff / sigma
    big_a: jax.Array | float
    big_b: jax.Array | float
    p: float = field(metadata={"static": True})
    q: float = field(metadata={"static": True})
    lambda_: jax.Array | float
    gamma: jax.Array | float

    def __post_init__(self) -> None:
        """Check what is static.

        Raises:
            InputError: other than one element.
        """
        if len(self.elements) != 1:
            raise InputError(
                f"StillingerWeber: elements = {tuple(self.elements)}: give one atomic number; "
                f"mixtures are not covered"
            )

    @classmethod
    def silicon(cls) -> StillingerWeber:
        """The paper's silicon; epsilon and sigma as it gives them, 50 kcal/mol and 2.0951 Å."""
        return cls(
            elements=(14,),
            epsilon=2.1683,
            sigma=2.0951,
            a=1.80,
            big_a=7.049556277,
            big_b=0.6022245584,
            p=4.0,
            q=0.0,
            lambda_=21.0,
            gamma=1.20,
        )

    @property
    def cutoff(self) -> float:
        """Reach, Å."""
        return self.a * self.sigma

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV: half of the pairs, all triples centred here."""
        distances, within = pair_distances(displacements, self.cutoff)
        directions = displacements / distances[..., None]
        to_end = distances / self.sigma - self.a  # negative within reach
        # Below this distance from the end exp(1 / to_end) is 0 even in float64.
        to_end = jnp.where(within & (to_end < -1e-3), to_end, -1e-3)
        pairs = self.pair_energies(distances / self.sigma, to_end, within)
        return 0.5 * pairs + self.triple_energies(directions, to_end, within)

    def pair_energies(self, r: jax.Array, to_end: jax.Array, within: jax.Array) -> jax.Array:
        """v_2 summed over the neighbors of each atom, ``(n_atoms,)``, eV."""
        pair = self.big_a * (self.big_b * r**-self.p - r**-self.q) * jnp.exp(1 / to_end)
        return self.epsilon * jnp.sum(jnp.where(within, pair, 0), axis=1)

    def triple_energies(
        self, directions: jax.Array, to_end: jax.Array, within: jax.Array
    ) -> jax.Array:
        """v_3 summed over the pairs of neighbors of each atom, ``(n_atoms,)``, eV.

        With weights w_j = exp(gamma / (r_j - a)) and unit vectors u_j the sum over j, k of
        w_j w_k (u_j . u_k + 1/3)^2 is |T|^2 + 2/3 |V|^2 + 1/9 W^2, where T = sum w u u,
        V = sum w u, W = sum w: linear in the neighbors. The terms j = k are taken off.
        """
        weights = jnp.where(within, jnp.exp(self.gamma / to_end), 0)
        weighted = directions * weights[..., None]
        t = jnp.einsum("ijk,ijl->ikl", weighted, directions, precision="highest")
        v, w = weighted.sum(axis=1), weights.sum(axis=1)
        all_pairs = (t**2).sum(axis=(1, 2)) + 2 / 3 * (v**2).sum(axis=1) + w**2 / 9
        same = (4 / 3) ** 2 * (weights**2).sum(axis=1)
        return 0.5 * self.epsilon * self.lambda_ * (all_pairs - same)
