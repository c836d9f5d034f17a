"""Bring a structure to a composition: change species, take atoms out, put atoms in."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits, contacts
from stratal.md.search.starts.placing import with_more


def repaired(
    atoms: Atoms, counts: np.ndarray, limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The structure with as many atoms of each element as asked, few of them touched; or None.

    First atoms of which there are too many become what is missing, then the most dispensable go,
    then others come where there is room.

    Args:
        atoms: the structure, stays as it is.
        counts: atoms of each of the limits' elements.
        limits: for distances.
        rng: random numbers.
    """
    whole = atoms.copy()
    numbers = np.array(limits.elements)
    surplus = limits.counts(whole.numbers) - counts
    while (surplus > 0).any() and (surplus < 0).any():
        own, missing = int(np.argmax(surplus)), int(np.argmin(surplus))
        changed = rng.choice(np.flatnonzero(whole.numbers == numbers[own]))
        whole.numbers[changed] = numbers[missing]
        surplus[own] -= 1
        surplus[missing] += 1
    for own in np.repeat(np.arange(len(surplus)), np.maximum(surplus, 0)):
        among = np.flatnonzero(whole.numbers == numbers[own])
        del whole[[dispensable(whole, among, limits)]]
    missing_numbers = rng.permutation(np.repeat(numbers, np.maximum(-surplus, 0)))
    return with_more(whole, missing_numbers, limits, rng) if len(missing_numbers) else whole


def dispensable(atoms: Atoms, among: np.ndarray, limits: Limits) -> int:
    """Which atom ``among`` some can go: the one that is closest to another.

    Of a cluster without any two too close, the one with the fewest neighbors.
    """
    kinds, bonds = limits.species(atoms.numbers), limits.bonds()
    found = contacts(atoms, 1.25 * float(bonds.max()))
    pairs = kinds[found.receivers], kinds[found.senders]
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, found.receivers, found.lengths / limits.closest[pairs])
    if limits.kind == "cluster" and nearest[among].min() >= 1:
        bonded = found.lengths < 1.25 * bonds[pairs]
        return int(
            among[np.argmin(np.bincount(found.receivers[bonded], minlength=len(atoms))[among])]
        )
    return int(among[np.argmin(nearest[among])])


def nearest_counts(counts: np.ndarray, limits: Limits) -> np.ndarray | None:
    """Counts of each element that the limits allow, near these; None: no formula fits.

    With a formula the nearest multiple of it; without, the same shares within the range of sizes.
    """
    fewest, most = limits.n_atoms
    if limits.formula is not None:
        unit = np.array(limits.formula)
        low, high = -(-fewest // unit.sum()), most // unit.sum()
        if low > high:
            return None
        return unit * int(np.clip(round(counts.sum() / unit.sum()), max(low, 1), high))
    total = int(np.clip(counts.sum(), fewest, most))
    shares = counts * total / counts.sum()
    whole = np.floor(shares).astype(int)
    largest = np.argsort(whole - shares, kind="stable")[: total - whole.sum()]
    whole[largest] += 1
    return whole
