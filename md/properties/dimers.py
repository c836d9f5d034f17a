"""Two atoms alone: energy against their distance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential

BOX = 40.0  # Å, without boundaries
APART = 20.0  # Å, beyond the reach of potentials


def dimer_curves(
    elements: Sequence[str],
    source: Potential | BaseCalculator | Evaluator,
    distances: np.ndarray | Sequence[float],
) -> dict[str, np.ndarray]:
    """Energies of all pairs of elements against atoms far apart, in one batch, eV.

    Args:
        elements: chemical symbols.
        source: a potential, or any ASE calculator.
        distances: Å.

    Returns:
        by pair, such as ``Cu-Ag``, an energy for each distance.
    """
    pairs = list(combinations_with_replacement(elements, 2))
    lengths = [*distances, APART]
    frames = [
        Atoms(pair, [[0, 0, 0], [length, 0, 0]], cell=[BOX] * 3)
        for pair in pairs
        for length in lengths
    ]
    energies = evaluator(source).evaluate(frames).energy.reshape(len(pairs), -1)
    curves = energies[:, :-1] - energies[:, -1:]
    return {"-".join(pair): curve for pair, curve in zip(pairs, curves, strict=True)}
