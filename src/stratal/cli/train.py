"""``stratal train``: strata from labelled data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


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

    from stratal.potentials.assess import assess
    from stratal.potentials.data import read_labelled, select
    from stratal.potentials.library import Library
    from stratal.potentials.training import (
        Interrupted,
        TrainConfig,
        config_from_toml,
        training_report,
        write_cards,
    )
    from stratal.potentials.training import train as train_strata

    settings = config_from_toml(config) if config else TrainConfig()
    overrides = {"epochs": epochs, "seed": seed, "coupling": "full" if full else None}
    settings = replace(settings, **{k: v for k, v in overrides.items() if v is not None})
    below = Library.open(on) if on else None
    unstated = f"not stated ({', '.join(path.name for path in data)})"
    labelled = read_labelled(data, level_of_theory=level_of_theory, unstated_level=unstated)
    if labelled.level_of_theory == unstated:
        typer.secho(
            "Note: the data state no level of theory, so these strata cannot be combined with "
            "others later. Give --level-of-theory to state it.",
            err=True,
        )
    try:
        trained = train_strata(
            labelled, settings, library, below, workers or len(os.sched_getaffinity(0))
        )
    except Interrupted as error:
        typer.secho(f"{error} Run the same command again to go on.", err=True)
        raise typer.Exit(130) from None
    written = Library.open(library)
    write_cards(written, trained)
    for one in trained:
        errors = one.stratum.info["errors"]
        typer.echo(
            f"{library}/{one.stratum.name}.h5: {one.stratum.n_weights} weights, "
            + ", ".join(f"{name} {1e3 * value:.1f}" for name, value in errors.items())
            + f" (meV/atom, meV/Å), {one.seconds:.0f} s"
        )
    if trained:
        used = select(
            labelled,
            energy_above_lowest=settings.energy_above_lowest,
            max_force=settings.max_force,
        ).data
        assessment = assess(written, used)
        training_report(written.path / "report.html", trained, assessment, f"Library {library}")
        typer.echo(f"{library}/report.html")
    else:
        typer.echo("Nothing to train: the library holds all strata that these data call for.")
