"""The domain of a stratum: how far an atom's features are from those it was trained on.

The measure is the Mahalanobis distance of the atom's features, which the committee shares,
over that of the farthest atoms of the training set: up to 1 a potential interpolates, far
above it guesses. Directions in which the training set hardly varies count by a floor, so that
rounding does not look like distance.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

FLOOR = 1e-6  # variance of a direction that counts at least, relative to the largest
FARTHEST = 0.999  # the part of training atoms within grade 1


class Domain(NamedTuple):
    """Mean and spread of the features of training atoms of one element in one stratum."""

    mean: np.ndarray  # (n_features,)
    whitening: np.ndarray  # (n_features, n_directions), to independent ones of variance 1
    reach: np.ndarray  # (), distance of the farthest training atoms

    @classmethod
    def around(cls, features: np.ndarray) -> Domain:
        """The domain of features ``(n_atoms, n_features)`` of training atoms."""
        mean = features.mean(axis=0)
        covariance = (features - mean).T @ (features - mean) / len(features)
        variances, directions = np.linalg.eigh(covariance)
        floor = FLOOR * max(float(variances.max(initial=0.0)), 1e-12)
        whitening = directions / np.sqrt(np.maximum(variances, floor))
        distances = np.linalg.norm((features - mean) @ whitening, axis=1)
        return cls(mean, whitening, np.array(max(np.quantile(distances, FARTHEST), 1e-12)))

    def grades(self, features: jax.Array) -> jax.Array:
        """Distance ``(n_atoms,)`` of features ``(n_features, n_atoms)`` in units of the reach.

        Above 1 is extrapolation.
        """
        apart = features - jnp.asarray(self.mean)[:, None]
        apart = jnp.matmul(self.whitening.T, apart, precision="highest")
        return jnp.sqrt((apart * apart).sum(axis=0)) / self.reach
