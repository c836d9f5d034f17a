"""Train one stratum of moments: its terms are fitted to what the strata below leave over."""

from __future__ import annotations

import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from stratal.errors import InputError
from stratal.potentials.atomic_term import AtomicTerm
from stratal.potentials.committee import predict_members
from stratal.potentials.compose import compose_strata, names_below, pairs_of, repulsion
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.domain import Domain
from stratal.potentials.evaluate import Potential
from stratal.potentials.library import Library
from stratal.potentials.stratum import Stratum, stratum_name
from stratal.potentials.sums import SumPotential
from stratal.potentials.training.config import TrainConfig, begins_anew
from stratal.potentials.training.packs import Pack, Targets, pack, with_members
from stratal.potentials.training.term_fit import BLOCK, fit_terms
from stratal.potentials.training.term_problem import (
    TermProblem,
    Weights,
    know_features,
    residuals,
)
from stratal.potentials.training.term_setup import Elements, set_up_terms
from stratal.potentials.training.trained import (
    TrainedStratum,
    errors_of,
    in_training,
    information,
)
from stratal.potentials.trust import calibrated, energy_spread, force_spread


def train_terms(
    data: LabelledData,
    elements: Elements,
    config: TrainConfig,
    library: Library,
    source: str,
    scratch: str,
) -> TrainedStratum:
    """Fit the terms of one stratum on top of those in the library.

    Args:
        data: structures that hold exactly ``elements`` (fewer too with ``coupling = "full"``).
        elements: atomic numbers, ascending.
        config: settings.
        library: has the strata below.
        source: hash of data and settings, for the stratum's notes.
        scratch: folder in the library for checkpoints.

    Raises:
        InputError: committees of different sizes, structures that cannot be trained on.
        Interrupted: a signal asked to stop; run again to go on.
    """
    began = time.perf_counter()
    name = stratum_name(elements)
    (library.path / scratch).mkdir(parents=True, exist_ok=True)
    is_root = begins_anew(elements, config)
    below = {} if is_root else {n: library.strata[n] for n in names_below(elements)}
    descriptor = config.descriptor
    reference = atomic_energies(data, elements) if is_root else np.zeros(len(elements))
    targets = targets_of(data, elements, config, below, reference)
    training = in_training(len(data), config)
    packs = [
        pack(data.take(part), targets.take(part), descriptor, elements, config.batch, config.seed)
        if len(part)
        else []
        for part in (np.flatnonzero(training), np.flatnonzero(~training))
    ]
    problem, weights = set_up_terms(elements, config, descriptor, below, packs[0])
    problem, packs = know_features(problem, packs)
    result = fit_terms(
        problem,
        weights,
        packs[0],
        packs[1],
        settings_of_fit(config, is_root, sum(own.n_batches for own in packs[0])),
        f"stratum {name}",
        library.path / scratch / f"{name}.checkpoint.h5",
    )
    fitted: Weights = result.params  # type: ignore[assignment]
    stratum = Stratum(
        elements=elements,
        descriptor=descriptor,
        terms={
            z: with_reference(term, energy)
            for z, term, energy in zip(elements, fitted, reference, strict=True)
        },
        domain={z: domain_of(problem, fitted, packs[0], i) for i, z in enumerate(elements)},
        parents={} if is_root else library.parents_of(elements),
        short_range=config.short_range,
        level_of_theory=data.level_of_theory,
        info={
            **information(source, config, training, result.epochs, errors_of(result)),
            "calibration": calibrate(problem, fitted, packs[1]),
        },
    )
    return TrainedStratum(stratum, result, time.perf_counter() - began)


