"""Order-disorder temperature of a square lattice by semi-grand Monte Carlo, beside the exact one.

Pairs of nearest neighbors, lower by 2 J between unlike atoms, at equal chemical potentials: the
antiferromagnetic Ising model, ordered below k T = 2 J / ln(1 + sqrt(2)) (L. Onsager, Phys. Rev. 65,
117 (1944)). The cumulants of the order parameter of two sizes cross there (K. Binder, Z. Phys. B
43, 119 (1981)).
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
from reference import arguments, machine

SPACING, COUPLING = 2.5, 0.05  # Å, eV


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=(6, 12), help="sites along each side")
    parser.add_argument("--sweeps", type=int, default=4000)
    parser.add_argument("--replicas", type=int, default=8)
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    from ase.units import kB

    exact = 2 * COUPLING / (np.log(1 + np.sqrt(2)) * kB)
    kelvin = exact * np.linspace(0.97, 1.03, 7)
    small, large = (cumulants(size, kelvin, options) for size in options.sizes)
    below, slope = np.polyfit(kelvin / exact - 1, large - small, 1)[::-1]
    found = exact * (1 - below / slope)
    print(
        f"{machine()}; sizes {options.sizes}, {options.sweeps} sweeps, {options.replicas} replicas"
    )
    print(f"{'T / exact':>10} {'U small':>8} {'U large':>8}")
    for row in zip(kelvin / exact, small, large, strict=True):
        print("{:10.3f} {:8.4f} {:8.4f}".format(*row))
    print(f"crossing at {found:.1f} K, exact {exact:.1f} K: {100 * (found / exact - 1):+.2f} %")


def cumulants(size: int, kelvin: np.ndarray, options) -> np.ndarray:
    """Binder's cumulant of the order parameter at each temperature."""
    from ase import Atoms

    from stratal.md import MCConfig, run_mc
    from stratal.potentials.analytic import LennardJones

    sites = np.array([(x, y, 0) for x in range(size) for y in range(size)])
    symbols = np.where(sites.sum(axis=1) % 2, "Cu", "Ag")
    cell = [size * SPACING, size * SPACING, 10.0]
    lattice = Atoms(symbols, SPACING * sites, cell=cell, pbc=(True, True, False))
    like = 0.5
    unlike = like + 2 * COUPLING
    sigma = np.full((2, 2), SPACING / 2 ** (1 / 6))
    depth = np.array([[like, unlike], [unlike, like]])
    pairs = LennardJones((29, 47), depth, sigma, cutoff=1.1 * SPACING, shift=False)
    config = MCConfig(
        sweeps=options.sweeps,
        temperatures=tuple(kelvin),
        replicas=options.replicas,
        chemical_potentials={"Cu": 0.0, "Ag": 0.0},
        wavevectors=((size // 2, size // 2, 0),),
        sample_every=5,
        frame_every=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        record = run_mc([lattice], pairs, config, folder).record()
    squared = 4 * record.structure_factors[:, :, 0, 0] / size**2  # of the staggered magnetization
    squared = squared[len(squared) // 5 :].reshape(-1, len(kelvin), options.replicas)
    fourth = (squared**2).mean(axis=(0, 2))
    return 1 - fourth / (3 * squared.mean(axis=(0, 2)) ** 2)


if __name__ == "__main__":
    main()
