"""Stable crystals of a binary by a trained library, searched from random starts alone.

The library comes from `cupdag_library.py`. Says which crystals are on the hull, and how far above
it the common ones lie that are known: of Cu-Pd, B2 CuPd and L1₂ Cu₃Pd.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from reference import arguments, machine

KNOWN = {"Cu-Pd": {"B2": ("Cu", "Pd"), "L12": ("Pd", "Cu")}}  # rarer elements first
VOLUME = 13.0  # Å³ of an atom, from where these relax


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--system", default="Cu-Pd", choices=sorted(KNOWN))
    parser.add_argument("--atoms", type=int, default=8, help="most atoms of a cell")
    parser.add_argument("--budget", type=int, default=4000, help="relaxations")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path, help="folder of the search, with its report")
    parser.add_argument("--executor", default="serial", help="serial, mpi or dask")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(options.seeds):
            run(options, seed, (options.output or Path(scratch)) / f"seed-{seed}")


def run(options, seed: int, folder: Path) -> None:
    """One search and what it found."""
    from stratal.md import RelaxConfig, relax
    from stratal.md.properties.prototypes import prototype
    from stratal.md.search.results.files import symmetry_of, write_results
    from stratal.md.search.run import search
    from stratal.md.search.settings import SearchConfig
    from stratal.potentials import Library
    from stratal.slurm import open_executor

    elements = tuple(options.system.split("-"))
    config = SearchConfig(
        elements=elements,
        n_atoms=(1, options.atoms),
        start_from=("random",),
        starts=options.budget // 10,
        population=60,
        relaxations=options.budget,
        batch=16,
        seed=seed,
    )
    potential = Library.open(options.library).potential(*elements)
    began = time.perf_counter()
    with open_executor(options.executor) as workers:
        found = search(config, potential, folder, workers)
    print(f"seed {seed}: {options.budget} relaxations in {time.perf_counter() - began:.0f} s")
    population = found.population
    for member in sorted(population.best(), key=lambda one: one.atoms.numbers.mean()):
        print(
            f"  on the hull: {member.atoms.get_chemical_formula():8s} "
            f"{symmetry_of(member.atoms):16s} made by {member.origin.operator}"
        )
    known = KNOWN[options.system]
    crystals = [prototype(name, symbols, VOLUME) for name, symbols in known.items()]
    relaxed = relax(crystals, potential, RelaxConfig(fmax=1e-3, cell="free"))
    for name, one in zip(known, relaxed, strict=True):
        above = population.hull.above(one.atoms.numbers, one.energy / len(one.atoms))
        print(f"  {name} {one.atoms.get_chemical_formula()}: {1e3 * above:+.2f} meV/atom from it")
    if options.output:
        write_results(folder, found.evolution, found.reason)


if __name__ == "__main__":
    main()
