"""Whether structures are the same: radial distributions as vectors, and pymatgen's matcher.

The fingerprint of a structure is its distances, smeared by Gaussians, for each pair of species;
the similarity of two is the cosine of the angle between them, in [0, 1]. It changes with no
rotation, translation, order of atoms or choice of cell.
S. Hajinazar, A. Thorn, E. D. Sandoval, S. Kharabadze and A. N. Kolmogorov, Comput. Phys. Commun.
259, 107679 (2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.md.structures.radial_distribution import PairLengths, pair_lengths, species_pairs

TAIL = 4  # widths after which a Gaussian is cut
AT_ONCE = 256  # structures whose distances are held together


@dataclass(frozen=True)
class Smearing:
    """How distances become a vector. MAISE's: ``Smearing(6.0, 5.94, 0.008)``."""

    cutoff: float = 6.0  # Å
    fade: float = 5.0  # Å, from where weights fall to 0 at the cutoff
    width: float = 0.05  # Å, standard deviation of the Gaussians

    def __post_init__(self) -> None:
        if not (0 < self.width and 0 <= self.fade < self.cutoff):
            raise InputError(
                f"smearing: cutoff = {self.cutoff}, fade = {self.fade}, width = {self.width} Å; "
                f"expected 0 <= fade < cutoff and a width above 0. Correct them."
            )

    @property
    def points(self) -> np.ndarray:
        """Distances (Å) at which the smeared distribution is taken, ``(n_points,)``.

        Half a width apart: sums over them are then integrals to rounding.
        """
        return 0.5 * self.width * np.arange(int(2 * self.cutoff / self.width) + 1)

    @property
    def weights(self) -> np.ndarray:
        """Of the points, ``(n_points,)``: 1, and a quarter of a cosine from ``fade`` on."""
        beyond = np.clip((self.points - self.fade) / (self.cutoff - self.fade), 0, 1)
        return np.cos(0.5 * np.pi * beyond)


class Match(NamedTuple):
    """What the matcher says of two crystals."""

    same: bool
    rms: float | None  # of the atoms' displacements, over the cube root of the volume per atom


class Comparison(NamedTuple):
    """Two structures beside each other."""

    first: int
    second: int
    similarity: float  # 0 to 1
    match: Match | None  # None: not looked at, or not crystals


def fingerprints(
    frames: Sequence[Atoms],
    smearing: Smearing | None = None,
    elements: Sequence[int] | None = None,
    volume: float | None = None,
) -> np.ndarray:
    """Vectors ``(n_structures, n_pairs * n_points)`` of length 1; 0 without atoms in reach.

    Args:
        frames: structures, periodic or not.
        smearing: of distances; the default by default.
        elements: atomic numbers to whose pairs the vectors belong; those present by default.
            Vectors of one choice can be compared.
        volume: Å³ per atom to which all are scaled first; None: they stay as they are.

    Raises:
        InputError: an element that is not among ``elements``, a structure that cannot be scaled.
    """
    smearing = smearing or Smearing()
    if volume is not None:
        frames = [scaled_to(frame, volume) for frame in frames]
    present = {int(z) for frame in frames for z in frame.numbers}
    known = sorted(present if elements is None else set(elements))
    n_pairs = len(species_pairs(len(known)))
    vectors = np.zeros((len(frames), n_pairs * len(smearing.points)))
    for first in range(0, len(frames), AT_ONCE):
        part = frames[first : first + AT_ONCE]
        found = pair_lengths(Structures.from_atoms(part, known), smearing.cutoff)
        smeared = _smeared(found, len(part), n_pairs, smearing)
        vectors[first : first + len(part)] = smeared.reshape(len(part), -1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=vectors, where=lengths > 0)


