"""Train all strata that the data call for, lowest first, into a library."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np

from stratal.descriptors.descriptor import Descriptor
from stratal.descriptors.invariants import Moments
from stratal.errors import InputError
from stratal.files.hdf5 import digest
from stratal.potentials.compose import kinds_of_pairs, names_below, pairs_of, repulsion
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.data.select import select
from stratal.potentials.library import Library
from stratal.potentials.stratum import Stratum, stratum_name
from stratal.potentials.training.baseline import without_baseline
from stratal.potentials.training.config import SymmetryFunctionConfig, TrainConfig, begins_anew
from stratal.potentials.training.features import featurize
from stratal.potentials.training.optimize import fit
from stratal.potentials.training.parallel import run_in_processes
from stratal.potentials.training.setup import Elements, set_up
from stratal.potentials.training.term_strata import train_terms
from stratal.potentials.training.trained import (
    TrainedStratum,
    errors_of,
    in_training,
    information,
)

SCRATCH = ".training"  # folder of a library with cached features and checkpoints


def train(
    data: LabelledData,
    config: TrainConfig | SymmetryFunctionConfig,
    output: str | Path,
    on: Library | None = None,
    workers: int = 1,
) -> list[TrainedStratum]:
    """Train the strata that the data call for and write them into a library.

    Pure elements come first, then pairs, then triples; each is fitted to the structures
    that hold exactly its elements, on top of the strata below, which do not change. Strata
    that ``on`` holds are taken over as they are.

    Args:
        data: labelled structures of one level of theory.
        config: settings.
        output: folder of the library; strata appear in it one by one. Run again after an
            interruption: finished strata are kept, the one at work resumes.
        on: a library to build on.
        workers: processes that train strata of moments that do not stand on one another at
            the same time, each on its own cores.

    Raises:
        InputError: no data for a stratum that is needed, levels of theory that do not
            match, another stratum of the same name in the output.
        Interrupted: a signal asked to stop; run again to go on.
    """
    data = select(
        data, energy_above_lowest=config.energy_above_lowest, max_force=config.max_force
    ).data
    config, descriptor = settings_of(config, on)
    check_levels(data, on)
    library = Library.create(output)
    for stratum in sorted(on.strata.values(), key=lambda s: len(s.elements)) if on else ():
        library.add(stratum)  # parents first
    trained = []
    # Strata of as many elements do not stand on one another.
    for _, level in groupby(work(data, config, on), key=lambda one: len(one[0])):
        tasks = []
        for elements, members in level:
            part = data.take(members)
            source = digest_of(part, config)
            if not finished_before(library, elements, source):
                tasks.append((part, elements, config, descriptor, library, source))
        for result in run_level(tasks, workers if isinstance(config, TrainConfig) else 1):
            library.add(result.stratum)
            trained.append(result)
    return trained


def run_level(tasks: Sequence[tuple[Any, ...]], workers: int) -> Iterator[TrainedStratum]:
    """Train strata that do not stand on one another."""
    if workers > 1 and len(tasks) > 1:
        names = ", ".join(stratum_name(task[1]) for task in tasks)
        yield from run_in_processes(train_one, tasks, workers, f"strata {names}")
    else:
        yield from (train_one(*task) for task in tasks)


def train_one(
    data: LabelledData,
    elements: Elements,
    config: TrainConfig | SymmetryFunctionConfig,
    descriptor: Descriptor | Moments,
    library: Library,
    source: str,
) -> TrainedStratum:
    """Train one stratum on top of those in the library."""
    if isinstance(config, TrainConfig):
        return train_terms(data, elements, config, library, source, SCRATCH)
    return train_stratum(data, elements, config, descriptor, library, source)  # type: ignore[arg-type]


def finished_before(library: Library, elements: Elements, source: str) -> bool:
    """Whether the output has the stratum from these data and settings already.

    Raises:
        InputError: it has another one of the same elements.
    """
    done = library.strata.get(stratum_name(elements))
    if done is None:
        return False
    if done.info.get("training_hash") != source:
        raise InputError(
            f"{library.path}/{done.name}.h5 is there already, from other data or settings. "
            f"Train into a new library, or build on this one with --on."
        )
    return True


def settings_of(
    config: TrainConfig | SymmetryFunctionConfig, on: Library | None
) -> tuple[TrainConfig | SymmetryFunctionConfig, Descriptor | Moments]:
    """The settings and the descriptor; a library below decides what must be as in it.

    Raises:
        InputError: couplings into networks that the library does not have.
    """
    if on is None:
        return config, config.descriptor
    base = next(iter(on.strata.values()))
    terms = next((s for s in on.strata.values() if s.terms), None)
    if isinstance(config, TrainConfig):
        if terms is not None:
            hidden = tuple(bias.shape[-1] for bias in next(iter(terms.terms.values())).biases[:-1])
            config = replace(
                config, members=terms.n_members, hidden=hidden, **settings_in(terms.descriptor)
            )
        return config, config.descriptor
    if terms is not None:
        raise InputError(
            f"{on.path}: stratum {terms.name} is made of moments: symmetry functions cannot be "
            f"coupled into it. Leave descriptor = 'symmetry functions' out of the settings."
        )
    trunk = next(iter(next(s for s in on.strata.values() if s.is_root).trunks.values()))
    hidden = (len(trunk.bias), *(len(bias) for bias in trunk.biases[:-1]))
    config = replace(config, hidden=hidden, short_range=base.short_range)  # type: ignore[arg-type]
    return config, base.descriptor


def settings_in(descriptor: Any) -> dict[str, Any]:
    """The keys of `TrainConfig` that a definition of moments fixes."""
    known = {field.name for field in fields(TrainConfig)}
    return {key: value for key, value in vars(descriptor).items() if key in known}


def check_levels(data: LabelledData, on: Library | None) -> None:
    """Refuse data of another level of theory than the library's."""
    for stratum in on.strata.values() if on else ():
        if stratum.level_of_theory not in (None, data.level_of_theory):
            raise InputError(
                f"{on.path if on else ''}/{stratum.name}.h5 is of level "
                f"{stratum.level_of_theory!r}, the data of {data.level_of_theory!r}. "
                f"Train on data of one level, or build anew."
            )


