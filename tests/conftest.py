"""Fixtures that all tests may use, and how the compiler runs under them."""

import os
import sys
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Compile fast and keep the workers apart, before jax is imported.

    Nearly all of the time of the fast tests is compilation, of programs that run once. The slow
    tests (``-m slow``) run what users run.
    """
    if "not slow" in config.option.markexpr:
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and hasattr(os, "sched_setaffinity"):
        # Compiled programs that share cores slow each other down many times.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker) % len(cores)]})


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data that is not part of the package; tests that need it skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"no reference data: {folder} is absent")
    return folder


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Free what a file's tests compiled: hundreds of programs use up a process's memory maps."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
