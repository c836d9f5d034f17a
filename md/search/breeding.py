"""What a worker does in a search: make structures, relax them, describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import jax
import numpy as np
from ase import Atoms

from stratal.md.relaxation.entries import Entry
from stratal.md.relaxation.in_flight import Flight, Unfinished
from stratal.md.relaxation.memory import shrinking
from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.stages import SlotSize
from stratal.md.relaxation.state import Outcome
from stratal.md.search.candidates.candidate import Origin
from stratal.md.search.limits import Limits
from stratal.md.search.operators import OPERATORS
from stratal.md.search.starts import FROM_FILE, STARTS
from stratal.md.structures.similarity import fingerprints
from stratal.potentials.evaluate import Potential, in_precision
from stratal.slurm import Shared

NOT_MADE = "not made"
TRIES = 10  # of an operator, before a random structure takes its place


@dataclass(frozen=True)
class Order:
    """One structure that is wanted."""

    number: int
    operator: str  # or the kind of start
    parents: tuple[Atoms, ...] = ()  # of a start from a file, that structure
    parent_numbers: tuple[int, ...] = ()
    size: int = 0  # atoms, of a start

    @property
    def key(self) -> tuple[int, str, tuple[int, ...], int]:
        """What names it in a search."""
        return self.number, self.operator, self.parent_numbers, self.size


@dataclass(frozen=True)
class Breeding:
    """What all batches of a search share."""

    limits: Limits
    relax: RelaxConfig
    sizes: tuple[SlotSize, ...]
    seed: int


@dataclass(frozen=True)
class Offspring:
    """What came of an order."""

    number: int
    origin: Origin
    atoms: Atoms | None  # relaxed; None where there is no candidate
    enthalpy: float = float("nan")  # of the whole, eV
    fingerprint: np.ndarray | None = None
    outcome: str = ""  # how its relaxation ended, or why there was none
    n_steps: int = 0
    grade: float = field(default=float("nan"))


@dataclass(frozen=True)
class UnderWay:
    """Structures whose relaxation goes on in a later batch."""

    origins: Mapping[int, Origin]  # by number
    relaxations: Unfinished


@dataclass(frozen=True)
class Brood:
    """What came of a batch."""

    offspring: list[Offspring]
    under_way: str  # digest of what is kept in the folder for a later batch; empty: nothing
    use: tuple[int, int] = (0, 0)  # of slots: steps of structures, and steps that there could be


def breed(
    orders: Sequence[Order],
    before: UnderWay | None,
    potential: Potential,
    breeding: Breeding,
    folder: str,
) -> Brood:
    """Make the structures that are ordered, relax and describe them.

    It ends when a slot is idle; what is in the others goes on in a later batch, whose new
    structures fill the idle ones. A batch without orders goes on to the end of all.

    Args:
        orders: what is wanted.
        before: what an earlier batch left under way.
        potential: of the search.
        breeding: what all batches share.
        folder: where to keep what is under way at the end.
    """
    made = [(order, *structure_of(order, breeding)) for order in orders]
    origins = dict(before.origins) if before else {}
    for order, operator, _ in made:
        parents = order.parent_numbers if operator == order.operator else ()
        origins[order.number] = Origin(operator, parents)
    found = [
        Offspring(order.number, origins[order.number], None, outcome=NOT_MADE)
        for order, _, atoms in made
        if atoms is None
    ]
    if len(found) == len(orders) and before is None:
        return Brood(found, "")
    structures = {order.number: atoms for order, _, atoms in made if atoms is not None}
    with jax.enable_x64(True):
        relax = breeding.relax
        entries = [
            Entry.of(number, atoms, potential.elements, relax.cell)
            for number, atoms in structures.items()
        ]
        potential = in_precision(potential, relax.precision)
        relaxations = before.relaxations if before else None
        flight = Flight.after(relaxations, entries, potential, relax, breeding.sizes)
        while flight.n_left and not (orders and flight.has_idle_slots):
            found += [offspring_of(result, origins, relax) for result in shrinking(flight)]
        left = flight.unfinished()
    kept = ""
    if left is not None:
        numbers = [entry.number for entry in left.entries]
        kept = Shared.of(UnderWay({n: origins[n] for n in numbers}, left), folder).digest
    use = sum(use.moved for use in flight.use), sum(use.slots for use in flight.use)
    found.sort(key=lambda one: one.number)
    return Brood(described(found, breeding.limits.elements), kept, use)


def offspring_of(result: Relaxed, origins: Mapping[int, Origin], relax: RelaxConfig) -> Offspring:
    """What a relaxation made of a structure."""
    usable = result.outcome in (Outcome.CONVERGED, Outcome.OUTSIDE)
    end = result.atoms
    volume = end.cell.volume if end.pbc.all() else 0.0
    return Offspring(
        number=result.number,
        origin=origins[result.number],
        atoms=end if usable else None,
        enthalpy=result.energy + relax.pressure * volume,
        outcome=result.outcome.label,
        n_steps=result.n_steps,
        grade=result.grade,
    )


def described(found: list[Offspring], elements: Sequence[int]) -> list[Offspring]:
    """The offspring with fingerprints."""
    usable = [one for one in found if one.atoms is not None]
    vectors = fingerprints([one.atoms for one in usable], elements=elements) if usable else []
    known = {one.number: vector for one, vector in zip(usable, vectors, strict=True)}
    return [replace(one, fingerprint=known.get(one.number)) for one in found]


def structure_of(order: Order, breeding: Breeding) -> tuple[str, Atoms | None]:
    """A structure as ordered, and what made it: a random one where the operator gives up."""
    limits = breeding.limits
    for attempt in range(TRIES):
        rng = np.random.default_rng([breeding.seed, order.number, attempt])
        if order.operator == FROM_FILE:
            atoms = limits.admitted(order.parents[0])
        elif order.operator in OPERATORS:
            atoms = OPERATORS[order.operator].function(order.parents, limits, rng)
        else:
            start = STARTS[order.operator].function
            atoms = start(composition_of(order, breeding, rng), limits, rng)
        if atoms is not None:
            return order.operator, atoms
    rng = np.random.default_rng([breeding.seed, order.number, TRIES])
    return "random", STARTS["random"].function(composition_of(order, breeding, rng), limits, rng)


def composition_of(order: Order, breeding: Breeding, rng: np.random.Generator) -> dict[int, int]:
    """Atoms of each element of a start."""
    elements, formula = breeding.limits.elements, breeding.limits.formula
    if formula is not None:
        times = order.size // sum(formula)
        return {z: times * count for z, count in zip(elements, formula, strict=True) if count}
    # All compositions alike: what stands between n_elements - 1 bars among the atoms.
    bars = np.sort(rng.integers(0, order.size + 1, len(elements) - 1))
    counts = np.diff([0, *bars, order.size])
    return {z: int(count) for z, count in zip(elements, counts, strict=True) if count}
