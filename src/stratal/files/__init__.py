"""Files that are whole or absent: atomic writes, HDF5, checkpoints, extended XYZ."""

from stratal.files.atomic import atomic_path, write_bytes, write_json, write_text
from stratal.files.checkpoint import Checkpoint, StopFlag, interruptible
from stratal.files.extxyz import as_voigt, read_frames, write_frames
from stratal.files.formats import write_structures
from stratal.files.hdf5 import digest, read_hdf5, write_hdf5

__all__ = [
    "Checkpoint",
    "StopFlag",
    "as_voigt",
    "atomic_path",
    "digest",
    "interruptible",
    "read_frames",
    "read_hdf5",
    "write_bytes",
    "write_frames",
    "write_hdf5",
    "write_json",
    "write_structures",
    "write_text",
]
