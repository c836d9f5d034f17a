"""Places for atoms: at random in a cell, a slab or an ellipsoid, and on the surface of a cluster.

Distances are to all periodic images; they are few here, and found without a tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits

TRIES = 40, 400  # places for one atom: at first, and again where none of those is free
DIRECTIONS = 8  # tried from each atom of a cluster
TOUCHING = 1.25  # of a bond: atoms that count as neighbors of one on the surface
Draw = Callable[[int], np.ndarray]  # that many places, (n, 3), Å


@dataclass(frozen=True, eq=False)
class Room:
    """A cell and the limits of what may stand in it."""

    limits: Limits
    translations: np.ndarray  # (n, 3), Å, to the images that atoms of the first cell may meet

    @classmethod
    def of(cls, limits: Limits, cell: np.ndarray) -> Room:
        """Room in a cell ``(3, 3)`` (Å); of what is not periodic the vectors do not matter."""
        reach = float(limits.closest.max())
        periodic = np.array(limits.pbc)
        if not periodic.any():
            return cls(limits, np.zeros((1, 3)))
        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        # Two atoms of the first cell are up to one cell apart.
        counts = np.where(periodic, np.floor(reach / heights).astype(int) + 1, 0)
        ranges = [np.arange(-n, n + 1) for n in counts]
        shifts = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        return cls(limits, shifts @ cell)

    def holds(self, species: np.ndarray) -> bool:
        """Whether these atoms are not too close to their own images."""
        own = np.linalg.norm(self.translations, axis=1)
        return bool(
            (own[own > 1e-9].min(initial=np.inf) >= self.limits.closest.diagonal()[species]).all()
        )

    def spare(
        self, places: np.ndarray, species: int, positions: np.ndarray, others: np.ndarray
    ) -> np.ndarray:
        """Distance to the nearest atom less what is allowed, ``(n_places,)``, Å.

        Args:
            places: ``(n_places, 3)``, Å, each for one atom, in the first cell.
            species: of that atom, as in the limits' elements.
            positions: of those that are there, ``(n_atoms, 3)``, Å, in the first cell.
            others: their species.
        """
        images = (positions + self.translations[:, None]).reshape(-1, 3)
        allowed = np.tile(self.limits.closest[species, others], len(self.translations))
        # |a|² + |b|² - 2 a b: a matrix product; rounding does not matter to a minimum distance.
        squares = (places**2).sum(axis=1)[:, None] + (images**2).sum(axis=1) - 2 * places @ images.T
        apart = np.sqrt(np.maximum(squares, 0)) - allowed
        return apart.min(axis=1, initial=np.inf)


def filled(
    room: Room,
    species: np.ndarray,
    draw: Draw,
    positions: np.ndarray | None = None,
    others: np.ndarray | None = None,
) -> np.ndarray | None:
    """Places for atoms one after the other, none closer than allowed.

    Args:
        room: and its limits.
        species: of each new atom, ``(n_new,)``.
        draw: random places in the first cell.
        positions: of atoms that are there, ``(n_atoms, 3)``, Å; none by default.
        others: their species.

    Returns:
        positions of the new ones, ``(n_new, 3)``, Å; None where one finds no place.
    """
    if not room.holds(np.unique(species)):
        return None
    placed = np.zeros((0, 3)) if positions is None else positions
    kinds = np.zeros(0, int) if others is None else others
    n_before = len(placed)
    for own in species:
        for n_places in TRIES:
            places = draw(n_places)
            free = np.flatnonzero(room.spare(places, own, placed, kinds) >= 0)
            if len(free):
                break
        else:
            return None
        placed = np.concatenate([placed, places[free[:1]]])
        kinds = np.append(kinds, own)
    return placed[n_before:]


def in_cell(
    rng: np.random.Generator, cell: np.ndarray, low: float = 0.0, high: float = 1.0
) -> Draw:
    """Places in a cell ``(3, 3)``, Å, between two fractions of its third vector."""

    def draw(n: int) -> np.ndarray:
        fractional = rng.random((n, 3))
        fractional[:, 2] = low + (high - low) * fractional[:, 2]
        return fractional @ cell

    return draw


def in_ellipsoid(rng: np.random.Generator, axes: np.ndarray) -> Draw:
    """Places in an ellipsoid around the origin with semi-axes ``(3,)``, Å."""

    def draw(n: int) -> np.ndarray:
        directions = rng.normal(size=(n, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return directions * rng.random((n, 1)) ** (1 / 3) * axes

    return draw


def with_more(
    atoms: Atoms, numbers: np.ndarray, limits: Limits, rng: np.random.Generator
) -> Atoms | None:
    """The candidate with more atoms, where there is room; on the surface of a cluster.

    Args:
        atoms: the candidate, stays as it is.
        numbers: atomic numbers of those that come.
        limits: for distances.
        rng: random numbers.
    """
    grown = atoms.copy()
    species = limits.species(numbers)
    if limits.kind == "cluster":
        for own, number in zip(species, numbers, strict=True):
            place = on_surface(grown.positions, limits.species(grown.numbers), own, limits, rng)
            if place is None:
                return None
            grown.extend(Atoms([number], [place]))
        return grown
    low, high = 0.0, 1.0
    if limits.kind == "film":
        length = grown.cell.array[2, 2]
        heights = grown.positions[:, 2] / length
        above = limits.spacing(numbers) / length  # a film may grow by an atom on either side
        low, high = heights.min() - above, heights.max() + above
    grown.wrap(pbc=limits.pbc)
    cell = grown.cell.array
    places = filled(
        Room.of(limits, cell),
        species,
        in_cell(rng, cell, low, high),
        grown.positions,
        limits.species(grown.numbers),
    )
    if places is not None:
        grown.extend(Atoms(numbers, places))
    return None if places is None else grown


def on_surface(
    positions: np.ndarray,
    others: np.ndarray,
    species: int,
    limits: Limits,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """A place ``(3,)`` (Å) at a bond's length from an atom of a cluster, with many neighbors.

    Of random ones that are free the one with the most, so that hollows come before tops.
    """
    bonds = limits.bonds()[species, others]
    directions = rng.normal(size=(len(positions), DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    places = (positions[:, None] + bonds[:, None, None] * directions).reshape(-1, 3)
    apart = np.linalg.norm(places[:, None] - positions, axis=-1)
    # Nearer than 0.9 of a bond is the inside of the cluster, or another atom's place.
    free = np.flatnonzero(
        (apart >= np.maximum(0.9 * bonds, limits.closest[species, others])).all(1)
    )
    if not len(free):
        return None
    neighbors = (apart[free] < TOUCHING * bonds).sum(axis=1)
    return places[free[int(np.argmax(neighbors))]]
