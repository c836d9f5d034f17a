"""Cost and peak memory of one evaluation against the number of atoms, each in its own process.

Crystals of copper, rattled; the neighbor list is built on the device from 5,000 atoms on, the
energies, forces and stresses come in chunks of rows: both as the calculator does it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from moments_speed import random_potential
from reference import machine, median_seconds

SIZES = (6, 14, 29)  # cubic fcc cells along each edge: 864, 10,976 and 97,556 atoms
LARGEST = 63  # 1,000,188 atoms
PRECISIONS = ("float64", "float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--potential", choices=POTENTIALS, default="symmetry-functions")
    parser.add_argument("--precision", choices=PRECISIONS, help="one of them; both by default")
    parser.add_argument("--largest", action="store_true", help="1,000,188 atoms too")
    parser.add_argument("--cells", type=int, nargs="+", help="other sizes: cells along an edge")
    parser.add_argument("--memory-limit", type=float, help="bytes for an evaluation")
    parser.add_argument("--one", type=int, help="measure one size (used by the script itself)")
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options)))
        return
    print(f"{machine()}; {options.potential}")
    sizes = tuple(options.cells or SIZES) + ((LARGEST,) if options.largest else ())
    for precision in [options.precision] if options.precision else PRECISIONS:
        table(options, precision, sizes)


def table(options: argparse.Namespace, precision: str, sizes: tuple[int, ...]) -> None:
    """Measure all sizes and print them with the exponent of the time."""
    print(f"\n{precision}")
    print(
        f"{'atoms':>9s} {'neighbors':>9s} {'µs per atom':>12s} {'list, µs per atom':>18s} "
        f"{'peak MB':>8s} {'kB per atom':>12s}"
    )
    idle = in_own_process(options, precision, 0)["peak_mb"]
    rows = []
    for size in sizes:
        row = in_own_process(options, precision, size)
        rows.append(row)
        n, peak = row["atoms"], row["peak_mb"] - idle
        print(
            f"{n:9d} {row['neighbors']:9.1f} {1e6 * row['seconds'] / n:12.1f} "
            f"{1e6 * row['list_seconds'] / n:18.1f} {peak:8.0f} {1e3 * peak / n:12.2f}",
            flush=True,
        )
    if len(rows) > 1:
        atoms, seconds = (np.log([row[key] for row in rows]) for key in ("atoms", "seconds"))
        print(f"exponent of the time {np.polyfit(atoms, seconds, 1)[0]:.3f}")


def in_own_process(options: argparse.Namespace, precision: str, size: int) -> dict[str, float]:
    """What `measure` finds, in a process whose peak memory is that of one size."""
    command = [sys.executable, __file__, "--one", str(size), "--precision", precision]
    command += ["--potential", options.potential]
    if options.memory_limit is not None:
        command += ["--memory-limit", str(options.memory_limit)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One size: seconds of an evaluation and of a neighbor list, peak memory of the process."""
    import jax
    from ase.build import bulk

    from stratal.descriptors import Structures, cell_list, neighbor_list
    from stratal.potentials import evaluate_within, in_precision
    from stratal.potentials.calculator import LARGE

    size, repeats = options.one, 3 if options.one < 40 else 1
    result = {"atoms": 4 * size**3}
    with jax.enable_x64(True):
        potential = in_precision(POTENTIALS[options.potential](), options.precision)
        if size:
            atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (size, size, size)
            atoms.rattle(0.05, seed=1)
            structures = Structures.from_atoms(atoms, potential.elements)
            structures = structures.astype(options.precision)
            kept = {"plan": None}  # of the first list, for those that follow

            def build():
                if structures.n_atoms < LARGE:  # as the calculator chooses
                    return jax.device_put(neighbor_list(structures, potential.cutoff))
                built, kept["plan"] = cell_list(structures, potential.cutoff, plan=kept["plan"])
                return jax.block_until_ready(built)

            def evaluated():
                arguments = (potential, placed, neighbors, options.memory_limit)
                return jax.block_until_ready(evaluate_within(*arguments))

            result["list_seconds"] = median_seconds(build, repeats)
            placed, neighbors = jax.device_put(structures), build()
            result["neighbors"] = float(neighbors.mask.sum()) / len(atoms)
            result["seconds"] = median_seconds(evaluated, repeats)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def lennard_jones():
    """Pairs up to 6 Å: what the list and the sums over its rows cost by themselves."""
    from stratal.potentials import LennardJones

    return LennardJones((29,), epsilon=0.4, sigma=2.3, cutoff=6.0, smooth=True)


def symmetry_functions():
    """A Cu potential of the default size with random weights: cost does not depend on them."""
    from stratal.potentials import compose
    from stratal.potentials.networks import initial_weights
    from stratal.potentials.stratum import Coupling, Stratum, Trunk
    from stratal.potentials.training.config import SymmetryFunctionConfig

    config = SymmetryFunctionConfig(short_range="none")
    blocks = config.descriptor.blocks((29,))
    count = sum(block.size for block in blocks)
    kernels, biases = initial_weights(np.random.default_rng(0), (count, *config.hidden, 1))
    couplings = {
        (29, block.neighbors): Coupling(
            np.zeros(block.size), np.full(block.size, 0.01), kernels[0][block.features]
        )
        for block in blocks
    }
    trunk = Trunk(biases[0], tuple(kernels[1:]), tuple(biases[1:]))
    stratum = Stratum((29,), config.descriptor, couplings, {29: trunk})
    return compose({"Cu": stratum}, (29,))


def moments():
    """Cu with the default moments and random weights."""
    return random_potential(("Cu",), members=1)


# Another potential to measure is one line here.
POTENTIALS: dict[str, Callable] = {
    "lennard-jones": lennard_jones,
    "moments": moments,
    "symmetry-functions": symmetry_functions,
}


if __name__ == "__main__":
    main()
