"""How a cell list is laid out: bins of the cell, codes of shifts, sizes of its tables.

All that shapes the compiled search is chosen here, on the host. What bins atoms lie in is
computed by the same lines on host and device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stratal.descriptors.neighbors import TILE, check_entries
from stratal.descriptors.structures import Structures
from stratal.descriptors.table_rows import NO_KEY
from stratal.errors import InputError

SLACK = 1e-3  # relative, by which bins are larger than they need be: rounding, small strain


@dataclass(frozen=True)
class CellListPlan:
    """What shapes the compiled search; hashable, so that equal plans share a program."""

    n_bins: tuple[int, int, int]  # along each cell vector
    reach_bins: tuple[int, int, int]  # how many bins further a neighbor can be
    pbc: tuple[bool, bool, bool]
    capacity: int  # atoms that a bin can hold
    n_neighbors: int  # width of the table
    cutoff: float  # Å, of the potential
    skin: float  # Å, the list reaches to cutoff + skin
    shift_type: str = "int8"  # of the table's shifts; atoms far from home need int32

    @property
    def max_shift(self) -> tuple[int, int, int]:
        """The most cells that an edge between wrapped atoms crosses along each vector."""
        parts = zip(self.reach_bins, self.n_bins, self.pbc, strict=True)
        x, y, z = (-(-reach // n) if periodic else 0 for reach, n, periodic in parts)
        return x, y, z

    @property
    def n_shifts(self) -> int:
        """Distinct shifts of edges."""
        return int(np.prod([2 * most + 1 for most in self.max_shift]))


def plan_cell_list(
    structures: Structures,
    cutoff: float,
    skin: float = 0.0,
    n_neighbors: int | None = None,
    most_bins: tuple[int, int, int] | None = None,
) -> CellListPlan:
    """Choose bins, their capacity and the table's width for a system on the host.

    Args:
        structures: one system.
        cutoff: reach of the potential, Å.
        skin: how much further the list reaches, Å.
        n_neighbors: width of the table; guessed from the density by default.
        most_bins: along each vector; as many as the reach allows by default.

    Raises:
        InputError: more than one system, or more atoms than 32-bit keys can tell apart.
    """
    if np.asarray(structures.system_mask).sum() != 1 or not np.asarray(structures.system_mask)[0]:
        raise InputError(
            f"a cell list is for one system, found {np.asarray(structures.system_mask).sum()}. "
            f"Use neighbor_list for several."
        )
    real = np.asarray(structures.atom_mask)
    positions, cell = np.asarray(structures.positions, float), np.asarray(structures.cell[0], float)
    pbc = np.asarray(structures.pbc[0], bool)
    spans = spans_of(np, positions, real, cell, pbc)
    reach, n_real = float(cutoff) + float(skin), int(real.sum())
    n_bins = np.maximum(1, spans / (reach * (1 + SLACK))).astype(int)
    while n_bins.prod() > max(8, 2 * n_real):  # mostly vacuum: larger bins do
        n_bins[n_bins.argmax()] = -(-n_bins.max() // 2)
    n_bins = n_bins if most_bins is None else np.minimum(n_bins, most_bins)
    ratio = reach * (1 + 0.5 * SLACK) * n_bins / np.maximum(spans, 1e-9)
    reach_bins = np.ceil(np.where(pbc, ratio, np.minimum(ratio, n_bins - 1))).astype(int)
    index, home = bins_of(np, positions, real, cell, pbc, n_bins)
    counts = np.bincount(index[real], minlength=int(n_bins.prod()))
    if n_neighbors is None:
        bin_volume = max(float((spans / n_bins).prod()), 1e-9)
        density = n_real / max((counts > 0).sum() * bin_volume, 1.0)  # 1/Å^3 where atoms are
        guess = 1.05 * density * 4 / 3 * np.pi * reach**3 + 4 * len(structures.elements)
        n_neighbors = TILE * int(np.ceil(guess / TILE))
    plan = CellListPlan(
        n_bins=tuple(n_bins.tolist()),
        reach_bins=tuple(reach_bins.tolist()),
        pbc=tuple(pbc.tolist()),
        capacity=int(counts.max()) + (2 if n_bins.prod() > 1 else 0),
        n_neighbors=n_neighbors,
        cutoff=float(cutoff),
        skin=float(skin),
    )
    drift = np.ptp(home, axis=0) + plan.max_shift
    # One cell to spare: what sits at a face may be put to either side on the device.
    if drift.max() + 1 > np.iinfo(plan.shift_type).max:
        plan = replace(plan, shift_type="int32")
    check_keys(structures.n_atoms, plan.n_shifts)
    check_entries(structures.n_atoms, plan.n_neighbors)
    return plan


def check_keys(n_atoms: int, n_shifts: int) -> None:
    """Refuse systems whose keys, rank of an atom and code of a shift, exceed 32 bits."""
    if n_atoms * n_shifts >= NO_KEY:
        raise InputError(
            f"{n_atoms:,} atoms with {n_shifts} shifts of the cell do not fit 32-bit keys "
            f"(product below {NO_KEY:,}). Use a smaller system, or a cell that is longer than "
            f"the cutoff along all vectors."
        )


def offsets_of(plan: CellListPlan) -> np.ndarray:
    """Bins to look at, relative to an atom's own, ``(n_offsets, 3)``."""
    ranges = [np.arange(-reach, reach + 1) for reach in plan.reach_bins]
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)


