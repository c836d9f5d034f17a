"""Set up the fit of one stratum: freeze what is below, scale and whiten what is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stratal.descriptors.descriptor import Block, Descriptor
from stratal.potentials.compose import names_below
from stratal.potentials.data.labelled import LabelledData
from stratal.potentials.library import Library
from stratal.potentials.networks import initial_weights
from stratal.potentials.stratum import Coupling, Trunk
from stratal.potentials.training.baseline import targets_of
from stratal.potentials.training.config import SymmetryFunctionConfig, begins_anew
from stratal.potentials.training.features import FeatureBatch
from stratal.potentials.training.problem import LossWeights, Params, Problem, build_batch
from stratal.potentials.training.scaling import (
    Whitening,
    inherited_ranges,
    ranges,
    rows_of,
    whitening_of,
)

Elements = tuple[int, ...]


@dataclass(frozen=True)
class Setup:
    """A problem, where to begin, and the way back from parameters to weights."""

    problem: Problem
    params: Params
    elements: Elements
    blocks: tuple[Block, ...]
    free: list[list[int]]
    scaling: list[tuple[np.ndarray, np.ndarray]]
    whitening: list[Whitening]
    is_root: bool

    def couplings(self, params: Params) -> dict[tuple[int, Elements], Coupling]:
        """The trained first-layer weights, block by block."""
        found = {}
        for species, center in enumerate(self.elements):
            kernel = self.whitening[species].weights(params[str(species)]["kernel"])
            minimum, factor = self.scaling[species]
            start = 0
            for number in self.free[species]:
                block = self.blocks[number]
                rows = slice(start, start + block.size)
                start = rows.stop
                found[center, block.neighbors] = Coupling(
                    minimum[block.features].copy(), factor[block.features].copy(), kernel[rows]
                )
        return found

    def trunks(self, params: Params) -> dict[int, Trunk]:
        """The trained later layers; none unless the stratum is a root."""
        if not self.is_root:
            return {}
        found = {}
        for species, center in enumerate(self.elements):
            own = params[str(species)]
            shift = self.whitening[species].shift(own["kernel"])
            found[center] = Trunk(own["bias"] - shift, tuple(own["kernels"]), tuple(own["biases"]))
        return found


def set_up(
    elements: Elements,
    config: SymmetryFunctionConfig,
    descriptor: Descriptor,
    library: Library,
    batches: Sequence[FeatureBatch],
    data: LabelledData,
    training: np.ndarray,
) -> Setup:
    """Freeze what is below, scale and whiten what is free, and draw the first weights."""
    blocks = descriptor.blocks(elements)
    is_root = begins_anew(elements, config)
    free = [
        [n for n, block in enumerate(blocks) if is_root or block.stratum(center) == elements]
        for center in elements
    ]
    below: dict[Any, Coupling] = {}
    trunks: list[Trunk] | None = None
    if not is_root:
        strata = [library.strata[name] for name in names_below(elements)]
        below = {key: c for stratum in strata for key, c in stratum.couplings.items()}
        roots = {z: trunk for stratum in strata for z, trunk in stratum.trunks.items()}
        trunks = [roots[z] for z in elements]
    floor = config.variance_floor if is_root else config.coupling_variance_floor
    columns = [np.concatenate([np.r_[blocks[n].features] for n in own]) for own in free]
    rows = [rows_of(batches, species, training) for species in range(len(elements))]
    if is_root:
        scaling = [ranges(own) for own in rows]
    else:
        scaling = [inherited_ranges(center, blocks, below) for center in elements]
    whitening = [
        whitening_of(*parts, is_root, floor) for parts in zip(rows, scaling, columns, strict=True)
    ]
    built = tuple(
        build_batch(
            batch, elements, blocks, free, scaling, below, trunks, targets_of(data, batch, training)
        )
        for batch in batches
    )
    built = tuple(
        replace(
            batch,
            inputs=sum_over(whitening, batch.centers, batch.inputs, Whitening.inputs),
            jacobian=sum_over(whitening, batch.centers, batch.jacobian, Whitening.jacobian),
        )
        for batch in built
    )
    penalty = config.regularization if is_root else config.coupling_regularization
    weights = LossWeights(config.energy_weight, config.force_weight, config.stress_weight, penalty)
    problem = Problem(built, tuple(trunks) if trunks else None, weights)
    params = first_params(config, whitening, data, is_root, trunks)
    return Setup(problem, params, elements, blocks, free, scaling, whitening, is_root)


def sum_over(
    whitening: Sequence[Whitening], centers: Any, values: Any, transform: Any
) -> np.ndarray:
    """Apply each central species' own transformation to its atoms."""
    return sum(  # type: ignore[return-value]
        transform(own, np.asarray(values), np.asarray(here))
        for own, here in zip(whitening, centers, strict=True)
    )


def first_params(
    config: SymmetryFunctionConfig,
    whitening: Sequence[Whitening],
    data: LabelledData,
    is_root: bool,
    trunks: Sequence[Trunk] | None,
) -> Params:
    """Random first weights; a coupling begins at zero, where it changes nothing below."""
    rng = np.random.default_rng(config.seed)
    params: Params = {}
    for species, own in enumerate(whitening):
        if not is_root:
            assert trunks is not None
            params[str(species)] = {"kernel": np.zeros((own.size, len(trunks[species].bias)))}
            continue
        kernels, biases = initial_weights(rng, (own.size, *config.hidden, 1))
        biases[-1] = np.array([np.mean(data.energy / data.n_atoms)])
        params[str(species)] = {
            "kernel": kernels[0],
            "bias": biases[0],
            "kernels": kernels[1:],
            "biases": biases[1:],
        }
    return params
