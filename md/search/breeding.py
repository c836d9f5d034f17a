"""What a worker does in a search: make structures, relax them, describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms

from stratal.md.relax import relax_each
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.stages import SlotSize
from stratal.md.relaxation.state import Outcome
from stratal.md.search.limits import Limits
from stratal.md.search.operators import OPERATORS
from stratal.md.search.starts import FROM_FILE, STARTS
from stratal.md.structures.similarity import fingerprints
from stratal.potentials.evaluate import Potential

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
    operator: str  # that made it
    parents: tuple[int, ...]
    atoms: Atoms | None  # relaxed; None where there is no candidate
    enthalpy: float = float("nan")  # of the whole, eV
    fingerprint: np.ndarray | None = None
    outcome: str = ""  # how its relaxation ended, or why there was none
    n_steps: int = 0
    grade: float = field(default=float("nan"))


def breed(orders: Sequence[Order], potential: Potential, breeding: Breeding) -> list[Offspring]:
    """Make, relax and describe the structures of a batch, in the order of their numbers."""
    made = [(order, *structure_of(order, breeding)) for order in orders]
    frames = [atoms for _, _, atoms in made if atoms is not None]
    relaxed = {
        result.number: result
        for result in relax_each(frames, potential, breeding.relax, breeding.sizes)
    }
    found, place = [], 0
    for order, operator, atoms in made:
        parents = order.parent_numbers if operator == order.operator else ()
        if atoms is None:
            found.append(Offspring(order.number, operator, parents, None, outcome=NOT_MADE))
            continue
        result, place = relaxed[place], place + 1
        usable = result.outcome in (Outcome.CONVERGED, Outcome.OUTSIDE)
        end = result.atoms
        volume = end.cell.volume if end.pbc.all() else 0.0
        found.append(
            Offspring(
                number=order.number,
                operator=operator,
                parents=parents,
                atoms=end if usable else None,
                enthalpy=result.energy + breeding.relax.pressure * volume,
                outcome=result.outcome.label,
                n_steps=result.n_steps,
                grade=result.grade,
            )
        )
    return described(found, breeding.limits.elements)


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
