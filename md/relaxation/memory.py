"""Where a device's memory does not suffice, fewer structures at once do."""

from __future__ import annotations

import jax

from stratal.errors import InputError
from stratal.md.relaxation.in_flight import Flight
from stratal.md.relaxation.relaxed import Relaxed


def shrinking(flight: Flight) -> list[Relaxed]:
    """A block; with half the slots, and again, while the device has not memory enough.

    Raises:
        InputError: a single structure is too large.
    """
    while True:
        try:
            return flight.block()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if len(flight.in_slot) == 1:
                raise InputError(
                    f"a structure of up to {flight.stages[flight.stage].size.n_places} atoms does "
                    f"not fit into the device's memory. Use precision = float32, or a smaller one."
                ) from error
            flight.halve()
