"""Neural-network models of n2p2, read as one stratum of several elements.

Singraber, Behler and Dellago, J. Chem. Theory Comput. 15, 1827 (2019). Scaling, centering
and the normalisation of the data set are folded into weights and biases.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from ase.units import Bohr, Hartree

from stratal.descriptors.element_symmetry_functions import ElementSymmetryFunctions
from stratal.errors import InputError
from stratal.potentials.foreign.n2p2_settings import Place, Settings, read_lines, read_settings
from stratal.potentials.networks import default_activations
from stratal.potentials.stratum import Coupling, Stratum, Trunk

LENGTHS = {"angstrom": 1.0, "bohr": Bohr}  # Å
ENERGIES = {"ev": 1.0, "hartree": Hartree}  # eV


class Scale(NamedTuple):
    """Input of a network: x = (G - minimum) factor + shift; each ``(n_functions,)``."""

    minimum: np.ndarray
    factor: np.ndarray
    shift: np.ndarray


def read_n2p2(
    folder: str | Path, length_unit: str = "angstrom", energy_unit: str = "eV"
) -> Stratum:
    """Read an n2p2 model (``input.nn``, ``scaling.data``, ``weights.ZZZ.data``).

    Args:
        folder: where the files are.
        length_unit: that of the files, ``"angstrom"`` or ``"bohr"``; n2p2 records none.
        energy_unit: ``"eV"`` or ``"hartree"``.

    Returns:
        a root stratum of all its elements, in eV and Å.

    Raises:
        InputError: a file that is missing, cut short or malformed, or a model of a kind
            that is not known here; names file and line.
    """
    length = unit(LENGTHS, length_unit, "length")
    energy = unit(ENERGIES, energy_unit, "energy")
    folder = Path(folder)
    settings = read_settings(folder / "input.nn", length)
    descriptor = ElementSymmetryFunctions(
        functions=tuple(settings.functions.items()), cutoff_function=settings.cutoff_function
    )
    scales = read_scales(folder / "scaling.data", settings)
    couplings: dict[tuple[int, tuple[int, ...]], Coupling] = {}
    trunks = {}
    for center in settings.elements:
        kernel, trunk = read_network(folder, settings, center, energy)
        own, shift = couplings_of(descriptor, center, scales[center], kernel)
        couplings |= own
        trunks[center] = trunk._replace(bias=trunk.bias + shift)
    return Stratum(
        elements=settings.elements,
        descriptor=descriptor,
        couplings=couplings,
        trunks=trunks,
        info={"source": f"n2p2 model {folder.resolve().name}"},
    )


def unit(known: dict[str, float], name: str, what: str) -> float:
    """The value of a unit by its name."""
    if name.lower() not in known:
        raise InputError(f"unit of {what} {name!r} is not known: give {' or '.join(known)}.")
    return known[name.lower()]


def couplings_of(
    descriptor: ElementSymmetryFunctions, center: int, scale: Scale, kernel: np.ndarray
) -> tuple[dict[tuple[int, tuple[int, ...]], Coupling], np.ndarray]:
    """Couplings of one element by block, and what they leave to the bias.

    Only blocks that the element has alone keep a minimum: those of other elements are left
    out where these are, and must then say nothing.
    """
    shift = scale.shift @ kernel
    found = {}
    for block in descriptor.blocks(descriptor.elements):
        columns = descriptor.positions(center, block.neighbors)
        rest = block.size - len(columns)  # functions that other elements have more

        def padded(array: np.ndarray, columns=columns, rest=rest) -> np.ndarray:
            return np.concatenate([array[columns], np.zeros((rest, *array.shape[1:]))])

        minimum = scale.minimum
        if block.stratum(center) != (center,):
            shift = shift - (minimum[columns] * scale.factor[columns]) @ kernel[columns]
            minimum = np.zeros_like(minimum)
        found[center, block.neighbors] = Coupling(
            padded(minimum), padded(scale.factor), padded(kernel)
        )
    return found, shift


def rows_of(path: Path) -> list[Place]:
    """The lines of a table, without comments."""
    split = ((n, line.split("#")[0].split()) for n, line in enumerate(read_lines(path), 1))
    return [Place(path, number, tuple(words)) for number, words in split if words]


def cut_short(path: Path, last: int, found: int, expected: int, what: str) -> InputError:
    """The error for a table with too few or too many lines."""
    return InputError(
        f"{path}, line {last}: found {found} {what}, expected {expected} as input.nn says. The "
        f"file was cut short or belongs to another model: fetch it again."
    )


def read_scales(path: Path, settings: Settings) -> dict[int, Scale]:
    """How each element's functions are scaled, from ``scaling.data``."""
    columns = {"none": 0, "range": 4, "center": 5, "range and center": 5, "sigma": 6}
    width = columns[settings.scaling]
    if not width:
        return {
            element: Scale(np.zeros(n), np.ones(n), np.zeros(n))
            for element, n in ((z, len(f)) for z, f in settings.functions.items())
        }
    rows = [row for row in rows_of(path) if len(row.words) >= 4]
    expected = [
        (e, n)
        for e, element in enumerate(settings.elements, 1)
        for n in range(1, len(settings.functions[element]) + 1)
    ]
    table = []
    for row, (element, function) in zip(rows, expected, strict=False):
        labels = row.get(0, int, "number of an element"), row.get(1, int, "number of a function")
        if labels != (element, function):
            row.fail(f"element {labels[0]}, function {labels[1]}", f"{element} and {function}")
        values = [row.get(n, float, "min max mean sigma") for n in range(2, width)]
        table.append(scale_of(row, settings, *values))
    if len(rows) != len(expected):
        last = rows[-1].line if rows else 1
        raise cut_short(path, last, len(rows), len(expected), "lines of symmetry functions")
    scales, start = {}, 0
    for element, functions in settings.functions.items():
        own = np.array(table[start : start + len(functions)])
        scales[element] = Scale(*own.T.copy())
        start += len(functions)
    return scales


