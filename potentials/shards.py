"""One large system on several devices: each has some rows of the neighbor table.

Positions are on every device, 24 bytes per atom beside the kilobyte of a row; each device
finds the energies of its rows and what they pull on all atoms, and the forces are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.chunks import sum_over_rows
from stratal.potentials.compiled import compiled
from stratal.potentials.evaluate import Potential, Result, as_result

ROWS = "rows"  # the axis of the devices


def mesh_of(devices: Sequence[Any] | None = None) -> Mesh:
    """Devices in a row; all that this process has by default."""
    return Mesh(np.array(devices or jax.local_devices()), (ROWS,))


def place(structures: Structures, neighbors: Neighbors, mesh: Mesh) -> Neighbors:
    """The table with its rows spread over the devices; to be done once per list.

    Raises:
        InputError: the rows do not spread evenly.
    """
    if structures.n_atoms % mesh.size:
        raise InputError(
            f"{structures.n_atoms} atoms do not spread evenly over {mesh.size} devices: pad "
            f"them to a multiple of {mesh.size} with Structures.padded."
        )
    specs = table_specs(neighbors)
    return jax.tree.map(
        lambda a, spec: jax.device_put(a, NamedSharding(mesh, spec)), neighbors, specs
    )


@partial(compiled, static_argnames=("mesh", "n_rows"))
def evaluate_on_devices(
    potential: Potential, structures: Structures, neighbors: Neighbors, mesh: Mesh, n_rows: int
) -> Result:
    """What `evaluate` gives, from the rows that each device has.

    Args:
        potential: a strictly local one.
        structures: all atoms, a multiple of the devices.
        neighbors: all rows, from `place`.
        mesh: from `mesh_of`.
        n_rows: rows that a device treats at a time, as in `evaluate_in_chunks`.

    Raises:
        InputError: the potential is not strictly local.
    """

    def of_device(potential: Any, structures: Structures, table: Neighbors) -> Any:
        first = jax.lax.axis_index(ROWS) * table.senders.shape[0]
        energies, forces, virials = sum_over_rows(potential, structures, table, first, n_rows)
        return energies, jax.lax.psum(forces, ROWS), virials

    sums = jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(P(), P(), table_specs(neighbors)),
        out_specs=(P(ROWS), P(), P(ROWS)),
        check_vma=False,  # sums begin as the same zeros on all devices
    )
    return as_result(structures, *sums(potential, structures, neighbors))


def table_specs(neighbors: Neighbors) -> Any:
    """For each array of the table whether its rows are spread or all devices have it."""
    specs = jax.tree.map(lambda _: P(), neighbors)
    return replace(specs, senders=P(ROWS), shifts=P(ROWS), mask=P(ROWS), reverse=P(ROWS))
