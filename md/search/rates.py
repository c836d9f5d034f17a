"""How often each operator is used: more, the more of its offspring have lived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

LEAST = 0.3  # of an even share, that every operator keeps
MEMORY = 0.98  # of what is counted, after each trial of an operator


@dataclass
class Rates:
    """Not frozen: they adapt."""

    operators: Sequence[str]
    tried: dict[str, float] = field(default_factory=dict)
    lived: dict[str, float] = field(default_factory=dict)

    def weights(self) -> np.ndarray:
        """Of the operators, ``(n,)``, summing to 1."""
        success = np.array([self.success(name) for name in self.operators])
        even = np.full(len(success), 1 / len(success))
        return LEAST * even + (1 - LEAST) * success / success.sum()

    def success(self, name: str) -> float:
        """Part of its offspring that lived lately; of few, as if half of two more had."""
        return (self.lived.get(name, 0.0) + 1.0) / (self.tried.get(name, 0.0) + 2.0)

    def note(self, name: str, lived: bool) -> None:
        """One more offspring of an operator."""
        if name in self.operators:
            self.tried[name] = MEMORY * self.tried.get(name, 0.0) + 1.0
            self.lived[name] = MEMORY * self.lived.get(name, 0.0) + float(lived)

    def choose(self, rng: np.random.Generator) -> str:
        """An operator."""
        return str(rng.choice(np.array(self.operators), p=self.weights()))
