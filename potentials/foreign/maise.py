"""Neural-network models of MAISE, read and split into strata.

Hajinazar, Thorn, Sandoval, Kharabadze and Kolmogorov, Comput. Phys. Commun. 259, 107679
(2021). A model of several elements was built stratum by stratum, so its weights fall
apart into one root per element and the couplings that each pair and triple adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from stratal.descriptors.angular import AngularFunction
from stratal.descriptors.symmetry_functions import RadialFunction, SymmetryFunctions
from stratal.errors import InputError
from stratal.potentials.stratum import Coupling, Stratum, Trunk, stratum_name

LISTS = ("Rc", "Rs", "n1", "n2", "k", "z", "l")


@dataclass(frozen=True)
class MaiseModel:
    """A model file, section by section, in the file's own order and units of Å."""

    elements: tuple[int, ...]  # in the order of the file
    layers: tuple[int, ...]  # sizes: inputs, hidden layers, 1
    ranges: np.ndarray  # (n_elements, n_inputs, 3): minimum, maximum, 1 / range
    trunks: tuple[Trunk, ...]  # one per element
    kernels: tuple[np.ndarray, ...]  # first layer, (n_inputs, n_hidden), one per element
    descriptor: SymmetryFunctions
    header: dict[str, str]


def read_maise(path: str | Path, short_range: str = "none") -> list[Stratum]:
    """Read a MAISE neural-network model as strata, lowest first.

    Args:
        path: a model file (``nn_*``).
        short_range: ``"none"``, or ``"close"`` for MAISE's own short-range repulsion,
            which its default settings add at run time.

    Raises:
        InputError: not such a file, or cut short; names the line.
    """
    model = parse(Path(path))
    order = sorted(range(len(model.elements)), key=lambda i: model.elements[i])
    numbers = tuple(model.elements[i] for i in order)
    couplings = {
        (center, block): coupling
        for index, center in enumerate(model.elements)
        for block, coupling in couplings_of(model, index)
    }
    strata: dict[str, Stratum] = {}
    for size in range(1, min(len(numbers), 3) + 1):
        for subset in combinations(numbers, size):
            own = {
                (center, block): coupling
                for (center, block), coupling in couplings.items()
                if tuple(sorted({center, *block})) == subset
            }
            root = size == 1
            stratum = Stratum(
                elements=subset,
                descriptor=model.descriptor,
                couplings=own,
                trunks={subset[0]: model.trunks[model.elements.index(subset[0])]} if root else {},
                parents={
                    stratum_name(below): strata[stratum_name(below)].physics_hash
                    for fewer in range(1, size)
                    for below in combinations(subset, fewer)
                },
                short_range=short_range,
                info={"source": f"MAISE model {Path(path).name}", **notes(model.header)},
            )
            strata[stratum.name] = stratum
    return list(strata.values())


def couplings_of(model: MaiseModel, index: int) -> list[tuple[tuple[int, ...], Coupling]]:
    """The couplings of one element, by block."""
    n_radial, n_angular = len(model.descriptor.radial), len(model.descriptor.angular)
    labels = cyclic_labels(model.elements, model.elements[index])
    found, start = [], 0
    for label in labels:
        columns = slice(start, start + (n_radial if len(label) == 1 else n_angular))
        start = columns.stop
        minimum, _, factor = model.ranges[index, columns].T
        coupling = Coupling(minimum.copy(), factor.copy(), model.kernels[index][columns].copy())
        found.append((tuple(sorted(label)), coupling))
    return found


def cyclic_labels(elements: Sequence[int], center: int) -> list[tuple[int, ...]]:
    """Neighbor species of the blocks of an element's inputs, in MAISE's order.

    It counts neighbor species cyclically from the center: around A of A B C the blocks
    are A | AA | B | AB | BB | C | AC | CC | BC, around B they begin with B, then C.
    """
    start = list(elements).index(center)
    a, *others = [*elements[start:], *elements[:start]]
    labels: list[tuple[int, ...]] = [(a,), (a, a)]
    for b in others:
        labels += [(b,), (a, b), (b, b)]
    if len(others) == 2:
        labels.append((others[0], others[1]))
    return labels


def notes(header: dict[str, str]) -> dict[str, str]:
    """What the header says of the model's origin, for the stratum's notes."""
    wanted = ("model unique ID", "reference", "total structures", "train energy error")
    return {key: header[key] for key in wanted if key in header}


class Lines:
    """A file's lines with a place in them; errors name the line."""

    def __init__(self, path: Path) -> None:
        try:
            self.lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a MAISE model ({error}).") from None
        self.path, self.at = path, 0

    def next(self, what: str) -> str:
        """The next line, or a sentence about what was expected."""
        if self.at >= len(self.lines):
            raise InputError(
                f"{self.path}, line {self.at + 1}: the file ends where {what} was expected. "
                f"It was cut short, or is no neural-network model of MAISE (nn_*): fetch it again."
            )
        self.at += 1
        return self.lines[self.at - 1]

    def numbers(self, count: int, what: str) -> list[float]:
        """``count`` numbers from the next line."""
        line = self.next(what)
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        if len(values) != count or not np.isfinite(values).all():
            self.fail(f"{count} number(s) for {what}", line)
        return values

    def skip_to(self, start: str, what: str) -> str:
        """Move behind the next line that begins with ``start`` (blanks and bars apart)."""
        while True:
            line = self.next(what)
            if line.strip("| ").startswith(start):
                return line

    def fail(self, expected: str, line: str) -> None:
        """Raise an error about the line just read."""
        raise InputError(
            f"{self.path}, line {self.at}: expected {expected}, found {line.strip()[:60]!r}. "
            f"Give a neural-network model written by MAISE (nn_*), unaltered."
        )


