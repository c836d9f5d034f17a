"""How programs that evaluate potentials are compiled, and when they are forgotten."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import jax

# Processors with vectors of 512 bits: the compiler would use half of each unless asked. It means
# nothing to other devices.
OPTIONS = {"xla_cpu_prefer_vector_width": 512}
MANY_MAPS = 30_000  # about half of what Linux allows a process

compiled = partial(jax.jit, compiler_options=OPTIONS)


def forget_programs(most: int = MANY_MAPS) -> None:
    """Drop compiled programs before they use up the memory maps that Linux allows a process.

    Some hundreds do: compiling another then fails with "Cannot allocate memory". For long work of
    many different programs, between its parts.

    Args:
        most: memory maps of this process up to which nothing is dropped.
    """
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > most:
        jax.clear_caches()
