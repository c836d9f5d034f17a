"""Where work runs, free of physics: executors, the journal of a run, batch jobs.

A list of tasks runs on a laptop, on MPI ranks or on dask workers, survives the death of anything
at any instant, and goes on where it was.
"""

from stratal.slurm.executor import Executor, open_executor
from stratal.slurm.journal import Journal
from stratal.slurm.journal_reader import JournalReader
from stratal.slurm.perform import Outcome, Stopped, TaskFailed, perform
from stratal.slurm.tasks import Folder, Shared, Task

__all__ = [
    "Executor",
    "Folder",
    "Journal",
    "JournalReader",
    "Outcome",
    "Shared",
    "Stopped",
    "Task",
    "TaskFailed",
    "open_executor",
    "perform",
]
