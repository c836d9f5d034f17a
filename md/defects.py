"""Vacancies and surfaces of crystals: energies against the perfect one, in one batch each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import surface
from ase.calculators.calculator import BaseCalculator

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential


def vacancy_energies(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    repeats: Sequence[int] = (2, 3, 4),
    site: int = 0,
    fmax: float = 1e-3,
) -> np.ndarray:
    """Formation energies of a vacancy in supercells of growing size, at fixed volume, eV.

    E(N - 1 atoms) - (N - 1)/N E(N atoms): the atom goes to a reservoir of the crystal, which has
    to be an element.

    Args:
        crystal: at rest; its conventional cell makes supercells compact.
        source: a potential, or any ASE calculator.
        repeats: of the cell in each direction, for each supercell.
        site: which atom of the cell is taken out.
        fmax: of the relaxation of positions, eV/Å.

    Raises:
        InputError: a compound, a relaxation that does not converge.
    """
    if len(set(crystal.symbols)) > 1:
        raise InputError(
            f"{crystal.get_chemical_formula()}: the energy of a vacancy in a compound depends on "
            f"where its atom goes. Give the crystal of an element."
        )
    evaluate = evaluator(source)
    perfect = [crystal * ((count,) * 3) for count in repeats]
    holes = [atoms[[n for n in range(len(atoms)) if n != site]] for atoms in perfect]
    holes = evaluate.relaxed(holes, fmax, "fixed")
    energies = evaluate.evaluate([*perfect, *holes]).energy.reshape(2, -1)
    counts = np.array([len(atoms) for atoms in perfect])
    return energies[1] - (counts - 1) / counts * energies[0]


def in_the_limit(energies: np.ndarray, n_atoms: np.ndarray) -> float:
    """Energies ``(n,)`` of supercells of ``n_atoms`` extrapolated to infinite size.

    What the elastic images of a point defect cost falls with the inverse of their volume.
    """
    return float(np.polyfit(1 / np.asarray(n_atoms), energies, 1)[1])


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
