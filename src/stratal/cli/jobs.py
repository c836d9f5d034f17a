"""``stratal submit``, ``status``, ``resume``, ``cancel``, ``worker``: batch jobs of Slurm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stratal.slurm.submission import JobStatus

Folder = Annotated[Path, typer.Argument(help="folder that the jobs were submitted to")]
Json = Annotated[bool, typer.Option("--json", help="for machines")]


def submit(
    jobs: Annotated[Path, typer.Argument(help="TOML file with tables [[job]]")],
    folder: Annotated[Path, typer.Option("--output", "-o", help="for scripts and logs")] = Path(
        "jobs"
    ),
    template: Annotated[Path | None, typer.Option(help="of the scripts, for the package's")] = None,
    check: Annotated[bool, typer.Option("--check", help="only see whether they would run")] = False,
    json: Json = False,
) -> None:
    """Submit batch jobs, each after those that it stands on.

    Example: stratal submit jobs.toml -o jobs --check
    """
    from stratal.errors import InputError
    from stratal.slurm.graph import read_graph
    from stratal.slurm.preflight import preflight
    from stratal.slurm.queue import steps_are_deferred
    from stratal.slurm.submission import submit_jobs

    graph = read_graph(jobs)
    if not check:
        return tell(submit_jobs(graph, folder, template), json)
    problems = preflight(graph, folder, template)
    if problems:
        raise InputError("\n".join(problems))
    typer.echo(f"{len(graph)} jobs would run.")
    if steps_are_deferred():
        typer.echo("This Slurm defers: every step (srun) starts late. Use few, long ones.")


def status(folder: Folder, json: Json = False) -> None:
    """Show where jobs stand, in the queue and in their journals.

    Example: stratal status jobs
    """
    from stratal.slurm.submission import status

    tell(status(folder), json, folder)


def resume(folder: Folder, json: Json = False) -> None:
    """Submit again what is neither done nor in the queue.

    Example: stratal resume jobs
    """
    from stratal.slurm.submission import resume

    tell(resume(folder), json)


def cancel(folder: Folder, json: Json = False) -> None:
    """Take jobs out of the queue; ``resume`` goes on with them.

    Example: stratal cancel jobs
    """
    from stratal.slurm.submission import cancel

    tell(cancel(folder), json)


def worker(
    scheduler_file: Annotated[Path, typer.Argument(help="that the manager writes")],
    wait: Annotated[float, typer.Option(help="s to wait for a manager")] = 600.0,
) -> None:
    """Work for a manager with the executor dask, until it is done or this is stopped.

    Example: stratal worker scheduler.json
    """
    from stratal.slurm.executor import work_for

    work_for(scheduler_file, wait)


def tell(found: Sequence[JobStatus], as_json: bool, folder: Path | None = None) -> None:
    """Jobs, and the runs of whose journals they are, as a table or as JSON."""
    from json import dumps

    from stratal.slurm.submission import journals_below

    runs = journals_below(folder) | journals_below(Path.cwd()) if folder else {}
    if as_json:
        rows = [vars(job) for job in found]
        typer.echo(dumps({"jobs": rows, "runs": runs}, indent=1))
        return
    width = max((len(job.name) for job in found), default=0)
    for job in found:
        typer.echo(f"{job.name:{width}}  {job.number:>8}  {job.state}")
    for path, run in runs.items():
        counts = ", ".join(f"{count} {state}" for state, count in run["tasks"].items())
        typer.echo(f"{path}: {counts}; {run.get('workers', 0)} workers")
