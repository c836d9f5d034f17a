"""Cut two crystals or films by a plane and join the parts.

D. M. Deaven and K. M. Ho, Phys. Rev. Lett. 75, 288 (1995); C. W. Glass, A. R. Oganov and
N. Hansen, Comput. Phys. Commun. 175, 713 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits, in_standard_form, volume_of
from stratal.md.search.operators.separated import separated
from stratal.md.search.starts.composition import nearest_counts, repaired
from stratal.md.search.starts.drawing import drawn

TRIES = 20
SMALLEST = 0.25  # share of the cell that one parent gives, at least


def cut_and_splice(
    parents: Sequence[Atoms], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """A child of two crystals or films, or None.

    Both are moved at random, then one gives what lies before a plane in fractional coordinates,
    the other what lies behind. The cell lies between theirs, and the volume per atom. With a
    formula atoms are changed, taken out or put in until it holds; else the composition is free.

    Args:
        parents: two.
        limits: what the child obeys.
        rng: random numbers.
    """
    return drawn(lambda: _child(parents[0], parents[1], limits, rng), limits, draws=TRIES)


def _child(first: Atoms, second: Atoms, limits: Limits, rng: np.random.Generator) -> Atoms | None:
    n_axes = 2 if limits.kind == "film" else 3
    axis, share = int(rng.integers(n_axes)), rng.uniform(SMALLEST, 1 - SMALLEST)
    coordinates, numbers = [], []
    for parent, before in ((first, True), (second, False)):
        own = _coordinates(parent, limits)
        own[:, :n_axes] = (own[:, :n_axes] + rng.random(n_axes)) % 1.0
        taken = (own[:, axis] < share) == before
        if not taken.any():
            return None
        coordinates.append(own[taken])
        numbers.append(parent.numbers[taken])
    cell = _between(first, second, rng.random(), limits)
    child = Atoms(np.concatenate(numbers), np.concatenate(coordinates) @ cell, cell=cell)
    child = in_standard_form(child, limits)
    counts = nearest_counts(limits.counts(child.numbers), limits)
    if counts is None:
        return None
    by_atom = np.mean(
        [volume_of(own, limits) / limits.target_volume(own.numbers) for own in (first, second)]
    )
    wanted = by_atom * float(counts @ limits.volumes)
    # Scaled before atoms come and go, so that places are looked for in the final cell.
    scaled = limits.with_volume(child, wanted)
    return repaired(separated(scaled, limits), counts, limits, rng)


def _coordinates(atoms: Atoms, limits: Limits) -> np.ndarray:
    """Fractional; of a film the third is the height over its middle, Å."""
    coordinates = atoms.get_scaled_positions()
    if limits.kind == "film":
        coordinates[:, 2] = atoms.positions[:, 2] - atoms.positions[:, 2].mean()
    return coordinates


def _between(first: Atoms, second: Atoms, share: float, limits: Limits) -> np.ndarray:
    """A cell ``(3, 3)``, Å, between two, both turned so that their first vectors lie along x."""
    one, other = (atoms.cell.standard_form()[0].array for atoms in (first, second))
    cell = share * one + (1 - share) * other
    if limits.kind == "film":
        cell[2] = 0.0, 0.0, 1.0  # to go with heights in Å
    return cell
