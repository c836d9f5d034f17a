"""Populations: the lower hull against pymatgen, duplicates, who stays."""

import numpy as np
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.md.properties.hull import hull_of
from stratal.md.search.candidates.candidate import Candidate, Origin
from stratal.md.search.candidates.lower_hull import LowerHull
from stratal.md.search.candidates.population import Population
from stratal.md.search.rates import Rates

SEEDS = st.integers(0, 2**31 - 1)


def candidate(number, symbols, by_atom, direction=0):
    atoms = Atoms(symbols)
    fingerprint = np.zeros(50)
    fingerprint[direction] = 1.0
    return Candidate(number, atoms, by_atom * len(atoms), fingerprint, Origin("test"))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, n_elements=st.integers(1, 4), count=st.integers(1, 12))
def test_the_lower_hull_is_that_of_pymatgen(seed, n_elements, count):
    rng = np.random.default_rng(seed)
    elements = (29, 46, 47, 79)[:n_elements]
    frames = [Atoms(numbers=[z]) for z in elements]
    frames += [Atoms(numbers=rng.choice(elements, rng.integers(1, 9))) for _ in range(count)]
    by_atom = rng.normal(-3.0, 0.3, len(frames))
    hull = LowerHull(elements)
    for place in rng.permutation(len(frames)):
        hull.add(frames[place].numbers, by_atom[place])
    exact = hull_of(frames, by_atom * [len(atoms) for atoms in frames]).above_hull
    found = [hull.above(atoms.numbers, e) for atoms, e in zip(frames, by_atom, strict=True)]
    assert_allclose(found, exact, atol=1e-7)  # of rounding where facets are almost flat


def test_an_element_that_is_not_known_yet_hides_nothing():
    hull = LowerHull((29, 47))
    numbers = Atoms("CuAg").numbers
    assert hull.above(numbers, -3.0) < 0
    hull.add(numbers, -3.0)
    assert hull.above(numbers, -3.0) == 0 and hull.above(numbers, -2.5) == 0.5


def test_the_best_of_one_composition_stay():
    population = Population(3, (29,))
    verdicts = [
        population.add(candidate(n, "Cu2", energy, n)) for n, energy in enumerate((-3, -2, -4, -1))
    ]
    assert verdicts == ["new best", "new", "new best", "worse"]
    assert [member.number for member in population.members] == [2, 0, 1]
    assert population.add(candidate(9, "Cu2", -3.5, 9)) == "new"
    assert [member.number for member in population.members] == [2, 9, 0]


def test_of_duplicates_the_lower_stays():
    population = Population(5, (29,))
    population.add(candidate(0, "Cu2", -3.0, 1))
    assert population.add(candidate(1, "Cu4", -3.0 - 1e-3, 1)) == "duplicate"  # a supercell
    assert [member.number for member in population.members] == [1]
    assert population.add(candidate(2, "Cu2", -3.0, 2)) == "new"  # of another form
    assert population.add(candidate(3, "Cu2", -2.9, 1)) == "new"  # of another energy


def test_over_compositions_those_near_the_hull_stay():
    population = Population(4, (29, 47), variable=True)
    given_ = [("Cu", -3.5), ("Ag", -3.0), ("CuAg", -3.2), ("Cu3Ag", -3.5), ("CuAg", -3.4)]
    for number, (symbols, energy) in enumerate(given_):
        population.add(candidate(number, symbols, energy, number))
    on_hull = {member.number for member in population.best()}
    assert on_hull == {0, 1, 3, 4} and len(population.members) == 4


def test_clusters_are_compared_with_those_of_the_same_atoms():
    population = Population(4, (29, 47), niches=True)
    given_ = [("Cu5", -2.0), ("Cu9", -3.0), ("Cu9", -2.9), ("Cu9", -2.8), ("Cu4Ag", -2.5)]
    verdicts = [population.add(candidate(n, *own, n)) for n, own in enumerate(given_)]
    assert verdicts == ["new best", "new best", "new", "new", "new best"]
    assert [member.number for member in population.best()] == [4, 0, 1]
    assert [member.number for member in population.members] == [0, 1, 4, 2]  # 3 had to go
    assert population.add(candidate(5, "Cu5", -1.9, 5)) == "worse"  # the third best of all places
    assert population.add(candidate(6, "Cu5", -2.1, 6)) == "new best"
    assert population.best()[1].number == 6
    for number in range(7, 12):  # the best of each stays, however many those are
        population.add(candidate(number, f"Cu{number + 3}", -2.0, number))
    assert len(population.best()) == 8 and len(population.members) == 8


def test_operators_whose_offspring_live_are_used_more_and_none_dies_out():
    rates = Rates(("good", "bad", "new"))
    for _ in range(50):
        rates.note("good", True)
        rates.note("bad", False)
    good, bad, new = rates.weights()
    assert good > new > bad > 0.09 and np.isclose(good + bad + new, 1)
    rng = np.random.default_rng(0)
    chosen = [rates.choose(rng) for _ in range(300)]
    assert chosen.count("good") > chosen.count("bad") > 0


def test_better_members_become_parents_more_often():
    population = Population(10, (29,))
    for number in range(10):
        population.add(candidate(number, "Cu2", -float(10 - number), number))
    rng = np.random.default_rng(0)
    counts = np.bincount(
        [member.number for _ in range(500) for member in population.parents(rng, 2)], minlength=10
    )
    assert counts[:3].sum() > 1.5 * counts[-3:].sum()
    pair = population.parents(rng, 2)
    assert pair[0].number != pair[1].number
