"""What a structure is, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms, units

from stratal.md.structures.crystal_symmetry import TOLERANCE, SpaceGroup, space_group
from stratal.md.structures.radial_distribution import shortest_distances


@dataclass(frozen=True)
class StructureSummary:
    """Of one structure; what only crystals have is None for others."""

    formula: str  # of the cell
    n_atoms: int
    cell: tuple[float, ...]  # three lengths (Å), three angles (degrees)
    volume_per_atom: float | None  # Å³
    density: float | None  # g/cm³
    space_group: SpaceGroup | None
    shortest: dict[str, float]  # Å, by pair of species

    def rows(self) -> list[tuple[str, str]]:
        """What there is, in words and units."""
        lengths = " ".join(f"{value:.4f}" for value in self.cell[:3])
        angles = " ".join(f"{value:.3f}" for value in self.cell[3:])
        found = [
            ("formula", self.formula),
            ("atoms", str(self.n_atoms)),
            ("a, b, c, Å", lengths),
            ("alpha, beta, gamma, degrees", angles),
        ]
        if self.volume_per_atom and self.density and self.space_group:
            group = self.space_group
            found += [
                ("volume, Å³/atom", f"{self.volume_per_atom:.4f}"),
                ("density, g/cm³", f"{self.density:.4f}"),
                ("space group", f"{group.symbol} ({group.number})"),
                ("Wyckoff sites", ", ".join(group.sites)),
            ]
        shortest = ((f"shortest {pair}, Å", f"{d:.4f}") for pair, d in self.shortest.items())
        return [*found, *shortest]


def summarize(atoms: Atoms, tolerance: float = TOLERANCE) -> StructureSummary:
    """Formula, size, symmetry and distances of a structure.

    Args:
        atoms: periodic or not.
        tolerance: by which atoms may miss their places in a space group, Å.
    """
    crystal = bool(atoms.pbc.all())
    volume = float(atoms.cell.volume) if crystal else None
    grams = atoms.get_masses().sum() * units._amu * 1e3
    return StructureSummary(
        formula=atoms.get_chemical_formula(),
        n_atoms=len(atoms),
        cell=tuple(float(value) for value in atoms.cell.cellpar()),
        volume_per_atom=volume and volume / len(atoms),
        density=volume and float(grams / (volume * 1e-24)),
        space_group=space_group(atoms, tolerance) if crystal else None,
        shortest=shortest_distances(atoms),
    )
