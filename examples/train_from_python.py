"""Label structures, train a stratum and look at its errors, all from Python.

Needs nothing but Stratal; ASE's EMT stands in for a first-principles code.
"""

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from stratal.files import write_frames
from stratal.potentials import Library, assess
from stratal.potentials.data import read_labelled, split_by_group
from stratal.potentials.training import TrainConfig, train

rng = np.random.default_rng(0)
frames = []
for number in range(60):
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell.array * rng.uniform(0.95, 1.05), scale_atoms=True)
    atoms.rattle(0.08, seed=number)
    atoms.calc = EMT()
    atoms.get_forces(), atoms.get_stress()
    frames.append(atoms)
write_frames("copper.extxyz", frames)

data = read_labelled("copper.extxyz", level_of_theory="EMT")
training, test = split_by_group(data, 0.2, seed=0)
train(training, TrainConfig(epochs=200), "copper-library")
errors = assess(Library.open("copper-library"), test).total
print(
    f"{1e3 * errors.energy_rmse:.1f} meV/atom, {1e3 * errors.force_rmse:.0f} meV/Å on the test part"
)
