"""Properties of two or three elements together: formation energies, the most stable compound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from stratal.md.evaluators import Evaluator
from stratal.md.properties.point_defects import antisites, defect_energies, kinds_of_sites, vacancy
from stratal.md.properties.prototypes import PROTOTYPES, prototype
from stratal.md.structures.crystal_symmetry import standard_cell
from stratal.md.structures.similarity import fingerprints
from stratal.md.validation.measured import Measured
from stratal.md.validation.of_elements import SYMMETRY, at_rest, energies_of, of_crystal, volume_of
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
    elements = {
        symbol: prototype(
            config.structures.get(symbol) or chosen.get(symbol, "A1"),
            [symbol],
            config.volumes.get(symbol) or volume_of(symbol),
        )
        for symbol in symbols
    }
    elements = at_rest(found, elements, evaluate, config)
    if len(elements) < len(symbols):
        return found
    grounds = dict(zip(elements, energies_of(list(elements.values()), evaluate), strict=True))
    volumes = {symbol: atoms.cell.volume / len(atoms) for symbol, atoms in elements.items()}
    relaxed = at_rest(found, candidates(symbols, volumes), evaluate, config)
    if not relaxed:
        return found
    formation: dict[str, float] = {}
    energies = energies_of(list(relaxed.values()), evaluate)
    for (name, atoms), energy in zip(relaxed.items(), energies, strict=True):
        formation[name] = float(energy - np.mean([grounds[symbol] for symbol in atoms.symbols]))
        found.add("formation", f"formation energy {name}", formation[name], "eV/atom")
        found.add("volume", f"volume {name}", atoms.cell.volume / len(atoms), "Å³/atom")
    label = "-".join(symbols)
    best = chosen.get(label) or min(formation, key=lambda name: formation[name])
    found.chosen[label] = best
    if best in relaxed:
        crystal = standard_cell(relaxed[best], False, SYMMETRY)
        of_crystal(found, crystal, evaluate, config)
        if "point defects" not in config.skip:
            defects_of(found, crystal, evaluate, grounds)
    return found


def candidates(symbols: Sequence[str], volumes: dict[str, float]) -> dict[str, Atoms]:
    """Ordered compounds of exactly these elements, by names such as ``L12 AgCu3``.

    Args:
        symbols: two or three.
        volumes: of an atom of each element, Å³; compounds begin at their mean.
    """
    found: dict[str, Atoms] = {}
    for name, kind in PROTOTYPES.items():
        if kind.n_elements == len(symbols):
            arranged = arrangements(name, symbols, volumes)
            formulas = [c.get_chemical_formula(empirical=True) for c in arranged.values()]
            for (order, crystal), formula in zip(arranged.items(), formulas, strict=True):
                sites = f" ({'-'.join(order)})" if formulas.count(formula) > 1 else ""
                found[f"{name} {formula}{sites}"] = crystal
    return found


def arrangements(
    name: str, symbols: Sequence[str], volumes: dict[str, float]
) -> dict[tuple[str, ...], Atoms]:
    """All different ways to put elements on the sites of a prototype, by their order."""
    elements = [atomic_numbers[symbol] for symbol in symbols]
    found: dict[tuple[str, ...], Atoms] = {}
    known: list[np.ndarray] = []
    for order in permutations(sorted(symbols)):
        mean = np.average([volumes[s] for s in order], weights=PROTOTYPES[name].counts)
        crystal = prototype(name, order, float(mean))
        (vector,) = fingerprints([crystal], elements=elements)
        if not any(vector @ other > 1 - ROUNDING for other in known):  # else sites are alike
            known.append(vector)
            found[order] = crystal
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
