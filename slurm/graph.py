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

import tomllib
from collections.abc import Iterable
from dataclasses import fields
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from stratal.errors import InputError
from stratal.slurm.batch import BatchJob


def read_graph(path: str | Path) -> tuple[BatchJob, ...]:
    """The jobs of a file, each after those that it stands on.

    Raises:
        InputError: not TOML, an unknown key, a wrong value, or jobs that wait for each other.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Correct the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error}). Mend that line.") from None
    foreign = set(content) - {"defaults", "job"}
    if foreign or not content.get("job"):
        found = f"table or key {sorted(foreign)[0]!r} is not known" if foreign else "no jobs"
        raise InputError(f"{path}: {found}. Give tables [[job]] and, for all of them, [defaults].")
    defaults = content.get("defaults", {})
    return in_order([job_from({**defaults, **table}, path) for table in content["job"]], path)


def job_from(table: dict[str, Any], path: Path) -> BatchJob:
    """One table as a job."""
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in fields(BatchJob)]
    name = table.get("name", "without a name")
    for key in table:
        if key not in known:
            raise InputError(
                f"{path}, job {name}: key {key!r} is not known. Known keys: {', '.join(known)}."
            )
    try:
        return TypeAdapter(BatchJob).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        cause = (first.get("ctx") or {}).get("error")
        if isinstance(cause, InputError):
            raise InputError(f"{path}, {cause}") from None
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}, job {name}: {key}: {first['msg']}. Correct the value.") from None


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
