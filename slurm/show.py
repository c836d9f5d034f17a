"""A journal for people and for machines."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from stratal.errors import InputError
from stratal.slurm.journal import STATES, State, counts_in, read_status, reading, records


def as_text(folder: str | Path, state: str | None = None, limit: int = 20) -> str:
    """Counts; then the tasks of one state, or those that failed, each with what it said.

    Raises:
        InputError: no journal there, or no such state.
    """
    checked = checked_state(state)
    with reading(folder) as database:
        counts = counts_in(database)
    lines = [", ".join(f"{counts[each]} {each}" for each in STATES), last_word(folder)]
    for record in records(folder, checked or "poison", limit):
        took = f", {record.seconds:.1f} s on {record.worker}" if record.seconds else ""
        lines.append(f"{record.id} {record.name}: {record.state}{took}")
        if record.failure:
            lines.append(f"  {record.failure}, {record.attempts} attempts:")
            lines += [f"    {line}" for line in record.message.strip().splitlines()]
    return "\n".join(line for line in lines if line)


def as_json(folder: str | Path, state: str | None = None, limit: int = 20) -> str:
    """The same as JSON."""
    checked = checked_state(state)
    with reading(folder) as database:
        counts = counts_in(database)
    tasks = [asdict(record) for record in records(folder, checked or "poison", limit)]
    return json.dumps({"counts": dict(counts), "tasks": tasks}, indent=1)


def last_word(folder: str | Path) -> str:
    """When the manager last wrote how far it is."""
    try:
        status = read_status(folder)
    except InputError:
        return ""
    ago = time.time() - status["written"]
    if ago < 0:  # this clock and the manager's do not agree
        return f"{status.get('workers', 0)} workers"
    return f"{status.get('workers', 0)} workers, {ago:.0f} s ago"


def checked_state(state: str | None) -> State | None:
    """A state that there is."""
    if state is not None and state not in STATES:
        raise InputError(f"--state {state}: give one of {', '.join(STATES)}.")
    return state  # type: ignore[return-value]
