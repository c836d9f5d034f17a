"""``stratal evaluate``: errors of a library on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

UNSTATED = "not stated"


def evaluate(
    library: Annotated[Path, typer.Argument(help="library of strata")],
    data: Annotated[list[Path], typer.Argument(help="labelled structures, any that ASE reads")],
    json_file: Annotated[Path | None, typer.Option("--json", help="errors, as JSON")] = None,
    report: Annotated[Path | None, typer.Option(help="errors and figures, as HTML")] = None,
    group_key: Annotated[str | None, typer.Option(help="info key to group errors by")] = None,
    precision: Annotated[str, typer.Option(help="float64 or float32")] = "float64",
) -> None:
    """Compare a library with labelled data: energies, forces, stresses, by stratum and group.

    Example: stratal evaluate lib CuAg.extxyz --json errors.json --report errors.html
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.files import write_json
    from stratal.potentials.assess import COLUMNS, assess
    from stratal.potentials.data import read_labelled
    from stratal.potentials.library import Library
    from stratal.potentials.training import add_assessment
    from stratal.report import Report

    opened = Library.open(library)
    labelled = read_labelled(data, group_key=group_key, unstated_level=UNSTATED)
    levels = {s.level_of_theory for s in opened.strata.values()} - {None, labelled.level_of_theory}
    if levels and labelled.level_of_theory != UNSTATED:
        typer.secho(
            f"Note: the library is of level {', '.join(map(repr, levels))}, the data of "
            f"{labelled.level_of_theory!r}: errors hold the difference of the two.",
            err=True,
        )
    calibrated = any(stratum.info.get("calibration") for stratum in opened.strata.values())
    assessment = assess(opened, labelled, precision, trust=bool(report) and calibrated)
    table = Table("", *COLUMNS)
    table.add_row("all", *map(str, assessment.total.row()))
    for errors in (assessment.by_stratum, assessment.by_group):
        table.add_section()
        for name, own in errors.items():
            table.add_row(name, *map(str, own.row()))
    Console().print(table)
    if json_file:
        content = {"library": str(library), "data": [str(path) for path in data]}
        write_json(json_file, {**content, **assessment.as_dict()})
    if report:
        page = Report.open(report) if report.is_file() else Report(f"Errors of {library}")
        add_assessment(page, assessment, f"Errors on {', '.join(path.name for path in data)}")
        page.write(report)
