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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stratal.errors import InputError
from stratal.md.search.breeding import Breeding, Brood, breed
from stratal.md.search.candidates.population import Population
from stratal.md.search.events import Events
from stratal.md.search.evolution import Evolution
from stratal.md.search.limits import Limits
from stratal.md.search.plan import plan_of
from stratal.md.search.settings import SearchConfig
from stratal.potentials.evaluate import Potential
from stratal.progress import Progress
from stratal.slurm import Executor, Folder, Journal, JournalReader, Shared, Task, perform
from stratal.slurm.executor import Serial

EVENTS = "events.jsonl"


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
                if self.pending:  # they may leave something
                    yield None
                elif self.results:
                    self.take_in()
                else:
                    return
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
