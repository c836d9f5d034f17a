"""A potential by what a user gives for it: the folder of a library, or the name of a built-in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ase.data import chemical_symbols

from stratal.errors import InputError
from stratal.potentials.analytic import EMT
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
