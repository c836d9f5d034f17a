"""Labelled data: structures with the energies, forces and stresses of one level of theory."""

from stratal.potentials.data.checks import shortest_contact
from stratal.potentials.data.labelled import LabelledData, Source, read_labelled
from stratal.potentials.data.select import Selection, energy_above_hull, select
from stratal.potentials.data.split import k_folds, split_by_group
from stratal.potentials.data.stress_check import StressSuspect, stress_suspects
from stratal.potentials.data.summary import DataSummary, Outlier, summarize

__all__ = [
    "DataSummary",
    "LabelledData",
    "Outlier",
    "Selection",
    "Source",
    "StressSuspect",
    "energy_above_hull",
    "k_folds",
    "read_labelled",
    "select",
    "shortest_contact",
    "split_by_group",
    "stress_suspects",
    "summarize",
]
