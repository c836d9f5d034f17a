"""Structures for the demo: what a small potential for Cu and Ag should have seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.build import bulk

LATTICE = {"Cu": 3.59, "Ag": 4.06}  # fcc constants of EMT, Å, rounded
PHASES = ("fcc", "bcc", "hcp", "sc")
VOLUME_OF = {"fcc": 1.0, "bcc": 1.0, "hcp": 1.0, "sc": 1.15}  # per atom, against fcc


def elemental(symbol: str, rng: np.random.Generator) -> Iterator[Atoms]:
    """Structures of one element: equations of state, strained and rattled cells, dimers."""
    for phase in PHASES:
        cell = at_volume(
            bulk(symbol, phase, a=LATTICE[symbol]), LATTICE[symbol] ** 3 / 4 * VOLUME_OF[phase]
        )
        for factor in np.linspace(0.9, 1.15, 10):
            yield labelled(scaled(cell, factor), f"eos {phase}")
        for _ in range(6):
            yield labelled(strained(cell, rng, 0.06), f"strained {phase}")
    cell = bulk(symbol, "fcc", a=LATTICE[symbol], cubic=True)
    for amplitude in (0.05, 0.1, 0.2, 0.35):
        for _ in range(8):
            yield labelled(rattled(strained(cell, rng, 0.03), rng, amplitude), "rattled")
    vacancy = bulk(symbol, "fcc", a=LATTICE[symbol], cubic=True) * (2, 1, 1)
    del vacancy[0]
    for _ in range(6):
        yield labelled(rattled(strained(vacancy, rng, 0.03), rng, 0.1), "vacancy")
    yield from dimers(symbol, symbol)


def alloyed(rng: np.random.Generator) -> Iterator[Atoms]:
    """Structures of Cu and Ag: ordered compounds, random alloys, dimers."""
    for name, ordered in compounds():
        for factor in np.linspace(0.9, 1.12, 8):
            yield labelled(scaled(ordered, factor), f"eos {name}")
        for _ in range(10):
            yield labelled(strained(ordered, rng, 0.06), f"strained {name}")
        for amplitude in (0.05, 0.1, 0.2):
            for _ in range(5):
                yield labelled(rattled(strained(ordered, rng, 0.03), rng, amplitude), "rattled")
    for n_silver in range(1, 8):
        for _ in range(10):
            cell = bulk("Cu", "fcc", a=1.0, cubic=True) * (2, 1, 1)
            cell.symbols[rng.permutation(8)[:n_silver]] = "Ag"
            cell = strained(at_volume(cell, mean_volume(cell)), rng, 0.05)
            yield labelled(rattled(cell, rng, rng.choice([0.05, 0.15, 0.3])), "random alloy")
    yield from dimers("Cu", "Ag")


def compounds() -> list[tuple[str, Atoms]]:
    """The ordered compounds L1_2 (both ways), L1_0, B2 and L1_1, at mean volumes."""
    l12 = bulk("Cu", "fcc", a=1.0, cubic=True)
    rich, poor, l10 = l12.copy(), l12.copy(), bulk("Cu", "fcc", a=1.0, cubic=True)
    rich.symbols[0] = "Ag"
    poor.symbols[1:] = "Ag"
    l10.symbols[:2] = "Ag"
    b2 = bulk("CuAg", "cesiumchloride", a=1.0)
    l11 = bulk("Cu", "fcc", a=1.0) * (1, 1, 2)
    l11.symbols[1] = "Ag"
    named = {"L1_2 Cu3Ag": rich, "L1_2 CuAg3": poor, "L1_0": l10, "B2": b2, "L1_1": l11}
    return [(name, at_volume(cell, mean_volume(cell))) for name, cell in named.items()]


def dimers(one: str, other: str) -> Iterator[Atoms]:
    """Two atoms in a vacuum, from close to far apart."""
    for distance in np.concatenate([np.arange(1.8, 3.6, 0.15), [4.0, 4.5, 5.0]]):
        yield labelled(Atoms([one, other], [(0, 0, 0), (0, 0, distance)]), "dimer")


def mean_volume(cell: Atoms) -> float:
    """Volume per atom between those of the elements (Vegard), Å³."""
    return float(np.mean([LATTICE[symbol] for symbol in cell.symbols]) ** 3 / 4)


def at_volume(cell: Atoms, volume: float) -> Atoms:
    """The crystal scaled to a volume per atom, Å³."""
    return scaled(cell, (volume * len(cell) / cell.cell.volume) ** (1 / 3))


def scaled(cell: Atoms, factor: float) -> Atoms:
    """The crystal with all lengths times ``factor``."""
    new = cell.copy()
    new.set_cell(cell.cell.array * factor, scale_atoms=True)
    return new


def strained(cell: Atoms, rng: np.random.Generator, size: float) -> Atoms:
    """The crystal under a random symmetric strain."""
    strain = rng.uniform(-size, size, (3, 3))
    new = cell.copy()
    new.set_cell(cell.cell @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
    return new


def rattled(cell: Atoms, rng: np.random.Generator, amplitude: float) -> Atoms:
    """The crystal with normally distributed displacements, Å."""
    new = cell.copy()
    new.positions += rng.normal(0.0, amplitude / np.sqrt(3), new.positions.shape)
    return new


def labelled(atoms: Atoms, group: str) -> Atoms:
    """A copy that says to which group of samples it belongs."""
    new = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    new.info["group"] = group
    return new
