"""Atoms that move, and properties that follow from it."""

from stratal.md.dynamics.run import run_md
from stratal.md.dynamics.settings import MDConfig
from stratal.md.dynamics.trajectory import Trajectory
from stratal.md.monte_carlo.record import Record
from stratal.md.monte_carlo.run import run_mc
from stratal.md.monte_carlo.settings import MCConfig
from stratal.md.properties.elasticity import ElasticTensor, elastic_tensor
from stratal.md.properties.equation_of_state import (
    EquationOfState,
    equation_of_state,
    equations_of_state,
)
from stratal.md.properties.hull import Hull, hull_of
from stratal.md.properties.phonons import Thermal, frequencies_at, phonons, thermal
from stratal.md.properties.quasi_harmonic import QuasiHarmonic, quasi_harmonic
from stratal.md.relax import relax, relax_each, relax_on
from stratal.md.relaxation import Outcome, RelaxConfig, Relaxed
from stratal.md.relaxation.results import read_relaxed
from stratal.md.structures.crystal_symmetry import SpaceGroup, space_group, standard_cell
from stratal.md.structures.radial_distribution import RadialDistribution, distribution_by_species
from stratal.md.structures.similarity import Smearing, fingerprints, similarities

__all__ = [
    "ElasticTensor",
    "EquationOfState",
    "Hull",
    "MCConfig",
    "MDConfig",
    "Outcome",
    "QuasiHarmonic",
    "RadialDistribution",
    "Record",
    "RelaxConfig",
    "Relaxed",
    "Smearing",
    "SpaceGroup",
    "Thermal",
    "Trajectory",
    "distribution_by_species",
    "elastic_tensor",
    "equation_of_state",
    "equations_of_state",
    "fingerprints",
    "frequencies_at",
    "hull_of",
    "phonons",
    "quasi_harmonic",
    "read_relaxed",
    "relax",
    "relax_each",
    "relax_on",
    "run_mc",
    "run_md",
    "similarities",
    "space_group",
    "standard_cell",
    "thermal",
]
