"""What every candidate of a search obeys: distances, volume, number of atoms, shape of its cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states
from ase.geometry import minkowski_reduce
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stratal.descriptors.host_list import edges_of_system
from stratal.errors import InputError

PERIODIC = {
    "crystal": (True, True, True),
    "film": (True, True, False),
    "cluster": (False, False, False),
}
CLOSEST = 0.7  # of the sum of two covalent radii
SPHERES = 2.2  # volume of an atom in a solid over that of its covalent sphere, about
SMALLEST = 5.0  # Å³, of an atom that is known by its radius alone


class Contacts(NamedTuple):
    """Pairs of atoms, or of an atom and an image; each has two, one in each direction."""

    receivers: np.ndarray  # (n_edges,)
    senders: np.ndarray  # (n_edges,)
    vectors: np.ndarray  # (n_edges, 3), Å, receiver to sender
    lengths: np.ndarray  # (n_edges,), Å


@dataclass(frozen=True, eq=False)
class Limits:
    """What a candidate obeys; `Limits.of` fills in distances and volumes by element.

    A film is periodic along its first two cell vectors, the third is along z and as long as the
    film and the vacuum; a cluster has no cell. Both hold together: no part of them is farther
    from the rest than ``loosest``.
    """

    kind: str  # crystal, film or cluster
    elements: tuple[int, ...]  # atomic numbers, ascending
    closest: np.ndarray  # (n_elements, n_elements), Å, of two atoms
    volumes: np.ndarray  # (n_elements,), Å³ for each atom, what is aimed at
    volume_range: tuple[float, float] = (0.5, 2.0)  # over what is aimed at
    n_atoms: tuple[int, int] = (1, 40)  # fewest, most
    formula: tuple[int, ...] | None = None  # atoms of each element in a unit; None: any mixture
    aspect: float = 5.0  # the longest cell vector over the shortest, at most
    smallest_angle: float = 35.0  # degrees, of cell vectors; 180 less this is the largest
    thickness: float = 12.0  # Å, from the lowest atom of a film to the highest, at most
    vacuum: float = 12.0  # Å, between a film and its image
    loosest: float = 1.6  # of the cube root of an atom's volume; packed spheres: 1.12

    def __post_init__(self) -> None:
        n = len(self.elements)
        if self.kind not in PERIODIC:
            raise InputError(f"kind {self.kind!r}: give one of {', '.join(PERIODIC)}.")
        if not n or list(self.elements) != sorted(set(self.elements)):
            raise InputError(
                f"elements {self.elements}: give atomic numbers, ascending, each once."
            )
        if np.shape(self.closest) != (n, n) or np.shape(self.volumes) != (n,):
            raise InputError(
                f"limits of {n} element(s): expected closest ({n}, {n}) and volumes ({n},), found "
                f"{np.shape(self.closest)} and {np.shape(self.volumes)}. Correct them."
            )
        if self.formula is not None and (len(self.formula) != n or sum(self.formula) < 1):
            raise InputError(
                f"formula {self.formula}: expected a count for each of {n} element(s), such as "
                f"{(1,) * n}. Correct it."
            )
        if not 1 <= self.n_atoms[0] <= self.n_atoms[1]:
            raise InputError(f"n_atoms {self.n_atoms}: expected 1 <= fewest <= most. Correct it.")

    @classmethod
    def of(
        cls,
        elements: Sequence[str | int],
        kind: str = "crystal",
        scale: float = CLOSEST,
        **own: Any,
    ) -> Limits:
        """Limits of these elements, distances and volumes from what is known of them.

        Args:
            elements: symbols or atomic numbers.
            kind: crystal, film or cluster.
            scale: the closest two atoms come, over the sum of their covalent radii.
            **own: other fields.
        """
        numbers = tuple(sorted(atomic_numbers[e] if isinstance(e, str) else e for e in elements))
        radii = covalent_radii[list(numbers)]
        known = {
            "closest": scale * (radii[:, None] + radii),
            "volumes": np.array([volume_in_solid(number) for number in numbers]),
        }
        return cls(kind, numbers, **(known | own))

    @property
    def pbc(self) -> tuple[bool, bool, bool]:
        """Directions in which a candidate repeats."""
        return PERIODIC[self.kind]

    def species(self, numbers: np.ndarray) -> np.ndarray:
        """Where in ``elements`` these atomic numbers stand."""
        return np.searchsorted(self.elements, numbers)

    def counts(self, numbers: np.ndarray) -> np.ndarray:
        """Atoms of each element, ``(n_elements,)``."""
        return np.bincount(self.species(numbers), minlength=len(self.elements))

    def target_volume(self, numbers: np.ndarray) -> float:
        """Å³ that these atoms fill."""
        return float(self.volumes[self.species(numbers)].sum())

    def spacing(self, numbers: np.ndarray) -> float:
        """Cube root of the volume of one atom, Å, of these on average."""
        return (self.target_volume(numbers) / len(numbers)) ** (1 / 3)

    def bonds(self) -> np.ndarray:
        """Distances of neighbors as in packed spheres, ``(n_elements, n_elements)``, Å."""
        diameters = (np.sqrt(2) * self.volumes) ** (1 / 3)
        return np.maximum(0.5 * (diameters[:, None] + diameters), self.closest)

    def allows(self, atoms: Atoms) -> bool:
        """Whether the candidate obeys all."""
        return self.reason(atoms) is None

    def reason(self, atoms: Atoms) -> str | None:
        """Why the candidate is not allowed; None where it is."""
        for check in (_of_atoms, _of_cell, _of_volume, _of_distances):
            if (reason := check(self, atoms)) is not None:
                return reason
        return None

    def with_volume(self, atoms: Atoms, volume: float | None = None) -> Atoms:
        """The candidate scaled to the volume aimed at, or this one (Å³), as `volume_of` counts."""
        wanted = self.target_volume(atoms.numbers) if volume is None else volume
        scaled = bare(atoms, self)
        factor = _film_factor(scaled, self, wanted) if self.kind == "film" else None
        factor = factor or (wanted / volume_of(atoms, self)) ** (1 / 3)
        if self.kind == "cluster":
            center = scaled.positions.mean(axis=0)
            scaled.positions = center + factor * (scaled.positions - center)
            return scaled
        scaled.set_cell(factor * scaled.cell.array, scale_atoms=True)
        return in_standard_form(scaled, self) if self.kind == "film" else scaled

    def admitted(self, atoms: Atoms) -> Atoms | None:
        """The candidate in standard form, its cell reduced where it must be; None: not allowed."""
        if not len(atoms) or not np.isfinite(atoms.positions).all():
            return None
        candidate = in_standard_form(atoms, self)
        if self.kind != "cluster" and _of_cell(self, candidate) is not None:
            candidate = reduced(candidate, self)
        return candidate if self.allows(candidate) else None


def volume_in_solid(number: int) -> float:
    """Å³ of an atom in the element's crystal, or about that, from its covalent radius."""
    known = reference_states[number] or {}
    a, ratio = known.get("a", 0.0), known.get("c/a") or np.sqrt(8 / 3)
    by_lattice = {
        "fcc": a**3 / 4,
        "bcc": a**3 / 2,
        "hcp": np.sqrt(3) / 4 * ratio * a**3,
        "diamond": a**3 / 8,
        "sc": a**3,
    }
    by_radius = max(SPHERES * 4 / 3 * np.pi * covalent_radii[number] ** 3, SMALLEST)
    return float(by_lattice.get(known.get("symmetry", ""), by_radius))


