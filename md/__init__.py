"""Atoms that move, and properties that follow from it."""

from stratal.md.dynamics.run import run_md
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.trajectory import Trajectory
from stratal.md.equation_of_state import EquationOfState, equation_of_state
from stratal.md.relax import relax, relax_each, relax_on
from stratal.md.relaxation import Outcome, RelaxConfig, Relaxed

__all__ = [
    "EquationOfState",
    "MDConfig",
    "Outcome",
    "RelaxConfig",
    "Relaxed",
    "Trajectory",
    "equation_of_state",
    "relax",
    "relax_each",
    "relax_on",
    "run_md",
]
