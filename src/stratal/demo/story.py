"""The demo's story, step by step: label, train, check, move, report."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from stratal.demo.samples import LATTICE, alloyed, compounds, elemental
from stratal.files import write_frames
from stratal.md.properties.equation_of_state import EquationOfState, equations_of_state
from stratal.potentials.assess import assess
from stratal.potentials.calculator import StratalCalculator
from stratal.potentials.data import LabelledData, read_labelled
from stratal.potentials.data.label import compute
from stratal.potentials.evaluate import Potential
from stratal.potentials.library import Library
from stratal.potentials.training import (
    TrainConfig,
    TrainedStratum,
    add_assessment,
    train,
    write_cards,
)
from stratal.potentials.training.card import add_stratum
from stratal.progress import Progress, progress
from stratal.report import Report, new_figure

LEVEL = "EMT (ASE)"
CONFIG = TrainConfig(hidden=(24, 24), epochs=120, min_steps=1000)
SEED = 1
MD_STEPS = 200


def run_demo(folder: str | Path) -> Path:
    """Run the whole demo and write everything into ``folder``.

    Returns:
        The report's path.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    report = Report("Stratal demo: Cu, Ag and Cu-Ag learned from EMT")
    training, test = label_samples(folder)
    cores = len(os.sched_getaffinity(0))
    trained = train(training, CONFIG, folder / "library", workers=cores)
    library = Library.open(folder / "library")
    write_cards(library, trained)
    describe_training(report, library, trained, training, test)
    compare_crystals(report, library.potential())
    run_dynamics(report, StratalCalculator(library))
    report.section("How long it took").metrics({"seconds": round(time.perf_counter() - began)})
    path = folder / "report.html"
    report.write(path)
    return path


def label_samples(folder: Path) -> tuple[LabelledData, LabelledData]:
    """Sample, label with the teacher, and keep every tenth structure of each kind apart."""
    rng = np.random.default_rng(SEED)
    samples = [*elemental("Cu", rng), *elemental("Ag", rng), *alloyed(rng)]
    frames = [compute(atoms, EMT(), LEVEL) for atoms in progress(samples, "labels from EMT")]
    path = folder / "data.extxyz"
    write_frames(path, frames)
    data = read_labelled(path)
    kept = np.arange(len(data)) % 10 == 5
    return data.take(~kept), data.take(kept)


def describe_training(
    report: Report,
    library: Library,
    trained: Sequence[TrainedStratum],
    training: LabelledData,
    test: LabelledData,
) -> None:
    """Sections on data, strata, and errors on structures that no fit has seen."""
    section = report.section("Data")
    section.text(
        "Crystals of Cu, Ag and Cu-Ag, compressed, stretched, strained, rattled and alloyed, and "
        "dimers; labelled with the effective-medium theory of ASE. Every tenth was kept apart."
    )
    section.metrics({"structures trained on": len(training), "kept apart": len(test)})
    for one in trained:
        add_stratum(report, one)
    add_assessment(report, assess(library, test), "Errors on structures kept apart")


def compare_crystals(report: Report, potential: Potential) -> None:
    """Lattice constants, bulk moduli and formation energies beside the teacher's."""
    crystals = [(symbol, bulk(symbol, "fcc", a=LATTICE[symbol])) for symbol in ("Cu", "Ag")]
    crystals += compounds()
    pairs = (equations_of_state([c for _, c in crystals], by) for by in (potential, EMT()))
    names = [name for name, _ in crystals]
    found = dict(zip(names, zip(*pairs, strict=True), strict=True))
    rows = [[name, *elastic_row(own, teacher)] for name, (own, teacher) in found.items()]
    section = report.section("Crystals beside the teacher")
    columns = ["volume (Å³/atom)", "EMT", "cubic a (Å)", "EMT", "bulk modulus (GPa)", "EMT"]
    section.table(["crystal", *columns], rows)
    section.figure(
        curves_figure(found), "Equations of state above EMT's minimum: lines Stratal, circles EMT."
    )
    formation = {name: formation_energies(found, crystal) for name, crystal in compounds()}
    section.table(
        ["compound", "formation energy (meV/atom)", "EMT"],
        [[name, f"{own:.1f}", f"{teacher:.1f}"] for name, (own, teacher) in formation.items()],
    )
    section.figure(formation_figure(formation), "Formation energies against fcc Cu and Ag.")


