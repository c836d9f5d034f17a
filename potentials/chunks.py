"""Large systems within little memory: the rows of the neighbor table, some at a time.

What makes this possible is that the energy of an atom depends on its own row alone. A
potential says so by ``strictly_local = True``; one that passes messages between atoms
cannot, and is evaluated at once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import (
    CACHED,
    Potential,
    Result,
    as_result,
    energies_and_pull,
    evaluate,
    is_strictly_local,
)

ROWS = 16  # chunks have a multiple of these
PROBE = 1024  # rows of the program by whose memory the size of chunks is chosen
HARMLESS = 2000  # bytes per entry of the table, more than any potential needs

evaluate_at_once = compiled(evaluate)


def evaluate_within(
    potential: Potential,
    structures: Structures,
    neighbors: Neighbors,
    memory_limit: float | None = None,
) -> Result:
    """What `evaluate` gives, in chunks of rows where they need less memory or time.

    Args:
        potential: any; only a strictly local one can be evaluated in chunks.
        structures: all atoms.
        neighbors: all rows.
        memory_limit: bytes for what is computed, beyond the arrays given; half of what is
            free by default.

    Raises:
        InputError: a limit was given that cannot be kept.
    """
    n_rows = rows_within(potential, structures, neighbors, memory_limit)
    return evaluate_rows(potential, structures, neighbors, n_rows)


def evaluate_rows(
    potential: Potential, structures: Structures, neighbors: Neighbors, n_rows: int
) -> Result:
    """What `evaluate` gives, compiled, from ``n_rows`` rows at a time."""
    if n_rows >= structures.n_atoms:
        return evaluate_at_once(potential, structures, neighbors)
    return evaluate_in_chunks(potential, structures, neighbors, n_rows)


def result_by_rows(
    potential: Potential, structures: Structures, neighbors: Neighbors, n_rows: int
) -> Result:
    """What `evaluate` gives, from ``n_rows`` rows of the table at a time: pure, not compiled.

    Raises:
        InputError: more rows than that, of a potential that is not strictly local.
    """
    if n_rows >= structures.n_atoms:
        return evaluate(potential, structures, neighbors)
    energies, forces, virials = sum_over_rows(potential, structures, neighbors, 0, n_rows)
    return as_result(structures, energies, forces, virials)


evaluate_in_chunks = compiled(result_by_rows, static_argnames="n_rows")


def sum_over_rows(
    potential: Potential,
    structures: Structures,
    table: Neighbors,
    first: jax.Array | int,
    n_rows: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Evaluate the rows of ``table``, those of the atoms from ``first`` on.

    Rows of one species are taken together, so that what is computed for others can be left
    out. Forces are collected by adding each edge's pull to its two atoms: that needs no memory
    for edges of other chunks, and takes no longer than to gather reverse edges.

    Returns:
        of the table's rows the energies ``(rows,)``, eV, and of all atoms the forces
        ``(n_atoms, 3)``, eV/Å, as far as they come from these rows; the rows' virials
        ``(rows, 3, 3)``, eV.
    """
    check_strictly_local(potential)
    structures, table = jax.tree.map(jnp.asarray, (structures, table))
    in_table, dtype = table.senders.shape[0], structures.positions.dtype
    n_rows = min(n_rows, in_table)
    order = rows_by_species(potential, structures, first + jnp.arange(in_table))

    def add_chunk(number: jax.Array, sums: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        which, again = rows_of_chunk(order, number, n_rows)
        rows = table.rows(which, structures)
        receivers = structures.rows(first + which)
        displacements = rows.displacements(structures, receivers)
        energies, pull, virials = energies_and_pull(potential, receivers, rows, displacements)
        pull = jnp.where(again[:, None, None], 0.0, pull)
        forces = sums[1].at[first + which].add(pull.sum(axis=1)).at[rows.senders].add(-pull)
        energies = energies.astype(dtype)
        return sums[0].at[which].set(energies), forces, sums[2].at[which].set(virials)

    empty = ((in_table,), (structures.n_atoms, 3), (in_table, 3, 3))
    sums = tuple(jnp.zeros(shape, dtype) for shape in empty)
    return jax.lax.fori_loop(0, -(-in_table // n_rows), add_chunk, sums)


def rows_by_species(
    potential: Potential, structures: Structures, receivers: jax.Array
) -> jax.Array:
    """The order that takes rows of one species together, ``(rows,)``.

    Args:
        potential: of one element: the order is that of the rows.
        structures: all atoms.
        receivers: which atom each row is of, ``(rows,)``.
    """
    if len(potential.elements) == 1:
        return jnp.arange(len(receivers))
    return jnp.argsort(jnp.asarray(structures.species)[receivers])


def rows_of_chunk(order: jax.Array, number: jax.Array, n_rows: int) -> tuple[jax.Array, jax.Array]:
    """The rows of one chunk, ``(n_rows,)``, and which of them the chunk before had too.

    The last chunk takes up rows of the one before, so that all have one shape.
    """
    start = jnp.minimum(number * n_rows, len(order) - n_rows)
    again = start + jnp.arange(n_rows) < number * n_rows
    return jax.lax.dynamic_slice_in_dim(order, start, n_rows), again


def rows_within(
    potential: Potential,
    structures: Structures,
    neighbors: Neighbors,
    memory_limit: float | None = None,
) -> int:
    """How many rows of the table to evaluate at a time within ``memory_limit`` bytes.

    On processors as many as stay in the cache, on accelerators as many as fit; all if the
    potential is not strictly local and no limit was asked for.

    Raises:
        InputError: a limit was given that cannot be kept.
    """
    n_atoms, n_neighbors = neighbors.senders.shape
    if not is_strictly_local(potential):
        if memory_limit is not None and n_atoms * n_neighbors * HARMLESS > memory_limit:
            check_strictly_local(potential)
        return n_atoms
    cached = getattr(potential, "cached_rows", CACHED)
    most = cached if jax.default_backend() == "cpu" else n_atoms
    limit = 0.5 * available_memory() if memory_limit is None else float(memory_limit)
    # Energies, virials and forces of all atoms, before and after they are summed.
    of_results = 2 * n_atoms * (1 + 9 + 3) * structures.positions.dtype.itemsize
    if of_results + min(most, n_atoms) * n_neighbors * HARMLESS > limit:
        per_row = bytes_per_row(potential, structures, neighbors)
        fitting = int(max(0.0, limit - of_results) / per_row)
        # A power of two: what is free changes from call to call, the program should not.
        most = min(most, 1 << fitting.bit_length() >> 1)
        if most < ROWS and memory_limit is not None:
            needed = of_results + ROWS * per_row
            raise InputError(
                f"memory_limit = {limit / 1e6:.3g} MB is too little for {n_atoms:,} atoms with "
                f"{n_neighbors} neighbors: give {1.01 * needed / 1e6:.3g} MB or more."
            )
    if n_atoms <= max(ROWS, most):
        return n_atoms
    n_chunks = -(-n_atoms // max(ROWS, most))  # of equal size, so that little is done twice
    return -(-n_atoms // (n_chunks * ROWS)) * ROWS


def bytes_per_row(potential: Potential, structures: Structures, neighbors: Neighbors) -> float:
    """Memory that evaluating one row takes, from the compiler's figure for some rows."""
    n_rows = min(PROBE, structures.n_atoms)

    def some_rows(potential: Any, structures: Structures, table: Neighbors) -> Any:
        which = jnp.arange(n_rows)
        return potential, structures.rows(which), table.rows(which, structures)

    leaves, kind = jax.tree.flatten(jax.eval_shape(some_rows, potential, structures, neighbors))
    return bytes_of(kind, tuple((leaf.shape, leaf.dtype) for leaf in leaves))


@lru_cache(maxsize=64)
def bytes_of(kind: Any, leaves: tuple[tuple[tuple[int, ...], Any], ...]) -> float:
    """`bytes_per_row` of arrays of these shapes and types."""
    shapes = [jax.ShapeDtypeStruct(*leaf) for leaf in leaves]
    potential, structures, table = jax.tree.unflatten(kind, shapes)
    n_rows, n_neighbors = table.senders.shape
    program = compiled(sum_over_rows, static_argnums=4).lower(
        potential, structures, table, 0, n_rows
    )
    memory = program.compile().memory_analysis()
    if memory is None:  # a device that does not say: more than symmetry functions need
        return 100.0 * n_neighbors * structures.positions.dtype.itemsize
    return max(1.0, memory.temp_size_in_bytes / n_rows)


def available_memory() -> float:
    """Bytes free on a device; for processors, its share of what this process may still use."""
    device = jax.local_devices()[0]
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return float(statistics["bytes_limit"] - statistics.get("bytes_in_use", 0))
    free = [8e9]  # where nothing is known
    found = Path("/proc/meminfo")
    if found.exists():
        words = dict(line.split(":") for line in found.read_text().splitlines())
        free = [1024.0 * float(words["MemAvailable"].split()[0])]
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free.append(float(limit.read_text()) - float(used.read_text()))
    return max(0.0, min(free)) / len(jax.local_devices())


def check_strictly_local(potential: Potential) -> None:
    """Refuse potentials whose atomic energies need more than the atom's own row."""
    if not is_strictly_local(potential):
        raise InputError(
            f"{type(potential).__name__} cannot be evaluated in parts: it does not say that each "
            f"atomic energy depends on the atom's own neighbors alone. If that is so, give its "
            f"class `strictly_local = True`; else evaluate without a memory limit on one device."
        )
