"""The list of many small systems finds the edges that ASE finds, or says that it cannot."""

from functools import lru_cache, partial

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from numpy.testing import assert_allclose
from tests.descriptors.tables import (
    ELEMENTS,
    LOOP,
    N_ATOMS,
    REACH,
    SEEDS,
    ase_edges,
    check_table,
    random_system,
    table_edges,
)

from stratal.descriptors.image_list import ImageListPlan, build_images
from stratal.descriptors.structures import Structures

SYSTEMS = 3
PLAN = ImageListPlan(N_ATOMS, 125, 128, REACH - 0.3, 0.3)


@lru_cache
def compiled(plan):
    return jax.jit(partial(build_images, plan))


def in_places(frames, n_atoms=N_ATOMS):
    """Flat arrays with ``n_atoms`` places for each system, atoms in the order of species."""
    frames = [frame[np.argsort(frame.numbers, kind="stable")] for frame in frames]
    each = [Structures.from_atoms(f, ELEMENTS).padded(n_atoms) for f in frames]
    joined = {
        name: np.concatenate([getattr(one, name) for one in each])
        for name in vars(each[0])
        if name not in ("elements", "system")
    }
    system = np.repeat(np.arange(len(frames), dtype=np.int32), n_atoms)
    return frames, Structures(**joined, system=system, elements=ELEMENTS)  # pyright: ignore[reportArgumentType]


@settings(LOOP, max_examples=300)
@given(seed=SEEDS)
def test_finds_the_edges_of_ase_or_flags_overflow(seed):
    rng = np.random.default_rng(seed)
    frames = [random_system(rng) for _ in range(SYSTEMS)]
    frames, structures = in_places(frames)
    expected = [ase_edges(f, REACH, N_ATOMS * n) for n, f in enumerate(frames)]
    with jax.enable_x64(True):
        table, needs = compiled(PLAN)(structures)
        table, needs = jax.tree.map(np.asarray, (table, needs))
    found = table_edges(table)
    for number, edges in enumerate(expected):
        own = {edge for edge in found if edge[0] // N_ATOMS == number}
        enough = needs.images[number] <= PLAN.n_images and needs.width[number] <= PLAN.n_neighbors
        assert bool(table.overflow[number]) == (not enough)
        assert table.overflow[number] or own == edges
    if not table.overflow.any():
        check_table(table, structures)
        vectors = np.asarray(table.displacements(structures))[table.mask]
        if len(vectors):
            shortest = np.linalg.norm(vectors, axis=1).min()  # here in single precision
            assert_allclose(shortest, needs.shortest.min(), rtol=1e-5)


@pytest.mark.parametrize(
    "width, images, overflows", [(24, 27, False), (8, 27, True), (24, 9, True)]
)
def test_says_what_a_crystal_needs(width, images, overflows):
    """Copper: 18 neighbors within 3.7 Å, 24 entries in tiles of one species."""
    _, structures = in_places([bulk("Cu", cubic=True), bulk("Cu") * (2, 1, 1)])
    plan = ImageListPlan(N_ATOMS, images, width, 3.7, 0.0)
    with jax.enable_x64(True):
        table, needs = compiled(plan)(structures)
    # An elongated cell of two atoms takes more images along its short vectors.
    assert int(needs.images[0]) == 27 and int(needs.images[1]) == 75
    assert bool(table.overflow[0]) is overflows
    if not overflows:
        assert_allclose(float(needs.shortest[0]), 3.61 / np.sqrt(2))
        assert int(needs.width[0]) == 24


def test_a_collapsed_cell_overflows_instead_of_hanging():
    flat = Atoms("Cu", cell=np.eye(3), pbc=True)
    _, structures = in_places([flat])
    for cell in (np.zeros((1, 3, 3)), np.full((1, 3, 3), np.nan), 1e-3 * np.eye(3)[None]):
        collapsed = Structures(**{**vars(structures), "cell": cell})
        with jax.enable_x64(True):
            table, _ = compiled(PLAN)(collapsed)
        assert table.overflow.all()
