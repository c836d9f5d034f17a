"""Searches for the ground states of two elements with unknown cells, beside random search.

A Lennard-Jones solid, whose ground state is the lower of fcc and hcp at the cutoff, and silicon
after Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), whose ground state is diamond. Starts are
random positions in random cells for both; random search has nothing else. Common structures, from
which the answer could be copied, are no starts here.
"""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np
from ase.build import bulk
from reference import arguments, machine

NEAR = 2e-5  # of its energy, within which a ground state is found; fcc and hcp differ by 1e-4
ATOMS = {"lennard-jones": (8, 12, 16), "silicon": (8, 12, 16)}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--systems", nargs="+", default=sorted(ATOMS), choices=sorted(ATOMS))
    parser.add_argument("--atoms", type=int, nargs="+", help="sizes; by default of each system")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=4000, help="relaxations of each search")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    print(machine())
    for system in options.systems:
        for size in options.atoms or ATOMS[system]:
            compare(system, size, options.seeds, options.budget)


def compare(system: str, size: int, seeds: int, budget: int) -> None:
    """Search at one size from all seeds, with offspring and without."""
    ground = ground_state(system, size)
    means = {}
    for name, newcomers in (("evolution", 0.1), ("random search", 1.0)):
        runs = [searched(system, size, seed, budget, newcomers, ground) for seed in range(seeds)]
        found = [count for success, count, _ in runs if success]
        # Mean number of relaxations for each success: fair to searches that were given up.
        means[name] = sum(count for _, count, _ in runs) / max(1, len(found))
        print(
            f"{system} {size} atoms, {name}: {len(found)} of {seeds}, median "
            f"{np.median(found) if found else np.nan:.0f}, {means[name]:.0f} relaxations for each "
            f"success, {np.median([seconds for *_, seconds in runs]):.1f} s each",
            flush=True,
        )
    ratio = means["random search"] / means["evolution"]
    print(f"{system} {size} atoms: {ratio:.1f}x fewer relaxations than random search", flush=True)


def potential_for(system: str):
    """The potential of a system, and its element."""
    from stratal.potentials import StillingerWeber
    from stratal.potentials.analytic import LennardJones

    if system == "silicon":
        return StillingerWeber.silicon(), "Si"
    # Argon-like in units that make the volume of an atom that of the search's limits.
    return LennardJones((18,), 1.0, 3.4, cutoff=11.0), "Ar"


def ground_state(system: str, size: int) -> float:
    """Energy of an atom in the known ground state that a cell of this size can hold, eV."""
    from stratal.md import RelaxConfig, relax_each

    potential = potential_for(system)[0]
    crystals = {
        "silicon": [bulk("Si", "diamond", a=5.43)],
        "lennard-jones": [bulk("Ar", "fcc", a=5.2), bulk("Ar", "hcp", a=3.7, c=6.0)],
    }[system]
    fitting = [atoms for atoms in crystals if size % len(atoms) == 0]
    settings = RelaxConfig(fmax=1e-4, cell="free")
    found = relax_each(fitting, potential, settings)
    return min(one.energy / len(one.atoms) for one in found)


def searched(
    system: str, size: int, seed: int, budget: int, newcomers: float, ground: float
) -> tuple[bool, int, float]:
    """Whether the ground state was found, after how many relaxations, in how long (s)."""
    from stratal.md.search.run import search
    from stratal.md.search.settings import SearchConfig

    potential, symbol = potential_for(system)
    config = SearchConfig(
        elements=(symbol,),
        n_atoms=(size, size),
        start_from=("random",),
        starts=30,
        newcomers=newcomers,
        relaxations=budget,
        batch=16,
        max_steps=600,
        target=ground * (1 - NEAR),
        seed=seed,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = search(config, potential, folder)
    return found.reason == "target", found.evolution.done, time.perf_counter() - began


if __name__ == "__main__":
    main()
