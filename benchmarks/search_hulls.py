"""Convex hulls of alloys: found by a search from random starts, beside exhaustive enumeration.

Enumerated are all derivative structures of fcc and bcc with as many atoms, each relaxed with its
cell. The search knows neither these nor common structures.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from reference import arguments, machine

CLOSE = 1e-3  # eV/atom, within which hulls agree


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--systems", nargs="+", default=["Cu-Au", "Cu-Pd-Ag"])
    parser.add_argument("--atoms", type=int, default=8, help="most atoms of a cell")
    parser.add_argument("--budget", type=int, default=0, help="relaxations; 0: 4000 a binary")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--executor", default="serial", help="serial, mpi or dask")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    print(machine())
    for system in options.systems:
        elements = tuple(system.split("-"))
        budget = options.budget or {2: 4000, 3: 12000}[len(elements)]
        began = time.perf_counter()
        exact = enumerated(elements, options.atoms)
        print(
            f"{system}: {len(exact)} derivative structures relaxed in "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
        for seed in range(options.seeds):
            began = time.perf_counter()
            found, busy = searched(elements, options.atoms, budget, seed, options.executor)
            seconds = time.perf_counter() - began
            higher, lower = compare(found, exact, elements)
            print(
                f"{system} seed {seed}: {budget} relaxations in {seconds:.0f} s, "
                f"{100 * busy:.0f} % of slots busy; above the enumerated hull by at most "
                f"{1e3 * higher:.2f} meV/atom, below it by at most {1e3 * lower:.2f}: "
                f"{'agrees' if higher < CLOSE else 'MISSED'}",
                flush=True,
            )


def potential_for(elements: tuple[str, ...]):
    """EMT of these elements."""
    from stratal.potentials import EMT

    return EMT.for_elements([atomic_numbers[symbol] for symbol in elements])


def enumerated(elements: tuple[str, ...], most: int) -> list[tuple[Atoms, float]]:
    """Relaxed derivative structures of fcc and bcc, with their energies, eV."""
    from stratal.md import RelaxConfig, relax_each
    from stratal.md.structures.derivative_structures import derivative_structures

    volumes = [bulk(symbol).cell.volume / len(bulk(symbol)) for symbol in elements]
    starts = []
    for lattice, in_cube in (("fcc", 4), ("bcc", 2)):
        parent = bulk(elements[0], lattice, a=(in_cube * np.mean(volumes)) ** (1 / 3))
        starts += list(derivative_structures(parent, elements, (1, most)))
    relaxed = relax_each(
        starts, potential_for(elements), RelaxConfig(fmax=0.005, cell="free", max_steps=1000)
    )
    return [(one.atoms, one.energy) for one in relaxed if one.outcome.label == "converged"]


def searched(
    elements: tuple[str, ...], most: int, budget: int, seed: int, executor: str
) -> tuple[list[tuple[Atoms, float]], float]:
    """The candidates of a search with their energies, eV, and how busy slots were."""
    from stratal.md.search.run import search
    from stratal.md.search.settings import SearchConfig
    from stratal.slurm import open_executor

    config = SearchConfig(
        elements=elements,
        n_atoms=(1, most),
        start_from=("random", "space_group"),
        population=60 if len(elements) == 2 else 150,
        starts=budget // 10,
        relaxations=budget,
        batch=16,
        fmax=0.005,
        max_steps=600,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder, open_executor(executor) as workers:
        found = search(config, potential_for(elements), Path(folder), workers)
    moved, possible = found.evolution.use
    return [(one.atoms, one.enthalpy) for one in found.population.members], moved / possible


def compare(
    found: list[tuple[Atoms, float]], exact: list[tuple[Atoms, float]], elements: tuple[str, ...]
) -> tuple[float, float]:
    """How far the hull found lies above the enumerated one at its corners, and below, eV/atom."""
    from stratal.md.search.candidates.lower_hull import LowerHull

    numbers = tuple(sorted(atomic_numbers[symbol] for symbol in elements))
    hulls = []
    for structures in (found, exact):
        hull = LowerHull(numbers)
        for atoms, energy in structures:
            hull.add(atoms.numbers, energy / len(atoms))
        hulls.append(hull)
    own, reference = hulls
    higher = max(0.0, *(-own.above(atoms.numbers, energy / len(atoms)) for atoms, energy in exact))
    lower = max(-reference.above(atoms.numbers, energy / len(atoms)) for atoms, energy in found)
    return higher, lower


if __name__ == "__main__":
    main()
