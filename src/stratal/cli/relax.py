"""``stratal relax``: structures of a file to their minima."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def relax(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structures: Annotated[Path, typer.Argument(help="structures, any file that ASE reads")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="extended XYZ, .gz to compress; or .h5, HDF5")
    ],
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with a table [relax]; options count more")
    ] = None,
    fmax: Annotated[float | None, typer.Option(help="force threshold, eV/Å [0.01]")] = None,
    cell: Annotated[
        str | None,
        typer.Option(help="free, fixed, fixed volume, fixed shape or plane [free]"),
    ] = None,
    pressure_gpa: Annotated[float | None, typer.Option("--pressure", help="GPa [0]")] = None,
    symmetry: Annotated[bool | None, typer.Option(help="keep space groups [no]")] = None,
    method: Annotated[
        str | None, typer.Option(help="fire then lbfgs, lbfgs or fire [fire then lbfgs]")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="of each structure [1000]")] = None,
    precision: Annotated[str | None, typer.Option(help="float64 or float32 [float64]")] = None,
    resume: Annotated[bool, typer.Option(help="go on with a run that was cut short")] = False,
    journal: Annotated[
        Path | None, typer.Option(help="share the work out, and keep parts that are done here")
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="with --journal: serial, mpi or dask [as launched]")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="how many ended in which way, as JSON")
    ] = None,
) -> None:
    """Relax structures, thousands at once, to a force threshold.

    Example: stratal relax lib candidates.extxyz -o relaxed.extxyz --cell free

    Each structure tells how it ended in its key outcome: converged, unconverged, exploded, too
    close, outside. A run that was cut short goes on with --resume, or with its journal.
    """
    from stratal.files import write_json
    from stratal.files.settings import settings_of
    from stratal.md.relaxation.file import relax_file, relax_file_on
    from stratal.md.relaxation.settings import RelaxConfig

    given = {
        "fmax": fmax,
        "cell": cell,
        "pressure_gpa": pressure_gpa,
        "symmetry": symmetry,
        "method": method,
        "max_steps": max_steps,
        "precision": precision,
    }
    config = settings_of(RelaxConfig, "relax", settings, given)
    if journal:
        done = relax_file_on(structures, output, potential, config, journal, executor)
        again = "run again with the same journal"
    else:
        done = relax_file(structures, output, potential, config, resume)
        again = "go on with --resume"
    if done.stopped_by:
        typer.echo(f"stopped by {done.stopped_by}; {again}", err=True)
        raise typer.Exit(1)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in done.outcomes.most_common())
    typer.echo(f"{output}: {counts}")
    if json_file:
        write_json(json_file, {"output": str(output), "outcomes": dict(done.outcomes)})
