"""The network of one element: blocks of features coupled into its first layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class AtomicNetwork(nnx.Module):
    """Energy of an atom from its scaled features.

    First layer: h = sum over blocks of x_block W_block, + b; then tanh layers and a linear
    output. Hajinazar, Shao and Kolmogorov, PRB 95, 014114 (2017): a stratum adds blocks
    (their weights only), everything else stays.

    Attributes:
        couplings: W of each block, ``(block size, n_hidden)``, in the order of the features.
        bias: b, ``(n_hidden,)``.
        kernels: of the later layers, ``(n_in, n_out)``; the last has ``n_out = 1``.
        biases: of the later layers, ``(n_out,)``.
        activations: of each layer, keys of `ACTIVATIONS`; () for tanh and a linear output.
    """

    def __init__(
        self,
        couplings: Sequence[jax.Array | np.ndarray],
        bias: jax.Array | np.ndarray,
        kernels: Sequence[jax.Array | np.ndarray],
        biases: Sequence[jax.Array | np.ndarray],
        activations: tuple[str, ...] = (),
    ) -> None:
        """Wrap given weights."""
        self.couplings = nnx.List([nnx.Param(kernel) for kernel in couplings])
        self.bias = nnx.Param(bias)
        self.kernels = nnx.List([nnx.Param(kernel) for kernel in kernels])
        self.biases = nnx.List([nnx.Param(bias) for bias in biases])
        self.activations = activations or default_activations(len(kernels))

    def __call__(self, features: jax.Array) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV, of scaled features ``(n_atoms, n_features)``."""
        return self.energies(self.preactivations(features) + self.bias[...])

    def preactivations(self, features: jax.Array) -> jax.Array:
        """What the blocks give to the first layer, ``(n_atoms, n_hidden)``.

        One product per block, added in a fixed order: a block of zeros changes no bit.
        """
        total, start = jnp.zeros((), features.dtype), 0
        for coupling in self.couplings:
            kernel = coupling[...]
            block = features[:, start : start + len(kernel)]
            total = total + jnp.matmul(block, kernel, precision="highest")
            start += len(kernel)
        return total

    def energies(self, preactivations: jax.Array) -> jax.Array:
        """Atomic energies ``(...,)``, eV, of the first layer's input ``(..., n_hidden)``."""
        hidden, (*inner, output) = preactivations, self.activations
        for kernel, bias, name in zip(self.kernels, self.biases, inner, strict=True):
            active = ACTIVATIONS[name](hidden)
            hidden = jnp.matmul(active, kernel[...], precision="highest") + bias[...]
        return ACTIVATIONS[output](hidden)[..., 0]


# Of n2p2, which has one letter for each.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda x: x,
    "tanh": jnp.tanh,
    "logistic": jax.nn.sigmoid,
    "reverse logistic": lambda x: jax.nn.sigmoid(-x),
    "softplus": jax.nn.softplus,
    "relu": jax.nn.relu,
    "gaussian": lambda x: jnp.exp(-0.5 * x * x),
    "cosine": jnp.cos,
    "exponential": lambda x: jnp.exp(-x),
    "harmonic": lambda x: x * x,
}


def default_activations(n_hidden_layers: int) -> tuple[str, ...]:
    """The usual ones: tanh in the hidden layers and a linear output."""
    return ("tanh",) * n_hidden_layers + ("linear",)


def initial_weights(
    rng: np.random.Generator, sizes: Sequence[int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Kernels and biases of tanh layers ``sizes[0] -> ... -> sizes[-1]``, by LeCun's rule.

    Normal kernels of variance 1 / n_in, zero biases.
    """
    kernels = [rng.normal(0.0, n_in**-0.5, (n_in, n_out)) for n_in, n_out in pairwise(sizes)]
    return kernels, [np.zeros(n_out) for n_out in sizes[1:]]
