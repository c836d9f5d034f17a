"""Properties of one element: phases, elasticity, phonons, defects, surfaces, faults, dimers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii, reference_states
from ase.units import GPa, J, m

from stratal.errors import InputError
from stratal.md.evaluators import Evaluator
from stratal.md.properties.dimers import dimer_curves
from stratal.md.properties.elasticity import elastic_tensor
from stratal.md.properties.equation_of_state import equation_of_state
from stratal.md.properties.gamma_lines import gamma_line, stacking_fault_energy
from stratal.md.properties.phonons import bands, frequencies_at, phonons
from stratal.md.properties.point_defects import (
    Defect,
    defect_energies,
    divacancy,
    dumbbell,
    interstitials,
    migration,
    vacancy,
)
from stratal.md.properties.prototypes import prototype
from stratal.md.properties.surfaces import surface_energies
from stratal.md.structures.crystal_symmetry import space_group, standard_cell
from stratal.md.validation.measured import Measured
from stratal.md.validation.settings import ValidationConfig

PHASES = ("A1", "A2", "A3", "A4", "Ah")
KNOWN = {"fcc": "A1", "bcc": "A2", "hcp": "A3", "diamond": "A4"}  # ASE's names of crystals
FEW_MODES = 6  # up to which each counts alone
SQUARE = J / m**2  # eV/Å²
INDEPENDENT = {  # elastic constants by family of crystals, first and last space group
    (195, 230): ("11", "12", "44"),
    (168, 194): ("11", "12", "13", "33", "44"),
}
SYMMETRY = 1e-2  # Å


def measure_element(
    symbol: str, evaluate: Evaluator, config: ValidationConfig, chosen: dict[str, str]
) -> Measured:
    """All properties of an element.

    Args:
        symbol: the element.
        evaluate: by a potential or a calculator.
        config: how.
        chosen: the crystal that others have found lowest, by symbol.
    """
    found = Measured()
    crystals = phases(found, symbol, evaluate, config)
    if not crystals:
        return found
    energies = dict(zip(crystals, energies_of(list(crystals.values()), evaluate), strict=True))
    ground = config.structures.get(symbol) or chosen.get(symbol) or KNOWN.get(shape_of(symbol))
    ground = ground or min(energies, key=lambda name: energies[name])
    if ground not in crystals:
        found.failures["structure"] = f"{symbol} in {ground} did not come to rest"
        return found
    found.chosen[symbol] = ground
    for name, energy in energies.items():
        if name != ground:
            above = energy - energies[ground]
            found.add("phase", f"energy {name} above {ground}", above, "eV/atom")
    crystal = standard_cell(crystals[ground], False, SYMMETRY)
    lengths = dict(zip("abc", crystal.cell.lengths(), strict=True))
    for axis in ("a",) if is_cubic(crystal) else ("a", "c"):
        found.add("lattice", f"lattice constant {axis}", lengths[axis], "Å")
    of_crystal(found, crystal, evaluate, config)
    for name, group in GROUPS.items():
        if name not in config.skip:
            with found.group(name):
                group(found, crystal, evaluate, config)
    return found


def phases(
    found: Measured, symbol: str, evaluate: Evaluator, config: ValidationConfig
) -> dict[str, Atoms]:
    """The common crystals of an element at rest; those that do not come to rest are noted."""
    volume = config.volumes.get(symbol) or volume_of(symbol)
    return at_rest(
        found,
        {name: prototype(name, [symbol], volume) for name in PHASES},
        evaluate,
        config,
    )


def at_rest(
    found: Measured, crystals: dict[str, Atoms], evaluate: Evaluator, config: ValidationConfig
) -> dict[str, Atoms]:
    """Crystals relaxed together, or one by one where some do not come to rest."""
    try:
        together = evaluate.relaxed(list(crystals.values()), config.fmax, "free")
        return dict(zip(crystals, together, strict=True))
    except InputError:
        relaxed = {}
        for name, crystal in crystals.items():
            with found.group(name):
                (relaxed[name],) = evaluate.relaxed([crystal], config.fmax, "free")
        return relaxed


def shape_of(symbol: str) -> str:
    """ASE's name of the element's crystal at room temperature; empty where it is not known."""
    return (reference_states[atomic_numbers[symbol]] or {}).get("symmetry", "")


def volume_of(symbol: str) -> float:
    """About the volume of an atom in the element's crystal, Å³."""
    z = atomic_numbers[symbol]
    known = reference_states[z] or {}
    length, shape = known.get("a"), known.get("symmetry")
    if length and shape in ("fcc", "bcc"):
        return float(length) ** 3 / (4 if shape == "fcc" else 2)
    return float(4 * np.sqrt(2) * covalent_radii[z] ** 3)  # packed spheres that touch


def energies_of(crystals: Sequence[Atoms], evaluate: Evaluator) -> np.ndarray:
    """Of an atom of each, ``(n,)``, eV."""
    return evaluate.evaluate(crystals).energy / [len(crystal) for crystal in crystals]


def is_cubic(crystal: Atoms) -> bool:
    """Whether its space group is one of the cubic."""
    return space_group(crystal, SYMMETRY).number >= 195


