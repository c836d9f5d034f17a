"""Drift of the total energy of fcc Cu in dynamics without a thermostat, forces in float32.

ASE's velocity Verlet from 600 K on ideal sites, which settles at about 300 K. The drift is the
slope of a straight line through the energies after the first tenth of the steps.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from reference import arguments, machine


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("library", type=Path, help="has a stratum of Cu")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--timestep", type=float, default=2.0, help="fs")
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    from ase import units
    from ase.build import bulk
    from ase.md.velocitydistribution import Stationary, thermalize_momenta
    from ase.md.verlet import VelocityVerlet

    import stratal

    atoms = bulk("Cu", a=3.63, cubic=True) * (5, 5, 5)
    atoms.calc = stratal.load(options.library, precision=options.precision)
    thermalize_momenta(atoms, 600, rng=np.random.default_rng(0))
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, options.timestep * units.fs)
    rows: list[tuple[float, float, float]] = []

    def look() -> None:
        time_ps = dynamics.get_time() / (1000 * units.fs)
        rows.append((time_ps, 1e3 * atoms.get_total_energy() / len(atoms), atoms.get_temperature()))

    dynamics.attach(look, interval=10)
    began = time.perf_counter()
    dynamics.run(options.steps)
    seconds = time.perf_counter() - began
    times, energies, temperatures = np.array(rows)[len(rows) // 10 :].T
    slope, _ = np.polyfit(times, energies, 1)
    rest = energies - np.polyval(np.polyfit(times, energies, 1), times)
    print(
        f"{machine()}, {options.precision}: {len(atoms)} atoms, {options.steps} steps of "
        f"{options.timestep} fs at {temperatures.mean():.0f} K: drift {slope:+.5f} meV/atom/ps, "
        f"scatter {rest.std():.4f} meV/atom; {1e6 * seconds / options.steps / len(atoms):.1f} "
        f"µs per atom and step with ASE's own"
    )


if __name__ == "__main__":
    main()
