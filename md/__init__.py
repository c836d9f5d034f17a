"""Atoms that move, and properties that follow from it."""

from stratal.md.equation_of_state import EquationOfState, equation_of_state
from stratal.md.relax import relax, relax_each, relax_on
from stratal.md.relaxation import Outcome, RelaxConfig, Relaxed

__all__ = [
    "EquationOfState",
    "Outcome",
    "RelaxConfig",
    "Relaxed",
    "equation_of_state",
    "relax",
    "relax_each",
    "relax_on",
]
