"""Cost and peak memory of one evaluation against the number of atoms, each in its own process."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys

import numpy as np
from reference import machine, median_seconds

SIZES = (3, 4, 5, 7, 10, 14, 17)  # cubic fcc cells along each edge: 108 to 19,652 atoms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, help="measure one size (used by the script itself)")
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.one)))
        return
    print(machine(), "; symmetry functions of the default settings, Cu, float64")
    print(f"{'atoms':>7s} {'µs per atom':>12s} {'peak MB':>8s} {'neighbor list, µs per atom':>28s}")
    rows = []
    for size in (0, *SIZES):
        command = [sys.executable, __file__, "--one", str(size)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        if size == 0:
            idle = row["peak_mb"]
            continue
        rows.append(row)
        n = row["atoms"]
        print(
            f"{n:7d} {1e6 * row['seconds'] / n:12.0f} {row['peak_mb'] - idle:8.0f} "
            f"{1e6 * row['list_seconds'] / n:28.0f}"
        )
    atoms, seconds, memory = (
        np.array([row[key] for row in rows]) for key in ("atoms", "seconds", "peak_mb")
    )
    exponent = np.polyfit(np.log(atoms), np.log(seconds), 1)[0]
    slope = np.polyfit(atoms[-4:], memory[-4:], 1)[0]
    print(f"exponent {exponent:.2f}; memory {1e3 * slope:.1f} kB per atom beyond the interpreter")


def measure(size: int) -> dict[str, float]:
    """One size: seconds of an evaluation and of a neighbor list, peak memory of the process."""
    import jax
    from ase.build import bulk

    from stratal.descriptors import Structures, cell_list, neighbor_list
    from stratal.potentials import compose, evaluate
    from stratal.potentials.calculator import LARGE
    from stratal.potentials.training.config import TrainConfig

    result = {"atoms": 4 * size**3, "seconds": 0.0, "list_seconds": 0.0}
    if size:
        with jax.enable_x64(True):
            atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (size, size, size)
            atoms.rattle(0.05, seed=1)
            potential = random_potential(TrainConfig(short_range="none"), compose)
            structures = Structures.from_atoms(atoms, potential.elements)
            large = structures.n_atoms >= LARGE  # as the calculator chooses

            def build():
                cutoff = potential.cutoff
                built = (
                    cell_list(structures, cutoff)[0] if large else neighbor_list(structures, cutoff)
                )
                return jax.block_until_ready(built)

            result["list_seconds"] = median_seconds(build, 3)
            placed = jax.device_put((structures, build()))
            step = jax.jit(evaluate)
            call = lambda: jax.block_until_ready(step(potential, *placed))  # noqa: E731
            result["seconds"] = median_seconds(call, 3)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def random_potential(config, compose):
    """A Cu potential of the default size with random weights: cost does not depend on them."""
    from stratal.potentials.networks import initial_weights
    from stratal.potentials.stratum import Coupling, Stratum, Trunk

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


if __name__ == "__main__":
    main()
