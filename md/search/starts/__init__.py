"""Where a search begins: random, symmetric, tiled, known and compact structures."""

from stratal.md.search.starts.by_space_group import by_space_group
from stratal.md.search.starts.compact import compact
from stratal.md.search.starts.drawing import Composition
from stratal.md.search.starts.from_files import FROM_FILE, starts_from_files
from stratal.md.search.starts.from_prototype import from_prototype
from stratal.md.search.starts.random_structure import random_structure
from stratal.md.search.starts.registry import STARTS, Start
from stratal.md.search.starts.tiled import tiled

__all__ = [
    "FROM_FILE",
    "STARTS",
    "Composition",
    "Start",
    "by_space_group",
    "compact",
    "from_prototype",
    "random_structure",
    "starts_from_files",
    "tiled",
]
