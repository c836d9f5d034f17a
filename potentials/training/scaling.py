"""Scale features to their range, and whiten them while training.

Symmetry functions are strongly correlated, so that the loss is a narrow valley in their
weights. Training works on independent combinations of equal variance instead; the weights
are turned back exactly when the fit is done. Combinations that hardly vary in the data are
not raised to full variance: what they do outside the data would be noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratal.potentials.training.features import FeatureBatch


@dataclass(frozen=True)
class Whitening:
    """Scaled features x to independent ones z = (x - mean) matrix."""

    mean: np.ndarray  # (n_features,)
    matrix: np.ndarray  # (n_features, n_features)

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return self.matrix.shape[1]

    def inputs(self, inputs: np.ndarray, here: np.ndarray) -> np.ndarray:
        """Whitened features ``(n_frames, n_atoms, size)`` of the atoms ``here``, else 0."""
        return ((inputs - self.mean) @ self.matrix) * here[..., None]

    def jacobian(self, jacobian: np.ndarray, here: np.ndarray) -> np.ndarray:
        """The same for derivatives ``(n_frames, n_atoms * n_features, n_coordinates)``."""
        n_frames, n_atoms = here.shape
        split = jacobian.reshape(n_frames, n_atoms, len(self.mean), -1)
        turned = np.swapaxes(np.swapaxes(split, 2, 3) @ self.matrix, 2, 3) * here[..., None, None]
        return turned.reshape(n_frames, n_atoms * self.size, -1)

    def weights(self, kernel: np.ndarray) -> np.ndarray:
        """Weights of scaled features ``(n_features, n_hidden)`` from those of whitened ones."""
        return self.matrix @ np.asarray(kernel)

    def shift(self, kernel: np.ndarray) -> np.ndarray:
        """What the mean gives to the first layer, ``(n_hidden,)``; the bias takes it up."""
        return self.mean @ self.weights(kernel)


def ranges(
    batches: Sequence[FeatureBatch], species: int, zero_based: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and 1 / range of every feature around one central species.

    Blocks of higher strata must keep their zero, so there the minimum is 0.
    """
    rows = np.concatenate([b.features[b.mask & (b.species == species)] for b in batches])
    high, low = np.abs(rows).max(axis=0) if zero_based else rows.max(axis=0), rows.min(axis=0)
    low = np.zeros_like(low) if zero_based else low
    span = high - low
    useful = span > 1e-12 * np.maximum(np.abs(high), 1e-300)
    return low, np.where(useful, 1.0 / np.where(useful, span, 1.0), 0.0)


def whitening_of(
    batches: Sequence[FeatureBatch],
    species: int,
    scaling: tuple[np.ndarray, np.ndarray],
    columns: np.ndarray,
    centered: bool,
    floor: float,
) -> Whitening:
    """The whitening of some features around one central species.

    Args:
        batches: all features.
        species: the central species.
        scaling: minimum and factor of all features.
        columns: which features.
        centered: whether the mean may be removed (a bias can take it up).
        floor: added to every variance before it is divided by, relative to the largest.
    """
    rows = np.concatenate([b.features[b.mask & (b.species == species)] for b in batches])
    scaled = ((rows - scaling[0]) * scaling[1])[:, columns]
    mean = scaled.mean(axis=0) if centered else np.zeros(len(columns))
    covariance = (scaled - mean).T @ (scaled - mean) / len(scaled)
    variances, directions = np.linalg.eigh(covariance)
    raised = np.maximum(variances, 0.0) + floor * variances.max(initial=0.0)
    useful = raised > 0.0  # not so if no feature varies at all
    return Whitening(
        mean, directions * np.where(useful, 1.0 / np.sqrt(np.where(useful, raised, 1.0)), 0.0)
    )
