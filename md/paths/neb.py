"""`minimum_energy_paths`: from one minimum to another over the lowest pass.

Example::

    (path,) = minimum_energy_paths([(initial, final)], potential)
    print(path.barrier)  # eV
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB
from ase.optimize import FIRE
from ase.utils.forcecurve import ForceFit, fit_raw

from stratal.errors import InputError
from stratal.md.paths.nudging import LONGEST_STEP, NEBConfig, Nudging
from stratal.md.relaxation.entries import Entry
from stratal.potentials.batch import predict_frames
from stratal.potentials.evaluate import Potential, in_precision


@dataclass(frozen=True)
class Path:
    """Images along a path of least energy."""

    images: list[Atoms]  # with energies and forces, the two ends first and last
    energies: np.ndarray  # (n_images,), eV
    converged: bool
    largest: float  # eV/Å, the largest force across the path, or along it on what climbs
    n_steps: int

    @property
    def barrier(self) -> float:
        """Of the highest image above the first, eV."""
        return float(self.energies.max() - self.energies[0])

    @property
    def reverse_barrier(self) -> float:
        """Of the highest image above the last, eV."""
        return float(self.energies.max() - self.energies[-1])

    @property
    def fit(self) -> ForceFit:
        """ASE's curve through energies and forces, against the length of the path."""
        return fit_raw(
            self.energies - self.energies[0],
            np.array([image.get_forces() for image in self.images]),
            [image.positions for image in self.images],
            self.images[0].cell,
            self.images[0].pbc,
        )


def minimum_energy_paths(
    ends: Sequence[Sequence[Atoms]],
    source: Potential | BaseCalculator,
    config: NEBConfig | None = None,
    **settings: Any,
) -> list[Path]:
    """Paths of least energy between minima, all images of all paths at once.

    Args:
        ends: for each path its first and last structure, minima in one cell with atoms in one
            order; or all images of a path that is known in part. Atoms that ``FixAtoms`` holds
            stay.
        source: a potential, or any ASE calculator (then one path after the other, by ASE's NEB).
        config: how; `NEBConfig` tells what can be set.
        settings: its fields by name, instead.

    Returns:
        paths in the order of the ends; one that Ctrl-C cut short is not converged.

    Raises:
        InputError: ends of different cells or atoms, settings out of range, a path that explodes.
    """
    config = replace(config or NEBConfig(), **settings)
    bands = [band_between(given, config, number) for number, given in enumerate(ends)]
    if not bands:
        return []
    if isinstance(source, BaseCalculator):
        return [by_calculator(band, source, config) for band in bands]
    with jax.enable_x64(True):
        return by_potential(bands, cast(Potential, source), config)


def band_between(given: Sequence[Atoms], config: NEBConfig, number: int) -> list[Atoms]:
    """The first band: images as given, or between two ends.

    Raises:
        InputError: ends that no path can join.
    """
    first, where = given[0], f"path {number}"
    if len(given) < 2:
        raise InputError(f"{where}: {len(given)} structure; give its first and its last.")
    for image in given[1:]:
        if len(image) != len(first) or (image.numbers != first.numbers).any():
            raise InputError(
                f"{where}: atoms of {image.get_chemical_formula()} are not those of "
                f"{first.get_chemical_formula()} in the same order. Bring them into one order."
            )
        if not np.allclose(image.cell.array, first.cell.array) or (image.pbc != first.pbc).any():
            raise InputError(f"{where}: the cells differ. Give both ends in one cell.")
    if len(given) > 2:
        return [image.copy() for image in given]
    band = [first.copy() for _ in range(config.n_images + 1)] + [given[1].copy()]
    NEB(band, method="improvedtangent").interpolate(
        config.interpolation, mic=bool(first.pbc.any()), apply_constraint=False
    )
    return band


def by_potential(bands: list[list[Atoms]], potential: Potential, config: NEBConfig) -> list[Path]:
    """All bands side by side on this process's device."""
    n_images = len(bands[0])
    if any(len(band) != n_images for band in bands):
        raise InputError("paths with different numbers of images. Give them one after the other.")
    potential = in_precision(potential, "float64")
    images = [image for band in bands for image in band]
    entries = [
        Entry.of(number, image, potential.elements, "fixed") for number, image in enumerate(images)
    ]
    run = Nudging(potential, entries, n_images, config)
    run.until_done()
    state = run.bands
    found = run.positions()
    for image, positions in zip(images, found, strict=True):
        image.set_positions(positions, apply_constraint=False)
    results = predict_frames(images, lambda _: potential)
    paths = []
    for number in range(len(bands)):
        own = slice(number * n_images, (number + 1) * n_images)
        known = zip(images[own], results.energy[own], results.forces[own], strict=True)
        paths.append(
            Path(
                images=[with_results(*one) for one in known],
                energies=results.energy[own],
                converged=not bool(state.running[number]),
                largest=float(state.largest[number]),
                n_steps=int(state.n_steps[number]),
            )
        )
    return paths


def by_calculator(band: list[Atoms], calculator: BaseCalculator, config: NEBConfig) -> Path:
    """ASE's NEB with the same tangents, springs and climbing."""
    for image in band:
        image.calc = calculator
    neb = NEB(band, k=config.spring, method="improvedtangent", allow_shared_calculator=True)
    optimizer = FIRE(cast(Any, neb), logfile=None, maxstep=LONGEST_STEP)
    converged = bool(optimizer.run(fmax=max(config.fmax, config.climb_below)))
    if config.climb_below:
        neb.climb = True
        converged = bool(optimizer.run(fmax=config.fmax, steps=config.max_steps))
    largest = float(np.sqrt((neb.get_forces() ** 2).sum(axis=1).max()))
    images = []
    for image in band:
        energy, forces = image.get_potential_energy(), image.get_forces(apply_constraint=False)
        images.append(with_results(image, energy, forces))
    energies = np.array([image.get_potential_energy() for image in images])
    return Path(images, energies, converged, largest, optimizer.nsteps)


def with_results(image: Atoms, energy: float, forces: np.ndarray) -> Atoms:
    """A copy that knows its energy (eV) and forces (eV/Å)."""
    atoms = image.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces)
    return atoms
