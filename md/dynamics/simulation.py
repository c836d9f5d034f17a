"""A simulation on the host: blocks of steps, and what is checked between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import jax
import numpy as np
from ase import Atoms, units

from stratal.errors import InputError
from stratal.files.pytrees import leaves_of, with_leaves
from stratal.md.dynamics.program import Program, Samples, first_evaluation, run_block
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.start import schedule_of, starting_state
from stratal.md.dynamics.state import MDState
from stratal.md.lists import Plan, at_a_time, hopeless, no_neighbors, plan_as, plan_from, wider
from stratal.md.relaxation.entries import Entry
from stratal.md.relaxation.stages import Stage, plan_of, slot_sizes
from stratal.potentials.chunks import rows_within
from stratal.potentials.evaluate import Potential, in_precision

WORK = 200_000  # atoms times steps of a block: about a second or some
OVERLAP = 1e-3  # Å
TOGETHER = 1000  # atoms of systems side by side, at most: their lists look at all pairs


@dataclass
class Simulation:
    """Dynamics of one or many systems; between blocks a checkpoint can be taken.

    Not frozen: it goes on. Used with 64-bit types enabled.
    """

    potential: Potential
    frames: Sequence[Atoms]
    config: MDConfig
    state: MDState = field(init=False)
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.frames = [frame for frame in self.frames for _ in range(config.replicas)]
        self.entries = [
            Entry.of(n, frame, self.potential.elements, "fixed")
            for n, frame in enumerate(self.frames)
        ]
        check(self.entries, config)
        self.potential = in_precision(self.potential, config.precision)
        (size,) = slot_sizes(self.entries, self.potential, config.skin, most=1)
        stage = Stage(size, len(self.entries), tuple(range(len(self.entries))))
        plan = plan_of(stage, self.entries, self.potential, config.skin)
        self.schedule = schedule_of(config, len(self.entries))
        self.begin(plan)

    def begin(self, plan: Plan) -> None:
        """The state before the first step."""
        elements = self.potential.elements
        self.state = starting_state(self.entries, elements, self.config, self.schedule, plan)
        self.program = self.program_for(plan)
        while True:
            began = first_evaluation(self.program, self.potential, self.state)
            if not self.overflows(began):
                break
            self.widen(began)
        self.state = began
        shortest = np.asarray(began.needs.shortest)
        if (shortest < OVERLAP).any():
            system = int(shortest.argmin())
            raise InputError(
                f"structure {system}: two atoms overlap ({shortest[system]:.2g} Å apart). Remove "
                f"one of them or the structure."
            )
        self.check_finite(np.asarray(began.energy)[None], [0])

    @property
    def n_done(self) -> int:
        """Steps done."""
        return int(self.state.n_steps)

    @property
    def n_total(self) -> int:
        """Steps to do."""
        return self.config.steps

    def block(self, most: int | None = None) -> Samples:
        """Some steps; what was observed, on the host.

        Args:
            most: samples, at most.

        Raises:
            InputError: the system exploded: says at which step, and what to try.
        """
        program = self.program
        left = (self.n_total - self.n_done) // program.sample_every
        n_samples = min(program.n_samples, left, most or left)
        program = replace(program, n_samples=n_samples)
        while True:
            state, samples = run_block(program, self.potential, self.schedule, self.state)
            if not self.overflows(state):
                break
            # The block is done again, from where it began: no step used a list that was too small.
            self.widen(state)
            program = replace(self.program, n_samples=n_samples)
        samples = jax.tree.map(np.asarray, samples)
        self.check_finite(samples.energy + samples.kinetic, samples.step)
        self.state = state
        return samples

    def series(self, blocks: Sequence[Samples]) -> dict[str, np.ndarray]:
        """Blocks as the arrays of a segment of a `Trajectory`."""
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(block, name) for block in blocks])
            for name in Samples._fields
            if getattr(blocks[0], name) is not None
        }
        joined["steps"] = joined.pop("step")
        if self.config.frame_every:
            is_frame = joined["steps"] % self.config.frame_every == 0
            for name in ("positions", "momenta"):
                joined[name] = joined[name][is_frame]
            joined["frame_steps"] = joined["steps"][is_frame]
        else:
            empty = np.zeros((0, joined["energy"].shape[1], 0, 3))
            joined |= {"positions": empty, "momenta": empty, "frame_steps": np.zeros(0, int)}
        return joined

    def shown(self, block: Samples) -> dict[str, float]:
        """What the progress bar tells."""
        return {"temperature": float(block.temperature[-1].mean())}

    def overflows(self, state: MDState) -> bool:
        """Whether a neighbor list was too small."""
        return bool((state.neighbors.overflow & state.structures.system_mask).any())

    def widen(self, found: MDState) -> None:
        """A larger plan for the neighbor lists, which are built anew where the state stands.

        Args:
            found: a state whose lists were too small.
        """
        lost = hopeless(self.program.plan, found.neighbors, found.needs)
        if lost.any():
            self.refuse(int(np.flatnonzero(lost)[0]), int(found.n_steps))
        # As they were when their list was too small: the cell may have grown again since.
        lists = found.neighbors
        then = replace(found.structures, positions=lists.positions, cell=lists.cell)
        plan = wider(self.program.plan, found.needs, jax.tree.map(np.asarray, then))
        self.state = self.without_lists(plan)
        self.program = self.program_for(plan)

    def without_lists(self, plan: Plan) -> MDState:
        """The state whose systems wait for neighbor lists by a plan."""
        neighbors, needs, waiting = no_neighbors(self.state.structures, plan)
        return replace(self.state, neighbors=neighbors, needs=needs, waiting=waiting)

    def check_finite(self, energies: np.ndarray, steps: Sequence[int] | np.ndarray) -> None:
        """Refuse to go on with what has exploded."""
        bad = ~np.isfinite(energies)
        if bad.any():
            sample, system = np.argwhere(bad)[0]
            self.refuse(int(system), int(np.asarray(steps)[sample]))

    def refuse(self, system: int, step: int) -> NoReturn:
        """Say that a system has exploded."""
        when = f"by step {step}" if step else "before the first step"
        raise InputError(
            f"structure {system}: exploded {when}: energies are not finite, or atoms have flown "
            f"apart or fallen together. Take a shorter time step than {self.config.timestep} fs, "
            f"relax the structure first, or check that the potential knows such atoms."
        )

    def snapshot(self) -> dict[str, Any]:
        """All that a checkpoint needs, as a tree of arrays."""
        return {"plan": plan_as(self.program.plan), "state": leaves_of(self.state)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot, to the last bit as if there had been no end."""
        plan = plan_from(snapshot["plan"])
        self.state = with_leaves(self.without_lists(plan), snapshot["state"])
        self.program = self.program_for(plan)

    def program_for(self, plan: Plan) -> Program:
        """What shapes the compiled block."""
        config, structures = self.config, self.state.structures
        every = config.sample_every
        per_frame = max(1, config.frame_every // every)
        n_samples = max(1, WORK // (structures.n_atoms * every))
        n_samples = -(-n_samples // per_frame) * per_frame  # whole frames
        neighbors, _, _ = no_neighbors(structures, plan)
        return Program(
            plan=plan,
            ensemble=config.ensemble,
            dt=config.timestep * units.fs,
            precision=config.precision,
            n_rows=rows_within(self.potential, structures.astype(config.precision), neighbors),
            n_renewed=at_a_time(structures.n_atoms // structures.n_systems, structures.n_systems),
            sample_every=every,
            n_samples=min(n_samples, max(1, config.steps // every)),
            frames=config.frame_every > 0,
        )


def check(entries: Sequence[Entry], config: MDConfig) -> None:
    """Refuse what cannot be simulated."""
    if not entries:
        raise InputError("no structures to move. Give one or more.")
    largest = max(map(len, entries))
    if len(entries) > 1 and largest > TOGETHER:
        raise InputError(
            f"{len(entries)} systems of up to {largest} atoms: those above {TOGETHER} move alone. "
            f"Give a folder to each."
        )
    for entry in entries:
        if config.barostat != "none" and not entry.atoms.pbc.all():
            raise InputError(
                f"structure {entry.number}: a barostat needs a cell periodic in three directions. "
                f"Give barostat = none."
            )
        if config.barostat != "none" and not entry.free.all():
            raise InputError(
                f"structure {entry.number}: atoms are fixed, but a barostat moves them with the "
                f"cell. Remove FixAtoms, or give barostat = none."
            )
