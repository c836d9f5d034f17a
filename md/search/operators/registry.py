"""The operators, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.operators.cluster_cut_and_splice import cluster_cut_and_splice
from stratal.md.search.operators.core_shell_swap import core_shell_swap
from stratal.md.search.operators.cut_and_splice import cut_and_splice
from stratal.md.search.operators.faceting import faceting
from stratal.md.search.operators.neighboring_size import neighboring_size
from stratal.md.search.operators.permutation import permutation
from stratal.md.search.operators.plane_rotation import plane_rotation
from stratal.md.search.operators.rattle import rattle
from stratal.md.search.operators.reflection_inversion import reflection_inversion
from stratal.md.search.operators.resize_cell import resize_cell
from stratal.md.search.operators.slide import slide
from stratal.md.search.operators.soft_mode import soft_mode
from stratal.md.search.operators.strain import strain
from stratal.md.search.operators.substitution import substitution
from stratal.md.search.operators.surface_move import surface_move

PERIODIC, CLUSTER = ("crystal", "film"), ("cluster",)
Vary = Callable[[Sequence[Atoms], Limits, np.random.Generator], Atoms | None]


class Operator(NamedTuple):
    """A way to make a child of parents.

    The child obeys the limits, or there is none; parents stay as they are, and the same random
    numbers give the same child.
    """

    n_parents: int
    kinds: tuple[str, ...]  # of candidates, as in `Limits.kind`
    function: Vary
    changes_composition: bool = False  # also the numbers of atoms, where no formula fixes them


OPERATORS = {
    "cut_and_splice": Operator(2, PERIODIC, cut_and_splice, True),
    "strain": Operator(1, PERIODIC, strain),
    "rattle": Operator(1, PERIODIC + CLUSTER, rattle),
    "permutation": Operator(1, PERIODIC + CLUSTER, permutation),
    "substitution": Operator(1, PERIODIC + CLUSTER, substitution, True),
    "soft_mode": Operator(1, PERIODIC + CLUSTER, soft_mode),
    "resize_cell": Operator(1, PERIODIC, resize_cell, True),
    "slide": Operator(1, PERIODIC, slide),
    "cluster_cut_and_splice": Operator(2, CLUSTER, cluster_cut_and_splice, True),
    "core_shell_swap": Operator(1, CLUSTER, core_shell_swap),
    "plane_rotation": Operator(1, CLUSTER, plane_rotation),
    "reflection_inversion": Operator(1, CLUSTER, reflection_inversion),
    "faceting": Operator(1, CLUSTER, faceting),
    "surface_move": Operator(1, CLUSTER, surface_move),
    "neighboring_size": Operator(1, CLUSTER, neighboring_size, True),
}
