"""The settings of an n2p2 model, ``input.nn``, read into one dataclass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ase.data import atomic_numbers

from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.element_symmetry_functions import (
    Function,
    PairFunction,
    TripleFunction,
    check_function,
)
from stratal.errors import InputError

ACTIVATION_LETTERS = {
    "l": "linear",
    "t": "tanh",
    "s": "logistic",
    "p": "softplus",
    "r": "relu",
    "g": "gaussian",
    "c": "cosine",
    "S": "reverse logistic",
    "e": "exponential",
    "h": "harmonic",
}
REPEATED = {"symfunction_short", "atom_energy"}  # and all that begins with element_
# Short-range networks alone are known here: what speaks of more is refused, not ignored.
FOREIGN = ("electrostatic", "charge", "committee", "nonlocal", "vdw", "ewald", "_gen", "hardness")


@dataclass(frozen=True)
class Place:
    """Words of a line after the keyword, and where they stand."""

    path: Path
    line: int
    words: tuple[str, ...]

    def fail(self, found: object, expected: str) -> NoReturn:
        """Raise an error about this line."""
        raise InputError(
            f"{self.path}, line {self.line}: found {found!s}, expected {expected}. "
            f"Give an n2p2 model of short-range networks, unaltered."
        )

    def get(self, index: int, kind: Callable[[str], Any], expected: str) -> Any:
        """The word at a place, as a number or a word; numbers must be finite."""
        try:
            value = kind(self.words[index])
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError
        except IndexError:
            self.fail(f"{len(self.words)} value(s) {' '.join(self.words)!r}", expected)
        except (ValueError, KeyError):
            self.fail(repr(self.words[index]), expected)
        return value

    def element(self, index: int, elements: tuple[int, ...]) -> int:
        """Atomic number of the symbol at a place; one of the model's elements."""
        names = "one of the model's elements"
        number = self.get(index, lambda word: atomic_numbers[word], names)
        return number if number in elements else self.fail(repr(self.words[index]), names)


@dataclass(frozen=True)
class Settings:
    """What ``input.nn`` says of energies, in its own units."""

    elements: tuple[int, ...]  # atomic numbers, ascending
    cutoff_function: CutoffFunction
    functions: dict[int, tuple[Function, ...]]  # in n2p2's order
    scaling: str  # "none", "range", "center", "range and center" or "sigma"
    scale: tuple[float, float]  # Smin, Smax
    nodes: dict[int, tuple[int, ...]]  # of the hidden layers
    activations: dict[int, tuple[str, ...]]  # of all layers but the input
    normalize_nodes: bool
    mean_energy: float
    conv_energy: float
    conv_length: float
    atom_energies: dict[int, float]


