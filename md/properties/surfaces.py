"""Surfaces of crystals: energies of slabs against the perfect crystal, in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import surface
from ase.calculators.calculator import BaseCalculator

from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential


def surface_energies(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    planes: Sequence[tuple[int, int, int]] = ((1, 0, 0), (1, 1, 0), (1, 1, 1)),
    n_layers: int = 9,
    vacuum: float = 10.0,
    fmax: float = 1e-3,
) -> np.ndarray:
    """Energies of relaxed surfaces ``(n_planes,)``, eV/Å².

    Slabs with the crystal's lattice constant, both sides free.

    Args:
        crystal: at rest, of one element, its conventional cell, to which the planes' Miller
            indices refer.
        source: a potential, or any ASE calculator.
        planes: Miller indices.
        n_layers: of each slab, as ASE's ``surface`` counts them.
        vacuum: on each side, Å.
        fmax: of the relaxation of positions, eV/Å.
    """
    evaluate = evaluator(source)
    slabs = [surface(crystal, plane, n_layers, vacuum, periodic=True) for plane in planes]
    slabs = evaluate.relaxed(slabs, fmax, "fixed")
    energies = evaluate.evaluate([crystal, *slabs]).energy
    by_atom = energies[0] / len(crystal)
    areas = np.array([np.linalg.norm(np.cross(*slab.cell.array[:2])) for slab in slabs])
    counts = np.array([len(slab) for slab in slabs])
    return (energies[1:] - counts * by_atom) / (2 * areas)
