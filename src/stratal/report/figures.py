"""Figures in one style: restrained, legible in grey, told apart by the colour-blind.

Matplotlib's objects only: no pyplot, no global state, no display needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from stratal.errors import InputError
from stratal.files.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5E5E5E", "#A6761D")
"""Okabe and Ito's colours, without the yellow that vanishes on white."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def new_figure(
    n_columns: int = 1, n_rows: int = 1, width: float = 4.2, height: float = 3.4
) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row; ``width`` and ``height`` of one, inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * n_columns, height * n_rows), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
    for ax in axes:
        _style(ax)
    return figure, axes


def parity(
    ax: Axes,
    reference: np.ndarray,
    predicted: np.ndarray,
    groups: Sequence[str] | None = None,
    unit: str = "eV/atom",
    quantity: str = "energy",
) -> None:
    """Predicted against reference, with the errors written in.

    Args:
        ax: where to draw.
        reference: any shape.
        predicted: the same shape.
        groups: a name for each entry of ``reference`` along its first axis.
        unit: of both.
        quantity: what it is, for the axes' names.
    """
    reference, predicted = np.asarray(reference, float), np.asarray(predicted, float)
    names = np.asarray(["" for _ in reference] if groups is None else groups)
    for index, name in enumerate(_most_frequent(names)):
        chosen = names == name
        ax.plot(
            reference[chosen].ravel(),
            predicted[chosen].ravel(),
            MARKERS[index % len(MARKERS)],
            color=PALETTE[index % len(PALETTE)],
            markersize=3.5,
            markeredgewidth=0,
            alpha=0.6,
            label=name or None,
            rasterized=True,
        )
    _diagonal(ax, reference, predicted)
    ax.set_xlabel(f"reference {quantity} ({unit})")
    ax.set_ylabel(f"predicted {quantity} ({unit})")
    ax.text(0.04, 0.96, _errors(reference, predicted, unit), transform=ax.transAxes, va="top")
    _legend(ax, loc="lower right")


def parity_figure(
    quantities: Mapping[str, tuple[np.ndarray, np.ndarray, str]],
    groups: Sequence[str] | None = None,
) -> Figure:
    """Parity panels side by side.

    Args:
        quantities: name to (reference, predicted, unit).
        groups: see ``parity``; used where its length fits.
    """
    figure, axes = new_figure(n_columns=max(len(quantities), 1))
    for ax, (name, (reference, predicted, unit)) in zip(axes, quantities.items(), strict=False):
        fits = groups is not None and len(groups) == len(reference)
        parity(ax, reference, predicted, groups if fits else None, unit, name)
    return figure


def learning_curve(
    epochs: Sequence[float] | np.ndarray,
    curves: Mapping[str, Sequence[float] | np.ndarray],
    unit: str = "meV/atom",
    quantity: str = "RMSE",
) -> Figure:
    """Errors during training, on a logarithmic scale; one curve per entry."""
    figure, (ax,) = new_figure(width=5.0)
    for index, (name, values) in enumerate(curves.items()):
        color = PALETTE[index % len(PALETTE)]
        ax.plot(epochs, np.asarray(values, float), color=color, linewidth=1.4, label=name)
    if all(np.nanmin(np.asarray(values, float), initial=1.0) > 0 for values in curves.values()):
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"{quantity} ({unit})")
    _legend(ax, loc="upper right")
    return figure


def error_bars(
    errors: Mapping[str, float], unit: str = "meV/atom", quantity: str = "RMSE"
) -> Figure:
    """One horizontal bar per group, the largest on top, its figure beside it."""
    ordered = sorted(errors.items(), key=lambda item: item[1])
    figure, (ax,) = new_figure(width=5.0, height=0.8 + 0.3 * max(len(ordered), 2))
    places = np.arange(len(ordered))
    bars = ax.barh(places, [value for _, value in ordered], color=PALETTE[0], height=0.7)
    ax.bar_label(bars, fmt="%.3g", padding=3, fontsize=8)
    ax.set_yticks(places, [name for name, _ in ordered])
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.12)
    ax.set_xlabel(f"{quantity} ({unit})")
    return figure


def calibration_figure(
    sets: Mapping[str, tuple[np.ndarray, np.ndarray]], unit: str = "eV/Å", quantity: str = "force"
) -> Figure:
    """Whether uncertainties are as large as errors.

    Left, root-mean-square errors of atoms with about the same uncertainty; right, the part of
    errors within an interval against the part that it promises, for normal errors.

    Args:
        sets: by name errors, ``(n, ...)``, and standard uncertainties ``(n,)``.
        unit: of both.
        quantity: what they are of, for the axes' names.
    """
    from scipy.special import erfinv

    figure, (left, right) = new_figure(n_columns=2)
    promised = np.linspace(0.02, 0.98, 49)
    extremes = []
    for index, (name, (errors, uncertainty)) in enumerate(sets.items()):
        color = PALETTE[index % len(PALETTE)]
        errors = np.abs(errors).reshape(len(errors), -1)
        bins = np.array_split(np.argsort(uncertainty), min(12, len(errors)))
        x = [np.sqrt(np.mean(uncertainty[own] ** 2)) for own in bins]
        y = [np.sqrt(np.mean(errors[own] ** 2)) for own in bins]
        left.plot(x, y, MARKERS[index] + "-", color=color, markersize=4, linewidth=1, label=name)
        extremes += [*x, *y]
        ratios = (errors / uncertainty[:, None]).ravel()
        covered = [np.mean(ratios <= np.sqrt(2) * erfinv(part)) for part in promised]
        right.plot(promised, covered, color=color, linewidth=1.4, label=name)
    # Forces that symmetry makes zero have no errors to speak of: they do not set the scale.
    ends = (0.7 * max(min(extremes), 1e-2 * max(extremes)), 1.4 * max(extremes))
    left.plot(ends, ends, color="#888888", linewidth=0.8, zorder=0)
    left.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    left.set_xlabel(f"{quantity} uncertainty ({unit})")
    left.set_ylabel(f"true RMSE ({unit})")
    right.plot((0, 1), (0, 1), color="#888888", linewidth=0.8, zorder=0)
    right.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    right.set_xlabel("part of errors promised within the interval")
    right.set_ylabel("part found within it")
    _legend(left, loc="lower right")
    return figure


