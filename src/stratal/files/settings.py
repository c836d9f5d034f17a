"""Settings from TOML files: checked tables, with errors that name the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from stratal.errors import InputError

Settings = TypeVar("Settings")


def read_toml(path: str | Path, known: Collection[str], expected: str) -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        path: the file.
        known: its tables and keys.
        expected: a sentence that says what stands in such a file.

    Raises:
        InputError: no such file, not TOML, or a table that is not known.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Correct the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error}). Mend that line.") from None
    if foreign := sorted(set(content) - set(known)):
        raise InputError(f"{path}: table or key {foreign[0]!r} is not known; {expected}")
    return content


def checked(
    cls: type[Settings],
    table: dict[str, Any],
    where: str,
    name: str,
    known: Collection[str] = (),
) -> Settings:
    """A table as a dataclass of settings.

    Args:
        cls: the dataclass; it checks values itself.
        table: from the file.
        where: the file, for errors.
        name: of the table, for errors.
        known: its keys, by default all fields of the dataclass.

    Raises:
        InputError: names the key that is unknown or has a wrong value.
    """
    from pydantic import TypeAdapter, ValidationError

    known = known or [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise InputError(
                f"{where}: {name}: key {key!r} is not known. Known keys: {', '.join(known)}."
            )
    try:
        return TypeAdapter(cls).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        cause = (first.get("ctx") or {}).get("error")
        if isinstance(cause, InputError):
            raise InputError(f"{where}: {cause}") from None
        if first["type"] == "missing" and len(first["loc"]) == 1:
            raise InputError(f"{where}: {name}: {first['loc'][0]} is missing. Give it.") from None
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{where}: {name}.{key} = {first['input']!r}: {first['msg']}. Correct the value."
        ) from None


def settings_of(
    cls: type[Settings],
    name: str,
    path: str | Path | None,
    given: dict[str, Any],
    tables: Collection[str] = (),
) -> Settings:
    """Settings from the table ``[name]`` of a TOML file, and others that count more.

    Args:
        cls: the dataclass; it checks values itself.
        name: of the table.
        path: the file; None for none.
        given: by key, from a command's options; None where one was not given.
        tables: that may stand in the file; by default this one alone.

    Raises:
        InputError: no such file, not TOML, an unknown key or a wrong value.
    """
    table: dict[str, Any] = {}
    if path is not None:
        table = read_table(path, name, tables)
    table |= {key: value for key, value in given.items() if value is not None}
    return checked(cls, table, str(path or name), name)


def read_table(path: str | Path, name: str, tables: Collection[str] = ()) -> dict[str, Any]:
    """The table ``[name]`` of a TOML file; empty where there is none.

    Args:
        path: the file.
        name: of the table.
        tables: that may stand in the file; by default this one alone.

    Raises:
        InputError: no such file, not TOML, another table, or not a table.
    """
    known = tables or [name]
    words = " and ".join(f"[{each}]" for each in known)
    table = read_toml(path, known, f"settings stand in {words}.").get(name, {})
    if not isinstance(table, dict):
        raise InputError(f"{path}: {name} = {table!r}: expected a table. Begin it with [{name}].")
    return table
