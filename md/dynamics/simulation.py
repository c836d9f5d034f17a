"""A simulation on the host: blocks of steps, and what is checked between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units

from stratal.errors import InputError
from stratal.md.dynamics.program import Program, Samples, Schedule, first_evaluation, run_block
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.state import MDState, Targets
from stratal.md.lists import Plan, at_a_time, hopeless, no_neighbors, plan_from, wider
from stratal.md.relaxation.entries import Entry, in_slots
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
        config, n_systems = self.config, len(self.entries)
        largest = max(map(len, self.entries))
        entries = dict(enumerate(self.entries))
        elements = self.potential.elements
        structures, freedom, _ = in_slots(entries, (n_systems, largest), elements, 0, "float64")
        masses = np.ones((n_systems, largest))
        momenta = np.zeros((n_systems, largest, 3))
        fixes = config.ensemble.fixes_momentum
        for number, entry in enumerate(self.entries):
            own = slice(0, len(entry))
            masses[number, own] = entry.atoms.get_masses()[entry.order]
            rng = np.random.default_rng([config.seed, number])
            momenta[number, own] = starting_momenta(entry, config.temperature, fixes, rng)
        structures = jax.tree.map(jnp.asarray, structures)
        free = np.asarray(freedom.atoms)
        held = np.array([not entry.free.all() for entry in self.entries])
        n_dof = 3 * free.sum(axis=1) - 3 * (fixes & ~held)
        neighbors, needs, _ = no_neighbors(structures, plan)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(
            jax.random.PRNGKey(config.seed), jnp.arange(n_systems)
        )
        state = MDState(
            structures=structures,
            neighbors=neighbors,
            needs=needs,
            momenta=jnp.asarray(momenta),
            masses=jnp.asarray(masses),
            free=jnp.asarray(free),
            n_dof=jnp.maximum(jnp.asarray(n_dof, float), 0),
            energy=jnp.zeros(n_systems),
            forces=jnp.zeros((n_systems, largest, 3)),
            stress=jnp.zeros((n_systems, 3, 3)),
            targets=self.schedule.first,
            extra=(),
            exchanged=jnp.zeros(n_systems),
            keys=keys,
            n_steps=jnp.zeros((), jnp.int64),
            n_lists=jnp.zeros((), jnp.int64),
        )
        self.state = replace(state, extra=config.ensemble.init(state))
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
    def n_steps(self) -> int:
        """Steps done."""
        return int(self.state.n_steps)

    @property
    def done(self) -> bool:
        """Whether all steps are."""
        return self.n_steps >= self.config.steps

    def block(self) -> Samples:
        """Some steps; what was observed, on the host.

        Raises:
            InputError: the system exploded: says at which step, and what to try.
        """
        program = self.program
        left = (self.config.steps - self.n_steps) // program.sample_every
        if left < program.n_samples:
            program = replace(program, n_samples=left)
        while True:
            state, samples = run_block(program, self.potential, self.schedule, self.state)
            if not self.overflows(state):
                break
            # The block is done again, from where it began: no step used a list that was too small.
            self.widen(state)
            program = replace(self.program, n_samples=program.n_samples)
        samples = jax.tree.map(np.asarray, samples)
        self.check_finite(samples.energy + samples.kinetic, samples.step)
        self.state = state
        return samples

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
        structures = jax.tree.map(np.asarray, found.structures)
        plan = wider(self.program.plan, found.needs, structures)
        neighbors, needs, _ = no_neighbors(self.state.structures, plan)
        # A list of nothing, built at no place: it is outdated at once.
        neighbors = replace(neighbors, positions=neighbors.positions + 1e6)
        self.state = replace(self.state, neighbors=neighbors, needs=needs)
        self.program = self.program_for(plan)

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
        leaves = jax.tree.leaves(self.state)
        plan = self.program.plan
        return {
            "plan": {"kind": type(plan).__name__, **vars(plan)},
            "state": {str(n): np.asarray(leaf) for n, leaf in enumerate(leaves)},
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot, to the last bit as if there had been no end."""
        plan = plan_from(snapshot["plan"])
        neighbors, needs, _ = no_neighbors(self.state.structures, plan)
        kind = jax.tree.structure(replace(self.state, neighbors=neighbors, needs=needs))
        leaves = [jnp.asarray(snapshot["state"][str(n)]) for n in range(kind.num_leaves)]
        self.state = jax.tree.unflatten(kind, leaves)
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


def schedule_of(config: MDConfig, n_systems: int) -> Schedule:
    """Targets at the first and the last step."""

    def targets(kelvin: float, gigapascal: float) -> Targets:
        each = (kelvin, gigapascal * units.GPa)
        return Targets(*(jnp.full(n_systems, value) for value in each))

    end = config.temperature if config.temperature_end is None else config.temperature_end
    pressure_end = config.pressure_end_gpa
    return Schedule(
        targets(config.temperature, config.pressure_gpa),
        targets(end, config.pressure_gpa if pressure_end is None else pressure_end),
        jnp.asarray(config.steps),
    )


def starting_momenta(
    entry: Entry, kelvin: float, fixes_momentum: bool, rng: np.random.Generator
) -> np.ndarray:
    """Momenta ``(n_atoms, 3)`` in the slot's order: those given, or of a temperature.

    The total momentum is taken out where it would stay for ever.
    """
    masses = entry.atoms.get_masses()[entry.order][:, None]
    given = entry.atoms.get_momenta()[entry.order]
    momenta = given
    if not given.any():
        momenta = np.sqrt(masses * units.kB * kelvin) * rng.normal(size=(len(entry), 3))
    momenta = momenta * entry.free[:, None]
    if fixes_momentum and entry.free.all() and len(entry) > 1:
        momenta = momenta - masses / masses.sum() * momenta.sum(axis=0)
    return momenta


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
