"""``stratal search``: the structures of lowest energy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def search(
    settings: Annotated[Path, typer.Argument(help="TOML file with a table [search]")],
    potential: Annotated[
        str | None, typer.Option(help="library of strata, or emt; else the settings' potential")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="folder of the search [the settings' name]"),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="relaxes the best once more and labels what was set aside: library, emt, ASE's "
            "name or module:factory of a calculator"
        ),
    ] = None,
    options: Annotated[str, typer.Option(help="of the teacher, as JSON")] = "{}",
    relaxations: Annotated[int | None, typer.Option(help="budget")] = None,
    seed: Annotated[int | None, typer.Option(help="of random numbers")] = None,
    outside: Annotated[
        str | None, typer.Option(help="what lies outside the domain: aside or flag [aside]")
    ] = None,
    resume: Annotated[bool, typer.Option(help="go on with a search that was cut short")] = False,
    report: Annotated[
        bool, typer.Option(help="only write results of what there is, also while it runs")
    ] = False,
    executor: Annotated[
        str | None, typer.Option(help="serial, mpi or dask; by default what it runs in")
    ] = None,
) -> None:
    """Look for the structures of lowest energy: crystals, films or clusters.

    Example: stratal search cupd.toml --potential lib -o cupd

    At a formula, or over all compositions of the elements. Works on MPI ranks too (mpiexec -n 17
    stratal search ...). Writes best.extxyz, final.extxyz, CIF files, aside.extxyz, search.h5,
    search.json, report.html.
    """
    from stratal.md.search.file import read_settings, report_file, search_file
    from stratal.slurm import Stopped, TaskFailed

    given = {"relaxations": relaxations, "seed": seed, "outside": outside}
    read = read_settings(settings, given, potential, teacher, options)
    folder = output or Path(settings.stem)
    try:
        done = report_file(read, folder) if report else search_file(read, folder, resume, executor)
    except Stopped as stopped:
        name = str(stopped).partition(";")[0]
        typer.echo(f"{name}. Add --resume to go on, --report to see what there is.", err=True)
        raise typer.Exit(130) from None
    except TaskFailed as failed:
        typer.echo(
            f"{failed}. Once its cause is mended: stratal journal retry {folder}, then --resume.",
            err=True,
        )
        raise typer.Exit(1) from None
    for member in done.found.population.best()[:20]:
        typer.echo(f"{member.atoms.get_chemical_formula():12s} {member.by_atom:.5f} eV/atom")
    count = done.found.evolution.done
    reason = f"stopped by {done.found.reason}" if done.found.reason else "not over yet"
    typer.echo(f"{count} relaxations, {reason}: {folder / 'report.html'}")
    for failure in done.ending.failures:
        typer.echo(f"{failure}; not by the teacher", err=True)
