"""Gaussians and cutoff functions of r², and the fence that computes arrays once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from stratal.descriptors.cutoffs import CutoffFunction
from stratal.descriptors.gaussians import Gaussian, exponential, gaussians
from stratal.descriptors.once import computed_once

CUTOFF = 6.0  # Å
SQUARED = np.linspace(0.5, 1.1 * CUTOFF**2, 997)
KINDS = [(kind, alpha) for kind in range(9) for alpha in (0.0, 0.3)]


@given(
    eta=st.floats(1e-4, 4.0), fraction=st.floats(0.0, 1.0), largest=st.floats(1.0, 150.0)
)  # fmt: skip
@settings(deadline=None)
def test_the_exponential_is_that_of_the_library(eta, fraction, largest):
    x = np.array(fraction * largest)
    with jax.enable_x64(True):
        found = float(exponential(-eta, largest, jnp.asarray(x)))
    assert found == pytest.approx(np.exp(-eta * x), rel=8e-14)  # 2^7 roundings
    single = exponential(-eta, largest, jnp.asarray(x, jnp.float32))
    assert float(single) == pytest.approx(np.exp(-eta * x), rel=4e-5, abs=1e-37)


@pytest.mark.parametrize(("kind", "alpha"), KINDS)
def test_cutoffs_of_squares_are_those_of_distances(kind, alpha):
    function = CutoffFunction(kind, alpha)
    with jax.enable_x64(True):
        squared = jnp.asarray(SQUARED)

        def of_distance(squared):
            return function(jnp.sqrt(squared), CUTOFF)

        assert_allclose(function.of_squared(squared, CUTOFF), of_distance(squared), atol=1e-15)
        slopes = jax.vmap(jax.grad(of_distance))(squared)
        assert_allclose(function.slope_by_squared(squared, CUTOFF), slopes, atol=1e-13)


@pytest.mark.parametrize(("kind", "alpha"), KINDS)
def test_gaussians_have_the_slope_of_their_values(kind, alpha):
    functions = (Gaussian(0.05, 0.0, CUTOFF), Gaussian(1.5, 2.0, 0.8 * CUTOFF))
    function, step = CutoffFunction(kind, alpha), 1e-5
    with jax.enable_x64(True):
        squared = jnp.asarray(SQUARED)

        def total(squared):
            first, second = gaussians(functions, function, squared)
            return first - 2.0 * second

        numeric = (total(squared + step) - total(squared - step)) / (2 * step)
        slopes = jax.grad(lambda squared: total(squared).sum())(squared)
        # Away from where a cutoff function has a kink (types 2 and 3) or a step (type 0).
        smooth = (
            np.abs(SQUARED[:, None] - np.array([CUTOFF**2, 0.64 * CUTOFF**2])).min(axis=1) > 0.1
        )
        assert_allclose(np.asarray(slopes)[smooth], np.asarray(numeric)[smooth], atol=1e-8)


@pytest.mark.parametrize("first", [1.0, np.inf, -np.inf, np.nan])
def test_what_is_computed_once_is_the_function(first):
    with jax.enable_x64(True):
        values = jnp.arange(12.0).reshape(3, 4).at[0, 0].set(first)
        found = jax.jit(lambda x: computed_once(lambda x: {"a": x + 1.0, "b": x.sum(axis=0)}, x))
        assert_allclose(found(values)["a"], values + 1.0)
        assert_allclose(found(values)["b"], values.sum(axis=0))
