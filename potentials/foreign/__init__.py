"""Potentials of other programs, read and turned into strata."""

from stratal.potentials.foreign.maise import read_maise
from stratal.potentials.foreign.n2p2 import read_n2p2

__all__ = ["read_maise", "read_n2p2"]
