"""What is counted, and what estimates say where the answer is known."""

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from tests.md.search.clusters import PAIRS, limits_for

from stratal.md.search.candidates.candidate import Candidate, Origin
from stratal.md.search.candidates.discoveries import (
    Coverage,
    Discoveries,
    chance_of_new,
    extrapolated,
    rarefied,
    unseen,
)
from stratal.md.search.candidates.sameness import by_fingerprint_alone
from stratal.md.search.run import search
from stratal.md.search.settings import SearchConfig

# Of isomers: M. R. Hoare and J. A. McInnes, Faraday Discuss. Chem. Soc. 61, 12 (1976); C. J. Tsai
# and K. D. Jordan, J. Phys. Chem. 97, 11227 (1993).
MINIMA = {7: 4, 8: 8, 9: 21}


def candidate(number, kind, by_atom=-3.0, parents=()):
    fingerprint = np.zeros(50)
    fingerprint[kind] = 1.0
    return Candidate(number, Atoms("Cu2"), 2 * by_atom, fingerprint, Origin("test", parents))


def test_structures_that_the_population_lost_count_and_fallen_children_do_not():
    found = Discoveries(0.03, 0.98, by_fingerprint_alone)
    kinds = [0, 1, 0, 2, 1, 0]
    for number, kind in enumerate(kinds):
        found.note(candidate(number, kind), 0.01, number + 1)
    assert [kind for _, kind in found.draws] == kinds
    found.note(candidate(6, 1, parents=(4,)), 0.0, 7)  # fell back to what 4 is
    found.note(candidate(7, 2, parents=(4,)), 0.0, 8)
    found.note(candidate(8, 3), 0.05, 9)  # too high
    assert [kind for _, kind in found.draws] == [*kinds, 2]
    assert found.again(candidate(5, 0)) == 2 and found.again(candidate(8, 3)) == 0
    lowest = [-3.0, -3.1, -3.0]  # kind 1 turned out to be high
    assert {kind for _, kind in found.low(lowest)} == {0, 2}


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=4), size=st.integers(1, 10))
@settings(max_examples=30, deadline=None)
def test_rarefaction_is_the_mean_over_all_choices(counts, size):
    kinds = np.repeat(np.arange(len(counts)), counts)
    size = min(size, len(kinds))
    numbers = [len(set(chosen)) for chosen in combinations(kinds.tolist(), size)]
    assert_allclose(rarefied(np.array(counts), size), np.mean(numbers), rtol=1e-9)


def test_estimates_of_a_worked_example():
    """Four kinds found once, two twice, one five times."""
    counts = np.array([1, 1, 1, 1, 2, 2, 5])
    assert chance_of_new(counts) == 4 / 13
    assert unseen(counts) == 4 * 3 / (2 * 3)
    assert extrapolated(counts, 0) == 7
    # The slope at the end is Good's chance; far beyond all have been found.
    assert_allclose(extrapolated(counts, 1) - 7, 2 * 4 / (13 * 2 + 4), rtol=1e-12)
    assert_allclose(extrapolated(counts, 10_000), 9, rtol=1e-12)
    assert chance_of_new(np.array([], int)) == 1.0
    empty = Coverage(10, ())
    assert empty.expected == 0 and len(empty.curve()[0]) == 0 and len(empty.course()[0]) == 0


def test_the_course_ends_at_the_estimate_and_the_curve_passes_through_what_was_found():
    rng = np.random.default_rng(0)
    draws = tuple((2 * n + 1, int(kind)) for n, kind in enumerate(rng.zipf(1.7, 80) % 30))
    coverage = Coverage(160, draws)
    done, found, chance = coverage.course()
    assert done[-1] == 159 and found[-1] == coverage.found
    assert_allclose(chance[-1], coverage.chance_missed)
    x, y = coverage.curve()
    assert (np.diff(y) >= -1e-9).all() and x[-1] == 320
    assert_allclose(np.interp(160, x, y), coverage.found, atol=0.5)


def searched(size, relaxations, folder):
    config = SearchConfig(
        elements=("H",),
        n_atoms=(size, size),
        kind="cluster",
        start_from=("random",),
        starts=relaxations,
        relaxations=relaxations,
        batch=50,
        max_steps=2000,
        fmax=1e-4,
        near=0.5,  # all minima
    )
    return search(config, PAIRS, folder, limits=limits_for(size)).evolution


def test_random_starts_find_the_known_number_of_minima(tmp_path):
    coverage = searched(7, 100, tmp_path).coverage
    assert coverage.found == MINIMA[7] and coverage.expected == MINIMA[7]
    assert coverage.chance_missed == 0


@pytest.mark.slow
@pytest.mark.parametrize("size, relaxations", [(8, 400), (9, 800)])
def test_estimates_of_the_number_of_minima_and_of_what_is_missing(size, relaxations, tmp_path):
    """One minimum of each size is hardly ever reached from random starts."""
    coverage = searched(size, relaxations, tmp_path).coverage
    assert MINIMA[size] - 1 <= coverage.found <= MINIMA[size]
    assert coverage.found <= coverage.expected <= MINIMA[size] + 1
    for part in (40, 80, 160):
        seen = Coverage(part, coverage.draws[:part])
        known = {kind for _, kind in seen.draws}
        new = np.mean([kind not in known for _, kind in coverage.draws[part:]])
        # Good's estimate has about the error of counting what was found once: sqrt(f1) / n.
        error = np.sqrt((seen.counts == 1).sum() + 1) / part
        assert abs(seen.chance_missed - new) < 3 * error
