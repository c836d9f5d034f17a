"""Scale features to their range, and whiten them while training.

Symmetry functions are strongly correlated, so that the loss is a narrow valley in their
weights. Training works on independent combinations of equal variance instead; the weights
are turned back exactly when the fit is done. Combinations that hardly vary in the data are
not raised to full variance: what they do outside the data would be noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stratal.descriptors.descriptor import Block
from stratal.potentials.stratum import Coupling
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


def rows_of(batches: Sequence[FeatureBatch], species: int, training: np.ndarray) -> np.ndarray:
    """Features ``(n_rows, n_features)`` of all training atoms of one species."""
    found = []
    for batch in batches:
        here = batch.mask & (batch.species == species) & training[batch.frames][:, None]
        found.append(batch.features[here])
    return np.concatenate(found)


def ranges(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and 1 / range of every feature over ``rows`` ``(n_rows, n_features)``."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    useful = high - low > 1e-12 * np.abs(high)
    return low, np.where(useful, 1.0 / np.where(useful, high - low, 1.0), 0.0)


def inherited_ranges(
    center: int, blocks: Sequence[Block], own: Mapping[tuple[int, tuple[int, ...]], Coupling]
) -> tuple[np.ndarray, np.ndarray]:
    """Minimum 0 and the factors with which the element itself scales the same functions.

    A block of a higher stratum must keep its zero. Its functions have the same size as those
    of the element alone, and the ranges over a few alloys would blow up what hardly occurs
    in them.
    """
    factors = [own[center, (center,) * len(block.neighbors)].factor for block in blocks]
    factor = np.concatenate(factors)
    return np.zeros_like(factor), factor


def whitening_of(
    rows: np.ndarray,
    scaling: tuple[np.ndarray, np.ndarray],
    columns: np.ndarray,
    centered: bool,
    floor: float,
) -> Whitening:
    """The whitening of some features around one central species.

    Args:
        rows: features of the atoms of that species, ``(n_rows, n_features)``.
        scaling: minimum and factor of all features.
        columns: which features.
        centered: whether the mean may be removed (a bias can take it up).
        floor: added to every variance before it is divided by, relative to the largest.
    """
    scaled = ((rows - scaling[0]) * scaling[1])[:, columns]
    mean = scaled.mean(axis=0) if centered else np.zeros(len(columns))
    covariance = (scaled - mean).T @ (scaled - mean) / len(scaled)
    variances, directions = np.linalg.eigh(covariance)
    raised = np.maximum(variances, 0.0) + floor * variances.max(initial=0.0)
    useful = raised > 0.0  # not so if no feature varies at all
    return Whitening(
        mean, directions * np.where(useful, 1.0 / np.sqrt(np.where(useful, raised, 1.0)), 0.0)
    )
