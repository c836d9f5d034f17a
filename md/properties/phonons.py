"""Phonons through phonopy: its displacements evaluated as one batch, its objects returned.

A. Togo, L. Chaput, T. Tadano and I. Tanaka, J. Phys.: Condens. Matter 35, 353001 (2023).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phonopy
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.potentials.evaluate import Potential


@dataclass(frozen=True)
class Bands:
    """Frequencies along lines of the Brillouin zone."""

    distances: np.ndarray  # (n,), along the path, 1/Å
    frequencies: np.ndarray  # (n, n_modes), THz, ascending; negative ones are imaginary
    ticks: np.ndarray  # where special points lie along the path
    labels: tuple[str, ...]  # their names


@dataclass(frozen=True)
class Thermal:
    """Harmonic thermal properties of a primitive cell."""

    temperatures: np.ndarray  # (n,), K
    free_energy: np.ndarray  # (n,), eV
    entropy: np.ndarray  # (n,), eV/K
    heat_capacity: np.ndarray  # (n,), eV/K, at constant volume


def phonons(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    supercell: Sequence[int] | np.ndarray = (4, 4, 4),
    displacement: float = 0.01,
) -> Phonopy:
    """Force constants of a crystal by finite displacements.

    Args:
        crystal: at its equilibrium; its cell is phonopy's unit cell.
        source: a potential, or any ASE calculator.
        supercell: repeats, or a matrix ``(3, 3)``.
        displacement: Å.

    Returns:
        phonopy's object with force constants: bands, density of states and all else are methods
        of it; `frequencies_at` and `thermal` are for the most common.

    Raises:
        InputError: not a crystal, or forces on it at rest that displacements do not exceed.
    """
    return phonons_of([crystal], source, supercell, displacement)[0][0]


def phonons_of(
    crystals: Sequence[Atoms],
    source: Potential | BaseCalculator | Evaluator,
    supercell: Sequence[int] | np.ndarray = (4, 4, 4),
    displacement: float = 0.01,
) -> tuple[list[Phonopy], np.ndarray]:
    """`phonons` of several crystals: the displaced supercells of all are one batch.

    Returns:
        phonopy's objects with force constants, and the energies of their primitive cells,
        ``(n_crystals,)``, eV.
    """
    lattices = [displaced(crystal, supercell, displacement) for crystal in crystals]
    frames = [supercells_of(lattice) for lattice in lattices]
    found = evaluator(source).evaluate([atoms for own in frames for atoms in own])
    ends = np.cumsum([len(own) for own in frames])
    firsts = np.array([0, *ends[:-1]])
    for crystal, lattice, first, end in zip(crystals, lattices, firsts, ends, strict=True):
        set_forces(lattice, found.forces[first:end], crystal.get_chemical_formula())
    parts = np.array([len(each.primitive) / len(each.supercell) for each in lattices])
    return lattices, found.energy[firsts] * parts


def displaced(
    crystal: Atoms, supercell: Sequence[int] | np.ndarray, displacement: float
) -> Phonopy:
    """A crystal with the displacements that phonopy wants for it.

    Raises:
        InputError: not periodic in three directions.
    """
    if not crystal.pbc.all():
        raise InputError(
            f"{crystal.get_chemical_formula()}: phonons are of crystals, periodic in three "
            f"directions."
        )
    matrix = np.diag(supercell) if np.ndim(supercell) == 1 else np.asarray(supercell)
    unit = PhonopyAtoms(
        symbols=crystal.get_chemical_symbols(),
        cell=crystal.cell.array,
        scaled_positions=crystal.get_scaled_positions(),
        masses=crystal.get_masses(),
    )
    with warnings.catch_warnings():  # that the primitive cell is found by phonopy is what is wanted
        warnings.filterwarnings("ignore", "primitive_matrix defaulted")
        found = Phonopy(unit, matrix, primitive_matrix="auto", log_level=0)
    found.generate_displacements(distance=displacement)
    return found


def supercells_of(found: Phonopy) -> list[Atoms]:
    """The supercell at rest, then those with displacements."""
    cells = found.supercells_with_displacements or []
    return [as_atoms(found.supercell), *(as_atoms(cell) for cell in cells if cell is not None)]


def set_forces(found: Phonopy, forces: Sequence[np.ndarray], name: str) -> None:
    """Force constants from the forces on `supercells_of`.

    Args:
        found: from `displaced`; changed.
        forces: at rest, then of each displacement, eV/Å.
        name: of the crystal, for errors.

    Raises:
        InputError: forces at rest exceed those of the displacements.
    """
    at_rest, *others = forces
    # What rounding or an unfinished relaxation leaves at rest is no force of the displacement.
    differences = np.array([each - at_rest for each in others])
    if np.abs(at_rest).max() > np.abs(differences).max():
        raise InputError(
            f"{name}: forces of {np.abs(at_rest).max():.2g} eV/Å at rest exceed those of "
            f"displacements. Relax the crystal first."
        )
    found.forces = differences
    found.produce_force_constants()
    found.symmetrize_force_constants()


def read_phonons(path: str | Path) -> Phonopy:
    """Force constants from phonopy's YAML, such as ``stratal phonons`` writes.

    Raises:
        InputError: no such file, not of phonopy, no forces in it.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected phonopy's YAML. Correct the path.")
    try:
        found = phonopy.load(path, log_level=0)
    except Exception as error:  # its parser raises many kinds
        raise InputError(
            f"{path}: phonopy cannot read it ({type(error).__name__}: {error}). Give the YAML that "
            f"stratal phonons or phonopy wrote."
        ) from error
    if found.force_constants is None:
        raise InputError(
            f"{path}: no force constants in it. Write it with stratal phonons, or with phonopy's "
            f"--include-fc."
        )
    return found


