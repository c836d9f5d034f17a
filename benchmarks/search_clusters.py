"""Searches of Lennard-Jones clusters: relaxations until the known minimum, from many seeds.

Starts are random alone: the compact ones hold the minimum of 38 atoms, a truncated octahedron.
Minima: D. J. Wales and J. P. K. Doye, J. Phys. Chem. A 101, 5111 (1997).
"""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np
from reference import arguments, machine
from scipy.stats import binom

KNOWN = {7: -16.505384, 13: -44.326801, 19: -72.659782, 38: -173.928427}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[13, 38])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=20_000, help="relaxations of each search")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    print(machine())
    for size in options.sizes:
        runs = [searched(size, seed, options.budget) for seed in range(options.seeds)]
        taken = np.array([count for found, count, *_ in runs if found])
        seconds = np.array([second for *_, second, _ in runs])
        busy = np.mean([part for *_, part in runs])
        low, high = interval(taken) if len(taken) else (np.nan, np.nan)
        print(
            f"LJ{size}: found in {len(taken)} of {options.seeds}; relaxations median "
            f"{np.median(taken) if len(taken) else np.nan:.0f} ({low:.0f} to {high:.0f}), most "
            f"{taken.max(initial=0)}; {np.median(seconds):.1f} s each, "
            f"{100 * busy:.0f} % of slots busy",
            flush=True,
        )


def interval(values: np.ndarray) -> tuple[float, float]:
    """Where the median lies with 95 %, from ranks: no distribution is assumed."""
    low = int(binom.ppf(0.025, len(values), 0.5))
    ordered = np.sort(values)
    return float(ordered[max(0, low - 1)]), float(ordered[min(len(values) - 1, len(values) - low)])


def searched(size: int, seed: int, budget: int) -> tuple[bool, int, float, float]:
    """Whether the minimum was found, after how many relaxations, in how long (s), slots busy."""
    from stratal.md.search.limits import Limits
    from stratal.md.search.run import search
    from stratal.md.search.settings import SearchConfig
    from stratal.potentials.analytic import LennardJones

    # In units of the pair: of hydrogen's radius, so that no bond counts as too close.
    pairs = LennardJones((1,), 1.0, 1.0, cutoff=60.0, shift=False)
    limits = Limits.of(
        (1,),
        "cluster",
        n_atoms=(size, size),
        formula=(1,),
        closest=np.array([[0.7]]),
        volumes=np.array([1 / np.sqrt(2)]),
    )
    config = SearchConfig(
        elements=("H",),
        n_atoms=(size, size),
        kind="cluster",
        start_from=("random",),
        starts=30,
        relaxations=budget,
        batch=16,
        max_steps=600,
        target=(KNOWN[size] + 1e-4) / size,
        seed=seed,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = search(config, pairs, folder, limits=limits)
    moved, possible = found.evolution.use
    seconds = time.perf_counter() - began
    return found.reason == "target", found.evolution.done, seconds, moved / possible


if __name__ == "__main__":
    main()
