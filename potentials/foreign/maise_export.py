"""Write strata as a neural-network model of MAISE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from stratal.descriptors.symmetry_functions import SymmetryFunctions
from stratal.errors import InputError
from stratal.potentials.foreign.maise import cyclic_labels
from stratal.potentials.foreign.parts import Parts, parts_of
from stratal.potentials.networks import default_activations
from stratal.potentials.stratum import Stratum

LINE = "-" * 77
TITLE = "|  {:73s}  |"
ROW = "|  {:21s}|  {:49s}|"


def write_maise(strata: Mapping[str, Stratum], symbols: Sequence[str], path: str | Path) -> None:
    """Write the model of up to three elements; `read_maise` is the inverse.

    MAISE adds its own short-range repulsion at run time unless its setting UREP is 0:
    strata with the short range ``"close"`` have the same, others give MAISE's energies
    where no two atoms are that close.

    Args:
        strata: by name.
        symbols: chemical symbols, in any order.
        path: the file to write.

    Raises:
        InputError: a model that MAISE cannot express, and why.
    """
    parts = parts_of(strata, symbols, "MAISE")
    check(parts)
    sizes = layer_sizes(parts)
    lines = [*header(parts, sizes), *ranges(parts), *weights(parts), *functions(parts)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join(lines) + "\n")


def check(parts: Parts) -> None:
    """Refuse what MAISE has no form for."""
    names = " ".join(chemical_symbols[z] for z in parts.elements)
    if not isinstance(parts.descriptor, SymmetryFunctions):
        raise InputError(
            f"{names}: descriptor {parts.descriptor.to_tree()['kind']!r} is not known to MAISE, "
            f"only symmetry functions that all elements share. Export to n2p2, or train on such."
        )
    if len(parts.elements) > 3:
        raise InputError(f"{names}: MAISE takes up to three elements. Export fewer.")
    if parts.short_range not in ("none", "close"):
        raise InputError(
            f"{names}: short range {parts.short_range!r} is not known to MAISE, only 'none' and "
            f"'close' (its own). Train without it."
        )
    for z, trunk in parts.trunks.items():
        usual = default_activations(len(trunk.kernels))
        if (trunk.activations or usual) != usual:
            raise InputError(
                f"{chemical_symbols[z]}: activations {trunk.activations}; MAISE's are tanh and a "
                f"linear output. Export to n2p2 instead."
            )
    if len({tuple(kernel.shape for kernel in t.kernels) for t in parts.trunks.values()}) > 1:
        raise InputError(f"{names}: networks of different sizes; MAISE has one size for all.")


def layer_sizes(parts: Parts) -> tuple[int, ...]:
    """Inputs, hidden layers, 1."""
    n_inputs = sum(block.size for block in parts.descriptor.blocks(parts.elements))
    trunk = parts.trunks[parts.elements[0]]
    return (n_inputs, len(trunk.bias), *(len(bias) for bias in trunk.biases))


def header(parts: Parts, sizes: tuple[int, ...]) -> list[str]:
    """What the model is, as MAISE's own files begin."""
    per_element = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    names = [chemical_symbols[z] for z in parts.elements]
    rows = {
        "model unique ID": "00000000",
        "number of species": str(len(names)),
        "species types": " ".join(map(str, parts.elements)),
        "species names": " ".join(names),
        "number of layers": str(len(sizes)),
        "architecture": " ".join(map(str, sizes)),
        "number of weights": str(len(names) * per_element),
        "maise version": "maise.2.4.00",  # that of the format; MAISE refuses files without
        "reference": f"Stratal: {parts.source}"[:49],
    }
    return [
        LINE,
        TITLE.format("neural network general information".center(73)),
        LINE,
        *(ROW.format(label, value) for label, value in rows.items()),
        LINE,
        TITLE.format("input component range".center(73)),
        LINE,
        "        minimum                    maximum                     range",
    ]


def ranges(parts: Parts) -> list[str]:
    """Minimum, maximum and 1 / range of every input."""
    lines = []
    for center in parts.elements:
        for label in cyclic_labels(parts.elements, center):
            coupling = parts.couplings[center, tuple(sorted(label))]
            for low, factor in zip(coupling.minimum, coupling.factor, strict=True):
                high = low + (1.0 / factor if factor else 0.0)
                lines.append(f"{low:26.17g} {high:26.17g} {factor:26.17g}")
    return lines


def weights(parts: Parts) -> list[str]:
    """Biases, then kernels row by row of the layer's outputs; one number on each line."""
    lines = [LINE, TITLE.format("neural network weights".center(73)), LINE]
    for center in parts.elements:
        trunk = parts.trunks[center]
        labels = cyclic_labels(parts.elements, center)
        kernel = np.concatenate([parts.couplings[center, tuple(sorted(n))].kernel for n in labels])
        arrays = [trunk.bias, *trunk.biases, kernel.T, *(k.T for k in trunk.kernels)]
        lines += [f"{value:26.17g}" for array in arrays for value in array.ravel()]
    return [*lines, LINE]


def functions(parts: Parts) -> list[str]:
    """The table of symmetry functions, and the lists to which it points, in Å."""
    descriptor = parts.descriptor
    assert isinstance(descriptor, SymmetryFunctions)
    lists = {
        "Rc": [descriptor.cutoff],
        "Rs": sorted({f.r_s for f in descriptor.radial}),
        "n1": sorted({f.eta for f in descriptor.radial}),
        "n2": sorted({f.eta for f in descriptor.angular}),
        "k": [1.0],
        "z": sorted({f.zeta for f in descriptor.angular}),
        "l": sorted({f.lambda_ for f in descriptor.angular}),
    }
    rows = [
        (2, 0, lists["Rs"].index(f.r_s), lists["n1"].index(f.eta), 0, 0, 0, 0)
        for f in descriptor.radial
    ] + [
        (4, 0, 0, 0, lists["n2"].index(f.eta), 0, lists["z"].index(f.zeta),
         lists["l"].index(f.lambda_))
        for f in descriptor.angular
    ]  # fmt: skip
    table = ["".join(f"{value:4d}" for value in (n, *row)) for n, row in enumerate(rows, 1)]
    pointed = [
        f" {name:3s}{len(values):3d}  " + "  ".join(f"{value:.17g}" for value in values)
        for name, values in lists.items()
    ]
    columns = "  N  GN  Rc  Rs   n1  n2  k   z   l"
    return ["  B2A          Scaling", "  1.0  1.0", "", columns, "", *table, "", *pointed]