def volume_of(atoms: Atoms, limits: Limits) -> float:
    """Å³ that a candidate fills.

    A film: its area times its thickness and one spacing; a cluster: what its distances between
    nearest neighbors have in packed spheres.
    """
    if limits.kind == "crystal":
        return float(atoms.cell.volume)
    if limits.kind == "film":
        return _area(atoms) * (_extent(atoms) + limits.spacing(atoms.numbers))
    if len(atoms) == 1:
        return limits.target_volume(atoms.numbers)
    apart = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1)
    nearest = np.where(np.eye(len(atoms), dtype=bool), np.inf, apart).min(axis=1)
    return float(len(atoms) * np.mean(nearest) ** 3 / np.sqrt(2))


def contacts(atoms: Atoms, reach: float) -> Contacts:
    """All pairs closer than ``reach`` (Å), those with periodic images among them."""
    cell = atoms.cell.complete().array
    receivers, senders, shifts, lengths = edges_of_system(atoms.positions, cell, atoms.pbc, reach)
    vectors = atoms.positions[senders] - atoms.positions[receivers] + shifts @ cell
    return Contacts(receivers, senders, vectors, lengths)


def bare(atoms: Atoms, limits: Limits) -> Atoms:
    """Species, positions and cell alone, periodic as this kind is; a copy."""
    cell = None if limits.kind == "cluster" else atoms.cell.array.copy()
    return Atoms(atoms.numbers.copy(), atoms.positions.copy(), cell=cell, pbc=limits.pbc)


def in_standard_form(atoms: Atoms, limits: Limits) -> Atoms:
    """A copy as this kind is written.

    Crystals: in a right-handed cell, atoms wrapped into it. Films: turned, so that the first two
    vectors lie across z, wrapped along them, in the middle of the vacuum. Clusters: no cell, the
    center at the origin.
    """
    copy = bare(atoms, limits)
    if limits.kind == "cluster":
        copy.positions -= copy.positions.mean(axis=0)
        return copy
    cell = copy.cell.array
    if limits.kind == "film":
        a, b = cell[:2]
        normal = np.cross(a, b)
        heights = copy.positions @ normal / max(float(np.linalg.norm(normal)), 1e-12)
        length = np.ptp(heights) + limits.vacuum
        in_plane = np.linalg.lstsq(cell[:2].T, copy.positions.T, rcond=None)[0].T
        flat = Cell.fromcellpar([*copy.cell.lengths()[:2], length, 90, 90, copy.cell.angles()[2]])
        copy.set_cell(flat)
        copy.positions = in_plane % 1.0 @ flat.array[:2]
        copy.positions[:, 2] = heights - heights.min() + 0.5 * limits.vacuum
        return copy
    if np.linalg.det(cell) < 0:  # the other hand: the same lattice
        copy.set_cell(-cell)
    copy.wrap()
    return copy


