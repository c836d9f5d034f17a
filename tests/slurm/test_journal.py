"""The journal: nothing lost, one manager, clear refusals."""

import json
import pickle
import subprocess
import sys

import pytest

from stratal.errors import InputError
from stratal.files.atomic import UNFINISHED
from stratal.slurm import journal as module
from stratal.slurm.journal import Journal, read_status, records
from stratal.slurm.results import place, put
from stratal.slurm.show import as_json, as_text
from stratal.slurm.tasks import SMALL, Receipt


def finished(journal, task, value):
    content = pickle.dumps(value)
    put(journal.results, task, content)
    small = content if len(content) <= SMALL else None
    return Receipt(task, "host:1", 0.5, len(content), small)


def known(journal, task):
    record = journal.record(task)
    assert record is not None
    return record


def test_small_results_move_into_the_journal_and_large_ones_stay_files(tmp_path):
    large = "x" * (2 * SMALL)
    with Journal(tmp_path) as journal:
        journal.write([("aa1", "one"), ("bb2", "two")])
        journal.write([], [finished(journal, "aa1", 7), finished(journal, "bb2", large)])
        assert journal.counts() == {"done": 2}
        assert not place(journal.results, "aa1").exists() and place(journal.results, "bb2").exists()
        assert (journal.result("aa1"), journal.result("bb2")) == (7, large)
    with Journal(tmp_path) as journal:
        assert (journal.result("aa1"), journal.result("bb2")) == (7, large)


def test_a_result_in_its_place_counts_though_the_manager_died_before_it_heard(tmp_path):
    with Journal(tmp_path) as journal:
        journal.write([("aa1", "one"), ("bb2", "two")])
        put(journal.results, "aa1", pickle.dumps(7))
    with Journal(tmp_path) as journal:  # both were running
        assert journal.adopted == 1
        assert journal.counts() == {"done": 1, "pending": 1}
        assert journal.result("aa1") == 7
        put(journal.results, "bb2", pickle.dumps(8))
        assert journal.adopt("bb2", "two") and not journal.adopt("cc3", "three")
        assert journal.result("bb2") == 8


def test_attempts_are_counted_and_poison_is_kept_with_what_it_said(tmp_path):
    failure = Receipt("aa1", "host:1", 0.1, 0, None, "error", "Traceback: no such thing")
    lost = Receipt("bb2", failure="lost", message="gone")
    with Journal(tmp_path) as journal:
        for expected in ("pending", "pending", "poison"):
            journal.write([("aa1", "one"), ("bb2", "two")], [failure, lost], retries=2)
            assert known(journal, "aa1").state == expected
            assert known(journal, "bb2").state == "pending"  # not the task's fault
        journal.write([("cc3", "three")], [Receipt("cc3", failure="unpicklable")], retries=2)
        assert known(journal, "cc3").state == "poison"
        journal.export_status(workers=3)
    assert read_status(tmp_path)["tasks"] == {"pending": 1, "poison": 2}
    assert "no such thing" in as_text(tmp_path) and "3 attempts" in as_text(tmp_path)
    assert json.loads(as_json(tmp_path, "pending"))["tasks"][0]["lost"] == 3
    with Journal(tmp_path, run=None) as journal:
        assert journal.retry() == 2
        assert known(journal, "aa1").attempts == 0
    assert len(records(tmp_path, "pending")) == 3


def test_repair_does_again_what_is_missing_and_removes_what_is_unfinished(tmp_path):
    large = "x" * (2 * SMALL)
    with Journal(tmp_path) as journal:
        journal.write([("aa1", ""), ("ab2", "")])
        journal.write([], [finished(journal, "aa1", large), finished(journal, "ab2", large)])
        place(journal.results, "aa1").unlink()
        (place(journal.results, "ab2").parent / f"{UNFINISHED}x.pickle").write_bytes(b"half")
        assert journal.repair() == {"taken in": 0, "missing": 1, "unfinished": 1}
        assert journal.counts() == {"done": 1, "pending": 1}


def test_a_journal_has_one_manager(tmp_path):
    code = (
        "import sys; from stratal.slurm.journal import Journal\n"
        "try: Journal(sys.argv[1])\n"
        "except ValueError as error: print(error)"
    )
    with Journal(tmp_path):
        run = [sys.executable, "-c", code, str(tmp_path)]
        said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert "writes this journal" in said and "one manager" in said


def test_foreign_and_damaged_journals_are_refused(tmp_path, monkeypatch):
    Journal(tmp_path / "one", run="settings 1").close()
    with pytest.raises(InputError, match=r"journal of another run .settings 1, not settings 2"):
        Journal(tmp_path / "one", run="settings 2")
    monkeypatch.setattr(module, "FORMAT", 0)
    with pytest.raises(InputError, match="format 1; this version reads up to format 0"):
        Journal(tmp_path / "one", run="settings 1")
    monkeypatch.undo()
    Journal(tmp_path / "one", run="settings 1").close()  # the refusals gave the lock back
    (tmp_path / "one" / module.FILE).write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"journal.sqlite: .*not a database"):
        Journal(tmp_path / "one", run="settings 1")
    for command in (
        lambda: Journal(tmp_path / "none", run=None),
        lambda: as_text(tmp_path / "none"),
    ):
        with pytest.raises(InputError, match="no journal there"):
            command()
    with pytest.raises(InputError, match="--state finished: give one of"):
        as_text(tmp_path / "one", "finished")


def test_a_full_disk_is_a_sentence_and_what_was_noted_stands(tmp_path):
    with Journal(tmp_path) as journal:
        journal.write([("aa1", "one")])
        journal.write([], [finished(journal, "aa1", 7)])
        pages = journal._database.execute("pragma page_count").fetchone()[0]
        journal._database.execute(f"pragma max_page_count = {pages}")
        with pytest.raises(InputError, match=r"full. Free some space and run again"):
            journal.write([(f"{n:032x}", "x" * 500) for n in range(200)])
        assert journal.counts() == {"done": 1} and journal.result("aa1") == 7
