"""The search itself: who has offspring next, what becomes of it, when it is enough.

There are no generations: whenever a worker is free it is asked for another batch, whose parents are
the best that are known then. What is decided depends on the seed and on the order of events alone,
which stand in a file: a search that goes on decides the same again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from stratal.md.relaxation.state import Outcome
from stratal.md.search.breeding import NOT_MADE, Offspring, Order
from stratal.md.search.candidates.candidate import Candidate
from stratal.md.search.candidates.discoveries import Coverage, Discoveries
from stratal.md.search.candidates.population import Population, Verdict
from stratal.md.search.candidates.sameness import Sameness
from stratal.md.search.rates import Rates
from stratal.md.search.settings import SearchConfig
from stratal.md.search.starts import FROM_FILE

ASIDE = "set aside"


@dataclass(frozen=True)
class Step:
    """What became of one relaxation."""

    number: int
    operator: str
    parents: tuple[int, ...]
    verdict: Verdict | str  # else how its relaxation ended
    enthalpy: float  # eV/atom; NaN of what is no candidate
    formula: str = ""  # of the cell


@dataclass
class Evolution:
    """Not frozen: it goes on. Pure in the sense that only calls change it, and no clock."""

    config: SearchConfig
    operators: Mapping[str, int]  # that make offspring, and of how many parents
    starts: Sequence[str]  # kinds of starts
    seeds: Sequence[Atoms] = ()  # from files, relaxed first
    population: Population = field(init=False)
    rates: Rates = field(init=False)
    asked: int = field(init=False, default=0)  # relaxations
    done: int = field(init=False, default=0)
    last_best: int = field(init=False, default=0)  # relaxations done when the best was found
    steps: list[Step] = field(init=False, default_factory=list)
    outcomes: Counter[str] = field(init=False, default_factory=Counter)
    ordered: dict[int, str] = field(init=False, default_factory=dict)  # by number, under way
    gave_up: Counter[str] = field(init=False, default_factory=Counter)  # operators and starts
    discoveries: Discoveries = field(init=False)
    aside: list[Candidate] = field(init=False, default_factory=list)
    use: np.ndarray = field(init=False)  # (2,), of slots, as in `Brood`

    def __post_init__(self) -> None:
        config, same = self.config, Sameness()
        clusters = config.kind == "cluster"
        self.population = Population(
            config.population * (len(config.sizes) if clusters else 1),
            config.numbers,
            config.similarity,
            variable=config.variable and not clusters,
            niches=clusters,
            confirm=same,
        )
        self.discoveries = Discoveries(config.near, config.similarity, same)
        self.rates = Rates(tuple(self.operators))
        self.use = np.zeros(2, int)

    def wanted(self) -> int:
        """Structures that the next batch is to make; 0 once it is enough."""
        left = self.config.relaxations - self.asked
        return 0 if self.is_over() else min(self.config.batch, left)

    def next_batch(self, count: int) -> tuple[Order, ...]:
        """What to relax next."""
        orders = tuple(self.order(self.asked + place) for place in range(count))
        self.ordered |= {order.number: order.operator for order in orders}
        self.asked += count
        return orders

    def order(self, number: int) -> Order:
        """A start, or offspring of the best that are known now."""
        config = self.config
        if number < len(self.seeds):
            return Order(number, FROM_FILE, (self.seeds[number],), (), len(self.seeds[number]))
        rng = np.random.default_rng([config.seed, number])
        size = int(rng.choice(config.sizes))
        early = number < config.starts or len(self.population.members) < 2
        if early or not self.operators or rng.random() < config.newcomers:
            kind = self.starts[int(rng.integers(len(self.starts)))]
            return Order(number, kind, (), (), size)
        operator = self.rates.choose(rng)
        parents = self.population.parents(rng, self.operators[operator])
        frames = tuple(parent.bare for parent in parents)
        known = tuple(parent.number for parent in parents)
        return Order(number, operator, frames, known, size)

    def receive(self, found: Sequence[Offspring]) -> None:
        """Take in what came of a batch."""
        for one in found:
            self.done += 1
            wanted = self.ordered.pop(one.number)
            self.gave_up[wanted] += wanted != one.origin.operator or one.outcome == NOT_MADE
            verdict: Verdict | str = one.outcome
            enthalpy = float("nan")
            if one.atoms is not None and one.fingerprint is not None:
                candidate = Candidate(
                    number=one.number,
                    atoms=one.atoms,
                    enthalpy=one.enthalpy,
                    fingerprint=one.fingerprint,
                    origin=one.origin,
                    n_steps=one.n_steps,
                    grade=one.grade,
                    outside=one.outcome == Outcome.OUTSIDE.label,
                )
                verdict, enthalpy = self.admit(candidate), candidate.by_atom
            if verdict == "new best":
                self.last_best = self.done
            self.rates.note(one.origin.operator, verdict in ("new", "new best"))
            self.outcomes[verdict] += 1
            formula = one.atoms.get_chemical_formula() if one.atoms is not None else ""
            self.steps.append(Step(one.number, *one.origin, verdict, enthalpy, formula))

    def admit(self, candidate: Candidate) -> Verdict | str:
        """Take a candidate in, or set it aside where its enthalpy is not to be trusted."""
        if candidate.outside and self.config.outside == "aside":
            self.aside.append(candidate)
            return ASIDE
        self.discoveries.note(candidate, self.population.above(candidate), self.done)
        return self.population.add(candidate)

    @property
    def coverage(self) -> Coverage:
        """How much of what is low has been found."""
        lowest = [kind.by_atom - self.population.above(kind) for kind in self.discoveries.kinds]
        return Coverage(self.done, tuple(self.discoveries.low(lowest)))

    def is_over(self) -> str:
        """Why it is enough, or nothing."""
        config = self.config
        if config.target is not None:  # before the budget: the last batch may meet it
            best = [member.by_atom for member in self.population.best()]
            if best and min(best) <= config.target:
                return "target"
        if self.asked >= config.relaxations:
            return "budget"
        if config.stagnation and self.done - self.last_best >= config.stagnation:
            return "stagnation"
        return ""
