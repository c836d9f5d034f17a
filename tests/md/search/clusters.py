"""Lennard-Jones clusters, as tests of searches have them."""

import numpy as np

from stratal.md.search.limits import Limits
from stratal.potentials.analytic import LennardJones

# In units of the pair: of hydrogen's radius, so that no bond counts as too close.
PAIRS = LennardJones((1,), 1.0, 1.0, cutoff=40.0, shift=False)


def limits_for(size, most=None):
    return Limits.of(
        (1,),
        "cluster",
        n_atoms=(size, most or size),
        formula=(1,),
        closest=np.array([[0.7]]),
        volumes=np.array([1 / np.sqrt(2)]),
    )
