"""Figures of a search: its course, its operators, its structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stratal.report.figures import PALETTE, new_figure

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

HIGH = 90.0  # percentile of enthalpies up to which they are shown
WIDE = 6.0  # Å: smaller cells are repeated until they are as wide
SMALLER = 0.65  # of covalent radii, so that what is behind is seen


def enthalpy_figure(
    values: np.ndarray, label: str = "enthalpy (eV/atom)", counted: bool = False
) -> Figure:
    """Enthalpies against the number of relaxations, and the lowest so far.

    What is counted from the lowest in the end is 0 or more: then the line would say nothing.

    Args:
        values: ``(n,)``, eV/atom, NaN of what is no candidate.
        label: what they are.
        counted: from the lowest, or the hull.
    """
    figure, (ax,) = new_figure(width=6.0)
    known = np.flatnonzero(np.isfinite(values))
    if len(known):
        lowest = np.minimum.accumulate(values[known])
        ax.plot(known, values[known], ".", color="#888888", markersize=2 if counted else 3)
        if not counted:
            ax.step(known, lowest, where="post", color=PALETTE[0], linewidth=1.2)
        low, high = lowest[-1], np.percentile(values[known], HIGH)
        margin = 0.05 * max(high - low, 1e-6)
        ax.set_ylim(low - margin, high + margin)
    ax.set(xlabel="relaxations", ylabel=label)
    return figure


def success_figure(operators: Mapping[str, Mapping[str, int]]) -> Figure:
    """How many structures each operator made, how many lived, how often it gave up."""
    figure, (ax,) = new_figure(width=6.0, height=0.6 + 0.3 * max(1, len(operators)))
    names = list(operators)[::-1]
    places = np.arange(len(names))
    ax.barh(places, [operators[name]["made"] for name in names], color="#cccccc", label="made")
    ax.barh(places, [operators[name]["lived"] for name in names], color=PALETTE[0], label="lived")
    gave_up = np.array([operators[name].get("gave_up", 0) for name in names])
    if (some := gave_up > 0).any():
        ax.plot(gave_up[some], places[some], "|", color=PALETTE[1], markersize=9, label="gave up")
    ax.set_yticks(places, [name.replace("_", " ") for name in names])
    ax.set_xlabel("structures")
    ax.legend(fontsize=7, frameon=False)
    return figure


def coverage_figure(
    course: tuple[np.ndarray, np.ndarray, np.ndarray],
    curve: tuple[np.ndarray, np.ndarray],
    relaxations: int,
    expected: float,
) -> Figure:
    """Different low structures against relaxations, and the chance that the next is new.

    Args:
        course: relaxations, structures found, chance of another, as they came.
        curve: relaxations, and structures that so many find on average.
        relaxations: that were done; beyond, the curve is extrapolated.
        expected: structures that there are, by estimate.
    """
    figure, (left, right) = new_figure(n_columns=2)
    done, found, chance = course
    x, y = curve
    left.step(done, found, where="post", color="#888888", linewidth=1.0, label="this search")
    within = x <= relaxations
    left.plot(x[within], y[within], color=PALETTE[0], linewidth=1.4, label="on average")
    joined = np.flatnonzero(~within)[:1] - 1  # so that no gap is left
    beyond = np.concatenate([joined[joined >= 0], np.flatnonzero(~within)])
    left.plot(x[beyond], y[beyond], "--", color=PALETTE[0], linewidth=1.4, label="extrapolated")
    at_least = f"there are at least {expected:.0f}"
    left.axhline(expected, color=PALETTE[1], linewidth=0.9, label=at_least)
    left.set(xlabel="relaxations", ylabel="different low structures")
    left.set(xlim=(0, None), ylim=(0, 1.08 * max(expected, y.max(initial=1.0))))
    left.legend(fontsize=7, frameon=False, loc="lower right")
    # Until the next discovery it stays as it is; before the first it is 1.
    times, values = [0, *done, relaxations], [1.0, *chance, *chance[-1:]]
    right.step(times, values, where="post", color=PALETTE[0], linewidth=1.2)
    right.set(xlabel="relaxations", ylabel="chance that the next is new")
    right.set(xlim=(0, relaxations), ylim=(0, 1.03))
    return figure


def lineage_figure(
    words: Mapping[int, str], generations: Mapping[int, int], parents: Mapping[int, Sequence[int]]
) -> Figure:
    """A family tree, the candidate on the right, its ancestors to the left.

    Args:
        words: what stands for each, by number.
        generations: 0 the candidate, 1 its parents.
        parents: numbers; those without words are left out.
    """
    columns: dict[int, list[int]] = {}
    for number, generation in generations.items():
        columns.setdefault(generation, []).append(number)
    children: dict[int, list[int]] = {}
    for child, own in parents.items():
        for parent in own:
            children.setdefault(parent, []).append(child)
    n_columns, n_rows = len(columns), max(len(column) for column in columns.values())
    figure, (ax,) = new_figure(width=max(3.0, 1.75 * n_columns), height=max(1.6, 0.75 * n_rows))
    heights: dict[int, float] = {}
    for generation in sorted(columns):
        beside = {
            number: float(np.mean([heights[c] for c in children.get(number, []) if c in heights]))
            if generation
            else 0.0
            for number in columns[generation]
        }
        ordered = sorted(columns[generation], key=lambda number: (beside[number], number))
        for place, number in enumerate(ordered):  # evenly, about the middle
            heights[number] = place - 0.5 * (len(ordered) - 1)
    for child, own in parents.items():
        for parent in own:
            if parent in heights and child in heights:
                x = [-generations[parent], -generations[child]]
                ax.plot(x, [heights[parent], heights[child]], color="0.75", linewidth=0.8, zorder=1)
    for number, height in heights.items():
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.6", "linewidth": 0.6}
        if generations[number] == 0:
            box |= {"edgecolor": PALETTE[1], "linewidth": 1.2}
        place = -generations[number], height
        ax.text(*place, words[number], ha="center", va="center", fontsize=6.5, bbox=box, zorder=2)
    ax.set_xlim(-max(columns) - 0.55, 0.55)
    ax.set_ylim(-0.5 * n_rows, 0.5 * n_rows)
    ax.set_axis_off()
    return figure


def second_difference_figure(sizes: Sequence[int], energies: Sequence[float]) -> Figure:
    """E(N+1) + E(N-1) - 2 E(N) (eV) against the number of atoms N."""
    figure, (ax,) = new_figure(width=6.0)
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.plot(sizes, energies, "o-", color=PALETTE[0], markersize=4, linewidth=1.2)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="atoms N", ylabel="E(N+1) + E(N\N{MINUS SIGN}1) \N{MINUS SIGN} 2 E(N) (eV)")
    return figure


def structure_figure(atoms: Atoms) -> Figure:
    """A structure seen from the side, by ASE's plotting of atoms; small cells are repeated."""
    from ase.data import chemical_symbols
    from ase.data.colors import jmol_colors
    from ase.visualize.plot import plot_atoms

    figure, (ax,) = new_figure(width=3.2, height=3.0)
    lengths = zip(atoms.cell.lengths(), atoms.pbc, strict=True)
    shown = atoms.repeat([int(np.ceil(WIDE / own)) if periodic else 1 for own, periodic in lengths])
    plot_atoms(
        shown,
        ax,
        radii=SMALLER,
        rotation="-80x,15y",
        show_unit_cell=2 if atoms.pbc.any() else 0,
    )
    for number in np.unique(atoms.numbers):
        look = {"color": jmol_colors[number], "markeredgecolor": "black", "markersize": 7}
        ax.plot([], [], "o", label=chemical_symbols[number], **look)
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set_axis_off()
    return figure
