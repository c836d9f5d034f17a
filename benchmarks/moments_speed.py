"""Energy, forces and stress of 500 atoms with moments: µs per atom and evaluation.

The potentials have the default settings of `stratal train` and random weights, since speed
does not depend on them; Cu has one species, Cu-Pd-Ag three. Lists have no skin, so that the
number of neighbors is that within the cutoff.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial

import numpy as np
from reference import machine, median_seconds, one_core


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--rows", type=int, nargs="*", default=[])
    options = parser.parse_args()
    if options.one_core:
        one_core()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    import jax
    from ase.build import bulk

    from stratal.descriptors import Structures, neighbor_list
    from stratal.potentials import in_precision
    from stratal.potentials.chunks import evaluate_rows, rows_within

    print(machine())
    for symbols in (("Cu",), ("Cu", "Pd", "Ag")):
        atoms = bulk("Cu", a=3.615 if len(symbols) == 1 else 3.83, cubic=True) * (5, 5, 5)
        atoms.symbols[:] = sorted(np.resize(symbols, len(atoms)))
        atoms.rattle(0.05, seed=0)
        for members in options.members:
            potential = random_potential(symbols, members)
            for dtype in ("float32", "float64"):
                with jax.enable_x64(True):
                    structures = Structures.from_atoms(atoms, potential.elements)
                    neighbors = neighbor_list(structures, potential.cutoff)
                    own = in_precision(potential, dtype)
                    placed = jax.device_put((structures.astype(dtype), neighbors))
                    mean = float(np.asarray(neighbors.mask).sum(1).mean())
                    for rows in options.rows or [rows_within(own, *placed)]:
                        run = partial(evaluate_rows, own, *placed, rows)
                        seconds = median_seconds(lambda run=run: jax.block_until_ready(run()), 15)
                        print(
                            f"{'-'.join(symbols):9s} {dtype} {members} member(s), {mean:.0f} "
                            f"neighbors, {rows} rows: {1e6 * seconds / len(atoms):6.2f} µs/atom",
                            flush=True,
                        )


def random_potential(symbols, members: int):
    """A potential of default settings for these elements, with random weights."""
    from itertools import combinations

    from ase.data import atomic_numbers

    from stratal.potentials.moment_potential import MomentPotential, StratumTerms
    from stratal.potentials.training import TrainConfig
    from stratal.potentials.training.term_setup import random_term

    rng = np.random.default_rng(0)
    config = TrainConfig(members=members)
    numbers = tuple(sorted(atomic_numbers[symbol] for symbol in symbols))
    mixing = random_term(rng, config, config.descriptor, 1).mixing  # shared, as after training
    strata = []
    for size in range(1, min(len(numbers), 3) + 1):
        for elements in combinations(numbers, size):
            terms = [
                replace(
                    random_term(rng, config, config.descriptor, size),
                    mixing=np.repeat(mixing, size, axis=0),
                )
                for _ in elements
            ]
            unknown = np.full(2, np.nan)
            strata.append(
                StratumTerms(tuple(terms), (), unknown, elements, size == 1, config.descriptor)
            )
    return MomentPotential.of(strata, numbers)


if __name__ == "__main__":
    main()
