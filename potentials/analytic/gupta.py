"""Gupta: exponential pairs and a square root of an exponential density.

R. P. Gupta, Phys. Rev. B 23, 6265 (1981); F. Cleri and V. Rosato, Phys. Rev. B 48, 22
(1993). The sums and the cutoff are those of MAISE, whose parameter files are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import chemical_symbols

from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.errors import InputError
from stratal.potentials.analytic.pairs import (
    pair_distances,
    safe_sqrt,
    species_of_pairs,
)

ROWS = ("A rep", "p rep", "B att", "q att", "r0", "Rmin", "Rmax")  # of one pair in a file


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gupta:
    """E_i = sum_j A exp(-p (r/r_0 - 1)) f_c - sqrt(sum_j B^2 exp(-2 q (r/r_0 - 1)) f_c).

    f_c falls as a half cosine from 1 at ``r_min`` to 0 at ``r_max``. All parameters are
    symmetric tables over pairs of species. A is not halved: each atom of a pair has it.
    """

    strictly_local: ClassVar[bool] = True
    a: jax.Array  # (n_species, n_species), eV
    p: jax.Array  # (n_species, n_species)
    b: jax.Array  # (n_species, n_species), eV
    q: jax.Array  # (n_species, n_species)
    r_0: jax.Array  # (n_species, n_species), Å
    r_min: jax.Array  # (n_species, n_species), Å
    r_max: jax.Array  # (n_species, n_species), Å
    elements: tuple[int, ...] = field(metadata={"static": True})  # atomic numbers, ascending
    cutoff: float = field(metadata={"static": True})  # Å, the largest of r_max

    @classmethod
    def from_maise(cls, path: str | Path) -> Gupta:
        """Read MAISE's parameter file of a Gupta potential, such as ``gp_CuAg``.

        Raises:
            InputError: a file that is missing, foreign, truncated or malformed; names the
                file, the line, what was expected and what to do.
        """
        rows = rows_of(Path(path))
        elements = read_elements(Path(path), rows)
        tables = read_pairs(Path(path), rows, elements)
        ascending = tuple(sorted(elements))
        order = np.argsort(elements)
        tables = tables[:, order[:, None], order[None, :]]
        return cls(*tables, elements=ascending, cutoff=float(tables[-1].max()))

    def energies(
        self, structures: Structures, neighbors: Neighbors, displacements: jax.Array
    ) -> jax.Array:
        """Atomic energies ``(n_atoms,)``, eV."""
        dtype, pairs = displacements.dtype, species_of_pairs(structures, neighbors)
        of = jax.tree.map(lambda table: jnp.asarray(table, dtype)[pairs], self)
        distances, within = pair_distances(displacements, of.r_max)
        x = jnp.clip((distances - of.r_min) / (of.r_max - of.r_min), 0, 1)
        weights = jnp.where(within, 0.5 * (1 + jnp.cos(jnp.pi * x)), 0)
        stretch = distances / of.r_0 - 1
        repulsion = jnp.sum(of.a * jnp.exp(-of.p * stretch) * weights, axis=1)
        attraction = jnp.sum(of.b**2 * jnp.exp(-2 * of.q * stretch) * weights, axis=1)
        return repulsion - safe_sqrt(attraction)


def rows_of(path: Path) -> list[tuple[int, str, str]]:
    """Line number, key and value of each row ``|  key  |  value  |`` of a file.

    Raises:
        InputError: the file cannot be read as text, or is not of a Gupta potential.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as text ({error}). Give a MAISE file of a Gupta potential."
        ) from error
    title = lines[1].strip("| ").strip() if len(lines) > 1 else ""
    if title.lower() != "gupta potential":
        raise InputError(
            f"{path}, line 2: expected the title 'Gupta potential', found {title[:60]!r}. "
            f"Give a MAISE file of a Gupta potential (they are named gp_...)."
        )
    parts = [(number, line.split("|")) for number, line in enumerate(lines, start=1)]
    return [
        (number, " ".join(part[1].split()), part[2].strip())
        for number, part in parts
        if len(part) >= 4
    ]


