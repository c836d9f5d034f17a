"""Point defects of crystals: atoms taken out, put in, or of the wrong element.

Example::

    defects = [vacancy(crystal), *interstitials(crystal)]
    energies = defect_energies(crystal, defects, potential, repeats=(2, 3, 4))
    print(in_the_limit(energies[0], sizes_of(crystal, (2, 3, 4))))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atom, Atoms
from ase.calculators.calculator import BaseCalculator
from scipy.spatial import QhullError, Voronoi

from stratal.descriptors.host_list import edges_of_system
from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.md.paths.neb import Path
from stratal.md.relaxation.symmetry import operations_of
from stratal.potentials.evaluate import Potential

ALIKE = 0.05  # Å, places nearer than this are one
CLOSEST = 0.45  # of the shortest bond: voids that are nearer to atoms are none


@dataclass(frozen=True)
class Defect:
    """What is changed in a crystal; places are in lattice coordinates of the given cell."""

    name: str
    # Sites taken out: number of the atom in the cell, and in which cell, counted from the middle.
    removed: tuple[tuple[int, tuple[int, int, int]], ...] = ()
    added: tuple[tuple[str, tuple[float, float, float]], ...] = ()  # element and place

    def within(self, crystal: Atoms, repeat: int) -> Atoms:
        """A supercell of the crystal that has the defect in its middle.

        Raises:
            InputError: a supercell too small for the defect.
        """
        perfect = crystal * ((repeat,) * 3)
        middle = (repeat - 1) // 2
        gone = []
        for site, shift in self.removed:
            x, y, z = (np.array(shift) + middle) % repeat
            gone.append(int((x * repeat + y) * repeat + z) * len(crystal) + site)
        if len(set(gone)) != len(gone):
            raise InputError(
                f"{self.name}: does not fit into {repeat} cells each way. Repeat the cell more."
            )
        found = perfect[[n for n in range(len(perfect)) if n not in gone]]
        for symbol, place in self.added:
            found.append(Atom(symbol, (np.array(place) + middle) @ crystal.cell.array))
        return found

    def balance(self, crystal: Atoms) -> dict[str, int]:
        """Atoms of each element that it has more than the crystal."""
        more: dict[str, int] = {}
        for site, _ in self.removed:
            symbol = crystal.symbols[site]
            more[symbol] = more.get(symbol, 0) - 1
        for symbol, _ in self.added:
            more[symbol] = more.get(symbol, 0) + 1
        return {symbol: count for symbol, count in more.items() if count}


def defect_energies(
    crystal: Atoms,
    defects: Sequence[Defect],
    source: Potential | BaseCalculator | Evaluator,
    repeats: Sequence[int] = (2, 3, 4),
    reservoirs: Mapping[str, float] | None = None,
    fmax: float = 1e-3,
) -> np.ndarray:
    """Formation energies in supercells of growing size, at fixed volume, ``(n_defects, n)``, eV.

    E(with defect) - E(perfect) - sum over elements of (atoms more) times (energy of one in its
    reservoir). All supercells of all defects are relaxed together.

    Args:
        crystal: at rest; its conventional cell makes supercells compact.
        defects: what is changed.
        source: a potential, or any ASE calculator.
        repeats: of the cell in each direction, for each supercell.
        reservoirs: energy of an atom of each element, eV; of an elemental crystal it is its own.
        fmax: of the relaxation of positions, eV/Å.

    Raises:
        InputError: an element without a reservoir, a relaxation that does not converge.
    """
    evaluate = evaluator(source)
    changed = [defect.within(crystal, repeat) for defect in defects for repeat in repeats]
    changed = evaluate.relaxed(changed, fmax, "fixed")
    energies = evaluate.evaluate([crystal, *changed]).energy
    by_cell, found = energies[0], energies[1:].reshape(len(defects), len(repeats))
    perfect = by_cell * np.array(repeats) ** 3
    known = dict(reservoirs or {})
    if len(set(crystal.symbols)) == 1:
        known.setdefault(crystal.symbols[0], float(by_cell) / len(crystal))
    taken = [exchanged(defect, crystal, known) for defect in defects]
    return found - perfect - np.array(taken)[:, None]


def exchanged(defect: Defect, crystal: Atoms, reservoirs: Mapping[str, float]) -> float:
    """Energy of the atoms that come from reservoirs, eV.

    Raises:
        InputError: an element without a reservoir.
    """
    balance = defect.balance(crystal)
    if missing := sorted(set(balance) - set(reservoirs)):
        raise InputError(
            f"{defect.name} in {crystal.get_chemical_formula()}: its energy depends on where an "
            f"atom of {missing[0]} comes from or goes. Give reservoirs, eV/atom, such as the "
            f"energy of its elemental crystal."
        )
    return sum(count * reservoirs[symbol] for symbol, count in balance.items())


def sizes_of(crystal: Atoms, repeats: Sequence[int]) -> np.ndarray:
    """Sites of supercells, ``(n,)``."""
    return len(crystal) * np.array(repeats) ** 3


def in_the_limit(energies: np.ndarray, n_sites: np.ndarray) -> float:
    """Energies ``(n,)`` in supercells of ``n_sites`` extrapolated to infinite size.

    What the elastic images of a point defect cost falls with the inverse of their volume.
    """
    return float(np.polyfit(1 / np.asarray(n_sites), energies, 1)[1])


def vacancy(crystal: Atoms, site: int = 0) -> Defect:
    """An atom is missing."""
    return Defect(f"vacancy {crystal.symbols[site]}", removed=((site, (0, 0, 0)),))


def divacancy(crystal: Atoms, site: int = 0, shell: int = 1) -> Defect:
    """Two atoms are missing, neighbors in a shell."""
    other, shift = neighbor_of(crystal, site, shell)
    pair = f"{crystal.symbols[site]}-{crystal.symbols[other]}"
    return Defect(f"divacancy {pair}, shell {shell}", removed=((site, (0, 0, 0)), (other, shift)))


def antisite(crystal: Atoms, element: str, site: int = 0) -> Defect:
    """An atom of another element on a site."""
    x, y, z = (float(value) for value in crystal.get_scaled_positions(wrap=False)[site])
    name = f"{element} on {crystal.symbols[site]}"
    return Defect(name, removed=((site, (0, 0, 0)),), added=((element, (x, y, z)),))


def antisites(crystal: Atoms) -> list[Defect]:
    """Every element of a compound on every kind of site that is not its own."""
    elements = sorted(set(crystal.symbols))
    return [
        antisite(crystal, element, site)
        for site in kinds_of_sites(crystal)
        for element in elements
        if element != crystal.symbols[site]
    ]


def dumbbell(crystal: Atoms, direction: Sequence[float], site: int = 0) -> Defect:
    """Two atoms share a site, apart along a direction by three quarters of the shortest bond.

    Args:
        crystal: the crystal.
        direction: along the axes of the cell, such as (1, 0, 0).
        site: which is shared.
    """
    center = crystal.get_scaled_positions(wrap=False)[site] @ crystal.cell.array
    along = np.array(direction) @ crystal.cell.array
    half = 0.375 * shortest_bond(crystal) * along / np.linalg.norm(along)
    places = np.linalg.solve(crystal.cell.array.T, np.array([center + half, center - half]).T).T
    symbol = crystal.symbols[site]
    name = f"dumbbell {symbol} <{''.join(f'{value:g}' for value in direction)}>"
    return Defect(
        name,
        removed=((site, (0, 0, 0)),),
        added=tuple((symbol, tuple(map(float, place))) for place in places),
    )


def interstitials(crystal: Atoms, element: str | None = None, most: int = 2) -> list[Defect]:
    """An atom in each kind of void of a crystal, the widest first.

    Args:
        crystal: the crystal.
        element: of the atom; of the crystal's first atom by default.
        most: kinds of voids, at most.
    """
    symbol = element or crystal.symbols[0]
    found = []
    for place, radius in voids(crystal)[:most]:
        x, y, z = map(float, place)
        name = f"interstitial {symbol}, {radius:.2f} Å from its neighbors"
        found.append(Defect(name, added=((symbol, (x, y, z)),)))
    return found


def voids(crystal: Atoms) -> list[tuple[np.ndarray, float]]:
    """Places in lattice coordinates and distances (Å) from the nearest atoms, the widest first.

    Corners of the atoms' Voronoi cells, one for each kind under the space group.
    """
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), -1).reshape(-1, 1, 3)
    fractional = (crystal.get_scaled_positions()[None] + shifts).reshape(-1, 3)
    images = fractional @ crystal.cell.array
    try:
        corners = Voronoi(images).vertices
    except QhullError:
        return []
    places = np.linalg.solve(crystal.cell.array.T, corners.T).T
    inside = ((places > -1e-6) & (places < 1 - 1e-6)).all(axis=1)
    radii = np.linalg.norm(corners[inside][:, None] - images[None], axis=2).min(axis=1)
    found: list[tuple[np.ndarray, float]] = []
    for number in np.argsort(-radii, kind="stable"):
        place, radius = places[inside][number], float(radii[number])
        if radius < CLOSEST * shortest_bond(crystal):
            break
        if not any(same_kind(crystal, place, other) for other, _ in found):
            found.append((place, radius))
    return found


def same_kind(crystal: Atoms, place: np.ndarray, other: np.ndarray) -> bool:
    """Whether an operation of the space group takes one place (lattice coordinates) to another."""
    rotations, images = operations_of(crystal)
    here, there = place @ crystal.cell.array, other @ crystal.cell.array
    # An operation moves the first atom to its image; from there the place is turned along.
    turned = np.einsum("oij,j->oi", rotations, here - crystal.positions[0])
    moved = crystal.positions[images[:, 0]] + turned
    apart = np.linalg.solve(crystal.cell.array.T, (moved - there).T).T
    lengths = np.linalg.norm((apart - np.round(apart)) @ crystal.cell.array, axis=1)
    return bool(lengths.min() < ALIKE)


def kinds_of_sites(crystal: Atoms) -> list[int]:
    """One atom of each kind under the space group."""
    return sorted(set(operations_of(crystal)[1].min(axis=0).tolist()))


def shortest_bond(crystal: Atoms) -> float:
    """Å."""
    reach = 2 * np.cbrt(crystal.cell.volume / len(crystal)) + 1.0
    return float(
        edges_of_system(crystal.positions, crystal.cell.array, crystal.pbc, reach)[3].min()
    )


def neighbor_of(crystal: Atoms, site: int, shell: int) -> tuple[int, tuple[int, int, int]]:
    """An atom in the first, second … shell around a site, and in which cell it is."""
    reach = (1.5 + 0.7 * shell) * np.cbrt(crystal.cell.volume / len(crystal)) + 1.0
    receivers, senders, shifts, lengths = edges_of_system(
        crystal.positions, crystal.cell.array, crystal.pbc, reach
    )
    own = np.flatnonzero(receivers == site)
    own = own[np.argsort(lengths[own], kind="stable")]
    starts = np.flatnonzero(np.diff(lengths[own], prepend=-1.0) > ALIKE)
    if not 1 <= shell <= len(starts):
        raise InputError(f"shell {shell} of {crystal.get_chemical_formula()}: give 1, 2 or 3.")
    chosen = own[starts[shell - 1]]
    x, y, z = (int(value) for value in shifts[chosen])
    return int(senders[chosen]), (x, y, z)


def migration(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    repeat: int = 3,
    site: int = 0,
    n_images: int = 3,
    fmax: float = 0.01,
) -> Path:
    """The path of an atom that hops into a vacancy beside it, at fixed volume.

    Args:
        crystal: at rest, its conventional cell.
        source: a potential, or any ASE calculator.
        repeat: of the cell in each direction.
        site: of the vacancy.
        n_images: between the ends; with an odd number the saddle of a symmetric hop is one.
        fmax: eV/Å.
    """
    other, shift = neighbor_of(crystal, site, 1)
    both = Defect("hop", removed=((site, (0, 0, 0)), (other, shift))).within(crystal, repeat)
    middle = (repeat - 1) // 2
    fractional = crystal.get_scaled_positions(wrap=False) + middle
    places = (fractional[other] + shift, fractional[site])  # of the atom before and after
    symbol, ends = crystal.symbols[other], []
    for place in places:
        end = both.copy()
        end.append(Atom(symbol, place @ crystal.cell.array))
        ends.append(end)
    evaluate = evaluator(source)
    ends = evaluate.relaxed(ends, fmax, "fixed")
    (path,) = evaluate.paths([ends], n_images=n_images, fmax=fmax)
    return path
