"""The energy that one stratum gives to the atoms of one element.

Its network N has an input for what each set of neighbor species adds to the features: h(V) =
sum over U within V of K_U x_U + b, for the species V that are seen. The root of an element gives
N(h(all)). A higher stratum gives what N(h(all)) has beyond the sets that lack one of its
elements, by inclusion and exclusion: N(ab) - N(a) around a in the pair ab, N(abc) - N(ab) -
N(ac) + N(a) in a triple. That is exactly 0 for an atom that lacks one of them, whatever the
weights, so what is below stays intact bit for bit.

Where a stratum shares all but its own K_U with those below, the sum of all is one network, the
coupling of Hajinazar, Shao and Kolmogorov, PRB 95, 014114 (2017), by Moebius inversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.invariants import (
    Moments,
    differences,
    features_by_subset,
    subsets,
    totals,
)

PLAIN = ("mixing", "shift", "scale", "linear")  # fields that are one array each


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AtomicTerm:
    """Weights around one central element.

    The members of a committee share the features; their networks differ. Subsets are those of
    the stratum's other elements, in the order of `descriptors.invariants.subsets`.
    """

    mixing: jax.Array  # (n_species, *mixing_shape), of radial functions by neighbor species
    shift: jax.Array  # (n_features,), subtracted from the features of the element alone
    scale: jax.Array  # (n_features,), by which features are multiplied
    linear: jax.Array  # (n_members, n_subsets, n_features), eV
    kernels: tuple[jax.Array, ...]  # (n_members, n_subsets, n_features, n_out), (n_members, ...)
    biases: tuple[jax.Array, ...]  # (n_members, n_out) each; the last has n_out = 1

    @property
    def n_members(self) -> int:
        """Networks of the committee."""
        return self.linear.shape[0]

    @property
    def weights(self) -> list[jax.Array]:
        """The arrays that are trained, in all or in part."""
        return [self.mixing, self.linear, *self.kernels, *self.biases]

    def to_tree(self) -> dict[str, Any]:
        """Nested dictionary of arrays, for files and hashes."""
        arrays = {name: np.asarray(getattr(self, name), float) for name in PLAIN}
        return {
            **arrays,
            "kernels": {f"{i:02d}": np.asarray(k, float) for i, k in enumerate(self.kernels)},
            "biases": {f"{i:02d}": np.asarray(b, float) for i, b in enumerate(self.biases)},
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> AtomicTerm:
        """The inverse of `to_tree`."""
        return cls(
            **{name: tree[name] for name in PLAIN},
            kernels=tuple(kernel for _, kernel in sorted(tree["kernels"].items())),
            biases=tuple(bias for _, bias in sorted(tree["biases"].items())),
        )

    def added(self, features: Sequence[jax.Array]) -> list[jax.Array]:
        """What each subset adds, ``(n_features, n_atoms)`` each, scaled.

        Args:
            features: that atoms have where only this subset is seen, likewise.
        """
        first, *others = differences(features)
        scale = self.scale[:, None]
        return [(first - self.shift[:, None]) * scale, *(own * scale for own in others)]

    def energies(self, added: Sequence[jax.Array], is_root: bool) -> jax.Array:
        """Energies by each member, ``(n_members, n_atoms)``, eV, of what subsets add."""
        return jax.vmap(lambda one: one.energy(added, is_root), (BY_MEMBER,))(self)

    def energy(self, added: Sequence[jax.Array], is_root: bool) -> jax.Array:
        """`energies` of one member, whose arrays lack the axis of members."""
        layers = [product(self.kernels[0][u].T, own) for u, own in enumerate(added)]
        inputs = totals(layers)
        if is_root:
            linear = sum(self.linear[u] @ own for u, own in enumerate(added))
            return self.network(inputs[-1]) + linear
        outputs = jnp.split(self.network(jnp.concatenate(inputs, axis=-1)), len(inputs))
        return differences(outputs)[-1] + self.linear[-1] @ added[-1]

    def network(self, preactivations: jax.Array) -> jax.Array:
        """Output ``(n,)`` of first-layer inputs ``(n_hidden, n)`` without bias."""
        hidden = preactivations + self.biases[0][:, None]
        for kernel, bias in zip(self.kernels[1:], self.biases[1:], strict=True):
            hidden = product(kernel.T, jnp.tanh(hidden)) + bias[:, None]
        return hidden[0]


# Which arrays have the axis of members, for `jax.vmap`.
BY_MEMBER = AtomicTerm(None, None, None, 0, 0, 0)  # type: ignore[arg-type]


def features_around(
    descriptor: Moments, term: AtomicTerm, moments: jax.Array, center: int
) -> list[jax.Array]:
    """Features ``(n_features, n_atoms)`` for each subset that is seen, of one term alone.

    Args:
        descriptor: the definition.
        term: brings the mixing.
        moments: of the species of the stratum, ``(n_harmonics, n_species, n_radial, n_atoms)``.
        center: place of the central species among them.
    """
    others = [s for s in range(len(term.mixing)) if s != center]
    mixing = dict(enumerate(term.mixing))
    return list(features_by_subset(descriptor, moments, mixing, center, subsets(others)))


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix product in the full precision of its type."""
    return jnp.matmul(a, b, precision="highest")
