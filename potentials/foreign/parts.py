"""What exporters need of a library: the couplings and trunks behind some elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ase.data import atomic_numbers

from stratal.descriptors.descriptor import Descriptor
from stratal.descriptors.invariants import Moments
from stratal.errors import InputError
from stratal.potentials.compose import check_alike, coupling_of, kinds_of_pairs, strata_for
from stratal.potentials.stratum import Coupling, Stratum, Trunk


@dataclass(frozen=True)
class Parts:
    """The networks of some elements, all coupled through their first layer."""

    elements: tuple[int, ...]  # atomic numbers, ascending
    descriptor: Descriptor
    trunks: dict[int, Trunk]
    couplings: dict[tuple[int, tuple[int, ...]], Coupling]  # by center and block, all of them
    short_range: str
    source: str  # names and hashes of the strata


def parts_of(strata: Mapping[str, Stratum], symbols: Sequence[str], program: str) -> Parts:
    """Collect what another program is to be given.

    Args:
        strata: by name.
        symbols: chemical symbols, in any order.
        program: its name, for errors.

    Raises:
        InputError: an unknown symbol, a missing stratum, or strata that the program cannot
            express.
    """
    unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
    if unknown or not symbols:
        raise InputError(f"{unknown or 'nothing'!s}: give chemical symbols, such as Cu Ag.")
    numbers = tuple(sorted({atomic_numbers[symbol] for symbol in symbols}))
    used = strata_for(strata, numbers)
    check_alike(used)
    for stratum in used:
        if isinstance(stratum.descriptor, Moments):
            raise InputError(
                f"stratum {stratum.name} is made of moments, which {program} does not have: "
                f"only strata of symmetry functions can be exported."
            )
    kinds = set(kinds_of_pairs(used).values())
    if len(kinds) > 1:
        raise InputError(
            f"{' '.join(symbols)}: short ranges {', '.join(sorted(kinds))} between different "
            f"elements, {program} has one for all. Train with the same (short_range)."
        )
    first = used[0]
    given = {key: coupling for stratum in used for key, coupling in stratum.couplings.items()}
    trunks = {z: t for s in used for z, t in s.trunks.items() if z in numbers}
    assert not isinstance(first.descriptor, Moments)
    descriptor = first.descriptor.of_elements(numbers)
    return Parts(
        elements=numbers,
        descriptor=descriptor,
        trunks=trunks,
        couplings={
            (center, block.neighbors): coupling_of(given, center, block, len(trunk.bias))
            for center, trunk in trunks.items()
            for block in descriptor.blocks(numbers)
        },
        short_range=kinds.pop(),
        source=", ".join(f"{s.name} {s.physics_hash[:12]}" for s in used),
    )