def work(
    data: LabelledData, config: TrainConfig | SymmetryFunctionConfig, on: Library | None
) -> Iterator[tuple[Elements, np.ndarray]]:
    """Which strata to train, lowest first, and the structures of each.

    Raises:
        InputError: structures of several elements, but none of one of the strata below.
    """
    sets = [tuple(sorted(set(frame.numbers.tolist()))) for frame in data.frames]
    if config.coupling == "full":
        everything = tuple(sorted({z for numbers in sets for z in numbers}))
        yield everything, np.arange(len(sets))
        return
    needed = {
        subset
        for numbers in set(sets)
        for size in range(1, min(len(numbers), 3) + 1)
        for subset in combinations(numbers, size)
    }
    kept = set(on.strata) if on else set()
    missing = {elements for elements in needed if stratum_name(elements) not in kept}
    for elements in sorted(missing - set(sets)):
        above = next(s for s in sets if set(elements) < set(s))
        raise InputError(
            f"the data hold {stratum_name(above)} structures but none of "
            f"{stratum_name(elements)} alone, on which that stratum would stand. Add such "
            f"structures, or give a library that has it with --on."
        )
    for elements in sorted(missing, key=lambda numbers: (len(numbers), numbers)):
        yield elements, np.array([i for i, numbers in enumerate(sets) if numbers == elements])


def train_stratum(
    data: LabelledData,
    elements: Elements,
    config: SymmetryFunctionConfig,
    descriptor: Descriptor,
    library: Library,
    source: str,
) -> TrainedStratum:
    """Fit one stratum of symmetry functions on top of those in the library."""
    began = time.perf_counter()
    name = stratum_name(elements)
    frames = list(data.frames)
    batches = featurize(frames, descriptor, elements, cache=library.path / SCRATCH)
    is_root = begins_anew(elements, config)
    below = [] if is_root else [library.strata[name] for name in names_below(elements)]
    kinds = kinds_of_pairs(below) | dict.fromkeys(pairs_of(elements, is_root), config.short_range)
    data = without_baseline(data, repulsion(kinds, elements))
    training = in_training(len(frames), config)
    setup = set_up(elements, config, descriptor, library, batches, data, training)
    checkpoint = library.path / SCRATCH / f"{name}.checkpoint.h5"
    result = fit(setup.problem, setup.params, config, f"stratum {name}", checkpoint)
    stratum = Stratum(
        elements=elements,
        descriptor=descriptor,
        couplings=setup.couplings(result.params),
        trunks=setup.trunks(result.params),
        parents={} if setup.is_root else library.parents_of(elements),
        short_range=config.short_range,
        level_of_theory=data.level_of_theory,
        info=information(source, config, training, result.epochs, errors_of(result)),
    )
    return TrainedStratum(stratum, result, time.perf_counter() - began)


def digest_of(data: LabelledData, config: TrainConfig | SymmetryFunctionConfig) -> str:
    """Hash of the data and settings of a stratum."""
    content = {
        "config": repr(replace(config, checkpoint_interval=1.0)),
        "numbers": np.concatenate([frame.numbers for frame in data.frames]),
        "positions": np.concatenate([frame.positions for frame in data.frames]),
        "cells": np.array([frame.cell.array for frame in data.frames]),
        "energy": data.energy,
    }
    return digest(content)
