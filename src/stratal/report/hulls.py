"""Figures of convex hulls: energies over the composition of two elements, a triangle for three."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stratal.report.figures import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])  # of the triangle


def binary_hull_figure(
    fractions: np.ndarray,
    formation_energies: np.ndarray,
    stable: Sequence[int],
    formulas: Sequence[str],
    element: str,
    quantity: str = "formation energy",
) -> Figure:
    """Formation energies against composition, with the hull through the stable structures.

    Args:
        fractions: of the second element, ``(n,)``.
        formation_energies: ``(n,)``, eV/atom.
        stable: numbers of the structures on the hull.
        formulas: of each structure.
        element: the second one.
        quantity: what is formed, for the axis.
    """
    figure, (ax,) = new_figure(width=5.0)
    energies = 1e3 * np.asarray(formation_energies)
    corners = sorted(stable, key=lambda number: fractions[number])
    others = np.setdiff1d(np.arange(len(energies)), corners)
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.plot(fractions[others], energies[others], "o", color="#888888", markersize=3, mfc="none")
    ax.plot(fractions[corners], energies[corners], "o-", color=PALETTE[0], linewidth=1.2)
    bottom = fractions[corners[int(np.argmin(energies[corners]))]]
    for number in corners:  # names outside of the hull: to the left where it falls
        side, shift = ("right", -3) if fractions[number] < bottom else ("left", 3)
        name, place = subscripts(formulas[number]), (fractions[number], energies[number])
        how = {"textcoords": "offset points", "ha": side, "va": "top", "fontsize": 8}
        ax.annotate(name, place, (shift, -4), **how)
    ax.set(xlabel=f"fraction of {element}", ylabel=f"{quantity} (meV/atom)", xlim=(-0.05, 1.05))
    ax.margins(y=0.12)
    return figure


def ternary_hull_figure(
    fractions: np.ndarray,
    above_hull: np.ndarray,
    facets: Sequence[Sequence[int]],
    formulas: Sequence[str],
    elements: Sequence[str],
) -> Figure:
    """The triangle of compositions: stable structures, lines between those that coexist, all else.

    Args:
        fractions: ``(n, 3)``.
        above_hull: ``(n,)``, eV/atom; the colour of what is not stable.
        facets: stable structures that coexist.
        formulas: of each structure.
        elements: the three, in the order of the fractions.
    """
    figure, (ax,) = new_figure(width=5.0, height=4.2)
    places, stable = fractions @ CORNERS, sorted({number for facet in facets for number in facet})
    ax.fill(*CORNERS.T, facecolor="none", edgecolor="0.6", linewidth=0.8)
    for facet in facets:
        ax.plot(*places[[*facet, facet[0]]].T, color="#888888", linewidth=0.8, zorder=1)
    others = np.setdiff1d(np.arange(len(places)), stable)
    others = others[np.argsort(-above_hull[others])]  # the lowest on top
    if len(others):
        colours = 1e3 * above_hull[others]
        drawn = ax.scatter(*places[others].T, c=colours, s=14, cmap="cividis", zorder=2, vmin=0)
        figure.colorbar(drawn, ax=ax, label="above the hull (meV/atom)", shrink=0.7)
    ax.plot(*places[stable].T, "o", color=PALETTE[1], markersize=5, zorder=3)
    for number in stable:
        if (fractions[number] > 0).sum() > 1:
            name = subscripts(formulas[number])
            ax.annotate(name, places[number], (4, 4), textcoords="offset points", fontsize=7)
    for corner, symbol, below in zip(CORNERS, elements, (True, True, False), strict=True):
        shift, side = (0, -8 if below else 8), "top" if below else "bottom"
        ax.annotate(symbol, corner, shift, textcoords="offset points", ha="center", va=side)
    ax.set(aspect="equal", xlim=(-0.1, 1.1), ylim=(-0.1, 0.98))
    ax.set_axis_off()
    return figure


def subscripts(formula: str) -> str:
    """A formula with small numbers, as Matplotlib writes it."""
    return "".join(f"$_{{{letter}}}$" if letter.isdigit() else letter for letter in formula)
