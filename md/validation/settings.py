"""Settings of validation: what is computed, and how far off is too far."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from stratal.errors import InputError

Kind = Literal[
    "lattice",
    "volume",
    "bulk_modulus",
    "elastic",
    "phonon",
    "point_defect",
    "surface",
    "fault",
    "phase",
    "formation",
]
# Limits of these kinds are in meV/atom or mJ/m²; of all others in percent of the reference.
ABSOLUTE: dict[str, tuple[str, float]] = {
    "fault": ("mJ/m²", 1.0),
    "phase": ("meV/atom", 1e3),
    "formation": ("meV/atom", 1e3),
}


@dataclass(frozen=True)
class Thresholds:
    """Up to where a deviation is green; amber up to twice that. Keys of ``[thresholds]``."""

    lattice: float = 0.5  # %
    volume: float = 1.5  # %
    bulk_modulus: float = 8.0  # %
    elastic: float = 12.0  # %
    phonon: float = 5.0  # %
    point_defect: float = 10.0  # %
    surface: float = 10.0  # %
    fault: float = 10.0  # mJ/m²
    phase: float = 15.0  # meV/atom
    formation: float = 15.0  # meV/atom; a wrong sign is red

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise InputError(
                    f"thresholds.{each.name} = {getattr(self, each.name)}: give a number above 0."
                )


@dataclass(frozen=True)
class ValidationConfig:
    """What is computed; each field is a key of the ``[validate]`` table."""

    # Crystal of each element, such as Cu = "A1"; by default that of nature.
    structures: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, float] = field(default_factory=dict)  # to begin at, Å³ per atom
    skip: tuple[str, ...] = ()  # groups of properties that are left out
    strain: float = 4e-3  # of elastic constants
    supercell: int = 2  # repeats of conventional cells, for phonons
    displacement: float = 0.02  # Å, for phonons
    repeats: int = 2  # of conventional cells, for point defects
    layers: int = 9  # of slabs and of faults
    fmax: float = 1e-3  # eV/Å

    def __post_init__(self) -> None:
        for key in ("strain", "supercell", "displacement", "repeats", "layers", "fmax"):
            if not getattr(self, key) > 0:
                raise InputError(f"validate.{key} = {getattr(self, key)}: give a number above 0.")