def bands_figure(
    distances: np.ndarray,
    frequencies: np.ndarray,
    ticks: np.ndarray,
    labels: Sequence[str],
    density: np.ndarray,
) -> Figure:
    """Phonon bands, and beside them the density of states.

    Args:
        distances: ``(n,)``, along the path, 1/Å.
        frequencies: ``(n, n_modes)``, THz.
        ticks: where special points lie.
        labels: their names.
        density: frequencies (THz) and density of states (1/THz), ``(2, n)``.
    """
    figure, (left, right) = new_figure(2)
    left.plot(distances, frequencies, color=PALETTE[0], linewidth=1)
    for tick in ticks:
        left.axvline(tick, color="0.8", linewidth=0.6, zorder=0)
    left.set_xticks(ticks, labels)
    left.set_xlim(distances[0], distances[-1])
    left.set_ylabel("frequency (THz)")
    right.plot(density[1], density[0], color=PALETTE[0], linewidth=1)
    right.set_xlim(left=0)
    right.set_xlabel("density of states (1/THz)")
    lowest, highest = min(0.0, float(frequencies.min())), float(frequencies.max())
    for ax in (left, right):
        ax.set_ylim(1.05 * lowest, 1.05 * highest)
    return figure


def radial_distribution_figure(
    distances: np.ndarray, curves: Mapping[str, np.ndarray], quantity: str = "g(r)"
) -> Figure:
    """Radial distributions one over the other, the first, of all, behind those of its parts.

    Args:
        distances: ``(n,)``, Å.
        curves: name to ``(n,)``.
        quantity: what they are.
    """
    figure, (ax,) = new_figure(width=5.0)
    for index, (name, values) in enumerate(curves.items()):
        look = {"color": PALETTE[(index - 1) % len(PALETTE)], "linewidth": 1.1}
        if index == 0:
            look = {"color": "#BBBBBB", "linewidth": 3.0}
        ax.plot(distances, values, label=name, **look)
    if quantity == "g(r)":
        ax.axhline(1.0, color="#888888", linewidth=0.8, zorder=0)
    ax.set_xlim(0, distances[-1])
    ax.set_ylim(bottom=0)
    ax.set_xlabel("distance (Å)")
    ax.set_ylabel(quantity)
    _legend(ax, loc="upper right")
    return figure


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure atomically, in the format of the file's suffix; PNG without one.

    Raises:
        InputError: a format that matplotlib does not write, or the file cannot be written.
    """
    suffix = Path(path).suffix.lstrip(".").lower() or "png"
    if suffix not in (known := figure.canvas.get_supported_filetypes()):
        raise InputError(
            f"{path}: no figures are written as {suffix!r}; known are {', '.join(sorted(known))}. "
            f"Give another suffix."
        )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix)


def _style(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, color="#888888")
    ax.xaxis.label.set_fontsize(9)
    ax.yaxis.label.set_fontsize(9)
    ax.set_axisbelow(True)


def _diagonal(ax: Axes, reference: np.ndarray, predicted: np.ndarray) -> None:
    both = np.concatenate([reference.ravel(), predicted.ravel()])
    both = both[np.isfinite(both)]
    low, high = (both.min(), both.max()) if both.size else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.5
    ends = (low - margin, high + margin)
    ax.plot(ends, ends, color="#888888", linewidth=0.8, zorder=0)
    ax.set(xlim=ends, ylim=ends, aspect="equal")


def _errors(reference: np.ndarray, predicted: np.ndarray, unit: str) -> str:
    difference = (predicted - reference)[np.isfinite(reference) & np.isfinite(predicted)]
    if not difference.size:
        return "no data"
    rmse, mae = np.sqrt(np.mean(difference**2)), np.mean(np.abs(difference))
    scale, unit = (1e3, "m" + unit) if unit.startswith("eV") and rmse < 1 else (1.0, unit)
    return f"RMSE {scale * rmse:.3g} {unit}\nMAE {scale * mae:.3g} {unit}"


def _most_frequent(names: np.ndarray) -> list[str]:
    """Distinct names, the most frequent first, so that small groups are drawn on top."""
    distinct, counts = np.unique(names, return_counts=True)
    return [str(distinct[index]) for index in np.argsort(-counts, kind="stable")]


def _legend(ax: Axes, loc: Literal["lower right", "upper right"]) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if handles and len(handles) <= 12:  # more would hide the data
        ax.legend(handles, labels, loc=loc, fontsize=7, frameon=False)
