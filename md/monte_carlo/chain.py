"""A Markov chain on the host: blocks of sweeps, and relaxation or dynamics between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.data import atomic_masses, chemical_symbols

from stratal.errors import InputError
from stratal.md.dynamics.program import Schedule, first_evaluation
from stratal.md.dynamics.simulation import Simulation
from stratal.md.dynamics.state import MDState
from stratal.md.lists import in_tiles
from stratal.md.monte_carlo.order import first_shell
from stratal.md.monte_carlo.program import Conditions, Program, run_block
from stratal.md.monte_carlo.settings import MCConfig
from stratal.md.relax import relax
from stratal.md.relaxation.entries import Entry
from stratal.potentials.evaluate import Potential

TRIALS = 5000  # of a block, all systems': about a second


@dataclass
class Chain:
    """Monte Carlo of one or many systems; between blocks a checkpoint can be taken.

    Not frozen: it goes on. Used with 64-bit types enabled.
    """

    potential: Potential
    frames: Sequence[Atoms]
    config: MCConfig
    simulation: Simulation = field(init=False)  # has the state, and moves it between sweeps
    most_edges: int = field(init=False)  # of an atom at the start
    sweep: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        config, elements = self.config, self.potential.elements
        self.simulation = Simulation(self.potential, self.frames, config.dynamics)
        self.potential = self.simulation.potential  # in the precision asked for
        self.entries = self.simulation.entries
        symbols = [chemical_symbols[z] for z in elements]
        mu = config.chemical_potentials
        if foreign := sorted(set(mu) - set(symbols)):
            raise InputError(
                f"mc.chemical_potentials: {foreign[0]} is not covered by the potential, of "
                f"{', '.join(symbols)}. Remove it, or open the potential for it."
            )
        self.into = tuple(symbol in mu for symbol in symbols) if mu else ()
        self.check_free()
        edges = np.asarray(self.simulation.state.neighbors.mask.sum(axis=1))
        self.most_edges = int(edges.max())
        if config.temperatures:
            self.simulation.schedule = at_temperatures(self.simulation.schedule, config)
        self.conditions = Conditions(
            schedule=replace(self.simulation.schedule, n_steps=jnp.asarray(config.sweeps)),
            chemical_potentials=jnp.asarray([mu.get(symbol, 0.0) for symbol in symbols]),
            masses=jnp.asarray(atomic_masses[list(elements)]),
            radii=jnp.asarray(self.shells()),
            wavevectors=jnp.asarray(
                [in_own_cell(entry, config.wavevectors) for entry in self.entries]
            ),
        )

    @property
    def n_done(self) -> int:
        """Sweeps done."""
        return self.sweep

    @property
    def n_total(self) -> int:
        """Sweeps to do."""
        return self.config.sweeps

    def check_free(self) -> None:
        """Refuse systems in which nothing can change."""
        for entry in self.entries:
            species = set(entry.atoms.numbers[entry.order][entry.free].tolist())
            if not self.into and len(species) < 2:
                raise InputError(
                    f"structure {entry.number}: free atoms of {len(species)} element(s) have "
                    f"nothing to exchange. Give an alloy, or mc.chemical_potentials."
                )

    def shells(self) -> tuple[float, ...]:
        """Outer radii of the shells in which neighbors are counted, Å.

        Raises:
            InputError: beyond the reach of the potential.
        """
        reach = self.potential.cutoff
        shells = self.config.shells or (first_shell(self.entries[0].atoms, reach),)
        if shells[-1] > reach:
            raise InputError(
                f"mc.shells = {shells}: the neighbor list ends at {reach:.4g} Å, the reach of the "
                f"potential. Give radii up to it."
            )
        return shells

    def block(self) -> dict[str, np.ndarray]:
        """Some sweeps, then motion where it is due.

        Returns:
            the series of `Record` with what was observed.

        Raises:
            InputError: a system exploded in the motion, or did not come to rest.
        """
        program = self.program()
        sweep = jnp.asarray(self.sweep)
        while True:
            state, samples = run_block(
                program, self.potential, self.conditions, self.simulation.state, sweep
            )
            if not self.simulation.overflows(state):
                break
            # Atoms have changed their element, but not where lists are too small.
            self.simulation.widen(replace(self.simulation.state, **lists_of(state)))
            program = self.program()
        self.simulation.state = state
        observed = jax.tree.map(np.asarray, samples)
        self.sweep = int(observed.sweep[-1])
        config = self.config
        if config.between != "nothing" and self.sweep % config.between_every == 0:
            self.relax() if config.between == "relax" else self.move()
        return {**observed._asdict(), **self.frame()}

    def program(self) -> Program:
        """What shapes the next block."""
        config, base = self.config, self.simulation.program
        per_sample = self.simulation.state.masses.size * config.sample_every
        strides = [config.frame_every] if config.frame_every else []
        strides += [config.between_every] if config.between != "nothing" else []
        left = [stride - self.sweep % stride for stride in [*strides, config.sweeps]]
        most = max(1, TRIALS // per_sample)
        n_samples = min(left) // config.sample_every
        n_blocks = -(-n_samples // most)  # of one length, so that few programs are compiled
        while n_samples % n_blocks:
            n_blocks += 1
        return Program(
            plan=base.plan,
            into=self.into,
            precision=config.precision,
            n_rows=base.n_rows,
            n_entries=self.n_entries,
            n_renewed=base.n_renewed,
            sample_every=config.sample_every,
            n_samples=n_samples // n_blocks,
        )

    @property
    def n_entries(self) -> int:
        """Edges of an atom at most, in whole tiles: of a lattice, or of what lists can hold."""
        plan = self.simulation.program.plan
        if self.config.between != "nothing":
            return plan.n_neighbors
        return min(plan.n_neighbors, in_tiles(self.most_edges))

    def move(self) -> None:
        """Molecular dynamics of all systems."""
        simulation = self.simulation
        while True:
            began = first_evaluation(simulation.program, self.potential, simulation.state)
            if not simulation.overflows(began):
                break
            simulation.widen(began)
        simulation.state = began
        simulation.block(most=1)

    def relax(self) -> None:
        """Positions and cells to the next minimum.

        Raises:
            InputError: a system does not come to rest.
        """
        config = self.config
        for number, result in enumerate(
            relax(self.atoms(), self.potential, cell=config.cell, fmax=config.fmax)
        ):
            if not result.converged:
                raise InputError(
                    f"structure {number}: the relaxation after sweep {self.sweep} ended "
                    f"{result.outcome.label}. Give a larger mc.fmax, or start nearer to a minimum."
                )
            self.put(number, result.atoms)

    def put(self, number: int, atoms: Atoms) -> None:
        """Positions and cell of a system, its atoms in the state's order."""
        state = self.simulation.state
        n_places = state.masses.shape[1]
        first, structures = number * n_places, state.structures
        own = slice(first, first + len(atoms))
        structures = replace(
            structures,
            positions=structures.positions.at[own].set(atoms.positions),
            cell=structures.cell.at[number].set(atoms.cell.array),
        )
        waiting = state.waiting.at[number].set(True)
        self.simulation.state = replace(state, structures=structures, waiting=waiting)

    def atoms(self) -> list[Atoms]:
        """The systems as they are now, in cells of short vectors."""
        state = self.simulation.state
        shape = state.masses.shape
        positions = np.asarray(state.structures.positions).reshape(*shape, 3)
        species = np.asarray(state.structures.species).reshape(shape)
        numbers, free = np.asarray(self.potential.elements)[species], np.asarray(state.free)
        found = []
        for number, entry in enumerate(self.entries):
            own = slice(0, len(entry))
            atoms = Atoms(
                numbers[number, own],
                positions[number, own],
                cell=np.asarray(state.structures.cell[number]),
                pbc=entry.atoms.pbc,
            )
            if not entry.free.all():
                atoms.set_constraint(FixAtoms(np.flatnonzero(~free[number, own])))
            found.append(atoms)
        return found

    def frame(self) -> dict[str, np.ndarray]:
        """The systems now, where a frame is due; arrays with an axis of none or one frame."""
        state, every = self.simulation.state, self.config.frame_every
        due = [self.sweep] if every and self.sweep % every == 0 else []
        shape = state.masses.shape
        structures = state.structures
        arrays = {
            "positions": np.asarray(structures.positions).reshape(1, *shape, 3),
            "species": np.asarray(structures.species).reshape(1, *shape),
            "cells": np.asarray(structures.cell)[None],
        }
        return {"frame_sweeps": np.array(due, int)} | {
            name: array[: len(due)] for name, array in arrays.items()
        }

    def series(self, blocks: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Blocks as the arrays of a segment of a `Record`."""
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def shown(self, block: dict[str, np.ndarray]) -> dict[str, float]:
        """What the progress bar tells."""
        return {"acceptance": float(block["acceptance"].mean())}

    def snapshot(self) -> dict[str, Any]:
        """All that a checkpoint needs, as a tree of arrays."""
        return {"sweep": self.sweep, "simulation": self.simulation.snapshot()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from a snapshot, to the last bit as if there had been no end."""
        self.simulation.restore(snapshot["simulation"])
        self.sweep = int(snapshot["sweep"])


def lists_of(state: MDState) -> dict[str, Any]:
    """What a state knows of its neighbor lists."""
    return {"neighbors": state.neighbors, "needs": state.needs}


def at_temperatures(schedule: Schedule, config: MCConfig) -> Schedule:
    """The schedule with each structure's replicas at each of the settings' temperatures."""
    each = jnp.repeat(jnp.asarray(config.temperatures, float), config.replicas)
    kelvin = jnp.tile(each, schedule.first.temperature.shape[0] // len(each))
    first, last = (replace(ends, temperature=kelvin) for ends in (schedule.first, schedule.last))
    return replace(schedule, first=first, last=last)


def in_own_cell(entry: Entry, wavevectors: Sequence[Sequence[int]]) -> np.ndarray:
    """Wavevectors in the reciprocal of the slot's cell, from that of the cell given, ``(n, 3)``."""
    given = np.reshape(wavevectors, (-1, 3)).astype(float)
    change = entry.cell @ np.linalg.inv(entry.atoms.cell.complete().array)
    return given @ change.T
