"""Progress says how far and how long, without flooding a batch job's log."""

import io

import pytest

from stratal.progress import Progress, progress


@pytest.fixture
def clockwork(monkeypatch):
    monkeypatch.delenv("STRATAL_PROGRESS", raising=False)
    now = [0.0]
    monkeypatch.setattr("stratal.progress.time.monotonic", lambda: now[0])
    return now


def test_lines_in_a_batch_job(clockwork):
    stream = io.StringIO()
    bar = Progress(100, "training", interval_s=10, stream=stream)
    with bar:
        for _ in range(100):
            clockwork[0] += 1
            bar.update(1, loss=0.25)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11  # every ten seconds and at the end
    assert lines[0] == "training:  10% (10/100), elapsed 0:10, left 1:30, loss 0.25"
    assert lines[-1] == "training: 100% (100/100), elapsed 1:40, loss 0.25"


def test_short_work_and_quiet_mode_print_nothing(clockwork, monkeypatch):
    stream = io.StringIO()
    assert list(Progress(range(3), "short", stream=stream)) == [0, 1, 2]
    monkeypatch.setenv("STRATAL_PROGRESS", "off")
    with Progress(5, "quiet", interval_s=0, stream=stream) as bar:
        bar.update(5)
    assert stream.getvalue() == ""


def test_unknown_length(clockwork):
    stream = io.StringIO()
    for _ in Progress((n for n in range(3)), "reading", interval_s=10, stream=stream):
        clockwork[0] += 10
    assert stream.getvalue().splitlines()[0] == "reading: 1, elapsed 0:10"


def test_bar_on_a_terminal(clockwork):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with Progress(4, "relaxing", stream=stream) as bar:
        bar.update(4, left="none")
    assert "relaxing" in stream.getvalue()
    assert "4/4" in stream.getvalue()


def test_counter_cannot_be_iterated():
    with pytest.raises(TypeError, match="call update"):
        list(progress(3, "counting"))


def test_iteration_closes_on_error(clockwork):
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError):
        for _ in (bar := Progress(range(3), "dividing", interval_s=1, stream=stream)):
            clockwork[0] += 5
            _ = 1 / 0
    assert bar.done == 0