def parse(path: Path) -> MaiseModel:
    """Read the sections of a model file in turn."""
    lines = Lines(path)
    header = parse_header(lines)
    try:
        elements = tuple(int(z) for z in header["species types"].split())
        layers = tuple(int(n) for n in header["architecture"].split())
        if not elements or len(layers) < 3 or layers[-1] != 1:
            raise ValueError
        _ = [chemical_symbols[z] for z in elements]
    except (KeyError, ValueError, IndexError):
        raise InputError(
            f"{path}: no header of a MAISE neural network (lines '| species types | 29 |' and "
            f"'| architecture | 30 10 10 1 |') found. Give a model file nn_*."
        ) from None
    ranges = [lines.numbers(3, "minimum, maximum, range") for _ in range(len(elements) * layers[0])]
    lines.skip_to("neural network weights", "the section of weights")
    lines.next("a dashed line")
    weights = [parse_network(lines, layers) for _ in elements]
    descriptor = parse_functions(lines)
    check_inputs(path, descriptor, len(elements), layers[0])
    own = len(descriptor.radial) + len(descriptor.angular)  # inputs of the element alone
    if np.any(np.array(ranges).reshape(len(elements), layers[0], 3)[:, own:, 0]):
        raise InputError(
            f"{path}: an input of a pair or triple has a minimum other than 0, so that it would "
            f"not vanish without one of its elements. Such a model cannot be split into strata."
        )
    return MaiseModel(
        elements=elements,
        layers=layers,
        ranges=np.array(ranges).reshape(len(elements), layers[0], 3),
        trunks=tuple(trunk for trunk, _ in weights),
        kernels=tuple(kernel for _, kernel in weights),
        descriptor=descriptor,
        header=header,
    )


def parse_header(lines: Lines) -> dict[str, str]:
    """The table ``| label | value |`` above the ranges."""
    header: dict[str, str] = {}
    while True:
        line = lines.next("the header table or the input ranges ('minimum maximum range')")
        if line.split()[:1] == ["minimum"]:
            return header
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 2:
            header[cells[0]] = cells[1]


def parse_network(lines: Lines, layers: tuple[int, ...]) -> tuple[Trunk, np.ndarray]:
    """Biases of all layers, then kernels, row by row of the layer's outputs."""

    def read(count: int) -> np.ndarray:
        return np.array([lines.numbers(1, "a weight")[0] for _ in range(count)])

    biases = [read(size) for size in layers[1:]]
    kernels = [read(n_in * n_out).reshape(n_out, n_in).T.copy() for n_in, n_out in pairwise(layers)]
    return Trunk(biases[0], tuple(kernels[1:]), tuple(biases[1:])), kernels[0]


def parse_functions(lines: Lines) -> SymmetryFunctions:
    """The table of symmetry functions, and the lists to which it points."""
    lines.skip_to("B2A", "the table of symmetry functions ('B2A Scaling')")
    bohr, scale = lines.numbers(2, "the length unit and its scaling")
    lines.skip_to("N  GN", "the columns of the table of symmetry functions")
    rows, lists = [], {}
    while len(lists) < len(LISTS):
        line = lines.next("symmetry functions and the lists Rc Rs n1 n2 k z l")
        words = line.split()
        if not words:
            continue
        try:
            if words[0] in LISTS:
                lists[words[0]] = [float(word) for word in words[2 : 2 + int(words[1])]]
            else:
                rows.append([int(word) for word in words])
        except (ValueError, IndexError):
            lines.fail("a symmetry function or one of the lists Rc Rs n1 n2 k z l", line)
    length = bohr * scale  # Å
    radial, angular, cutoffs = [], [], set()
    for row in rows:
        try:
            _, kind, i_rc, i_rs, i_n1, i_n2, _, i_z, i_l = row
            cutoffs.add(lists["Rc"][i_rc] * length)
            if kind == 2:
                eta, r_s = lists["n1"][i_n1] / length**2, lists["Rs"][i_rs] * length
                radial.append(RadialFunction(eta, r_s))
            elif kind == 4:
                eta = lists["n2"][i_n2] / length**2
                angular.append(AngularFunction(eta, lists["z"][i_z], lists["l"][i_l]))
            else:
                raise ValueError
        except (ValueError, IndexError):
            raise InputError(
                f"{lines.path}: symmetry function {row} is not of type 2 or 4 with indices into "
                f"the lists. Only these types of MAISE are known here."
            ) from None
    if len(cutoffs) != 1:
        raise InputError(f"{lines.path}: {len(cutoffs)} different cutoffs; one was expected.")
    return SymmetryFunctions(cutoffs.pop(), tuple(radial), tuple(angular))


def check_inputs(path: Path, descriptor: SymmetryFunctions, n_elements: int, n_inputs: int) -> None:
    """The number of inputs must follow from the symmetry functions."""
    n_pairs = n_elements * (n_elements + 1) // 2
    expected = n_elements * len(descriptor.radial) + n_pairs * len(descriptor.angular)
    if n_elements > 3 or expected != n_inputs:
        raise InputError(
            f"{path}: {n_inputs} inputs for {n_elements} elements, but its symmetry functions "
            f"make {expected}. Give an unaltered model of at most three elements."
        )