def of_crystal(
    found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig
) -> None:
    """What every crystal has: equation of state, elastic constants, phonons."""
    if "equation of state" not in config.skip:
        with found.group("equation of state"):
            curve = equation_of_state(crystal, evaluate)
            found.add("bulk_modulus", "bulk modulus", curve.bulk_modulus_gpa, "GPa")
            above = 1e3 * (curve.energies - curve.energy)
            found.draw("Energy against volume", "equation of state", curve.volumes, above)
    if "elasticity" not in config.skip:
        with found.group("elasticity"):
            elasticity(found, crystal, evaluate, config)
    if "phonons" not in config.skip:
        with found.group("phonons"):
            vibrations(found, crystal, evaluate, config)


def elasticity(
    found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig
) -> None:
    """Independent constants where they are few, else the averages; whether it is stable."""
    tensor = elastic_tensor(crystal, evaluate, config.strain)
    number = space_group(crystal, SYMMETRY).number
    names = next((n for (a, b), n in INDEPENDENT.items() if a <= number <= b), ())
    for name in names:
        i, j = (int(digit) - 1 for digit in name)
        found.add("elastic", f"C{name}", tensor.constants_gpa[i, j], "GPa")
    if not names:
        found.add("elastic", "bulk modulus (Hill)", tensor.bulk_moduli[2] / GPa, "GPa")
        found.add("elastic", "shear modulus (Hill)", tensor.shear_moduli[2] / GPa, "GPa")
    if not tensor.is_stable:
        raise InputError("elastically unstable: a small strain lowers the energy")


def vibrations(
    found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig
) -> None:
    """Bands, and frequencies at the special points of the zone's boundary."""
    lattice = phonons(crystal, evaluate, (config.supercell,) * 3, config.displacement)
    lines = bands(lattice)
    place = lines.distances / lines.distances[-1]
    ticks = (lines.ticks / lines.distances[-1]).tolist()
    found.ticks["Phonons"] = list(zip(ticks, lines.labels, strict=True))
    for mode in range(lines.frequencies.shape[1]):
        found.draw("Phonons", f"branch {mode + 1}", place, lines.frequencies[:, mode])
    cell = Atoms(cell=lattice.primitive.cell, pbc=True).cell
    for name, point in cell.bandpath().special_points.items():
        if name != "G":
            found_here = frequencies_at(lattice, [point])[0]
            if len(found_here) > FEW_MODES:
                found.add("phonon", f"phonon {name} lowest", found_here[0], "THz")
                found.add("phonon", f"phonon {name} highest", found_here[-1], "THz")
                continue
            for mode, value in enumerate(found_here):
                found.add("phonon", f"phonon {name} {mode + 1}", value, "THz")
    lowest = float(lines.frequencies.min())
    if lowest < -0.1:
        raise InputError(f"imaginary frequencies down to {lowest:.2f} THz: not at a minimum")


def point_defects(
    found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig
) -> None:
    """Vacancies alone and in pairs, atoms in voids and in dumbbells."""
    voids = interstitials(crystal, most=1)
    defects: dict[str, Defect] = {"vacancy": vacancy(crystal), "divacancy": divacancy(crystal)}
    defects |= {"interstitial": voids[0]} if voids else {}
    defects["dumbbell <100>"] = dumbbell(crystal, (1, 0, 0))
    for name, defect in defects.items():
        with found.group(name):
            energies = defect_energies(crystal, [defect], evaluate, (config.repeats,))
            found.add("point_defect", name, energies[0, 0], "eV")
    with found.group("vacancy migration"):
        barrier = migration(crystal, evaluate, config.repeats).barrier
        found.add("point_defect", "vacancy migration", barrier, "eV")


def surfaces(
    found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig
) -> None:
    """The three of lowest indices of a cubic crystal, the basal plane of others."""
    planes = ((1, 0, 0), (1, 1, 0), (1, 1, 1)) if is_cubic(crystal) else ((0, 0, 1),)
    energies = surface_energies(crystal, evaluate, planes, config.layers) / SQUARE
    for plane, energy in zip(planes, energies, strict=True):
        found.add("surface", "surface " + "".join(map(str, plane)), energy, "J/m²")


def faults(found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig) -> None:
    """The intrinsic fault of fcc crystals, and the line that leads to it."""
    if found.chosen.get(crystal.symbols[0]) != "A1":
        return
    layers = config.layers + config.layers % 2 + 1
    energy = stacking_fault_energy(crystal, evaluate, n_layers=layers) / SQUARE
    found.add("fault", "stacking fault", 1e3 * energy, "mJ/m²")
    line = gamma_line(crystal, evaluate, n_layers=config.layers)
    found.add("fault", "unstable stacking fault", 1e3 * line.unstable / SQUARE, "mJ/m²")
    found.draw("Stacking faults", "shift", line.shifts, 1e3 * line.energies / SQUARE)


def dimers(found: Measured, crystal: Atoms, evaluate: Evaluator, config: ValidationConfig) -> None:
    """Two atoms alone."""
    del config
    symbol = crystal.symbols[0]
    distances = np.linspace(1.2, 4.8, 73) * covalent_radii[atomic_numbers[symbol]]
    for pair, energies in dimer_curves([symbol], evaluate, distances).items():
        shown = energies < 3.0  # eV: what is repelled more tells nothing
        found.draw("Dimers", pair, distances[shown], energies[shown])


GROUPS = {
    "point defects": point_defects,
    "surfaces": surfaces,
    "faults": faults,
    "dimers": dimers,
}
