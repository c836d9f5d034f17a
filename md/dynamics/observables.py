"""What follows from a trajectory: averages and their errors, structure, diffusion, vibrations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import trapezoid

from stratal.errors import InputError
from stratal.md.dynamics.trajectory import Trajectory
from stratal.md.structures.radial_distribution import distribution_by_species


class Mean(NamedTuple):
    """An average and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        known = np.isfinite(self.error)
        return f"{self.value:.5g} ± {self.error:.2g}" if known else f"{self.value:.5g}"


class Curve(NamedTuple):
    """A function by its values."""

    x: np.ndarray
    y: np.ndarray


def mean_of(series: np.ndarray) -> Mean:
    """The mean of a correlated series ``(n,)`` and its standard error, from means of blocks.

    Blocks double in length while the error grows: Flyvbjerg and Petersen, J. Chem. Phys. 91, 461
    (1989); those of fewer than 8 are not looked at.
    """
    blocks = np.asarray(series, float)
    value, error = float(blocks.mean()), 0.0
    while len(blocks) >= 8:
        error = max(error, float(blocks.std(ddof=1) / np.sqrt(len(blocks))))
        even = len(blocks) // 2 * 2
        blocks = 0.5 * (blocks[:even:2] + blocks[1:even:2])
    return Mean(value, error if error else float("nan"))  # of a few samples it is not known


def averages(trajectory: Trajectory, late: float = 0.5) -> list[dict[str, Any]]:
    """Averages of each system over the last part of a trajectory, in words and units.

    Args:
        trajectory: of one or several systems.
        late: the part that counts.
    """
    first = int((1 - late) * len(trajectory.steps))
    found = []
    for number, numbers in enumerate(trajectory.numbers):
        energy = trajectory.energy[first:, number] / len(numbers)
        found.append(
            {
                "system": number,
                "atoms": len(numbers),
                "temperature, K": str(mean_of(trajectory.temperature[first:, number])),
                "energy, eV/atom": str(mean_of(energy)),
                "pressure, GPa": str(mean_of(trajectory.pressure_gpa[first:, number])),
                "volume, Å³/atom": str(mean_of(trajectory.volumes[first:, number] / len(numbers))),
            }
        )
    return found


def mean_square_displacement(positions: np.ndarray, times: np.ndarray) -> Curve:
    """Over all origins and atoms, by Fourier transforms.

    Args:
        positions: ``(n_frames, n_atoms, 3)``, Å, not wrapped into a cell.
        times: ``(n_frames,)``, ps, evenly spaced.

    Returns:
        lags (ps) and mean square displacements (Å²).
    """
    n_frames = len(positions)
    squares = np.square(positions).sum(axis=2)
    # <|r(t+s) - r(t)|²> = <r²(t+s)> + <r²(t)> - 2 <r(t+s) r(t)>; the first two by running sums.
    products = correlation(positions).sum(axis=2)
    before, after = np.cumsum(squares, axis=0), np.cumsum(squares[::-1], axis=0)
    count = np.arange(n_frames, 0, -1)[:, None]
    ends = before[::-1] + after[::-1]
    moved = ends / count - 2 * products
    return Curve(times - times[0], moved.mean(axis=1))


def diffusion_coefficient(msd: Curve, first: float = 0.1, last: float = 0.5) -> float:
    """Einstein's: a sixth of the slope of the mean square displacement, Å²/ps (= 1e-8 m²/s).

    Args:
        msd: from `mean_square_displacement`.
        first: part of the lags where the fit begins, past the motion within cages.
        last: where it ends: longer lags have few origins.
    """
    inside = slice(max(1, int(first * len(msd.x))), max(3, int(last * len(msd.x))))
    return float(np.polyfit(msd.x[inside], msd.y[inside], 1)[0] / 6)


def velocity_autocorrelation(velocities: np.ndarray, times: np.ndarray) -> Curve:
    """<v(0) v(t)> over all origins and atoms, over its value at 0.

    Args:
        velocities: ``(n_frames, n_atoms, 3)``, Å/ps.
        times: ``(n_frames,)``, ps.
    """
    products = correlation(velocities).sum(axis=2).mean(axis=1)
    return Curve(times - times[0], products / products[0])


def vibrational_spectrum(autocorrelation: Curve) -> Curve:
    """The density of vibrations: the cosine transform of the velocities' autocorrelation.

    Its first half counts, tapered by a Hann window.

    Returns:
        frequencies (THz) and the density (1/THz), whose integral is 1.
    """
    half = max(2, len(autocorrelation.x) // 2)
    lag = autocorrelation.x[1] - autocorrelation.x[0]
    window = 0.5 * (1 + np.cos(np.pi * np.arange(half) / half))
    tapered = autocorrelation.y[:half] * window
    # Even in time: the mirror image joined to it makes the transform real.
    density = np.fft.rfft(np.concatenate([tapered, [0.0], tapered[:0:-1]])).real
    frequencies = np.fft.rfftfreq(2 * half, lag)
    return Curve(frequencies, density / trapezoid(density, frequencies))


def radial_distribution(
    trajectory: Trajectory, number: int = 0, cutoff: float = 8.0, n_bins: int = 160
) -> Curve:
    """g(r) of a system, all species alike, over the frames.

    By pairs of species: `stratal.md.structures.radial_distribution.distribution_by_species`.

    Args:
        trajectory: with frames, of systems periodic in three directions.
        number: which system.
        cutoff: Å.
        n_bins: up to it.

    Raises:
        InputError: no frames, or not periodic.
    """
    if not len(trajectory.frame_steps):
        raise InputError("the trajectory has no frames. Run with frame_every above 0.")
    if not trajectory.pbc[number].all():
        raise InputError("g(r) is of systems periodic in three directions.")
    frames = (trajectory.atoms(frame, number) for frame in range(len(trajectory.frame_steps)))
    found = distribution_by_species(frames, cutoff, n_bins)
    return Curve(found.distances, found.total)


def lindemann_ratio(positions: np.ndarray, nearest: float) -> float:
    """Root mean square displacement from mean places over the nearest-neighbor distance.

    Crystals melt at about 0.1 (Lindemann, Phys. Z. 11, 609 (1910)).

    Args:
        positions: ``(n_frames, n_atoms, 3)``, Å, not wrapped.
        nearest: distance of nearest neighbors in the crystal, Å.
    """
    apart = positions - positions.mean(axis=1, keepdims=True)  # drift of the whole is not motion
    apart = apart - apart.mean(axis=0)
    return float(np.sqrt(np.square(apart).sum(axis=2).mean()) / nearest)


def correlation(series: np.ndarray) -> np.ndarray:
    """<x(t) x(t + s)> over origins t for each lag s along the first axis, by Fourier transforms."""
    n = len(series)
    spectrum = np.fft.rfft(series, 2 * n, axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=0)[:n]
    return products / np.arange(n, 0, -1).reshape(-1, *(1,) * (series.ndim - 1))