def code_of_shift(plan: CellListPlan, shifts: jax.Array) -> jax.Array:
    """One number for a shift; the opposite shift has ``n_shifts - 1`` minus it."""
    most = plan.max_shift
    x, y, z = (shifts[..., axis] + most[axis] for axis in range(3))
    code = (z * (2 * most[1] + 1) + y) * (2 * most[0] + 1) + x
    return jnp.clip(code, 0, plan.n_shifts - 1)  # outside only for bins that do not exist


def shift_of_code(plan: CellListPlan, code: jax.Array) -> jax.Array:
    """The shift of a code, ``(..., 3)``."""
    x_size, y_size, _ = (2 * most + 1 for most in plan.max_shift)
    x, y, z = code % x_size, code // x_size % y_size, code // (x_size * y_size)
    return jnp.stack([x, y, z], axis=-1) - np.array(plan.max_shift, np.int32)


def bins_of(
    xp: Any, positions: Any, real: Any, cell: Any, pbc: np.ndarray, n_bins: np.ndarray
) -> tuple[Any, Any]:
    """Flat bin ``(n_atoms,)`` of each atom, and the cell ``(n_atoms, 3)`` where it is.

    Args:
        xp: numpy or jax.numpy, so that host and device agree.
        positions: ``(n_atoms, 3)``, Å.
        real: False for padding.
        cell: rows are vectors, Å.
        pbc: bins cover the cell along periodic vectors, else the extent of the atoms.
        n_bins: along each vector.
    """
    fractional, low, extent = fractional_extent(xp, positions, real, cell)
    home = xp.where(pbc, xp.floor(fractional), 0.0).astype(positions.dtype)
    from_edge = xp.where(pbc, fractional - home, (fractional - low) / xp.maximum(extent, 1e-9))
    x, y, z = xp.clip((from_edge * n_bins).astype(np.int32), 0, n_bins - 1).T
    return (x * n_bins[1] + y) * n_bins[2] + z, xp.where(real[:, None], home, 0)


def spans_of(xp: Any, positions: Any, real: Any, cell: Any, pbc: np.ndarray) -> Any:
    """Thickness of what the bins cover, across each pair of faces, ``(3,)``, Å."""
    _, _, extent = fractional_extent(xp, positions, real, cell)
    heights = 1 / xp.linalg.norm(xp.linalg.inv(cell), axis=0)
    return heights * xp.where(pbc, 1.0, extent)


def fractional_extent(xp: Any, positions: Any, real: Any, cell: Any) -> tuple[Any, Any, Any]:
    """Fractional positions, their lowest and their extent along each vector."""
    inverse = xp.linalg.inv(cell)
    exact = {"precision": "highest"} if xp is jnp else {}
    fractional = xp.matmul(positions, inverse, **exact)
    low = xp.where(real[:, None], fractional, np.inf).min(axis=0)
    high = xp.where(real[:, None], fractional, -np.inf).max(axis=0)
    return fractional, low, high - low
