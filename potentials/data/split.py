"""Splits that never divide a group: near copies must not sit on both sides."""

from __future__ import annotations

import numpy as np

from stratal.errors import InputError
from stratal.potentials.data.labelled import LabelledData


def split_by_group(
    data: LabelledData, fraction: float, seed: int = 0
) -> tuple[LabelledData, LabelledData]:
    """Hold out about ``fraction`` of the structures, in whole groups.

    A structure without a group stands for itself. Same seed, same split.

    Returns:
        What stays and what is held out, each in the order of ``data``.

    Raises:
        InputError: a fraction outside (0, 1), or fewer than two groups.
    """
    if not 0 < fraction < 1:
        raise InputError(f"split: fraction {fraction}; expected one between 0 and 1, such as 0.1.")
    members = _members(data)
    if len(members) < 2:
        raise InputError(
            f"split: all {len(data)} structures are in one group ({data.groups[0]!r}), and groups "
            f"are never divided. Choose another --group-key or add structures."
        )
    order = np.random.default_rng(seed).permutation(len(members))
    wanted, held = fraction * len(data), []
    for group in (members[index] for index in order[:-1]):  # at least one group stays
        if abs(len(held) + len(group) - wanted) < abs(len(held) - wanted):
            held.extend(group)
    mask = np.zeros(len(data), bool)
    mask[held or min(members, key=len)] = True
    return data.take(~mask), data.take(mask)


def k_folds(
    data: LabelledData, n: int = 5, key: str | None = None, seed: int = 0
) -> list[tuple[LabelledData, LabelledData]]:
    """Folds for cross-validation: each structure is held out once, groups stay whole.

    Args:
        data: labelled structures.
        n: how many folds; ignored if ``key`` is given.
        key: info key that already numbers or names the folds, such as ``"fold"``.
        seed: of the order in which groups of equal size are dealt.

    Returns:
        For each fold, what to train on and what is held out.

    Raises:
        InputError: fewer groups than folds, or a structure without the key.
    """
    folds = _deal(data, n, seed) if key is None else _by_key(data, key)
    return [(data.take(folds != fold), data.take(folds == fold)) for fold in np.unique(folds)]


def _members(data: LabelledData) -> list[list[int]]:
    """Indices of each group; in the order of first appearance."""
    groups: dict[object, list[int]] = {}
    for index, name in enumerate(data.groups):
        groups.setdefault(name or index, []).append(index)
    return list(groups.values())


def _deal(data: LabelledData, n: int, seed: int) -> np.ndarray:
    """The fold of each structure: the largest groups first, each to the smallest fold."""
    members = _members(data)
    if not 2 <= n <= len(members):
        raise InputError(
            f"k_folds: {n} folds of {len(members)} groups; expected from 2 folds to one per "
            f"group. Choose fewer folds or another --group-key."
        )
    order = np.random.default_rng(seed).permutation(len(members))
    sizes, folds = np.zeros(n, int), np.zeros(len(data), int)
    for index in sorted(order, key=lambda index: -len(members[index])):
        fold = int(np.argmin(sizes))
        folds[members[index]] = fold
        sizes[fold] += len(members[index])
    return folds


def _by_key(data: LabelledData, key: str) -> np.ndarray:
    for frame, source in zip(data.frames, data.sources, strict=True):
        if key not in frame.info:
            raise InputError(
                f"{source}: no fold under {key!r}; the frame has "
                f"{', '.join(map(str, frame.info)) or 'nothing'}. Choose another key or give n."
            )
    names = [str(frame.info[key]) for frame in data.frames]
    if len(set(names)) < 2:
        raise InputError(
            f"k_folds: {key!r} is {names[0]!r} everywhere; expected at least two folds. "
            f"Choose another key or give n."
        )
    return np.unique(names, return_inverse=True)[1]
