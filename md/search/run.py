"""`search`: an evolutionary search on an executor, in a folder from which it goes on.

Example::

    config = SearchConfig(elements=("Cu", "Pd"), n_atoms=(2, 8), relaxations=5000)
    found = search(config, potential, "cupd")
    for candidate in found.population.best():
        print(candidate.atoms.symbols, candidate.by_atom)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from stratal.errors import InputError
from stratal.files.hdf5 import digest
from stratal.files.pytrees import leaves_of
from stratal.md.relaxation.entries import CellMode, Entry
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.stages import SlotSize, slot_sizes
from stratal.md.search.breeding import Breeding, Brood, Order, breed, structure_of
from stratal.md.search.candidates.population import Population
from stratal.md.search.events import Events
from stratal.md.search.evolution import Evolution
from stratal.md.search.limits import Limits
from stratal.md.search.operators import OPERATORS
from stratal.md.search.reader import JournalReader
from stratal.md.search.room import limits_of
from stratal.md.search.settings import SearchConfig
from stratal.md.search.starts import STARTS, starts_from_files
from stratal.potentials.evaluate import Potential
from stratal.progress import Progress
from stratal.slurm import Executor, Folder, Journal, Shared, Task, perform
from stratal.slurm.executor import Serial

EXAMPLES = 48  # starts by which the size of slots is chosen
ELONGATED = 1.5  # times as many images, for cells that grow thin
DENSER = 1.3  # times as dense as these, slots still hold a structure
IMPOSSIBLE = 3  # of these that cannot be made, before one is: none can
EVENTS = "events.jsonl"
# Settings that change only what is made of a search, or that count by what they lead to.
AFTERWARDS = ("near", "finalists", "final_fmax", "teacher_fmax", "labels", "start_files")
STOPPING = ("relaxations", "stagnation", "target")  # may change: a search goes on with others
CELLS: dict[str, CellMode] = {"crystal": "free", "film": "plane", "cluster": "fixed"}


@dataclass(frozen=True)
class Found:
    """How a search ended."""

    evolution: Evolution
    reason: str  # why it stopped: budget, target, stagnation; nothing: not over yet

    @property
    def population(self) -> Population:
        """The best that differ."""
        return self.evolution.population


def search(
    config: SearchConfig,
    potential: Potential,
    folder: str | Path,
    executor: Executor | None = None,
    limits: Limits | None = None,
) -> Found:
    """Look for the structures of lowest enthalpy; goes on where a search in the folder was.

    Args:
        config: what is looked for.
        potential: that covers all elements.
        folder: of the journal and of what happened.
        executor: from `open_executor`; by default this process works itself.
        limits: of structures; by default those of the settings.

    Raises:
        InputError: settings that cannot be met, a folder of another search.
        Stopped: a signal asked to; run again to go on.
    """
    folder = Path(folder)
    evolution, breeding, run = plan_of(config, potential, limits)
    with Journal(folder, run) as journal:
        executor = executor or Serial()
        behind = 1 if executor.window == 1 else 0
        shared = Shared.of(potential, journal.folder)
        loop = Loop(evolution, breeding, shared, journal, behind)
        loop.go_on(Events(folder / EVENTS, run))
        outcomes = perform(
            loop.tasks(),
            journal,
            executor,
            description="searching",
            shown=False,  # tasks are not what counts
            late=True,
            before_sending=loop.events.write,
        )
        with closing(outcomes), Progress(config.relaxations, "searching") as bar:
            bar.update(loop.n_relaxed)
            for outcome in outcomes:
                loop.receive(outcome.task, brood := outcome.result())
                bar.update(len(brood.offspring), **notes(evolution, executor, loop.n_under_way))
        loop.take_in()
        loop.events.write()
    return Found(evolution, evolution.is_over())


def so_far(
    config: SearchConfig, potential: Potential, folder: str | Path, limits: Limits | None = None
) -> Found:
    """What a search has found that runs elsewhere, was killed or is done; changes nothing.

    Args:
        config: of that search.
        potential: alike.
        folder: alike.
        limits: alike.

    Raises:
        InputError: no search there, or another.
    """
    folder = Path(folder)
    evolution, breeding, run = plan_of(config, potential, limits)
    events = Events(folder / EVENTS, run, write=False)
    with JournalReader(folder) as journal:
        shared = Shared.of(potential, folder)
        loop = Loop(evolution, breeding, shared, journal, reads_only=True)
        loop.go_on(events)
        loop.take_in()
    is_over = not loop.pending and not loop.under_way
    return Found(evolution, evolution.is_over() if is_over else "")


def notes(evolution: Evolution, executor: Executor, n_under_way: int) -> dict[str, str]:
    """What is shown beside the progress."""
    best = evolution.population.best()
    busy = min(n_under_way, executor.n_workers)
    lowest = {"best": f"{min(m.by_atom for m in best):.5f} eV/atom"} if best else {}
    return lowest | {"busy": f"{busy} of {executor.n_workers} workers"}


class Loop:
    """Between the evolution, which decides, and the executor, which works.

    Where one worker does all, a batch is decided by what came of those before the one that is just
    done, in their order: so it does not matter whether that one's end was noted before a death or
    after it, nor that one of them had to be done again.

    What a batch leaves under way goes on in the next that is asked for once this is known; when
    no more structures are wanted, in batches without new ones.
    """

    def __init__(
        self,
        evolution: Evolution,
        breeding: Breeding,
        potential: Shared,
        journal: Journal | JournalReader,
        behind: int = 0,
        reads_only: bool = False,
    ) -> None:
        """Nothing is asked for yet.

        Args:
            evolution: what decides.
            breeding: what all batches share.
            potential: likewise.
            journal: of the run.
            behind: batches; how far what is decided lags behind what is asked; 0: as little as
                it can, in whatever order they are done.
            reads_only: another process may do the work: nothing is put away.
        """
        self.evolution, self.breeding = evolution, breeding
        self.potential, self.journal, self.behind = potential, journal, behind
        self.reads_only = reads_only
        self.folder = Folder(str(journal.folder.resolve()))
        self.pending: dict[int, Task] = {}  # by number of the batch
        self.numbers: dict[str, int] = {}  # of the batch, by task
        self.results: dict[int, Brood] = {}  # by batch as they came, not taken in yet
        self.under_way: deque[str] = deque()  # what batches left, taken in; digests
        self.of_batch: dict[int, str] = {}  # what a batch goes on with
        self.n_batches = self.n_known = self.n_relaxed = 0

    def go_on(self, events: Events) -> None:
        """Decide again what was decided, with results from the journal."""
        self.events = events
        for number, event in enumerate(events):
            if event.what == "asked":
                self.take_in(event.known)
                self.ask(event.count)
            elif event.batch in self.pending:
                task = self.pending[event.batch]
                self.end(event.batch, task.id, self.journal.result(task.id))
            else:
                raise InputError(
                    f"{events.path}, line {number + 2}: damaged; batch {event.batch} is done, "
                    f"but was not asked for. Restore the file, or give another folder."
                )
        self.unfinished = list(self.pending.values())

    def ask(self, count: int) -> Task:
        """The next batch as a task; it makes so many structures."""
        orders = self.evolution.next_batch(count)
        name = f"structures {orders[0].number} to {orders[-1].number}" if orders else "the rest"
        before = None
        if self.under_way:
            self.of_batch[self.n_batches] = digest = self.under_way.popleft()
            before = Shared.kept(digest, self.journal.folder)
        arguments = (orders, before, self.potential, self.breeding, self.folder)
        # Parents follow from their numbers, whatever else from the run.
        key = before and before.digest, [order.key for order in orders]
        task = Task(breed, arguments, name=name, key=key)
        self.pending[self.n_batches] = task
        self.numbers[task.id] = self.n_batches
        self.n_batches += 1
        return task

    def take_in(self, known: int | None = None) -> None:
        """Let the evolution know what came of so many batches; of all by default."""
        while self.results and (known is None or self.n_known < known):
            batch = self.n_known if self.behind else next(iter(self.results))
            if (brood := self.results.pop(batch, None)) is None:
                return
            self.evolution.receive(brood.offspring)
            self.evolution.use += np.array(brood.use)
            if brood.under_way:
                self.under_way.append(brood.under_way)
            self.n_known += 1

    def tasks(self) -> Iterator[Task | None]:
        """What was asked for, then a new batch whenever a worker is free; None: not now."""
        yield from self.unfinished
        while True:
            needed = self.n_batches - self.behind
            self.take_in(needed)
            if self.behind and self.n_known < needed:  # one is done again
                yield None
                continue
            over = self.evolution.is_over()
            if over == "target":
                return
            if over and not self.under_way:
                if not self.pending and not self.results:
                    return
                if self.pending:  # they may leave something
                    yield None
                else:
                    self.take_in()
                continue
            count = self.evolution.wanted()
            self.events.add("asked", self.n_batches, self.n_known, count)
            yield self.ask(count)

    def receive(self, task: str, found: Brood) -> None:
        """A batch is done."""
        batch = self.numbers[task]
        self.events.add("done", batch)
        self.end(batch, task, found)

    def end(self, batch: int, task: str, found: Brood) -> None:
        """Nothing of a batch is needed any more, but what it found."""
        del self.numbers[task], self.pending[batch]
        if (digest := self.of_batch.pop(batch, "")) and not self.reads_only:
            Path(Shared.kept(digest, self.journal.folder).path).unlink(missing_ok=True)
        self.results[batch] = found
        self.n_relaxed += len(found.offspring)

    @property
    def n_under_way(self) -> int:
        """Batches."""
        return len(self.pending)


def plan_of(
    config: SearchConfig, potential: Potential, limits: Limits | None
) -> tuple[Evolution, Breeding, str]:
    """A search before its first step, and a hash of all that its decisions depend on."""
    limits = limits or limits_of(config)
    seeds = starts_from_files(config.start_files, limits)
    evolution = Evolution(config, operators_for(config), starts_for(config), seeds)
    free = AFTERWARDS + STOPPING
    settings = {key: own for key, own in asdict(config).items() if key not in free}
    tree = {
        "potential": leaves_of(potential),
        "settings": repr(sorted(settings.items())),
        "limits": repr(limits),
        "starts": {
            str(number): {"numbers": a.numbers, "positions": a.positions, "cell": a.cell.array}
            for number, a in enumerate(seeds)
        },
    }
    return evolution, breeding_for(config, potential, limits, evolution), digest(tree)


def check_choices(config: SearchConfig) -> None:
    """Refuse, before anything is made, what no search can be.

    Raises:
        InputError: distances that cannot be kept, a start or an operator that is not known.
    """
    limits_of(config)
    starts_for(config)
    operators_for(config)


def starts_for(config: SearchConfig) -> tuple[str, ...]:
    """Kinds of starts for this kind of structures."""
    known = tuple(name for name, start in STARTS.items() if config.kind in start.kinds)
    return chosen("start_from", config.start_from, known)


def operators_for(config: SearchConfig) -> dict[str, int]:
    """Operators for such structures that have something to change; how many parents each has."""
    idle: set[str] = set()
    if not config.variable:
        idle.add("substitution")
    if len(config.sizes) == 1:
        idle |= {"resize_cell", "neighboring_size"}
    if len(config.elements) == 1:
        idle |= {"permutation", "core_shell_swap"}
    known = tuple(name for name, op in OPERATORS.items() if config.kind in op.kinds)
    names = chosen("operators", config.operators, tuple(n for n in known if n not in idle))
    return {name: OPERATORS[name].n_parents for name in names}


def chosen(key: str, wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Those that the settings name, or all.

    Raises:
        InputError: one that is not known for such a search.
    """
    for name in wanted:
        if name not in known:
            raise InputError(
                f"search.{key}: {name!r} is not known for such structures; known are "
                f"{', '.join(known)}. Correct it."
            )
    return wanted or known


