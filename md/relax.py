"""`relax`: structures to their minima, thousands at once.

Example::

    potential = Library.open("lib").potential("Cu", "Ag")
    for result in relax(structures, potential, fmax=0.01):
        print(result.number, result.outcome.label, result.energy)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
from ase import Atoms

from stratal.md.relaxation.entries import Entry
from stratal.md.relaxation.in_flight import Flight
from stratal.md.relaxation.memory import shrinking
from stratal.md.relaxation.relaxed import Relaxed
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.stages import SlotSize, slot_sizes
from stratal.potentials.evaluate import Potential, in_precision
from stratal.slurm import Executor, Journal, Shared, Task, perform

PARTS = 4  # of the structures for each worker, so that all end at about the same time
LARGE_PART = 2000  # structures; less is lost with a worker


def relax(
    structures: Iterable[Atoms],
    potential: Potential,
    config: RelaxConfig | None = None,
    **settings: Any,
) -> list[Relaxed]:
    """Relax structures on this process's device.

    Args:
        structures: of any sizes; atoms that ``FixAtoms`` holds stay in their place in the cell.
        potential: that covers all their elements.
        config: how; `RelaxConfig` tells what can be set.
        settings: its fields by name, instead.

    Returns:
        results in the order of the structures.

    Raises:
        InputError: settings out of range, a structure that no potential can work with.
    """
    found = relax_each(structures, potential, config, **settings)
    return sorted(found, key=lambda result: result.number)


def relax_each(
    structures: Iterable[Atoms],
    potential: Potential,
    config: RelaxConfig | None = None,
    sizes: tuple[SlotSize, ...] = (),
    **settings: Any,
) -> Iterator[Relaxed]:
    """Relax structures; results come as they end.

    Args:
        structures: as in `relax`.
        potential: alike.
        config: alike.
        sizes: of slots; by default for these structures.
        settings: fields of `RelaxConfig`.
    """
    config = replace(config or RelaxConfig(), **settings)
    with jax.enable_x64(True):
        entries = entries_of(structures, potential, config)
        if not entries:
            return
        flight = Flight(in_precision(potential, config.precision), entries, config, sizes)
        while flight.n_left:
            yield from shrinking(flight)


def entries_of(
    structures: Iterable[Atoms], potential: Potential, config: RelaxConfig
) -> list[Entry]:
    """Structures checked and prepared."""
    how = (potential.elements, config.cell, config.symmetry)
    return [Entry.of(number, atoms, *how) for number, atoms in enumerate(structures)]


def relax_on(
    executor: Executor,
    journal: Journal,
    structures: Sequence[Atoms],
    potential: Potential,
    config: RelaxConfig | None = None,
    **settings: Any,
) -> Iterator[Relaxed]:
    """Relax structures on workers, in parts; results come as parts end.

    A part that is done is not done again, whatever ends the run. All workers compile the same
    programs.

    Args:
        executor: from `open_executor`.
        journal: of this run.
        structures: as in `relax`.
        potential: alike.
        config: alike.
        settings: fields of `RelaxConfig`.

    Raises:
        InputError: as `relax`.
        TaskFailed: a part failed on all of its attempts.
        Stopped: a signal asked to.
    """
    config = replace(config or RelaxConfig(), **settings)
    entries = entries_of(structures, potential, config)
    if not entries:
        return
    sizes = slot_sizes(entries, potential, config.skin)
    shared = Shared.of(potential, journal.folder)
    n_parts = PARTS * max(1, executor.n_workers)
    n_parts = max(n_parts, -(-len(entries) // LARGE_PART))
    # Small and large in each, so that none takes much longer.
    order = sorted(range(len(entries)), key=lambda i: len(entries[i]))
    parts = [order[first::n_parts] for first in range(min(n_parts, len(order)))]
    tasks = [
        Task(
            relax_part,
            (part, [structures[i] for i in part], shared, config, sizes),
            name=f"part {number + 1} of {len(parts)}, {len(part)} structures",
        )
        for number, part in enumerate(parts)
    ]
    for outcome in perform(tasks, journal, executor, description="relaxing"):
        yield from outcome.result()


def relax_part(
    numbers: Sequence[int],
    structures: Sequence[Atoms],
    potential: Potential,
    config: RelaxConfig,
    sizes: tuple[SlotSize, ...],
) -> list[Relaxed]:
    """What a worker does: relax some structures, known by their numbers."""
    found = relax_each(structures, potential, config, sizes)
    return [replace(result, number=numbers[result.number]) for result in found]
