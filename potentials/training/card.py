"""What a trained stratum says of itself: a model card, figures, a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stratal.files import write_text
from stratal.potentials.assess import COLUMNS, Assessment
from stratal.potentials.library import Library
from stratal.potentials.training.trained import TrainedStratum
from stratal.report import (
    Report,
    Section,
    calibration_figure,
    error_bars,
    learning_curve,
    parity_figure,
)

NAMES = {
    "energy_rmse": "energy RMSE, training (meV/atom)",
    "force_rmse": "force RMSE, training (meV/Å)",
    "energy_rmse_validation": "energy RMSE, validation (meV/atom)",
    "force_rmse_validation": "force RMSE, validation (meV/Å)",
}


def card(trained: TrainedStratum) -> str:
    """A model card in Markdown: what it is for, from what, how good, where its limits are."""
    stratum, info = trained.stratum, trained.stratum.info
    errors = {key: f"{1e3 * value:.1f}" for key, value in info["errors"].items()}
    parents = ", ".join(f"{name} ({value[:12]})" for name, value in stratum.parents.items())
    settings = "\n".join(f"- {key}: {value}" for key, value in info["config"].items())
    return f"""# Stratum {stratum.name}

- hash of its physics: {stratum.physics_hash}
- stands on: {parents or "nothing: it is a root"}
- level of theory: {stratum.level_of_theory}
- weights of its own: {stratum.n_weights}
- short range: {stratum.short_range}

## Data
{info["structures"]} structures; {info["structures_validation"]} of them were kept apart;
hash of data and settings {info["training_hash"][:12]}.

## Errors of the fit
{chr(10).join(f"- {NAMES[key]}: {value}" for key, value in errors.items())}

## Limits
Fitted to the structures counted above; elsewhere it extrapolates. It knows no magnetism, charge or
interaction beyond {stratum.descriptor.cutoff:.2f} Å.

## Settings
{settings}
"""


def write_cards(library: Library, trained: Sequence[TrainedStratum]) -> None:
    """One card per stratum, beside its file."""
    for one in trained:
        write_text(library.path / f"{one.stratum.name}.card.md", card(one))


def training_report(
    path: Path, trained: Sequence[TrainedStratum], assessment: Assessment, title: str
) -> None:
    """Write (or add to) the library's report: learning curves, parity, errors by group."""
    report = Report.open(path) if path.is_file() else Report(title)
    for one in trained:
        add_stratum(report, one)
    add_assessment(report, assessment, "Errors on the training data")
    report.write(path)


def add_stratum(report: Report, trained: TrainedStratum) -> None:
    """A section on how one stratum was fitted."""
    info = trained.stratum.info
    section = report.section(f"Stratum {trained.stratum.name}")
    section.metrics(
        {
            "structures": info["structures"],
            "weights": trained.stratum.n_weights,
            "epochs": info["epochs"],
            "seconds": round(trained.seconds, 1),
            **{NAMES[k]: round(1e3 * v, 2) for k, v in info["errors"].items()},
        }
    )
    curve = trained.fit.curve
    if len(curve):
        names = ("training energy", "training forces", "validation energy", "validation forces")
        curves = {
            name: 1e3 * curve[:, column + 1]
            for column, name in enumerate(names)
            if np.isfinite(curve[:, column + 1]).all()
        }
        figure = learning_curve(curve[:, 0], curves, unit="meV/atom, meV/Å")
        section.figure(
            figure, "Errors during the fit, of the data that were fitted and kept apart."
        )


def add_assessment(report: Report, assessment: Assessment, title: str) -> None:
    """A section with parity figures and errors by stratum and group."""
    section = report.section(title)
    rows = [["all", *assessment.total.row()]]
    rows += [[name, *errors.row()] for name, errors in assessment.by_stratum.items()]
    section.table(["stratum", *COLUMNS], rows)
    data, predicted = assessment.data, assessment.predictions
    quantities = {
        "energy": (data.energy_per_atom, predicted.energy / data.n_atoms, "eV/atom"),
    }
    with_forces = [i for i, own in enumerate(data.forces) if own is not None]
    if with_forces:
        reference = np.concatenate([np.asarray(data.forces[i]) for i in with_forces])
        forces = np.concatenate([predicted.forces[i] for i in with_forces])
        quantities["force"] = (reference.ravel(), forces.ravel(), "eV/Å")
    names = ["-".join(sorted(set(frame.symbols))) for frame in data.frames]
    section.figure(parity_figure(quantities, names), "Predicted against reference.")
    add_calibration(section, assessment, with_forces)
    if len(assessment.by_group) > 1:
        section.table(
            ["group", *COLUMNS], [[name, *e.row()] for name, e in assessment.by_group.items()]
        )
        bars = {name: 1e3 * errors.energy_rmse for name, errors in assessment.by_group.items()}
        largest = dict(sorted(bars.items(), key=lambda item: -item[1])[:25])
        section.figure(error_bars(largest), "Energy errors by group, the largest first.")


def add_calibration(section: Section, assessment: Assessment, which: Sequence[int]) -> None:
    """A figure of force errors against their uncertainties, where these are known."""
    if assessment.trust is None or not which:
        return
    found = [np.asarray(assessment.predictions.forces[i]) for i in which]
    labels = [np.asarray(assessment.data.forces[i]) for i in which]
    errors = np.concatenate(found) - np.concatenate(labels)
    uncertainty = np.concatenate([assessment.trust.forces[i] for i in which])
    known = np.isfinite(uncertainty)
    if known.any():
        figure = calibration_figure({"forces": (errors[known], uncertainty[known])})
        section.figure(figure, "Errors of forces against their calibrated uncertainties.")
