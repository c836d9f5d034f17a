"""Training the Cu-Ag stratum on the published Cu and Ag: time to MAISE's error, side by side.

The same data, inputs, network and frozen elements. MAISE runs its 2,000 epochs from symmetry
functions and derivatives that it has parsed before; Stratal's time is given with and without
computing them. MAISE's binary needs libgsl and libsymspg.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from reference import arguments, machine


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("STRATAL_PROGRESS", "off")
    print(machine())
    theirs, errors = train_maise(options.reference, options.threads)
    print(f"MAISE, 2,000 epochs, {options.threads} thread(s): {theirs:.0f} s, {errors}")
    energy, force = (float(x) for x in re.findall(r"[\d.]+", errors)[:2])
    for name, seconds in time_stratal(options, energy, force).items():
        print(f"Stratal, {name}: {seconds:.1f} s, {theirs / seconds:.0f}x")


def train_maise(reference: Path, threads: int) -> tuple[float, str]:
    """Wall seconds of MAISE's training, and its errors."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with tarfile.open(reference / "train" / "PARS.tar.gz") as archive:
            archive.extractall(place, filter="data")
        setup = (reference / "train" / "setup").read_text()
        (place / "setup").write_text(re.sub(r"NPAR\s+\d+", f"NPAR  {threads}", setup))
        (place / "NNET").mkdir()
        for symbol in ("Cu", "Ag"):
            model = (reference / "models" / f"nn_{symbol}_d3_vp").read_bytes()
            (place / "NNET" / f"{symbol}.dat").write_bytes(model)
        began = time.perf_counter()
        subprocess.run(
            [reference / "bin" / "maise"], cwd=place, check=True, stdout=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": str(threads)},
        )  # fmt: skip
        seconds = time.perf_counter() - began
        header = (place / "NNET" / "model").read_text()
    errors = [
        1e3 * float(re.search(rf"train {kind}\s+error\s*\|\s*([\d.]+)", header).group(1))
        for kind in ("energy", "force")
    ]
    return seconds, f"{errors[0]:.2f} meV/atom, {errors[1]:.1f} meV/Å"


def time_stratal(options, energy: float, force: float) -> dict[str, float]:
    """Seconds until both training errors are at or below the given (meV/atom, meV/Å)."""
    from stratal.potentials import Library, read_maise
    from stratal.potentials.data import read_labelled
    from stratal.potentials.training import SymmetryFunctionConfig, featurize, train
    from stratal.potentials.training.optimize import BLOCK

    data = read_labelled(options.data / "CuAg_maise_vasp.extxyz.gz", level_of_theory="PBE")
    data = data.take(np.array([bool(frame.info["usable"]) for frame in data.frames]))
    # To fit, not to generalise: no floor under the variances, hardly a penalty.
    config = SymmetryFunctionConfig(
        validation=0.0, patience=0, stress_weight=0.0, force_weight=0.1,
        coupling_regularization=1e-4, coupling_variance_floor=1e-4,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        elements = Library.create(f"{folder}/elements")
        for symbol in ("Cu", "Ag"):
            for stratum in read_maise(options.reference / "models" / f"nn_{symbol}_d3_vp"):
                elements.add(stratum)
        began = time.perf_counter()
        (long,) = train(data, replace(config, epochs=600), f"{folder}/long", on=elements)
        curve = 1e3 * long.fit.curve[:, 1:3]
        reached = np.flatnonzero((curve[:, 0] <= energy) & (curve[:, 1] <= force))
        if not len(reached):
            raise SystemExit(f"not reached in 600 epochs: {curve[-1]}")
        epochs = int(BLOCK * (reached[0] + 1))
        print(f"Stratal reaches that after {epochs} epochs")
        times = {}
        began = time.perf_counter()
        descriptor = next(iter(elements.strata.values())).descriptor
        featurize(list(data.frames), descriptor, (29, 47), cache=f"{folder}/short/.training")
        times["symmetry functions and derivatives"] = time.perf_counter() - began
        began = time.perf_counter()
        (one,) = train(data, replace(config, epochs=epochs), f"{folder}/short", on=elements)
        times["training, compilation included"] = time.perf_counter() - began
        times["all together"] = sum(times.values())
    errors = one.stratum.info["errors"]
    print(
        f"Stratal after {epochs} epochs: {1e3 * errors['energy_rmse']:.2f} meV/atom, "
        f"{1e3 * errors['force_rmse']:.1f} meV/Å"
    )
    return times


if __name__ == "__main__":
    main()
