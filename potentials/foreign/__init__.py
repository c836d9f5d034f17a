"""Potentials of other programs, read and turned into strata."""

from stratal.potentials.foreign.maise import read_maise

__all__ = ["read_maise"]
