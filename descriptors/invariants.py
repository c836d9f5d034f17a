"""Rotational invariants of moments, in blocks by the neighbor species that they need.

Of each neighbor species the radial functions are first mixed into a few channels, with
coefficients learned for that pair of species; then moments of equal degree are contracted in
pairs (three-body terms), and some in triples (four-body terms).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.descriptor import Block
from stratal.descriptors.harmonics import triple_coupling
from stratal.descriptors.moments import RadialBasis, neighborhood_moments
from stratal.errors import InputError

TRIPLES = ((1, 1, 2), (2, 2, 2), (1, 2, 3))  # degrees that are contracted by default


@dataclass(frozen=True)
class Moments:
    """Moments of the neighborhood and their invariants; a definition free of elements.

    The features of an atom are, block by block, ``n_radial`` sums of radial functions for each
    neighbor species; ``l_max * n_channels`` pair contractions for each pair of them; and
    ``len(triples) * n_triple_channels`` triple contractions for each three of them.
    """

    cutoff: float = 5.5  # Å
    n_radial: int = 8
    l_max: int = 4
    n_channels: int = 8
    triples: tuple[tuple[int, int, int], ...] = TRIPLES
    n_triple_channels: int = 6
    inner: float = 1.6  # Å, where the radial functions begin to be resolved

    def __post_init__(self) -> None:
        if not self.cutoff > self.inner > 0:
            raise InputError(
                f"moments: cutoff = {self.cutoff} Å, inner = {self.inner} Å: give "
                f"0 < inner < cutoff, such as 1.6 and 5.5."
            )
        if min(self.n_radial, self.l_max, self.n_channels) < 1:
            raise InputError("moments: n_radial, l_max and n_channels: give whole numbers from 1.")
        if self.triples and not 1 <= self.n_triple_channels <= self.n_channels:
            raise InputError(
                f"moments: n_triple_channels = {self.n_triple_channels}: give 1 to n_channels = "
                f"{self.n_channels}."
            )
        for degrees_of in self.triples:
            a, b, c = sorted(degrees_of)
            if a < 1 or c > self.l_max or c > a + b or (a + b + c) % 2:
                raise InputError(
                    f"moments: degrees {list(degrees_of)} have no invariant: give three from 1 "
                    f"to l_max = {self.l_max}, of even sum, none above the sum of the others."
                )

    @property
    def basis(self) -> RadialBasis:
        """The radial functions."""
        return RadialBasis(self.cutoff, self.n_radial, self.inner)

    @property
    def mixing_shape(self) -> tuple[int, int, int]:
        """Of the coefficients of one pair of species: degree from 1, channel, function."""
        return self.l_max, self.n_channels, self.n_radial

    def blocks(self, elements: Sequence[int]) -> tuple[Block, ...]:
        """Blocks of one, two and three neighbor species, in the order of the features."""
        sizes = {1: self.n_radial, 2: self.l_max * self.n_channels}
        if self.triples:
            sizes[3] = len(self.triples) * self.n_triple_channels
        found, start = [], 0
        for order, size in sizes.items():
            for label in combinations_with_replacement(sorted(elements), order):
                found.append(Block(label, start, size))
                start += size
        return tuple(found)

    def moments(
        self, displacements: jax.Array, tile_species: jax.Array, n_species: int
    ) -> jax.Array:
        """Moments of every atom, ``(n_harmonics, n_species, n_radial, n_atoms)``.

        Atoms come last here and in all that is made of moments: the processor's vector lanes
        run over them, and every contraction is one large matrix product or sum.
        """
        found = neighborhood_moments(self.basis, self.l_max, displacements, tile_species, n_species)
        return jnp.moveaxis(found, 0, -1)

    def invariants(self, moments: jax.Array, mixing: jax.Array) -> jax.Array:
        """Features of atoms of one element, ``(n_features, n_atoms)``, invariant under rotation.

        Args:
            moments: of these atoms, ``(n_harmonics, n_species, n_radial, n_atoms)``.
            mixing: coefficients by neighbor species, ``(n_species, *mixing_shape)``.
        """
        n_species, n_atoms = moments.shape[1], moments.shape[-1]
        features = [moments[0].reshape(-1, n_atoms)]
        mixed = [mixed_moments(moments[:, s], mixing[s]) for s in range(n_species)]
        for a, b in combinations_with_replacement(range(n_species), 2):
            features += pair_contractions(mixed[a], mixed[b])
        narrow = [{d: a[:, : self.n_triple_channels] for d, a in own.items()} for own in mixed]
        by_degrees = [triple_contractions(narrow, degrees_of) for degrees_of in self.triples]
        for species in combinations_with_replacement(range(n_species), 3):
            features += [contracted[species] for contracted in by_degrees]
        return jnp.concatenate(features, axis=0)

    def to_tree(self) -> dict[str, Any]:
        """Nested dictionary of arrays and strings, for files and hashes."""
        return {
            "kind": "moments",
            "cutoff": np.float64(self.cutoff),
            "inner": np.float64(self.inner),
            "n_radial": np.int64(self.n_radial),
            "l_max": np.int64(self.l_max),
            "n_channels": np.int64(self.n_channels),
            "n_triple_channels": np.int64(self.n_triple_channels),
            "triples": np.array(self.triples, np.int64).reshape(-1, 3),
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Moments:
        """The inverse of `to_tree`."""
        counts = ("n_radial", "l_max", "n_channels", "n_triple_channels")
        return cls(
            cutoff=float(tree["cutoff"]),
            inner=float(tree["inner"]),
            triples=tuple(tuple(int(n) for n in row) for row in tree["triples"]),  # type: ignore[misc]
            **{name: int(tree[name]) for name in counts},
        )


def mixed_moments(moments: jax.Array, mixing: jax.Array) -> dict[int, jax.Array]:
    """Radial functions mixed into channels, by degree ``(2 l + 1, n_channels, n_atoms)``.

    Degree 0 is left out: no contraction uses it.
    """
    return {
        degree: jnp.einsum(
            "nk,mki->mni",
            mixing[degree - 1],
            moments[degree**2 : (degree + 1) ** 2],
            precision="highest",
        )
        for degree in range(1, len(mixing) + 1)
    }


def pair_contractions(a: dict[int, jax.Array], b: dict[int, jax.Array]) -> list[jax.Array]:
    """Mean over m of a_lm b_lm for every degree, each ``(n_channels, n_atoms)``."""
    return [(a[degree] * b[degree]).sum(axis=0) / (2 * degree + 1) for degree in a]


def triple_contractions(
    mixed: Sequence[dict[int, jax.Array]], degrees_of: tuple[int, int, int]
) -> dict[tuple[int, int, int], jax.Array]:
    """The invariant of three moments, summed over the ways to give them three species.

    Args:
        mixed: of each neighbor species, by degree ``(2 l + 1, n_channels, n_atoms)``.
        degrees_of: their degrees.

    Returns:
        by unordered triple of species ``(n_channels, n_atoms)``.
    """
    first, second, third = sorted(degrees_of)
    if second == third:  # the two equal degrees first: their order does not count
        first, third = third, first
    coupling = triple_coupling(first, second, third)
    matrix = jnp.asarray(coupling.reshape(-1, coupling.shape[-1]), mixed[0][first].dtype)
    pairs: dict[tuple[int, int], jax.Array] = {}
    found: dict[tuple[int, int, int], jax.Array] = {}
    for species in combinations_with_replacement(range(len(mixed)), 3):
        total = jnp.zeros((), matrix.dtype)
        for (a, b, c), count in ways(species, degrees_of).items():
            if (a, b) not in pairs:
                outer = mixed[a][first][:, None] * mixed[b][second][None]
                outer = outer.reshape(-1, *outer.shape[2:])
                pairs[a, b] = jnp.einsum("pr,pni->rni", matrix, outer, precision="highest")
            total = total + count * (pairs[a, b] * mixed[c][third]).sum(axis=0)
        found[species] = total
    return found


def ways(
    species: tuple[int, int, int], degrees_of: tuple[int, int, int]
) -> Counter[tuple[int, int, int]]:
    """Orders of three species that differ for these degrees, and how often each occurs."""
    orders = set(permutations(species))
    distinct = len(set(degrees_of))
    if distinct == 3:
        return Counter((a, b, c) for a, b, c in orders)
    if distinct == 1:
        return Counter([species] * len(orders))
    return Counter((min(a, b), max(a, b), c) for a, b, c in orders)


def first_mixing(rng: np.random.Generator, descriptor: Moments, n_species: int) -> np.ndarray:
    """Random coefficients ``(n_species, *mixing_shape)`` to begin a fit with."""
    shape = (n_species, *descriptor.mixing_shape)
    return rng.normal(0.0, descriptor.n_radial**-0.5, shape)