class Lines:
    """Settings by keyword."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, list[Place]] = {}
        for number, line in enumerate(read_lines(path), 1):
            keyword, *words = line.split("#")[0].split() or [""]
            if keyword:
                self.found.setdefault(keyword, []).append(Place(path, number, tuple(words)))
        self.check_keywords()

    def check_keywords(self) -> None:
        """Refuse models of other kinds, and keywords given twice."""
        for keyword, (place, *others) in self.found.items():
            if keyword.startswith(("global_", "element_")) and keyword.endswith("_short"):
                pass
            elif any(part in keyword.lower() for part in FOREIGN):
                place.fail(f"keyword {keyword!r}", "a model without charges or committees")
            if others and keyword not in REPEATED and not keyword.startswith("element_"):
                others[0].fail(f"a second {keyword!r}", "each keyword once")
        kind = self.one("nnp_type")
        if kind and kind.get(0, str, "a type") not in ("2", "2G", "2G-HDNNP", "HDNNP_2G"):
            kind.fail(f"nnp_type {kind.words[0]!r}", "2G-HDNNP")

    def one(self, keyword: str) -> Place | None:
        """Where a keyword stands, or None."""
        return self.found.get(keyword, [None])[0]

    def all(self, keyword: str) -> list[Place]:
        """Everywhere that a keyword stands."""
        return self.found.get(keyword, [])

    def needed(self, keyword: str) -> Place:
        """Where a keyword stands.

        Raises:
            InputError: it is missing.
        """
        place = self.one(keyword)
        if place is None:
            raise InputError(
                f"{self.path}: no line {keyword!r}. Give the input.nn of a trained n2p2 model."
            )
        return place

    def number(self, keyword: str, default: float) -> float:
        """The number after a keyword."""
        place = self.one(keyword)
        return default if place is None else place.get(0, float, "a number")


def read_lines(path: Path) -> list[str]:
    """Lines of a text file.

    Raises:
        InputError: it is absent or not text.
    """
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as part of an n2p2 model ({error}). Give a folder with "
            f"input.nn, scaling.data and a weights.ZZZ.data for each element."
        ) from None


def read_settings(path: Path, length: float) -> Settings:
    """Read ``input.nn``.

    Args:
        path: the file.
        length: its unit of length, Å.

    Raises:
        InputError: names the line, what was found and what was expected.
    """
    lines = Lines(path)
    elements = read_elements(lines)
    kind = lines.needed("cutoff_type")
    cutoff_function = CutoffFunction(
        kind.get(0, int, "a cutoff type from 0 to 8"),
        kind.get(1, float, "an inner cutoff") if len(kind.words) > 1 else 0.0,
    )
    if not 0 <= cutoff_function.kind <= 8:
        kind.fail(cutoff_function.kind, "a cutoff type from 0 to 8")
    if not 0.0 <= cutoff_function.alpha < 1.0:
        kind.fail(cutoff_function.alpha, "an inner cutoff from 0 to below 1")
    nodes, activations = read_layers(lines, elements)
    conversions = {key: lines.number(key, 1.0) for key in ("conv_energy", "conv_length")}
    for key, value in conversions.items():
        if value <= 0.0:
            lines.needed(key).fail(value, "a factor above 0")
    return Settings(
        elements=elements,
        cutoff_function=cutoff_function,
        functions=read_functions(lines, elements, length),
        scaling=read_scaling_kind(lines),
        scale=(lines.number("scale_min_short", 0.0), lines.number("scale_max_short", 1.0)),
        nodes=nodes,
        activations=activations,
        normalize_nodes=lines.one("normalize_nodes") is not None,
        mean_energy=lines.number("mean_energy", 0.0),
        **conversions,
        atom_energies={
            place.element(0, elements): place.get(1, float, "an energy")
            for place in lines.all("atom_energy")
        },
    )


def read_elements(lines: Lines) -> tuple[int, ...]:
    """The model's elements, ascending."""
    place = lines.needed("elements")
    known = [
        place.get(n, lambda word: atomic_numbers[word], "a chemical symbol")
        for n in range(len(place.words))
    ]
    if not known or len(set(known)) != len(known):
        place.fail(" ".join(place.words) or "nothing", "chemical symbols, each once")
    count = lines.one("number_of_elements")
    if count and count.get(0, int, "a number of elements") != len(known):
        count.fail(count.words[0], f"the number of elements, {len(known)}")
    return tuple(sorted(known))


def read_scaling_kind(lines: Lines) -> str:
    """How symmetry functions are scaled."""
    center = lines.one("center_symmetry_functions")
    by_range = lines.one("scale_symmetry_functions")
    by_sigma = lines.one("scale_symmetry_functions_sigma")
    if by_sigma and by_range:
        by_sigma.fail("scale_symmetry_functions_sigma", "only one way of scaling")
    if by_sigma:
        return "sigma"
    if by_range:
        return "range and center" if center else "range"
    return "center" if center else "none"


def read_layers(
    lines: Lines, elements: tuple[int, ...]
) -> tuple[dict[int, tuple[int, ...]], dict[int, tuple[str, ...]]]:
    """Hidden nodes and activations of each element: what is said of all, and of each."""
    depth_of_all = lines.one("global_hidden_layers_short")
    depths = {
        place.element(0, elements): place.get(1, int, "a number of hidden layers")
        for place in lines.all("element_hidden_layers_short")
    }
    nodes, activations = {}, {}
    for element in elements:
        depth = depths.get(element)
        if depth is None:
            depth_of_all = lines.needed("global_hidden_layers_short")
            depth = depth_of_all.get(0, int, "a number of hidden layers")
        if not 1 <= depth <= 20:
            lines.needed("elements").fail(f"{depth} hidden layers", "1 to 20 of them")
        of_element = (elements, element, depth)
        sizes = layers_of(lines, "nodes", int, depth, *of_element[:2])
        letters = layers_of(lines, "activation", str, depth + 1, *of_element[:2])
        for keyword, values, good in (
            ("nodes", sizes, lambda size: size > 0),
            ("activation", letters, lambda letter: letter in ACTIVATION_LETTERS),
        ):
            for value in values:
                if not good(value):
                    place = lines.one(f"element_{keyword}_short") or lines.needed(
                        f"global_{keyword}_short"
                    )
                    known = " ".join(ACTIVATION_LETTERS)
                    place.fail(repr(value), f"numbers above 0 or activations among {known}")
        nodes[element] = tuple(sizes)
        activations[element] = tuple(ACTIVATION_LETTERS[letter] for letter in letters)
    return nodes, activations


