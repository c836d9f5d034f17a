"""Reports: one HTML file that holds everything, and the figures in it."""

from stratal.report.figures import (
    PALETTE,
    calibration_figure,
    error_bars,
    learning_curve,
    new_figure,
    parity,
    parity_figure,
)
from stratal.report.html import Report, Section

__all__ = [
    "PALETTE",
    "Report",
    "Section",
    "calibration_figure",
    "error_bars",
    "learning_curve",
    "new_figure",
    "parity",
    "parity_figure",
]
