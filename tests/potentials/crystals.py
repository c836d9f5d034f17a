"""Small distorted crystals, labelled by ASE's EMT."""

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator


def labelled_crystals(symbols, count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        atoms = bulk("Cu", "fcc", a=3.8, cubic=True)
        atoms.symbols[:] = rng.permutation(np.resize(symbols, 4))
        atoms.set_cell(atoms.cell.array * rng.uniform(0.95, 1.08), scale_atoms=True)
        atoms.rattle(0.15, seed=int(rng.integers(2**31)))
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=atoms.get_potential_energy(),
            forces=atoms.get_forces(),
            stress=atoms.get_stress(),
        )
        atoms.info["group"] = "-".join(sorted(set(symbols)))
        yield atoms
