"""Structures as arrays, who neighbors whom, and what an atom sees."""

from stratal.descriptors.angular import AngularFunction
from stratal.descriptors.cell_list import cell_list
from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.descriptor import Block, Descriptor
from stratal.descriptors.element_symmetry_functions import (
    ElementSymmetryFunctions,
    PairFunction,
    TripleFunction,
)
from stratal.descriptors.host_list import neighbor_list
from stratal.descriptors.invariants import Moments
from stratal.descriptors.neighbors import Neighbors
from stratal.descriptors.structures import Structures
from stratal.descriptors.symmetry_functions import RadialFunction, SymmetryFunctions

__all__ = [
    "AngularFunction",
    "Block",
    "CutoffFunction",
    "Descriptor",
    "ElementSymmetryFunctions",
    "Moments",
    "Neighbors",
    "PairFunction",
    "RadialFunction",
    "Structures",
    "SymmetryFunctions",
    "TripleFunction",
    "cell_list",
    "neighbor_list",
]
