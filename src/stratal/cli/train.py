"""``stratal train``: strata from labelled data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stratal.potentials.data import LabelledData
    from stratal.potentials.library import Library
    from stratal.potentials.training import (
        SymmetryFunctionConfig,
        TrainConfig,
        TrainedStratum,
    )


def train(
    data: Annotated[list[Path], typer.Argument(help="labelled structures, any that ASE reads")],
    library: Annotated[Path, typer.Option("--output", "-o", help="library to write")],
    on: Annotated[Path | None, typer.Option(help="library to build on; it is not changed")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with a [train] table")] = None,
    level_of_theory: Annotated[
        str | None, typer.Option(help="such as 'PBE/VASP 400 eV', where files do not say it")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="train all weights at once, without strata")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="instead of the configured number")] = None,
    seed: Annotated[int | None, typer.Option(help="instead of the configured one")] = None,
    workers: Annotated[
        int | None, typer.Option(help="strata trained at a time; one per core by default")
    ] = None,
) -> None:
    """Train all strata that the data call for: elements, then pairs, then triples.

    Interrupted runs go on where they stopped when started again.

    Example: stratal train CuAg.extxyz -o lib --level-of-theory PBE
    """
    from dataclasses import replace

    from stratal.potentials.library import Library
    from stratal.potentials.training import Interrupted, TrainConfig, config_from_toml
    from stratal.potentials.training import train as train_strata

    settings = config_from_toml(config) if config else TrainConfig()
    overrides = {"epochs": epochs, "seed": seed, "coupling": "full" if full else None}
    settings = replace(settings, **{k: v for k, v in overrides.items() if v is not None})
    below = Library.open(on) if on else None
    labelled = read_stated(data, level_of_theory)
    try:
        trained = train_strata(
            labelled, settings, library, below, workers or len(os.sched_getaffinity(0))
        )
    except Interrupted as error:
        typer.secho(f"{error} Run the same command again to go on.", err=True)
        raise typer.Exit(130) from None
    if trained:
        report_on(trained, Library.open(library), labelled, settings)
    else:
        typer.echo("Nothing to train: the library holds all strata that these data call for.")


def read_stated(paths: list[Path], level_of_theory: str | None) -> LabelledData:
    """The data; a note where they do not state their level of theory."""
    from stratal.potentials.data import read_labelled

    unstated = f"not stated ({', '.join(path.name for path in paths)})"
    labelled = read_labelled(paths, level_of_theory=level_of_theory, unstated_level=unstated)
    if labelled.level_of_theory == unstated:
        typer.secho(
            "Note: the data state no level of theory, so these strata cannot be combined with "
            "others later. Give --level-of-theory to state it.",
            err=True,
        )
    return labelled


def report_on(
    trained: Sequence[TrainedStratum],
    library: Library,
    labelled: LabelledData,
    settings: TrainConfig | SymmetryFunctionConfig,
) -> None:
    """Model cards, a line for each stratum, and the report on the structures that were used."""
    from stratal.potentials.assess import assess
    from stratal.potentials.data import select
    from stratal.potentials.training import training_report, write_cards

    write_cards(library, trained)
    for one in trained:
        errors = one.stratum.info["errors"]
        typer.echo(
            f"{library.path}/{one.stratum.name}.h5: {one.stratum.n_weights} weights, "
            + ", ".join(f"{name} {1e3 * value:.1f}" for name, value in errors.items())
            + f" (meV/atom, meV/Å), {one.seconds:.0f} s"
        )
    used = select(
        labelled,
        energy_above_lowest=settings.energy_above_lowest,
        max_force=settings.max_force,
    ).data
    path = library.path / "report.html"
    training_report(path, trained, assess(library, used), f"Library {library.path}")
    typer.echo(str(path))
