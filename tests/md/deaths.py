"""Runs that die at random instants and go on."""

import numpy as np

KILLS = 5


class Killed(Exception):
    """Stands for a death at this instant."""


def through_deaths(monkeypatch, owner, name, attempt, most=4):
    """What ``attempt(n)`` gives after it has died ``KILLS`` times, at random calls of a method.

    Args:
        monkeypatch: pytest's.
        owner: class of the method.
        name: of the method.
        attempt: is told how often it has died before.
        most: calls of the method up to a death, less one.
    """
    real, rng = getattr(owner, name), np.random.default_rng(0)
    for kills in range(KILLS):
        left = int(rng.integers(1, most))

        def dying(self, *arguments):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(self, *arguments)

        monkeypatch.setattr(owner, name, dying)
        try:
            attempt(kills)
        except Killed:
            continue
        raise AssertionError(f"it ended after {kills} of {KILLS} deaths")
    monkeypatch.setattr(owner, name, real)
    return attempt(KILLS)