def settings_of_fit(config: TrainConfig, is_root: bool, n_batches: int) -> TrainConfig:
    """The settings with the weight decay and number of epochs of one stratum."""
    return replace(
        config,
        weight_decay=config.weight_decay if is_root else config.coupling_weight_decay,
        epochs=max(config.epochs, -(-config.min_steps // (BLOCK * n_batches)) * BLOCK),
    )


def targets_of(
    data: LabelledData,
    elements: Elements,
    config: TrainConfig,
    below: dict[str, Stratum],
    reference: np.ndarray,
) -> Targets:
    """Labels less the strata below, the short-range term and the atoms' own energies."""
    counts = np.array([[np.sum(frame.numbers == z) for z in elements] for frame in data.frames])
    volumes = np.array([f.cell.volume if f.cell.rank == 3 else np.nan for f in data.frames])
    energy = (data.energy - counts @ reference)[None]
    forces = tuple(None if own is None else np.asarray(own)[None] for own in data.forces)
    strain = (data.stress * volumes[:, None])[None]
    fixed = fixed_part(elements, below, config)
    if fixed is not None:
        term = predict_members(data.frames, lambda _: fixed)
        energy = energy - term.energy
        forces = tuple(
            None if own is None else own - part
            for own, part in zip(forces, term.forces, strict=True)
        )
        strain = strain - term.stress * volumes[:, None]
    targets = Targets(energy, forces, strain, np.ones((len(energy), len(data))))
    targets = with_members(targets, config.members)
    if len(targets.energy) != config.members:
        raise InputError(
            f"the strata below have committees of {len(energy)} members, train.members = "
            f"{config.members}: give {len(energy)}."
        )
    if config.bootstrap:
        rng = np.random.default_rng(config.seed)
        drawn = [rng.integers(0, len(data), len(data)) for _ in range(config.members)]
        weight = np.array([np.bincount(own, minlength=len(data)) for own in drawn], float)
        targets = replace(targets, weight=weight)
    return targets


def fixed_part(
    elements: Elements, below: dict[str, Stratum], config: TrainConfig
) -> Potential | None:
    """All that is not fitted here: the strata below and the repulsion of new pairs."""
    kinds = dict.fromkeys(pairs_of(elements, is_root=not below), config.short_range)
    parts = [repulsion(kinds, elements)]
    if below:
        parts.append(compose_strata(list(below.values()), elements))
    given = tuple(part for part in parts if part is not None)
    return SumPotential(given, elements) if len(given) > 1 else given[0] if given else None


def atomic_energies(data: LabelledData, elements: Elements) -> np.ndarray:
    """Energies of the atoms that explain the labels best, ``(n_elements,)``, eV."""
    counts = np.array([[np.sum(frame.numbers == z) for z in elements] for frame in data.frames])
    sizes = counts.sum(axis=1, keepdims=True)
    return np.linalg.lstsq(counts / sizes, data.energy / sizes[:, 0], rcond=None)[0]


def with_reference(term: AtomicTerm, energy: float) -> AtomicTerm:
    """The atom's own energy goes back into the output bias, in double precision."""
    term = jax.tree.map(lambda a: np.asarray(a, float), term)
    return replace(term, biases=(*term.biases[:-1], term.biases[-1] + energy))


def calibrate(problem: TermProblem, weights: Weights, packs: list[Pack]) -> dict[str, float]:
    """Factors from spread to uncertainty on structures kept apart; empty without any.

    What is below has been taken off the labels member by member, so that these residuals are
    those of the whole potential.
    """
    energies, forces = [], []
    of_batch = jax.jit(lambda w, p, n: residuals(problem, w, p[n]))
    for own in packs:
        for number in range(own.n_batches):
            energy, force, _ = (np.asarray(r, float) for r in of_batch(weights, own, number))
            real = np.asarray(own.index[number]) >= 0  # whatever their weight
            energies.append(energy[:, real])
            mask = np.asarray(own.force_mask[number]).reshape(len(real), -1, 3)[..., 0] > 0
            split = force.reshape(*force.shape[:2], -1, 3)
            forces.append(split[:, mask & real[:, None]])
    if not energies or weights[0].n_members < 2:
        return {}
    energy, force = np.concatenate(energies, axis=1), np.concatenate(forces, axis=1)
    spread = np.asarray(force_spread(force))[:, None]
    return {
        "energy": calibrated(energy.mean(axis=0), np.asarray(energy_spread(energy))),
        "forces": calibrated(force.mean(axis=0), spread),
    }


def domain_of(problem: TermProblem, weights: Weights, packs: list[Pack], place: int) -> Domain:
    """The domain of the training atoms of one element, by what subsets of species add."""
    term = jax.tree.map(jnp.asarray, weights[place])
    features_of = jax.jit(lambda m: jnp.concatenate(problem.added(term, m, place)).T)
    found = []
    for own in packs:
        for batch in range(own.n_batches):
            real = own.real_rows(place, batch)
            found.append(np.asarray(features_of(own.moments[place][batch]), float)[real])
    return Domain.around(np.concatenate(found))
