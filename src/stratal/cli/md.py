"""``stratal md``: molecular dynamics into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def md(
    potential: Annotated[str, typer.Argument(help="library of strata, or emt")],
    structures: Annotated[Path, typer.Argument(help="where to start, any file that ASE reads")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of the run")],
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with a table [md]; options count more")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="how many [10000]")] = None,
    timestep: Annotated[float | None, typer.Option(help="fs [2]")] = None,
    temperature: Annotated[float | None, typer.Option(help="K [300]")] = None,
    temperature_end: Annotated[float | None, typer.Option(help="K, reached evenly")] = None,
    thermostat: Annotated[
        str | None, typer.Option(help="bussi, langevin, nose-hoover or none [bussi]")
    ] = None,
    barostat: Annotated[
        str | None, typer.Option(help="none, isotropic, anisotropic or full [none]")
    ] = None,
    pressure_gpa: Annotated[float | None, typer.Option("--pressure", help="GPa [0]")] = None,
    replicas: Annotated[int | None, typer.Option(help="of each structure [1]")] = None,
    seed: Annotated[int | None, typer.Option(help="of random numbers [0]")] = None,
    sample_every: Annotated[int | None, typer.Option(help="steps [10]")] = None,
    frame_every: Annotated[int | None, typer.Option(help="steps; 0: no frames [100]")] = None,
    precision: Annotated[str | None, typer.Option(help="of forces [float64]")] = None,
    supercell: Annotated[tuple[int, int, int], typer.Option(help="repeats of each structure")] = (
        1,
        1,
        1,
    ),
    resume: Annotated[bool, typer.Option(help="go on with a run that was cut short")] = False,
    extxyz: Annotated[
        bool, typer.Option(help="also write the frames of system 0, trajectory.extxyz")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="averages, as JSON")] = None,
) -> None:
    """Move atoms: constant energy, temperature or pressure; one system or many side by side.

    Example: stratal md lib Cu.extxyz -o run --supercell 5 5 5 --temperature 600 --barostat full

    Averages are over the second half, with errors that count the correlation of samples.
    """
    from rich.console import Console
    from rich.table import Table

    from stratal.files import read_frames, write_frames, write_json
    from stratal.files.settings import settings_of
    from stratal.md.dynamics.observables import averages
    from stratal.md.dynamics.run import run_md
    from stratal.md.dynamics.settings import MDConfig
    from stratal.potentials.sources import potential_from

    given = {
        "steps": steps,
        "timestep": timestep,
        "temperature": temperature,
        "temperature_end": temperature_end,
        "thermostat": thermostat,
        "barostat": barostat,
        "pressure_gpa": pressure_gpa,
        "replicas": replicas,
        "seed": seed,
        "sample_every": sample_every,
        "frame_every": frame_every,
        "precision": precision,
    }
    config = settings_of(MDConfig, "md", settings, given)
    frames = [frame * supercell for frame in read_frames(structures)]
    model = potential_from(potential, [z for frame in frames for z in frame.numbers])
    done = run_md(frames, model, config, output, resume)
    if done.stopped_by:
        typer.echo(f"stopped by {done.stopped_by} after {done.n_steps} steps; go on with --resume")
        raise typer.Exit(1)
    trajectory = done.trajectory()
    rows = averages(trajectory)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    if extxyz:
        count = len(trajectory.frame_steps)
        write_frames(output / "trajectory.extxyz", [trajectory.atoms(n) for n in range(count)])
    if json_file:
        write_json(json_file, {"folder": str(output), "steps": done.n_steps, "systems": rows})
