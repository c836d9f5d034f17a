"""Quasi-harmonic approximation: harmonic phonons at several volumes give thermal expansion.

At each temperature the Helmholtz free energy, E(V) + F_phonon(V, T), is fitted by Vinet's curve;
its minimum is Gibbs's free energy at zero pressure. phonopy does all of it (`phonopy.run_qha`).
A. Togo, L. Chaput, I. Tanaka and G. Hug, Phys. Rev. B 81, 174301 (2010).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from phonopy import Phonopy, QHAResult, run_qha

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator, evaluator
from stratal.md.properties.equation_of_state import AtVolume, check_crystal, scaled
from stratal.md.properties.phonons import phonons_of
from stratal.potentials.evaluate import Potential

FEWEST = 5  # volumes, as phonopy's fits need
STEP = 5.0  # K, at most, over which derivatives with temperature are taken
IMAGINARY = -0.05  # THz; what is lower is no rounding


@dataclass(frozen=True)
class QuasiHarmonic:
    """Thermal properties of a primitive cell at zero pressure."""

    temperatures: np.ndarray  # (n,), K
    volume: np.ndarray  # (n,), Å³
    thermal_expansion: np.ndarray  # (n,), of the volume, 1/K
    bulk_modulus: np.ndarray  # (n,), isothermal, eV/Å³
    gibbs_energy: np.ndarray  # (n,), eV
    entropy: np.ndarray  # (n,), eV/K
    heat_capacity: np.ndarray  # (n,), at constant pressure, eV/K
    gruneisen: np.ndarray  # (n,), Grüneisen's thermodynamic parameter; 0 at 0 K
    volumes: np.ndarray  # (n_volumes,), at which phonons were computed, Å³
    free_energies: np.ndarray  # (n, n_volumes), Helmholtz's, eV
    n_atoms: int  # of the primitive cell

    @property
    def bulk_modulus_gpa(self) -> np.ndarray:
        """``(n,)``, GPa."""
        return self.bulk_modulus / units.GPa


def quasi_harmonic(
    crystal: Atoms,
    source: Potential | BaseCalculator | Evaluator,
    temperatures: Sequence[float] | np.ndarray,
    supercell: Sequence[int] | np.ndarray = (4, 4, 4),
    strain: tuple[float, float] = (-0.01, 0.03),
    n_volumes: int = 7,
    relax: AtVolume | None = "fixed volume",
    fmax: float = 1e-4,
    displacement: float = 0.01,
    mesh: Sequence[int] = (21, 21, 21),
) -> QuasiHarmonic:
    """Thermal properties at constant pressure, from phonons at several volumes.

    The displaced supercells of all volumes are evaluated at once.

    Args:
        crystal: at the minimum of its energy; its cell is phonopy's unit cell.
        source: a potential, or any ASE calculator.
        temperatures: ascending, K.
        supercell: repeats, or a matrix ``(3, 3)``.
        strain: of lengths, the smallest and the largest volume.
        n_volumes: between these.
        relax: what relaxes at each volume: atoms (``"fixed"``), the cell's shape as well
            (``"fixed volume"``), nothing (None).
        fmax: of that relaxation, eV/Å.
        displacement: Å.
        mesh: of points in the Brillouin zone; odd numbers keep the symmetry of every lattice.

    Raises:
        InputError: not a crystal, settings out of range, imaginary frequencies at a volume, a
            temperature at which the crystal grows beyond the volumes.
    """
    check_crystal(crystal)
    check_settings(temperatures, strain, n_volumes)
    evaluate = evaluator(source)
    frames = [scaled(crystal, 1 + each) for each in np.linspace(*strain, n_volumes)]
    frames = evaluate.relaxed(frames, fmax, relax) if relax else frames
    lattices, energies = phonons_of(frames, evaluate, supercell, displacement)
    name = crystal.get_chemical_formula()
    check_frequencies(lattices, mesh, name)
    grid = grid_around(temperatures)
    found = fitted(lattices, energies, grid, mesh, name)
    asked = np.searchsorted(grid, np.round(temperatures, 6))
    check_volumes(found, asked, len(lattices[0].primitive), name)
    return QuasiHarmonic(
        temperatures=found.temperatures[asked],
        volume=found.equilibrium_volumes[asked],
        thermal_expansion=found.thermal_expansion[asked],
        bulk_modulus=found.bulk_moduli[asked],
        gibbs_energy=found.gibbs_free_energies[asked],
        entropy=found.entropy_temperature[asked],
        heat_capacity=found.heat_capacity_P.heat_capacities[asked],
        gruneisen=found.gruneisen_parameters[asked],
        volumes=found.volumes,
        free_energies=found.helmholtz_volume[asked],
        n_atoms=len(lattices[0].primitive),
    )


def check_settings(
    temperatures: Sequence[float] | np.ndarray, strain: tuple[float, float], n_volumes: int
) -> None:
    """Refuse what cannot be computed.

    Raises:
        InputError: names the setting.
    """
    kelvin = np.asarray(temperatures, float)
    if kelvin.ndim != 1 or not kelvin.size or (np.diff(kelvin) <= 0).any() or kelvin[0] < 0:
        raise InputError(f"temperatures {kelvin}: give a list of ascending ones from 0 K on.")
    if n_volumes < FEWEST:
        raise InputError(f"quasi-harmonic: {n_volumes} volumes; give {FEWEST} or more.")
    if not -1 < strain[0] < 0 < strain[1]:
        raise InputError(
            f"quasi-harmonic: strains from {strain[0]} to {strain[1]}; give one below and one "
            f"above 0, such as -0.01 and 0.03."
        )


def grid_around(temperatures: Sequence[float] | np.ndarray) -> np.ndarray:
    """These temperatures and two as near to each, for derivatives, and one beyond, ascending, K."""
    kelvin = np.asarray(temperatures, float)
    gaps = np.diff([-np.inf, *kelvin, np.inf])
    # Much vanishes as the third power of the temperature: there steps are short.
    steps = np.min([np.full(len(kelvin), STEP), kelvin / 4, gaps[:-1] / 2, gaps[1:] / 2], axis=0)
    near = [*(kelvin - steps), *kelvin, *(kelvin + steps), *(kelvin[-1] + STEP * np.array([1, 2]))]
    return np.unique(np.round(near, 6))


def check_frequencies(lattices: Sequence[Phonopy], mesh: Sequence[int], name: str) -> None:
    """Refuse a crystal with modes that have no free energy.

    Raises:
        InputError: names the volumes.
    """
    lowest = np.array([lowest_frequency(lattice, mesh) for lattice in lattices])
    volumes = [lattice.primitive.volume / len(lattice.primitive) for lattice in lattices]
    unstable = [n for n, frequency in enumerate(lowest) if frequency < IMAGINARY]
    if unstable:
        where = ", ".join(f"{volumes[n]:.2f}" for n in unstable)
        raise InputError(
            f"{name}: imaginary frequencies (down to {-lowest.min():.2f} i THz) at volumes of "
            f"{where} Å³ per atom, of {len(lattices)} volumes from {volumes[0]:.2f} to "
            f"{volumes[-1]:.2f}. Where only large volumes are unstable, give a smaller largest "
            f"strain and lower temperatures; else relax the crystal, give a larger supercell, or "
            f"another structure: this one is not stable."
        )


def lowest_frequency(lattice: Phonopy, mesh: Sequence[int]) -> float:
    """On the points of a mesh, THz; negative if imaginary."""
    return float(lattice.run_mesh(mesh).frequencies.min())


def fitted(
    lattices: Sequence[Phonopy],
    energies: np.ndarray,
    temperatures: np.ndarray,
    mesh: Sequence[int],
    name: str,
) -> QHAResult:
    """What phonopy makes of phonons at several volumes.

    Args:
        lattices: with force constants, one for each volume.
        energies: of the primitive cells, ``(n_volumes,)``, eV.
        temperatures: K; the last is used up by derivatives.
        mesh: of points in the Brillouin zone.
        name: of the crystal, for errors.

    Raises:
        InputError: no curve can be laid through the free energies of a temperature.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Lattice parameter")  # they are not asked for
        warnings.filterwarnings("error", "EOS fitting failed")
        try:
            return run_qha(lattices, temperatures, energies, mesh=mesh, exclude_gamma_acoustic=True)
        except (UserWarning, RuntimeError) as error:
            raise InputError(
                f"{name}: {error} Give strains around the minimum of the energy, more volumes, or "
                f"lower temperatures."
            ) from error


def check_volumes(found: QHAResult, asked: np.ndarray, n_atoms: int, name: str) -> None:
    """Refuse extrapolation.

    Raises:
        InputError: names the first temperature whose volume lies beyond those computed.
    """
    at, (smallest, *_, largest) = found.equilibrium_volumes[asked], np.sort(found.volumes)
    beyond = (at < smallest) | (at > largest)
    if beyond.any():
        first = int(np.argmax(beyond))
        raise InputError(
            f"{name}: at {found.temperatures[asked][first]:g} K its volume of "
            f"{at[first] / n_atoms:.2f} Å³ per atom lies beyond those computed, "
            f"{smallest / n_atoms:.2f} to {largest / n_atoms:.2f}. Give a larger strain to that "
            f"side, or other temperatures."
        )
