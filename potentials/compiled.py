"""How programs that evaluate potentials are compiled."""

from __future__ import annotations

from functools import partial

import jax

# Processors with vectors of 512 bits: the compiler would use half of each unless asked. It means
# nothing to other devices.
OPTIONS = {"xla_cpu_prefer_vector_width": 512}

compiled = partial(jax.jit, compiler_options=OPTIONS)
