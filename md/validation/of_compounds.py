"""Properties of two or three elements together: formation energies, the most stable compound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from stratal.md.crystal_symmetry import standard_cell
from stratal.md.evaluators import Evaluator
from stratal.md.point_defects import antisites, defect_energies, kinds_of_sites, vacancy
from stratal.md.prototypes import PROTOTYPES, prototype
from stratal.md.similarity import fingerprints
from stratal.md.validation.measured import Measured
from stratal.md.validation.of_elements import SYMMETRY, energy_of, of_crystal, volume_of
from stratal.md.validation.settings import ValidationConfig

ROUNDING = 1e-9
LARGE = 48  # atoms of a cell with a point defect, about


def measure_compounds(
    symbols: Sequence[str],
    evaluate: Evaluator,
    config: ValidationConfig,
    chosen: dict[str, str],
) -> Measured:
    """Properties of two or three elements.

    Args:
        symbols: the elements.
        evaluate: by a potential or a calculator.
        config: how.
        chosen: crystals of the elements by symbol, and the compound that others looked at.
    """
    found = Measured()
    grounds: dict[str, tuple[float, float]] = {}  # energy (eV) and volume (Å³) of an atom
    with found.group("elements"):
        for symbol in symbols:
            structure = config.structures.get(symbol) or chosen.get(symbol, "A1")
            volume = config.volumes.get(symbol) or volume_of(symbol)
            crystal = prototype(structure, [symbol], volume)
            (crystal,) = evaluate.relaxed([crystal], config.fmax, "free")
            grounds[symbol] = energy_of(crystal, evaluate), crystal.cell.volume / len(crystal)
    if len(grounds) < len(symbols):
        return found
    compounds = candidates(symbols, {s: volume for s, (_, volume) in grounds.items()})
    relaxed: dict[str, Atoms] = {}
    formation: dict[str, float] = {}
    for name, start in compounds.items():
        with found.group(name):
            (atoms,) = evaluate.relaxed([start], config.fmax, "free")
            apart = np.mean([grounds[symbol][0] for symbol in atoms.symbols])
            relaxed[name], formation[name] = atoms, energy_of(atoms, evaluate) - float(apart)
            found.add("formation", f"formation energy {name}", formation[name], "eV/atom")
            volume = atoms.cell.volume / len(atoms)
            found.add("volume", f"volume {name}", volume, "Å³/atom")
    if not relaxed:
        return found
    label = "-".join(symbols)
    best = chosen.get(label) or min(formation, key=lambda name: formation[name])
    found.chosen[label] = best
    if best in relaxed:
        reservoirs = {symbol: energy for symbol, (energy, _) in grounds.items()}
        crystal = standard_cell(relaxed[best], False, SYMMETRY)
        of_crystal(found, crystal, evaluate, config)
        if "point defects" not in config.skip:
            defects_of(found, crystal, evaluate, reservoirs)
    return found


def candidates(symbols: Sequence[str], volumes: dict[str, float]) -> dict[str, Atoms]:
    """Ordered compounds of exactly these elements, by names such as ``L12 AgCu3``.

    Args:
        symbols: two or three.
        volumes: of an atom of each element, Å³; compounds begin at their mean.
    """
    found: dict[str, Atoms] = {}
    elements = [atomic_numbers[symbol] for symbol in symbols]
    for name, kind in PROTOTYPES.items():
        if kind.n_elements != len(symbols):
            continue
        known: list[np.ndarray] = []
        for order in permutations(sorted(symbols)):
            mean = np.average([volumes[symbol] for symbol in order], weights=kind.counts)
            crystal = prototype(name, order, float(mean))
            (vector,) = fingerprints([crystal], elements=elements)
            if any(vector @ other > 1 - ROUNDING for other in known):
                continue  # its sites are alike: the same compound once more
            known.append(vector)
            counts = zip(order, kind.counts, strict=True)
            formula = "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in counts)
            found[f"{name} {formula}"] = crystal
    return found


def defects_of(
    found: Measured, crystal: Atoms, evaluate: Evaluator, reservoirs: dict[str, float]
) -> None:
    """Vacancies and antisites, with atoms from and to the elements' crystals."""
    repeat = max(1, round((LARGE / len(crystal)) ** (1 / 3)))
    defects = [vacancy(crystal, site) for site in kinds_of_sites(crystal)] + antisites(crystal)
    for defect in defects:
        with found.group(defect.name):
            energies = defect_energies(crystal, [defect], evaluate, (repeat,), reservoirs)
            found.add("point_defect", defect.name, energies[0, 0], "eV")