def scale_of(
    row: Place,
    settings: Settings,
    low: float,
    high: float,
    mean: float = 0.0,
    sigma: float = 1.0,
) -> tuple[float, float, float]:
    """Minimum, factor and shift of one function."""
    if settings.scaling == "center":
        return mean, 1.0, 0.0
    bottom, top = settings.scale
    extent = sigma if settings.scaling == "sigma" else high - low
    if not extent > 0:
        row.fail(f"a range or sigma of {extent}", "one above 0")
    return (low if settings.scaling == "range" else mean), (top - bottom) / extent, bottom


def read_network(
    folder: Path, settings: Settings, center: int, energy: float
) -> tuple[np.ndarray, Trunk]:
    """First-layer kernel ``(n_functions, n_hidden)`` and trunk of one element, in eV."""
    path = folder / f"weights.{center:03d}.data"
    sizes = (len(settings.functions[center]), *settings.nodes[center], 1)
    rows = rows_of(path)
    values = np.array([row.get(0, float, "a weight or bias") for row in rows])
    expected = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    if len(values) != expected:
        last = rows[-1].line if rows else 1
        what = f"weights of {chemical_symbols[center]}"
        raise cut_short(path, last, len(values), expected, what)
    kernels, biases, start = [], [], 0
    for n_in, n_out in pairwise(sizes):
        middle = start + n_in * n_out
        inputs = n_in if settings.normalize_nodes else 1
        kernels.append(values[start:middle].reshape(n_in, n_out) / inputs)
        biases.append(values[middle : middle + n_out] / inputs)
        start = middle + n_out
    activations = settings.activations[center]
    scale = energy / settings.conv_energy
    offset = energy * (settings.mean_energy + settings.atom_energies.get(center, 0.0))
    if activations[-1] != "linear" and (scale, offset) != (1.0, 0.0):
        raise InputError(
            f"{folder / 'input.nn'}: found output activation {activations[-1]!r} with energies "
            f"that are to be scaled or shifted, expected a linear one ('l')."
        )
    kernels[-1] = kernels[-1] * scale
    biases[-1] = biases[-1] * scale + offset
    usual = activations == default_activations(len(kernels) - 1)
    trunk = Trunk(biases[0], tuple(kernels[1:]), tuple(biases[1:]), () if usual else activations)
    return kernels[0], trunk
