"""Where a candidate comes from: its parents, theirs, and so on to the starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratal.md.search.evolution import Step

MOST = 24  # ancestors that are told of


@dataclass(frozen=True)
class Ancestor:
    """A relaxation among those that led to a candidate."""

    step: Step
    generation: int  # 0 the candidate itself, 1 its parents; the farther of several

    @property
    def words(self) -> str:
        """What it was, on three lines."""
        how = self.step.operator.replace("_", " ")
        return f"{self.step.number}: {self.step.formula}\n{self.step.enthalpy:.4f} eV/atom\n{how}"


def ancestors(steps: Sequence[Step], number: int, most: int = MOST) -> list[Ancestor]:
    """A candidate and its ancestors, nearer ones first; the farthest are left out.

    Args:
        steps: all relaxations.
        number: of the candidate.
        most: ancestors.
    """
    by_number = {step.number: step for step in steps}
    generations, waiting = {number: 0}, [number]
    while waiting:
        child = waiting.pop(0)
        for parent in by_number[child].parents:
            if parent not in by_number:
                continue
            if parent not in generations and len(generations) > most:
                continue
            if generations.get(parent, -1) <= generations[child]:
                generations[parent] = generations[child] + 1
                waiting.append(parent)
    found = [Ancestor(by_number[n], generation) for n, generation in generations.items()]
    return sorted(found, key=lambda one: (one.generation, one.step.number))
