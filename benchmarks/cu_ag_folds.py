"""Errors on left-out folds of Cu-Ag density-functional data, on top of the published Cu and Ag.

Each fold's structures are predicted by a stratum trained on the other four with the settings
for few structures (docs/training.md). MAISE's fit uses energies and forces, Stratal's also the
stresses, with a small weight. MAISE's figures are those that come with the reference data
(2,000 epochs of its own fit on the same folds).
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
from reference import arguments, machine

# fold: energy RMSE, MAE (meV/atom), force RMSE (meV/Å) of MAISE's fit to the other folds
MAISE = {
    0: (10.1, 6.4, 25),
    1: (9.9, 7.4, 27),
    2: (30.1, 13.5, 71),
    3: (49.2, 26.6, 42),
    4: (8.2, 5.8, 26),
}


def main() -> None:
    options = arguments(__doc__).parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    from stratal.potentials import Library, assess, read_maise
    from stratal.potentials.data import read_labelled
    from stratal.potentials.training import SymmetryFunctionConfig, train

    data = read_labelled(options.data / "CuAg_maise_vasp.extxyz.gz", level_of_theory="PBE")
    usable = np.array([bool(frame.info["usable"]) for frame in data.frames])
    folds = np.array([int(frame.info["fold"]) for frame in data.frames])
    config = SymmetryFunctionConfig(
        validation=0.0, patience=0, epochs=1500, force_weight=0.4, stress_weight=0.002,
        coupling_regularization=0.025, coupling_variance_floor=0.2,  # 200 structures are few
    )  # fmt: skip
    print(machine(), "; RMSE meV/atom, MAE meV/atom, RMSE meV/Å")
    print(f"{'fold':>4s} {'structures':>10s}  {'Stratal':>18s}  {'MAISE':>18s}  {'seconds':>7s}")
    for fold, theirs in MAISE.items():
        with tempfile.TemporaryDirectory() as folder:
            elements = Library.create(f"{folder}/elements")
            for symbol in ("Cu", "Ag"):
                for stratum in read_maise(options.reference / "models" / f"nn_{symbol}_d3_vp"):
                    elements.add(stratum)
            training = data.take(usable & (folds != fold))
            (one,) = train(training, config, f"{folder}/alloy", on=elements)
            held_out = data.take(usable & (folds == fold))
            own = assess(Library.open(f"{folder}/alloy"), held_out).total
        figures = (1e3 * own.energy_rmse, 1e3 * own.energy_mae, 1e3 * own.force_rmse)
        print(
            f"{fold:4d} {own.structures:10d}  {row(figures):>18s}  {row(theirs):>18s}"
            f"  {one.seconds:7.0f}"
        )


def row(figures: tuple[float, ...]) -> str:
    """Energy RMSE, energy MAE, force RMSE."""
    energy, mean, force = figures
    return f"{energy:5.1f} {mean:5.1f} {force:4.0f}"


if __name__ == "__main__":
    main()
