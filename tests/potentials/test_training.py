import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.potentials.crystals import labelled_crystals

from stratal.errors import InputError
from stratal.files import write_frames
from stratal.potentials.batch import predict_frames
from stratal.potentials.data import read_labelled
from stratal.potentials.library import Library
from stratal.potentials.training import (
    Interrupted,
    SymmetryFunctionConfig,
    featurize,
    fit_loop,
    optimize,
    train,
)
from stratal.potentials.training.config import config_from_dict, config_from_toml
from stratal.potentials.training.problem import predict
from stratal.potentials.training.setup import set_up

CONFIG = SymmetryFunctionConfig(
    cutoff=4.0,
    radial_etas=(0.1, 0.5),
    angular=((0.01, 1.0, 1.0), (0.05, 2.0, -1.0)),
    hidden=(4, 4),
    epochs=60,
    validation=0.0,
    patience=0,
)
ADAM = replace(CONFIG, optimizer="adam", epochs=40)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "emt.extxyz"
    kinds = (["Cu"], ["Ag"], ["Cu", "Ag"])
    write_frames(path, [a for i, kind in enumerate(kinds) for a in labelled_crystals(kind, 12, i)])
    return read_labelled(path, level_of_theory="EMT")


def only(data, *names):
    return data.take(np.array([group in names for group in data.groups]))


@pytest.fixture(scope="module")
def elements(data, tmp_path_factory):
    """A library of Cu and Ag."""
    folder = tmp_path_factory.mktemp("elements")
    train(only(data, "Cu", "Ag"), CONFIG, folder)
    return Library.open(folder)


@pytest.fixture(scope="module")
def alloy(data, elements, tmp_path_factory):
    """Cu-Ag trained on top of it."""
    folder = tmp_path_factory.mktemp("alloy")
    trained = train(data, CONFIG, folder, on=elements)
    assert [one.stratum.name for one in trained] == ["Ag-Cu"]
    return Library.open(folder)


def potential_of(library):
    from ase.data import chemical_symbols

    return lambda numbers: library.potential(*(chemical_symbols[z] for z in numbers))


def test_training_lowers_the_errors(data, alloy, elements):
    for name, library in (("Cu", elements), ("Ag", elements), ("Ag-Cu", alloy)):
        errors = library.strata[name].info["errors"]
        part = only(data, name)
        assert errors["energy_rmse"] < 0.2 * np.std(part.energy_per_atom)
        assert errors["force_rmse"] < 0.5 * np.std(np.concatenate(part.forces))


def test_recorded_errors_are_those_of_the_written_potential(data, alloy):
    part = only(data, "Ag-Cu")
    found = predict_frames(part.frames, potential_of(alloy))
    rmse = np.sqrt(np.mean(((found.energy - part.energy) / part.n_atoms) ** 2))
    # The fit works with whitened features; turning the weights back costs some rounding.
    assert_allclose(rmse, alloy.strata["Ag-Cu"].info["errors"]["energy_rmse"], rtol=1e-6)


def uncoupled(library):
    """The same library as it was before its alloy was trained: couplings of zero."""
    above = library.strata["Ag-Cu"]
    couplings = {k: c._replace(kernel=0.0 * c.kernel) for k, c in above.couplings.items()}
    return Library("memory", {**library.strata, "Ag-Cu": replace(above, couplings=couplings)})


def test_strata_below_stay_bit_for_bit(data, elements, alloy):
    for name in ("Cu", "Ag"):
        assert alloy.strata[name].physics_hash == elements.strata[name].physics_hash
        frames = only(data, name).frames
        own = predict_frames(frames, potential_of(elements))
        composed = predict_frames(frames, potential_of(alloy))
        assert_array_equal(composed.energy, own.energy)
        assert_array_equal(np.concatenate(composed.forces), np.concatenate(own.forces))


