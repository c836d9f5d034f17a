"""Nested dictionaries as HDF5 files: no pickles, nothing half written, one kind per file.

A file says what it is: root attributes ``stratal_kind`` and ``stratal_format``.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from stratal.errors import InputError
from stratal.files.atomic import write_bytes

FORMAT = 1
"""The newest layout that this version reads and the one that it writes."""

Tree = dict[str, Any]
"""Text keys to arrays, text, numbers, booleans, None, lists of text, or further trees."""


def write_hdf5(
    path: str | Path, tree: Mapping[str, Any], attributes: Mapping[str, Any], kind: str
) -> None:
    """Write a tree atomically.

    Args:
        path: the file, replaced if it exists.
        tree: see ``Tree``; NumPy and JAX arrays of numbers, booleans or text.
        attributes: notes for the head of the file, any JSON; kept at the root.
        kind: what the file is, such as ``"stratum"``; reading asks for it.

    Raises:
        InputError: a value that HDF5 cannot hold, or the file cannot be written.
    """
    # In memory first: on a full disk HDF5 cannot close its file, and ends the process as it exits.
    content = io.BytesIO()
    with h5py.File(content, "w", track_order=True) as file:
        file.attrs["stratal_kind"] = kind
        file.attrs["stratal_format"] = FORMAT
        file.attrs["stratal_attributes"] = json.dumps(dict(attributes))
        _write_group(file, tree, str(path))
    write_bytes(path, content.getbuffer())


def read_hdf5(path: str | Path, kind: str) -> tuple[Tree, dict[str, Any]]:
    """Read back what ``write_hdf5`` wrote.

    Returns:
        The tree and the attributes.

    Raises:
        InputError: no such file, truncated, not HDF5, not ours, of another kind or newer.
    """
    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {found}; expected a {kind} (HDF5). Correct the path.")
    try:
        with h5py.File(path, "r") as file:
            _check_head(file, path, kind)
            attributes = json.loads(file.attrs.get("stratal_attributes", "{}"))
            return _read_group(file), attributes
    except PermissionError as error:
        raise InputError(f"{path}: may not be read. Change its permissions.") from error
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(_why_unreadable(path, kind, error)) from error


def digest(tree: Mapping[str, Any]) -> str:
    """SHA-256 of a tree's content, as hex: equal if and only if all is equal bit for bit.

    The order of keys does not count; data types and shapes do.

    >>> digest({"b": 1, "a": np.zeros(2)}) == digest({"a": np.zeros(2), "b": 1})
    True
    >>> digest({"a": np.zeros(2)}) == digest({"a": np.zeros(2, np.float32)})
    False
    """
    total = hashlib.sha256()
    _digest_into(total, tree)
    return total.hexdigest()


def _digest_into(total: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        total.update(f"group {len(value)};".encode())
        for key in sorted(value):
            total.update(f"key {len(key.encode())} {key};".encode())
            _digest_into(total, value[key])
    elif value is None or isinstance(value, str | bool):
        text = json.dumps(value)
        total.update(f"{type(value).__name__} {len(text)} {text};".encode())
    elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        text = json.dumps(list(value))
        total.update(f"texts {len(text)} {text};".encode())
    else:
        array = np.asarray(value)
        if array.dtype.kind in "OSU":
            array = np.char.encode(array.astype(str), "utf-8")
        array = array.astype(array.dtype.newbyteorder("<"), order="C")
        total.update(f"array {array.dtype.str} {array.shape};".encode())
        total.update(array.tobytes())


def _write_group(group: h5py.Group, tree: Mapping[str, Any], where: str) -> None:
    for key, value in tree.items():
        place = f"{where}, {str(group.name).rstrip('/')}/{key}"
        if not isinstance(key, str) or not key or "/" in key or "\0" in key or key == ".":
            raise InputError(f"{place}: key {key!r} cannot be stored. Use text without '/'.")
        if isinstance(value, Mapping):
            _write_group(group.create_group(key, track_order=True), value, where)
        else:
            _write_leaf(group, key, value, place)


def _write_leaf(group: h5py.Group, key: str, value: Any, place: str) -> None:
    """Arrays of numbers as they are; all else as a data set that names its type."""
    if value is None:
        group.create_dataset(key, data=h5py.Empty("f")).attrs["type"] = "none"
    elif isinstance(value, str):
        _write_text(group, key, value, "text")
    elif isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        _write_text(group, key, json.dumps(list(value)), "texts")
    elif isinstance(value, bool | int | float) and not isinstance(value, np.generic):
        try:
            group.create_dataset(key, data=value).attrs["type"] = type(value).__name__
        except (OverflowError, TypeError) as error:
            raise InputError(f"{place}: {value} does not fit in 64 bits.") from error
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:  # lists of unequal lengths
            raise InputError(f"{place}: {error} Give arrays or nested dictionaries.") from error
        _write_array(group, key, array, place)


def _write_text(group: h5py.Group, key: str, text: str, kind: str) -> None:
    # As bytes: HDF5's own text cannot hold the character 0 and drops what follows it.
    encoded = np.frombuffer(text.encode(), np.uint8)
    group.create_dataset(key, data=encoded).attrs["type"] = kind


def _write_array(group: h5py.Group, key: str, array: np.ndarray, place: str) -> None:
    if array.dtype.kind == "U":
        dataset = group.create_group(key)
        dataset.attrs["type"] = "text array"
        dataset.attrs["shape"] = array.shape
        _write_text(dataset, "texts", json.dumps(array.ravel().tolist()), "texts")
    elif array.dtype.kind in "biufc":
        group.create_dataset(key, data=array)
    else:
        raise InputError(
            f"{place}: cannot store {type(array.flat[0] if array.size else array).__name__} "
            f"(dtype {array.dtype}). Give numbers, text, lists of text or nested dictionaries."
        )


def _read_group(group: h5py.Group) -> Tree:
    return {key: _read_node(node) for key, node in group.items()}


def _read_node(node: Any) -> Any:
    kind = node.attrs.get("type", "")
    if not isinstance(node, h5py.Dataset):
        if kind == "text array":
            shape = tuple(int(size) for size in node.attrs["shape"])
            return np.array(_read_node(node["texts"]), dtype=str).reshape(shape)
        return _read_group(node)
    if kind == "none":
        return None
    value = cast(Any, node)[()]
    if kind == "text":
        return bytes(value).decode()
    if kind == "texts":
        return json.loads(bytes(value).decode())
    return {"bool": bool, "int": int, "float": float}.get(kind, np.asarray)(value)


def _check_head(file: h5py.File, path: Path, kind: str) -> None:
    found, version = file.attrs.get("stratal_kind"), file.attrs.get("stratal_format")
    if found is None or version is None:
        raise InputError(
            f"{path}: HDF5, but without the attributes that Stratal writes; "
            f"expected a {kind}. Give a file that Stratal wrote."
        )
    if found != kind:
        raise InputError(
            f"{path}: holds a {found}; expected a {kind}. Give the file that holds the {kind}."
        )
    if int(version) > FORMAT:
        raise InputError(
            f"{path}: written in format {int(version)}; this version reads up to format {FORMAT}. "
            f"Install a newer Stratal."
        )


def _why_unreadable(path: Path, kind: str, error: Exception) -> str:
    head = path.read_bytes()[:8]
    if head != b"\x89HDF\r\n\x1a\n":
        return (
            f"{path}: not an HDF5 file (it begins with {head!r}); expected a {kind}. "
            f"Give a file that Stratal wrote."
        )
    return (
        f"{path}: damaged or truncated HDF5 file of {path.stat().st_size} bytes "
        f"({str(error).splitlines()[0]}); expected a {kind}. Copy it again or write it anew."
    )
