"""``stratal search``: the structures of lowest energy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def search(
    settings: Annotated[Path, typer.Argument(help="TOML file with a table [search]")],
    potential: Annotated[str, typer.Option(help="library of strata, or emt")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of the search")],
    relaxations: Annotated[int | None, typer.Option(help="budget")] = None,
    seed: Annotated[int | None, typer.Option(help="of random numbers")] = None,
    executor: Annotated[
        str | None, typer.Option(help="serial, mpi or dask; by default what it runs in")
    ] = None,
) -> None:
    """Look for the structures of lowest energy: crystals, films or clusters.

    Example: stratal search cupd.toml --potential lib -o cupd

    At a formula, or over all compositions of the elements. Works on MPI ranks too (mpiexec -n 17
    stratal search ...). Run again in the same folder, it goes on where it was. Writes
    best.extxyz, CIF files, search.h5, search.json, report.html.
    """
    from stratal.files.settings import settings_of
    from stratal.md.search.results import write_results
    from stratal.md.search.run import search as searched
    from stratal.md.search.settings import SearchConfig
    from stratal.potentials.sources import potential_from
    from stratal.slurm import open_executor

    given = {"relaxations": relaxations, "seed": seed}
    config = settings_of(SearchConfig, "search", settings, given)
    model = potential_from(potential, config.numbers)
    with open_executor(executor) as workers:
        found = searched(config, model, output, workers)
    write_results(output, found.evolution, found.reason)
    for member in found.population.best()[:20]:
        typer.echo(f"{member.atoms.get_chemical_formula():12s} {member.by_atom:.5f} eV/atom")
    typer.echo(
        f"{found.evolution.done} relaxations, stopped by {found.reason}: {output / 'report.html'}"
    )