def test_pure_elements_do_not_feel_the_weights_of_the_alloy(data, alloy):
    """The potential of both elements on structures of one: the same shapes, other weights."""
    before = uncoupled(alloy).potential("Cu", "Ag")
    after = alloy.potential("Cu", "Ag")
    for name in ("Cu", "Ag"):
        frames = only(data, name).frames
        one, other = (predict_frames(frames, lambda _, p=p: p) for p in (before, after))
        assert_array_equal(one.energy, other.energy)
        assert_array_equal(np.concatenate(one.forces), np.concatenate(other.forces))
        # The potential of the element alone is another program: equal to rounding.
        alone = predict_frames(frames, potential_of(alloy))
        assert_allclose(other.energy, alone.energy, rtol=1e-13)


@pytest.mark.parametrize("name", ["Cu", "Ag-Cu"])
def test_cached_derivatives_give_the_forces_of_the_potential(data, elements, alloy, name):
    """The problem that is fitted and the potential that is written are the same function."""
    part = only(data, name)
    numbers = tuple(sorted(set(part.frames[0].numbers.tolist())))
    settings = replace(CONFIG, short_range="none")
    batches = featurize(list(part.frames), CONFIG.descriptor, numbers)
    setup = set_up(
        numbers, settings, CONFIG.descriptor, elements, batches, part, np.ones(len(part), bool)
    )
    rng = np.random.default_rng(0)
    params = {
        key: {**own, "kernel": own["kernel"] + 0.1 * rng.normal(size=own["kernel"].shape)}
        for key, own in setup.params.items()
    }
    stratum = replace(
        alloy.strata[name], couplings=setup.couplings(params), trunks=setup.trunks(params)
    )
    strata = {n: replace(s, short_range="none") for n, s in alloy.strata.items()}
    strata[name] = replace(stratum, short_range="none")
    library = Library("memory", strata)
    expected = predict_frames(part.frames, potential_of(library))
    import jax

    with jax.enable_x64(True):
        for features, batch in zip(batches, setup.problem.batches, strict=True):
            energy, forces, stress = predict(setup.problem, params, batch)
            assert_allclose(energy, expected.energy[features.frames], rtol=1e-9)
            reference = np.array([expected.forces[i].ravel() for i in features.frames])
            assert_allclose(forces, reference, atol=1e-8)
            assert_allclose(stress, expected.stress[features.frames], atol=1e-9)


@pytest.mark.parametrize("config", [CONFIG, ADAM], ids=["lbfgs", "adam"])
def test_an_interrupted_fit_resumes_to_the_same_weights(data, tmp_path, monkeypatch, config):
    part = only(data, "Cu")
    train(part, config, tmp_path / "whole")

    class SignalsAtSecondBlock(fit_loop.Progress):
        def update(self, n=1, **notes):
            super().update(n, **notes)
            if n and self.description.startswith("stratum") and self.done == optimize.BLOCK:
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(fit_loop, "Progress", SignalsAtSecondBlock)
        with pytest.raises(Interrupted, match="SIGTERM after 20 epochs"):
            train(part, config, tmp_path / "halves")
    assert not (tmp_path / "halves" / "Cu.h5").exists()
    assert (tmp_path / "halves" / ".training" / "Cu.checkpoint.h5").exists()
    train(part, config, tmp_path / "halves")
    whole, halves = (Library.open(tmp_path / name).strata["Cu"] for name in ("whole", "halves"))
    assert halves.physics_hash == whole.physics_hash
    assert not (tmp_path / "halves" / ".training" / "Cu.checkpoint.h5").exists()


def test_finished_strata_are_not_trained_again(data, elements):
    assert train(only(data, "Cu", "Ag"), CONFIG, elements.path) == []


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path, monkeypatch):
    part = only(data, "Cu")
    original = fit_loop.finished
    with monkeypatch.context() as patch:
        patch.setattr(fit_loop, "finished", lambda s, c: original(s, c) or os.kill(os.getpid(), 15))
        with pytest.raises(Interrupted):
            train(part, ADAM, tmp_path)
    with pytest.raises(InputError, match="checkpoint of another run"):
        train(part, replace(ADAM, energy_weight=2.0), tmp_path)


