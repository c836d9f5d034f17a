"""Errors on left-out folds of Cu-Ag density-functional data.

Each fold's structures are predicted by what was trained on the other four: symmetry functions
on the published Cu and Ag with the settings for few structures (docs/training.md); moments on
the published Cu and Ag; or moments from scratch, all elements at once. MAISE's fit uses energies
and forces, Stratal's also the stresses, with a small weight. MAISE's figures are those that
come with the reference data (2,000 epochs of its own fit on the same folds).
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
from reference import add_settings, arguments, machine, settings_given

# fold: energy RMSE, MAE (meV/atom), force RMSE (meV/Å) of MAISE's fit to the other folds
MAISE = {
    0: (10.1, 6.4, 25),
    1: (9.9, 7.4, 27),
    2: (30.1, 13.5, 71),
    3: (49.2, 26.6, 42),
    4: (8.2, 5.8, 26),
}
MOMENTS = {
    "validation": 0.0, "batch": 8, "epochs": 600, "members": 4,
    "force_weight": 0.3, "spread_floor": 1.0,  # 200 small cells
}  # fmt: skip
SETTINGS = {
    "symmetry functions": {
        "descriptor": "symmetry functions", "validation": 0.0, "patience": 0, "epochs": 1500,
        "force_weight": 0.4, "stress_weight": 0.002,
        "coupling_regularization": 0.025, "coupling_variance_floor": 0.2,  # 200 are few
    },
    "moments on published": {**MOMENTS, "epochs": 300, "force_weight": 3.0},
    "moments from scratch": {**MOMENTS, "coupling": "full"},
}  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kinds", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    add_settings(parser)
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    from stratal.potentials import Library, assess, read_maise
    from stratal.potentials.data import read_labelled
    from stratal.potentials.training import train
    from stratal.potentials.training.config import config_from_dict

    data = read_labelled(options.data / "CuAg_maise_vasp.extxyz.gz", level_of_theory="PBE")
    usable = np.array([bool(frame.info["usable"]) for frame in data.frames])
    folds = np.array([int(frame.info["fold"]) for frame in data.frames])
    changed = settings_given(options)
    print(machine(), "; RMSE meV/atom, MAE meV/atom, RMSE meV/Å", changed or "")
    for kind in options.kinds:
        config = config_from_dict({**SETTINGS[kind], **changed})
        print(f"{'fold':>4s} {'structures':>10s}  {kind:>22s}  {'MAISE':>18s}  {'seconds':>7s}")
        squares = []
        for fold, theirs in MAISE.items():
            with tempfile.TemporaryDirectory() as folder:
                elements = Library.create(f"{folder}/elements")
                for symbol in ("Cu", "Ag"):
                    for stratum in read_maise(options.reference / "models" / f"nn_{symbol}_d3_vp"):
                        elements.add(stratum)
                on = None if config.coupling == "full" else elements
                (one,) = train(data.take(usable & (folds != fold)), config, f"{folder}/new", on=on)
                own = assess(
                    Library.open(f"{folder}/new"), data.take(usable & (folds == fold))
                ).total
            figures = (1e3 * own.energy_rmse, 1e3 * own.energy_mae, 1e3 * own.force_rmse)
            print(
                f"{fold:4d} {own.structures:10d}  {row(figures):>22s}  {row(theirs):>18s}"
                f"  {one.seconds:7.0f}",
                flush=True,
            )
            squares.append([own.structures, figures[0] ** 2, figures[2] ** 2])
        weights, *errors = np.array(squares).T
        whole = [np.sqrt(np.average(error, weights=weights)) for error in errors]
        print(f"     all folds: {whole[0]:.1f} meV/atom, {whole[1]:.0f} meV/Å", flush=True)


def row(figures: tuple[float, ...]) -> str:
    """Energy RMSE, energy MAE, force RMSE."""
    energy, mean, force = figures
    return f"{energy:5.1f} {mean:5.1f} {force:4.0f}"


if __name__ == "__main__":
    main()
