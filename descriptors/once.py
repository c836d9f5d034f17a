"""A fence for the compiler: arrays that several sums need are computed once.

The compiler of the processor does all the work that leads to an array again in every loop that
reads it, which costs more than the array's way through the cache where that work is long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def computed_once(
    function: Callable[..., Any], *arguments: Any, when: jax.Array | None = None
) -> Any:
    """The function's arrays, in memory before anything reads them.

    They are the outcome of a branch: nothing is fused across it. The branch is always taken,
    or ``when`` a condition is true; else they are zeros, as the function must then give too.
    On other devices than processors it is a plain call.
    """
    if jax.default_backend() != "cpu":
        return function(*arguments)
    if when is None:
        some = next(leaf for leaf in jax.tree.leaves(arguments) if jnp.ndim(leaf))
        when = ~(some[(0,) * some.ndim] > jnp.inf)  # true of NaN too

    def zeros(*arguments: Any) -> Any:
        shapes = jax.eval_shape(function, *arguments)
        return jax.tree.map(lambda of: jnp.zeros(of.shape, of.dtype), shapes)

    return jax.lax.cond(when, function, zeros, *arguments)
