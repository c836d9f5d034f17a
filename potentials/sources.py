"""A potential or calculator by what a user gives for it: a library's folder, a built-in's name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import chemical_symbols

from stratal.descriptors.structures import check_elements
from stratal.errors import InputError
from stratal.potentials.analytic import EMT
from stratal.potentials.calculator import StratalCalculator
from stratal.potentials.evaluate import Potential
from stratal.potentials.library import Library

BUILT_IN = "emt"


def potential_from(source: str | Path, numbers: Iterable[int]) -> Potential:
    """Open a potential for these atomic numbers.

    Args:
        source: folder of a library, or ``emt``.
        numbers: atomic numbers, any order, repeated or not.

    Raises:
        InputError: neither, an unreadable library, elements that are not covered.
    """
    elements = sorted(set(map(int, numbers)))
    if str(source) == BUILT_IN:
        return EMT.for_elements(elements)
    if not Path(source).is_dir():
        raise InputError(
            f"{source}: no such folder; expected that of a library of strata, or {BUILT_IN}. "
            f"Correct the path."
        )
    return Library.open(source).potential(*(chemical_symbols[z] for z in elements))


def calculator_from(
    source: str | Path | Potential | BaseCalculator,
    numbers: Iterable[int],
    precision: str = "float64",
) -> BaseCalculator:
    """An ASE calculator for these atomic numbers; it compiles once, whichever of them are present.

    Args:
        source: folder of a library, ``emt``, a potential, or a calculator, which is returned.
        numbers: atomic numbers, any order, repeated or not.
        precision: ``"float64"`` or ``"float32"``, of energies by atom and forces.

    Raises:
        InputError: as `potential_from`; a potential that does not cover the elements.
    """
    if isinstance(source, BaseCalculator):
        return source
    elements = sorted(set(map(int, numbers)))
    potential = potential_from(source, elements) if isinstance(source, str | Path) else source
    check_elements(Atoms(numbers=elements), potential.elements, type(potential).__name__)
    return StratalCalculator(potential, precision=precision)
