"""Rotational invariants of moments, and what each set of neighbor species adds to them.

The radial functions are mixed into a few channels, with coefficients learned for each ordered
pair of species, and the species then summed: an atom has as many features in an alloy as in a
pure element. Moments of equal degree are contracted in pairs (three-body terms), and some in
triples (four-body terms).

What is labelled is what a set of species adds: f(all of them) less what their subsets give, by
inclusion and exclusion. It vanishes with any one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.harmonics import triple_coupling
from stratal.descriptors.moments import RadialBasis, neighborhood_moments
from stratal.descriptors.once import computed_once
from stratal.errors import InputError

TRIPLES = ((1, 1, 2), (2, 2, 2), (1, 2, 3))  # degrees that are contracted by default


@dataclass(frozen=True)
class Moments:
    """Moments of the neighborhood and their invariants; a definition free of elements.

    The features of an atom are ``n_channels`` sums of radial functions, ``l_max * n_channels``
    pair contractions and ``len(triples) * n_triple_channels`` triple contractions.
    """

    cutoff: float = 5.5  # Å
    n_radial: int = 8
    l_max: int = 4
    n_channels: int = 8
    triples: tuple[tuple[int, int, int], ...] = TRIPLES
    n_triple_channels: int = 6
    inner: float = 1.6  # Å, see `RadialBasis`

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
        """Of the coefficients of one ordered pair of species: degree, channel, function."""
        return self.l_max + 1, self.n_channels, self.n_radial

    @property
    def n_features(self) -> int:
        """Features of an atom, whatever surrounds it."""
        return (self.l_max + 1) * self.n_channels + len(self.triples) * self.n_triple_channels

    def moments(
        self, displacements: jax.Array, tile_species: jax.Array, n_species: int
    ) -> jax.Array:
        """Moments of every atom, ``(n_harmonics, n_species, n_radial, n_atoms)``.

        Atoms come last here and in all that is made of moments: the processor's vector lanes
        run over them, and every contraction is one large matrix product or sum.
        """
        found = neighborhood_moments(self.basis, self.l_max, displacements, tile_species, n_species)
        return atoms_last(found)

    def invariants(self, mixed: Sequence[jax.Array]) -> jax.Array:
        """Features ``(..., n_features, n_atoms)``, invariant under rotation.

        Args:
            mixed: by degree ``(..., 2 l + 1, n_channels, n_atoms)``, from `mixed_moments`, summed
                over the neighbor species that are to be seen.
        """
        features = [mixed[0][..., 0, :, :]]
        for degree in range(1, self.l_max + 1):
            features.append((mixed[degree] ** 2).sum(axis=-3) * (1.0 / (2 * degree + 1)))
        narrow = [own[..., : self.n_triple_channels, :] for own in mixed]
        features += [triple_contraction(narrow, degrees_of) for degrees_of in self.triples]
        return jnp.concatenate(features, axis=-2)

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


@jax.custom_vjp
def atoms_last(moments: jax.Array) -> jax.Array:
    """The first axis last; in the reverse pass what is to be moved is computed first."""
    return jnp.moveaxis(moments, 0, -1)


def _atoms_last_reverse(_: None, pull: jax.Array) -> tuple[jax.Array]:
    return (computed_once(lambda pull: jnp.moveaxis(pull, -1, 0), pull),)


atoms_last.defvjp(lambda moments: (atoms_last(moments), None), _atoms_last_reverse)


def mixed_moments(moments: jax.Array, mixing: jax.Array) -> list[jax.Array]:
    """Radial functions of one neighbor species mixed into channels.

    Args:
        moments: ``(n_harmonics, n_radial, n_atoms)``.
        mixing: of the pair of species, ``mixing_shape``.

    Returns:
        by degree ``(2 l + 1, n_channels, n_atoms)``.
    """
    return [
        jnp.einsum(
            "nk,mki->mni",
            mixing[degree],
            moments[degree**2 : (degree + 1) ** 2],
            precision="highest",
        )
        for degree in range(len(mixing))
    ]


def triple_contraction(mixed: Sequence[jax.Array], degrees_of: tuple[int, int, int]) -> jax.Array:
    """The invariant ``(..., n_channels, n_atoms)`` of three moments of these degrees.

    Args:
        mixed: by degree ``(..., 2 l + 1, n_channels, n_atoms)``.
        degrees_of: the three.
    """
    first, second, third = sorted(degrees_of)
    coupling = triple_coupling(first, second, third)
    total = jnp.zeros((), mixed[0].dtype)
    # The sums are sparse: written out, they are one pass without a product's temporary arrays.
    for r in range(coupling.shape[2]):
        inner = None
        for p, q in zip(*np.nonzero(coupling[:, :, r]), strict=True):
            weight = float(coupling[p, q, r])
            own = weight * (mixed[first][..., p, :, :] * mixed[second][..., q, :, :])
            inner = own if inner is None else inner + own
        if inner is not None:
            total = total + inner * mixed[third][..., r, :, :]
    return total


def subsets(others: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets, smallest first: the neighbor species besides the central one that are seen.

    >>> subsets([3, 5])
    [(), (3,), (5,), (3, 5)]
    """
    return [own for size in range(len(others) + 1) for own in combinations(others, size)]


