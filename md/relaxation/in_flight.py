"""In-flight batching: slots are never idle while structures wait.

A compiled block of steps runs on all slots; between blocks the host takes out what has ended and
puts new structures in. The program stays the same, whatever comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from stratal.descriptors.structures import Structures
from stratal.files.pytrees import leaves_of, with_leaves
from stratal.md.coordinates import deformations
from stratal.md.lists import Plan, at_a_time, hopeless, plan_as, plan_from, wider
from stratal.md.relaxation.entries import Entry, in_slots, relaxed_atoms
from stratal.md.relaxation.program import Program, run_block
from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.slots import merged, moved_to, without
from stratal.md.relaxation.stages import SlotSize, Stage, plan_of, slot_sizes, stages_for
from stratal.md.relaxation.state import Outcome, Relaxing, beginning, shortest_bonds
from stratal.potentials.chunks import rows_within
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential
from stratal.potentials.trust import factors_by_rows, knows_domain

BLOCK = 8  # steps between looks of the host
SHORT_BLOCK = 4  # alike, of small structures that end after some fifty
FEW = 8  # a part of the slots: 1 in so many

_begin = compiled(beginning, static_argnames=("minimizer", "plan"))
_deformations = jax.jit(deformations)
_shortest_bonds = jax.jit(shortest_bonds)
_worst = jax.jit(Structures.max_by_system)


@dataclass(frozen=True)
class Use:
    """How well the slots were used in a block."""

    moved: int  # systems, summed over steps
    slots: int  # alike
    left: int  # structures that had not ended before it


@dataclass(frozen=True)
class Unfinished:
    """Relaxations under way, which go on in another flight: to the last bit as they were."""

    entries: tuple[Entry, ...]
    snapshot: Mapping[str, Any]  # of a flight that has these entries alone


@dataclass
class Flight:
    """A run of many relaxations; between two blocks a checkpoint can be taken.

    Not frozen: it goes on.
    """

    potential: Potential
    entries: Sequence[Entry]
    config: RelaxConfig
    sizes: tuple[SlotSize, ...] = ()  # of slots; by default for these structures
    steady: bool = False  # as many slots to the end, all of one size: others go on where it ends
    stage: int = field(init=False, default=0)
    queue: deque[int] = field(init=False, default_factory=deque)  # entries that wait
    in_slot: list[int | None] = field(init=False, default_factory=list)  # the entry in each
    lingering: int = field(init=False, default=0)  # blocks since the stage could have been left
    n_left: int = field(init=False)  # structures that have not ended
    use: list[Use] = field(init=False, default_factory=list)  # of each block
    n_programs: int = field(init=False, default=0)  # blocks that were compiled

    def __post_init__(self) -> None:
        sizes = self.sizes or slot_sizes(self.entries, self.potential, self.config.skin)
        self.stages = self.stages_of(sizes)
        rotations = [e.rotations for e in self.entries if e.rotations is not None]
        self.n_operations = max(map(len, rotations), default=0)
        self.n_left = len(self.entries)
        self.enter(0)

    @classmethod
    def after(
        cls,
        before: Unfinished | None,
        entries: Sequence[Entry],
        potential: Potential,
        config: RelaxConfig,
        sizes: tuple[SlotSize, ...],
    ) -> Flight:
        """A steady flight that goes on with what another left, and has new entries besides."""
        if before is None:
            return cls(potential, entries, config, sizes, steady=True)
        entries = [*before.entries, *entries]
        flight = cls(potential, entries, config, sizes, steady=True)
        flight.restore(before.snapshot)
        flight.queue.extend(range(len(before.entries), len(entries)))
        flight.n_left = len(entries)
        return flight

    @property
    def has_idle_slots(self) -> bool:
        """Whether nothing waits for the slots that are empty."""
        return not self.queue and len(self.carried) < len(self.in_slot)

    def unfinished(self) -> Unfinished | None:
        """What is in the slots, for another flight; nothing may wait any more."""
        if not self.n_left:
            return None
        if self.overflowing().any():
            self.widen()
        numbers = [self.in_slot[slot] for slot in self.carried]
        entries = tuple(self.entries[n] for n in numbers if n is not None)
        places = np.full(len(self.in_slot), -1)
        places[self.carried] = np.arange(len(entries))
        return Unfinished(entries, self.snapshot() | {"in_slot": places})

    def stages_of(self, sizes: tuple[SlotSize, ...]) -> list[Stage]:
        """The stages for the entries."""
        if self.steady:
            assert self.config.slots is not None and len(sizes) == 1
            return [Stage(sizes[0], self.config.slots, tuple(range(len(self.entries))))]
        return stages_for([len(e) for e in self.entries], sizes, self.config.slots)

    def block(self) -> list[Relaxed]:
        """Some steps of all slots; what has ended by then."""
        left = self.n_left
        self.fill()
        self.state, moved = run_block(self.program, self.potential, self.state)
        self.give_up_hopeless()
        self.use.append(Use(int(moved.sum()), len(moved) * len(self.in_slot), left))
        ended = self.harvest()
        if self.n_left and self.stage_is_over():
            self.enter(self.stage + 1)
        elif self.is_too_narrow():
            self.widen()
        return ended

    def give_up_hopeless(self) -> None:
        """What has collapsed or flown apart has exploded; no neighbor list will hold it."""
        lost = hopeless(self.program.plan, self.state.neighbors, self.state.needs)
        if (lost := lost & np.asarray(self.state.running)).any():
            outcome = np.where(lost, Outcome.EXPLODED, np.asarray(self.state.outcome))
            self.state = replace(self.state, outcome=jax.numpy.asarray(outcome, np.int32))

    @property
    def carried(self) -> list[int]:
        """Filled slots."""
        return [slot for slot, held in enumerate(self.in_slot) if held is not None]

    def stage_is_over(self) -> bool:
        """Whether too few structures are left for the slots of this stage."""
        stage = self.stages[self.stage]
        if self.queue or len(self.carried) > stage.until or self.stage + 1 == len(self.stages):
            return False
        self.lingering += 1
        return self.lingering > stage.patience

    def is_too_narrow(self) -> bool:
        """Whether the neighbor lists are too small for more than a few structures.

        Those few wait until others have ended, for which larger lists would be slower.
        """
        stuck = int(self.overflowing().sum())
        waiting_for = len(self.carried) + len(self.queue) - stuck
        return stuck * FEW > len(self.in_slot) or (stuck > 0 and waiting_for == 0)

    def enter(self, number: int) -> None:
        """Go to a stage, with all that is under way."""
        stage = self.stages[number]
        under_way = [self.in_slot[slot] for slot in self.carried]
        entries = [self.entries[i] for i in (*stage.entries, *under_way) if i is not None]
        plan = plan_of(stage, entries, self.potential, self.config.skin)
        self.stage, self.lingering = number, 0
        self.queue.extend(stage.entries)
        self.go_on(stage, plan)

    def widen(self) -> None:
        """Go on with a larger plan."""
        which = self.overflowing()
        needs = jax.tree.map(lambda need: np.asarray(need)[which], self.state.needs)
        structures = jax.tree.map(np.asarray, self.state.structures)
        self.go_on(self.stages[self.stage], wider(self.program.plan, needs, structures))

    def halve(self) -> None:
        """Go on with half the slots; what has no place any more begins again later."""
        fewer = len(self.in_slot) // 2
        self.stages = [replace(s, n_slots=min(s.n_slots, fewer)) for s in self.stages]
        self.stages = [
            replace(s, until=min(s.until, later.n_slots))
            for s, later in zip(self.stages, [*self.stages[1:], self.stages[-1]], strict=True)
        ]
        for slot in self.carried[fewer:]:
            self.queue.appendleft(self.in_slot[slot])  # pyright: ignore[reportArgumentType]
            self.in_slot[slot] = None
        stage = self.stages[self.stage]
        self.go_on(stage, plan_of(stage, self.entries, self.potential, self.config.skin))

    def snapshot(self) -> dict[str, Any]:
        """All that a checkpoint needs, as a tree of arrays."""
        return {
            "stage": self.stage,
            "lingering": self.lingering,
            "left": self.n_left,
            "slots": [s.n_slots for s in self.stages],
            "queue": np.array(self.queue, np.int64),
            "in_slot": np.array([-1 if n is None else n for n in self.in_slot], np.int64),
            "plan": plan_as(self.program.plan),
            "state": leaves_of(self.state),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot: every slot is as it was, to the last bit."""
        slots = [int(n) for n in snapshot["slots"]]
        self.stages = [replace(s, n_slots=n) for s, n in zip(self.stages, slots, strict=True)]
        self.stage, self.n_left = int(snapshot["stage"]), int(snapshot["left"])
        self.queue = deque(int(n) for n in snapshot["queue"])
        self.in_slot = []
        self.go_on(self.stages[self.stage], plan_from(snapshot["plan"]))
        self.in_slot = [None if n < 0 else int(n) for n in snapshot["in_slot"]]
        self.state = with_leaves(self.state, snapshot["state"])
        self.lingering = int(snapshot["lingering"])

    def go_on(self, stage: Stage, plan: Plan) -> None:
        """Fresh slots for a stage by a plan, with all that is under way in the first of them."""
        carried = self.carried
        held = [self.in_slot[slot] for slot in carried]
        self.in_slot = [None] * stage.n_slots
        blank = self.fresh({}, stage, plan)
        self.state = moved_to(self.state, carried, blank) if carried else blank
        self.in_slot[: len(held)] = held
        self.program = self.program_for(stage, plan)
        self.n_programs += 1

    def fill(self) -> None:
        """Put waiting structures into empty slots."""
        empty = [slot for slot, held in enumerate(self.in_slot) if held is None]
        new = {slot: self.queue.popleft() for slot in empty[: len(self.queue)]}
        if not new:
            return
        for slot, number in new.items():
            self.in_slot[slot] = number
        entries = {slot: self.entries[number] for slot, number in new.items()}
        fresh = self.fresh(entries, self.stages[self.stage], self.program.plan)
        self.state = merged(self.state, fresh, np.isin(np.arange(len(self.in_slot)), list(new)))

    def fresh(self, entries: Mapping[int, Entry], stage: Stage, plan: Plan) -> Relaxing:
        """Slots of a stage with structures that begin, the others empty."""
        elements = self.potential.elements
        shape = (stage.n_slots, stage.size.n_places)
        arrays = in_slots(entries, shape, elements, self.n_operations, self.config.precision)
        return _begin(*arrays, minimizer=self.config.minimizer, plan=plan)

    def harvest(self) -> list[Relaxed]:
        """Take out what has ended."""
        outcome = np.asarray(self.state.outcome)
        ended = [slot for slot in self.carried if outcome[slot] != Outcome.RUNNING]
        if not ended:
            return []
        here = self.on_host()
        found = [self.taken(slot, here) for slot in ended]
        self.state = without(self.state, ended)
        for slot in ended:
            self.in_slot[slot] = None
        self.n_left -= len(ended)
        return found

    def on_host(self) -> dict[str, np.ndarray]:
        """What results are made of, by slot."""
        state, n_slots = self.state, len(self.in_slot)
        by_slot = {
            "positions": state.structures.positions,
            "forces": state.forces,
            "deformation": _deformations(state.structures, state.x),
            "shortest": _shortest_bonds(state.structures, state.neighbors),
            "grade": self.grades(),
            **{
                name: getattr(state, name)
                for name in ("energy", "stress", "outcome", "n_steps", "largest")
            },
        }
        flat = {name: np.asarray(array) for name, array in by_slot.items()}
        for name in ("positions", "forces"):
            flat[name] = flat[name].reshape(n_slots, -1, 3)
        return flat

    def grades(self) -> jax.Array | np.ndarray:
        """Of the atom farthest out in each slot, ``(n_slots,)``; NaN if none can tell."""
        structures = self.state.structures
        if not knows_domain(self.potential):
            return np.full(len(self.in_slot), np.nan)
        arguments = (self.potential, structures, self.state.neighbors, self.program.n_rows)
        return _worst(structures, factors_by_rows(*arguments)[0])

    def taken(self, slot: int, here: Mapping[str, np.ndarray]) -> Relaxed:
        """The result in a slot."""
        number = self.in_slot[slot]
        assert number is not None
        entry = self.entries[number]
        own: dict[str, Any] = {name: array[slot] for name, array in here.items()}
        outcome = Outcome(int(own["outcome"]))
        if outcome == Outcome.CONVERGED and own["grade"] > self.config.largest_grade:
            outcome = Outcome.OUTSIDE
        if outcome == Outcome.CONVERGED and own["shortest"] < self.config.closest:
            outcome = Outcome.TOO_CLOSE
        atoms = relaxed_atoms(
            entry,
            own["positions"][: len(entry)].astype(float),
            own["deformation"].astype(float),
            float(own["energy"]),
            own["forces"][: len(entry)].astype(float),
            own["stress"].astype(float),
        )
        figures = (float(own["largest"]), float(own["grade"]))
        return Relaxed(entry.number, atoms, outcome, int(own["n_steps"]), *figures)

    def overflowing(self) -> np.ndarray:
        """Which slots need a larger neighbor table, ``(n_slots,)``."""
        return np.asarray(self.state.neighbors.overflow & self.state.running)

    def program_for(self, stage: Stage, plan: Plan) -> Program:
        """What shapes the compiled block."""
        config = self.config
        return Program(
            plan=plan,
            n_places=stage.size.n_places,
            minimizer=config.minimizer,
            strain=config.strain,
            pressure=config.pressure,
            fmax=config.fmax,
            max_steps=config.max_steps,
            n_rows=rows_within(self.potential, self.state.structures, self.state.neighbors),
            n_renewed=at_a_time(stage.size.n_places, stage.n_slots),
            n_steps=SHORT_BLOCK if self.steady else BLOCK,
        )
