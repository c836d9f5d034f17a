"""Figures of functions: one or several curves, beside a reference where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stratal.report.figures import MARKERS, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray]


def path_figure(
    lengths: np.ndarray, energies: np.ndarray, fit_lengths: np.ndarray, fit_energies: np.ndarray
) -> Figure:
    """Energies of images along a path, and the curve through them and their forces.

    Args:
        lengths: of images along the path, ``(n,)``, Å.
        energies: above the first, ``(n,)``, eV.
        fit_lengths: of points on the curve, Å.
        fit_energies: alike, eV.
    """
    figure, (ax,) = new_figure()
    ax.plot(fit_lengths, fit_energies, color=PALETTE[0], linewidth=1)
    ax.plot(lengths, energies, "o", color=PALETTE[0], markersize=4)
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.set(xlabel="path (Å)", ylabel="energy (eV)")
    return figure


def temperature_figure(temperatures: np.ndarray, quantities: Mapping[str, np.ndarray]) -> Figure:
    """Quantities against temperature, one panel each.

    Args:
        temperatures: ``(n,)``, K.
        quantities: ``(n,)`` each, by their names with units.
    """
    n_columns = 2 if len(quantities) > 1 else 1
    figure, axes = new_figure(n_columns, -(-len(quantities) // n_columns), 3.4, 2.6)
    for ax, (name, values) in zip(axes, quantities.items(), strict=False):
        ax.plot(temperatures, values, color=PALETTE[0], linewidth=1.2)
        ax.set(xlabel="temperature (K)", ylabel=name, xlim=(temperatures[0], temperatures[-1]))
    for ax in axes[len(quantities) :]:
        ax.set_visible(False)
    return figure


def curves_figure(
    curves: Mapping[str, Sequence[Curve]], x_label: str, y_label: str, names: Sequence[str]
) -> Figure:
    """Curves of several things, one panel each; the same of others in other colours.

    Args:
        curves: by title of the panel, one curve for each of the names.
        x_label: of all panels, with unit.
        y_label: alike.
        names: of what is compared; the one called reference is drawn in grey.
    """
    n_columns = min(3, max(1, len(curves)))
    figure, axes = new_figure(n_columns, -(-len(curves) // n_columns), 3.4, 2.8)
    for ax, (title, given) in zip(axes, curves.items(), strict=False):
        for number, (curve, name) in enumerate(zip(given, names, strict=True)):
            draw(ax, curve, number, name)
        ax.set_title(title, fontsize=9)
        ax.set(xlabel=x_label, ylabel=y_label)
    axes[0].legend(fontsize=7, frameon=False)
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    return figure


def draw(ax: Axes, curve: Curve, number: int, name: str, label: str | None = None) -> None:
    """One of several curves: the reference grey, dashed and behind."""
    is_reference = name == "reference"
    color, style = ("#888888", "--") if is_reference else (PALETTE[number], "-")
    order = 1 if is_reference else 2
    ax.plot(*curve, style, color=color, linewidth=1.2, label=label or name, zorder=order)


def branches_figure(
    branches: Mapping[str, Sequence[Curve]],
    y_label: str,
    ticks: Sequence[tuple[float, str]] = (),
) -> Figure:
    """Phonon branches of several things along the same path, the reference in grey.

    Args:
        branches: by name, a curve for each branch against the place on the path, 0 to 1.
        y_label: with unit.
        ticks: places of special points, and their names.
    """
    figure, (ax,) = new_figure(width=6.0)
    for number, (name, curves) in enumerate(branches.items()):
        for place, curve in enumerate(curves):
            draw(ax, curve, number, name, None if place == 0 else "_")
    ax.set(ylabel=y_label, xlim=(0, 1))
    ax.set_xticks([place for place, _ in ticks], [label for _, label in ticks])
    for place, _ in ticks:
        ax.axvline(place, color="0.85", linewidth=0.6, zorder=0)
    ax.legend(fontsize=7, frameon=False)
    return figure


def scatter_figure(points: Mapping[str, np.ndarray], x_label: str, y_label: str) -> Figure:
    """Points of several things about the diagonal.

    Args:
        points: by name, ``(n, 2)``.
        x_label: with unit.
        y_label: with unit.
    """
    figure, (ax,) = new_figure()
    for number, (name, xy) in enumerate(points.items()):
        ax.plot(*xy.T, MARKERS[number], color=PALETTE[number], markersize=4, label=name)
    ends = np.concatenate([xy[np.isfinite(xy).all(axis=1)] for xy in points.values()])
    low, high = float(ends.min()), float(ends.max())
    ax.plot([low, high], [low, high], color="#888888", linewidth=0.8, zorder=0)
    ax.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.6, zorder=0)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.legend(fontsize=7, frameon=False)
    return figure
