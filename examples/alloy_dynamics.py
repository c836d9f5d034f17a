"""Langevin dynamics of a Cu-Ag crystal: python alloy_dynamics.py LIBRARY.

A library with Cu, Ag and Cu-Ag is written by `stratal demo` (stratal-demo/library).
"""

import sys

import numpy as np
from ase import units
from ase.build import bulk
from ase.io.trajectory import Trajectory
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

import stratal

atoms = bulk("Cu", cubic=True) * (4, 4, 4)
rng = np.random.default_rng(0)
atoms.symbols[rng.permutation(len(atoms))[:25]] = "Ag"
atoms.calc = stratal.load(sys.argv[1], elements=["Cu", "Ag"], precision="float32")

thermalize_momenta(atoms, 600, rng=rng)
dynamics = Langevin(
    atoms, 2 * units.fs, temperature_K=300, friction=0.02 / units.fs, rng=rng, fixcm=False
)
dynamics.attach(Trajectory("alloy.traj", "w", atoms).write, interval=10)
dynamics.attach(
    lambda: print(
        f"{dynamics.get_time() / units.fs:6.0f} fs  {atoms.get_temperature():5.0f} K  "
        f"{atoms.get_potential_energy() / len(atoms):8.4f} eV/atom"
    ),
    interval=10,
)
dynamics.run(100)
