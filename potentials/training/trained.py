"""What is kept of a fit: the stratum, its curve, and the notes in its file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stratal.potentials.stratum import Stratum
from stratal.potentials.training.config import SymmetryFunctionConfig, TrainConfig
from stratal.potentials.training.fit_loop import Fit


@dataclass(frozen=True)
class TrainedStratum:
    """One stratum and how its fit went."""

    stratum: Stratum
    fit: Fit
    seconds: float


def in_training(count: int, config: TrainConfig | SymmetryFunctionConfig) -> np.ndarray:
    """Which structures are trained on; the others judge the fit."""
    rng = np.random.default_rng(config.seed)
    held = rng.permutation(count)[: int(config.validation * count)]
    mask = np.ones(count, bool)
    mask[held] = False
    return mask


def errors_of(result: Fit) -> dict[str, float]:
    """The errors of the weights that were kept, by name, eV/atom and eV/Å."""
    names = ("energy_rmse", "force_rmse", "energy_rmse_validation", "force_rmse_validation")
    return {key: float(v) for key, v in zip(names, result.errors, strict=True) if np.isfinite(v)}


def information(
    source: str,
    config: TrainConfig | SymmetryFunctionConfig,
    training: np.ndarray,
    epochs: int,
    errors: dict[str, float],
) -> dict[str, Any]:
    """The notes of a stratum's file: data, settings, errors."""
    return {
        "training_hash": source,
        "structures": len(training),
        "structures_validation": int((~training).sum()),
        "epochs": epochs,
        "config": asdict(config),
        "errors": errors,
    }
