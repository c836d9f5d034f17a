"""Figures of a search: its course, its operators, its structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stratal.report.figures import PALETTE, new_figure

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

HIGH = 90.0  # percentile of enthalpies up to which they are shown


def enthalpy_figure(steps: Sequence[Any]) -> Figure:
    """Enthalpies against the number of relaxations, and the lowest so far.

    Args:
        steps: each with ``enthalpy`` (eV/atom, NaN of what is no candidate).
    """
    figure, (ax,) = new_figure(width=6.0)
    values = np.array([step.enthalpy for step in steps])
    known = np.flatnonzero(np.isfinite(values))
    if len(known):
        lowest = np.minimum.accumulate(values[known])
        ax.plot(known, values[known], ".", color="#888888", markersize=2)
        ax.step(known, lowest, where="post", color=PALETTE[0], linewidth=1.2)
        low, high = lowest[-1], np.percentile(values[known], HIGH)
        margin = 0.05 * max(high - low, 1e-6)
        ax.set_ylim(low - margin, high + margin)
    ax.set(xlabel="relaxations", ylabel="enthalpy (eV/atom)")
    return figure


def success_figure(operators: Mapping[str, Mapping[str, int]]) -> Figure:
    """How many structures each operator made, and how many lived."""
    figure, (ax,) = new_figure(width=6.0, height=0.6 + 0.3 * max(1, len(operators)))
    names = list(operators)[::-1]
    places = np.arange(len(names))
    ax.barh(places, [operators[name]["made"] for name in names], color="#cccccc", label="made")
    ax.barh(places, [operators[name]["lived"] for name in names], color=PALETTE[0], label="lived")
    ax.set_yticks(places, [name.replace("_", " ") for name in names])
    ax.set_xlabel("structures")
    ax.legend(fontsize=7, frameon=False)
    return figure


def second_difference_figure(sizes: Sequence[int], energies: Sequence[float]) -> Figure:
    """E(N+1) + E(N-1) - 2 E(N) (eV) against the number of atoms N."""
    figure, (ax,) = new_figure(width=6.0)
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.plot(sizes, energies, "o-", color=PALETTE[0], markersize=4, linewidth=1.2)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="atoms N", ylabel="E(N+1) + E(N-1) - 2 E(N) (eV)")
    return figure


def structure_figure(atoms: Atoms) -> Figure:
    """A structure seen from the side, by ASE's plotting of atoms; crystals repeated twice."""
    from ase.visualize.plot import plot_atoms

    figure, (ax,) = new_figure(width=3.2, height=3.0)
    shown = atoms.repeat([2 if periodic else 1 for periodic in atoms.pbc])
    plot_atoms(shown, ax, rotation="-80x,15y", show_unit_cell=2 if atoms.pbc.any() else 0)
    ax.set_axis_off()
    return figure
