"""A search before its first step: what its settings allow, and what all of its batches share."""

from __future__ import annotations

from dataclasses import asdict, replace

from stratal.errors import InputError
from stratal.files.hdf5 import digest
from stratal.files.pytrees import leaves_of
from stratal.md.relaxation.entries import CellMode, Entry
from stratal.md.relaxation.settings import RelaxConfig
from stratal.md.relaxation.stages import SlotSize, slot_sizes
from stratal.md.search.breeding import Breeding, Order, structure_of
from stratal.md.search.evolution import Evolution
from stratal.md.search.limits import Limits
from stratal.md.search.operators import OPERATORS
from stratal.md.search.room import limits_of
from stratal.md.search.settings import SearchConfig
from stratal.md.search.starts import STARTS, starts_from_files
from stratal.potentials.evaluate import Potential

EXAMPLES = 48  # starts by which the size of slots is chosen
ELONGATED = 1.5  # times as many images, for cells that grow thin
DENSER = 1.3  # times as dense as these, slots still hold a structure
IMPOSSIBLE = 3  # of these that cannot be made, before one is: none can
# Settings that change only what is made of a search, or that count by what they lead to.
AFTERWARDS = ("near", "finalists", "final_fmax", "teacher_fmax", "labels", "start_files")
STOPPING = ("relaxations", "stagnation", "target")  # may change: a search goes on with others
CELLS: dict[str, CellMode] = {"crystal": "free", "film": "plane", "cluster": "fixed"}


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
