"""Convex hull of formation energies: what is stable at 0 K, and how far all else lies above.

The hull is pymatgen's: S. P. Ong, L. Wang, B. Kang and G. Ceder, Chem. Mater. 20, 1798 (2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from stratal.errors import InputError
from stratal.report.hulls import binary_hull_figure, ternary_hull_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pymatgen.analysis.phase_diagram import PhaseDiagram


@dataclass(frozen=True)
class Hull:
    """Structures of a system of elements and its convex hull.

    Structures are known by their numbers in the list that was given.
    """

    elements: tuple[str, ...]  # by atomic number
    formulas: tuple[str, ...]  # reduced, of each structure
    fractions: np.ndarray  # (n, n_elements), of atoms
    formation_energies: np.ndarray  # (n,), from the lowest crystals of the elements, eV/atom
    above_hull: np.ndarray  # (n,), eV/atom; 0 on the hull
    facets: tuple[tuple[int, ...], ...]  # stable structures that coexist
    decompositions: tuple[dict[int, float], ...]  # of each: stable structures, parts of atoms

    @property
    def stable(self) -> tuple[int, ...]:
        """Structures at the corners of the hull."""
        return tuple(sorted({number for facet in self.facets for number in facet}))


def hull_of(
    structures: Sequence[Atoms], energies: Sequence[float] | np.ndarray | None = None
) -> Hull:
    """The convex hull of these structures.

    Args:
        structures: relaxed; among them at least one of each element.
        energies: of each, in total, ``(n,)``, eV; by default those of its calculator.

    Raises:
        InputError: an element without a structure, an energy that is not finite.
    """
    if energies is None:
        energies = [atoms.get_potential_energy() for atoms in structures]
    totals = np.asarray(energies, float)
    check_energies(structures, totals)
    numbers = np.unique(np.concatenate([atoms.numbers for atoms in structures]))
    counts = np.array([(atoms.numbers[:, None] == numbers).sum(axis=0) for atoms in structures])
    elements = tuple(str(Atoms([z]).symbols) for z in numbers)
    check_elements(elements, counts)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    by_atom = totals / counts.sum(axis=1)
    lowest = lowest_by_composition(counts, by_atom)
    diagram = phase_diagram(elements, counts, totals, sorted(lowest.values()))
    parts = {key: decomposition(diagram, counts[n]) for key, n in lowest.items()}
    decompositions = tuple(parts[key] for key in reduced(counts))
    bottom = [sum(part * by_atom[n] for n, part in into.items()) for into in decompositions]
    corners = [lowest[key] for key in reduced(np.eye(len(elements), dtype=int))]
    return Hull(
        elements,
        tuple(formula(elements, key) for key in reduced(counts)),
        fractions,
        by_atom - fractions @ by_atom[corners],
        np.maximum(by_atom - bottom, 0.0),
        tuple(facets_of(diagram)),
        decompositions,
    )


def hull_figure(hull: Hull, quantity: str = "formation energy") -> Figure:
    """Formation energies against composition of two elements, or the triangle of three.

    Args:
        hull: of two or three elements.
        quantity: what its energies are, such as enthalpies under pressure.

    Raises:
        InputError: another number of elements.
    """
    if len(hull.elements) == 2:
        x, energies = hull.fractions[:, 1], hull.formation_energies
        corner = hull.elements[1]
        return binary_hull_figure(x, energies, hull.stable, hull.formulas, corner, quantity)
    if len(hull.elements) == 3:
        return ternary_hull_figure(
            hull.fractions, hull.above_hull, hull.facets, hull.formulas, hull.elements
        )
    raise InputError(
        f"hull of {'-'.join(hull.elements)}: a figure shows two or three elements. Leave out "
        f"structures of the others."
    )


def check_energies(structures: Sequence[Atoms], energies: np.ndarray) -> None:
    """Refuse what is no list of energies.

    Raises:
        InputError: names the structure.
    """
    if not len(structures) or energies.shape != (len(structures),):
        raise InputError(
            f"hull: {len(structures)} structures and energies of shape {energies.shape}; give one "
            f"or more structures and one energy for each."
        )
    if not np.isfinite(energies).all():
        first = int(np.argmin(np.isfinite(energies)))
        raise InputError(
            f"hull: structure {first} ({structures[first].get_chemical_formula()}) has the energy "
            f"{energies[first]} eV. Leave it out: its relaxation went wrong."
        )


def check_elements(elements: tuple[str, ...], counts: np.ndarray) -> None:
    """Refuse a system without a structure of each element.

    Raises:
        InputError: names the element.
    """
    pure = counts[(counts > 0).sum(axis=1) == 1].sum(axis=0)
    if missing := [symbol for symbol, count in zip(elements, pure, strict=True) if not count]:
        raise InputError(
            f"hull of {'-'.join(elements)}: no structure of {', '.join(missing)} alone; formation "
            f"energies are counted from the elements. Add its crystal, relaxed in the same way."
        )


def reduced(counts: np.ndarray) -> list[tuple[int, ...]]:
    """Compositions as the smallest whole numbers, for each row of ``(n, n_elements)``."""
    divisors = np.gcd.reduce(counts, axis=1)
    return [tuple(row) for row in (counts // divisors[:, None]).tolist()]


def formula(elements: tuple[str, ...], counts: tuple[int, ...]) -> str:
    """Elements and how many of each, such as Cu3Ag."""
    present = [(s, n) for s, n in zip(elements, counts, strict=True) if n]
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in present)


def lowest_by_composition(counts: np.ndarray, by_atom: np.ndarray) -> dict[tuple[int, ...], int]:
    """The structure of lowest energy of each composition."""
    lowest: dict[tuple[int, ...], int] = {}
    for number, key in enumerate(reduced(counts)):
        if key not in lowest or by_atom[number] < by_atom[lowest[key]]:
            lowest[key] = number
    return lowest


def phase_diagram(
    elements: tuple[str, ...], counts: np.ndarray, energies: np.ndarray, chosen: Sequence[int]
) -> PhaseDiagram:
    """The diagram of some structures; each entry has a structure's number as attribute."""
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition, Element

    entries = []
    for number in chosen:
        content = {s: int(n) for s, n in zip(elements, counts[number], strict=True) if n}
        entries.append(PDEntry(Composition(content), float(energies[number]), attribute=number))
    return PhaseDiagram(entries, [Element(symbol) for symbol in elements])


def decomposition(diagram: PhaseDiagram, counts: np.ndarray) -> dict[int, float]:
    """The stable structures that are lowest at a composition, and the parts of atoms in them."""
    from pymatgen.core import Composition

    content = {e.symbol: int(n) for e, n in zip(diagram.elements, counts, strict=True) if n}
    parts = diagram.get_decomposition(Composition(content))
    return {number_of(entry): float(part) for entry, part in parts.items()}


def facets_of(diagram: PhaseDiagram) -> list[tuple[int, ...]]:
    """Structures at the corners of each facet, in order."""
    numbers = [number_of(entry) for entry in diagram.qhull_entries]
    return sorted(tuple(sorted(numbers[i] for i in facet)) for facet in diagram.facets)


def number_of(entry: Any) -> int:
    """Of the structure of an entry."""
    return entry.attribute
