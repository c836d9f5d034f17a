"""Relax positions and cell of an ordered compound: python relax_crystal.py LIBRARY.

A library with Cu, Ag and Cu-Ag is written by `stratal demo` (stratal-demo/library).
"""

import sys

from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

import stratal

atoms = bulk("Cu", cubic=True, a=3.8)
atoms.symbols[0] = "Ag"
atoms.rattle(0.05, seed=0)
atoms.calc = stratal.load(sys.argv[1])
BFGS(FrechetCellFilter(atoms)).run(fmax=0.01)
print(f"{atoms.get_chemical_formula()}: {atoms.get_potential_energy() / len(atoms):.4f} eV/atom")
print(f"cell lengths {atoms.cell.lengths().round(4)} Å")