def reduced(atoms: Atoms, limits: Limits) -> Atoms:
    """The same structure in the cell with the shortest vectors."""
    if np.linalg.matrix_rank(atoms.cell.array) < 3:
        return atoms
    copy = atoms.copy()
    copy.set_cell(minkowski_reduce(atoms.cell.array, pbc=limits.pbc)[0])
    return in_standard_form(copy, limits)


def _of_atoms(limits: Limits, atoms: Atoms) -> str | None:
    fewest, most = limits.n_atoms
    if not fewest <= len(atoms) <= most:
        return f"{len(atoms)} atoms, not {fewest} to {most}"
    if foreign := set(atoms.numbers.tolist()) - set(limits.elements):
        return f"element {chemical_symbols[min(foreign)]} is not searched"
    if limits.formula is not None:
        counts, unit = limits.counts(atoms.numbers), np.array(limits.formula)
        if (counts * unit.sum() != unit * counts.sum()).any():
            return f"composition {counts.tolist()}, no multiple of {unit.tolist()}"
    if not np.isfinite(atoms.positions).all():
        return "positions that are not finite"
    return None


def _of_cell(limits: Limits, atoms: Atoms) -> str | None:
    if tuple(atoms.pbc) != limits.pbc:
        return f"periodic along {atoms.pbc.tolist()}, a {limits.kind} is not"
    if limits.kind == "cluster":
        return None
    lengths = np.linalg.norm(atoms.cell.array, axis=1)
    if not np.isfinite(lengths).all() or lengths.min() < 1e-3:
        return "no cell"
    cosines = (atoms.cell.array / lengths[:, None]) @ (atoms.cell.array / lengths[:, None]).T
    across = slice(0, 2) if limits.kind == "film" else slice(0, 3)
    steepest = np.abs(np.triu(cosines[across, across], 1)).max()
    if steepest > np.cos(np.radians(limits.smallest_angle)):
        return f"an angle of the cell beyond {limits.smallest_angle:g}°"
    if (ratio := lengths[across].max() / lengths[across].min()) > limits.aspect:
        return f"a cell {ratio:.1f} times longer than wide, not up to {limits.aspect:g}"
    if abs(np.linalg.det(cosines)) < 1e-4:  # flat, though each two vectors are at an angle
        return "a flat cell"
    return None


def _of_volume(limits: Limits, atoms: Atoms) -> str | None:
    if limits.kind == "cluster":
        return None
    if limits.kind == "film":
        if (extent := _extent(atoms)) > limits.thickness:
            return f"a film of {extent:.1f} Å, not up to {limits.thickness:g} Å"
        if atoms.cell.array[2, 2] - extent < limits.vacuum - 1e-6:
            return f"less than {limits.vacuum:g} Å of vacuum"
    ratio = volume_of(atoms, limits) / limits.target_volume(atoms.numbers)
    low, high = limits.volume_range
    if not low <= ratio <= high:
        return f"{ratio:.2f} of the volume aimed at, not {low:g} to {high:g}"
    return None


def _of_distances(limits: Limits, atoms: Atoms) -> str | None:
    whole = limits.kind != "crystal"
    reach = limits.loosest * limits.spacing(atoms.numbers) if whole else 0.0
    found = contacts(atoms, max(reach, float(limits.closest.max())))
    kinds = limits.species(atoms.numbers)
    short = found.lengths < limits.closest[kinds[found.receivers], kinds[found.senders]]
    if short.any():
        worst = int(np.argmin(np.where(short, found.lengths, np.inf)))
        pair = atoms.symbols[found.receivers[worst]], atoms.symbols[found.senders[worst]]
        return f"{pair[0]} and {pair[1]} {found.lengths[worst]:.2f} Å apart"
    if whole and n_parts(len(atoms), found) > 1:
        return "parts that are far from each other"
    return None


def n_parts(n_atoms: int, found: Contacts) -> int:
    """Into how many parts atoms fall that hold together by contacts."""
    linked = np.ones(len(found.receivers)), (found.receivers, found.senders)
    return int(connected_components(coo_array(linked, (n_atoms, n_atoms)), False)[0])


def _area(film: Atoms) -> float:
    return float(np.linalg.norm(np.cross(film.cell.array[0], film.cell.array[1])))


def _extent(film: Atoms) -> float:
    return float(np.ptp(film.positions[:, 2]))


def _film_factor(film: Atoms, limits: Limits, volume: float) -> float:
    """By which a film grows along all directions to fill a volume (Å³)."""
    area, extent, spacing = _area(film), _extent(film), limits.spacing(film.numbers)
    roots = np.roots([area * extent, area * spacing, 0.0, -volume])
    return float(max(root.real for root in roots if abs(root.imag) < 1e-9))
