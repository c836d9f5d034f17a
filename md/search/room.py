"""Room for atoms as settings give it, and whether they can have it at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from stratal.errors import InputError
from stratal.md.search.limits import Limits
from stratal.md.search.settings import SearchConfig

DENSEST = np.pi / np.sqrt(18)  # part of space that equal spheres can fill, 0.7405


def limits_of(config: SearchConfig) -> Limits:
    """What the settings say of structures.

    Raises:
        InputError: distances that atoms cannot keep at their volume.
    """
    fixed: dict[str, Any] = {"n_atoms": config.n_atoms, "formula": config.counts}
    default = Limits.of(config.numbers, config.kind, **fixed)
    closest, volumes = default.closest.copy(), default.volumes.copy()
    for pair, length in config.closest.items():
        a, b = (config.numbers.index(atomic_numbers[symbol]) for symbol in pair.split("-"))
        closest[a, b] = closest[b, a] = length
    wanted = config.volume_per_atom
    if isinstance(wanted, dict):
        for symbol, volume in wanted.items():
            volumes[config.numbers.index(atomic_numbers[symbol])] = volume
    elif wanted is not None:
        volumes[:] = wanted
    limits = Limits.of(config.numbers, config.kind, closest=closest, volumes=volumes, **fixed)
    check_room(limits)
    return limits


def check_room(limits: Limits) -> None:
    """Refuse distances at which atoms would fill more of space than spheres can.

    Each atom counts as a sphere of half its closest distance to any other, so that no two overlap.
    Of a formula all together; of free compositions every element, which may stand alone.

    Raises:
        InputError: names the elements and the part of space.
    """
    radii = 0.5 * limits.closest.min(axis=1)
    spheres = 4 / 3 * np.pi * radii**3
    symbols = [chemical_symbols[z] for z in limits.elements]
    own = 4 / 3 * np.pi * (0.5 * limits.closest.diagonal()) ** 3
    shares = {symbol: own[n] / limits.volumes[n] for n, symbol in enumerate(symbols)}
    if limits.formula is not None:
        counts = np.array(limits.formula)
        shares = {"-".join(symbols): float(counts @ spheres / (counts @ limits.volumes))}
    for name, share in shares.items():
        if share > DENSEST:
            raise InputError(
                f"search: at their closest distances atoms of {name} fill {share:.2f} of their "
                f"volume; spheres fill up to {DENSEST:.2f}. Give shorter distances in "
                f"search.closest, or a larger search.volume_per_atom."
            )
