"""The seven strata of Cu-Pd-Ag from a few thousand labelled cells: errors and times.

Structures with formation energies below 1.5 eV/atom (against the lowest of each element) and
forces below 15 eV/Å; every tenth, in an order shuffled by a fixed seed (``--split``), is kept for
the test.
With ``--set 'coupling="full"'`` all weights are trained at once; with other couplings, each stratum
on top of those below.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from reference import add_settings, arguments, machine, settings_given

HIGHEST = 1.5  # eV/atom
STRONGEST = 15.0  # eV/Å
LOW = 0.3  # eV/atom, errors near the lowest are shown too


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--output", type=Path, default=Path("cupdag-library"))
    parser.add_argument("--large", action="store_true", help="add the set of larger cells")
    parser.add_argument("--elements", default="Cu,Pd,Ag")
    parser.add_argument("--split", type=int, default=0, help="seed that draws the test structures")
    parser.add_argument("--workers", type=int, default=2)
    add_settings(parser)
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    from stratal.potentials import Library, assess
    from stratal.potentials.training import train
    from stratal.potentials.training.config import config_from_dict

    config = config_from_dict(settings_given(options))
    elements = options.elements.split(",")
    training, test = data_of(options.data, elements, options.large, options.split)
    print(machine(), f"; {len(training)} structures to train on, {len(test)} to test", flush=True)
    began = time.perf_counter()
    trained = train(training, config, options.output, workers=options.workers)
    for one in trained:
        print(f"{one.stratum.name}: {one.stratum.n_weights} weights, {one.seconds:.0f} s")
    print(f"all: {time.perf_counter() - began:.0f} s", flush=True)
    report(assess(Library.open(options.output), test), test)


def data_of(folder: Path, elements: list[str], large: bool = False, split: int = 0):
    """Training and test data of cells within the bounds; ``split`` seeds which is which."""
    from stratal.potentials.data import read_labelled

    names = ["cupdag_nequix"] + (["cupdag_nequix_large"] if large else [])
    files = [folder / f"{name}.extxyz.gz" for name in names]
    data = read_labelled(files, level_of_theory="nequix-oam-1-pft", group_key="config_type")
    ground = {
        symbol: min(
            energy
            for energy, frame in zip(data.energy_per_atom, data.frames, strict=True)
            if set(frame.symbols) == {symbol}
        )
        for symbol in data.elements
    }
    formation = np.array(
        [
            (energy - sum(ground[symbol] for symbol in frame.symbols)) / len(frame)
            for energy, frame in zip(data.energy, data.frames, strict=True)
        ]
    )
    for frame, energy in zip(data.frames, formation, strict=True):
        frame.info["formation"] = energy
    strongest = np.array([np.linalg.norm(f, axis=1).max() for f in data.forces])
    own = np.array([set(frame.symbols) <= set(elements) for frame in data.frames])
    small = np.array(["large" not in source.path for source in data.sources])
    limit = np.where(small, STRONGEST, 30.0)
    data = data.take(own & (formation < HIGHEST) & (strongest < limit))
    order = np.random.default_rng(split).permutation(len(data))
    return data.take(np.sort(order[len(data) // 10 :])), data.take(
        np.sort(order[: len(data) // 10])
    )


def report(assessment, test) -> None:
    """Errors by number of elements, by stratum, and near the ground states."""
    from stratal.potentials.assess import COLUMNS, errors_between

    print("; ".join(COLUMNS))
    sizes = np.array([len(set(frame.symbols)) for frame in test.frames])
    for name, size in (("unary", 1), ("binary", 2), ("ternary", 3)):
        if (which := np.flatnonzero(sizes == size)).size:
            print(name, *errors_between(test, assessment.predictions, which).row())
    print("all", *assessment.total.row())
    low = np.array([frame.info["formation"] for frame in test.frames]) < LOW
    for name, size in (("unary", 1), ("binary", 2), ("ternary", 3)):
        if (which := np.flatnonzero(low & (sizes == size))).size:
            errors = errors_between(test, assessment.predictions, which)
            print(f"{name} below {LOW} eV/atom", *errors.row())
    for table in (assessment.by_stratum, assessment.by_group):
        for name, errors in table.items():
            print(" ", name, *errors.row())


if __name__ == "__main__":
    main()
