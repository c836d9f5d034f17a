"""Atoms shared out into chunks of one species."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from stratal.descriptors.lanes import LANES, Lanes, n_tiles_within, width_for
from stratal.descriptors.neighbors import TILE

CUTOFF = 3.0  # Å


def displacements(n_near: np.ndarray, n_tiles: int) -> np.ndarray:
    """Neighbors of which so many, first in the row, are within the cutoff, Å."""
    far = np.arange(n_tiles * TILE) >= n_near[:, None]
    return np.where(far[..., None], 2.0 * CUTOFF, 0.5 * CUTOFF) * np.array([1.0, 0.0, 0.0])


@settings(deadline=None, max_examples=25)
@given(
    species=st.lists(st.integers(0, 2), min_size=1, max_size=40),
    most=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_each_atom_has_one_place_in_a_chunk_of_its_species(species, most, seed):
    species = np.array(species)
    n_near = np.random.default_rng(seed).integers(0, 3 * TILE + 1, len(species))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stratal.descriptors.lanes.LANES", most)
        patch.setattr("stratal.descriptors.lanes.VECTOR", 1)
        lanes = Lanes.of(displacements(n_near, 3), CUTOFF, species, 3)
    atoms = np.asarray(lanes.atoms)
    assert atoms.shape[1] <= most
    assert_array_equal(atoms.ravel()[lanes.places], np.arange(len(species)))
    assert (atoms == len(species)).sum() == atoms.size - len(species)
    for row, of_chunk in zip(atoms, lanes.species, strict=True):
        found = row[row < len(species)]
        assert (species[found] == of_chunk).all()
        assert of_chunk < 3 or not len(found)
        n_tiles = -(-n_near[found] // TILE)
        assert_array_equal(n_tiles, np.sort(n_tiles))


def test_tables_go_into_chunks_and_features_come_back():
    species = np.array([1, 0, 1, 1, 0])
    lanes = Lanes.of(displacements(np.full(5, 3), 2), CUTOFF, species, 2)
    table = np.arange(5.0 * 2 * TILE).reshape(5, 2 * TILE)
    tiled = np.asarray(lanes.tiles(jnp.asarray(table), -1.0))
    assert tiled.shape == (2, 2, TILE, 5)  # chunks, tiles, places, lanes
    for chunk, lane in np.ndindex(2, 5):
        atom = int(lanes.atoms[chunk, lane])
        expected = table[atom] if atom < 5 else np.full(2 * TILE, -1.0)
        assert_array_equal(tiled[chunk, :, :, lane].ravel(), expected)
    assert_array_equal(lanes.back(jnp.asarray(tiled.reshape(2, -1, 5))), table)


def test_tiles_count_up_to_the_last_with_a_neighbor_in_reach():
    vectors = displacements(np.array([0, 1, TILE, TILE + 1]), 3)
    assert n_tiles_within(vectors, CUTOFF).tolist() == [0, 1, 1, 2]
    vectors[0, -1] = 0.0  # the last place of all
    assert n_tiles_within(vectors, CUTOFF).tolist() == [3, 1, 1, 2]


def test_chunks_are_of_one_size():
    assert [width_for(n) for n in (1, 7, 8, 20, 144, 500)] == [1, 7, 8, 20, 48, LANES]
