"""Energies of many structures, on whatever there is: a laptop, MPI ranks, dask workers.

    python many_structures.py
    STRATAL_EXECUTOR=dask python many_structures.py
    mpiexec -n 3 python many_structures.py

Stop it at any time and start it again: it goes on. The journal is the folder ``energies``.
"""

from ase.build import bulk
from ase.calculators.emt import EMT

from stratal.slurm import Journal, Task, open_executor, perform


def energy(atoms):
    """Energy per atom, eV."""
    atoms.calc = EMT()
    return atoms.get_potential_energy() / len(atoms)


def main() -> None:
    """Rattled crystals, each a task."""
    tasks = []
    for n in range(200):
        atoms = bulk("Cu", cubic=True) * 2
        atoms.rattle(0.002 * n, seed=n)
        tasks.append(Task(energy, (atoms,), name=f"rattled by {0.002 * n:.3f} Å"))
    with open_executor() as executor, Journal("energies") as journal:
        for outcome in perform(tasks, journal, executor, seconds=60):
            print(f"{outcome.name}: {outcome.result():.4f} eV/atom")


if __name__ == "__main__":
    main()
