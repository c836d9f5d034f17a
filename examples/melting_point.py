"""Melting point of a metal from crystal and melt side by side: python melting_point.py [LIBRARY].

Without a library it takes effective medium theory. A library with Cu is written by `stratal demo`
(stratal-demo/library). It is for a first look: more steps and atoms make it better. Stop it at any
time and start it again: it goes on. All runs are in the folder ``melting-copper``.
"""

import sys

from ase.build import bulk

from stratal.md import MDConfig, relax
from stratal.md.melting.coexistence import MeltingConfig, elongated, melting_point
from stratal.potentials.sources import potential_from

potential = potential_from(sys.argv[1] if len(sys.argv) > 1 else "emt", [29])
(relaxed,) = relax([bulk("Cu", cubic=True)], potential, cell="fixed shape", slots=1)
config = MeltingConfig(
    guess=1300,
    steps=20_000,
    motion=MDConfig(timestep=3.0, compressibility=0.01, precision="float32"),
)
found = melting_point(elongated(relaxed.atoms, 1200, aspect=3), potential, config, "melting-copper")
for trial in found.trials:
    print(f"crystal and melt put together at {trial.temperature:.0f} K: {trial.verdict}")
    for system in trial.systems:
        low, high = 100 * system.shares.min(), 100 * system.shares.max()
        print(
            f"    {system.temperature} K at {system.pressure_gpa} GPa, {low:.0f} to {high:.0f} % "
            f"crystalline"
        )
print(f"melting point {found.temperature} K, dT/dp {found.slope} K/GPa")