def elastic_row(own: EquationOfState, teacher: EquationOfState) -> list[str]:
    """Volume, lattice constant (of four atoms) and bulk modulus, in pairs."""
    pairs = [
        (own.volume, teacher.volume, ".3f"),
        ((4 * own.volume) ** (1 / 3), (4 * teacher.volume) ** (1 / 3), ".4f"),
        (own.bulk_modulus_gpa, teacher.bulk_modulus_gpa, ".1f"),
    ]
    return [f"{value:{form}}" for *pair, form in pairs for value in pair]


def formation_energies(
    found: dict[str, tuple[EquationOfState, EquationOfState]], crystal: Atoms
) -> tuple[float, float]:
    """Formation energy of a compound at its own volume, Stratal and teacher, meV/atom."""
    name = next(n for n, c in compounds() if c == crystal)
    silver = np.mean(crystal.symbols == "Ag")
    own, teacher = (
        found[name][i].energy
        - (1 - silver) * found["Cu"][i].energy
        - silver * found["Ag"][i].energy
        for i in (0, 1)
    )
    return float(1e3 * own), float(1e3 * teacher)


def curves_figure(found: dict[str, tuple[EquationOfState, EquationOfState]]) -> Any:
    """Energy against volume, every crystal shifted to its own minimum."""
    figure, (ax,) = new_figure(width=6.0)
    for name, (own, teacher) in found.items():
        (line,) = ax.plot(own.volumes, 1e3 * (own.energies - teacher.energy), label=name)
        marks = 1e3 * (teacher.energies - teacher.energy)
        ax.plot(teacher.volumes, marks, "o", color=line.get_color(), markersize=3, mfc="none")
    ax.set_xlabel("volume (Å³/atom)")
    ax.set_ylabel("energy (meV/atom)")
    ax.legend(fontsize=7, frameon=False)
    return figure


def formation_figure(formation: dict[str, tuple[float, float]]) -> Any:
    """Bars side by side."""
    figure, (ax,) = new_figure(width=6.0)
    places = np.arange(len(formation))
    own, teacher = np.array(list(formation.values())).T
    ax.bar(places - 0.2, own, 0.38, label="Stratal")
    ax.bar(places + 0.2, teacher, 0.38, label="EMT")
    ax.set_xticks(places, list(formation))
    ax.axhline(0.0, color="0.5", linewidth=0.8)
    ax.set_ylabel("formation energy (meV/atom)")
    ax.legend(frameon=False)
    return figure


def run_dynamics(report: Report, calculator: StratalCalculator) -> None:
    """Constant-energy dynamics of 500 atoms from ASE, and how well energy is conserved."""
    atoms = bulk("Cu", "fcc", a=LATTICE["Cu"] * 1.01, cubic=True) * (5, 5, 5)
    rng = np.random.default_rng(SEED)
    atoms.symbols[rng.permutation(500)[:50]] = "Ag"
    atoms.calc = calculator
    thermalize_momenta(atoms, 600, rng=rng)
    dynamics = VelocityVerlet(atoms, timestep=2 * units.fs)
    rows = []
    began = time.perf_counter()
    with Progress(MD_STEPS, "dynamics of 500 atoms") as bar:
        for _ in dynamics.irun(MD_STEPS):
            total = atoms.get_potential_energy() + atoms.get_kinetic_energy()
            rows.append((dynamics.get_time() / units.fs, total, atoms.get_temperature()))
            bar.update(1 if len(rows) > 1 else 0)
    seconds = (time.perf_counter() - began) / MD_STEPS
    times, totals, temperatures = np.array(rows).T
    change = 1e3 * (totals - totals[0]) / len(atoms)
    figure, (left, right) = new_figure(n_columns=2)
    left.plot(times, change)
    left.set_xlabel("time (fs)")
    left.set_ylabel("change of total energy (meV/atom)")
    right.plot(times, temperatures)
    right.set_xlabel("time (fs)")
    right.set_ylabel("temperature (K)")
    section = report.section("Dynamics of 500 atoms from ASE")
    section.metrics(
        {
            "steps of 2 fs": MD_STEPS,
            "largest change (meV/atom)": round(float(np.abs(change).max()), 3),
            "microseconds per atom and step": round(1e6 * seconds / len(atoms)),
        }
    )
    section.figure(figure, "Cu-Ag with 10 % Ag at constant energy, begun at 600 K as a crystal.")
