"""A graph of batch jobs, read from a TOML file: each runs after those that it names.

Example::

    [defaults]
    partition = "cpu"
    activate = "source ~/venv/bin/activate"

    [[job]]
    name = "elements"
    command = "stratal train elements.extxyz -o lib"

    [[job]]
    name = "pairs"
    command = "stratal train pairs.extxyz -o lib2 --on lib"
    after = ["elements"]
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from stratal.errors import InputError
from stratal.files.settings import checked, read_toml
from stratal.slurm.batch import BatchJob


def read_graph(path: str | Path) -> tuple[BatchJob, ...]:
    """The jobs of a file, each after those that it stands on.

    Raises:
        InputError: not TOML, no tables, an unknown key, a wrong value, or jobs that wait for each
            other.
    """
    expected = "jobs stand in tables [[job]], what they share in [defaults]."
    content = read_toml(path, ["defaults", "job"], expected)
    tables, defaults = content.get("job", []), content.get("defaults", {})
    if not (isinstance(tables, list) and tables):
        raise InputError(f"{path}: no jobs there; {expected}")
    if not all(isinstance(one, dict) for one in [defaults, *tables]):
        raise InputError(f"{path}: not tables; {expected}")
    jobs = []
    for number, table in enumerate(tables, 1):
        name = f"job {table.get('name', number)}"
        jobs.append(checked(BatchJob, {**defaults, **table}, str(path), name))
    return in_order(jobs, path)


def in_order(jobs: Iterable[BatchJob], path: str | Path = "jobs") -> tuple[BatchJob, ...]:
    """The jobs, each after those that it stands on.

    Raises:
        InputError: two of one name, an unknown name, or jobs that wait for each other.
    """
    by_name: dict[str, BatchJob] = {}
    for job in jobs:
        if job.name in by_name:
            raise InputError(f"{path}: two jobs are called {job.name}. Give one another name.")
        by_name[job.name] = job
    for job in by_name.values():
        for name in job.after:
            if name not in by_name:
                raise InputError(
                    f"{path}, job {job.name}: after = {name!r}, but there is no such job; there "
                    f"are {', '.join(by_name)}."
                )
    try:
        order = list(TopologicalSorter({j.name: j.after for j in by_name.values()}).static_order())
    except CycleError as error:
        circle = " after ".join(error.args[1])
        raise InputError(f"{path}: jobs wait for each other: {circle}. Take one out.") from None
    return tuple(by_name[name] for name in order)
