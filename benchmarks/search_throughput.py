"""Offspring a second of a search, beside the genetic algorithm of PyPI's ``ase-ga``.

Both look for crystals of the same formula with the same potential (EMT), from random starts, and
relax positions and cells to the same forces on the same core, one after the other. ``ase-ga`` is
used as its own tutorial for crystals does: cut and splice, soft mutation, strain, its comparator
by fingerprints; relaxation by BFGS in the Frechet cell filter, of all ASE offers among the fastest.
Needs ``pip install 'stratal[bench]'``.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT as AseEMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from reference import arguments, machine, one_core

VOLUME = 15.0  # Å³ of an atom at the start
MOST = 400  # steps of a relaxation
STARTS = 20


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--formula", default="Cu9Au3")
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/Å")
    parser.add_argument("--peer", type=int, default=60, help="offspring of ase-ga, after 20 starts")
    parser.add_argument("--own", type=int, default=3000, help="relaxations of Stratal")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    one_core()
    print(f"{machine()}, {options.formula}, EMT, to {options.fmax} eV/Å")
    peer, peer_best = by_ase_ga(options.formula, options.peer, options.fmax)
    print(f"ase-ga: {peer:.3f} s for each offspring; lowest {peer_best:.4f} eV/atom", flush=True)
    own, own_best = by_stratal(options.formula, options.own, options.fmax)
    print(f"Stratal: {own:.4f} s for each; lowest {own_best:.4f} eV/atom; {peer / own:.0f}x ase-ga")


def by_stratal(formula: str, relaxations: int, fmax: float) -> tuple[float, float]:
    """Seconds for each relaxation of a search, compilation included, and the lowest eV/atom."""
    from stratal.md.search.run import search
    from stratal.md.search.settings import SearchConfig
    from stratal.potentials import EMT

    atoms = Atoms(formula)
    config = SearchConfig(
        elements=tuple(sorted(set(atoms.symbols))),
        formula=formula,
        n_atoms=(len(atoms), len(atoms)),
        start_from=("random",),
        starts=STARTS,
        population=STARTS,
        relaxations=relaxations,
        fmax=fmax,
        max_steps=MOST,
        batch=16,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = search(config, EMT.for_elements(config.numbers), folder)
    seconds = time.perf_counter() - began
    return seconds / found.evolution.done, found.population.members[0].by_atom


def by_ase_ga(formula: str, offspring: int, fmax: float) -> tuple[float, float]:
    """Seconds for each offspring of ``ase-ga``, and the lowest eV/atom."""
    from ase_ga.ofp_comparator import OFPComparator
    from ase_ga.population import Population

    warnings.simplefilter("ignore")
    numbers = [int(number) for number in Atoms(formula).numbers]
    comparator = OFPComparator(
        n_top=len(numbers),
        dE=1.0,
        cos_dist_max=1e-3,
        rcut=10.0,
        binwidth=0.05,
        pbc=[True] * 3,
        sigma=0.05,
        nsigma=4,
        recalculate=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        data = starts_of_ase_ga(numbers, Path(folder) / "ga.db")
        while data.get_number_of_unrelaxed_candidates() > 0:
            atoms = data.get_an_unrelaxed_candidate()
            relax_by_ase(atoms, fmax)
            data.add_relaxed_step(atoms)
        population = Population(data_connection=data, population_size=STARTS, comparator=comparator)
        chosen = operators_of_ase_ga(numbers, population, Path(folder) / "modes.json")
        began, done = time.perf_counter(), 0
        while done < offspring:
            made, description = chosen.get_new_individual(population.get_two_candidates())
            if made is None:
                continue
            data.add_unrelaxed_candidate(made, description=description)
            relax_by_ase(made, fmax)
            data.add_relaxed_step(made)
            population.update()
            done += 1
        seconds = time.perf_counter() - began
        best = max(atoms.info["key_value_pairs"]["raw_score"] for atoms in population.pop)
    return seconds / offspring, -best / len(numbers)


def bounds_of_ase_ga() -> Any:
    """What cells may be."""
    from ase_ga.utilities import CellBounds

    angles = {"phi": [20, 160], "chi": [20, 160], "psi": [20, 160]}
    return CellBounds(angles | {key: [2, 60] for key in "abc"})


def starts_of_ase_ga(numbers: list[int], path: Path) -> Any:
    """The database of a run with its random starts, not relaxed yet."""
    from ase_ga.data import DataConnection, PrepareDB
    from ase_ga.startgenerator import StartGenerator
    from ase_ga.utilities import closest_distances_generator

    slab = Atoms("", pbc=True)
    database = PrepareDB(str(path), simulation_cell=slab, stoichiometry=numbers)
    starts = StartGenerator(
        slab,
        numbers,
        closest_distances_generator(numbers, 0.5),
        box_volume=VOLUME * len(numbers),
        number_of_variable_cell_vectors=3,
        cellbounds=bounds_of_ase_ga(),
    )
    while database.c.count() < STARTS + 1:  # the first row is the cell
        if (atoms := starts.get_new_candidate()) is not None:
            database.add_unrelaxed_candidate(atoms)
    return DataConnection(str(path))


def operators_of_ase_ga(numbers: list[int], population: Any, modes: Path) -> Any:
    """Its operators for crystals, in the shares of its tutorial."""
    from ase_ga.cutandsplicepairing import CutAndSplicePairing
    from ase_ga.offspring_creator import OperationSelector
    from ase_ga.soft_mutation import SoftMutation
    from ase_ga.standardmutations import StrainMutation
    from ase_ga.utilities import closest_distances_generator

    closest = closest_distances_generator(numbers, 0.5)
    free = {"number_of_variable_cell_vectors": 3, "cellbounds": bounds_of_ase_ga()}
    slab = Atoms("", pbc=True)
    pairing = CutAndSplicePairing(slab, len(numbers), closest, p1=1.0, p2=0.0, **free)
    strain = StrainMutation(closest, stddev=0.7, **free)
    soft = SoftMutation(
        closest_distances_generator(numbers, 0.1), bounds=[2.0, 5.0], used_modes_file=str(modes)
    )
    for operator in (pairing, strain):
        operator.update_scaling_volume(population.get_current_population(), n_adapt=4)
    return OperationSelector([4.0, 3.0, 3.0], [pairing, soft, strain])


def relax_by_ase(atoms: Atoms, fmax: float) -> None:
    """Relax positions and cell in place; the score ``ase-ga`` needs is the negative energy."""
    atoms.calc = AseEMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=fmax, steps=MOST)
    score = np.nan_to_num(-atoms.get_potential_energy(), nan=-1e9)
    atoms.info.setdefault("key_value_pairs", {})["raw_score"] = float(score)


if __name__ == "__main__":
    main()
