"""Repeat a crystal or film in a larger cell, or keep a part of its cell.

A. O. Lyakhov, A. R. Oganov and M. Valle, Comput. Phys. Commun. 181, 1623 (2010), where cells are
split into parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits, in_standard_form
from stratal.md.search.operators.separated import separated
from stratal.md.search.starts.composition import nearest_counts, repaired
from stratal.md.search.starts.drawing import drawn
from stratal.md.search.starts.tiled import repeated

TRIES = 20
MOST = 4  # times larger or smaller
WIDTH = 0.08  # of an atom's spacing: a mere repetition would be the same crystal


def resize_cell(parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator) -> Atoms | None:
    """The parent repeated 2 to 4 times and rattled, or a half, third or quarter of it; or None.

    Of a part atoms are changed, taken out or put in until a formula holds.

    Args:
        parents: one.
        limits: what the child obeys.
        rng: random numbers.
    """
    (parent,) = parents
    fewest, most = limits.n_atoms
    times = range(2, MOST + 1)
    choices = [(n, True) for n in times if len(parent) * n <= most]
    choices += [(n, False) for n in times if len(parent) >= n * max(fewest, 1)]
    if not choices:
        return None

    def draw() -> Atoms | None:
        n, larger = choices[int(rng.integers(len(choices)))]
        return _larger(parent, n, limits, rng) if larger else _smaller(parent, n, limits, rng)

    return drawn(draw, limits, draws=TRIES)


def _larger(parent: Atoms, n: int, limits: Limits, rng: np.random.Generator) -> Atoms:
    child = repeated(parent, n, limits, rng)
    child.positions += WIDTH * limits.spacing(child.numbers) * rng.normal(size=(len(child), 3))
    return separated(child, limits)


def _smaller(parent: Atoms, n: int, limits: Limits, rng: np.random.Generator) -> Atoms | None:
    axis = int(rng.integers(2 if limits.kind == "film" else 3))
    fractional = parent.get_scaled_positions(wrap=False)
    fractional[:, axis] = (fractional[:, axis] + rng.random()) % 1.0
    inside = fractional[:, axis] < 1 / n
    if not inside.any():
        return None
    child = Atoms(parent.numbers[inside], fractional[inside] @ parent.cell.array)
    cell = parent.cell.array.copy()
    cell[axis] /= n
    child.set_cell(cell)
    counts = nearest_counts(limits.counts(child.numbers), limits)
    if counts is None:
        return None
    return repaired(separated(in_standard_form(child, limits), limits), counts, limits, rng)