def breeding_for(
    config: SearchConfig, potential: Potential, limits: Limits, evolution: Evolution
) -> Breeding:
    """What all batches share; slots of one size, so that all compile one program."""
    relax = RelaxConfig(
        fmax=config.fmax,
        cell=CELLS[config.kind],
        pressure_gpa=config.pressure_gpa,
        max_steps=config.max_steps,
        slots=config.batch,
    )
    blank = Breeding(limits, relax, (), config.seed)
    return replace(blank, sizes=slots_for(config, potential, blank, evolution))


def slots_for(
    config: SearchConfig, potential: Potential, breeding: Breeding, evolution: Evolution
) -> tuple[SlotSize, ...]:
    """The size of slots, from some starts made denser.

    The largest need most neighbors, the smallest most images of their cells.
    """
    entries = []
    for number in range(EXAMPLES):
        size = max(config.sizes) if number % 2 else min(config.sizes)
        order = Order(number, evolution.starts[number // 2 % len(evolution.starts)], size=size)
        atoms = structure_of(order, breeding)[1]
        if atoms is None:
            if number + 1 >= IMPOSSIBLE and not entries:
                raise InputError(
                    f"search: none of {number + 1} starts of {max(config.sizes)} atoms could be "
                    f"made. Give shorter distances in search.closest, a larger "
                    f"search.volume_per_atom, or other kinds in search.start_from."
                )
        else:
            if atoms.pbc.all():
                atoms.set_cell(atoms.cell.array / DENSER ** (1 / 3), scale_atoms=True)
            entries.append(Entry.of(number, atoms, potential.elements, breeding.relax.cell))
    (size,) = slot_sizes(entries, potential, breeding.relax.skin, most=1)
    return (replace(size, n_images=int(ELONGATED * size.n_images)),)
