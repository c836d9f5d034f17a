"""Potentials of other programs, read and turned into strata; strata written for them."""

from stratal.potentials.foreign.maise import read_maise
from stratal.potentials.foreign.maise_export import write_maise
from stratal.potentials.foreign.n2p2 import read_n2p2
from stratal.potentials.foreign.n2p2_export import write_n2p2

__all__ = ["read_maise", "read_n2p2", "write_maise", "write_n2p2"]