def read_elements(path: Path, rows: list[tuple[int, str, str]]) -> list[int]:
    """Atomic numbers in the file's order, checked against its count and its names."""
    found = {key: (number, value) for number, key, value in rows}
    header = []
    for key in ("number of species", "species types", "species names"):
        if key not in found:
            raise InputError(f"{path}: no row '{key}'. The header is cut; fetch the file again.")
        header.append(found[key])
    (count_line, count), (types_line, types), (names_line, names) = header
    if not count.isdigit() or int(count) < 1:
        raise InputError(
            f"{path}, line {count_line}: number of species = {count!r}: expected a count of 1 "
            f"or more. Mend the row."
        )
    words = types.split()
    known = all(word.isdigit() and 0 < int(word) < len(chemical_symbols) for word in words)
    if not known or len(words) != int(count) or len(set(words)) != len(words):
        raise InputError(
            f"{path}, line {types_line}: species types = {types!r}: expected {count} different "
            f"atomic numbers. Mend the row."
        )
    elements = [int(word) for word in words]
    expected = [chemical_symbols[z] for z in elements]
    if names.split() != expected:
        raise InputError(
            f"{path}, line {names_line}: species names = {names!r}: expected "
            f"{' '.join(expected)!r} as by the species types. Mend one of the two rows."
        )
    return elements


def read_pairs(path: Path, rows: list[tuple[int, str, str]], elements: list[int]) -> np.ndarray:
    """Tables ``(7, n_species, n_species)`` in the order of `ROWS` and ``elements``."""
    symbols = [chemical_symbols[z] for z in elements]
    tables = np.full((len(ROWS), len(symbols), len(symbols)), np.nan)
    lines = np.zeros(tables.shape, int)
    for number, key, value in rows:
        name = next((name for name in ROWS if key.startswith(f"{name} ")), None)
        if name is None:
            continue
        pair = key.removeprefix(name).split(")")[-1].split()
        if len(pair) not in (1, 2) or not set(pair) <= set(symbols):
            raise InputError(
                f"{path}, line {number}: {key!r}: expected one or two of {', '.join(symbols)} "
                f"after the unit. Mend the row."
            )
        row, i, j = ROWS.index(name), symbols.index(pair[0]), symbols.index(pair[-1])
        if lines[row, i, j]:
            raise InputError(
                f"{path}, line {number}: {key!r} was given on line {lines[row, i, j]}. "
                f"Remove one of the two rows."
            )
        tables[row, i, j] = tables[row, j, i] = number_of(path, number, key, value)
        lines[row, i, j] = lines[row, j, i] = number
    check_pairs(path, tables, lines, symbols)
    return tables


def number_of(path: Path, line: int, key: str, value: str) -> float:
    """A finite number that is not negative."""
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number) or number < 0:
        raise InputError(
            f"{path}, line {line}: {key} = {value!r}: expected one number, not negative. "
            f"Mend the row."
        )
    return number


def check_pairs(path: Path, tables: np.ndarray, lines: np.ndarray, symbols: list[str]) -> None:
    """Refuse missing rows and lengths that cannot be."""
    if np.isnan(tables).any():
        row, i, j = (int(index) for index in np.argwhere(np.isnan(tables))[0])
        pair = symbols[i] if i == j else f"{symbols[i]} {symbols[j]}"
        raise InputError(
            f"{path}, after line {lines.max()}: no row '{ROWS[row]} {pair}'. The file is cut or "
            f"lacks a pair: expected {', '.join(ROWS)} for each pair of {', '.join(symbols)}."
        )
    r_0, r_min, r_max = tables[-3:]
    wrong = (r_0 <= 0) | (r_min >= r_max)
    if wrong.any():
        i, j = (int(index) for index in np.argwhere(wrong)[0])
        raise InputError(
            f"{path}, line {lines[-1, i, j]}: r0 = {r_0[i, j]}, Rmin = {r_min[i, j]}, Rmax = "
            f"{r_max[i, j]} Å: expected r0 > 0 and Rmin < Rmax. Mend these rows."
        )
