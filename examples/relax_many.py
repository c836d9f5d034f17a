"""Relax random cells with the potential of a library: python relax_many.py LIBRARY.

A library with Cu, Ag and Cu-Ag is written by `stratal demo` (stratal-demo/library).
"""

import sys
from collections import Counter

from stratal.md import relax
from stratal.md.structures.random_cells import random_cells
from stratal.potentials import Library

potential = Library.open(sys.argv[1]).potential("Cu", "Ag")
cells = random_cells(seed=0, count=50, fewest=4, most=8, numbers=(29, 47))
results = relax(cells, potential, fmax=0.02)
print(Counter(result.outcome.label for result in results))
best = min((r for r in results if r.converged), key=lambda r: r.energy / len(r.atoms))
print(f"lowest: {best.atoms.get_chemical_formula()}, {best.energy / len(best.atoms):.4f} eV/atom")
