"""Write strata as a model of n2p2: ``input.nn``, ``scaling.data``, ``weights.ZZZ.data``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols

from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.element_symmetry_functions import (
    ElementSymmetryFunctions,
    Function,
    PairFunction,
    TripleFunction,
    check_function,
)
from stratal.descriptors.symmetry_functions import SymmetryFunctions
from stratal.errors import InputError
from stratal.potentials.foreign.n2p2_settings import ACTIVATION_LETTERS, sorting_key
from stratal.potentials.foreign.parts import Parts, parts_of
from stratal.potentials.networks import default_activations
from stratal.potentials.stratum import Stratum


class Input(NamedTuple):
    """One input of an element's network: x = (G - minimum) factor."""

    function: Function
    minimum: float
    factor: float
    kernel: np.ndarray  # (n_hidden,)


def write_n2p2(strata: Mapping[str, Stratum], symbols: Sequence[str], folder: str | Path) -> None:
    """Write a model in eV and Å; `read_n2p2` reads it.

    Args:
        strata: by name.
        symbols: chemical symbols, in any order.
        folder: where to write the files.

    Raises:
        InputError: a model that n2p2 cannot express, and why.
    """
    parts = parts_of(strata, symbols, "n2p2")
    inputs = {center: inputs_of(parts, center) for center in parts.elements}
    files = {
        "input.nn": settings(parts, inputs),
        "scaling.data": scaling(inputs),
        **{f"weights.{z:03d}.data": weights(parts, z, inputs[z]) for z in parts.elements},
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (Path(folder) / name).write_text("\n".join(lines) + "\n")


def inputs_of(parts: Parts, center: int) -> list[Input]:
    """All inputs of one element, in n2p2's order."""
    names = " ".join(chemical_symbols[z] for z in parts.elements)
    if parts.short_range != "none":
        raise InputError(
            f"{names}: short range {parts.short_range!r} is not known to n2p2. Export strata "
            f"without one."
        )
    inputs = []
    for block in parts.descriptor.blocks(parts.elements):
        coupling = parts.couplings[center, block.neighbors]
        functions = functions_of(parts, center, block.neighbors)
        for n, (function, count) in enumerate(functions):
            check_function(function, parts.elements, chemical_symbols[center])
            low, factor = coupling.minimum[n] / count, coupling.factor[n] * count
            inputs.append(Input(function, low, factor, coupling.kernel[n]))
    return sorted(inputs, key=lambda of: sorting_key(of.function))


def functions_of(parts: Parts, center: int, label: tuple[int, ...]) -> list[tuple[Function, float]]:
    """The functions of a block, and by what factor the descriptor has more of each."""
    descriptor = parts.descriptor
    if isinstance(descriptor, ElementSymmetryFunctions):
        own = dict(descriptor.functions)[center]
        return [(own[n], 1.0) for n in descriptor.positions(center, label)]
    if not isinstance(descriptor, SymmetryFunctions):
        raise InputError(
            f"descriptor {descriptor.to_tree()['kind']!r} is not known to n2p2, only symmetry "
            f"functions. Train on such to export."
        )
    cutoff = descriptor.cutoff
    if len(label) == 1:
        return [(PairFunction(label[0], f.eta, f.r_s, cutoff), 1.0) for f in descriptor.radial]
    return [  # n2p2 counts unordered pairs of neighbors
        (TripleFunction(*label, f.eta, f.zeta, f.lambda_, 0.0, cutoff, wide=False), 2.0)
        for f in descriptor.angular
    ]


def settings(parts: Parts, inputs: dict[int, list[Input]]) -> list[str]:
    """The lines of ``input.nn``."""
    descriptor = parts.descriptor
    cutoff = (
        descriptor.cutoff_function
        if isinstance(descriptor, ElementSymmetryFunctions)
        else CutoffFunction()
    )
    names = {z: chemical_symbols[z] for z in parts.elements}
    lines = [
        f"# Written by Stratal from {parts.source}; eV and Angstrom.",
        f"number_of_elements {len(names)}",
        f"elements {' '.join(names.values())}",
        f"cutoff_type {cutoff.kind} {cutoff.alpha!r}",
        "scale_symmetry_functions_sigma",
        "scale_min_short 0.0",
        "scale_max_short 1.0",
        *layers(parts, names),
    ]
    for center, own in inputs.items():
        lines += [f"symfunction_short {names[center]} {line_of(of.function)}" for of in own]
    return lines


def layers(parts: Parts, names: dict[int, str]) -> list[str]:
    """Hidden layers: one size for all, or what each element has of its own."""
    letters = {name: letter for letter, name in ACTIVATION_LETTERS.items()}
    lines = []
    for number, (z, trunk) in enumerate(sorted(parts.trunks.items())):
        sizes = [len(trunk.bias), *(len(bias) for bias in trunk.biases[:-1])]
        names_of = trunk.activations or default_activations(len(trunk.kernels))
        if not number:  # n2p2 wants the global ones as well
            lines += [
                f"global_hidden_layers_short {len(sizes)}",
                f"global_nodes_short {' '.join(map(str, sizes))}",
                f"global_activation_short {' '.join(letters[name] for name in names_of)}",
            ]
            first = (sizes, names_of)
        elif (sizes, names_of) != first:  # pyright: ignore[reportPossiblyUnboundVariable]
            lines.append(f"element_hidden_layers_short {names[z]} {len(sizes)}")
            for n, size in enumerate(sizes, 1):
                lines.append(f"element_nodes_short {names[z]} {n} {size}")
            for n, name in enumerate(names_of, 1):
                lines.append(f"element_activation_short {names[z]} {n} {letters[name]}")
    return lines


def line_of(function: Function) -> str:
    """What follows the central element on a line ``symfunction_short``."""
    if isinstance(function, PairFunction):
        neighbor, eta, r_s, cutoff = function
        return f"2 {chemical_symbols[neighbor]} {eta!r} {r_s!r} {cutoff!r}"
    first, second, eta, zeta, sign, r_s, cutoff, wide = function
    pair = f"{chemical_symbols[first]} {chemical_symbols[second]}"
    return f"{9 if wide else 3} {pair} {eta!r} {int(sign)} {zeta!r} {cutoff!r} {r_s!r}"


def scaling(inputs: dict[int, list[Input]]) -> list[str]:
    """The lines of ``scaling.data``: element, function, min, max, mean, sigma."""
    lines = ["# element function min max mean sigma"]
    for element, own in enumerate(inputs.values(), 1):
        for n, of in enumerate(own, 1):
            sigma = float(1.0 / of.factor) if of.factor else 1.0
            low = float(of.minimum)
            numbers = f"{low!r} {low + sigma!r} {low!r} {sigma!r}"
            lines.append(f"{element} {n} {numbers}")
    return lines


def weights(parts: Parts, center: int, inputs: list[Input]) -> list[str]:
    """The lines of one element's ``weights.ZZZ.data``, with n2p2's columns."""
    trunk = parts.trunks[center]
    # Where nothing is scaled the input is not coupled: sigma is 1, and the weight 0.
    first = np.array([of.kernel if of.factor else 0.0 * of.kernel for of in inputs])
    kernels, biases = [first, *trunk.kernels], [trunk.bias, *trunk.biases]
    lines, index = ["# value, a weight or b bias, index, from layer and node, to layer and node"], 0
    for layer, (kernel, bias) in enumerate(zip(kernels, biases, strict=True), 1):
        for (i, j), value in np.ndenumerate(kernel):
            index += 1
            lines.append(f"{value:24.16E} a {index} {layer - 1} {i + 1} {layer} {j + 1}")
        for j, value in enumerate(bias):
            index += 1
            lines.append(f"{value:24.16E} b {index} {layer} {j + 1}")
    return lines