def test_full_training_is_one_root_of_all_elements(data, tmp_path):
    (one,) = train(data, replace(ADAM, coupling="full"), tmp_path)
    assert one.stratum.is_root
    assert one.stratum.elements == (29, 47)
    found = predict_frames(data.frames, potential_of(Library.open(tmp_path)))
    assert np.isfinite(found.energy).all()


def test_early_stop_keeps_the_best_weights(data, tmp_path):
    config = replace(ADAM, validation=0.25, patience=20, epochs=400, learning_rate=0.3)
    config = replace(config, stress_weight=0.0)  # the curve holds no stresses
    (one,) = train(only(data, "Cu"), config, tmp_path)
    energy, force = one.fit.curve[:, 3:].T
    best = np.argmin(config.energy_weight * energy**2 + config.force_weight * force**2)
    assert one.stratum.info["structures_validation"] == 3
    assert one.stratum.info["errors"]["energy_rmse_validation"] == energy[best]
    assert one.stratum.info["errors"]["force_rmse_validation"] == force[best]


def test_without_pure_elements_there_is_nothing_to_stand_on(data, tmp_path):
    with pytest.raises(InputError, match="hold Ag-Cu structures but none of Cu alone"):
        train(only(data, "Ag-Cu"), CONFIG, tmp_path / "none")
    assert not list((tmp_path).glob("none/*.h5"))


def test_levels_of_theory_do_not_mix(data, elements, tmp_path):
    other = replace(data, level_of_theory="LDA")
    with pytest.raises(InputError, match="'EMT', the data of 'LDA'"):
        train(other, CONFIG, tmp_path, on=elements)


def test_features_are_read_from_the_cache_and_a_damaged_cache_is_mended(data, tmp_path):
    frames = list(only(data, "Cu").frames[:3])
    first = featurize(frames, CONFIG.descriptor, (29,), cache=tmp_path)
    (file,) = tmp_path.glob("*.h5")
    file.write_bytes(file.read_bytes()[:1000])
    second = featurize(frames, CONFIG.descriptor, (29,), cache=tmp_path)
    third = featurize(frames, CONFIG.descriptor, (29,), cache=tmp_path)
    for batches in (second, third):
        assert_array_equal(batches[0].jacobian, first[0].jacobian)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"epoch": 3}, "key 'epoch' is not known"),
        ({"epochs": "many"}, "train.epochs"),
        ({"cutoff": -1.0}, "train.cutoff = -1.0: give a number above 0"),
        ({"validation": 1.5}, "train.validation"),
        ({"optimizer": "sgd"}, "train.optimizer"),
        ({"hidden": []}, "train.hidden"),
        ({"variance_floor": 0.0}, "train.variance_floor"),
        ({"force_weight": -0.1}, "train.force_weight"),
    ],
)
def test_wrong_settings_are_named(table, words):
    with pytest.raises(InputError, match=words):
        config_from_dict({"descriptor": "symmetry functions", **table})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"epoch": 3}, "key 'epoch' is not known"),
        ({"variance_floor": 0.1}, "key 'variance_floor' is not known"),
        ({"descriptor": "bispectrum"}, "give 'moments' or 'symmetry functions'"),
        ({"members": 0}, "train.members = 0"),
        ({"triples": [[1, 1, 3]]}, "no invariant"),
        ({"triples": [[1, 1]]}, "train.triples"),
        ({"coupling": "loose"}, "train.coupling"),
        ({"cutoff": 1.0}, "cutoff = 1.0"),
    ],
)
def test_wrong_settings_of_moments_are_named(table, words):
    with pytest.raises(InputError, match=words):
        config_from_dict(table)


def test_settings_that_are_no_table_are_refused(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("train = 3")
    with pytest.raises(InputError, match=r"settings.toml: train = 3: expected a table"):
        config_from_toml(file)
