"""Potentials of moments: strata as terms that are added, committees, domains."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols
from numpy.testing import assert_allclose, assert_array_equal
from tests.potentials.moment_strata import TRIPLES, random_moment_strata, random_weights

from stratal.descriptors import Structures, neighbor_list
from stratal.descriptors.invariants import subsets
from stratal.errors import InputError
from stratal.potentials import Library, in_precision
from stratal.potentials.chunks import evaluate_at_once as evaluate
from stratal.potentials.committee import evaluate_members, predict_members
from stratal.potentials.compose import compose as compose_potential
from stratal.potentials.compose import compose_strata, names_below
from stratal.potentials.domain import Domain
from stratal.potentials.stratum import Stratum, stratum_name
from stratal.potentials.training import TrainConfig
from stratal.potentials.training.term_setup import inherited
from stratal.potentials.trust import evaluate_trust, trust_by_rows


def compose(strata, elements) -> Any:
    """The composed potential, whatever its kind."""
    return compose_potential(strata, elements)


STRATA = random_moment_strata("Cu", "Pd", "Ag")


def alloy(*symbols: str, seed: int = 0) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", a=3.8, cubic=True) * (2, 1, 1)
    atoms.symbols[:] = [symbols[i % len(symbols)] for i in range(len(atoms))]
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
    atoms.rattle(0.15, rng=rng)
    return atoms


def placed(potential, atoms: Atoms, dtype="float64") -> tuple[Any, ...]:
    structures = Structures.from_atoms(atoms, potential.elements)
    neighbors = neighbor_list(structures, potential.cutoff)
    return in_precision(potential, dtype), structures.astype(dtype), neighbors


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def test_forces_and_stress_are_derivatives():
    atoms = alloy("Cu", "Pd")
    potential = compose(random_moment_strata("Cu", "Pd", descriptor=TRIPLES), (29, 46))

    def energy(changed: Atoms) -> float:
        return float(evaluate(*placed(potential, changed)).energy[0])

    result = evaluate(*placed(potential, atoms))
    step = 1e-5  # Å; central differences are then good to 1e-8 of the forces here
    for atom, axis in ((0, 0), (3, 1), (5, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(energy(moved))
        assert_allclose(result.forces[atom, axis], -(ends[0] - ends[1]) / (2 * step), rtol=1e-5)
    for i, j in ((0, 0), (1, 2)):
        ends = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            ends.append(energy(moved))
        slope = (ends[0] - ends[1]) / (2 * step) / atoms.get_volume()
        assert_allclose(result.stress[0, i, j], slope, rtol=1e-5)


@pytest.mark.parametrize("symbols", [("Cu",), ("Cu", "Pd"), ("Pd", "Ag")])
def test_what_is_below_stays_bit_for_bit(symbols):
    # One compiled program; the strata of elements that are not there get other weights.
    atoms = alloy(*symbols)
    numbers = set(atoms.numbers.tolist())
    whole = compose(STRATA, (29, 46, 47))

    def changed(stratum):
        if set(stratum.elements) <= numbers:
            return stratum
        terms = [
            replace(term, kernels=tuple(2.0 * k for k in term.kernels), linear=term.linear + 1.0)
            for term in stratum.terms
        ]
        return replace(stratum, terms=tuple(terms))

    other = replace(whole, strata=tuple(changed(stratum) for stratum in whole.strata))
    both = [evaluate(*placed(potential, atoms)) for potential in (whole, other)]
    for name in ("energies", "forces", "stress"):
        assert_array_equal(getattr(both[0], name), getattr(both[1], name))
    alone = evaluate(*placed(compose(STRATA, [STRATA[s].elements[0] for s in symbols]), atoms))
    assert_allclose(alone.energies, both[0].energies, rtol=1e-12)
    assert_allclose(alone.forces, both[0].forces, rtol=0, atol=1e-12)


def test_a_term_is_exactly_nothing_without_one_of_its_elements():
    potential = compose(STRATA, (29, 46, 47))
    arguments = placed(potential, alloy("Cu", "Pd"))
    displacements = arguments[2].displacements(arguments[1])
    triple = replace(potential, strata=potential.strata[-1:], shared=((((0,),),) * 3))
    assert len(potential.strata[-1].elements) == 3
    energies, pull = jax.vjp(lambda d: triple.energies(*arguments[1:], d), displacements)
    assert not np.any(energies)
    assert not np.any(pull(jnp.ones_like(energies))[0])


def test_strata_of_one_network_sum_to_it():
    # Moebius inversion: with all weights but their own shared, the sum of a pair's strata is the
    # one network of the pair with coupling into its first layer (Hajinazar et al., 2017).
    elements, rng = (29, 47), np.random.default_rng(3)
    config = TrainConfig(hidden=(5, 4), members=1)
    whole = {z: random_weights(rng, config, TRIPLES, elements, z, []) for z in elements}
    whole = {z: replace(term, linear=0.0 * term.linear) for z, term in whole.items()}
    strata = {
        name: Stratum(
            elements=own,
            descriptor=TRIPLES,
            terms={z: part_of(whole[z], elements, z, own) for z in own},
            parents={} if len(own) == 1 else {"Cu": "", "Ag": ""},
        )
        for name, own in (("Cu", (29,)), ("Ag", (47,)), ("Ag-Cu", elements))
    }
    atoms = alloy("Cu", "Ag")
    summed = evaluate(*placed(compose(strata, elements), atoms))
    one = Stratum(elements=elements, descriptor=TRIPLES, terms=whole)
    single = evaluate(*placed(compose({one.name: one}, elements), atoms))
    assert_allclose(summed.energies, single.energies, rtol=1e-11)
    assert_allclose(summed.forces, single.forces, atol=1e-11)
    pure = alloy("Cu")  # a root of several elements also serves fewer
    ends = [compose(own, (29,)) for own in (strata, {one.name: one})]
    energies = [evaluate(*placed(potential, pure)).energies for potential in ends]
    assert_allclose(energies[0], energies[1], rtol=1e-11)


def part_of(term, elements, center, own):
    """The weights of a term that a stratum of some of its elements has."""
    seen = subsets([z for z in elements if z != center])
    places = [seen.index(case) for case in subsets([z for z in own if z != center])]
    return replace(
        term,
        mixing=term.mixing[[elements.index(z) for z in own]],
        linear=term.linear[:, places],
        kernels=(term.kernels[0][:, places], *term.kernels[1:]),
    )


def test_higher_strata_do_matter():
    atoms = alloy("Cu", "Pd", "Ag")
    energies = [
        float(evaluate(*placed(compose_of(names), atoms)).energy[0])
        for names in (("Cu", "Pd", "Ag"), ("Cu", "Pd", "Ag", "Cu-Pd"), tuple(STRATA))
    ]
    assert len({round(energy, 6) for energy in energies}) == 3


def compose_of(names):
    return compose_strata([STRATA[name] for name in names], (29, 46, 47))


def test_a_committee_is_the_mean_of_its_members():
    atoms = alloy("Cu", "Pd")
    potential = compose(STRATA, (29, 46))
    arguments = placed(potential, atoms)
    members, mean = jax.jit(evaluate_members)(*arguments), evaluate(*arguments)
    assert members.forces.shape == (2, len(atoms), 3)
    assert float(jnp.abs(members.forces[0] - members.forces[1]).max()) > 1e-3
    for name in ("energy", "energies", "forces", "stress"):
        assert_allclose(getattr(members, name).mean(axis=0), getattr(mean, name), atol=1e-12)
    predicted = predict_members([atoms], lambda _: potential)
    assert_allclose(predicted.energy[:, 0], members.energy[:, 0], rtol=1e-12)
    assert_allclose(predicted.forces[0], members.forces, atol=1e-10)


def test_single_precision_agrees():
    atoms = alloy("Cu", "Pd", "Ag")
    potential = compose(STRATA, (29, 46, 47))
    double, single = (
        evaluate(*placed(potential, atoms, dtype)) for dtype in ("float64", "float32")
    )
    assert single.forces.dtype == jnp.float32
    assert_allclose(single.forces, double.forces, atol=1e-3 * float(jnp.abs(double.forces).max()))


def test_files_hold_all_of_it(tmp_path):
    library = Library.create(tmp_path / "lib")
    for stratum in STRATA.values():
        library.add(stratum)
    read = Library.open(tmp_path / "lib")
    for name, stratum in STRATA.items():
        assert read.strata[name].physics_hash == stratum.physics_hash
        assert read.strata[name].n_weights == stratum.n_weights > 0
        for center, domain in stratum.domain.items():
            assert_array_equal(read.strata[name].domain[center].whitening, domain.whitening)
    atoms = alloy("Cu", "Pd", "Ag")
    energies = [
        float(evaluate(*placed(potential, atoms)).energy[0])
        for potential in (compose(STRATA, (29, 46, 47)), read.potential("Cu", "Pd", "Ag"))
    ]
    assert energies[0] == energies[1]


def test_strata_of_moments_stand_on_networks_of_symmetry_functions(strata):
    below = {n: s for n, s in strata("Cu", "Ag").items() if len(s.elements) == 1}
    above = random_moment_strata("Cu", "Ag", roots=False, parents=below)
    potential = compose(above, (29, 47))
    pure = alloy("Cu")
    with_pair = evaluate(*placed(potential, pure))
    alone = evaluate(*placed(compose(below, (29,)), pure))
    assert_allclose(with_pair.energies, alone.energies, rtol=1e-12)
    mixed = alloy("Cu", "Ag")
    difference = evaluate(*placed(potential, mixed)).energy[0]
    assert (
        abs(
            difference
            - evaluate(*placed(compose_strata(list(below.values()), (29, 47)), mixed)).energy[0]
        )
        > 1e-3
    )


def test_committees_of_different_size_are_refused():
    roots = {n: s for n, s in STRATA.items() if len(s.elements) == 1}
    above = random_moment_strata("Cu", "Pd", roots=False, parents=roots, members=3)
    with pytest.raises(InputError, match="different size"):
        compose(above, (29, 46))


def test_a_root_in_another_descriptor_may_stand_below():
    other = random_moment_strata("Cu", "Pd", descriptor=TRIPLES)
    roots = {n: s for n, s in other.items() if len(s.elements) == 1}
    mixed = random_moment_strata("Cu", "Pd", roots=False, parents=roots)
    assert np.isfinite(evaluate(*placed(compose(mixed, (29, 46)), alloy("Cu", "Pd"))).energy[0])


def test_grades_grow_away_from_the_training_set():
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(500, 6)) * [1, 1, 1, 1, 1, 1e-9]
    domain = Domain.around(cloud)
    grades = np.asarray(domain.grades(jnp.asarray(cloud.T)))
    assert np.mean(grades <= 1.0) >= 0.998
    rays = np.array([3.0, 10.0, 100.0])[:, None, None] * cloud.T  # (n_scales, n_features, n)
    further = np.stack([np.asarray(domain.grades(jnp.asarray(ray))) for ray in rays])
    assert (np.diff([grades, *further], axis=0) > 0).all()
    assert np.mean(further[1] > 1.0) > 0.9
    # Rounding in a direction that never varies is not distance.
    nudged = cloud[:1].T + np.array([[0.0]] * 5 + [[1e-9]])
    assert abs(float(domain.grades(jnp.asarray(nudged))[0]) - grades[0]) < 0.1


def test_the_grade_is_that_of_the_stratum_that_an_atom_sees():
    potential = compose(STRATA, (29, 46, 47))
    for symbols in (("Cu",), ("Cu", "Pd"), ("Cu", "Pd", "Ag")):
        atoms = alloy(*symbols)
        own, structures, neighbors = placed(potential, atoms)
        displacements = neighbors.displacements(structures)
        grades = own.trust_factors(structures, neighbors, displacements)[0]
        alone = compose(STRATA, [STRATA[s].elements[0] for s in symbols])
        other, structures, neighbors = placed(alone, atoms)
        displacements = neighbors.displacements(structures)
        expected = other.trust_factors(structures, neighbors, displacements)[0]
        assert_allclose(grades, expected, rtol=1e-8)
        assert np.isfinite(grades).all()


def test_trust_by_rows_is_that_of_all_at_once():
    info = {"calibration": {"energy": 1.5, "forces": 2.0}}
    strata = {name: replace(stratum, info=info) for name, stratum in STRATA.items()}
    own = placed(compose(strata, (29, 46, 47)), alloy("Cu", "Pd", "Ag"))
    expected = evaluate_trust(*own)
    assert np.isfinite(np.asarray(expected.forces)).all()
    for name, found in vars(trust_by_rows(*own, n_rows=3)).items():  # eight atoms
        assert_allclose(found, getattr(expected, name), rtol=1e-9, err_msg=name)


def test_a_pair_or_triple_begins_as_if_its_atoms_were_the_element_s():
    # Around a Cu atom, what a stratum inherits takes Ag and Pd atoms for Cu.
    strata = random_moment_strata("Cu", descriptor=TRIPLES)
    for z in (46, 47):
        root = random_moment_strata(chemical_symbols[z], descriptor=TRIPLES, seed=z)
        strata |= root
    for elements in ((29, 46), (29, 47), (46, 47), (29, 46, 47)):
        below = {name: strata[name] for name in names_below(elements)}
        terms = {}
        for z in elements:
            parents = [stratum for stratum in below.values() if z in stratum.elements]
            terms[z] = inherited(elements, z, parents)
        name = stratum_name(elements)
        strata[name] = Stratum(elements=elements, descriptor=TRIPLES, terms=terms)
        strata[name] = replace(strata[name], parents=dict.fromkeys(below, ""))
    alloyed = alloy("Cu", "Pd", "Ag")
    as_copper = alloyed.copy()
    as_copper.symbols[:] = "Cu"
    found = evaluate(*placed(compose(strata, (29, 46, 47)), alloyed)).energies
    expected = evaluate(*placed(compose(strata, (29,)), as_copper)).energies
    is_copper = alloyed.numbers == 29
    assert_allclose(found[is_copper], expected[is_copper], rtol=1e-10)
