"""Random systems and what is asked of any neighbor table of them."""

import ase.neighborlist
import numpy as np
from ase import Atoms
from hypothesis import assume, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from stratal.descriptors.neighbors import TILE, Neighbors
from stratal.descriptors.structures import Structures

SEEDS = st.integers(0, 2**31 - 1)
ELEMENTS = (29, 47, 79)
REACH = 4.0  # Å, one for all random cells: a cell list then compiles few programs
PERIODICITIES: tuple[tuple[bool, bool, bool], ...] = (
    (True, True, True),
    (True, False, True),
    (False, False, True),
    (False, False, False),
)
N_ATOMS = 8  # padded size of random systems
LOOP = settings(deadline=None, database=None, derandomize=True)


def random_system(rng, least_height=1.5, n_atoms=None):
    """A triclinic cell of any periodicity, often smaller than the reach, atoms outside too."""
    while True:
        cell = rng.uniform(-6, 6, (3, 3)) * rng.choice([0.5, 1.0, 2.0])
        heights = abs(1 / np.linalg.norm(np.linalg.inv(cell), axis=0))
        if heights.min() > least_height and abs(np.linalg.det(cell)) > 30:
            break
    n_atoms = n_atoms or rng.integers(1, N_ATOMS + 1)
    positions = rng.uniform(-1.5, 2.5, (n_atoms, 3)) @ cell
    return Atoms(rng.choice(ELEMENTS, n_atoms), positions, cell=cell, pbc=rng.random(3) < 0.6)


def ase_edges(atoms, reach, first_atom=0):
    """Edges as ASE finds them; the example is dropped where rounding could decide one."""
    i, j, shifts, lengths = ase.neighborlist.neighbor_list("ijSd", atoms, reach + 1e-6)
    assume(not len(lengths) or (abs(lengths - reach).min() > 1e-8 and lengths.min() > 1e-3))
    keep = lengths < reach
    return as_set(i[keep] + first_atom, j[keep] + first_atom, shifts[keep])


def as_set(receivers, senders, shifts):
    columns = np.column_stack([receivers, senders, shifts]).astype(int)
    return set(map(tuple, columns.tolist()))


def table_edges(table: Neighbors):
    mask = np.asarray(table.mask)
    edges = as_set(np.nonzero(mask)[0], np.asarray(table.senders)[mask], table.shifts[mask])
    assert len(edges) == mask.sum()  # none is there twice
    return edges


def check_table(table: Neighbors, structures: Structures):
    """What holds of every table: reverse edges point back, tiles hold one species."""
    mask = np.asarray(table.mask)
    vectors = table.displacements(structures)
    assert_allclose(table.reversed(vectors)[mask], -vectors[mask], atol=1e-5)
    flat = np.asarray(table.reverse)[mask]
    receivers = np.broadcast_to(np.arange(len(mask))[:, None], mask.shape)[mask]
    assert_array_equal(flat // table.n_neighbors, np.asarray(table.senders)[mask])
    assert_array_equal(np.asarray(table.senders).ravel()[flat], receivers)
    assert_array_equal(np.sort(flat), np.flatnonzero(mask))  # a permutation of the edges
    species = np.asarray(table.sender_species(structures)).reshape(len(mask), -1, TILE)
    of_tile = np.asarray(table.tile_species(structures))[..., None]
    assert ((species == of_tile) | ~mask.reshape(species.shape)).all()
