"""Interatomic potentials built stratum by stratum.

``stratal.load`` opens a library of strata as an ASE calculator. Importing this
package is light: jax is imported only when work begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stratal.errors import InputError

if TYPE_CHECKING:
    from stratal.potentials.calculator import StratalCalculator

__all__ = ["InputError", "__version__", "load"]

__version__ = "0.1.0"


def load(
    library: str | Path,
    elements: Sequence[str] | None = None,
    precision: str = "float64",
    uncertainty: bool = False,
) -> StratalCalculator:
    """Open a library of strata as an ASE calculator.

    Args:
        library: folder that holds the strata.
        elements: chemical symbols that the calculator must cover; all elements of
            the library by default.
        precision: ``"float64"`` or ``"float32"``.
        uncertainty: whether every calculation also gives uncertainties and grades of
            extrapolation.

    Returns:
        An ASE calculator with energy (eV), energies, forces (eV/Å), stress and
        stresses (eV/Å³).

    Raises:
        InputError: no library there, a stratum is missing or does not fit the others.
    """
    from stratal.potentials.calculator import StratalCalculator

    return StratalCalculator(
        library, elements=elements, precision=precision, uncertainty=uncertainty
    )
