"""Symmetric starts: a random space group, atoms on Wyckoff positions whose sites add up.

A. O. Lyakhov, A. R. Oganov, H. T. Stokes and Q. Zhu, Comput. Phys. Commun. 184, 1172 (2013);
S. Fredericks, K. Parrish, D. Sayre and Q. Zhu, Comput. Phys. Commun. 261, 107810 (2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.cell import Cell

from stratal.errors import InputError
from stratal.md.search.limits import Limits
from stratal.md.search.starts.drawing import Composition, drawn
from stratal.md.search.starts.placing import Room
from stratal.md.search.starts.random_structure import LOOSER
from stratal.md.search.starts.wyckoff import Group, Wyckoff, group
from stratal.md.structures.crystal_symmetry import dataset

GROUPS = range(1, 231)
ASSIGNMENTS = 10  # tries to fill a composition with the positions of one group
CELLS = 5  # tried with one assignment
SITES = 30  # tried for one orbit
LENGTHS = 0.5  # logarithm of a cell vector's length against the mean, up to


class Occupied(NamedTuple):
    """A Wyckoff position with atoms on it."""

    number: int  # atomic
    position: Wyckoff


def by_space_group(
    composition: Composition,
    limits: Limits,
    rng: np.random.Generator,
    seconds: float = 1.0,
    groups: Sequence[int] = GROUPS,
) -> Atoms | None:
    """A crystal with at least the symmetry of a random space group, or None.

    Its primitive cell has the atoms of the composition; ``info["space_group"]`` tells the group.

    Args:
        composition: atoms by atomic number.
        limits: what it obeys; of crystals.
        rng: random numbers.
        seconds: after which it is given up.
        groups: numbers of the space groups among which one is drawn.
    """
    if limits.kind != "crystal":
        return None

    def draw() -> Atoms | None:
        chosen = group(int(rng.choice(groups)))
        occupied = assignment(chosen, composition, rng)
        return None if occupied is None else _with_sites(chosen, occupied, limits, rng)

    crystal = drawn(draw, limits, seconds)
    if crystal is None or not is_symmetric(crystal, group(crystal.info["space_group"])):
        return None
    return crystal


def assignment(
    chosen: Group, composition: Composition, rng: np.random.Generator
) -> list[Occupied] | None:
    """Positions whose sites add up to the composition in a primitive cell; None: not found.

    A position without a free coordinate takes atoms once.
    """
    sites = np.array([position.multiplicity for position in chosen.positions]) // chosen.n_centers
    fixed = np.array([position.n_free == 0 for position in chosen.positions])
    for _ in range(ASSIGNMENTS):
        taken = np.zeros(len(sites), bool)
        occupied: list[Occupied] = []
        for number in rng.permutation(sorted(composition)):
            left = composition[int(number)]
            while left and (able := np.flatnonzero((sites <= left) & ~(taken & fixed))).size:
                # As likely as they have sites: else all atoms would sit on the few special ones.
                pick = int(rng.choice(able, p=sites[able] / sites[able].sum()))
                taken[pick] = True
                left -= sites[pick]
                occupied.append(Occupied(int(number), chosen.positions[pick]))
            if left:
                break
        else:
            return occupied
    return None


def is_symmetric(crystal: Atoms, chosen: Group) -> bool:
    """Whether spglib finds as many operations as the group has in a primitive cell, or more."""
    try:
        found = dataset(crystal)
    except InputError:  # no group at all
        return False
    return len(found.rotations) >= len(chosen.rotations) // chosen.n_centers


def random_lattice(number: int, volume: float, rng: np.random.Generator) -> np.ndarray:
    """Vectors ``(3, 3)`` of the conventional cell of a space group, Å, of a volume (Å³)."""
    lengths = np.exp(rng.uniform(-LENGTHS, LENGTHS, 3))
    angles = rng.uniform(60, 120, 3)
    if number > 194:  # cubic
        lengths[:] = 1.0
    elif number > 74:  # tetragonal; trigonal and hexagonal on hexagonal axes
        lengths[1] = lengths[0]
    if number > 142 and number <= 194:
        angles[:] = 90, 90, 120
    elif number > 15:
        angles[:] = 90
    elif number > 2:  # monoclinic, unique axis b
        angles[[0, 2]] = 90
    cell = Cell.fromcellpar([*lengths, *angles]).array
    return cell * (volume / abs(np.linalg.det(cell))) ** (1 / 3)


def _with_sites(
    chosen: Group, occupied: Sequence[Occupied], limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The primitive cell with an orbit of atoms on each position; None where one has no room."""
    counts = [own.position.multiplicity // chosen.n_centers for own in occupied]
    numbers = np.repeat([own.number for own in occupied], counts)
    volume = limits.target_volume(numbers) * chosen.n_centers
    for _ in range(CELLS):
        cell = random_lattice(chosen.number, volume * rng.uniform(1.0, LOOSER), rng)
        room = Room.of(limits, chosen.primitive @ cell)
        if not room.holds(np.unique(limits.species(numbers))):
            continue
        positions = np.zeros((0, 3))
        species = np.zeros(0, int)
        for own in occupied:
            orbit = _free_orbit(chosen, own, room, cell, positions, species, rng)
            if orbit is None:
                break
            positions = np.concatenate([positions, orbit])
            species = np.append(species, np.repeat(limits.species(own.number), len(orbit)))
        else:
            info = {"space_group": chosen.number}
            return Atoms(numbers, positions, cell=chosen.primitive @ cell, pbc=True, info=info)
    return None


def _free_orbit(
    chosen: Group,
    own: Occupied,
    room: Room,
    cell: np.ndarray,
    positions: np.ndarray,
    species: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Positions ``(n_sites, 3)`` (Å) of an orbit in the primitive cell, with room for each."""
    kind = int(room.limits.species(own.number))
    n_sites = own.position.multiplicity // chosen.n_centers
    for _ in range(SITES if own.position.n_free else 1):
        images = chosen.orbit(own.position.site(rng)) @ np.linalg.inv(chosen.primitive)
        sites = _different(images) @ chosen.primitive @ cell
        if len(sites) != n_sites:  # by chance on a position of higher symmetry
            continue
        if room.spare(sites, kind, positions, species).min() < 0:
            continue
        if _apart(sites, kind, room):
            return sites
    return None


def _different(images: np.ndarray) -> np.ndarray:
    """Fractional positions modulo cell vectors, each once."""
    wrapped = np.round(images % 1.0, 6) % 1.0
    first = np.unique(wrapped, axis=0, return_index=True)[1]
    return images[np.sort(first)] % 1.0


def _apart(sites: np.ndarray, kind: int, room: Room) -> bool:
    """Whether the sites of one orbit keep their distance; all look alike, so that one tells."""
    others = np.full(len(sites) - 1, kind)
    return bool(room.spare(sites[:1], kind, sites[1:], others).min() >= 0)
