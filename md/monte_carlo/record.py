"""What a run of Monte Carlo observed: energies, compositions, order, frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from stratal.md.dynamics.observables import mean_of
from stratal.md.monte_carlo.order import warren_cowley
from stratal.md.recording import read_recording

KIND = "Monte Carlo"


@dataclass(frozen=True)
class Record:
    """Samples of one or several systems; series have the samples along the first axis."""

    elements: np.ndarray  # (n_species,), atomic numbers
    sizes: np.ndarray  # (n_systems,), atoms
    pbc: np.ndarray  # (n_systems, 3)
    radii: np.ndarray  # (n_shells,), Å, outer radii of the shells
    sweep: np.ndarray  # (n,)
    temperature: np.ndarray  # (n, n_systems), K
    energy: np.ndarray  # (n, n_systems), eV
    counts: np.ndarray  # (n, n_systems, n_species), atoms
    acceptance: np.ndarray  # (n, n_systems), part of the trials
    pairs: np.ndarray  # (n, n_systems, n_shells, n_species, n_species), directed
    structure_factors: np.ndarray  # (n, n_systems, n_waves, n_species)
    frame_sweeps: np.ndarray  # (n_frames,)
    positions: np.ndarray  # (n_frames, n_systems, n_places, 3), Å
    species: np.ndarray  # (n_frames, n_systems, n_places)
    cells: np.ndarray  # (n_frames, n_systems, 3, 3), Å

    @classmethod
    def open(cls, folder: str | Path) -> Record:
        """Read what a run observed, finished or not.

        Raises:
            InputError: no run there, nothing observed yet, a file that is damaged.
        """
        head, series = read_recording(folder, KIND)
        return cls(**head, **series)

    @property
    def symbols(self) -> list[str]:
        """Of the elements."""
        return [chemical_symbols[z] for z in self.elements]

    @property
    def fractions(self) -> np.ndarray:
        """Of the elements, ``(n, n_systems, n_species)``."""
        return self.counts / self.sizes[:, None]

    @property
    def short_range_order(self) -> np.ndarray:
        """Warren and Cowley's, ``(n, n_systems, n_shells, n_species, n_species)``."""
        return warren_cowley(self.pairs, self.counts)

    def atoms(self, frame: int, number: int = 0) -> Atoms:
        """A system at a frame, as ASE has it."""
        own = slice(0, self.sizes[number])
        atoms = Atoms(
            self.elements[self.species[frame, number, own]],
            self.positions[frame, number, own],
            cell=self.cells[frame, number],
            pbc=self.pbc[number],
        )
        atoms.info["sweep"] = int(self.frame_sweeps[frame])
        return atoms


def averages(record: Record, late: float = 0.5) -> list[dict[str, Any]]:
    """Averages of each system over the last part of a run, in words and units.

    Args:
        record: of one or several systems.
        late: the part that counts.
    """
    first = int((1 - late) * len(record.sweep))
    order = record.short_range_order[first:]
    found = []
    for number, size in enumerate(record.sizes):
        row: dict[str, Any] = {
            "system": number,
            "temperature, K": f"{record.temperature[-1, number]:.5g}",
            "energy, eV/atom": str(mean_of(record.energy[first:, number] / size)),
            "accepted": f"{record.acceptance[first:, number].mean():.3f}",
        }
        for species, symbol in enumerate(record.symbols):
            row[symbol] = str(mean_of(record.fractions[first:, number, species]))
        for one, other in combinations(range(len(record.symbols)), 2):
            name = f"order {record.symbols[one]}-{record.symbols[other]}"
            row[name] = str(mean_of(order[:, number, 0, one, other]))
        found.append(row)
    return found
