"""The energy that one stratum gives to the atoms of one element.

A root gives N(x), a network and a linear function of the features x. A higher stratum gives
N(x) - N(x without its own features): exactly 0 for an atom that lacks one of its elements,
whatever the network, so what is below stays intact bit for bit ("residual" coupling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.descriptor import Block
from stratal.descriptors.invariants import Moments

PLAIN = ("mixing", "shift", "scale", "own", "linear")  # fields that are one array each


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AtomicTerm:
    """Weights around one central element; committees have a leading axis on every array."""

    mixing: jax.Array  # (n_species, *mixing_shape), of radial functions by neighbor species
    shift: jax.Array  # (n_features,), subtracted; 0 for features that a species can lack
    scale: jax.Array  # (n_features,), by which features are then multiplied
    own: jax.Array  # (n_features,), 1 for features that need all elements of the stratum, else 0
    linear: jax.Array  # (n_features,), eV
    kernels: tuple[jax.Array, ...]  # (n_in, n_out) each; the last has n_out = 1
    biases: tuple[jax.Array, ...]  # (n_out,) each

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

    def features(self, descriptor: Moments, moments: jax.Array) -> jax.Array:
        """Scaled features ``(n_features, n_atoms)`` of moments of atoms of this element."""
        features = descriptor.invariants(moments, self.mixing)
        return (features - self.shift[:, None]) * self.scale[:, None]

    def energies(self, descriptor: Moments, moments: jax.Array, is_root: bool) -> jax.Array:
        """Energies ``(n_atoms,)``, eV, of moments ``(n_harmonics, n_species, n, n_atoms)``."""
        x = self.features(descriptor, moments)
        if is_root:
            return self.network(product(self.kernels[0].T, x)) + self.linear @ x
        below = product(self.kernels[0].T, x * (1.0 - self.own)[:, None])
        own = x * self.own[:, None]
        with_own = below + product(self.kernels[0].T, own)  # below itself where own is 0
        return self.network(with_own) - self.network(below) + self.linear @ own

    def network(self, preactivations: jax.Array) -> jax.Array:
        """Output ``(n_atoms,)`` of first-layer inputs ``(n_hidden, n_atoms)`` without bias."""
        hidden = preactivations + self.biases[0][:, None]
        for kernel, bias in zip(self.kernels[1:], self.biases[1:], strict=True):
            hidden = product(kernel.T, jnp.tanh(hidden)) + bias[:, None]
        return hidden[0]


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix product in the full precision of its type."""
    return jnp.matmul(a, b, precision="highest")


def own_features(blocks: Sequence[Block], center: int, elements: Sequence[int]) -> np.ndarray:
    """1 for features that vanish unless all ``elements`` are around, else 0, ``(n_features,)``."""
    own = np.zeros(sum(block.size for block in blocks))
    for block in blocks:
        own[block.features] = block.stratum(center) == tuple(sorted(elements))
    return own
