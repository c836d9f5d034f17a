"""Settings of a search: one field per key of the ``[search]`` table."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal

from ase import Atoms
from ase.data import atomic_numbers
from ase.units import GPa

from stratal.errors import InputError

Kind = Literal["crystal", "film", "cluster"]
Outside = Literal["flag", "aside"]
KINDS = ("crystal", "film", "cluster")
POSITIVE = (
    "population",
    "starts",
    "relaxations",
    "batch",
    "fmax",
    "max_steps",
    "near",
    "finalists",
    "final_fmax",
    "teacher_fmax",
    "labels",
)
NOT_BELOW_ZERO = ("stagnation", "seed")


@dataclass(frozen=True)
class SearchConfig:
    """What is looked for, and how; each field is a key of the ``[search]`` table."""

    elements: tuple[str, ...]  # chemical symbols
    formula: str = ""  # a fixed composition, such as Cu3Au; without, all of the elements
    n_atoms: tuple[int, int] = (2, 8)  # of a structure, fewest and most
    kind: Kind = "crystal"
    pressure_gpa: float = 0.0
    # Å, of two atoms, by pair such as Cu-Pd; by default 0.7 of the sum of their covalent radii.
    closest: dict[str, float] = field(default_factory=dict)
    # Å³ that starts have, of every atom or by element; by default as in the elements' crystals.
    volume_per_atom: float | dict[str, float] | None = None
    population: int = 30  # candidates that have offspring; of clusters, for each size
    starts: int = 60  # structures before the first offspring
    start_from: tuple[str, ...] = ()  # kinds of starts; all that there are for such structures
    operators: tuple[str, ...] = ()  # likewise
    start_files: tuple[str, ...] = ()  # of structures that are relaxed before all others
    newcomers: float = 0.1  # part of all that is later not offspring either
    relaxations: int = 2000  # budget
    stagnation: int = 0  # stop after so many without a new best; 0: never
    target: float | None = None  # eV/atom, stop when the lowest is no higher
    batch: int = 8  # structures relaxed together by a worker
    fmax: float = 0.01  # eV/Å
    max_steps: int = 400  # evaluations of a relaxation
    similarity: float = 0.98  # from which two structures are the same
    # Minima outside the potential's domain are set aside by default: an enthalpy that is a guess,
    # and too low, would be the parent of all that follows, and a corner of the hull.
    outside: Outside = "aside"
    seed: int = 0
    # What follows does not change the search, only what is made of it.
    near: float = 0.03  # eV/atom above the lowest or the hull, up to which structures are low
    finalists: int = 20  # low structures that are relaxed once more, at most
    final_fmax: float = 1e-3  # eV/Å, of these
    teacher_fmax: float = 0.01  # eV/Å, of the same by a teacher
    labels: int = 100  # structures set aside that a teacher labels, at most

    def __post_init__(self) -> None:
        for symbol in self.elements:
            if symbol not in atomic_numbers:
                raise InputError(f"search.elements: {symbol!r} is no element. Give symbols, as Cu.")
        if not self.elements or len(set(self.elements)) != len(self.elements):
            raise InputError(f"search.elements = {self.elements}: give each element once.")
        self.check_numbers()
        self.check_kind()
        self.check_room()
        if self.formula:
            self.check_formula()

    def check_numbers(self) -> None:
        """Counts, thresholds and shares are such."""
        for key in POSITIVE:
            if not 0 < getattr(self, key) < inf:
                raise InputError(f"search.{key} = {getattr(self, key)}: give a number above 0.")
        for key in NOT_BELOW_ZERO:
            if getattr(self, key) < 0:
                raise InputError(f"search.{key} = {getattr(self, key)}: give 0 or more.")
        for key in ("pressure_gpa", "target"):
            if not isfinite(value := getattr(self, key) or 0.0):
                raise InputError(f"search.{key} = {value}: give a finite number.")
        fewest, most = self.n_atoms
        if not 1 <= fewest <= most:
            raise InputError(
                f"search.n_atoms = {self.n_atoms}: give the fewest and the most, such as [2, 8]."
            )
        if not 0 <= self.newcomers <= 1 or not 0 < self.similarity <= 1:
            raise InputError(
                f"search.newcomers = {self.newcomers}, similarity = {self.similarity}: give parts "
                f"between 0 and 1."
            )

    def check_kind(self) -> None:
        """What is searched is known, and can be pressed if it is to be."""
        if self.kind not in KINDS:
            raise InputError(f"search.kind = {self.kind!r}: give one of {', '.join(KINDS)}.")
        if self.outside not in ("flag", "aside"):
            raise InputError(f"search.outside = {self.outside!r}: give flag or aside.")
        if self.pressure_gpa and self.kind != "crystal":
            raise InputError(
                f"search.pressure_gpa = {self.pressure_gpa}: a {self.kind} has no volume to press. "
                f"Leave it out, or search for crystals."
            )

    def check_room(self) -> None:
        """Distances and volumes are lengths and volumes, of elements that are searched."""
        for pair, length in self.closest.items():
            if len(found := pair.split("-")) != 2 or not set(found) <= set(self.elements):
                raise InputError(
                    f"search.closest: {pair!r} is no pair of {', '.join(self.elements)}. Give one "
                    f"such as {self.elements[0]}-{self.elements[-1]}."
                )
            if not 0 < length < inf:
                raise InputError(f"search.closest: {pair} = {length} Å: give a length above 0.")
        volumes = self.volume_per_atom
        if isinstance(volumes, dict) and (foreign := set(volumes) - set(self.elements)):
            raise InputError(
                f"search.volume_per_atom: {min(foreign)} is not searched. Give volumes of "
                f"{', '.join(self.elements)}."
            )
        given = volumes.values() if isinstance(volumes, dict) else [volumes]
        if any(volume is not None and not 0 < volume < inf for volume in given):
            raise InputError(f"search.volume_per_atom = {volumes}: give volumes above 0, in Å³.")

    def check_formula(self) -> None:
        """Its elements are those given, and multiples of it have the numbers of atoms asked for."""
        try:
            counts = Atoms(self.formula).symbols.formula.count()
        except (ValueError, KeyError):
            raise InputError(
                f"search.formula = {self.formula!r}: give one such as Cu3Au."
            ) from None
        if foreign := sorted(set(counts) ^ set(self.elements)):
            raise InputError(
                f"search.formula = {self.formula!r}: {foreign[0]} is not in both the formula and "
                f"the elements {', '.join(self.elements)}."
            )
        if not self.sizes:
            raise InputError(
                f"search.formula = {self.formula!r}: no multiple of its {sum(counts.values())} "
                f"atoms lies in n_atoms = {self.n_atoms}. Give another range."
            )

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return tuple(sorted(atomic_numbers[symbol] for symbol in self.elements))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of atoms that structures may have."""
        fewest, most = self.n_atoms
        unit = len(Atoms(self.formula)) if self.formula else 1
        return tuple(n for n in range(fewest, most + 1) if n % unit == 0)

    @property
    def counts(self) -> tuple[int, ...] | None:
        """Atoms of each element in the formula; of one element 1, of any mixture None."""
        if not self.formula:
            return None if self.variable else (1,)
        found = Atoms(self.formula).numbers
        return tuple(int((found == z).sum()) for z in self.numbers)

    @property
    def variable(self) -> bool:
        """Whether compositions differ."""
        return not self.formula and len(self.elements) > 1

    @property
    def pressure(self) -> float:
        """eV/Å³."""
        return self.pressure_gpa * GPa