def differences(values: Sequence[jax.Array]) -> list[jax.Array]:
    """What each of the `subsets` adds to those within it, by inclusion and exclusion.

    Exactly 0 where one of its members makes no difference: equal values meet first.

    >>> differences([1.0, 3.0, 2.0, 9.0])
    [1.0, 2.0, 1.0, 5.0]
    """
    return over_subsets(values, lambda whole, part: whole - part)


def totals(added: Sequence[jax.Array]) -> list[jax.Array]:
    """The inverse of `differences`: sums over all that lies within each subset.

    >>> totals([1.0, 2.0, 1.0, 5.0])
    [1.0, 3.0, 2.0, 9.0]
    """
    return over_subsets(added, lambda whole, part: whole + part)


def over_subsets(values: Sequence[Any], joined: Callable[[Any, Any], Any]) -> list[Any]:
    """Join the value of each subset with that without one member, one member after another."""
    n_others = len(values).bit_length() - 1
    seen = subsets(range(n_others))
    found = dict(zip(seen, values, strict=True))
    for one in range(n_others):
        for own in seen:
            if one in own:
                found[own] = joined(found[own], found[tuple(s for s in own if s != one)])
    return list(found.values())


def features_by_subset(
    descriptor: Moments,
    moments: jax.Array,
    mixing: Mapping[int, jax.Array],
    center: int,
    seen: Sequence[tuple[int, ...]],
) -> jax.Array:
    """Features of atoms of one element that see but some of the species around them.

    Args:
        descriptor: the definition.
        moments: ``(n_harmonics, n_species, n_radial, n_atoms)``.
        mixing: of the central species with each that is seen, by place, ``mixing_shape``.
        center: place of the central species, which is always seen.
        seen: the others, for each case.

    Returns:
        ``(len(seen), n_features, n_atoms)``.
    """
    by_species = {
        s: mixed_moments(moments[:, s], mixing[s]) for s in {center, *(s for u in seen for s in u)}
    }
    mixed = []
    for degree in range(descriptor.l_max + 1):
        cases = []
        for others in seen:
            total = by_species[center][degree]
            for s in others:
                total = total + by_species[s][degree]
            cases.append(total)
        mixed.append(jnp.stack(cases))
    return descriptor.invariants(mixed)


def first_mixing(rng: np.random.Generator, descriptor: Moments, smoothness: float) -> np.ndarray:
    """Coefficients of one pair of species, ``mixing_shape``, to begin a fit with.

    Random, but for degree 0, whose channels are the radial functions themselves. Those of the
    k-th radial function, k = 0, 1, ..., fall as (1 + k)^-smoothness: the higher, the faster it
    changes with the distance.
    """
    fall = (1.0 + np.arange(descriptor.n_radial)) ** -smoothness
    mixing = rng.normal(0.0, 1.0, descriptor.mixing_shape) * (fall / np.linalg.norm(fall))
    mixing[0] = np.eye(descriptor.n_channels, descriptor.n_radial) * fall
    return mixing
