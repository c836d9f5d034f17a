"""Stratified against full training over several test sets, from what `cupdag_library.py` printed.

Errors of the sets are averaged with the number of structures as weight: squares for RMSE.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

ROW = re.compile(r"((?:unary|binary|ternary)(?: below 0.3 eV/atom)?|all) (\d+) (.+)")
POWERS = (2, 1, 2, 1)  # RMSE and MAE of energies (meV/atom), the same of forces (meV/Å)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stratified", type=Path, nargs="+", required=True, help="output, by set")
    parser.add_argument("--full", type=Path, nargs="+", required=True, help="likewise")
    options = parser.parse_args()
    stratified, full = (
        [errors_in(path) for path in paths] for paths in (options.stratified, options.full)
    )
    print("structures; stratified, full; ratio of RMSE, energies and forces; of forces by set")
    for row in stratified[0]:
        own, other = mean_of(stratified, row), mean_of(full, row)
        each = [a[row][3] / b[row][3] for a, b in zip(stratified, full, strict=True)]
        print(
            f"{row}: {sum(int(one[row][0]) for one in stratified)}; {words(own)}, {words(other)}; "
            f"{own[0] / other[0]:.2f}, {own[2] / other[2]:.2f};",
            ", ".join(f"{ratio:.2f}" for ratio in each),
        )


def errors_in(path: Path) -> dict[str, np.ndarray]:
    """By row: number of structures and the four errors of `POWERS`."""
    found = {}
    for line in path.read_text().splitlines():
        if match := ROW.fullmatch(line):
            name, count, errors = match.groups()
            found[name] = np.array([float(count), *map(float, errors.split()[:4])])
    return found


def mean_of(sets: list[dict[str, np.ndarray]], row: str) -> list[float]:
    """The errors of all sets together."""
    table = np.array([one[row] for one in sets])
    return [
        float(np.average(column**power, weights=table[:, 0]) ** (1 / power))
        for column, power in zip(table[:, 1:].T, POWERS, strict=True)
    ]


def words(errors: list[float]) -> str:
    """The four errors."""
    return " ".join(f"{error:.1f}" for error in errors)


if __name__ == "__main__":
    main()
