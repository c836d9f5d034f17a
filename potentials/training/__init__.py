"""Training: strata from labelled data, lowest first."""

from stratal.potentials.training.card import add_assessment, training_report, write_cards
from stratal.potentials.training.config import (
    SymmetryFunctionConfig,
    TrainConfig,
    config_from_toml,
)
from stratal.potentials.training.features import featurize
from stratal.potentials.training.fit_loop import Fit, Interrupted
from stratal.potentials.training.optimize import fit
from stratal.potentials.training.strata import train
from stratal.potentials.training.trained import TrainedStratum

__all__ = [
    "Fit",
    "Interrupted",
    "SymmetryFunctionConfig",
    "TrainConfig",
    "TrainedStratum",
    "add_assessment",
    "config_from_toml",
    "featurize",
    "fit",
    "train",
    "training_report",
    "write_cards",
]
