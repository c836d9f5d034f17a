"""Common crystal structures of elements and ordered alloys, by their Strukturbericht names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential


class Prototype(NamedTuple):
    """A cell, up to its volume, and which site holds which element."""

    cell: tuple[tuple[float, float, float], ...]  # rows, in any unit
    sites: tuple[tuple[float, float, float], ...]  # fractional
    kinds: str  # a, b or c by site

    @property
    def n_elements(self) -> int:
        """1 to 3."""
        return len(set(self.kinds))

    @property
    def counts(self) -> tuple[int, ...]:
        """Sites of each element."""
        return tuple(self.kinds.count(kind) for kind in sorted(set(self.kinds)))


CUBE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FCC = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
BCC = ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5))
RATIO = float(np.sqrt(8 / 3))  # c/a of packed spheres
HEXAGONAL = ((1.0, 0.0, 0.0), (-0.5, float(np.sqrt(0.75)), 0.0), (0.0, 0.0, RATIO))
ORIGIN, CENTER = (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)

PROTOTYPES = {
    "A1": Prototype(FCC, (ORIGIN,), "a"),  # fcc, Cu
    "A2": Prototype(BCC, (ORIGIN,), "a"),  # bcc, W
    "A3": Prototype(HEXAGONAL, ((1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)), "aa"),  # hcp, Mg
    "A4": Prototype(FCC, (ORIGIN, (0.25, 0.25, 0.25)), "aa"),  # diamond
    "Ah": Prototype(CUBE, (ORIGIN,), "a"),  # simple cubic, Po
    "B1": Prototype(FCC, (ORIGIN, CENTER), "ab"),  # NaCl
    "B2": Prototype(CUBE, (ORIGIN, CENTER), "ab"),  # CsCl
    "B3": Prototype(FCC, (ORIGIN, (0.25, 0.25, 0.25)), "ab"),  # zinc blende
    "L10": Prototype(
        ((0.5, 0.5, 0.0), (-0.5, 0.5, 0.0), (0.0, 0.0, 1.0)), (ORIGIN, CENTER), "ab"
    ),  # CuAu
    "L11": Prototype(
        ((0.5, 0.5, 1.0), (0.5, 1.0, 0.5), (1.0, 0.5, 0.5)), (ORIGIN, CENTER), "ab"
    ),  # CuPt
    "L12": Prototype(
        CUBE, (ORIGIN, (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)), "abbb"
    ),  # Cu3Au
    "C11b": Prototype(
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5, 1.5)),
        (ORIGIN, (1 / 3, 1 / 3, 1 / 3), (2 / 3, 2 / 3, 2 / 3)),
        "abb",
    ),  # MoSi2 at c = 3a, where its atoms sit on bcc
    "D03": Prototype(FCC, (ORIGIN, (0.25, 0.25, 0.25), CENTER, (0.75, 0.75, 0.75)), "abbb"),  # BiF3
    "D019": Prototype(
        ((2.0, 0.0, 0.0), (-1.0, float(np.sqrt(3)), 0.0), (0.0, 0.0, RATIO)),
        (
            *((1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)),
            *((5 / 6, 2 / 3, 0.25), (1 / 3, 1 / 6, 0.25), (5 / 6, 1 / 6, 0.25)),
            *((1 / 6, 1 / 3, 0.75), (2 / 3, 5 / 6, 0.75), (1 / 6, 5 / 6, 0.75)),
        ),
        "aabbbbbb",
    ),  # Ni3Sn
    "D022": Prototype(
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5, 1.0)),
        (ORIGIN, (0.5, 0.5, 0.0), (0.75, 0.25, 0.5), (0.25, 0.75, 0.5)),
        "abbb",
    ),  # Al3Ti at c = 2a, where its atoms sit on fcc
    "C1b": Prototype(FCC, (ORIGIN, (0.25, 0.25, 0.25), CENTER), "abc"),  # MgAgAs, half-Heusler
    "L21": Prototype(
        FCC, (ORIGIN, CENTER, (0.25, 0.25, 0.25), (0.75, 0.75, 0.75)), "abcc"
    ),  # AlMnCu2, Heusler
}


def prototype(name: str, elements: Sequence[str], volume: float) -> Atoms:
    """A crystal of this structure.

    Args:
        name: such as ``"L12"``; `PROTOTYPES` has them.
        elements: one symbol, or two or three: those on the sites a, b, c, the rarest first.
        volume: Å³ for each atom.

    Raises:
        InputError: an unknown name, or as many elements as the structure does not have.
    """
    if name not in PROTOTYPES:
        raise InputError(f"prototype {name!r}: give one of {', '.join(PROTOTYPES)}.")
    found = PROTOTYPES[name]
    if len(elements) != found.n_elements:
        raise InputError(
            f"prototype {name} has {found.n_elements} element(s), found {list(elements)}. Give "
            f"as many."
        )
    symbols = [elements["abc".index(kind)] for kind in found.kinds]
    cell = np.array(found.cell)
    cell *= (volume * len(symbols) / abs(np.linalg.det(cell))) ** (1 / 3)
    return Atoms(symbols, scaled_positions=found.sites, cell=cell, pbc=True)


def formation_energies(
    crystals: Sequence[Atoms],
    elements: dict[str, Atoms],
    source: Potential | BaseCalculator | Evaluator,
    fmax: float = 1e-3,
) -> tuple[np.ndarray, list[Atoms]]:
    """Energies of formation from elements, all relaxed in one call.

    Args:
        crystals: compounds as they begin.
        elements: the crystal of each element against which they are counted.
        source: a potential, or any ASE calculator.
        fmax: of the relaxation of positions and cells, eV/Å.

    Returns:
        energies ``(n,)``, eV/atom, and the relaxed crystals.

    Raises:
        InputError: an element without its crystal, a relaxation that does not converge.
    """
    missing = {symbol for crystal in crystals for symbol in crystal.symbols} - set(elements)
    if missing:
        raise InputError(f"formation energies: no crystal of {', '.join(sorted(missing))} given.")
    evaluate = evaluator(source)
    relaxed = evaluate.relaxed([*elements.values(), *crystals], fmax, "free")
    energies = evaluate.evaluate(relaxed).energy / [len(atoms) for atoms in relaxed]
    by_symbol = dict(zip(elements, energies, strict=False))
    own = relaxed[len(elements) :]
    ground = np.array([np.mean([by_symbol[s] for s in crystal.symbols]) for crystal in own])
    return energies[len(elements) :] - ground, own
