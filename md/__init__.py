"""Atoms that move, and properties that follow from it."""

from stratal.md.equation_of_state import EquationOfState, equation_of_state

__all__ = ["EquationOfState", "equation_of_state"]
