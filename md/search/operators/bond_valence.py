"""How strongly atoms are bound, by a cheap model: bonds that fade exponentially with length.

I. D. Brown and D. Altermatt, Acta Crystallogr. B 41, 244 (1985), with lengths of packed spheres.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms

from stratal.md.search.limits import Contacts, Limits, contacts

FADE = 0.37  # Å, over which a bond is e times weaker
REACH = 1.7  # of the longest bond


def bonded(atoms: Atoms, limits: Limits) -> tuple[Contacts, np.ndarray]:
    """Pairs of atoms and the strength of each bond ``(n_edges,)``: 1 at its normal length."""
    bonds = limits.bonds()
    found = contacts(atoms, REACH * float(bonds.max()))
    kinds = limits.species(atoms.numbers)
    normal = bonds[kinds[found.receivers], kinds[found.senders]]
    return found, np.exp((normal - found.lengths) / FADE)


def valences(atoms: Atoms, limits: Limits) -> np.ndarray:
    """Summed strengths of each atom's bonds, ``(n_atoms,)``; the least is the most weakly bound."""
    found, strengths = bonded(atoms, limits)
    return np.bincount(found.receivers, strengths, len(atoms))
