"""What becomes of a structure that was relaxed."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms

from stratal.md.relaxation.state import Outcome


@dataclass(frozen=True)
class Relaxed:
    """A structure at its end."""

    number: int  # in the list that was given
    atoms: Atoms  # with energy, forces and stress; atoms and cell in the order that was given
    outcome: Outcome
    n_steps: int  # evaluations
    largest_force: float  # eV/Å, on what may move, the cell's part included
    grade: float  # of extrapolation, of the atom farthest out; NaN if the potential cannot tell

    @property
    def converged(self) -> bool:
        """Whether it is a minimum that can be used."""
        return self.outcome == Outcome.CONVERGED

    @property
    def energy(self) -> float:
        """EV."""
        return self.atoms.get_potential_energy()
