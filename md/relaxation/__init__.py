"""Relaxation: thousands of structures to their minima at once."""

from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.state import Outcome

__all__ = ["Outcome", "RelaxConfig", "Relaxed"]
