"""``stratal journal``: what a run has done, and how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

journal = typer.Typer(
    help="Look into a run's journal, give failed tasks another try, set it right.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(help="folder of the run's journal")]


@journal.command()
def show(
    folder: Folder,
    state: Annotated[
        str | None, typer.Option(help="only these: pending, running, done, poison")
    ] = None,
    limit: Annotated[int, typer.Option(help="most tasks to list")] = 20,
    json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """Count tasks by state, and list those that failed with what they said.

    Example: stratal journal show run --state poison
    """
    from stratal.slurm.show import as_json, as_text

    typer.echo((as_json if json else as_text)(folder, state, limit))


@journal.command()
def retry(folder: Folder) -> None:
    """Give poison tasks all their attempts again; they run when the run is started again.

    Example: stratal journal retry run
    """
    from stratal.slurm.journal import Journal

    with Journal(folder, run=None) as opened:
        typer.echo(f"{opened.retry()} tasks will be tried again.")


@journal.command()
def repair(folder: Folder) -> None:
    """Take in results that are in place, do again what is missing, remove unfinished files.

    Example: stratal journal repair run
    """
    from stratal.slurm.journal import Journal

    with Journal(folder, run=None) as opened:
        found = opened.repair()
    typer.echo("; ".join(f"{what}: {count}" for what, count in found.items()))
