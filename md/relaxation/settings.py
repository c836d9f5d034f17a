"""Settings of relaxations: one field per key of the ``[relax]`` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase.units import GPa

from stratal.errors import InputError
from stratal.md.coordinates import Strain
from stratal.md.relaxation.entries import CELL_MODES, CellMode
from stratal.md.relaxation.fire import Fire
from stratal.md.relaxation.fire_then_lbfgs import FireThenLbfgs
from stratal.md.relaxation.lbfgs import Lbfgs
from stratal.md.relaxation.state import Minimizer

METHODS: dict[str, Minimizer] = {
    "fire then lbfgs": FireThenLbfgs(),
    "lbfgs": Lbfgs(),
    "fire": Fire(),
}


@dataclass(frozen=True)
class RelaxConfig:
    """How structures are relaxed; each field is a key of the ``[relax]`` table."""

    fmax: float = 0.01  # eV/Å, of atoms and of the cell's part
    cell: CellMode = "free"
    pressure_gpa: float = 0.0
    symmetry: bool = False  # keep the space group of each crystal
    # FIRE stays in the basin where a structure begins; L-BFGS takes a third of its steps, often to
    # another minimum. By default L-BFGS begins where FIRE has brought the forces below 0.1 eV/Å.
    method: Literal["fire then lbfgs", "lbfgs", "fire"] = "fire then lbfgs"
    max_steps: int = 1000  # evaluations of each structure
    precision: Literal["float64", "float32"] = "float64"
    skin: float = 0.4  # Å, of neighbor lists
    closest: float = 0.6  # in covalent radii of two atoms: minima with nearer ones are too close
    largest_grade: float = 2.0  # minima with an atom farther out are outside the domain
    slots: int | None = None  # structures at once; by default what the device is fast with

    def __post_init__(self) -> None:
        for key in ("fmax", "max_steps", "skin", "largest_grade"):
            if not getattr(self, key) > 0:
                raise InputError(f"relax.{key} = {getattr(self, key)}: give a number above 0.")
        if self.cell not in CELL_MODES:
            raise InputError(f"relax.cell = {self.cell!r}: give one of {', '.join(CELL_MODES)}.")
        if self.method not in METHODS:
            raise InputError(f"relax.method = {self.method!r}: give one of {', '.join(METHODS)}.")
        if self.precision not in ("float64", "float32"):
            raise InputError(f"relax.precision = {self.precision!r}: give float64 or float32.")
        if self.slots is not None and self.slots < 1:
            raise InputError(f"relax.slots = {self.slots}: give 1 or more.")

    @property
    def pressure(self) -> float:
        """eV/Å³."""
        return self.pressure_gpa * GPa

    @property
    def strain(self) -> Strain:
        """What of the free directions of a cell may change."""
        return self.cell if self.cell in ("fixed volume", "fixed shape") else "free"

    @property
    def minimizer(self) -> Minimizer:
        """The method."""
        return METHODS[self.method]
