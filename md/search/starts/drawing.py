"""Draw until a structure is allowed, a bounded number of times and for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits

Composition = Mapping[int, int]  # atoms by atomic number
DRAWS = 100


def drawn(
    draw: Callable[[], Atoms | None], limits: Limits, seconds: float = 1.0, draws: int = DRAWS
) -> Atoms | None:
    """The first structure that the limits admit; None after so many draws or seconds.

    The seconds are a guard: where they do not run out, the same random numbers give the same.
    """
    deadline = time.monotonic() + seconds
    for _ in range(draws):
        structure = draw()
        if structure is not None and (admitted := limits.admitted(structure)) is not None:
            admitted.info.update(structure.info)
            return admitted
        if time.monotonic() > deadline:
            return None
    return None


def numbers_of(composition: Composition) -> np.ndarray:
    """Atomic numbers of all atoms, ``(n_atoms,)``, ascending.

    >>> numbers_of({47: 1, 29: 2}).tolist()
    [29, 29, 47]
    """
    return np.repeat(sorted(composition), [composition[number] for number in sorted(composition)])
