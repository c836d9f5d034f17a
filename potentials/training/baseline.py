"""Labels as a network sees them: short-range term subtracted, padded by batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stratal.potentials.batch import predict_frames
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.evaluate import Potential
from stratal.potentials.training.features import FeatureBatch


def without_baseline(data: LabelledData, baseline: Potential | None) -> LabelledData:
    """The labels less the energies, forces and stresses of a fixed term."""
    if baseline is None:
        return data
    fixed = predict_frames(data.frames, lambda _: baseline)
    return replace(
        data,
        energy=data.energy - fixed.energy,
        forces=tuple(
            None if own is None else own - term
            for own, term in zip(data.forces, fixed.forces, strict=True)
        ),
        stress=data.stress - fixed.stress,
    )


def targets_of(data: LabelledData, batch: FeatureBatch, training: np.ndarray) -> dict[str, Any]:
    """Labels of a batch under the names of `problem.Batch`; what is missing is masked."""
    n_frames, n_atoms = batch.mask.shape
    forces, force_mask = np.zeros((n_frames, n_atoms, 3)), np.zeros((n_frames, n_atoms, 3))
    for row, frame in enumerate(batch.frames):
        own = data.forces[frame]
        if own is not None:
            forces[row, : len(own)], force_mask[row, : len(own)] = own, 1.0
    frames = [data.frames[i] for i in batch.frames]
    periodic = np.array([frame.cell.rank == 3 for frame in frames])
    has_stress = data.has_stress[batch.frames] & periodic
    return {
        "n_atoms": np.array([len(frame) for frame in frames], float),
        "volumes": np.array(
            [frame.cell.volume if frame.cell.rank == 3 else 1.0 for frame in frames]
        ),
        "energy": data.energy[batch.frames],
        "forces": forces.reshape(n_frames, -1),
        "force_mask": force_mask.reshape(n_frames, -1),
        "stress": np.where(has_stress[:, None], data.stress[batch.frames], 0.0),
        "stress_mask": has_stress.astype(float),
        "training": training[batch.frames].astype(float),
    }
