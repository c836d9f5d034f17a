"""What happened in a search: whole lines, of one run."""

import pytest

from stratal.errors import InputError
from stratal.md.search.events import Event, Events


def test_events_come_back_and_half_a_line_is_cut_off(tmp_path):
    path = tmp_path / "events.jsonl"
    events = Events(path, "this run")
    assert list(events) == []
    events.add("asked", 0)
    events.add("done", 0)
    assert list(Events(path, "this run")) == []
    events.write()
    with path.open("ab") as file:
        file.write(b'["asked", 1')  # a death while it was written
    again = Events(path, "this run")
    assert list(again) == [Event("asked", 0), Event("done", 0)]
    again.add("asked", 1, 0, 8)
    again.write()
    assert list(Events(path, "this run"))[-1] == Event("asked", 1, 0, 8)


def test_a_file_of_another_search_is_refused(tmp_path):
    Events(tmp_path / "events.jsonl", "this run")
    with pytest.raises(InputError, match="a search with other settings"):
        Events(tmp_path / "events.jsonl", "another")


def test_damaged_lines_are_named(tmp_path):
    path = tmp_path / "events.jsonl"
    for line in ('["asked"', '["asked"]', "3", '["asked", 1, 2, 3, 4]'):
        path.write_text(f'"this run"\n["asked", 0, 0, 8]\n{line}\n')
        with pytest.raises(InputError, match=r"events\.jsonl, line 3: damaged"):
            Events(path, "this run")


def test_a_death_while_the_first_line_was_written_leaves_nothing(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'"this r')
    assert list(Events(path, "this run")) == []
    assert list(Events(path, "this run")) == []
