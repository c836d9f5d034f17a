"""Uncertainties against true errors, on structures of kinds that were not trained on.

The library comes from `cupdag_library.py` (cells of up to 8 atoms); its test structures are of
the kinds that it was trained on, the set of larger cells is of others. Rank correlations are
Spearman's, over atoms, between the uncertainty of the forces and their root-mean-square error.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cupdag_library import data_of
from reference import arguments
from scipy.stats import spearmanr

NORMAL = 1.645  # half-width of the 90 % interval, in standard uncertainties


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--figure", type=Path, help="where to draw the calibration")
    options = parser.parse_args()
    from stratal.potentials import Library
    from stratal.potentials.data import read_labelled

    library = Library.open(options.library)
    _, test = data_of(options.data, ["Cu", "Pd", "Ag"])
    large = read_labelled(
        options.data / "cupdag_nequix_large.extxyz.gz",
        level_of_theory=test.level_of_theory,
        group_key="config_type",
    )
    print(
        f"{'':12s} {'structures':>10s} {'RMSE meV/atom':>14s} {'meV/Å':>6s} {'correlation':>11s}"
        f" {'median grade':>12s} {'covered: forces':>15s} {'energies':>8s}"
    )
    drawn = {}
    for name, data in (("test", test), ("larger", large)):
        drawn[name] = rows = errors_and_trust(library, data)
        show(name, rows)
        for group in sorted(set(data.groups)) if name == "larger" else ():
            show(
                f"  {group}",
                [row for row, own in zip(rows, data.groups, strict=True) if own == group],
            )
    if options.figure:
        draw(drawn, options.figure)


def errors_and_trust(library, data) -> list[tuple[np.ndarray, ...]]:
    """Of each structure: force errors, uncertainties and grades of atoms; energy alike."""
    from ase.data import chemical_symbols

    from stratal.potentials.batch import predict_frames
    from stratal.potentials.trust import predict_trust

    def potential_of(numbers):
        return library.potential(*(chemical_symbols[z] for z in numbers))

    predicted = predict_frames(data.frames, potential_of)
    trust = predict_trust(data.frames, potential_of)
    return [
        (
            predicted.forces[i] - data.forces[i],
            trust.forces[i],
            trust.grades[i],
            (predicted.energy[i] - data.energy[i]) / data.n_atoms[i],
            trust.energy[i] / data.n_atoms[i],
        )
        for i in range(len(data))
    ]


def show(name: str, rows: list[tuple[np.ndarray, ...]]) -> None:
    """One line of the table."""
    errors, uncertainty, grades = (np.concatenate(own) for own in list(zip(*rows, strict=True))[:3])
    energy, of_energy = (np.array(own) for own in list(zip(*rows, strict=True))[3:])
    of_atoms = np.sqrt((errors**2).mean(axis=1))
    inside = np.abs(errors) <= NORMAL * uncertainty[:, None]
    print(
        f"{name:12s} {len(rows):10d} {1e3 * np.sqrt((energy**2).mean()):14.1f} "
        f"{1e3 * np.sqrt((errors**2).mean()):6.0f} {spearmanr(uncertainty, of_atoms)[0]:11.2f} "
        f"{np.median(grades):12.2f} {100 * inside.mean():13.0f} % "
        f"{100 * (np.abs(energy) <= NORMAL * of_energy).mean():6.0f} %",
        flush=True,
    )


def draw(sets: dict[str, list[tuple[np.ndarray, ...]]], path: Path) -> None:
    """True errors against uncertainties, and coverage against what was promised."""
    from stratal.report.figures import calibration_figure

    pairs = {
        name: (np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows]))
        for name, rows in sets.items()
    }
    calibration_figure(pairs).savefig(path)


if __name__ == "__main__":
    main()
