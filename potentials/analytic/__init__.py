"""Analytic potentials: teachers, baselines and oracles that need no training."""

from stratal.potentials.analytic.emt import EMT
from stratal.potentials.analytic.gupta import Gupta
from stratal.potentials.analytic.lennard_jones import LennardJones
from stratal.potentials.analytic.stillinger_weber import StillingerWeber
from stratal.potentials.analytic.sutton_chen import SuttonChen

__all__ = ["EMT", "Gupta", "LennardJones", "StillingerWeber", "SuttonChen"]
