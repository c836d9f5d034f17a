"""Whether fingerprints tell duplicates from other structures, and how fast.

Random Cu-Ag cells are relaxed with EMT to 0.02 eV/Å as a search would, then to 1e-4. The same
minimum twice has to be found again; minima whose energies differ by more than 1 meV/atom have to be
told apart. Then the time of fingerprints and of all similarities, beside pymatgen's matcher.
"""

from __future__ import annotations

import os
import time

import numpy as np
from reference import arguments, machine

DIFFERENT = 1e-3  # eV/atom


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--sizes", type=int, nargs=2, default=(4, 8))
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    from stratal.md.structures.random_cells import random_cells

    print(f"{machine()}; {options.count} cells of {options.sizes} atoms")
    loose, tight, energies = minima(random_cells(1, options.count, *options.sizes, (29, 47)))
    tell_apart(loose, tight, energies)
    speed(random_cells(2, 1000, 8, 16, (29, 47)))
    for n_atoms in (2, 4, 8, 16):
        confirmation(random_cells(3, 50, n_atoms, n_atoms, (29, 47)))


def minima(cells) -> tuple[list, list, np.ndarray]:
    """Structures relaxed loosely and tightly, and energies of the latter, eV/atom."""
    from stratal.md import relax
    from stratal.potentials import EMT

    potential = EMT.for_elements([29, 47])
    found = {}
    for fmax in (0.02, 1e-4):
        results = sorted(relax(cells, potential, fmax=fmax, max_steps=3000), key=lambda r: r.number)
        cells = [result.atoms for result in results]
        energies = np.array([result.energy / len(result.atoms) for result in results])
        found[fmax] = cells, energies, np.array([result.converged for result in results])
    (loose, above, first), (tight, below, second) = found.values()
    # What fell into another minimum on the way is not the same twice.
    kept = np.flatnonzero(first & second & (above - below < DIFFERENT))
    return [loose[n] for n in kept], [tight[n] for n in kept], below[kept]


def tell_apart(loose, tight, energies) -> None:
    """Duplicates missed and others confused, for widths of the Gaussians."""
    from stratal.md.structures.similarity import Smearing, fingerprints, similarities

    others = np.triu(np.abs(energies[:, None] - energies) > DIFFERENT, 1)
    print(f"{len(energies)} minima twice, {others.sum()} pairs of different ones")
    print("| width, Å | threshold | duplicates missed | others taken for them |\n|---|---|---|---|")
    for width in (0.008, 0.02, 0.05, 0.1):
        smearing = Smearing(width=width)
        first, second = (fingerprints(part, smearing, (29, 47)) for part in (loose, tight))
        same, apart = (first * second).sum(axis=1), similarities(second, second)[others]
        for threshold in (0.95, 0.98, 0.99):
            missed, confused = (same < threshold).sum(), (apart >= threshold).sum()
            print(f"| {width} | {threshold} | {missed} | {confused} |")


def speed(cells) -> None:
    """Seconds for fingerprints, for all pairs, and for the matcher on some of them."""
    from stratal.md.structures.similarity import fingerprints, matched, matcher, similarities

    began = time.perf_counter()
    vectors = fingerprints(cells)
    made = time.perf_counter()
    similarities(vectors, vectors)
    multiplied = time.perf_counter()
    using = matcher()
    for other in cells[1:101]:
        matched(cells[0], other, using)
    by_matcher = (time.perf_counter() - multiplied) / 100
    by_product = (multiplied - made) / len(cells) ** 2
    print(
        f"{len(cells) / (made - began):.0f} fingerprints/s; {1e9 * by_product:.0f} ns a pair, "
        f"{1e3 * by_matcher:.2f} ms by the matcher"
    )


def confirmation(cells) -> None:
    """Milliseconds that a search takes to compare two in space: same, and different."""
    from stratal.md.search.candidates.sameness import form_of, same

    rng = np.random.default_rng(0)
    others = [cell.copy() for cell in cells]
    for other in others:
        other.positions += 0.01 * rng.normal(size=other.positions.shape)
    form_of(cells[0])  # imports pymatgen
    began = time.process_time()
    first = [form_of(cell) for cell in cells]
    reduced = time.process_time()
    second = [form_of(other) for other in others]
    ready = time.process_time()
    known = sum(same(a, b) for a, b in zip(first, second, strict=True))
    equal = time.process_time()
    confused = sum(same(a, b) for a, b in zip(first[1:], second, strict=False))
    unequal = time.process_time()
    each = np.array([reduced - began, equal - ready, unequal - equal]) / len(cells) * 1e3
    print(
        f"{len(cells[0])} atoms: {each[0]:.2f} ms to reduce, {each[1]:.2f} ms for the same "
        f"({known} of {len(cells)} known), {each[2]:.2f} ms for others ({confused} confused)"
    )


if __name__ == "__main__":
    main()
