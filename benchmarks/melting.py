"""Melting point of a Lennard-Jones crystal by coexistence, beside the published one.

The potential is that of Broughton and Gilmer, cut at 2.5 sigma with continuous forces (J. Chem.
Phys. 79, 5095 (1983)): T* = 0.617 at p* = -0.02 (R. L. Davidchack and B. B. Laird, J. Chem. Phys.
118, 7651 (2003)). With all pairs at any distance it is T* = 0.694 (E. A. Mastny and J. J. de Pablo,
J. Chem. Phys. 127, 104504 (2007)): the cutoff matters, and only the same potential compares.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
from reference import machine, one_core

SIGMA, KELVIN = 3.405, 119.8  # Å and K, epsilon over Boltzmann's constant: argon's
OUTER, INNER = 2.5, 2.3  # sigma
PUBLISHED, PRESSURE = 0.617, -0.02  # T*, p*


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BroughtonGilmer:
    """4 (r^-12 - r^-6) + C1 up to 2.3, C2 r^-12 + C3 r^-6 + C4 r^2 + C5 up to 2.5 sigma."""

    strictly_local: ClassVar[bool] = True
    epsilon: float  # eV
    elements: tuple[int, ...] = field(default=(18,), metadata={"static": True})
    cutoff: float = field(default=OUTER * SIGMA, metadata={"static": True})  # Å

    def energies(self, structures, neighbors, displacements: jax.Array) -> jax.Array:
        """Atomic energies, ``(n_atoms,)``, eV."""
        from stratal.potentials.analytic.pairs import pair_distances

        del structures, neighbors
        distances, within = pair_distances(displacements, self.cutoff)
        r = distances / SIGMA
        sixth = r**-6
        near = 4 * (sixth**2 - sixth) + 0.016132
        far = 3136.6 * sixth**2 - 68.069 * sixth - 0.083312 * r**2 + 0.74689
        pair = jnp.where(r <= INNER, near, far)
        return 0.5 * self.epsilon * jnp.where(within, pair, 0).sum(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atoms", type=int, default=1000, help="about")
    parser.add_argument("--steps", type=int, default=15_000, help="of coexistence")
    parser.add_argument("--guess", type=float, default=0.9, help="over the published value")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for the runs; kept, and resumed from")
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    one_core()
    with tempfile.TemporaryDirectory() as temporary:
        measure(options, options.folder or Path(temporary))


def measure(options, folder: Path) -> None:
    from ase import units
    from ase.build import bulk

    from stratal.md import MDConfig
    from stratal.md.melting.coexistence import MeltingConfig, elongated, melting_point

    epsilon = KELVIN * units.kB
    unit = epsilon / SIGMA**3 / units.GPa  # of pressure, GPa
    crystal = elongated(bulk("Ar", a=1.63 * SIGMA, cubic=True), options.atoms)
    motion = MDConfig(
        timestep=10.0,
        relaxation_time=1000.0,
        cell_relaxation_time=5000.0,
        compressibility=1.0,
        precision="float32",
        seed=options.seed,
    )
    config = MeltingConfig(
        guess=options.guess * PUBLISHED * KELVIN,
        pressure_gpa=PRESSURE * unit,
        equilibration=3000,
        steps=options.steps,
        motion=motion,
    )
    began = time.process_time()
    found = melting_point(crystal, BroughtonGilmer(epsilon), config, folder)
    seconds = time.process_time() - began
    print(f"{machine()}; {len(crystal)} atoms, {options.steps} steps")
    for trial in found.trials:
        print(f"T* = {trial.temperature / KELVIN:.3f}: {trial.verdict}")
        for one in trial.systems:
            kelvin, error = (value / KELVIN for value in one.temperature)
            across, across_error = (value / unit for value in one.pressure_gpa)
            print(
                f"    T* {kelvin:.4f} ± {error:.4f}   p* {across:+.3f} ± {across_error:.3f}   "
                f"crystal {100 * one.shares.min():.0f} to {100 * one.shares.max():.0f} %"
            )
    value, error = (value / KELVIN for value in found.temperature)
    print(
        f"T* at p* = {PRESSURE}: measured {value:.4f} ± {error:.4f}, published {PUBLISHED}: "
        f"ratio {value / PUBLISHED:.3f}; dT*/dp* {found.slope.value * unit / KELVIN:.3f} ± "
        f"{found.slope.error * unit / KELVIN:.3f}; {seconds:.0f} s of processor time"
    )


if __name__ == "__main__":
    main()
