"""Training: strata from labelled data, lowest first."""

from stratal.potentials.training.card import add_assessment, training_report, write_cards
from stratal.potentials.training.config import TrainConfig
from stratal.potentials.training.features import featurize
from stratal.potentials.training.optimize import Fit, Interrupted, fit
from stratal.potentials.training.strata import TrainedStratum, train

__all__ = [
    "Fit",
    "Interrupted",
    "TrainConfig",
    "TrainedStratum",
    "add_assessment",
    "featurize",
    "fit",
    "train",
    "training_report",
    "write_cards",
]
