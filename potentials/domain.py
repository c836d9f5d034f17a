"""The domain of a stratum: how far an atom's features are from those it was trained on.

The measure is the Mahalanobis distance of the atom's features, which the committee shares,
over that of the farthest atoms of the training set: up to 1 a potential interpolates, far
above it guesses. Features of atoms in random cells have long tails, which would make all that is
ordinary look alike; so distances beyond a feature's usual range count by their logarithm.
Directions in which the training set varies little count by a floor: few atoms tell them badly.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Variance of a direction that counts at least, relative to the largest: with far less, atoms like
# those of the training set are outside by far where it has but a hundred.
FLOOR = 1e-2
FARTHEST = 0.999  # the part of training atoms within grade 1
USUAL = 0.5  # the usual distance from the median, in mean distances
NARROWEST = 1e-5  # usual range of a feature that counts at least, relative to the largest


class Domain(NamedTuple):
    """Where the features of training atoms of one element in one stratum lie."""

    center: np.ndarray  # (n_features,), medians
    width: np.ndarray  # (n_features,), usual distances from them
    mean: np.ndarray  # (n_features,), of features in those units, tails taken in
    whitening: np.ndarray  # (n_features, n_directions), to independent ones of variance 1
    reach: np.ndarray  # (), distance of the farthest training atoms

    @classmethod
    def around(cls, features: np.ndarray) -> Domain:
        """The domain of features ``(n_atoms, n_features)`` of training atoms."""
        center = np.median(features, axis=0)
        width = USUAL * np.abs(features - center).mean(axis=0)
        width = np.maximum(width, max(NARROWEST * float(width.max(initial=0.0)), 1e-12))
        taken_in = np.arcsinh((features - center) / width)
        mean = taken_in.mean(axis=0)
        covariance = (taken_in - mean).T @ (taken_in - mean) / len(taken_in)
        variances, directions = np.linalg.eigh(covariance)
        floor = FLOOR * max(float(variances.max(initial=0.0)), 1e-12)
        whitening = directions / np.sqrt(np.maximum(variances, floor))
        distances = np.linalg.norm((taken_in - mean) @ whitening, axis=1)
        reach = np.array(max(np.quantile(distances, FARTHEST), 1e-12))
        return cls(center, width, mean, whitening, reach)

    def grades(self, features: jax.Array) -> jax.Array:
        """Distance ``(n_atoms,)`` of features ``(n_features, n_atoms)`` in units of the reach.

        Above 1 is extrapolation.
        """
        center, width, mean = (
            jnp.asarray(own)[:, None] for own in (self.center, self.width, self.mean)
        )
        apart = jnp.arcsinh((features - center) / width) - mean
        apart = jnp.matmul(self.whitening.T, apart, precision="highest")
        return jnp.sqrt((apart * apart).sum(axis=0)) / self.reach
