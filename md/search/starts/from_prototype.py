"""Starts from known crystals: a prototype of near composition, its elements permuted."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from stratal.md.properties.prototypes import PROTOTYPES, prototype
from stratal.md.search.limits import PERIODIC, Limits
from stratal.md.search.starts.composition import repaired
from stratal.md.search.starts.drawing import Composition, drawn, numbers_of
from stratal.md.search.starts.tiled import repeated

WARMTH = 0.1  # difference of composition that makes a prototype e times less likely


def from_prototype(
    composition: Composition, limits: Limits, rng: np.random.Generator, seconds: float = 1.0
) -> Atoms | None:
    """A known crystal, a film of it or a ball of it, brought to the composition; or None.

    Prototypes of nearer composition are likelier; one of a single element is a lattice on which
    the others sit at random.

    Args:
        composition: atoms by atomic number.
        limits: what it obeys.
        rng: random numbers.
        seconds: after which it is given up.
    """
    numbers = numbers_of(composition)
    counts = limits.counts(numbers)
    choices, distances = candidates(composition)
    chances = np.exp(-distances / WARMTH)

    def draw() -> Atoms | None:
        name, elements = choices[int(rng.choice(len(choices), p=chances / chances.sum()))]
        symbols = [chemical_symbols[number] for number in elements]
        unit = prototype(name, symbols, limits.spacing(numbers) ** 3)
        unit.info["prototype"] = name
        if limits.kind == "cluster":
            return _ball(unit, numbers, limits, rng)
        tiles = -(-len(numbers) // len(unit))
        whole = _slab(unit, tiles, limits, rng) if limits.kind == "film" else None
        whole = whole or repeated(unit, tiles, limits, rng)
        return _brought_to(whole, counts, limits, rng, name)

    return drawn(draw, limits, seconds)


def candidates(composition: Composition) -> tuple[list[tuple[str, tuple[int, ...]]], np.ndarray]:
    """Prototypes with the elements on their sites, and how far each is in composition.

    Half the sum of the differences of shares: 0 the same, 1 nothing in common.
    """
    elements = sorted(number for number, count in composition.items() if count)
    total = sum(composition.values())
    choices, distances = [], []
    for name, found in PROTOTYPES.items():
        for chosen in permutations(elements, found.n_elements):
            shares = dict(zip(chosen, np.array(found.counts) / sum(found.counts), strict=True))
            apart = [abs(shares.get(e, 0.0) - composition[e] / total) for e in elements]
            choices.append((name, chosen))
            distances.append(0.5 * sum(apart))
    return choices, np.array(distances)


def _brought_to(
    whole: Atoms, counts: np.ndarray, limits: Limits, rng: np.random.Generator, name: str
) -> Atoms | None:
    if (limits.counts(whole.numbers) != counts).any() and len(set(whole.numbers)) == 1:
        surplus = len(whole) - int(counts.sum())
        keep = rng.permutation(len(whole))[surplus:]
        whole = whole[np.sort(keep)]
    structure = repaired(whole, counts, limits, rng)
    if structure is not None:
        structure.info["prototype"] = name
    return structure


def _slab(unit: Atoms, tiles: int, limits: Limits, rng: np.random.Generator) -> Atoms:
    """A slab of so many cells across a random direction of the crystal: the third vector's."""
    order = rng.permutation(3)
    turned = unit[:]  # the same crystal with its vectors in another order
    turned.set_cell(unit.cell.array[order])
    height = unit.cell.volume / np.linalg.norm(np.cross(*turned.cell.array[:2]))
    most = max(int(limits.thickness // height), 1)
    layers = int(rng.integers(1, min(most, tiles) + 1))
    slab = turned.repeat((1, 1, layers))
    slab.pbc = PERIODIC["film"]
    return repeated(slab, -(-tiles // layers), limits, rng)


def _ball(
    unit: Atoms, numbers: np.ndarray, limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The atoms of a crystal that are nearest to a random point."""
    repeats = 2 * int(np.ceil((len(numbers) / len(unit)) ** (1 / 3))) + 3
    block = unit.repeat(repeats)
    center = (repeats // 2 + rng.random(3)) @ unit.cell.array
    nearest = np.argsort(np.linalg.norm(block.positions - center, axis=1))[: len(numbers)]
    ball = block[nearest]
    cluster = Atoms(ball.numbers, ball.positions)
    return _brought_to(cluster, limits.counts(numbers), limits, rng, unit.info["prototype"])
