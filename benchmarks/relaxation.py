"""Relaxations of random Cu-Ag cells of 8 to 16 atoms, positions and cell, to 0.01 eV/Å.

With EMT, against ASE's FIRE and FrechetCellFilter with ASE's EMT, on some of the cells: how fast,
and which minima are reached. With ``--library``, by the moments of a library trained beforehand
(such as `cupdag_library.py` makes). One core each, then ``--workers`` of them by dask.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from reference import arguments, machine

SAME = 1e-3  # eV/atom: what lies nearer is one minimum


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--ase", type=int, default=100, help="cells that ASE relaxes too")
    parser.add_argument("--library", type=Path)
    parser.add_argument("--precision", default="float64")
    parser.add_argument("--sizes", type=int, nargs=2, default=(8, 16))
    parser.add_argument("--methods", nargs="*", default=["fire", "fire then lbfgs", "lbfgs"])
    parser.add_argument("--workers", type=int, default=2, help="0: leave these out")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    from stratal.md.structures.random_cells import random_cells
    from stratal.potentials import EMT, Library

    cells = random_cells(0, options.count, *options.sizes, (29, 47))
    potential = EMT.for_elements((29, 47))
    if options.library:
        potential = Library.open(options.library).potential("Cu", "Ag")
    print(f"{machine()}; {options.count} cells of {options.sizes} atoms, {options.precision}")
    rate, minima = (None, None) if options.library else by_ase(cells[: options.ase])
    for method in options.methods:
        found = on_one_core(cells, potential, method, options.precision, rate)
        if minima is not None:
            compare(cells, found, minima)
    if options.workers:
        os.sched_setaffinity(0, cores)
        on_workers(cells, potential, options.methods[-1], options.precision, options.workers)


def by_ase(cells) -> tuple[float, np.ndarray]:
    """Structures per second, and energies per atom of the minima, eV."""
    from ase.calculators.emt import EMT
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    energies, began = [], time.perf_counter()
    for cell in cells:
        atoms = cell.copy()
        atoms.calc = EMT()
        FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.01, steps=1000)
        energies.append(atoms.get_potential_energy() / len(atoms))
    rate = len(cells) / (time.perf_counter() - began)
    print(f"ASE, FIRE: {rate:.2f} structures/s on one core ({len(cells)} of the cells)", flush=True)
    return rate, np.array(energies)


def on_one_core(cells, potential, method: str, precision: str, reference: float | None):
    """Relaxed twice: the first time programs are compiled."""
    import jax

    from stratal.md import RelaxConfig
    from stratal.md.relax import entries_of
    from stratal.md.relaxation.in_flight import Flight
    from stratal.potentials import in_precision

    config = RelaxConfig(method=method, precision=precision)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        with jax.enable_x64(True):
            entries = entries_of(cells, potential, config)
            flight = Flight(in_precision(potential, precision), entries, config)
            found = []
            while flight.n_left:
                found += flight.block()
        seconds.append(time.perf_counter() - began)
    rates = [len(cells) / s for s in seconds]
    many = [use for use in flight.use if use.left > 0.05 * len(cells)]
    busy = sum(use.moved for use in many) / sum(use.slots for use in many)
    steps = np.mean([result.n_steps for result in found])
    ended = {r.outcome.label for r in found}
    against = f", {rates[1] / reference:.0f}x ASE" if reference else ""
    print(
        f"{method}: {rates[1]:.1f} structures/s on one core{against} ({rates[0]:.1f} with "
        f"compilation of {flight.n_programs} programs); {steps:.0f} steps; slots busy "
        f"{100 * busy:.0f} % until the last 5 %; {', '.join(sorted(ended))}",
        flush=True,
    )
    return sorted(found, key=lambda result: result.number)


def compare(cells, found, minima: np.ndarray) -> None:
    """In which minima they ended."""
    own = np.array([found[n].energy / len(cells[n]) for n in range(len(minima))])
    apart = own - minima
    print(
        f"  of {len(minima)}: {100 * np.mean(np.abs(apart) < SAME):.0f} % in ASE's minimum, "
        f"{100 * np.mean(apart < SAME):.0f} % there or lower; on average "
        f"{1e3 * apart.mean():+.1f} meV/atom",
        flush=True,
    )


def on_workers(cells, potential, method: str, precision: str, n_workers: int) -> None:
    """Over dask's workers, their start and compilation left out."""
    from stratal.md import relax_on
    from stratal.slurm import Journal, open_executor

    how = {"method": method, "precision": precision}
    with open_executor("dask", n_workers=n_workers) as executor:
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder, Journal(folder) as journal:
                began = time.perf_counter()
                n_done = len(list(relax_on(executor, journal, cells, potential, **how)))
                seconds = time.perf_counter() - began
    print(f"{method}: {n_done / seconds:.1f} structures/s on {n_workers} workers of dask")


if __name__ == "__main__":
    main()