def frequencies_at(found: Phonopy, points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Frequencies ``(n_points, n_modes)``, THz, ascending; negative ones are imaginary.

    Args:
        found: from `phonons`.
        points: in reciprocal lattice vectors of the primitive cell.
    """
    found.run_qpoints(np.atleast_2d(points))
    assert found.qpoints is not None  # they were run
    return np.sort(found.qpoints.frequencies, axis=1)


def bands(found: Phonopy, n_points: int = 200) -> Bands:
    """Frequencies along ASE's path through the special points of the primitive cell's lattice."""
    path = as_atoms(found.primitive).cell.bandpath(npoints=n_points)
    distances, ticks, labels = path.get_linear_kpoint_axis()
    places: dict[float, str] = {}
    for tick, label in zip(ticks, labels, strict=True):  # where the path jumps, two share a place
        place = float(tick)
        places[place] = f"{places[place]}|{label}" if place in places else label
    names = tuple(label.replace("G", "Γ") for label in places.values())
    return Bands(distances, frequencies_at(found, path.kpts), np.array(list(places)), names)


def density_of_states(found: Phonopy, mesh: Sequence[int] = (20, 20, 20)) -> np.ndarray:
    """Frequencies (THz) and the density of states (1/THz by primitive cell), ``(2, n)``."""
    found.run_mesh(mesh, is_gamma_center=True)
    found.run_total_dos()
    assert found.total_dos is not None  # it was run
    return np.array([found.total_dos.frequency_points, found.total_dos.dos])


def thermal(
    found: Phonopy, temperatures: Sequence[float] | np.ndarray, mesh: Sequence[int] = (20, 20, 20)
) -> Thermal:
    """Harmonic free energy, entropy and heat capacity of the primitive cell.

    Args:
        found: from `phonons`.
        temperatures: K.
        mesh: of points in the Brillouin zone.
    """
    found.run_mesh(mesh, is_gamma_center=True)  # a shift would break the symmetry of some meshes
    kelvin = np.asarray(temperatures, float)
    found.run_thermal_properties(temperatures=kelvin, exclude_gamma_acoustic=True)
    values = found.thermal_properties
    assert values is not None  # they were run
    kilojoule = units.kJ / units.mol
    return Thermal(
        np.asarray(values.temperatures),
        np.asarray(values.free_energy) * kilojoule,
        1e-3 * np.asarray(values.entropy) * kilojoule,
        1e-3 * np.asarray(values.heat_capacity) * kilojoule,
    )


def as_atoms(cell: PhonopyAtoms) -> Atoms:
    """A cell of phonopy's as ASE has it."""
    return Atoms(cell.symbols, scaled_positions=cell.scaled_positions, cell=cell.cell, pbc=True)