def similarities(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines ``(n_first, n_second)`` of fingerprints; 1 for the same structure."""
    return np.clip(first @ second.T, 0.0, 1.0)  # rounding may pass 1


def scaled_to(atoms: Atoms, volume: float) -> Atoms:
    """The crystal scaled to this volume per atom, Å³.

    Raises:
        InputError: not a crystal.
    """
    scaled = atoms.copy()
    factor = (volume / volume_per_atom(atoms)) ** (1 / 3)
    scaled.set_cell(factor * atoms.cell.array, scale_atoms=True)
    return scaled


def volume_per_atom(atoms: Atoms) -> float:
    """Of a crystal, Å³.

    Raises:
        InputError: not a crystal.
    """
    if not atoms.pbc.all():
        raise InputError(
            f"{atoms.get_chemical_formula()}: not periodic in three directions, so that it has no "
            f"volume to scale. Compare it without scaling."
        )
    return float(atoms.cell.volume / len(atoms))


def matcher(scale: bool = False) -> Any:
    """The ``StructureMatcher`` of pymatgen with its tolerances, which compares primitive cells.

    Args:
        scale: both to the same volume per atom.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(scale=scale)


def matched(first: Atoms, second: Atoms, using: Any) -> Match | None:
    """What a `matcher` says of two structures; None unless both are crystals."""
    from pymatgen.core import Structure

    if not (first.pbc.all() and second.pbc.all()):
        return None
    both = [
        Structure(atoms.cell.array, list(atoms.symbols), atoms.get_scaled_positions())
        for atoms in (first, second)
    ]
    distances = using.get_rms_dist(*both)
    return Match(False, None) if distances is None else Match(True, float(distances[0]))


def compare(
    first: Sequence[Atoms],
    second: Sequence[Atoms],
    smearing: Smearing | None = None,
    scale: bool = False,
    match: bool = True,
) -> Iterator[Comparison]:
    """Compare each structure of a set with each of another.

    Args:
        first: structures.
        second: structures.
        smearing: of distances.
        scale: all to their mean volume per atom.
        match: ask pymatgen's matcher too, some milliseconds for each pair.

    Raises:
        InputError: no element in common, a structure whose atoms are not within reach of any.
    """
    frames = [*first, *second]
    own, other = ({s for frame in part for s in frame.symbols} for part in (first, second))
    if not own & other:
        raise InputError(
            f"{', '.join(sorted(own))} and {', '.join(sorted(other))}: no element in common; "
            f"expected structures that share some. Compare others."
        )
    volume = float(np.mean([volume_per_atom(frame) for frame in frames])) if scale else None
    vectors = fingerprints(frames, smearing, volume=volume)
    if len(alone := np.flatnonzero(~vectors.any(axis=1))):
        raise InputError(
            f"{frames[alone[0]].get_chemical_formula()}: no two atoms within the cutoff. Give a "
            f"larger one."
        )
    using = matcher(scale) if match else None
    cosines = similarities(vectors[: len(first)], vectors[len(first) :])
    for (a, b), cosine in np.ndenumerate(cosines):
        verdict = matched(first[a], second[b], using) if using else None
        yield Comparison(a, b, float(cosine), verdict)


def _smeared(found: PairLengths, n_systems: int, n_pairs: int, smearing: Smearing) -> np.ndarray:
    """Sums of Gaussians at the points, ``(n_systems, n_pairs, n_points)``."""
    points, weights = smearing.points, smearing.weights
    spacing, reach = 0.5 * smearing.width, 2 * TAIL
    nearest = np.round(found.lengths / spacing).astype(int)
    n_wide = len(points) + 2 * reach + 1  # with what lies before 0 and after the cutoff
    row = (found.systems * n_pairs + found.pairs) * n_wide + reach
    sums = np.zeros(n_systems * n_pairs * n_wide)
    for step in range(-reach, reach + 1):
        point = nearest + step
        apart = (found.lengths - point * spacing) / smearing.width
        sums += np.bincount(row + point, np.exp(-0.5 * apart**2), len(sums))
    inside = sums.reshape(n_systems, n_pairs, n_wide)[..., reach : reach + len(points)]
    return inside * weights
