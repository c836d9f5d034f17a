"""How far a library's predictions are from labelled data, in all and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import units

from stratal.potentials.batch import Predictions, predict_frames
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.evaluate import Potential
from stratal.potentials.library import Library
from stratal.potentials.stratum import stratum_name
from stratal.potentials.trust import PredictedTrust, predict_trust


@dataclass(frozen=True)
class Errors:
    """Errors over some structures; NaN where there were no labels."""

    structures: int
    energy_rmse: float  # eV/atom
    energy_mae: float  # eV/atom
    force_rmse: float  # eV/Å, of components
    force_mae: float  # eV/Å
    stress_rmse: float  # eV/Å³, of components
    stress_mae: float  # eV/Å³

    def row(self) -> list[Any]:
        """For a table: structures; meV/atom, meV/atom, meV/Å, meV/Å, GPa."""
        milli = [
            1e3 * x for x in (self.energy_rmse, self.energy_mae, self.force_rmse, self.force_mae)
        ]
        cells = [*(f"{x:.1f}" for x in milli), f"{self.stress_rmse / units.GPa:.2f}"]
        return [self.structures, *("–" if cell == "nan" else cell for cell in cells)]


COLUMNS = (
    "structures",
    "energy RMSE (meV/atom)",
    "MAE (meV/atom)",
    "force RMSE (meV/Å)",
    "MAE (meV/Å)",
    "stress RMSE (GPa)",
)


@dataclass(frozen=True)
class Assessment:
    """Labels beside predictions, and the errors between them."""

    data: LabelledData
    predictions: Predictions
    total: Errors
    by_stratum: dict[str, Errors]
    by_group: dict[str, Errors]
    trust: PredictedTrust | None = None  # where it was asked for

    def as_dict(self) -> dict[str, Any]:
        """For JSON: errors by name, NaN as None; units eV/atom, eV/Å, eV/Å³."""
        tables = {
            "total": plain(self.total),
            "by_stratum": {name: plain(errors) for name, errors in self.by_stratum.items()},
            "by_group": {name: plain(errors) for name, errors in self.by_group.items()},
        }
        return {"units": "eV/atom, eV/Å, eV/Å³", **tables}


def assess(
    library: Library, data: LabelledData, precision: str = "float64", trust: bool = False
) -> Assessment:
    """Predict all structures with the library and compare.

    Args:
        library: has the strata of all structures.
        data: labelled structures.
        precision: ``"float64"`` or ``"float32"``.
        trust: whether to find uncertainties too.

    Raises:
        InputError: the library lacks a stratum for some of the structures.
    """
    symbols = {
        z: symbol for f in data.frames for z, symbol in zip(f.numbers, f.symbols, strict=True)
    }

    def potential_of(numbers: tuple[int, ...]) -> Potential:
        return library.potential(*(symbols[z] for z in numbers))

    predictions = predict_frames(data.frames, potential_of, precision)
    names = [stratum_name(set(frame.symbols)) for frame in data.frames]
    return Assessment(
        data=data,
        predictions=predictions,
        total=errors_between(data, predictions, range(len(data))),
        by_stratum=errors_by(data, predictions, names),
        by_group=errors_by(data, predictions, [group or "(none)" for group in data.groups]),
        trust=predict_trust(data.frames, potential_of) if trust else None,
    )


def errors_by(
    data: LabelledData, predictions: Predictions, names: Sequence[str]
) -> dict[str, Errors]:
    """Errors of the structures of each name."""
    return {
        name: errors_between(data, predictions, [i for i, own in enumerate(names) if own == name])
        for name in sorted(set(names))
    }


def errors_between(
    data: LabelledData, predictions: Predictions, which: Sequence[int] | range
) -> Errors:
    """Root-mean-square and mean absolute errors over some structures."""
    index = np.asarray(which, int)
    energy = (predictions.energy[index] - data.energy[index]) / data.n_atoms[index]
    forces = [
        (predictions.forces[i] - own).ravel() for i in which if (own := data.forces[i]) is not None
    ]
    stress = predictions.stress[index] - data.stress[index]
    return Errors(
        len(index),
        *of(energy),
        *of(np.concatenate(forces) if forces else np.zeros(0)),
        *of(stress[np.isfinite(stress)]),
    )


def of(differences: np.ndarray) -> tuple[float, float]:
    """RMSE and MAE; NaN of nothing."""
    if differences.size == 0:
        return float("nan"), float("nan")
    return float(np.sqrt(np.mean(differences**2))), float(np.mean(np.abs(differences)))


def plain(errors: Errors) -> dict[str, Any]:
    """A dictionary for JSON, which knows no NaN."""
    return {
        k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(errors).items()
    }
