"""What is in a set of labelled data, and what in it deserves a second look."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from stratal.potentials.data.checks import reduced_cell, shortest_contact
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.data.select import largest_forces
from stratal.potentials.data.stress_check import stress_suspects

ENERGY_LIMIT = 1e3  # eV/atom: above, all-electron totals or another unit
FORCE_LIMIT = 50.0  # eV/Å: above, too close for most potentials
NET_FORCE_LIMIT = 0.05  # eV/Å per atom
Z_LIMIT = 8.0  # robust deviations of energy per atom from the median of its formula
LEAST_FOR_Z = 10  # structures of one formula


@dataclass(frozen=True)
class Outlier:
    """A structure that deserves a look."""

    source: str
    reason: str


@dataclass(frozen=True)
class DataSummary:
    """Counts, ranges and oddities; ranges are (lowest, highest), None where there are none."""

    n_frames: int
    n_atoms: int
    level_of_theory: str
    elements: tuple[str, ...]
    by_elements: dict[str, int]  # such as "Ag-Cu"
    by_group: dict[str, int]
    n_with_forces: int
    n_with_stress: int
    energy_per_atom: tuple[float, float]  # eV/atom
    volume_per_atom: tuple[float, float] | None  # Å³/atom, periodic structures only
    largest_force: float | None  # eV/Å
    shortest_distance: float | None  # Å
    duplicates: tuple[tuple[str, str], ...]  # sources of equal structures: first, copy
    outliers: tuple[Outlier, ...]
    warnings: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, for a table."""
        force, shortest = self.largest_force, self.shortest_distance
        return [
            ("structures", str(self.n_frames)),
            ("atoms", str(self.n_atoms)),
            ("level of theory", self.level_of_theory),
            ("elements", " ".join(self.elements)),
            ("with forces", str(self.n_with_forces)),
            ("with stress", str(self.n_with_stress)),
            ("energy (eV/atom)", _range(self.energy_per_atom)),
            ("volume (Å³/atom)", _range(self.volume_per_atom)),
            ("largest force (eV/Å)", "none" if force is None else f"{force:.3g}"),
            ("shortest distance (Å)", "none" if shortest is None else f"{shortest:.3f}"),
            ("duplicates", str(len(self.duplicates))),
            ("outliers", str(len(self.outliers))),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarize(data: LabelledData) -> DataSummary:
    """Look through the data; takes about a millisecond per structure."""
    shortest = min((shortest_contact(frame)[0] for frame in data.frames), default=np.inf)
    volumes = [frame.get_volume() / len(frame) for frame in data.frames if frame.pbc.all()]
    groups = Counter(name or "(none)" for name in data.groups)
    return DataSummary(
        n_frames=len(data),
        n_atoms=int(data.n_atoms.sum()),
        level_of_theory=data.level_of_theory,
        elements=data.elements,
        by_elements=dict(sorted(Counter(_element_set(f) for f in data.frames).items())),
        by_group=dict(groups.most_common()),
        n_with_forces=int(data.has_forces.sum()),
        n_with_stress=int(data.has_stress.sum()),
        energy_per_atom=(float(data.energy_per_atom.min()), float(data.energy_per_atom.max())),
        volume_per_atom=(float(min(volumes)), float(max(volumes))) if volumes else None,
        largest_force=float(largest_forces(data).max()) if data.has_forces.any() else None,
        shortest_distance=float(shortest) if np.isfinite(shortest) else None,
        duplicates=find_duplicates(data),
        outliers=find_outliers(data),
        warnings=find_warnings(data),
    )


def find_duplicates(data: LabelledData, tolerance: float = 1e-3) -> tuple[tuple[str, str], ...]:
    """Equal structures with equal energies, whatever the order of atoms or the origin.

    Compared are composition, energy (1e-5 eV/atom), the reduced cell and the sorted
    shortest distances between atoms (``tolerance``, Å).

    Returns:
        Sources of the first and the copy, for every copy.
    """
    by_formula = defaultdict(list)
    for index in np.argsort(data.energy_per_atom, kind="stable"):
        by_formula[data.frames[index].get_chemical_formula()].append(int(index))
    found, energy = [], data.energy_per_atom
    for members in by_formula.values():
        firsts: list[int] = []
        for index in members:
            firsts = [first for first in firsts if energy[index] - energy[first] <= 1e-5]
            for first in firsts:
                if _same(data.frames[first], data.frames[index], tolerance):
                    found.append(tuple(sorted((first, index))))
                    break
            else:
                firsts.append(index)
    return tuple((str(data.sources[one]), str(data.sources[two])) for one, two in sorted(found))


def find_outliers(data: LabelledData) -> tuple[Outlier, ...]:
    """Energies far from those of the same formula, large forces, odd magnitudes."""
    reasons: dict[int, list[str]] = defaultdict(list)
    for index, z in zip(*_robust_z(data), strict=True):
        reasons[index].append(
            f"energy {data.energy_per_atom[index]:.3f} eV/atom, {z:.0f} robust deviations from "
            f"the median of {data.frames[index].get_chemical_formula(empirical=True)}"
        )
    for index, force in enumerate(largest_forces(data)):
        if force > FORCE_LIMIT:
            reasons[index].append(f"force of {force:.4g} eV/Å")
    for index in np.flatnonzero(np.abs(data.energy_per_atom) > ENERGY_LIMIT):
        reasons[int(index)].append(f"energy {data.energy_per_atom[index]:.6g} eV/atom")
    return tuple(
        Outlier(str(data.sources[index]), "; ".join(why)) for index, why in sorted(reasons.items())
    )


def find_warnings(data: LabelledData) -> tuple[str, ...]:
    """What may be wrong with the set as a whole, as sentences."""
    warnings = []
    high = int((np.abs(data.energy_per_atom) > ENERGY_LIMIT).sum())
    if high:
        warnings.append(
            f"{high} structures have energies beyond {ENERGY_LIMIT:g} eV/atom: all-electron "
            f"totals, or another unit than eV. Make sure of the unit."
        )
    large = int((largest_forces(data) > 1e3).sum())
    if large:
        warnings.append(
            f"{large} structures have forces above 1000 eV/Å: overlapping atoms, or another "
            f"unit than eV/Å. Look at the outliers."
        )
    net = _net_forces(data)
    pulled = int((net > NET_FORCE_LIMIT).sum())
    if pulled:
        warnings.append(
            f"{pulled} structures have forces that do not sum to zero (up to {net.max():.3g} "
            f"eV/Å per atom, {data.sources[int(net.argmax())]}): fixed atoms or noise?"
        )
    warnings.extend(str(suspect) for suspect in stress_suspects(data))
    return tuple(warnings)


def _robust_z(data: LabelledData) -> tuple[list[int], list[float]]:
    """Indices and deviations beyond ``Z_LIMIT``."""
    formulas = np.array([frame.get_chemical_formula(empirical=True) for frame in data.frames])
    indices, deviations = [], []
    for formula in np.unique(formulas):
        members = np.flatnonzero(formulas == formula)
        distance = np.abs(data.energy_per_atom[members] - np.median(data.energy_per_atom[members]))
        spread = max(1.4826 * float(np.median(distance)), 1e-3)  # eV/atom
        far = distance > Z_LIMIT * spread
        if len(members) >= LEAST_FOR_Z:
            indices.extend(int(index) for index in members[far])
            deviations.extend((distance[far] / spread).tolist())
    return indices, deviations


def _net_forces(data: LabelledData) -> np.ndarray:
    """Length of the summed force over the number of atoms, ``(n,)``, eV/Å."""
    return np.array(
        [0.0 if f is None else np.linalg.norm(f.sum(axis=0)) / len(f) for f in data.forces]
    )


def _same(one: Atoms, other: Atoms, tolerance: float) -> bool:
    if (one.pbc != other.pbc).any() or len(one) != len(other):
        return False
    if not np.allclose(_cell_invariants(one), _cell_invariants(other), atol=tolerance, rtol=0):
        return False
    if len(one) > 512:  # all distances would be too many: as listed, then
        return np.allclose(one.positions, other.positions, atol=tolerance)
    return np.allclose(_distances(one), _distances(other), atol=tolerance, rtol=0)


def _cell_invariants(frame: Atoms) -> np.ndarray:
    """Sorted lengths of the reduced cell's vectors and its cubic root volume, Å."""
    if not frame.pbc.any():
        return np.zeros(4)
    lengths = np.where(frame.pbc, np.linalg.norm(reduced_cell(frame), axis=1), 0.0)
    volume = abs(np.linalg.det(frame.cell.complete().array))
    return np.append(np.sort(lengths), volume ** (1 / 3))


def _distances(frame: Atoms) -> np.ndarray:
    """Distances of all pairs, to the nearest image, sorted within each pair of elements, Å."""
    if frame.pbc.any():
        frame = Atoms(frame.numbers, frame.positions, cell=reduced_cell(frame), pbc=frame.pbc)
    distances = frame.get_all_distances(mic=bool(frame.pbc.any()))
    first, second = np.triu_indices(len(frame), k=1)
    kinds = np.sort(np.stack([frame.numbers[first], frame.numbers[second]]), axis=0)
    lengths = distances[first, second]
    return lengths[np.lexsort((lengths, kinds[1], kinds[0]))]


def _element_set(frame: Atoms) -> str:
    return "-".join(sorted(set(frame.symbols)))


def _range(values: tuple[float, float] | None) -> str:
    return "none" if values is None else f"{values[0]:.4f} to {values[1]:.4f}"
