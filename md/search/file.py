"""A search from a file of settings into a folder, to its end or to where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stratal.errors import InputError
from stratal.files.settings import checked, read_table
from stratal.md.search.ending.final import Ending, ending_of
from stratal.md.search.ending.teacher import Teacher
from stratal.md.search.plan import check_choices
from stratal.md.search.results.files import write_results
from stratal.md.search.run import EVENTS, Found, search, so_far
from stratal.md.search.settings import SearchConfig
from stratal.potentials.evaluate import Potential
from stratal.potentials.sources import BUILT_IN, potential_from
from stratal.slurm import open_executor

TABLE = "search"
SOURCES = ("potential", "teacher")  # keys of the table beside those of `SearchConfig`


@dataclass(frozen=True)
class Settings:
    """What a file and a command line say."""

    config: SearchConfig
    potential: Potential
    teacher: Teacher | None


@dataclass(frozen=True)
class Done:
    """What was found, and what was made of it."""

    found: Found
    ending: Ending


def read_settings(
    path: Path,
    given: Mapping[str, Any],
    potential: str | None = None,
    teacher: str | None = None,
    options: str = "{}",
) -> Settings:
    """Settings of a TOML file and what counts more; its paths are relative to its folder.

    Args:
        path: the file.
        given: other values of `SearchConfig`; None where one is not given.
        potential: as `potential_from` takes it; by default the file's key ``potential``.
        teacher: as `Teacher.named` takes it; by default the file's key ``teacher``, or none.
        options: of a calculator as teacher, JSON.

    Raises:
        InputError: an unknown key, a wrong value, no potential.
    """
    table = read_table(path, TABLE)
    table |= {key: value for key, value in given.items() if value is not None}
    sources = {key: str(table.pop(key)) for key in SOURCES if key in table}
    config = checked(SearchConfig, table, str(path), TABLE)
    files = tuple(str(path.parent / name) for name in config.start_files)
    config = replace(config, start_files=files)
    try:
        check_choices(config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    potential = potential or beside(path, sources.get("potential"))
    if potential is None:
        raise InputError(
            f"{path}: no potential. Give --potential, or a line such as potential = "
            f'"library" in [{TABLE}].'
        )
    teacher = teacher or beside(path, sources.get("teacher"))
    teaches = None if teacher is None else Teacher.named(teacher, config.numbers, options)
    return Settings(config, potential_from(potential, config.numbers), teaches)


def beside(path: Path, name: str | None) -> str | None:
    """A folder relative to the file's; names that are no folders there stay."""
    if name is None or name == BUILT_IN or not (path.parent / name).exists():
        return name
    return str(path.parent / name)


def search_file(
    settings: Settings, folder: Path, resume: bool = False, executor: str | None = None
) -> Done:
    """Search to the end, and write what was found.

    Args:
        settings: of `read_settings`.
        folder: of the search.
        resume: go on with the one that it holds.
        executor: kind, as `open_executor` takes it.

    Raises:
        InputError: a folder that holds a search already, or another one.
        Stopped: a signal asked to.
    """
    with open_executor(executor) as workers:  # returns on the manager alone
        if (folder / EVENTS).exists() and not resume:
            raise InputError(
                f"{folder}: holds a search. Add --resume to go on, --report to see what it has "
                f"found, or give another folder."
            )
        found = search(settings.config, settings.potential, folder, workers)
    ending = ending_of(found.evolution, folder, settings.potential, settings.teacher)
    write_results(folder, found.evolution, found.reason, ending)
    return Done(found, ending)


def report_file(settings: Settings, folder: Path) -> Done:
    """Write what a search has found so far; it may run elsewhere, and nothing is relaxed."""
    found = so_far(settings.config, settings.potential, folder)
    ending = ending_of(found.evolution, folder, None)
    write_results(folder, found.evolution, found.reason, ending)
    return Done(found, ending)
