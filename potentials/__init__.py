"""Potentials: strata and libraries of them, analytic ones, and the ASE calculator."""

from stratal.potentials.analytic import (
    EMT,
    Gupta,
    LennardJones,
    StillingerWeber,
    SuttonChen,
)
from stratal.potentials.assess import Assessment, assess
from stratal.potentials.batch import predict_frames
from stratal.potentials.calculator import StratalCalculator
from stratal.potentials.chunks import evaluate_in_chunks, evaluate_within
from stratal.potentials.compose import compose
from stratal.potentials.evaluate import Potential, Result, evaluate, in_precision
from stratal.potentials.foreign import read_maise, read_n2p2, write_maise, write_n2p2
from stratal.potentials.library import Library
from stratal.potentials.neural import NeuralPotential
from stratal.potentials.shards import evaluate_on_devices
from stratal.potentials.short_range import ZBL, CloseRepulsion
from stratal.potentials.stratum import Stratum

__all__ = [
    "EMT",
    "ZBL",
    "Assessment",
    "CloseRepulsion",
    "Gupta",
    "LennardJones",
    "Library",
    "NeuralPotential",
    "Potential",
    "Result",
    "StillingerWeber",
    "StratalCalculator",
    "Stratum",
    "SuttonChen",
    "assess",
    "compose",
    "evaluate",
    "evaluate_in_chunks",
    "evaluate_on_devices",
    "evaluate_within",
    "in_precision",
    "predict_frames",
    "read_maise",
    "read_n2p2",
    "write_maise",
    "write_n2p2",
]