def layers_of(
    lines: Lines,
    what: str,
    kind: Callable[[str], Any],
    count: int,
    elements: tuple[int, ...],
    element: int,
) -> list[Any]:
    """A value for each layer of one element.

    After ``element_...`` stand either the number of one layer and its value, or the values
    of all layers.
    """
    of_all = lines.one(f"global_{what}_short")
    values: list[Any] = [None] * count
    if of_all:
        given = min(count, len(of_all.words))
        values[:given] = [of_all.get(n, kind, f"{count} values") for n in range(given)]
    for place in lines.all(f"element_{what}_short"):
        if place.element(0, elements) != element:
            continue
        first = place.words[1] if len(place.words) > 1 else ""
        if len(place.words) == 3 and first.isdigit() and 1 <= int(first) <= count:
            values[int(first) - 1] = place.get(2, kind, "a value for one layer")
        else:
            values = [place.get(n + 1, kind, f"{count} values") for n in range(count)]
    if None in values:
        lines.needed(f"global_{what}_short").fail(
            f"{count - values.count(None)} value(s)", f"{count}, one for each layer"
        )
    return values


def read_functions(
    lines: Lines, elements: tuple[int, ...], length: float
) -> dict[int, tuple[Function, ...]]:
    """The symmetry functions of each element, in the order that n2p2 gives them."""
    found: dict[int, list[tuple[tuple, Function]]] = {element: [] for element in elements}
    for place in lines.all("symfunction_short"):
        center = place.element(0, elements)
        function = read_function(place, elements, length)
        try:
            check_function(function, elements, place.words[0])
        except InputError as error:
            place.fail(" ".join(place.words), f"a function that can be computed ({error})")
        found[center].append((sorting_key(function), function))
    for element, functions in found.items():
        if not functions:
            lines.needed("elements").fail(
                f"no symfunction_short of the element with Z = {element}", "at least one"
            )
        functions.sort(key=lambda pair: pair[0])
    return {element: tuple(f for _, f in functions) for element, functions in found.items()}


def read_function(place: Place, elements: tuple[int, ...], length: float) -> Function:
    """One line ``symfunction_short``, in Å."""
    kind = place.get(1, str, "a type of symmetry function")
    if kind == "2":
        eta, r_s, cutoff = (
            place.get(n, float, "center 2 neighbor eta r_shift cutoff") for n in (3, 4, 5)
        )
        neighbor = place.element(2, elements)
        return PairFunction(neighbor, eta / length**2, r_s * length, cutoff * length)
    if kind not in ("3", "9"):
        place.fail(f"a symmetry function of type {kind}", "type 2, 3 or 9")
    first, second = sorted((place.element(2, elements), place.element(3, elements)))
    columns = f"center {kind} neighbor neighbor eta lambda zeta cutoff r_shift"
    eta, sign, zeta, cutoff = (place.get(n, float, columns) for n in (4, 5, 6, 7))
    r_s = place.get(8, float, columns) if len(place.words) > 8 else 0.0
    return TripleFunction(
        first, second, eta / length**2, zeta, sign, r_s * length, cutoff * length, kind == "9"
    )


def sorting_key(function: Function) -> tuple:
    """What n2p2 sorts symmetry functions by (all have one kind of cutoff)."""
    if isinstance(function, PairFunction):
        return (2, function.cutoff, function.eta, function.r_s, function.neighbor)
    return (
        9 if function.wide else 3, function.cutoff, function.eta, function.r_s,
        function.zeta, function.lambda_, function.first, function.second,
    )  # fmt: skip
