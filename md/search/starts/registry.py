"""The kinds of start, by name."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Limits
from stratal.md.search.starts.by_space_group import by_space_group
from stratal.md.search.starts.compact import compact
from stratal.md.search.starts.drawing import Composition
from stratal.md.search.starts.from_prototype import from_prototype
from stratal.md.search.starts.random_structure import random_structure
from stratal.md.search.starts.tiled import tiled


class Draw(Protocol):
    """Draws one structure."""

    def __call__(
        self,
        composition: Composition,
        limits: Limits,
        rng: np.random.Generator,
        seconds: float = ...,
    ) -> Atoms | None:
        """A structure that obeys the limits; None: given up, at the latest after ``seconds``."""
        ...


class Start(NamedTuple):
    """A kind of start, and what it can draw."""

    kinds: tuple[str, ...]  # of candidates, as in `Limits.kind`
    function: Draw


STARTS = {
    "random": Start(("crystal", "film", "cluster"), random_structure),
    "space_group": Start(("crystal",), by_space_group),
    "tiled": Start(("crystal", "film"), tiled),
    "prototype": Start(("crystal", "film", "cluster"), from_prototype),
    "compact": Start(("cluster",), compact),
}
