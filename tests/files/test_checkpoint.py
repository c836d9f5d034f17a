"""A loop that was stopped goes on as if it had not been."""

import os
import signal
import threading

import numpy as np
import pytest

from stratal.errors import InputError
from stratal.files import Checkpoint, interruptible


def run(checkpoint, n_steps, stop_at=None):
    """A random walk that saves when due and when it is told to stop."""
    state = {"step": 0, "x": np.zeros(3), "seed": 7}
    if checkpoint.exists():
        state = checkpoint.load()
    with interruptible() as stop:
        while state["step"] < n_steps and not stop.requested:
            noise = np.random.default_rng([state["seed"], state["step"]]).normal(size=3)
            state = {**state, "step": state["step"] + 1, "x": state["x"] + noise}
            if state["step"] == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            checkpoint.save(state)
        checkpoint.save(state, force=True)
    return state


def test_resumed_equals_uninterrupted(tmp_path):
    whole = run(Checkpoint(tmp_path / "whole.h5"), 20)
    cut = Checkpoint(tmp_path / "cut.h5")
    assert run(cut, 20, stop_at=8)["step"] == 8
    resumed = run(Checkpoint(tmp_path / "cut.h5"), 20)
    assert resumed["step"] == 20
    assert resumed["x"].tobytes() == whole["x"].tobytes()


def test_saves_only_when_due(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("stratal.files.checkpoint.time.monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "a.h5", interval_s=60)
    assert not checkpoint.save({"step": 1})
    assert not checkpoint.exists()
    now[0] += 61
    assert checkpoint.due()
    assert checkpoint.save({"step": 2})
    assert not checkpoint.due()
    assert checkpoint.save({"step": 3}, force=True)
    assert checkpoint.load() == {"step": 3}
    checkpoint.remove()
    with pytest.raises(InputError, match=r"a\.h5: no such file; expected a checkpoint"):
        checkpoint.load()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_become_a_flag_and_handlers_are_restored(number):
    before = signal.getsignal(number)
    with interruptible() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert stop.signal == number.name
    assert signal.getsignal(number) is before


def test_second_interrupt_stops_at_once():
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_it_does_nothing():
    seen = []

    def work():
        with interruptible() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
