"""Training strata of moments: exact below, resumable, in parallel, every coupling."""

import os
import signal
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase.build import bulk
from numpy.testing import assert_allclose, assert_array_equal
from tests.potentials.crystals import labelled_crystals

from stratal.errors import InputError
from stratal.files import write_frames
from stratal.potentials import StratalCalculator, assess
from stratal.potentials.batch import predict_frames
from stratal.potentials.committee import predict_members
from stratal.potentials.data import read_labelled
from stratal.potentials.library import Library
from stratal.potentials.training import Interrupted, TrainConfig, term_fit, train
from stratal.potentials.training.moment_rows import RowSource
from stratal.potentials.training.packs import pack
from stratal.potentials.training.term_problem import know_features, predict
from stratal.potentials.training.term_setup import set_up_terms
from stratal.potentials.training.term_strata import targets_of
from stratal.potentials.training.trained import in_training

CONFIG = TrainConfig(
    cutoff=4.0, n_radial=3, l_max=2, n_channels=2, triples=((1, 1, 2),), n_triple_channels=1,
    hidden=(4,), members=2, epochs=60, min_steps=0, batch=8, validation=0.2, learning_rate=0.02,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "emt.extxyz"
    kinds = (["Cu"], ["Ag"], ["Cu", "Ag"])
    frames = [f for n, kind in enumerate(kinds) for f in labelled_crystals(kind, 24, n)]
    write_frames(path, frames)
    return read_labelled(path, level_of_theory="EMT")


@pytest.fixture(scope="module")
def library(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "lib"
    train(data, CONFIG, folder, workers=2)
    return Library.open(folder)


def only(data, name):
    return data.take(np.array(["-".join(sorted(set(f.symbols))) == name for f in data.frames]))


def test_rows_have_the_derivatives_of_moments(data):
    frame = only(data, "Ag-Cu").frames[0]
    descriptor = CONFIG.descriptor

    def moments(atoms):
        return RowSource([atoms], descriptor, (29, 47), 8).rows(np.arange(len(atoms)))

    values, slopes = moments(frame)
    step = 1e-2  # Å; moments are float32, of size 1: central differences are good to 1e-3
    for column, (atom, axis) in enumerate(((0, 0), (0, 1), (0, 2), (1, 0))):
        ends = []
        for sign in (1, -1):
            moved = frame.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(moments(moved)[0])
        assert_allclose(slopes[..., column], (ends[0] - ends[1]) / (2 * step), atol=5e-3)
    ends = []
    for sign in (1, -1):
        strained = frame.copy()
        strain = np.diag([0.0, sign * 1e-3, 0.0])
        strained.set_cell(frame.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        ends.append(moments(strained)[0])
    assert_allclose(slopes[..., -5], (ends[0] - ends[1]) / 2e-3, atol=1e-2)
    assert np.isfinite(values).all()


@pytest.mark.slow
def test_training_learns(data, library):
    errors = assess(library, data).by_stratum
    for name in ("Cu", "Ag", "Ag-Cu"):
        spread = np.std(only(data, name).energy_per_atom)
        assert errors[name].energy_rmse < 0.5 * spread, name


@pytest.mark.slow
def test_a_fit_and_the_potential_made_of_it_agree(data, library):
    # The errors of the fit's kept weights, from moments in float32, are those of the potential.
    for name in ("Cu", "Ag-Cu"):
        errors = library.strata[name].info["errors"]
        part = only(data, name)
        trained = in_training(len(part), CONFIG)
        for suffix, chosen in (("", trained), ("_validation", ~trained)):
            own = part.take(chosen)
            predicted = predict_members(own.frames, lambda z: library.potential(*symbols(z)))
            energy = (predicted.energy - own.energy) / own.n_atoms
            forces = np.concatenate(
                [ours - theirs for ours, theirs in zip(predicted.forces, own.forces, strict=True)],
                axis=1,
            )  # (n_members, n_atoms, 3)
            assert_allclose(errors[f"energy_rmse{suffix}"], rms(energy), rtol=1e-2)
            assert_allclose(errors[f"force_rmse{suffix}"], rms(forces), rtol=1e-2)


def rms(array):
    return np.sqrt((array**2).mean())


def symbols(numbers):
    return [{29: "Cu", 47: "Ag"}[z] for z in numbers]


@pytest.mark.slow
def test_energies_rise_however_close_two_atoms_come(data, tmp_path):
    # Crystals that were trained on have no pair closer than 2.2 Å.
    train(only(data, "Cu"), replace(CONFIG, n_radial=8, n_channels=6), tmp_path)
    atoms = bulk("Cu", "fcc", a=3.8, cubic=True) * 2
    atoms.calc = StratalCalculator(Library.open(tmp_path))
    one, other = 0, int(atoms.get_distances(0, range(1, 32), mic=True).argmin()) + 1
    energies = []
    for distance in np.arange(2.4, 1.0, -0.1):
        atoms.set_distance(one, other, distance, mic=True)
        energies.append(atoms.get_potential_energy())
    assert (np.diff(energies) > 0).all()


@pytest.mark.slow
def test_elements_stay_bit_for_bit(data, library, tmp_path):
    elements = Library.create(tmp_path / "elements")
    for name in ("Cu", "Ag"):
        elements.add(library.strata[name])
    (pair,) = train(only(data, "Ag-Cu"), CONFIG, tmp_path / "more", on=elements)
    more = Library.open(tmp_path / "more")
    for name in ("Cu", "Ag"):
        assert more.strata[name].physics_hash == library.strata[name].physics_hash
    # The same weights whether its parents were trained beside it or came in a library.
    assert pair.stratum.physics_hash == library.strata["Ag-Cu"].physics_hash
    for center, place in ((29, 0), (47, 1)):  # mixing known below is taken over
        assert_array_equal(
            pair.stratum.terms[center].mixing[place],
            library.strata[{29: "Cu", 47: "Ag"}[center]].terms[center].mixing[0],
        )


@pytest.mark.slow
@pytest.mark.parametrize("coupling", ["input", "layers"])
def test_couplings_that_share_the_network_train_only_their_part(data, library, tmp_path, coupling):
    elements = Library.create(tmp_path / "elements")
    for name in ("Cu", "Ag"):
        elements.add(library.strata[name])
    config = replace(CONFIG, coupling=coupling, epochs=10)
    train(only(data, "Ag-Cu"), config, tmp_path / coupling, on=elements)
    term = Library.open(tmp_path / coupling).strata["Ag-Cu"].terms[29]
    root = library.strata["Cu"].terms[29]
    frozen = [np.allclose(term.kernels[-1], root.kernels[-1], atol=1e-7)]
    assert frozen == [coupling == "input"]
    pure = only(data, "Cu").frames[0]
    both = [
        predict_frames([pure], lambda _, lib=lib: lib.potential("Cu", "Ag")).energy[0]
        for lib in (Library.open(tmp_path / coupling), library)
    ]
    assert both[0] == pytest.approx(both[1], rel=1e-12)
    errors = assess(Library.open(tmp_path / coupling), only(data, "Ag-Cu")).total
    without = residual_without_pair(library, only(data, "Ag-Cu"))
    assert errors.energy_rmse < without


def residual_without_pair(library, part):
    from stratal.potentials.compose import compose_strata

    roots = [library.strata["Cu"], library.strata["Ag"]]
    predicted = predict_frames(part.frames, lambda _: compose_strata(roots, (29, 47)))
    return np.sqrt(np.mean(((predicted.energy - part.energy) / part.n_atoms) ** 2))


@pytest.mark.slow
def test_full_training_is_one_stratum(data, tmp_path):
    config = replace(CONFIG, coupling="full", epochs=20)
    (whole,) = train(data, config, tmp_path / "full")
    assert whole.stratum.is_root
    assert whole.stratum.elements == (29, 47)
    library = Library.open(tmp_path / "full")
    assert assess(library, data).total.energy_rmse < 0.5


def test_an_interrupted_fit_ends_with_the_same_weights(data, tmp_path, monkeypatch):
    part = only(data, "Cu")
    (whole,) = train(part, CONFIG, tmp_path / "whole")
    assert whole.fit.kept == whole.fit.epochs == CONFIG.epochs
    judge = term_fit.make_judge

    def judge_and_ask_to_stop(*settings, **choice):
        inner = judge(*settings, **choice)

        def outer(*arguments):
            os.kill(os.getpid(), signal.SIGTERM)
            return inner(*arguments)

        return outer

    monkeypatch.setattr(term_fit, "make_judge", judge_and_ask_to_stop)
    with pytest.raises(Interrupted, match="stopped by SIGTERM after 10 epochs"):
        train(part, CONFIG, tmp_path / "parts")
    monkeypatch.setattr(term_fit, "make_judge", judge)
    (rest,) = train(part, CONFIG, tmp_path / "parts")
    assert rest.stratum.physics_hash == whole.stratum.physics_hash
    assert not list((tmp_path / "parts" / ".training").glob("*.checkpoint.h5"))


@pytest.mark.slow
def test_patience_stops_a_fit_and_keeps_its_best_weights(data, tmp_path):
    config = replace(CONFIG, patience=20, epochs=400, learning_rate=0.3)
    (stopped,) = train(only(data, "Cu"), config, tmp_path)
    assert stopped.fit.kept == stopped.fit.epochs - 20 < 380
    errors = stopped.stratum.info["errors"]
    assert_allclose(list(errors.values()), stopped.fit.errors)
    assert_allclose(stopped.fit.curve[-3, 1:], stopped.fit.errors)


@pytest.mark.slow
def test_members_differ_and_bootstrap_changes_them(data, tmp_path):
    part = only(data, "Cu")
    config = replace(CONFIG, epochs=10)
    (plain,) = train(part, config, tmp_path / "plain")
    (drawn,) = train(part, replace(config, bootstrap=True), tmp_path / "drawn")
    kernels = plain.stratum.terms[29].kernels[0]
    assert np.abs(kernels[0] - kernels[1]).max() > 0
    assert plain.stratum.physics_hash != drawn.stratum.physics_hash


@pytest.mark.slow
def test_the_calculator_says_how_far_to_trust_it(data, library):
    atoms = only(data, "Ag-Cu").frames[0].copy()  # in training
    atoms.calc = StratalCalculator(library, uncertainty=True)
    atoms.get_potential_energy()
    inside = dict(atoms.calc.results)
    assert inside["forces_uncertainty"].shape == inside["extrapolation_grades"].shape == (4,)
    assert inside["energy_uncertainty"] > 0 and (inside["forces_uncertainty"] > 0).all()
    atoms.set_cell(atoms.cell.array * 0.75, scale_atoms=True)
    atoms.get_potential_energy()
    assert atoms.calc.results["extrapolation_grades"].min() > inside["extrapolation_grades"].max()
    plain = StratalCalculator(library)
    atoms.calc = plain
    atoms.get_potential_energy()
    assert "energy_uncertainty" not in plain.results
    asked = np.asarray(plain.get_property("extrapolation_grades", atoms))
    assert asked.min() > 1.0


@pytest.mark.slow
def test_committees_below_decide_the_size(data, library, tmp_path):
    elements = Library.create(tmp_path / "elements")
    for name in ("Cu", "Ag"):
        elements.add(library.strata[name])
    config = replace(CONFIG, members=5, epochs=5)
    (pair,) = train(only(data, "Ag-Cu"), config, tmp_path / "more", on=elements)
    assert pair.stratum.n_members == 2


@pytest.mark.slow
def test_symmetry_functions_cannot_stand_on_moments(data, library, tmp_path):
    from stratal.potentials.training import SymmetryFunctionConfig

    with pytest.raises(InputError, match="made of moments"):
        train(data, SymmetryFunctionConfig(), tmp_path, on=library)


@pytest.mark.slow
def test_no_import_of_64_bits_leaks(library):
    assert jax.numpy.zeros(()).dtype == np.float32


def test_known_features_predict_what_moments_do(data):
    # As in a triple, whose mixing all comes from below: here that of a root of two elements.
    pair, elements = only(data, "Ag-Cu"), (29, 47)
    targets = targets_of(pair, elements, CONFIG, {}, np.zeros(2))
    packs = pack(pair, targets, CONFIG.descriptor, elements, CONFIG.batch, 0)
    problem, weights = set_up_terms(elements, CONFIG, CONFIG.descriptor, {}, packs)
    same, unchanged = know_features(problem, [packs, []])
    assert not same.features_known and unchanged[0] is packs
    frozen = tuple(replace(own, mixing=np.zeros_like(own.mixing)) for own in problem.free)
    known, (featured, nothing) = know_features(replace(problem, free=frozen), [packs, []])
    assert known.features_known and nothing == []
    whole = problem.whole(weights)
    for own, other in zip(packs, featured, strict=True):
        plain, quick = predict(problem, whole, own[0]), predict(known, whole, other[0])
        for expected, found in zip(plain, quick, strict=True):
            scale = float(np.abs(expected).max())
            assert scale > 0
            assert_allclose(found, expected, atol=2e-5 * scale)  # float32
