"""What a run is: a hash of all that its result depends on, so that no other goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from stratal.files.hdf5 import digest
from stratal.files.pytrees import leaves_of


def identity(frames: Sequence[Atoms], potential: Any, settings: Mapping[str, Any]) -> str:
    """Hash of structures, a potential and settings.

    Args:
        frames: the structures.
        potential: a pytree of arrays.
        settings: by name.
    """
    import jax  # only here: files are read without it

    return digest(
        {
            "numbers": np.concatenate([frame.numbers for frame in frames]),
            "positions": np.concatenate([frame.positions for frame in frames]),
            "momenta": np.concatenate([frame.get_momenta() for frame in frames]),
            "sizes": np.array([len(frame) for frame in frames]),
            "cells": np.array([frame.cell.array for frame in frames]),
            "pbc": np.array([frame.pbc for frame in frames]),
            "constraints": repr([frame.constraints for frame in frames]),
            "potential": leaves_of(potential),
            "kind": str(jax.tree.structure(potential)),
            "settings": {key: str(value) for key, value in settings.items()},
        }
    )
