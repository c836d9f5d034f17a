"""The command line: one file per command, each a thin door to the library."""

from __future__ import annotations

import sys

import typer

from stratal.cli.data import data
from stratal.cli.defects import defects
from stratal.cli.demo import demo
from stratal.cli.drive import drive
from stratal.cli.evaluate import evaluate
from stratal.cli.exporting import exporting
from stratal.cli.importing import importing
from stratal.cli.info import info
from stratal.cli.jobs import cancel, resume, status, submit, worker
from stratal.cli.journal import journal
from stratal.cli.label import label
from stratal.cli.mc import mc
from stratal.cli.md import md
from stratal.cli.neb import neb
from stratal.cli.properties import elastic, phonons
from stratal.cli.relax import relax
from stratal.cli.search import search
from stratal.cli.structure import structure
from stratal.cli.train import train
from stratal.cli.validate import validate
from stratal.errors import InputError

__all__ = ["app", "main"]

app = typer.Typer(
    name="stratal",
    help="Interatomic potentials built stratum by stratum.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    *(demo, data, label, train, evaluate, info),
    *(relax, md, mc, neb, drive, elastic, phonons, defects, validate),
    search,
    *(submit, status, resume, cancel, worker),
):
    app.command()(command)
app.add_typer(importing, name="import")
app.add_typer(exporting, name="export")
app.add_typer(journal, name="journal")
app.add_typer(structure, name="structure")


@app.callback(invoke_without_command=True)
def options(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    """Interatomic potentials built stratum by stratum."""
    if version:
        from stratal import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; input that cannot be used ends with a sentence and exit code 2."""
    try:
        app()
    except InputError as error:
        typer.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(2)
